"""Contacts: who they are and how they stand, making, changing and deleting them. Lists of them are
in `audiences`.
"""

from collections.abc import Sequence

from flask import Blueprint, redirect, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.contact import ContactStatus
from maild.domain.role import OPERATORS, READERS
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import Contact, ContactAttribute
from maild.services import (
    audience_members,
    audiences,
    campaign_histories,
    confirmations,
    contact_attributes,
    contact_exports,
    contact_lists,
    contact_standings,
    contacts,
    message_log,
    suppression_lists,
    topics,
    unsubscribe_lists,
)
from maild.services.contacts import ContactOutcome
from maild.services.message_log import Filter as LogFilter
from maild.web import (
    access,
    campaign_words,
    contact_filter,
    contact_forms,
    contact_parts,
    contact_words,
    provenance,
    render,
    toasts,
)
from maild.web.contact_forms import ContactForm
from maild.web.forms import text
from maild.web.suppressions import csv_file

MESSAGES_SHOWN = 5
"""The newest of those to an address."""

blueprint = Blueprint("contacts", __name__, url_prefix="/ui/audience")


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """All contacts, newest first, as the filter in the URL asks for them."""
    names = audiences.list_names(access.current_workspace_id())
    form = contact_filter.read(request.args, audiences=names)
    return render.page_or_partial(
        "pages/contacts.html",
        "partials/contact_answer.html",
        status=422 if form.errors else 200,
        list_url=url_for("contacts.index"),
        audience=None,
        **contact_parts.list_context(form, names),
    )


@blueprint.post("/contacts/export")
@access.allow(READERS)
def export() -> BaseResponse:
    """All that the filter finds, as a file. The audit log keeps who took it."""
    workspace_id = access.current_workspace_id()
    with db.connection():
        names = audiences.list_names(workspace_id)
    form = contact_filter.read(MultiDict(request.form), audiences=names)
    if form.errors:
        raise InvalidFields("The filter cannot be used. Mend it in the list, and export again.")
    lines = contact_exports.open_file(
        workspace_id, lambda: form.filter_, asked=form.query(), by=access.actor()
    )
    return csv_file(lines, "contacts.csv")


@blueprint.get("/contacts/new")
@access.allow(OPERATORS)
@db.connection()
def new() -> BaseResponse:
    """The form for one contact."""
    rows = contact_attributes.list_all(access.current_workspace_id())
    return _form_page(contact_forms.empty(rows), rows)


@blueprint.post("/contacts/new")
@access.allow(OPERATORS)
@db.connection()
def add() -> BaseResponse:
    """Make a contact. One whose address is known already is not changed by this form."""
    workspace_id = access.current_workspace_id()
    rows = contact_attributes.list_all(workspace_id)
    form = contact_forms.sent(rows)
    known = contacts.find_by_email(workspace_id, text(form.email.data).strip())
    if known is not None:
        form.problem = "There is a contact with this address already."
        form.link = (url_for("contacts.show", contact_id=known.id), "Open it")
        return _form_page(form, rows, status=409)
    try:
        email, fields = contact_forms.read_new(form, rows)
        saved = contacts.upsert(workspace_id, email, fields, by=access.actor())
    except InvalidFields as error:
        contact_forms.show(form, error)
        return _form_page(form, rows, status=422)
    toasts.show(f"{saved.contact.email} is a contact now.", kind="ok")
    return _to(saved.contact)


@blueprint.get("/contacts/<int:contact_id>")
@db.connection()
def show(contact_id: int) -> BaseResponse:
    """One contact: what is known of them, how they stand and why, and what they got last."""
    contact = _find(contact_id)
    workspace_id = contact.workspace_id
    page = message_log.list_page(
        workspace_id, filter_=LogFilter(to_email=contact.email), limit=MESSAGES_SHOWN
    )
    on = contact_lists.list_audiences(workspace_id, contact.id)
    rows = contact_attributes.list_all(workspace_id)
    return render.page(
        "pages/contact.html",
        contact=contact,
        standing=contact_standings.look_up_one(contact),
        history=confirmations.look(contact) if contact.status is ContactStatus.PENDING else None,
        states_of=contact_words.STATES,
        bar_words=contact_words.bar,
        values=[
            (row, contact_words.value(contact.attributes[row.name]))
            for row in rows
            if row.name in contact.attributes
        ],
        has_attributes=bool(rows),
        kinds=contact_words.KINDS,
        on=on,
        others=[row for row in audiences.list_names(workspace_id) if row not in on],
        messages=page.messages,
        campaign_parts=campaign_histories.list_of_contact(workspace_id, contact.id),
        campaign_badges=campaign_words.RECIPIENTS,
        campaign_reason=campaign_words.reason,
        suppressed=[
            (row, provenance.STATES[suppression_lists.state_of(row)])
            for row in suppression_lists.list_history(workspace_id, contact.email)
        ],
        opt_outs=[
            (row, provenance.UNSUBSCRIBE_STATES[unsubscribe_lists.state_of(row)])
            for row in unsubscribe_lists.list_history(workspace_id, contact.email)
        ],
    )


@blueprint.get("/contacts/<int:contact_id>/edit")
@access.allow(OPERATORS)
@db.connection()
def edit(contact_id: int) -> BaseResponse:
    """The form with what is known of a contact."""
    contact = _find(contact_id)
    rows = contact_attributes.list_all(contact.workspace_id)
    return _form_page(contact_forms.of(contact, rows), rows, contact=contact)


