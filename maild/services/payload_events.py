"""What is in a payload: its events, as today's code reads them, and as their rows.

`insert` stores each event once, whatever is sent again; what is the same is told by `describe`. The
rest is a pure reading. When all of that is done, and what becomes of a payload that cannot be read,
`payloads` knows.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from maild.db import database
from maild.domain import bounce_mail, feedback, ids
from maild.domain.provider_event import (
    DSN,
    GENERIC,
    MESSAGE_ID_KEY,
    ProviderEvent,
    ProviderEventType,
    to_report,
)
from maild.domain.storable import clean_text, spare_json
from maild.models import WebhookPayload
from maild.services import addresses
from maild.transports import webhooks
from maild.transports.webhooks import generic
from maild.transports.webhooks.base import Request, UnreadablePayload

EVENTS_MAX = 20_000
"""In one payload; providers send a thousand at most."""

# RFC 5322 2.2, and the line that mailboxes put before a mail.
_HEADER = re.compile(rb"(?:\s*From [^\n]*\n)?\s*[A-Za-z][A-Za-z0-9_-]{0,99}[ \t]*:")
# A field of a JSON object by one of the names that providers have for the recipient.
_NAMED = re.compile(
    rb'"(?:email|emailAddress|recipient|rcpt_to|to)"\s*:\s*\[?\s*"([!-~]{1,64}@[!-~]{1,190}?)"',
    re.IGNORECASE,
)
_LOOKED_AT_BYTES = 64 * 1024
RAW_MAX_BYTES = 64 * 1024
"""A record that is longer stands in the payload alone."""
_WHOLE = 0
"""What stands for the whole payload among its parts; no object has this id."""

Row = dict[str, Any]
"""An event as its row, in JSON."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The events of a payload, and the provider whose format they have."""

    provider: str
    events: list[ProviderEvent]


def parse(payload: WebhookPayload) -> Parsed:
    """The events of a payload, as today's code reads them. Raises UnreadablePayload."""
    body = bytes(payload.body)
    if payload.provider == DSN:
        return _bounded(Parsed(DSN, parse_mail(body)))
    if payload.provider == GENERIC:
        return _bounded(Parsed(*generic.parse_body(body)))
    request = Request(
        body=body,
        content_type=payload.content_type,
        headers=payload.headers,
        received_at=payload.created_at,
    )
    return _bounded(Parsed(payload.provider, webhooks.get(payload.provider).parse(request)))


def _bounded(parsed: Parsed) -> Parsed:
    if len(parsed.events) > EVENTS_MAX:
        count = len(parsed.events)
        raise UnreadablePayload(f"it holds {count} events; {EVENTS_MAX} are the most")
    return parsed


def parse_mail(body: bytes) -> list[ProviderEvent]:
    """The events that a bounce mail or abuse report tells of, with the ids of their messages."""
    report = bounce_mail.read(body)
    if not report.events and not _HEADER.match(body):
        raise UnreadablePayload("this is no mail: it does not begin with a header")
    if not report.events:  # such as spam to the address for bounces: nothing follows from it
        raw = {"kind": report.kind, "subject": report.subject}
        return [ProviderEvent(event_type=ProviderEventType.UNKNOWN, raw=raw)]
    told = {} if report.verp_id is None else {MESSAGE_ID_KEY: str(report.verp_id)}
    # Of several Message-IDs, one that maild has made.
    ours = next((text for text in report.message_ids if ids.find_in_header(text)), None)
    return [
        replace(
            event,
            metadata={**event.metadata, **told},
            message_id_header=ours or event.message_id_header,
        )
        for event in report.events
    ]


def describe(payload: WebhookPayload, parsed: Parsed) -> list[Row]:
    """The events of a payload as rows, in their order. In the caller's transaction."""
    # One record may tell of many recipients: it stands in the payload, and not in each row again.
    owners = Counter(id(event.raw) for event in parsed.events)
    parts: dict[int, _Part] = {}
    rows = []
    for position, event in enumerate(parsed.events):
        part = parts.get(id(event.raw)) or _part(event, payload, parts)
        report = to_report(event)
        if owners[id(event.raw)] > 1 or len(parsed.events) == 1 or part.size > RAW_MAX_BYTES:
            report.pop("raw", None)
        rows.append(
            {
                "workspace_id": payload.workspace_id,
                "payload_id": payload.id,
                "position": position,
                "provider": parsed.provider,
                "smtp_account_name": payload.smtp_account_name,
                "event_type": event.event_type.value,
                "email": _email(event.recipient),
                "report": spare_json(report),
                "dedupe_key": _dedupe_key(event, payload, part.digest),
                "occurred_at": event.timestamp and event.timestamp.isoformat(),
            }
        )
    return rows


class _Part(NamedTuple):
    """What an event was made of: a hash of it, and its length in bytes."""

    digest: str
    size: int


