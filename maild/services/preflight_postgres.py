"""A look at PostgreSQL before a start: what the server is, what we may do, and what is stored.

Every query is short and bounded; the caller limits the time of all of them together. Not in charge
of judging what only needs figures (`domain/preflight`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from maild import clock, config
from maild.db import database
from maild.domain import preflight as judge
from maild.domain.preflight import Finding, fail, ok, skipped, warn
from maild.domain.role import Role
from maild.errors import ConfigError
from maild.models import Member
from maild.services import key_rotation, migrations
from maild.setting_production import postgres_target
from maild.transports import pg_tools

STATEMENT_MS = 5_000
VERIFIED = (
    "?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt, or the file of the"
    " authority that signed the server's certificate. libpq knows none by itself."
)

_FACTS = """
SELECT current_setting('server_version_num')::int, current_setting('server_version'),
    pg_is_in_recovery() OR current_setting('transaction_read_only')::bool,
    current_setting('server_encoding'), current_setting('timezone'),
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), current_user::text,
    has_database_privilege(current_database(), 'CONNECT')
        AND has_schema_privilege(current_schema(), 'USAGE'),
    has_schema_privilege(current_schema(), 'CREATE'),
    pg_size_pretty(pg_database_size(current_database())),
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
    inet_server_addr() IS NULL OR family(inet_server_addr()) = 4
        AND inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1',
    quote_ident(session_user),
    (SELECT backend_type IS NOT NULL FROM pg_stat_activity WHERE pid = pg_backend_pid())
