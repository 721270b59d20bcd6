"""Accepting: what becomes of submissions, decided and written down in one transaction.

Whoever accepts for a workspace does so in turn, from reading what is known (policy, suppressions,
freezes, how much of the limits is used, idempotency keys) to the commit: so no limit is overdrawn
and no key used twice, however many ask at once, and whatever becomes of Redis. Threads that come at
the same time share a turn (`accept_groups`).

The decision itself is pure (`domain/policy.py`).
"""

import copy
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from maild.db import connection, database, execute_prepared
from maild.domain import ids, policy
from maild.domain.freeze import FreezeKind
from maild.domain.limits import WINDOW_SLOTS, WORKSPACE, Ledger, Usage, slot_of
from maild.domain.policy import Check, Decision, Facts, Policy, Route, Verdict
from maild.domain.states import Status
from maild.errors import IdempotencyConflict, MaildError, NotFound
from maild.models import Message
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import locks, message_store, policies, providers, rejections
from maild.services.message_store import Key, Row
from maild.services.submissions import Submission

KEY_LIFETIME = "24 hours"
"""How long an idempotency key is remembered."""
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
        with database.atomic():
            known = _read(workspace_id, submissions, after=locks.accepting_in_turn(workspace_id))
            turn = _Turn(workspace_id, known, provider)
            settled = [turn.settle(submission) for submission in submissions]
            turn.write()
    return settled


def ask(workspace_id: int, submission: Submission) -> list[tuple[str, Decision]]:
    """What would become of each recipient's message; changes nothing.

    Raises InvalidFields (its account), NotFound (the workspace).
    """
    with connection():
        provider = _provider_of(workspace_id)
        known = _read(workspace_id, [submission])
        if (objection := rejections.of_account(submission, known.accounts)) is not None:
            raise objection
        return _Turn(workspace_id, known, provider).decide(submission)


@dataclass(slots=True)
class _Known:
    """What the database says at the beginning of a turn."""

    now: datetime
    policy: Policy
    suppressions: dict[str, list[list[Any]]]
    unsubscribes: dict[str, list[list[Any]]]
    freezes: list[list[Any]]
    accounts: frozenset[str]
    """The names of SMTP accounts that submissions ask for, and that are there."""
    ledger: Ledger
    keys: dict[str, tuple[bytes, dict[str, Any]]] = field(default_factory=dict)


# One row, each of its columns a list of lists. Addresses are compared in lower case beyond ASCII
# too, whatever the locale of the database. Each is looked up by itself (OFFSET keeps it so): this
# is planned once, when there may be none, and must hold for a hundred thousand. The clock, because
# whoever waited for his turn began sooner.
_READ = """
WITH a AS MATERIALIZED (
    SELECT address, lower(address COLLATE "pg_c_utf8") AS email FROM unnest($2::text[]) AS address
)
SELECT clock_timestamp(),
    EXISTS (SELECT FROM workspaces WHERE id = $1),
    (SELECT max(version) FROM policies WHERE workspace_id = $1),
    (SELECT json_agg(json_build_array(a.address, s.id, s.stream, s.class, s.reason))
        FROM a, LATERAL (
            SELECT id, stream, class, reason FROM suppressions
            WHERE workspace_id = $1 AND email = a.email AND removed_at IS NULL
                AND (expires_at IS NULL OR expires_at > now())
            OFFSET 0) AS s),
    (SELECT json_agg(json_build_array(a.address, u.id, u.stream, u.topic))
        FROM a, LATERAL (
            SELECT id, stream, topic FROM unsubscribes
            WHERE workspace_id = $1 AND email = a.email AND removed_at IS NULL
            OFFSET 0) AS u),
    (SELECT json_agg(json_build_array(id, kind, target, reason, expires_at) ORDER BY id)
        FROM freezes
        WHERE workspace_id = $1 AND lifted_at IS NULL AND expires_at > now()),
    (SELECT json_agg(json_build_array(domain, slot, message_count)) FROM limit_tallies
        WHERE workspace_id = $1 AND domain = ANY($3::text[])
            AND slot >= floor(extract(epoch FROM now()) / 300)::int - $4),
    (SELECT json_agg(json_build_array(key, encode(request_hash, 'hex'), answer))
        FROM idempotency_keys
        WHERE workspace_id = $1 AND key = ANY($5::text[])
            AND created_at > now() - $6::interval),
    (SELECT array_agg(name) FROM smtp_accounts WHERE workspace_id = $1 AND name = ANY($7::text[]))
"""


def _read(
    workspace_id: int,
    submissions: Sequence[Submission],
    *,
    after: tuple[str, Sequence[Any]] = ("", ()),
) -> _Known:
    recipients = list({text for s in submissions for text in s.recipients})
    scopes = [WORKSPACE, *{_domain_of(text) for text in recipients}]
    keys = [key for s in submissions if (key := s.by.idempotency_key) is not None]
    accounts = [name for s in submissions if (name := s.new.smtp_account) is not None]
    parameters = (workspace_id, recipients, scopes, WINDOW_SLOTS, keys, KEY_LIFETIME, accounts)
    [row] = execute_prepared("facts", _READ, parameters, after=after)
    now, is_there, version, suppressions, unsubscribes, freezes, tallies, known_keys, found = row
    if not is_there:
        raise NotFound(f"There is no workspace {workspace_id}.")
    return _Known(
        now=now,
        policy=policies.known(workspace_id, version or 0),
        suppressions=_by_address(suppressions),
        unsubscribes=_by_address(unsubscribes),
        freezes=freezes or [],
        accounts=frozenset([DEFAULT_ACCOUNT, *(found or ())]),
        ledger=Ledger(tallies or ()),
        keys={key: (bytes.fromhex(hash_), answer) for key, hash_, answer in known_keys or ()},
    )


