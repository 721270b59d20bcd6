"""SMTP accounts: saving and activating a workspace's providers, and which server a message goes
through.
"""

import ipaddress
import re
from dataclasses import dataclass

import peewee

from maild import config
from maild.db import database
from maild.errors import FieldError, InvalidFields, NotFound, summarise
from maild.models import SmtpAccount, Workspace
from maild.services import addresses, secrets, workspaces
from maild.services.claims import DEFAULT_ACCOUNT
from maild.services.health import Check
from maild.transports.smtp import ConnectFailed, Server, open_connection

SECURITY = ("auto", "starttls", "tls", "none")
NAME_MAX_CHARS = 64

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9.])?")

AccountId = int | None
"""An SMTP account's id; None is the account of the environment."""


@dataclass(frozen=True, slots=True)
class NewSmtpAccount:
    """An SMTP account as a person describes it. `username` and `password` come together or not
    at all.
    """

    name: str
    host: str
    port: int
    from_email: str
    security: str = "auto"
    username: str | None = None
    password: str | None = None


def save(workspace_id: int, account: NewSmtpAccount) -> SmtpAccount:
    """Add the account, or replace the one of that name. Raises InvalidFields, NotFound."""
    _check(account)
    values = {
        "host": account.host,
        "port": account.port,
        "security": account.security,
        "username": account.username or None,
        "from_email": addresses.parse(account.from_email).text,
    }
    try:
        with database.atomic():
            row: SmtpAccount = (
                SmtpAccount.insert(
                    workspace=workspace_id, name=account.name, password_encrypted=None, **values
                )
                .on_conflict(
                    conflict_target=[SmtpAccount.workspace, SmtpAccount.name],
                    update={**values, "password_encrypted": None, "updated_at": peewee.fn.now()},
                )
                .returning(SmtpAccount)
                .execute()[0]
            )
            if account.password:
                row.password_encrypted = secrets.encrypt(
                    account.password, key=config.current().encryption_key, place=_place(row)
                )
                row.save(only=[SmtpAccount.password_encrypted])
    except peewee.IntegrityError as error:
        raise NotFound(f"There is no workspace {workspace_id}.") from error
    return row


def list_all(workspace_id: int) -> list[SmtpAccount]:
    """All accounts of a workspace by name. Raises NotFound."""
    query = SmtpAccount.select().where(SmtpAccount.workspace == workspace_id)
    accounts = list(query.order_by(SmtpAccount.name))
    if not accounts:
        workspaces.require(workspace_id)
    return accounts


def activate(workspace_id: int, *, name: str) -> None:
    """Send the workspace's mail through this account from now on. Raises NotFound.

    DEFAULT_ACCOUNT goes back to the account of the environment.
    """
    with database.atomic():
        # Two activations at once: the second waits here, then wins.
        Workspace.select().where(Workspace.id == workspace_id).for_update().execute()
        SmtpAccount.update(is_active=False).where(
            SmtpAccount.workspace == workspace_id, SmtpAccount.is_active
        ).execute()
        if name == DEFAULT_ACCOUNT:
            workspaces.require(workspace_id)
            return
        activated = (
            SmtpAccount.update(is_active=True, updated_at=peewee.fn.now())
            .where(SmtpAccount.workspace == workspace_id, SmtpAccount.name == name)
            .execute()
        )
        if not activated:
            raise NotFound(f"There is no SMTP account named {name!r} in this workspace.")


def get_server(account_id: AccountId) -> Server:
    """How to reach an account. Raises DecryptionError, NotFound (it was deleted meanwhile)."""
    if account_id is None:
        return default_server()
    row: SmtpAccount | None = SmtpAccount.get_or_none(SmtpAccount.id == account_id)
    if row is None:
        raise NotFound("The SMTP account was deleted.")
    return _server(row)


def default_server() -> Server:
    """The SMTP account of the environment."""
    smtp = config.current().smtp
    return Server(
        host=smtp.host,
        port=smtp.port,
        security=smtp.security,  # type: ignore[arg-type] # config checked it
        username=smtp.username,
        password=smtp.password,
        local_hostname=config.current().smtp_hostname,
    )


def check_default() -> Check:
    """Whether the environment's account can be reached and logged in to. Dials."""
    server = default_server()
    try:
        with open_connection(server):
            return Check("smtp", True, f"ok (the environment's account, {server.remote})")
    except ConnectFailed as failure:
        return Check("smtp", False, failure.text)


def _server(row: SmtpAccount) -> Server:
    password = None
    if row.password_encrypted is not None:
        key = config.current().encryption_key
        password = secrets.decrypt(row.password_encrypted, key=key, place=_place(row))
    return Server(
        host=row.host,
        port=row.port,
        security=row.security,  # type: ignore[arg-type] # the table checks it
        username=row.username,
        password=password,
        local_hostname=config.current().smtp_hostname,
    )


def _place(row: SmtpAccount) -> str:
    """Where the password is stored: the additional authenticated data of its ciphertext."""
    return f"{row.workspace_id}/smtp_accounts/{row.id}/password"


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check(account: NewSmtpAccount) -> None:
    errors = []
    if not (account.name.strip() and account.name.isprintable()):
        errors.append(FieldError("name", "must be printable characters, and not spaces alone"))
    elif account.name == DEFAULT_ACCOUNT:
        errors.append(FieldError("name", "is what the account of the environment is called"))
    elif len(account.name) > NAME_MAX_CHARS:
        errors.append(FieldError("name", f"is longer than {NAME_MAX_CHARS} characters"))
    if not (_HOST_NAME.fullmatch(account.host) or _is_ip_address(account.host)):
        errors.append(FieldError("host", "must be a host name or an IP address"))
    if not 1 <= account.port <= 65_535:
        errors.append(FieldError("port", "must be a port from 1 to 65535"))
    if account.security not in SECURITY:
        errors.append(FieldError("security", "must be one of " + ", ".join(SECURITY)))
    if bool(account.username) != bool(account.password):
        errors.append(FieldError("password", "username and password must be given together"))
    for name in ("username", "password"):
        if any(c in (getattr(account, name) or "") for c in "\r\n\0"):
            errors.append(FieldError(name, "must not contain a line break or NUL"))
    try:
        addresses.parse(account.from_email)
    except ValueError as error:
        errors.append(FieldError("from_email", str(error)))
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
