"""SMTP accounts: saving, activating, pausing and deleting a workspace's providers, and which server
a message goes through. How well they do is in `account_health`.
"""

import ipaddress
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import peewee

from maild import config, log, queue
from maild.db import database
from maild.domain import networks, submission
from maild.domain.actor import Actor
from maild.domain.address import to_wire
from maild.domain.bounce_mail import verp
from maild.domain.breaker import State
from maild.domain.states import PRIORITY, EventType
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import AccountTally, Breaker, Event, SmtpAccount, WebhookEndpoint, Workspace
from maild.models.smtp_account import DEFAULT_ACCOUNT, ENVIRONMENT
from maild.services import addresses, audit, locks, secrets, workspaces
from maild.services.messages import DELIVER
from maild.transports.smtp import Server

SECURITY = ("auto", "starttls", "tls", "none")
NAME_MAX_CHARS = submission.ACCOUNT_MAX_CHARS
REASON_MAX_CHARS = 500
ACCOUNTS_MAX = 50
"""Of a workspace."""
CONNECTIONS_DEFAULT, CONNECTIONS_MAX = 10, 1_000
PER_SECOND_MAX = 1_000_000
PRIORITY_DEFAULT, PRIORITY_MAX = 100, 1_000
PINNED_MAX = 10_000
"""Messages that wait for one account are counted so far."""

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9.])?")

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class NewSmtpAccount:
    """An SMTP account as a person describes it. `username` and `password` come together or not
    at all.

    `max_connections` and `max_per_second` are of all workers together; `priority` is the order of
    fail-over, lower first. Bounces go to addresses made of `return_path`, one for each message.
    """

    name: str
    host: str
    port: int
    from_email: str
    security: str = "auto"
    username: str | None = None
    password: str | None = None
    max_connections: int = CONNECTIONS_DEFAULT
    max_per_second: float | None = None
    priority: int = PRIORITY_DEFAULT
    return_path: str | None = None


def save(workspace_id: int, account: NewSmtpAccount, *, by: Actor) -> SmtpAccount:
    """Add the account, or replace the one of that name: all that can be said of it, and no more.
    Whether it is active or paused stays. Raises InvalidFields, NotFound, and Conflict where there
    are ACCOUNTS_MAX already.
    """
    _check(account)
    values = {
        "host": account.host,
        "port": account.port,
        "security": account.security,
        "username": account.username or None,
        "from_email": addresses.parse(account.from_email).text,
        "max_connections": account.max_connections,
        "max_per_second": account.max_per_second,
        "priority": account.priority,
        "return_path": _normal(account.return_path),
    }
    with database.atomic():
        _lock(workspace_id)
        old = _find(workspace_id, account.name)
        if old is None:
            _check_count(workspace_id)
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
            row.password_encrypted = secrets.encrypt(account.password, place=_place(row))
            row.save(only=[SmtpAccount.password_encrypted])
        _try_now(row)
        _record(row, by, "saved", before=_told(old) if old else None, after=_told(row, old=old))
    return row


def _normal(address: str | None) -> str | None:
    return addresses.parse(address).text if address is not None else None


def _check_count(workspace_id: int) -> None:
    """Each may have connections and mail of its own at the same time: their number is bounded.

    Raises Conflict.
    """
    own = SmtpAccount.select().where(SmtpAccount.workspace == workspace_id)
    if own.count() >= ACCOUNTS_MAX:
        raise Conflict(
            f"This workspace has {ACCOUNTS_MAX} SMTP accounts, as many as it may."
            " Delete one that is not needed first."
        )


def list_all(workspace_id: int) -> list[SmtpAccount]:
    """All accounts of a workspace by name. Raises NotFound."""
    query = SmtpAccount.select().where(SmtpAccount.workspace == workspace_id)
    accounts = list(query.order_by(SmtpAccount.name))
    if not accounts:
        workspaces.require(workspace_id)
    return accounts


