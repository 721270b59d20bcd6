"""What is counted is what the events say: always, whatever is rolled back, killed, folded or read
at the same time.
"""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maild import scheduler
from maild.config import Settings
from maild.db import database
from maild.domain.actor import SYSTEM
from maild.domain.states import EventType
from maild.domain.traffic import KIND_OF, Kind
from maild.models import Event, Message, Rollup, TrafficTally
from maild.services import (
    interventions,
    lifetimes,
    messages,
    rollups,
    suppressions,
    workers,
)
from maild.services.submissions import NewMessage
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services import freezing
from tests.services.counting import add_rollup, add_tally
from tests.services.helpers import (
    A_PATIENT,
    A_URGENT,
    ACCEPTED,
    B_URGENT,
    LATER,
    LOST,
    NO_SUCH_USER,
    Accept,
    ago,
    at_once,
    end,
    take,
    take_one,
)
from tests.services.reporting import about, report

pytestmark = pytest.mark.usefixtures("database")

Key = tuple[int, datetime, str, str]
"""Workspace, minute, kind, stream."""

TOLD = """
SELECT m.workspace_id, date_trunc('minute', e.created_at), e.type, m.stream, count(*)
FROM events e JOIN messages m ON m.id = e.message_id GROUP BY 1, 2, 3, 4
"""
COUNTED = """
SELECT workspace_id, at, kind, stream, sum(message_count) FROM (
    SELECT workspace_id, at, kind, stream, message_count FROM traffic_tallies
    UNION ALL SELECT workspace_id, at, kind, stream, message_count FROM rollups
    WHERE grain = 'minute') AS c
GROUP BY 1, 2, 3, 4
"""


def told() -> Counter[Key]:
    """What the events say."""
    found: Counter[Key] = Counter()
    for workspace_id, at, type_, stream, count in database.execute_sql(TOLD).fetchall():
        if kind := KIND_OF.get(EventType(type_)):
            found[workspace_id, at, kind.value, stream] += count
    return found


def counted() -> Counter[Key]:
    """What was counted, folded or not; of the hours nothing else is told."""
    hours = "SELECT sum(message_count) FROM rollups WHERE grain = %s"
    by_hour, by_minute = (
        database.execute_sql(hours, (grain,)).fetchall() for grain in ("hour", "minute")
    )
    assert by_hour == by_minute
    rows = database.execute_sql(COUNTED).fetchall()
    return Counter({(w, at, kind, stream): int(count) for w, at, kind, stream, count in rows})


def totals(*, by_account: bool = False) -> dict[object, int]:
    found: Counter[object] = Counter()
    for row in [*TrafficTally.select(), *Rollup.select().where(Rollup.grain == "hour")]:
        found[(row.kind, row.smtp_account) if by_account else row.kind] += row.message_count
    return dict(found)


def shift(table: str, **back: float) -> None:
    """As if what the table has had happened so long before."""
    database.execute_sql(f"UPDATE {table} SET at = at - %s", (timedelta(**back),))


