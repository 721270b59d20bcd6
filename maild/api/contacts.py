"""/v1/contacts: the people whom a workspace may want to mail, what is known of them, and how they
stand.
"""

from dataclasses import replace
from typing import Any

from flask import Response

from maild.api import schemas
from maild.api.auth import OPERATORS, READERS, Caller
from maild.api.endpoint import answer_with, endpoint
from maild.api.errors import bad_query, from_body
from maild.api.query import parse_address, parse_serial_cursor
from maild.domain import serial_cursor, submission
from maild.domain.contact import ContactStatus
from maild.errors import Conflict, InvalidRequest, MaildError, NotFound, RateLimited
from maild.models import Contact
from maild.services import (
    addresses,
    audiences,
    confirmations,
    contact_exports,
    contact_lists,
    contact_standings,
    contacts,
)
from maild.services.contact_fields import Consent, ContactFields
from maild.services.contact_lists import Filter
from maild.services.contact_standings import Standing
from maild.services.contacts import ContactOutcome, Saved

ENTRY_ERRORS_MAX = 10
"""As many complaints are told of one entry of a batch."""


@endpoint(
    "POST",
    "/v1/contacts",
    summary="Make a contact, or add to what is known of one",
    allow=OPERATORS,
    body=schemas.ContactIn,
    answer=schemas.ContactSaved,
    status=201,
    status_if_known=200,
)
def save_contact(caller: Caller, body: schemas.ContactIn) -> Response:
    """201 for a new contact, 200 for one whose address is known. What is left out stays as it is.
    Nobody is subscribed again by it: who is suppressed or has unsubscribed stays so, see
    `standing`. With `double_opt_in` its owner is asked by mail; that this cannot be done now is no
    error, see `confirmation`.
    """
    fields_in = fields_of(body)
    if body.double_opt_in:
        fields_in = replace(fields_in, status=ContactStatus.PENDING)
    saved = contacts.upsert(
        caller.workspace_id(body.workspace_id), body.email, fields_in, by=caller.actor
    )
    confirmation = _ask(saved.contact, caller) if body.double_opt_in else None
    standing = contact_standings.look_up_one(saved.contact)
    return answer_with(
        schemas.ContactSaved(
            **fields(saved.contact, standing), outcome=saved.outcome, confirmation=confirmation
        ),
        status=201 if saved.outcome is ContactOutcome.CREATED else 200,
    )


@endpoint(
    "POST",
    "/v1/contacts/batch",
    summary="Save up to 1,000 contacts at once; each is accepted or rejected on its own",
    allow=OPERATORS,
    body=schemas.ContactBatchIn,
    answer=schemas.ContactBatchOut,
)
def save_contacts(caller: Caller, body: schemas.ContactBatchIn) -> schemas.ContactBatchOut:
    """Each entry as for `POST /v1/contacts`, in the order of the request: see `results`. For more
    there are imports.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    results: dict[int, Saved | MaildError] = {}
    good: dict[int, tuple[str, ContactFields]] = {}
    for index, entry in enumerate(body.contacts):
        if isinstance(entry, schemas.ContactFieldsIn):
            good[index] = entry.email, fields_of(entry)
        else:
            results[index] = from_body(entry, schemas.ContactFieldsIn)
    saved = contacts.upsert_many(workspace_id, list(good.values()), by=caller.actor)
    results |= dict(zip(good, saved, strict=True))
    outcomes = [one.outcome for one in results.values() if isinstance(one, Saved)]
    return schemas.ContactBatchOut(
        workspace_id=workspace_id,
        created=outcomes.count(ContactOutcome.CREATED),
        updated=outcomes.count(ContactOutcome.UPDATED),
        unchanged=outcomes.count(ContactOutcome.UNCHANGED),
        rejected=len(results) - len(outcomes),
        results=[_batch_result(index, results[index]) for index in range(len(results))],
    )


@endpoint(
    "GET",
    "/v1/contacts",
    summary="Contacts, newest first, in pages",
    allow=READERS,
    query=schemas.ContactQuery,
    answer=schemas.ContactPage,
)
def list_contacts(caller: Caller, query: schemas.ContactQuery) -> schemas.ContactPage:
    """Each with how it stands at this moment."""
    workspace_id = caller.workspace_id(query.workspace_id)
    return page(
        workspace_id,
        _filter(workspace_id, query, email=parse_address("email", query.email)),
        limit=query.limit,
        cursor=query.cursor,
    )


@endpoint(
    "GET",
    "/v1/contacts/export",
    summary="Contacts as a CSV file",
    allow=READERS,
    query=schemas.ContactFilter,
    answer="text/csv",
    connects=False,  # it reads portion by portion, long after the view has answered
)
def export_contacts(caller: Caller, query: schemas.ContactFilter) -> Response:
    """The file streams, however long it is: each contact with its attributes, and how it stands."""
    workspace_id = caller.workspace_id(query.workspace_id)
    lines = contact_exports.open_file(
        workspace_id,
        lambda: _filter(workspace_id, query),
        asked=query.model_dump_json(exclude_none=True, exclude={"workspace_id"}),
        by=caller.actor,
    )
    response = Response(lines, content_type="text/csv; charset=utf-8; header=present")
    response.headers["Content-Disposition"] = 'attachment; filename="contacts.csv"'
    return response


@endpoint(
    "GET",
    "/v1/contacts/<contact_id>",
    summary="One contact, and the lists that it is on",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer=schemas.ContactDetail,
)
def get_contact(
    caller: Caller, query: schemas.WorkspaceQuery, contact_id: str
) -> schemas.ContactDetail:
    """How it stands at this moment is in `standing`."""
    workspace_id = caller.workspace_id(query.workspace_id)
    if int(contact_id) > schemas.CONTACT_ID_MAX:
        raise NotFound(contacts.NO_SUCH)
    contact = contacts.get(workspace_id, int(contact_id))
    return schemas.ContactDetail(
        **fields(contact, contact_standings.look_up_one(contact)),
        audiences=[
            schemas.MembershipOut(id=row.id, name=row.name)
            for row in contact_lists.list_audiences(workspace_id, contact.id)
        ],
    )


@endpoint(
    "DELETE",
    "/v1/contacts",
    summary="Erase a contact",
    allow=OPERATORS,
    body=schemas.ContactRemoval,
    answer=schemas.ContactRemoved,
)
def delete_contact(caller: Caller, body: schemas.ContactRemoval) -> schemas.ContactRemoved:
    """All that is known of it goes, and it leaves every list. That the address is suppressed or
    has unsubscribed stays.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    contact_id = body.id
    if contact_id is None:
        contact = contacts.find_by_email(workspace_id, body.email or "")
        if contact is None:
            raise NotFound(contacts.NO_SUCH)
        contact_id = contact.id
    deleted = contacts.delete(workspace_id, contact_id, by=caller.actor)
    return schemas.ContactRemoved(workspace_id=workspace_id, id=deleted.id, email=deleted.email)


