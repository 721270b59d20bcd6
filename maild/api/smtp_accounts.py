"""/v1/smtp-accounts: the providers of a workspace. A password goes in and never comes out."""

from typing import Any

from maild.api import schemas
from maild.api.auth import Caller, Role
from maild.api.endpoint import endpoint
from maild.models import SmtpAccount
from maild.services import smtp_accounts
from maild.services.smtp_accounts import NewSmtpAccount


@endpoint(
    "POST",
    "/v1/smtp-accounts",
    summary="Add an SMTP account, or replace the one of that name",
    role=Role.ADMIN,
    body=schemas.SmtpAccountIn,
    answer=schemas.SmtpAccountSaved,
    status=201,
)
def save_smtp_account(caller: Caller, body: schemas.SmtpAccountIn) -> schemas.SmtpAccountSaved:
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
        ),
    )
    return schemas.SmtpAccountSaved(**_fields(account))


@endpoint(
    "GET",
    "/v1/smtp-accounts/list",
    summary="The SMTP accounts of a workspace",
    role=Role.OPERATOR,
    query=schemas.WorkspaceQuery,
    answer=schemas.SmtpAccountList,
)
def list_smtp_accounts(caller: Caller, query: schemas.WorkspaceQuery) -> schemas.SmtpAccountList:
    workspace_id = caller.workspace_id(query.workspace_id)
    accounts = [
        schemas.SmtpAccountOut(**_fields(account))
        for account in smtp_accounts.list_all(workspace_id)
    ]
    return schemas.SmtpAccountList(
        workspace_id=workspace_id, count=len(accounts), accounts=accounts
    )


@endpoint(
    "POST",
    "/v1/smtp-accounts/activate",
    summary="Send the workspace's mail through this account",
    role=Role.ADMIN,
    body=schemas.SmtpAccountName,
    answer=schemas.SmtpAccountActivated,
)
def activate_smtp_account(
    caller: Caller, body: schemas.SmtpAccountName
) -> schemas.SmtpAccountActivated:
    workspace_id = caller.workspace_id(body.workspace_id)
    smtp_accounts.activate(workspace_id, name=body.name)
    return schemas.SmtpAccountActivated(workspace_id=workspace_id, name=body.name)


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
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    }
