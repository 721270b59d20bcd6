"""Lanes on the database: finding those with work, what that costs, and whose turn it is."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maild.db import database as db
from maild.domain.lanes import SLICE, TRANSACTIONAL_RUN, Lane, Rotation
from maild.domain.states import Status, Stream
from maild.models import Message, Workspace
from maild.services import claims, last_check
from maild.services.claims import Claim
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import (
    A_PATIENT,
    A_URGENT,
    B_PATIENT,
    B_URGENT,
    LATER,
    Accept,
    end,
    fill,
    take,
    take_one,
)


def slices(lease: Lease) -> Iterator[list[Claim]]:
    """Slice after slice in the order of the rotation, as the engine takes them."""
    rotation = Rotation()
    while lanes := set(claims.list_due_lanes()):
        lane = rotation.pick(lanes)
        assert lane is not None
        taken = take(lease, lane, limit=SLICE)
        rotation.served(lane)
        yield taken


def test_it_lists_the_lanes_that_have_something_due(accept: Accept, lease: Lease) -> None:
    assert claims.list_due_lanes() == []
    for _ in range(3):
        accept()
    accept(stream=Stream.MARKETING, workspace_id=WORKSPACE_B)
    assert claims.list_due_lanes() == [A_URGENT, B_PATIENT]
    take(lease)
    assert claims.list_due_lanes() == [B_PATIENT]


def test_mail_that_is_pinned_to_an_account_is_a_lane_of_its_own(
    accept: Accept, lease: Lease
) -> None:
    pinned = accept(smtp_account="default")
    fill(2)
    fill(3, account="ses")
    fill(1, account="ses", stream="marketing")
    lanes = [A_URGENT, Lane(0, 1, "default"), Lane(0, 1, "ses"), Lane(10, 1, "ses")]
    assert claims.list_due_lanes() == lanes
    assert [c.message_id for c in take(lease, Lane(0, WORKSPACE_A, "default"))] == [pinned.id]
    assert [len(take(lease, lane)) for lane in lanes] == [2, 0, 3, 1]
    assert claims.list_due_lanes() == []


def test_lanes_whose_mail_is_for_later_are_left_out(accept: Accept, lease: Lease) -> None:
    accept(scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    accept(workspace_id=WORKSPACE_B)
    end(take_one(lease, B_URGENT), LATER)
    assert claims.list_due_lanes() == []
    accept(scheduled_at=datetime.now(UTC) + timedelta(hours=1), stream=Stream.MARKETING)
    accept(stream=Stream.MARKETING)
    assert claims.list_due_lanes() == [A_PATIENT], "one that is due makes its lane"


def test_it_lists_each_of_very_many_lanes_once(database: None) -> None:
    Workspace.insert_many([{"id": 100 + n, "name": f"w{n}"} for n in range(300)]).execute()
    for stream in Stream:
        for workspace_id in (*range(100, 400, 2), WORKSPACE_A):
            fill(2, workspace_id=workspace_id, stream=stream.value)
    Message.update(next_attempt_at=datetime.now(UTC) + timedelta(hours=1)).where(
        Message.workspace << list(range(100, 400, 4))
    ).execute()
    lanes = claims.list_due_lanes()
    due = [WORKSPACE_A, *(n for n in range(100, 400, 2) if n % 4)]
    assert lanes == [Lane(priority, n) for priority in (0, 10) for n in due]


def test_a_limit_on_lanes_leaves_the_first(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(1)
    fill(1, workspace_id=WORKSPACE_B)
    monkeypatch.setattr(claims, "LANES_MAX", 1)
    assert claims.list_due_lanes() == [A_URGENT]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def explain(
    sql: str, values: Any, table: str = "messages", *, field: str = "Relation Name"
) -> list[dict[str, Any]]:
    """The nodes of a statement's plan that read a table, with what they really did; `field` is
    `CTE Name` for a part of the statement itself.
    """
    with db.atomic() as transaction:
        if sql == claims._CLAIM:
            db.execute_sql(claims._IN_ORDER)
        [(found,)] = db.execute_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values).fetchall()
        transaction.rollback()
    [whole] = found if isinstance(found, list) else json.loads(found)
    return [
        node
        for node in nodes(whole["Plan"])
        if node.get(field) == table and node["Node Type"] != "ModifyTable"
    ]


def claim_values(lease: Lease) -> dict[str, object]:
    return {
        "workspace": WORKSPACE_A,
        "priority": 0,
        "pin": "",
        "stream": "transactional",
        "limit": 100,
        "worker": str(lease.worker_id),
        "lease": lease.seconds,
        "account_name": "default",
        "inline": claims.INLINE_BYTES,
        "blocked": ["blocked.example"],
        "paused": claims.PAUSED,
        "held_for": claims.HELD_WHILE_PAUSED,
        "contact_deleted": claims.CONTACT_DELETED,
    }


@pytest.fixture
def crowd(database: None) -> None:
    """A table of 8,000 messages in four lanes, half of them sent, and its statistics."""
    for workspace_id in (WORKSPACE_A, WORKSPACE_B):
        for stream in Stream:
            fill(2_000, workspace_id=workspace_id, stream=stream.value)
    with db.atomic():
        db.execute_sql("ALTER TABLE messages DISABLE TRIGGER messages_refuse_illegal_move")
        db.execute_sql(
            "UPDATE messages SET status = 'sent', next_attempt_at = NULL"
            " WHERE id IN (SELECT id FROM messages ORDER BY id LIMIT 4000)"
        )
        db.execute_sql("ALTER TABLE messages ENABLE TRIGGER messages_refuse_illegal_move")
    db.execute_sql("ANALYZE messages")


def test_listing_lanes_probes_the_index_once_a_lane(crowd: None) -> None:
    found = explain(claims._LIST_LANES, (claims.LANES_MAX,))
    assert found
    assert {node["Node Type"] for node in found} <= {"Index Scan", "Index Only Scan"}
    assert {node["Index Name"] for node in found} == {"messages_due"}
    read = sum(node["Actual Rows"] * node["Actual Loops"] for node in found)
    assert read <= 8, "a row or two for each of the four lanes, not the lanes' 4,000"


def test_pinned_mail_costs_a_probe_for_each_account(crowd: None) -> None:
    for name in ("ses", "postal"):
        fill(1_000, account=name)
    db.execute_sql("ANALYZE messages")
    found = explain(claims._LIST_LANES, (claims.LANES_MAX,))
    assert {node["Index Name"] for node in found} == {"messages_due"}
    read = sum(node["Actual Rows"] * node["Actual Loops"] for node in found)
    assert read <= 12, "a row or two for each of the six lanes"


@pytest.mark.parametrize("pin", ["", "ses"])
def test_a_claim_reads_its_slice_from_the_index(pin: str, crowd: None, lease: Lease) -> None:
    fill(500, account="ses")
    db.execute_sql("ANALYZE messages")
    found = explain(claims._CLAIM, {**claim_values(lease), "pin": pin})
    [due] = [node for node in found if node.get("Index Name") == "messages_due"]
    assert due["Actual Rows"] * due["Actual Loops"] == 100, "no more than it takes"


def test_a_claim_looks_at_its_worker_once(crowd: None, lease: Lease) -> None:
    """And not for each message, though it keeps the row."""
    [looked] = explain(claims._CLAIM, claim_values(lease), "workers")
    assert (looked["Actual Rows"], looked["Actual Loops"]) == (1, 1)


_MANY = {
    "suppressions": """
        INSERT INTO suppressions (workspace_id, email, reason, source, class, created_by)
        SELECT 1, 'other' || n || '@example.org', 'complaint', 'test', 'complaint', 'me'
        FROM generate_series(1, 5000) AS n""",
    "unsubscribes": """
        INSERT INTO unsubscribes (workspace_id, email, stream, topic, source, created_by)
        SELECT 1, 'other' || n || '@example.org', 'marketing', 'news', 'one_click', 'recipient'
        FROM generate_series(1, 100000) AS n""",
}


@pytest.mark.parametrize("table", _MANY)
@pytest.mark.parametrize("statement", ["claim", "last check"])
def test_each_address_is_looked_up_in_an_index(
    statement: str, table: str, crowd: None, lease: Lease
) -> None:
    """A workspace may have a hundred thousand of them."""
    db.execute_sql(_MANY[table])
    db.execute_sql(f"ANALYZE {table}")
    if statement == "claim":
        found = explain(claims._CLAIM, claim_values(lease), table)
    else:
        taken = take(lease, limit=100)
        found = explain(last_check._STOPPED, last_check.values_of(taken), table)
    read = sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in found
    )
    assert found
    assert read <= 200, "about one row for each message, not all there are for each"


def test_one_message_behind_a_campaign_waits_for_a_slice_at_most(
    accept: Accept, lease: Lease
) -> None:
    fill(5_000)
    single = accept(workspace_id=WORKSPACE_B)
    ahead = 0
    for taken in slices(lease):
        if single.id in {claim.message_id for claim in taken}:
            break
        ahead += len(taken)
    assert ahead <= SLICE
    assert Message.select().where(Message.status == Status.QUEUED).count() >= 5_000 - SLICE


@pytest.mark.proves("deliver-fair")
def test_one_message_that_comes_in_later_waits_for_a_slice_at_most(
    accept: Accept, lease: Lease
) -> None:
    fill(5_000)
    turns = slices(lease)
    for _ in range(7):
        next(turns)
    single = accept(workspace_id=WORKSPACE_B)
    following = [claim.message_id for _ in range(2) for claim in next(turns)]
    assert single.id in following


@pytest.mark.proves("deliver-fair")
def test_a_password_reset_goes_before_anothers_campaign(accept: Accept, lease: Lease) -> None:
    fill(1_000, stream="marketing")
    reset = accept(workspace_id=WORKSPACE_B)
    assert [claim.message_id for claim in next(slices(lease))] == [reset.id]


def test_a_campaign_is_not_starved_by_transactional_mail(lease: Lease) -> None:
    fill(3_000)
    fill(1_000, workspace_id=WORKSPACE_B, stream="marketing")
    turns = slices(lease)
    first = [next(turns)[0].stream for _ in range(4 * (TRANSACTIONAL_RUN + 1))]
    one_round = [Stream.TRANSACTIONAL] * TRANSACTIONAL_RUN + [Stream.MARKETING]
    assert first == one_round * 4


def test_everything_is_claimed_once_in_the_end(lease: Lease) -> None:
    for workspace_id in (WORKSPACE_A, WORKSPACE_B):
        for stream in Stream:
            fill(250, workspace_id=workspace_id, stream=stream.value)
    taken = [claim.message_id for part in slices(lease) for claim in part]
    assert len(taken) == len(set(taken)) == 1_000
