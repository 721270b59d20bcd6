"""Handing mail to SMTP servers (RFC 5321) from one event loop: the door to the `smtp_*` modules.

    connection = await smtp.open_connection(server, owner)
    connection.begin(Offer("ann@example.com", "bob@example.org", message, context))
    # owner.on_go_ahead(connection, offer): connection.finish(the_next_offer)
    # owner.on_done(connection, offer, outcome)

`smtp_server` holds the values about a server, `smtp_session` opens a session with it (and signs in,
`smtp_auth`), `smtp_offer` says what is offered and what came of it, `smtp_dialogue` speaks about
messages, and `smtp_wire` knows the bytes; it dials only addresses that `lookup` gives out. None of
them decides when to try again.
"""

import ssl

from maild.domain.smtp_reply import ErrorClass, Reply, Stage
from maild.transports.smtp_certificate import Certificate
from maild.transports.smtp_dialogue import Connection
from maild.transports.smtp_offer import Offer, Outcome, Owner
from maild.transports.smtp_server import Capabilities, ConnectFailed, Security, Server, Timeouts
from maild.transports.smtp_session import ProbeReport, Step, open_session, probe

__all__ = [
    "Capabilities",
    "Certificate",
    "ConnectFailed",
    "Connection",
    "ErrorClass",
    "Offer",
    "Outcome",
    "Owner",
    "ProbeReport",
    "Reply",
    "Security",
    "Server",
    "Stage",
    "Step",
    "Timeouts",
    "open_connection",
    "probe",
]


async def open_connection(
    server: Server,
    owner: Owner,
    *,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 # frozen
    ssl_context: ssl.SSLContext | None = None,
) -> Connection:
    """A connection that is ready to send; raises ConnectFailed.

    `ssl_context` replaces the system's trusted roots, for a relay with a private authority.
    """
    session = await open_session(server, timeouts, ssl_context)
    return Connection(session, server.remote, owner, timeouts)
