"""Segments: rules under a name, whose contacts are looked up whenever somebody asks.

Whom they mean is in `segment_members`, what the rules say in `segment_rules`. One that is deleted
can be brought back for some minutes; for all else it is gone at once.
"""

from dataclasses import dataclass
from typing import Any

from peewee import SQL, fn

from maild.db import database
from maild.domain import segment, submission
from maild.domain.actor import Actor
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import Segment
from maild.services import audit, segment_rules, workspaces
from maild.services.segment_rules import Rules

SEGMENTS_MAX = 200
"""Of one workspace."""
NAME_MAX_CHARS = 100
RESTORE_MINUTES = 10
"""For so long a deletion can be taken back."""

NO_SUCH = "There is no such segment."


@dataclass(frozen=True, slots=True)
class Told:
    """A segment, and what its rules say today."""

    segment: Segment
    rules: Rules

    @property
    def json(self) -> Any:
        """The rules in their one form; the database has keys in an order of its own."""
        return self.segment.rules if self.rules.tree is None else segment.to_json(self.rules.tree)


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; `older` is the id after which the next page begins."""

    segments: list[Told]
    older: int | None


def list_page(workspace_id: int, *, limit: int = 50, older_than: int | None = None) -> Page:
    """The newest segments, or those before an id. Raises NotFound (the workspace)."""
    query = Segment.select().where(Segment.workspace == workspace_id, _is_there())
    if older_than is not None:
        query = query.where(Segment.id < older_than)
    rows = list(query.order_by(Segment.id.desc()).limit(limit + 1))
    if not rows:
        workspaces.require(workspace_id)
        return Page([], None)
    shown = rows[:limit]
    read = segment_rules.read_all(workspace_id, [row.rules for row in shown])
    told = [Told(row, rules) for row, rules in zip(shown, read, strict=True)]
    return Page(told, older=shown[-1].id if len(rows) > limit else None)


def get(workspace_id: int, segment_id: int) -> Told:
    """Raises NotFound, also for another workspace's, and for one that was deleted."""
    row = _get(workspace_id, segment_id)
    return Told(row, segment_rules.read(workspace_id, row.rules))


def create(workspace_id: int, *, name: str, rules: Any, by: Actor) -> Told:
    """Raises InvalidFields, NotFound (the workspace), and Conflict where there is one of this name,
    or there are SEGMENTS_MAX already.
    """
    name, read = _check(workspace_id, name, rules)
    with database.atomic():
        workspaces.take_turns(workspace_id)
        _check_room(workspace_id, name)
        row: Segment = Segment.create(
            workspace=workspace_id,
            name=name,
            rules=segment.to_json(read.require()),
            created_by=by.name,
            updated_by=by.name,
        )
        _record(row, by, "created", after=_facts(row, read))
    return get(workspace_id, row.id)


def change(
    workspace_id: int,
    segment_id: int,
    *,
    name: str | None = None,
    rules: Any = None,
    version: int | None = None,
    by: Actor,
) -> Told:
    """Give it another name, or other rules; None leaves it. Nothing is written where all is so
    already.

    Raises InvalidFields, NotFound, and Conflict where it has another version than `version` by now,
    or another segment has the name.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        before = get(workspace_id, segment_id)
        row = before.segment
        if version is not None and version != row.version:
            raise Conflict(
                f"{row.updated_by} has changed this segment since you opened it: it has version"
                f" {row.version} now, and yours was {version}. Look at it again."
            )
        changes, after = _find_changes(before, name, rules)
        if not changes:
            return before
        Segment.update(
            **changes, version=Segment.version + 1, updated_by=by.name, updated_at=fn.now()
        ).where(Segment.id == row.id).execute()
        changed = _get(workspace_id, segment_id)
        _record(
            changed, by, "changed", before=_facts(row, before.rules), after=_facts(changed, after)
        )
    return Told(changed, after)


def delete(workspace_id: int, segment_id: int, *, by: Actor) -> Told:
    """Take a segment away; its contacts stay. What was deleted earlier is gone for good now. Raises
    NotFound.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        told = get(workspace_id, segment_id)
        Segment.delete().where(
            Segment.workspace == workspace_id, Segment.removed_at.is_null(False), ~_is_fresh()
        ).execute()
        Segment.update(removed_at=fn.now()).where(Segment.id == segment_id).execute()
        _record(told.segment, by, "deleted", before=_facts(told.segment, told.rules))
    return told


