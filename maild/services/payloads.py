"""Payloads: what providers send, stored as it came, until it is read into provider events.

`take`, `take_entries` and `take_mail` store; each is one commit, and comes before the provider
hears that it was taken. `claim_due` and `read_claimed` find what was stored and read it
(`payload_events`). What cannot be read becomes a dead letter as a whole. What follows from the
events is for `provider_events`.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

import peewee
from psycopg2 import Binary

from maild import config, db, log, metrics
from maild.db import database
from maild.domain.provider_event import DSN, GENERIC, PayloadStatus, ReportStatus
from maild.domain.storable import clean_text
from maild.models import WebhookEndpoint, WebhookPayload
from maild.services import payload_events, report_watch
from maild.transports.webhooks.base import Request, UnreadablePayload

logger = log.get(__name__)

BATCH = 50
"""As many payloads are read in one transaction."""
BATCH_BYTES = 2 * 1024 * 1024
"""And so many bytes of them; one payload at least."""
ERROR_MAX_CHARS = 1_000
INLINE_SECONDS = 10
"""How long whoever has stored a payload may take to read it, before a worker does."""
_BACKOFF_SECONDS = (2, 10, 30, 60, 300)

HINT = "reports"
"""The hint that wakes the reading and applying of reports."""


def take(
    endpoint: WebhookEndpoint, request: Request, *, headers: Mapping[str, str]
) -> WebhookPayload:
    """Store what came to an endpoint, durably; a worker reads it. `headers` are those that reading
    needs.
    """
    return _store(
        endpoint.workspace_id,
        [request.body],
        provider=endpoint.provider,
        content_type=request.content_type,
        headers=headers,
        endpoint=endpoint,
    )[0]


def take_mail(workspace_id: int, mail: bytes) -> WebhookPayload:
    """Store a bounce mail or abuse report that came without an endpoint, durably."""
    return _store(workspace_id, [mail], provider=DSN, content_type="message/rfc822", headers={})[0]


def take_entries(workspace_id: int, entries: Sequence[bytes]) -> list[WebhookPayload]:
    """Store entries in maild's own format, each as a payload, durably. The caller reads them at
    once; where it cannot, a worker does.
    """
    return _store(
        workspace_id,
        entries,
        provider=GENERIC,
        content_type="application/json",
        headers={},
        delay_seconds=INLINE_SECONDS,
    )


_STORE = """
INSERT INTO webhook_payloads (
    workspace_id, endpoint_id, provider, smtp_account_name, content_type, headers, body, status,
    next_attempt_at)
SELECT %(workspace)s, %(endpoint)s, %(provider)s, %(account)s, %(content_type)s, %(headers)s, body,
    'received', now() + %(delay)s * interval '1 second'
