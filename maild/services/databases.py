"""Whole databases: what is in one, who uses it, making one, and giving it another's name.

Each of these is a connection of its own, outside of the pool, and outside of a transaction where
PostgreSQL asks for that.
"""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import sql

from maild import db
from maild.errors import Conflict, Unavailable
from maild.services import restore_marks

APPLICATION = "maild restore"
CONNECT_SECONDS = 10
MAINTENANCE = ("postgres", "template1")
"""Databases that every server has: from them another one is made."""


@dataclass(frozen=True, slots=True)
class Look:
    """A database as it is. `processes` are maild's own that are connected, by name, and
    `other_count` all other connections. `worker_count` is of workers whose lease is fresh.

    `marked` is the checksum of the backup that is half restored into it.
    """

    name: str
    exists: bool
    is_empty: bool
    marked: str | None
    processes: tuple[str, ...]
    other_count: int
    worker_count: int
    may_create: bool


_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""
# PostgreSQL hides the type of a session from whoever has no rights of its user: such a one counts.
# Autovacuum has no user at all.
_USERS = """
SELECT application_name FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
    AND coalesce(backend_type, 'client backend') = 'client backend'
"""
_ALIVE = "SELECT count(*) FROM workers WHERE seen_at > now() - %s * interval '1 second'"
_MAY_CREATE = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"


def look(dsn: str, *, lease_seconds: float) -> Look:
    """What the database is like. Raises Unavailable where its server does not answer."""
    name = db.name_of(dsn)
    try:
        with _connected(dsn) as cursor:
            # Users first: what somebody commits who has left by then is seen below.
            users = [row[0] for row in _all(cursor, _USERS)]
            tables = {row[0] for row in _all(cursor, _TABLES)}
            marked = None
            if restore_marks.TABLE in tables:
                marked = _all(cursor, "SELECT sha256 FROM maild_restoring")[0][0]
            workers = _all(cursor, _ALIVE, (lease_seconds,))[0][0] if "workers" in tables else 0
            may_create = _all(cursor, _MAY_CREATE)[0][0]
    except Unavailable:
        if _exists_elsewhere(dsn, name):
            raise
        return Look(name, False, True, None, (), 0, 0, may_create=True)
    ours = tuple(sorted({user for user in users if user.startswith("maild ")}))
    return Look(
        name=name,
        exists=True,
        is_empty=not tables - {restore_marks.TABLE},
        marked=marked,
        processes=ours,
        other_count=sum(not user.startswith("maild ") for user in users),
        worker_count=workers,
        may_create=bool(may_create),
    )


def create(dsn: str, name: str) -> None:
    """Make an empty database beside the one that `dsn` leads to. Raises Unavailable."""
    with _maintained(dsn) as cursor:
        # As every database should be, whatever the server's template is like.
        statement = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'"
        _do(cursor, sql.SQL(statement).format(sql.Identifier(name)))


def drop(dsn: str, name: str) -> None:
    """Delete a database that nobody uses, if it is there. Raises Unavailable."""
    with _maintained(dsn) as cursor:
        _do(cursor, sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def swap(dsn: str, *, new: str, name: str, aside: str) -> None:
    """Let `new` have the name of a database, which is kept as `aside`: both or neither. Raises
    Conflict where somebody uses one of them.
    """
    with _maintained(dsn) as cursor:
        try:
            cursor.execute("BEGIN")
            for old, called in ((name, aside), (new, name)):
                statement = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                cursor.execute(statement.format(sql.Identifier(old), sql.Identifier(called)))
            cursor.execute("COMMIT")
        except psycopg2.errors.ObjectInUse as error:
            raise Conflict(
                f"Somebody has connected to the database {name} meanwhile, so it was left as it"
                " is. Stop all processes of maild and all others that use it, and try again."
            ) from error
        except psycopg2.Error as error:
            raise Unavailable(f"The databases could not be renamed: {_words(error)}.") from error


def _exists_elsewhere(dsn: str, name: str) -> bool:
    """Whether the server knows a database; True where it cannot be asked."""
    try:
        with _maintained(dsn) as cursor:
            return bool(_all(cursor, "SELECT 1 FROM pg_database WHERE datname = %s", (name,)))
    except Unavailable:
        return True


@contextmanager
def _maintained(dsn: str) -> Iterator[Any]:
    """A connection to another database of the same server."""
    with contextlib.ExitStack() as stack:
        try:
            cursor = stack.enter_context(_connected(db.beside(dsn, MAINTENANCE[0])))
        except Unavailable:
            cursor = stack.enter_context(_connected(db.beside(dsn, MAINTENANCE[1])))
        yield cursor


@contextmanager
def _connected(dsn: str) -> Iterator[Any]:
    try:
        connection = psycopg2.connect(
            dsn, connect_timeout=CONNECT_SECONDS, application_name=APPLICATION
        )
    except psycopg2.Error as error:
        raise Unavailable(f"PostgreSQL lets nobody in: {_words(error)}.") from error
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def _all(cursor: Any, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    _do(cursor, statement, values)
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _do(cursor: Any, statement: Any, values: tuple[Any, ...] = ()) -> None:
    try:
        cursor.execute(statement, values or None)
    except psycopg2.Error as error:
        raise Unavailable(f"PostgreSQL refuses: {_words(error)}.") from error


def _words(error: psycopg2.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].removeprefix("ERROR: ").strip().rstrip(".") if lines else "it does not say why"
