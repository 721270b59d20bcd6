"""The one reader of the host's clock. Leases are not decided here: Postgres `now()` does that."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current time, timezone-aware, in UTC."""
    return datetime.now(UTC)
