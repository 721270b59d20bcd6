"""Contacts: the people whom a workspace may want to mail. What may be said of one is checked in
`contact_fields`; lists of them are in `contact_lists`, and how they stand in `contact_standings`.

That somebody must not be mailed is kept by `suppressions` and `unsubscribes`: nothing here ends or
hides any of that, and neither does deleting a contact.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.contact import AttributeKind, why_no_name
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import Contact
from maild.services import (
    audit,
    contact_attributes,
    contact_fields,
    email_search,
    workspaces,
)
from maild.services.contact_fields import ContactFields

BATCH_MAX = 1_000
"""Contacts of one call; for more there are files."""
AUDITED_MAX = 100
"""As many of those that a call has deleted are named in its entry of the audit log."""

NO_SUCH = "There is no such contact."

_LOWER = """
SELECT lower(email COLLATE "pg_c_utf8") FROM unnest(%s::text[]) WITH ORDINALITY AS t (email, place)
ORDER BY place
"""
# In the order of addresses, as everybody locks them.
_INSERT = """
INSERT INTO contacts (workspace_id, email, name, attributes, topics, status,
    consent_source, consent_at, consent_proof, created_by)
SELECT %s, email, name, attributes, topics, status, consent_source, consent_at, consent_proof, %s
FROM json_to_recordset(%s) AS v (
    email text, name text, attributes jsonb, topics text[], status text,
    consent_source text, consent_at timestamptz, consent_proof text)
ORDER BY email
ON CONFLICT (workspace_id, email) DO NOTHING
RETURNING *
"""
_UPDATE = """
UPDATE contacts c SET
    name = v.name, attributes = v.attributes, topics = v.topics,
    consent_source = v.consent_source, consent_at = v.consent_at, consent_proof = v.consent_proof,
    version = c.version + 1, updated_at = now()
FROM json_to_recordset(%s) AS v (
    email text, name text, attributes jsonb, topics text[],
    consent_source text, consent_at timestamptz, consent_proof text)
WHERE c.workspace_id = %s AND c.email = v.email
RETURNING c.*
"""
# To take an import back leaves those of its people whom somebody has named since.
_NAME = """
UPDATE contacts SET is_named_again = true
WHERE workspace_id = %s AND id = ANY(%s) AND NOT is_named_again
"""
_LOCK = """
SELECT * FROM contacts WHERE workspace_id = %s AND email = ANY(%s) ORDER BY email
FOR NO KEY UPDATE
"""
_DELETE = """
DELETE FROM contacts WHERE id IN (
    SELECT id FROM contacts WHERE workspace_id = %s AND id = ANY(%s) ORDER BY email FOR UPDATE)
RETURNING id, email
"""
# What an import noted of them, so that it could be undone.
_ERASE = """
DELETE FROM contact_changes WHERE contact_id = ANY(%s) AND job_id IN (
    SELECT id FROM jobs WHERE workspace_id = %s AND kind LIKE 'contacts.%%')
"""


class ContactOutcome(StrEnum):
    """What became of a contact."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Saved:
    """A contact as it is kept now, and what became of it."""

    contact: Contact
    outcome: ContactOutcome


@dataclass(frozen=True, slots=True)
class Deleted:
    """Who a contact was."""

    id: int
    email: str


def get(workspace_id: int, contact_id: int) -> Contact:
    """Raises NotFound, also for another workspace's."""
    row: Contact | None = Contact.get_or_none(
        Contact.id == contact_id, Contact.workspace_id == workspace_id
    )
    if row is None:
        raise NotFound(NO_SUCH)
    return row


def find_by_email(workspace_id: int, email: str) -> Contact | None:
    """The contact of an address, in whatever form it is given; None where there is none, or it is
    no address.
    """
    try:
        normal = contact_fields.check_email(email)
    except InvalidFields:
        return None
    row: Contact | None = Contact.get_or_none(
        Contact.workspace_id == workspace_id, email_search.is_exactly(Contact.email, normal)
    )
    return row


def find_many(workspace_id: int, emails: Sequence[str]) -> list[Contact | InvalidFields | None]:
    """The contact of each address, in their order: None where there is none, or what is wrong with
    it.
    """
    wrong: dict[int, InvalidFields] = {}
    normal = dict(_normalise(emails, wrong))
    query = Contact.select().where(
        Contact.workspace_id == workspace_id, Contact.email << sorted(set(normal.values()))
    )
    rows = {row.email: row for row in query}
    return [
        wrong[index] if index in wrong else rows.get(normal[index]) for index in range(len(emails))
    ]


