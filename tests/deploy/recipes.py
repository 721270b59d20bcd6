"""What the files in deploy/ say, read from them: the image, the services of compose, the units of
systemd, the manifests of Kubernetes. Tests compare them with the code, and run what they say.
"""

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from maild import config

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
IMAGE_ROOT = "/opt/maild"
"""Where maild lies: in the image, and on a machine with systemd."""
OTHERS = frozenset(
    {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "GRANIAN_WORKERS"}
    | {"GRANIAN_BLOCKING_THREADS"}
)
"""What stands in environments beside settings of maild."""


BY_HAND = {
    "PUBLIC_URL": "https://mail.maild.test",
    "SMTP_HOST": "smtp.maild.test",
    "SMTP_PORT": "587",
    "SMTP_SECURITY": "starttls",
    "SMTP_FROM": "maild@maild.test",
    "SMTP_HOSTNAME": "mail.maild.test",
}
"""What a person fills in for production."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one process is started and stopped."""

    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    grace_seconds: float = 0.0


def need(program: str, package: str) -> str:
    """The path of a program; where it is missing the test is skipped, and fails in CI."""
    # Debian keeps servers where not everybody's PATH leads.
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is not installed, and CI must have it")
        pytest.skip(f"{program} is not installed: {package}")
    return path


@functools.cache
def secret_names() -> frozenset[str]:
    """The settings that may come from a file."""
    return frozenset(
        name
        for name in config.setting_names()
        if any(
            problem.field == f"{name}_FILE"
            for problem in config.review({f"{name}_FILE": "/nonexistent"}).problems
        )
    )


def unknown_names(env: dict[str, str]) -> set[str]:
    """The names in an environment that nothing reads."""
    known = set(config.setting_names()) | OTHERS | {f"{name}_FILE" for name in secret_names()}
    return set(env) - known


def instructions(path: Path = DEPLOY / "Dockerfile") -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, with lines put together."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(n for n, (word, _) in enumerate(found) if word == "FROM")
    return found[start:]


def image() -> Recipe:
    """The image's own command and environment."""
    stage = last_stage()
    [command] = [json.loads(rest) for word, rest in stage if word == "CMD"]
    env: dict[str, str] = {}
    for word, rest in stage:
        if word == "ENV":
            env |= dict(pair.split("=", 1) for pair in shlex.split(rest))
    return Recipe(tuple(command), env)


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def service(name: str) -> Recipe:
    """A service of compose, with what it has from the image."""
    wanted, base = compose()["services"][name], image()
    env = {**base.env, **wanted["environment"]}
    return Recipe(
        tuple(wanted.get("command", base.argv)), env, seconds(wanted["stop_grace_period"])
    )


def unit(name: str) -> dict[str, list[str]]:
    """All lines of a unit by their key, those of its drop-in after its own as systemd reads them,
    and its instance filled in: `maild-worker@1.service`.
    """
    stem, _, instance = name.removesuffix(".service").partition("@")
    path = DEPLOY / "systemd" / (f"{stem}@.service" if instance else name)
    files = [path, *sorted((DEPLOY / "systemd/maild-.service.d").glob("*.conf"))]
    found: dict[str, list[str]] = {}
    for file in files:
        for line in file.read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                found.setdefault(key, []).append(value.replace("%i", instance))
    return found


def unit_service(name: str, *, credentials: Path) -> Recipe:
    """How systemd runs a unit, with the folder of credentials that it would make."""
    lines = unit(name)
    [command] = lines["ExecStart"]
    env: dict[str, str] = {}
    for line in lines["Environment"]:
        env |= dict(pair.split("=", 1) for pair in shlex.split(line))
    env = {key: value.replace("%d", str(credentials)) for key, value in env.items()}
    return Recipe(tuple(shlex.split(command)), env, seconds(lines["TimeoutStopSec"][-1]))


def manifests() -> list[dict[str, Any]]:
    """Every document of the Kubernetes folder that the kustomization names."""
    folder = DEPLOY / "kubernetes"
    names = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    return [doc for name in names for doc in yaml.safe_load_all((folder / name).read_text())]


def pods() -> dict[str, dict[str, Any]]:
    """The pods' specs by component."""
    found = {}
    for doc in manifests():
        if doc["kind"] in {"Deployment", "Job", "CronJob"}:
            owner = doc["spec"]["jobTemplate"] if doc["kind"] == "CronJob" else doc
            template = owner["spec"]["template"]
            component = template["metadata"]["labels"]["app.kubernetes.io/component"]
            found[component] = template["spec"]
    return found


def config_map() -> dict[str, str]:
    [data] = [doc["data"] for doc in manifests() if doc["kind"] == "ConfigMap"]
    return data


def pod(component: str) -> Recipe:
    """A pod's process, with what it has from the image."""
    spec, base = pods()[component], image()
    [container] = spec["containers"]
    return Recipe(
        tuple(container.get("command", base.argv)),
        {**base.env, **config_map()},
        float(spec["terminationGracePeriodSeconds"]),
    )


def seconds(text: str) -> float:
    number, unit_ = re.fullmatch(r"(\d+)(s|m|min)?", str(text)).groups()  # type: ignore[union-attr]
    return float(number) * {"m": 60, "min": 60}.get(unit_, 1)


def new_secrets(folder: Path, *options: str) -> None:
    """Make the files of secrets as the documents say."""
    subprocess.run([DEPLOY / "new-secrets", folder, *options], check=True, capture_output=True)


def new_settings(folder: Path, file: Path, *options: str) -> dict[str, str]:
    """Make the file of settings as the documents say; returns what is in it."""
    command = [DEPLOY / "new-settings", folder, file, *options]
    subprocess.run(command, check=True, capture_output=True)
    lines = file.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
