"""What requests and answers are made of. Written by `python -m tools.client`: do not edit."""
