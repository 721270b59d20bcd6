"""A look at the running parts before a start: each fault is found, and hides none of the others."""

import contextlib
import dataclasses
import socket
import threading
import time

import psycopg2
import pytest
import redis

from maild import config, db
from maild.config import Review
from maild.db import database
from maild.domain.actor import COMMAND_LINE
from maild.domain.preflight import Level
from maild.errors import FieldError
from maild.services import preflight, preflight_outside, preflight_postgres, smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import WORKSPACE_A, free_ports

POOLS = {"web": 20, "worker": 12, "scheduler": 9, "migrate": 2}


def of(findings):
    """Each finding by its name."""
    return {finding.name: finding for finding in findings}


def levels(findings):
    return {finding.name: finding.level.value for finding in findings}


@pytest.fixture
def look(database):
    return lambda: of(preflight_postgres.look(POOLS))


def review_of(settings, **changes):
    return Review(
        **{
            "settings": settings,
            "problems": (),
            "production_problems": (),
            "stand_ins": frozenset(),
            "secret_files": {},
            **changes,
        }
    )


# PostgreSQL


def test_a_server_without_fsync_is_refused(look):
    found = look()  # that of the tests has none
    assert {name for name, one in found.items() if one.level is Level.FAIL} == {
        "PostgreSQL: durability"
    }
    assert "fsync and full_page_writes off" in found["PostgreSQL: durability"].found
    assert found["People"].level is Level.WARN
    assert "maild people invite" in found["People"].mend


def test_an_admin_is_somebody(look, make_person):
    make_person("ann@example.com", "viewer")
    assert look()["People"].level is Level.WARN
    make_person("bob@example.com", "admin")
    assert look()["People"].level is Level.OK


@pytest.fixture
def told():
    """Settings of this connection, put back at the end."""
    names = []

    def tell(name, value):
        names.append(name)
        database.execute_sql("SELECT set_config(%s, %s, false)", (name, value))

    yield tell
    for name in names:
        database.execute_sql(f"RESET {name}")


@pytest.mark.parametrize(
    ("setting", "value", "name"),
    [
        ("synchronous_commit", "off", "PostgreSQL: durability"),
        ("default_transaction_read_only", "on", "PostgreSQL: writes"),
        ("timezone", "Europe/Berlin", "PostgreSQL: encoding and time zone"),
    ],
)
def test_a_wrong_setting_of_the_server_is_found(look, told, setting, value, name):
    told(setting, value)
    found = look()
    assert found[name].level is Level.FAIL
    if setting == "synchronous_commit":
        assert "synchronous_commit" in found[name].found


def test_pending_migrations_are_found_before_the_schema_is_there(look):
    database.execute_sql("CREATE SCHEMA preflight_empty")
    database.execute_sql("SET search_path TO preflight_empty")
    try:
        found = look()
    finally:
        database.execute_sql("SET search_path TO DEFAULT")
        database.execute_sql("DROP SCHEMA preflight_empty CASCADE")
    assert found["Migrations"].level is Level.WARN
    assert found["Migrations"].mend == "Run: maild migrate"
    assert found["People"].level is found["Encryption key"].level is Level.SKIPPED


def test_a_newer_schema_is_found(look):
    database.execute_sql(
        "INSERT INTO schema_migrations (name, applied) VALUES ('9999_of_the_future', now())"
    )
    try:
        found = look()["Migrations"]
    finally:
        database.execute_sql("DELETE FROM schema_migrations WHERE name = '9999_of_the_future'")
    assert found.level is Level.WARN
    assert "9999_of_the_future" in found.found


def test_a_key_that_does_not_open_what_is_stored_is_found(look, use_settings):
    smtp_accounts.save(
        WORKSPACE_A,
        NewSmtpAccount(
            name="main", host="smtp.example.com", port=587, security="starttls",
            username="a", password="b", from_email="a@example.com",
        ),
        by=COMMAND_LINE,
    )  # fmt: skip
    assert look()["Encryption key"].level is Level.OK
    old = config.current().encryption_key
    use_settings(encryption_key=b"\x07" * 32)
    assert look()["Encryption key"].level is Level.FAIL
    assert "1 stored secrets" in look()["Encryption key"].found
    use_settings(encryption_keys_old=(old,))
    assert look()["Encryption key"].level is Level.OK


def test_tables_that_we_may_not_use_are_found(look):
    with database.atomic() as transaction:
        database.execute_sql("REVOKE DELETE ON messages, attempts FROM CURRENT_USER")
        found = look()["PostgreSQL: rights"]
        transaction.rollback()
    assert found.level is Level.FAIL
    assert "2 of" in found.found
    assert look()["PostgreSQL: rights"].level is Level.OK


@pytest.fixture
def facts(monkeypatch):
    """Call to have the server say something else of itself."""
    true = preflight_postgres._facts

    def change(**changes):
        monkeypatch.setattr(preflight_postgres, "_facts", lambda: {**true(), **changes})

    return change


