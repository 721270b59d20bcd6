"""What a hint starts: glue of a few lines. Importing this package registers every task."""

from maild.tasks import checks, delivery, jobs, reports

__all__ = ["checks", "delivery", "jobs", "reports"]
