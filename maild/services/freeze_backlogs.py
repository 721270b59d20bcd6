"""What waits behind freezes, and how long it takes to go out once they are lifted.

Nothing here counts without a bound: of what a freeze holds, and of what is due in each stream,
COUNT_MAX messages are looked at. It changes nothing.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from maild.db import database
from maild.domain.breaker import State
from maild.domain.freeze import FreezeKind
from maild.domain.states import PRIORITY, Stream
from maild.errors import FieldError, InvalidFields, summarise
from maild.models import Freeze
from maild.models.smtp_account import DEFAULT_ACCOUNT, ENVIRONMENT
from maild.services import freeze_targets, providers
from maild.services.freezes import use_indexes
from maild.services.providers import Account, Candidate, Wish

COUNT_MAX = 10_000
SLOTS = 60
"""The speed of an account is that of its last five minutes, in slots, in which mail went out."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits because of one freeze.

    `count` is what it holds and what is due and would be held; with `is_more` there are more, or
    may be. `drain_seconds` is None where nobody can tell; `drain_note` says why, or how it is told.
    """

    count: int
    is_more: bool
    drain_seconds: int | None
    drain_note: str


def measure(workspace_id: int, freezes: Sequence[Freeze]) -> dict[int, Backlog]:
    """The backlogs of freezes of one workspace, by their ids."""
    if not freezes:
        return {}
    with database.atomic():
        use_indexes()
        held = _count_held(freezes)
        due = _count_due(workspace_id, freezes)
    frozen = {f.target or "" for f in freezes if f.kind is FreezeKind.SMTP_ACCOUNT}
    ways = providers.list_ways([(workspace_id, name) for name in {"", *frozen}])
    speeds: dict[int, float | None] = {}

    def speed(account: Account) -> float | None:
        if account.id not in speeds:
            speeds[account.id] = _measure_speed(workspace_id, account)
        return speeds[account.id]

    return {
        freeze.id: _backlog(freeze, held[freeze.id], due, ways, speed=speed) for freeze in freezes
    }


def foresee(workspace_id: int, *, kind: FreezeKind, target: str | None) -> tuple[int, bool]:
    """How many due messages a freeze would hold if it began now, and whether more may be.

    `target` may be in any form. Raises InvalidFields, NotFound (the account or key).
    """
    try:
        normal = freeze_targets.normalise(kind, target)
    except ValueError as error:
        errors = [FieldError("target", str(error))]
        raise InvalidFields(summarise(errors), errors=errors) from error
    if normal is not None:
        freeze_targets.require(workspace_id, kind, normal)
    freeze = Freeze(workspace=workspace_id, kind=kind, target=normal)
    with database.atomic():
        use_indexes()
        due = _count_due(workspace_id, [freeze])
    route = providers.list_ways([(workspace_id, "")])[workspace_id, ""]
    if kind is FreezeKind.SMTP_ACCOUNT:
        route = [
            replace(one, is_paused=True) if one.account.name == normal else one for one in route
        ]
    count, is_more = _due_of(freeze, due, route)
    return min(count, COUNT_MAX), is_more or count > COUNT_MAX


@dataclass(frozen=True, slots=True)
class _Due:
    """What is due: messages by kind and target of a freeze, and by stream. Those that may go
    through any SMTP account are under the name "", the others under that of theirs.
    """

    by_target: dict[tuple[str, str | None], int]
    by_stream: dict[str, int]

    @property
    def is_cut(self) -> bool:
        """Whether a stream has more than was looked at."""
        return any(count > COUNT_MAX for count in self.by_stream.values())


# Only what is held names a freeze.
_HELD = """
SELECT f.id, held.count, f.lifted_at IS NULL AND f.expires_at > now()
FROM freezes f CROSS JOIN LATERAL (
    SELECT count(*)::int AS count FROM (
        SELECT FROM messages m WHERE m.freeze_id = f.id LIMIT %(limit)s) AS first) AS held