def list_by_id(workspace_id: int, contact_ids: Collection[int]) -> list[Contact]:
    """Those of the workspace among them, by their addresses."""
    query = Contact.select().where(
        Contact.workspace_id == workspace_id, Contact.id << list(contact_ids)
    )
    return list(query.order_by(Contact.email))


def upsert(workspace_id: int, email: str, fields: ContactFields, *, by: Actor) -> Saved:
    """Make a contact, or join what is said with what is known of the one with this address; what
    changes something is audited. Raises InvalidFields, NotFound (the workspace).
    """
    [result] = upsert_many(workspace_id, [(email, fields)], by=by)
    if isinstance(result, InvalidFields):
        raise result
    return result


def upsert_many(
    workspace_id: int, entries: Sequence[tuple[str, ContactFields]], *, by: Actor
) -> list[Saved | InvalidFields]:
    """The same for BATCH_MAX of them at most, in few statements: for each what became of it, or
    what is wrong with it, which spoils none of the others. Of one address that comes twice, the
    later adds to the earlier. Raises NotFound (the workspace).
    """
    wrong: dict[int, InvalidFields] = {}
    emails = dict(_normalise([email for email, _ in entries], wrong))
    with database.atomic():
        kinds = _find_kinds(workspace_id, entries)
        new_kinds: dict[str, AttributeKind] = {}
        said: dict[str, list[ContactFields]] = {}
        for index, email in emails.items():
            fields = entries[index][1]
            try:
                needed = contact_fields.check(fields, {**kinds, **new_kinds})
            except InvalidFields as error:
                wrong[index] = error
                continue
            new_kinds |= needed
            said.setdefault(email, []).append(fields)
        contact_attributes.declare_new(workspace_id, new_kinds, by=by)
        saved = _save(workspace_id, said, by=by)
        _record_saved(workspace_id, saved, by=by)
    return [
        wrong[index] if index in wrong else saved[emails[index]] for index in range(len(entries))
    ]


def change(
    workspace_id: int, contact_id: int, fields: ContactFields, *, version: int, by: Actor
) -> Saved:
    """Change a contact as somebody has seen it: what is left out stays. Audited.

    Raises InvalidFields, NotFound, and Conflict where it is not of this `version` any more.
    """
    email = get(workspace_id, contact_id).email
    with database.atomic():
        kinds = _find_kinds(workspace_id, [(email, fields)])
        new_kinds = contact_fields.check(fields, kinds)
        rows = _lock(workspace_id, [email])
        if not rows or rows[email].id != contact_id:
            raise NotFound(NO_SUCH)
        if rows[email].version != version:
            raise Conflict(
                "Somebody else, or a program, has changed this contact meanwhile. Nothing was"
                " changed: look at it as it is now, and change it again."
            )
        contact_attributes.declare_new(workspace_id, new_kinds, by=by)
        saved = _change(workspace_id, rows, {email: [fields]})
        _record_saved(workspace_id, saved, by=by)
    return saved[email]


def delete(workspace_id: int, contact_id: int, *, by: Actor) -> Deleted:
    """Erase a contact and all that is known of it; that it must not be mailed stays. Audited by its
    address alone. Raises NotFound.
    """
    deleted = delete_many(workspace_id, [contact_id], by=by)
    if not deleted:
        raise NotFound(NO_SUCH)
    return deleted[0]


def delete_many(workspace_id: int, contact_ids: Iterable[int], *, by: Actor) -> list[Deleted]:
    """The same for several; those that are not there are passed by."""
    ids = list(contact_ids)
    with database.atomic():
        rows = database.execute_sql(_DELETE, (workspace_id, ids)).fetchall()
        deleted = [Deleted(*row) for row in rows]
        if not deleted:
            return []
        database.execute_sql(_ERASE, ([one.id for one in deleted], workspace_id))
        if len(deleted) == 1:
            action, target, told = "contact.deleted", _target(deleted[0].email), None
        else:
            shown = [one.email for one in deleted[:AUDITED_MAX]]
            action, target = "contacts.deleted", "contacts"
            told = {"count": len(deleted), "emails": shown}
        audit.record(workspace_id, by, action=action, target=target, before=told)
    return deleted


