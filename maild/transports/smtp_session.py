"""Opening an SMTP session: from a host name to a server that is ready to take mail.

In charge of name lookup, connection, banner, EHLO, encryption and sign-in, step by step, and of
`probe`, which tells each step. Not in charge of messages (`smtp_dialogue`), of the choice of a way
to sign in (`smtp_auth`), nor of the bytes (`smtp_wire`).
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from time import monotonic

from maild.domain.smtp_reply import ErrorClass, Reply, Stage, classify
from maild.transports import smtp_auth
from maild.transports.smtp_certificate import Certificate, certificate_of
from maild.transports.smtp_replies import WireError
from maild.transports.smtp_server import Capabilities, ConnectFailed, Server, Timeouts
from maild.transports.smtp_wire import Wire, connect, resolve

_SUBMISSIONS_PORT = 465  # RFC 8314 3.3: TLS from the first octet


@dataclass(frozen=True, slots=True)
class Step:
    """One step of opening a session: whether it went well, the server's words or ours, and how
    many milliseconds it took."""

    stage: Stage
    ok: bool
    text: str
    ms: float


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What came of trying a server: the steps taken, and what was found.

    `valid`: mail could be handed over. `tls` is the protocol's version and the cipher, None in the
    clear. `auth` is the mechanism that signed us in. `capabilities` are the lines of the last EHLO.
    `error_class` says what kind of trouble it was where mail could not be handed over.
    """

    steps: list[Step]
    valid: bool
    tls: tuple[str, str] | None
    auth: str | None
    capabilities: list[str]
    certificate: Certificate | None = None
    error_class: ErrorClass | None = None


def _ignore(_: Step) -> None:
    """Who has no use for the steps as they are taken."""


@dataclass(frozen=True, slots=True)
class Session:
    """A server ready for MAIL FROM, and how many milliseconds each step to get there took."""

    wire: Wire
    capabilities: Capabilities
    timings: dict[str, float]


