"""Audiences: the lists of contacts that people put together. Who is on one is in
`audience_members`.

One that is deleted can be brought back for some minutes; for all else it is gone at once.
"""

from dataclasses import dataclass
from typing import Any

from peewee import SQL, fn

from maild.db import database
from maild.domain import submission
from maild.domain.actor import Actor
from maild.errors import Conflict, NotFound
from maild.models import Audience
from maild.services import audit, contact_fields, workspaces

AUDIENCES_MAX = 200
"""Of one workspace."""
NAME_MAX_CHARS = 100
DESCRIPTION_MAX_CHARS = 500
COUNT_MAX = 10_000
"""In a list of lists members are counted up to here; there may be more."""
COUNT_ONE_MAX = 1_000_000
"""The same for one list alone."""
RESTORE_MINUTES = 10
"""For so long a deletion can be taken back."""
PRUNED_MEMBERS = 20_000
"""As many of deleted lists are forgotten in one go."""

NO_SUCH = "There is no such list."

# An index has the members of a list beside each other: counting them is a walk over a part of it.
_LIST = """
SELECT a.*, (
    SELECT count(*) FROM (
        SELECT FROM audience_members m WHERE m.audience_id = a.id LIMIT %s) AS counted
) AS member_count
FROM audiences a
WHERE a.workspace_id = %s AND a.removed_at IS NULL
ORDER BY lower(a.name), a.id
"""
_COUNT = """
SELECT count(*) FROM (SELECT FROM audience_members WHERE audience_id = %s LIMIT %s) AS counted
"""
_PRUNE_MEMBERS = """
DELETE FROM audience_members WHERE (audience_id, contact_id) IN (
    SELECT m.audience_id, m.contact_id
    FROM audiences a JOIN audience_members m ON m.audience_id = a.id
    WHERE a.removed_at < now() - %s * interval '1 minute' LIMIT %s)
"""
_PRUNE = """
DELETE FROM audiences a
WHERE a.removed_at < now() - %s * interval '1 minute'
    AND NOT EXISTS (SELECT FROM audience_members m WHERE m.audience_id = a.id)
"""


@dataclass(frozen=True, slots=True)
class Count:
    """How many are on a list: `number`, or more than that."""

    number: int
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """A list, and how many are on it."""

    audience: Audience
    count: Count


def list_all(workspace_id: int) -> list[Counted]:
    """The lists of a workspace, by name: AUDIENCES_MAX at most, each counted up to COUNT_MAX.
    Raises NotFound (the workspace).
    """
    rows = list(Audience.raw(_LIST, COUNT_MAX + 1, workspace_id))
    if not rows:
        workspaces.require(workspace_id)
    return [Counted(row, _capped(row.member_count, COUNT_MAX)) for row in rows]


def list_names(workspace_id: int) -> list[Audience]:
    """The same without counting, for choosing one."""
    query = Audience.select().where(Audience.workspace == workspace_id, _is_there())
    return list(query.order_by(fn.lower(Audience.name), Audience.id))


def get(workspace_id: int, audience_id: int) -> Audience:
    """Raises NotFound, also for another workspace's, and for one that was deleted."""
    row: Audience | None = Audience.get_or_none(
        Audience.id == audience_id, Audience.workspace == workspace_id, _is_there()
    )
    if row is None:
        raise NotFound(NO_SUCH)
    return row


def count(audience: Audience) -> Count:
    """How many are on one list, up to COUNT_ONE_MAX."""
    [number] = database.execute_sql(_COUNT, (audience.id, COUNT_ONE_MAX + 1)).fetchone()
    return _capped(number, COUNT_ONE_MAX)


def create(workspace_id: int, *, name: str, description: str = "", by: Actor) -> Audience:
    """Raises InvalidFields, NotFound (the workspace), and Conflict where there is one of this name,
    or there are AUDIENCES_MAX already.
    """
    name, description = _check(name, description)
    with database.atomic():
        workspaces.take_turns(workspace_id)
        _check_room(workspace_id, name)
        row: Audience = Audience.create(
            workspace=workspace_id, name=name, description=description, created_by=by.name
        )
        audit.record(
            workspace_id, by, action="audience.created", target=_target(row), after=_facts(row)
        )
    return get(workspace_id, row.id)


