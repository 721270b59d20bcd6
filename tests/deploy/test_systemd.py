"""The units of systemd: they are well-formed, shut in, and stop within their grace. That their
commands work is in `test_commands.py`.
"""

import re
import subprocess
from pathlib import Path

import pytest

from maild import config, worker
from tests.deploy import recipes
from tests.deploy.recipes import DEPLOY

UNITS = DEPLOY / "systemd"
LASTING = ("maild-web@8081.service", "maild-worker@1.service", "maild-scheduler.service")
ONCE = ("maild-migrate.service", "maild-backup.service")
EXPOSURE_MAX = 20
"""Of 100, as `systemd-analyze security` counts; a unit without hardening has 96."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A file system with the units where a person installs them, and what they name."""
    installed = tmp_path / "etc/systemd/system"
    (installed / "maild-.service.d").mkdir(parents=True)
    for path in UNITS.rglob("*"):
        if path.is_file():
            (installed / path.relative_to(UNITS)).write_bytes(path.read_bytes())
    system = tmp_path / "usr/lib/systemd/system"
    system.mkdir(parents=True)
    for name in ("sysinit", "basic", "shutdown", "network-online", "timers", "multi-user"):
        (system / f"{name}.target").write_text(f"[Unit]\nDescription={name}\n")
    for name in ("opt/maild/.venv/bin/maild", "opt/maild/.venv/bin/granian", "usr/bin/curl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch(mode=0o755)
    return tmp_path


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    program = recipes.need("systemd-analyze", "apt-get install systemd")
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", [*LASTING, *ONCE, "maild-backup.timer", "maild.target"])
def test_systemd_takes_it(name: str, root: Path) -> None:
    done = analyze("verify", "--man=no", f"--root={root}", f"{root}/etc/systemd/system/{name}")
    ours = [line for line in done.stderr.splitlines() if "maild" in line]
    assert ours == []


@pytest.mark.parametrize("name", [*LASTING, *ONCE])
def test_it_is_shut_in(name: str, root: Path) -> None:
    template = re.sub("@.*[.]", "@.", name)
    threshold = f"--threshold={EXPOSURE_MAX}"
    done = analyze("security", "--offline=yes", "--no-pager", f"--root={root}", threshold, template)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@pytest.mark.parametrize("name", [*LASTING, *ONCE])
def test_its_environment_is_complete_and_known(name: str, tmp_path: Path) -> None:
    env = recipes.unit_service(name, credentials=tmp_path).env
    assert recipes.unknown_names(env) == set()
    secrets = recipes.secret_names()
    assert {key.removesuffix("_FILE"): value for key, value in env.items() if "_FILE" in key} == {
        one: f"{tmp_path}/{one.lower()}" for one in secrets
    }
    assert set(recipes.unit(name)["LoadCredential"]) == {
        f"{one.lower()}:/etc/maild/secrets/{one.lower()}" for one in secrets
    }
    assert {one.lower() for one in secrets} == made_secrets(tmp_path)


def made_secrets(tmp_path: Path) -> set[str]:
    recipes.new_secrets(tmp_path / "made")
    return {path.name for path in (tmp_path / "made").iterdir()}


@pytest.mark.parametrize("name", [*LASTING, *ONCE])
def test_production_takes_these_settings(name: str, tmp_path: Path) -> None:
    """With the files as they are made, and what a person fills in. A file of settings comes after
    what the unit says, so it must say nothing of that.
    """
    secrets = tmp_path / "secrets"
    recipes.new_secrets(secrets)
    for file, text in {
        "postgres_dsn": "postgresql://maild:5d1f0c27ab934e68@/maild?host=/run/postgresql",
        "redis_url": "unix://:c02b7de45f1a9836@/run/valkey/valkey.sock",
    }.items():
        (secrets / file).chmod(0o600)
        (secrets / file).write_text(text)
    made = recipes.new_settings(secrets, tmp_path / "maild.env")
    env = recipes.unit_service(name, credentials=secrets).env
    assert set(made) & set(env) == set()
    settings = config.load({**env, **made, **recipes.BY_HAND})
    assert settings.is_production
    assert str(settings.metrics.directory) == "/run/maild"


def test_only_what_the_units_say_is_left_out(tmp_path: Path) -> None:
    recipes.new_secrets(tmp_path / "secrets")
    made = recipes.new_settings(tmp_path / "secrets", tmp_path / "maild.env")
    left_out = {"APP_ENV", "APP_ADDR", "METRICS_DIR"} | recipes.secret_names()
    assert set(made) == set(config.setting_names()) - left_out


@pytest.mark.parametrize("name", LASTING)
def test_it_stops_by_sigterm_and_comes_back(name: str) -> None:
    lines = recipes.unit(name)
    assert lines["KillSignal"] == ["SIGTERM"]
    assert lines["KillMode"] == ["mixed"]
    assert lines["Restart"] == ["always"]
    assert recipes.seconds(lines["TimeoutStopSec"][-1]) > worker.GRACE_SECONDS
    assert lines["PartOf"] == lines["WantedBy"] == ["maild.target"]


@pytest.mark.parametrize("name", [*LASTING, *ONCE])
def test_it_stops_before_the_databases_of_the_same_machine(name: str) -> None:
    after = {word for line in recipes.unit(name)["After"] for word in line.split()}
    assert {"postgresql.service", "valkey-server.service", "redis-server.service"} <= after


@pytest.mark.parametrize("name", ONCE)
def test_what_runs_once_is_not_repeated(name: str) -> None:
    assert recipes.unit(name)["Type"] == ["oneshot"]
    assert recipes.unit(name)["Restart"] == ["no"]
    assert recipes.unit(name)["TimeoutStartSec"] == ["infinity"]


def test_nginx_leads_to_instances_that_the_readme_enables() -> None:
    ports = re.findall(r"127\.0\.0\.1:(\d+)", (DEPLOY / "nginx/upstream.conf").read_text())
    readme = (DEPLOY / "README.md").read_text()
    assert len(ports) == 2
    assert [port for port in ports if f"maild-web@{port}" not in readme] == []
