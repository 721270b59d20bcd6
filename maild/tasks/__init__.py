"""What a hint starts: glue of a few lines. Importing this package registers every task."""

from maild.tasks import delivery, reports

__all__ = ["delivery", "reports"]
