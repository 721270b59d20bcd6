"""API keys of the workspace: the list, making one, which is shown this once, limiting, revoking."""

import re
from datetime import timedelta

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from maild import clock, config, db
from maild.domain.role import ADMINS, SUBMITTERS, Role
from maild.errors import Conflict, FieldError, InvalidFields, NotFound
from maild.models import ApiKey
from maild.services import api_keys
from maild.services.api_keys import NewApiKey, State
from maild.web import access, paging, render, roles, toasts, verified
from maild.web.badges import Badge
from maild.web.forms import Form, text

PAGE_ROWS = 50

STATES: dict[State, Badge] = {
    State.ACTIVE: Badge("active", "check", "ok"),
    State.EXPIRED: Badge("expired", "clock", "neutral"),
    State.REVOKED: Badge("revoked", "ban", "neutral"),
}

_LIFETIMES = {"never": None, "30": 30, "90": 90, "365": 365}
"""In days, by what the form sends."""
_NETWORKS = "allowed_networks."

blueprint = Blueprint("api_keys", __name__, url_prefix="/ui/settings/api-keys")


class KeyForm(Form):
    name = StringField("Name")
    role = RadioField("Role", choices=roles.choices(Role))
    expires = SelectField(
        "Works",
        choices=[
            SelectChoice(value, f"for {days} days" if days else "until it is revoked")
            for value, days in _LIFETIMES.items()
        ],
    )
    networks = TextAreaField("Only from these addresses")
    requests_per_minute = StringField("Requests a minute")


class LimitForm(Form):
    requests_per_minute = StringField("Requests a minute")


class RevokeForm(Form):
    reason = StringField("Reason")


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """The list, newest first."""
    return _page(older_than=paging.older_than())


@blueprint.post("")
@access.allow(ADMINS)
@db.connection()
def create() -> BaseResponse:
    """Make a key. It is in this answer, and nowhere else: no session holds it until a next page."""
    verified.require()
    form = KeyForm()
    lines = _read_lines(text(form.networks.data))
    try:
        row, key = api_keys.create(
            access.current_workspace_id(), _read(form, lines), by=access.actor()
        )
    except InvalidFields as error:
        form.show(_name_lines(error, lines), expires_at="expires", allowed_networks="networks")
        return _page(key_form=form)
    return render.page(
        "pages/api_key_made.html",
        row=row,
        key=key,
        does=roles.DOES[Role(row.role)],
        curl=_curl(row, key),
        requests_default=api_keys.requests_per_minute_max(),
    )


