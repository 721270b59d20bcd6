"""For how long what is kept: how it stands, what a change would remove, and how much room it takes.

Everybody of the workspace sees it; admins change it. The size of the whole database is shown where
one workspace has it to itself: elsewhere it would tell of others.
"""

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import HiddenField, StringField

from maild import db
from maild.domain.retention import DAYS_MAX, DAYS_MIN, Choice, Subject
from maild.domain.role import ADMINS
from maild.errors import Conflict, FieldError, InvalidFields, summarise
from maild.services import conservation, retention, retention_forecast
from maild.services.retention import Going, Standing
from maild.web import access, render, toasts
from maild.web.forms import Form, text

SUBJECTS: dict[Subject, tuple[str, str]] = {
    Subject.BODIES: (
        "Content of messages",
        "Texts, headers and attachments. Without them a message cannot be retried or resent.",
    ),
    Subject.MESSAGES: (
        "Messages",
        "With attempts, events, decisions and provider events; and incidents, jobs and"
        " notifications that are over.",
    ),
    Subject.WEBHOOKS: ("Payloads of providers", "What webhooks and bounce mails said, as it came."),
    Subject.AUDIT: ("Audit log", "Who did what. What is left of it stays proved."),
}
PARTS = {
    "content": "Content of messages",
    "messages": "Messages, events, attempts",
    "webhooks": "Reports of providers",
    "audit": "Audit log",
    "other": "Everything else",
}

blueprint = Blueprint("retention", __name__, url_prefix="/ui/settings/retention")


class RetentionForm(Form):
    bodies_days = StringField("Content of messages, days")
    messages_days = StringField("Messages, days")
    webhooks_days = StringField("Payloads of providers, days")
    audit_days = StringField("Audit log, days")
    version = HiddenField()


@blueprint.get("")
@db.connection()
def show() -> BaseResponse:
    """What is kept for how long, and the form that changes it."""
    return _page(retention.get(access.current_workspace_id()))


@blueprint.post("")
@access.allow(ADMINS)
@db.connection()
def change() -> BaseResponse:
    """Show what a change would remove; or save it, once that was seen."""
    workspace_id = access.current_workspace_id()
    form = RetentionForm()
    try:
        choice = _read(form)
        going = retention.preview(workspace_id, choice)
        if not request.form.get("seen"):
            standing = retention.get(workspace_id)
            return _page(standing, form, going=going, choice=choice, status=200)
        version = text(form.version.data)
        retention.save(
            workspace_id,
            choice,
            version=int(version) if version.isdecimal() and len(version) < 10 else -1,
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _page(retention.get(workspace_id), form)
    except Conflict as error:
        standing = retention.get(workspace_id)
        form = _stored(standing)
        form.show(error)
        return _page(standing, form, status=409)
    toasts.show("Saved. What is too old by now goes within the next minutes.", kind="ok")
    return redirect(url_for("retention.show"), 303)


def _read(form: RetentionForm) -> Choice:
    """Raises InvalidFields."""
    days: dict[str, int | None] = {}
    errors = []
    for subject in Subject:
        name = f"{subject.value}_days"
        typed = text(form[name].data).strip()
        if typed and not (typed.isascii() and typed.isdecimal() and len(typed) < 10):
            errors.append(FieldError(name, "must be a whole number of days, or empty"))
        days[subject.value] = int(typed) if typed and not errors else None
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
    return Choice(**days)


def _stored(standing: Standing) -> RetentionForm:
    values = {
        f"{subject.value}_days": "" if days is None else str(days)
        for subject in Subject
        for days in (getattr(standing.choice, subject.value),)
    }
    return RetentionForm(formdata=None, **values, version=str(standing.version))


def _page(
    standing: Standing,
    form: RetentionForm | None = None,
    *,
    going: list[Going] | None = None,
    choice: Choice | None = None,
    status: int = 422,
) -> BaseResponse:
    workspace_id = access.current_workspace_id()
    check = conservation.latest(workspace_id)
    count = check.found_count if check else 0
    return render.page(
        "pages/settings_retention.html",
        status=status if form else 200,
        form=form or _stored(standing),
        standing=standing,
        rows=[
            (
                *SUBJECTS[subject],
                f"{subject.value}_days",
                DAYS_MIN[subject],
                standing.default.days(subject),
                standing.keep.days(subject),
            )
            for subject in Subject
        ],
        days_max=DAYS_MAX,
        going=None if going is None else [(SUBJECTS[one.subject][0], one) for one in going],
        is_unchanged=choice is not None and choice == standing.choice,
        pruned=standing.pruned,
        estimate=retention_forecast.estimate(workspace_id, message_count=count),
        unfinished={
            word: check.by_status[word]
            for word in ("unknown", "held")
            if check and check.by_status.get(word)
        },
        measure=retention_forecast.measure(standing.keep)
        if retention_forecast.is_alone()
        else None,
        part_words=PARTS,
    )
