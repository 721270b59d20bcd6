"""Webhook endpoints of an SMTP account: adding one, what to do at the provider, its secrets, and
what has come in. Its address is shown to admins alone: whoever has it may report.
"""

from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import PasswordField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice

from maild import db
from maild.domain import smtp_presets, webhook_setup
from maild.domain.role import ADMINS
from maild.errors import Conflict, DecryptionError, InvalidFields
from maild.models import WebhookEndpoint, WebhookSecret
from maild.models.smtp_account import DEFAULT_ACCOUNT, ENVIRONMENT
from maild.services import (
    smtp_accounts,
    webhook_arrivals,
    webhook_endpoints,
    webhook_secrets,
)
from maild.services.webhook_endpoints import State
from maild.services.webhook_secrets import Kind
from maild.web import access, provider_parts, provider_words, render, reports, toasts
from maild.web.forms import Form, text

KINDS: dict[str, str] = {
    Kind.SIGNING: "signing secret",
    Kind.BASIC_AUTH: "user name and password",
}

_STAYS = {
    "0": "ends at once",
    "3600": "for one hour",
    "86400": "for one day",
    "604800": "for a week",
}
"""How long the secret before goes on being valid, in seconds."""

blueprint = Blueprint("webhook_endpoints", __name__, url_prefix="/ui/providers")


class EndpointForm(Form):
    provider = SelectField("Provider")
    topic_arn = StringField("ARN of the SNS topic")
    signing_secret = PasswordField("Signing secret")
    auth_username = StringField("User name")
    auth_password = PasswordField("Password")


class SecretForm(Form):
    kind = RadioField("What it is", choices=[SelectChoice(k, v) for k, v in KINDS.items()])
    value = PasswordField("Signing secret")
    username = StringField("User name")
    password = PasswordField("Password")
    old_valid_seconds = SelectField(
        "The one before works on",
        choices=[SelectChoice(value, words) for value, words in _STAYS.items()],
    )


@blueprint.get("/webhooks")
@db.connection()
def of_active() -> BaseResponse:
    """Where to go on for who sets up a workspace: the endpoints of the account that mail takes."""
    accounts = smtp_accounts.list_all(access.current_workspace_id())
    account_id = next((one.id for one in accounts if one.is_active), ENVIRONMENT)
    return redirect(url_for("webhook_endpoints.index", account_id=account_id), 303)


@blueprint.get("/<int:account_id>/webhooks")
@db.connection()
def index(account_id: int) -> BaseResponse:
    """The endpoints that report on an account's mail, and the form for another one."""
    return _list_page(account_id)


@blueprint.post("/<int:account_id>/webhooks")
@access.allow(ADMINS)
@db.connection()
def add(account_id: int) -> BaseResponse:
    """Add an endpoint; its page says what to do with it."""
    form = endpoint_form()
    try:
        row = add_from(form, account_id)
    except (InvalidFields, Conflict):
        return _list_page(account_id, form)
    toasts.show("The endpoint is there. Tell the provider its address.", kind="ok")
    return redirect(url_for("webhook_endpoints.show", endpoint_id=row.id), 303)


def add_from(form: EndpointForm, account_id: int) -> WebhookEndpoint:
    """Add the endpoint that a form describes. Raises NotFound, and InvalidFields and Conflict,
    which the form then tells as well.
    """
    workspace_id = access.current_workspace_id()
    username, password = text(form.auth_username.data).strip(), text(form.auth_password.data)
    try:
        return webhook_endpoints.add(
            workspace_id,
            provider=text(form.provider.data),
            smtp_account=smtp_accounts.name_of(workspace_id, account_id),
            topic_arn=text(form.topic_arn.data).strip() or None,
            signing_secret=text(form.signing_secret.data).strip() or None,
            basic_auth=(username, password) if username or password else None,
            by=access.actor(),
        )
    except (InvalidFields, Conflict) as error:
        form.show(error, **{"basic_auth": "auth_password", "basic_auth.username": "auth_username"})
        raise


@blueprint.get("/webhooks/<int:endpoint_id>")
@db.connection()
def show(endpoint_id: int) -> BaseResponse:
    """An endpoint: how it does, what to do at the provider, and its secrets. What has come in asks
    for itself again.
    """
    return _page(endpoint_id)


@blueprint.post("/webhooks/<int:endpoint_id>/secrets")
@access.allow(ADMINS)
@db.connection()
def add_secret(endpoint_id: int) -> BaseResponse:
    """Save a secret; the one before it works on for a time."""
    form, kind = SecretForm(), request.form.get("kind", "")
    value = text(form.value.data)
    if kind == Kind.BASIC_AUTH:
        value = f"{text(form.username.data).strip()}:{text(form.password.data)}"
    try:
        webhook_secrets.add(
            access.current_workspace_id(),
            endpoint_id,
            kind=kind,
            value=value,
            old_valid_seconds=_seconds(form),
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error, value="password" if kind == Kind.BASIC_AUTH else "value")
        return _page(endpoint_id, form)
    toasts.show(f"The {KINDS[kind]} is saved, and holds from the next request on.", kind="ok")
    return redirect(url_for("webhook_endpoints.show", endpoint_id=endpoint_id), 303)


@blueprint.post("/webhooks/<int:endpoint_id>/secrets/<int:secret_id>/end")
@access.allow(ADMINS)
@db.connection()
def end_secret(endpoint_id: int, secret_id: int) -> BaseResponse:
    """Let a secret be valid no more."""
    row = webhook_secrets.remove(
        access.current_workspace_id(), endpoint_id, secret_id=secret_id, by=access.actor()
    )
    toasts.show(f"That {KINDS[row.kind]} is not valid any more.", kind="ok")
    return redirect(url_for("webhook_endpoints.show", endpoint_id=endpoint_id), 303)


