"""`maild backup` and `maild restore` as a person meets them, into databases of their own."""

import dataclasses
import json
import os
import re
import stat
import uuid
from pathlib import Path

import psycopg2
import pytest

from maild import config, db
from maild.config import Settings
from maild.errors import ConfigError, Conflict, MaildError, Unavailable
from maild.local import home as homes
from maild.services import backup_files, backups, key_rotation, restore_runs, secrets
from maild.services.restore_marks import TABLE
from maild.services.restore_runs import Plan
from maild.transports import pg_tools
from tests.conftest import WORKSPACE_A
from tests.test_cli import maild

pytestmark = pytest.mark.long  # each starts processes


class World:
    """The tests' database as it is backed up, and empty ones beside it."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.made: list[str] = []
        self._admin = psycopg2.connect(settings.postgres_dsn)
        self._admin.autocommit = True

    def stack(self, dsn: str | None = None, **more: str) -> dict[str, str]:
        return {
            "POSTGRES_DSN": dsn or self.settings.postgres_dsn,
            "REDIS_URL": self.settings.redis_url,
            **more,
        }

    def empty(self) -> str:
        name = f"r{uuid.uuid4().hex[:12]}"
        self.do(f"CREATE DATABASE {name}")
        self.made.append(name)
        return db.beside(self.settings.postgres_dsn, name)

    def backup(self, *, keep: int | None = None) -> Path:
        return backups.make(self.folder, keep_count=keep, report=lambda words: None).path

    def prepare(self, dump: Path, target: str, *, replace: str | None = None) -> Plan:
        """What `maild restore` looks at before it asks."""
        settings = dataclasses.replace(config.current(), postgres_dsn=target)
        return restore_runs.prepare(
            dump,
            settings,
            replace_name=replace,
            may_lack_keys=False,
            report=lambda words: None,
        )

    def come_back(self) -> None:
        """To the tests' own database, after a restore in this process."""
        db.database.close_all()
        config.install(
            dataclasses.replace(config.current(), postgres_dsn=self.settings.postgres_dsn)
        )
        db.init(
            self.settings.postgres_dsn,
            pool_size=self.settings.postgres_pool_size,
            application="test",
        )
        db.database.connect()

    def do(self, statement: str) -> None:
        with self._admin.cursor() as cursor:
            cursor.execute(statement)

    def databases(self) -> list[str]:
        with self._admin.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database")
            return [row[0] for row in cursor.fetchall()]

    def close(self) -> None:
        for name in self.databases():
            if any(name.startswith(made) for made in self.made):
                self.do(f'DROP DATABASE "{name}" WITH (FORCE)')
        self._admin.close()


@pytest.fixture
def world(database, session_settings, tmp_path):
    made = World(session_settings, tmp_path / "backups")
    yield made
    made.close()


def query(dsn: str, statement: str) -> list[tuple]:
    connection = psycopg2.connect(dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()


def test_a_backup_is_two_private_files_that_say_what_they_are(world, accept):
    accept()
    done = maild("backup", "--to", str(world.folder), **world.stack())
    assert done.returncode == 0, done.stderr
    assert "It was read back, and can be restored." in done.stdout
    assert "dumping" in done.stderr
    [dump] = world.folder.glob("*.dump")
    beside = backup_files.manifest_path(dump)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (dump, beside)} == {0o600}
    manifest = backup_files.read_manifest(dump)
    assert manifest.messages == {"queued": 1}
    assert manifest.counts["messages"] == manifest.counts["message_bodies"] == 1
    assert manifest.sha256 == backup_files.sum_of(dump)
    assert config.load({}).encryption_key.hex() not in beside.read_text()
    assert not list(world.folder.glob(f".*{backup_files.PARTIAL_SUFFIX}"))
    assert query(world.settings.postgres_dsn, "SELECT 1 FROM periodic_jobs WHERE name = 'backup'")


