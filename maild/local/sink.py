"""The sink: a fast SMTP server that keeps nothing, for benchmarks, tests and drills.

    python -m maild.local.sink --listen 127.0.0.1:2525 --processes 2 --ledger accepted.txt

In charge of its processes, of listening, and of the mode that a file prescribes. The dialogue is
`sink_smtp.py`'s, the ledger `sink_state.py`'s. The inbox (`inbox.py`) is the one that stores mail
and shows it.

It prints `sink: ready on HOST:PORT`, and ends at SIGTERM or Ctrl-C. At SIGUSR1, and when it ends,
it prints its counters as one line of JSON: `messages` accepted, `connections` opened, and commands
`refused` because a recipient or the mode wants it so.
"""

import argparse
import asyncio
import json
import mmap
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from maild.config import Addr
from maild.errors import ConfigError
from maild.local import ports
from maild.local.sink_smtp import Dialogue
from maild.local.sink_state import CONNECTIONS, MESSAGES, REFUSED, Ledger, Mode, Shared

MODE_POLL_SECONDS = 0.05
COUNTERS = 3
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class _Options:
    listen: Addr
    processes: int
    ledger: Path | None
    fsync: bool
    delay_seconds: float
    mode_file: Path | None
    max_messages: int


class _Counters:
    """The counters of all processes, in memory that they share; each adds to its own."""

    def __init__(self, processes: int) -> None:
        self._memory = memoryview(mmap.mmap(-1, processes * COUNTERS * 8)).cast("q")

    def of(self, process: int) -> memoryview:
        return self._memory[process * COUNTERS : (process + 1) * COUNTERS]

    def print_sums(self) -> None:
        names = {"messages": MESSAGES, "connections": CONNECTIONS, "refused": REFUSED}
        sums = {name: sum(self._memory[place::COUNTERS]) for name, place in names.items()}
        print(json.dumps(sums), flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or Ctrl-C. Returns the exit code: 1 where it cannot listen or write.

    Port 0 is any free port; the line that says that the sink is ready has the real one.
    """
    options = _parse(argv)
    os.umask(0o077)
    with suppress(ValueError, OSError):  # every connection is a file
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        ledger = Ledger(options.ledger, fsync=options.fsync) if options.ledger else None
        listener = _first_listener(options)
    except (ConfigError, OSError) as error:
        print(f"sink: {error}", file=sys.stderr)
        return 1
    addr = Addr(*listener.getsockname()[:2])
    counters = _Counters(options.processes)

    def shared(process: int) -> Shared:
        return Shared(
            counters.of(process),
            ledger,
            delay_seconds=options.delay_seconds,
            max_messages=options.max_messages,
        )

    # Before the first event loop: a process with one cannot be forked.
    children: dict[int, socket.socket] = {}
    for process in range(1, options.processes):
        ours, theirs = socket.socketpair()
        if pid := os.fork():
            theirs.close()
            children[pid] = ours
            continue
        for inherited in (listener, ours, *children.values()):
            inherited.close()
        os._exit(_run_child(_Server(addr, options, shared(process)), theirs))
    server = _Server(addr, options, shared(0), listener)
    return asyncio.run(_run_first(server, children, counters))


class _Server:
    """One process's listening socket, and the connections that came through it."""

    def __init__(
        self,
        addr: Addr,
        options: _Options,
        shared: Shared,
        listener: socket.socket | None = None,
    ) -> None:
        self._addr = addr
        self._options = options
        self._shared = shared
        self._listener = listener
        self._server: asyncio.Server | None = None
        self._complaint = ""

    @property
    def addr(self) -> Addr:
        return self._addr

    async def open(self) -> None:
        """Listen, unless the mode says otherwise, and follow the mode from now on. Raises
        ConfigError.
        """
        self._shared.mode = self._read_mode()
        if self._shared.mode is Mode.REFUSE:
            self._close_listener()
        else:
            await self._listen()
        if self._options.mode_file is not None:
            self._following = asyncio.create_task(self._follow_mode())

    def close(self) -> None:
        self._close_listener()
        for dialogue in list(self._shared.open):
            dialogue.cut()

    async def _listen(self) -> None:
        is_shared = self._options.processes > 1
        listener = self._listener or _listen(self._addr, is_shared=is_shared)
        self._listener = None
        self._server = await asyncio.get_running_loop().create_server(
            partial(Dialogue, self._shared), sock=listener, backlog=BACKLOG
        )

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _follow_mode(self) -> None:
        while True:
            await asyncio.sleep(MODE_POLL_SECONDS)
            mode = self._read_mode()
            if mode is not self._shared.mode:
                self._enter(mode)
            if mode is not Mode.REFUSE and self._server is None:
                try:
                    await self._listen()
                except ConfigError as error:
                    self._complain(error.detail)  # and try again

    def _enter(self, mode: Mode) -> None:
        self._shared.mode = mode
        if mode is Mode.REFUSE:
            self.close()
        for dialogue in list(self._shared.open):
            if mode is Mode.SILENT:
                dialogue.mute()
            else:
                # Who was met with silence waits for minutes yet; a drill goes on sooner.
                dialogue.cut(muted_only=True)

    def _read_mode(self) -> Mode:
        """What the file says. One that is being written, or says nothing known, changes nothing."""
        if self._options.mode_file is None:
            return Mode.OK
        try:
            word = self._options.mode_file.read_text(encoding="utf-8").strip()
            return Mode(word) if word else self._shared.mode
        except FileNotFoundError:
            return Mode.OK
        except ValueError:
            known = ", ".join(mode.value for mode in Mode)
            self._complain(f"{self._options.mode_file} holds no mode; known are {known}")
        except OSError as error:
            self._complain(f"{self._options.mode_file} cannot be read: {error.strerror}")
        return self._shared.mode

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            self._complaint = text
            print(f"sink: {text}", file=sys.stderr, flush=True)


async def _run_first(
    server: _Server, children: dict[int, socket.socket], counters: _Counters
) -> int:
    """The process that was started: it serves too, and speaks for all."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, counters.print_sums)
    try:
        await server.open()
        for line in children.values():
            # A byte when the child listens; its end when the child does.
            line.setblocking(False)
            if not await loop.sock_recv(line, 1):
                stop.set()
            loop.add_reader(line, stop.set)
        if not stop.is_set():
            print(f"sink: ready on {server.addr}", flush=True)
        await stop.wait()
    except ConfigError as error:
        print(f"sink: {error}", file=sys.stderr)
        return 1
    finally:
        server.close()
        for line in children.values():
            loop.remove_reader(line)
            line.close()
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    counters.print_sums()
    return 1 if any(codes) else 0


def _run_child(server: _Server, line: socket.socket) -> int:
    try:
        return asyncio.run(_serve_child(server, line))
    except ConfigError as error:
        print(f"sink: {error}", file=sys.stderr, flush=True)
        return 1


async def _serve_child(server: _Server, line: socket.socket) -> int:
    """Serve until the first process ends, or closes our line."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGUSR1):  # Ctrl-C comes to all: the first one acts
        signal.signal(number, signal.SIG_IGN)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await server.open()
    line.send(b"r")
    loop.add_reader(line, stop.set)
    await stop.wait()
    server.close()
    return 0


def _first_listener(options: _Options) -> socket.socket:
    """Raises ConfigError."""
    if options.processes > 1 and options.listen.port:
        # Sharing a port would work with a stranger of the same user as well.
        ports.check_free(options.listen, setting="--listen")
    return _listen(options.listen, is_shared=options.processes > 1)


def _listen(addr: Addr, *, is_shared: bool) -> socket.socket:
    """A listening socket, on a port that other processes of ours share. Raises ConfigError."""
    if not is_shared:
        return ports.listen(addr, setting="--listen")
    listener = socket.socket(socket.AF_INET6 if ":" in addr.host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((addr.host, addr.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen on --listen={addr}: {error.strerror}") from None
    return listener


def _parse(argv: Sequence[str] | None) -> _Options:
    parser = argparse.ArgumentParser(
        prog="python -m maild.local.sink",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--listen", type=_addr, default=Addr("127.0.0.1", 2525), metavar="HOST:PORT")
    add("--processes", type=_positive, default=1, metavar="N", help="they share the port")
    add("--ledger", type=Path, metavar="FILE", help="one line for each accepted recipient")
    add("--no-fsync", action="store_true", help="do not wait for the disk")
    add("--delay-ms", type=_natural, default=0, metavar="N", help="send each reply N ms later")
    add("--mode-file", type=Path, metavar="FILE", help=" | ".join(mode.value for mode in Mode))
    add("--max-messages-per-connection", type=_positive, default=sys.maxsize, metavar="N")
    given = parser.parse_args(argv)
    return _Options(
        listen=given.listen,
        processes=given.processes,
        ledger=given.ledger,
        fsync=not given.no_fsync,
        delay_seconds=given.delay_ms / 1000,
        mode_file=given.mode_file,
        max_messages=given.max_messages_per_connection,
    )


def _addr(text: str) -> Addr:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError("must be host:port")
    return Addr(host.strip("[]"), int(port))


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("must be a whole number")
    return int(text)


def _positive(text: str) -> int:
    number = _natural(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
