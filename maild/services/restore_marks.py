"""The mark of a database that is half restored: nothing of maild starts on it.

It is a table that no backup has and no migration knows, made before anything is read into the
database, and dropped when the last message that may have been sent is held.
"""

from dataclasses import dataclass
from datetime import datetime

from maild.db import database
from maild.errors import MigrationPending

TABLE = "maild_restoring"


@dataclass(frozen=True, slots=True)
class Mark:
    """Which backup is being brought back, by its checksum, and since when. `is_whole`: all of it
    is there, and was counted.
    """

    sha256: str
    started_at: datetime
    is_whole: bool


def find() -> Mark | None:
    """The mark of the database; None where it is not being restored."""
    if database.execute_sql("SELECT to_regclass(%s)", (TABLE,)).fetchone()[0] is None:
        return None
    row = database.execute_sql(
        "SELECT sha256, started_at, is_whole FROM maild_restoring"
    ).fetchone()
    return Mark(*row)


def put(sha256: str) -> Mark:
    """Mark the database, whatever mark it has."""
    with database.atomic():
        database.execute_sql("DROP TABLE IF EXISTS maild_restoring")
        database.execute_sql(
            "CREATE TABLE maild_restoring (sha256 text NOT NULL, started_at timestamptz NOT NULL,"
            " is_whole boolean NOT NULL)"
        )
        row = database.execute_sql(
            "INSERT INTO maild_restoring VALUES (%s, now(), false)"
            " RETURNING sha256, started_at, is_whole",
            (sha256,),
        ).fetchone()
    return Mark(*row)


def set_whole() -> None:
    """All of the backup is there."""
    database.execute_sql("UPDATE maild_restoring SET is_whole = true")


def remove() -> None:
    """Let maild start on it, in the caller's transaction."""
    database.execute_sql("DROP TABLE maild_restoring")


def refuse_half_restored() -> None:
    """Raises MigrationPending where the database is being restored."""
    if find() is not None:
        raise MigrationPending(
            "This database is being restored, and its mail is not held back yet. Nothing may run"
            " on it until that is done: run the same `maild restore` again, which goes on."
        )
