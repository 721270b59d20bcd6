"""The image: what is in it, and whom it runs as. That its commands work is in test_commands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import recipes
from tests.deploy.recipes import DEPLOY, ROOT

DOCKERFILE = DEPLOY / "Dockerfile"


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_as_nobody_in_particular() -> None:
    users = [rest for word, rest in recipes.last_stage() if word == "USER"]
    assert users == ["10001:10001"]


def test_signals_reach_the_process() -> None:
    """No shell stands between: commands are lists, and nothing is put before them."""
    stage = dict(recipes.last_stage())
    assert "ENTRYPOINT" not in stage
    assert recipes.image().argv[0] == "granian"
    assert stage["STOPSIGNAL"] == "SIGTERM"
    assert '["python"' in stage["HEALTHCHECK"]


def test_it_starts_in_production_and_has_no_secret() -> None:
    env = recipes.image().env
    assert env["APP_ENV"] == "production"
    assert recipes.unknown_names(env) == set()
    assert set(env) & recipes.secret_names() == set()


def test_only_pinned_wheels_come_in() -> None:
    pips = re.findall(r"pip install[^&]+", " ".join(rest for _, rest in recipes.instructions()))
    assert len(pips) == 3
    for line in pips:
        assert "--require-hashes --only-binary :all:" in line or "--no-index" in line


def test_what_it_copies_passes_the_ignore_file_and_nothing_else_does() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        word.rstrip("/")
        for kind, rest in recipes.instructions()
        if kind == "COPY" and "--from" not in rest
        for word in rest.split()[:-1]
    }
    assert copied == let_in
    assert [name for name in copied if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", ["base.txt", "tracing.txt"])
def test_the_requirements_that_it_can_be_built_with_exist(name: str) -> None:
    assert "--hash=sha256:" in (ROOT / "requirements" / name).read_text()


def test_setuptools_is_found_where_the_build_looks_for_it() -> None:
    """The build cuts the pin out of local.txt with this very expression."""
    [script] = re.findall(r"sed -n '([^']+)'", DOCKERFILE.read_text())
    done = subprocess.run(
        ["sed", "-n", script, ROOT / "requirements/local.txt"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("setuptools==")
    assert len(lines) > 1
    assert all(line.strip().startswith("--hash=sha256:") for line in lines[1:])
