"""Retention: for how long a workspace keeps what, and what a change of that would remove.

The instance has a time for each subject; a workspace may choose its own, within bounds. In charge
of the choice; removing is `retention_pruner`, which asks here for nothing but the horizon.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import peewee

from maild import config
from maild.db import database
from maild.domain import retention as rules
from maild.domain.actor import Actor
from maild.domain.retention import Choice, Keep, Subject
from maild.errors import Conflict, FieldError, InvalidFields, summarise
from maild.models import RetentionLeftover, RetentionPolicy, RetentionProgress
from maild.services import audit, workspaces

COUNTED_MAX = 10_000
"""So many are counted of what would go; more is told as more."""
STALE = "Somebody has changed this meanwhile. What is shown is how it is now; change it again."


@dataclass(frozen=True, slots=True)
class Standing:
    """What a workspace has chosen, what it comes to, and what was removed so far. `version` is 0
    where nothing was ever chosen.
    """

    choice: Choice
    keep: Keep
    default: Keep
    version: int
    updated_at: datetime | None
    updated_by: str | None
    pruned: dict[str, "Pruned"]
    """By rule: `bodies`, `messages`, `payloads`, `audit`, ..."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a rule has removed, ever, and when it last did."""

    count: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Going:
    """What the next rounds would remove of a subject: what is from before `before`, and has ended.
    `is_more`: there are more than `count`.
    """

    subject: Subject
    before: datetime | None
    """None: nothing ever goes."""
    count: int
    is_more: bool


def default() -> Keep:
    """What the instance keeps, where a workspace has not chosen."""
    found = config.current().retention
    return Keep(found.bodies_days, found.messages_days, found.webhooks_days, found.audit_days)


def longest() -> Keep:
    """Of each subject, the longest that any workspace keeps it, or one without a choice would."""
    columns = [getattr(RetentionPolicy, f"{subject.value}_days") for subject in Subject]
    longest_of = (peewee.fn.max(column) for column in columns)
    chosen: Any = RetentionPolicy.select(*longest_of).tuples().get()
    found: dict[str, int | None] = {}
    for subject, days in zip(Subject, chosen, strict=True):
        own = default().days(subject)
        found[subject.value] = None if own is None else max(own, days or 0)
    return Keep(**found)


def get_keep(workspace_id: int) -> Keep:
    """What a workspace keeps, for those who tell why something is gone."""
    return rules.merge(_choice(_find(workspace_id)), default())


def get(workspace_id: int) -> Standing:
    """Raises NotFound."""
    row = _find(workspace_id)
    if row is None:
        workspaces.require(workspace_id)
    choice = _choice(row)
    progress = RetentionProgress.select().where(RetentionProgress.workspace == workspace_id)
    return Standing(
        choice=choice,
        keep=rules.merge(choice, default()),
        default=default(),
        version=row.version if row else 0,
        updated_at=row.updated_at if row else None,
        updated_by=row.updated_by if row else None,
        pruned={one.rule: Pruned(one.pruned_count, one.pruned_at) for one in progress},
    )


def preview(workspace_id: int, choice: Choice) -> list[Going]:
    """What would go with this choice, subject by subject; changes nothing. Raises InvalidFields,
    NotFound (the workspace).
    """
    _check(choice)
    workspaces.require(workspace_id)
    keep = rules.merge(choice, default())
    return [_count(workspace_id, subject, keep.days(subject)) for subject in Subject]


def save(workspace_id: int, choice: Choice, *, version: int, by: Actor) -> Standing:
    """Choose. Raises InvalidFields; Conflict where `version` is not the present one; NotFound (the
    workspace).
    """
    _check(choice)
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = _find(workspace_id)
        if version != (row.version if row else 0):
            raise Conflict(STALE)
        before = _choice(row)
        if choice != before:
            _write(workspace_id, choice, version=version, by=by)
            audit.record(
                workspace_id,
                by,
                action="retention.changed",
                target="retention",
                before=_days(before),
                after=_days(choice),
            )
    return get(workspace_id)


def _write(workspace_id: int, choice: Choice, *, version: int, by: Actor) -> None:
    values: dict[str, Any] = {
        **_days(choice),
        "version": version + 1,
        "updated_by": by.name,
        "updated_at": peewee.fn.now(),
    }
    if version:
        RetentionPolicy.update(values).where(RetentionPolicy.workspace == workspace_id).execute()
    else:
        RetentionPolicy.insert(workspace=workspace_id, **values).execute()
    # What waits for another look may be old enough now.
    RetentionLeftover.update(look_at=peewee.fn.now()).where(
        RetentionLeftover.workspace == workspace_id
    ).execute()


def _find(workspace_id: int) -> RetentionPolicy | None:
    found: RetentionPolicy | None = RetentionPolicy.get_or_none(
        RetentionPolicy.workspace == workspace_id
    )
    return found


def _choice(row: RetentionPolicy | None) -> Choice:
    if row is None:
        return Choice()
    return Choice(row.bodies_days, row.messages_days, row.webhooks_days, row.audit_days)


def _days(choice: Choice) -> dict[str, int | None]:
    return {f"{name}_days": days for name, days in asdict(choice).items()}


def _check(choice: Choice) -> None:
    errors = [FieldError(field, message) for field, message in rules.check(choice, default())]
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)


_COUNT = "SELECT count(*) FROM (SELECT FROM (OLD) AS old LIMIT %(most)s) AS counted"
# As the walks go: from where each has come to, to the horizon. Counting stops early.
_COUNTS = {
    Subject.BODIES: """
        SELECT FROM messages
        WHERE workspace_id = %(workspace)s AND created_at < %(before)s
            AND (created_at, id) > (coalesce((SELECT after_at FROM retention_progress
                WHERE workspace_id = %(workspace)s AND rule = 'bodies'), '-infinity'),
                coalesce((SELECT after_ref FROM retention_progress
                    WHERE workspace_id = %(workspace)s AND rule = 'bodies'),
                    '00000000-0000-0000-0000-000000000000')::uuid)
        ORDER BY created_at, id
    """,
    Subject.MESSAGES: """
        SELECT FROM messages
        WHERE workspace_id = %(workspace)s AND created_at < %(before)s
        ORDER BY created_at, id
    """,
    Subject.WEBHOOKS: """
        SELECT FROM (
            SELECT created_at FROM webhook_payloads
            WHERE workspace_id = %(workspace)s
                AND id > coalesce((SELECT after_ref FROM retention_progress
                    WHERE workspace_id = %(workspace)s AND rule = 'payloads'), '0')::bigint
            ORDER BY id LIMIT %(most)s) AS next
        WHERE created_at < %(before)s
    """,
    Subject.AUDIT: """
        SELECT FROM (
            SELECT at FROM audit_entries WHERE workspace_id = %(workspace)s
            ORDER BY seq LIMIT %(most)s) AS first
        WHERE at < %(before)s
    """,
}


def _count(workspace_id: int, subject: Subject, days: int | None) -> Going:
    if days is None:
        return Going(subject, None, 0, False)
    [before] = database.execute_sql("SELECT now() - %s * interval '1 day'", (days,)).fetchone()
    values = {"workspace": workspace_id, "before": before, "most": COUNTED_MAX + 1}
    [count] = database.execute_sql(_COUNT.replace("OLD", _COUNTS[subject]), values).fetchone()
    return Going(subject, before, min(count, COUNTED_MAX), count > COUNTED_MAX)