@pytest.mark.parametrize(
    ("changes", "name", "level"),
    [
        ({"number": 160_004}, "PostgreSQL: version", Level.FAIL),
        ({"encoding": "SQL_ASCII"}, "PostgreSQL: encoding and time zone", Level.FAIL),
        ({"is_read_only": True}, "PostgreSQL: writes", Level.FAIL),
        ({"is_superuser": True}, "PostgreSQL: rights", Level.WARN),
        ({"may_create": False}, "PostgreSQL: rights", Level.WARN),
        ({"may_use": False}, "PostgreSQL: rights", Level.FAIL),
        ({"sees_sessions": False}, "PostgreSQL: sessions", Level.WARN),
        ({"sees_sessions": True}, "PostgreSQL: sessions", Level.OK),
        ({"number": 990_004}, "Backup: pg_dump", Level.WARN),
    ],
)
def test_what_the_server_says_of_itself_is_judged(look, facts, changes, name, level):
    facts(**changes)
    assert look()[name].level is level


def test_a_role_that_is_blind_to_its_own_sessions_is_told_what_to_grant(look, facts):
    """As where it logs in as another user, and takes the role of the owner then."""
    assert preflight_postgres._facts()["sees_sessions"] is True
    facts(sees_sessions=False, user="maild", login="maild_blue")
    found = look()["PostgreSQL: sessions"]
    assert "maild does not see what those of maild_blue do" in found.found
    assert found.mend == "As a superuser: GRANT pg_read_all_stats TO maild"


def test_a_server_that_logs_failed_statements_is_told_apart(look, facts, monkeypatch):
    facts(login="maild_blue")
    found = look()["PostgreSQL: its log"]  # that of the tests has the default
    assert found.level is Level.WARN
    assert found.found.startswith("log_min_error_statement = error: the text of statements, ")
    assert "ALTER ROLE maild_blue SET log_min_error_statement = 'panic'. It" in found.mend
    well = "SELECT 'log_min_error_statement', 'panic' UNION SELECT 'log_statement', '{}'"
    well += " UNION SELECT 'log_min_duration_statement', '-1'"
    monkeypatch.setattr(preflight_postgres, "_LOGGING", well.format("ddl"))
    assert look()["PostgreSQL: its log"].level is Level.OK
    monkeypatch.setattr(preflight_postgres, "_LOGGING", well.format("mod"))
    found = look()["PostgreSQL: its log"]
    assert found.level is Level.WARN
    assert "ALTER ROLE maild_blue SET log_statement = 'none'. It" in found.mend


def test_a_pg_dump_that_is_too_old_is_found_where_backups_are_made(look, facts):
    found = look()["Backup: pg_dump"]
    assert found.level is Level.OK
    facts(number=990_004)
    found = look()["Backup: pg_dump"]
    assert "pg_dump of PostgreSQL 99 or newer is needed, and was not found" in found.found
    assert "where maild backup runs" in found.found
    assert "postgresql-client-99" in found.mend


def test_connections_of_others_count_whoever_they_are(look, settings, monkeypatch):
    told = []
    genuine = preflight_postgres.judge.of_connections

    def judge(*, most, others, needed):
        told.append(others)
        return genuine(most=most, others=others, needed=needed)

    monkeypatch.setattr(preflight_postgres.judge, "of_connections", judge)
    with contextlib.ExitStack() as stack:
        for name in ("somebody", "somebody else", "maild worker"):
            connection = psycopg2.connect(settings.postgres_dsn, application_name=name)
            stack.callback(connection.close)
        look()
    assert told[0] >= 2


@pytest.mark.parametrize(
    ("is_encrypted", "more", "hosts", "level"),
    [
        (True, "sslmode=verify-full", (), Level.OK),
        (True, "sslmode=require", (), Level.WARN),
        (False, "sslmode=prefer", (), Level.FAIL),
        (False, "sslmode=prefer", ("postgres",), Level.OK),
        (False, "host=elsewhere", ("postgres",), Level.FAIL),
    ],
)
def test_the_connection_that_stands_is_looked_at(
    look, facts, use_settings, is_encrypted, more, hosts, level
):
    facts(is_local=False, is_encrypted=is_encrypted)
    dsn = f"postgresql://maild:x@postgres/maild?{more}"
    use_settings(env="production", postgres_dsn=dsn, plaintext_hosts=hosts)
    assert look()["PostgreSQL: connection"].level is level


# Redis


def test_redis_without_persistence_is_a_warning(settings):
    found = levels(preflight_outside.look_at_redis())
    assert found == {"Redis: server": "ok", "Redis: eviction": "ok", "Redis: persistence": "warn"}


def test_redis_that_evicts_is_refused(settings):
    with redis.Redis.from_url(settings.redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "yes")
        try:
            found = levels(preflight_outside.look_at_redis())
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("appendonly", "no")
    assert found["Redis: eviction"] == "fail"
    assert found["Redis: persistence"] == "ok"


def test_redis_that_wants_another_password_says_so(use_settings, settings):
    use_settings(redis_url=settings.redis_url.replace("unix://:", "unix://:not"))
    [server, *others] = preflight_outside.look_at_redis()
    assert server.level is Level.FAIL
    assert [one.level for one in others] == [Level.SKIPPED] * 2


