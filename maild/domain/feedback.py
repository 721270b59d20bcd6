"""What follows from a provider event: for the message, for the address, for the count of soft
bounces. Pure.

The rules (`docs/feedback.md` tells them to people):

* A message goes as far as the furthest event says, in whatever order they come: sent, delivered,
  bounced, complained. So a late bounce beats delivered, and nothing beats a complaint.
* An address is suppressed on a complaint, and on a bounce that says that the address or its domain
  is bad: the provider's word for it, unless the server's own words name another cause; or the
  server's words alone where the provider does not say. What is soft, blocked, dropped or over quota
  never suppresses at once.
* Bounces that the mailbox is to blame for, and that may pass, are counted (`policies`:
  `soft_bounce_threshold`). What a policy or a reputation has refused says nothing of the address.
* Nothing that a provider says ever lets an address be mailed again.
"""

import re
from dataclasses import dataclass

from maild.domain.provider_event import ProviderEvent, ProviderEventType, RejectReason
from maild.domain.smtp_reply import ErrorClass, Fault, Stage, Verdict, classify, parse
from maild.domain.states import Status
from maild.domain.suppression import SuppressionClass

_T = ProviderEventType

_TARGETS: dict[ProviderEventType, Status] = {
    _T.QUEUED: Status.SENT,
    _T.SENT: Status.SENT,
    _T.DEFERRED: Status.SENT,
    _T.DELIVERED: Status.DELIVERED,
    _T.OPENED: Status.DELIVERED,
    _T.CLICKED: Status.DELIVERED,
    _T.UNSUBSCRIBED: Status.DELIVERED,
    _T.BOUNCED: Status.BOUNCED,
    _T.REJECTED: Status.BOUNCED,
    _T.FAILED: Status.BOUNCED,
    _T.COMPLAINED: Status.COMPLAINED,
}
"""How far the message has come at least: whatever a provider tells of one, it has taken it."""

PROGRESS = (Status.SENT, Status.DELIVERED, Status.BOUNCED, Status.COMPLAINED)
"""Each of these gives way to the ones behind it."""

_PASSING = frozenset(
    {ErrorClass.MAILBOX_FULL, ErrorClass.INACTIVE_MAILBOX, ErrorClass.INVALID_RECIPIENT}
    | {ErrorClass.INVALID_DOMAIN, ErrorClass.DNS, ErrorClass.TIMEOUT, ErrorClass.CONNECTION}
    | {ErrorClass.RATE_LIMITED, ErrorClass.GREYLISTED}
)
"""What may ail a mailbox or its server, as far as the recipient's side is at fault."""
_UNSURE = frozenset({ErrorClass.UNKNOWN, ErrorClass.CONNECTION, ErrorClass.TIMEOUT, ErrorClass.DNS})
"""What a provider hears, or does not hear, from the recipient's server: none of its own trouble."""
_NOT_THE_MAILBOX = frozenset({RejectReason.BLOCKED, RejectReason.SPAM, RejectReason.UNSUBSCRIBED})

_BAD_ADDRESS = frozenset({ErrorClass.INVALID_RECIPIENT, ErrorClass.INVALID_DOMAIN})
_OTHER_CAUSES = frozenset(
    {ErrorClass.MAILBOX_FULL, ErrorClass.RATE_LIMITED, ErrorClass.GREYLISTED}
    | {ErrorClass.SPAM_CONTENT, ErrorClass.REPUTATION, ErrorClass.MESSAGE_TOO_LARGE}
    | {ErrorClass.TIMEOUT}
)
"""What a provider may call hard, and is not the address's doing."""

