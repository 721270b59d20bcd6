"""Checks of SMTP accounts: a worker connects and signs in, from where the mail goes out as well,
and writes down each step as it ends. Nothing is sent.

`start` asks for one and `check_loop` takes it; a page looks at the row meanwhile. One that its
worker left half-done is taken by another, from the beginning: trying twice harms nobody. Not in
charge of the dialogue (`transports.smtp`), nor of what the steps mean for people
(`web/check_words.py`).
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import peewee

from maild import log, queue
from maild.db import database, is_away
from maild.domain.actor import Actor
from maild.domain.smtp_reply import ErrorClass
from maild.domain.storable import clean_json
from maild.errors import Conflict, DecryptionError, NotFound, Unavailable
from maild.models import ProviderCheck, SmtpAccount
from maild.models.smtp_account import ENVIRONMENT
from maild.services import audit, smtp_accounts
from maild.services.account_health import PROBE_TIMEOUTS
from maild.transports.smtp import ProbeReport, Server, Step, probe

HINT = "checks"
"""The hint that wakes whoever takes checks."""
SECONDS_MAX = 60.0
"""A check takes no longer, whatever the server does."""
CLAIM_SECONDS = 90
"""After which a check is another worker's: longer than any takes."""
WAIT_SECONDS_MAX = 600
"""A check that no worker takes in this time is over."""
OPEN_MAX = 3
"""Checks of a workspace at once: one workspace does not keep the others waiting."""
KEPT = 10
"""Of each account, so many are kept."""

NO_WORKER = "No worker has taken this check. Have a worker started (maild worker), and check again."
BROKEN = "Something failed inside maild; its log tells more."

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A check that is this process's to do."""

    id: int
    workspace_id: int
    account_id: int | None


def start(workspace_id: int, account_id: int, *, by: Actor) -> ProviderCheck:
    """Ask for a check of an account; ENVIRONMENT is that of the environment. While one is under
    way, that is returned.

    Raises NotFound, and Conflict where OPEN_MAX of the workspace are under way.
    """
    with database.atomic():
        smtp_accounts.take_turns(workspace_id)
        name = smtp_accounts.name_of(workspace_id, account_id)
        open_checks = list(
            ProviderCheck.select().where(
                ProviderCheck.workspace == workspace_id, ProviderCheck.finished_at.is_null()
            )
        )
        for check in open_checks:
            if (check.smtp_account_id or ENVIRONMENT) == account_id:
                return check
        if len(open_checks) >= OPEN_MAX:
            raise Conflict(
                f"{OPEN_MAX} checks of this workspace are under way. Wait until one of them is"
                " over, a minute at most, and check again."
            )
        row: ProviderCheck = ProviderCheck.create(
            workspace=workspace_id,
            smtp_account=account_id or None,
            created_by=by.name,
            steps=[],
            result={},
        )
        audit.record(workspace_id, by, action="smtp_account.checked", target=f"SMTP account {name}")
        queue.enqueue(HINT)
    return row


def find_latest(workspace_id: int, account_id: int) -> ProviderCheck | None:
    """The newest check of an account, done or not; None where there was none."""
    row: ProviderCheck | None = _of(workspace_id, account_id).limit(1).first()
    return row


def list_latest(workspace_id: int, account_id: int, *, limit: int = KEPT) -> list[ProviderCheck]:
    """The latest checks of an account, the newest first."""
    return list(_of(workspace_id, account_id).limit(limit))


def latest_of_each(workspace_id: int) -> dict[int, ProviderCheck]:
    """The newest check of each account that has one, by the account's id."""
    query = (
        ProviderCheck.select()
        .where(ProviderCheck.workspace == workspace_id)
        .distinct(ProviderCheck.smtp_account)
        .order_by(ProviderCheck.smtp_account, ProviderCheck.id.desc())
    )
    return {row.smtp_account_id or ENVIRONMENT: row for row in query}


_CLAIM = """
UPDATE provider_checks SET started_at = now(), steps = '[]',
    claimed_until = now() + %(seconds)s * interval '1 second'
WHERE id IN (
    SELECT id FROM provider_checks
    WHERE finished_at IS NULL AND coalesce(claimed_until < now(), true)
    ORDER BY id FOR UPDATE SKIP LOCKED LIMIT %(limit)s)
RETURNING id, workspace_id, smtp_account_id
"""


def claim(limit: int) -> list[Claimed]:
    """Checks that wait, the oldest first; they are this process's for CLAIM_SECONDS."""
    rows = database.execute_sql(_CLAIM, {"seconds": CLAIM_SECONDS, "limit": limit}).fetchall()
    return sorted((Claimed(*row) for row in rows), key=lambda one: one.id)


