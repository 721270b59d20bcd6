"""The states of a message, the moves between them, and the kinds of event that tell of them.

    queued -----> sending -----> sent -----> delivered | bounced | complained
      |  ^           |
      |  |           +--> queued      deferred: the next attempt has a time
      |  |           +--> failed      permanent refusal, or attempts used up
      |  |           +--> unknown     contact lost after the final dot
      |  |
      |  +---- held, failed, unknown  (a person lets go, or retries)
      |
      +-----> suppressed | cancelled | expired | held

`docs/states.md` draws the same picture for people. The database refuses every other move with a
trigger (`migrations/`), and a test compares that trigger with `MOVES`.
"""

from enum import StrEnum


class Status(StrEnum):
    """Where a message stands. Terminal ones never change by themselves."""

    QUEUED = "queued"
    """Waiting for `next_attempt_at`; deferred messages are queued with a later time."""
    SENDING = "sending"
    """A worker holds it under a lease, with its attempt already written down."""
    SENT = "sent"
    """The provider answered 250 to the final dot."""
    DELIVERED = "delivered"
    """The provider reported that the recipient's server took it."""
    BOUNCED = "bounced"
    """The provider reported that it came back. A late bounce beats delivered."""
    COMPLAINED = "complained"
    """The recipient called it spam."""
    FAILED = "failed"
    """Refused for good, or its attempts are used up. A person may retry it."""
    SUPPRESSED = "suppressed"
    """The recipient must not be mailed; nothing was sent."""
    CANCELLED = "cancelled"
    """Somebody withdrew it before it was sent."""
    EXPIRED = "expired"
    """Its lifetime ended before it could be sent."""
    HELD = "held"
    """A freeze or a person keeps it back until release."""
    UNKNOWN = "unknown"
    """Contact was lost after the final dot: it may or may not have been taken. Never retried
    silently.
    """


_S = Status

MOVES: dict[Status, frozenset[Status]] = {
    # The last four only where an attempt is behind it whose outcome was unknown.
    _S.QUEUED: frozenset(
        {_S.SENDING, _S.SUPPRESSED, _S.CANCELLED, _S.EXPIRED, _S.HELD, _S.FAILED}
        | {_S.SENT, _S.DELIVERED, _S.BOUNCED, _S.COMPLAINED}
    ),
    _S.SENDING: frozenset({_S.QUEUED, _S.SENT, _S.FAILED, _S.UNKNOWN, _S.SUPPRESSED}),
    _S.SENT: frozenset({_S.DELIVERED, _S.BOUNCED, _S.COMPLAINED}),
    _S.DELIVERED: frozenset({_S.BOUNCED, _S.COMPLAINED}),
    _S.BOUNCED: frozenset({_S.COMPLAINED}),
    _S.COMPLAINED: frozenset(),
    _S.FAILED: frozenset({_S.QUEUED}),
    _S.SUPPRESSED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.EXPIRED: frozenset(),
    # The last four only where a restore holds it: it may have been sent since the backup.
    _S.HELD: frozenset(
        {_S.QUEUED, _S.CANCELLED, _S.EXPIRED, _S.SUPPRESSED}
        | {_S.SENT, _S.DELIVERED, _S.BOUNCED, _S.COMPLAINED}
    ),
    _S.UNKNOWN: frozenset({_S.QUEUED, _S.SENT, _S.DELIVERED, _S.BOUNCED, _S.COMPLAINED}),
}
"""For each status, the statuses that a message may move to from there."""

UNFINISHED = frozenset({_S.QUEUED, _S.SENDING, _S.HELD})
"""Statuses in which maild itself still has something to do; the console keeps watching these."""


def can_move(old: Status, new: Status) -> bool:
    """Whether a message in `old` may go to `new`. Staying is not a move."""
    return new in MOVES[old]