@blueprint.post("/limit")
@access.allow(ADMINS)
@db.connection()
def limit() -> BaseResponse:
    """Change how many requests a minute a key may make."""
    form, key_id = LimitForm(), _key_id()
    try:
        row = api_keys.limit(
            access.current_workspace_id(),
            key_id=key_id,
            requests_per_minute=_read_requests(text(form.requests_per_minute.data).strip()),
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _page(older_than=key_id + 1, limit_form=form, limited_id=key_id)
    except Conflict as error:
        toasts.show(str(error), kind="bad")
    else:
        toasts.show(f"The limit of “{row.name}” holds from its next request on.", kind="ok")
    return redirect(url_for("api_keys.index"), 303)


@blueprint.post("/revoke")
@access.allow(ADMINS)
@db.connection()
def revoke() -> BaseResponse:
    """Let a key never work again."""
    form, key_id = RevokeForm(), _key_id()
    try:
        row, was_in_use = api_keys.revoke(
            access.current_workspace_id(),
            key_id=key_id,
            by=access.actor(),
            reason=text(form.reason.data).strip() or None,
        )
    except InvalidFields as error:
        form.show(error)
        # Whatever page it was on: now it is the first of this one.
        return _page(older_than=key_id + 1, revoke_form=form, revoked_id=key_id)
    if was_in_use:
        toasts.show(f"“{row.name}” is revoked. From now on it does not work.", kind="ok")
    else:
        toasts.show(f"“{row.name}” was revoked already.")
    return redirect(url_for("api_keys.index"), 303)


def _key_id() -> int:
    """Of the key that a form is about. Raises NotFound."""
    key_id = request.form.get("key", type=int)
    if key_id is None:
        raise NotFound(api_keys.NO_SUCH)
    return key_id


def _read(form: KeyForm, lines: dict[int, str]) -> NewApiKey:
    """The key that the form asks for. Raises InvalidFields."""
    choice = text(form.expires.data)
    if choice not in _LIFETIMES:
        message = "must be one of " + ", ".join(_LIFETIMES)
        raise InvalidFields(f"expires: {message}", errors=[FieldError("expires", message)])
    days = _LIFETIMES[choice]
    return NewApiKey(
        name=text(form.name.data).strip(),
        role=text(form.role.data),
        expires_at=None if days is None else clock.now() + timedelta(days=days),
        allowed_networks=list(lines.values()) or None,
        requests_per_minute=_read_requests(text(form.requests_per_minute.data).strip()),
    )


def _read_requests(typed: str) -> int | None:
    """The number that was typed, if any. Raises InvalidFields."""
    if not typed:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", typed):
        message = "must be a whole number such as 600"
        raise InvalidFields(
            f"requests_per_minute: {message}", errors=[FieldError("requests_per_minute", message)]
        )
    return int(typed)


def _read_lines(typed: str) -> dict[int, str]:
    """What stands in which line, but for the empty ones."""
    lines = enumerate(map(str.strip, typed.splitlines()), start=1)
    return {number: line for number, line in lines if line}


def _name_lines(error: InvalidFields, lines: dict[int, str]) -> InvalidFields:
    """The same error, with the line of each network that it is about."""
    numbers = list(lines)
    errors = [
        FieldError(
            "networks",
            f"line {numbers[int(one.field.removeprefix(_NETWORKS))]} {one.message}",
        )
        if one.field.startswith(_NETWORKS)
        else one
        for one in error.errors
    ]
    return InvalidFields(error.detail, errors=errors)


def _curl(row: ApiKey, key: str) -> str:
    """The command that tries a key: it sends a message, or lists some where it may not send."""
    settings = config.current()
    header = f"-H '{settings.api_key_header}: {key}'"
    if Role(row.role) not in SUBMITTERS:
        return f"curl {settings.public_url}/v1/messages/logs \\\n  {header}"
    return (
        f"curl {settings.public_url}/v1/messages \\\n"
        f"  {header} \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        '  -d \'{"from_email": "hello@example.com", "to_email": "ann@example.org",\n'
        '       "subject": "A first message", "body_text": "It works."}\''
    )


def _page(
    *,
    older_than: int | None = None,
    key_form: KeyForm | None = None,
    limit_form: LimitForm | None = None,
    limited_id: int | None = None,
    revoke_form: RevokeForm | None = None,
    revoked_id: int | None = None,
) -> BaseResponse:
    page = api_keys.list_page(access.current_workspace_id(), limit=PAGE_ROWS, older_than=older_than)
    return render.page(
        "pages/settings_api_keys.html",
        status=422 if key_form or limit_form or revoke_form else 200,
        keys=[(row, api_keys.state_of(row), Role(row.role)) for row in page.keys],
        older=paging.mark(page.older),
        is_newest=older_than is None,
        key_form=key_form or KeyForm(formdata=None, role=Role.SENDER.value),
        is_key_open=key_form is not None,
        limit_form=limit_form,
        limited_id=limited_id,
        make_limit_form=_limit_form,
        revoke_form=revoke_form,
        blank_form=RevokeForm(formdata=None),
        revoked_id=revoked_id,
        states=STATES,
        role_badges=roles.BADGES,
        locked_why=verified.find_lock(),
        name_max_chars=api_keys.NAME_MAX_CHARS,
        reason_max_chars=api_keys.REASON_MAX_CHARS,
        requests_default=api_keys.requests_per_minute_max(),
    )


def _limit_form(row: ApiKey) -> LimitForm:
    """As it stands for a key."""
    own = row.requests_per_minute
    return LimitForm(formdata=None, requests_per_minute="" if own is None else str(own))
