"""I7: whatever is done in whatever order, only a person lets an address be mailed again.

A machine does at random what people, senders, servers and accidents do, beside a model of who may
be mailed. No claim takes a message to one who may not, and the last check stops those who may not
any more.
"""

import uuid

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from maild.domain.lanes import Lane
from maild.domain.states import Status, Stream
from maild.models import Freeze, Message, Suppression, Unsubscribe, WebhookPayload, Worker
from maild.services import (
    claims,
    freezes,
    interventions,
    last_check,
    messages,
    outcomes,
    rescues,
    resending,
    suppression_imports,
    suppressions,
    unsubscribe_standings,
    unsubscribes,
    workers,
)
from maild.services.claims import Claim
from maild.services.interventions import OutcomeStatus
from maild.services.messages import NewMessage
from maild.services.unsubscribe_links import Link
from maild.services.workers import Lease
from maild.transports.smtp import Outcome
from tests.conftest import WORKSPACE_A
from tests.services.freezing import BY, ahead
from tests.services.helpers import (
    A_PATIENT,
    A_URGENT,
    ACCEPTED,
    LATER,
    LOST,
    NO_SUCH_USER,
    PATH_FAULT,
    ago,
    kill,
)
from tests.services.reporting import report

EMAILS = st.sampled_from(["ann@example.org", "Bob@bücher.example"])
STREAMS = st.sampled_from(list(Stream))
SCOPES = st.sampled_from([None, *Stream])
TOPICS = st.sampled_from([None, "news", "offers"])
OUTCOMES = st.sampled_from([ACCEPTED, LATER, NO_SUCH_USER, LOST, PATH_FAULT])
REPORTS = ["delivered", "complained", "hard_bounce", "unsubscribed", "subscribed"]