# SMTP


def test_the_default_account_is_reached(inbox):
    [found] = preflight_outside.look_at_default_account()
    assert found.level is Level.OK
    assert "without signing in, in the clear" in found.found


def test_a_default_account_that_is_away_is_refused(use_settings, settings):
    use_settings(smtp=dataclasses.replace(settings.smtp, port=free_ports(1)[0]))
    [found] = preflight_outside.look_at_default_account()
    assert found.level is Level.FAIL
    assert "SMTP_HOST" in found.mend


def test_accounts_of_workspaces_are_warnings_and_only_active_ones(database):
    assert levels(preflight_outside.look_at_accounts()) == {"SMTP: accounts of workspaces": "ok"}
    [port] = free_ports(1)
    for name in ("main", "spare"):
        account = NewSmtpAccount(
            name=name, host="127.0.0.1", port=port, security="none", from_email="a@example.com"
        )
        smtp_accounts.save(WORKSPACE_A, account, by=COMMAND_LINE)
    smtp_accounts.activate(WORKSPACE_A, name="main", by=COMMAND_LINE)
    assert levels(preflight_outside.look_at_accounts()) == {"SMTP: workspace 1, main": "warn"}


# The public address


def test_a_public_url_that_nobody_reaches_is_a_warning(use_settings):
    use_settings(public_url=f"https://127.0.0.1:{free_ports(1)[0]}")
    found = of(preflight_outside.look_at_public_url())
    assert levels(found.values()) == {
        "PUBLIC_URL: DNS": "warn", "PUBLIC_URL: TLS": "warn", "TRUSTED_PROXIES": "warn",
    }  # fmt: skip
    assert "nothing answers" in found["PUBLIC_URL: TLS"].found
    assert found["PUBLIC_URL: DNS"].found.startswith("127.0.0.1: a loopback address, ")


def test_a_public_url_without_an_address_is_refused_in_production(use_settings):
    use_settings(public_url="https://no-such-host.invalid", env="production")
    [found] = preflight_outside.look_at_public_url()
    assert (found.name, found.level) == ("PUBLIC_URL: DNS", Level.FAIL)


# All together


def test_every_look_is_taken_whatever_the_others_find(database, settings):
    found = preflight.run(review_of(settings), pools=POOLS)
    areas = {one.name.partition(":")[0] for one in found}
    assert areas >= {"Settings", "PostgreSQL", "Redis", "SMTP", "PUBLIC_URL", "Disk", "Migrations"}


def test_what_has_no_usable_setting_is_not_looked_at(database, settings):
    review = review_of(
        dataclasses.replace(settings, env="production"),
        problems=(FieldError("POSTGRES_DSN", "is required in production; such as x"),),
        stand_ins=frozenset({"POSTGRES_DSN", "REDIS_URL", "SMTP_HOST", "PUBLIC_URL"}),
    )
    found = of(preflight.run(review, pools=POOLS))
    assert found["POSTGRES_DSN"].level is Level.FAIL
    assert (found["POSTGRES_DSN"].found, found["POSTGRES_DSN"].mend) == (
        "is required in production", "Such as x",
    )  # fmt: skip
    for name in ("PostgreSQL", "Redis", "SMTP: default", "PUBLIC_URL"):
        assert found[name].level is Level.SKIPPED


def test_development_is_told_what_production_would_refuse(database, settings):
    review = review_of(settings, production_problems=(FieldError("SMTP_FROM", "is an example"),))
    found = of(preflight.run(review, pools=POOLS))
    assert found["SMTP_FROM"].level is Level.WARN
    assert found["SMTP_FROM"].found == "production would refuse it: is an example"


def test_a_file_that_everybody_can_read_is_a_warning(database, settings, tmp_path):
    path = tmp_path / "key"
    path.write_text("x")
    path.chmod(0o644)
    found = of(preflight.run(review_of(settings, secret_files={"K": path}), pools=POOLS))
    assert found["K_FILE"].level is Level.WARN
    path.chmod(0o640)
    assert "K_FILE" not in of(
        preflight.run(review_of(settings, secret_files={"K": path}), pools=POOLS)
    )


def test_a_look_that_hangs_is_left_behind(settings, monkeypatch):
    """With a server that takes connections, and says nothing."""
    monkeypatch.setattr(preflight, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(preflight, "ACCOUNTS_SECONDS", 0.5)
    db.database.close_all()
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as server:
        dsn = f"postgresql://maild@127.0.0.1:{server.getsockname()[1]}/maild"
        db.init(dsn, pool_size=2, application="test")
        started = time.monotonic()
        found = of(preflight.run(review_of(settings), pools=POOLS))
        assert time.monotonic() - started < 4
    for thread in set(threading.enumerate()) - before:
        thread.join()
    db.database.close_all()
    db.init(settings.postgres_dsn, pool_size=settings.postgres_pool_size, application="test")
    assert "no answer within" in found["PostgreSQL"].found
    assert found["PostgreSQL"].level is Level.FAIL
    assert found["Redis: eviction"].level is Level.OK