"""
_FACT_NAMES = (
    "number", "version", "is_read_only", "encoding", "timezone", "is_superuser", "user", "may_use",
    "may_create", "size", "is_encrypted", "is_local", "login", "sees_sessions",
)  # fmt: skip
_SETTINGS = """
SELECT name, setting FROM pg_settings
WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')
"""
_LOGGING = """
SELECT name, setting FROM pg_settings
WHERE name IN ('log_min_error_statement', 'log_statement', 'log_min_duration_statement')
"""
_SILENT = {
    "log_min_error_statement": ("panic",),
    "log_statement": ("none", "ddl"),
    "log_min_duration_statement": ("-1",),
}
"""What each must be, so that PostgreSQL's own log has no statement of maild: the values stand in
the text of each. Beside `panic`, `log` and `fatal` let through what an ended connection was at.
"""
# Everybody may read how many there are in all, though not whose. Those of maild are told by their
# name, which is hidden from nobody. A worker of autovacuum counts as well, for as long as it works.
_ROOM = """
SELECT current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int,
    (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user),
    (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
    (SELECT greatest(0, coalesce(sum(numbackends), 0) - (
        SELECT count(*) FROM pg_stat_activity
        WHERE datid IS NOT NULL AND application_name LIKE 'maild %%'))::int
    FROM pg_stat_database)
"""
# Tables that we cannot use, and those that only their owner could change.
_TABLES = """
SELECT count(*) FILTER (WHERE NOT (has_table_privilege(c.oid, 'SELECT')
        AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE')
        AND has_table_privilege(c.oid, 'DELETE'))),
    count(*) FILTER (WHERE NOT pg_has_role(c.relowner, 'USAGE')), count(*)
FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
"""


def look(pools: Mapping[str, int]) -> Iterator[Finding]:
    """All there is to see, inside a `db.connection()`. `pools`: what a process of each kind may
    open, by its name. Raises what queries raise.
    """
    facts = _facts()
    yield _of_version(facts)
    yield _of_writes(facts)
    yield judge.of_durability(dict(database.execute_sql(_SETTINGS).fetchall()))
    yield _of_way(facts)
    yield _of_encoding(facts)
    yield _of_room(pools)
    yield _of_sessions(facts)
    yield _of_log(facts, dict(database.execute_sql(_LOGGING).fetchall()))
    yield _of_clock()
    yield ok("PostgreSQL: size", str(facts["size"]))
    pending, newer = migrations.list_pending(), migrations.list_newer()
    yield _of_rights(facts, has_pending=bool(pending))
    yield _of_schema(pending, newer)
    yield _of_tools(facts)
    yield from _of_contents(has_schema=not pending)


def _facts() -> dict[str, Any]:
    row = database.execute_sql(_FACTS).fetchone()
    return dict(zip(_FACT_NAMES, row, strict=True))


def _of_version(facts: Mapping[str, Any]) -> Finding:
    name, oldest = "PostgreSQL: version", migrations.OLDEST_SERVER
    if facts["number"] // 10_000 < oldest:
        return fail(name, f"{facts['version']} is too old", f"Upgrade it to {oldest} or newer.")
    return ok(name, facts["version"])


def _of_writes(facts: Mapping[str, Any]) -> Finding:
    name = "PostgreSQL: writes"
    if facts["is_read_only"]:
        return fail(
            name,
            "it takes none: it is a standby, or read-only",
            "Point POSTGRES_DSN to the primary, such as by target_session_attrs=read-write.",
        )
    return ok(name, "it takes them")


def _of_way(facts: Mapping[str, Any]) -> Finding:
    """How the connection that stands goes: the DSN may lead elsewhere than it says."""
    name, settings = "PostgreSQL: connection", config.current()
    if facts["is_local"]:
        return ok(name, "stays on this machine")
    if facts["is_encrypted"]:
        if postgres_target(settings.postgres_dsn).is_verified:
            return ok(name, "encrypted, and the server has proved who it is")
        return warn(
            name,
            "encrypted, but anybody may pass for the server",
            f"In POSTGRES_DSN: {VERIFIED}",
        )
    found = "goes over a network in the clear"
    hosts = postgres_target(settings.postgres_dsn).hosts
    if hosts and all(host.lower() in settings.plaintext_hosts for host in hosts):
        return ok(name, f"{found}, as PLAINTEXT_HOSTS allows")
    see = fail if settings.is_production else warn
    return see(name, found, f"In POSTGRES_DSN: {VERIFIED}")


def _of_encoding(facts: Mapping[str, Any]) -> Finding:
    name = "PostgreSQL: encoding and time zone"
    if facts["encoding"] != "UTF8":
        return fail(
            name,
            f"the database has the encoding {facts['encoding']}",
            "Make another one: CREATE DATABASE maild ENCODING 'UTF8' TEMPLATE template0",
        )
    if facts["timezone"] != "UTC":
        return fail(
            name,
            f"times come in {facts['timezone']}, though maild asks for UTC",
            "A pooler in between drops the options of a connection: connect past it.",
        )
    return ok(name, "UTF8, UTC")


def _of_room(pools: Mapping[str, int]) -> Finding:
    most, of_role, of_database, others = database.execute_sql(_ROOM).fetchone()
    limits = [most, *(limit for limit in (of_role, of_database) if limit >= 0)]
    return judge.of_connections(most=min(limits), others=others, needed=pools)


def _of_sessions(facts: Mapping[str, Any]) -> Finding:
    """Whether what our own sessions do is told to us: what is under way is read there."""
    name, user = "PostgreSQL: sessions", facts["user"]
    if facts["sees_sessions"]:
        return ok(name, f"{user} sees what those of {facts['login']} do")
    return warn(
        name,
        f"{user} does not see what those of {facts['login']} do: incidents and the search of the"
        " log can miss what is being written",
        f"As a superuser: GRANT pg_read_all_stats TO {user}",
    )


def _of_log(facts: Mapping[str, Any], settings: Mapping[str, str]) -> Finding:
    """Whether PostgreSQL keeps the text of our statements: addresses and mail are in it."""
    name = "PostgreSQL: its log"
    wrong = {key: settings[key] for key, well in _SILENT.items() if settings[key] not in well}
    if not wrong:
        return ok(name, "it keeps no text of maild's statements")
    found = ", ".join(f"{key} = {value}" for key, value in wrong.items())
    user = facts["login"]
    mend = "; ".join(f"ALTER ROLE {user} SET {key} = '{_SILENT[key][0]}'" for key in wrong)
    return warn(
        name,
        f"{found}: the text of statements, with addresses and mail, goes into the server's log",
        f"As a superuser: {mend}. It holds for new connections: restart maild.",
    )


def _of_tools(facts: Mapping[str, Any]) -> Finding:
    """Whether a backup could be made here; on most machines none is."""
    name, major = "Backup: pg_dump", facts["number"] // 10_000
    try:
        dumper = pg_tools.find("pg_dump", major=major)
        pg_tools.find("pg_restore", major=major)
    except ConfigError as error:
        found, _, mend = error.detail.partition(". ")
        return warn(name, f"{found}. It matters where maild backup runs", mend)
    return ok(name, f"{dumper} is of PostgreSQL {pg_tools.version(dumper)}")


def _of_clock() -> Finding:
    before = clock.now()
    theirs = database.execute_sql("SELECT clock_timestamp()").fetchone()[0]
    ours = before + (clock.now() - before) / 2
    return judge.of_clock((theirs - ours).total_seconds())


def _of_rights(facts: Mapping[str, Any], *, has_pending: bool) -> Finding:
    name, user = "PostgreSQL: rights", facts["user"]
    unusable, foreign, count = database.execute_sql(_TABLES).fetchone()
    if not facts["may_use"] or unusable:
        return fail(
            name,
            f"{user} may not use {unusable or 'any'} of {count} tables",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}, and on all sequences.",
        )
    if not facts["may_create"] or foreign:
        see = fail if has_pending and not facts["may_create"] else warn
        return see(
            name,
            f"{user} may not change the schema, so that maild migrate would fail as {user}",
            f"Run it as the owner, or let {user} be: ALTER DATABASE ... OWNER TO {user}",
        )
    if facts["is_superuser"]:
        return warn(
            name,
            f"{user} is a superuser, and may do more than maild needs",
            "Make a role of its own: CREATE ROLE maild LOGIN, and have it own the database.",
        )
    return ok(name, f"{user} may use and change the schema, and is no superuser")


def _of_schema(pending: list[str], newer: list[str]) -> Finding:
    name = "Migrations"
    if pending:
        return warn(name, f"{len(pending)} pending, {pending[0]} first", "Run: maild migrate")
    if newer:
        return warn(
            name,
            f"the schema is newer than this code: it has {', '.join(newer)}",
            "It works for an upgrade or a rollback. Otherwise install the newer version.",
        )
    return ok(name, "the schema is that of this code")


def _of_contents(*, has_schema: bool) -> Iterator[Finding]:
    """What is stored, where the schema is there to hold it."""
    key, people = "Encryption key", "People"
    if not has_schema:
        yield skipped(key, "after maild migrate")
        yield skipped(people, "after maild migrate")
        return
    count = key_rotation.count_unopened()
    if count:
        yield fail(
            key,
            f"{count} stored secrets are under a key that is not here",
            "Put it into ENCRYPTION_KEYS_OLD, then: maild keys rotate",
        )
    else:
        yield ok(key, "it is the one that stored secrets name")
    if Member.select().where(Member.role == Role.ADMIN).exists():
        yield ok(people, "somebody is an admin")
    else:
        yield warn(
            people, "nobody can sign in as an admin", "maild people invite you@your-domain.com"
        )
