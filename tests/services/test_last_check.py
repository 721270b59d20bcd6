"""The last check: what has come in force since a claim, and what becomes of the message."""

import dataclasses
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from maild import config
from maild.db import database
from maild.domain.states import EventType, Status, Stream
from maild.errors import Unavailable
from maild.models import Attempt, Message, Worker
from maild.services import (
    claims,
    dkim_signers,
    holds,
    last_check,
    paths,
    sending,
    suppressions,
    timeline,
)
from maild.services.claims import Claim
from maild.services.last_check import Found, Stop
from maild.services.recorder import Recorder
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, Inbox
from tests.metering import number
from tests.services.conftest import wait_until
from tests.services.freezing import K
from tests.services.helpers import (
    A_PATIENT,
    A_URGENT,
    LATER,
    Accept,
    ago,
    end,
    event_types,
    logged,
    make_due,
    reload,
    start_freeze,
    take,
    take_one,
    working,
)
from tests.services.stopping import (
    FREEZES,
    SUPPRESSIONS,
    UNSUBSCRIBES,
    Case,
    freeze,
    name_of,
    suppression,
    unsubscribe,
)

WAIT_SECONDS = 30.0
NOTHING = Found({}, set(), set())
OTHER = uuid.UUID(int=7)
"""Another worker."""


@pytest.mark.parametrize("case", SUPPRESSIONS, ids=name_of)
def test_suppressions(case: Case, accept: Accept, lease: Lease) -> None:
    found, message, suppression_id = look(case, accept, lease)
    stop = Stop(suppression_id, None)
    assert found == (({message.id: stop}, set(), set()) if case.stops else NOTHING)
    assert reload(message).status is Status.SENDING, "it only looks"


@pytest.mark.parametrize("case", UNSUBSCRIBES, ids=name_of)
def test_unsubscribes(case: Case, accept: Accept, lease: Lease) -> None:
    found, message, unsubscribe_id = look(case, accept, lease)
    stop = Stop(None, unsubscribe_id)
    assert found == (({message.id: stop}, set(), set()) if case.stops else NOTHING)
    assert reload(message).status is Status.SENDING, "it only looks"


@pytest.mark.parametrize("case", FREEZES, ids=name_of)
def test_freezes(case: Case, accept: Accept, lease: Lease) -> None:
    found, message, _ = look(case, accept, lease)
    assert found == ({}, {message.id} if case.stops else set(), set())
    assert reload(message).status is Status.SENDING, "it only looks"


def look(case: Case, accept: Accept, lease: Lease) -> tuple[Found, Message, int]:
    """What the last check finds of a message that was claimed before the case was put in force."""
    message = case.message(accept)
    taken = take(lease, A_URGENT if message.stream is Stream.TRANSACTIONAL else A_PATIENT)
    assert last_check.find_forbidden(taken) == NOTHING
    stop_id = case.start()
    return last_check.find_forbidden(taken), message, stop_id


def test_a_frozen_account_stops_what_goes_through_it(accept: Accept, lease: Lease) -> None:
    """By the account that a message really takes, which need not be that of its claim."""
    through, around = accept(), accept()
    first, second = take(lease)
    taken = [first, dataclasses.replace(second, account_name="ses")]
    freeze(K.SMTP_ACCOUNT, "default")()
    assert last_check.find_forbidden(taken) == ({}, {through.id}, set())
    taken[0] = dataclasses.replace(first, account_name="other")
    assert last_check.find_forbidden(taken) == NOTHING
    assert reload(around).smtp_account_name == "default"


def test_a_suppression_is_told_before_an_unsubscribe_and_both_before_a_freeze(
    accept: Accept, lease: Lease
) -> None:
    message = accept()
    taken = take(lease)
    freeze(K.WORKSPACE)()
    unsubscribe_id = unsubscribe()()
    unsubscribed = {message.id: Stop(None, unsubscribe_id)}
    assert last_check.find_forbidden(taken) == (unsubscribed, set(), set())
    suppression_id = suppression()()
    stop = Stop(suppression_id, unsubscribe_id)
    assert last_check.find_forbidden(taken) == ({message.id: stop}, set(), set())
    last_check.suppress([(taken[0], stop)])
    after = reload(message)
    assert (after.suppression_id, after.unsubscribe_id) == (suppression_id, None)
    assert timeline.list_events(message)[-1].data["check"] == "suppression"


@pytest.mark.parametrize("kind", ["suppression", "unsubscribe"])
def test_what_it_suppresses_names_what_stopped_it(kind: str, accept: Accept, lease: Lease) -> None:
    message = accept()
    taken = take(lease)
    stop_ids = {"suppression": None, "unsubscribe": None}
    stop_ids[kind] = {"suppression": suppression(), "unsubscribe": unsubscribe()}[kind]()
    [stop] = last_check.find_forbidden(taken)[0].values()
    last_check.suppress([(taken[0], stop)])
    after = reload(message)
    assert (after.status, after.attempt_count, after.worker_id) == (Status.SUPPRESSED, 0, None)
    assert after.suppression_id == stop_ids["suppression"]
    assert after.unsubscribe_id == stop_ids["unsubscribe"]
    told = timeline.list_events(message)[-1]
    assert (told.type, told.data) == (
        EventType.SUPPRESSED,
        {"check": kind, f"{kind}_id": stop_ids[kind], "policy_version": 0},
    )
    assert timeline.list_attempts(message) == []


