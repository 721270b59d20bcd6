"""The supervisor: what crashes is started again, and nothing stays behind."""

import os
import re
import signal
import threading
from pathlib import Path

import pytest

PATIENCE_SECONDS = 30.0

SCRIPT = """
import sys
from pathlib import Path
from maild.errors import Unavailable
from maild.local.processes import StopRequested, Supervisor
from maild.local.program import Program

def child(name, code, **options):
    return Program(name, (sys.executable, "-u", "-c", code), Path("/"), {}, **options)

SLEEP = "import os, signal; print('pid', os.getpid()); signal.pause()"
DEAF = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; " + SLEEP
FAMILY = '''import os, signal
if os.fork() == 0:
    print('pid', os.getpid())
signal.pause()'''
try:
    with Supervisor() as supervisor:
        {body}
        supervisor.wait_for_stop()
except StopRequested:
    print("stopped")
except Unavailable as error:
    print(error)
"""


@pytest.fixture
def supervisor(python):
    """Start a supervisor whose children are started by the given lines."""
    started = []

    def start(*lines: str):
        process = python(SCRIPT.replace("{body}", "\n        ".join(lines)))
        # Who waits for a line that never comes then reads to the end, and fails.
        limit = threading.Timer(PATIENCE_SECONDS, process.kill)
        limit.start()
        started.append((process, limit))
        return process

    yield start
    for process, limit in started:
        limit.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def read_until(process, pattern: str) -> re.Match[str]:
    """The first line of output that matches. Lines before it are passed over."""
    for line in process.stdout:
        if match := re.search(pattern, line):
            return match
    raise AssertionError(f"it ended without {pattern}")


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def pid_of(process, name: str) -> int:
    return int(read_until(process, rf"^(?:{name}) +\| pid (\d+)")[1])


@pytest.mark.proves("run-supervised")
def test_a_killed_child_is_started_again_and_says_so(supervisor):
    process = supervisor("supervisor.start(child('worker-1', SLEEP))")
    first = pid_of(process, "worker-1")
    os.kill(first, signal.SIGKILL)
    read_until(process, r"worker-1 exited with signal 9; restarting in 0\.5 s")
    assert pid_of(process, "worker-1") != first


def test_what_a_crashed_child_had_started_is_ended(supervisor, eventually):
    process = supervisor("supervisor.start(child('web', FAMILY))")
    grandchild = pid_of(process, "web")
    os.kill(os.getpgid(grandchild), signal.SIGKILL)
    read_until(process, "web exited with signal 9")
    eventually(lambda: not is_alive(grandchild))


def test_the_wait_grows_with_every_crash(supervisor):
    process = supervisor("supervisor.start(child('web', 'import sys; sys.exit(3)'))")
    read_until(process, r"web exited with exit code 3; restarting in 0\.5 s")
    read_until(process, r"web exited with exit code 3; restarting in 1 s")
    read_until(process, r"web exited with exit code 3; restarting in 2 s")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything(supervisor, number):
    process = supervisor(
        "supervisor.start(child('a', SLEEP))", "supervisor.start(child('b', SLEEP))"
    )
    pids = [pid_of(process, "a|b"), pid_of(process, "a|b")]  # in whichever order
    process.send_signal(number)
    read_until(process, "stopped")
    assert process.wait(20) == 0
    assert not any(is_alive(pid) for pid in pids)


def test_stages_stop_in_reverse(supervisor):
    tell = '''"""import signal, sys, time
signal.signal(15, lambda *_: (print('ended'), sys.exit()))
print('up')
while True: signal.pause()"""'''
    process = supervisor(
        f"supervisor.start(child('first', {tell}))", f"supervisor.start(child('second', {tell}))"
    )
    read_until(process, "up")
    read_until(process, "up")
    process.terminate()
    output = process.communicate()[0]
    assert re.findall(r"(\w+) +\| ended", output) == ["second", "first"]


def test_a_child_that_does_not_listen_is_killed(supervisor):
    process = supervisor("supervisor.start(child('deaf', DEAF, grace_seconds=0.2))")
    pid = pid_of(process, "deaf")
    process.terminate()
    assert process.wait(20) == 0
    assert not is_alive(pid)


@pytest.mark.proves("run-supervised")
def test_a_killed_supervisor_leaves_no_child(supervisor, eventually):
    process = supervisor("supervisor.start(child('a', SLEEP), child('b', SLEEP))")
    pids = [pid_of(process, "a|b"), pid_of(process, "a|b")]
    process.kill()
    eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_a_program_that_ends_at_once_is_given_up(supervisor):
    process = supervisor(
        "supervisor.start(child('web', 'import sys; sys.exit(1)', is_ready=lambda: False))",
        "supervisor.wait_ready(60)",
    )
    read_until(process, "^web does not run")
    assert process.wait(20) == 0


def test_a_single_run_gives_its_exit_code(supervisor):
    process = supervisor(
        "code = supervisor.run_to_end(child('once', 'print(1); raise SystemExit(7)'))",
        "print('code', code)",
    )
    read_until(process, r"^once +\| 1$")
    read_until(process, "^code 7$")


def test_output_is_kept_line_by_line(supervisor):
    process = supervisor(
        r"supervisor.run_to_end(child('long', 'print(\"x\" * 100_000); print(\"last\", end=\"\")'))"
    )
    # An endless line comes in pieces, cut where the pipe happened to; not one octet is lost.
    pieces = list(iter(process.stdout.readline, "long      | last\n"))
    assert all(piece.startswith("long      | ") for piece in pieces)
    assert sum(piece.count("x") for piece in pieces) == 100_000
