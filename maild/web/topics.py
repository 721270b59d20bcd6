"""Topics: what the workspace mails about, as the preference centre tells its recipients."""

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import BooleanField, StringField

from maild import db
from maild.domain.role import OPERATORS
from maild.domain.suppression import TOPIC_MAX_CHARS
from maild.errors import Conflict, InvalidFields
from maild.models import Topic
from maild.services import topics, unsubscribe_lists
from maild.services.topics import NewTopic
from maild.web import access, render, toasts
from maild.web.forms import Form, text

blueprint = Blueprint("topics", __name__, url_prefix="/ui/audience/topics")


class TopicForm(Form):
    name = StringField("Name")
    label = StringField("What people read")
    description = StringField("Description")
    is_public = BooleanField("Offer it to everybody in the preference centre")


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """All topics, and the form for another."""
    return _page()


@blueprint.post("")
@access.allow(OPERATORS)
@db.connection()
def save() -> BaseResponse:
    """Declare a topic, or change what is said of one."""
    form = TopicForm()
    label = text(form.label.data)
    new = NewTopic(
        text(form.name.data), label or None, text(form.description.data), bool(form.is_public.data)
    )
    try:
        row, is_new = topics.save(access.current_workspace_id(), new, by=access.actor())
    except InvalidFields as error:
        form.show(error)
        return _page(form, status=422)
    except Conflict as error:
        form.problem = error.detail
        return _page(form, status=409)
    toasts.show(f"“{row.label}” is {'declared' if is_new else 'saved'}.", kind="ok")
    return redirect(url_for("topics.index"), 303)


@blueprint.post("/<int:topic_id>/delete")
@access.allow(OPERATORS)
@db.connection()
def delete(topic_id: int) -> BaseResponse:
    """Declare it no more; the toast takes that back."""
    workspace_id = access.current_workspace_id()
    name = topics.get(workspace_id, topic_id).name
    row = topics.delete(workspace_id, name, by=access.actor())
    again = {"name": row.name, "label": row.label, "description": row.description}
    if row.is_public:
        again["is_public"] = "y"
    undo: toasts.Undo = (url_for("topics.save"), again)
    toasts.show(f"“{row.label}” is deleted. Who left it stays out of it.", kind="ok", undo=undo)
    return redirect(url_for("topics.index"), 303)


def _page(form: TopicForm | None = None, *, status: int = 200) -> BaseResponse:
    """`form` is one that came back, of a new topic or of one in the list."""
    workspace_id = access.current_workspace_id()
    rows = topics.list_all(workspace_id)
    declared = {row.name for row in rows}
    left = [name for name in unsubscribe_lists.list_topics(workspace_id) if name not in declared]
    wrong_id = request.form.get("topic_id", type=int) if form else None
    return render.page(
        "pages/topics.html",
        status=status,
        rows=[(row, form if row.id == wrong_id else _form_of(row)) for row in rows],
        form=form if form and wrong_id is None else TopicForm(formdata=None, is_public=True),
        wrong_id=wrong_id,
        left=left,
        name_max_chars=TOPIC_MAX_CHARS,
        label_max_chars=topics.LABEL_MAX_CHARS,
        description_max_chars=topics.DESCRIPTION_MAX_CHARS,
    )


def _form_of(row: Topic) -> TopicForm:
    return TopicForm(
        formdata=None,
        name=row.name,
        label=row.label,
        description=row.description,
        is_public=row.is_public,
    )