class EventType(StrEnum):
    """The facts of a timeline. Append-only: an event is never changed or taken back.

    Those of `provider` tell of an SMTP account, and belong to a workspace or to the instance.
    """

    ACCEPTED = "message.accepted"
    SENT = "message.sent"
    DEFERRED = "message.deferred"
    FAILED = "message.failed"
    OUTCOME_UNKNOWN = "message.outcome_unknown"
    OUTCOME_LEARNED = "message.outcome_learned"
    """An unknown outcome became known after all: the reply came in late."""
    ASSUMED_SENT = "message.assumed_sent"
    """The outcome stays unknown; the rule for the stream, or a person, takes it for sent."""
    RELEASED = "message.released"
    """A worker gave it back before offering it to a server; the attempt was not used. Or a hold
    ended.
    """
    RESCUED = "message.rescued"
    """Its worker died; the message went back to the queue, or failed with its attempts used up."""
    SUPPRESSED = "message.suppressed"
    EXPIRED = "message.expired"
    HELD = "message.held"
    CANCELLED = "message.cancelled"
    RETRIED = "message.retried"
    """A person asked for one more series of attempts."""
    HASTENED = "message.hastened"
    """A person had it tried at once, before its next attempt was due."""
    RESENT = "message.resent"
    """A person sent a copy of it, which is another message."""
    COPIED = "message.copied"
    """It is such a copy."""
    UNSUBSCRIBED = "message.unsubscribed"
    """Its recipient opted out; of what, the event says."""
    RESUBSCRIBED = "message.resubscribed"
    """Its recipient took that back, by the same link."""
    DELIVERED = "message.delivered"
    """Its provider reports that the recipient's server took it."""
    BOUNCED = "message.bounced"
    """Its provider reports that it came back, or was never sent on."""
    COMPLAINED = "message.complained"
    """Its recipient called it spam."""
    REPORTED = "message.reported"
    """Its provider reports something that does not change where it stands; `type` says what."""

    BREAKER_OPENED = "provider.breaker_opened"
    """Too many of its faults: nothing goes through this SMTP account for a while."""
    BREAKER_HALF_OPENED = "provider.breaker_half_opened"
    """A trickle goes through it, to see."""
    BREAKER_CLOSED = "provider.breaker_closed"
    FAILED_OVER = "provider.failed_over"
    """Mail goes through the next healthy account."""
    FAILED_BACK = "provider.failed_back"
    SLOWED = "provider.slowed"
    """The provider throttles; maild sends more slowly."""
    PAUSED = "provider.paused"
    RESUMED = "provider.resumed"
    SILENT = "provider.silent"
    """It used to report, mail goes out through it, and no report comes."""
    REPORTING = "provider.reporting"
    """Its reports come in again."""
    SIGNATURES_FAILING = "provider.signatures_failing"
    """What claims to be its reports is refused: a secret has changed, or somebody tries."""

    FREEZE_STARTED = "freeze.started"
    """Some mail of the workspace stands still."""
    FREEZE_ENDED = "freeze.ended"
    """It was lifted, or its time was over."""

    POLICY_CHANGED = "policy.changed"
    """Another version of the workspace's policy is in force."""

    CONSERVATION_BROKEN = "conservation.broken"
    """There are not as many messages as were accepted."""
    CONSERVATION_RESTORED = "conservation.restored"

    DEPLOYMENT_RECORDED = "deployment.recorded"
    """A version of something else was deployed, as whoever did it says."""
    MAILD_DEPLOYED = "maild.deployed"
    """Another version of maild itself runs."""


class AttemptStatus(StrEnum):
    """How one try of one message ended."""

    STARTED = "started"
    """Under way: told by the message itself, which is `sending`. Never stored as an attempt."""
    SENT = "sent"
    DEFERRED = "deferred"
    """A transient refusal or a fault on the way; another attempt is scheduled."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    INTERRUPTED = "interrupted"
    """The worker died before the message was out: it was certainly not sent."""


class Stream(StrEnum):
    """What kind of mail a message is. Transactional goes first."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"


PRIORITY: dict[Stream, int] = {Stream.TRANSACTIONAL: 0, Stream.MARKETING: 10}
"""The order of claims: lower first."""
