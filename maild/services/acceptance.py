"""Accepting: what becomes of submissions, decided and written down in one transaction.

Near a limit, and with an idempotency key, whoever accepts for a workspace does so in turn, from
reading what is known (policy, suppressions, freezes, how much of the limits is used, keys) to the
commit: so no limit is overdrawn and no key used twice, however many ask at once, and whatever
becomes of Redis. Threads that come at the same time share a turn (`accept_groups`).

What is known is read in `facts`, what is accepted is written in `message_store`, what a rejected
sender is told is in `rejections`. The decision itself is pure (`domain/policy.py`).
"""

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from maild.db import connection, database
from maild.domain import ids, policy
from maild.domain.limits import WORKSPACE, Usage, slot_of
from maild.domain.policy import Check, Decision, Facts, Route, Verdict
from maild.domain.states import Status
from maild.errors import IdempotencyConflict, MaildError
from maild.models import Message
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import facts, locks, message_store, providers, rejections
from maild.services.facts import Known, domain_of
from maild.services.message_store import Key, Row
from maild.services.submissions import Submission

IMPLIED = (
    Check.FROM_DOMAIN,
    Check.RECIPIENT_DOMAIN,
    Check.SUPPRESSION,
    Check.UNSUBSCRIBE,
    Check.FREEZE,
)
"""The first checks, in their order. That one of them passed is not written down: whatever was
checked after it tells it.
"""
ROOM = 1_000_000
"""With so much room in its limits a workspace needs no turns: no more can be under way at the same
time, AT_ONCE_MAX in each of eight threads of 250 web processes.
"""
STALE_SECONDS = 5.0
"""What was decided without a turn, and not written by then, is decided anew."""
AT_ONCE_MAX = 500
"""Messages that one transaction accepts without a turn."""
LIMITS = (Check.WORKSPACE_LIMIT, Check.DOMAIN_LIMIT)
ROUTE_SECONDS = 2.0
"""How old the provider that a decision names may be; the claim decides anew."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a submission came to: its messages, the To's first, and how the tightest limit stands.

    `is_replayed`: it was accepted before, under the same idempotency key, and this is what was
    answered then.
    """

    messages: tuple[Message, ...]
    usage: Usage | None = None
    is_replayed: bool = False


Settled = Accepted | MaildError


def settle(workspace_id: int, submissions: Sequence[Submission]) -> list[Settled]:
    """Accept or reject each, in their order; what is accepted is committed on return.

    For each an answer or the error to be raised for it: BlockedRecipientDomain,
    ForbiddenFromDomain, RateLimited, IdempotencyConflict, InvalidFields (its times, its account).
    Raises NotFound (the workspace); nothing is stored then.
    """
    with connection():
        provider = _provider_of(workspace_id)
        if not _must_take_turns(workspace_id, submissions):
            began_at = time.monotonic()
            turn = _Turn(workspace_id, facts.read(workspace_id, submissions), provider)
            settled = turn.settle_all(submissions)
            is_fresh = time.monotonic() - began_at < STALE_SECONDS
            if is_fresh and turn.is_roomy(submissions):
                turn.write()
                return settled
        with database.atomic():
            lock = locks.accepting_in_turn(workspace_id)
            known = facts.read(workspace_id, submissions, after=lock)
            turn = _Turn(workspace_id, known, provider)
            settled = turn.settle_all(submissions)
            if turn.lacks_room:
                known = facts.read(workspace_id, submissions, until=known.end_of(submissions))
                turn = _Turn(workspace_id, known, provider)
                settled = turn.settle_all(submissions)
            turn.write()
        _note_room(workspace_id, is_roomy=turn.is_roomy(submissions))
    return settled


def _must_take_turns(workspace_id: int, submissions: Sequence[Submission]) -> bool:
    """Whether others must wait: for an idempotency key, an account that must not be deleted
    meanwhile, for many at once, near a limit.
    """
    return (
        workspace_id in _crowded
        or any(s.by.idempotency_key is not None for s in submissions)
        or any(s.new.smtp_account not in (None, DEFAULT_ACCOUNT) for s in submissions)
        or sum(len(s.recipients) for s in submissions) > AT_ONCE_MAX
    )


def _note_room(workspace_id: int, *, is_roomy: bool) -> None:
    if is_roomy:
        _crowded.discard(workspace_id)
    elif len(_crowded) < _CROWDED_MAX:
        _crowded.add(workspace_id)


_crowded: set[int] = set()
"""Workspaces that were near a limit when this process accepted for them last."""
_CROWDED_MAX = 100_000


def ask(workspace_id: int, submission: Submission) -> list[tuple[str, Decision]]:
    """What would become of each recipient's message; changes nothing.

    Raises InvalidFields (its account), NotFound (the workspace).
    """
    with connection():
        provider = _provider_of(workspace_id)
        known = facts.read(workspace_id, [submission])
        if (objection := rejections.of_account(submission, known.accounts)) is not None:
            raise objection
        turn = _Turn(workspace_id, known, provider)
        decided = turn.decide(submission)
        if turn.lacks_room:
            known = facts.read(workspace_id, [submission], until=known.end_of([submission]))
            decided = _Turn(workspace_id, known, provider).decide(submission)
        return decided


