"""What a claim looks at: lifetime, policy, suppressions, unsubscribes, freezes; and what it writes.

The claim is one SQL statement, and says the same as what is decided when a message is accepted.
"""

from collections.abc import Callable
from typing import Any

import pytest

from maild.config import Settings
from maild.db import database as db
from maild.domain.states import EventType, Status, Stream
from maild.models import Attempt, Message
from maild.services import claims, policies, timeline
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.freezing import BY, K
from tests.services.helpers import (
    A_PATIENT,
    A_URGENT,
    Accept,
    ago,
    event_types,
    fill,
    reload,
    take,
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
from tests.services.test_claims_lanes import claim_values, explain

UseSettings = Callable[..., Settings]
Moment = tuple[Message, dict[str, Any]]


def save(workspace_id: int = WORKSPACE_A, **changes: object) -> int:
    """Let another policy be in force; returns its version."""
    return policies.save(workspace_id, changes=changes, by=BY).in_force.rules.version


def claimed(message: Message, lease: Lease) -> Moment:
    """The message after a claim of its lane, and the last thing told of it. Nothing else is due."""
    lane = A_URGENT if message.stream is Stream.TRANSACTIONAL else A_PATIENT
    taken = claims.claim(lease.worker_id, lane, account_id=0, account_name="default", limit=10)
    after = reload(message)
    assert taken.moved_count == 1
    assert len(taken.claims) == len(taken.contents) == (after.status is Status.SENDING)
    event = timeline.list_events(message)[-1]
    return after, {"type": event.type, **event.data}


def assert_sending(moment: Moment) -> None:
    message, told = moment
    assert (message.status, message.attempt_count) == (Status.SENDING, 1)
    assert (message.suppression_id, message.unsubscribe_id, message.freeze_id) == (None,) * 3
    assert told["type"] == EventType.ACCEPTED, "the message tells of it itself"


def assert_untouched(message: Message) -> None:
    """It was offered to nobody, and no attempt was used."""
    assert (message.attempt_count, message.worker_id, message.next_attempt_at) == (0, None, None)
    assert message.smtp_account_name is None, "it went through no account"
    assert Attempt.select().count() == 0


# What stops a message, one by one


@pytest.mark.proves("I6")
@pytest.mark.parametrize("case", SUPPRESSIONS, ids=name_of)
def test_suppressions(case: Case, accept: Accept, lease: Lease) -> None:
    message = case.message(accept)
    suppression_id = case.start()
    after, told = claimed(message, lease)
    if not case.stops:
        assert_sending((after, told))
        return
    assert_untouched(after)
    assert (after.status, after.suppression_id) == (Status.SUPPRESSED, suppression_id)
    assert (after.unsubscribe_id, after.freeze_id) == (None, None)
    assert told == {
        "type": EventType.SUPPRESSED,
        "check": "suppression",
        "suppression_id": suppression_id,
        "reason": "complaint",
        "policy_version": 0,
    }


@pytest.mark.proves("decide-again")
@pytest.mark.parametrize("case", UNSUBSCRIBES, ids=name_of)
def test_unsubscribes(case: Case, accept: Accept, lease: Lease) -> None:
    message = case.message(accept)
    unsubscribe_id = case.start()
    after, told = claimed(message, lease)
    if not case.stops:
        assert_sending((after, told))
        return
    assert_untouched(after)
    assert (after.status, after.unsubscribe_id) == (Status.SUPPRESSED, unsubscribe_id)
    assert (after.suppression_id, after.freeze_id) == (None, None)
    assert told == {
        "type": EventType.SUPPRESSED,
        "check": "unsubscribe",
        "unsubscribe_id": unsubscribe_id,
        "policy_version": 0,
    }


@pytest.mark.proves("decide-again")
@pytest.mark.parametrize("case", FREEZES, ids=name_of)
def test_freezes(case: Case, accept: Accept, lease: Lease) -> None:
    message = case.message(accept)
    freeze_id = case.start()
    after, told = claimed(message, lease)
    if not case.stops:
        assert_sending((after, told))
        return
    assert_untouched(after)
    assert (after.status, after.freeze_id) == (Status.HELD, freeze_id)
    assert after.hold_reason == "a test"
    assert (after.suppression_id, after.unsubscribe_id) == (None, None)
    assert told == {
        "type": EventType.HELD,
        "check": "freeze",
        "freeze_id": freeze_id,
        "reason": "a test",
        "policy_version": 0,
    }


def test_a_frozen_account_holds_nothing(accept: Accept, lease: Lease) -> None:
    """Its mail takes another one, or waits in the queue."""
    message = accept()
    freeze(K.SMTP_ACCOUNT, "default")()
    assert_sending(claimed(message, lease))


def test_of_two_freezes_the_first_is_told(accept: Accept, lease: Lease) -> None:
    message = accept()
    first = freeze(K.RECIPIENT_DOMAIN, "example.org")()
    freeze(K.WORKSPACE)()
    assert claimed(message, lease)[0].freeze_id == first


# The policy, which may have changed since


@pytest.mark.proves("decide-again")
def test_a_recipient_domain_that_was_blocked_since_fails(accept: Accept, lease: Lease) -> None:
    save(on_limit="defer")
    message = accept()
    assert message.policy_version == 1
    save(blocked_recipient_domains=["example.org"])
    after, told = claimed(message, lease)
    assert_untouched(after)
    assert (after.status, after.error_class) == (Status.FAILED, "policy")
    assert after.last_error == "Mail to example.org is blocked."
    assert told == {
        "type": EventType.FAILED,
        "check": "recipient_domain",
        "value": "example.org",
        "text": "Mail to example.org is blocked.",
        "policy_version": 2,
    }


def test_a_sender_domain_that_is_not_allowed_any_more_fails(accept: Accept, lease: Lease) -> None:
    save(allowed_from_domains=["example.com", "example.net"])
    message = accept()
    save(allowed_from_domains=["example.net"])
    after, told = claimed(message, lease)
    assert_untouched(after)
    assert (after.status, after.error_class) == (Status.FAILED, "policy")
    assert after.last_error == "The workspace's policy does not allow mail from example.com."
    assert told == {
        "type": EventType.FAILED,
        "check": "from_domain",
        "value": "example.com",
        "text": "The workspace's policy does not allow mail from example.com.",
        "policy_version": 2,
    }


LISTED = [
    "example.org",
    "*.parent.example",
    "bücher.example",
    "*.bücher.test",
    "*.a.deep.example",
]
DOMAINS = [
    "example.org",
    "EXAMPLE.org",
    "mail.example.org",
    "badexample.org",
    "org",
    "parent.example",
    "mail.parent.example",
    "a.b.c.parent.example",
    "grandparent.example",
    "BÜCHER.example",
    "xn--bcher-kva.example",
    "laden.bücher.example",
    "bücher.test",
    "Laden.BÜCHER.test",
    "laden.xn--bcher-kva.test",
    "deep.example",
    "a.deep.example",
    "b.a.deep.example",
    "other.example",
]


@pytest.mark.parametrize("side", ["recipients", "senders"])
def test_domains_match_as_they_do_when_a_message_is_accepted(
    side: str, accept: Accept, lease: Lease
) -> None:
    save(on_limit="defer")
    if side == "recipients":
        made = [accept(to_email=f"Ann@{domain}") for domain in DOMAINS]
        rules = policies.known(WORKSPACE_A, save(blocked_recipient_domains=LISTED))
        may_go = [rules.find_block(m.to_email.rpartition("@")[2]) is None for m in made]
    else:
        made = [accept(from_email=f"Shop@{domain}") for domain in DOMAINS]
        rules = policies.known(WORKSPACE_A, save(allowed_from_domains=LISTED))
        may_go = [rules.allows_sender(m.from_email.rpartition("@")[2]) for m in made]
    assert len(set(may_go)) == 2
    take(lease)
    went = [reload(message).status is Status.SENDING for message in made]
    assert list(zip(DOMAINS, went, strict=True)) == list(zip(DOMAINS, may_go, strict=True))


def test_what_its_own_version_has_decided_is_not_decided_again(
    accept: Accept, lease: Lease
) -> None:
    message = accept()
    version = save(blocked_recipient_domains=["example.org"], allowed_from_domains=["example.net"])
    Message.update(policy_version=version).execute()
    assert_sending(claimed(message, lease))


def test_the_instances_defaults_are_looked_at_each_time(
    accept: Accept, lease: Lease, use_settings: UseSettings
) -> None:
    """They may have changed with a restart, and keep their number."""
    message = accept()
    assert message.policy_version == 0
    use_settings(blocked_recipient_domains=("*.example.com", "example.org"))
    after, told = claimed(message, lease)
    assert (after.status, after.last_error) == (Status.FAILED, "Mail to example.org is blocked.")
    assert (told["check"], told["policy_version"]) == ("recipient_domain", 0)


def test_a_workspace_with_a_policy_does_not_go_by_the_defaults(
    accept: Accept, lease: Lease, use_settings: UseSettings
) -> None:
    message = accept()
    save(blocked_recipient_domains=[])
    use_settings(blocked_recipient_domains=("example.org",))
    assert_sending(claimed(message, lease))


def test_another_workspaces_policy_does_not_count(accept: Accept, lease: Lease) -> None:
    message = accept()
    save(WORKSPACE_B, blocked_recipient_domains=["example.org"])
    assert_sending(claimed(message, lease))


def test_the_version_in_force_counts_not_those_between(accept: Accept, lease: Lease) -> None:
    save(on_limit="defer")
    message = accept()
    save(blocked_recipient_domains=["example.org"])
    policies.roll_back(WORKSPACE_A, version=1, by=BY)
    assert_sending(claimed(message, lease))


def test_what_failed_so_fails_again_until_the_policy_allows_it(
    accept: Accept, lease: Lease
) -> None:
    """Whoever puts it back into the queue meets with the same rules."""
    message = accept()
    save(blocked_recipient_domains=["example.org"])
    for _ in range(2):
        assert claimed(message, lease)[0].status is Status.FAILED
        Message.update(status=Status.QUEUED, next_attempt_at=ago()).execute()
    save(blocked_recipient_domains=[])
    after = claimed(message, lease)[0]
    assert (after.status, after.attempt_count) == (Status.SENDING, 1)


# Several at once


def overdue() -> None:
    Message.update(expires_at=ago(seconds=1)).execute()


STOPS: list[tuple[str, Status, Callable[[], object]]] = [
    ("lifetime", Status.EXPIRED, overdue),
    ("from_domain", Status.FAILED, lambda: save(allowed_from_domains=["example.net"])),
    ("recipient_domain", Status.FAILED, lambda: save(blocked_recipient_domains=["example.org"])),
    ("suppression", Status.SUPPRESSED, suppression()),
    ("unsubscribe", Status.SUPPRESSED, unsubscribe()),
    ("freeze", Status.HELD, freeze(K.WORKSPACE)),
]


@pytest.mark.parametrize("place", range(len(STOPS)), ids=[name for name, _, _ in STOPS])
def test_the_first_that_stops_it_is_told_and_no_other(
    place: int, accept: Accept, lease: Lease
) -> None:
    """What is final comes before what only waits: a freeze must not keep it, and what that says
    would be wrong.
    """
    message = accept()
    for _, _, start in STOPS[place:]:
        start()
    after, told = claimed(message, lease)
    name, status, _ = STOPS[place]
    assert (after.status, told["type"], told["check"]) == (status, f"message.{status.value}", name)
    assert (after.suppression_id is not None) == (name == "suppression")
    assert (after.unsubscribe_id is not None) == (name == "unsubscribe")
    assert (after.freeze_id is not None) == (name == "freeze")
    assert (after.hold_reason is not None) == (name == "freeze")
    for other in ("suppression", "unsubscribe", "freeze"):
        assert (f"{other}_id" in told) == (name == other)
    assert ("reason" in told) == (name in {"suppression", "freeze"})
    assert after.attempt_count == 0
    assert event_types(message) == [EventType.ACCEPTED, told["type"]]


def test_each_message_of_a_slice_is_stopped_by_its_own(accept: Accept, lease: Lease) -> None:
    made = [accept(to_email=f"{n}@example.org") for n in range(5)]
    suppressed_by = suppression("1@example.org")()
    left_by = unsubscribe("2@example.org")()
    frozen_by = freeze(K.FROM_EMAIL, "frozen@example.com")()
    Message.update(from_email="frozen@example.com").where(Message.id == made[3].id).execute()
    assert [c.message_id for c in take(lease)] == [made[0].id, made[4].id]
    after = [reload(message) for message in made]
    assert [m.suppression_id for m in after] == [None, suppressed_by, None, None, None]
    assert [m.unsubscribe_id for m in after] == [None, None, left_by, None, None]
    assert [m.freeze_id for m in after] == [None, None, None, frozen_by, None]


# What a claim costs


def test_long_lists_of_domains_are_gone_through_once(lease: Lease) -> None:
    """For all messages of a claim together, and only where a message has to be looked at again."""
    fill(200)
    save(
        blocked_recipient_domains=[f"*.blocked{n}.example" for n in range(5_000)]
        + [f"other{n}.example" for n in range(5_000)],
        allowed_from_domains=[f"allowed{n}.example" for n in range(999)] + ["example.com"],
    )
    db.execute_sql("ANALYZE messages")
    values = claim_values(lease)
    assert read_of_lists(values) == (10_000, 1_001), "of the one for every, of the other for any"
    Message.update(policy_version=1).execute()
    assert read_of_lists(values) == (0, 0)


def read_of_lists(values: dict[str, object]) -> tuple[int, int]:
    """How many entries of blocked and of allowed domains a claim has read."""

    def count(name: str) -> int:
        nodes = explain(claims._CLAIM, values, name, field="CTE Name")
        assert nodes
        return sum(int(node["Actual Rows"] * node["Actual Loops"]) for node in nodes)

    return count("blocked"), count("allowed")
