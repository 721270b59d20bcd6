"""What waits behind freezes, and how long it takes once they are lifted."""

import dataclasses
import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from maild import config
from maild.db import database as db
from maild.domain.actor import SYSTEM
from maild.domain.freeze import FreezeKind
from maild.domain.states import Status
from maild.models import AccountTally, Freeze, Message, SmtpAccount
from maild.services import freeze_backlogs, freezes, providers, smtp_accounts
from maild.services.freeze_backlogs import Backlog
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.conftest import MakeAccount
from tests.services.helpers import (
    A_PATIENT,
    A_URGENT,
    B_URGENT,
    Accept,
    ago,
    end,
    fill,
    set_end,
    take,
    take_one,
)

K = FreezeKind
NOBODY_KNOWS = "nobody knows how fast it is"


def start(
    kind: FreezeKind = K.WORKSPACE, target: str | None = None, *, workspace_id: int = WORKSPACE_A
) -> Freeze:
    return freezes.start(
        workspace_id, kind=kind, target=target, reason="a test", expires_at=ago(hours=-1)
    )


def measure(freeze: Freeze) -> Backlog:
    return freeze_backlogs.measure(freeze.workspace_id, [freeze])[freeze.id]


def hold(freeze: Freeze, *, count: int) -> None:
    """Let the freeze hold so many of the messages that are queued."""
    # What an earlier test has left of statistics may say that the table is empty; for a large one
    # the plan then takes minutes.
    db.execute_sql("ANALYZE messages")
    db.execute_sql(
        """
        UPDATE messages SET status = 'held', next_attempt_at = NULL, hold_reason = 'a test',
            freeze_id = %s
        WHERE id IN (SELECT id FROM messages WHERE status = 'queued' LIMIT %s)
        """,
        (freeze.id, count),
    )


def add_tries(
    account: SmtpAccount, good: int, *, faults: int = 0, seconds_ago: float = 0, workers: int = 1
) -> None:
    """Tries in one slot, spread over so many workers."""
    slot = db.execute_sql(
        "SELECT date_bin('5 seconds', now() - %s * interval '1 second', 'epoch')", (seconds_ago,)
    ).fetchone()[0]
    for _ in range(workers):
        AccountTally.create(
            account_id=account.id,
            slot_at=slot,
            worker_id=uuid.uuid4(),
            try_count=(good + faults) // workers,
            fault_count=faults // workers,
        )


# Counting


@pytest.mark.parametrize(
    ("kind", "target", "count"),
    [
        (K.WORKSPACE, None, 4),
        (K.STREAM, "marketing", 1),
        (K.STREAM, "transactional", 3),
        (K.API_KEY, "7", 1),
        (K.FROM_EMAIL, "ÄRGER@example.com", 1),
        (K.RECIPIENT_DOMAIN, "xn--bcher-kva.example", 2),
        (K.RECIPIENT_DOMAIN, "example.com", 0),
        (K.SMTP_ACCOUNT, "default", 4),
    ],
)
def test_it_counts_what_is_due_and_would_be_held(
    kind: FreezeKind, target: str | None, count: int, accept: Accept
) -> None:
    accept(stream="marketing")
    accept(to_email="a@bücher.example", from_email="Ärger@example.com")
    accept(to_email="b@bücher.example")
    with_key = accept()
    Message.update(api_key_id=7).where(Message.id == with_key.id).execute()
    accept(workspace_id=WORKSPACE_B, to_email="c@bücher.example")
    accept(scheduled_at=ago(hours=-1))
    freeze = Freeze(
        workspace=WORKSPACE_A, kind=kind, target=target, reason="r", expires_at=ago(hours=-1)
    )
    if kind is not K.API_KEY:
        freeze = start(kind, target)
    else:
        freeze.created_by = "a test"
        freeze.save(force_insert=True)
    backlog = measure(freeze)
    assert (backlog.count, backlog.is_more) == (count, False)


def test_it_adds_what_is_held_and_what_is_still_due(accept: Accept, lease: Lease) -> None:
    freeze = start()
    for _ in range(3):
        accept()
    take(lease)
    accept(stream="marketing")
    assert measure(freeze).count == 4
    take(lease, A_PATIENT)
    assert Message.select().where(Message.status == Status.HELD).count() == 4
    assert measure(freeze).count == 4


def test_of_a_freeze_that_is_over_it_counts_what_it_still_holds(accept: Accept) -> None:
    freeze = start()
    for _ in range(3):
        accept()
    hold(freeze, count=2)
    set_end(freeze, ago(seconds=1))
    assert measure(freeze).count == 2
    freezes.release_thawed()
    assert measure(freeze) == Backlog(0, False, 0, "Nothing waits.")


def test_several_freezes_are_told_apart(accept: Accept) -> None:
    streams = [start(K.STREAM, "marketing"), start(K.STREAM, "transactional")]
    whole = start()
    for _ in range(5):
        accept()
    hold(whole, count=2)
    found = freeze_backlogs.measure(WORKSPACE_A, [*streams, whole])
    assert [found[freeze.id].count for freeze in (*streams, whole)] == [0, 3, 5]
    assert freeze_backlogs.measure(WORKSPACE_A, []) == {}


