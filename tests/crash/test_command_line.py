"""`maild send` and `maild doctor` beside a running copy, which they find by its home."""

import subprocess
import sys

import pytest

from tests.crash.conftest import Stack, wait_until

pytestmark = pytest.mark.crash


def maild(stack: Stack, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "maild", *arguments],
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.proves("run-one-command")
def test_it_sends_and_finds_everything_well(stack: Stack) -> None:
    assert "Accepted as" in maild(stack, "send", "--to", "ann@example.org")
    assert "Accepted 25 messages." in maild(
        stack, "send", "--to", "ann@example.org", "--count", "25", "--subject", "Grüße"
    )
    wait_until(lambda: stack.received_total() == 26, "all have arrived")
    assert set(stack.received().values()) == {1}
    checks = maild(stack, "doctor").splitlines()
    assert len(checks) == 6
    assert all(line.startswith("ok") for line in checks)
