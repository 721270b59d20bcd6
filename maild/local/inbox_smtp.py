"""The inbox's SMTP side: accepts everything, and follows the orders that recipients give.

In charge of the dialogue, and of a reply that is never sooner than the message is on the disk. The
orders are `inbox_rules.py`'s, the file `inbox_store.py`'s.
"""

import asyncio
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session, syntax

from maild import clock
from maild.local import inbox_reports, inbox_rules, inbox_store
from maild.local.inbox_message import summarise
from maild.local.inbox_reports import Login, Reporter
from maild.local.inbox_rules import Drop
from maild.local.inbox_store import Mail

MAX_MESSAGE_BYTES = 25 * 1024 * 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who has signed in; `sandbox` is there where reports are wanted."""

    username: str
    sandbox: Login | None = None


class GroupCommit:
    """Stores messages in batches: what arrives during one commit shares the next.

    A commit waits for the disk; one commit for each message would make them queue for it.
    """

    def __init__(self, path: Path) -> None:
        self._store = inbox_store.connect(path)
        self._thread = ThreadPoolExecutor(1)  # SQLite has one writer
        self._waiting: list[tuple[Mail, asyncio.Future[None]]] = []
        self._flush: asyncio.Task[None] | None = None

    async def add(self, mail: Mail) -> None:
        """Return when `mail` is on the disk. Raises sqlite3.Error."""
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((mail, stored))
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._flush_all())
        await stored

    async def close(self) -> None:
        """Finish what has begun, and close the file."""
        if self._flush is not None:
            await self._flush
        self._thread.shutdown()
        self._store.close()

    async def _flush_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            mails = [mail for mail, _ in batch]
            problem: Exception | None = None
            try:
                await loop.run_in_executor(self._thread, inbox_store.add, self._store, mails)
            except sqlite3.Error as error:
                problem = error
            for _, stored in batch:
                if stored.done():  # its client went away in the meantime
                    continue
                if problem:
                    stored.set_exception(problem)
                else:
                    stored.set_result(None)


def make_protocol(
    mails: GroupCommit, greylisted: set[tuple[str, str]], reporter: Reporter | None = None
) -> SMTP:
    """The protocol of one connection, for `loop.create_server`.

    `greylisted` holds the (sender, recipient) pairs that have been refused once; the connections of
    one server share it. `reporter` tells maild what became of the sandbox's mail.
    """
    return _Protocol(
        _Handler(mails, greylisted, reporter),
        data_size_limit=MAX_MESSAGE_BYTES,
        enable_SMTPUTF8=True,
        hostname="inbox.localhost",
        ident="maild inbox",
        auth_require_tls=False,
        authenticator=_authenticate,
    )


class _Handler:
    """What the server does at a command; aiosmtpd calls these methods by their names."""

    def __init__(
        self,
        mails: GroupCommit,
        greylisted: set[tuple[str, str]],
        reporter: Reporter | None,
    ) -> None:
        self._mails = mails
        self._greylisted = greylisted
        self._reporter = reporter

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, host: str, replies: list[str]
    ) -> list[str]:
        session.host_name = host
        # RFC 2920: commands are read line by line, so that several may come at once.
        return [*replies[:-1], "250-PIPELINING", replies[-1]]

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        username = session.auth_data.username if session.auth_data else ""
        order = inbox_rules.order_for(address, username=username)
        if order.reply and not (order.once and self._was_refused(envelope.mail_from, address)):
            if order.hangs_up:
                await server.push(order.reply)
                await _end_connection(server)
            return order.reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        orders = [inbox_rules.order_for(address) for address in envelope.rcpt_tos]
        await asyncio.sleep(max(order.delay_seconds for order in orders))
        mail = _mail(envelope)
        await self._mails.add(mail)
        sandbox = session.auth_data.sandbox if session.auth_data else None
        if self._reporter is not None and sandbox is not None:
            for address, order in zip(mail.recipients, orders, strict=True):
                self._reporter.add(
                    sandbox,
                    recipient=address,
                    message_id=mail.summary["MessageID"],
                    reports=order.reports,
                )
        if any(order.drop is Drop.AFTER_DOT for order in orders):
            await _end_connection(server, at_once=True)
        return "250 2.0.0 Stored"

    async def handle_exception(self, error: Exception) -> str:
        _log.error("%s: %s", type(error).__name__, error)
        return "451 4.3.0 The inbox has a problem of its own"

    def _was_refused(self, sender: str | None, recipient: str) -> bool:
        pair = (sender or "", recipient.lower())
        if pair in self._greylisted:
            return True
        self._greylisted.add(pair)
        return False


class _Protocol(SMTP):
    """aiosmtpd's protocol, which can also cut the connection in the middle of a message."""

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        recipients = self.envelope.rcpt_tos if self.envelope else []
        if any(inbox_rules.order_for(r).drop is Drop.BEFORE_DOT for r in recipients):
            # Before the 354: a short mail would otherwise be out, dot and all, in one packet.
            await _end_connection(self, at_once=True)
        await super().smtp_DATA(arg)


async def _end_connection(server: SMTP, *, at_once: bool = False) -> None:
    """Close the connection, `at_once` without sending what is left to send. Never returns.

    aiosmtpd cancels the task of a connection that has ended, which is the one that waits here.
    """
    transport = server.transport
    if isinstance(transport, asyncio.Transport):
        transport.abort() if at_once else transport.close()
    await asyncio.get_running_loop().create_future()


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any
) -> AuthResult:
    username = login.login.decode("utf-8", "replace")
    if inbox_rules.refuses_login(username):
        refusal = "535 5.7.8 Authentication credentials invalid"
        return AuthResult(success=False, handled=False, message=refusal)
    password = login.password.decode("utf-8", "replace")
    sandbox = inbox_reports.find_login(username, password)
    return AuthResult(success=True, auth_data=SignedIn(username, sandbox))


def _mail(envelope: Envelope) -> Mail:
    recipients = [_readable(address) for address in envelope.rcpt_tos]
    raw = bytes(envelope.original_content or b"")
    return Mail(
        received_at=clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        mail_from=_readable(envelope.mail_from or ""),
        recipients=recipients,
        summary=summarise(raw, recipients=recipients),
        raw=raw,
    )


def _readable(address: str) -> str:
    return address.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