def test_no_more_than_so_many_are_kept(world):
    old = []
    world.folder.mkdir(mode=0o700)
    for day in range(1, 4):
        dump = world.folder / f"maild-2020010{day}T000000Z.dump"
        old += [dump, backup_files.manifest_path(dump)]
    mine = world.folder / "maild-keep-me.dump"
    for path in (*old, mine):
        path.write_text("x")
    world.backup(keep=2)
    left = sorted(path.name for path in world.folder.glob("*.dump*"))
    assert left[:2] == ["maild-20200103T000000Z.dump", "maild-20200103T000000Z.dump.json"]
    assert len(left) == 5
    assert mine.exists()


def test_the_password_is_on_no_command_line(world, tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    real = pg_tools.find("pg_dump", major=18)
    script = tmp_path / "bin/pg_dump"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\n[ "$1" = --version ] || echo "$@" >> {seen}\nexec {real} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    world.backup()
    password = db.parse(world.settings.postgres_dsn)["password"]
    assert "--format=custom" in seen.read_text()
    assert password not in seen.read_text()


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("could not write to output file: No space left on device", "The disk is full"),
        ("error: aborting because of server version mismatch", "is older than the server"),
        ("error: query failed: canceling statement due to lock timeout", "was locked for too long"),
    ],
)
def test_a_dump_that_fails_leaves_nothing_and_says_why(world, tmp_path, monkeypatch, told, words):
    script = tmp_path / "pg_dump"
    script.write_text(
        "#!/bin/sh\n"
        'for word in "$@"; do case $word in --file=*) echo half > "${word#--file=}";; esac; done\n'
        f'echo "pg_dump: {told}" >&2\nexit 1\n'
    )
    script.chmod(0o755)
    find = pg_tools.find
    monkeypatch.setattr(
        pg_tools, "find", lambda name, *, major: script if name == "pg_dump" else
        find(name, major=major)
    )  # fmt: skip
    with pytest.raises(Unavailable, match=words):
        backups.make(world.folder, keep_count=None, report=lambda words: None)
    assert [path.name for path in world.folder.iterdir()] == [backup_files.LOCK]


def test_programs_that_are_too_old_are_named(tmp_path, monkeypatch):
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.1'\n")
    old.chmod(0o755)
    monkeypatch.setattr(pg_tools, "_candidates", lambda name: [old])
    with pytest.raises(ConfigError, match=r"18 or newer.*pg_dump is 15.*postgresql-client-18"):
        pg_tools.find("pg_dump", major=18)


def test_every_column_with_secrets_tells_its_key(world):
    places = {(table, source.field) for table, source in key_rotation.SOURCES.items()}
    columns = db.database.execute_sql(key_rotation._COLUMNS).fetchall()
    assert {(table, name.removesuffix("_encrypted")) for table, name in columns} == places


