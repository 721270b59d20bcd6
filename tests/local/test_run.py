"""`maild run`: what it says before it starts anything."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from maild.local import home as homes

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ("APP_ADDR", "INBOX_SMTP_ADDR", "INBOX_WEB_ADDR")


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def run(home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "MAILD_HOME": str(home),
        **{name: f"127.0.0.1:{free_port()}" for name in SETTINGS},
        **settings,
    }
    code = "import sys; from maild.local.run import run; sys.exit(run())"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_taken_port_is_named_with_its_setting(home, taken, setting):
    done = run(home, **{setting: f"127.0.0.1:{taken}"})
    assert done.returncode == 1
    assert f"port {taken} on 127.0.0.1 is taken" in done.stderr
    assert f"such as {setting}=127.0.0.1:" in done.stderr
    assert done.stdout == ""
    assert not (home / "postgres").exists()


def test_all_taken_ports_are_named_at_once(home, taken):
    done = run(home, **dict.fromkeys(SETTINGS, f"127.0.0.1:{taken}"))
    assert done.returncode == 1
    assert all(f"such as {setting}=" in done.stderr for setting in SETTINGS)


def test_a_home_in_use_is_named_with_its_process(home):
    with homes.locked(home):
        done = run(home)
    assert done.returncode == 1
    assert f"another maild (process {os.getpid()}) already runs on {home}" in done.stderr


def test_a_wrong_setting_is_named(home):
    done = run(home, APP_ADDR="nonsense")
    assert done.returncode == 1
    assert "APP_ADDR" in done.stderr


def test_a_home_that_cannot_be_made_is_a_sentence(home):
    (home / "file").touch()
    done = run(home / "file/home")
    assert done.returncode == 1
    assert done.stderr == f"maild: [Errno 20] Not a directory: '{home}/file/home'\n"


def test_the_inbox_names_a_taken_port_too(home, taken):
    addresses = ("--smtp", f"127.0.0.1:{taken}", "--web", "127.0.0.1:0")
    done = subprocess.run(
        [sys.executable, "-m", "maild.local.inbox", *addresses, "--store", home / "inbox.sqlite3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"port {taken} on 127.0.0.1 is taken" in done.stderr
    assert "INBOX_SMTP_ADDR" in done.stderr
    assert "Traceback" not in done.stderr
