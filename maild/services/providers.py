"""Providers: which SMTP accounts a workspace's mail may take, and what the workers know together
about their health.

Health is told by faults of the path alone (`Verdict.is_path_fault`): recipients that do not exist
trip nothing. Each worker adds its tries and faults to `account_tallies`; whoever adds a fault looks
at the sum over the last minute, and opens the breaker by a guarded update, so that one worker wins
and tells it. The environment's account is number 0 here, and belongs to the instance.
"""

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from maild import config, log
from maild.db import database
from maild.domain import breaker, provider_headers
from maild.domain.breaker import State
from maild.domain.states import EventType
from maild.models.smtp_account import DEFAULT_ACCOUNT, ENVIRONMENT

logger = log.get(__name__)

SLOT = "5 seconds"
KEEP_TALLIES = "1 day"
CANARY_LEASE_SECONDS = 30
"""How long a canary may take before another worker tries."""


@dataclass(frozen=True, slots=True)
class Account:
    """An SMTP account as a path for mail. `revision` changes when it must be dialled anew."""

    id: int
    name: str
    workspace_id: int | None
    max_connections: int
    max_per_second: float | None
    revision: str
    return_path: str | None = None
    host: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account that a workspace's mail may take, and how its breaker stands."""

    account: Account
    is_paused: bool
    """Nothing may go through it: a person has paused it, or a freeze of the workspace stops it."""
    state: State
    may_try: bool
    """An open breaker whose wait is over, or a canary that was given up."""
    canary_worker_id: uuid.UUID | None
    is_frozen: bool = False
    """It is paused by a freeze, and by nobody else."""
    marks_for: str | None = None
    """The provider that reports on this workspace's mail through it, if a header helps it to say
    which message it means (`domain.provider_headers`).
    """
    is_sandbox: bool = False
    """Its mail reaches nobody."""


Wish = tuple[int, str]
"""A workspace, and the name of the SMTP account that its mail is pinned to; empty: to none."""

# The first choice first; the environment's account, number 0, comes right after an active one.
_ROUTES = """
SELECT w.id, a.id, a.name, a.max_connections, a.max_per_second, a.revision,
    a.is_paused, coalesce(a.name = ANY(frozen.names), false),
    coalesce(b.state, 'closed'),
    coalesce(CASE b.state
        WHEN 'open' THEN b.retry_at <= now()
        WHEN 'half_open' THEN b.canary_until <= now() END, false),
    b.canary_worker_id, a.return_path, a.host,
    (SELECT e.provider FROM webhook_endpoints e
        WHERE e.workspace_id = w.id AND e.smtp_account_name = a.name
            AND e.provider = ANY(%(marked)s)
        ORDER BY e.id DESC LIMIT 1), a.is_sandbox
FROM unnest(%(workspaces)s::int[]) AS w (id)
CROSS JOIN LATERAL (
    SELECT array_agg(f.target) AS names FROM freezes f
    WHERE f.workspace_id = w.id AND f.kind = 'smtp_account'
        AND f.lifted_at IS NULL AND f.expires_at > now()) AS frozen
CROSS JOIN LATERAL (
    SELECT id, name, max_connections, max_per_second, updated_at::text AS revision,
        paused_at IS NOT NULL AS is_paused, is_active, priority, return_path,
        host, is_sandbox
    FROM smtp_accounts WHERE workspace_id = w.id
    UNION ALL
    SELECT 0, %(environment)s, NULL, NULL, '', false, false, NULL, NULL, '', false) AS a
LEFT JOIN breakers b ON b.account_id = a.id
ORDER BY w.id, a.is_active DESC, a.id <> 0, a.priority, a.id
"""


def list_routes(workspace_ids: Sequence[int]) -> dict[int, list[Candidate]]:
    """For each workspace the accounts that its mail may take, the first choice first.

    That is the active account, or the environment's where none is active, and then the others by
    priority; only the first where AUTO_FAILOVER_ENABLED is false. One that the workspace has frozen
    counts as paused, and so does the environment's, for this workspace alone.
    """
    ways = list_ways([(workspace_id, "") for workspace_id in workspace_ids])
    return {workspace_id: route for (workspace_id, _), route in ways.items()}