def page(
    workspace_id: int, filter_: Filter, *, limit: int, cursor: str | None
) -> schemas.ContactPage:
    """A page of contacts, as several routes answer it."""
    found = contact_lists.list_page(
        workspace_id, filter_=filter_, limit=limit, older_than=parse_serial_cursor(cursor)
    )
    return schemas.ContactPage(
        workspace_id=workspace_id,
        count=len(found.contacts),
        contacts=[
            schemas.ContactOut(**fields(row, found.standings[row.id])) for row in found.contacts
        ],
        next_cursor=serial_cursor.write(found.older) if found.older else None,
    )


def fields(row: Contact, standing: Standing) -> dict[str, Any]:
    """What answers tell of a contact."""
    consent = None
    if row.consent_at is not None:
        consent = schemas.ConsentOut(
            source=row.consent_source or "", at=row.consent_at, proof=row.consent_proof
        )
    return {
        "id": row.id,
        "workspace_id": row.workspace_id,
        "email": row.email,
        "name": row.name,
        "attributes": row.attributes,
        "topics": row.topics,
        "status": row.status,
        "consent": consent,
        "standing": schemas.StandingOut(
            state=standing.state,
            can_be_mailed=standing.can_be_mailed,
            suppressed=standing.is_suppressed,
            unsubscribed=standing.is_unsubscribed,
            left_topics=standing.left_topics,
            because=[
                schemas.BarOut(
                    kind=bar.kind,
                    id=bar.id,
                    stream=bar.stream,
                    topic=bar.topic,
                    since=bar.created_at,
                )
                for bar in standing.bars
            ],
        ),
        "version": row.version,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def fields_of(body: schemas.ContactFieldsIn) -> ContactFields:
    """What a body says of a contact; a name that is null is taken away, one left out stays."""
    given, has_name = body.consent, "name" in body.model_fields_set
    return ContactFields(
        name=(body.name or "") if has_name else None,
        attributes=body.attributes,
        topics=body.topics,
        consent=None if given is None else Consent(given.source, given.at, given.proof),
    )


def _ask(contact: Contact, caller: Caller) -> schemas.ConfirmationOut:
    try:
        asked = confirmations.ask(contact.workspace_id, contact, by=caller.actor)
    except (Conflict, InvalidRequest, NotFound, RateLimited) as error:
        return schemas.ConfirmationOut(asked=False, message_id=None, detail=error.detail)
    return schemas.ConfirmationOut(asked=True, message_id=asked.message.id, detail=None)


def _batch_result(
    index: int, result: Saved | MaildError
) -> schemas.ContactBatchSaved | schemas.ContactBatchRejected:
    if isinstance(result, Saved):
        contact = result.contact
        return schemas.ContactBatchSaved(
            index=index, id=contact.id, email=contact.email, outcome=result.outcome
        )
    return schemas.ContactBatchRejected(
        index=index,
        error=result.detail,
        code=result.code,
        errors=[
            schemas.FieldProblem(field=e.field, message=e.message)
            for e in result.errors[:ENTRY_ERRORS_MAX]
        ],
    )


def _filter(workspace_id: int, query: schemas.ContactFilter, *, email: str | None = None) -> Filter:
    """Raises InvalidRequest, NotFound (the list)."""
    if query.audience_id is not None:
        audiences.get(workspace_id, query.audience_id)
    if query.email_start is not None:
        for name, message in submission.check_storable("email_start", query.email_start):
            raise bad_query(name, message)
    return Filter(
        email=email,
        email_start=query.email_start,
        domain=_domain(query.domain),
        audience_id=query.audience_id,
        topic=query.topic,
        status=query.status,
        state=query.standing,
    )


def _domain(text: str | None) -> str | None:
    try:
        return addresses.parse_domain(text) if text else None
    except ValueError as error:
        raise bad_query("domain", str(error)) from None
