"""The attributes that a workspace's contacts may have: each has a name, and is of one kind.

They are declared by people, by a file's mapping, and by the first value that a program gives. To
take one away also takes its values, which a job does (`contact_attribute_jobs`); meanwhile the name
is nobody's.
"""

from collections.abc import Collection, Mapping
from typing import Any

from peewee import fn

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.contact import ATTRIBUTES_MAX, AttributeKind, why_no_name
from maild.errors import Conflict, FieldError, InvalidFields, NotFound
from maild.models import ContactAttribute
from maild.services import audit, workspaces

NO_SUCH = "There is no such attribute."
TOO_MANY = f"there are {ATTRIBUTES_MAX} attributes already: delete one that nobody needs"


def list_all(workspace_id: int) -> list[ContactAttribute]:
    """Those of a workspace, by name: ATTRIBUTES_MAX at most. Raises NotFound (the workspace)."""
    rows = list(
        ContactAttribute.select()
        .where(ContactAttribute.workspace == workspace_id, ContactAttribute.removed_at.is_null())
        .order_by(ContactAttribute.name)
    )
    if not rows:
        workspaces.require(workspace_id)
    return rows


def get(workspace_id: int, name: str) -> ContactAttribute:
    """Raises NotFound, also for one that is being taken away, and for what can be no name."""
    if why_no_name(name):
        raise NotFound(NO_SUCH)
    return _get(workspace_id, ContactAttribute.name == name)


def get_by_id(workspace_id: int, attribute_id: int) -> ContactAttribute:
    """The same by its number."""
    return _get(workspace_id, ContactAttribute.id == attribute_id)


def find_kinds(workspace_id: int, *, keep: Collection[str] = ()) -> dict[str, AttributeKind | None]:
    """The kind of each by its name; None: it is being taken away, and has no values.

    Until the end of the transaction nobody takes away those of the names in `keep`: who is about
    to write values of them says so.
    """
    query = ContactAttribute.select().where(ContactAttribute.workspace == workspace_id)
    rows = list(query)
    if keep:
        kept = query.where(ContactAttribute.name << sorted(keep)).order_by(ContactAttribute.name)
        rows.extend(kept.for_update("FOR KEY SHARE"))  # type: ignore[arg-type]
    return {row.name: None if row.removed_at else row.kind for row in rows}


def declare(
    workspace_id: int, name: str, kind: AttributeKind, *, by: Actor
) -> tuple[ContactAttribute, bool]:
    """The attribute, and whether it is a new one. Audited.

    Raises InvalidFields (the name; too many), NotFound (the workspace), and Conflict where it is of
    another kind, or is being taken away.
    """
    if problem := why_no_name(name):
        raise _invalid(problem)
    with database.atomic():
        workspaces.take_turns(workspace_id)
        known = find_kinds(workspace_id)
        if name in known and known[name] is not kind:
            raise Conflict(_why_not(name, known[name]))
        is_new = name not in known
        if is_new:
            if len(known) >= ATTRIBUTES_MAX:
                raise _invalid(TOO_MANY)
            _insert(workspace_id, {name: kind}, by=by)
            audit.record(
                workspace_id,
                by,
                action="contact_attribute.declared",
                target=f"attribute {name}",
                after={"kind": kind},
            )
    return get(workspace_id, name), is_new


def declare_new(workspace_id: int, kinds: Mapping[str, AttributeKind], *, by: Actor) -> None:
    """Declare what is not there yet, in the caller's transaction, which has taken turns in the
    workspace. Names and numbers are the caller's to check. Not audited.
    """
    if kinds:
        _insert(workspace_id, kinds, by=by)


def take_away(workspace_id: int, name: str) -> ContactAttribute:
    """From now on nobody gives a contact a value of it, in the caller's transaction, which waits
    for those who are about to. Raises NotFound.
    """
    row = get(workspace_id, name)
    # Where two do so at once, the second sees what the first has done.
    here = ContactAttribute.select().where(
        ContactAttribute.id == row.id, ContactAttribute.removed_at.is_null()
    )
    if here.for_update().first() is None:
        raise NotFound(NO_SUCH)
    ContactAttribute.update(removed_at=fn.now()).where(ContactAttribute.id == row.id).execute()
    return row


def forget(workspace_id: int, name: str) -> None:
    """Let the name of one that was taken away be declared anew, in the caller's transaction."""
    ContactAttribute.delete().where(
        ContactAttribute.workspace == workspace_id,
        ContactAttribute.name == name,
        ContactAttribute.removed_at.is_null(False),
    ).execute()


def _get(workspace_id: int, condition: Any) -> ContactAttribute:
    row: ContactAttribute | None = ContactAttribute.get_or_none(
        ContactAttribute.workspace == workspace_id,
        ContactAttribute.removed_at.is_null(),
        condition,
    )
    if row is None:
        raise NotFound(NO_SUCH)
    return row


def _insert(workspace_id: int, kinds: Mapping[str, AttributeKind], *, by: Actor) -> None:
    ContactAttribute.insert_many(
        [
            {"workspace": workspace_id, "name": name, "kind": kind, "created_by": by.name}
            for name, kind in sorted(kinds.items())
        ]
    ).on_conflict_ignore().execute()


def _why_not(name: str, kind: AttributeKind | None) -> str:
    if kind is None:
        return f"“{name}” is being deleted. Try again when that job is done."
    return (
        f"“{name}” is of the kind {kind.value}, and stays so: its values would not fit any more."
        " Delete it, or choose another name."
    )


def _invalid(message: str) -> InvalidFields:
    return InvalidFields(f"name: {message}", errors=[FieldError("name", message)])