def test_counting_ends_at_a_bound(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freeze_backlogs, "COUNT_MAX", 10)
    fill(12, stream="marketing")
    fill(5)
    rare = start(K.RECIPIENT_DOMAIN, "example.net")
    marketing, other = start(K.STREAM, "marketing"), start(K.STREAM, "transactional")
    whole = start()
    found = freeze_backlogs.measure(WORKSPACE_A, [rare, marketing, other, whole])

    def counted(freeze: Freeze) -> tuple[int, bool]:
        return found[freeze.id].count, found[freeze.id].is_more

    assert counted(whole) == counted(marketing) == (10, True)
    assert counted(other) == (5, False)
    assert counted(rare) == (0, True), "what was not looked at may be for it"
    hold(whole, count=11)
    assert counted(whole) == (10, True)


def test_mail_does_not_wait_for_a_frozen_account_while_another_is_in_order(
    accept: Accept, account: MakeAccount
) -> None:
    account("primary", active=True)
    standby = account("standby")
    accept()
    freeze = start(K.SMTP_ACCOUNT, "primary")
    assert measure(freeze).count == 0
    smtp_accounts.pause(WORKSPACE_A, name="standby", reason="maintenance", by=SYSTEM)
    assert measure(freeze).count == 1
    smtp_accounts.resume(WORKSPACE_A, name="standby", by=SYSTEM)
    with db.atomic():
        providers.add_counts({(standby.id, uuid.uuid4()): [9, 9]})
    fault = providers.Fault(uuid.uuid4(), standby.id, "standby", WORKSPACE_A, "connection", "no")
    providers.judge([fault])
    assert measure(freeze).count == 1, "its breaker is open"
    assert measure(start(K.SMTP_ACCOUNT, "default")).count == 0, "no mail takes that one"


# Draining


def test_the_estimate_is_the_count_over_the_speed_of_late(
    accept: Accept, account: MakeAccount
) -> None:
    primary = account("primary", active=True)
    fill(100)
    add_tries(primary, 100, faults=50, workers=2)  # 20 a second
    add_tries(primary, 50, seconds_ago=30)  # 10 a second
    add_tries(primary, 0, faults=40, seconds_ago=60)  # says nothing of its speed
    backlog = measure(start())
    assert backlog.drain_seconds == 7, "100 messages at 15 a second"
    assert "“primary”" in backlog.drain_note
    assert "15 a second" in backlog.drain_note


def test_a_quiet_time_does_not_make_it_slow(accept: Accept, account: MakeAccount) -> None:
    """The freeze itself is such a time: what counts is how fast it was before."""
    primary = account("primary", active=True)
    fill(100)
    add_tries(primary, 50, seconds_ago=3 * 3600)
    assert measure(start()).drain_seconds == 10


def test_the_latest_five_minutes_of_sending_count(accept: Accept, account: MakeAccount) -> None:
    primary = account("primary", active=True)
    fill(10)
    for slot in range(freeze_backlogs.SLOTS):
        add_tries(primary, 5, seconds_ago=5 * slot)
    add_tries(primary, 5_000, seconds_ago=5 * freeze_backlogs.SLOTS + 5)
    assert measure(start()).drain_seconds == 10


@pytest.mark.parametrize(
    ("tries", "limit", "seconds"), [(100, 2.5, 40), (100, 50.0, 5), (0, 2.5, 40)]
)
def test_the_accounts_limit_bounds_the_speed(
    tries: int, limit: float, seconds: int, accept: Accept, account: MakeAccount
) -> None:
    primary = account("primary", active=True, max_per_second=limit)
    fill(100)
    if tries:
        add_tries(primary, tries)
    backlog = measure(start())
    assert backlog.drain_seconds == seconds
    assert ("limit" in backlog.drain_note) == (limit == 2.5)


def test_where_nothing_is_known_nothing_is_said(accept: Accept, account: MakeAccount) -> None:
    primary = account("primary", active=True)
    accept()
    add_tries(primary, 10, seconds_ago=2 * 86_400)
    backlog = measure(start())
    assert backlog.drain_seconds is None
    assert NOBODY_KNOWS in backlog.drain_note


def test_where_no_account_is_in_order_nothing_is_said(accept: Accept, account: MakeAccount) -> None:
    primary = account("primary", active=True)
    accept()
    add_tries(primary, 100)
    freeze = start()
    smtp_accounts.pause(WORKSPACE_A, name="primary", reason="maintenance", by=SYSTEM)
    backlog = measure(freeze)
    assert backlog.drain_seconds is None
    assert "in order" in backlog.drain_note


def test_a_frozen_account_carries_its_own_mail_again(accept: Accept, account: MakeAccount) -> None:
    primary = account("primary", active=True)
    fill(50)
    add_tries(primary, 50)
    backlog = measure(start(K.SMTP_ACCOUNT, "primary"))
    assert (backlog.count, backlog.drain_seconds) == (50, 5)


