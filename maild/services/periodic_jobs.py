"""Periodic jobs: what is done once in a slot of time, however many schedulers there are."""

from datetime import datetime

from maild.db import database
from maild.models import PeriodicJob

# Slots begin at the same moments for everybody, by Postgres' clock.
_TAKE = """
INSERT INTO periodic_jobs AS j (name, ran_at) VALUES (%(name)s, now())
ON CONFLICT (name) DO UPDATE SET ran_at = now()
WHERE date_bin(%(slot)s * interval '1 second', j.ran_at, 'epoch')
    < date_bin(%(slot)s * interval '1 second', now(), 'epoch')
RETURNING name
"""


def take_slot(name: str, *, seconds: int) -> bool:
    """Whether this caller is the one that does the job in the present slot."""
    row = database.execute_sql(_TAKE, {"name": name, "slot": seconds}).fetchone()
    return row is not None


_NOTE = """
INSERT INTO periodic_jobs (name, ran_at) VALUES (%s, now())
ON CONFLICT (name) DO UPDATE SET ran_at = now()
"""


def note(name: str) -> None:
    """Remember that it was done just now."""
    database.execute_sql(_NOTE, (name,))


def note_at(name: str, ran_at: datetime) -> None:
    """Remember that it was done then, whatever is known of it."""
    database.execute_sql(
        "INSERT INTO periodic_jobs (name, ran_at) VALUES (%s, %s)"
        " ON CONFLICT (name) DO UPDATE SET ran_at = excluded.ran_at",
        (name, ran_at),
    )


def find_last(name: str) -> datetime | None:
    """When it was done last; None where it never was."""
    row: PeriodicJob | None = PeriodicJob.get_or_none(PeriodicJob.name == name)
    return row.ran_at if row is not None else None


def find_age(name: str) -> float | None:
    """How many seconds ago it was done last, by Postgres' clock; None where it never was."""
    row = database.execute_sql(
        "SELECT EXTRACT(EPOCH FROM now() - ran_at) FROM periodic_jobs WHERE name = %s", (name,)
    ).fetchone()
    return float(row[0]) if row is not None else None