def activate(workspace_id: int, *, name: str, by: Actor) -> None:
    """Send the workspace's mail through this account from now on. Raises NotFound.

    DEFAULT_ACCOUNT goes back to the account of the environment.
    """
    with database.atomic():
        _lock(workspace_id)
        row = None if name == DEFAULT_ACCOUNT else find(workspace_id, name=name)
        old: SmtpAccount | None = SmtpAccount.get_or_none(
            SmtpAccount.workspace == workspace_id, SmtpAccount.is_active
        )
        if old == row:
            return
        if old:
            SmtpAccount.update(is_active=False).where(SmtpAccount.id == old.id).execute()
        if row:
            values = {"is_active": True, "updated_at": peewee.fn.now()}
            SmtpAccount.update(**values).where(SmtpAccount.id == row.id).execute()
        audit.record(
            workspace_id,
            by,
            action="smtp_account.activated",
            target=_target(name),
            before={"active": old.name if old else DEFAULT_ACCOUNT},
            after={"active": name},
        )


def pause(workspace_id: int, *, name: str, reason: str, by: Actor) -> SmtpAccount:
    """Let no mail through this account until `resume`; it takes the next one meanwhile.

    One that is paused already keeps its reason. Raises InvalidFields, NotFound.
    """
    errors = _check_reason(reason)
    if name == DEFAULT_ACCOUNT:
        errors.append(FieldError("name", "is the account of the environment: it cannot be paused"))
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
    with database.atomic():
        values = {"paused_at": peewee.fn.now(), "pause_reason": reason}
        return _switch(
            workspace_id,
            name,
            is_ours=SmtpAccount.paused_at.is_null(),
            values=values,
            event=EventType.PAUSED,
            reason=reason,
            by=by,
        )


def resume(workspace_id: int, *, name: str, reason: str | None = None, by: Actor) -> SmtpAccount:
    """Let mail through a paused account again. Raises InvalidFields, NotFound."""
    errors = _check_reason(reason) if reason is not None else []
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
    with database.atomic():
        values = {"paused_at": None, "pause_reason": None}
        row = _switch(
            workspace_id,
            name,
            is_ours=SmtpAccount.paused_at.is_null(False),
            values=values,
            event=EventType.RESUMED,
            reason=reason,
            by=by,
        )
        queue.enqueue(DELIVER)
    return row


def delete(workspace_id: int, *, name: str, by: Actor) -> None:
    """Forget an account, what is known of its health, and the webhook endpoints that its provider
    reports to. What it sends just now ends as it ends.

    Raises NotFound, and Conflict for the active one, since a person says first what carries the
    mail then, and for one that queued messages must go through.
    """
    with database.atomic():
        statement, parameters = locks.accepting_in_turn(workspace_id)
        database.execute_sql(statement, parameters)  # nobody asks for it just now
        _lock(workspace_id)
        row = find(workspace_id, name=name)
        if row.is_active:
            raise Conflict(
                f"{name!r} carries the workspace's mail. Activate another account first"
                f" ({DEFAULT_ACCOUNT!r} is that of the environment), then delete this one."
            )
        if waiting := _count_pinned(row):
            count = f"{waiting} or more" if waiting == PINNED_MAX else str(waiting)
            raise Conflict(
                f"Queued messages must go through {name!r}, as their senders asked: {count}."
                " Let them go out or cancel them first, then delete this account."
            )
        row.delete_instance()
        Breaker.delete().where(Breaker.account_id == row.id).execute()
        AccountTally.delete().where(AccountTally.account_id == row.id).execute()
        before = {**_told(row), "webhook_endpoints": _delete_endpoints(row)}
        _record(row, by, "deleted", before=before)
    logger.warning("smtp_account.deleted", workspace_id=workspace_id, smtp_account=name)


def _delete_endpoints(row: SmtpAccount) -> int:
    """How many there were."""
    own = (
        WebhookEndpoint.workspace == row.workspace_id,
        WebhookEndpoint.smtp_account_name == row.name,
    )
    return int(WebhookEndpoint.delete().where(*own).execute())


