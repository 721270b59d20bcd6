"""What the documents in deploy/ tell a person to do can be done: names and figures are right."""

import re
import subprocess
from pathlib import Path

import pytest

from maild import cli, scheduler, worker
from tests.deploy import recipes
from tests.deploy.recipes import DEPLOY, ROOT

OURS = ("README.md", "upgrade.md", "topology.md")
FENCE = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def text_of(name: str) -> str:
    return (DEPLOY / name).read_text()


def commands(name: str) -> str:
    return "\n".join(FENCE.findall(text_of(name)))


@pytest.mark.parametrize("name", OURS)
def test_every_command_of_maild_exists(name: str) -> None:
    called = set(re.findall(r"(?<!namespace )(?<!/)\bmaild(?:-run)? ([a-z]+)", commands(name)))
    called |= set(re.findall(r"`maild ([a-z]+)", text_of(name)))
    assert called - set(cli.cli.commands) == set()
    assert called


@pytest.mark.parametrize("name", OURS)
def test_every_service_and_unit_exists(name: str) -> None:
    services = set(recipes.compose()["services"])
    found = re.findall(r"docker compose (?:up|run)(?: --\S+)* (\w[\w -]*)$", commands(name), re.M)
    named = {word for line in found for word in line.split(" maild ")[0].split()}
    assert named - services - {"build"} == set()
    units = set(re.findall(r"\b(maild-[a-z]+)(?:@\d+)?\b", commands(name)))
    there = {path.name.split("@")[0].split(".")[0] for path in (DEPLOY / "systemd").iterdir()}
    others = {"maild-secrets", "maild-config"} | {
        doc["metadata"]["name"] for doc in recipes.manifests()
    }
    assert units - there - others == set()


@pytest.mark.parametrize("name", OURS)
def test_every_file_that_a_command_uses_exists(name: str) -> None:
    named = set(re.findall(r"\b(deploy/[\w./@-]+\w)", commands(name)))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_connections_that_are_added_up_are_those_of_the_code() -> None:
    table = text_of("topology.md")
    assert f"| worker | {worker.POOL_SIZE} |" in table
    assert f"| scheduler | {scheduler.POOL_SIZE} |" in table
    assert f"4 × 10 + 4 × {worker.POOL_SIZE} + 2 × {scheduler.POOL_SIZE} =" in table
    settings = (ROOT / "docs/configuration.md").read_text()
    assert f"up to {worker.POOL_SIZE}, a scheduler {scheduler.POOL_SIZE}," in settings


def test_a_command_runs_with_the_settings_of_the_services(tmp_path: Path) -> None:
    """`maild-run`, with a `maild` that tells what it is given."""
    recipes.new_secrets(tmp_path / "secrets")
    (tmp_path / "maild.env").write_text("PUBLIC_URL=https://mail.maild.test\nRETRY_DELAYS=1m,5m\n")
    program = tmp_path / ".venv/bin/maild"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "called $@"\nenv\n')
    program.chmod(0o755)
    script = (DEPLOY / "systemd/maild-run").read_text()
    script = script.replace("/etc/maild", str(tmp_path)).replace("/opt/maild", str(tmp_path))
    done = subprocess.run(
        ["sh", "-c", script, "maild-run", "people", "invite", "ann@example.com"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "called people invite ann@example.com"
    given = dict(line.split("=", 1) for line in lines[1:] if "=" in line)
    assert given["PUBLIC_URL"] == "https://mail.maild.test"
    assert given["APP_ENV"] == "production"
    for name in recipes.secret_names():
        assert Path(given[f"{name}_FILE"]).is_file()
