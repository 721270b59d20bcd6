"""The dialogue about messages over one open SMTP session (RFC 5321), driven by what arrives.

In charge of the commands from MAIL FROM to the reply after the final dot, of pipelining them (RFC
2920), of giving each reply to the command it answers, and of saying exactly how each message ended:
accepted, refused, lost, stale, or unknown. Not in charge of opening the session (`smtp_session`),
of the message's bytes (`domain.mime`), nor of which message goes when: its owner decides that.

No task, future or timer is made for a message. `_pending` holds what awaits a reply, in order;
`_phase` says whose turn it is.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from enum import IntEnum
from time import monotonic

from maild.domain.smtp_reply import ErrorClass, Reply, Stage
from maild.transports import smtp_outcome
from maild.transports.smtp_alarm import Alarm
from maild.transports.smtp_offer import Offer, Owner, envelope, misfit, stuffed
from maild.transports.smtp_outcome import Ending, Outcome
from maild.transports.smtp_replies import Replies, WireError, parse_reply
from maild.transports.smtp_server import Timeouts
from maild.transports.smtp_session import Session
from maild.transports.smtp_wire import lost

_LARGE = 64 * 1024
"""Octets above which a message's content is sent, and has left, before its owner is asked."""
_BLOCK = 256 * 1024
_DRAIN_POLL_SECONDS = 0.01
_FINAL_DOT = b".\r\n"


class _Phase(IntEnum):
    """Whose turn it is. From LEAVING on, no message can be offered."""

    IDLE = 0  # the owner's: nothing is begun
    BUSY = 1  # the server's: replies are due
    CONTENT = 2  # the network's: a large message is on its way
    READY = 3  # ours: to give the owner the go-ahead
    OWNER = 4  # the owner's: to finish the message
    LEAVING = 5  # QUIT is said
    OVER = 6  # the connection is closed, or about to be


# Looking a member up costs more than everything else that is done with it.
_IDLE, _BUSY, _CONTENT, _READY, _OWNER, _LEAVING, _OVER = _Phase