# Providers put the kind of the diagnostic before it, as RFC 3464 2.3.6 does: "smtp; 550 5.1.1 ...".
_KIND = re.compile(r"\s*(?:smtp|x-[\w-]{1,40}|unix|dns)\s*;\s*", re.IGNORECASE | re.ASCII)
_CODE = re.compile(r"(?:^|[\s(:>])([45]\d\d)(?=[\s-]\s*\S)", re.ASCII)
_ENHANCED = re.compile(r"(?:^|[\s(#])([45]\.\d\.\d{1,3})(?=[\s):,;]|$)", re.ASCII)
_TEXT_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Consequence:
    """`target`: where the message stands now at least. `error_class`: of what kind the trouble is,
    where there is any.
    """

    target: Status | None = None
    suppression: SuppressionClass | None = None
    is_soft_bounce: bool = False
    is_delivery: bool = False
    """Mail to the address arrives: soft bounces before that do not count any more."""
    is_unsubscribe: bool = False
    error_class: ErrorClass | None = None

    @property
    def needs_address(self) -> bool:
        """Whether something is to be done about the recipient's address."""
        return bool(self.suppression or self.is_soft_bounce or self.is_unsubscribe)


def judge(event: ProviderEvent, *, is_read_by_maild: bool = False) -> Consequence:
    """What follows from an event.

    `is_read_by_maild`: its `is_hard` is maild's own reading of a bounce mail, which has weighed the
    server's words already.
    """
    kind = event.event_type
    target = _TARGETS.get(kind)
    verdict = read_response(event.mta_response)
    error_class = verdict.error_class if verdict else None
    if kind is _T.COMPLAINED:
        return Consequence(target, SuppressionClass.COMPLAINT)
    if kind is _T.BOUNCED:
        suppresses = event.is_hard is True if is_read_by_maild else _is_dead_address(event, verdict)
        return Consequence(
            target,
            SuppressionClass.HARD_BOUNCE if suppresses else None,
            is_soft_bounce=not suppresses and _is_soft_bounce(event, verdict),
            error_class=error_class,
        )
    if kind in {_T.REJECTED, _T.FAILED, _T.DEFERRED}:
        return Consequence(target, error_class=error_class)
    if kind is _T.UNSUBSCRIBED:
        return Consequence(target, is_unsubscribe=True)
    return Consequence(target, is_delivery=target is Status.DELIVERED)


def advance(status: Status, target: Status) -> Status | None:
    """Where a message in `status` goes by a report that it has come as far as `target`; None:
    it stays.
    """
    if status not in PROGRESS:
        return target if status in {Status.UNKNOWN, Status.QUEUED, Status.HELD} else None
    return target if PROGRESS.index(target) > PROGRESS.index(status) else None


def read_response(text: str | None) -> Verdict | None:
    """What the words of the recipient's server mean, as a provider passes them on; None where there
    is no refusal in them.
    """
    if not text:
        return None
    line = _KIND.sub("", " ".join(text[:_TEXT_MAX].split()), count=1)
    code = _CODE.search(line)
    if code:
        return classify(parse([line[code.start(1) :]]), Stage.RCPT_TO)
    enhanced = _ENHANCED.search(line)
    if enhanced:
        digit = enhanced[1][0]
        return classify(parse([f"{digit}50 {line[enhanced.start(1) :]}"]), Stage.RCPT_TO)
    return None


def _is_dead_address(event: ProviderEvent, verdict: Verdict | None) -> bool:
    if event.is_hard is False:
        return False
    if event.is_hard is None:
        return verdict is not None and verdict.suppresses
    # Providers call a 550 hard, whatever its text says: the text knows better where it is known.
    if verdict is not None and verdict.error_class is not ErrorClass.UNKNOWN:
        return verdict.suppresses or verdict.error_class in _BAD_ADDRESS
    words = event.mta_response or event.description
    return words is None or _read_words(words) not in _OTHER_CAUSES


def _read_words(text: str) -> ErrorClass:
    """What words without a reply code name as the cause."""
    line = " ".join(text[:_TEXT_MAX].split())
    return classify(parse([f"550 {line}"]), Stage.RCPT_TO).error_class


def _is_soft_bounce(event: ProviderEvent, verdict: Verdict | None) -> bool:
    if event.reject_reason in _NOT_THE_MAILBOX:
        return False
    if verdict is None or verdict.error_class in _UNSURE:
        return True
    return is_soft_refusal(verdict)


def is_soft_refusal(verdict: Verdict) -> bool:
    """Whether a refusal is the mailbox's trouble, and does not suppress at once."""
    if verdict.suppresses or verdict.fault is not Fault.RECIPIENT:
        return False
    return verdict.error_class in _PASSING
