"""Soft bounces: counted by message, ended by a delivery, too many of them suppress."""

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.states import Status
from maild.models import Attempt, Message, SoftBounce, Suppression
from maild.services import policies, soft_bounces, suppressions
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import Accept, ago, end, is_suppressed, says, take_one
from tests.services.reporting import about, report, send_all, suppressed

pytestmark = pytest.mark.proves("feedback-suppress")


FULL = "552 5.2.2 Mailbox full"


def bounce(count: int, *, start: int = 0, email: str = "ann@example.org", **fields) -> list:
    entries = [
        {"type": "soft_bounce", "email": email, "event_id": f"{email} {n}", **fields}
        for n in range(start, start + count)
    ]
    return report(*entries)


def set_threshold(count: int) -> None:
    policies.save(WORKSPACE_A, changes={"soft_bounce_threshold": count}, by=SYSTEM)


def test_five_in_a_row_suppress(database):
    bounce(4)
    assert suppressed() == {}
    [event] = bounce(1, start=4)
    assert suppressed() == {"ann@example.org": "soft_bounce"}
    assert event.effects["soft_bounces_in_a_row"] == 5
    assert event.effects["suppression"] == "added"
    assert "too often in a row" in Suppression.get().reason


def test_five_in_one_batch_suppress(database):
    bounce(5)
    assert suppressed() == {"ann@example.org": "soft_bounce"}


def test_the_policy_says_how_many_are_too_many(database):
    set_threshold(2)
    bounce(1)
    assert suppressed() == {}
    bounce(1, start=1)
    assert suppressed() == {"ann@example.org": "soft_bounce"}


def test_a_delivery_in_between_begins_the_count_anew(database):
    bounce(4)
    report({"type": "delivered", "email": "ann@example.org"})
    bounce(4, start=4)
    assert suppressed() == {}
    bounce(1, start=8)
    assert suppressed() == {"ann@example.org": "soft_bounce"}


def test_a_delivery_before_them_changes_nothing(database):
    """By the provider's times, in whatever order the reports come."""
    bounce(4, timestamp=ago(hours=1).isoformat())
    report({"type": "delivered", "email": "ann@example.org", "timestamp": ago(hours=2).isoformat()})
    bounce(1, start=4)
    assert suppressed() == {"ann@example.org": "soft_bounce"}


def test_a_message_counts_once(accept: Accept, lease):
    message = accept()
    send_all(lease)
    for number in range(6):
        report(about(message, "soft_bounce", event_id=str(number)))
    assert SoftBounce.select().count() == 1
    assert suppressed() == {}


def test_addresses_and_workspaces_are_counted_apart(database):
    bounce(4)
    bounce(4, email="bob@example.org")
    report(
        *(
            {"type": "soft_bounce", "email": "ann@example.org", "event_id": str(n)}
            for n in range(4)
        ),
        workspace_id=WORKSPACE_B,
    )
    assert suppressed() == suppressed(WORKSPACE_B) == {}


def test_an_address_is_the_same_in_any_case(database):
    for number, email in enumerate(["Ann@example.org", "ann@EXAMPLE.org", "ANN@example.org"] * 2):
        report({"type": "soft_bounce", "email": email, "event_id": str(number)})
    assert suppressed() == {"ann@example.org": "soft_bounce"}


@pytest.mark.parametrize("kind", ["blocked", "dropped", "deferred", "failed", "hard_bounce"])
def test_what_is_not_the_mailboxs_trouble_does_not_count(database, kind):
    report({"type": kind, "email": "ann@example.org"})
    assert SoftBounce.select().count() == 0


def test_a_bounce_for_policys_sake_does_not_count(database):
    bounce(1, reason="550 5.7.1 Message rejected as spam")
    assert SoftBounce.select().count() == 0


def test_what_a_server_refuses_for_the_mailboxs_sake_counts_too(accept: Accept, lease):
    set_threshold(2)
    for _ in range(2):
        assert suppressed() == {}
        accept()
        end(take_one(lease), says("5.2.2 Mailbox full", code=552))
    assert suppressed() == {"ann@example.org": "soft_bounce"}
    assert not is_suppressed(WORKSPACE_A, "bob@example.org", "transactional")


def test_a_refusal_that_is_tried_again_does_not_count(accept: Accept, lease):
    accept()
    end(take_one(lease), says("4.2.2 Mailbox full", code=452))
    assert SoftBounce.select().count() == 0


@pytest.mark.parametrize(("status", "days", "ends"), [
    (Status.DELIVERED, 0, True), (Status.SENT, 4, True), (Status.SENT, 1, False),
])  # fmt: skip
def test_mail_that_has_arrived_since_ends_the_row(accept: Accept, lease, status, days, ends):
    """Of providers that report no deliveries: what did not come back for days has arrived."""
    bounce(4, timestamp=ago(days=10).isoformat())
    message = accept()
    send_all(lease)
    Attempt.update(finished_at=ago(days=days)).execute()
    if status is not Status.SENT:
        Message.update(status=status).where(Message.id == message.id).execute()
    bounce(1, start=4, timestamp=ago(days=5).isoformat())
    assert (suppressed() == {}) is ends


def test_what_is_old_is_forgotten(database):
    bounce(1, timestamp=ago(days=200).isoformat())
    bounce(1, start=1, timestamp=ago(days=100).isoformat())
    soft_bounces.prune()
    assert SoftBounce.select().count() == 1


def test_removing_the_suppression_begins_the_count_anew(database):
    bounce(5)
    suppressions.remove(WORKSPACE_A, "ann@example.org", reason="asked", by=SYSTEM)
    bounce(4, start=5)
    assert suppressed() == {}


@pytest.mark.parametrize("is_delivery_first", [True, False])
def test_a_delivery_of_before_that_is_read_late_changes_nothing(
    accept: Accept, lease, is_delivery_first
):
    """All of it is read after an outage: what counts is when the message was sent."""
    message = accept()
    send_all(lease)
    Attempt.update(finished_at=ago(hours=2)).execute()
    delivered = about(message, "delivered", timestamp=ago(hours=1).isoformat())
    if is_delivery_first:
        report(delivered)
    bounce(5, timestamp=ago(minutes=30).isoformat())
    if not is_delivery_first:
        report(delivered)
    assert suppressed() == {"ann@example.org": "soft_bounce"}


def test_whatever_the_suppression_came_to_be_the_count_begins_anew(database):
    bounce(5)
    report({"type": "hard_bounce", "email": "ann@example.org"})
    suppressions.remove(WORKSPACE_A, "ann@example.org", reason="asked", by=SYSTEM)
    bounce(1, start=5)
    assert suppressed() == {}
