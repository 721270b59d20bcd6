"""How often somebody may try: to log in, to sign up, to have mail sent.

Counted in Redis, for all processes together; where it is away, in each process for itself, which
lets through a few more. Only POST counts, and of a form that is checked only what was wrong.
"""

import hashlib

from flask import Flask, Response, request, session
from flask_limiter import Limiter

from maild import clock, config
from maild.domain import client_address
from maild.errors import InvalidFields
from maild.services import people
from maild.web import access

_TIMEOUT_SECONDS = 1
"""A Redis that hangs keeps nobody out for long."""


def _caller() -> str:
    address = access.caller_address()
    return "unknown" if address is None else client_address.household(address)


def account_hash() -> str:
    """Of the address that is named in the form, in the one form that all spellings of it share."""
    text = request.form.get("email", "")
    try:
        email = people.normal_email(text)
    except InvalidFields:
        email = text
    return _hash(email)


def _hash(email: str) -> str:
    return hashlib.sha256(email.encode(errors="replace")).hexdigest()


def _own_address() -> str:
    visitor = access.find_visitor()
    return _hash(visitor.email) if visitor else _caller()


def _pending() -> str:
    return str(session.get("pending", {}).get("person"))


def _invitation() -> str:
    """Which one, of whose: another workspace cannot use its tries up."""
    number = request.form.get("invitation", type=int)
    return f"{access.current_workspace_id()} {number}"


def _visitor() -> str:
    visitor = access.find_visitor()
    return str(visitor.id) if visitor else _caller()


def _has_failed(response: Response) -> bool:
    return response.status_code == 422


limiter = Limiter(
    key_func=_caller,
    strategy="moving-window",
    in_memory_fallback_enabled=True,
    swallow_errors=True,  # Redis that goes away between the check and the count fails no request
    key_prefix="maild",
    storage_options={
        "socket_timeout": _TIMEOUT_SECONDS,
        "socket_connect_timeout": _TIMEOUT_SECONDS,
    },
)

_POST = ["POST"]

failures_of_caller = limiter.shared_limit(
    "50 per 15 minutes", scope="failures", methods=_POST, deduct_when=_has_failed
)
"""Wrong passwords and codes from one address, whoever they are for."""
failures_of_account = limiter.shared_limit(
    "10 per 15 minutes",
    scope="account",
    key_func=account_hash,
    methods=_POST,
    deduct_when=_has_failed,
)
"""Wrong passwords for one account, from wherever they come."""
failures_of_visitor = limiter.shared_limit(
    "10 per 15 minutes", scope="visitor", key_func=_visitor, methods=_POST, deduct_when=_has_failed
)
"""Wrong passwords of somebody who is signed in, who may have found an open browser."""
codes = limiter.shared_limit(
    "10 per 15 minutes;50 per day",
    scope="codes",
    key_func=_pending,
    methods=_POST,
    deduct_when=_has_failed,
)
"""Wrong codes of somebody whose password was right."""
hashes_of_visitor = limiter.shared_limit(
    "40 per 15 minutes", scope="hashes", key_func=_visitor, methods=_POST
)
"""What makes a hash, right or wrong: it keeps a processor busy."""
trials_of_visitor = limiter.shared_limit(
    "120 per minute", scope="trials", key_func=_visitor, methods=_POST
)
"""Tries of a policy over past mail, which a page asks for while somebody types."""
previews_of_visitor = limiter.shared_limit(
    "180 per minute", scope="previews", key_func=_visitor, methods=_POST
)
"""Mail that is composed, whose preview follows what somebody types."""
sign_ups = limiter.limit("20 per hour", methods=_POST)
_MAILS_TO_ACCOUNT = "5 per hour", "mails to account"
mails_to_account = limiter.shared_limit(
    _MAILS_TO_ACCOUNT[0], scope=_MAILS_TO_ACCOUNT[1], key_func=account_hash, methods=_POST
)
"""To the address that a form names, whoever asks."""
mails_to_oneself = limiter.shared_limit(
    _MAILS_TO_ACCOUNT[0], scope=_MAILS_TO_ACCOUNT[1], key_func=_own_address, methods=_POST
)
mails_of_invitation = limiter.limit("5 per hour", key_func=_invitation, methods=_POST)
mails_of_caller = limiter.shared_limit("30 per hour", scope="mails", methods=_POST)
mails_of_visitor = limiter.shared_limit(
    "30 per hour", scope="mails of visitor", key_func=_visitor, methods=_POST
)


def register(app: Flask) -> None:
    """Count for this application."""
    url = config.current().redis_url
    # The library names the scheme of a socket otherwise than redis-py does.
    app.config["RATELIMIT_STORAGE_URI"] = url.replace("unix://", "redis+unix://", 1)
    limiter.init_app(app)


def retry_after_seconds() -> int:
    """How long the limit that the present request has reached lasts."""
    reached = limiter.current_limit
    assert reached is not None
    return max(1, round(reached.reset_at - clock.now().timestamp()))