def list_ways(wishes: Collection[Wish]) -> dict[Wish, list[Candidate]]:
    """For each wish the accounts that the mail may take: the route of its workspace, or the one
    that it is pinned to, whether or not that is in the route; none where that is gone.
    """
    accounts: dict[int, list[Candidate]] = {workspace_id: [] for workspace_id, _ in wishes}
    values = {
        "workspaces": list(accounts),
        "environment": DEFAULT_ACCOUNT,
        "marked": list(provider_headers.PROVIDERS),
    }
    for row in database.execute_sql(_ROUTES, values).fetchall():
        workspace_id, account_id, name, connections, per_second, revision = row[:6]
        is_paused, is_frozen, state, may_try, canary_worker_id, *outside, marks_for, is_sandbox = (
            row[6:]
        )
        account = Account(
            account_id, name, workspace_id, connections, per_second, revision, *outside
        )
        accounts[workspace_id].append(
            Candidate(
                _environment() if account_id == ENVIRONMENT else account,
                is_paused=is_paused or is_frozen,
                state=State(state),
                may_try=may_try,
                canary_worker_id=canary_worker_id,
                is_frozen=is_frozen and not is_paused,
                marks_for=marks_for,
                is_sandbox=is_sandbox,
            )
        )
    return {wish: _pick(accounts[wish[0]], wish[1]) for wish in wishes}


def _pick(accounts: Sequence[Candidate], name: str) -> list[Candidate]:
    """Those of a workspace's accounts that mail with this wish may take."""
    if name:
        return [candidate for candidate in accounts if candidate.account.name == name]
    first = accounts[0]
    # The sandbox stands in for nobody, or mail would be lost; and nobody for it, or a rehearsal
    # would reach people.
    route = [
        c
        for c in accounts
        if c is first or not (c.account.id == ENVIRONMENT or c.is_sandbox or first.is_sandbox)
    ]
    return route if config.current().auto_failover.enabled else route[:1]


def choose(route: Sequence[Candidate]) -> tuple[Candidate, int] | None:
    """The account of a route that mail takes at the moment, and its place in it; None where none is
    in order.
    """
    for place, candidate in enumerate(route):
        if not candidate.is_paused and candidate.state is State.CLOSED:
            return candidate, place
    return None


