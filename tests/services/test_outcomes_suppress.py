"""Hard bounces feed suppressions: which answers stop all mail to an address, and how often."""

from collections.abc import Callable

import pytest

from maild.domain.smtp_reply import Reply, Stage
from maild.domain.states import EventType, Status, Stream
from maild.domain.suppression import SuppressionClass
from maild.models import Suppression
from maild.services import interventions, outcomes, rescues, resending, suppressions
from maild.services.interventions import OutcomeStatus
from maild.services.workers import Lease
from maild.transports import smtp_outcome
from maild.transports.smtp import Outcome
from tests.conftest import WORKSPACE_A, WORKSPACE_B, Inbox
from tests.services.freezing import BY
from tests.services.helpers import (
    A_PATIENT,
    ACCEPTED,
    B_URGENT,
    LOST,
    NO_SUCH_USER,
    PATH_FAULT,
    REMOTE,
    Accept,
    answer,
    at_once,
    end,
    event_types,
    kill,
    leave_marks,
    make_due,
    mark,
    reload,
    take,
    take_one,
)

Deliver = Callable[[], int]
NOBODY = "permfail@example.org"


def refusal(code: int, enhanced: str | None, text: str, stage: Stage = Stage.RCPT_TO) -> Outcome:
    return smtp_outcome.refused(stage, Reply(code, enhanced, text), REMOTE, {})


def suppressed() -> list[tuple[int, str]]:
    """Workspace and address of each row, in force or not."""
    return [(s.workspace_id, s.email) for s in Suppression.select().order_by(Suppression.id)]


