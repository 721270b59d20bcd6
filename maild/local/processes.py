"""The supervisor: runs several programs, restarts those that crash, and stops them in order.

In charge of their lives and of their output on the terminal. Not of what they are: that is the
caller's list of `Program`s. It has one thread and one loop: starting a child is safe that way, and
nothing happens beside what is written here.

    with Supervisor() as supervisor:
        supervisor.start(database)
        supervisor.wait_ready(60)
        supervisor.start(web, worker)      # a stage: started together, stopped together
        supervisor.wait_for_stop()
"""

import io
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Self, TextIO

from maild.errors import Unavailable
from maild.local.program import Program, kill_group, log_tail, spawn

FIRST_BACKOFF_SECONDS = 0.5
LAST_BACKOFF_SECONDS = 10.0
STABLE_SECONDS = 10.0  # after a run of this length a crash counts as the first one
EARLY_EXITS = 3  # a program that ends so often before it was ready will not get better
NAME_CHARS = 9
LINE_BYTES = 64 * 1024
SAME_REQUEST_SECONDS = 1.0  # `make` passes a signal on that we were sent ourselves

_COLOURS = (36, 35, 34, 33, 32)  # cyan, magenta, blue, yellow, green


class StopRequested(BaseException):
    """Somebody pressed Ctrl-C or sent SIGTERM. No Exception: nothing shall catch it on its way."""


@dataclass(slots=True, eq=False)
class _Child:
    program: Program
    restarts: bool
    colour: int
    process: subprocess.Popen[bytes]
    output: io.FileIO
    started_at: float
    exits: int = 0
    restart_at: float | None = None
    backoff_seconds: float = 0.0
    exit_code: int | None = None
    pending: bytearray = field(default_factory=bytearray)


