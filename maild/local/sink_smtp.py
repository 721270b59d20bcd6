"""The dialogue of the sink: SMTP as a fast, obedient provider speaks it, for drills and benchmarks.

In charge of one connection: commands, replies, and the final dot. Not in charge of listening, of
processes, nor of changing the mode: `sink.py` is. The orders that recipients give are
`inbox_rules.py`'s.

It is written for speed: replies to what came in one read leave in one write, and a message's body
is searched for its end and never looked at line by line.
"""

import asyncio
import base64
import binascii
import re
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import cast

from maild.local import inbox_rules
from maild.local.inbox_rules import ACCEPT, Drop, Order
from maild.local.sink_state import CONNECTIONS, MESSAGES, REFUSED, Mode, Shared

MAX_MESSAGE_BYTES = 25 * 1024 * 1024
MAX_LINE_BYTES = 4096
HEAD_BYTES = 256 * 1024
"""How much of a message is kept until its end: enough for any header section."""

# What an address with an order begins with. The rules themselves need a regular expression, which
# would cost an ordinary recipient more than the rest of its command.
_ORDERS_BEGIN = frozenset(name[:4] for name in inbox_rules.RULES)

_PATH = re.compile(rb'\s*<((?:"(?:[^"\\]|\\.)*+"|[^">]++)*+)>\s*(.*)', re.DOTALL)
_PARAMETER = re.compile(rb"(SIZE|BODY|AUTH|RET|ENVID)=(\S+)|SMTPUTF8", re.IGNORECASE)
_MESSAGE_ID = re.compile(rb"^message-id:\s*<([^>\s]+)>", re.IGNORECASE | re.MULTILINE)

_EHLO = b"\r\n250-".join(
    (
        b"250-sink.localhost",
        b"PIPELINING",
        b"SIZE %d" % MAX_MESSAGE_BYTES,
        b"8BITMIME",
        b"SMTPUTF8",
        b"ENHANCEDSTATUSCODES",
        b"AUTH PLAIN LOGIN\r\n",
    )
).replace(b"250-AUTH", b"250 AUTH")
_STORED = b"250 2.0.0 Stored\r\n"
_OUT_OF_ORDER = b"503 5.5.1 Bad sequence of commands\r\n"
_SYNTAX = b"501 5.5.4 Syntax error in the argument\r\n"
_TOO_LARGE = b"552 5.3.4 Message too big\r\n"
_LOGIN_REFUSED = b"535 5.7.8 Authentication credentials invalid\r\n"
_DEFERRED = b"451 4.3.0 Temporary server error, try again later\r\n"
_THROTTLED = (
    b"421 4.7.0 Too many messages, slow down\r\n",
    b"450 4.7.1 Rate limited, try again in 5 seconds\r\n",
)


