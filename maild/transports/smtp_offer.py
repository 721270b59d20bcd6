"""What an owner offers to a connection, and what it is told about it.

In charge of refusing what no command line and no message may carry. Not in charge of the dialogue
(`smtp_dialogue`), nor of what became of an offer (`smtp_outcome`).
"""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from maild.domain.smtp_reply import Reply
from maild.transports.smtp_outcome import Outcome
from maild.transports.smtp_server import Capabilities

if TYPE_CHECKING:
    from maild.transports.smtp_dialogue import Connection

# White space, angle brackets and controls end an address, or begin another command.
_UNSAFE_IN_ADDRESS = re.compile(r"[\x00-\x20<>\x7f\ud800-\udfff]")


@dataclass(slots=True, eq=False)
class Offer:
    """One message offered to a server. An empty `mail_from` is the null reverse-path.

    `message` has CRLF line ends, is not dot-stuffed, and is built to suit the connection's
    capabilities. `context` is the owner's own. Raises ValueError for an address that could end its
    command, and for a message with other line ends.
    """

    mail_from: str
    rcpt_to: str
    message: bytes
    context: Any
    is_eight_bit: bool = field(init=False)  # needs 8BITMIME, RFC 6152
    needs_utf8: bool = field(init=False)  # needs SMTPUTF8

    def __post_init__(self) -> None:
        if _UNSAFE_IN_ADDRESS.search(self.mail_from):
            raise ValueError("mail_from: not an address")
        if not self.rcpt_to or _UNSAFE_IN_ADDRESS.search(self.rcpt_to):
            raise ValueError("rcpt_to: not an address")
        message = self.message
        _check_line_ends(message)
        self.is_eight_bit = not message.isascii()
        # RFC 6531 3.4: the parameter covers the envelope and the message's headers alike.
        self.needs_utf8 = not (self.mail_from.isascii() and self.rcpt_to.isascii()) or (
            self.is_eight_bit and not message.partition(b"\r\n\r\n")[0].isascii()
        )


class Owner(Protocol):
    """Who drives a connection. Every method is called from the event loop, never from inside a
    call that the owner itself makes on the connection."""

    def on_go_ahead(self, connection: "Connection", offer: Offer) -> None:
        """The server waits for the end of the message: answer, now or later, with
        `connection.finish` or `connection.abort`. Nothing times out until then."""

    def on_done(self, connection: "Connection", offer: Offer, outcome: Outcome) -> None:
        """Exactly once for every offer that was begun."""

    def on_idle(self, connection: "Connection") -> None:
        """Nothing is begun any more, and the connection is usable: begin another offer, leave it
        idle, or quit. Not called for a connection that has just been opened."""

    def on_closed(self, connection: "Connection") -> None:
        """Once, and last: every offer that was begun is done."""


def misfit(offer: Offer, offered: Capabilities) -> tuple[Reply, str] | None:
    """What a server that offers this would say to the message, and the same in our words; None
    where the message suits it."""
    size, limit = len(offer.message), offered.size_limit
    if offer.needs_utf8 and not offered.smtputf8:  # RFC 6531 3.5
        return Reply(553, "5.6.7", ""), "no support for addresses beyond ASCII"
    if offer.is_eight_bit and not offered.eight_bit:  # RFC 6152 3
        return Reply(554, "5.6.3", ""), "no support for 8bit messages"
    if limit and size > limit:  # RFC 1870 6.1
        return Reply(552, "5.3.4", ""), f"{size} octets are over the server's limit of {limit}"
    return None


def envelope(offer: Offer, offered: Capabilities) -> bytes:
    """MAIL, RCPT and DATA, a line each."""
    parameters = ""
    if offered.size_limit is not None:
        parameters = f" SIZE={len(offer.message)}"  # RFC 1870 6
    if offer.is_eight_bit:
        parameters += " BODY=8BITMIME"  # RFC 6152 2
    if offer.needs_utf8:
        parameters += " SMTPUTF8"  # RFC 6531 3.4
    mail = f"MAIL FROM:<{offer.mail_from}>{parameters}"
    return f"{mail}\r\nRCPT TO:<{offer.rcpt_to}>\r\nDATA\r\n".encode()


def stuffed(message: bytes) -> bytes:
    """The message with its leading dots doubled (RFC 5321 4.5.2), without the final dot."""
    doubled = message.replace(b"\r\n.", b"\r\n..")
    return b"." + doubled if message.startswith(b".") else doubled


def _check_line_ends(message: bytes) -> None:
    """RFC 5321 2.3.8: CR and LF only as a pair, or one message could pass for two."""
    line_count = message.count(b"\r\n")
    if not (message.count(b"\n") == message.count(b"\r") == line_count):
        raise ValueError("message: a CR or LF stands alone")
    if not message.endswith(b"\r\n"):
        raise ValueError("message: the last line does not end")
