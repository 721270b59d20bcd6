"""What providers report, in words: for the timeline of a message, for where it stands, and for what
troubles the reporting itself.

All that a provider has written is shown as plain text: its links lead nowhere from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maild import clock
from maild.domain.provider_event import DSN, GENERIC, OWN, ProviderEventType, RejectReason
from maild.domain.states import EventType, Status
from maild.models import Event
from maild.services import webhook_endpoints
from maild.services.report_watch import Troubled
from maild.web import filters, words

URL_SHOWN_CHARS = 300
"""Links of campaigns carry more than anybody reads."""
SAME_TIME_SECONDS = 10
"""What a provider tells within this time happened as it was told."""

KINDS = frozenset(
    {EventType.DELIVERED, EventType.BOUNCED, EventType.COMPLAINED, EventType.REPORTED}
    | {EventType.OUTCOME_LEARNED}
)
"""The events that may tell of a report; the last one also tells of a late reply, without one."""

_T = ProviderEventType

_SAYINGS: dict[ProviderEventType, str] = {
    _T.QUEUED: "the message waits there to be delivered",
    _T.SENT: "the message was sent on",
    _T.DELIVERED: "the recipient's server took it",
    _T.DEFERRED: "the message could not be delivered yet, and is tried again",
    _T.BOUNCED: "the message could not be delivered",
    _T.REJECTED: "a rule or list of the provider's own kept the message back",
    _T.FAILED: "something went wrong on the provider's own side",
    _T.COMPLAINED: "the recipient called it spam",
    _T.UNSUBSCRIBED: "the recipient unsubscribed",
    _T.SUBSCRIBED: "the recipient subscribed again, which changes nothing here",
    _T.OPENED: "the message was opened",
    _T.CLICKED: "a link in it was clicked",
    _T.AUTORESPONDED: "an automatic reply came back, such as a note of absence",
}
"""What follows "SendGrid reports that"."""
_NOT_KNOWN = "something happened that this version of maild does not know"

_KEPT_BACK: dict[str, str] = {
    RejectReason.INVALID: "it finds the address invalid",
    RejectReason.BOUNCED: "mail to the address came back before",
    RejectReason.TIMED_OUT: "the time for it was over",
    RejectReason.SPAM: "it counts as spam, or was called so before",
    RejectReason.UNSUBSCRIBED: "the recipient has unsubscribed there",
}
"""Why a provider did not even try, as far as it says."""

_NEVER_SENT_ON = frozenset({_T.REJECTED, _T.FAILED})

_MADE_BY: dict[Status, EventType] = {
    Status.SENT: EventType.OUTCOME_LEARNED,
    Status.DELIVERED: EventType.DELIVERED,
    Status.BOUNCED: EventType.BOUNCED,
    Status.COMPLAINED: EventType.COMPLAINED,
}

_TONES: dict[str, str] = {
    EventType.DELIVERED: "ok",
    EventType.BOUNCED: "bad",
    EventType.COMPLAINED: "bad",
    EventType.SILENT: "warn",
    EventType.REPORTING: "ok",
    EventType.SIGNATURES_FAILING: "warn",
}

_ON_ITS_WAY = frozenset({_T.QUEUED.value, _T.SENT.value, _T.DEFERRED.value})


@dataclass(frozen=True, slots=True)
class Attention:
    """What troubles the reports of an endpoint, and what one can do: `advice` ends with the words
    "the page of", which is that of the endpoint. `reason` is why the last request was refused.
    """

    title: str
    since: datetime
    advice: str
    endpoint_id: int
    reason: str | None = None
    heard_at: datetime | None = None
    """When it reported last."""


def is_report(event: Event) -> bool:
    """Whether an event was made by what a provider has reported."""
    return event.type in KINDS and "provider" in event.data and "type" in event.data


def said(data: dict[str, Any], *, is_start: bool = True) -> str:
    """`SendGrid reports that the recipient's server took it`, as it begins a sentence or not."""
    provider, kind = data.get("provider"), data.get("type")
    says = "says" if provider == DSN else "reports"
    known = _SAYINGS.get(_T(kind)) if kind in set(_T) else None
    text = f"{_reporter(provider)} {says} that {known or _NOT_KNOWN}"
    if kind == _T.REJECTED and (why := _KEPT_BACK.get(data.get("reject_reason", ""))):
        text += f": {why}"
    return words.start(text) if is_start else text


def tell(kind: EventType, data: dict[str, Any]) -> str | None:
    """An event of KINDS as the timeline tells it; None where it does not say what was reported."""
    if "provider" not in data or "type" not in data:
        return None
    if kind is EventType.REPORTED:
        return said(data)
    how = {
        EventType.DELIVERED: "Delivered",
        EventType.BOUNCED: "Not delivered" if data["type"] in _NEVER_SENT_ON else "Came back",
        EventType.COMPLAINED: "Complaint",
        EventType.OUTCOME_LEARNED: "The outcome is known after all",
    }[kind]
    return f"{how}: {said(data, is_start=False)}"


def silent(data: dict[str, Any]) -> str:
    """An account of which nothing is heard any more."""
    what = f"“{data.get('smtp_account', '?')}” has stopped reporting: mail goes out"
    at = _time(data.get("last_event_at"))
    if at is None:
        return f"{what}, and no report comes"
    return f"{what}, and no report has come since {filters.moment(at, now=clock.now())}"


def signatures_failing(data: dict[str, Any]) -> str:
    """An account on which only such reports come in as cannot be believed."""
    whose, account = _reports(data.get("provider")), data.get("smtp_account", "?")
    return f"{whose} on “{account}” are refused: their signature or password does not hold"


def tone(event: Event) -> str:
    """The tone of an event in the timeline, as badges have it."""
    if event.data.get("type") == _T.DEFERRED:
        return "warn"
    return _TONES.get(event.type, "neutral")


def happened_at(event: Event) -> datetime | None:
    """When it happened at the provider, where that is not when it was told."""
    at = _time(event.data.get("happened_at"))
    if at is None or abs((event.created_at - at).total_seconds()) < SAME_TIME_SECONDS:
        return None
    return at


def shorten(url: str) -> str:
    """A link as text."""
    return url if len(url) <= URL_SHOWN_CHARS else url[: URL_SHOWN_CHARS - 1] + "…"


def find_cause(status: Status, events: Sequence[Event]) -> Event | None:
    """The report that brought a message to where it stands, if one did; events are oldest first."""
    kind = _MADE_BY.get(status)
    own = (event for event in reversed(events) if event.type == kind and is_report(event))
    return next(own, None)


def find_deferral(events: Sequence[Event]) -> Event | None:
    """The report that a sent message is not delivered yet, where it is the last word on that."""
    for event in reversed(events):
        if is_report(event) and event.data.get("type") in _ON_ITS_WAY:
            return event if event.data["type"] == _T.DEFERRED else None
    return None


def attention(troubled: Sequence[Troubled]) -> list[Attention]:
    """Endpoints that need somebody, each with the one trouble that matters most."""
    return [
        _refusing(one, one.refusing_since) if one.refusing_since else _silent(one)
        for one in troubled
    ]


def _refusing(one: Troubled, since: datetime) -> Attention:
    return Attention(
        title=f"{_reports(one.provider)} on “{one.smtp_account}” are refused",
        since=since,
        advice="Nothing proves that they are real. Compare the secret or password that"
        f" {_there(one.provider)} uses with the one that is stored here. If the two agree, somebody"
        " else is trying; if not, save the right one on the page of",
        endpoint_id=one.endpoint_id,
        reason=one.last_refusal,
        heard_at=one.last_event_at,
    )


def _silent(one: Troubled) -> Attention:
    if one.provider == DSN:
        title = f"No more bounce mails come in for “{one.smtp_account}”"
        look = "Look whether whoever takes mail to the bounce address still passes it on"
    else:
        title = f"{_name(one.provider)} has stopped reporting on “{one.smtp_account}”"
        look = f"Look at {_name(one.provider)} whether the webhook is still on"
    return Attention(
        title=title,
        since=one.silent_since or clock.now(),
        advice=f"Mail goes out, and nothing is heard of it. {look}, to the address that an admin"
        " sees on the page of",
        endpoint_id=one.endpoint_id,
        heard_at=one.last_event_at,
    )


def _reporter(provider: str | None) -> str:
    if provider == DSN:
        return "a report by mail"
    return _name(provider)


def _reports(provider: str | None) -> str:
    if provider == DSN:
        return "Bounce mails"
    return words.start(f"{_name(provider)}'s reports")


def _there(provider: str) -> str:
    return "whoever passes bounce mails on" if provider == DSN else _name(provider)


def _name(provider: str | None) -> str:
    """`SendGrid`; without what a title explains in brackets."""
    if provider in {None, GENERIC, OWN}:
        return "the provider"
    return webhook_endpoints.title_of(provider).partition(" (")[0]


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