def test_it_asks_and_a_backup_comes_back_with_all_that_waits_held(world, accept):
    message = accept()
    dump, target = world.backup(), world.empty()
    asked = maild("restore", str(dump), "--into", target, **world.stack())
    assert (asked.returncode, "Restore it? [y/N]" in asked.stdout) == (1, True)
    assert "Whatever was accepted, suppressed or unsubscribed since" in asked.stdout
    assert re.search(r"^The backup is of .+ UTC, (just now|a minute ago)\.$", asked.stdout, re.M)
    assert f"into the database {db.name_of(target)}, which is empty." in asked.stdout
    missing = db.beside(target, f"{db.name_of(target)}_missing")
    asked = maild("restore", str(dump), "--into", missing, **world.stack())
    assert f"{db.name_of(target)}_missing, which is made for it." in asked.stdout
    assert db.name_of(missing) not in world.databases()
    assert query(target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    done = maild("restore", str(dump), "--into", target, "--yes", **world.stack())
    assert done.returncode == 0, done.stderr
    assert "Restored, as of" in done.stdout
    assert "1 held" in done.stdout
    assert "What to do now" in done.stdout
    assert "No Idempotency-Key of that time is known" in done.stdout
    assert query(target, "SELECT id::text, status FROM messages") == [(str(message.id), "held")]
    assert query(target, f"SELECT to_regclass('{TABLE}')") == [(None,)]
    # The tests' own database is as it was.
    assert query(world.settings.postgres_dsn, "SELECT status FROM messages") == [("queued",)]


def test_a_full_database_is_replaced_by_its_typed_name_only_and_kept(world, accept):
    accept()
    dump, target = world.backup(), world.empty()
    name = db.name_of(target)
    into = ("restore", str(dump), "--into", target, "--yes")
    assert maild(*into, **world.stack()).returncode == 0
    with pytest.raises(Conflict, match=f"--replace {name}"):
        world.prepare(dump, target)
    with pytest.raises(Conflict, match="Nothing was changed"):
        world.prepare(dump, target, replace="maild")
    done = maild(*into, "--replace", name, **world.stack())
    assert done.returncode == 0, done.stderr
    [kept] = [one for one in world.databases() if one.startswith(f"{name}_before_")]
    assert kept in done.stdout
    assert f"{name}_restoring" not in world.databases()
    assert query(target, "SELECT count(*) FROM restores") == [(3,)]


def test_the_embedded_database_is_started_where_no_other_is_named(world, accept):
    accept()
    dump = world.backup()
    with homes.temporary() as home:
        own = {"MAILD_HOME": str(home)}
        done = maild("restore", str(dump), "--yes", **own)
        assert done.returncode == 0, done.stderr
        done = maild("backup", "--json", **own)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["messages"], Path(told["path"]).parent) == ({"held": 1}, home / "backups")


def test_it_refuses_a_database_on_which_maild_runs(world):
    dump, target = world.backup(), world.empty()
    busy = psycopg2.connect(target, application_name="maild worker")
    try:
        with pytest.raises(Conflict, match=r"maild worker\. Stop all its processes first"):
            world.prepare(dump, target)
    finally:
        busy.close()


def change_manifest(dump: Path, **fields: object) -> None:
    beside = backup_files.manifest_path(dump)
    beside.write_text(json.dumps({**json.loads(beside.read_text()), **fields}))


def test_what_is_no_whole_backup_is_refused_with_a_sentence(world):
    dump, target = world.backup(), world.empty()
    content = dump.read_bytes()

    def refused(words: str) -> None:
        with pytest.raises(MaildError, match=words):
            world.prepare(dump, target)

    dump.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused("its checksum differs")
    dump.write_bytes(content[:1000])
    refused("it was cut off or changed")
    dump.write_bytes(content)
    known = backup_files.read_manifest(dump).migrations
    change_manifest(dump, migrations=[*known, "9999_of_tomorrow"])
    refused("of a newer maild.*9999_of_tomorrow")
    change_manifest(dump, migrations=known, format=backup_files.FORMAT + 1)
    refused("written by a newer maild")
    backup_files.manifest_path(dump).write_text("[]")
    refused("is no manifest of a backup")
    backup_files.manifest_path(dump).unlink()
    refused("belongs beside it")


def test_rows_that_did_not_come_back_are_noticed_and_nothing_starts(world):
    dump, target = world.backup(), world.empty()
    change_manifest(dump, counts={"messages": 7})
    done = maild("restore", str(dump), "--into", target, "--yes", **world.stack())
    assert done.returncode == 1
    assert "Of messages, 0 rows came back, and 7 were saved" in done.stderr
    assert query(target, f"SELECT is_whole FROM {TABLE}") == [(False,)]


def test_secrets_under_a_key_that_is_not_held_are_told_before(world, use_settings):
    db.database.execute_sql(
        "INSERT INTO link_keys (workspace_id, secret_encrypted) VALUES (%s, %s)",
        (WORKSPACE_A, secrets.encrypt("x", place="1/link_keys/1/secret")),
    )
    dump, target = world.backup(), world.empty()
    [key_id] = backup_files.read_manifest(dump).key_ids
    now = config.load({}).encryption_key
    use_settings(encryption_key=b"k" * 32)
    with pytest.raises(Conflict, match=f"{key_id}.*ENCRYPTION_KEYS_OLD"):
        world.prepare(dump, target)
    use_settings(encryption_keys_old=(now,))
    assert world.prepare(dump, target).missing_keys == ()