class _Turn:
    """One turn: deciding, submission by submission, and then writing all of it."""

    def __init__(self, workspace_id: int, known: Known, provider: dict[str, Any] | None) -> None:
        self._workspace_id = workspace_id
        self._known = known
        self._provider = provider
        self._rows: list[Row] = []
        self._tallies: Counter[tuple[str, int]] = Counter()
        self._keys: list[Key] = []
        self.lacks_room = False
        """A limit is full when a message is due. When it has room, only those know who have read
        all tallies; and mail may be scheduled for a year.
        """

    def settle_all(self, submissions: Sequence[Submission]) -> list[Settled]:
        """`settle` for each, in their order."""
        return [self.settle(submission) for submission in submissions]

    def settle(self, submission: Submission) -> Settled:
        """Accept or reject; what is accepted is written with `write`."""
        key, known = submission.by.idempotency_key, self._known
        if key is not None and key in known.keys:
            return self._replay(submission, *known.keys[key])
        if submission.late is not None:
            return submission.late
        if (objection := rejections.of_account(submission, known.accounts)) is not None:
            return objection
        decided = self.decide(submission)
        for place, (_, decision) in enumerate(decided):
            if decision.verdict is Verdict.REJECT:
                self._give_back(decided)
                return rejections.of(submission, place, decision, now=known.now)
        rows = self._make_rows(submission, decided)
        self._rows += rows
        if key is not None:
            answer = _as_answer(rows, known.now)
            known.keys[key] = submission.by.request_hash, answer
            self._keys.append(Key(key, submission.by.request_hash, answer))
        usage = rejections.find_tightest(decision for _, decision in decided)
        return self._accepted(rows, usage=usage)

    def decide(self, submission: Submission) -> list[tuple[str, Decision]]:
        """The decision about each recipient's message; those that may go are counted."""
        new, known = submission.new, self._known
        due_at = known.due_at(submission).timestamp()
        expires_at = known.expires_at(submission).timestamp()
        provider = self._provider
        if new.smtp_account is not None:
            provider = {"smtp_account": new.smtp_account, "route": Route.PINNED}
        decided = []
        for recipient in submission.recipients:
            about = Facts(
                stream=new.stream,
                from_domain=domain_of(new.from_email),
                to_domain=domain_of(recipient),
                due_at=due_at,
                expires_at=expires_at,
                suppression=known.find_suppression(recipient, new.stream),
                unsubscribe=known.find_unsubscribe(recipient, new.stream, new.topic),
                freeze=known.find_freeze(submission, recipient),
                provider=provider,
            )
            decision = policy.evaluate(known.policy, about, known.ledger)
            decided.append((recipient, decision))
            self.lacks_room = self.lacks_room or any(
                checked.check in LIMITS and checked.verdict is not Verdict.PASS
                for checked in decision.checks
            )
        return decided

    def _give_back(self, decided: Sequence[tuple[str, Decision]]) -> None:
        """A rejected submission takes up no room, not even with those recipients that fit."""
        for recipient, decision in decided:
            if decision.verdict in (Verdict.PASS, Verdict.WAIT):
                for _, scope, _ in self._known.policy.limits_for(domain_of(recipient)):
                    self._known.ledger.give_back(scope, decision.due_at)

    def is_roomy(self, submissions: Sequence[Submission]) -> bool:
        """Whether all limits are so far away that whatever is under way elsewhere fits too."""
        known = self._known
        domains = {domain_of(text) for s in submissions for text in s.recipients}
        return all(
            known.ledger.is_roomy(scope, limit=limit, room=ROOM)
            for domain in domains
            for _, scope, limit in known.policy.limits_for(domain)
        )

    def write(self) -> None:
        if self._rows:
            message_store.write(
                self._workspace_id,
                self._rows,
                now=self._known.now,
                tallies=self._tallies,
                keys=self._keys,
            )

    def _make_rows(
        self, submission: Submission, decided: Sequence[tuple[str, Decision]]
    ) -> list[Row]:
        now = self._known.now
        due_at, expires_at = self._known.due_at(submission), self._known.expires_at(submission)
        # In the order of the recipients, so that whoever sorts by ids finds them in it.
        row_ids = sorted(ids.new_id(now) for _ in decided)
        rows = []
        for row_id, (recipient, decision) in zip(row_ids, decided, strict=True):
            is_stopped = decision.verdict is Verdict.STOP
            evidence = decision.last.evidence if is_stopped else {}
            not_before = None
            if decision.due_at != due_at.timestamp():
                not_before = datetime.fromtimestamp(decision.due_at, UTC)
            if not is_stopped:
                slot = slot_of(decision.due_at)
                self._tallies[WORKSPACE, slot] += 1
                self._tallies[domain_of(recipient), slot] += 1
            rows.append(
                Row(
                    id=row_id,
                    submission=submission,
                    to_email=recipient,
                    status=Status.SUPPRESSED if is_stopped else Status.QUEUED,
                    due_at=not_before or due_at,
                    not_before=not_before,
                    expires_at=expires_at,
                    decision=as_json(decision),
                    policy_version=decision.policy_version,
                    submission_id=row_ids[0] if len(decided) > 1 else None,
                    is_first=row_id == row_ids[0],
                    suppression_id=evidence.get("suppression_id"),
                    unsubscribe_id=evidence.get("unsubscribe_id"),
                    stopped_by={"check": decision.last.check, **evidence} if is_stopped else None,
                )
            )
        return rows

    def _accepted(self, rows: Sequence[Row], *, usage: Usage | None) -> Accepted:
        now = self._known.now
        messages = (message_store.as_message(self._workspace_id, row, now=now) for row in rows)
        return Accepted(tuple(messages), usage)

    def _replay(self, submission: Submission, request_hash: bytes, answer: Any) -> Settled:
        if request_hash != submission.by.request_hash:
            return IdempotencyConflict(
                "This Idempotency-Key was used for another request within the last 24 hours."
                " Use a new key for a new message."
            )
        rows = _from_answer(submission, answer)
        then = datetime.fromisoformat(answer["created_at"])
        messages = (message_store.as_message(self._workspace_id, row, now=then) for row in rows)
        return Accepted(tuple(messages), is_replayed=True)


