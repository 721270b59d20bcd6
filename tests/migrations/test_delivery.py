"""0002: what an installation has from before survives, up and down."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from peewee import IntegrityError
from playhouse.migrations import Runner
from playhouse.postgres_ext import PostgresqlDatabase

from maild.services import migrations

NAME = "0002_delivery"
WORKER = uuid.UUID(int=9)
ACCOUNT = "INSERT INTO smtp_accounts (workspace_id, name, host, port, security, from_email) VALUES"


class Installation:
    """A database of the first version, with one message in each situation."""

    def __init__(self, database: PostgresqlDatabase) -> None:
        self._database = database
        self.runner: Runner = migrations._runner()
        self.runner.up("0001_initial")
        self.ids: dict[str, uuid.UUID] = {}
        self.run("INSERT INTO workers (id, host, pid) VALUES (%s, 'host', 1)", WORKER)
        self.run(f"{ACCOUNT} (1, 'postal', 'mail.example.com', 587, 'auto', 'a@example.com')")
        self.add("queued", "queued")
        self.add("later", "queued", scheduled_at="2031-01-01T00:00:00Z")
        self.add("patient", "queued", stream="marketing")
        self.add("deferred", "queued", attempts=["deferred", "deferred"])
        self.add("left over", "queued", attempts=["started"])
        self.add("under way", "sending", attempts=["deferred", "started"])
        self.add("sent", "sent", attempts=["sent"])
        self.add("held", "held")
        self.add("unknown", "unknown", attempts=["unknown"])

    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._database.execute_sql(sql, values or None)
        return list(cursor.fetchall()) if cursor.description else []

    def add(
        self,
        name: str,
        status: str,
        *,
        stream: str = "transactional",
        scheduled_at: str | None = None,
        attempts: list[str] | None = None,
    ) -> None:
        self.ids[name] = message_id = uuid.uuid4()
        self.run(
            """
            INSERT INTO messages (id, workspace_id, status, stream, priority, from_email, to_email,
                subject, size_bytes, tags, metadata, scheduled_at, next_attempt_at, attempt_count,
                worker_id)
            VALUES (%s, 1, %s, %s, 0, 'a@example.com', 'b@example.org', 'Hello', 10, '{}', '{}',
                %s, %s, %s, %s)
            """,
            message_id,
            status,
            stream,
            scheduled_at,
            (scheduled_at or datetime.now().astimezone()) if status == "queued" else None,
            len(attempts or []),
            WORKER if status == "sending" else None,
        )
        self.run(
            "INSERT INTO message_bodies (message_id, headers, body_text) VALUES (%s, '[]', 'Hi')",
            message_id,
        )
        self.run(
            "INSERT INTO events (workspace_id, message_id, type, data)"
            " VALUES (1, %s, 'message.accepted', '{}')",
            message_id,
        )
        for number, attempt in enumerate(attempts or [], start=1):
            self.run(
                "INSERT INTO attempts (message_id, attempt_no, status, worker_id,"
                " smtp_account_name, finished_at) VALUES (%s, %s, %s, %s, 'postal', %s)",
                message_id,
                number,
                attempt,
                WORKER,
                None if attempt == "started" else datetime.now().astimezone(),
            )

    def of(self, name: str, columns: str) -> tuple[Any, ...]:
        [row] = self.run(f"SELECT {columns} FROM messages WHERE id = %s", self.ids[name])
        return row

    def attempts(self, name: str) -> list[tuple[Any, ...]]:
        return self.run(
            "SELECT attempt_no, status FROM attempts WHERE message_id = %s ORDER BY attempt_no",
            self.ids[name],
        )

    def counts(self) -> list[tuple[Any, ...]]:
        tables = ("messages", "message_bodies", "events", "smtp_accounts", "workers", "workspaces")
        return [self.run(f"SELECT count(*) FROM {table}")[0] for table in tables]

    def states(self) -> dict[uuid.UUID, tuple[Any, ...]]:
        rows = self.run(
            "SELECT id, status, attempt_count, next_attempt_at, worker_id, scheduled_at, updated_at"
            " FROM messages"
        )
        return {row[0]: row[1:] for row in rows}


@pytest.fixture
def old(
    empty_database: Callable[[], PostgresqlDatabase], monkeypatch: pytest.MonkeyPatch
) -> Installation:
    """An installation of the first version."""
    database = empty_database()
    monkeypatch.setattr(migrations, "database", database)
    return Installation(database)


def test_no_message_is_lost_and_none_changes_its_state(old: Installation) -> None:
    before = old.counts(), old.states()
    old.runner.up(NAME)
    assert (old.counts(), old.states()) == before


@pytest.mark.parametrize(
    ("name", "since", "lives"),
    [
        ("queued", "created_at", timedelta(days=2)),
        ("later", "scheduled_at", timedelta(days=2)),
        ("patient", "created_at", timedelta(days=4)),
        ("sent", "created_at", timedelta(days=2)),
    ],
)
def test_every_message_gets_the_end_of_its_life(
    name: str, since: str, lives: timedelta, old: Installation
) -> None:
    old.runner.up(NAME)
    begins_at, expires_at = old.of(name, f"{since}, expires_at")
    assert expires_at - begins_at == lives


def test_what_is_held_has_a_reason_and_nothing_else_has(old: Installation) -> None:
    old.runner.up(NAME)
    for name in old.ids:
        assert (old.of(name, "hold_reason")[0] is not None) == (name == "held"), name


def test_attempts_that_are_under_way_are_told_by_the_message(old: Installation) -> None:
    old.runner.up(NAME)
    assert old.attempts("under way") == [(1, "deferred")]
    assert old.of("under way", "status, attempt_count, worker_id") == ("sending", 2, WORKER)


def test_an_attempt_that_was_left_over_is_closed(old: Installation) -> None:
    old.runner.up(NAME)
    assert old.attempts("left over") == [(1, "interrupted")]
    assert old.run("SELECT count(*) FROM attempts WHERE finished_at IS NULL") == [(0,)]
    assert old.attempts("deferred") == [(1, "deferred"), (2, "deferred")]
    assert old.run("SELECT count(*) FROM attempts WHERE is_excused") == [(0,)]


def test_what_was_accepted_is_tallied(old: Installation) -> None:
    """Or conservation would be broken from the first check on."""
    old.runner.up(NAME)
    tallies = old.run("SELECT workspace_id, sum(accepted_count) FROM accepted_tallies GROUP BY 1")
    assert tallies == [(1, len(old.ids))]


def test_accounts_go_on_with_the_limits_of_new_ones(old: Installation) -> None:
    old.runner.up(NAME)
    columns = "name, max_connections, max_per_second, priority, paused_at"
    assert old.run(f"SELECT {columns} FROM smtp_accounts") == [("postal", 10, None, 100, None)]
    assert old.run("SELECT has_marks FROM workers") == [(False,)], "the old ones leave no marks"


@pytest.mark.parametrize("version", ["before", "after", "back"])
def test_illegal_moves_are_refused_before_and_after_and_back(
    version: str, old: Installation
) -> None:
    if version != "before":
        old.runner.up(NAME)
    if version == "back":
        old.runner.down(NAME)
    with pytest.raises(IntegrityError, match="cannot go from sent to queued"):
        old.run(
            "UPDATE messages SET status = 'queued', next_attempt_at = now() WHERE id = %s",
            old.ids["sent"],
        )
    old.run("UPDATE messages SET status = 'delivered' WHERE id = %s", old.ids["sent"])


def test_down_again_everything_that_was_there_before_is_there(old: Installation) -> None:
    before = old.counts(), old.states()
    old.runner.up(NAME)
    old.run("INSERT INTO freezes (workspace_id, reason) VALUES (1, 'a test')")
    old.run(
        "UPDATE messages SET status = 'held', hold_reason = 'a test', next_attempt_at = NULL,"
        " freeze_id = (SELECT id FROM freezes) WHERE id = %s",
        old.ids["queued"],
    )
    old.run("INSERT INTO events (type, data) VALUES ('provider.slowed', '{}')")
    old.run(
        "INSERT INTO suppressions (workspace_id, email, reason, source) VALUES (1, 'a', 'b', 'c')"
    )
    old.runner.down(NAME)
    after = old.counts(), old.states()
    assert after[0] == before[0]
    queued = old.ids["queued"]
    assert after[1].pop(queued)[0] == "held"
    before[1].pop(queued)
    assert after[1] == before[1]
    assert old.attempts("left over") == [(1, "interrupted")]
    old.run("UPDATE attempts SET status = 'started', finished_at = NULL")


def test_and_up_once_more(old: Installation) -> None:
    old.runner.up(NAME)
    lives = {name: old.of(name, "expires_at, hold_reason") for name in old.ids}
    old.runner.down(NAME)
    old.runner.up(NAME)
    assert {name: old.of(name, "expires_at, hold_reason") for name in old.ids} == lives
    tallies = old.run("SELECT workspace_id, sum(accepted_count) FROM accepted_tallies GROUP BY 1")
    assert tallies == [(1, len(old.ids))]
