"""The decision record of a message: why it was accepted, and why each attempt was made or none was.

What was decided when it was accepted is kept whole with its first event. A claim writes down only
what cannot be told afterwards: the version of the policy, the account and why that one, or the
check that did not pass. The rest is put together here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from maild import clock
from maild.domain.policy import Check, Checked, Decision, Verdict
from maild.domain.states import EventType
from maild.models import Attempt, Event, Freeze, Message, Suppression, Unsubscribe
from maild.services.acceptance import IMPLIED

AT_SEND = (
    Check.LIFETIME,
    Check.FROM_DOMAIN,
    Check.RECIPIENT_DOMAIN,
    Check.SUPPRESSION,
    Check.UNSUBSCRIBE,
    Check.FREEZE,
)
"""What a claim looks at, in this order, and after these at the provider. Limits are taken up when a
message is accepted, and not again.
"""

_ENDED_BY = {
    EventType.EXPIRED: (Check.LIFETIME, Verdict.STOP),
    EventType.FAILED: (Check.RECIPIENT_DOMAIN, Verdict.STOP),
    EventType.SUPPRESSED: (Check.SUPPRESSION, Verdict.STOP),
    EventType.HELD: (Check.FREEZE, Verdict.WAIT),
}
"""What a claim that ends so has met with, where its event does not say."""
_NO_EVIDENCE = frozenset({"check", "verdict", "policy_version"})


@dataclass(frozen=True, slots=True)
class Record:
    """One decision about a message. `at` None: it was only asked for. `policy_version` None: it was
    made by a version of maild that did not write it down.
    """

    at: datetime | None
    stage: Literal["accept", "send"]
    policy_version: int | None
    verdict: Verdict
    checks: tuple[Checked, ...]
    attempt_no: int | None = None


@dataclass(frozen=True, slots=True)
class Grounds:
    """The rows that the records of a message name, as they are today, by their ids."""

    suppressions: dict[int, Suppression] = field(default_factory=dict)
    unsubscribes: dict[int, Unsubscribe] = field(default_factory=dict)
    freezes: dict[int, Freeze] = field(default_factory=dict)

    def suppression(self, id_: int | None) -> Suppression | None:
        return None if id_ is None else self.suppressions.get(id_)

    def unsubscribe(self, id_: int | None) -> Unsubscribe | None:
        return None if id_ is None else self.unsubscribes.get(id_)

    def freeze(self, id_: int | None) -> Freeze | None:
        return None if id_ is None else self.freezes.get(id_)


def of_asking(decision: Decision) -> Record:
    """What would be decided."""
    return Record(None, "accept", decision.policy_version, decision.verdict, decision.checks)


def list_records(attempts: Sequence[Attempt], events: Sequence[Event]) -> list[Record]:
    """Everything that was decided about a message, oldest first, out of its story."""
    records = [_of_attempt(attempt) for attempt in attempts]
    for event in events:
        if event.type == EventType.ACCEPTED and "decision" in event.data:
            records.append(_of_acceptance(event))
        elif (
            event.type in _ENDED_BY
            and "attempt_no" not in event.data
            and "by" not in event.data
            and not _is_of_acceptance(event, events)
        ):
            records.append(_of_claim(event))
    return sorted(records, key=lambda record: record.at or clock.now())


def find_grounds(message: Message, records: Iterable[Record]) -> Grounds:
    """What the message and its records name: one query for each kind that they name at all."""
    evidence = [checked.evidence for record in records for checked in record.checks]

    def find(model: Any, name: str) -> dict[int, Any]:
        named = {getattr(message, name), *(one.get(name) for one in evidence)} - {None}
        if not named:
            return {}
        # Of its workspace: evidence is no foreign key.
        is_named = model.id << list(named)
        rows = model.select().where(model.workspace == message.workspace_id, is_named)
        return {row.id: row for row in rows}

    return Grounds(
        find(Suppression, "suppression_id"),
        find(Unsubscribe, "unsubscribe_id"),
        find(Freeze, "freeze_id"),
    )


def _is_of_acceptance(event: Event, events: Sequence[Event]) -> bool:
    """Whether a message was stopped as it was accepted: both facts are of one moment."""
    return any(e.type == EventType.ACCEPTED and e.created_at == event.created_at for e in events)


def _of_acceptance(event: Event) -> Record:
    told = event.data["decision"]
    checks = {checked.check: checked for checked in map(_checked, told["checks"])}
    verdict = Verdict(told["verdict"])
    if verdict is Verdict.STOP:  # by the last one that was looked at
        implied = IMPLIED[: IMPLIED.index(next(reversed(checks)))]
    else:
        implied = IMPLIED
    passed = {check: Checked(check, Verdict.PASS) for check in implied}
    return Record(
        event.created_at,
        "accept",
        told["policy_version"],
        verdict,
        tuple((passed | checks).values()),
    )


def _of_attempt(attempt: Attempt) -> Record:
    """An attempt was made, so all that a claim looks at had passed."""
    evidence = {"smtp_account": attempt.smtp_account_name}
    if attempt.route:
        evidence["route"] = attempt.route
    passed = [Checked(check, Verdict.PASS) for check in AT_SEND]
    return Record(
        attempt.started_at,
        "send",
        attempt.policy_version,
        Verdict.PASS,
        (*passed, Checked(Check.PROVIDER, Verdict.PASS, evidence)),
        attempt.attempt_no,
    )


def _of_claim(event: Event) -> Record:
    """A claim that led to no attempt: what comes before the check that it met with had passed."""
    check, verdict = _ENDED_BY[EventType(event.type)]
    check = Check(event.data.get("check", check))
    evidence = {name: value for name, value in event.data.items() if name not in _NO_EVIDENCE}
    before = AT_SEND[: AT_SEND.index(check)] if check in AT_SEND else ()
    passed = [Checked(one, Verdict.PASS) for one in before]
    return Record(
        event.created_at,
        "send",
        event.data.get("policy_version"),
        verdict,
        (*passed, Checked(check, verdict, evidence)),
    )


def _checked(told: dict[str, Any]) -> Checked:
    evidence = {name: value for name, value in told.items() if name not in _NO_EVIDENCE}
    return Checked(Check(told["check"]), Verdict(told["verdict"]), evidence)
