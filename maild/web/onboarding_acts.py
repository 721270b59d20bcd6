"""What is done in the steps of the wizard: each act leads back to its step, or comes back with what
is wrong. The work is that of the services, and the forms are those of the nouns' own pages.
"""

from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.role import ADMINS, OPERATORS, Role
from maild.errors import (
    Conflict,
    Forbidden,
    InvalidFields,
    InvalidRequest,
    NotFound,
    QueuedInSandbox,
    RateLimited,
)
from maild.models import SmtpAccount
from maild.services import (
    api_keys,
    domains,
    policy_reviews,
    provider_checks,
    provider_tests,
    sandboxes,
    smtp_account_fields,
    smtp_accounts,
    workspace_changes,
)
from maild.services.api_keys import NewApiKey
from maild.services.onboarding_steps import StepId
from maild.web import (
    access,
    onboarding,
    onboarding_parts,
    provider_forms,
    provider_parts,
    provider_words,
    render,
    toasts,
    verified,
    webhook_endpoints,
)
from maild.web.forms import text
from maild.web.onboarding_parts import DomainForm, TestForm
from maild.web.provider_forms import AccountForm
from maild.web.workspaces import NameForm

KEY_NAME = "First steps"
"""What a key is called that is made on the way."""

blueprint = Blueprint("onboarding_acts", __name__, url_prefix="/ui/onboarding")


@blueprint.post("/workspace")
@access.allow(ADMINS)
@db.connection()
def rename() -> BaseResponse:
    """Give the workspace its name."""
    form = NameForm()
    try:
        row = workspace_changes.rename(
            access.current_workspace_id(), text(form.name.data), by=access.actor()
        )
    except InvalidFields as error:
        form.show(error)
        return onboarding.page(StepId.WORKSPACE, name_form=form)
    toasts.show(f"The workspace is called “{row.name}”.", kind="ok")
    return _to(StepId.WORKSPACE)


@blueprint.post("/provider")
@access.allow(ADMINS)
@db.connection()
def add_account() -> BaseResponse:
    """Save an account, and have it checked at once."""
    workspace_id, form = access.current_workspace_id(), AccountForm()
    account, is_whole = provider_forms.read(form)
    try:
        if not is_whole:
            smtp_account_fields.check(account)
            return onboarding.page(StepId.PROVIDER, account_form=form)
        row = smtp_accounts.add(workspace_id, account, by=access.actor())
    except (InvalidFields, Conflict) as error:
        form.show(error)
        return onboarding.page(StepId.PROVIDER, account_form=form)
    return _check(row.id)


@blueprint.post("/provider/<int:account_id>/check")
@access.allow(OPERATORS)
@db.connection()
def check(account_id: int) -> BaseResponse:
    """Have an account tried by a worker; each step shows as it ends."""
    return _check(account_id)


@blueprint.post("/provider/<int:account_id>/activate")
@access.allow(ADMINS)
@db.connection()
def activate(account_id: int) -> BaseResponse:
    """Let mail take this account first."""
    workspace_id = access.current_workspace_id()
    row = smtp_accounts.get(workspace_id, account_id)
    try:
        smtp_accounts.activate(workspace_id, name=row.name, by=access.actor())
    except QueuedInSandbox as error:
        return _refused(error, account=row)
    toasts.show(f"Mail goes through “{row.name}” first from now on.", kind="ok")
    return _to(StepId.PROVIDER, account=account_id)


@blueprint.post("/sandbox")
@access.allow(ADMINS)
@db.connection()
def add_sandbox() -> BaseResponse:
    """Take the sandbox for the provider: its account and its endpoint, both ready."""
    workspace_id = access.current_workspace_id()
    try:
        row = sandboxes.add(workspace_id, by=access.actor())
    except (InvalidFields, Conflict) as error:
        problem = error.errors[0].message if error.errors else error.detail
        return onboarding.page(StepId.PROVIDER, problem=problem)
    toasts.show("The sandbox is your provider. Its mail reaches nobody.", kind="ok")
    return _check(row.id)


