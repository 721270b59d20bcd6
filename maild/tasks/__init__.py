"""What a hint starts: glue of a few lines. Importing this package registers every task."""

from maild.tasks import delivery

__all__ = ["delivery"]
