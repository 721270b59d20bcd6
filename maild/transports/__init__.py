"""Code that speaks to the outside."""
