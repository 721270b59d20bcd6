"""How well a workspace's SMTP accounts do, and trying one out.

It reads what the workers write down (`providers`), and changes nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from maild import config
from maild.db import database
from maild.domain.breaker import CANARY_MESSAGES, State
from maild.domain.freeze import FreezeKind
from maild.errors import NotFound, SmtpValidationFailed
from maild.models import Freeze, SmtpAccount
from maild.models.smtp_account import DEFAULT_ACCOUNT, ENVIRONMENT
from maild.services import freezes, smtp_accounts, workspaces
from maild.services.health import Check
from maild.transports.smtp import ProbeReport, Server, Timeouts, probe

PROBE_TIMEOUTS = Timeouts(connect=5.0, banner=10.0, command=10.0)
"""A person waits for the answer."""


class Word(StrEnum):
    """How an account does, in one word; the first that is true."""

    PAUSED = "paused"
    """A person has stopped it."""
    FROZEN = "frozen"
    """A freeze of the workspace stops it, for a reason and until a time."""
    OPEN = "open"
    """Its breaker is open: nothing goes through it."""
    HALF_OPEN = "half_open"
    """A trickle goes through it, to see."""
    DEGRADED = "degraded"
    """It had faults, or throttled, in the last ten minutes."""
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """How an account's breaker stands; closed, with nothing else known, where it never opened."""

    state: State = State.CLOSED
    reason: str | None = None
    error_class: str | None = None
    opened_at: datetime | None = None
    retry_at: datetime | None = None
    passed_count: int = 0
    """Messages that have passed since it is half open, of the `needed_count` that have to."""
    slowed_to: float | None = None
    """Messages a second, after throttling at `slowed_at`."""
    slowed_at: datetime | None = None
    may_try: bool = False
    """It is open, and its wait is over: the next message tries it."""
    needed_count: int = CANARY_MESSAGES


@dataclass(frozen=True, slots=True)
class AccountHealth:
    """An account with how it does. `account` of the environment is not saved: it has no row.

    `freeze` is the one that stops it for this workspace, if one does.
    """

    account: SmtpAccount
    word: Word
    breaker: BreakerState
    last_fault_at: datetime | None
    try_count: int | None
    fault_count: int | None
    freeze: Freeze | None = None


_READ = """
SELECT i.id, b.state, b.reason, b.error_class, b.opened_at, b.retry_at, b.last_fault_at,
    coalesce(t.tries, 0), coalesce(t.faults, 0),
    coalesce(greatest(b.last_fault_at, b.slowed_at, t.last_at) > now() - interval '10 minutes',
        false),
    coalesce(b.passed_count, 0), b.slowed_to, b.slowed_at,
    coalesce(b.state = 'open' AND b.retry_at <= now(), false)
FROM unnest(%s::int[]) AS i (id)
LEFT JOIN breakers b ON b.account_id = i.id
LEFT JOIN LATERAL (
    SELECT sum(try_count)::int AS tries, sum(fault_count)::int AS faults,
        max(slot_at) FILTER (WHERE fault_count > 0) AS last_at
    FROM account_tallies
    WHERE account_id = i.id AND slot_at > now() - interval '1 hour') t ON true
"""


def list_all(workspace_id: int) -> list[AccountHealth]:
    """The environment's account, then the workspace's own by name; counts are of the last hour.
    Raises NotFound.
    """
    own = list(
        SmtpAccount.select().where(SmtpAccount.workspace == workspace_id).order_by(SmtpAccount.name)
    )
    if not own:
        workspaces.require(workspace_id)
    is_default_active = not any(account.is_active for account in own)
    accounts = [_environment(workspace_id, is_active=is_default_active), *own]
    rows = database.execute_sql(_READ, ([account.id for account in accounts],)).fetchall()
    found = {row[0]: row for row in rows}
    frozen = _list_frozen(workspace_id)
    return [_health(account, found[account.id], frozen.get(account.name)) for account in accounts]


