"""The schema's version: what is pending, and bringing it up. One at a time, by an advisory lock.

maild runs meanwhile. A migration that waits for a table makes everybody wait who comes after it, so
it waits for half a second, lets them pass, and tries again.
"""

import time
from pathlib import Path

import peewee
from playhouse.migrations import Runner
from psycopg2 import errorcodes

from maild import log
from maild.db import database
from maild.errors import ConfigError, MigrationPending, Unavailable
from maild.services import locks, restore_marks

DIRECTORY = Path(__file__).resolve().parents[2] / "migrations"
TABLE = "schema_migrations"
OLDEST_SERVER = 17
"""The first with `pg_c_utf8`: lower case beyond ASCII, whatever the locale of the database."""

LOCK_MS = 500
"""Less than the second after which PostgreSQL looks for deadlocks: the migration gives way then,
never a request.
"""
PAUSE_SECONDS = (0.5, 1.0, 2.0, 5.0)
"""Between two tries; the last one again and again."""
PATIENCE_SECONDS = 600.0

_GIVES_WAY = {errorcodes.LOCK_NOT_AVAILABLE, errorcodes.DEADLOCK_DETECTED}

logger = log.get(__name__)


def list_pending() -> list[str]:
    """The names of migrations that the database has not had yet, oldest first."""
    return [m.name for m in _runner().status() if m.path is not None and not m.applied]


def list_applied() -> list[str]:
    """The names of the migrations that the database has had, oldest first; of newer code too."""
    return sorted(_runner().applied())


def list_known() -> list[str]:
    """The names of the migrations that this code has, oldest first."""
    return [m.name for m in _runner().migrations()]


def list_newer() -> list[str]:
    """The names of migrations that the database has had, and this code does not know."""
    return [m.name for m in _runner().status() if m.path is None]


def apply() -> list[str]:
    """Bring the schema up and return the names of what was applied; waits while another does so.

    Each is a transaction of its own, unless its module says `atomic = False`.

    Raises ConfigError where the server is older than OLDEST_SERVER, Unavailable where a table was
    in use for all of PATIENCE_SECONDS. What was applied until then stays, the rest can be tried
    again.
    """
    version = database.connection().server_version // 10_000
    if version < OLDEST_SERVER:
        raise ConfigError(f"PostgreSQL {version} is too old: maild needs {OLDEST_SERVER} or newer.")
    with locks.exclusive(locks.MIGRATE):
        pending = list_pending()
        try:
            for name in pending:
                _apply_one(name)
        finally:
            database.execute_sql("RESET lock_timeout")
        return pending


def _apply_one(name: str) -> None:
    """Apply a migration, which is the next one, as often as it takes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    tries = 0
    while True:
        try:
            database.execute_sql(f"SET lock_timeout = {LOCK_MS}")
            _runner().up(name)
        except peewee.OperationalError as error:
            if getattr(getattr(error, "orig", None), "pgcode", None) not in _GIVES_WAY:
                raise
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"Migration {name} could not lock its table for"
                    f" {PATIENCE_SECONDS / 60:.0f} minutes: something else holds it"
                    " (pg_stat_activity shows transactions that take so long). Try again after it."
                ) from error
            logger.info("migration.gives_way", migration=name, tries=tries + 1)
        else:
            return
        time.sleep(PAUSE_SECONDS[min(tries, len(PAUSE_SECONDS) - 1)])
        tries += 1


def check() -> None:
    """Raises MigrationPending where the schema lacks a migration, or the database is half
    restored. A newer schema is let pass.

    Migrations suit the code that is still running, so an old process may finish its work on a newer
    schema during an upgrade.
    """
    restore_marks.refuse_half_restored()
    if pending := list_pending():
        names = ", ".join(pending)
        raise MigrationPending(f"The database lacks migrations: {names}. Run: maild migrate")


def _runner() -> Runner:
    return Runner(database, str(DIRECTORY), table_name=TABLE)
