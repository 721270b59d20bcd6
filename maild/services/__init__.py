"""The use cases, and the only writers. Functions named by what they do."""
