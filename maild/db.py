"""The database: one pool per process, and the base of every model. Transactions belong to services.

Connections are never opened by accident (`autoconnect` is off): a request, a task or a command
enters `connection()` once, and everything inside uses that one.
"""

import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import peewee
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase
from psycopg2 import extras

from maild.errors import Unavailable

RETRY_AFTER_SECONDS = 2


class Database(PooledPostgresqlDatabase):
    """A pool that notices dead connections before it hands them out."""

    def _is_closed(self, conn: Any) -> bool:
        # Not Peewee's own check: that asks the server, with every thread waiting for the pool's
        # lock meanwhile.
        return bool(conn.closed) or _has_hung_up(conn)


database = Database(None, autoconnect=False)
extras.register_uuid()  # uuid columns come and go as uuid.UUID, in plain SQL too


class BaseModel(peewee.Model):
    """The root of all models: binds them to the one database."""

    class Meta:
        database = database
        legacy_table_names = False


def init(dsn: str, *, pool_size: int, application: str) -> None:
    """Point the pool at `dsn`, a libpq URL. Opens nothing yet."""
    database.init(
        dsn,
        max_connections=pool_size,
        timeout=5,
        application_name=f"maild {application}",
        connect_timeout=5,
        # Only `execute_prepared` prepares, and never for planning anew. What JIT compiles would
        # have been done by then.
        options="-c timezone=UTC -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s"
        " -c plan_cache_mode=force_generic_plan -c jit=off",
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        tcp_user_timeout=15_000,  # milliseconds; or a cut line would hold the heartbeat for minutes
    )


_limit_ms: ContextVar[int] = ContextVar("limit_ms", default=0)
_limits: "WeakKeyDictionary[Any, int]" = WeakKeyDictionary()
"""What each connection of the pool was told last."""


def limit_statements(milliseconds: int) -> None:
    """From the next `connection()` of this thread on, no statement runs for longer; 0: as long as
    it takes. Whoever begins something new in a thread says which.
    """
    _limit_ms.set(milliseconds)


@contextmanager
def connection() -> Iterator[None]:
    """One pooled connection for this thread; inside another `connection()` of it, that one.

    Raises Unavailable where Postgres cannot be reached, goes away in the middle, takes no writes,
    keeps us waiting for a lock, or needs longer than `limit_statements` allows.
    """
    if not database.is_closed():
        yield
        return
    try:
        database.connect()
        _tell_limit()
        yield
    except (peewee.PeeweeException, MaxConnectionsExceeded) as error:
        if not is_away(error):
            raise
        raise Unavailable(_why(error), retry_after_seconds=RETRY_AFTER_SECONDS) from error
    finally:
        database.close()


_prepared: "WeakKeyDictionary[Any, set[str]]" = WeakKeyDictionary()


def execute_prepared(
    name: str, sql: str, parameters: Sequence[Any], *, after: tuple[str, Sequence[Any]] = ("", ())
) -> list[tuple[Any, ...]]:
    """The rows of a statement that this connection plans once, and then only executes.

    `sql` has its parameters as $1, $2, ..., and no percent sign. For what is so frequent that
    planning it would cost more than doing it. `after` is a statement, with its parameters, that is
    executed before in the same round trip. Raises what Peewee's queries raise.
    """
    connection = database.connection()
    known = _prepared.setdefault(connection, set())
    if name not in known:
        database.execute_sql(f"PREPARE maild_{name} AS {sql}")
        known.add(name)
    places = ", ".join(["%s"] * len(parameters))
    first, its_parameters = after
    rows: list[tuple[Any, ...]] = database.execute_sql(
        f"{first}EXECUTE maild_{name} ({places})", (*its_parameters, *parameters)
    ).fetchall()
    return rows


def is_away(error: Exception) -> bool:
    """Whether an error means that Postgres is away, not that we asked for something wrong.

    psycopg2 has no class of its own for some ways in which a server that stops cuts a connection.
    """
    return isinstance(error, _AWAY) or type(error) is peewee.DatabaseError


# InternalError is, among others, a server that takes no writes in the middle of a fail-over.
_AWAY = (
    peewee.OperationalError,
    peewee.InterfaceError,
    peewee.InternalError,
    MaxConnectionsExceeded,
)


def _tell_limit() -> None:
    """Let the server know where this connection has served somebody with another limit."""
    connection, limit_ms = database.connection(), _limit_ms.get()
    if _limits.get(connection, 0) != limit_ms:
        database.execute_sql("SELECT set_config('statement_timeout', %s, false)", (str(limit_ms),))
        _limits[connection] = limit_ms


def _why(error: Exception) -> str:
    if "statement timeout" in str(error):
        return "This took too long, and was cut off. Ask for less of it, or try again."
    if "lock timeout" in str(error) or "deadlock" in str(error):
        return "The database is busy with something that holds a lock. Try again."
    if isinstance(error, peewee.InternalError):
        return "The database takes no changes at the moment. Try again."
    return "The database cannot be reached at the moment. Try again."


def _has_hung_up(conn: Any) -> bool:
    """Whether the server closed an idle connection: nothing should be readable on it, least of all
    an end.

    A system call of a microsecond, where `SELECT 1` would be a round trip on every request.
    """
    poller = select.poll()
    try:
        poller.register(conn.fileno(), select.POLLIN)
        return bool(poller.poll(0))
    except (OSError, ValueError, peewee.InterfaceError):
        return True
