"""The hand-over: what happened in a person's workspaces while they were away, and what is about to.

It reads all workspaces at once, in as many statements as for one, looks at the newest of everything
alone, and changes nothing. What the person did themselves is no news to them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from maild import clock
from maild.db import database
from maild.domain.actor import RECIPIENT, SYSTEM
from maild.domain.freeze import FreezeKind
from maild.domain.states import EventType
from maild.models import Event
from maild.services.freezes import use_indexes

FIRST_LOOK = timedelta(days=1)
"""How far back it goes for who was never there before."""
LOOK_BACK_MAX = timedelta(days=7)
COUNT_MAX = 1_000
"""Every count stops here: it means so many, or more."""
LOOKED_AT_MAX = 300
"""Of each workspace, so many of its newest events and audit entries are looked at."""
LISTED_MAX = 20
"""Of each kind, so many are listed."""
ENDING_HOURS = 24
"""A freeze that ends within this time is about to."""

HAPPENINGS_MAX = 500

_TROUBLES: dict[str, EventType] = {
    EventType.BREAKER_OPENED: EventType.BREAKER_CLOSED,
    EventType.SILENT: EventType.REPORTING,
    EventType.SIGNATURES_FAILING: EventType.REPORTING,
    EventType.CONSERVATION_BROKEN: EventType.CONSERVATION_RESTORED,
}
"""Each with what tells that it is over."""
_FREEZES = (EventType.FREEZE_STARTED, EventType.FREEZE_ENDED)
_FREEZE_ACTIONS = ["freeze.started", "freeze.lifted"]
"""What the audit log calls the same."""
_DEEDS = (EventType.POLICY_CHANGED, EventType.PAUSED, EventType.RESUMED)
"""What people did, as every member may know it."""


@dataclass(frozen=True, slots=True)
class Came:
    """So many of a workspace that came since; `count` stops at COUNT_MAX."""

    workspace_id: int
    count: int
    latest_at: datetime


@dataclass(frozen=True, slots=True)
class Ending:
    """A freeze that ends soon by itself, and how many messages it holds, COUNT_MAX at most."""

    id: int
    workspace_id: int
    kind: FreezeKind
    target: str | None
    reason: str
    created_by: str
    expires_at: datetime
    held_count: int


@dataclass(frozen=True, slots=True)
class Happening:
    """The latest of `count` events of one kind about one thing. `is_over`: it is no trouble now.

    One without a workspace is about the SMTP account of the environment.
    """

    event: Event
    count: int
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """The latest of `count` things of one kind that somebody did to a workspace."""

    workspace_id: int
    at: datetime
    actor: str
    action: str
    target: str
    count: int


@dataclass(frozen=True, slots=True)
class Handover:
    """What happened since. Each list has the newest first, and LISTED_MAX entries at most; freezes
    that end soon have the first to end first.
    """

    since: datetime
    is_first: bool
    """The person was never there before."""
    is_cut: bool
    """They were away for longer than this goes back."""
    unknown: Sequence[Came]
    dead_letters: Sequence[Came]
    ending: Sequence[Ending]
    freezes: Sequence[Happening]
    troubles: Sequence[Happening]
    deeds: Sequence[Happening]
    """What people did in workspaces whose audit log is not for this person."""
    changes: Sequence[Change]
    """What people and programs did, by the audit log."""

    @property
    def is_empty(self) -> bool:
        parts = (self.unknown, self.dead_letters, self.ending, self.freezes)
        return not any((*parts, self.troubles, self.deeds, self.changes))


def read(
    workspace_ids: Sequence[int],
    *,
    last_visit_at: datetime | None,
    person: str,
    audited_ids: Sequence[int] = (),
) -> Handover:
    """What happened in these workspaces since somebody's last visit; without one, in FIRST_LOOK.

    `person` is how the audit log names them. `audited_ids` are the workspaces whose audit log they
    may read.
    """
    now = clock.now()
    since = max(last_visit_at or now - FIRST_LOOK, now - LOOK_BACK_MAX)
    values = {
        "workspaces": list(workspace_ids),
        "audited": list(audited_ids),
        "since": since,
        "person": person,
        "max": COUNT_MAX,
        "looked_at": LOOKED_AT_MAX,
        "listed": LISTED_MAX,
        "hours": ENDING_HOURS,
    }
    with database.atomic():
        use_indexes()
        unknown = [Came(*row) for row in _rows(_UNKNOWN, values)]
        dead_letters = [Came(*row) for row in _rows(_DEAD_LETTERS, values)]
        ending = [
            Ending(row[0], row[1], FreezeKind(row[2]), *row[3:]) for row in _rows(_ENDING, values)
        ]
        happenings = _list_happenings(values)
        changes = [Change(*row) for row in _list_changes(values)]
    return Handover(
        since=since,
        is_first=last_visit_at is None,
        is_cut=last_visit_at is not None and since > last_visit_at,
        unknown=unknown,
        dead_letters=dead_letters,
        ending=ending,
        freezes=_of_freezes(happenings, but={freeze.id for freeze in ending}),
        troubles=_of_kinds(_TROUBLES, happenings),
        deeds=_of_kinds(_DEEDS, happenings),
        changes=changes,
    )


_UNKNOWN = """
SELECT w.id, came.count, came.latest_at
FROM unnest(%(workspaces)s::int[]) AS w (id)
CROSS JOIN LATERAL (
    SELECT count(*)::int AS count, max(updated_at) AS latest_at FROM (
        SELECT updated_at FROM messages
        WHERE workspace_id = w.id AND status = 'unknown' AND updated_at > %(since)s
        ORDER BY updated_at DESC LIMIT %(max)s) AS newest) AS came
