"""The database: one pool per process, and the base of every model. Transactions belong to services.

Connections are never opened by accident (`autoconnect` is off): a request, a task or a command
enters `connection()` once, and everything inside uses that one.
"""

import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote, urlencode
from weakref import WeakKeyDictionary

import peewee
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase
from psycopg2 import extensions, extras

from maild import db_watch, log, metrics
from maild.errors import Unavailable

RETRY_AFTER_SECONDS = 2
SLOW_LINES_MAX = 20
SLOW_LINES_SECONDS = 10.0
SLOW_STATEMENT_CHARS = 600

logger = log.get(__name__)


class _Fresh(peewee.PostgresqlDatabase):
    """The way to a new connection. The pool goes it with its lock held: who has waited for that
    looks again whether there is any sense in it.
    """

    def _connect(self) -> Any:
        _refuse_if_hung()
        return super()._connect()  # type: ignore[misc] # Peewee tells no types


class Database(PooledPostgresqlDatabase, _Fresh):
    """A pool that notices dead connections before it hands them out, and tells of statements that
    take long.
    """

    slow_seconds = float("inf")

    def execute_sql(self, sql: Any, params: Any = None) -> Any:
        started = time.perf_counter()
        try:
            return super().execute_sql(sql, params)
        except (peewee.IntegrityError, peewee.DataError) as error:
            _forget_values(error)
            raise
        finally:
            seconds = time.perf_counter() - started
            if seconds >= self.slow_seconds:
                _slow_queries.tell(str(sql), seconds)

    def _connect(self) -> Any:
        _refuse_if_hung()
        return super()._connect()

    def _is_closed(self, conn: Any) -> bool:
        # Not Peewee's own check: that asks the server, with every thread waiting for the pool's
        # lock meanwhile.
        return bool(conn.closed) or _has_hung_up(conn)


class _SlowQueries:
    """The log of slow statements, without their parameters: those are people's addresses and mail.

    So many lines in a while and no more: where everything is slow, a line for each would make it
    slower.
    """

    def __init__(self) -> None:
        self._began_at = 0.0
        self._count = 0

    def tell(self, sql: str, seconds: float) -> None:
        metrics.SLOW_QUERIES.inc()
        now = time.monotonic()
        if now - self._began_at >= SLOW_LINES_SECONDS:
            left_out = max(0, self._count - SLOW_LINES_MAX)
            self._began_at, self._count = now, 0
        else:
            left_out = 0
        self._count += 1
        if self._count <= SLOW_LINES_MAX:
            logger.warning(
                "database.slow_query",
                ms=round(seconds * 1000),
                statement=" ".join(sql.split())[:SLOW_STATEMENT_CHARS],
                **({"left_out": left_out} if left_out else {}),
            )


_slow_queries = _SlowQueries()
database = Database(None, autoconnect=False)
extras.register_uuid()  # uuid columns come and go as uuid.UUID, in plain SQL too


class BaseModel(peewee.Model):
    """The root of all models: binds them to the one database."""

    class Meta:
        database = database
        legacy_table_names = False


def init(dsn: str, *, pool_size: int, application: str, slow_seconds: float | None = None) -> None:
    """Point the pool at `dsn`, a libpq URL. Opens nothing yet. A statement that takes
    `slow_seconds` or longer gets a log line; None: no one does.
    """
    database.slow_seconds = float("inf") if slow_seconds is None else slow_seconds
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


def parse(dsn: str) -> dict[str, str]:
    """The parts of a libpq URL, by libpq's names: `host`, `user`, `dbname`, ..."""
    return {name: str(value) for name, value in extensions.parse_dsn(dsn).items()}


def name_of(dsn: str) -> str:
    """The name of the database that it leads to."""
    parts = parse(dsn)
    return parts.get("dbname") or parts.get("user") or ""


def beside(dsn: str, name: str) -> str:
    """The URL of another database of the same server."""
    return "postgresql:///?" + urlencode({**parse(dsn), "dbname": name}, quote_via=quote)


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
        db_watch.hold(None)
        database.connect()
        db_watch.hold(database.connection())
        _tell_limit()
        yield
    except (peewee.PeeweeException, MaxConnectionsExceeded) as error:
        if not is_away(error):
            raise
        metrics.DATABASE_ERRORS.labels(_kind(error)).inc()
        raise Unavailable(_why(error), retry_after_seconds=RETRY_AFTER_SECONDS) from error
    finally:
        try:
            database.close()
        finally:
            db_watch.let_go()


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


def _forget_values(error: peewee.PeeweeException) -> None:
    """Leave of an error what is wrong and where. What the server says after its first sentence is
    the row: people's addresses and mail, which must not get into logs, traces and notes.
    """
    original = getattr(error, "orig", None)  # Peewee tells no types
    if original is not None and (sentence := original.diag.message_primary):
        error.args = original.args = (sentence,)


def _refuse_if_hung() -> None:
    if db_watch.is_hung():
        raise peewee.OperationalError("the server hangs")


def _tell_limit() -> None:
    """Let the server know where this connection has served somebody with another limit."""
    connection, limit_ms = database.connection(), _limit_ms.get()
    if _limits.get(connection, 0) != limit_ms:
        database.execute_sql("SELECT set_config('statement_timeout', %s, false)", (str(limit_ms),))
        _limits[connection] = limit_ms


def _kind(error: Exception) -> str:
    """In a word what `_why` says in a sentence."""
    if "statement timeout" in str(error):
        return "timeout"
    if "lock timeout" in str(error) or "deadlock" in str(error):
        return "lock"
    return "away"


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
