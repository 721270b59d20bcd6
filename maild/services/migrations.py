"""The schema's version: what is pending, and bringing it up. One at a time, by an advisory lock."""

from pathlib import Path

from playhouse.migrations import Runner

from maild.db import database
from maild.errors import ConfigError, MigrationPending
from maild.services import locks

DIRECTORY = Path(__file__).resolve().parents[2] / "migrations"
TABLE = "schema_migrations"
OLDEST_SERVER = 17
"""The first with `pg_c_utf8`: lower case beyond ASCII, whatever the locale of the database."""


def list_pending() -> list[str]:
    """The names of migrations that the database has not had yet, oldest first."""
    return [m.name for m in _runner().status() if m.path is not None and not m.applied]


def apply() -> list[str]:
    """Bring the schema up and return the names of what was applied; waits while another does so.

    Raises ConfigError where the server is older than OLDEST_SERVER.
    """
    version = database.connection().server_version // 10_000
    if version < OLDEST_SERVER:
        raise ConfigError(f"PostgreSQL {version} is too old: maild needs {OLDEST_SERVER} or newer.")
    with locks.exclusive(locks.MIGRATE):
        return list(_runner().up())


def check() -> None:
    """Raises MigrationPending where the schema lacks a migration. A newer schema is let pass.

    Migrations suit the code that is still running, so an old process may finish its work on a newer
    schema during an upgrade.
    """
    if pending := list_pending():
        names = ", ".join(pending)
        raise MigrationPending(f"The database lacks migrations: {names}. Run: maild migrate")


def _runner() -> Runner:
    return Runner(database, str(DIRECTORY), table_name=TABLE)
