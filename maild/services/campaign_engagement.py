"""What the recipients of campaigns do with their mail: the first time that each opened it, clicked,
complained or left, in the row of the ledger; and the last time that each contact was mailed, opened
and clicked, over all campaigns.

It is written in the transaction of what tells it, before anything else that others may wait for:
reports in `feedback`, and an unsubscribe by whichever way in `unsubscribes`. In any order and any
number of times the same reports come to the same.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from maild.db import database
from maild.domain.provider_event import ProviderEventType

COUNTED = frozenset(
    {
        ProviderEventType.OPENED,
        ProviderEventType.CLICKED,
        ProviderEventType.COMPLAINED,
        ProviderEventType.UNSUBSCRIBED,
    }
)
"""The reports that say that a recipient did something."""


class Deed(NamedTuple):
    """Somebody did something with the mail of this row of a ledger, at that time."""

    recipient_id: int
    what: ProviderEventType
    at: datetime


# The earliest counts: `least` passes over what is not known.
_NOTE = """
UPDATE campaign_recipients r SET
    opened_at = least(r.opened_at, v.opened_at),
    clicked_at = least(r.clicked_at, v.clicked_at),
    complained_at = least(r.complained_at, v.complained_at),
    unsubscribed_at = least(r.unsubscribed_at, v.unsubscribed_at)
FROM (
    SELECT id, min(at) FILTER (WHERE what = 'opened') AS opened_at,
        min(at) FILTER (WHERE what = 'clicked') AS clicked_at,
        min(at) FILTER (WHERE what = 'complained') AS complained_at,
        min(at) FILTER (WHERE what = 'unsubscribed') AS unsubscribed_at
    FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS d (id, what, at)
    GROUP BY id
) AS v WHERE r.id = v.id
"""
# Whoever deletes contacts holds them in this order, before their rows here go with them; one that
# is gone by then has none. The rows are taken in their order by everybody who writes them.
_NOTE_LAST = """
WITH told AS MATERIALIZED (
    SELECT r.contact_id AS id, max(d.at) FILTER (WHERE d.what = 'opened') AS opened_at,
        max(d.at) FILTER (WHERE d.what = 'clicked') AS clicked_at
    FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS d (id, what, at)
    JOIN campaign_recipients r ON r.id = d.id
    WHERE d.what IN ('opened', 'clicked') GROUP BY r.contact_id
), kept AS MATERIALIZED (
    SELECT c.id FROM contacts c WHERE c.id IN (SELECT id FROM told)
    ORDER BY c.email FOR KEY SHARE
), held AS MATERIALIZED (
    SELECT contact_id FROM contact_engagements WHERE contact_id IN (SELECT id FROM kept)
    ORDER BY contact_id FOR NO KEY UPDATE
)
UPDATE contact_engagements e SET opened_at = greatest(e.opened_at, t.opened_at),
    clicked_at = greatest(e.clicked_at, t.clicked_at)
FROM held h JOIN told t ON t.id = h.contact_id WHERE e.contact_id = h.contact_id
"""


def note(deeds: Sequence[Deed]) -> None:
    """Write the first times, and the last ones, in the caller's transaction. Asks nothing where
    there are none.
    """
    if deeds:
        ids, kinds, times = zip(*deeds, strict=True)
        values = (list(ids), [kind.value for kind in kinds], list(times))
        database.execute_sql(_NOTE, values)
        database.execute_sql(_NOTE_LAST, values)


_NOTE_MAILED = """
WITH mailed AS MATERIALIZED (
    SELECT c.id FROM contacts c
    WHERE c.id IN (SELECT contact_id FROM campaign_recipients WHERE id = ANY (%s))
    ORDER BY c.email FOR KEY SHARE
)
INSERT INTO contact_engagements (contact_id, mailed_at)
SELECT id, now() FROM mailed ORDER BY id
ON CONFLICT (contact_id) DO UPDATE SET mailed_at = excluded.mailed_at
"""


def note_mailed(recipient_ids: Sequence[int]) -> None:
    """Messages to these rows' contacts were queued, in the caller's transaction."""
    if recipient_ids:
        database.execute_sql(_NOTE_MAILED, (list(recipient_ids),))


_NOTE_LEFT = """
UPDATE campaign_recipients r SET unsubscribed_at = least(r.unsubscribed_at, now())
FROM messages m WHERE m.id = %s AND m.workspace_id = %s AND r.id = m.recipient_id
"""


def note_left(workspace_id: int, message_id: uuid.UUID | None) -> None:
    """The recipient of this message, if it is of a campaign, has left by way of it: in the caller's
    transaction.
    """
    if message_id is not None:
        database.execute_sql(_NOTE_LEFT, (message_id, workspace_id))
