"""What a hint starts: glue of a few lines. Importing this package registers every task."""

from maild.tasks import campaigns, checks, delivery, domains, jobs, notifications, reports

__all__ = ["campaigns", "checks", "delivery", "domains", "jobs", "notifications", "reports"]
