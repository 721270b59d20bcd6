"""What was typed into a form that an error kept from its view. The error's page has it, so that
nobody types it twice.

One click sends it again only where the request had the token against forgery of this session: then
it came from a page of maild's own, and is what its sender meant. All else is shown to be read and
copied, and only where the browser says that a page of maild's own sent it: no page from elsewhere
puts words or acts of its own into maild's pages. They let themselves be framed by nobody
(`headers`), so the click cannot be stolen either.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flask import request
from flask_limiter import RateLimitExceeded
from flask_wtf.csrf import validate_csrf
from werkzeug.exceptions import HTTPException
from wtforms import ValidationError

from maild import config
from maild.errors import AnotherWorkspace, RateLimited, Unavailable
from maild.web import access

KEPT_MAX_BYTES = 1_000_000
"""Of the form as it was sent. The page has it twice."""
FIELDS_MAX = 1_000

SECRET_BLUEPRINTS = frozenset(
    {
        *("sign_in", "sign_up", "password_resets", "email_checks", "joining", "security"),
        *("api_keys", "webhook_endpoints"),
    }
)
"""Of their forms nothing is kept: they are about passwords, codes, links and keys."""
SECRET_ENDPOINTS = frozenset({"onboarding_acts.make_key", "notifications.renew_secret"})
SECRET_FIELDS = frozenset({"password", "current", "new", "code", "signing_secret", "auth_password"})
"""Of other forms, what is kept out of the page."""
_TOKEN = "csrf_token"  # nosec B105
_UNTYPED = frozenset(
    {
        *("workspace_id", "version", "seen", "seen_at", "seen_status", "shown", "in_force"),
        *("latest", "back", "next", "id", "ids", "action", "noun", "selection", "query", "place"),
        *("password_meant", "check_job_id", "watch", "restore", "insist", "at_once"),
    }
)
"""What pages put into forms themselves: it is sent again, and nobody needs to read it."""
_BOXES = frozenset({"y", "on", "1"})


@dataclass(frozen=True, slots=True)
class Unsent:
    """`texts` are to be read: the name of each field in words, and what was typed. `fields` are all
    of the form, for `action`; none where it is not to be sent by one click. `is_partial`: a secret
    or a file was with it, which is not kept. `is_too_large`: nothing is.
    """

    texts: tuple[tuple[str, str], ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    action: str = ""
    is_partial: bool = False
    is_too_large: bool = False


def find(error: Exception, *, status: int) -> Unsent | None:
    """What the request that came to this error had; None where there is nothing to keep, or it is
    not to be kept.
    """
    if request.method != "POST" or not access.is_guarded() or _is_secret():
        return None
    if status == 413 or (request.content_length or 0) > KEPT_MAX_BYTES:
        return Unsent(is_too_large=True) if _is_from_here() else None
    try:
        sent = list(request.form.items(multi=True))
        has_file = any(one.filename for one in request.files.values())
    except HTTPException:  # it cannot be read, or not to its end
        return None
    return _keep(sent, error, has_file=has_file) if _has_token() or _is_from_here() else None


def _keep(sent: Sequence[tuple[str, str]], error: Exception, *, has_file: bool) -> Unsent | None:
    if len(sent) > FIELDS_MAX:
        return Unsent(is_too_large=True)
    is_partial = has_file or any(name in SECRET_FIELDS and value for name, value in sent)
    kept = tuple((name, value) for name, value in sent if name not in {_TOKEN, *SECRET_FIELDS})
    is_again = _has_token() and not is_partial and _is_undone(error)
    texts = tuple(_texts(kept))
    if not texts and not is_again:
        return None
    return Unsent(
        texts=texts,
        fields=kept if is_again else (),
        action=request.full_path.rstrip("?"),
        is_partial=is_partial,
    )


def _is_secret() -> bool:
    return request.blueprint in SECRET_BLUEPRINTS or request.endpoint in SECRET_ENDPOINTS


def _is_undone(error: Exception) -> bool:
    """Whether nothing came of the request, and the same one may do better later."""
    return isinstance(error, Unavailable | AnotherWorkspace | RateLimited | RateLimitExceeded)


def _has_token() -> bool:
    """Whether it came with the token of this session; what went wrong may have been asked first."""
    try:
        validate_csrf(request.form.get(_TOKEN))
    except ValidationError:
        return False
    return True


def _is_from_here() -> bool:
    """Whether the browser says that a page of maild's own sent it."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    own = {request.host_url.rstrip("/"), config.current().public_url}
    return request.headers.get("Origin") in own


def _texts(kept: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for name, value in kept:
        if value.strip() and name not in _UNTYPED and value not in _BOXES:
            words = name.replace("_", " ").replace(".", " ").strip()
            yield words[:1].upper() + words[1:], value
