"""The sandbox: the inbox of this maild as a workspace's provider, to try everything without an
account anywhere. Mail in it reaches nobody.

Where it is, the operator says (SANDBOX_SMTP_ADDR). It takes the workspace's mail over SMTP, and
reports what became of it to a webhook endpoint of the workspace, signed. It finds that endpoint by
what the SMTP account signs in with: the endpoint's token and its signing secret.
"""

from maild import config
from maild.db import database
from maild.domain.actor import Actor
from maild.domain.provider_event import OWN
from maild.errors import Conflict, FieldError, InvalidFields, NotFound
from maild.models import SmtpAccount
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import locks, smtp_accounts, tokens, webhook_endpoints
from maild.services.smtp_account_fields import NewSmtpAccount

NAME = "sandbox"
"""What the SMTP account is called, and what it signs in as."""
FROM_EMAIL = "sandbox@example.com"
"""A domain that is nobody's (RFC 2606)."""


def is_offered() -> bool:
    """Whether this maild has one."""
    return config.current().sandbox is not None


def find(workspace_id: int) -> SmtpAccount | None:
    """The workspace's account of the sandbox; None where it has none, or another of that name."""
    accounts = smtp_accounts.list_all(workspace_id)
    return next((one for one in accounts if is_of_sandbox(one)), None)


def is_of_sandbox(account: SmtpAccount) -> bool:
    """Whether an account leads to the sandbox: no other stands in for it, nor it for others."""
    return bool(account.is_sandbox)


def add(workspace_id: int, *, by: Actor) -> SmtpAccount:
    """Make its account and its endpoint, and let the workspace's mail take it. Where it is there
    already, it becomes active.

    Raises NotFound (there is no sandbox, or no workspace), Conflict, and InvalidFields where its
    host is none that workspaces may use.
    """
    sandbox = config.current().sandbox
    if sandbox is None:
        raise NotFound("This maild has no sandbox.")
    with database.atomic():
        smtp_accounts.take_turns(workspace_id)
        if find(workspace_id) is None:
            token, secret = tokens.make(), tokens.make()
            account = NewSmtpAccount(
                name=NAME,
                host=sandbox.smtp_addr.host,
                port=sandbox.smtp_addr.port,
                from_email=FROM_EMAIL,
                security="none",
                username=NAME,
                password=f"{token}.{secret}",
            )
            try:
                smtp_accounts.add(workspace_id, account, is_sandbox=True, by=by)
            except InvalidFields as error:
                raise _explained(error) from None
            webhook_endpoints.add(
                workspace_id,
                provider=OWN,
                smtp_account=NAME,
                signing_secret=secret,
                token=token,
                by=by,
            )
        smtp_accounts.activate(workspace_id, name=NAME, by=by)
        return smtp_accounts.find(workspace_id, name=NAME)


def remove(workspace_id: int, *, by: Actor) -> str:
    """Forget its account and its endpoint; returns the name of the account that carries the mail
    now: the one that stands by first, else that of the environment.

    Raises NotFound, Conflict where queued messages must go through it, and QueuedInSandbox where
    some would take another account, and reach people.
    """
    with database.atomic():
        statement, parameters = locks.accepting_in_turn(workspace_id)
        database.execute_sql(statement, parameters)  # before the rest, as `smtp_accounts.delete`
        smtp_accounts.take_turns(workspace_id)
        return _remove(workspace_id, by=by)


def _remove(workspace_id: int, *, by: Actor) -> str:
    account = find(workspace_id)
    if account is None:
        raise NotFound("This workspace does not use the sandbox.")
    if waiting := smtp_accounts.count_pinned(account):
        raise Conflict(
            f"Queued messages must go through the sandbox, as their senders asked: {waiting}. Let"
            " them go out or cancel them, and remove it then."
        )
    accounts = smtp_accounts.list_all(workspace_id)
    active = next((one.name for one in accounts if one.is_active), DEFAULT_ACCOUNT)
    if account.is_active:
        others = [one for one in accounts if one.id != account.id and one.paused_at is None]
        first = min(others, key=lambda one: (one.priority, one.id), default=None)
        active = DEFAULT_ACCOUNT if first is None else first.name
        smtp_accounts.activate(workspace_id, name=active, by=by)
    smtp_accounts.delete(workspace_id, name=account.name, by=by)
    return active


def _explained(error: InvalidFields) -> InvalidFields:
    """What to do about it: nobody has typed these fields."""
    if any(one.field == "name" for one in error.errors):
        text = f"Another account is called “{NAME}”. Delete it, or give it another name, first."
        return InvalidFields(text, errors=[FieldError("sandbox", text)])
    text = (
        "The sandbox of this maild is at an address that workspaces may not use. Whoever runs"
        " maild puts it into ALLOWED_PRIVATE_NETWORKS."
    )
    return InvalidFields(text, errors=[FieldError("sandbox", text)])
