"""Tokens: 256 random bits that are the whole authority of whoever presents them, as in a session's
cookie, a mailed link, an API key or the address of a webhook. Kept as their SHA-256: so many bits
need neither salt nor a slow hash.
"""

import hashlib
import re
import secrets

BYTES = 32

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def make() -> str:
    """A new one, of 43 characters that need no quoting in a URL."""
    return secrets.token_urlsafe(BYTES)


def hash_of(token: str) -> bytes:
    """What is stored of a token."""
    # Whatever somebody sends in its place is unknown, and no error: half of a surrogate pair too.
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def is_well_formed(text: object) -> bool:
    """Whether `text` can be a token at all."""
    return isinstance(text, str) and bool(_TOKEN.fullmatch(text))
