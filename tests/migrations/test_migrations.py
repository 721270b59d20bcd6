"""The migrations make what the models say, may run twice and by two at once, and go back down."""

import importlib
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import peewee
import psycopg2
import pytest
from playhouse.postgres_ext import PostgresqlDatabase

from maild import db, models
from maild.config import Settings
from maild.errors import MigrationPending
from maild.services import migrations, processes

CATALOG = {
    "columns": """
        SELECT table_name, column_name, ordinal_position, data_type, udt_name, is_nullable,
            column_default
        FROM information_schema.columns WHERE table_schema = 'public'
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    """,
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
}


@pytest.fixture
def empty_database(session_settings: Settings) -> Iterator[Callable[[], PostgresqlDatabase]]:
    """Makes empty databases beside the tests' own."""
    made: list[tuple[str, PostgresqlDatabase]] = []
    admin = psycopg2.connect(session_settings.postgres_dsn)
    admin.autocommit = True

    def make() -> PostgresqlDatabase:
        name = f"t{uuid.uuid4().hex}"
        with admin.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        other = PostgresqlDatabase(session_settings.postgres_dsn, autoconnect=False)
        other.connect_params["dbname"] = name
        other.connect()
        made.append((name, other))
        return other

    yield make
    for name, other in made:
        other.close()
        with admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    admin.close()


def catalog(database: peewee.Database) -> dict[str, set[tuple[Any, ...]]]:
    """What the schema is made of, without the table that the migrations keep for themselves."""
    return {
        what: {
            row
            for row in database.execute_sql(query.replace("%", "%%")).fetchall()
            if row[0] != migrations.TABLE
        }
        for what, query in CATALOG.items()
    }


def test_the_migrations_make_what_the_models_say(
    empty_database: Callable[[], PostgresqlDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    migrated, modelled = empty_database(), empty_database()
    monkeypatch.setattr(migrations, "database", migrated)
    migrations._runner().up()
    with modelled.bind_ctx(list(models.ALL)):
        modelled.create_tables(list(models.ALL), safe=False)
    from_migrations, from_models = catalog(migrated), catalog(modelled)
    for what in CATALOG:
        assert from_migrations[what] == from_models[what], what
    assert len(from_models["columns"]) > 50


def test_every_model_is_listed() -> None:
    importlib.import_module("maild.models")
    assert {m for m in db.BaseModel.__subclasses__() if m.__module__.startswith("maild.")} == set(
        models.ALL
    )


def test_each_migration_goes_down_and_up_again(
    empty_database: Callable[[], PostgresqlDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = empty_database()
    monkeypatch.setattr(migrations, "database", database)
    runner = migrations._runner()
    applied = runner.up()
    before = catalog(database)
    runner.down(applied[0])
    assert catalog(database)["columns"] == set()
    runner.up()
    assert catalog(database) == before


def test_applying_twice_changes_nothing(database: None) -> None:
    assert migrations.list_pending() == []
    assert migrations.apply() == []


def test_a_process_does_not_start_on_a_pending_migration(
    database: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "0001_initial.py").write_text("def up(migrator, db): pass\n")
    (tmp_path / "0002_more.py").write_text("def up(migrator, db): pass\n")
    monkeypatch.setattr(migrations, "DIRECTORY", tmp_path)
    with pytest.raises(MigrationPending, match=r"0002_more.*maild migrate"):
        processes.require_schema()


def test_two_who_migrate_at_once_apply_each_migration_once(
    database: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    name = f"0002_{uuid.uuid4().hex}"
    (tmp_path / "0001_initial.py").write_text("def up(migrator, db): pass\n")
    (tmp_path / f"{name}.py").write_text(
        "def up(migrator, db):\n    db.execute_sql('SELECT pg_sleep(0.2)')\n"
        "def down(migrator, db):\n    pass\n"
    )
    monkeypatch.setattr(migrations, "DIRECTORY", tmp_path)
    applied: list[list[str]] = []

    def apply() -> None:
        with db.connection():
            applied.append(migrations.apply())

    threads = [threading.Thread(target=apply) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert sorted(applied) == [[], [], [name]]
    finally:
        migrations._runner().down(name)