def test_a_mailbox_that_does_not_exist_is_suppressed(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    message = accept(to_email="Permfail+1@example.org")
    deliver()
    assert reload(message).status is Status.FAILED
    [row] = Suppression.select()
    assert (row.workspace_id, row.email, row.stream) == (
        WORKSPACE_A,
        "permfail+1@example.org",
        None,
    )
    assert (row.class_, row.source) == (SuppressionClass.HARD_BOUNCE, suppressions.SMTP_REPLY)
    assert (row.message_id, row.created_by) == (message.id, "maild")
    assert row.reason == reload(message).last_error
    assert "550 5.1.1 Unknown user" in row.reason
    assert (row.expires_at, row.removed_at) == (None, None)


def test_the_next_message_to_it_is_stopped_as_it_is_accepted(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    accept(to_email=NOBODY)
    deliver()
    [row] = Suppression.select()
    for message in (
        accept(to_email="PERMFAIL@example.org"),
        accept(to_email=NOBODY, stream=Stream.MARKETING),
    ):
        assert (message.status, message.suppression_id) == (Status.SUPPRESSED, row.id)
        assert event_types(message) == [EventType.ACCEPTED, EventType.SUPPRESSED]
    assert accept(to_email=NOBODY, workspace_id=WORKSPACE_B).status is Status.QUEUED
    assert deliver() == 1, "the other workspace has to find out by itself"
    assert suppressed() == [(WORKSPACE_A, NOBODY), (WORKSPACE_B, NOBODY)]


def test_what_waits_for_it_is_stopped_by_its_claim(accept: Accept, lease: Lease) -> None:
    first, waiting, patient = accept(), accept(), accept(stream=Stream.MARKETING)
    end(take_one(lease), NO_SUCH_USER)
    [row] = Suppression.select()
    assert take(lease) == take(lease, A_PATIENT) == []
    for message in (waiting, patient):
        after = reload(message)
        assert (after.status, after.suppression_id) == (Status.SUPPRESSED, row.id)
    assert reload(first).status is Status.FAILED


def test_a_retry_of_it_is_skipped_and_a_resend_stopped(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    """I7."""
    message = accept(to_email=NOBODY)
    deliver()
    retried = interventions.retry(WORKSPACE_A, message_ids=[str(message.id)], by=BY)
    [outcome] = retried.result.outcomes
    assert outcome.status is OutcomeStatus.SKIPPED
    assert outcome.error is not None
    assert "suppressed: " in outcome.error
    assert reload(message).status is Status.FAILED
    [resent] = resending.resend(WORKSPACE_A, [str(message.id)], by=BY)
    assert resent.new_message is not None
    assert resent.new_message.status is Status.SUPPRESSED
    assert deliver() == 0


SUPPRESSES = [
    NO_SUCH_USER,
    refusal(550, "5.1.10", "Recipient not found"),
    refusal(550, None, "No such user here"),
    refusal(556, "5.1.10", "Domain takes no mail", Stage.FINAL_DOT),
    refusal(550, "5.1.1", "User unknown", Stage.FINAL_DOT),
]
SUPPRESSES_NOT = [
    refusal(550, "5.7.1", "Message rejected by policy"),
    refusal(550, "5.7.1", "Spam detected", Stage.FINAL_DOT),
    refusal(550, "5.7.515", "Access denied, sending domain does not meet the requirements"),
    refusal(550, None, "Refused"),
    refusal(552, "5.2.2", "Mailbox full"),
    refusal(552, "5.3.4", "Message too big", Stage.MAIL_FROM),
    refusal(550, "5.1.8", "Sender address does not exist", Stage.MAIL_FROM),
    refusal(451, "4.3.0", "Temporary failure, try again later"),
    refusal(450, "4.2.1", "The mailbox is temporarily unavailable"),
    refusal(421, "4.7.0", "Too many messages"),
    refusal(535, "5.7.8", "Authentication credentials invalid", Stage.AUTH),
    PATH_FAULT,
    LOST,
    ACCEPTED,
]


@pytest.mark.parametrize("outcome", SUPPRESSES, ids=lambda outcome: outcome.text)
def test_an_answer_that_says_so_suppresses(outcome: Outcome, accept: Accept, lease: Lease) -> None:
    accept()
    end(take_one(lease), outcome)
    assert suppressed() == [(WORKSPACE_A, "ann@example.org")]


def test_a_deferral_that_says_so_suppresses_and_the_next_claim_stops_the_message(
    accept: Accept, lease: Lease
) -> None:
    """As of a Postfix that refuses nothing for good."""
    message = accept()
    end(take_one(lease), refusal(450, "4.1.1", "User unknown in local recipient table"))
    assert reload(message).status is Status.QUEUED
    make_due(message)
    assert take(lease) == []
    [row] = Suppression.select()
    after = reload(message)
    assert (after.status, after.suppression_id) == (Status.SUPPRESSED, row.id)


@pytest.mark.parametrize("outcome", SUPPRESSES_NOT, ids=lambda outcome: outcome.text)
def test_any_other_end_does_not(outcome: Outcome, accept: Accept, lease: Lease) -> None:
    accept()
    end(take_one(lease), outcome)
    assert suppressed() == []


def test_what_a_worker_says_after_it_has_lost_its_message_does_not(
    accept: Accept, lease: Lease
) -> None:
    """The message was rescued, and may be another's by now: what came of it is not this answer."""
    message = accept()
    stale = take_one(lease)
    leave_marks(lease)
    kill(lease)
    rescues.rescue()
    end(stale, NO_SUCH_USER)
    assert suppressed() == []
    assert reload(message).status is Status.QUEUED


def test_a_refusal_that_a_dead_worker_has_marked_does(accept: Accept, lease: Lease) -> None:
    message = accept()
    take_one(lease)
    leave_marks(lease, mark(message, answer(550, "5.1.1", "No such user")))
    kill(lease)
    rescues.rescue()
    assert reload(message).status is Status.FAILED
    [row] = Suppression.select()
    assert (row.email, row.message_id) == (message.to_email, message.id)


def test_nothing_is_suppressed_twice(accept: Accept, lease: Lease) -> None:
    accept()
    accept(to_email="ANN@example.org")
    accept(workspace_id=WORKSPACE_B)
    taken = [*take(lease), *take(lease, B_URGENT)]
    results = [outcomes.decide(claim, NO_SUCH_USER, duration_ms=1) for claim in taken]
    outcomes.record(results[:1])
    first = Suppression.get()
    outcomes.record(results)
    outcomes.record(results)
    assert suppressed() == [(WORKSPACE_A, "ann@example.org"), (WORKSPACE_B, "ann@example.org")]
    assert Suppression.get_by_id(first.id).__data__ == first.__data__


def test_the_words_of_a_person_stay(accept: Accept, lease: Lease) -> None:
    accept()
    claim = take_one(lease)
    row = suppressions.add(
        WORKSPACE_A, "ann@example.org", reason="asked us to stop", source=suppressions.API, by=BY
    )
    end(claim, NO_SUCH_USER)
    [after] = Suppression.select()
    assert after.__data__ == row.__data__


def test_after_a_person_has_removed_it_another_refusal_suppresses_anew(
    accept: Accept, lease: Lease
) -> None:
    accept()
    end(take_one(lease), NO_SUCH_USER)
    suppressions.remove(WORKSPACE_A, "ann@example.org", reason="moved back", by=BY)
    second = accept()
    end(take_one(lease), NO_SUCH_USER)
    rows = list(Suppression.select().order_by(Suppression.id))
    assert [row.removed_at is None for row in rows] == [False, True]
    assert rows[1].message_id == second.id


def test_workers_and_people_who_suppress_the_same_at_once_do_not_stand_in_each_others_way(
    accept: Accept, lease: Lease
) -> None:
    emails = [f"user{n}@example.org" for n in range(20)]
    for email in emails * 2:
        accept(to_email=email)
    waiting = [accept(to_email=email, stream=Stream.MARKETING) for email in emails]
    results = [outcomes.decide(c, NO_SUCH_USER, duration_ms=1) for c in take(lease)]

    def add() -> None:
        for email in reversed(emails):
            suppressions.add(WORKSPACE_A, email, reason="asked", source="api", by=BY)

    def claim() -> None:
        for _ in emails:
            take(lease, A_PATIENT, limit=1)

    at_once(
        lambda: outcomes.record(results[:20]),
        lambda: outcomes.record(results[20:][::-1]),
        add,
        claim,
    )
    assert sorted(email for _, email in suppressed()) == sorted(emails)
    assert {reload(message).status for message in waiting} <= {Status.SENDING, Status.SUPPRESSED}
