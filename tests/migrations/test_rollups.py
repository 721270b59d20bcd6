"""0006: what has happened before is counted once, and what happens from then on as it happens."""

import uuid
from collections.abc import Callable

import pytest
from playhouse.postgres_ext import PostgresqlDatabase

from maild.services import migrations

NAME = "0006_rollups"


def add_message(database: PostgresqlDatabase, *, stream: str = "transactional") -> uuid.UUID:
    message_id = uuid.uuid4()
    database.execute_sql(
        """
        INSERT INTO messages (id, workspace_id, status, stream, priority, from_email, to_email,
            subject, size_bytes, tags, metadata, smtp_account_name)
        VALUES (%s, 1, 'failed', %s, 0, 'a@example.com', 'b@example.org', 'Hello', 10, '{}', '{}',
            'ses')
        """,
        (message_id, stream),
    )
    return message_id


def tell(database: PostgresqlDatabase, message_id: uuid.UUID, type_: str, at: str) -> None:
    database.execute_sql(
        "INSERT INTO events (workspace_id, message_id, type, data, created_at)"
        " VALUES (1, %s, %s, '{}', %s)",
        (message_id, type_, at),
    )


@pytest.fixture
def database(
    empty_database: Callable[[], PostgresqlDatabase], monkeypatch: pytest.MonkeyPatch
) -> PostgresqlDatabase:
    """Of the version before."""
    database = empty_database()
    monkeypatch.setattr(migrations, "database", database)
    migrations._runner().up("0005_people")
    return database


def test_what_was_there_is_counted_and_what_comes_as_well(database: PostgresqlDatabase) -> None:
    message_id = add_message(database)
    now = database.execute_sql("SELECT now()::text").fetchone()[0]
    for at in ("2020-05-05T10:11:12Z", "2020-05-05T10:59:59Z", now):
        tell(database, message_id, "message.deferred", at)
    tell(database, add_message(database, stream="marketing"), "message.sent", now)
    tell(database, message_id, "message.retried", now)
    migrations._runner().up(NAME)
    rows = database.execute_sql(
        "SELECT grain, kind, stream, smtp_account, message_count FROM rollups"
        " WHERE workspace_id = 1 ORDER BY grain, kind, message_count"
    ).fetchall()
    assert rows == [
        ("hour", "deferred", "transactional", "ses", 1),
        ("hour", "deferred", "transactional", "ses", 2),
        ("hour", "sent", "marketing", "ses", 1),
        ("minute", "deferred", "transactional", "ses", 1),
        ("minute", "sent", "marketing", "ses", 1),
    ]
    tell(database, message_id, "message.failed", now)
    assert database.execute_sql("SELECT kind, message_count FROM traffic_tallies").fetchall() == [
        ("failed", 1)
    ]
    migrations._runner().down(NAME)
    tell(database, message_id, "message.failed", now)