@blueprint.post("/contacts/<int:contact_id>/edit")
@access.allow(OPERATORS)
@db.connection()
def change(contact_id: int) -> BaseResponse:
    """Change it, unless somebody else has done so since the form was shown."""
    contact = _find(contact_id)
    rows = contact_attributes.list_all(contact.workspace_id)
    form = contact_forms.sent(rows)
    try:
        saved = contacts.change(
            contact.workspace_id,
            contact_id,
            contact_forms.read(form, rows),
            version=request.form.get("version", 0, type=int),
            by=access.actor(),
        )
    except InvalidFields as error:
        contact_forms.show(form, error)
        return _form_page(form, rows, contact=contact, status=422)
    except Conflict:
        form.problem = (
            "Somebody else, or a program, has changed this contact meanwhile. Nothing was changed."
            " What you have typed is still here: save it again to write it over theirs, or"
        )
        form.link = (url_for("contacts.show", contact_id=contact_id), "look at theirs first")
        return _form_page(form, rows, contact=_find(contact_id), status=409)
    if saved.outcome is ContactOutcome.UNCHANGED:
        toasts.show("Nothing was changed.")
    else:
        toasts.show(f"{saved.contact.email} is saved.", kind="ok")
    return _to(saved.contact)


@blueprint.post("/contacts/<int:contact_id>/delete")
@access.allow(OPERATORS)
@db.connection()
def delete(contact_id: int) -> BaseResponse:
    """Erase a contact; the button that sends this has asked before."""
    contact = _find(contact_id)
    deleted = contacts.delete(contact.workspace_id, contact.id, by=access.actor())
    toasts.show(f"{deleted.email} is no contact any more, and what was known is gone.", kind="ok")
    return redirect(url_for("contacts.index"), 303)


@blueprint.post("/contacts/selected")
@access.allow(OPERATORS)
@db.connection()
def act() -> BaseResponse:
    """Do something with the contacts that were ticked, and go back to where they were."""
    ids, action = contact_parts.chosen(), request.form.get("action", "")
    back = access.safe_path(request.form.get("back")) or url_for("contacts.index")
    if not ids:
        toasts.show("Nobody was chosen. Tick whom you mean, and press the button again.")
        return redirect(back, 303)
    if action == "delete":
        return _ask_to_delete(ids, back)
    if action == "erase":
        deleted = contacts.delete_many(access.current_workspace_id(), ids, by=access.actor())
        toasts.show(f"{contact_words.contacts(len(deleted))} deleted.", kind="ok")
        return redirect(back, 303)
    if action not in {"add", "remove"}:
        raise InvalidFields("action: must be add, remove or delete.")
    _put(ids, action)
    return redirect(back, 303)


def _put(ids: Sequence[int], action: str) -> None:
    """Put them on a list, or take them off it, with a way back."""
    try:
        audience = contact_parts.find_audience(request.form.get("audience_id", ""))
    except NotFound:
        toasts.show("Choose a list, and press the button again.", kind="bad")
        return
    change_them = audience_members.add if action == "add" else audience_members.remove
    results = change_them(audience.workspace_id, audience.id, ids, by=access.actor())
    wanted = audience_members.MemberOutcome.ADDED
    if action == "remove":
        wanted = audience_members.MemberOutcome.REMOVED
    done = [one.contact.id for one in results if one.outcome is wanted and one.contact]
    undo: toasts.Undo = (
        url_for("contacts.act"),
        {
            "action": "remove" if action == "add" else "add",
            "audience_id": audience.id,
            "ids": ",".join(map(str, done)),
            "back": url_for("audiences.show", audience_id=audience.id),
        },
    )
    who, list_ = contact_words.contacts(len(done)), f"“{audience.name}”"
    said = f"{who} put on {list_}." if action == "add" else f"{who} taken off {list_}."
    rest = len(results) - len(done)
    if rest:
        said += f" {rest:,} {'were' if rest > 1 else 'was'} so already, or gone."
    toasts.show(said, kind="ok" if done else "info", undo=undo if done else None)


def _ask_to_delete(ids: Sequence[int], back: str) -> BaseResponse:
    found = contacts.list_by_id(access.current_workspace_id(), ids)
    if not found:
        toasts.show("They are gone already.")
        return redirect(back, 303)
    return render.page("pages/contacts_delete.html", found=found, back=back)


def _form_page(
    form: ContactForm,
    rows: Sequence[ContactAttribute],
    *,
    contact: Contact | None = None,
    status: int = 200,
) -> BaseResponse:
    return render.page(
        "pages/contact_edit.html",
        status=status,
        form=form,
        rows=rows,
        contact=contact,
        prefix=contact_forms.PREFIX,
        kinds=contact_words.KINDS,
        topics=[row.name for row in topics.list_all(access.current_workspace_id())],
    )


def _find(contact_id: int) -> Contact:
    if contact_id > contact_parts.CONTACT_ID_MAX:
        raise NotFound(contacts.NO_SUCH)
    return contacts.get(access.current_workspace_id(), contact_id)


def _to(contact: Contact) -> BaseResponse:
    return redirect(url_for("contacts.show", contact_id=contact.id), 303)
