"""What a message's page says of where it stands, which needs no page."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maild.domain.freeze import FreezeKind
from maild.domain.policy import Check, Checked, Verdict
from maild.domain.states import AttemptStatus, EventType, Status, Stream
from maild.domain.suppression import SuppressionClass
from maild.models import Attempt, Event, Freeze, Message, Suppression, Unsubscribe
from maild.services.decisions import Grounds, Record
from maild.web import explanation
from maild.web.explanation import Case, Explanation

NOW = datetime(2026, 1, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)


def explain(
    *,
    grounds: Grounds | None = None,
    records: tuple[Record, ...] = (),
    is_resent: bool = False,
    events: tuple[Event, ...] = (),
    in_force: Suppression | None = None,
    **fields: Any,
) -> Explanation:
    values = {"to_email": "ann@example.org", "expires_at": NOW + 48 * HOUR, **fields}
    case = Case(
        9,
        NOW,
        records=records,
        grounds=grounds or Grounds(),
        is_resent=is_resent,
        events=events,
        suppression=in_force,
    )
    return explanation.explain(Message(**values), case)


def waiting(check: Check, free_at: str) -> Record:
    evidence = {"value": 2000, "limit": 2000, "free_at": free_at}
    return Record(NOW, "accept", 0, Verdict.WAIT, (Checked(check, Verdict.WAIT, evidence),))


@pytest.mark.parametrize(
    ("excused_count", "by_provider", "expected"),
    [
        (0, 0, []),
        (1, 1, ["1 attempt not counted, because the provider was at fault"]),
        (3, 3, ["3 attempts not counted, because the provider was at fault"]),
        (2, 0, ["2 attempts not counted, because a person retried it"]),
        (
            3,
            2,
            [
                "2 attempts not counted, because the provider was at fault",
                "1 attempt not counted, because a person retried it",
            ],
        ),
    ],
)
def test_it_says_why_attempts_do_not_count(
    excused_count: int, by_provider: int, expected: list[str]
) -> None:
    message = Message(excused_count=excused_count)
    attempts = [Attempt(is_excused=number < by_provider) for number in range(4)]
    assert explanation.excuse(message, attempts) == expected


def test_attempts_that_do_not_count_are_not_counted() -> None:
    told = explain(
        status=Status.QUEUED,
        attempt_count=5,
        excused_count=3,
        last_error="421 busy",
        next_attempt_at=NOW,
    )
    assert told.next.startswith("Attempt 3 of 9 is due")


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (Check.WORKSPACE_LIMIT, "waits for room in the hourly limit of 2,000 messages."),
        (
            Check.DOMAIN_LIMIT,
            "waits for room in the hourly limit of 2,000 messages to example.org.",
        ),
    ],
)
def test_a_message_waits_for_room_in_a_limit(check: Check, words: str) -> None:
    at = NOW + HOUR
    told = explain(
        status=Status.QUEUED,
        next_attempt_at=at,
        records=(waiting(check, "2026-01-31T01:00:00Z"),),
    )
    assert told.meaning.endswith(words)
    assert (told.next, told.next_at) == ("It goes out", at)


def test_a_message_that_waits_for_another_time_does_not_wait_for_a_limit() -> None:
    record = waiting(Check.WORKSPACE_LIMIT, "2026-01-31T01:00:00Z")
    told = explain(status=Status.QUEUED, next_attempt_at=NOW + 3 * HOUR, records=(record,))
    assert told.meaning == "It is accepted, and its time has not come yet."


def test_a_message_that_a_person_holds_says_why() -> None:
    told = explain(status=Status.HELD, hold_reason="wrong price")
    assert told.meaning == "It is kept back on purpose: wrong price"


@pytest.mark.parametrize(
    ("changes", "words", "next_at"),
    [
        ({}, "Lift freeze 3 to send it sooner.", NOW + HOUR),
        ({"expires_at": NOW + 90 * HOUR}, "Its lifetime ends before the freeze", NOW + 48 * HOUR),
        ({"expires_at": NOW}, "The freeze is over", None),
        ({"lifted_at": NOW}, "The freeze is over", None),
    ],
)
def test_a_frozen_message_says_by_what_and_until_when(
    changes: dict[str, Any], words: str, next_at: datetime | None
) -> None:
    values = {"id": 3, "kind": FreezeKind.STREAM, "target": "marketing", "expires_at": NOW + HOUR}
    freeze = Freeze(**{**values, **changes})
    told = explain(
        status=Status.HELD,
        freeze=3,
        hold_reason="too many complaints",
        grounds=Grounds(freezes={3: freeze}),
    )
    assert told.meaning == "A freeze stops marketing mail: too many complaints"
    assert told.next.startswith(words)
    assert told.next_at == next_at
    assert told.until == (freeze.expires_at if next_at else None)


@pytest.mark.parametrize("class_", list(SuppressionClass))
def test_a_suppressed_message_says_by_what_and_what_one_can_do(class_: SuppressionClass) -> None:
    row = Suppression(
        id=12, email="ann@example.org", class_=class_, reason="550 5.1.1 no such user"
    )
    grounds = Grounds(suppressions={12: row})
    told = explain(status=Status.SUPPRESSED, suppression=12, grounds=grounds, last_error="451 old")
    assert "The recipient is suppressed " in told.meaning
    assert told.reply == "550 5.1.1 no such user"
    assert told.next.endswith("remove the suppression of ann@example.org, then resend the message.")


@pytest.mark.parametrize("ended", [{"removed_at": NOW}, {"expires_at": NOW}])
def test_a_suppression_that_is_over_stands_in_no_way(ended: dict[str, datetime]) -> None:
    row = Suppression(id=12, class_=SuppressionClass.MANUAL, reason="x", **ended)
    grounds = Grounds(suppressions={12: row})
    told = explain(status=Status.SUPPRESSED, suppression=12, grounds=grounds)
    assert told.next.endswith("since. Resend the message if it still matters.")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"topic": "news", "stream": Stream.MARKETING}, "unsubscribed from topic “news”"),
        ({"stream": Stream.MARKETING}, "unsubscribed from all marketing mail"),
        ({}, "unsubscribed from all mail"),
    ],
)
def test_an_unsubscribed_recipient_is_told_as_such(fields: dict[str, Any], words: str) -> None:
    grounds = Grounds(unsubscribes={4: Unsubscribe(id=4, **fields)})
    told = explain(status=Status.SUPPRESSED, unsubscribe=4, grounds=grounds)
    assert told.meaning == f"The recipient {words}, so it was not sent."
    assert "The recipient alone takes this back" in told.next


def test_whoever_came_back_may_be_mailed_again() -> None:
    grounds = Grounds(unsubscribes={4: Unsubscribe(id=4, removed_at=NOW)})
    told = explain(status=Status.SUPPRESSED, unsubscribe=4, grounds=grounds)
    assert told.next.startswith("They have subscribed again since.")


def test_what_the_policy_forbade_is_told_apart_from_what_a_provider_refused() -> None:
    fields = {"status": Status.FAILED, "last_error": "Mail to example.org is blocked."}
    told = explain(**fields, error_class="policy")
    assert told.meaning.startswith("The workspace's policy")
    assert "change the policy, then retry it" in told.next
    assert told.reply == "Mail to example.org is blocked."
    assert not explain(**fields, error_class="other").meaning.startswith("The workspace's policy")


@pytest.mark.parametrize("fields", [{}, {"error_class": "policy"}])
def test_what_was_resent_is_not_to_be_resent(fields: dict[str, Any]) -> None:
    for status in (Status.FAILED, Status.SUPPRESSED, Status.EXPIRED):
        assert explain(status=status, is_resent=True, **fields).next.startswith("It was resent")


def reported(kind: EventType, type_: str, **data: Any) -> Event:
    return Event(type=kind.value, data={"type": type_, "provider": "ses", **data}, created_at=NOW)


def test_a_delivered_message_says_who_says_so_and_no_old_error() -> None:
    event = reported(EventType.DELIVERED, "delivered", text="250 ok")
    later = reported(EventType.REPORTED, "opened")
    told = explain(status=Status.DELIVERED, events=(event, later), last_error="lost contact")
    assert told.meaning == "Amazon SES reports that the recipient's server took it."
    assert told.reply == "250 ok"
    assert explain(status=Status.DELIVERED, last_error="lost contact").reply is None


@pytest.mark.parametrize(
    ("in_force", "follows"),
    [
        (None, "The address is not suppressed"),
        (
            Suppression(email="ann@example.org", class_=SuppressionClass.HARD_BOUNCE),
            "The address is suppressed as hard bounce: no more mail goes to it. If the address"
            " takes mail after all, remove the suppression of ann@example.org.",
        ),
        (
            Suppression(
                email="ann@example.org", class_=SuppressionClass.MANUAL, stream=Stream.MARKETING
            ),
            "suppressed by hand: no more marketing mail goes to it. If the address takes mail after"
            " all, remove the suppression of ann@example.org for marketing mail.",
        ),
    ],
)
def test_a_bounce_says_why_and_whether_the_address_is_mailed_again(
    in_force: Suppression | None, follows: str
) -> None:
    event = reported(EventType.BOUNCED, "bounced", text="550 5.1.1 no such user")
    told = explain(status=Status.BOUNCED, events=(event,), in_force=in_force)
    assert told.meaning == "Amazon SES reports that the message could not be delivered."
    assert told.reply == "550 5.1.1 no such user"
    assert follows in told.next


def test_a_complaint_is_no_bounce_any_more() -> None:
    events = (
        reported(EventType.BOUNCED, "bounced", text="550 no"),
        reported(EventType.COMPLAINED, "complained"),
    )
    row = Suppression(email="ann@example.org", class_=SuppressionClass.COMPLAINT)
    told = explain(status=Status.COMPLAINED, events=events, in_force=row, last_error="550 no")
    assert told.meaning == "Amazon SES reports that the recipient called it spam."
    assert told.reply is None
    assert told.next.endswith(
        "Only if the recipient asks for your mail again, remove the suppression of ann@example.org."
    )
    assert "not suppressed any more" in explain(status=Status.COMPLAINED, events=events).next


def test_a_sent_message_that_is_not_delivered_yet_says_so() -> None:
    deferred = reported(EventType.REPORTED, "deferred", text="452 full")
    told = explain(status=Status.SENT, smtp_account_name="eu", events=(deferred,))
    assert "could not be delivered yet" in told.meaning
    assert told.reply == "452 full"
    later = reported(EventType.REPORTED, "sent")
    told = explain(status=Status.SENT, smtp_account_name="eu", events=(deferred, later))
    assert told.meaning.startswith("The provider behind “eu” took it")


def test_an_outcome_that_a_report_has_told_was_not_assumed() -> None:
    attempt = Attempt(status=AttemptStatus.UNKNOWN)
    event = reported(EventType.OUTCOME_LEARNED, "queued")
    case = Case(9, NOW, attempts=(attempt,), events=(event,))
    message = Message(status=Status.SENT, smtp_account_name="eu")
    told = explanation.explain(message, case)
    assert told.meaning.endswith("Until then, its outcome was unknown.")
