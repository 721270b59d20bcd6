"""What waits in a workspace, stream by stream, and what stands still."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from maild.db import database
from maild.domain.actor import SYSTEM
from maild.domain.freeze import FreezeKind
from maild.domain.states import Status, Stream
from maild.models import Message
from maild.services import freezes, interventions, lanes
from maild.services.lanes import StreamDepth
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services import freezing
from tests.services.conftest import MakeAccount
from tests.services.freezing import ahead
from tests.services.helpers import A_URGENT, Accept, ago, take

pytestmark = pytest.mark.usefixtures("database")

URGENT, PATIENT = Stream.TRANSACTIONAL, Stream.MARKETING


def measure(**options: int) -> dict[Stream, StreamDepth]:
    return {depth.stream: depth for depth in lanes.measure(WORKSPACE_A, **options)}


def make_due(message: Message, *, seconds: float) -> None:
    Message.update(next_attempt_at=ago(seconds=seconds)).where(Message.id == message.id).execute()


def test_each_stream_is_told_of_the_most_urgent_first() -> None:
    assert lanes.measure(WORKSPACE_A) == [
        StreamDepth(URGENT, 0, None, 0, 0, 0),
        StreamDepth(PATIENT, 0, None, 0, 0, 0),
    ]
    assert all(depth.is_empty for depth in lanes.measure(WORKSPACE_A))


def test_it_tells_what_waits_and_how(accept: Accept, lease: Lease) -> None:
    take_later = accept(scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    accept()
    take(lease, A_URGENT, limit=1)
    for seconds in (10, 90):
        make_due(accept(), seconds=seconds)
    interventions.hold(WORKSPACE_A, [str(accept(stream=PATIENT).id)], reason="r", by=SYSTEM)
    accept(workspace_id=WORKSPACE_B)
    found = measure()
    urgent = found[URGENT]
    assert take_later.status is Status.QUEUED
    assert (urgent.due_count, urgent.later_count, urgent.sending_count, urgent.held_count) == (
        2, 1, 1, 0,
    )  # fmt: skip
    assert urgent.oldest_due_seconds == pytest.approx(90, abs=30)
    assert found[PATIENT] == StreamDepth(PATIENT, 0, None, 0, 0, 1)


def test_mail_that_is_pinned_to_an_account_waits_as_well(
    accept: Accept, account: MakeAccount
) -> None:
    account("ses")
    make_due(accept(), seconds=10)
    make_due(accept(smtp_account="ses"), seconds=100)
    make_due(accept(smtp_account="default"), seconds=50)
    found = measure()[URGENT]
    assert found.due_count == 3
    assert found.oldest_due_seconds == pytest.approx(100, abs=30)


def test_counting_stops(accept: Accept) -> None:
    for _ in range(4):
        accept()
        accept(smtp_account="default")
        accept(scheduled_at=datetime.now(UTC) + timedelta(hours=1))
        interventions.hold(WORKSPACE_A, [str(accept().id)], reason="r", by=SYSTEM)
    found = measure(count_max=3)[URGENT]
    assert (found.due_count, found.later_count, found.held_count) == (3, 3, 3)


def test_it_reads_nothing_of_what_waits_in_other_workspaces(accept: Accept) -> None:
    for _ in range(20):
        interventions.hold(
            WORKSPACE_B, [str(accept(workspace_id=WORKSPACE_B).id)], reason="r", by=SYSTEM
        )
    database.execute_sql("ANALYZE messages")
    with database.atomic():
        freezes.use_indexes()
        values = {"workspace": WORKSPACE_A, "priorities": [0, 10], "max": 100}
        rows = database.execute_sql(f"EXPLAIN {lanes._MEASURE}", values).fetchall()
    plan = "\n".join(line for (line,) in rows)
    assert not set(re.findall(r"using (\w+) on", plan)) & {"messages_expiring", "messages_held"}
    assert "Seq Scan on messages" not in plan


@pytest.mark.parametrize(
    ("kind", "target", "frozen"),
    [
        (FreezeKind.WORKSPACE, None, {URGENT, PATIENT}),
        (FreezeKind.STREAM, "marketing", {PATIENT}),
        (FreezeKind.RECIPIENT_DOMAIN, "example.org", set()),
    ],
)
def test_a_freeze_stops_a_stream_as_a_whole(
    kind: FreezeKind, target: str | None, frozen: set[Stream]
) -> None:
    freeze = freezing.start(kind, target)
    found = lanes.list_freezes(WORKSPACE_A)
    assert set(found) == frozen
    assert all(one.id == freeze.id for one in found.values())
    assert lanes.list_freezes(WORKSPACE_B) == {}
    freezes.lift(freeze)
    assert lanes.list_freezes(WORKSPACE_A) == {}


def test_of_two_freezes_the_one_that_lasts_longer_is_told() -> None:
    freezing.start(FreezeKind.STREAM, "marketing", expires_at=ahead(hours=9))
    freezing.start(expires_at=ahead(hours=2))
    found = lanes.list_freezes(WORKSPACE_A)
    assert found[PATIENT].kind is FreezeKind.STREAM
    assert found[URGENT].kind is FreezeKind.WORKSPACE