WHERE f.id = ANY(%(ids)s::int[])
"""
# What may go through one account alone is looked at first: it waits for that one.
_DUE = """
WITH pins AS MATERIALIZED (
    SELECT name FROM smtp_accounts WHERE workspace_id = %(workspace)s
    UNION ALL
    SELECT unnest(ARRAY[%(environment)s, ''])
), due AS MATERIALIZED (
    SELECT m.* FROM unnest(%(priorities)s::int[]) AS p (priority) CROSS JOIN LATERAL (
        SELECT one.* FROM pins CROSS JOIN LATERAL (
            SELECT stream, from_email, to_email, api_key_id, pinned_account FROM messages
            WHERE status = 'queued' AND priority = p.priority AND workspace_id = %(workspace)s
                AND pinned_account = pins.name AND next_attempt_at <= now()
            ORDER BY next_attempt_at
            LIMIT %(limit)s) AS one
        LIMIT %(limit)s) AS m
)
SELECT k.kind, k.target, count(*)::int
FROM due CROSS JOIN LATERAL (VALUES
    ('stream', due.stream),
    ('smtp_account', due.pinned_account),
    ('api_key', due.api_key_id::text),
    ('from_email', lower(due.from_email COLLATE "pg_c_utf8")),
    ('recipient_domain', split_part(due.to_email, '@', -1))) AS k (kind, target)
WHERE k.kind IN ('stream', 'smtp_account')
    OR (k.kind, k.target) IN (SELECT * FROM unnest(%(kinds)s::text[], %(targets)s::text[]))
