"""What is reported in the section `reports`: events about messages that were sent.

In charge of requests as a provider (Postmark, with basic authentication) and a relay (maild's own
format, signed) make them, and of payloads that wait in the tables. Each event is another one.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from typing import Any

from psycopg2 import extensions

SECRET = "bench-webhook-secret-0123456789abcdef"
USER, PASSWORD = "bench", "bench-password-0123456789"
GENERIC_PATH = "/v1/webhooks/events"
SETTINGS = {"WEBHOOKS_ENABLED": "true", "WEBHOOK_SIGNING_SECRET": SECRET}

Message = tuple[str, str]
"""Id and recipient."""

# What providers tell most of: mail arrives, and a little of it does not.
_WAITING = """
INSERT INTO webhook_payloads (
    workspace_id, endpoint_id, provider, smtp_account_name, content_type, headers, body, status,
    next_attempt_at)
SELECT workspace_id, (SELECT max(id) FROM webhook_endpoints), 'postmark', 'default',
    'application/json', '{}',
    convert_to((json_build_object('MessageID', gen_random_uuid(), 'Metadata',
        json_build_object('maild_message_id', id)) :: jsonb
        || CASE WHEN n %% 20 = 0 THEN json_build_object('RecordType', 'Bounce', 'Type',
            'HardBounce', 'ID', n, 'Email', to_email, 'BouncedAt', now(),
            'Details', '550 5.1.1 User unknown') :: jsonb
        ELSE json_build_object('RecordType', 'Delivery', 'Recipient', to_email,
            'DeliveredAt', now(), 'Details', '250 2.0.0 OK') :: jsonb END) :: text, 'UTF8'),
    'received', now()
FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM messages) AS m
ORDER BY id LIMIT %s
"""


def list_messages(db: extensions.connection) -> list[Message]:
    """All messages of the tables."""
    with db, db.cursor() as cursor:
        cursor.execute("SELECT id::text, to_email FROM messages ORDER BY id")
        return list(cursor.fetchall())


def fill_waiting(db: extensions.connection, count: int) -> None:
    """Add payloads of one event each that nobody has read, each about another message."""
    with db, db.cursor() as cursor:
        cursor.execute(_WAITING, (count,))


def requests(host: str, port: int, path: str, messages: Sequence[Message]) -> list[bytes]:
    """A request for each of these messages, ready to be sent within minutes."""
    build = _generic if path == GENERIC_PATH else _native
    return [build(f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\n", each) for each in messages]


def _native(head: str, message: Message) -> bytes:
    message_id, email = message
    record = {
        "RecordType": "Delivery",
        "MessageID": message_id,
        "Recipient": email,
        "DeliveredAt": "2026-01-01T10:00:00Z",
        "Details": "250 2.0.0 OK",
        "Metadata": {"maild_message_id": message_id},
    }
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return _request(head + f"Authorization: Basic {login}\r\n", record)


def _generic(head: str, message: Message) -> bytes:
    message_id, email = message
    entry = {
        "type": "delivered",
        "email": email,
        "message_id": f"<{message_id}@example.com>",
        "event_id": f"bench-{message_id}",
    }
    timestamp = str(int(time.time()))
    signed = f"{timestamp}.".encode() + json.dumps(entry).encode()
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    signature = f"X-Webhook-Timestamp: {timestamp}\r\nX-Webhook-Signature: v1={digest}\r\n"
    return _request(head + signature, entry)


def _request(head: str, body: dict[str, Any]) -> bytes:
    text = json.dumps(body).encode()
    ending = f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return (head + ending).encode() + text
