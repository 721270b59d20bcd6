"""What the documents in deploy/ tell a person to do can be done: names and figures are right."""

import re
import subprocess
from pathlib import Path

import pytest

from maild import cli, cli_preflight, scheduler, worker
from tests.deploy import recipes
from tests.deploy.recipes import DEPLOY, ROOT

OURS = ("README.md", "upgrade.md", "topology.md", "production-config.md")
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
    a_web_process = 10 + cli_preflight.WATCH_CONNECTIONS
    total = 4 * a_web_process + 4 * worker.POOL_SIZE + 2 * scheduler.POOL_SIZE
    example = f"4 × {a_web_process} + 4 × {worker.POOL_SIZE} + 2 × {scheduler.POOL_SIZE} = {total}"
    assert example in table
    pools = rf"worker {worker.POOL_SIZE}, (each|a) scheduler {scheduler.POOL_SIZE}\b"
    assert re.search(pools, (ROOT / "docs/operations.md").read_text())
    assert re.search(pools, example_of_settings())
    settings = (ROOT / "docs/configuration.md").read_text()
    assert f"up to {worker.POOL_SIZE}, a scheduler {scheduler.POOL_SIZE}," in settings


def example_of_settings() -> str:
    return (ROOT / ".env.production.example").read_text()


def test_the_example_names_every_setting_that_may_come_from_a_file() -> None:
    head = example_of_settings().partition("\n\n")[0]
    assert set(re.findall(r"\b[A-Z0-9]+_[A-Z0-9_]+\b", head)) - {"NAME_FILE"} == (
        recipes.secret_names()
    )


def test_postgresql_has_room_for_all_that_the_autoscaler_adds() -> None:
    """With what a rollout adds to each, and commands."""
    pool = int(recipes.config_map()["POSTGRES_POOL_SIZE"])
    processes = int(recipes.image().env["GRANIAN_WORKERS"])
    owned = {(doc["kind"], doc["metadata"]["name"]): doc for doc in recipes.manifests()}
    web = owned["HorizontalPodAutoscaler", "maild-web"]["spec"]["maxReplicas"] + 1
    workers = owned["Deployment", "maild-worker"]["spec"]["replicas"] + 1
    schedulers = owned["Deployment", "maild-scheduler"]["spec"]["replicas"] + 1
    each = pool + cli_preflight.WATCH_CONNECTIONS
    total = processes * web * each + workers * worker.POOL_SIZE + schedulers * scheduler.POOL_SIZE
    words = (
        f"{processes * web} × {each} + {workers} × {worker.POOL_SIZE}"
        f" + {schedulers} × {scheduler.POOL_SIZE} + 6 = {total + 6}"
    )
    assert words in text_of("topology.md")
    named = re.findall(r"max_connections = (\d+)", (DEPLOY / "kubernetes/web.yaml").read_text())
    assert [int(most) > total + 6 for most in named] == [True]
    for name in ("README.md", "topology.md"):
        assert f"max_connections = {named[0]}" in text_of(name)


def test_going_back_builds_nothing_and_takes_an_image_of_its_own() -> None:
    back = text_of("upgrade.md").partition("## Going back")[2]
    ups = re.findall(r"^docker compose up .+$", back, re.MULTILINE)
    assert len(ups) == 3
    assert [line for line in ups if "--no-build" not in line] == []
    assert "MAILD_IMAGE=maild:0.1.0" in back


def test_a_change_of_a_secret_makes_containers_anew() -> None:
    restart = text_of("production-config.md").partition("### Restart")[2].partition("\n### ")[0]
    ups = re.findall(r"^docker compose up .+$", restart, re.MULTILINE)
    assert [line for line in ups if "--force-recreate" not in line] == []
    started = " ".join(line.partition("--wait ")[2] for line in ups)
    assert started == "web-a web-b worker scheduler"


@pytest.mark.parametrize(
    "name", ["deploy/production-config.md", "docs/operations.md", "deploy/runbook.md"]
)
def test_all_hold_both_keys_before_secrets_are_encrypted_anew(name: str) -> None:
    text = (ROOT / name).read_text()
    way = re.split(r"(?m)^#+ (?:Rotate the encryption|Changing the encryption|Drill: rotate)", text)
    before, *after = re.split(r"\d\. (?:Only then )?`maild keys rotate`", way[1])
    assert after
    steps = re.sub(r"\s+", " ", before)
    assert steps.lower().count("restart") >= 2
    assert "change places" in steps


@pytest.mark.parametrize("name", ["deploy/postgres/10-maild.sh", "deploy/README.md"])
def test_the_role_sees_its_sessions_and_its_mail_stays_out_of_the_log(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "GRANT pg_read_all_stats TO maild;" in text
    assert "ALTER ROLE maild SET log_min_error_statement = 'panic';" in text


def test_users_that_take_turns_are_set_up_alike() -> None:
    recipe = text_of("production-config.md").partition("### Two database users")[2]
    for user in ("maild_blue", "maild_green"):
        assert f"CREATE ROLE {user} LOGIN IN ROLE maild;" in recipe
        assert f"ALTER ROLE {user} SET role TO maild;" in recipe
        assert f"ALTER ROLE {user} SET log_min_error_statement = 'panic';" in recipe
    assert "GRANT pg_read_all_stats TO maild;" in recipe


def test_who_verifies_the_server_says_by_which_authorities() -> None:
    """libpq has none by itself: without them no connection comes about."""
    for path in [ROOT / ".env.production.example", *sorted(DEPLOY.rglob("*"))]:
        if path.is_file():
            for line in path.read_text().splitlines():
                if "?sslmode=verify-full" in line:
                    assert "sslrootcert=" in line, path


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
    web = recipes.unit("maild-web@8081.service")["Environment"]
    assert f"GRANIAN_WORKERS={given['GRANIAN_WORKERS']}" in " ".join(web).split()
    for name in recipes.secret_names():
        assert Path(given[f"{name}_FILE"]).is_file()
