"""The attributes of contacts: which there are, declaring one, and taking one away."""

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice

from maild import db
from maild.domain.contact import ATTRIBUTES_MAX, AttributeKind
from maild.domain.role import OPERATORS
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import ContactAttribute
from maild.services import contact_attribute_jobs, contact_attributes
from maild.web import access, contact_words, held, render, toasts
from maild.web.forms import Form, text

_ID_MAX = 2**31 - 1

blueprint = Blueprint("contact_attributes", __name__, url_prefix="/ui/audience/attributes")


class AttributeForm(Form):
    name = StringField("Name")
    kind = SelectField(
        "Kind",
        choices=[SelectChoice(kind.value, words) for kind, words in contact_words.KINDS.items()],
    )


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """All of them, and the form for another."""
    return _page(AttributeForm(formdata=None))


@blueprint.post("")
@access.allow(OPERATORS)
@db.connection()
def declare() -> BaseResponse:
    """Declare an attribute."""
    form = AttributeForm()
    try:
        if form.kind.data not in set(AttributeKind):
            raise held.invalid("kind", "must be one of those in the list")
        row, is_new = contact_attributes.declare(
            access.current_workspace_id(),
            text(form.name.data).strip(),
            AttributeKind(form.kind.data),
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _page(form, status=422)
    except Conflict as error:
        form.problem = error.detail
        return _page(form, status=409)
    toasts.show(f"“{row.name}” is {'declared' if is_new else 'there already'}.", kind="ok")
    return redirect(url_for("contact_attributes.index"), 303)


@blueprint.get("/<int:attribute_id>/delete")
@access.allow(OPERATORS)
@db.connection()
def ask_to_delete(attribute_id: int) -> BaseResponse:
    """How many contacts have a value of it, and the button that takes all of them away."""
    workspace_id = access.current_workspace_id()
    row = _find(attribute_id)
    return render.page(
        "pages/contact_attribute_delete.html",
        row=row,
        kinds=contact_words.KINDS,
        uses=contact_attribute_jobs.count_uses(workspace_id, row.name),
        uses_max=contact_attribute_jobs.USES_MAX,
    )


@blueprint.post("/<int:attribute_id>/delete")
@access.allow(OPERATORS)
@db.connection()
def delete(attribute_id: int) -> BaseResponse:
    """Take it away from all contacts, by a job; and go there."""
    row = _find(attribute_id)
    try:
        job = contact_attribute_jobs.start(row.workspace_id, row.name, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
        return redirect(url_for("contact_attributes.index"), 303)
    return redirect(url_for("jobs.show", job_id=job.id), 303)


def _find(attribute_id: int) -> ContactAttribute:
    if attribute_id > _ID_MAX:
        raise NotFound(contact_attributes.NO_SUCH)
    return contact_attributes.get_by_id(access.current_workspace_id(), attribute_id)


def _page(form: AttributeForm, *, status: int = 200) -> BaseResponse:
    return render.page(
        "pages/contact_attributes.html",
        status=status,
        form=form,
        rows=contact_attributes.list_all(access.current_workspace_id()),
        kinds=contact_words.KINDS,
        most=ATTRIBUTES_MAX,
    )