def test_a_restore_that_was_cut_off_goes_on_and_nothing_starts_before(world, accept):
    accept()
    dump, target = world.backup(), world.empty()
    into = ("restore", str(dump), "--into", target, "--yes", "--json")
    assert maild(*into, **world.stack()).returncode == 0
    # As if it had been killed behind the dump.
    connection = psycopg2.connect(target)
    with connection, connection.cursor() as cursor:
        digest = backup_files.read_manifest(dump).sha256
        cursor.execute(f"CREATE TABLE {TABLE} (sha256 text, started_at timestamptz, is_whole bool)")
        cursor.execute(f"INSERT INTO {TABLE} VALUES (%s, now(), true)", (digest,))
        cursor.execute("UPDATE messages SET status = 'queued', hold_reason = NULL,"
                       " next_attempt_at = now()")  # fmt: skip
    connection.close()
    worker = maild("worker", **world.stack(target))
    assert (worker.returncode, "is being restored" in worker.stderr) == (1, True)
    told = json.loads(maild(*into, **world.stack()).stdout)
    assert told["workspaces"][0]["held_count"] == 1
    assert query(target, "SELECT status FROM messages") == [("held",)]


def test_what_a_killed_restore_fills_in_the_end_stays_marked(world, accept, monkeypatch):
    """Its pg_restore goes on without it; the next run fails on the same tables."""
    accept()
    dump, target = world.backup(), world.empty()
    plan = world.prepare(dump, target)
    alone = pg_tools.restore

    def second(program, parts, path, *, report):
        alone(program, parts, path, report=report)  # what the killed one's did
        alone(program, parts, path, report=report)

    monkeypatch.setattr(pg_tools, "restore", second)
    settings = dataclasses.replace(config.current(), postgres_dsn=target)
    try:
        with pytest.raises(Unavailable, match="already exists"):
            restore_runs.carry_out(plan, settings, has_redis=False, report=lambda words: None)
    finally:
        world.come_back()
    assert query(target, f"SELECT is_whole FROM {TABLE}") == [(False,)]
    told = maild("restore", str(dump), "--into", target, "--yes", **world.stack())
    assert "it goes on in the database" in told.stdout
    assert query(target, "SELECT status FROM messages") == [("held",)]


def test_a_restore_waits_for_the_pg_restore_of_one_that_was_killed(world, accept):
    dump, target = world.backup(), world.empty()
    connection = psycopg2.connect(target, application_name="pg_restore")
    assert world.prepare(dump, target).goes_on is False
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {TABLE} (sha256 text, started_at timestamptz, is_whole bool)")
        cursor.execute(f"INSERT INTO {TABLE} VALUES ('x', now(), false)")
    with pytest.raises(Conflict, match="perhaps its pg_restore: wait for its end"):
        world.prepare(dump, target)
    connection.close()
    assert world.prepare(dump, target).goes_on is False


def test_pg_dump_is_told_what_else_a_url_may_say_of_the_line(tmp_path):
    program = tmp_path / "pg_dump"
    program.write_text("#!/bin/sh\nenv\n")
    program.chmod(0o755)
    url = "postgresql://h/d?sslmode=require&keepalives_interval=5&keepalives_count=3"
    url += "&tcp_user_timeout=9000&ssl_min_protocol_version=TLSv1.3&load_balance_hosts=disable"
    lines = pg_tools._run([str(program)], db.parse(url), report=lambda: None)
    assert {"PGSSLMINPROTOCOLVERSION=TLSv1.3", "PGLOADBALANCEHOSTS=disable"} <= set(lines)
    with pytest.raises(ConfigError, match="pg_dump cannot be told about sslpassword"):
        pg_tools._run([str(program)], db.parse("postgresql://h/d?sslpassword=x"), report=list)
