"""Saved views: filters of the log under a name, which all people of a workspace share."""

from typing import Any

import peewee

from maild.db import database
from maild.domain import submission
from maild.domain.actor import Actor
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import SavedView
from maild.services import audit

VIEWS_MAX = 50
"""Of one workspace."""
NAME_MAX_CHARS = 60
QUERY_MAX_CHARS = 4_000
RESTORE_MINUTES = 10
"""For so long a removal can be taken back."""

NO_SUCH = "There is no such view."


def list_all(workspace_id: int) -> list[SavedView]:
    """The views of a workspace, by name."""
    query = SavedView.select().where(SavedView.workspace == workspace_id, _is_there())
    return list(query.order_by(peewee.fn.lower(SavedView.name)).limit(VIEWS_MAX))


def get(workspace_id: int, view_id: int) -> SavedView:
    """Raises NotFound."""
    view: SavedView | None = SavedView.get_or_none(
        SavedView.workspace == workspace_id, SavedView.id == view_id, _is_there()
    )
    if view is None:
        raise NotFound(NO_SUCH)
    return view


def save(
    workspace_id: int, *, name: str, query: str, replace: bool = False, by: Actor
) -> tuple[SavedView, str | None]:
    """Keep a filter under a name, and return it with what it asked for before, if it was there.

    Raises InvalidFields, Conflict (there is one of this name, and `replace` is not said; or there
    are VIEWS_MAX already).
    """
    name = _check(name, query)
    with database.atomic():
        _lock(workspace_id)
        old = _find_by_name(workspace_id, name)
        if old is not None:
            if not replace:
                raise Conflict(
                    f"“{old.name}” is there already, saved by {old.created_by}. Choose another"
                    " name, or tick that it shall be replaced."
                )
            before = str(old.query)
            return _change(old, name=name, query=query, by=by), before
        _check_count(workspace_id)
        view: SavedView = SavedView.create(
            workspace=workspace_id, name=name, query=query, created_by=by.name
        )
        _record(view, by, "saved", after={"filter": query})
    return view, None


def rename(workspace_id: int, view_id: int, *, name: str, by: Actor) -> SavedView:
    """Raises InvalidFields, NotFound, Conflict (there is another one of this name)."""
    name = _check(name, "")
    with database.atomic():
        _lock(workspace_id)
        view = get(workspace_id, view_id)
        other = _find_by_name(workspace_id, name)
        if other is not None and other.id != view.id:
            raise Conflict(f"“{other.name}” is there already. Choose another name.")
        return _change(view, name=name, query=view.query, by=by)


def remove(workspace_id: int, view_id: int, *, by: Actor) -> SavedView:
    """Take a view away; what was removed earlier is gone for good now. Raises NotFound."""
    with database.atomic():
        _lock(workspace_id)
        view = get(workspace_id, view_id)
        SavedView.delete().where(
            SavedView.workspace == workspace_id, SavedView.removed_at.is_null(False), ~_is_fresh()
        ).execute()
        SavedView.update(removed_at=peewee.fn.now()).where(SavedView.id == view.id).execute()
        _record(view, by, "removed", before={"filter": view.query})
    return view


def restore(workspace_id: int, view_id: int, *, by: Actor) -> SavedView:
    """Take a removal back. Raises NotFound; Conflict where that is too late, or where another view
    has the name by now.
    """
    with database.atomic():
        _lock(workspace_id)
        view: SavedView | None = SavedView.get_or_none(
            SavedView.workspace == workspace_id, SavedView.id == view_id
        )
        if view is None:
            raise NotFound(NO_SUCH)
        if view.removed_at is None:
            return view
        if _find_by_name(workspace_id, view.name) is not None:
            raise Conflict(f"There is another view called “{view.name}” by now.")
        _check_count(workspace_id)
        done = (
            SavedView.update(removed_at=None).where(SavedView.id == view.id, _is_fresh()).execute()
        )
        if not done:
            raise Conflict("It was removed too long ago. Save it anew.")
        _record(view, by, "restored", after={"filter": view.query})
    return view


def _change(view: SavedView, *, name: str, query: str, by: Actor) -> SavedView:
    before = {"name": view.name, "filter": view.query}
    if (view.name, view.query) != (name, query):
        SavedView.update(name=name, query=query).where(SavedView.id == view.id).execute()
        view.name, view.query = name, query
        _record(view, by, "changed", before=before, after={"name": name, "filter": query})
    return view


def _find_by_name(workspace_id: int, name: str) -> SavedView | None:
    found: SavedView | None = SavedView.get_or_none(
        SavedView.workspace == workspace_id,
        peewee.fn.lower(SavedView.name) == peewee.fn.lower(name),
        _is_there(),
    )
    return found


def _is_there() -> Any:
    return SavedView.removed_at.is_null()


def _is_fresh() -> Any:
    lasts = peewee.SQL("%s * interval '1 minute'", (RESTORE_MINUTES,))
    return SavedView.removed_at > peewee.fn.now() - lasts


def _lock(workspace_id: int) -> None:
    """Of two people who save at once, one waits for the other: both may mean the same name."""
    database.execute_sql(
        "SELECT 1 FROM workspaces WHERE id = %s FOR NO KEY UPDATE", (workspace_id,)
    )


def _check_count(workspace_id: int) -> None:
    query = SavedView.select().where(SavedView.workspace == workspace_id, _is_there())
    if query.limit(VIEWS_MAX).count() >= VIEWS_MAX:
        raise Conflict(f"There are {VIEWS_MAX} views already. Remove one that nobody needs.")


def _check(name: str, query: str) -> str:
    """The name as it is kept. Raises InvalidFields."""
    name = " ".join(name.split())
    problems = [] if name else [("name", "must not be empty")]
    problems += submission.check_line("name", name, max_chars=NAME_MAX_CHARS)
    problems += submission.check_line("query", query, max_chars=QUERY_MAX_CHARS)
    if problems:
        errors = [FieldError(field, message) for field, message in problems]
        raise InvalidFields(summarise(errors), errors=errors)
    return name


def _record(view: SavedView, by: Actor, what: str, **told: Any) -> None:
    audit.record(
        view.workspace_id, by, action=f"saved_view.{what}", target=f"view {view.name}", **told
    )