def test_what_an_earlier_attempt_said_stays_when_it_is_suppressed(
    accept: Accept, lease: Lease
) -> None:
    message = accept()
    end(take_one(lease), LATER)
    make_due(message)
    taken = take(lease)
    suppression()()
    last_check.suppress([(taken[0], last_check.find_forbidden(taken)[0][message.id])])
    after = reload(message)
    assert (after.status, after.attempt_count) == (Status.SUPPRESSED, 1)
    assert after.last_error == LATER.text
    assert [a.attempt_no for a in timeline.list_attempts(message)] == [1]


def test_nothing_is_looked_at_and_nothing_suppressed_for_nothing(lease: Lease) -> None:
    last_check.suppress([])
    assert last_check.find_forbidden([]) == NOTHING


def test_it_stops_what_was_suppressed_since_the_claim(accept: Accept, lease: Lease) -> None:
    stopped, good = accept(), accept(to_email="bob@example.org")
    taken = take(lease)
    assert last_check.find_forbidden(taken) == NOTHING
    row = suppressions.add(WORKSPACE_A, "ANN@example.org", reason="complaint", source="test")
    assert last_check.find_forbidden(taken) == ({stopped.id: Stop(row.id, None)}, set(), set())
    assert reload(stopped).status is Status.SENDING, "it only looks"
    last_check.suppress(
        [(claim, Stop(row.id, None)) for claim in taken if claim.message_id == stopped.id]
    )
    after = reload(stopped)
    assert (after.status, after.attempt_count, after.worker_id) == (Status.SUPPRESSED, 0, None)
    assert event_types(stopped) == [EventType.ACCEPTED, EventType.SUPPRESSED]
    assert reload(good).status is Status.SENDING
    assert Attempt.select().count() == 0


def test_it_gives_back_what_was_frozen_since_the_claim(accept: Accept, lease: Lease) -> None:
    message = accept()
    taken = take(lease)
    start_freeze(WORKSPACE_A, reason="a test", stream=Stream.TRANSACTIONAL)
    assert last_check.find_forbidden(taken) == ({}, {message.id}, set())
    claims.release(taken)
    assert (reload(message).status, reload(message).attempt_count) == (Status.QUEUED, 0)
    assert take(lease) == []
    assert reload(message).status is Status.HELD, "and the next claim holds it"


def test_it_leaves_alone_what_another_holds_by_now(accept: Accept, lease: Lease) -> None:
    message = accept()
    taken = take(lease)
    other = uuid.uuid4()
    Worker.insert(id=other, host="other", pid=1).execute()
    Message.update(worker_id=other).execute()
    row = suppressions.add(WORKSPACE_A, "ann@example.org", reason="complaint", source="test")
    last_check.suppress([(claim, Stop(row.id, None)) for claim in taken])
    assert (reload(message).status, reload(message).worker_id) == (Status.SENDING, other)


@pytest.mark.parametrize(
    "change",
    [
        {"worker_id": OTHER},
        {"attempt_count": 2},
        {"status": Status.QUEUED, "worker_id": None, "next_attempt_at": ago(seconds=1)},
        {"status": Status.SENT, "worker_id": None},
    ],
    ids=["another worker", "another attempt", "queued", "sent"],
)
def test_what_is_not_ours_any_more_is_lost_whatever_else_holds(
    change: dict[str, Any], accept: Accept, lease: Lease
) -> None:
    lost, kept, gone = accept(), accept(), accept()
    taken = take(lease)
    freeze(K.WORKSPACE)()
    Worker.insert(id=OTHER, host="other", pid=1).execute()
    Message.update(**change).where(Message.id == lost.id).execute()
    Message.delete().where(Message.id == gone.id).execute()
    assert last_check.find_forbidden(taken) == ({}, {kept.id}, {lost.id, gone.id})


@pytest.mark.proves("I22")
def test_what_another_worker_has_by_now_is_not_offered(
    accept: Accept, lease: Lease, inbox: Inbox, use_settings: Callable[..., object]
) -> None:
    """As when the clock of Postgres jumps past every lease, while this worker is alive and well."""
    use_settings(smtp=dataclasses.replace(config.current().smtp, max_connections=1))
    first = accept(to_email="slow+2@example.org")
    accept(subject="next")  # whose envelope goes out with the end of the first
    lost = accept(subject="lost")
    Worker.insert(id=OTHER, host="other", pid=1).execute()
    with working(lease):
        wait_until(lambda: lost.id in lease.held)
        Message.update(worker_id=OTHER).where(Message.id == lost.id).execute()
        wait_until(lambda: lost.id not in lease.held)
        wait_until(lambda: reload(first).status is Status.SENT)
    assert "lost" not in {mail["Subject"] for mail in inbox.messages()}
    after = reload(lost)
    assert (after.status, after.worker_id) == (Status.SENDING, OTHER)
    assert timeline.list_attempts(lost) == []


