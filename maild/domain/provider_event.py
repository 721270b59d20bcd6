"""What a provider reports about one recipient of one message, in one form for all providers.

The modules in `transports/webhooks/` and `domain/bounce_mail/` make these from what comes in;
`services/provider_events.py` acts on them. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

DSN, GENERIC, OWN = "dsn", "generic", "maild"
"""What stands for the provider of bounce mails, and of reports in maild's own format: those for the
whole instance, and those at an endpoint of a workspace.
"""


class ProviderEventType(StrEnum):
    """What happened, in the words that all providers share."""

    QUEUED = "queued"
    """The provider has taken the message, and not yet tried to deliver it."""
    SENT = "sent"
    """The provider has sent it on; nothing says yet that the recipient's server took it."""
    DELIVERED = "delivered"
    """The recipient's server took it."""
    DEFERRED = "deferred"
    """The recipient's server said "not now"; the provider tries again by itself."""
    BOUNCED = "bounced"
    """It came back, or the provider has given up; `is_hard` tells what of the address."""
    REJECTED = "rejected"
    """The provider did not even try, by a rule or a suppression list of its own."""
    FAILED = "failed"
    """Something went wrong at the provider itself."""
    COMPLAINED = "complained"
    """The recipient called it spam."""
    UNSUBSCRIBED = "unsubscribed"
    """The recipient opted out, by a link or list of the provider's."""
    SUBSCRIBED = "subscribed"
    """The recipient took an opt-out back, at the provider."""
    OPENED = "opened"
    CLICKED = "clicked"
    AUTORESPONDED = "autoresponded"
    """A vacation reply or the like: nothing is wrong with the address."""
    UNKNOWN = "unknown"
    """A kind of event that this version does not know. Kept, and without effect."""


class RejectReason(StrEnum):
    """Why a message did not reach its recipient, or should not be sent again."""

    INVALID = "invalid"
    """The address is not well-formed, or the provider finds its domain impossible."""
    BOUNCED = "bounced"
    """It came back, now or earlier."""
    TIMED_OUT = "timed_out"
    """The provider has tried for as long as it does."""
    BLOCKED = "blocked"
    """A policy of the recipient's server or of the provider."""
    SPAM = "spam"
    """A complaint, or content that looks like spam."""
    UNSUBSCRIBED = "unsubscribed"
    OTHER = "other"


class PayloadStatus(StrEnum):
    """Whether the events of a payload are known."""

    RECEIVED = "received"
    """Stored as it came."""
    READ = "read"
    """Its events stand in rows of their own; or it stands there as a dead letter."""


class ReportStatus(StrEnum):
    """Where a provider event stands."""

    RECEIVED = "received"
    """Read, and not yet applied."""
    APPLIED = "applied"
    IGNORED = "ignored"
    """Nothing follows from what it says; or a person has dismissed it as a dead letter."""
    DUPLICATE = "duplicate"
    """It came before, and has no effect a second time."""
    DEAD_LETTER = "dead_letter"
    """It could not be read or applied; kept whole until a person has it replayed."""
    REPLAYED = "replayed"
    """It was a dead letter, and a replay has applied it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvent:
    """One event about one recipient. What a provider does not tell is None or empty."""

    event_type: ProviderEventType
    recipient: str | None = None
    """The address as the provider writes it."""
    event_id: str | None = None
    """The provider's id of this event: the same when it is delivered again."""
    message_id: str | None = None
    """The provider's id of the message; with some providers it is the Message-ID header."""
    message_id_header: str | None = None
    """The Message-ID of the mail, with or without angle brackets, where the payload holds it."""
    timestamp: datetime | None = None
    """When it happened, aware."""
    reject_reason: RejectReason | None = None
    is_hard: bool | None = None
    """Of `bounced` and `rejected`: True where the provider says that the address or its domain does
    not exist or takes no mail for good; False where it says that the trouble passes or has another
    cause (soft, blocked, quota, spam, policy); None where it does not say.
    """
    mta_response: str | None = None
    """What the recipient's server said."""
    description: str | None = None
    """What the provider says about it in words of its own."""
    click_url: str | None = None
    user_agent: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What the sender had given to the provider along with the message."""
    raw: Any = None
    """The part of the payload that this event was made of: JSON data, or text."""


MESSAGE_ID_KEY = "maild_message_id"
"""Under this name maild gives a message's id to providers, which give it back in `metadata`."""


def to_report(event: ProviderEvent) -> dict[str, Any]:
    """The event as JSON, for the database; `raw` as it is."""
    # Not `asdict`, which copies `raw` to the bottom.
    data = {field.name: getattr(event, field.name) for field in fields(event)}
    data["timestamp"] = event.timestamp and event.timestamp.isoformat()
    return {name: value for name, value in data.items() if value not in (None, (), {})}


def from_report(data: Mapping[str, Any]) -> ProviderEvent:
    """What `to_report` made JSON of."""
    values = dict(data)
    values["event_type"] = ProviderEventType(values["event_type"])
    if "reject_reason" in values:
        values["reject_reason"] = RejectReason(values["reject_reason"])
    if "timestamp" in values:
        values["timestamp"] = datetime.fromisoformat(values["timestamp"])
    values["tags"] = tuple(values.get("tags", ()))
    return ProviderEvent(**values)