@pytest.fixture
def fold_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has only just been counted is folded."""
    monkeypatch.setattr(rollups, "SETTLED", "-1 minute")


def test_the_database_counts_as_the_code_says() -> None:
    for event in EventType:
        [(kind,)] = database.execute_sql("SELECT traffic_kind(%s)", (event.value,)).fetchall()
        expected = KIND_OF.get(event)
        assert kind == (expected.value if expected else None), event


def test_the_whole_way_of_messages_is_counted(accept: Accept, lease: Lease) -> None:
    accept(to_email="one@example.org")
    claim = take_one(lease)
    end(claim, LATER)
    Message.update(next_attempt_at=ago(seconds=1)).execute()
    end(take_one(lease))
    accept(to_email="two@example.org")
    end(take_one(lease), NO_SUCH_USER)
    lost = accept(to_email="three@example.org")
    end(take_one(lease), LOST)
    interventions.resolve(
        WORKSPACE_A, [str(lost.id)], was_sent=True, reason="they said so", by=SYSTEM
    )
    suppressions.add(WORKSPACE_A, "no@example.org", reason="r", source="api")
    accept(to_email="no@example.org")
    interventions.cancel(WORKSPACE_A, [str(accept().id)], by=SYSTEM)
    interventions.hold(WORKSPACE_A, [str(accept().id)], reason="r", by=SYSTEM)
    overdue = accept(stream="marketing")
    Message.update(expires_at=ago(seconds=1)).where(Message.id == overdue.id).execute()
    lifetimes.expire_overdue()
    assert counted() == told()
    assert totals(by_account=True) == {
        ("accepted", ""): 7,
        ("deferred", "default"): 1,
        ("sent", "default"): 2,
        ("failed", "default"): 1,
        ("unknown", "default"): 1,
        ("suppressed", ""): 1,
        ("cancelled", ""): 1,
        ("held", ""): 1,
        ("expired", ""): 1,
    }


def test_what_a_claim_stops_is_counted(accept: Accept, lease: Lease) -> None:
    accept(to_email="later.no@example.org")
    suppressions.add(WORKSPACE_A, "later.no@example.org", reason="r", source="api")
    assert take(lease) == []
    accept(stream="marketing")
    freezing.start()
    assert take(lease, A_PATIENT) == []
    assert counted() == told()
    assert totals() == {"accepted": 2, "suppressed": 1, "held": 1}


def test_what_providers_report_counts_for_the_account(sent: Callable[..., Message]) -> None:
    one, two, three = sent(), sent(), sent()
    report(about(one, "delivered"), about(two, "bounced"), about(three, "complained"))
    report(about(one, "delivered"), about(one, "opened"))
    assert counted() == told()
    assert totals(by_account=True) == {
        ("accepted", ""): 3,
        ("sent", "default"): 3,
        ("delivered", "default"): 1,
        ("bounced", "default"): 1,
        ("complained", "default"): 1,
    }


def test_what_is_rolled_back_has_not_happened(accept: Accept) -> None:
    accept()
    with database.atomic() as transaction:
        accept()
        assert totals() == {"accepted": 2}
        transaction.rollback()
    assert counted() == told()
    assert totals() == {"accepted": 1}


def test_who_is_killed_in_the_middle_has_counted_nothing(
    accept: Accept, settings: Settings
) -> None:
    message = accept()
    victim = psycopg2.connect(settings.postgres_dsn)
    with victim.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events (workspace_id, message_id, type, data)"
            " VALUES (%s, %s, 'message.sent', '{}')",
            (WORKSPACE_A, str(message.id)),
        )
        cursor.execute("SELECT sum(message_count) FROM traffic_tallies WHERE kind = 'sent'")
        assert cursor.fetchone() == (1,)
    database.execute_sql("SELECT pg_terminate_backend(%s)", (victim.info.backend_pid,))
    with pytest.raises(psycopg2.OperationalError):
        victim.commit()
    assert counted() == told()
    assert totals() == {"accepted": 1}


@pytest.mark.usefixtures("fold_at_once")
def test_folding_keeps_every_count(accept: Accept, lease: Lease) -> None:
    for number in range(3):
        accept(to_email=f"a{number}@example.org", workspace_id=1 + number % 2)
    for lane in (A_URGENT, B_URGENT):
        for claim in take(lease, lane):
            end(claim)
    before = counted()
    rollups.fold()
    assert TrafficTally.select().count() == 0
    assert counted() == before == told()
    accept()  # the same minute is counted and folded again
    rollups.fold()
    assert counted() == told()
    assert totals()["accepted"] == 4


def test_the_present_minute_is_left_alone(accept: Accept) -> None:
    accept()
    rollups.fold()
    assert (TrafficTally.select().count(), Rollup.select().count()) == (1, 0)
    shift("traffic_tallies", minutes=4)
    rollups.fold()
    assert (TrafficTally.select().count(), Rollup.select().count()) == (0, 2)


def test_the_scheduler_folds(accept: Accept) -> None:
    accept()
    shift("traffic_tallies", minutes=4)
    scheduler.take_stock()
    assert {row.grain for row in Rollup.select()} == {"minute", "hour"}


@pytest.mark.usefixtures("fold_at_once")
def test_tallies_of_many_connections_become_one_row(accept: Accept) -> None:
    at_once(*[accept] * 4)
    assert TrafficTally.select().count() > 1
    rollups.fold()
    rows = Rollup.select().order_by(Rollup.grain)
    assert [(row.grain, row.kind, row.message_count) for row in rows] == [
        ("hour", "accepted", 4),
        ("minute", "accepted", 4),
    ]


def test_minutes_go_when_they_are_old_and_hours_stay() -> None:
    old = ago(days=9).replace(minute=0, second=0, microsecond=0)
    for minutes, count in ((0, 1), (1, 2), (59, 4), (60, 8)):
        add_rollup(old + timedelta(minutes=minutes), count)
    young = ago(days=7).replace(minute=7, second=0, microsecond=0)
    add_rollup(young, 16)
    rollups.fold()
    rows = Rollup.select().order_by(Rollup.grain, Rollup.at)
    assert [(row.grain, row.at, row.message_count) for row in rows] == [
        ("hour", old, 7),
        ("hour", old + timedelta(hours=1), 8),
        ("hour", young.replace(minute=0), 16),
        ("minute", young, 16),
    ]


def test_what_is_folded_late_joins_its_hour(accept: Accept) -> None:
    accept()
    shift("traffic_tallies", days=9)
    rollups.fold()
    accept()
    shift("traffic_tallies", days=9)
    rollups.fold()
    [row] = Rollup.select()
    assert (row.grain, row.message_count) == ("hour", 2)


def test_a_run_is_bounded_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "BATCH", 2)
    monkeypatch.setattr(rollups, "BATCHES_MAX", 2)
    for minutes in range(7):
        add_tally(ago(minutes=10 + minutes))
        add_rollup(ago(days=20, minutes=minutes), 1)
    rollups.fold()
    left = Rollup.select().where(Rollup.at < ago(days=19), Rollup.grain == "minute").count()
    assert (TrafficTally.select().count(), left) == (3, 3)
    rollups.fold()
    rollups.fold()
    assert TrafficTally.select().count() == 0
    assert totals() == {"sent": 14}


@pytest.mark.usefixtures("fold_at_once")
def test_folding_waits_for_nobody_and_nobody_for_it(accept: Accept, settings: Settings) -> None:
    message = accept()
    statement = (
        "INSERT INTO events (workspace_id, message_id, type, data)"
        f" VALUES ({WORKSPACE_A}, '{message.id}', 'message.deferred', '{{}}')"
    )
    with psycopg2.connect(settings.postgres_dsn) as busy, busy.cursor() as cursor:
        cursor.execute(statement)
        busy.commit()
        cursor.execute(statement)  # it holds its tally now
        database.execute_sql("SET lock_timeout = '1ms'")
        try:
            rollups.fold()
        finally:
            database.execute_sql("RESET lock_timeout")
        assert [row.kind for row in TrafficTally.select()] == ["deferred"]
        busy.commit()
        assert counted() == told()
        rollups.fold()
        cursor.execute(statement)  # its row is gone, and it begins a new one
        busy.commit()
    assert counted() == told()
    assert totals() == {"accepted": 1, "deferred": 3}


@pytest.mark.usefixtures("fold_at_once")
def test_under_concurrency_with_folds_in_between_every_event_is_counted_once() -> None:
    """Several who accept, and send, and withdraw, while two fold all the time."""
    done = threading.Event()
    lease = workers.enter()

    def submit(workspace_id: int) -> None:
        for number in range(25):
            new = NewMessage(
                from_email="shop@example.com",
                to_email=f"a{number}@example.org",
                subject="Hello",
                body_text="Hello.",
                stream="marketing" if number % 5 == 0 else "transactional",
            )
            message = messages.accept(workspace_id, new)
            if number % 7 == 0:
                interventions.cancel(workspace_id, [str(message.id)], by=SYSTEM)

    def deliver() -> None:
        outcome = iter(
            [ACCEPTED, LATER, NO_SUCH_USER, ACCEPTED, LOST, ACCEPTED] * 50,
        )
        for _ in range(40):
            for lane in (A_URGENT, B_URGENT, A_PATIENT):
                for claim in take(lease, lane, limit=4):
                    end(claim, next(outcome))

    def fold() -> None:
        while not done.is_set():
            rollups.fold()

    def work(action: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                action()
            finally:
                if waiting.release_one():
                    done.set()

        return run

    waiting = _Countdown(5)
    at_once(
        work(lambda: submit(WORKSPACE_A)),
        work(lambda: submit(WORKSPACE_A)),
        work(lambda: submit(WORKSPACE_B)),
        work(deliver),
        work(deliver),
        fold,
        fold,
    )
    assert counted() == told()
    assert totals()["accepted"] == 75
    assert len(totals()) >= 4, "nothing much has happened"
    rollups.fold()
    assert TrafficTally.select().count() == 0
    assert counted() == told()


class _Countdown:
    """Says who of so many is the last."""

    def __init__(self, count: int) -> None:
        self._count, self._lock = count, threading.Lock()

    def release_one(self) -> bool:
        with self._lock:
            self._count -= 1
            return self._count == 0


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["event", "event", "event", "fold", "age", "roll_back"]),
        st.sampled_from(sorted(EventType)),
        st.integers(1, 4),
    ),
    max_size=12,
)


@given(actions=ACTIONS)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_happens_in_whatever_order_nothing_is_lost_or_doubled(
    actions: list[tuple[str, EventType, int]], accept: Accept
) -> None:
    database.execute_sql("DELETE FROM messages")
    TrafficTally.delete().execute()
    Rollup.delete().execute()
    message = accept()
    expected = Counter({Kind.ACCEPTED.value: 1})
    for what, event, count in actions:
        rows = [
            {"workspace": WORKSPACE_A, "message": message.id, "type": event.value, "data": {}}
        ] * count
        if what == "fold":
            rollups.fold()
        elif what == "age":
            shift("traffic_tallies", hours=count * 70)
        elif what == "roll_back":
            with database.atomic() as transaction:
                Event.insert_many(rows).execute()
                rollups.fold()
                transaction.rollback()
        else:
            Event.insert_many(rows).execute()
            if event in KIND_OF:
                expected[KIND_OF[event].value] += count
        assert totals() == dict(expected)


def test_events_of_no_message_count_as_nothing() -> None:
    Event.insert(workspace=WORKSPACE_A, type="message.sent", data={}).execute()
    assert totals() == {}