def test_what_was_frozen_goes_back_though_the_others_cannot_be_suppressed(
    accept: Accept,
    lease: Lease,
    inbox: Inbox,
    use_settings: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_settings(smtp=dataclasses.replace(config.current().smtp, max_connections=1))
    first = accept(to_email="slow+2@example.org")
    accept(to_email="next@example.org")
    frozen, unwanted = accept(to_email="bob@example.org"), accept(to_email="ann@example.org")

    def fail(_: object) -> None:
        raise Unavailable("away", retry_after_seconds=1)

    monkeypatch.setattr(last_check, "suppress", fail)
    with working(lease):
        wait_until(lambda: {frozen.id, unwanted.id} <= set(lease.held))
        with database.atomic():
            freeze(K.FROM_EMAIL, "shop@example.com")()
            suppressions.add(WORKSPACE_A, "ann@example.org", reason="asked", source="test")
        wait_until(lambda: reload(frozen).status is Status.HELD)
        wait_until(lambda: reload(first).status is Status.SENT)


def test_a_check_that_waits_for_its_turn_is_not_late(
    accept: Accept, lease: Lease, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads and connections are busy for longer than a check holds; its answer is new even so."""
    load = dkim_signers.load

    def load_slowly(workspace_id: int) -> None:
        time.sleep(paths.CHECK_SECONDS * 1.2)
        load(workspace_id)

    monkeypatch.setattr(dkim_signers, "load", load_slowly)
    # What came along with the claim is old by then.
    monkeypatch.setattr(holds, "take", delayed(holds.take, paths.CHECK_SECONDS * 1.2))
    message = accept()
    with working(lease):
        wait_until(lambda: reload(message).status is Status.SENT)


def delayed(action: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """The same, with an answer that takes so long to arrive."""

    def act(*args: Any, **kwargs: Any) -> Any:
        answer = action(*args, **kwargs)
        time.sleep(seconds)
        return answer

    return act


@pytest.mark.proves("I6")
def test_checks_of_fewer_messages_go_on_where_those_of_many_come_too_late(
    accept: Accept,
    lease: Lease,
    inbox: Inbox,
    use_settings: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And the log says why mail waits, once."""
    use_settings(smtp=dataclasses.replace(config.current().smtp, max_connections=4))
    monkeypatch.setattr(paths, "CHECKED_MIN", 2)
    look = last_check.find_forbidden

    def look_slowly(claimed: Sequence[Claim]) -> Found:
        found = look(claimed)
        if len(claimed) > 2:
            time.sleep(paths.CHECK_SECONDS * 1.2)
        return found

    monkeypatch.setattr(last_check, "find_forbidden", look_slowly)
    before = number("maild_late_checks_total")
    made = [accept(to_email=f"slow+1@{n}.example.org") for n in range(8)]
    made += [accept(subject=str(number)) for number in range(8)]
    with working(lease):
        wait_until(lambda: {reload(m).status for m in made} == {Status.SENT})
    assert number("maild_late_checks_total") > before
    told = [line for line in logged(caplog) if line["event"] == "delivery.checks_late"]
    assert [line["level"] for line in told] == ["warning"]
    assert told[0]["seconds"] > paths.CHECK_SECONDS


def test_what_was_begun_while_the_check_looked_is_not_taken_back(
    accept: Accept,
    lease: Lease,
    inbox: Inbox,
    use_settings: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Postgres takes its time to answer: it says "frozen" of messages that are out by then."""
    use_settings(smtp=dataclasses.replace(config.current().smtp, max_connections=1))
    look = last_check.find_forbidden
    looked, go_on = threading.Event(), threading.Event()

    def look_slowly(claimed: object) -> object:
        found = look(claimed)  # type: ignore[arg-type]
        if not looked.is_set():
            start_freeze(WORKSPACE_A, reason="a test")
            found = look(claimed)  # type: ignore[arg-type]
            looked.set()
            go_on.wait(WAIT_SECONDS)
        return found

    monkeypatch.setattr(last_check, "find_forbidden", look_slowly)
    # What waits is looked at again after three seconds, and may go out for three more; the
    # connection is free after four.
    monkeypatch.setattr(paths, "CHECK_SECONDS", 6.0)
    first = accept(to_email="slow+4@example.org")
    others = [accept(subject=str(number)) for number in range(3)]
    engine = threading.Thread(target=sending.work, args=(lease, Recorder()))
    engine.start()
    try:
        assert looked.wait(WAIT_SECONDS)
        wait_until(lambda: reload(others[-1]).status is Status.SENT)
        assert reload(first).status is Status.SENT
        go_on.set()
        wait_until(lambda: not lease.held)
    finally:
        go_on.set()
        lease.stopping.set()
        sending.wake()
        engine.join()

    assert len(inbox.messages()) == 4, "each once"
    assert {reload(m).status for m in others} == {Status.SENT}
    assert {reload(m).attempt_count for m in others} == {1}