class Dialogue(asyncio.Protocol):
    """One connection."""

    _transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._buffer = bytearray()
        self._replies: list[bytes] = []
        self._delayed: deque[Callable[[], None]] = deque()
        self._slow: asyncio.TimerHandle | None = None
        self._is_muted = False
        self._is_ending = False
        self._is_congested = False
        self._has_greeted = False
        self._is_signed_in = False
        self._login_step: Callable[[bytes], None] | None = None
        self._is_line_too_long = False
        self._message_count = 0
        self._in_data = False
        self._reset()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._shared.open.add(self)
        self._shared.counters[CONNECTIONS] += 1
        self._is_muted = self._shared.mode is Mode.SILENT
        if not self._is_muted:
            self._say(b"220 sink.localhost ESMTP maild sink\r\n")
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.open.discard(self)
        self._is_ending = True
        self._delayed.clear()
        if self._slow is not None:
            self._slow.cancel()

    def data_received(self, data: bytes) -> None:
        if self._is_ending or self._is_muted:
            return
        self._buffer += data
        self._go_on()

    def eof_received(self) -> bool:
        self._end()
        return True  # what is still to be said goes out first

    def pause_writing(self) -> None:
        self._is_congested = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_congested = False
        if self._slow is None:
            self._transport.resume_reading()

    def mute(self) -> None:
        """Say nothing more, and forget what is said to us."""
        self._is_muted = True
        self._buffer.clear()
        self._delayed.clear()
        if self._slow is not None:
            self._slow.cancel()

    def cut(self, *, muted_only: bool = False) -> None:
        """End the connection at once, without sending what is left to send."""
        if self._is_muted or not muted_only:
            self._is_ending = True
            self._transport.abort()

    def _reset(self) -> None:
        """Forget the message under way."""
        self._sender: bytes | None = None
        self._recipients: list[bytes] = []
        self._orders: list[Order] = []
        self._message_id: bytes | None = None
        self._size = 0

    def _go_on(self) -> None:
        """Answer everything in the buffer, as far as it goes."""
        while self._buffer and not self._is_ending and self._slow is None:
            if not (self._read_body() if self._in_data else self._read_commands()):
                break
        self._flush()

    def _read_commands(self) -> bool:
        """Answer the commands in the buffer; False where the rest is no whole line."""
        buffer, begin = self._buffer, 0
        while (end := buffer.find(b"\n", begin)) >= 0:
            line = bytes(buffer[begin:end])
            begin = end + 1
            if self._is_line_too_long or len(line) > MAX_LINE_BYTES:
                self._is_line_too_long = False
                self._say(b"500 5.5.2 Line too long\r\n")
            elif self._login_step is not None:
                step, self._login_step = self._login_step, None
                step(line.strip())
            else:
                self._obey(line)
            if self._in_data or self._is_ending:
                break
        del buffer[:begin]
        if end < 0 and len(buffer) > MAX_LINE_BYTES:
            self._is_line_too_long = True
            buffer.clear()
        return end >= 0

    def _obey(self, line: bytes) -> None:
        verb = line[:4].upper()
        # The three of every message come first, and need no table.
        if verb == b"MAIL":
            self._mail(line)
        elif verb == b"RCPT":
            self._rcpt(line)
        elif verb == b"DATA":
            self._data()
        else:
            verb, _, argument = line.strip().partition(b" ")
            _COMMANDS.get(verb.upper(), Dialogue._unknown)(self, argument.strip())

    def _mail(self, line: bytes) -> None:
        path = _PATH.match(line, 10) if line[4:10].upper() == b" FROM:" else None
        if path is None:
            self._say(_SYNTAX)
        elif not self._has_greeted or self._sender is not None:
            self._say(_OUT_OF_ORDER)
        elif self._message_count >= self._shared.max_messages:
            self._say(b"421 4.7.0 Too many messages on this connection\r\n")
            self._end()
        elif self._shared.mode is Mode.AUTHFAIL and not self._is_signed_in:
            self._refuse(b"530 5.7.0 Authentication required\r\n")
        elif path[2] and (complaint := _complaint(path[2])):
            self._say(complaint)
        else:
            self._sender = path[1]
            self._say(b"250 2.1.0 OK\r\n")

    def _rcpt(self, line: bytes) -> None:
        path = _PATH.match(line, 8) if line[4:8].upper() == b" TO:" else None
        if path is None or not path[1]:
            self._say(_SYNTAX)
            return
        if self._sender is None:
            self._say(_OUT_OF_ORDER)
            return
        address, shared = path[1], self._shared
        if shared.mode is Mode.THROTTLE:
            reply = _THROTTLED[shared.throttled_count % 2]
            shared.throttled_count += 1
            self._refuse(reply, hangs_up=reply.startswith(b"421"))
            return
        if shared.mode is Mode.DEFER:
            self._refuse(_DEFERRED)
            return
        text = address.decode("utf-8", "surrogateescape")
        if text[:4].lower() in _ORDERS_BEGIN:
            order = inbox_rules.order_for(text)
            if order.reply and not (order.once and self._was_refused(address)):
                self._refuse(order.reply.encode() + b"\r\n", hangs_up=order.hangs_up)
                return
            if order is not ACCEPT:
                self._orders.append(order)
        self._recipients.append(address)
        self._say(b"250 2.1.5 OK\r\n")

    def _was_refused(self, address: bytes) -> bool:
        pair = (self._sender or b"", address.lower())
        if pair in self._shared.greylisted:
            return True
        self._shared.greylisted.add(pair)
        return False

    def _data(self) -> None:
        if self._sender is None:
            self._say(_OUT_OF_ORDER)
        elif not self._recipients:
            self._say(b"554 5.5.1 No valid recipients\r\n")  # RFC 2920 3.1
        elif self._orders and any(order.drop is Drop.BEFORE_DOT for order in self._orders):
            # Before the 354: a short mail would otherwise be out, dot and all, in one packet.
            self._end(is_cut=True)
        else:
            self._in_data = True
            self._say(b"354 End data with <CR><LF>.<CR><LF>\r\n")

    def _read_body(self) -> bool:
        """Look for the final dot; False where it has not come yet."""
        buffer = self._buffer
        if not self._size and buffer.startswith(b".\r\n"):
            end, after = 0, 3  # a message without a single line
        else:
            # RFC 5321 4.1.1.4: CRLF on both sides. Bare line feeds would let mail be smuggled in.
            end = buffer.find(b"\r\n.\r\n")
            after = end + 5
        if end < 0:
            if len(buffer) > HEAD_BYTES:
                self._note_message_id()
                self._size += len(buffer) - 4
                del buffer[:-4]  # which may be the beginning of the end
            return False
        self._size += end
        if self._shared.ledger is not None:
            self._note_message_id()
        del buffer[:after]
        self._in_data = False
        delay = max((order.delay_seconds for order in self._orders), default=0)
        if delay:
            self._transport.pause_reading()
            self._slow = asyncio.get_running_loop().call_later(delay, self._end_slow)
            return False
        self._store()
        return True

    def _end_slow(self) -> None:
        self._slow = None
        if not self._is_congested:
            self._transport.resume_reading()
        self._store()
        self._go_on()

    def _note_message_id(self) -> None:
        if self._message_id is None:
            end = self._buffer.find(b"\r\n\r\n", 0, HEAD_BYTES)
            found = _MESSAGE_ID.search(self._buffer, 0, end if end >= 0 else HEAD_BYTES)
            self._message_id = found[1] if found else b"-"

    def _store(self) -> None:
        """The message is whole: write it down, and then say so."""
        if self._size > MAX_MESSAGE_BYTES:
            self._say(_TOO_LARGE)
        elif self._write_down():
            self._shared.counters[MESSAGES] += 1
            self._message_count += 1
            if self._orders and any(order.drop is Drop.AFTER_DOT for order in self._orders):
                self._end(is_cut=True)
            else:
                self._say(_STORED)
        self._reset()

    def _write_down(self) -> bool:
        if self._shared.ledger is None:
            return True
        try:
            self._shared.ledger.add(self._message_id or b"-", self._recipients)
        except OSError as error:
            print(f"sink: the ledger cannot be written: {error}", file=sys.stderr, flush=True)
            self._say(b"452 4.3.1 The ledger cannot be written\r\n")
            return False
        return True

    def _hello(self, argument: bytes) -> None:
        self._reset()
        self._has_greeted = True
        self._say(_EHLO)

    def _hello_without_extensions(self, argument: bytes) -> None:
        self._reset()
        self._has_greeted = True
        self._say(b"250 sink.localhost\r\n")

    def _auth(self, argument: bytes) -> None:
        mechanism, _, initial = argument.partition(b" ")
        if not self._has_greeted or self._is_signed_in or self._sender is not None:
            self._say(_OUT_OF_ORDER)
        elif mechanism.upper() == b"PLAIN":
            self._ask(b"", self._auth_plain, initial)
        elif mechanism.upper() == b"LOGIN":
            self._ask(b"VXNlcm5hbWU6", self._auth_login, initial)
        else:
            self._say(b"504 5.5.4 Unknown mechanism\r\n")

    def _ask(self, question: bytes, step: Callable[[bytes], None], answer: bytes = b"") -> None:
        if answer:
            step(answer)
        else:
            self._login_step = step
            self._say(b"334 %b\r\n" % question)

    def _auth_plain(self, answer: bytes) -> None:
        parts = self._decoded(answer)
        if parts is not None:
            self._judge_login(parts.split(b"\0")[1] if parts.count(b"\0") == 2 else None)

    def _auth_login(self, answer: bytes) -> None:
        user = self._decoded(answer)
        if user is not None:
            self._ask(b"UGFzc3dvcmQ6", lambda password: self._end_login(user, password))

    def _end_login(self, user: bytes, password: bytes) -> None:
        if self._decoded(password) is not None:
            self._judge_login(user)

    def _decoded(self, answer: bytes) -> bytes | None:
        """None after saying what is wrong with it. `=` stands for nothing: RFC 4954 4."""
        try:
            return b"" if answer == b"=" else base64.b64decode(answer, validate=True)
        except binascii.Error:
            self._say(b"501 5.5.2 Cancelled, or not base64\r\n")
            return None

    def _judge_login(self, user: bytes | None) -> None:
        if user is None:
            self._say(b"501 5.5.2 Not what the mechanism asks for\r\n")
        elif self._shared.mode is Mode.AUTHFAIL or inbox_rules.refuses_login(
            user.decode("utf-8", "replace")
        ):
            self._refuse(_LOGIN_REFUSED)
        else:
            self._is_signed_in = True
            self._say(b"235 2.7.0 Authentication successful\r\n")

    def _rset(self, argument: bytes) -> None:
        self._reset()
        self._say(b"250 2.0.0 OK\r\n")

    def _noop(self, argument: bytes) -> None:
        self._say(b"250 2.0.0 OK\r\n")

    def _vrfy(self, argument: bytes) -> None:
        self._say(b"252 2.5.0 Send some mail, and see\r\n")

    def _quit(self, argument: bytes) -> None:
        self._say(b"221 2.0.0 Bye\r\n")
        self._end()

    def _unknown(self, argument: bytes) -> None:
        self._say(b"500 5.5.1 Unknown command\r\n")

    def _refuse(self, reply: bytes, *, hangs_up: bool = False) -> None:
        self._shared.counters[REFUSED] += 1
        self._say(reply)
        if hangs_up:
            self._end()

    def _say(self, reply: bytes) -> None:
        self._replies.append(reply)

    def _flush(self) -> None:
        """Send the replies to what came together, together: now, or when the delay is over."""
        if not self._replies:
            return
        text = b"".join(self._replies)
        self._replies.clear()
        self._later(partial(self._transport.write, text))

    def _end(self, *, is_cut: bool = False) -> None:
        """Close the connection after all that has been said; nothing more is listened to.

        `is_cut`: without a word more, and without waiting for the client to have read the last one.
        """
        self._flush()
        self._is_ending = True
        self._later(self._transport.abort if is_cut else self._transport.close)

    def _later(self, action: Callable[[], None]) -> None:
        """Do it when the delay is over; at once without one."""
        if not self._shared.delay_seconds:
            action()
            return
        # A timer each, and a queue: timers of one moment have no order among themselves.
        self._delayed.append(action)
        loop = asyncio.get_running_loop()
        loop.call_later(self._shared.delay_seconds, self._do_delayed)

    def _do_delayed(self) -> None:
        if self._delayed:
            self._delayed.popleft()()


def _complaint(parameters: bytes) -> bytes | None:
    """What is wrong with the parameters of MAIL FROM."""
    for word in parameters.split():
        known = _PARAMETER.fullmatch(word)
        if known is None:
            return b"555 5.5.4 Unknown parameter\r\n"
        if word[:5].upper() == b"SIZE=":
            if not word[5:].isdigit():
                return _SYNTAX
            if int(word[5:]) > MAX_MESSAGE_BYTES:
                return _TOO_LARGE
    return None


_COMMANDS: dict[bytes, Callable[[Dialogue, bytes], None]] = {
    b"EHLO": Dialogue._hello,
    b"HELO": Dialogue._hello_without_extensions,
    b"AUTH": Dialogue._auth,
    b"RSET": Dialogue._rset,
    b"NOOP": Dialogue._noop,
    b"VRFY": Dialogue._vrfy,
    b"QUIT": Dialogue._quit,
}