class Connection(asyncio.Protocol):
    """An open session with a server: any number of messages, one after the other.

    `timings` are milliseconds by stage of the opening, `done_count` the messages that were answered
    for (accepted or refused), `idle_since` is on the monotonic clock. Offers are begun and the
    connection is quit when it is idle, which its owner hears from `on_idle`.
    """

    def __init__(self, session: Session, remote: str, owner: Owner, timeouts: Timeouts) -> None:
        self.capabilities = session.capabilities
        self.remote = remote
        self.timings = session.timings
        self.done_count = 0
        self._owner = owner
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._transport = session.wire.transport
        self._raw = session.wire.raw
        self._socket = session.wire.socket
        self._is_paused = False
        self._replies = Replies()
        self._phase = _IDLE
        self._pending: deque[_Handler] = deque()
        self._unsent: deque[tuple[_Handler, bytes]] = deque()  # without PIPELINING
        self._needs_reset = False  # the server holds a part of a refused message
        self._offer: Offer | None = None
        self._next: Offer | None = None
        self._content: memoryview | None = None  # what is left to be sent of a large message
        self._is_dot_sent = False
        self._refusal: tuple[Stage, Reply] | None = None
        self._message_timings = dict(session.timings)
        self._ending: Ending | None = None
        self._is_settled = False
        self._alarm = Alarm(self._time_out)
        self._now = self._since = self.idle_since = monotonic()
        # A write either leaves at once, or is known to wait. (1: at 0 a transport for TLS would
        # call an empty buffer full.)
        self._raw.set_write_buffer_limits(0)
        if self._transport is not self._raw:
            self._transport.set_write_buffer_limits(1, 0)
        self._transport.set_protocol(self)

    # What the owner calls

    @property
    def is_usable(self) -> bool:
        """False once contact is lost or given up, or the server is out of step."""
        return self._phase < _LEAVING

    @property
    def is_idle(self) -> bool:
        """Whether an offer can be begun."""
        return self._phase is _IDLE

    def refuse(self, offer: Offer) -> Outcome | None:
        """Why this server cannot take the offer at all, or None where it can."""
        fault = misfit(offer, self.capabilities)
        return fault and smtp_outcome.unsendable(*fault, self.remote)

    def begin(self, offer: Offer) -> None:
        """Offer a message. Raises RuntimeError where the connection is not idle, and ValueError for
        an offer that `refuse` refuses."""
        if self._phase is not _IDLE:
            raise RuntimeError("the connection is not idle")
        self._check(offer)
        self._phase = _BUSY
        self._offer = offer
        self._now = self._since = monotonic()
        self._transport.write(self._envelope(offer))
        self._alarm.set(self._now, self._timeouts.command)

    def finish(self, next_offer: Offer | None = None) -> None:
        """Send the message that was given the go-ahead, and begin the next one.

        A connection that was lost since then says so soon, by `on_done` for both. Raises
        RuntimeError where there was no go-ahead, and ValueError for an offer that `refuse` refuses.
        """
        if self._phase is _OVER and not self._is_settled and self._next is None:
            self._next = next_offer
            return
        if self._phase is not _OWNER or self._offer is None:
            raise RuntimeError("the server does not wait for a message")
        if next_offer is not None:
            self._check(next_offer)
            self._next = next_offer
        self._now = monotonic()
        self._lap(Stage.BODY)
        self._phase = _BUSY
        self._pending.append(Connection._dot_answered)
        message = self._offer.message
        data = _FINAL_DOT if len(message) > _LARGE else stuffed(message) + _FINAL_DOT
        if next_offer is not None and self.capabilities.pipelining:
            data += self._envelope(next_offer)  # RFC 2920 3.1: content may begin a group
        if not self._raw.is_closing():
            self._transport.write(data)
            # A first write that fails has sent nothing, and closes the transport at once.
            self._is_dot_sent = not self._raw.is_closing()
        self._alarm.set(self._now, self._timeouts.final_dot)

    def quit(self) -> None:
        """Say QUIT, and close. Raises RuntimeError where a message is under way."""
        if self._phase >= _LEAVING:
            return
        if self._phase is not _IDLE:
            raise RuntimeError("the connection is not idle")
        self._phase = _LEAVING
        self._now = monotonic()
        self._transport.write(b"QUIT\r\n")  # RFC 5321 4.1.1.10
        self._alarm.set(self._now, self._timeouts.quit)

    def abort(self) -> None:
        """Close at once. A message whose end is not sent is stale then, unless it has been refused
        already; one whose end is sent is unknown."""
        self._now = monotonic()
        text = "the connection was given up"
        self._give_up(Ending(ErrorClass.CONNECTION, text, is_our_doing=True))

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        if self._phase is _OVER:
            return
        self._now = monotonic()
        self._read(data)
        # Only now, because whatever came with these replies cannot answer what the owner will say.
        self._go_on()

    def eof_received(self) -> None:
        self._now = monotonic()
        self._fail(lost(None))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._phase is not _OVER:
            self._now = monotonic()
            if exc is not None and self._transport is self._raw:
                self._read_last_words()
            self._fail(lost(exc))
        self._settle()

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._continue_content()

    # Replies, each to its command

    def _read(self, data: bytes) -> None:
        try:
            for code, lines in self._replies.feed(data):
                if self._phase is _LEAVING:  # whatever it says to QUIT
                    self._leave()
                elif code == 421 or not self._pending:
                    self._interrupted(lines)
                else:
                    self._pending.popleft()(self, code, lines)
                if self._phase is _OVER:
                    return
        except WireError as error:
            self._fail(error)

    def _leave(self) -> None:
        if not self._transport.is_closing():
            self._transport.close()

    def _interrupted(self, lines: list[bytes]) -> None:
        """The server closes the channel (RFC 5321 3.8), or says something that nobody asked.

        While a message is on its way the latter is the answer to it, ahead of time; anything else
        would be out of step with the commands for ever.
        """
        reply = parse_reply(lines)
        if reply.code == 421:
            ending = Ending(ErrorClass.CONNECTION, str(reply), reply)
        else:
            ending = Ending(ErrorClass.PROTOCOL, f"the server spoke out of turn: {reply}", reply)
        self._give_up(ending)

    def _reset_answered(self, code: int, lines: list[bytes]) -> None:
        if code // 100 != 2:
            text = f"the server refuses to reset: {parse_reply(lines)}"
            self._give_up(Ending(ErrorClass.PROTOCOL, text))
            return
        self._needs_reset = False
        self._send_next()

    def _mail_answered(self, code: int, lines: list[bytes]) -> None:
        self._lap(Stage.MAIL_FROM)
        if code // 100 == 2:
            self._needs_reset = True
            self._send_next()
        else:
            self._refused(Stage.MAIL_FROM, lines)

    def _rcpt_answered(self, code: int, lines: list[bytes]) -> None:
        if self._refusal is None:
            self._lap(Stage.RCPT_TO)
        if code // 100 == 2:
            self._needs_reset = True
            self._send_next()
        else:
            self._refused(Stage.RCPT_TO, lines)

    def _data_answered(self, code: int, lines: list[bytes]) -> None:
        if code // 100 != 3:
            if self._refusal is None:
                self._lap(Stage.DATA)
            self._refused(Stage.DATA, lines)
        elif self._refusal is None:
            self._lap(Stage.DATA)
            self._needs_reset = False  # the message's end will clear it, whatever comes of it
            self._prepare_content()
        else:
            # RFC 2920 3.1: a server that says 354 to no recipient gets an empty message.
            self._transport.write(_FINAL_DOT)
            self._pending.append(Connection._lone_dot_answered)
            self._conclude(self._refusal_outcome(*self._refusal))

    def _lone_dot_answered(self, code: int, lines: list[bytes]) -> None:
        self._needs_reset = False
        if code // 100 == 3:
            self._interrupted(lines)

    def _dot_answered(self, code: int, lines: list[bytes]) -> None:
        if code // 100 == 3:  # no answer to a message; RFC 5321 4.2.1
            self._interrupted(lines)
            return
        self._lap(Stage.FINAL_DOT)
        reply = parse_reply(lines)
        if code // 100 == 2:
            self._conclude(smtp_outcome.accepted(reply, self.remote, self._message_timings))
        else:
            self._conclude(self._refusal_outcome(Stage.FINAL_DOT, reply))

    def _refused(self, stage: Stage, lines: list[bytes]) -> None:
        """The first refusal is the message's; those that follow in the group follow from it."""
        reply = parse_reply(lines)
        if self._refusal is None:
            self._refusal = stage, reply
        if reply.code < 400:
            text = f"the server is out of step: {reply}"
            self._give_up(Ending(ErrorClass.PROTOCOL, text))
        elif not self._pending:
            self._unsent.clear()
            self._conclude(self._refusal_outcome(*self._refusal))

    def _conclude(self, outcome: Outcome) -> None:
        """One message is done, and the next one, if any, is the current one."""
        offer, self._offer, self._next = self._offer, self._next, None
        assert offer is not None
        self.done_count += 1
        self._is_dot_sent = False
        self._refusal = None
        self._message_timings = {}
        self._since = self._now
        if self._offer is not None and not self._pending:
            self._transport.write(self._envelope(self._offer))
        self._owner.on_done(self, offer, outcome)

    def _go_on(self) -> None:
        """After the last reply that has come: whose turn is it?"""
        if self._phase >= _LEAVING:
            return
        if self._pending:
            is_dot = self._pending[0] is Connection._dot_answered
            seconds = self._timeouts.final_dot if is_dot else self._timeouts.command
            self._alarm.set(self._now, seconds)
        elif self._replies.is_partial:
            if self._offer is None:
                text = "the server spoke out of turn"
                self._give_up(Ending(ErrorClass.PROTOCOL, text))
            else:  # something is to be said about the message ahead of time
                self._alarm.set(self._now, self._timeouts.command)
        elif self._offer is None:
            self._phase = _IDLE
            self.idle_since = self._now
            self._alarm.clear()
            self._owner.on_idle(self)
        elif self._phase is _READY:
            self._phase = _OWNER
            self._alarm.clear()
            self._owner.on_go_ahead(self, self._offer)

    # Commands and content

    def _check(self, offer: Offer) -> None:
        if misfit(offer, self.capabilities) is not None:
            raise ValueError("the server cannot take this offer")

    def _envelope(self, offer: Offer) -> bytes:
        """MAIL, RCPT and DATA: all of them where the server takes a group, else the first."""
        group = envelope(offer, self.capabilities)
        handlers = _ENVELOPE
        if self._needs_reset:  # RFC 5321 4.1.1.5
            group = b"RSET\r\n" + group
            handlers = (Connection._reset_answered, *_ENVELOPE)
        if self.capabilities.pipelining:
            self._pending.extend(handlers)
            return group
        commands = group.splitlines(keepends=True)
        self._unsent.extend(zip(handlers, commands, strict=True))
        return self._take_unsent()

    def _take_unsent(self) -> bytes:
        handler, command = self._unsent.popleft()
        self._pending.append(handler)
        return command

    def _send_next(self) -> None:
        if self._unsent:
            self._transport.write(self._take_unsent())

    def _prepare_content(self) -> None:
        assert self._offer is not None
        if len(self._offer.message) <= _LARGE:
            self._phase = _READY
            return
        self._phase = _CONTENT
        self._content = memoryview(stuffed(self._offer.message))
        self._send_content()

    def _send_content(self) -> None:
        """Send a large message as fast as it leaves, and call it ready when all of it has left, so
        that the final dot waits behind nothing."""
        if self._phase is not _CONTENT or self._content is None:
            return
        self._now = monotonic()
        while self._content and not self._is_paused:
            self._alarm.set(self._now, self._timeouts.data_block)
            block, self._content = self._content[:_BLOCK], self._content[_BLOCK:]
            self._transport.write(block)
        if self._is_paused or self._raw.is_closing():
            return
        if self._raw.get_write_buffer_size():  # below TLS, where nobody tells us of its end
            self._loop.call_later(_DRAIN_POLL_SECONDS, self._continue_content)
            return
        self._content = None
        self._phase = _READY

    def _continue_content(self) -> None:
        self._send_content()
        if self._phase is _READY:
            self._go_on()

    def _lap(self, stage: Stage) -> None:
        """Book the time since the last lap on a stage, in milliseconds."""
        self._message_timings[stage.value] = round((self._now - self._since) * 1000, 3)
        self._since = self._now

    # The end

    def _time_out(self) -> None:
        self._now = monotonic()
        self._give_up(Ending(ErrorClass.TIMEOUT, "no answer in time"))

    def _read_last_words(self) -> None:
        """What the server had said before it reset the connection, and nobody has read yet."""
        with suppress(OSError):
            self._read(self._socket.recv(_LARGE))

    def _fail(self, error: WireError) -> None:
        self._give_up(Ending(error.error_class, error.text))

    def _give_up(self, ending: Ending) -> None:
        if self._phase is _OVER:
            return
        self._phase = _OVER
        self._ending = ending
        self._content = None
        self._alarm.cancel()
        # Soon, and not now: it may be the owner who called, or TLS, in the middle of its own work.
        self._loop.call_soon(self._settle)

    def _settle(self) -> None:
        """Tell the owner what became of everything; once, whoever comes first."""
        if self._is_settled or self._ending is None:
            return
        self._is_settled = True
        self._transport.abort()
        offer, next_offer = self._offer, self._next
        self._offer = self._next = None
        with ExitStack() as calls:  # the last one first, and all of them
            calls.callback(self._owner.on_closed, self)
            if next_offer is not None:
                outcome = self._behind(self._ending)
                calls.callback(self._owner.on_done, self, next_offer, outcome)
            if offer is not None:
                calls.callback(self._owner.on_done, self, offer, self._last_outcome(self._ending))

    def _last_outcome(self, ending: Ending) -> Outcome:
        """The current message's, as far as the dialogue about it went."""
        if self._refusal is not None:
            return self._refusal_outcome(*self._refusal)
        stage = self._stage
        self._lap(stage)  # the step that failed took its time as well
        reply, remote, timings = ending.reply, self.remote, self._message_timings
        if self._is_dot_sent:
            if reply is not None and reply.code >= 400:
                return smtp_outcome.refused(stage, reply, remote, timings)
            return smtp_outcome.unknown(ending, remote, timings)
        is_untouched = self.done_count > 0 and stage is Stage.MAIL_FROM
        if is_untouched or ending.is_our_doing:
            return smtp_outcome.stale(stage, ending, remote, timings)
        if reply is not None:
            return smtp_outcome.refused(stage, reply, remote, timings)
        return smtp_outcome.lost(stage, ending, remote, timings)

    @property
    def _stage(self) -> Stage:
        """How far the current message has come."""
        if self._is_dot_sent:
            return Stage.FINAL_DOT
        if self._unsent and not self._pending:
            return _STAGES[self._unsent[0][0]]
        return _STAGES.get(self._pending[0], Stage.BODY) if self._pending else Stage.BODY

    def _behind(self, ending: Ending) -> Outcome:
        """Of the message that was begun behind the current one: nobody has looked at it."""
        ending = replace(ending, reply=None)  # that is not about this message
        return smtp_outcome.stale(Stage.MAIL_FROM, ending, self.remote, {})

    def _refusal_outcome(self, stage: Stage, reply: Reply) -> Outcome:
        return smtp_outcome.refused(stage, reply, self.remote, self._message_timings)


_Handler = Callable[[Connection, int, list[bytes]], None]

_ENVELOPE: tuple[_Handler, ...] = (
    Connection._mail_answered,
    Connection._rcpt_answered,
    Connection._data_answered,
)
_STAGES: dict[_Handler, Stage] = {
    Connection._reset_answered: Stage.MAIL_FROM,
    Connection._mail_answered: Stage.MAIL_FROM,
    Connection._rcpt_answered: Stage.RCPT_TO,
    Connection._data_answered: Stage.DATA,
}