def _find_kinds(
    workspace_id: int, entries: Sequence[tuple[str, ContactFields]]
) -> dict[str, AttributeKind | None]:
    """The kinds of the workspace's attributes. Where somebody names one that is not there, whoever
    may declare it waits for us until we are done.
    """
    named = {name for _, fields in entries for name in fields.attributes if _can_be_kept(name)}
    kinds = contact_attributes.find_kinds(workspace_id, keep=named)
    if named <= kinds.keys():
        workspaces.require(workspace_id)
        return kinds
    workspaces.take_turns(workspace_id)
    return contact_attributes.find_kinds(workspace_id, keep=named)


def _can_be_kept(name: str) -> bool:
    return why_no_name(name) is None


def _normalise(emails: Sequence[str], wrong: dict[int, InvalidFields]) -> list[tuple[int, str]]:
    """The places of those that are addresses, and these as rows have them; what is wrong with the
    others goes to `wrong`.
    """
    found = []
    for index, email in enumerate(emails):
        try:
            found.append((index, contact_fields.check_email(email)))
        except InvalidFields as error:
            wrong[index] = error
    if all(email.isascii() for _, email in found):
        return [(index, email.lower()) for index, email in found]
    # Beyond ASCII the database says what lower case is.
    lower = database.execute_sql(_LOWER, ([email for _, email in found],)).fetchall()
    return [(index, email) for (index, _), (email,) in zip(found, lower, strict=True)]


def _save(
    workspace_id: int, said: Mapping[str, Sequence[ContactFields]], *, by: Actor
) -> dict[str, Saved]:
    """What became of each address."""
    saved: dict[str, Saved] = {}
    while missing := said.keys() - saved.keys():
        rows = _lock(workspace_id, missing)
        known = {email: said[email] for email in rows}
        saved |= _change(workspace_id, rows, known)
        new = {email: said[email] for email in missing - rows.keys()}
        # What somebody else inserts at this moment is there the next time around.
        saved |= _create(workspace_id, new, by=by)
    return saved


def _lock(workspace_id: int, emails: Iterable[str]) -> dict[str, Contact]:
    return {row.email: row for row in Contact.raw(_LOCK, workspace_id, list(emails))}


def _create(
    workspace_id: int, said: Mapping[str, Sequence[ContactFields]], *, by: Actor
) -> dict[str, Saved]:
    if not said:
        return {}
    rows = []
    for email, fields in said.items():
        row = _join_all(contact_fields.empty_row(), fields)
        rows.append({**row, "email": email, "status": fields[0].status.value})
    made = Contact.raw(_INSERT, workspace_id, by.name, _json(rows))
    return {row.email: Saved(row, ContactOutcome.CREATED) for row in made}


def _change(
    workspace_id: int, rows: Mapping[str, Contact], said: Mapping[str, Sequence[ContactFields]]
) -> dict[str, Saved]:
    saved, changed = {}, []
    for email, contact in rows.items():
        before = contact_fields.row_of(contact)
        after = _join_all(before, said[email])
        if contact_fields.changed(before, after):
            changed.append({**after, "email": email})
        else:
            saved[email] = Saved(contact, ContactOutcome.UNCHANGED)
    named = [one.contact.id for one in saved.values() if not one.contact.is_named_again]
    if named:
        database.execute_sql(_NAME, (workspace_id, named))
    if changed:
        written = Contact.raw(_UPDATE, _json(changed), workspace_id)
        saved |= {row.email: Saved(row, ContactOutcome.UPDATED) for row in written}
    return saved


def _join_all(row: dict[str, Any], said: Sequence[ContactFields]) -> dict[str, Any]:
    for fields in said:
        row = contact_fields.join(row, fields)
    return row


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, default=lambda at: at.isoformat())


def _record_saved(workspace_id: int, saved: Mapping[str, Saved], *, by: Actor) -> None:
    """What is known of people does not go into the audit log: it outlasts them."""
    counts = {
        outcome.value: sum(one.outcome is outcome for one in saved.values())
        for outcome in ContactOutcome
    }
    touched = [one for one in saved.values() if one.outcome is not ContactOutcome.UNCHANGED]
    if len(touched) == 1:
        is_new = touched[0].outcome is ContactOutcome.CREATED
        audit.record(
            workspace_id,
            by,
            action="contact.created" if is_new else "contact.changed",
            target=_target(touched[0].contact.email),
        )
    elif touched:
        audit.record(workspace_id, by, action="contacts.saved", target="contacts", after=counts)


def _target(email: str) -> str:
    return f"contact:{email}"