def as_json(decision: Decision) -> dict[str, Any]:
    """A decision as events keep it: `decisions` puts in again what goes without saying."""
    return {
        "policy_version": decision.policy_version,
        "verdict": decision.verdict,
        "checks": [
            {"check": c.check, "verdict": c.verdict, **c.evidence}
            for c in decision.checks
            if c.verdict is not Verdict.PASS or c.check not in IMPLIED
        ],
    }


def _as_answer(rows: Sequence[Row], now: datetime) -> dict[str, Any]:
    """What the request does not say of the messages that it made."""
    return {
        "created_at": now.isoformat(),
        "messages": [
            {
                "id": str(row.id),
                "status": row.status,
                "due_at": row.due_at.isoformat(),
                "expires_at": row.expires_at.isoformat(),
                "policy_version": row.policy_version,
            }
            for row in rows
        ],
    }


def _from_answer(submission: Submission, answer: dict[str, Any]) -> list[Row]:
    told = answer["messages"]
    first_id = uuid.UUID(told[0]["id"])
    return [
        Row(
            id=uuid.UUID(one["id"]),
            submission=submission,
            to_email=recipient,
            status=Status(one["status"]),
            due_at=datetime.fromisoformat(one["due_at"]),
            expires_at=datetime.fromisoformat(one["expires_at"]),
            decision={},
            policy_version=one["policy_version"],
            submission_id=first_id if len(told) > 1 else None,
        )
        for recipient, one in zip(submission.recipients, told, strict=True)
    ]


_providers: dict[int, tuple[float, dict[str, Any] | None]] = {}
_PROVIDERS_MAX = 10_000


def _provider_of(workspace_id: int) -> dict[str, Any] | None:
    """The SMTP account that the workspace's mail takes at the moment, and why."""
    now = time.monotonic()
    known = _providers.get(workspace_id)
    if known is not None and now - known[0] < ROUTE_SECONDS:
        return known[1]
    if len(_providers) >= _PROVIDERS_MAX:
        _providers.clear()
    choice = providers.choose(providers.list_routes([workspace_id])[workspace_id])
    found = None
    if choice is not None:
        candidate, place = choice
        route = Route.FAIL_OVER if place else Route.FIRST_CHOICE
        found = {"smtp_account": candidate.account.name, "route": route}
    _providers[workspace_id] = now, found
    return found


_PRUNE = (
    """
    DELETE FROM limit_tallies WHERE (workspace_id, domain, slot) IN (
        SELECT workspace_id, domain, slot FROM limit_tallies
        WHERE slot < floor(extract(epoch FROM now()) / 300)::int - 13 LIMIT 10000)
    """,
    # The time is asked for twice: what is used anew just now is looked at again by the first.
    """
    DELETE FROM idempotency_keys
    WHERE created_at < now() - interval '24 hours' AND (workspace_id, key) IN (
        SELECT workspace_id, key FROM idempotency_keys
        WHERE created_at < now() - interval '24 hours' LIMIT 10000)
    """,
)


def prune() -> None:
    """Forget what no decision needs any more: tallies of windows that are over, and idempotency
    keys of yesterday.
    """
    for statement in _PRUNE:
        while database.execute_sql(statement).rowcount:
            pass


def forget() -> None:
    """Know no provider and no crowd any more: for a database that was emptied."""
    _providers.clear()
    _crowded.clear()