WHERE came.count > 0
ORDER BY came.latest_at DESC LIMIT %(listed)s
"""
# They come in the order of their ids but for the few that were tried for a while first.
_DEAD_LETTERS = """
SELECT w.id, came.count, came.latest_at
FROM unnest(%(workspaces)s::int[]) AS w (id)
CROSS JOIN LATERAL (
    SELECT count(*)::int AS count, max(updated_at) AS latest_at FROM (
        SELECT updated_at FROM provider_events
        WHERE workspace_id = w.id AND status = 'dead_letter'
        ORDER BY id DESC LIMIT %(max)s) AS newest
    WHERE updated_at > %(since)s) AS came
WHERE came.count > 0
ORDER BY came.latest_at DESC LIMIT %(listed)s
"""
_ENDING = """
SELECT f.id, f.workspace_id, f.kind, f.target, f.reason, f.created_by, f.expires_at, held.count
FROM (
    SELECT * FROM freezes
    WHERE workspace_id = ANY(%(workspaces)s) AND lifted_at IS NULL AND expires_at > now()
        AND expires_at < now() + %(hours)s * interval '1 hour'
    ORDER BY expires_at, id LIMIT %(listed)s) AS f
CROSS JOIN LATERAL (
    SELECT count(*)::int AS count FROM (
        SELECT FROM messages m WHERE m.freeze_id = f.id LIMIT %(max)s) AS first) AS held
