"""`maild run`: the whole product on one machine, from one command.

In charge of what runs, in which order, with which environment, and of saying where it is. It starts
PostgreSQL, Valkey and the inbox, each unless the environment points to another one, migrates, and
starts the web server, the workers and the scheduler. `processes.py` keeps them running.
"""

import http.client
import json
import shlex
import shutil
import sys
import time
from functools import partial
from pathlib import Path

from maild.config import STACK_FILE, Addr, LocalSettings, child_environment, load_local
from maild.errors import ConfigError, MaildError, Unavailable
from maild.local import home as homes
from maild.local import ports, postgres, valkey
from maild.local.processes import StopRequested, Supervisor
from maild.local.program import Program, Server

ROOT = Path(__file__).resolve().parents[2]
INBOX_LIMIT_PER_HOUR = "1000000"
"""The hourly limits where mail goes to the inbox: it hurts nobody, and a first thousand of messages
should not meet with limits that are meant for strangers' mail servers.
"""
READY_SECONDS = 60.0
PROBE_SECONDS = 2.0
WORKER_GRACE_SECONDS = 28.0
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read here, not listened on


def run() -> int:
    """Run until Ctrl-C or SIGTERM. Returns the exit code: 0, or 1 after saying what is wrong."""
    try:
        settings = load_local()
        homes.make(settings.home)
        with homes.locked(settings.home):
            return _run(settings)
    except (MaildError, OSError) as error:
        print(f"maild: {error}", file=sys.stderr)
    return 1


def _run(settings: LocalSettings) -> int:
    begun_at = time.monotonic()
    _check_ports(settings)
    is_coloured = sys.stdout.isatty() and not child_environment().get("NO_COLOR")
    stack_file = settings.home / STACK_FILE
    with Supervisor(colour=is_coloured) as supervisor:
        try:
            stack = _start_servers(supervisor, settings)
            found_by_commands = {**stack, "APP_ADDR": str(settings.app_addr)}
            lines = "".join(f"{name}={value}\n" for name, value in found_by_commands.items())
            homes.write_private(stack_file, lines)
            _start_product(supervisor, settings, stack)
            print(_banner(settings, time.monotonic() - begun_at), flush=True)
            supervisor.wait_for_stop()
        except StopRequested:
            supervisor.say("stopping; another Ctrl-C stops at once")
        finally:
            stack_file.unlink(missing_ok=True)
    return 0


def _check_ports(settings: LocalSettings) -> None:
    """Raises ConfigError that names every port that is taken, not only the first."""
    wanted = {"APP_ADDR": settings.app_addr}
    if settings.smtp_host is None:
        wanted["INBOX_SMTP_ADDR"] = settings.inbox_smtp_addr
        wanted["INBOX_WEB_ADDR"] = settings.inbox_web_addr
    problems = []
    for setting, addr in wanted.items():
        try:
            ports.check_free(addr, setting=setting)
        except ConfigError as error:
            problems.append(error.detail)
    if problems:
        raise ConfigError("\n       ".join(problems))


def _start_servers(supervisor: Supervisor, settings: LocalSettings) -> dict[str, str]:
    """Start what the product needs; returns the settings that lead to it."""
    stack: dict[str, str] = {}
    servers: dict[str, Server] = {}
    if settings.postgres_dsn is None:
        servers["POSTGRES_DSN"] = postgres.prepare(settings.home)
    if settings.redis_url is None:
        servers["REDIS_URL"] = valkey.prepare(settings.home)
    for name, server in servers.items():
        stack[name] = server.url
        supervisor.start(server.program)
    if settings.smtp_host is None:
        smtp = _reached(settings.inbox_smtp_addr)
        stack |= {"SMTP_HOST": smtp.host, "SMTP_PORT": str(smtp.port), "SMTP_SECURITY": "none"}
        stack |= dict.fromkeys(settings.unset_limits, INBOX_LIMIT_PER_HOUR)
        # The inbox is a provider to try maild with, which reports back (`inbox_reports`).
        pages = f"http://{_reached(settings.inbox_web_addr)}"
        stack |= {"SANDBOX_SMTP_ADDR": str(smtp), "SANDBOX_WEB_URL": pages}
        supervisor.start(_inbox(settings))
    supervisor.wait_ready(READY_SECONDS)
    return stack