def _environment() -> Account:
    smtp = config.current().smtp
    limits = smtp.max_connections, smtp.max_per_second
    return Account(
        ENVIRONMENT,
        DEFAULT_ACCOUNT,
        None,
        *limits,
        revision="",
        return_path=smtp.return_path,
        host=smtp.host,
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """A use of an account in which the path failed: a dial, or a message."""

    worker_id: uuid.UUID
    account_id: int
    account_name: str
    workspace_id: int | None
    error_class: str | None
    text: str
    is_down: bool = False
    """No connection stands, and as many dials in a row as open a breaker were in vain."""


Counts = dict[tuple[int, uuid.UUID], list[int]]
"""Tries and faults, by account and worker."""

_TALLY = """
INSERT INTO account_tallies AS t (account_id, slot_at, worker_id, try_count, fault_count)
SELECT (v->>0)::int, date_bin(%s, now(), 'epoch'), (v->>1)::uuid, (v->>2)::int, (v->>3)::int
FROM json_array_elements(%s) AS v
ON CONFLICT (account_id, slot_at, worker_id) DO UPDATE SET
    try_count = t.try_count + excluded.try_count,
    fault_count = t.fault_count + excluded.fault_count
"""


def add_counts(counts: Counts) -> None:
    """Count tries and faults. Assumes the caller's transaction; `judge` follows after it."""
    if counts:
        rows = [[account_id, str(worker), *n] for (account_id, worker), n in counts.items()]
        database.execute_sql(_TALLY, (SLOT, json.dumps(sorted(rows))))


# The slots since it closed last: what opened it then must not open it once more.
_SUM = """
SELECT coalesce(sum(t.try_count), 0)::int, coalesce(sum(t.fault_count), 0)::int
FROM account_tallies t LEFT JOIN breakers b ON b.account_id = t.account_id
WHERE t.account_id = %(account)s
    AND t.slot_at > greatest(now() - %(window)s * interval '1 second', b.closed_at)
"""
_OPEN = """
INSERT INTO breakers AS b (
    account_id, state, error_class, reason, opened_at, retry_at, open_count, last_fault_at)
VALUES (%(account)s, 'open', %(error_class)s, %(reason)s, now(),
    now() + %(wait)s * interval '1 second', 1, now())
ON CONFLICT (account_id) DO UPDATE SET
    state = 'open', error_class = excluded.error_class, reason = excluded.reason,
    opened_at = now(), retry_at = excluded.retry_at, open_count = 1, last_fault_at = now(),
    updated_at = now(), canary_worker_id = NULL, canary_until = NULL
WHERE b.state = 'closed'
RETURNING account_id
"""
_NOTE_FAULT = """
INSERT INTO breakers AS b (account_id, state, error_class, reason, last_fault_at)
VALUES (%(account)s, 'closed', %(error_class)s, %(reason)s, now())
ON CONFLICT (account_id) DO UPDATE SET
    error_class = excluded.error_class, reason = excluded.reason, last_fault_at = now()
"""


def judge(faults: Sequence[Fault]) -> None:
    """Open the breakers of the accounts that failed too often, after `add_counts`."""
    rules = config.current().auto_failover
    for fault in {fault.account_id: fault for fault in faults}.values():
        with database.atomic():
            evidence = {"error_class": fault.error_class, "reason": storable(fault.text)}
            database.execute_sql(_NOTE_FAULT, {"account": fault.account_id, **evidence})
            try_count, fault_count = database.execute_sql(
                _SUM, {"account": fault.account_id, "window": rules.window_seconds}
            ).fetchone()
            if not fault.is_down and not breaker.should_open(
                try_count=try_count,
                fault_count=fault_count,
                min_faults=rules.min_faults,
                fault_percent=rules.fault_percent,
            ):
                continue
            wait = breaker.wait_seconds(1)
            opened = database.execute_sql(
                _OPEN, {"account": fault.account_id, "wait": wait, **evidence}
            ).fetchone()
            if opened:
                counts = {"tries": try_count, "faults": fault_count}
                told = {**evidence, **counts, "retry_in_seconds": wait}
                _tell(EventType.BREAKER_OPENED, fault.account_name, fault.workspace_id, told)
                _tell_of_fail_over(fault)


_START_CANARY = """
UPDATE breakers SET state = 'half_open', canary_worker_id = %(worker)s, updated_at = now(),
    canary_until = now() + %(lease)s * interval '1 second'
WHERE account_id = %(account)s
    AND (state = 'open' AND retry_at <= now() OR state = 'half_open' AND canary_until <= now())
RETURNING account_id
"""


def start_canary(account: Account, worker_id: uuid.UUID) -> bool:
    """Let this worker send a trickle through an account whose wait is over. False where another
    worker does.
    """
    with database.atomic():
        found = database.execute_sql(
            _START_CANARY,
            {
                "account": account.id,
                "worker": str(worker_id),
                "lease": CANARY_LEASE_SECONDS,
            },
        ).fetchone()
        if found:
            _tell(EventType.BREAKER_HALF_OPENED, account.name, account.workspace_id, {})
    return bool(found)


_REOPEN = """
UPDATE breakers SET state = 'open', open_count = open_count + 1, passed_count = 0,
    opened_at = now(), error_class = %(error_class)s, reason = %(reason)s,
    last_fault_at = now(), updated_at = now(),
    canary_worker_id = NULL, canary_until = NULL,
    retry_at = now() + interval '1 second' * least(%(last)s, %(first)s * 2 ^ least(open_count, 16))
WHERE account_id = %(account)s AND state = 'half_open' AND canary_worker_id = %(worker)s
RETURNING extract(epoch FROM retry_at - now())::int
"""
_PASS = """
UPDATE breakers SET passed_count = passed_count + 1,
    canary_until = now() + %(lease)s * interval '1 second'
WHERE account_id = %(account)s AND state = 'half_open' AND canary_worker_id = %(worker)s
RETURNING passed_count
"""
_CLOSE = """
UPDATE breakers SET state = 'closed', open_count = 0, passed_count = 0,
    updated_at = now(), closed_at = now(),
    retry_at = NULL,
    canary_worker_id = NULL, canary_until = NULL
WHERE account_id = %(account)s AND state = 'half_open' AND canary_worker_id = %(worker)s
RETURNING extract(epoch FROM now() - opened_at)::int
"""


def report_canary(account: Account, worker_id: uuid.UUID, *, fault: Fault | None) -> bool:
    """A message of the canary passed, or met a fault of the path. Returns whether that decides:
    after enough that passed the account is trusted again, after a fault not yet.
    """
    values = {"account": account.id, "worker": str(worker_id)}
    with database.atomic():
        if fault is not None:
            evidence = {"error_class": fault.error_class, "reason": storable(fault.text)}
            waits = {"first": breaker.FIRST_WAIT_SECONDS, "last": breaker.LAST_WAIT_SECONDS}
            opened = database.execute_sql(_REOPEN, {**values, **waits, **evidence}).fetchone()
            if opened:
                data = {**evidence, "retry_in_seconds": opened[0]}
                _tell(EventType.BREAKER_OPENED, account.name, account.workspace_id, data)
            return True
        passed = database.execute_sql(_PASS, {**values, "lease": CANARY_LEASE_SECONDS}).fetchone()
        if passed is None or passed[0] < breaker.CANARY_MESSAGES:
            return passed is None  # another worker's by now
        closed = database.execute_sql(_CLOSE, values).fetchone()
        if closed:
            data = {"open_seconds": closed[0]}
            _tell(EventType.BREAKER_CLOSED, account.name, account.workspace_id, data)
            _tell_of_fail_back(account)
        return True


_SLOWED = """
INSERT INTO breakers AS b (account_id, state, slowed_to, slowed_at)
VALUES (%(account)s, 'closed', %(rate)s, now())
ON CONFLICT (account_id) DO UPDATE SET slowed_to = excluded.slowed_to, slowed_at = now()
WHERE b.slowed_at IS NULL OR b.slowed_at < now() - interval '1 minute'
RETURNING account_id
"""


def note_slowed(account: Account, *, rate: float, text: str) -> None:
    """A worker slowed down after throttling; told once a minute at most."""
    with database.atomic():
        told = database.execute_sql(
            _SLOWED, {"account": account.id, "rate": round(rate, 2)}
        ).fetchone()
        if told:
            data = {"rate": round(rate, 2), "reason": storable(text)}
            _tell(EventType.SLOWED, account.name, account.workspace_id, data)


def prune_tallies() -> int:
    """Forget counts that nobody looks at any more; returns how many rows that was."""
    cursor = database.execute_sql(
        "DELETE FROM account_tallies WHERE slot_at < now() - %s::interval", (KEEP_TALLIES,)
    )
    return int(cursor.rowcount)


def storable(text: str) -> str:
    """A server's words without NUL, which PostgreSQL does not hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


_EVENT = "INSERT INTO events (workspace_id, type, data) VALUES (%s, %s, %s)"


def _tell(kind: EventType, name: str, workspace_id: int | None, data: dict[str, Any]) -> None:
    known = {key: value for key, value in data.items() if value is not None}
    data = {"smtp_account": name, **known}
    database.execute_sql(_EVENT, (workspace_id, kind.value, json.dumps(data)))
    logger.warning(kind.value, workspace_id=workspace_id, **data)


def _tell_of_fail_over(fault: Fault) -> None:
    """Tell where the workspace's mail goes instead, if this was its first choice."""
    if fault.workspace_id is None:
        return
    route = list_routes([fault.workspace_id])[fault.workspace_id]
    usable = [c.account for c in route if not c.is_paused and c.state is State.CLOSED]
    if usable and route[0].account.id == fault.account_id:
        data = {"to": usable[0].name}
        _tell(EventType.FAILED_OVER, fault.account_name, fault.workspace_id, data)


def _tell_of_fail_back(account: Account) -> None:
    if account.workspace_id is None:
        return
    route = list_routes([account.workspace_id])[account.workspace_id]
    others = [c for c in route[1:] if not c.is_paused]
    if others and route[0].account.id == account.id:
        data = {"from": others[0].account.name}
        _tell(EventType.FAILED_BACK, account.name, account.workspace_id, data)


_BLOCKED = """
SELECT a.id FROM smtp_accounts a
WHERE a.id = ANY(%(ids)s::int[])
    AND (a.paused_at IS NOT NULL OR EXISTS (
        SELECT FROM freezes f
        WHERE f.workspace_id = a.workspace_id AND f.kind = 'smtp_account' AND f.target = a.name
            AND f.lifted_at IS NULL AND f.expires_at > now()))
UNION
SELECT account_id FROM breakers
WHERE account_id = ANY(%(ids)s::int[])
    AND (state = 'open' OR state = 'half_open' AND canary_worker_id <> %(worker)s)
"""


def list_blocked(account_ids: Sequence[int], worker_id: uuid.UUID) -> set[int]:
    """Which of these accounts this worker must not use at the moment.

    Never the environment's for a freeze, which is one workspace's affair: what is ready of that
    workspace is taken back by the last check before it is offered.
    """
    values = {"ids": list(account_ids), "worker": str(worker_id)}
    return {row[0] for row in database.execute_sql(_BLOCKED, values).fetchall()}
