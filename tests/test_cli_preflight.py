"""`maild preflight` as a person and a program meet it."""

import json
import re

import pytest

from maild import cli_preflight, scheduler, worker
from maild.config import Settings
from tests.conftest import Inbox, free_ports
from tests.production import PRODUCTION
from tests.test_cli import maild


@pytest.fixture
def stack(session_settings: Settings, running_inbox: Inbox) -> dict[str, str]:
    """Everything that a start needs."""
    return {
        "POSTGRES_DSN": session_settings.postgres_dsn,
        "REDIS_URL": session_settings.redis_url,
        "SMTP_HOST": running_inbox.smtp.host,
        "SMTP_PORT": str(running_inbox.smtp.port),
        "SMTP_SECURITY": "none",
    }


def test_it_prints_a_table_with_how_to_mend_each(stack: dict[str, str]) -> None:
    done = maild("preflight", **stack)
    # The server of the tests has no fsync, and nothing else is wrong.
    assert done.returncode == 1
    assert re.findall(r"^FAIL  (.+?)  ", done.stdout, re.MULTILINE) == ["PostgreSQL: durability"]
    assert "-> In postgresql.conf: fsync = on, full_page_writes = on" in done.stdout
    assert re.search(r"^ok    SMTP: default \(\S+\)  ", done.stdout, re.MULTILINE)
    assert re.search(r"^warn  ADMIN_API_KEY  +production would refuse it: ", done.stdout, re.M)
    assert re.search(r"\n\d+ ok, \d+ to look at, 1 failed, \d+ not looked at.\n$", done.stdout)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("told", "web"),
    [
        ("", ("web", 21)),
        ("1", ("web", 21)),
        ("3", ("web with 3 processes", 63)),
        ("x", ("web", 21)),
    ],
)
def test_it_counts_the_connections_of_a_whole_web_server(
    monkeypatch: pytest.MonkeyPatch, told: str, web: tuple[str, int]
) -> None:
    monkeypatch.setenv("GRANIAN_WORKERS", told)
    pools = cli_preflight._pools(20)
    assert next(iter(pools.items())) == web
    assert (pools["worker"], pools["scheduler"]) == (worker.POOL_SIZE, scheduler.POOL_SIZE)


def test_a_program_reads_it_as_json(stack: dict[str, str]) -> None:
    [port] = free_ports(1)
    environment = {**PRODUCTION, **stack, "REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    environment["ADMIN_API_KEY"] = ""
    del environment["MAILD_HOME"]
    done = maild("preflight", "--json", **environment)
    told = json.loads(done.stdout)
    assert (done.returncode, told["env"], told["fit"]) == (1, "production", False)
    level = {check["name"]: check["level"] for check in told["checks"]}
    assert level["ADMIN_API_KEY"] == level["Redis: server"] == "fail"
    assert level["Redis: eviction"] == "skipped"
    assert level["PostgreSQL: version"] == "ok"  # whatever else is wrong
    [key] = [check for check in told["checks"] if check["name"] == "ADMIN_API_KEY"]
    assert key["mend"] == "Make one: openssl rand -base64 32"
    for secret in (stack["POSTGRES_DSN"], environment["OPERATOR_API_KEY"]):
        assert secret not in done.stdout + done.stderr
