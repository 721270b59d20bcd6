"""What has failed lately, by the account that it went through and by why: one cause, one line."""

from dataclasses import dataclass

from maild.db import database
from maild.domain.smtp_reply import ErrorClass

SAMPLE = 1_000
"""So many of the latest are looked at."""
CAUSES_MAX = 3
COUNT_MIN = 5
"""Fewer of one kind stand for themselves."""
_OF_RECIPIENTS = (
    ErrorClass.INVALID_RECIPIENT,
    ErrorClass.INVALID_DOMAIN,
    ErrorClass.INACTIVE_MAILBOX,
    ErrorClass.MAILBOX_FULL,
)
"""Nobody but the recipients can mend these."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why several messages have failed. `reply` is what was said of the latest."""

    account: str
    error_class: str
    message_count: int
    reply: str | None


# The latest are few and have an index of their own, `messages_gone_wrong`.
_CAUSES = """
SELECT smtp_account_name, error_class, count(*)::int,
    (array_agg(last_error ORDER BY updated_at DESC))[1]
FROM (
    SELECT smtp_account_name, error_class, last_error, updated_at FROM messages
    WHERE workspace_id = %s AND status = 'failed' AND updated_at > now() - interval '24 hours'
    ORDER BY updated_at DESC LIMIT %s) AS latest
WHERE smtp_account_name IS NOT NULL AND error_class IS NOT NULL AND error_class <> ALL(%s)
GROUP BY smtp_account_name, error_class
HAVING count(*) >= %s
ORDER BY count(*) DESC, smtp_account_name, error_class
LIMIT %s
"""


def list_causes(workspace_id: int) -> list[Cause]:
    """Of what has failed in the last 24 hours and is failed still, what somebody may mend; the most
    frequent first.
    """
    values = (workspace_id, SAMPLE, [str(one) for one in _OF_RECIPIENTS], COUNT_MIN, CAUSES_MAX)
    return [Cause(*row) for row in database.execute_sql(_CAUSES, values).fetchall()]
