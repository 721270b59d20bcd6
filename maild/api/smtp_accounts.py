"""/v1/smtp-accounts: the providers of a workspace. A password goes in and never comes out."""

from typing import Any

from maild.api import schemas
from maild.api.auth import ADMINS, OPERATORS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.errors import Conflict, QueuedInSandbox, SmtpValidationFailed
from maild.models import SmtpAccount
from maild.services import account_health, smtp_accounts
from maild.services.account_health import AccountHealth
from maild.services.smtp_account_fields import NewSmtpAccount


@endpoint(
    "POST",
    "/v1/smtp-accounts",
    summary="Add an SMTP account, or replace the one of that name",
    allow=ADMINS,
    body=schemas.SmtpAccountIn,
    answer=schemas.SmtpAccountSaved,
    status=201,
    raises=(Conflict, QueuedInSandbox),
)
def save_smtp_account(caller: Caller, body: schemas.SmtpAccountIn) -> schemas.SmtpAccountSaved:
    """An account of the same name is replaced as a whole: what is left out has its default again,
    and the password must be given again. It is kept encrypted and comes back in no answer.
    """
    account = smtp_accounts.save(
        caller.workspace_id(body.workspace_id),
        NewSmtpAccount(
            name=body.name,
            host=body.host,
            port=body.port,
            from_email=body.from_email,
            security=body.security,
            username=body.username,
            password=body.password,
            max_connections=body.max_connections,
            max_per_second=body.max_per_second,
            priority=body.priority,
            return_path=body.return_path,
        ),
        by=caller.actor,
    )
    return schemas.SmtpAccountSaved(**_fields(account))


@endpoint(
    "GET",
    "/v1/smtp-accounts/list",
    summary="The SMTP accounts of a workspace, that of the environment first, and how they do",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer=schemas.SmtpAccountList,
)
def list_smtp_accounts(caller: Caller, query: schemas.WorkspaceQuery) -> schemas.SmtpAccountList:
    """With the state of each account's breaker and its faults in the last hour."""
    workspace_id = caller.workspace_id(query.workspace_id)
    accounts = [_health(found) for found in account_health.list_all(workspace_id)]
    return schemas.SmtpAccountList(
        workspace_id=workspace_id, count=len(accounts), accounts=accounts
    )


@endpoint(
    "POST",
    "/v1/smtp-accounts/activate",
    summary="Send the workspace's mail through this account",
    allow=ADMINS,
    body=schemas.SmtpAccountName,
    answer=schemas.SmtpAccountActivated,
    raises=(QueuedInSandbox,),
)
def activate_smtp_account(
    caller: Caller, body: schemas.SmtpAccountName
) -> schemas.SmtpAccountActivated:
    """One account is active; the others stand in for it, in the order of their priority."""
    workspace_id = caller.workspace_id(body.workspace_id)
    smtp_accounts.activate(workspace_id, name=body.name, by=caller.actor)
    return schemas.SmtpAccountActivated(workspace_id=workspace_id, name=body.name)


@endpoint(
    "POST",
    "/v1/smtp-accounts/validate",
    summary="Connect to an account and sign in, without sending anything",
    allow=OPERATORS,
    body=schemas.SmtpAccountName,
    answer=schemas.SmtpAccountValid,
    raises=(SmtpValidationFailed,),
)
def validate_smtp_account(
    caller: Caller, body: schemas.SmtpAccountName
) -> schemas.SmtpAccountValid:
    """Connects, says EHLO, starts TLS and signs in. 400 has the steps, the failed one last."""
    workspace_id = caller.workspace_id(body.workspace_id)
    report = account_health.validate(workspace_id, name=body.name)
    tls = schemas.TlsOut(version=report.tls[0], cipher=report.tls[1]) if report.tls else None
    return schemas.SmtpAccountValid(
        valid=report.valid,
        provider=body.name,
        tls=tls,
        auth=report.auth,
        capabilities=report.capabilities,
        steps=[
            schemas.StepOut(stage=step.stage.value, ok=step.ok, text=step.text, ms=step.ms)
            for step in report.steps
        ],
    )


@endpoint(
    "POST",
    "/v1/smtp-accounts/pause",
    summary="Let no mail through an account until it is resumed",
    allow=ADMINS,
    body=schemas.SmtpAccountPause,
    answer=schemas.SmtpAccountSwitched,
)
def pause_smtp_account(
    caller: Caller, body: schemas.SmtpAccountPause
) -> schemas.SmtpAccountSwitched:
    """Its mail goes through the next healthy account, or waits. Nothing is lost."""
    workspace_id = caller.workspace_id(body.workspace_id)
    return _switched(
        smtp_accounts.pause(workspace_id, name=body.name, reason=body.reason, by=caller.actor)
    )


@endpoint(
    "POST",
    "/v1/smtp-accounts/resume",
    summary="Let mail through a paused account again",
    allow=ADMINS,
    body=schemas.SmtpAccountResume,
    answer=schemas.SmtpAccountSwitched,
)
def resume_smtp_account(
    caller: Caller, body: schemas.SmtpAccountResume
) -> schemas.SmtpAccountSwitched:
    """An account that is not paused is answered as it is."""
    workspace_id = caller.workspace_id(body.workspace_id)
    return _switched(
        smtp_accounts.resume(workspace_id, name=body.name, reason=body.reason, by=caller.actor)
    )


@endpoint(
    "DELETE",
    "/v1/smtp-accounts",
    summary="Forget an account that is not active",
    allow=ADMINS,
    body=schemas.SmtpAccountName,
    answer=schemas.SmtpAccountDeleted,
    raises=(Conflict,),
)
def delete_smtp_account(
    caller: Caller, body: schemas.SmtpAccountName
) -> schemas.SmtpAccountDeleted:
    """Refused with 409 while it is active, or while messages wait that must go through it."""
    workspace_id = caller.workspace_id(body.workspace_id)
    smtp_accounts.delete(workspace_id, name=body.name, by=caller.actor)
    return schemas.SmtpAccountDeleted(workspace_id=workspace_id, name=body.name)


def _switched(account: SmtpAccount) -> schemas.SmtpAccountSwitched:
    return schemas.SmtpAccountSwitched(
        workspace_id=account.workspace_id,
        name=account.name,
        status="paused" if account.paused_at else "resumed",
        paused_at=account.paused_at,
        pause_reason=account.pause_reason,
    )


def _health(found: AccountHealth) -> schemas.SmtpAccountHealth:
    breaker, freeze = found.breaker, found.freeze
    return schemas.SmtpAccountHealth(
        **_fields(found.account),
        health=found.word,
        freeze=schemas.AccountFreezeOut(
            id=freeze.id, reason=freeze.reason, expires_at=freeze.expires_at
        )
        if freeze
        else None,
        breaker=schemas.BreakerOut(
            state=breaker.state,
            reason=breaker.reason,
            error_class=breaker.error_class,
            opened_at=breaker.opened_at,
            retry_at=breaker.retry_at,
        ),
        last_fault_at=found.last_fault_at,
        tries_last_hour=found.try_count,
        faults_last_hour=found.fault_count,
    )


def _fields(account: SmtpAccount) -> dict[str, Any]:
    return {
        "workspace_id": account.workspace_id,
        "name": account.name,
        "host": account.host,
        "port": account.port,
        "username": account.username,
        "from_email": account.from_email,
        "security": account.security,
        "active": account.is_active,
        "max_connections": account.max_connections,
        "max_per_second": account.max_per_second,
        "priority": account.priority,
        "return_path": account.return_path,
        "paused_at": account.paused_at,
        "pause_reason": account.pause_reason,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    }
