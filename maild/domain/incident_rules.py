"""When troubles are worth a person's time, and how bad they are. Pure.

A trouble is counted in slots. It makes an incident where it is seen often enough in the latest
slots, much more often than usual, and by a share of the tries that is no noise.
"""

from dataclasses import dataclass

from maild.domain.incident import IncidentKind, Severity
from maild.domain.reply_classes import ErrorClass

SLOT_SECONDS = 300
RECENT_SLOTS = 2
"""The present slot and the one before: five to ten minutes. One alone would forget at its end."""
BASELINE_SLOTS = 24 * 3600 // SLOT_SECONDS
"""What is usual is told by a day: what comes every night is nothing new."""
GROWTH = 3.0
"""So many times the usual is unusual."""

SEEN_MIN = 10
"""Fewer servers' answers than this in ten minutes page nobody."""
PATH_SEEN_MIN = 5
"""What ails an account ails all of its mail: fewer are enough."""
RECIPIENT_SEEN_MIN = 20
"""Addresses go stale, mailboxes fill up: some of that is every day's."""
SHARE_MIN = 0.02
RECIPIENT_SHARE_MIN = 0.10
"""Of an account's tries. Providers close accounts whose lists bounce by a tenth."""

WIDE_FAMILIES = 3
"""So many families of domains that hear the same do not have it of themselves."""
ALL_SHARE = 0.8
"""From this share on an account tells all mail the same."""
MOST_SHARE = 0.5
"""Servers that know nothing of each other do not put half of all mail off in the same words."""

MAJOR_MESSAGES = 100
CRITICAL_MESSAGES = 10_000

JOINED_ALIKE = 3
"""Where so many incidents of one account and class are open, the next is not one more."""

_RECIPIENT = frozenset(
    {
        ErrorClass.INVALID_RECIPIENT,
        ErrorClass.INVALID_DOMAIN,
        ErrorClass.INACTIVE_MAILBOX,
        ErrorClass.MAILBOX_FULL,
    }
)
_MESSAGE = frozenset({ErrorClass.SPAM_CONTENT, ErrorClass.MESSAGE_TOO_LARGE})
_OF_PATH = frozenset({IncidentKind.PROVIDER, IncidentKind.UNKNOWN_OUTCOMES})


@dataclass(frozen=True, slots=True)
class Volume:
    """How often a trouble was seen: in the recent slots, in the day before them, and how many tries
    its account made in the recent slots. `is_wide`: not with one family of domains only.
    """

    recent_count: int
    before_count: int = 0
    try_count: int = 0
    is_wide: bool = False

    @property
    def share(self) -> float:
        """Of the account's tries; 1 where they are not known."""
        return min(1.0, self.recent_count / self.try_count) if self.try_count else 1.0

    @property
    def usual_count(self) -> float:
        """How often it is seen in as many slots of any other time of the day."""
        return self.before_count * RECENT_SLOTS / (BASELINE_SLOTS - RECENT_SLOTS)


def is_of_path(kind: IncidentKind, error_class: str | None, volume: Volume) -> bool:
    """Whether it is the account's trouble, not that of some recipients or messages: told by its
    kind, or because the account says it to mail of all sorts.
    """
    if kind in _OF_PATH:
        return True
    if kind is not IncidentKind.DELIVERY or error_class in _RECIPIENT | _MESSAGE:
        return False
    if error_class == ErrorClass.GREYLISTED and volume.share < MOST_SHARE:
        return False
    return volume.is_wide or volume.share >= ALL_SHARE


def is_burst(kind: IncidentKind, error_class: str | None, volume: Volume) -> bool:
    """Whether it makes an incident."""
    if error_class in _RECIPIENT:
        seen_min, share_min = RECIPIENT_SEEN_MIN, RECIPIENT_SHARE_MIN
    elif kind in _OF_PATH or volume.is_wide:
        seen_min, share_min = PATH_SEEN_MIN, SHARE_MIN
    else:
        seen_min, share_min = SEEN_MIN, SHARE_MIN
    return (
        volume.recent_count >= seen_min
        and volume.recent_count >= GROWTH * volume.usual_count
        and volume.share >= share_min
    )


def seen_min(kind: IncidentKind, error_class: str | None) -> int:
    """How often it must have been seen since it was resolved, to come back."""
    if error_class in _RECIPIENT:
        return RECIPIENT_SEEN_MIN
    return PATH_SEEN_MIN if kind in _OF_PATH else SEEN_MIN


def severity(kind: IncidentKind, *, message_count: int, has_path: bool) -> Severity:
    """How bad it is, as far as maild can tell. `has_path`: some account can carry the mail."""
    if kind is IncidentKind.CONSERVATION or message_count >= CRITICAL_MESSAGES:
        return Severity.CRITICAL
    if kind is IncidentKind.PROVIDER:
        return Severity.MAJOR if has_path else Severity.CRITICAL
    if kind is IncidentKind.UNKNOWN_OUTCOMES or message_count >= MAJOR_MESSAGES:
        return Severity.MAJOR
    return Severity.MINOR