class Supervisor:
    """The running programs, by stages. Use it as a context manager: leaving stops everything."""

    def __init__(self, terminal: TextIO | None = None, *, colour: bool = False) -> None:
        """`terminal` takes the lines of the children and our own; standard output by default."""
        self._terminal = terminal or sys.stdout
        self._is_coloured = colour
        self._stages: list[list[_Child]] = []
        self._selector = selectors.DefaultSelector()
        self._stop_requests = 0
        self._stop_requested_at = -SAME_REQUEST_SECONDS
        self._is_stopping = False
        self._started_count = 0

    def __enter__(self) -> Self:
        # A signal makes the loop's select() return at once through this pair of sockets.
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._old_wakeup = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        handlers = {
            signal.SIGINT: self._request_stop,
            signal.SIGTERM: self._request_stop,
            signal.SIGCHLD: self._note_child,
        }
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # which is what nohup wants
            handlers[signal.SIGHUP] = self._request_stop
        self._old_handlers = {n: signal.signal(n, handler) for n, handler in handlers.items()}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._stop_all()
        finally:
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._old_wakeup)
            self._selector.close()
            self._wake.close()
            self._woken.close()

    def start(self, *programs: Program) -> None:
        """Start `programs` as one stage. Raises OSError where one cannot be started at all."""
        stage: list[_Child] = []
        self._stages.append(stage)
        for program in programs:
            stage.append(self._start(program, restarts=True))

    def run_to_end(self, program: Program) -> int:
        """Run `program` once; returns its exit code (negative: a signal). Raises StopRequested."""
        child = self._start(program, restarts=False)
        self._stages.append([child])
        while child.exit_code is None:
            self.turn()
        self._stages.pop()
        return child.exit_code

    def wait_ready(self, seconds: float) -> None:
        """Wait until all programs are ready. Raises Unavailable naming the first that is not."""
        for child in [child for stage in self._stages for child in stage]:
            is_ready = child.program.is_ready
            if is_ready and not self.wait_until(is_ready, seconds):
                raise Unavailable(f"{child.program.name} is not ready{log_tail(child.program)}")

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Go on supervising until `condition()`; False after `seconds`.

        For the time of starting up. Raises StopRequested, and Unavailable where a program ends
        again and again.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.turn(0.05)
            for child in [child for stage in self._stages for child in stage]:
                if child.exits >= EARLY_EXITS:
                    raise Unavailable(f"{child.program.name} does not run{log_tail(child.program)}")
        return True

    def wait_for_stop(self) -> None:
        """Go on supervising until somebody asks to stop, which raises StopRequested."""
        while True:
            self.turn()

    def say(self, text: str) -> None:
        """Print a line of our own."""
        self._print("maild", text, 37)

    def turn(self, seconds: float | None = None) -> None:
        """One turn of the loop: wait for news at most `seconds` (None: as long as it takes).

        Raises StopRequested when somebody asked to stop, and we have not begun to.
        """
        if self._stop_requests and not self._is_stopping:
            raise StopRequested
        children = [child for stage in self._stages for child in stage]
        wakes = [c.restart_at - time.monotonic() for c in children if c.restart_at is not None]
        if seconds is not None:
            wakes.append(seconds)
        for key, _ in self._selector.select(max(0.0, min(wakes)) if wakes else None):
            if key.fileobj is self._woken:
                self._woken.recv(4096)
            else:
                self._read(key.data)
        for child in children:
            if child.exit_code is None and child.process.poll() is not None:
                self._note_exit(child)
            if child.restart_at is not None and child.restart_at <= time.monotonic():
                self._restart(child)

    def _start(self, program: Program, *, restarts: bool) -> _Child:
        process, output = self._spawn(program)
        colour = _COLOURS[self._started_count % len(_COLOURS)]
        self._started_count += 1
        child = _Child(program, restarts, colour, process, output, time.monotonic())
        self._selector.register(output, selectors.EVENT_READ, child)
        return child

    def _restart(self, child: _Child) -> None:
        child.restart_at = None
        child.started_at = time.monotonic()
        try:
            child.process, child.output = self._spawn(child.program)
        except OSError as error:
            self._schedule(child, f"cannot be started ({error.strerror})")
            return
        child.exit_code = None
        self._selector.register(child.output, selectors.EVENT_READ, child)

    def _spawn(self, program: Program) -> tuple[subprocess.Popen[bytes], io.FileIO]:
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        output = io.FileIO(ours)
        try:
            return spawn(program, output=theirs), output
        except OSError:
            output.close()
            raise
        finally:
            os.close(theirs)

    def _note_exit(self, child: _Child) -> None:
        child.exit_code = child.process.returncode
        child.exits += 1
        # What the child had started may hold its port, and would keep its output open.
        kill_group(child.process)
        while self._read(child):
            pass
        self._close(child)
        if child.restarts and not self._is_stopping:
            self._schedule(child, f"exited with {_exit_words(child.exit_code)}")

    def _schedule(self, child: _Child, what: str) -> None:
        is_first = (
            time.monotonic() - child.started_at >= STABLE_SECONDS or not child.backoff_seconds
        )
        longer = min(child.backoff_seconds * 2, LAST_BACKOFF_SECONDS)
        child.backoff_seconds = FIRST_BACKOFF_SECONDS if is_first else longer
        child.restart_at = time.monotonic() + child.backoff_seconds
        self.say(f"{child.program.name} {what}; restarting in {child.backoff_seconds:g} s")

    def _stop_all(self) -> None:
        """Stop the stages, the latest first; a second request to stop cuts the grace short."""
        self._is_stopping = True
        requests = self._stop_requests
        for stage in reversed(self._stages):
            for child in stage:
                child.restart_at = None
                if child.exit_code is None:
                    with suppress(ProcessLookupError):
                        child.process.send_signal(child.program.stop_signal)
            begun_at = time.monotonic()
            while alive := [child for child in stage if child.exit_code is None]:
                for child in alive:
                    is_late = time.monotonic() - begun_at > child.program.grace_seconds
                    if is_late or self._stop_requests > requests:
                        kill_group(child.process)
                self.turn(0.1)

    def _read(self, child: _Child) -> bool:
        """Print what the child has written; False when there is nothing more just now."""
        data = None if child.output.closed else child.output.read(LINE_BYTES)
        if data is None:
            return False
        if not data:
            self._close(child)
            return False
        child.pending += data
        *lines, rest = child.pending.split(b"\n")
        if len(rest) >= LINE_BYTES:
            lines, rest = [*lines, rest], bytearray()
        child.pending = rest
        for line in lines:
            self._print_line(child, line)
        return True

    def _close(self, child: _Child) -> None:
        if child.output.closed:
            return
        self._selector.unregister(child.output)
        child.output.close()
        if child.pending:
            self._print_line(child, child.pending)
            child.pending = bytearray()

    def _print_line(self, child: _Child, line: bytearray) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        self._print(child.program.name, text, child.colour)

    def _print(self, name: str, text: str, colour: int) -> None:
        label = f"{name:<{NAME_CHARS}} |"
        if self._is_coloured:
            label = f"\x1b[2;{colour}m{label}\x1b[0m"
        with suppress(OSError, ValueError):  # the terminal is gone: there is work left all the same
            print(label, text, file=self._terminal, flush=True)

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._stop_requested_at >= SAME_REQUEST_SECONDS:
            self._stop_requests += 1
            self._stop_requested_at = now

    def _note_child(self, number: int, frame: FrameType | None) -> None:
        """SIGCHLD needs a handler to wake the loop; the loop then looks for itself."""


def _exit_words(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
