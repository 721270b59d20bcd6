"""Empty databases for the tests of migrations, and what a schema is made of."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import peewee
import psycopg2
import psycopg2.errors
import pytest
from playhouse.postgres_ext import PostgresqlDatabase

from maild.config import Settings
from maild.services import migrations

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
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)
        FROM pg_trigger WHERE NOT tgisinternal
    """,
    "functions": """
        SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """,
}


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
            try:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
            except psycopg2.errors.InsufficientPrivilege:
                # A vacuum is at work in it, which only a superuser may end; without FORCE it
                # gives way.
                cursor.execute(f"DROP DATABASE {name}")
    admin.close()
