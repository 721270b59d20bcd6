"""The command line as a person meets it: exit codes, and words instead of tracebacks."""

import subprocess
import sys
import uuid
from pathlib import Path

import psycopg2
import pytest

from maild.config import Settings, child_environment
from tests.conftest import free_ports

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"


def maild(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `maild` to its end."""
    return python("-m", "maild", *arguments, **environment)


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=child_environment(**{"MAILD_HOME": "/nonexistent", **environment}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def stack(session_settings: Settings) -> dict[str, str]:
    """Where the tests' database and Valkey are."""
    return {
        "POSTGRES_DSN": session_settings.postgres_dsn,
        "REDIS_URL": session_settings.redis_url,
    }


def test_help_lists_the_commands() -> None:
    done = maild("--help")
    assert done.returncode == 0
    shown = "run migrate send intake doctor preflight worker scheduler keys trail people"
    for command in shown.split():
        assert f"  {command}  " in done.stdout


def test_production_without_settings_lists_everything_that_is_missing() -> None:
    done = maild("migrate", APP_ENV="production")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for name in ("ADMIN_API_KEY", "ENCRYPTION_KEY_BASE64", "POSTGRES_DSN", "SMTP_HOST"):
        assert f"{name}: is required in production" in done.stderr


def test_migrating_twice_is_safe(stack: dict[str, str]) -> None:
    done = maild("migrate", **stack)
    assert (done.returncode, done.stdout) == (0, "The schema is up to date.\n")


def test_a_database_that_is_away_is_said_in_a_sentence() -> None:
    [port] = free_ports(1)
    done = maild("migrate", POSTGRES_DSN=f"postgresql://maild@127.0.0.1:{port}/maild")
    assert done.returncode == 1
    assert done.stderr.startswith("maild: The database cannot be reached")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("-m", "maild", "worker"), ("-m", "maild", "scheduler"), ("-c", "import app")],
    ids=["worker", "scheduler", "web"],
)
def test_a_process_refuses_to_start_on_a_pending_migration(
    arguments: tuple[str, ...], stack: dict[str, str], session_settings: Settings
) -> None:
    admin = psycopg2.connect(session_settings.postgres_dsn)
    admin.autocommit = True
    name = f"t{uuid.uuid4().hex}"
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        dsn = stack["POSTGRES_DSN"].replace("/maild?", f"/{name}?")
        assert dsn != stack["POSTGRES_DSN"]
        done = python(*arguments, **{**stack, "POSTGRES_DSN": dsn})
        assert done.returncode == 1
        names = ", ".join(sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py")))
        assert "0001_initial, 0002_delivery" in names
        assert f"lacks migrations: {names}. Run: maild migrate" in done.stderr
    finally:
        with admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin.close()


def test_send_says_when_nobody_answers() -> None:
    [port] = free_ports(1)
    done = maild("send", "--to", "ann@example.org", APP_ADDR=f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"http://127.0.0.1:{port} cannot be reached" in done.stderr
    assert "0 of 1" in done.stderr


@pytest.mark.proves("bad-arguments")
def test_send_refuses_a_count_of_none() -> None:
    done = maild("send", "--to", "ann@example.org", "--count", "0")
    assert done.returncode == 2
    assert "--count" in done.stderr


@pytest.mark.proves("run-doctor")
def test_doctor_says_what_is_wrong_and_how_to_mend_it(stack: dict[str, str]) -> None:
    dead_smtp, dead_redis = free_ports(2)
    done = maild(
        "doctor",
        **{**stack, "REDIS_URL": f"redis://127.0.0.1:{dead_redis}/0"},
        SMTP_PORT=str(dead_smtp),
    )
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert any(line.startswith("ok    postgres") for line in lines)
    assert any(line.startswith("FAIL  redis") for line in lines)
    assert any(line.startswith("FAIL  smtp") and str(dead_smtp) in line for line in lines)
    assert any("check REDIS_URL" in line for line in lines)


def test_the_program_is_installed_under_its_name() -> None:
    program = Path(sys.executable).with_name("maild")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("maild")