FROM unnest(%(bodies)s::bytea[]) WITH ORDINALITY AS given (body, place) ORDER BY place
RETURNING id, created_at
"""


def _store(
    workspace_id: int,
    bodies: Sequence[bytes],
    *,
    provider: str,
    content_type: str,
    headers: Mapping[str, str],
    endpoint: WebhookEndpoint | None = None,
    delay_seconds: int = 0,
) -> list[WebhookPayload]:
    """One statement: a round trip and a commit. Each request of a provider waits for it."""
    kept = {name: clean_text(value) for name, value in headers.items()}
    values = {
        "workspace": workspace_id,
        "endpoint": endpoint and endpoint.id,
        "provider": provider,
        "account": endpoint and endpoint.smtp_account_name,
        "content_type": clean_text(content_type),
        "headers": json.dumps(kept),
        "bodies": [Binary(body) for body in bodies],
        "delay": delay_seconds,
    }
    rows = database.execute_sql(_STORE, values).fetchall()
    metrics.WEBHOOK_REQUESTS.labels(provider, "taken").inc()
    return [
        WebhookPayload(
            id=payload_id,
            workspace=workspace_id,
            endpoint_id=values["endpoint"],
            provider=provider,
            smtp_account_name=values["account"],
            content_type=values["content_type"],
            headers=kept,
            body=body,
            status=PayloadStatus.RECEIVED,
            attempt_count=0,
            created_at=created_at,
        )
        for (payload_id, created_at), body in zip(rows, bodies, strict=True)
    ]


# What has been tried before is tried alone: a payload that kills its reader costs its
# neighbours one try at most.
_CLAIM = """
WITH due AS (
    SELECT id, attempt_count, octet_length(body) AS size,
        row_number() OVER (ORDER BY next_attempt_at, id) AS place
    FROM (
        SELECT id, attempt_count, body, next_attempt_at FROM webhook_payloads
        WHERE status = 'received' AND next_attempt_at <= now()
        ORDER BY next_attempt_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS locked
), chosen AS (
    SELECT id FROM due WHERE place = 1
    UNION
    SELECT id FROM (
        SELECT id, sum(size) OVER (ORDER BY place) - size AS bytes_before
        FROM due WHERE attempt_count = 0) AS fresh
    WHERE bytes_before < %(bytes)s
        AND EXISTS (SELECT FROM due WHERE place = 1 AND attempt_count = 0)
)
UPDATE webhook_payloads AS p SET
    attempt_count = attempt_count + 1,
    next_attempt_at = now() + (%(backoff)s::int[])[
        least(attempt_count + 1, cardinality(%(backoff)s::int[]))] * interval '1 second'
FROM chosen WHERE p.id = chosen.id
RETURNING p.id
"""


def claim_due(*, limit: int = BATCH) -> list[int]:
    """Count a try of what waits to be read, and put it off; returns the ids. A payload that kills
    whoever reads it is so met no more than a few times.
    """
    values = {"limit": limit, "bytes": BATCH_BYTES, "backoff": list(_BACKOFF_SECONDS)}
    return [row[0] for row in database.execute_sql(_CLAIM, values).fetchall()]


def give_back(payload_ids: Sequence[int]) -> None:
    """Take a try of these back, which came to nothing through no doing of theirs."""
    database.execute_sql(
        "UPDATE webhook_payloads SET attempt_count = attempt_count - 1"
        " WHERE id = ANY(%s) AND status = 'received' AND attempt_count > 0",
        (list(payload_ids),),
    )


def read_claimed(payload_ids: Sequence[int]) -> None:
    """Read what was claimed and is still there to be read; in the caller's transaction."""
    rows = list(
        WebhookPayload.select()
        .where(
            WebhookPayload.id << list(payload_ids),
            WebhookPayload.status == PayloadStatus.RECEIVED,
        )
        .order_by(WebhookPayload.id)
        .for_update("FOR UPDATE")  # type: ignore[arg-type]
    )
    tries_max = config.current().webhooks.apply_max_attempts
    for payload in [row for row in rows if row.attempt_count > tries_max]:
        bury(payload, "Whoever tried to read it was ended before it was read.")
        _finish([payload.id])
    read([row for row in rows if row.attempt_count <= tries_max])


def read(payloads: Sequence[WebhookPayload]) -> None:
    """Read these payloads, which the caller has locked, in its transaction.

    One that makes the database refuse its events does not keep the others from being read: it is
    tried alone, then later, and is a dead letter in the end.
    """
    if not payloads:
        return
    try:
        with database.atomic():
            _read(payloads)
    except peewee.PeeweeException as error:
        if db.is_away(error):
            raise
        if len(payloads) > 1:
            for payload in payloads:
                read([payload])
            return
        logger.exception("payload.not_read", payload_id=payloads[0].id)
        if payloads[0].attempt_count >= config.current().webhooks.apply_max_attempts:
            bury(payloads[0], f"It could not be stored: {type(error).__name__}")
            _finish([payloads[0].id])


def _read(payloads: Sequence[WebhookPayload]) -> None:
    rows: list[payload_events.Row] = []
    dead: list[tuple[WebhookPayload, str]] = []
    for payload in payloads:
        try:
            rows += payload_events.describe(payload, payload_events.parse(payload))
        except UnreadablePayload as error:
            dead.append((payload, str(error)))
        except Exception as error:  # a fault of the parser: the payload stays, for a later one
            dead.append((payload, explain(error)))
    payload_events.insert(rows)
    for payload, why in dead:
        bury(payload, why)
    _finish([payload.id for payload in payloads])
    report_watch.heard(Counter(p.endpoint_id for p in payloads if p.endpoint_id is not None))


def explain(error: Exception) -> str:
    """What to say of a parser that failed, whose fault goes to the log."""
    if isinstance(error, RecursionError):  # thousands of lines, for whoever likes to send brackets
        logger.warning("payload.too_deep")
        return "It is nested too deep."
    logger.exception("payload.parser_failed")
    return f"The reader failed: {type(error).__name__}: {error}"


_BURY = """
INSERT INTO provider_events (
    workspace_id, payload_id, provider, smtp_account_name, status, attempt_count, last_error, email)
SELECT workspace_id, id, provider, smtp_account_name, 'dead_letter', greatest(attempt_count, 1),
    %s, %s
FROM webhook_payloads WHERE id = %s
"""


def bury(payload: WebhookPayload, why: str) -> None:
    """Keep a payload that cannot be read as a dead letter."""
    error = clean_text(why)[:ERROR_MAX_CHARS]
    email = payload_events.find_address(bytes(payload.body))
    database.execute_sql(_BURY, (error, email, payload.id))
    metrics.PROVIDER_EVENTS.labels(payload.provider, ReportStatus.DEAD_LETTER.value).inc()
    logger.warning(
        "payload.dead_letter",
        workspace_id=payload.workspace_id,
        provider=payload.provider,
        payload_id=payload.id,
        error=error,
    )


def backoff_seconds(attempt_count: int) -> int:
    """How long what has failed so often waits."""
    return _BACKOFF_SECONDS[min(attempt_count, len(_BACKOFF_SECONDS)) - 1]


def _finish(payload_ids: Sequence[int]) -> None:
    database.execute_sql(
        "UPDATE webhook_payloads SET status = 'read', next_attempt_at = NULL WHERE id = ANY(%s)",
        (list(payload_ids),),
    )
