"""The security headers of everything but the API. A view that sets its own policy keeps it."""

from flask import Response, request

from maild.services import unsubscribe_links
from maild.web import access

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


def add(response: Response) -> Response:
    """After every request."""
    if request.path.startswith("/v1/"):
        return response
    response.headers.setdefault("Content-Security-Policy", _CSP)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if access.is_console(request.path):
        response.headers["Cache-Control"] = "no-store"
    if request.path.startswith(unsubscribe_links.PATH):
        # The path is a capability: it goes to no other site, into no cache and no index.
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response
