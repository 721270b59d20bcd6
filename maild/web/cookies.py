"""The one cookie of maild: signed, out of reach for scripts and other sites, and for plain HTTP
where people come by HTTPS. What it holds is in `sign_in` and Flask-WTF; the session itself is kept
in the database.
"""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Flask

from maild import config
from maild.services import sessions

_KEY_BYTES = 32


def configure(app: Flask) -> None:
    """Set this application's cookie up."""
    settings = config.current()
    is_secure = settings.public_url.startswith("https://")
    app.config.update(
        SECRET_KEY=_derive(settings.encryption_key),
        # A cookie goes on working while the encryption key is changed.
        SECRET_KEY_FALLBACKS=[_derive(key) for key in settings.encryption_keys_old],
        # The prefix makes browsers refuse what a neighbour domain has set (RFC 6265bis 4.1.3.2).
        SESSION_COOKIE_NAME="__Host-maild" if is_secure else "maild",
        SESSION_COOKIE_SECURE=is_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=sessions.REMEMBERED_LIFETIME,
        # A token against forgery is as good as the secret of the session that it was made of, and
        # logging in and out renews that. A form that lay open for hours is no forgery.
        WTF_CSRF_TIME_LIMIT=None,
    )


def _derive(key: bytes) -> bytes:
    """A key for cookies alone (RFC 5869): one that leaked would not open stored secrets."""
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"maild cookies").derive(key)
