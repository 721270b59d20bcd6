"""Adding an SMTP account, and changing one. A password goes in and never comes out."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import BooleanField, HiddenField, PasswordField, SelectField, StringField
from wtforms.fields.choices import SelectChoice

from maild import config, db
from maild.domain import smtp_presets
from maild.domain.role import ADMINS
from maild.domain.smtp_presets import Preset
from maild.errors import Conflict, InvalidFields, QueuedInSandbox
from maild.models import SmtpAccount
from maild.models.smtp_account import ENVIRONMENT
from maild.services import smtp_account_fields, smtp_accounts
from maild.services.smtp_account_fields import (
    CONNECTIONS_DEFAULT,
    PRIORITY_DEFAULT,
    NewSmtpAccount,
)
from maild.web import access, provider_parts, provider_words, render, toasts
from maild.web.forms import Form, text

WHOLE = "must be a whole number"
TYPE_AGAIN = "Type the new password again: it is never sent back to the page."
MEANT = "yes"
"""What the page says when a new password was typed before."""

blueprint = Blueprint("provider_forms", __name__, url_prefix="/ui/providers")


class AccountForm(Form):
    name = StringField("Name")
    host = StringField("Host")
    port = StringField("Port")
    security = SelectField(
        "Security",
        choices=[SelectChoice(word, told) for word, told in provider_words.SECURITY.items()],
    )
    username = StringField("User name")
    password = PasswordField("Password")
    password_meant = HiddenField()
    keep_password = BooleanField("Keep the stored password")
    from_email = StringField("From address")
    max_connections = StringField("Connections at once")
    max_per_second = StringField("Messages a second")
    priority = StringField("Priority")
    return_path = StringField("Return path")
    version = HiddenField()


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not as it is stored now."""

    label: str
    stored: str
    typed: str


@blueprint.get("/new")
@db.connection()
def new() -> BaseResponse:
    """The form, filled in with what is known of a provider, if one is named."""
    preset = smtp_presets.find(request.args.get("preset"))
    return _page(blank(preset), preset=preset)


@blueprint.post("/new")
@access.allow(ADMINS)
@db.connection()
def add() -> BaseResponse:
    """Add the account."""
    form = AccountForm()
    account, is_whole = read(form)
    try:
        if not is_whole:
            smtp_account_fields.check(account)
            return _page(form)
        row = smtp_accounts.add(access.current_workspace_id(), account, by=access.actor())
    except (InvalidFields, Conflict) as error:
        form.show(error)
        return _page(form)
    toasts.show(f"“{row.name}” is saved. Check whether it works before mail takes it.", kind="ok")
    return redirect(url_for("provider_checks.show", account_id=row.id), 303)


@blueprint.get("/<int:account_id>/edit")
@db.connection()
def edit(account_id: int) -> BaseResponse:
    """What is said of an account, to be changed; of the environment's, where it comes from."""
    if account_id == ENVIRONMENT:
        return render.page(
            "pages/provider_environment.html",
            **provider_parts.head(account_id, tab="settings"),
            settings=_settings(),
        )
    row = smtp_accounts.get(access.current_workspace_id(), account_id)
    return _page(_filled(row), row=row)


