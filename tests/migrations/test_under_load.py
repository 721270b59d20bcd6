"""Migrations are applied while maild runs: they make nobody wait for long, and suit its code."""

import importlib.util
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playhouse.postgres_ext import PostgresqlDatabase

from maild.errors import Unavailable
from maild.services import migrations, retention_rules

FIRST_UNDER_RULES = "0017"
"""What came before was released."""
DESTRUCTIVE = re.compile(
    r"DROP COLUMN|DROP TABLE|TRUNCATE TABLE|ALTER TABLE \w+\s+RENAME"
    r"|ALTER COLUMN \w+\s+(?:(?:SET DATA )?TYPE|SET NOT NULL|DROP DEFAULT)",
    re.IGNORECASE,
)
"""The code before it needs what was there, on the way up and after a rollback."""
CREATED = re.compile(r"CREATE TABLE (\w+)", re.IGNORECASE)
INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).* ON (\w+)", re.IGNORECASE)
CONSTRAINT = re.compile(
    r"ALTER TABLE (\w+)\b.*\bADD\b.*\b(?:CHECK|REFERENCES|UNIQUE|PRIMARY KEY)\b",
    re.IGNORECASE | re.DOTALL,
)
ADD_NOTE = """
def up(migrator, db):
    db.execute_sql("ALTER TABLE messages ADD COLUMN note text")


def down(migrator, db):
    db.execute_sql("ALTER TABLE messages DROP COLUMN note")
"""


class Recorder:
    """In place of a database: what a migration wants to do."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def execute_sql(self, sql: str, *_: object) -> Any:
        self.statements.append(sql)
        assert not sql.lstrip().startswith("SELECT"), "what reads cannot be judged by its words"


def problems_of(path: Path) -> list[str]:
    """What in a migration would hurt the processes that run meanwhile."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    recorder = Recorder()
    module.up(None, recorder)
    text = ";\n".join(recorder.statements)
    own = set(CREATED.findall(text))
    large = retention_rules.GROWING.keys() - own
    found = []
    for statement in _outside_functions(text).split(";"):
        if destructive := DESTRUCTIVE.search(statement):
            found.append(f"takes away what the code before it needs: {destructive[0]}")
        if (index := INDEX.search(statement)) and index[1] in large:
            found.append(f"an index on {index[1]} keeps its writers waiting: CONCURRENTLY")
        constraint = CONSTRAINT.search(statement)
        if constraint and constraint[1] in large and "NOT VALID" not in statement:
            found.append(f"all of {constraint[1]} is read while everybody waits: NOT VALID")
    return found


def _outside_functions(text: str) -> str:
    return re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)


@pytest.mark.parametrize(
    "name",
    sorted(p.stem for p in migrations.DIRECTORY.glob("0*.py") if p.stem >= FIRST_UNDER_RULES),
)
def test_a_migration_suits_the_code_that_runs_meanwhile(name: str) -> None:
    assert problems_of(migrations.DIRECTORY / f"{name}.py") == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE messages DROP COLUMN subject", "DROP COLUMN"),
        ("ALTER TABLE messages RENAME COLUMN subject TO title", "RENAME"),
        ("ALTER TABLE messages ALTER COLUMN size_bytes TYPE bigint", "TYPE"),
        ("ALTER TABLE messages ALTER COLUMN topic SET NOT NULL", "SET NOT NULL"),
        ("CREATE INDEX x ON events (type)", "CONCURRENTLY"),
        ("ALTER TABLE events ADD CONSTRAINT y CHECK (type <> '')", "NOT VALID"),
        ("ALTER TABLE events ADD COLUMN y text CHECK (y <> '')", "NOT VALID"),
        ("CREATE INDEX CONCURRENTLY x ON events (type)", ""),
        ("ALTER TABLE events ADD CONSTRAINT y CHECK (type <> '') NOT VALID", ""),
        ("CREATE TABLE t (a text); CREATE INDEX x ON t (a)", ""),
        ("ALTER TABLE messages ADD COLUMN note text NOT NULL DEFAULT ''", ""),
    ],
)
def test_the_rules_find_what_hurts(tmp_path: Path, statement: str, said: str) -> None:
    path = tmp_path / "0099_new.py"
    path.write_text(f"def up(migrator, db):\n    db.execute_sql({statement!r})\n")
    found = problems_of(path)
    assert [said in one for one in found] == [True] * bool(said), found


@pytest.fixture
def migrated(
    empty_database: Callable[[], PostgresqlDatabase],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> PostgresqlDatabase:
    """A database that lacks one migration, which changes a table that all mail goes through."""
    database = empty_database()
    for module in (migrations, migrations.locks):
        monkeypatch.setattr(module, "database", database)
    migrations._runner().up()
    for path in migrations.DIRECTORY.glob("[0-9]*.py"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "0099_note.py").write_text(ADD_NOTE)
    monkeypatch.setattr(migrations, "DIRECTORY", tmp_path)
    monkeypatch.setattr(migrations, "LOCK_MS", 50)
    return database


def other_connection(database: PostgresqlDatabase) -> PostgresqlDatabase:
    other = PostgresqlDatabase(database.database, autoconnect=False, **database.connect_params)
    other.connect()
    return other


@pytest.mark.proves("run-migrations")
def test_a_migration_lets_others_pass_and_tries_again(
    migrated: PostgresqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody holds the table, those who come later do not queue behind the migration."""
    holder, passer = other_connection(migrated), other_connection(migrated)
    pauses: list[float] = []

    def passes(seconds: float) -> None:
        pauses.append(seconds)
        passer.execute_sql("SET statement_timeout = '2s'")
        passer.execute_sql("SELECT count(*) FROM messages")
        if len(pauses) == 2:
            holder.rollback()

    monkeypatch.setattr(time, "sleep", passes)
    holder.begin()
    holder.execute_sql("SELECT FROM messages")
    try:
        assert migrations.apply() == ["0099_note"]
    finally:
        holder.close()
        passer.close()
    assert pauses == [0.5, 1.0]
    assert migrations.list_pending() == []
    assert migrated.execute_sql("SHOW lock_timeout").fetchone() == ("0",)


def test_a_migration_gives_up_with_a_sentence(
    migrated: PostgresqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "PATIENCE_SECONDS", 0.0)
    holder = other_connection(migrated)
    holder.begin()
    holder.execute_sql("SELECT FROM messages")
    try:
        with pytest.raises(Unavailable, match="0099_note could not lock its table"):
            migrations.apply()
    finally:
        holder.rollback()
        holder.close()
    assert migrations.list_pending() == ["0099_note"]
