"""What came in through a webhook endpoint of late, for who waits for its first event."""

from collections.abc import Sequence

from maild.db import database
from maild.models import ProviderEvent, WebhookEndpoint

LOOKED_AT_MAX = 500
"""Of the newest events of the workspace, so many are looked through."""
LATEST = 5

_LATEST = """
SELECT e.id FROM (
    SELECT id, payload_id FROM provider_events
    WHERE workspace_id = %(workspace)s ORDER BY id DESC LIMIT %(looked_at)s) AS e
JOIN webhook_payloads p ON p.id = e.payload_id
WHERE p.endpoint_id = %(endpoint)s
ORDER BY e.id DESC LIMIT %(limit)s
"""


def list_latest(endpoint: WebhookEndpoint, *, limit: int = LATEST) -> Sequence[ProviderEvent]:
    """The latest events that came through the endpoint, the newest first."""
    values = {
        "workspace": endpoint.workspace_id,
        "endpoint": endpoint.id,
        "looked_at": LOOKED_AT_MAX,
        "limit": limit,
    }
    ids = [row[0] for row in database.execute_sql(_LATEST, values).fetchall()]
    return list(
        ProviderEvent.select().where(ProviderEvent.id.in_(ids)).order_by(ProviderEvent.id.desc())
    )