@blueprint.post("/sandbox/remove")
@access.allow(ADMINS)
@db.connection()
def remove_sandbox() -> BaseResponse:
    """Do without the sandbox from now on."""
    try:
        name = sandboxes.remove(access.current_workspace_id(), by=access.actor())
    except Conflict as error:
        return _refused(error)
    toasts.show(
        f"The sandbox is removed. Mail goes through {provider_words.called(name)} now.", kind="ok"
    )
    return _to(StepId.PROVIDER)


@blueprint.post("/domain")
@access.allow(ADMINS)
@db.connection()
def add_domain() -> BaseResponse:
    """Have a domain looked after: it is checked at once, and every day."""
    form = DomainForm()
    try:
        row = domains.add(
            access.current_workspace_id(),
            text(form.domain.data),
            dkim_selector=text(form.dkim_selector.data) or None,
            by=access.actor(),
        )
    except (InvalidFields, Conflict) as error:
        form.show(error)
        return onboarding.page(StepId.DOMAIN, domain_form=form)
    toasts.show(f"{row.name} is being checked.", kind="ok")
    return _to(StepId.DOMAIN)


@blueprint.post("/policy/review")
@access.allow(ADMINS)
@db.connection()
def review_policy() -> BaseResponse:
    """Write down that what holds is fine."""
    version = request.form.get("version", type=int)
    if version is None:
        raise NotFound("There is no such version.")
    try:
        policy_reviews.mark(access.current_workspace_id(), version=version, by=access.actor())
    except Conflict as error:
        return onboarding.page(StepId.POLICY, status=409, problem=error.detail)
    toasts.show("Written down: the policy is fine for you.", kind="ok")
    return _to(StepId.POLICY)


@blueprint.post("/test-message")
@access.allow(OPERATORS)
@db.connection()
def send_test() -> BaseResponse:
    """Send a test through the account that carries the mail."""
    if not access.visitor().is_verified:
        raise Forbidden(verified.NEEDED)
    form = TestForm()
    try:
        message = provider_tests.send(
            access.current_workspace_id(),
            onboarding_parts.carrier_id(),
            from_email=text(form.from_email.data).strip(),
            to_email=text(form.to_email.data).strip(),
            by=access.actor(),
        )
    except (InvalidRequest, RateLimited) as error:
        form.show(error)
        return onboarding.page(StepId.TEST_MESSAGE, test_form=form)
    return _to(StepId.TEST_MESSAGE, message=message.id)


@blueprint.post("/key")
@access.allow(ADMINS)
@db.connection()
def make_key() -> BaseResponse:
    """Make a key that may send. It is in this answer, in the samples as well, and nowhere else."""
    verified.require()
    row, key = api_keys.create(
        access.current_workspace_id(),
        NewApiKey(name=KEY_NAME, role=Role.SENDER.value),
        by=access.actor(),
    )
    return render.page(
        "pages/onboarding_key.html",
        row=row,
        key=key,
        samples=onboarding_parts.samples(key),
    )


@blueprint.post("/webhook")
@access.allow(ADMINS)
@db.connection()
def add_endpoint() -> BaseResponse:
    """Make an endpoint for the account that carries the mail."""
    form = webhook_endpoints.endpoint_form()
    try:
        webhook_endpoints.add_from(form, onboarding_parts.carrier_id())
    except (InvalidFields, Conflict):
        return onboarding.page(StepId.WEBHOOK, endpoint_form=form)
    toasts.show("The endpoint is there. Tell the provider its address.", kind="ok")
    return _to(StepId.WEBHOOK)


def _refused(error: Conflict, *, account: SmtpAccount | None = None) -> BaseResponse:
    link = provider_parts.link_to(error)
    return onboarding.page(
        StepId.PROVIDER, status=409, problem=error.detail, problem_link=link, account=account
    )


def _check(account_id: int) -> BaseResponse:
    try:
        provider_checks.start(access.current_workspace_id(), account_id, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    return _to(StepId.PROVIDER, account=account_id)


def _to(step: StepId, **query: Any) -> BaseResponse:
    return redirect(url_for("onboarding.show", step=step, **query), 303)