async def carry_out(claimed: Claimed) -> None:
    """Try the account, and write down what came of it. Dials; every wait is bounded.

    Raises only what says that the database is away: another worker takes the check then.
    """
    steps: list[dict[str, Any]] = []

    def note(step: Step) -> None:
        steps.append(_told(step))
        _save_steps(claimed.id, steps)

    try:
        server = _server_of(claimed)
        async with asyncio.timeout(SECONDS_MAX):
            report = await probe(server, timeouts=PROBE_TIMEOUTS, on_step=note)
    except TimeoutError:
        problem = f"The server took longer than {SECONDS_MAX:.0f} seconds in all."
        _finish(claimed.id, steps, is_valid=False, result={"problem": problem})
    except (DecryptionError, NotFound) as error:
        _finish(claimed.id, steps, is_valid=False, result={"problem": error.detail})
    except ValueError as error:  # a name that no command line can carry
        _finish(claimed.id, steps, is_valid=False, result={"problem": str(error)})
    except Exception as error:
        if isinstance(error, Unavailable) or is_away(error):
            raise
        logger.exception("smtp_account.check_crashed", check_id=claimed.id)
        _finish(claimed.id, steps, is_valid=False, result={"problem": BROKEN})
    else:
        _finish(claimed.id, steps, is_valid=report.valid, result=_found(report))


_GIVE_UP = """
UPDATE provider_checks SET finished_at = now(), is_valid = false, result = %(result)s::jsonb
WHERE finished_at IS NULL AND created_at < now() - %(seconds)s * interval '1 second'
    AND coalesce(claimed_until < now(), true)
"""
_PRUNE = """
DELETE FROM provider_checks WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (
            PARTITION BY workspace_id, smtp_account_id ORDER BY id DESC) AS place
        FROM provider_checks) AS placed
    WHERE place > %(kept)s)
"""


def prune() -> None:
    """Give up what no worker takes, and forget all but the latest KEPT of each account."""
    result = json.dumps({"problem": NO_WORKER})
    database.execute_sql(_GIVE_UP, {"result": result, "seconds": WAIT_SECONDS_MAX})
    database.execute_sql(_PRUNE, {"kept": KEPT})


def _of(workspace_id: int, account_id: int) -> "peewee.ModelSelect[ProviderCheck]":
    is_its = (
        ProviderCheck.smtp_account.is_null()
        if account_id == ENVIRONMENT
        else ProviderCheck.smtp_account == account_id
    )
    query = ProviderCheck.select().where(ProviderCheck.workspace == workspace_id, is_its)
    return query.order_by(ProviderCheck.id.desc())


def _server_of(claimed: Claimed) -> Server:
    """Raises DecryptionError, NotFound."""
    if claimed.account_id is None:
        return smtp_accounts.default_server()
    row: SmtpAccount = smtp_accounts.get(claimed.workspace_id, claimed.account_id)
    return smtp_accounts.server_of(row)


def _told(step: Step) -> dict[str, Any]:
    return {"stage": step.stage.value, "ok": step.ok, "text": step.text, "ms": step.ms}


def _found(report: ProbeReport) -> dict[str, Any]:
    """What a page shows of a report besides its steps."""
    certificate = None
    if report.certificate is not None:
        until = report.certificate.valid_until.isoformat()
        certificate = {**asdict(report.certificate), "valid_until": until}
    error_class: ErrorClass | None = report.error_class
    return {
        "tls": report.tls,
        "auth": report.auth,
        "capabilities": report.capabilities,
        "certificate": certificate,
        "error_class": error_class and error_class.value,
    }


_STEPS = """
UPDATE provider_checks SET steps = %(steps)s::jsonb
WHERE id = %(id)s AND finished_at IS NULL
"""
_FINISH = """
UPDATE provider_checks SET finished_at = now(), is_valid = %(is_valid)s,
    steps = %(steps)s::jsonb, result = %(result)s::jsonb
WHERE id = %(id)s AND finished_at IS NULL
"""


def _save_steps(check_id: int, steps: Sequence[dict[str, Any]]) -> None:
    database.execute_sql(_STEPS, {"id": check_id, "steps": json.dumps(clean_json(steps))})


def _finish(
    check_id: int, steps: Sequence[dict[str, Any]], *, is_valid: bool, result: dict[str, Any]
) -> None:
    values = {
        "id": check_id,
        "is_valid": is_valid,
        "steps": json.dumps(clean_json(steps)),
        "result": json.dumps(clean_json(result)),
    }
    database.execute_sql(_FINISH, values)
    logger.info("smtp_account.checked", check_id=check_id, is_valid=is_valid)