@blueprint.post("/webhooks/<int:endpoint_id>/delete")
@access.allow(ADMINS)
@db.connection()
def delete(endpoint_id: int) -> BaseResponse:
    """Let the endpoint's address lead nowhere."""
    workspace_id = access.current_workspace_id()
    row = webhook_endpoints.delete(workspace_id, endpoint_id, by=access.actor())
    toasts.show(
        f"The endpoint of {_title(row)} is deleted. Take the webhook away at the provider, too.",
        kind="ok",
    )
    account_id = _account_id(row)
    if account_id is None:
        return redirect(url_for("providers.index"), 303)
    return redirect(url_for("webhook_endpoints.index", account_id=account_id), 303)


def _seconds(form: SecretForm) -> int:
    """Raises InvalidFields, by the service, for what is no choice."""
    typed = text(form.old_valid_seconds.data)
    return int(typed) if typed in _STAYS else -1


def _title(row: WebhookEndpoint) -> str:
    return webhook_endpoints.title_of(row.provider)


def _account_id(row: WebhookEndpoint) -> int | None:
    """The account that an endpoint reports on; None where it is gone."""
    if row.smtp_account_name == DEFAULT_ACCOUNT:
        return ENVIRONMENT
    accounts = smtp_accounts.list_all(row.workspace_id)
    return next((one.id for one in accounts if one.name == row.smtp_account_name), None)


def endpoint_form(**values: str) -> EndpointForm:
    """What was sent; with values, a fresh form that has them."""
    form = EndpointForm(**({"formdata": None, **values} if values else {}))
    form.provider.choices = [
        SelectChoice(word, webhook_endpoints.title_of(word))
        for word in webhook_endpoints.provider_words()
    ]
    return form


def _list_page(account_id: int, form: EndpointForm | None = None) -> BaseResponse:
    context = provider_parts.head(account_id, tab="webhooks")
    account = context["account"]
    endpoints = webhook_endpoints.list_of_account(access.current_workspace_id(), account.name)
    valid = webhook_secrets.find_valid(endpoints)
    counts = webhook_endpoints.counts_of(endpoints)
    known = smtp_presets.of_host(account.host)
    return render.page(
        "pages/provider_webhooks.html",
        status=422 if form else 200,
        **context,
        endpoints=[
            (
                row,
                _title(row),
                provider_words.WEBHOOKS[webhook_endpoints.state_of(row, valid[row.id])],
                counts[row.id],
            )
            for row in endpoints
        ],
        form=form or endpoint_form(provider=known.key if known else "dsn"),
        known=known,
        admin_lock=provider_parts.admin_lock(),
    )


def _page(endpoint_id: int, form: SecretForm | None = None) -> BaseResponse:
    context = describe(endpoint_id)
    if form is None and render.has_seen(context["mark"]):
        return render.nothing_new()
    row, valid = context["endpoint"], context["secrets"]
    return render.page_or_partial(
        "pages/webhook_endpoint.html",
        "partials/webhook_endpoint.html",
        status=422 if form else 200,
        **context,
        account_id=_account_id(row),
        kinds=KINDS,
        secret_is=webhook_secrets.secret_is(row.provider),
        has_basic_auth=any(one.kind == Kind.BASIC_AUTH for one in valid),
        form=form or _blank_secret(row),
        is_form_open=form is not None or context["state"] is State.NEEDS_SECRET,
        admin_lock=provider_parts.admin_lock(),
    )


def describe(endpoint_id: int) -> dict[str, Any]:
    """The context of partials/webhook_endpoint.html, and how the endpoint is set up, which is for
    admins alone. Raises NotFound.
    """
    row = webhook_endpoints.get(access.current_workspace_id(), endpoint_id)
    valid = webhook_secrets.find_valid([row])[row.id]
    counts = webhook_endpoints.counts_of([row])[row.id]
    state = webhook_endpoints.state_of(row, valid)
    arrivals = webhook_arrivals.list_latest(row)
    is_admin = provider_parts.admin_lock() is None
    url = webhook_endpoints.find_url(row) if is_admin else None
    return {
        "endpoint": row,
        "title": _title(row),
        "state": state,
        "state_badge": provider_words.WEBHOOKS[state],
        "counts": counts,
        "arrivals": [(one, reports.said(_report(one))) for one in arrivals],
        "mark": render.digest(
            state, counts, row.last_event_at, row.last_refused_at, [one.id for one in arrivals],
            [one.status for one in arrivals],
        ),
        "url": url,
        "steps": _steps(row, valid) if url else [],
        "secrets": valid,
    }  # fmt: skip


def _report(event: object) -> dict[str, object]:
    return {"provider": event.provider, "type": event.event_type}  # type: ignore[attr-defined]


def _blank_secret(row: WebhookEndpoint) -> SecretForm:
    kind = Kind.SIGNING if webhook_secrets.secret_is(row.provider) else Kind.BASIC_AUTH
    return SecretForm(formdata=None, kind=kind.value, old_valid_seconds="86400")


def _steps(row: WebhookEndpoint, valid: list[WebhookSecret]) -> list[str]:
    try:
        return webhook_endpoints.setup_of(row, valid, ways=webhook_setup.BY_PAGE)
    except DecryptionError:
        return []
