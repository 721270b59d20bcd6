"""The security headers, most of which only pages need. A view that sets its own policy keeps it."""

from flask import Response, request

from maild import config
from maild.services import confirmation_links, invitations, mailed_links, unsubscribe_links

_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "frame-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

PREVIEW_CSP = "; ".join(
    (
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "sandbox",
    )
)
"""For somebody else's HTML: it may look like itself, and do nothing, not even load a picture."""
PICTURES_CSP = PREVIEW_CSP.replace("img-src data:", "img-src data: http: https:")
"""The same for who has asked for the pictures."""


SECRET_PATHS = (
    unsubscribe_links.PATH,
    unsubscribe_links.PREFERENCES_PATH,
    confirmation_links.PATH,
    mailed_links.CONFIRM_PATH,
    mailed_links.RESET_PATH,
    invitations.PATH,
)
"""What follows these is a token: whoever has the address can use it."""
_HTTPS_SECONDS = 31_536_000


def add(response: Response) -> Response:
    """After every request."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    if config.current().public_url.startswith("https://"):
        # RFC 6797. Not for the domains below: they are not maild's.
        response.headers["Strict-Transport-Security"] = f"max-age={_HTTPS_SECONDS}"
    if request.path.startswith("/v1/") and response.mimetype != "text/html":
        return response
    response.headers.setdefault("Content-Security-Policy", _CSP)
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    if not request.path.startswith("/static/") and not response.cache_control.public:
        response.headers["Cache-Control"] = "no-store"  # pages differ from person to person
    if request.path.startswith(SECRET_PATHS):
        # They go to no other site, and into no index.
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response