def get(workspace_id: int, account_id: int) -> AccountHealth:
    """One account, as `list_all` tells it; ENVIRONMENT is that of the environment.

    Raises NotFound.
    """
    for found in list_all(workspace_id):
        if found.account.id == account_id:
            return found
    raise NotFound(smtp_accounts.NO_SUCH)


def in_line(accounts: Sequence[AccountHealth]) -> list[AccountHealth]:
    """The accounts in the order in which mail takes them: the first choice, then the others. That
    of the environment comes last where it is not the first choice, for then nothing takes it.
    """
    return sorted(
        accounts,
        key=lambda one: (
            not one.account.is_active,
            one.account.id == ENVIRONMENT,
            one.account.priority,
            one.account.id,
        ),
    )


def validate(workspace_id: int, *, name: str) -> ProbeReport:
    """Connect to an account and sign in, without a message. Dials.

    Raises NotFound, DecryptionError, SmtpValidationFailed with the step that failed.
    """
    if name == DEFAULT_ACCOUNT:
        workspaces.require(workspace_id)
        server = smtp_accounts.default_server()
    else:
        server = smtp_accounts.server_of(smtp_accounts.find(workspace_id, name=name))
    report = _probe(server)
    if not report.valid:
        failed = next(step for step in reversed(report.steps) if not step.ok)
        raise SmtpValidationFailed(
            f"{failed.stage.value}: {failed.text}",
            steps=[
                {"stage": s.stage.value, "ok": s.ok, "text": s.text, "ms": s.ms}
                for s in report.steps
            ],
        )
    return report


def check_default() -> Check:
    """Whether the environment's account can be reached and logged in to. Dials."""
    server = smtp_accounts.default_server()
    report = _probe(server)
    if report.valid:
        return Check("smtp", True, f"ok (the environment's account, {server.remote})")
    failed = next(step for step in reversed(report.steps) if not step.ok)
    return Check("smtp", False, failed.text)


def _probe(server: Server) -> ProbeReport:
    return asyncio.run(probe(server, timeouts=PROBE_TIMEOUTS))


def _environment(workspace_id: int, *, is_active: bool) -> SmtpAccount:
    """The environment's account in the shape of the others. Whoever may see a workspace need not
    know as whom the instance signs in.
    """
    smtp = config.current().smtp
    return SmtpAccount(
        id=ENVIRONMENT,
        workspace=workspace_id,
        name=DEFAULT_ACCOUNT,
        host=smtp.host,
        port=smtp.port,
        security=smtp.security,
        from_email=smtp.from_email,
        is_active=is_active,
        max_connections=smtp.max_connections,
        max_per_second=smtp.max_per_second,
        priority=0,
        return_path=smtp.return_path,
    )


def _list_frozen(workspace_id: int) -> dict[str, Freeze]:
    """The freezes in force of the workspace's accounts, by their names."""
    query = Freeze.select().where(
        Freeze.workspace == workspace_id,
        Freeze.kind == FreezeKind.SMTP_ACCOUNT,
        freezes.is_in_force(),
    )
    return {str(freeze.target): freeze for freeze in query}


def _health(account: SmtpAccount, row: Sequence[Any], freeze: Freeze | None) -> AccountHealth:
    """The account with what `_READ` tells of it."""
    _, state, reason, error_class, opened_at, retry_at = row[:6]
    last_fault_at, try_count, fault_count, is_degraded = row[6:10]
    breaker = BreakerState()
    if state is not None:
        breaker = BreakerState(State(state), reason, error_class, opened_at, retry_at, *row[10:])
    if account.paused_at is not None:
        word = Word.PAUSED
    elif freeze is not None:
        word = Word.FROZEN
    elif breaker.state is not State.CLOSED:
        word = Word(breaker.state.value)
    else:
        word = Word.DEGRADED if is_degraded else Word.HEALTHY
    if account.id == ENVIRONMENT:
        try_count = fault_count = None  # of all workspaces together: nobody else's business
    return AccountHealth(account, word, breaker, last_fault_at, try_count, fault_count, freeze)