ORDER BY f.expires_at, f.id
"""
# Of what is the same but for its time, the latest is told, with how often it happened: a breaker
# opens anew as often as its canary fails. Events of the instance are about the account of the
# environment, which concerns those whose mail takes it first.
_HAPPENINGS = """
WITH seen AS (
    SELECT e.* FROM unnest(%(workspaces)s::int[]) AS w (id) CROSS JOIN LATERAL (
        SELECT id, workspace_id, type, data, created_at FROM events
        WHERE workspace_id = w.id AND message_id IS NULL
        ORDER BY id DESC LIMIT %(looked_at)s) AS e
    UNION ALL
    SELECT e.* FROM (
        SELECT id, workspace_id, type, data, created_at FROM events
        WHERE workspace_id IS NULL AND message_id IS NULL
            AND EXISTS (SELECT FROM unnest(%(workspaces)s::int[]) AS w (id) WHERE NOT EXISTS (
                SELECT FROM smtp_accounts a WHERE a.workspace_id = w.id AND a.is_active))
        ORDER BY id DESC LIMIT %(looked_at)s) AS e
), told AS (
    SELECT DISTINCT ON (workspace_id, type, data->>'smtp_account', data->>'freeze_id')
        id, workspace_id, type, data, created_at,
        count(*) OVER (
            PARTITION BY workspace_id, type, data->>'smtp_account', data->>'freeze_id')::int
    FROM seen
    WHERE created_at > %(since)s AND type = ANY(%(types)s)
        AND data->>'by' IS DISTINCT FROM %(person)s
        AND (type <> ALL(%(deeds)s) OR workspace_id <> ALL(%(audited)s))
    ORDER BY workspace_id, type, data->>'smtp_account', data->>'freeze_id', id DESC
)
SELECT * FROM told ORDER BY id DESC LIMIT %(happenings)s
"""
# Freezes have a part of their own. What a program does a thousand times is one line.
_CHANGES = """
WITH seen AS (
    SELECT e.* FROM unnest(%(audited)s::int[]) AS w (id) CROSS JOIN LATERAL (
        SELECT workspace_id, seq, at, actor, action, target FROM audit_entries
        WHERE workspace_id = w.id ORDER BY seq DESC LIMIT %(looked_at)s) AS e
    WHERE e.at > %(since)s AND e.actor <> ALL(%(but)s) AND e.action <> ALL(%(told)s)
), told AS (
    SELECT DISTINCT ON (workspace_id, actor, action) workspace_id, at, actor, action, target,
        count(*) OVER (PARTITION BY workspace_id, actor, action)::int, seq
    FROM seen ORDER BY workspace_id, actor, action, seq DESC
)
SELECT workspace_id, at, actor, action, target, count FROM told
ORDER BY at DESC, seq DESC LIMIT %(listed)s
"""


def _list_happenings(values: dict[str, Any]) -> list[Happening]:
    """The latest of each kind, newest first."""
    types = [*_TROUBLES, *_TROUBLES.values(), *_FREEZES, *_DEEDS]
    asked = {"types": types, "deeds": list(_DEEDS), "happenings": HAPPENINGS_MAX}
    rows = _rows(_HAPPENINGS, {**values, **asked})
    latest = {(row[1], row[2], row[3].get("smtp_account")): row[0] for row in reversed(rows)}
    return [
        Happening(
            Event(id=id_, workspace=workspace_id, type=kind, data=data, created_at=at),
            count,
            is_over=kind in _TROUBLES
            and latest.get((workspace_id, _TROUBLES[kind], data.get("smtp_account")), 0) > id_,
        )
        for id_, workspace_id, kind, data, at, count in rows
    ]


def _of_kinds(kinds: Collection[str], happenings: Sequence[Happening]) -> list[Happening]:
    return [one for one in happenings if one.event.type in kinds][:LISTED_MAX]


def _of_freezes(happenings: Sequence[Happening], *, but: Collection[int]) -> list[Happening]:
    """The latest of each freeze; not of those that are told of already."""
    found: dict[int, Happening] = {}
    for one in happenings:
        freeze_id = one.event.data.get("freeze_id", 0)
        if one.event.type in _FREEZES and freeze_id not in but:
            found.setdefault(freeze_id, one)
    return list(found.values())[:LISTED_MAX]


def _list_changes(values: dict[str, Any]) -> Sequence[Sequence[Any]]:
    if not values["audited"]:
        return []
    but = [values["person"], SYSTEM.name, RECIPIENT.name]
    return _rows(_CHANGES, {**values, "but": but, "told": _FREEZE_ACTIONS})


def _rows(sql: str, values: dict[str, Any]) -> list[Sequence[Any]]:
    rows: list[Sequence[Any]] = database.execute_sql(sql, values).fetchall()
    return rows
