"""Signing in (RFC 4954): which mechanism, and what to say.

In charge of choosing the mechanism, so that a password is never sent where others can read it, and
of computing the answers. Not in charge of saying them (`smtp_session`).
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass

from maild.domain.smtp_reply import ErrorClass
from maild.transports.smtp_replies import WireError
from maild.transports.smtp_server import Server


@dataclass(frozen=True, slots=True)
class Exchange:
    """A mechanism: the line that begins it, and what to answer to each challenge, which is the text
    of a 334 reply, base64 as it came."""

    mechanism: str
    command: str
    answers: tuple[Callable[[str], str], ...] = ()


def choose(server: Server, offered: frozenset[str], *, is_private: bool) -> Exchange:
    """How to sign in; raises WireError (TLS or AUTH) where there is no safe way.

    `is_private`: nobody can listen, the line being encrypted, or not leaving this machine. Where
    somebody can, only a mechanism that does not show the password will do, unless `server` says
    that its line is never encrypted.
    """
    preferred = ["PLAIN", "LOGIN"] if is_private or server.security == "none" else []
    preferred.insert(len(preferred) if is_private else 0, "CRAM-MD5")
    for mechanism in preferred:
        if mechanism in offered:
            return _exchange(mechanism, server.username or "", server.password or "")
    if len(preferred) == 1:
        text = "the connection is not encrypted, and a password is never sent in the clear"
        raise WireError(ErrorClass.TLS, text)
    listed = ", ".join(sorted(offered)) or "it offers none"
    text = f"the server offers no way to sign in that maild knows ({listed})"
    raise WireError(ErrorClass.AUTH, text)


def _exchange(mechanism: str, username: str, password: str) -> Exchange:
    if mechanism == "PLAIN":  # RFC 4616, with the initial response of RFC 4954 4
        token = _base64(f"\0{username}\0{password}")
        return Exchange(mechanism, f"AUTH PLAIN {token}")
    if mechanism == "LOGIN":  # never standardised, and all that some servers know
        answers = (lambda _: _base64(username), lambda _: _base64(password))
        return Exchange(mechanism, "AUTH LOGIN", answers)
    answer = (lambda challenge: _digest(username, password, challenge),)
    return Exchange(mechanism, "AUTH CRAM-MD5", answer)


def _digest(username: str, password: str, challenge: str) -> str:
    """RFC 2195 2: the name, and the challenge's HMAC-MD5 under the password in hexadecimal."""
    try:
        octets = b64decode(challenge, validate=True)
    except ValueError as error:
        raise WireError(ErrorClass.PROTOCOL, "the server's challenge is not base64") from error
    return _base64(f"{username} {hmac.new(password.encode(), octets, 'md5').hexdigest()}")


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
