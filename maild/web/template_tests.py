"""Sending a test of a template to people of the workspace: what is saved, or what its visitor has
typed since, filled in as their preview is.
"""

import re
import uuid
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice

from maild import db
from maild.domain.role import OPERATORS
from maild.domain.states import Stream
from maild.domain.template import Source
from maild.errors import Conflict, Forbidden, InvalidFields
from maild.models import Message, Template
from maild.services import (
    members,
    provider_tests,
    template_drafts,
    template_sources,
    template_tests,
    templates,
)
from maild.services.merge_fields import MergeError, TooMuch
from maild.services.template_sources import Compiled
from maild.services.template_tests import RECIPIENTS_MAX, Mail, Outcome
from maild.web import (
    access,
    onboarding_parts,
    render,
    template_composer,
    template_forms,
    template_parts,
    throttle,
    toasts,
    verified,
)
from maild.web.forms import Form, text
from maild.web.template_parts import FilledWith

_BETWEEN = re.compile(r"[\s,;]+")

blueprint = Blueprint("template_tests", __name__, url_prefix="/ui/templates/<int:template_id>/test")


class TestForm(Form):
    from_email = StringField("From")
    to = StringField("To")
    stream = SelectField(
        "Sent as",
        choices=[
            SelectChoice(Stream.MARKETING.value, "marketing mail, with its links to unsubscribe"),
            SelectChoice(Stream.TRANSACTIONAL.value, "transactional mail"),
        ],
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """What would be sent: the template as it is `saved`, or as its visitor has typed it; and what
    is wrong with it, in a sentence, if anything.
    """

    template: Template
    source: Source
    compiled: Compiled | None
    filled_with: FilledWith | None
    is_draft: bool
    problem: str = ""


@blueprint.get("")
@db.connection()
def show(template_id: int) -> BaseResponse:
    """The form, and what became of the test that was just sent, if one is named."""
    subject = _find_subject(template_id)
    fields = set() if subject.compiled is None else {one.name for one in subject.compiled.fields}
    form = TestForm(
        formdata=None,
        from_email=provider_tests.sender_of(
            access.current_workspace_id(), onboarding_parts.carrier_id()
        ),
        to=access.visitor().email,
        stream=(Stream.MARKETING if fields & template_parts.LINKS else Stream.TRANSACTIONAL).value,
    )
    return _page(subject, form, sent=_find_sent())


@blueprint.post("")
@access.allow(OPERATORS)
@throttle.mails_of_visitor
@db.connection()
def send(template_id: int) -> BaseResponse:
    """Send it, one message to each address."""
    if not access.visitor().is_verified:
        raise Forbidden(verified.NEEDED)
    subject, form = _find_subject(template_id), TestForm()
    if subject.template.archived_at is not None:
        raise Conflict("This template is archived. Bring it back to send a test of it.")
    mail = _fill(subject, form)
    if mail is None:
        return _page(subject, form)
    try:
        outcomes = template_tests.send(
            access.current_workspace_id(),
            mail,
            name=subject.template.name,
            from_email=text(form.from_email.data).strip(),
            to=[one for one in _BETWEEN.split(text(form.to.data)) if one],
            stream=Stream(form.stream.data),
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _page(subject, form)
    return _answer(subject, form, outcomes)


def _answer(subject: Subject, form: TestForm, outcomes: list[Outcome]) -> BaseResponse:
    refused = [one for one in outcomes if one.message is None]
    sent = [str(one.message.id) for one in outcomes if one.message is not None]
    if not sent:
        form.problem = " ".join(dict.fromkeys(f"{one.problem}" for one in refused))
        return _page(subject, form)
    for one in refused:
        toasts.show(f"{one.email}: {one.problem}", kind="bad")
    return redirect(url_for("template_tests.show", template_id=subject.template.id, sent=sent), 303)


def _find_subject(template_id: int) -> Subject:
    """Raises NotFound."""
    template, version = templates.get_version(access.current_workspace_id(), template_id)
    draft = None
    if access.current_workspace().role in OPERATORS:
        draft = template_drafts.find(
            template.workspace_id, access.visitor().id, template_id=template.id
        )
    if draft is None:
        return Subject(
            template,
            templates.source_of(version),
            templates.compiled_of(version),
            template_parts.sample_values_of(version),
            is_draft=False,
        )
    form = template_forms.of_draft(draft)
    source, filled_with = template_forms.source_of(form), template_parts.read_filled_with(form)
    is_changed = not template_forms.is_as_saved(form, version)
    try:
        compiled = template_sources.compile_source(source)
    except InvalidFields as error:
        return Subject(template, source, None, filled_with, is_changed, problem=error.detail)
    problem = "" if filled_with else "What the preview is filled in with is wrong."
    return Subject(template, source, compiled, filled_with, is_changed, problem=problem)


def _fill(subject: Subject, form: TestForm) -> Mail | None:
    """The mail as it goes out; None where something is wrong, which the form tells."""
    if text(form.stream.data) not in set(Stream):
        form.complain("stream", "must be one of those in the list")
        return None
    if subject.compiled is None or subject.filled_with is None:
        form.problem = f"{subject.problem} Mend it in the composer first."
        return None
    has_way_out = form.stream.data == Stream.MARKETING
    try:
        filled = template_parts.fill(
            subject.source,
            subject.compiled,
            subject.filled_with.values(has_way_out=has_way_out),
        )
    except (MergeError, TooMuch) as error:
        form.problem = f"It cannot be filled in: {error}."
        return None
    if filled.missing:
        names = ", ".join(filled.missing)
        form.problem = f"These have no value and no default: {names}."
        if template_parts.LINKS & set(filled.missing):
            form.problem += " Transactional mail has no links to leave: send it as marketing mail."
        return None
    return Mail(filled.subject, filled.html or "", filled.text)


def _find_sent() -> list[Message]:
    """The messages that the address names; what is none of the workspace's is passed by."""
    ids = []
    for named in request.args.getlist("sent")[:RECIPIENTS_MAX]:
        try:
            ids.append(uuid.UUID(named))
        except ValueError:
            continue
    return template_tests.list_sent(access.current_workspace_id(), ids) if ids else []


def _lock() -> str | None:
    """Why the visitor may not send; None where they may."""
    if access.current_workspace().role not in OPERATORS:
        return access.OPERATOR_NEEDED
    return None if access.visitor().is_verified else verified.NEEDED


def _page(subject: Subject, form: TestForm, *, sent: list[Message] | None = None) -> BaseResponse:
    is_wrong = form.problem or form.errors
    context: dict[str, Any] = template_composer.head(subject.template, tab="test")
    return render.page(
        "pages/template_test.html",
        status=422 if is_wrong else 200,
        **context,
        form=form,
        subject=subject,
        sent=sent or [],
        lock=_lock(),
        recipients_max=RECIPIENTS_MAX,
        emails=[one.email for one in members.list_all(access.current_workspace_id())],
    )