GROUP BY k.kind, k.target
"""


def _held_values(freezes: Sequence[Freeze]) -> dict[str, Any]:
    return {"ids": [freeze.id for freeze in freezes], "limit": COUNT_MAX + 1}


def _due_values(workspace_id: int, freezes: Sequence[Freeze]) -> dict[str, Any]:
    return {
        "workspace": workspace_id,
        "priorities": list(PRIORITY.values()),
        "environment": DEFAULT_ACCOUNT,
        "limit": COUNT_MAX + 1,
        "kinds": [freeze.kind.value for freeze in freezes],
        "targets": [freeze.target for freeze in freezes],
    }


def _count_held(freezes: Sequence[Freeze]) -> dict[int, tuple[int, bool]]:
    """How many messages each freeze holds, and whether it is in force."""
    rows = database.execute_sql(_HELD, _held_values(freezes)).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def _count_due(workspace_id: int, freezes: Sequence[Freeze]) -> _Due:
    rows = database.execute_sql(_DUE, _due_values(workspace_id, freezes)).fetchall()
    by_target = {(kind, target): count for kind, target, count in rows}
    by_stream = {stream.value: by_target.get(("stream", stream.value), 0) for stream in Stream}
    return _Due(by_target, by_stream)


def _backlog(
    freeze: Freeze,
    held: tuple[int, bool],
    due: _Due,
    ways: Mapping[Wish, Sequence[Candidate]],
    *,
    speed: Callable[[Account], float | None],
) -> Backlog:
    held_count, is_in_force = held
    route = ways[freeze.workspace_id, ""]
    due_count, is_cut = _due_of(freeze, due, route) if is_in_force else (0, False)
    is_more = is_cut or held_count + due_count > COUNT_MAX
    count = min(held_count + due_count, COUNT_MAX)
    if not count and not is_more:
        return Backlog(0, False, 0, "Nothing waits.")
    if freeze.kind is FreezeKind.SMTP_ACCOUNT:
        carrier = _thawed(ways[freeze.workspace_id, str(freeze.target)])
    else:
        carrier = next((c.account for c in route if _is_in_order(c)), None)
    if carrier is None:
        return Backlog(
            count, is_more, None, "No SMTP account of the workspace is in order just now."
        )
    return _drain(count, is_more, carrier, speed(carrier))


def _due_of(freeze: Freeze, due: _Due, route: Sequence[Candidate]) -> tuple[int, bool]:
    """How many due messages a freeze in force keeps waiting, and whether more may be."""
    everything = sum(due.by_stream.values())
    if freeze.kind is FreezeKind.WORKSPACE:
        return everything, due.is_cut
    if freeze.kind is FreezeKind.STREAM:
        count = due.by_stream[str(freeze.target)]
        return count, count > COUNT_MAX
    if freeze.kind is FreezeKind.SMTP_ACCOUNT:
        # Mail takes another account where one is in order, if it may.
        count = due.by_target.get((freeze.kind.value, freeze.target), 0)
        names = {candidate.account.name for candidate in route}
        if freeze.target in names and not any(_is_in_order(c) for c in route):
            count += due.by_target.get((freeze.kind.value, ""), 0)
            return count, due.is_cut
        return count, count > 0 and due.is_cut
    return due.by_target.get((freeze.kind.value, freeze.target), 0), due.is_cut


def _thawed(way: Sequence[Candidate]) -> Account | None:
    """The frozen account, if mail takes it once its freeze is lifted."""
    for candidate in way:
        if candidate.state is State.CLOSED and (candidate.is_frozen or not candidate.is_paused):
            return candidate.account
    return None


def _is_in_order(candidate: Candidate) -> bool:
    return not candidate.is_paused and candidate.state is State.CLOSED


def _drain(count: int, is_more: bool, account: Account, measured: float | None) -> Backlog:
    limit = account.max_per_second
    if measured is None and limit is None:
        note = (
            f"Nothing has gone out through “{account.name}” in the last day, so nobody knows how"
            " fast it is."
        )
        return Backlog(count, is_more, None, note)
    if measured is None or (limit is not None and limit < measured):
        assert limit is not None  # one of the two is known
        speed, source = limit, f"its limit of {limit:g} a second"
    else:
        speed, source = measured, f"its speed of late, {measured:.2g} a second"
    at_least = f"At least, for more than {count} wait: " if is_more else ""
    note = f"{at_least}through “{account.name}” at {source}."
    return Backlog(count, is_more, math.ceil(count / speed), note[0].upper() + note[1:])


# The speed while mail went out: a quiet hour does not make an account slow.
_SPEED = """
SELECT sum(good) / (count(*) * extract(epoch FROM %(slot)s::interval))::float8
FROM (
    SELECT sum(try_count - fault_count) AS good FROM account_tallies
    WHERE account_id = %(account)s AND slot_at > now() - %(keep)s::interval
    GROUP BY slot_at HAVING sum(try_count - fault_count) > 0
    ORDER BY slot_at DESC LIMIT %(slots)s) AS latest
"""
# The tallies of the shared account are of all workspaces together, and nobody else's business.
_OWN_SPEED = """
SELECT count(*) / (count(DISTINCT date_bin(%(slot)s, updated_at, 'epoch'))
    * extract(epoch FROM %(slot)s::interval))::float8
FROM (
    SELECT updated_at, smtp_account_name FROM messages
    WHERE workspace_id = %(workspace)s AND status = 'sent'
    ORDER BY created_at DESC, id DESC LIMIT %(sample)s) AS latest
WHERE smtp_account_name = %(name)s AND updated_at > now() - %(keep)s::interval
HAVING count(*) > 0
"""


def _measure_speed(workspace_id: int, account: Account) -> float | None:
    """Messages a second that went through an account lately, while any did."""
    values: dict[str, Any] = {
        "account": account.id,
        "name": account.name,
        "workspace": workspace_id,
        "slot": providers.SLOT,
        "slots": SLOTS,
        "keep": providers.KEEP_TALLIES,
        "sample": COUNT_MAX,
    }
    sql = _OWN_SPEED if account.id == ENVIRONMENT else _SPEED
    row = database.execute_sql(sql, values).fetchone()
    return float(row[0]) if row and row[0] else None