def test_mail_that_took_a_standby_is_estimated_by_it(accept: Accept, account: MakeAccount) -> None:
    primary, standby = account("primary", active=True), account("standby")
    fill(50)
    add_tries(primary, 500)
    add_tries(standby, 50)
    smtp_accounts.pause(WORKSPACE_A, name="primary", reason="maintenance", by=SYSTEM)
    assert measure(start(K.STREAM, "transactional")).drain_seconds == 5


def test_the_speed_through_the_shared_account_is_the_workspaces_own(
    accept: Accept, lease: Lease
) -> None:
    """What other workspaces send is not told by it, and what an own account did is no part."""
    for number in range(20):
        accept(subject=str(number), workspace_id=WORKSPACE_B if number % 2 else WORKSPACE_A)
    for lane in (A_URGENT, B_URGENT):
        for claim in take(lease, lane):
            end(claim)
    moment = db.execute_sql("SELECT date_bin('5 seconds', now(), 'epoch')").fetchone()[0]
    Message.update(updated_at=moment - timedelta(hours=1)).execute()
    other = accept()
    end(take_one(lease))
    Message.update(smtp_account_name="ses").where(Message.id == other.id).execute()
    fill(8)
    backlog = measure(start())
    assert backlog.drain_seconds == 4, "10 in a slot of 5 seconds: 2 a second"
    assert "“default”" in backlog.drain_note
    quiet = start(workspace_id=WORKSPACE_B)
    Message.update(updated_at=ago(days=2)).where(Message.workspace == WORKSPACE_B).execute()
    accept(workspace_id=WORKSPACE_B)
    assert NOBODY_KNOWS in measure(quiet).drain_note


def test_an_estimate_of_more_than_is_counted_is_a_least_one(
    account: MakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freeze_backlogs, "COUNT_MAX", 10)
    primary = account("primary", active=True)
    fill(30)
    add_tries(primary, 50)
    backlog = measure(start())
    assert (backlog.count, backlog.is_more, backlog.drain_seconds) == (10, True, 1)
    assert backlog.drain_note.startswith("At least")


def test_without_fail_over_mail_waits_for_the_first_choice(
    accept: Accept, account: MakeAccount, use_settings: Any
) -> None:
    account("primary", active=True)
    account("standby")
    accept()
    use_settings(auto_failover=dataclasses.replace(config.current().auto_failover, enabled=False))
    assert measure(start(K.SMTP_ACCOUNT, "primary")).count == 1


# Plans


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def explain(sql: str, values: Any, *, by_index: bool = True) -> list[dict[str, Any]]:
    """The nodes of a statement's plan that read messages, with what they really did."""
    with db.atomic() as transaction:
        if by_index:
            freezes.use_indexes()
        [(found,)] = db.execute_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values).fetchall()
        transaction.rollback()
    [whole] = found if isinstance(found, list) else json.loads(found)
    return [
        node
        for node in nodes(whole["Plan"])
        if node.get("Relation Name") == "messages" and node["Node Type"] != "ModifyTable"
    ]


def test_counting_reads_no_more_than_it_counts(
    account: MakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With most of a large table held, and much of it due: by the indexes, and to the bound."""
    monkeypatch.setattr(freeze_backlogs, "COUNT_MAX", 99)
    fill(50_000)
    fill(5_000, stream="marketing")
    fill(5_000, workspace_id=WORKSPACE_B)
    held, empty = start(), start(K.RECIPIENT_DOMAIN, "example.net")
    hold(held, count=40_000)
    db.execute_sql("ANALYZE messages")
    both = [held, empty]
    of_held = explain(freeze_backlogs._HELD, freeze_backlogs._held_values(both))
    of_due = explain(freeze_backlogs._DUE, freeze_backlogs._due_values(WORKSPACE_A, both))
    for found, index in ((of_held, "messages_frozen"), (of_due, "messages_due")):
        assert {node["Index Name"] for node in found} == {index}
        assert sum(node["Actual Rows"] * node["Actual Loops"] for node in found) <= 200
        assert all(node.get("Rows Removed by Filter", 0) == 0 for node in found)
    backlogs = freeze_backlogs.measure(WORKSPACE_A, both)
    assert [backlogs[freeze.id].count for freeze in both] == [99, 0]
    setting = db.execute_sql("SHOW enable_seqscan").fetchone()[0]
    assert setting == "on", "for those statements only"


def test_what_is_over_is_found_without_reading_what_is_held(account: MakeAccount) -> None:
    fill(5_000)
    standing, over = start(), start(K.STREAM, "marketing")
    hold(standing, count=4_000)
    hold(over, count=10)
    set_end(over, ago(seconds=1))
    db.execute_sql("ANALYZE messages")
    found = explain(freezes._LIST_THAWED, (), by_index=False)
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in found) <= 3


def test_a_batch_is_let_go_without_reading_the_others(account: MakeAccount) -> None:
    """Or letting go of many would take longer with every batch."""
    fill(5_000)
    over = start()
    hold(over, count=4_000)
    db.execute_sql("ANALYZE messages")
    found = explain(freezes._RELEASE, (over.id, 100, "message.released"))
    assert {node.get("Index Name") for node in found} == {"messages_frozen", "messages_pkey"}
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in found) <= 200
