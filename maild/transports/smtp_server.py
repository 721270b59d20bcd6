"""What is known about an SMTP server, and about the wish to speak to it.

In charge of the values: where it is and as whom we come (`Server`), how long we wait (`Timeouts`),
what it offers (`Capabilities`), and why there is no session (`ConnectFailed`). Nothing here dials.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from maild.domain.networks import Guard
from maild.domain.smtp_reply import ErrorClass, Reply, Stage

Security = Literal["auto", "starttls", "tls", "none"]

_UNSAFE_IN_NAMES = re.compile(r"[\x00-\x20\x7f]")
_UNSAFE_IN_CREDENTIALS = re.compile(r"[\0\ud800-\udfff]")  # RFC 4616 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where mail is handed over, and as whom.

    `security`: `tls` encrypts from the first octet; `starttls` insists on the upgrade; `auto` does
    the former on port 465 and elsewhere upgrades where the server offers it; `none` never encrypts.
    Raises ValueError for a name or a credential that no command line can carry.
    """

    host: str
    port: int
    security: Security
    username: str | None
    password: str | None = field(repr=False)
    local_hostname: str  # how this client introduces itself, a domain or an address literal
    guard: Guard | None  # where the host may lead to; None: anywhere, the instance's owner chose it

    def __post_init__(self) -> None:
        for name in ("host", "local_hostname"):
            value = getattr(self, name)
            if not value or not value.isascii() or _UNSAFE_IN_NAMES.search(value):
                raise ValueError(f"{name}: not a host name")
        for name in ("username", "password"):
            if _UNSAFE_IN_CREDENTIALS.search(getattr(self, name) or ""):
                raise ValueError(f"{name}: holds NUL, or what UTF-8 cannot express")

    @property
    def remote(self) -> str:
        """`host:port`, as messages to people name the server."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait at each step.

    RFC 5321 4.5.3.2 advises five minutes for the banner, MAIL and RCPT, two for DATA. That suits a
    server facing the whole Internet; a provider that its customer pays answers in seconds, and a
    shorter wait lets the message move on to the next provider. After the final dot impatience makes
    the outcome unknown, so the wait there is the longest.
    """

    connect: float = 10.0  # the name; then all its addresses together
    banner: float = 30.0  # RFC 5321 4.5.3.2.1
    command: float = 60.0  # RFC 5321 4.5.3.2.2 to 4.5.3.2.4, and the TLS handshake
    data_block: float = 180.0  # RFC 5321 4.5.3.2.5
    final_dot: float = 300.0  # RFC 5321 4.5.3.2.6 says ten minutes
    quit: float = 2.0  # a courtesy


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the server offers in its answer to EHLO (RFC 5321 4.1.1.1)."""

    size_limit: int | None = None  # octets, RFC 1870; 0 for no fixed limit, None: not offered
    eight_bit: bool = False  # RFC 6152
    smtputf8: bool = False  # RFC 6531
    pipelining: bool = False  # RFC 2920
    starttls: bool = False  # RFC 3207
    auth: frozenset[str] = frozenset()  # RFC 4954: mechanisms, upper case
    enhanced_status_codes: bool = False  # RFC 2034

    @classmethod
    def from_ehlo(cls, text: str) -> "Capabilities":
        """Read the reply's lines: the first one greets, each other one names an extension."""
        offers: dict[str, list[str]] = {}
        for line in text.split("\n")[1:]:
            # "AUTH=LOGIN" comes from servers that still speak to clients older than RFC 2554.
            words = line.upper().replace("=", " ").split()
            if words:
                offers.setdefault(words[0], []).extend(words[1:])
        return cls(
            size_limit=_size_limit(offers.get("SIZE")),
            eight_bit="8BITMIME" in offers,
            smtputf8="SMTPUTF8" in offers,
            pipelining="PIPELINING" in offers,
            starttls="STARTTLS" in offers,
            auth=frozenset(offers.get("AUTH", ())),
            enhanced_status_codes="ENHANCEDSTATUSCODES" in offers,
        )


class ConnectFailed(Exception):
    """No session: with whom, the step that failed, why, and the server's words where it had any."""

    def __init__(
        self, remote: str, stage: Stage, error_class: ErrorClass, text: str, reply: Reply | None
    ) -> None:
        super().__init__(text)
        self.remote = remote  # host:port
        self.stage = stage
        self.error_class = error_class
        self.text = text  # for a person
        self.reply = reply


def _size_limit(words: list[str] | None) -> int | None:
    if words is None:
        return None
    return int(words[0]) if words and words[0].isdecimal() else 0  # RFC 1870 4
