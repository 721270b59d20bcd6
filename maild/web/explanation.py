"""Where a message stands, in words: what its status means, and what follows or may be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from maild.domain.policy import Check, Checked, Verdict
from maild.domain.states import AttemptStatus, EventType, Status
from maild.domain.suppression import SuppressionClass
from maild.models import Attempt, Event, Freeze, Message, Suppression, Unsubscribe
from maild.services.decisions import Grounds, Record
from maild.web import reports, words

_POLICY = "policy"
"""The error class of what the policy has come to forbid."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """`meaning` is what the status says, `next` what follows (at `next_at`, where that is known).

    `reply` is what the provider said last, or maild where it got no answer; of a message that was
    stopped, the reason. `until` is the end of the freeze that holds it.
    """

    meaning: str
    next: str
    reply: str | None = None
    next_at: datetime | None = None
    until: datetime | None = None


class Case(NamedTuple):
    """What is known of a message besides itself. `is_resent`: a copy of it was sent.

    `suppression` is what keeps mail of its stream from its recipient now, looked for where it
    bounced or was complained of.
    """

    max_attempts: int
    now: datetime
    attempts: Sequence[Attempt] = ()
    records: Sequence[Record] = ()
    grounds: Grounds = Grounds()
    is_resent: bool = False
    events: Sequence[Event] = ()
    suppression: Suppression | None = None


_ENDS: dict[Status, tuple[str, str]] = {
    Status.DELIVERED: (
        "The provider reported that the recipient's server took it.",
        "Nothing more to do. A late bounce or complaint would show here.",
    ),
    Status.BOUNCED: (
        "The provider took it and later reported that it came back.",
        "It is not tried again. The address is not suppressed: check it before mailing it again.",
    ),
    Status.COMPLAINED: (
        "The recipient reported it as spam.",
        "The address is not suppressed any more. Do not mail it again without being asked.",
    ),
    Status.FAILED: (
        "It was not sent, and maild has given up on it.",
        "Nothing more happens by itself. Mend the cause, then retry it.",
    ),
    Status.SUPPRESSED: (
        "This recipient must not be mailed, so nothing was sent.",
        "Nothing more happens.",
    ),
    Status.CANCELLED: (
        "It was withdrawn before it was sent.",
        "Nothing more happens; nothing was sent.",
    ),
    Status.EXPIRED: (
        "Its lifetime ended before it could be sent.",
        "Nothing more happens. Submit it again if it still matters.",
    ),
    Status.UNKNOWN: (
        "Contact was lost after the whole message had left and before the provider answered: it may"
        " have been taken, or not.",
        "maild does not try again by itself, for the recipient might get it twice. A report of the"
        " provider settles it; without one, look for its Message-ID in the provider's log, then"
        " resolve it.",
    ),
}
"""Statuses whose meaning depends on nothing else: what they say, and what follows."""

_RESENT = "It was resent as another message, to which the timeline leads."


def explain(message: Message, case: Case) -> Explanation:
    """The present state of a message, for somebody who does not know maild."""
    special = {
        Status.QUEUED: _queued,
        Status.SENDING: _sending,
        Status.SENT: _sent,
        Status.DELIVERED: _reported,
        Status.BOUNCED: _reported,
        Status.COMPLAINED: _reported,
        Status.HELD: _held,
        Status.SUPPRESSED: _suppressed,
        Status.FAILED: _failed,
    }.get(message.status, _ended)
    return special(message, case)


def _ended(message: Message, case: Case) -> Explanation:
    meaning, follows = _ENDS[message.status]
    return Explanation(meaning, _RESENT if case.is_resent else follows, reply=message.last_error)


def _queued(message: Message, case: Case) -> Explanation:
    due_at = message.next_attempt_at
    if message.last_error:
        is_due = due_at <= case.now
        attempt = f"Attempt {_counted(message) + 1} of {case.max_attempts}"
        return Explanation(
            "The last attempt did not succeed, and the fault may pass.",
            f"{attempt} is due: a worker takes it within moments."
            if is_due
            else f"{attempt} follows",
            reply=message.last_error,
            next_at=None if is_due else due_at,
        )
    if due_at > case.now:
        limit = _find_full_limit(message, case.records)
        meaning = "It is accepted, and its time has not come yet."
        if limit is not None:
            meaning = f"It is accepted, and waits for room in {_limit(limit, message)}."
        return Explanation(meaning, "It goes out", next_at=due_at)
    follows = "A worker takes it within moments."
    if message.pinned_account:
        follows = (
            f"A worker takes it as soon as “{message.pinned_account}” is in use, the SMTP account"
            " that its sender named."
        )
    return Explanation(
        "It is accepted, stored, and due.",
        f"{follows} If it stays here, look at the workers on the overview.",
    )


def _find_full_limit(message: Message, records: Sequence[Record]) -> Checked | None:
    """The limit because of which it was accepted for later, if that is what it waits for."""
    for record in records:
        if record.stage != "accept":
            continue
        for checked in reversed(record.checks):
            if checked.verdict is Verdict.WAIT and "free_at" in checked.evidence:
                free_at = datetime.fromisoformat(checked.evidence["free_at"])
                return (
                    checked
                    if abs((message.next_attempt_at - free_at).total_seconds()) < 1
                    else None
                )
    return None


def _limit(checked: Checked, message: Message) -> str:
    limit = checked.evidence["limit"]
    what = f"{limit:,} message{'' if limit == 1 else 's'}"
    if checked.check is Check.DOMAIN_LIMIT:
        what += f" to {message.to_email.rpartition('@')[2]}"
    return f"the hourly limit of {what}"


def _sending(message: Message, case: Case) -> Explanation:
    return Explanation(
        "A worker is handing it to the provider now:"
        f" attempt {_counted(message)} of {case.max_attempts}.",
        "The outcome shows here within moments.",
    )


def _sent(message: Message, case: Case) -> Explanation:
    deferral = reports.find_deferral(case.events)
    if deferral is not None:
        return Explanation(
            f"{reports.said(deferral.data)}.",
            "Nothing to do for maild: the provider answers for it. Its next report shows here.",
            reply=deferral.data.get("text"),
        )
    cause = reports.find_cause(message.status, case.events)
    if cause is not None:
        return Explanation(
            f"{reports.said(cause.data)}. Until then, its outcome was unknown.",
            "Nothing more to do for maild. Whether it reached the mailbox, the provider knows.",
            reply=cause.data.get("text"),
        )
    if case.attempts and not any(a.is_success for a in case.attempts):
        return Explanation(
            "Its outcome could not be known, and it was taken for sent.",
            "The timeline says by whom. Nothing more to do for maild.",
        )
    return Explanation(
        f"The provider behind “{message.smtp_account_name}” took it, and answers for it now.",
        "Nothing more to do for maild. Whether it reached the mailbox, the provider knows.",
        reply=_last_reply(case.attempts),
    )


def _reported(message: Message, case: Case) -> Explanation:
    """The end that a provider has reported. The message's own error is told by what bounced only:
    else it is of an earlier attempt.
    """
    meaning, follows = _ENDS[message.status]
    cause = reports.find_cause(message.status, case.events)
    reply = message.last_error if message.status is Status.BOUNCED else None
    if cause is not None:
        meaning, reply = f"{reports.said(cause.data)}.", cause.data.get("text")
    if case.suppression is not None:
        follows = _no_more_mail(case.suppression)
    return Explanation(meaning, _RESENT if case.is_resent else follows, reply=reply)


def _no_more_mail(suppression: Suppression) -> str:
    stream = f" {suppression.stream.value}" if suppression.stream else ""
    when = "If the address takes mail after all"
    if suppression.class_ is SuppressionClass.COMPLAINT:
        when = "Only if the recipient asks for your mail again"
    return (
        f"The address is {words.suppressed(suppression.class_)}: no more{stream} mail goes to it."
        f" {when}, {_removal(suppression)}."
    )


def _removal(suppression: Suppression) -> str:
    """What a person does about it, by what DELETE /v1/suppressions takes."""
    stream = f" for {suppression.stream.value} mail" if suppression.stream else ""
    return f"remove the suppression of {suppression.email}{stream}"


def _held(message: Message, case: Case) -> Explanation:
    freeze = case.grounds.freeze(message.freeze_id)
    if freeze is None:
        return Explanation(
            f"It is kept back on purpose: {message.hold_reason}",
            "It waits until it is released or cancelled, or its lifetime ends.",
        )
    meaning = f"A freeze stops {words.frozen(freeze.kind, freeze.target)}: {message.hold_reason}"
    if _is_over(freeze, case.now):
        return Explanation(meaning, "The freeze is over: the message goes out within moments.")
    if message.expires_at <= freeze.expires_at:
        return Explanation(
            meaning,
            f"Its lifetime ends before the freeze does. Lift freeze {freeze.id} to send it in time;"
            " else it expires",
            next_at=message.expires_at,
            until=freeze.expires_at,
        )
    if not freeze.has_end:
        return Explanation(meaning, f"Lift freeze {freeze.id} to send it.")
    return Explanation(
        meaning,
        f"Lift freeze {freeze.id} to send it sooner. The freeze ends by itself, and the message"
        " goes out,",
        next_at=freeze.expires_at,
        until=freeze.expires_at,
    )


def _is_over(freeze: Freeze, now: datetime) -> bool:
    return freeze.lifted_at is not None or bool(freeze.expires_at <= now)


def _suppressed(message: Message, case: Case) -> Explanation:
    suppression = case.grounds.suppression(message.suppression_id)
    if suppression is not None:
        stopped = words.suppressed(suppression.class_)
        return Explanation(
            f"The recipient is {stopped}, so it was not sent.",
            _RESENT if case.is_resent else _after_suppression(suppression, case.now),
            reply=suppression.reason,
        )
    unsubscribe = case.grounds.unsubscribe(message.unsubscribe_id)
    if unsubscribe is not None:
        left = words.unsubscribed(unsubscribe.stream, unsubscribe.topic)
        return Explanation(
            f"The recipient {left}, so it was not sent.",
            _RESENT if case.is_resent else _after_unsubscribe(unsubscribe),
            reply=unsubscribe.reason,
        )
    return _ended(message, case)


def _after_suppression(suppression: Suppression, now: datetime) -> str:
    has_ended = suppression.expires_at is not None and suppression.expires_at <= now
    if suppression.removed_at is not None or has_ended:
        how = "was removed" if suppression.removed_at is not None else "has ended"
        return f"The suppression {how} since. Resend the message if it still matters."
    if suppression.class_ is SuppressionClass.COMPLAINT:
        return (
            "Nothing more happens. Only if the recipient asks for your mail again,"
            f" {_removal(suppression)}, then resend the message."
        )
    return (
        "Nothing more happens by itself. If the address takes mail after all,"
        f" {_removal(suppression)}, then resend the message."
    )


def _after_unsubscribe(unsubscribe: Unsubscribe) -> str:
    if unsubscribe.removed_at is not None:
        return "They have subscribed again since. Resend the message if it still matters."
    return (
        "Nothing more happens. The recipient alone takes this back, by a link in your mail or by"
        " asking you."
    )


def _failed(message: Message, case: Case) -> Explanation:
    if message.error_class != _POLICY or _is_refused_by_provider(case):
        return _ended(message, case)
    return Explanation(
        "The workspace's policy has come to forbid it, so it was not sent.",
        _RESENT
        if case.is_resent
        else "Nothing more happens by itself. To send it, change the policy, then retry it.",
        reply=message.last_error,
    )


def _is_refused_by_provider(case: Case) -> bool:
    """Whether a provider's policy is meant: the word is the same for that of the workspace, which
    a claim finds, and no attempt.
    """
    failures = [event for event in case.events if event.type == EventType.FAILED]
    return bool(failures) and "attempt_no" in failures[-1].data and "check" not in failures[-1].data


def excuse(message: Message, attempts: Sequence[Attempt]) -> list[str]:
    """Which of its attempts do not count against a message, and why; nothing where all do."""
    by_provider = sum(attempt.is_excused for attempt in attempts)
    by_person = max(0, message.excused_count - by_provider)
    excuses = []
    if by_provider:
        excuses.append(f"{_attempts(by_provider)} not counted, because the provider was at fault")
    if by_person:
        excuses.append(f"{_attempts(by_person)} not counted, because a person retried it")
    return excuses


def _attempts(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"


def _counted(message: Message) -> int:
    """How many attempts count against the message, the one under way included."""
    return int(message.attempt_count - message.excused_count)


def _last_reply(attempts: Sequence[Attempt]) -> str | None:
    for attempt in reversed(attempts):
        if attempt.status is AttemptStatus.SENT:
            parts = (attempt.smtp_code, attempt.enhanced_code, attempt.response)
            return " ".join(str(part) for part in parts if part) or None
    return None