class Machine(RuleBasedStateMachine):
    """The model: `suppressed` has (address, stream or None), `left` (address, stream or None,
    topic or None) with how it was done. Addresses are in lower case.
    """

    lease: Lease
    freeze: Freeze | None

    @initialize()
    def empty(self) -> None:
        for model in (Message, Suppression, Unsubscribe, Freeze, Worker, WebhookPayload):
            model.delete().execute()
        self.lease = workers.enter()
        self.freeze = None
        self.suppressed: set[tuple[str, Stream | None]] = set()
        self.left: dict[tuple[str, Stream | None, str | None], str] = {}
        self.reported: set[tuple[str, str, int]] = set()
        self.in_hand: list[Claim] = []
        self.lost: list[Claim] = []

    def may_be_mailed(self, email: str, stream: Stream, topic: str | None) -> bool:
        known, scopes = email.lower(), (None, stream)
        return not any((known, scope) in self.suppressed for scope in scopes) and not any(
            (known, scope, of) in self.left for scope in scopes for of in (None, topic)
        )

    # What senders do

    @rule(email=EMAILS, stream=STREAMS, topic=TOPICS)
    def submit(self, email: str, stream: Stream, topic: str | None) -> None:
        message = messages.accept(
            WORKSPACE_A,
            NewMessage(
                from_email="shop@example.com",
                to_email=email,
                subject="Hello",
                body_text="Hello.",
                stream=stream,
                topic=topic,
            ),
        )
        may = self.may_be_mailed(email, stream, topic)
        assert message.status is (Status.QUEUED if may else Status.SUPPRESSED)

    # What stops mail

    @rule(email=EMAILS, scope=SCOPES)
    def suppress(self, email: str, scope: Stream | None) -> None:
        suppressions.add(WORKSPACE_A, email, reason="asked", source="api", stream=scope, by=BY)
        self.suppressed.add((email.lower(), scope))

    @rule(email=EMAILS)
    def import_suppressions(self, email: str) -> None:
        suppression_imports.import_csv(WORKSPACE_A, f"email\n{email.upper()}\n", by=BY)
        self.suppressed.add((email.lower(), None))

    @rule(email=EMAILS, scope=SCOPES, topic=TOPICS)
    def unsubscribe(self, email: str, scope: Stream | None, topic: str | None) -> None:
        what = {"stream": scope, "topic": topic, "source": unsubscribes.API, "by": BY}
        unsubscribes.add(WORKSPACE_A, email, **what)
        self.left[email.lower(), scope, topic] = unsubscribes.API  # no link undoes it from now on

    @rule(email=EMAILS, topic=TOPICS, everything=st.booleans())
    def click(self, email: str, topic: str | None, everything: bool) -> None:
        how = {"everything": everything, "source": unsubscribe_standings.ONE_CLICK, "by": BY}
        unsubscribes.leave(link_of(email, topic), **how)
        left = (email.lower(), Stream.MARKETING, None if everything else topic)
        self.left.setdefault(left, unsubscribe_standings.ONE_CLICK)

    @rule(email=EMAILS, kind=st.sampled_from(REPORTS), number=st.integers(1, 3))
    def report(self, email: str, kind: str, number: int) -> None:
        """As providers do, in any order and more than once; but what came before says nothing."""
        report({"type": kind, "email": email, "event_id": str(number)})
        if (email, kind, number) in self.reported:
            return
        self.reported.add((email, kind, number))
        if kind in {"complained", "hard_bounce"}:
            self.suppressed.add((email.lower(), None))
        elif kind == "unsubscribed":
            self.left.setdefault((email.lower(), None, None), "provider_event")

    @precondition(lambda self: self.freeze is None)
    @rule()
    def start_freeze(self) -> None:
        self.freeze = freezes.start(WORKSPACE_A, reason="a test", expires_at=ahead(hours=1))

    # What a person takes back

    @precondition(lambda self: self.suppressed)
    @rule(data=st.data())
    def remove_suppression(self, data: st.DataObject) -> None:
        email, scope = data.draw(st.sampled_from(sorted(self.suppressed, key=str)))
        suppressions.remove(WORKSPACE_A, email, reason="asked", stream=scope, by=BY)
        self.suppressed.remove((email, scope))

    @precondition(lambda self: self.left)
    @rule(data=st.data())
    def remove_unsubscribe(self, data: st.DataObject) -> None:
        email, scope, topic = data.draw(st.sampled_from(sorted(self.left, key=str)))
        what = {"stream": scope, "topic": topic, "reason": "asked", "by": BY}
        unsubscribes.remove(WORKSPACE_A, email, **what)
        del self.left[email, scope, topic]

    @rule(email=EMAILS, topic=TOPICS)
    def come_back(self, email: str, topic: str | None) -> None:
        unsubscribes.come_back(link_of(email, topic), by=BY)
        for of in {None, topic}:
            key = (email.lower(), Stream.MARKETING, of)
            if self.left.get(key) == unsubscribe_standings.ONE_CLICK:
                del self.left[key]

    # What people do to messages

    @rule()
    def retry(self) -> None:
        if ids := all_ids():
            done = interventions.retry(WORKSPACE_A, message_ids=ids, by=BY).result
            for outcome in done.outcomes:
                if outcome.status is OutcomeStatus.RETRIED:
                    message = messages.get(WORKSPACE_A, uuid.UUID(outcome.message_id))
                    topic = message.topic
                    assert self.may_be_mailed(message.to_email, message.stream, topic)

    @rule()
    def resolve_as_not_sent(self) -> None:
        if ids := all_ids():
            interventions.resolve(WORKSPACE_A, ids, was_sent=False, by=BY, reason="not there")

    @rule()
    def resend(self) -> None:
        if ids := all_ids()[:5]:
            resending.resend(WORKSPACE_A, ids, by=BY)

    @rule()
    def hold(self) -> None:
        if ids := all_ids():
            interventions.hold(WORKSPACE_A, ids, by=BY, reason="let me see")

    @rule()
    def release(self) -> None:
        if ids := all_ids():
            interventions.release(WORKSPACE_A, ids, by=BY)

    @precondition(lambda self: self.freeze is not None)
    @rule()
    def lift_freeze(self) -> None:
        assert self.freeze is not None
        freezes.lift(self.freeze)
        self.freeze = None

    # What workers and servers do

    @rule(lane=st.sampled_from([A_URGENT, A_PATIENT]), limit=st.sampled_from([1, 10]))
    def claim(self, lane: Lane, limit: int) -> None:
        Message.update(next_attempt_at=ago(seconds=1)).where(
            Message.status == Status.QUEUED
        ).execute()
        taken = claims.claim(
            self.lease.worker_id, lane, account_id=0, account_name="default", limit=limit
        ).claims
        for claim in taken:
            assert self.freeze is None
            assert self.may_be_mailed(claim.to_email, claim.stream, claim.topic), claim
        self.in_hand += taken

    @precondition(lambda self: self.in_hand)
    @rule(outcome=OUTCOMES)
    def offer(self, outcome: Outcome) -> None:
        """The last check, and then the wire."""
        claim = self.in_hand.pop(0)
        stopped, frozen, lost = last_check.find_forbidden([claim])
        assert not lost
        may = self.may_be_mailed(claim.to_email, claim.stream, claim.topic)
        assert (claim.message_id in stopped) == (not may)
        if stopped:
            last_check.suppress([(claim, stopped[claim.message_id])])
        elif frozen:
            claims.release([claim])
        else:
            outcomes.record([outcomes.decide(claim, outcome, duration_ms=1)])
            if outcome is NO_SUCH_USER:
                self.suppressed.add((claim.to_email.lower(), None))

    @precondition(lambda self: self.in_hand)
    @rule()
    def die(self) -> None:
        """What the worker held is rescued, and it wakes up later with what it had."""
        kill(self.lease)
        rescues.rescue()
        self.lost += self.in_hand
        self.in_hand = []
        self.lease = workers.enter()

    @precondition(lambda self: self.lost)
    @rule(outcome=OUTCOMES)
    def come_in_late(self, outcome: Outcome) -> None:
        outcomes.record([outcomes.decide(self.lost.pop(0), outcome, duration_ms=1)])

    @invariant()
    def nobody_else_has_messages(self) -> None:
        sending = {m.id for m in Message.select(Message.id).where(Message.status == Status.SENDING)}
        assert sending == {claim.message_id for claim in self.in_hand}


def link_of(email: str, topic: str | None) -> Link:
    return Link(WORKSPACE_A, uuid.uuid4(), email, topic)


def all_ids() -> list[str]:
    """The newest messages."""
    rows = Message.select(Message.id).order_by(Message.id.desc()).limit(100)
    return [str(row.id) for row in rows]


@pytest.mark.proves("I7")
def test_only_a_person_lets_an_address_be_mailed_again(database: None) -> None:
    run_state_machine_as_test(
        Machine,
        settings=hypothesis_settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