def find(workspace_id: int, *, name: str) -> SmtpAccount:
    """The workspace's account of this name. Raises NotFound."""
    row = _find(workspace_id, name)
    if row is None:
        raise NotFound(f"There is no SMTP account named {name!r} in this workspace.")
    return row


_PINNED = """
SELECT count(*)::int FROM (
    SELECT FROM messages
    WHERE status = 'queued' AND priority = ANY(%s) AND workspace_id = %s AND pinned_account = %s
    LIMIT %s) AS first
"""


def _count_pinned(row: SmtpAccount) -> int:
    """How many queued messages may go through this account alone; PINNED_MAX are counted."""
    values = (list(PRIORITY.values()), row.workspace_id, row.name, PINNED_MAX)
    return int(database.execute_sql(_PINNED, values).fetchone()[0])


def _find(workspace_id: int, name: str) -> SmtpAccount | None:
    row: SmtpAccount | None = SmtpAccount.get_or_none(
        SmtpAccount.workspace == workspace_id, SmtpAccount.name == name
    )
    return row


def get_server(account_id: int | None) -> Server:
    """How to reach an account. Raises DecryptionError, NotFound (it was deleted meanwhile)."""
    if account_id is None or account_id == ENVIRONMENT:
        return default_server()
    row: SmtpAccount | None = SmtpAccount.get_or_none(SmtpAccount.id == account_id)
    if row is None:
        raise NotFound("The SMTP account was deleted.")
    return server_of(row)


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
        guard=None,
    )


def server_of(row: SmtpAccount) -> Server:
    """How to reach this account. Raises DecryptionError."""
    password = None
    if row.password_encrypted is not None:
        password = secrets.decrypt(row.password_encrypted, place=_place(row))
    return Server(
        host=row.host,
        port=row.port,
        security=row.security,  # type: ignore[arg-type] # the table checks it
        username=row.username,
        password=password,
        local_hostname=config.current().smtp_hostname,
        guard=_guard(),
    )


def _switch(
    workspace_id: int,
    name: str,
    *,
    is_ours: peewee.Expression,
    values: Mapping[str, object],
    event: EventType,
    reason: str | None,
    by: Actor,
) -> SmtpAccount:
    """Pause or resume, and tell it, unless it is so already. Resuming tries at once."""
    switched = (
        SmtpAccount.update(**values)
        .where(SmtpAccount.workspace == workspace_id, SmtpAccount.name == name, is_ours)
        .execute()
    )
    row = find(workspace_id, name=name)
    if event is EventType.RESUMED:
        _try_now(row)
    if switched:
        data = {"smtp_account": name, **({"reason": reason} if reason else {})}
        Event.insert(workspace=workspace_id, type=event.value, data=data).execute()
        word = event.value.rpartition(".")[2]
        _record(row, by, word, reason=reason)
        logger.warning(event.value, workspace_id=workspace_id, **data)
    return row


def _try_now(row: SmtpAccount) -> None:
    """What was wrong may be mended: an open breaker need not wait its time out."""
    Breaker.update(retry_at=peewee.fn.now()).where(
        Breaker.account_id == row.id, Breaker.state == State.OPEN
    ).execute()


def _lock(workspace_id: int) -> None:
    """Two that change the workspace's accounts: the second waits here. Raises NotFound."""
    # Not FOR UPDATE: that would keep everybody waiting who stores a message of the workspace.
    rows = (
        Workspace.select(Workspace.id)
        .where(Workspace.id == workspace_id)
        .for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
    )
    if not list(rows):
        raise NotFound(f"There is no workspace {workspace_id}.")


def _target(name: str) -> str:
    """The account as the audit log names it."""
    return f"SMTP account {name}"


def _told(row: SmtpAccount, *, old: SmtpAccount | None = None) -> dict[str, Any]:
    """An account as the audit log keeps it for good. Of the credentials only whether there are any:
    some providers have a token for a user name. After `old` they were given anew.
    """
    given = "set" if old is None or old.password_encrypted is None else "changed"
    return {
        "host": row.host,
        "port": row.port,
        "security": row.security,
        "from_email": row.from_email,
        "max_connections": row.max_connections,
        "max_per_second": row.max_per_second,
        "priority": row.priority,
        "return_path": row.return_path,
        "username": given if row.username else None,
        "password": given if row.password_encrypted is not None else None,
    }