def _by_address(rows: list[list[Any]] | None) -> dict[str, list[list[Any]]]:
    found: dict[str, list[list[Any]]] = {}
    for address, *rest in rows or ():
        found.setdefault(address, []).append(rest)
    return found


class _Turn:
    """One turn: deciding, submission by submission, and then writing all of it."""

    def __init__(self, workspace_id: int, known: _Known, provider: dict[str, Any] | None) -> None:
        self._workspace_id = workspace_id
        self._known = known
        self._provider = provider
        self._rows: list[Row] = []
        self._tallies: Counter[tuple[str, int]] = Counter()
        self._keys: list[Key] = []

    def settle(self, submission: Submission) -> Settled:
        """Accept or reject; what is accepted is written with `write`."""
        key, known = submission.by.idempotency_key, self._known
        if key is not None and key in known.keys:
            return self._replay(submission, *known.keys[key])
        if submission.late is not None:
            return submission.late
        if (objection := rejections.of_account(submission, known.accounts)) is not None:
            return objection
        # A rejected submission takes up no room, not even with those of its recipients that fit.
        kept = copy.deepcopy(known.ledger) if len(submission.recipients) > 1 else known.ledger
        decided = self.decide(submission)
        for place, (_, decision) in enumerate(decided):
            if decision.verdict is Verdict.REJECT:
                known.ledger = kept
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
        due_at = _due_at(submission, known.now).timestamp()
        expires_at = _expires_at(submission, known).timestamp()
        provider = self._provider
        if new.smtp_account is not None:
            provider = {"smtp_account": new.smtp_account, "route": Route.PINNED}
        decided = []
        for recipient in submission.recipients:
            facts = Facts(
                stream=new.stream,
                from_domain=_domain_of(new.from_email),
                to_domain=_domain_of(recipient),
                due_at=due_at,
                expires_at=expires_at,
                suppression=self._find_suppression(recipient, new.stream),
                unsubscribe=self._find_unsubscribe(recipient, new.stream, new.topic),
                freeze=self._find_freeze(submission, recipient),
                provider=provider,
            )
            decided.append((recipient, policy.evaluate(known.policy, facts, known.ledger)))
        return decided

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
        due_at, expires_at = _due_at(submission, now), _expires_at(submission, self._known)
        first_id = ids.new_id(now)
        rows = []
        for place, (recipient, decision) in enumerate(decided):
            is_stopped = decision.verdict is Verdict.STOP
            evidence = decision.last.evidence if is_stopped else {}
            when = due_at
            if decision.due_at != due_at.timestamp():
                when = datetime.fromtimestamp(decision.due_at, UTC)
            if not is_stopped:
                slot = slot_of(decision.due_at)
                self._tallies[WORKSPACE, slot] += 1
                self._tallies[_domain_of(recipient), slot] += 1
            rows.append(
                Row(
                    id=first_id if place == 0 else ids.new_id(now),
                    submission=submission,
                    to_email=recipient,
                    status=Status.SUPPRESSED if is_stopped else Status.QUEUED,
                    due_at=when,
                    expires_at=expires_at,
                    decision=as_json(decision),
                    policy_version=decision.policy_version,
                    submission_id=first_id if len(decided) > 1 else None,
                    is_first=place == 0,
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

    def _find_suppression(self, recipient: str, stream: str) -> dict[str, Any] | None:
        for id_, scope, class_, reason in self._known.suppressions.get(recipient, ()):
            if scope is None or scope == stream:
                return {"suppression_id": id_, "class": class_, "reason": reason}
        return None

    def _find_unsubscribe(
        self, recipient: str, stream: str, topic: str | None
    ) -> dict[str, Any] | None:
        for id_, scope, of_topic in self._known.unsubscribes.get(recipient, ()):
            if (scope is None or scope == stream) and (of_topic is None or of_topic == topic):
                return {"unsubscribe_id": id_, **({"topic": of_topic} if of_topic else {})}
        return None

    def _find_freeze(self, submission: Submission, recipient: str) -> dict[str, Any] | None:
        new = submission.new
        own = {
            FreezeKind.WORKSPACE: None,
            FreezeKind.STREAM: new.stream.value,
            FreezeKind.API_KEY: str(submission.by.api_key_id),
            FreezeKind.FROM_EMAIL: new.from_email.lower(),
            FreezeKind.RECIPIENT_DOMAIN: _domain_of(recipient),
        }
        for id_, kind, target, reason, expires_at in self._known.freezes:
            if kind in own and own[FreezeKind(kind)] == target:
                until = expires_at.replace("+00:00", "Z")
                return {"freeze_id": id_, "kind": kind, "reason": reason, "until": until}
        return None


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


def _due_at(submission: Submission, now: datetime) -> datetime:
    scheduled_at = submission.new.scheduled_at
    return max(now, scheduled_at) if scheduled_at else now


def _expires_at(submission: Submission, known: _Known) -> datetime:
    if submission.new.expires_at is not None:
        return submission.new.expires_at
    seconds = known.policy.stream(submission.new.stream).lifetime_seconds
    return _due_at(submission, known.now) + timedelta(seconds=seconds)


def _domain_of(address: str) -> str:
    return address.rpartition("@")[2]


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
    """Know no provider any more: for a database that was emptied."""
    _providers.clear()
