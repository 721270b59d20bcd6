"""The words of a message's timeline, which need no page."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from maild.domain.provider_event import ProviderEventType
from maild.domain.states import AttemptStatus, EventType
from maild.models import Attempt, Event
from maild.web import story

NOW = datetime(2026, 1, 31, tzinfo=UTC)
OTHER = uuid.UUID("0190b0c8-5f6e-7000-8000-000000000000")
DATA = {"smtp_account": "eu", "to": "us", "reason": "421 busy", "tries": 10, "faults": 9}
DEPLOYED = {"name": "shop", "version": "1.2.3"}


def tell(kind: EventType | str, /, **data: object) -> story.Entry:
    [entry] = story.tell([], [Event(type=str(kind), data=data, created_at=NOW)])
    return entry


@pytest.mark.parametrize("kind", list(EventType))
def test_every_kind_of_event_has_words(kind: EventType) -> None:
    entry = tell(kind, **DATA, **DEPLOYED)
    assert entry.words != kind.value
    assert "{" not in entry.words
    assert "?" not in entry.words


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (EventType.RELEASED, {"attempt_no": 1}, "Given back: the worker had not offered it"),
        (EventType.RELEASED, {"by": "operator key"}, "Released: it may be sent again"),
        (EventType.RELEASED, {}, "Released: the freeze that held it is over"),
        (EventType.FAILED, {"check": "recipient_domain"}, "Failed: the policy has come to forbid"),
        (EventType.FAILED, {"text": "550 no"}, "Failed"),
        (EventType.ASSUMED_SENT, {"by": "operator key"}, "Taken for sent: a person said so"),
        (EventType.ASSUMED_SENT, {"attempt_no": 1}, "Taken for sent, as the rule for mail of its"),
        (
            EventType.SUPPRESSED,
            {"check": "suppression", "class": "hard_bounce"},
            "Not sent: the recipient is suppressed as hard bounce",
        ),
        (EventType.SUPPRESSED, {"check": "suppression"}, "Not sent: the recipient is suppressed"),
        (
            EventType.SUPPRESSED,
            {"check": "unsubscribe", "topic": "news"},
            "Not sent: the recipient has unsubscribed from topic “news”",
        ),
        (EventType.SUPPRESSED, {}, "Not sent: this recipient must not be mailed"),
        (EventType.HELD, {"check": "freeze"}, "Held: a freeze stops it"),
        (EventType.HELD, {"by": "operator key"}, "Held: it is kept back until it is released"),
        (
            EventType.UNSUBSCRIBED,
            {"stream": "marketing"},
            "The recipient unsubscribed from all marketing mail",
        ),
        (EventType.UNSUBSCRIBED, {"topic": "news"}, "The recipient unsubscribed from topic “news”"),
        (EventType.UNSUBSCRIBED, {}, "The recipient unsubscribed from all mail"),
        (
            EventType.FREEZE_STARTED,
            {"kind": "stream", "target": "marketing"},
            "A freeze began: marketing mail stands still",
        ),
        (
            EventType.FREEZE_ENDED,
            {"kind": "workspace"},
            "A freeze ended: all mail may go out again",
        ),
        (EventType.FREEZE_STARTED, {"kind": "planet"}, "A freeze began: some mail stands still"),
        (EventType.POLICY_CHANGED, {"version": 3}, "The policy was changed"),
        (
            EventType.POLICY_CHANGED,
            {"restored_version": 0},
            "The policy was changed back to the instance's defaults",
        ),
        (EventType.FAILED_OVER, DATA, "Mail goes through “us” instead of “eu”"),
        (EventType.FAILED_OVER, {}, "Mail goes through “?” instead of “?”"),
        (
            EventType.SILENT,
            {"smtp_account": "eu", "last_event_at": "2026-01-30T09:30:00+00:00"},
            "“eu” has stopped reporting: mail goes out, and no report has come since 30 Jan 2026",
        ),
        (EventType.REPORTING, {"smtp_account": "eu"}, "“eu” reports again"),
        (
            EventType.SIGNATURES_FAILING,
            {"smtp_account": "eu", "provider": "mandrill"},
            "Mandrill's reports on “eu” are refused: their signature or password does not hold",
        ),
        (
            EventType.SIGNATURES_FAILING,
            {"smtp_account": "eu", "provider": "dsn"},
            "Bounce mails on “eu” are refused",
        ),
        (EventType.OUTCOME_LEARNED, {}, "The outcome is known after all: the reply came in late"),
    ],
)
def test_an_event_says_what_its_data_knows(
    kind: EventType, data: dict[str, object], words: str
) -> None:
    assert tell(kind, **data).words.startswith(words)


def test_details_are_for_people() -> None:
    entry = tell(
        EventType.BREAKER_OPENED,
        **DATA,
        error_class="tls_failed",
        retry_in_seconds=90,
    )
    assert entry.details == (
        ("Reason", "421 busy"),
        ("Class", "tls failed"),
        ("Faults", "9"),
        ("Tries", "10"),
        ("Next try", "1 m 30 s later"),
    )


@pytest.mark.parametrize("kind", [*EventType, "message.praised"])
def test_no_ids_and_no_structures_are_shown(kind: EventType | str) -> None:
    data = {
        "decision": {"policy_version": 1, "checks": [{"check": "freeze"}]},
        "by_status": {"sent": 1},
        "check": "freeze",
        "suppression_id": 4711,
        "unsubscribe_id": 4711,
        "freeze_id": 4711,
        "new_message_id": str(OTHER),
        "old_message_id": str(OTHER),
    }
    entry = tell(kind, **data)
    shown = entry.words + "".join(name + value for name, value in entry.details)
    assert not any(part in shown for part in ("{", "4711", str(OTHER)))


@pytest.mark.parametrize(
    ("kind", "name"),
    [(EventType.RESENT, "new_message_id"), (EventType.COPIED, "old_message_id")],
)
def test_a_resend_leads_to_the_other_message(kind: EventType, name: str) -> None:
    link = tell(kind, **{name: str(OTHER)}, by="admin key").link
    assert link is not None
    assert link.message_id == OTHER
    assert tell(kind, **{name: "javascript:"}).link is None
    assert tell(kind).link is None


def test_who_did_it_is_told_but_the_recipient_only_once() -> None:
    assert tell(EventType.CANCELLED, by="operator key").details == (("By", "operator key"),)
    entry = tell(EventType.UNSUBSCRIBED, by="the recipient", source="one_click")
    assert entry.details == (("How", "one click in their mail program"),)


def test_an_event_of_another_version_of_maild_tells_its_simple_facts() -> None:
    entry = tell("message.praised", by_whom="Ann", times=2, said={"a": 1})
    assert entry.words == "message.praised"
    assert entry.details == (("By whom", "Ann"), ("Times", "2"))


def test_what_an_attempt_tells_is_not_told_twice() -> None:
    attempt = Attempt(
        attempt_no=1, status=AttemptStatus.UNKNOWN, smtp_account_name="eu", started_at=NOW
    )
    data = {"attempt_no": 1, "text": "lost", "error_class": "connection"}
    event = Event(type=EventType.ASSUMED_SENT.value, data=data, created_at=NOW)
    _, told = sorted(story.tell([attempt], [event]), key=lambda entry: entry.attempt is None)
    assert told.details == ()


def test_words_in_an_event_are_no_template() -> None:
    assert "{evil}" in tell(EventType.PAUSED, smtp_account="{evil}").words
    assert "{evil}" in tell(EventType.UNSUBSCRIBED, topic="{evil}").words


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (
            EventType.DELIVERED,
            {"type": "delivered", "provider": "sendgrid"},
            "Delivered: SendGrid reports that the recipient's server took it",
        ),
        (
            EventType.DELIVERED,
            {"type": "opened", "provider": "ses"},
            "Delivered: Amazon SES reports that the message was opened",
        ),
        (
            EventType.BOUNCED,
            {"type": "bounced", "provider": "generic"},
            "Came back: the provider reports that the message could not be delivered",
        ),
        (
            EventType.BOUNCED,
            {"type": "bounced", "provider": "dsn"},
            "Came back: a report by mail says that the message could not be delivered",
        ),
        (
            EventType.BOUNCED,
            {"type": "rejected", "provider": "sendgrid", "reject_reason": "bounced"},
            "Not delivered: SendGrid reports that a rule or list of the provider's own kept the"
            " message back: mail to the address came back before",
        ),
        (
            EventType.BOUNCED,
            {"type": "rejected", "provider": "sendgrid", "reject_reason": "blocked"},
            "Not delivered: SendGrid reports that a rule or list of the provider's own kept the"
            " message back",
        ),
        (
            EventType.COMPLAINED,
            {"type": "complained", "provider": "postmark"},
            "Complaint: Postmark reports that the recipient called it spam",
        ),
        (
            EventType.OUTCOME_LEARNED,
            {"type": "queued", "provider": "mandrill"},
            "The outcome is known after all: Mandrill reports that the message waits there to be"
            " delivered",
        ),
        (
            EventType.REPORTED,
            {"type": "deferred", "provider": "generic"},
            "The provider reports that the message could not be delivered yet, and is tried again",
        ),
        (
            EventType.REPORTED,
            {"type": "praised", "provider": "pigeon"},
            "Pigeon reports that something happened that this version of maild does not know",
        ),
    ],
)
def test_a_report_says_who_reports_what(
    kind: EventType, data: dict[str, object], words: str
) -> None:
    entry = tell(kind, **data)
    assert entry.words == words


@pytest.mark.parametrize("kind", set(ProviderEventType) - {ProviderEventType.UNKNOWN})
def test_every_kind_of_report_has_words(kind: ProviderEventType) -> None:
    words = tell(EventType.REPORTED, type=kind.value, provider="postmark").words
    assert words.startswith("Postmark reports that ")
    assert "does not know" not in words


def test_a_report_quotes_what_was_said_and_tells_the_rest() -> None:
    url = "https://example.org/" + "x" * 400
    entry = tell(
        EventType.REPORTED,
        type="clicked",
        provider="postmark",
        text="550 5.1.1 no such user",
        error_class="invalid_recipient",
        url=url,
        happened_at="2026-01-30T22:00:00+00:00",
        report_id=4711,
    )
    assert entry.reply == "550 5.1.1 no such user"
    assert entry.link is None
    assert entry.details == (
        ("Class", "invalid recipient"),
        ("Link", url[:299] + "…"),
        ("Happened", "2026-01-30 22:00:00.000 UTC"),
    )


@pytest.mark.parametrize("seconds", [-9, 9])
def test_a_report_at_the_same_time_does_not_tell_it_twice(seconds: float) -> None:
    at = (NOW + timedelta(seconds=seconds)).isoformat()
    data = {"type": "delivered", "provider": "ses", "happened_at": at}
    assert tell(EventType.DELIVERED, **data).details == ()


def test_what_was_refused_is_counted() -> None:
    entry = tell(EventType.SIGNATURES_FAILING, smtp_account="eu", reason="no", refused=1234)
    assert entry.details == (("Reason", "no"), ("Refused", "1,234 requests"))


@pytest.mark.parametrize(
    ("kind", "type_", "tone"),
    [
        (EventType.DELIVERED, "delivered", "ok"),
        (EventType.BOUNCED, "bounced", "bad"),
        (EventType.COMPLAINED, "complained", "bad"),
        (EventType.REPORTED, "deferred", "warn"),
        (EventType.REPORTED, "opened", "neutral"),
    ],
)
def test_a_report_has_the_tone_of_what_it_says(kind: EventType, type_: str, tone: str) -> None:
    assert tell(kind, type=type_, provider="ses").tone == tone
