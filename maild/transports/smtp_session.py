"""Opening an SMTP session: from a host name to a server that is ready to take mail.

In charge of name lookup, connection, banner, EHLO, encryption and sign-in, and of never showing a
password to the wrong reader. Not in charge of messages (`smtp`) nor of the socket (`smtp_wire`).
"""

import re
import ssl
from base64 import b64encode
from dataclasses import dataclass, field, replace
from functools import cache
from time import monotonic
from typing import Literal

from maild.domain.smtp_reply import ErrorClass, Reply, Stage, classify
from maild.transports.smtp_wire import Wire, WireError, connect, resolve

Security = Literal["auto", "starttls", "tls", "none"]

_SUBMISSIONS_PORT = 465  # RFC 8314 3.3: TLS from the first octet
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

    connect: float = 10.0  # all the host's addresses together
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


class Laps:
    """A stopwatch: `mark` books the time since the last mark, in milliseconds, on a stage."""

    __slots__ = ("_since", "timings")

    def __init__(self, timings: dict[str, float] | None = None) -> None:
        self.timings = timings or {}
        self._since = monotonic()

    def mark(self, stage: Stage) -> None:
        now = monotonic()
        spent = (now - self._since) * 1000 + self.timings.get(stage, 0.0)  # EHLO comes twice
        self.timings[stage.value] = round(spent, 3)
        self._since = now


@dataclass(frozen=True, slots=True)
class Session:
    """A server ready for MAIL FROM, and how long each step to get there took."""

    wire: Wire
    capabilities: Capabilities
    timings: dict[str, float]


@cache
def _default_context() -> ssl.SSLContext:
    """Certificates and host names are always verified; loading the roots once saves 10 ms each."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8997
    return context


def open_session(
    server: Server, timeouts: Timeouts, ssl_context: ssl.SSLContext | None = None
) -> Session:
    """Connect, encrypt as `server.security` demands, and sign in; raises ConnectFailed.

    `ssl_context` replaces the system's trusted roots, for a relay with a private authority.
    """
    opening = _Opening(server, timeouts, ssl_context or _default_context())
    try:
        return opening.run()
    except WireError as error:
        opening.close()
        raise opening.failure(error.error_class, error.text) from error
    except BaseException:
        opening.close()
        raise


class _Opening:
    """The steps of opening a session; `_stage` is the one under way."""

    _wire: Wire | None = None
    _stage = Stage.DNS
    _capabilities = Capabilities()

    def __init__(self, server: Server, timeouts: Timeouts, ssl_context: ssl.SSLContext) -> None:
        self._server = server
        self._timeouts = timeouts
        self._ssl_context = ssl_context
        self._laps = Laps()

    def run(self) -> Session:
        security = self._server.security
        if security == "auto" and self._server.port == _SUBMISSIONS_PORT:
            security = "tls"
        wire = self._wire = self._dial()
        if security == "tls":
            self._start_tls(wire)
        self._await_banner(wire)
        self._hello(wire)
        if security == "starttls" or (security == "auto" and self._capabilities.starttls):
            self._upgrade(wire)
            # RFC 3207 4.2: nothing that was learnt in the clear is believed any longer.
            self._hello(wire)
        if self._server.username:
            self._sign_in(wire)
        return Session(wire, self._capabilities, self._laps.timings)

    def close(self) -> None:
        if self._wire:
            self._wire.close()

    def failure(
        self, error_class: ErrorClass, text: str, reply: Reply | None = None
    ) -> ConnectFailed:
        remote = self._server.remote
        text = f"{text} ({self._stage.words}, {remote})"
        return ConnectFailed(remote, self._stage, error_class, text, reply)

    def _dial(self) -> Wire:
        addresses = resolve(self._server.host, self._server.port)
        self._laps.mark(Stage.DNS)
        self._stage = Stage.CONNECT
        wire = connect(addresses, self._timeouts.connect)
        self._laps.mark(Stage.CONNECT)
        return wire

    def _await_banner(self, wire: Wire) -> None:
        self._stage = Stage.BANNER
        reply = wire.read_reply(self._timeouts.banner)
        self._laps.mark(Stage.BANNER)
        if reply.code != 220:
            raise self._refusal(reply)

    def _hello(self, wire: Wire) -> None:
        self._stage = Stage.EHLO
        reply = self._ask(wire, f"EHLO {self._server.local_hostname}")
        self._capabilities = Capabilities.from_ehlo(reply.text)
        if reply.code >= 500:  # RFC 5321 3.2: a server that does not know EHLO
            reply = self._ask(wire, f"HELO {self._server.local_hostname}")
            self._capabilities = Capabilities()
        self._laps.mark(Stage.EHLO)
        if reply.code != 250:
            raise self._refusal(reply)

    def _upgrade(self, wire: Wire) -> None:
        self._stage = Stage.TLS
        if not self._capabilities.starttls:
            raise self.failure(ErrorClass.TLS, "the server does not offer STARTTLS")
        reply = self._ask(wire, "STARTTLS")
        if reply.code != 220:
            raise self._refusal(reply)
        self._start_tls(wire)

    def _start_tls(self, wire: Wire) -> None:
        self._stage = Stage.TLS
        wire.start_tls(self._ssl_context, self._server.host, self._timeouts.command)
        self._laps.mark(Stage.TLS)

    def _sign_in(self, wire: Wire) -> None:
        self._stage = Stage.AUTH
        if not (wire.is_encrypted or wire.is_loopback or self._server.security == "none"):
            text = "the connection is not encrypted, and a password is never sent in the clear"
            raise self.failure(ErrorClass.TLS, text)
        username, password = self._server.username or "", self._server.password or ""
        plain = _base64(f"\0{username}\0{password}")
        offered = self._capabilities.auth
        if "PLAIN" in offered:  # RFC 4616, with the initial response of RFC 4954 4
            reply = self._converse(wire, f"AUTH PLAIN {plain}")
        elif "LOGIN" in offered:  # never standardised, and all that some servers know
            reply = self._converse(wire, "AUTH LOGIN", _base64(username), _base64(password))
        else:
            text = f"the server offers no way to sign in that maild knows ({_listed(offered)})"
            raise self.failure(ErrorClass.AUTH, text)
        self._laps.mark(Stage.AUTH)
        if reply.code != 235:
            raise self._refusal(_redacted(reply, plain, _base64(password)))

    def _converse(self, wire: Wire, *lines: str) -> Reply:
        """Say each line as long as the server asks for more; its last answer."""
        for line in lines:
            reply = self._ask(wire, line)
            if reply.code != 334:
                break
        return reply

    def _ask(self, wire: Wire, command: str) -> Reply:
        wire.write(f"{command}\r\n".encode(), self._timeouts.command)
        return wire.read_reply(self._timeouts.command)

    def _refusal(self, reply: Reply) -> ConnectFailed:
        return self.failure(classify(reply, self._stage).error_class, str(reply), reply)


def _size_limit(words: list[str] | None) -> int | None:
    if words is None:
        return None
    return int(words[0]) if words and words[0].isdecimal() else 0  # RFC 1870 4


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _listed(mechanisms: frozenset[str]) -> str:
    return ", ".join(sorted(mechanisms)) or "it offers none"


def _redacted(reply: Reply, *secrets: str) -> Reply:
    """The reply without the credentials, which some servers repeat in their complaint."""
    text = reply.text
    for secret in filter(None, secrets):
        text = text.replace(secret, "[redacted]")
    return replace(reply, text=text)