def _start_product(supervisor: Supervisor, settings: LocalSettings, stack: dict[str, str]) -> None:
    metrics = settings.home.resolve() / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)  # those of an earlier run
    product = partial(
        Program,
        cwd=ROOT,
        env=child_environment(
            **stack,
            APP_ADDR=str(settings.app_addr),
            MAILD_HOME=str(settings.home),
            METRICS_DIR=child_environment().get("METRICS_DIR") or str(metrics),
            PYTHONUNBUFFERED="1",
        ),
    )
    if supervisor.run_to_end(product(name="migrate", argv=_python("maild", "migrate"))) != 0:
        raise Unavailable("the database could not be migrated; the lines above say why")
    worker = partial(product, argv=_python("maild", "worker"), grace_seconds=WORKER_GRACE_SECONDS)
    supervisor.start(
        product(name="web", argv=web_command(settings.app_addr, processes=settings.web_processes)),
        *(worker(name=f"worker-{n}") for n in range(1, settings.worker_processes + 1)),
        product(name="scheduler", argv=_python("maild", "scheduler")),
    )
    address = _reached(settings.app_addr)
    if not supervisor.wait_until(lambda: not _list_missing(address), READY_SECONDS):
        missing = "".join(f"\n  {line}" for line in _list_missing(address))
        raise Unavailable(f"not ready after {READY_SECONDS:.0f} s:{missing}")


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def web_command(addr: Addr, *, processes: int) -> tuple[str, ...]:
    """The web server, with so many processes of eight threads."""
    return _python(
        "granian",
        *("--interface", "wsgi"),
        *("--host", addr.host),
        *("--port", str(addr.port)),
        *("--workers", str(processes)),
        *("--blocking-threads", "8"),
        *("--workers-kill-timeout", "3"),
        *("--log-level", "error"),
        "--no-ws",
        "app:app",
    )


def _inbox(settings: LocalSettings) -> Program:
    address = _reached(settings.inbox_web_addr)
    return Program(
        name="inbox",
        argv=_python(
            "maild.local.inbox",
            *("--smtp", str(settings.inbox_smtp_addr)),
            *("--web", str(settings.inbox_web_addr)),
            *("--store", str(settings.home / "inbox.sqlite3")),
            *("--report-to", f"http://{_reached(settings.app_addr)}"),
        ),
        cwd=ROOT,
        env=child_environment(PYTHONUNBUFFERED="1"),
        is_ready=lambda: _get(address, "/api/v1/messages?limit=1")[0] == 200,
    )


def _list_missing(web: Addr) -> list[str]:
    """What /readyz says is missing, as `name: detail` lines; empty when all is well."""
    status, body = _get(web, "/readyz")
    if status == 200:
        return []
    try:
        checks = json.loads(body)["checks"].items()
        return [f"{name}: {check['detail']}" for name, check in checks if not check["ok"]]
    except (ValueError, LookupError, TypeError, AttributeError):
        return [f"web: no answer on {web}" if status is None else f"web: /readyz answered {status}"]


def _get(addr: Addr, path: str) -> tuple[int | None, bytes]:
    """The status and body of a GET; (None, b"") where nobody answers."""
    connection = http.client.HTTPConnection(addr.host, addr.port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None, b""
    finally:
        connection.close()


def _reached(addr: Addr) -> Addr:
    """Where this machine reaches a server that listens on `addr`."""
    return Addr(WILDCARDS.get(addr.host, addr.host), addr.port)


def _banner(settings: LocalSettings, seconds: float) -> str:
    web, inbox = _reached(settings.app_addr), _reached(settings.inbox_web_addr)
    key = shlex.quote(f"{settings.api_key_header}: {settings.operator_api_key}")
    message = {
        "from_email": "shop@example.com",
        "to_email": "you@example.com",
        "subject": "Hello",
        "body_text": "It works.",
    }
    mail = settings.smtp_host or f"http://{inbox}/"
    database = (settings.home / "postgres").resolve()
    is_elsewhere = database.exists() and settings.home.resolve() not in database.parents
    data = f"{settings.home} (the database in {database})" if is_elsewhere else settings.home
    return f"""
maild is ready, after {seconds:.1f} s.

  Console        http://{web}/ (sign up there)
  {"Mail goes to " if settings.smtp_host else "Inbox        "}  {mail}
  Admin key      {settings.admin_api_key}
  Operator key   {settings.operator_api_key}
  Data           {data}
  Logs           {settings.home / "logs"} (the servers'; the others' are below)

Send a message:

  curl -sS http://{web}/v1/messages \\
    -H {key} \\
    -H 'Content-Type: application/json' \\
    -d '{json.dumps(message)}'

Ctrl-C stops everything.
"""
