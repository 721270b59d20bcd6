"""What a mail that came back says, as the callers see it.

In charge of the words: the kinds of report, and the report itself. Not in charge of reading one.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from maild.domain.provider_event import ProviderEvent


class ReportKind(StrEnum):
    """What sort of mail came to the return path."""

    BOUNCE = "bounce"
    """At least one recipient has failed for good."""
    DELAYED = "delayed"
    """Still trying; nothing is lost yet."""
    DELIVERED = "delivered"
    """Delivered, relayed or expanded, and nobody failed."""
    ABUSE = "abuse"
    """A feedback report (RFC 5965) or an unsubscribe mail: `feedback_type` says which."""
    AUTOREPLY = "autoreply"
    """A vacation reply or the like, by a person's mailbox."""
    OTHER = "other"
    """Nothing that we know: a person's mail, a disposition notification, spam."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one mail says about one of ours. What it does not tell is None or empty."""

    kind: ReportKind
    events: list[ProviderEvent]
    """One for each recipient. A bounce that names nobody has one event without a recipient: the
    message is then known by `verp_id` or `message_ids` alone."""
    message_ids: tuple[str, ...] = ()
    """Message-IDs, without angle brackets, the surest first: the original's own, then those that
    the report answers (In-Reply-To, References)."""
    verp_id: UUID | None = None
    """The message that the return path names: `verp`."""
    original_recipients: tuple[str, ...] = ()
    """Whom the original was written to (its To header): helps where the failing address is the end
    of a forwarding chain."""
    original_envelope_id: str | None = None
    """RFC 3464 2.2.1: what was given as ENVID."""
    reporting_mta: str | None = None
    feedback_type: str | None = None
    subject: str | None = None
    date: datetime | None = None