def _part(event: ProviderEvent, payload: WebhookPayload, parts: dict[int, _Part]) -> _Part:
    """An event's own part of the payload. That of a bounce mail is all of it: the same words are
    said of other messages, too.
    """
    if event.raw is None or payload.provider == DSN:
        whole = parts.get(_WHOLE)
        if whole is None:
            body = bytes(payload.body)
            whole = parts[_WHOLE] = _Part(hashlib.sha256(body).hexdigest(), 0)
        return whole
    text = json.dumps(event.raw, sort_keys=True, default=str).encode()
    part = parts[id(event.raw)] = _Part(hashlib.sha256(text).hexdigest(), len(text))
    return part


def find_address(body: bytes) -> str | None:
    """Whom a payload that cannot be read seems to be about, so that somebody who looks for the
    address finds it.
    """
    named = _NAMED.search(body[:_LOOKED_AT_BYTES])
    return _email(named[1].decode()) if named else None


def _dedupe_key(event: ProviderEvent, payload: WebhookPayload, digest: str) -> str:
    """What is the same when a provider sends an event again, in hex: its id, or a hash of its
    record.
    """
    about = [event.event_type.value, (event.recipient or "").lower()]
    if event.event_id and payload.provider in webhooks.SIGNED_BY_ID:
        parts = ["id", event.event_id]
    elif event.event_id:
        parts = ["id", event.event_id, *about]
    else:
        parts = ["record", digest, *about]
        if (let_back_at := _find_let_back(event, payload)) is not None:
            parts.append(let_back_at)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


# When the address was last let be mailed again, by whoever may, or because the time was over.
_LET_BACK = """
SELECT max(ended_at) FROM (
    SELECT least(removed_at, expires_at) AS ended_at FROM suppressions
    WHERE workspace_id = %(workspace)s AND email = lower(%(email)s COLLATE "pg_c_utf8")
    UNION ALL
    SELECT removed_at FROM unsubscribes
    WHERE workspace_id = %(workspace)s AND email = lower(%(email)s COLLATE "pg_c_utf8")
) AS ends WHERE ended_at <= now()
"""


def _find_let_back(event: ProviderEvent, payload: WebhookPayload) -> str | None:
    """What tells an opt-out, a complaint or a hard bounce from one that says the same in the same
    words, with neither an id nor a time: that its address was let be mailed again in between.

    None where it never was, or where the event has what tells it from others. A bounce mail has.
    """
    if event.timestamp is not None or payload.provider == DSN:
        return None
    consequence = feedback.judge(event)
    email = _email(event.recipient)
    if email is None or not (consequence.suppression or consequence.is_unsubscribe):
        return None
    values = {"workspace": payload.workspace_id, "email": email}
    [ended_at] = database.execute_sql(_LET_BACK, values).fetchone()
    return None if ended_at is None else str(ended_at.isoformat())


def _email(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return addresses.parse(text.strip()).text
    except ValueError:
        return clean_text(text)[: addresses.MAX_CHARS]


# One event twice in one payload is met by the conflict as well. In the order of their keys, so that
# two who store the same events wait for each other, but not in a circle.
_INSERT = """
WITH v AS MATERIALIZED (
    SELECT *, decode(dedupe_key, 'hex') AS key FROM json_to_recordset(%(rows)s) AS v (
        workspace_id int, payload_id bigint, position int, provider text, smtp_account_name text,
        event_type text, email text, report jsonb, dedupe_key text, occurred_at timestamptz)
)
INSERT INTO provider_events (
    workspace_id, payload_id, position, provider, smtp_account_name, status, event_type,
    email, report, dedupe_key, occurred_at, next_attempt_at)
SELECT workspace_id, payload_id, position, provider, smtp_account_name, 'received',
    event_type, email, report, key, occurred_at, now()
FROM v ORDER BY key, payload_id, position
ON CONFLICT (workspace_id, provider, dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
RETURNING payload_id, position
"""
# What is there already makes a row that says so, and has no effect. A statement of its own: only
# that sees what somebody else has committed while the first one waited for them.
_INSERT_REPEATED = """
INSERT INTO provider_events (
    workspace_id, payload_id, position, provider, smtp_account_name, status, event_type, email,
    report, duplicate_of, occurred_at)
SELECT v.workspace_id, v.payload_id, v.position, v.provider, v.smtp_account_name, 'duplicate',
    v.event_type, v.email, v.report, old.id, v.occurred_at
FROM json_to_recordset(%(rows)s) AS v (
    workspace_id int, payload_id bigint, position int, provider text, smtp_account_name text,
    event_type text, email text, report jsonb, dedupe_key text, occurred_at timestamptz)
LEFT JOIN provider_events AS old ON old.workspace_id = v.workspace_id
    AND old.provider = v.provider AND old.dedupe_key = decode(v.dedupe_key, 'hex')
"""


def insert(rows: Sequence[Mapping[str, Any]]) -> None:
    """Store events, once each; in the caller's transaction."""
    if not rows:
        return
    found = database.execute_sql(_INSERT, {"rows": json.dumps(rows)}).fetchall()
    fresh = set(found)
    repeated = [row for row in rows if (row["payload_id"], row["position"]) not in fresh]
    if repeated:
        database.execute_sql(_INSERT_REPEATED, {"rows": json.dumps(repeated)})
