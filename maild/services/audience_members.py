"""Who is on a list: putting contacts on it, and taking them off. An address that is no contact yet
becomes one when it is put on a list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from maild.db import database
from maild.domain.actor import Actor
from maild.errors import InvalidFields
from maild.models import Audience, Contact
from maild.services import audiences, audit, contact_standings, contacts
from maild.services.contact_fields import ContactFields
from maild.services.contact_standings import Standing

MEMBERS_MAX = 1_000
"""Of one call; for more there are files."""

# Kept until they are on it, in the order in which everybody locks them: one who is deleted at this
# moment is passed by.
_ADD = """
WITH kept AS MATERIALIZED (
    SELECT a.id AS audience_id, c.id AS contact_id
    FROM audiences a JOIN contacts c ON c.workspace_id = a.workspace_id
    WHERE a.id = %s AND a.removed_at IS NULL AND c.id = ANY(%s)
    ORDER BY c.email FOR KEY SHARE OF c
)
INSERT INTO audience_members (audience_id, contact_id)
SELECT audience_id, contact_id FROM kept ORDER BY contact_id
ON CONFLICT DO NOTHING
RETURNING contact_id
"""
_REMOVE = """
DELETE FROM audience_members WHERE audience_id = %s AND contact_id IN (
    SELECT contact_id FROM audience_members
    WHERE audience_id = %s AND contact_id = ANY(%s) ORDER BY contact_id FOR UPDATE)
RETURNING contact_id
"""


class MemberOutcome(StrEnum):
    """What became of one who was to be put on a list, or taken off."""

    ADDED = "added"
    KNOWN = "known"
    """On the list already."""
    REMOVED = "removed"
    ABSENT = "absent"
    """Not on the list."""
    REJECTED = "rejected"
    """No address, or no contact."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one: of `given` (an address as it was typed, or a contact's id), or what is
    wrong with it. `is_new`: the contact was made just now.
    """

    given: str | int
    outcome: MemberOutcome
    contact: Contact | None = None
    is_new: bool = False
    problem: str | None = None


def add(
    workspace_id: int, audience_id: int, contact_ids: Sequence[int], *, by: Actor
) -> list[Result]:
    """Put contacts on a list. Raises NotFound (the list)."""
    audience = audiences.get(workspace_id, audience_id)
    with database.atomic():
        found = {row.id: row for row in contacts.list_by_id(workspace_id, contact_ids)}
        added = _add(audience, list(found))
        _record(audience, "added", len(added), by=by)
    return [
        _result(one, found.get(one), one in added, MemberOutcome.ADDED, MemberOutcome.KNOWN)
        for one in dict.fromkeys(contact_ids)
    ]


def add_emails(
    workspace_id: int, audience_id: int, emails: Sequence[str], *, by: Actor
) -> list[Result]:
    """Put addresses on a list; who is no contact yet becomes one. For each address what became of
    it, in their order. Raises NotFound (the list).
    """
    audience = audiences.get(workspace_id, audience_id)
    with database.atomic():
        saved = contacts.upsert_many(
            workspace_id, [(email, ContactFields()) for email in emails], by=by
        )
        ids = {one.contact.id for one in saved if not isinstance(one, InvalidFields)}
        added = _add(audience, sorted(ids))
        _record(audience, "added", len(added), by=by)
    results = []
    for email, one in zip(emails, saved, strict=True):
        if isinstance(one, InvalidFields):
            problem = one.errors[0].message
            results.append(Result(email, MemberOutcome.REJECTED, problem=problem))
            continue
        id_ = one.contact.id
        outcome = MemberOutcome.ADDED if id_ in added else MemberOutcome.KNOWN
        is_new = one.outcome is contacts.ContactOutcome.CREATED and id_ in added
        results.append(Result(email, outcome, one.contact, is_new))
        added.discard(id_)  # the same address once more is known by now
    return results


def remove(
    workspace_id: int, audience_id: int, contact_ids: Sequence[int], *, by: Actor
) -> list[Result]:
    """Take contacts off a list; they stay contacts. Raises NotFound (the list)."""
    audience = audiences.get(workspace_id, audience_id)
    with database.atomic():
        found = {row.id: row for row in contacts.list_by_id(workspace_id, contact_ids)}
        removed = _remove(audience, list(found), by=by)
    return [
        _result(one, found.get(one), one in removed, MemberOutcome.REMOVED, MemberOutcome.ABSENT)
        for one in dict.fromkeys(contact_ids)
    ]


def remove_emails(
    workspace_id: int, audience_id: int, emails: Sequence[str], *, by: Actor
) -> list[Result]:
    """The same by addresses. Raises NotFound (the list)."""
    audience = audiences.get(workspace_id, audience_id)
    with database.atomic():
        found = contacts.find_many(workspace_id, emails)
        ids = [one.id for one in found if isinstance(one, Contact)]
        removed = _remove(audience, ids, by=by)
    results = []
    for email, one in zip(emails, found, strict=True):
        if isinstance(one, InvalidFields):
            results.append(Result(email, MemberOutcome.REJECTED, problem=one.errors[0].message))
            continue
        was_on = one is not None and one.id in removed
        results.append(
            Result(email, MemberOutcome.REMOVED if was_on else MemberOutcome.ABSENT, one)
        )
    return results


def look_up(workspace_id: int, results: Sequence[Result]) -> dict[int, Standing]:
    """How those stand whom the results are about, by their ids."""
    found = {one.contact.id: one.contact for one in results if one.contact is not None}
    return contact_standings.look_up(workspace_id, list(found.values()))


def _add(audience: Audience, ids: Sequence[int]) -> set[int]:
    """The ids of those who were not on it yet."""
    return {one for (one,) in database.execute_sql(_ADD, (audience.id, list(ids))).fetchall()}


def _remove(audience: Audience, ids: Sequence[int], *, by: Actor) -> set[int]:
    values = (audience.id, audience.id, list(ids))
    removed = {one for (one,) in database.execute_sql(_REMOVE, values).fetchall()}
    _record(audience, "removed", len(removed), by=by)
    return removed


def _result(
    given: int,
    contact: Contact | None,
    is_done: bool,
    done: MemberOutcome,
    not_needed: MemberOutcome,
) -> Result:
    if contact is None:
        return Result(given, MemberOutcome.REJECTED, problem=contacts.NO_SUCH)
    return Result(given, done if is_done else not_needed, contact)


def _record(audience: Audience, what: str, count: int, *, by: Actor) -> None:
    if count:
        audit.record(
            audience.workspace_id,
            by,
            action=f"audience.members_{what}",
            target=f"list {audience.name}",
            after={"id": audience.id, "count": count},
        )
