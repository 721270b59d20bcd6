"""Why a message was sent, or was not: its decisions in words, for the card of that name.

What was decided comes from `services/decisions.py`; what follows for the message from
`explanation.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maild.domain.policy import Check, Checked, Route, Verdict
from maild.domain.states import Status
from maild.models import Freeze, Message
from maild.services.decisions import Grounds, Record
from maild.web import filters, freeze_words, words
from maild.web.badges import VERDICT, Badge

_OLD = (
    "It was accepted by an earlier version of maild, which did not write down what it decided then."
)
_OLD_TRY = "An earlier version of maild made this attempt, and did not write down what it checked."
_SINCE = "This was before it was queued again. All of it is looked at anew when the message is due."


@dataclass(frozen=True, slots=True)
class Line:
    """One check in words. `reason` is what a person or a server has said, `note` what else there is
    to know.
    """

    badge: Badge
    words: str
    reason: str | None = None
    note: str | None = None
    suppression_id: int | None = None
    unsubscribe_id: int | None = None
    """What its words are about, where it has a page."""


@dataclass(frozen=True, slots=True)
class Told:
    """One decision. `deciding` are the checks that did not pass, `others` those that did."""

    at: datetime | None
    title: str
    badge: Badge
    policy: str | None
    deciding: tuple[Line, ...]
    others: tuple[Line, ...]
    note: str | None = None

    @property
    def gist(self) -> Line:
        """What matters most: the check that decided, or else the last, which chose the account."""
        return self.deciding[-1] if self.deciding else self.others[-1]


@dataclass(frozen=True, slots=True)
class Why:
    """All that was decided about a message. `latest` is its last decision, the one at acceptance
    where no other was made; `earlier` are those at send before it, newest first.
    """

    latest: Told | None
    earlier: tuple[Told, ...]
    acceptance: Told | None
    note: str | None


@dataclass(frozen=True, slots=True)
class _Setting:
    """What the words of a check may refer to."""

    message: Message
    grounds: Grounds
    now: datetime

    @property
    def from_domain(self) -> str:
        return _domain_of(self.message.from_email)

    @property
    def to_domain(self) -> str:
        return _domain_of(self.message.to_email)


def tell(message: Message, records: Sequence[Record], grounds: Grounds, *, now: datetime) -> Why:
    """The decisions about a message in words; `records` are oldest first."""
    setting = _Setting(message, grounds, now)
    under_way = message.attempt_count if message.status is Status.SENDING else None
    accepted: Told | None = None
    sends: list[Told] = []
    for record in records:
        if record.stage == "accept":
            accepted = _told(record, setting, is_old=False)
        else:
            is_old = record.policy_version is None and record.attempt_no not in (None, under_way)
            sends.append(_told(record, setting, is_old=is_old))
    sends.reverse()
    note = None if accepted else _OLD
    if sends and sends[0].deciding and message.status is Status.QUEUED:
        note = _SINCE
    if not sends:
        return Why(accepted, (), None, note)
    return Why(sends[0], tuple(sends[1:]), accepted, note)


def line(checked: Checked, setting: _Setting) -> Line:
    """One check in words."""
    return _WORDS[checked.check](checked, setting, VERDICT[checked.verdict])


def _told(record: Record, setting: _Setting, *, is_old: bool) -> Told:
    # What a version that wrote nothing down has checked, nobody knows; the account it has told.
    checks = record.checks[-1:] if is_old else record.checks
    lines = [(checked.verdict is Verdict.PASS, line(checked, setting)) for checked in checks]
    return Told(
        at=record.at,
        title=_title(record),
        badge=VERDICT[record.verdict],
        policy=None if record.policy_version is None else words.policy(record.policy_version),
        deciding=tuple(one for has_passed, one in lines if not has_passed),
        others=tuple(one for has_passed, one in lines if has_passed),
        note=_OLD_TRY if is_old else None,
    )


def _title(record: Record) -> str:
    if record.stage == "accept":
        return "When it was accepted"
    if record.attempt_no is None:
        return "When it was due"
    return f"Before attempt {record.attempt_no}"


def _lifetime(checked: Checked, setting: _Setting, badge: Badge) -> Line:
    return Line(
        badge, "Lifetime: not over" if _passed(checked) else "Lifetime: over before it was sent"
    )


def _from_domain(checked: Checked, setting: _Setting, badge: Badge) -> Line:
    domain = checked.evidence.get("value", setting.from_domain)
    if _passed(checked):
        return Line(badge, f"Sender: mail from {domain} is allowed")
    return Line(badge, f"Sender: mail from {domain} is not allowed")


def _recipient_domain(checked: Checked, setting: _Setting, badge: Badge) -> Line:
    domain = checked.evidence.get("value", setting.to_domain)
    entry = checked.evidence.get("entry")
    if _passed(checked):
        return Line(badge, f"Recipient's domain: {domain} is not blocked")
    by = f"by the entry {entry}" if entry not in (None, domain) else None
    return Line(badge, f"Recipient's domain: {domain} is blocked", note=by)


def _suppression(checked: Checked, setting: _Setting, badge: Badge) -> Line:
    if _passed(checked):
        return Line(badge, "Recipient: not suppressed")
    id_ = checked.evidence.get("suppression_id")
    row = setting.grounds.suppression(id_)
    known = {} if row is None else {"class": row.class_, "reason": row.reason}
    known |= checked.evidence
    named = [f"suppression {id_}"] if id_ is not None else []
    if row is not None and row.stream is not None:
        named.append(f"{row.stream.value} mail only")
    return Line(
        badge,
        words.start(words.suppressed(known.get("class"))),
        known.get("reason"),
        ", ".join(named) or None,
        suppression_id=None if row is None else row.id,
    )


def _unsubscribe(checked: Checked, setting: _Setting, badge: Badge) -> Line:
    if _passed(checked):
        return Line(badge, "Recipient: not unsubscribed")
    id_ = checked.evidence.get("unsubscribe_id")
    row = setting.grounds.unsubscribe(id_)
    note = f"unsubscribe {id_}" if id_ is not None else None
    if row is not None:
        text = words.unsubscribed(row.stream, row.topic)
    elif topic := checked.evidence.get("topic"):
        text = words.unsubscribed(None, topic)
    else:
        text = "unsubscribed"
    unsubscribe_id = None if row is None else row.id
    return Line(badge, words.start(text), note=note, unsubscribe_id=unsubscribe_id)


def _freeze(checked: Checked, setting: _Setting, badge: Badge) -> Line:
    if _passed(checked):
        return Line(badge, "Not frozen")
    evidence = checked.evidence
    id_ = evidence.get("freeze_id")
    row = setting.grounds.freeze(id_)
    named = [words.frozen(row.kind, row.target)] if row is not None else []
    if until := _until(row, evidence, setting.now):
        named.append(until)
    if id_ is not None:
        named.append(f"freeze {id_}")
    return Line(badge, "Frozen", evidence.get("reason"), ", ".join(named) or None)


def _until(row: Freeze | None, evidence: dict[str, Any], now: datetime) -> str | None:
    if row is not None and row.lifted_at is not None:
        return f"ended {filters.moment(row.lifted_at, now=now)}"
    at = row.expires_at if row is not None else _time(evidence.get("until"))
    return f"until {freeze_words.until(at, now=now)}" if at else None


def _limit(name: str, checked: Checked, setting: _Setting, badge: Badge) -> Line:
    evidence = checked.evidence
    if "limit" not in evidence:
        return Line(badge, f"{name}: {'not reached' if _passed(checked) else 'reached'}")
    used = f"{name}: {evidence['value']:,} of {evidence['limit']:,}"
    if _passed(checked):
        return Line(badge, f"{used} this hour")
    free_at = _time(evidence.get("free_at"))
    room = f"room from {filters.moment(free_at, now=setting.now)}" if free_at else "no room in time"
    return Line(badge, f"{used}, {room}")


def _workspace_limit(checked: Checked, setting: _Setting, badge: Badge) -> Line:
    return _limit("Workspace limit", checked, setting, badge)


def _domain_limit(checked: Checked, setting: _Setting, badge: Badge) -> Line:
    return _limit(f"Mail to {setting.to_domain}", checked, setting, badge)


def _provider(checked: Checked, setting: _Setting, badge: Badge) -> Line:
    account, route = checked.evidence.get("smtp_account"), checked.evidence.get("route")
    if not _passed(checked):
        return Line(badge, "SMTP account: none is in order")
    if account is None:
        return Line(badge, "SMTP account: chosen when it is due")
    why = f", {words.ROUTE[Route(route)]}" if route in set(Route) else ""
    return Line(badge, f"SMTP account {account}{why}")


_WORDS: dict[Check, Callable[[Checked, _Setting, Badge], Line]] = {
    Check.LIFETIME: _lifetime,
    Check.FROM_DOMAIN: _from_domain,
    Check.RECIPIENT_DOMAIN: _recipient_domain,
    Check.SUPPRESSION: _suppression,
    Check.UNSUBSCRIBE: _unsubscribe,
    Check.FREEZE: _freeze,
    Check.WORKSPACE_LIMIT: _workspace_limit,
    Check.DOMAIN_LIMIT: _domain_limit,
    Check.PROVIDER: _provider,
}


def _domain_of(address: str) -> str:
    return address.rpartition("@")[2]


def _passed(checked: Checked) -> bool:
    return checked.verdict is Verdict.PASS


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