def _record(row: SmtpAccount, by: Actor, what: str, **told: Any) -> None:
    audit.record(
        row.workspace_id, by, action=f"smtp_account.{what}", target=_target(row.name), **told
    )


def _place(row: SmtpAccount) -> str:
    """Where the password is stored: the additional authenticated data of its ciphertext."""
    return secrets.place_of(row.workspace_id, "smtp_accounts", row.id, "password")


def _guard() -> networks.Guard:
    """Where the hosts that workspaces name may lead to."""
    return networks.Guard(config.current().allowed_private_networks)


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
    errors += _check_host(account.host)
    if not 1 <= account.port <= 65_535:
        errors.append(FieldError("port", "must be a port from 1 to 65535"))
    if account.security not in SECURITY:
        errors.append(FieldError("security", "must be one of " + ", ".join(SECURITY)))
    if bool(account.username) != bool(account.password):
        errors.append(FieldError("password", "username and password must be given together"))
    for name in ("username", "password"):
        if any(c in (getattr(account, name) or "") for c in "\r\n\0"):
            errors.append(FieldError(name, "must not contain a line break or NUL"))
    errors += _check_limits(account)
    try:
        addresses.parse(account.from_email)
    except ValueError as error:
        errors.append(FieldError("from_email", str(error)))
    if account.return_path is not None:
        errors += _check_return_path(account.return_path)
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)


def _check_host(host: str) -> list[FieldError]:
    """What can be said before a name is looked up; the dial looks at what it leads to."""
    if not (_HOST_NAME.fullmatch(host) or _is_ip_address(host)):
        return [FieldError("host", "must be a host name or an IP address")]
    objection = _guard().objection_to_host(host)
    if objection:
        message = (
            f"is {objection}, and must be public. Name a public host, or have whoever runs this"
            " instance add the network to ALLOWED_PRIVATE_NETWORKS"
        )
        return [FieldError("host", message)]
    address = networks.literal(host)
    if address is not None and not _is_ip_address(host):
        return [FieldError("host", f"must be written as an IP address is: {address}")]
    return []


def _check_return_path(return_path: str) -> list[FieldError]:
    """Each message has an address made of it, which must fit, and suit servers without SMTPUTF8."""
    try:
        wire = to_wire(addresses.parse(return_path).text)
    except ValueError as error:
        return [FieldError("return_path", str(error))]
    if not wire.isascii():
        return [FieldError("return_path", "must be ASCII before the @")]
    try:
        fits = len(verp.address(wire, uuid.UUID(int=0))) <= addresses.MAX_CHARS
    except ValueError:
        fits = False
    if not fits:
        message = "leaves no room for a message's id before the @, where 37 characters are the most"
        return [FieldError("return_path", message)]
    return []


def _check_limits(account: NewSmtpAccount) -> list[FieldError]:
    errors = []
    if not 1 <= account.max_connections <= CONNECTIONS_MAX:
        errors.append(FieldError("max_connections", f"must be from 1 to {CONNECTIONS_MAX}"))
    rate = account.max_per_second
    if rate is not None and not 0 < rate <= PER_SECOND_MAX:
        message = f"must be more than 0, and {PER_SECOND_MAX} at most; leave it out for no limit"
        errors.append(FieldError("max_per_second", message))
    if not 0 <= account.priority <= PRIORITY_MAX:
        errors.append(FieldError("priority", f"must be from 0 to {PRIORITY_MAX}"))
    return errors


def _check_reason(reason: str) -> list[FieldError]:
    if not reason.strip():
        return [FieldError("reason", "must not be empty")]
    complaints = submission.check_line("reason", reason, max_chars=REASON_MAX_CHARS)
    return [FieldError(name, message) for name, message in complaints]