def restore(workspace_id: int, segment_id: int, *, by: Actor) -> Told:
    """Take a deletion back. Raises NotFound; Conflict where that is too late, or another segment
    has the name by now.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row: Segment | None = Segment.get_or_none(
            Segment.id == segment_id, Segment.workspace == workspace_id
        )
        if row is None:
            raise NotFound(NO_SUCH)
        if row.removed_at is None:
            return get(workspace_id, segment_id)
        _check_room(workspace_id, row.name)
        done = Segment.update(removed_at=None).where(Segment.id == row.id, _is_fresh()).execute()
        if not done:
            raise Conflict(
                f"That cannot be taken back any more: it can for {RESTORE_MINUTES} minutes."
            )
        told = get(workspace_id, segment_id)
        _record(row, by, "restored", after=_facts(row, told.rules))
    return told


def _get(workspace_id: int, segment_id: int) -> Segment:
    row: Segment | None = Segment.get_or_none(
        Segment.id == segment_id, Segment.workspace == workspace_id, _is_there()
    )
    if row is None:
        raise NotFound(NO_SUCH)
    return row


def _find_changes(before: Told, name: str | None, rules: Any) -> tuple[dict[str, Any], Rules]:
    """The columns that become others, and the rules that hold then. Raises InvalidFields,
    Conflict.
    """
    row, after = before.segment, before.rules
    changes: dict[str, Any] = {}
    if rules is not None:
        after = segment_rules.read(row.workspace_id, rules)
        if (written := segment.to_json(after.require())) != row.rules:
            changes["rules"] = written
    if name is not None and (name := _check_name(name)) != row.name:
        other = _find_by_name(row.workspace_id, name)
        if other is not None and other.id != row.id:
            raise Conflict(_taken(other))
        changes["name"] = name
    return changes, after


def _check(workspace_id: int, name: str, rules: Any) -> tuple[str, Rules]:
    """Both as they are kept. Raises InvalidFields with what is wrong with either."""
    read = segment_rules.read(workspace_id, rules)
    try:
        name = _check_name(name)
    except InvalidFields as error:
        errors = [*error.errors, *(FieldError(*problem) for problem in read.problems)]
        raise InvalidFields(summarise(errors), errors=errors) from None
    read.require()
    return name, read


def _check_name(name: str) -> str:
    name = " ".join(name.split())
    problems = [] if name else [("name", "must not be empty")]
    problems += submission.check_line("name", name, max_chars=NAME_MAX_CHARS)
    if problems:
        errors = [FieldError(field, message) for field, message in problems]
        raise InvalidFields(summarise(errors), errors=errors)
    return name


def _find_by_name(workspace_id: int, name: str) -> Segment | None:
    row: Segment | None = Segment.get_or_none(
        Segment.workspace == workspace_id, fn.lower(Segment.name) == fn.lower(name), _is_there()
    )
    return row


def _check_room(workspace_id: int, name: str) -> None:
    other = _find_by_name(workspace_id, name)
    if other is not None:
        raise Conflict(_taken(other))
    query = Segment.select().where(Segment.workspace == workspace_id, _is_there())
    if query.count() >= SEGMENTS_MAX:
        raise Conflict(f"There are {SEGMENTS_MAX} segments already. Delete one that nobody needs.")


def _taken(other: Segment) -> str:
    return f"There is a segment called “{other.name}” already. Choose another name."


def _is_there() -> Any:
    return Segment.removed_at.is_null()


def _is_fresh() -> Any:
    lasts = SQL("%s * interval '1 minute'", (RESTORE_MINUTES,))
    return Segment.removed_at > fn.now() - lasts


def _facts(row: Segment, rules: Rules) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "rules": rules.sentence}


def _record(row: Segment, by: Actor, what: str, **told: Any) -> None:
    audit.record(
        row.workspace_id, by, action=f"segment.{what}", target=f"segment {row.name}", **told
    )
