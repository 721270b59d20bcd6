"""Production starts with each setting as it should be, and with none of them missing or weak."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from maild import cli, config
from maild.config import child_environment
from maild.errors import ConfigError
from maild.setting_production import is_example, is_here, postgres_target, redis_target
from tests.conftest import free_ports
from tests.production import PRODUCTION, SECRETS

ROOT = Path(__file__).resolve().parents[1]

A_WEAK_SECRET = ["changeme", "s" * 40, "admin-admin-admin-admin-admin", "0123456789" * 4]
A_WEAK_KEY = [base64.b64encode(key).decode() for key in (bytes(32), bytes(range(32)), b"k" * 32)]
WEAK = {
    "PUBLIC_URL": [
        "http://mail.maild.test", "https://localhost", "https://127.0.0.1:8080", "https://[::1]/",
        "https://mail.example.com", "https://maild.example", "http://127.0.0.1:8080",
    ],
    "ADMIN_API_KEY": [*A_WEAK_SECRET, SECRETS["ADMIN_API_KEY"][:23], "change-me-admin"],
    "OPERATOR_API_KEY": [*A_WEAK_SECRET, SECRETS["ADMIN_API_KEY"], "change-me-operator"],
    "SIGNUP_MODE": ["open"],
    "TRUSTED_PROXIES": ["0.0.0.0/0", "10.0.0.1,::/0"],
    "ENCRYPTION_KEY_BASE64": [*A_WEAK_KEY, config.DEVELOPMENT_ENCRYPTION_KEY],
    "ENCRYPTION_KEYS_OLD": [SECRETS["ENCRYPTION_KEY_BASE64"]],
    "WEBHOOK_SIGNING_SECRET": [*A_WEAK_SECRET, SECRETS["OPERATOR_API_KEY"], "change-me-webhook"],
    "POSTGRES_DSN": [
        "postgresql://maild@127.0.0.1:5432/maild",
        "postgresql://maild@db.maild.test/maild?sslmode=verify-full",
        "postgresql://maild:4f9a1c07d2be63581e70@db.maild.test/maild",
        "postgresql://maild:4f9a1c07d2be63581e70@db.maild.test/maild?sslmode=prefer",
        "postgresql://maild:4f9a1c07d2be63581e70@127.0.0.1,db.maild.test/maild",
        "postgresql://maild:4f9a1c07d2be63581e70@127.0.0.1/maild?host=db.maild.test",
        "postgresql://maild:PASSWORD@db.maild.test/maild?sslmode=require",
        "postgresql://maild:maildmaildmaild@127.0.0.1/maild",
        "postgresql://maild:4f9a1c07d2be63581e70@db.example.com/maild?sslmode=verify-full",
    ],
    "REDIS_URL": [
        "redis://127.0.0.1:6379/0",
        "redis://:b81e5d3c0a97f2641d6e@redis.maild.test/0",
        "rediss://redis.maild.test/0",
        "rediss://:changeme@redis.maild.test/0",
        "rediss://:b81e5d3c0a97f2641d6e@redis.maild.test/0?ssl_cert_reqs=none",
        "rediss://:4f9a1c07d2be63581e70@redis.maild.test/0",  # that of PostgreSQL
        "rediss://:b81e5d3c0a97f2641d6e@redis.example.com/0",
    ],
    "SMTP_PASSWORD": ["PASSWORD", "<your password>", "1234567890", SECRETS["ADMIN_API_KEY"]],
    "SMTP_HOST": ["smtp.example.com", "127.0.0.1"],
    "SMTP_PORT": ["1025"],
    "SMTP_SECURITY": ["none", "auto"],
    "SMTP_FROM": ["maild@example.com", "maild@localhost.test"],
    "SMTP_HOSTNAME": ["localhost", "mail.example.com"],
    "ALLOWED_PRIVATE_NETWORKS": ["0.0.0.0/0", "::/0"],
    "METRICS_TOKEN": A_WEAK_SECRET,
    "OTEL_EXPORTER_OTLP_ENDPOINT": ["http://otel.maild.test:4318"],
    "DEADMAN_PING_URL": ["http://hc.maild.test/3f1c"],
}  # fmt: skip
"""For each setting that production is strict about, what it refuses."""
OPTIONAL = {
    "ENCRYPTION_KEYS_OLD", "SIGNUP_MODE", "TRUSTED_PROXIES", "SMTP_SECURITY",
    "ALLOWED_PRIVATE_NETWORKS", "DEADMAN_PING_URL", "SMTP_PASSWORD", "METRICS_TOKEN",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
}  # fmt: skip
"""Those of them that need not be set, or not by themselves."""


def problems(**changes: str) -> dict[str, str]:
    """What production says with these changes: the messages of each setting, in one text."""
    found: dict[str, str] = {}
    try:
        config.load({**PRODUCTION, **changes})
    except ConfigError as error:
        for one in error.errors:
            found[one.field] = found.get(one.field, "") + one.message
        text = str(error)
        assert [secret for secret in SECRETS.values() if secret in text] == []
    return found


def test_every_setting_that_production_is_strict_about_is_tried() -> None:
    assert set(WEAK) == config.strict_names(PRODUCTION)
    assert problems() == {}


@pytest.mark.parametrize("name", sorted(set(WEAK) - OPTIONAL))
def test_each_missing_one_is_named(name: str) -> None:
    found = problems(**{name: ""})
    assert set(found) == {name}
    assert "is required in production; " in found[name]


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WEAK.items() for value in values]
)
def test_each_weak_one_is_named(name: str, value: str) -> None:
    found = problems(**{name: value})
    # Where two are the same, the second is named.
    twin = {"SMTP_PASSWORD": "ADMIN_API_KEY"}.get(name)
    assert name in found
    assert set(found) <= {name, twin}
    for part in (value, base64.b64encode(value.encode()).decode()):
        assert len(part) < 9 or name in {"PUBLIC_URL"} or part not in found[name]


@pytest.mark.parametrize("name", ["SIGNUP_MODE", "SMTP_SECURITY", "TRUSTED_PROXIES"])
def test_what_need_not_be_set_is_closed_by_itself(name: str) -> None:
    changes = {name: ""} if name != "SMTP_SECURITY" else {name: "", "SMTP_PORT": "465"}
    assert problems(**changes) == {}


def test_all_of_them_together_are_one_list_in_the_order_of_the_settings() -> None:
    weak = {name: values[0] for name, values in WEAK.items()}
    del weak["ENCRYPTION_KEY_BASE64"]  # or the old ones do not hold it any more
    with pytest.raises(ConfigError) as caught:
        config.load({**PRODUCTION, **weak})
    fields = list(dict.fromkeys(error.field for error in caught.value.errors))
    assert fields == [name for name in config.setting_names() if name in weak]
    assert f"{len(weak)} settings are missing or wrong:" in str(caught.value)


# What may go in the clear


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_DSN", "postgresql://maild@/maild?host=/run/postgresql"),
        ("POSTGRES_DSN", "postgresql://maild@%2Frun%2Fpostgresql/maild"),
        ("POSTGRES_DSN", "postgresql:///maild"),
        ("POSTGRES_DSN", "postgresql://maild:4f9a1c07d2be63581e70@localhost:5432/maild"),
        ("POSTGRES_DSN", "postgresql://maild:4f9a1c07d2be63581e70@[::1]:5432/maild"),
        ("POSTGRES_DSN", "postgresql://maild@db.maild.test/maild?sslmode=require&sslcert=/run/c"),
        ("REDIS_URL", "unix:///run/valkey.sock?db=0"),
        ("REDIS_URL", "redis://localhost:6379/1"),
    ],
)
def test_what_stays_on_this_machine_may_go_in_the_clear(name: str, value: str) -> None:
    assert problems(**{name: value}) == {}


def test_a_host_on_a_private_network_may_be_named() -> None:
    clear = {
        "POSTGRES_DSN": "postgresql://maild:4f9a1c07d2be63581e70@postgres/maild",
        "REDIS_URL": "redis://:b81e5d3c0a97f2641d6e@valkey:6379/0",
        "SMTP_HOST": "Mailpit",
        "SMTP_SECURITY": "none",
    }
    assert set(problems(**clear)) == {"POSTGRES_DSN", "REDIS_URL", "SMTP_SECURITY"}
    assert "PLAINTEXT_HOSTS=postgres" in problems(**clear)["POSTGRES_DSN"]
    assert problems(**clear, PLAINTEXT_HOSTS="postgres, valkey,mailpit") == {}
    # For that host, and with a password as before.
    clear["REDIS_URL"] = "redis://valkey:6379/0"
    assert set(problems(**clear, PLAINTEXT_HOSTS="postgres,valkey,mailpit")) == {"REDIS_URL"}


def test_mail_without_a_password_may_take_what_the_server_offers() -> None:
    nobody = {"SMTP_USERNAME": "", "SMTP_PASSWORD": "", "SMTP_SECURITY": "auto"}
    assert problems(**nobody) == {}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", True), ("/run/postgresql", True), ("@maild", True), ("localhost", True),
        ("a.localhost", True), ("127.8.8.8", True), ("[::1]", True), ("10.0.0.1", False),
        ("db", False), ("localhost.maild.test", False), ("0.0.0.0", False),
    ],
)  # fmt: skip
def test_it_knows_this_machine(host: str, expected: bool) -> None:
    assert is_here(host) is expected


@pytest.mark.parametrize("host", ["example.com", "a.b.example.org", "x.EXAMPLE", "no.invalid."])
def test_it_knows_examples(host: str) -> None:
    assert is_example(host)
    assert not is_example(f"{host.rstrip('.')}.maild.test")
    assert not is_example("myexample.com")


def test_a_password_is_read_as_the_library_does() -> None:
    assert postgres_target("postgresql://a:p%40ss@h/d").password == "p@ss"
    assert postgres_target("postgresql://a@h/d?password=x").password == "x"
    assert postgres_target("postgresql://a:b@h1:1,[fd00::1]:2/d").hosts == ("h1", "fd00::1")
    assert redis_target("rediss://u:p%3Aq@h/0").password == "p:q"
    for target in (postgres_target("postgresql://a:hidden@h/d"), redis_target("redis://:hidden@h")):
        assert "hidden" not in repr(target)


# Secrets in files


def test_a_file_that_everybody_may_change_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(SECRETS["ADMIN_API_KEY"])
    path.chmod(0o644)  # as container runtimes make them
    told = {"ADMIN_API_KEY": "", "ADMIN_API_KEY_FILE": str(path)}
    assert problems(**told) == {}
    path.chmod(0o646)
    found = problems(**told)
    assert set(found) == {"ADMIN_API_KEY_FILE"}
    assert "chmod o-w" in found["ADMIN_API_KEY_FILE"]


# As processes

PROCESSES = {
    "web": ["granian", "--interface", "wsgi", "--port", "PORT", "app:app"],
    "worker": ["maild", "worker"],
    "scheduler": ["maild", "scheduler"],
    "migrate": ["maild", "migrate"],
    "preflight": ["maild", "preflight"],
}
COMMANDS = [
    ["doctor"], ["send", "--to", "ann@maild.test"], ["keys", "rotate"], ["people", "list"],
    ["keys", "new-link-key", "--workspace", "1"], ["trail", "verify"], ["run"],
]  # fmt: skip


@pytest.mark.parametrize("name", PROCESSES)
def test_no_process_starts_with_a_weak_one(name: str) -> None:
    command = [str(free_ports(1)[0]) if part == "PORT" else part for part in PROCESSES[name]]
    weak = sorted(WEAK)[list(PROCESSES).index(name)]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=child_environment(**{**PRODUCTION, weak: WEAK[weak][0], "SMTP_HOSTNAME": ""}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    if name != "preflight":  # its table has the same words
        assert "maild: 2 settings are missing or wrong:\n" in done.stderr
    assert weak in said
    assert "SMTP_HOSTNAME" in said


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
def test_no_command_runs_with_a_weak_one(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: each looks at the settings before it does anything."""
    for name, value in {**PRODUCTION, "SIGNUP_MODE": "open"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["maild", *command])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    said = capsys.readouterr()
    assert "1 setting is missing or wrong:\n  SIGNUP_MODE: " in said.out + said.err
