"""The very commands of the image, compose, Kubernetes and systemd, run as they say: by a user
without rights, from a checkout that it cannot write to, in production, stopped by their signals.
"""

import http.client
import json
import shlex
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from maild.config import Settings
from tests.conftest import free_ports
from tests.deploy import house as houses
from tests.deploy import recipes
from tests.deploy.house import House
from tests.deploy.recipes import Recipe


@dataclass(frozen=True, slots=True)
class Kit:
    """One way to run maild. `ports` are those of the recipes, and the free ones in their place."""

    migrate: Recipe
    web: Recipe
    worker: Recipe
    scheduler: Recipe
    ports: dict[str, str]
    web_port: int


@pytest.fixture
def house(session_settings: Settings) -> Iterator[House]:
    """With a database of its own, which is empty."""
    name = f"t{uuid.uuid4().hex}"
    admin = psycopg2.connect(session_settings.postgres_dsn)
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        with houses.built() as built:
            dsn = session_settings.postgres_dsn.replace("/maild?", f"/{name}?")
            built.keep(postgres_dsn=dsn, redis_url=session_settings.redis_url)
            yield built
    finally:
        with admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin.close()


def from_compose() -> Kit:
    web, metrics = free_ports(2)
    return Kit(
        recipes.service("migrate"),
        recipes.service("web-a"),
        recipes.service("worker"),
        recipes.service("scheduler"),
        {"8080": str(web), "9090": str(metrics)},
        web,
    )


def from_systemd() -> Kit:
    [web] = free_ports(1)

    def unit(name: str) -> Recipe:
        return recipes.unit_service(name, credentials=Path("/run/secrets"))

    return Kit(
        unit("maild-migrate.service"),
        unit(f"maild-web@{web}.service"),
        unit("maild-worker@1.service"),
        unit("maild-scheduler.service"),
        {},
        web,
    )


@pytest.mark.crash
@pytest.mark.parametrize("kind", ["compose", pytest.param("systemd", marks=pytest.mark.long)])
def test_everything_starts_works_and_stops(kind: str, house: House) -> None:
    kit = from_compose() if kind == "compose" else from_systemd()
    assert house.run(kit.migrate, kit.ports) == 0, house.logs()
    parts = {"web": kit.web, "worker": kit.worker, "scheduler": kit.scheduler}
    running = {name: house.start(recipe, kit.ports) for name, recipe in parts.items()}
    services = recipes.compose()["services"]
    for name, recipe in parts.items():
        check = web_check() if name == "web" else services[name]["healthcheck"]["test"][1:]
        ports = {**kit.ports, "8080": str(kit.web_port)}
        wait_healthy(house, Recipe(tuple(check), recipe.env), ports, running[name], name)
    assert submit(kit.web_port, house) == 201, house.logs()
    assert get(kit.web_port, "/readyz") == 200, house.logs()
    codes = {
        name: houses.stop(process, parts[name].grace_seconds) for name, process in running.items()
    }
    assert codes == {"web": 0, "worker": 0, "scheduler": 0}, house.logs()


def wait_healthy(
    house: House, check: Recipe, ports: dict[str, str], process: subprocess.Popen[bytes], name: str
) -> None:
    def is_healthy() -> bool:
        assert process.poll() is None, f"{name} has ended\n{house.logs()}"
        return house.run(check, ports) == 0

    houses.wait_until(is_healthy, f"{name} is healthy", house)


def web_check() -> list[str]:
    """The image's own."""
    [rest] = [rest for word, rest in recipes.last_stage() if word == "HEALTHCHECK"]
    return json.loads(rest[rest.index("CMD") + len("CMD") :])


def submit(port: int, house: House) -> int:
    body = {
        "from_email": "shop@maild.test",
        "to_email": "ann@maild.test",
        "subject": "Hello",
        "body_text": "Hello.",
    }
    key = (house.secrets / "operator_api_key").read_text()
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    return request(port, "POST", "/v1/messages", json.dumps(body), headers)


def get(port: int, path: str) -> int:
    return request(port, "GET", path, None, {})


def request(port: int, method: str, path: str, body: str | None, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("component", ["web", "worker", "scheduler", "migrate", "backup"])
def test_kubernetes_runs_what_compose_runs(component: str) -> None:
    in_compose = recipes.service("web-a" if component == "web" else component)
    in_cluster = recipes.pod(component)
    assert in_cluster.argv == in_compose.argv
    assert in_cluster.grace_seconds + 5 >= in_compose.grace_seconds
    [container] = recipes.pods()[component]["containers"]
    checks = recipes.compose()["services"].get(component, {}).get("healthcheck", {})
    if component in {"worker", "scheduler"}:
        for probe in ("startupProbe", "livenessProbe"):
            assert ["CMD", *container[probe]["exec"]["command"]] == checks["test"]


@pytest.mark.parametrize("name", ["web", "worker", "scheduler", "migrate", "backup"])
def test_systemd_and_the_image_start_the_same_programs(name: str, tmp_path: Path) -> None:
    units = {"web": "maild-web@8080.service", "worker": "maild-worker@1.service"}
    unit = recipes.unit_service(units.get(name, f"maild-{name}.service"), credentials=tmp_path)
    service = recipes.service("web-a" if name == "web" else name)
    plain = shlex.join(unit.argv).replace("/opt/maild/.venv/bin/", "")
    assert plain == shlex.join(service.argv).replace("0.0.0.0", "127.0.0.1")
