"""The migrations make what the models say, may run twice and by two at once, and go back down."""

import importlib
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playhouse.postgres_ext import PostgresqlDatabase

from maild import db, models
from maild.config import Settings
from maild.errors import ConfigError, MigrationPending
from maild.services import migrations, processes
from tests.migrations.conftest import CATALOG, catalog


@pytest.mark.proves("run-migrations")
def test_the_migrations_make_what_the_models_say(
    empty_database: Callable[[], PostgresqlDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    migrated, modelled = empty_database(), empty_database()
    monkeypatch.setattr(migrations, "database", migrated)
    migrations._runner().up()
    with modelled.bind_ctx(list(models.ALL)):
        modelled.create_tables(list(models.ALL), safe=False)
    from_migrations, from_models = catalog(migrated), catalog(modelled)
    for what in CATALOG.keys() - {"triggers", "functions"}:  # which no model can say
        assert from_migrations[what] == from_models[what], what
    assert len(from_models["columns"]) > 50


def test_every_model_is_listed() -> None:
    importlib.import_module("maild.models")
    assert {m for m in db.BaseModel.__subclasses__() if m.__module__.startswith("maild.")} == set(
        models.ALL
    )


def test_all_migrations_go_down_and_up_again(
    empty_database: Callable[[], PostgresqlDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = empty_database()
    monkeypatch.setattr(migrations, "database", database)
    runner = migrations._runner()
    applied = runner.up()
    before = catalog(database)
    runner.down(applied[0])
    assert catalog(database)["columns"] == catalog(database)["functions"] == set()
    runner.up()
    assert catalog(database) == before


@pytest.mark.proves("run-migrations")
@pytest.mark.parametrize("name", sorted(path.stem for path in migrations.DIRECTORY.glob("0*.py")))
def test_each_migration_goes_down_to_what_was_before_and_up_again(
    name: str,
    empty_database: Callable[[], PostgresqlDatabase],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = empty_database()
    monkeypatch.setattr(migrations, "database", database)
    runner = migrations._runner()
    names = [m.name for m in runner.migrations()]
    if earlier := names[: names.index(name)]:
        runner.up(earlier[-1])
    before = catalog(database)
    runner.up(name)
    after = catalog(database)
    assert after != before
    runner.down(name)
    assert catalog(database) == before
    runner.up(name)
    again = catalog(database)
    again["columns"], after["columns"] = (
        {(table, column, *kind) for table, column, _, *kind in found["columns"]}
        for found in (again, after)
    )  # a column that went and came back stands elsewhere
    assert again == after


def test_applying_twice_changes_nothing(database: None) -> None:
    assert migrations.list_pending() == []
    assert migrations.apply() == []


def test_a_process_does_not_start_on_a_pending_migration(
    database: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for known in migrations.DIRECTORY.glob("*.py"):
        (tmp_path / known.name).write_text("def up(migrator, db): pass\n")
    (tmp_path / "9999_more.py").write_text("def up(migrator, db): pass\n")
    monkeypatch.setattr(migrations, "DIRECTORY", tmp_path)
    with pytest.raises(MigrationPending, match=r"9999_more.*maild migrate"):
        processes.require_schema()


@pytest.mark.proves("run-migrations")
def test_two_who_migrate_at_once_apply_each_migration_once(
    database: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    name = f"9999_{uuid.uuid4().hex}"
    for known in migrations.DIRECTORY.glob("*.py"):
        (tmp_path / known.name).write_text("def up(migrator, db): pass\n")
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


def test_a_server_that_is_too_old_is_refused_with_words(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "OLDEST_SERVER", 99)
    with pytest.raises(ConfigError, match=r"PostgreSQL \d+ is too old: maild needs 99 or newer"):
        migrations.apply()
