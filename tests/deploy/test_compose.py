"""compose.yaml: complete, closed to the outside, with time to stop. That its commands work is in
`test_commands.py`.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from maild import config, worker
from tests.deploy import recipes
from tests.deploy.recipes import DEPLOY

PROCESSES = ("web-a", "web-b", "worker", "scheduler")
OURS = (*PROCESSES, "migrate", "backup")
STYLE = (
    "{extends: default, rules: {line-length: disable, document-start: disable,"
    " braces: {max-spaces-inside: 1}}}"
)


def test_all_yaml_is_well_formed() -> None:
    yamllint = Path(sys.executable).with_name("yamllint")
    done = subprocess.run(
        [yamllint, "--strict", "-d", STYLE, DEPLOY], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_maild_is_shut_in(name: str) -> None:
    wanted = recipes.compose()["services"][name]
    assert wanted["read_only"] is True
    assert wanted["user"] == "10001:10001"
    assert wanted["cap_drop"] == ["ALL"]
    assert wanted["security_opt"] == ["no-new-privileges:true"]
    assert "limits" in wanted["deploy"]["resources"]
    assert "ports" not in wanted
    assert recipes.unknown_names(wanted["environment"]) == set()
    assert {f"{one}_FILE" for one in recipes.secret_names()} <= set(wanted["environment"])


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_waits_for_the_schema_and_has_time_to_stop(name: str) -> None:
    wanted = recipes.compose()["services"][name]
    assert wanted["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert wanted["restart"] == "unless-stopped"
    assert recipes.seconds(wanted["stop_grace_period"]) > worker.GRACE_SECONDS
    assert "healthcheck" in wanted or name.startswith("web")  # the image's


def test_each_version_has_an_image_of_its_own() -> None:
    """Or the new one would be built under the name that is gone back to."""
    for name in OURS:
        image = recipes.compose()["services"][name]["image"]
        assert re.fullmatch(r"\$\{MAILD_IMAGE:\?[^}]+\}", image)


def test_a_backup_touches_no_schema() -> None:
    """It is made before an upgrade, when the image has the new version already."""
    assert set(recipes.compose()["services"]["backup"]["depends_on"]) == {"postgres"}


def test_only_the_proxy_is_reached_from_outside() -> None:
    services = recipes.compose()["services"]
    assert {name for name, wanted in services.items() if "ports" in wanted} == {"nginx", "mailpit"}
    assert services["mailpit"]["ports"] == ["127.0.0.1:8025:8025"]
    assert services["mailpit"]["profiles"] == ["mailpit"]
    networks = recipes.compose()["networks"]
    assert networks["databases"]["internal"] is True
    for name in ("postgres", "valkey"):
        assert services[name]["networks"] == ["databases"]


def test_databases_keep_what_they_were_given() -> None:
    services = recipes.compose()["services"]
    postgres, valkey = services["postgres"], services["valkey"]
    assert {"fsync=on", "full_page_writes=on", "synchronous_commit=on"} <= set(postgres["command"])
    assert " ".join(valkey["command"]).endswith("--maxmemory-policy noeviction")
    assert "--appendonly yes" in " ".join(valkey["command"])
    mounted = [one.split(":")[0] for each in (postgres, valkey) for one in each["volumes"]]
    assert set(recipes.compose()["volumes"]) <= set(mounted)


def test_the_proxy_leads_to_the_web_servers_and_is_believed() -> None:
    services = recipes.compose()["services"]
    upstream = (DEPLOY / "nginx/upstream-compose.conf").read_text()
    named = set(re.findall(r"server ([\d.]+):8080", upstream))
    front = {
        name: one["networks"]["front"]["ipv4_address"]
        for name, one in services.items()
        if "front" in one["networks"]
    }
    assert named == {front["web-a"], front["web-b"]}
    trusted = services["web-a"]["environment"]["TRUSTED_PROXIES"]
    assert trusted == f"{front['nginx']}/32"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    recipes.new_secrets(tmp_path / "secrets", "--compose")
    return tmp_path / "secrets"


def test_the_secrets_are_made_that_it_names(secrets: Path) -> None:
    named = recipes.compose()["secrets"]
    made = {path.name for path in secrets.iterdir()}
    assert {name: one["file"] for name, one in named.items()} == {
        name: f"./secrets/{name}" for name in named
    }
    # Valkey's password stands in its configuration and in maild's address.
    assert made == set(named) | {"valkey_password"}
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o400}
    used = {
        one for each in recipes.compose()["services"].values() for one in each.get("secrets", [])
    }
    assert used == set(named)


def test_made_secrets_are_kept(secrets: Path) -> None:
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    recipes.new_secrets(secrets, "--compose")
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before


@pytest.mark.parametrize("name", OURS)
def test_production_takes_these_settings(name: str, secrets: Path, tmp_path: Path) -> None:
    """With the files as they are made, and what a person fills in."""
    made = recipes.new_settings(secrets, tmp_path / "maild.env", "--compose")
    wanted = recipes.service(name)
    assert set(made) & set(wanted.env) == set()
    env = {key: value.replace("/run/secrets", str(secrets)) for key, value in wanted.env.items()}
    settings = config.load({**made, **recipes.BY_HAND, **env})
    assert settings.is_production
    assert settings.plaintext_hosts == ("postgres", "valkey")
    assert settings.encryption_keys_old == ()