@cache
def _default_context() -> ssl.SSLContext:
    """Certificates and host names are always verified; loading the roots once saves 10 ms each."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8997
    return context


async def open_session(
    server: Server, timeouts: Timeouts, ssl_context: ssl.SSLContext | None = None
) -> Session:
    """Connect, encrypt as `server.security` demands, and sign in; raises ConnectFailed.

    `ssl_context` replaces the system's trusted roots, for a relay with a private authority.
    """
    return await _Opening(server, timeouts, ssl_context).run()


async def probe(
    server: Server,
    *,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 # frozen
    ssl_context: ssl.SSLContext | None = None,
    on_step: Callable[[Step], None] = _ignore,
) -> ProbeReport:
    """Try a server up to QUIT. Its trouble is in the report, never an exception. `on_step` is told
    each step as it ends.
    """
    opening = _Opening(server, timeouts, ssl_context, on_step)
    try:
        session = await opening.run()
    except ConnectFailed as failure:
        opening.take(failure.stage, failure.text, ok=False)
        return replace(opening.report(valid=False), error_class=failure.error_class)
    try:
        # RFC 5321 4.1.1.10
        opening.take(Stage.QUIT, str(await session.wire.ask("QUIT", timeouts.quit)))
    except WireError as error:
        opening.take(Stage.QUIT, error.text, ok=False)
    await session.wire.close(timeouts.quit)
    return opening.report(valid=True)


class _Opening:
    """The steps of opening a session; `_stage` is the one under way."""

    _wire: Wire | None = None
    _stage = Stage.DNS
    _capabilities = Capabilities()
    _offer_lines: list[str]
    _auth: str | None = None
    _tls: tuple[str, str] | None = None
    _certificate: Certificate | None = None

    def __init__(
        self,
        server: Server,
        timeouts: Timeouts,
        ssl_context: ssl.SSLContext | None,
        on_step: Callable[[Step], None] = _ignore,
    ) -> None:
        self._server = server
        self._timeouts = timeouts
        self._on_step = on_step
        self._ssl_context = ssl_context or _default_context()
        self._offer_lines = []
        self._steps: list[Step] = []
        self._since = monotonic()

    async def run(self) -> Session:
        """Take every step; raises ConnectFailed, and leaves nothing open then."""
        try:
            wire = await self._open()
            wire.check()
        except WireError as error:
            self._abort()
            raise self._failure(error.error_class, error.text) from error
        except BaseException:
            self._abort()
            raise
        return Session(wire, self._capabilities, self._timings())

    def take(self, stage: Stage, text: str, *, ok: bool = True) -> None:
        """Note a step that has ended, and how long it took."""
        step = Step(stage, ok, text, round((monotonic() - self._since) * 1000, 3))
        self._steps.append(step)
        self._on_step(step)
        self._since = monotonic()  # what is done with the step is no part of the next one

    def report(self, *, valid: bool) -> ProbeReport:
        return ProbeReport(
            self._steps, valid, self._tls, self._auth, self._offer_lines, self._certificate
        )

    async def _open(self) -> Wire:
        security = self._server.security
        if security == "auto" and self._server.port == _SUBMISSIONS_PORT:
            security = "tls"
        wire = self._wire = await self._dial()
        if security == "tls":
            await self._start_tls(wire)
        await self._await_banner(wire)
        await self._hello(wire)
        if security == "starttls" or (security == "auto" and self._capabilities.starttls):
            await self._upgrade(wire)
            # RFC 3207 4.2: nothing that was learnt in the clear is believed any longer.
            await self._hello(wire)
        if self._server.username:
            await self._sign_in(wire)
        return wire

    async def _dial(self) -> Wire:
        server, seconds = self._server, self._timeouts.connect
        addresses = await resolve(server.host, server.port, seconds, server.guard)
        self.take(Stage.DNS, ", ".join(dict.fromkeys(str(address[0]) for _, address in addresses)))
        self._stage = Stage.CONNECT
        wire = await connect(addresses, seconds)
        self.take(Stage.CONNECT, f"connected to {wire.peer}")
        return wire

    async def _await_banner(self, wire: Wire) -> None:
        self._stage = Stage.BANNER
        reply = await wire.read_reply(self._timeouts.banner)
        if reply.code != 220:
            raise self._refusal(reply)
        self.take(Stage.BANNER, str(reply))

    async def _hello(self, wire: Wire) -> None:
        self._stage = Stage.EHLO
        reply = await self._ask(wire, f"EHLO {self._server.local_hostname}")
        offered = reply.text
        if reply.code >= 500:  # RFC 5321 3.2: a server that does not know EHLO
            reply = await self._ask(wire, f"HELO {self._server.local_hostname}")
            offered = ""
        if reply.code != 250:
            raise self._refusal(reply)
        self._capabilities = Capabilities.from_ehlo(offered)
        self._offer_lines = offered.split("\n")[1:]
        self.take(Stage.EHLO, reply.text.partition("\n")[0])

    async def _upgrade(self, wire: Wire) -> None:
        self._stage = Stage.TLS
        if not self._capabilities.starttls:
            raise WireError(ErrorClass.TLS, "the server does not offer STARTTLS")
        reply = await self._ask(wire, "STARTTLS")
        if reply.code != 220:
            raise self._refusal(reply)
        await self._start_tls(wire)

    async def _start_tls(self, wire: Wire) -> None:
        self._stage = Stage.TLS
        await wire.start_tls(self._ssl_context, self._server.host, self._timeouts.command)
        cipher, version, _ = wire.transport.get_extra_info("cipher")
        self._tls = (version, cipher)
        self._certificate = certificate_of(wire.transport.get_extra_info("peercert"))
        self.take(Stage.TLS, f"{version}, {cipher}")

    async def _sign_in(self, wire: Wire) -> None:
        self._stage = Stage.AUTH
        is_private = wire.is_encrypted or wire.is_loopback
        way = smtp_auth.choose(self._server, self._capabilities.auth, is_private=is_private)
        reply = await self._ask(wire, way.command)
        said = [way.command.removeprefix(f"AUTH {way.mechanism}").strip()]
        for answer in way.answers:
            if reply.code != 334:
                break
            said.append(answer(reply.text))
            reply = await self._ask(wire, said[-1])
        if reply.code != 235:
            raise self._refusal(_redacted(reply, *said))
        self._auth = way.mechanism
        self.take(Stage.AUTH, str(_redacted(reply, *said)))

    async def _ask(self, wire: Wire, command: str) -> Reply:
        return await wire.ask(command, self._timeouts.command)

    def _refusal(self, reply: Reply) -> ConnectFailed:
        return self._failure(classify(reply, self._stage).error_class, str(reply), reply)

    def _failure(
        self, error_class: ErrorClass, text: str, reply: Reply | None = None
    ) -> ConnectFailed:
        remote = self._server.remote
        text = f"{text} ({self._stage.words}, {remote})"
        return ConnectFailed(remote, self._stage, error_class, text, reply)

    def _timings(self) -> dict[str, float]:
        timings: dict[str, float] = {}
        for step in self._steps:  # EHLO may be said twice
            timings[step.stage.value] = round(timings.get(step.stage.value, 0.0) + step.ms, 3)
        return timings

    def _abort(self) -> None:
        if self._wire is not None:
            self._wire.abort()


def _redacted(reply: Reply, *secrets: str) -> Reply:
    """The reply without the credentials, which some servers repeat in their complaint."""
    text = reply.text
    for secret in filter(None, secrets):
        text = text.replace(secret, "[redacted]")
    return replace(reply, text=text)