@blueprint.post("/<int:account_id>/edit")
@access.allow(ADMINS)
@db.connection()
def save(account_id: int) -> BaseResponse:
    """Change the account, unless somebody else has done so since the form was made."""
    workspace_id, form = access.current_workspace_id(), AccountForm()
    row = smtp_accounts.get(workspace_id, account_id)
    form.name.data = row.name
    keeps_password = not form.password.data and row.password_encrypted is not None
    account, is_whole = read(form)
    try:
        if not is_whole or (keeps_password and _lacks_password(form)):
            smtp_account_fields.check(account, stored=row if keeps_password else None)
            return _page(form, row=row)
        saved = smtp_accounts.change(
            workspace_id,
            account_id,
            account,
            version=text(form.version.data),
            keeps_password=keeps_password,
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _page(form, row=row)
    except QueuedInSandbox as error:
        form.problem, form.link = error.detail, provider_parts.link_to(error)
        return _page(form, row=row, status=409)
    except Conflict as error:
        form.problem = error.detail
        form.version.data = smtp_accounts.version_of(row)  # sent again, it replaces what is shown
        return _page(form, row=row, status=409, differences=_differences(form, row))
    toasts.show(f"“{saved.name}” is saved.", kind="ok")
    return redirect(url_for("provider_forms.edit", account_id=account_id), 303)


def _lacks_password(form: AccountForm) -> bool:
    """Whether a new password was typed before, is not there now, and is not given up."""
    is_meant = form.password_meant.data == MEANT and not form.keep_password.data
    return is_meant and not form.password.data


def _ask_again(form: AccountForm) -> None:
    """Ask for a password that was typed: the page that comes back does not have it."""
    if form.password.data:
        form.password_meant.data, form.keep_password.data = MEANT, False
    if _lacks_password(form) or form.password.data:
        form.complain("password", TYPE_AGAIN)


def read(form: AccountForm) -> tuple[NewSmtpAccount, bool]:
    """The account that the form describes, and whether its numbers are numbers: one that is not has
    its complaint, and a default in its place.
    """
    numbers, is_whole = {}, True
    for name, default in (
        ("port", 587),
        ("max_connections", CONNECTIONS_DEFAULT),
        ("priority", PRIORITY_DEFAULT),
    ):
        try:
            numbers[name] = _whole(text(form[name].data))
        except ValueError:
            numbers[name], is_whole = default, False
            form.complain(name, WHOLE)
    typed = text(form.max_per_second.data).strip()
    try:
        per_second = float(typed) if typed else None
    except ValueError:
        per_second, is_whole = None, False
        form.complain("max_per_second", "must be a number")
    account = NewSmtpAccount(
        name=text(form.name.data).strip(),
        host=text(form.host.data).strip(),
        from_email=text(form.from_email.data).strip(),
        security=text(form.security.data),
        username=text(form.username.data).strip() or None,
        password=form.password.data or None,
        max_per_second=per_second,
        return_path=text(form.return_path.data).strip() or None,
        **numbers,
    )
    return account, is_whole


def _whole(typed: str) -> int:
    """Raises ValueError, also for what is no sensible number by its length."""
    stripped = typed.strip()
    if not stripped.isascii() or not stripped.removeprefix("-").isdecimal() or len(stripped) > 9:
        raise ValueError(stripped)
    return int(stripped)


def blank(preset: Preset | None) -> AccountForm:
    """An empty form, with what is known of a provider."""
    known = {}
    if preset is not None:
        known = {
            "name": preset.key,
            "host": preset.host,
            "port": str(preset.port),
            "security": preset.security,
            "username": preset.username,
        }
    return AccountForm(
        formdata=None,
        **{
            "port": "587",
            "security": "starttls",
            "max_connections": str(CONNECTIONS_DEFAULT),
            "priority": str(PRIORITY_DEFAULT),
            **known,
        },
    )


def _filled(row: SmtpAccount) -> AccountForm:
    return AccountForm(
        formdata=None, **_texts(row), name=row.name, version=smtp_accounts.version_of(row)
    )


def _texts(row: SmtpAccount) -> dict[str, str]:
    """What is stored, as it stands in the fields; no password."""
    rate = row.max_per_second
    return {
        "host": row.host,
        "port": str(row.port),
        "security": row.security,
        "username": row.username or "",
        "from_email": row.from_email,
        "max_connections": str(row.max_connections),
        "max_per_second": "" if rate is None else f"{rate:g}",
        "priority": str(row.priority),
        "return_path": row.return_path or "",
    }


def _differences(form: AccountForm, row: SmtpAccount) -> list[Difference]:
    """Where the form is not what is stored; of passwords nothing can be said."""
    return [
        Difference(form[name].label.text, stored, text(form[name].data).strip())
        for name, stored in _texts(row).items()
        if stored != text(form[name].data).strip()
    ]


def _settings() -> list[tuple[str, str]]:
    """Which settings make the environment's account, and what they are; no credentials."""
    smtp = config.current().smtp
    return [
        ("SMTP_HOST", smtp.host),
        ("SMTP_PORT", str(smtp.port)),
        ("SMTP_SECURITY", smtp.security),
        ("SMTP_FROM", smtp.from_email),
        ("SMTP_RETURN_PATH", smtp.return_path or ""),
        ("SMTP_MAX_CONNECTIONS", str(smtp.max_connections)),
        ("SMTP_MAX_PER_SECOND", "" if smtp.max_per_second is None else f"{smtp.max_per_second:g}"),
    ]


def _page(
    form: AccountForm,
    *,
    row: SmtpAccount | None = None,
    preset: Preset | None = None,
    status: int | None = None,
    differences: Sequence[Difference] = (),
) -> BaseResponse:
    has_password = row is not None and row.password_encrypted is not None
    if has_password:
        _ask_again(form)
    is_wrong = form.problem or form.errors
    head = {} if row is None else provider_parts.head(row.id, tab="settings")
    shown = preset or smtp_presets.of_host(text(form.host.data))
    return render.page(
        "pages/provider_new.html" if row is None else "pages/provider_edit.html",
        status=status or (422 if is_wrong else 200),
        **head,
        form=form,
        preset=shown,
        presets=smtp_presets.PRESETS,
        differences=differences,
        has_password=has_password,
        is_password_meant=has_password and form.password_meant.data == MEANT,
        admin_lock=provider_parts.admin_lock(),
        name_max_chars=smtp_account_fields.NAME_MAX_CHARS,
    )
