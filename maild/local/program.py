"""A program to run: its description, how it is started and stopped, and a server among tests.

In charge of one process at a time. Several of them, restarts and their output on the terminal are
the supervisor's (`processes.py`); what to run is said by `postgres.py`, `valkey.py` and `run.py`.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from maild.errors import Unavailable
from maild.local.account import Account

START_ATTEMPTS = 5
POLL_SECONDS = 0.02

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, as whom, and how it is known to be ready and asked to stop.

    `log_path` takes its output; None leaves it to the one who starts it. `is_ready` is a quick
    probe, asked again and again; None means ready at once.
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 5.0
    log_path: Path | None = None
    is_ready: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A program that serves others at `url`."""

    program: Program
    url: str


def spawn(program: Program, *, output: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start `program` in a session of its own; without a log file, it writes to `output`.

    Raises OSError. On Linux the process gets its stop signal when the thread that started it ends,
    however that comes to pass: nothing outlives a killed runner.
    """
    log = program.log_path.open("ab") if program.log_path else None
    try:
        return subprocess.Popen(
            program.argv,
            cwd=program.cwd,
            env=program.env,
            stdin=subprocess.DEVNULL,
            stdout=log or output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Unsafe beside threads: the supervisor has none, and tests start servers early.
            preexec_fn=_follow_parent(program.stop_signal),  # noqa: PLW1509
            **(program.account.popen_options() if program.account else {}),
        )
    finally:
        if log:
            log.close()


def stop(program: Program, process: subprocess.Popen[bytes]) -> None:
    """End `process` and its group: politely, and by SIGKILL when the grace is over."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            process.send_signal(program.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            process.wait(program.grace_seconds)
    kill_group(process)
    process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to `process` and to everything that it started in its session's group."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def running(server: Server, *, ready_seconds: float = 60.0) -> Iterator[str]:
    """Run `server` for the length of a `with` block, which gets its URL once the server is ready.

    Raises Unavailable, with the end of the server's log, where it does not become ready.
    """
    process = _start(server.program, time.monotonic() + ready_seconds)
    try:
        yield server.url
    finally:
        stop(server.program, process)


def log_tail(program: Program, *, lines: int = 8) -> str:
    """The last lines of the program's log file, for an error message; empty where it has none."""
    try:
        text = program.log_path.read_text(errors="replace") if program.log_path else ""
    except FileNotFoundError:
        text = ""
    return "".join(f"\n  {line}" for line in text.splitlines()[-lines:])


def end_leftover(pid_file: Path, *, mark: str, stop_signal: signal.Signals, seconds: float) -> None:
    """Stop the process named in `pid_file`, if it is one whose command line contains `mark`.

    It is a server that outlived its runner. Whatever else the number belongs to today is left
    alone. The file is removed. Raises Unavailable where the process does not end in `seconds`.
    """
    try:
        pid = int(pid_file.read_text().split(maxsplit=1)[0])
    except (FileNotFoundError, IndexError, ValueError):
        pid_file.unlink(missing_ok=True)
        return
    deadline = time.monotonic() + seconds
    with suppress(ProcessLookupError):
        while mark in _command_line(pid):
            os.kill(pid, stop_signal)
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"process {pid} of an earlier run still uses {pid_file.parent}, and does not "
                    f"stop; end it with: kill -QUIT {pid}"
                )
            time.sleep(10 * POLL_SECONDS)
    pid_file.unlink(missing_ok=True)


def _start(program: Program, deadline: float) -> subprocess.Popen[bytes]:
    # A server that was killed a moment ago may leave helpers that hold its data for some
    # milliseconds more: the first start can fail where the second succeeds.
    for attempt in range(START_ATTEMPTS):
        time.sleep(attempt * 10 * POLL_SECONDS)
        process = spawn(program)
        try:
            while process.poll() is None:
                if program.is_ready is None or program.is_ready():
                    return process
                if time.monotonic() > deadline:
                    raise Unavailable(f"{program.name} is not ready in time{log_tail(program)}")
                time.sleep(POLL_SECONDS)
        except BaseException:
            stop(program, process)
            raise
        kill_group(process)
    raise Unavailable(f"{program.name} does not start{log_tail(program)}")


def _command_line(pid: int) -> str:
    """The command line of a process; empty for one that is gone or only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="surrogateescape").replace("\0", " ")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    ps = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout


def _follow_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child does first of all: ask for `stop_signal` at its parent's end."""
    libc = _libc
    if libc is None:
        return None
    parent = os.getpid()

    def follow() -> None:
        signal.signal(stop_signal, signal.SIG_DFL)  # the parent's handler means nothing here
        libc.prctl(_PR_SET_PDEATHSIG, stop_signal)
        if os.getppid() != parent:  # it ended before we asked
            os.kill(os.getpid(), signal.SIGKILL)

    return follow
