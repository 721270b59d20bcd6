"""SMTP accounts: saving, activating, pausing and deleting a workspace's providers, and which server
a message goes through. How well they do is in `account_health`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import peewee

from maild import config, log, queue
from maild.db import database
from maild.domain.actor import Actor
from maild.domain.breaker import State
from maild.domain.states import PRIORITY, EventType
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import AccountTally, Breaker, Event, SmtpAccount, WebhookEndpoint, Workspace
from maild.models.smtp_account import DEFAULT_ACCOUNT, ENVIRONMENT
from maild.services import addresses, audit, locks, rehearsals, secrets, workspaces
from maild.services.messages import DELIVER
from maild.services.smtp_account_fields import NewSmtpAccount, check, check_reason, guard
from maild.transports.smtp import Server

ACCOUNTS_MAX = 50
"""Of a workspace."""
PINNED_MAX = 10_000
"""Messages that wait for one account are counted so far."""
PRIORITY_STEP = 10
"""Between two priorities that `move` writes."""
NO_SUCH = "There is no such SMTP account in this workspace."

logger = log.get(__name__)


def save(workspace_id: int, account: NewSmtpAccount, *, by: Actor) -> SmtpAccount:
    """Add the account, or replace the one of that name: all that can be said of it, and no more.
    Whether it is active or paused stays. Raises InvalidFields, NotFound, QueuedInSandbox (the
    sandbox is pointed elsewhere), and Conflict where there are ACCOUNTS_MAX already.
    """
    check(account)
    with database.atomic():
        take_turns(workspace_id)
        old = _find(workspace_id, account.name)
        if old is None:
            _check_count(workspace_id)
        return _store(workspace_id, account, old=old, by=by)


def add(
    workspace_id: int, account: NewSmtpAccount, *, is_sandbox: bool = False, by: Actor
) -> SmtpAccount:
    """Add the account; as `save`, but that it never replaces one: a name that is taken raises
    InvalidFields. `is_sandbox` is for `sandboxes`.
    """
    check(account)
    with database.atomic():
        take_turns(workspace_id)
        if _find(workspace_id, account.name) is not None:
            errors = [FieldError("name", "is taken by another account of this workspace")]
            raise InvalidFields(summarise(errors), errors=errors)
        _check_count(workspace_id)
        return _store(workspace_id, account, old=None, by=by, is_sandbox=is_sandbox)


def change(
    workspace_id: int,
    account_id: int,
    account: NewSmtpAccount,
    *,
    version: str,
    by: Actor,
    keeps_password: bool = False,
) -> SmtpAccount:
    """Change what is said of an account, as it was at `version` (`version_of`); its name stays.

    With `keeps_password` the stored one goes on being used, unless it would go to another server
    or over a line that may be in the clear: whoever may not see it must not have it sent to them.
    Raises InvalidFields, NotFound, QueuedInSandbox as `save`, and Conflict where somebody else has
    changed it meanwhile.
    """
    with database.atomic():
        take_turns(workspace_id)
        old = get(workspace_id, account_id)
        if version_of(old) != version:
            raise Conflict(
                f"Somebody else has changed “{old.name}” since this page was made. Nothing was"
                " saved. Compare the two, and save again."
            )
        named = replace(account, name=old.name)
        check(named, stored=old if keeps_password else None)
        return _store(workspace_id, named, old=old, by=by, keeps_password=keeps_password)


def version_of(row: SmtpAccount) -> str:
    """What is another one after each change of what is said of the account."""
    return str(row.updated_at.isoformat())


def _store(
    workspace_id: int,
    account: NewSmtpAccount,
    *,
    old: SmtpAccount | None,
    by: Actor,
    keeps_password: bool = False,
    is_sandbox: bool = False,
) -> SmtpAccount:
    """Write the account down in the place of the old one, and tell it."""
    is_there_still = old is not None and (old.host, old.port) == (account.host, account.port)
    if old is not None and old.is_sandbox and not is_there_still:
        rehearsals.check_none(old, pinned=True)
    kept = old.password_encrypted if old and keeps_password and account.username else None
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
        "password_encrypted": kept,
        "is_sandbox": is_sandbox or (old is not None and old.is_sandbox and is_there_still),
    }
    row: SmtpAccount = (
        SmtpAccount.insert(workspace=workspace_id, name=account.name, **values)
        .on_conflict(
            conflict_target=[SmtpAccount.workspace, SmtpAccount.name],
            update={**values, "updated_at": peewee.fn.now()},
        )
        .returning(SmtpAccount)
        .execute()[0]
    )
    if account.password and kept is None:
        row.password_encrypted = secrets.encrypt(account.password, place=_place(row))
        row.save(only=[SmtpAccount.password_encrypted])
    _try_now(row)
    told = _told(row, old=None if kept is not None else old)
    _record(row, by, "saved", before=_told(old) if old else None, after=told)
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


def activate(workspace_id: int, *, name: str, by: Actor) -> str:
    """Send the workspace's mail through this account from now on; returns the name of the one that
    it took before. Raises NotFound, and QueuedInSandbox where that is the sandbox and has mail.

    DEFAULT_ACCOUNT goes back to the account of the environment.
    """
    with database.atomic():
        take_turns(workspace_id)
        row = None if name == DEFAULT_ACCOUNT else find(workspace_id, name=name)
        old: SmtpAccount | None = SmtpAccount.get_or_none(
            SmtpAccount.workspace == workspace_id, SmtpAccount.is_active
        )
        before = old.name if old else DEFAULT_ACCOUNT
        if old == row:
            return before
        if old and old.is_sandbox:
            rehearsals.check_none(old)
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
            before={"active": before},
            after={"active": name},
        )
    return before


def move(workspace_id: int, account_id: int, *, place: int, by: Actor) -> int:
    """Give an account another place among those that mail takes while the first choice is out of
    use: 1 is the next in line, and beyond the last is the last. Returns the place it had.

    Priorities are written anew, PRIORITY_STEP apart. Raises NotFound, and Conflict for the active
    one, which goes before all of them.
    """
    with database.atomic():
        take_turns(workspace_id)
        row = get(workspace_id, account_id)
        if row.is_active:
            raise Conflict(f"“{row.name}” is active: it goes before all others anyway.")
        others = SmtpAccount.select().where(
            SmtpAccount.workspace == workspace_id, ~SmtpAccount.is_active
        )
        line = list(others.order_by(SmtpAccount.priority, SmtpAccount.id))
        names = [one.name for one in line]
        before = line.index(row)
        line.insert(min(max(place, 1), len(line)) - 1, line.pop(before))
        if names != [one.name for one in line]:
            for number, one in enumerate(line, start=1):
                _prioritise(one, number * PRIORITY_STEP)
            after = {"order": [one.name for one in line]}
            _record(row, by, "moved", before={"order": names}, after=after)
    return before + 1


def _prioritise(row: SmtpAccount, priority: int) -> None:
    if row.priority != priority:
        values = {"priority": priority, "updated_at": peewee.fn.now()}
        SmtpAccount.update(**values).where(SmtpAccount.id == row.id).execute()


def pause(workspace_id: int, *, name: str, reason: str, by: Actor) -> SmtpAccount:
    """Let no mail through this account until `resume`; it takes the next one meanwhile.

    One that is paused already keeps its reason. Raises InvalidFields, NotFound.
    """
    errors = check_reason(reason)
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
    errors = check_reason(reason) if reason is not None else []
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
        take_turns(workspace_id)
        row = find(workspace_id, name=name)
        if row.is_active:
            raise Conflict(
                f"{name!r} carries the workspace's mail. Activate another account first"
                f" ({DEFAULT_ACCOUNT!r} is that of the environment), then delete this one."
            )
        if waiting := count_pinned(row):
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


def get(workspace_id: int, account_id: int) -> SmtpAccount:
    """The workspace's account of this id. Raises NotFound."""
    row: SmtpAccount | None = SmtpAccount.get_or_none(
        SmtpAccount.workspace == workspace_id, SmtpAccount.id == account_id
    )
    if row is None:
        raise NotFound(NO_SUCH)
    return row


def name_of(workspace_id: int, account_id: int) -> str:
    """The name of an account of the workspace, or of the environment's. Raises NotFound."""
    if account_id == ENVIRONMENT:
        return DEFAULT_ACCOUNT
    return str(get(workspace_id, account_id).name)


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


def count_pinned(row: SmtpAccount) -> int:
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
        guard=guard(),
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
        data = {"smtp_account": name, "by": by.name, **({"reason": reason} if reason else {})}
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


def take_turns(workspace_id: int) -> None:
    """Two that change the workspace's accounts: the second waits here. Raises NotFound.

    With a sandbox among them, whoever stores a message waits as well, and is waited for: no mail
    that was accepted for the sandbox is overlooked by who leaves it.
    """
    rehearses = SmtpAccount.select(SmtpAccount.id).where(
        SmtpAccount.workspace == workspace_id, SmtpAccount.is_sandbox
    )
    lock = "FOR UPDATE" if rehearses.exists() else "FOR NO KEY UPDATE"
    rows = (
        Workspace.select(Workspace.id).where(Workspace.id == workspace_id).for_update(lock)  # type: ignore[arg-type]
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
