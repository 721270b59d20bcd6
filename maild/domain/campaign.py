"""The states of a campaign and of a row in its ledger, and the moves between them. Pure.

    draft ----> in_review ----> scheduled ----> preparing ----> sending ----> finished
      |  ^______________________/  ^              |     ^        |    ^
      |___________________________/              paused_|        paused_|
                                                    |               |
                      cancelled <--- from scheduled, preparing, sending and paused

The database refuses every other move with a trigger, and a test compares that with `MOVES`.
"""

from enum import StrEnum


class CampaignStatus(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    """Submitted; a second person has to approve it."""
    SCHEDULED = "scheduled"
    """It begins at `starts_at`."""
    PREPARING = "preparing"
    """Its ledger is being written: a row for each contact."""
    SENDING = "sending"
    """Messages are being made of the rows, and go their way."""
    PAUSED = "paused"
    """Nothing more goes out until somebody resumes it."""
    FINISHED = "finished"
    """Every row has come to its end."""
    CANCELLED = "cancelled"
    """Somebody stopped it for good. What was out by then stays out."""


_S = CampaignStatus

MOVES: dict[CampaignStatus, frozenset[CampaignStatus]] = {
    _S.DRAFT: frozenset({_S.IN_REVIEW, _S.SCHEDULED}),
    _S.IN_REVIEW: frozenset({_S.DRAFT, _S.SCHEDULED}),
    _S.SCHEDULED: frozenset({_S.DRAFT, _S.PREPARING, _S.CANCELLED}),
    _S.PREPARING: frozenset({_S.SENDING, _S.PAUSED, _S.CANCELLED}),
    _S.SENDING: frozenset({_S.PAUSED, _S.FINISHED, _S.CANCELLED}),
    _S.PAUSED: frozenset({_S.PREPARING, _S.SENDING, _S.CANCELLED}),
    _S.FINISHED: frozenset(),
    _S.CANCELLED: frozenset(),
}
"""For each status, those that a campaign may move to from there."""

RUNNING = frozenset({_S.PREPARING, _S.SENDING, _S.PAUSED})
"""It has begun, and is not over."""
OVER = frozenset({_S.FINISHED, _S.CANCELLED})


class RecipientStatus(StrEnum):
    """What has become of one contact. All rows of a campaign together are its audience."""

    QUEUED = "queued"
    """No message was made of it yet, or its message waits, is on its way or held."""
    SENT = "sent"
    DELIVERED = "delivered"
    """Also where the recipient then complained."""
    BOUNCED = "bounced"
    SUPPRESSED = "suppressed"
    """They must not be mailed, or have left; `reason` says which."""
    FAILED = "failed"
    """Refused for good, or no message could be made of it."""
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """Contact was lost after the final dot."""


class AudienceKind(StrEnum):
    EVERYONE = "everyone"
    LIST = "list"
    SEGMENT = "segment"


class TestMetric(StrEnum):
    """By what the better subject of a test is told."""

    OPENS = "opens"
    CLICKS = "clicks"


class Variant(StrEnum):
    A = "a"
    B = "b"


def can_move(old: CampaignStatus, new: CampaignStatus) -> bool:
    """Whether a campaign in `old` may go to `new`. Staying is not a move."""
    return new in MOVES[old]
