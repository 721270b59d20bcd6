"""MAILD_HOME: the folder that holds everything `maild run` keeps, and the private files in it.

In charge of making it, of its lock, its secrets and its log files. Not of what the servers store
there: `postgres.py`, `valkey.py` and `inbox_store.py` are.
"""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maild.errors import ConfigError

LOG_BYTES = 10 * 1024 * 1024


def make(home: Path) -> None:
    """Make `home` if it is missing. One that exists is used as it is: its mode is not ours.

    The mode is 0700, and 0711 for root, whose servers run as another account and must pass through
    to their own folders. Raises ConfigError for a name that the servers would misread, OSError.
    """
    # libpq takes a comma in a host for two hosts, and Valkey the others for a pattern.
    if odd := set(str(home)) & set(",*?[]\n"):
        raise ConfigError(f"MAILD_HOME={home} must do without {' '.join(sorted(odd))}")
    if home.is_dir():
        return
    home.mkdir(parents=True)
    home.chmod(0o711 if os.geteuid() == 0 else 0o700)


@contextmanager
def temporary() -> Iterator[Path]:
    """A fresh home in the system's temporary folder, removed at the end: for tests and drills."""
    home = Path(tempfile.mkdtemp(prefix="maild-"))
    home.chmod(0o711 if os.geteuid() == 0 else 0o700)
    try:
        yield home
    finally:
        shutil.rmtree(home)


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the one lock of `home`. Raises ConfigError where another process holds it."""
    with (home / "run.lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise ConfigError(
                f"another maild (process {holder}) already runs on {home}; stop it, or choose "
                "another folder with MAILD_HOME"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path`, readable by the present user only, whole or not at all."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with open(fresh, "w", encoding="utf-8", opener=_private) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def new_password() -> str:
    """A random password that needs no quoting in a URL, a shell or SQL."""
    return secrets.token_urlsafe(24)


def find_secret(path: Path) -> str | None:
    """The secret kept in `path`, or None where there is none yet."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def log_path(home: Path, name: str) -> Path:
    """The log file of the server `name`; one that has grown past LOG_BYTES is set aside first."""
    folder = home / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{name}.log"
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)
