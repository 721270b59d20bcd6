"""The demo's SMTP accounts, which all lead to the inbox, and the webhooks that report on them."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tools.demo.content import DOMAIN
from tools.demo.stack import Found, Http

FIRST, SECOND, LAST = "postmark-eu", "mailgun-frankfurt", "fallback-postfix"
_BASIC_AUTH = ("maild", "the demo's webhook password")
_SIGNING_KEY = "the-demo-signs-with-this-key-0123456789"


REFUSES_LOGIN, REFUSES_SENDER = "authfail-rotated-key", "unverified-account"
"""Users of the inbox: one cannot sign in, and of the other no mail is taken."""


def account(found: Found, name: str, *, username: str | None = None) -> dict[str, Any]:
    """An account as the API takes it; `username` where it shall not work."""
    priority, connections, rate = {
        FIRST: (10, 10, None),
        SECOND: (20, 10, None),
        LAST: (90, 3, 20.0),
    }[name]
    return {
        "name": name,
        "host": found.settings.smtp.host,
        "port": found.settings.smtp.port,
        "security": "none",
        "username": username or f"paperboat-{name}",
        "password": secrets.token_urlsafe(12),
        "from_email": f"orders@{DOMAIN}",
        "max_connections": connections,
        "max_per_second": rate,
        "priority": priority,
    }


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The paths that providers report to, by the account that they report on."""

    paths: dict[str, str]


def add_endpoints(http: Http, key: str) -> Endpoints:
    """Add the endpoints that are not there yet."""
    answer = http.ask("GET", "/v1/webhooks/endpoints", key=key)
    known = {one["smtp_account"]: one["url"] for one in answer["endpoints"]}
    user, password = _BASIC_AUTH
    for name, more in (
        (FIRST, {"provider": "postmark", "basic_auth": {"username": user, "password": password}}),
        (SECOND, {"provider": "mailgun", "signing_secret": _SIGNING_KEY}),
        (LAST, {"provider": "dsn"}),
    ):
        if name not in known:
            body = {"smtp_account": name, **more}
            known[name] = http.ask("POST", "/v1/webhooks/endpoints", body, key=key)["url"]
    return Endpoints({name: urlsplit(url).path for name, url in known.items()})


Request = tuple[bytes, dict[str, str]]
"""A body and its headers."""


def postmark(record: dict[str, Any]) -> Request:
    """A report as Postmark posts it: with a user and a password."""
    login = base64.b64encode(":".join(_BASIC_AUTH).encode()).decode()
    return json.dumps(record).encode(), {
        "Content-Type": "application/json",
        "Authorization": f"Basic {login}",
    }


def mailgun(data: dict[str, Any], *, is_forged: bool = False) -> Request:
    """A report as Mailgun posts it: signed, over a token that is new each time."""
    timestamp, token = str(int(time.time())), secrets.token_hex(25)
    key = "somebody else's" if is_forged else _SIGNING_KEY
    digest = hmac.new(key.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
    signature = {"timestamp": timestamp, "token": token, "signature": digest}
    body = json.dumps({"signature": signature, "event-data": data}).encode()
    return body, {"Content-Type": "application/json"}


_BOUNCE = """\
From: MAILER-DAEMON@relay.{domain}
To: orders@{domain}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.{domain}

Final-Recipient: rfc822; {to}
Action: failed
Status: {status}
Diagnostic-Code: smtp; {reply}

--b
Content-Type: text/rfc822-headers

Message-ID: <{message_id}@{domain}>
From: orders@{domain}
To: {to}

--b--
"""


def bounce_mail(message_id: str, to: str, reply: str) -> Request:
    """A bounce as Postfix mails it."""
    status = reply.split()[1]
    text = _BOUNCE.format(domain=DOMAIN, message_id=message_id, to=to, reply=reply, status=status)
    return text.replace("\n", "\r\n").encode(), {"Content-Type": "message/rfc822"}