def change(
    workspace_id: int,
    audience_id: int,
    *,
    name: str | None = None,
    description: str | None = None,
    by: Actor,
) -> Audience:
    """Give it another name, or other words; None leaves it. Raises InvalidFields, NotFound, and
    Conflict where another one has the name.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = get(workspace_id, audience_id)
        before = _facts(row)
        new_name, new_words = _check(
            row.name if name is None else name,
            row.description if description is None else description,
        )
        if (new_name, new_words) == (row.name, row.description):
            return row
        other = _find_by_name(workspace_id, new_name)
        if other is not None and other.id != row.id:
            raise Conflict(_taken(other))
        Audience.update(name=new_name, description=new_words, updated_at=fn.now()).where(
            Audience.id == row.id
        ).execute()
        changed = get(workspace_id, audience_id)
        audit.record(
            workspace_id,
            by,
            action="audience.changed",
            target=_target(changed),
            before=before,
            after=_facts(changed),
        )
    return changed


def delete(workspace_id: int, audience_id: int, *, by: Actor) -> Audience:
    """Take a list away; its contacts stay. Raises NotFound."""
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = get(workspace_id, audience_id)
        Audience.update(removed_at=fn.now()).where(Audience.id == row.id).execute()
        audit.record(
            workspace_id, by, action="audience.deleted", target=_target(row), before=_facts(row)
        )
    return row


def restore(workspace_id: int, audience_id: int, *, by: Actor) -> Audience:
    """Take a deletion back, with all who were on the list. Raises NotFound; Conflict where that is
    too late, or another list has the name by now.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row: Audience | None = Audience.get_or_none(
            Audience.id == audience_id, Audience.workspace == workspace_id
        )
        if row is None:
            raise NotFound(NO_SUCH)
        if row.removed_at is None:
            return row
        _check_room(workspace_id, row.name)
        lasts = SQL("%s * interval '1 minute'", (RESTORE_MINUTES,))
        done = (
            Audience.update(removed_at=None)
            .where(Audience.id == row.id, Audience.removed_at > fn.now() - lasts)
            .execute()
        )
        if not done:
            raise Conflict(
                f"That cannot be taken back any more: it can for {RESTORE_MINUTES} minutes."
            )
        audit.record(
            workspace_id, by, action="audience.restored", target=_target(row), after=_facts(row)
        )
    return get(workspace_id, audience_id)


def prune() -> None:
    """Forget who was on the lists that were deleted, part by part, and then the lists."""
    # Longer than a deletion can be taken back, so that nobody's list goes while they do that.
    after = RESTORE_MINUTES + 1
    database.execute_sql(_PRUNE_MEMBERS, (after, PRUNED_MEMBERS))
    database.execute_sql(_PRUNE, (after,))


def _capped(number: int, most: int) -> Count:
    return Count(min(number, most), has_more=number > most)


def _is_there() -> Any:
    return Audience.removed_at.is_null()


def _find_by_name(workspace_id: int, name: str) -> Audience | None:
    row: Audience | None = Audience.get_or_none(
        Audience.workspace == workspace_id,
        fn.lower(Audience.name) == fn.lower(name),
        _is_there(),
    )
    return row


def _check_room(workspace_id: int, name: str) -> None:
    other = _find_by_name(workspace_id, name)
    if other is not None:
        raise Conflict(_taken(other))
    query = Audience.select().where(Audience.workspace == workspace_id, _is_there())
    if query.count() >= AUDIENCES_MAX:
        raise Conflict(f"There are {AUDIENCES_MAX} lists already. Delete one that nobody needs.")


def _taken(other: Audience) -> str:
    return f"There is a list called “{other.name}” already. Choose another name."


def _check(name: str, description: str) -> tuple[str, str]:
    """Both as they are kept. Raises InvalidFields."""
    name, description = " ".join(name.split()), description.strip()
    problems = [] if name else [("name", "must not be empty")]
    problems += submission.check_line("name", name, max_chars=NAME_MAX_CHARS)
    problems += submission.check_line("description", description, max_chars=DESCRIPTION_MAX_CHARS)
    if problems:
        raise contact_fields.invalid(problems)
    return name, description


def _target(row: Audience) -> str:
    return f"list {row.name}"


def _facts(row: Audience) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "description": row.description}
