"""Sending messages over one SMTP connection (RFC 5321), each to its outcome.

In charge of the dialogue from MAIL FROM to the reply after the final dot, and of saying exactly how
it ended: accepted, refused, lost, or unknown. Not in charge of opening the session
(`smtp_session`), of the message's bytes (`domain.mime`), nor of when to try again.

    connection = smtp.open_connection(server)
    outcome = connection.send("ann@example.com", "bob@example.org", build)
    connection.close()
"""

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from maild.domain.smtp_reply import ErrorClass, Reply, Stage, classify
from maild.transports.smtp_session import (
    Capabilities,
    ConnectFailed,
    Laps,
    Security,
    Server,
    Session,
    Timeouts,
    open_session,
)
from maild.transports.smtp_wire import WireError

__all__ = [
    "Capabilities",
    "ConnectFailed",
    "Connection",
    "ErrorClass",
    "Outcome",
    "Reply",
    "Security",
    "Server",
    "Stage",
    "Timeouts",
    "open_connection",
]

# White space, angle brackets and controls end an address, or begin another command.
_UNSAFE_IN_ADDRESS = re.compile(r"[\x00-\x20<>\x7f\ud800-\udfff]")
_REFUSED_IN_TRANSACTION = frozenset({Stage.MAIL_FROM, Stage.RCPT_TO, Stage.DATA})


