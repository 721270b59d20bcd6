"""The tap: a TCP proxy before a sink, which can keep back a reply, or reset every connection.

With it a worker is caught at an exact step of the dialogue: `stall-354+...@` does not hear the
go-ahead for its content, `stall-250+...@` not the reply to the final dot, until they are let go.
And it reads the unsubscribe links in the mail that goes by, as its recipients would. It runs on a
thread of the harness, and knows no more of SMTP than that.
"""

import asyncio
import contextlib
import re
import socket
import struct
import threading
from types import TracebackType

from maild.config import Addr

_INTERESTING = re.compile(rb"^RCPT TO:<([^>]+)>|^List-Unsubscribe: <([^>]+)>", re.MULTILINE)
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 seconds: RST at close
_STORED = b" Stored\r\n"
_GO_AHEAD = re.compile(rb"^354 ", re.MULTILINE)


class _Line:
    """One connection through the tap."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.recipients: list[str] = []  # offered, and not answered finally
        self.held = b""
        self.unread = b""  # of what the client said: a line that has not ended
        self.recipient = ""  # of the mail that goes by

    def reset(self) -> None:
        for writer in (self.client, self.server):
            endpoint = writer.get_extra_info("socket")
            if endpoint is not None:
                with contextlib.suppress(OSError):
                    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Tap:
    """A context manager; `port` is where workers dial."""

    def __init__(self, behind: Addr) -> None:
        self._behind = behind
        self._lines: set[_Line] = set()
        self._held: dict[str, set[_Line]] = {}  # two workers may offer the same message
        self._let_go: set[str] = set()
        self._links: dict[str, str] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)
        self.port = 0

    def __enter__(self) -> "Tap":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.reset_all()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def holds(self, recipient: str) -> bool:
        """Whether a reply about this recipient is kept back now."""
        with self._lock:
            return recipient in self._held

    def link_of(self, recipient: str) -> str | None:
        """The unsubscribe link of the last mail that went to this recipient, if any had one."""
        with self._lock:
            return self._links.get(recipient)

    def let_go(self, recipient: str) -> None:
        """Pass on what is kept back, and keep back nothing more for this recipient."""
        with self._lock:
            self._let_go.add(recipient)
            lines = self._held.pop(recipient, set())
        for line in lines:
            self._loop.call_soon_threadsafe(self._pass_held, line)

    def reset_all(self) -> int:
        """Reset every connection; returns how many there were."""
        lines = list(self._lines)
        self._loop.call_soon_threadsafe(lambda: [line.reset() for line in lines])
        return len(lines)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, server = await asyncio.open_connection(self._behind.host, self._behind.port)
        except OSError:
            writer.transport.abort()
            return
        line = _Line(writer, server)
        self._lines.add(line)
        ways = [
            asyncio.ensure_future(self._to_server(reader, line)),
            asyncio.ensure_future(self._to_client(upstream, line)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._lines.discard(line)
            with self._lock:
                for recipient in [r for r, lines in self._held.items() if line in lines]:
                    self._held[recipient].discard(line)
                    if not self._held[recipient]:
                        del self._held[recipient]
            writer.transport.abort()
            server.transport.abort()

    async def _to_server(self, reader: asyncio.StreamReader, line: _Line) -> None:
        while data := await reader.read(65536):
            self._read_lines(data, line)
            line.server.write(data)
            await line.server.drain()

    def _read_lines(self, data: bytes, line: _Line) -> None:
        """Notice whom the mail is for, and its link; each line once it has come in whole."""
        lines, end, line.unread = (line.unread + data).rpartition(b"\n")
        for recipient, link in _INTERESTING.findall(lines + end):
            if recipient:
                line.recipient = recipient.decode()
                line.recipients.append(line.recipient)
            else:
                with self._lock:
                    self._links[line.recipient] = link.decode()

    async def _to_client(self, reader: asyncio.StreamReader, line: _Line) -> None:
        while data := await reader.read(65536):
            if line.held or self._should_hold(data, line):
                line.held += data
                continue
            line.client.write(data)
            await line.client.drain()

    def _should_hold(self, data: bytes, line: _Line) -> bool:
        stored = data.count(_STORED)
        done, line.recipients = line.recipients[:stored], line.recipients[stored:]
        awaited = [r for r in done if r.startswith("stall-250")]
        if _GO_AHEAD.search(data):
            awaited += [r for r in line.recipients[:1] if r.startswith("stall-354")]
        for recipient in awaited:
            with self._lock:
                if recipient not in self._let_go:
                    self._held.setdefault(recipient, set()).add(line)
                    return True
        return False

    def _pass_held(self, line: _Line) -> None:
        data, line.held = line.held, b""
        line.client.write(data)
