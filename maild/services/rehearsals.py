"""Mail that waits in the sandbox: it was never meant for people, so nobody leaves the sandbox while
there is any. The sandbox itself is `sandboxes`.
"""

from maild.db import database
from maild.errors import QueuedInSandbox
from maild.models import SmtpAccount

COUNT_MAX = 1_000
"""So far it is counted."""

_COUNT = """
SELECT count(*)::int FROM (
    SELECT FROM messages
    WHERE workspace_id = %(workspace)s AND status IN ('queued', 'sending')
        AND (pinned_account = '' AND %(is_active)s OR pinned_account = %(pinned)s)
    LIMIT %(max)s) AS first
"""


def check_none(sandbox: SmtpAccount, *, pinned: bool = False) -> None:
    """In the transaction that takes the sandbox's mail elsewhere, after `smtp_accounts.take_turns`:
    what is accepted meanwhile is counted, or comes after it. With `pinned`, so is what must go
    through it.

    Raises QueuedInSandbox. What is held does not count: it waits until it is released.
    """
    values = {
        "workspace": sandbox.workspace_id,
        "is_active": sandbox.is_active,
        "pinned": sandbox.name if pinned else None,
        "max": COUNT_MAX,
    }
    count = int(database.execute_sql(_COUNT, values).fetchone()[0])
    if count:
        raise QueuedInSandbox(explain(count))


def explain(count: int) -> str:
    """What is in the way, and what to do, in sentences."""
    number = f"{count:,}{'+' if count >= COUNT_MAX else ''}"
    if count == 1:
        told = (
            "1 message of the sandbox is queued, scheduled or being sent. Through another account"
            " it would go to a real person. Nothing was changed: cancel or hold it first, or let it"
        )
    else:
        told = (
            f"{number} messages of the sandbox are queued, scheduled or being sent. Through another"
            " account they would go to real people. Nothing was changed: cancel or hold them first,"
            " or let them"
        )
    return f"{told} go out into the sandbox, and do this again."