_DEFAULT_TIMEOUTS = Timeouts()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one message's dialogue ended.

    `stage` is where it ended. `error_class` is None when accepted. `is_unknown`: contact was lost
    after the whole message had left and before its reply, so it may have been accepted. `is_stale`:
    a connection that had served before turned out to be closed; nothing of this message was looked
    at, and it can go over a new connection at once. `text` is for a person. `timings` are
    milliseconds by stage; the first message of a connection carries those of its opening.
    """

    accepted: bool
    stage: Stage
    reply: Reply | None
    error_class: ErrorClass | None
    is_permanent: bool
    is_unknown: bool
    is_stale: bool
    text: str
    remote: str  # host:port
    timings: dict[str, float] = field(default_factory=dict)


def open_connection(
    server: Server,
    timeouts: Timeouts = _DEFAULT_TIMEOUTS,
    ssl_context: ssl.SSLContext | None = None,
) -> "Connection":
    """A connection that is ready to send; raises ConnectFailed.

    `ssl_context` replaces the system's trusted roots, for a relay with a private authority.
    """
    return Connection(open_session(server, timeouts, ssl_context), server.remote, timeouts)


class Connection:
    """An open session with a server, for one thread and any number of messages, one at a time."""

    def __init__(self, session: Session, remote: str, timeouts: Timeouts) -> None:
        self.capabilities = session.capabilities
        self.remote = remote
        self._wire = session.wire
        self._timeouts = timeouts
        self._opening_timings = session.timings
        self._is_reused = False
        self._is_open = True

    @property
    def is_usable(self) -> bool:
        """False once contact is lost, or the server is out of step: close it and open another."""
        return self._is_open and not self._wire.has_input

    def send(self, mail_from: str, rcpt_to: str, build: Callable[[Capabilities], bytes]) -> Outcome:
        """Offer one message to the server. An empty `mail_from` is the null reverse-path.

        `build` gives the message as it suits the server, with CRLF line ends, not dot-stuffed.
        Raises ValueError for an address that could end its command, and for a message with other
        line ends; whatever `build` raises passes through. The connection stays usable then.
        """
        for name, address in (("mail_from", mail_from), ("rcpt_to", rcpt_to)):
            if _UNSAFE_IN_ADDRESS.search(address):
                raise ValueError(f"{name}: not an address")
        if not rcpt_to:
            raise ValueError("rcpt_to: not an address")
        message = build(self.capabilities)
        _check_line_ends(message)
        return self._offer(mail_from, rcpt_to, message)

    def close(self) -> None:
        """Say QUIT where there is somebody to say it to, and close. Never fails."""
        if self.is_usable:
            try:  # RFC 5321 4.1.1.10
                self._wire.write(b"QUIT\r\n", self._timeouts.quit)
                self._wire.read_reply(self._timeouts.quit)
            except WireError:
                pass
        self._abandon()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _offer(self, mail_from: str, rcpt_to: str, message: bytes) -> Outcome:
        self._laps = Laps(self._opening_timings)
        self._opening_timings = {}
        self._stage = Stage.MAIL_FROM
        offered = self.capabilities
        is_eight_bit = not message.isascii()
        # RFC 6531 3.4: the parameter covers the envelope and the message's headers alike.
        needs_utf8 = not (mail_from.isascii() and rcpt_to.isascii()) or (
            is_eight_bit and not message.partition(b"\r\n\r\n")[0].isascii()
        )
        if needs_utf8 and not offered.smtputf8:
            return self._unsendable(ErrorClass.PROTOCOL, "no support for addresses beyond ASCII")
        if is_eight_bit and not offered.eight_bit:
            return self._unsendable(ErrorClass.PROTOCOL, "no support for 8bit messages")
        if offered.size_limit and len(message) > offered.size_limit:
            text = f"{len(message)} octets are over the server's limit of {offered.size_limit}"
            return self._unsendable(ErrorClass.MESSAGE_TOO_LARGE, text)
        mail = f"MAIL FROM:<{mail_from}>"
        if offered.size_limit is not None:
            mail += f" SIZE={len(message)}"  # RFC 1870 6
        if is_eight_bit:
            mail += " BODY=8BITMIME"  # RFC 6152 2
        if needs_utf8:
            mail += " SMTPUTF8"
        self._is_open = False  # until this dialogue has ended where both sides know it
        try:
            return self._converse(mail, f"RCPT TO:<{rcpt_to}>", message)
        except WireError as error:
            self._laps.mark(self._stage)  # the step that failed took its time as well
            self._abandon()
            return self._lost(error)
        finally:
            self._is_reused = True

    def _converse(self, mail: str, rcpt: str, message: bytes) -> Outcome:
        for stage, command, expected in (
            (Stage.MAIL_FROM, mail, 2),
            (Stage.RCPT_TO, rcpt, 2),
            (Stage.DATA, "DATA", 3),
        ):
            self._stage = stage
            reply = self._ask(command)
            self._laps.mark(stage)
            if reply.code // 100 != expected:
                return self._refused(reply)
        self._stage = Stage.BODY
        self._wire.write(_stuffed(message), self._timeouts.data_block)
        self._laps.mark(Stage.BODY)
        self._stage = Stage.FINAL_DOT
        reply = self._wire.read_reply(self._timeouts.final_dot)
        self._laps.mark(Stage.FINAL_DOT)
        if reply.code // 100 != 2:
            return self._refused(reply)
        self._is_open = True
        return self._outcome(f"accepted: {reply}", reply=reply, accepted=True)

    def _ask(self, command: str) -> Reply:
        if self._wire.has_input:
            raise WireError(ErrorClass.PROTOCOL, "the server spoke out of turn")
        self._wire.write(f"{command}\r\n".encode(), self._timeouts.command)
        return self._wire.read_reply(self._timeouts.command)

    def _refused(self, reply: Reply) -> Outcome:
        if reply.code < 400 or reply.code == 421:  # out of step, or closing: RFC 5321 3.8
            self._abandon()
        elif self._stage is Stage.FINAL_DOT:
            self._is_open = True
        else:
            self._reset()
        verdict = classify(reply, self._stage)
        return self._outcome(
            str(reply),
            reply=reply,
            error_class=verdict.error_class,
            is_permanent=verdict.is_permanent,
            is_unknown=self._stage is Stage.FINAL_DOT and reply.code < 400,
            is_stale=self._has_gone_stale and reply.code == 421,
        )

    def _reset(self) -> None:
        """Clear what the server holds of a refused message, for the next one (RFC 5321 4.1.1.5)."""
        try:
            self._is_open = self._ask("RSET").code // 100 == 2
        except WireError:
            self._is_open = False
        if not self._is_open:
            self._abandon()

    def _lost(self, error: WireError) -> Outcome:
        is_unknown = self._stage is Stage.FINAL_DOT
        text = f"{error.text}; the message may have been accepted" if is_unknown else error.text
        return self._outcome(
            text,
            error_class=error.error_class,
            is_unknown=is_unknown,
            is_stale=self._has_gone_stale,
        )

    @property
    def _has_gone_stale(self) -> bool:
        return self._is_reused and self._stage is Stage.MAIL_FROM

    def _unsendable(self, error_class: ErrorClass, text: str) -> Outcome:
        return self._outcome(text, error_class=error_class, is_permanent=True)

    def _outcome(
        self,
        text: str,
        *,
        reply: Reply | None = None,
        accepted: bool = False,
        error_class: ErrorClass | None = None,
        is_permanent: bool = False,
        is_unknown: bool = False,
        is_stale: bool = False,
    ) -> Outcome:
        return Outcome(
            accepted=accepted,
            stage=self._stage,
            reply=reply,
            error_class=error_class,
            is_permanent=is_permanent,
            is_unknown=is_unknown,
            is_stale=is_stale,
            text=f"{text} ({self._stage.words}, {self.remote})",
            remote=self.remote,
            timings=self._laps.timings,
        )

    def _abandon(self) -> None:
        self._is_open = False
        self._wire.close()


def _check_line_ends(message: bytes) -> None:
    """RFC 5321 2.3.8: CR and LF only as a pair, or one message could pass for two."""
    line_count = message.count(b"\r\n")
    if not (message.count(b"\n") == message.count(b"\r") == line_count):
        raise ValueError("message: a CR or LF stands alone")
    if not message.endswith(b"\r\n"):
        raise ValueError("message: the last line does not end")


def _stuffed(message: bytes) -> bytes:
    """The message with its leading dots doubled, and the final dot (RFC 5321 4.5.2)."""
    stuffed = message.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    return b"." + stuffed if message.startswith(b".") else stuffed
