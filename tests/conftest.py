"""The fixtures that every test may use: real PostgreSQL, real Valkey, real SMTP.

The servers are started once a run (once a pytest-xdist worker) on sockets and free ports of their
own, and the schema is made by running the migrations. Each test starts with an empty database.
"""

import dataclasses
import email
import email.message
import email.policy
import http.client
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import argon2
import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from xdist.scheduler import WorkStealingScheduling

from maild import clock, config, db, factory, log, queue
from maild.config import Settings
from maild.domain.role import Role
from maild.local import home as homes
from maild.local import postgres, valkey
from maild.models import Member, Message, Person
from maild.services import (
    acceptance,
    dkim_signers,
    domain_checks,
    link_keys,
    messages,
    metric_scrapes,
    migrations,
    passwords,
    policies,
    processes,
    recorder,
    sending,
    sessions,
    workers,
)
from maild.services.messages import NewMessage
from maild.services.workers import Lease
from maild.web import throttle
from tests.dns_server import dns_server  # noqa: F401 - a fixture
from tests.dns_server import running as running_dns

# Tests start maild as a process some hundred times. Where each has to compile all of it first,
# because the surroundings forbid to keep the bytecode, that is a good part of the whole run.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

ADMIN_KEY = "test-admin-key-0123456789abcdef"
OPERATOR_KEY = "test-operator-key-0123456789abc"
WORKSPACE_A, WORKSPACE_B = 1, 2
PASSWORD = "a quiet river at dawn"
SLOW = {"crash", "browser", "long"}
"""Marks of tests that take seconds."""
# In one round trip, without a query builder: every test pays for it. What belongs to a workspace
# goes with it; the rest is named here.
EMPTY = f"""
    DELETE FROM workspaces;
    DELETE FROM events WHERE workspace_id IS NULL;
    DELETE FROM workers;
    DELETE FROM breakers;
    DELETE FROM account_tallies;
    DELETE FROM periodic_jobs;
    DELETE FROM webhook_tallies;
    DELETE FROM people;
    INSERT INTO workspaces (id, name)
    VALUES (0, 'maild'), ({WORKSPACE_A}, 'Default'), ({WORKSPACE_B}, 'Other')
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, so that none of them is left over for the end, when the other workers
    have nothing to do. Otherwise the order stays random.
    """
    items.sort(key=lambda item: not SLOW & {mark.name for mark in item.iter_markers()})


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WorkStealingScheduling | None:
    """Who has finished takes over from the others, unless the command line says `--dist`."""
    is_default = config.getoption("dist") == "load"
    return WorkStealingScheduling(config, log) if is_default else None


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """A PostgreSQL of this run's own, without fsync."""
    with homes.temporary() as home, postgres.running(home, fsync=False) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Valkey of this run's own."""
    with homes.temporary() as home, valkey.running(home) as url:
        yield url


@pytest.fixture(scope="session")
def nameless_dns() -> Iterator[str]:
    """A DNS server that knows no name, so that no test asks anybody outside."""
    with running_dns() as server:
        yield str(server.addr)


@pytest.fixture(scope="session")
def session_settings(postgres_dsn: str, redis_url: str, nameless_dns: str) -> Iterator[Settings]:
    """Settings of the whole run, with the schema migrated."""
    settings = config.load(
        {
            "POSTGRES_DSN": postgres_dsn,
            "REDIS_URL": redis_url,
            "ADMIN_API_KEY": ADMIN_KEY,
            "OPERATOR_API_KEY": OPERATOR_KEY,
            "MAILD_HOME": "/nonexistent",
            "RATE_LIMIT_WORKSPACE_PER_HOUR": "100000000",
            "RATE_LIMIT_DOMAIN_PER_HOUR": "100000000",
            "LOG_LEVEL": "WARNING",
            "DNS_RESOLVERS": nameless_dns,
        }
    )
    processes.start(settings, name="test")
    with db.connection():
        migrations.apply()
        # The workspaces of every test are given their numbers; others come behind them.
        db.database.execute_sql("SELECT setval('workspaces_id_seq', 100)")
    yield settings
    queue.close()
    db.database.close_all()


@pytest.fixture
def settings(session_settings: Settings) -> Iterator[Settings]:
    """The settings in force for this test; change them with `use_settings`."""
    config.install(session_settings)
    yield session_settings
    config.install(session_settings)


@pytest.fixture
def use_settings(settings: Settings) -> Callable[..., Settings]:
    """Call with fields of Settings to change them for the rest of this test."""

    def change(**fields: object) -> Settings:
        changed = dataclasses.replace(config.current(), **fields)
        config.install(changed)
        return changed

    return change


@pytest.fixture
def database(settings: Settings) -> Iterator[None]:
    """An open connection to an empty database with the workspaces A (1) and B (2)."""
    # A command that was run in this process has made the pool as small as it needs.
    db.database._max_connections = settings.postgres_pool_size
    with db.connection():
        db.database.execute_sql(EMPTY)
        link_keys.forget()
        dkim_signers.forget()
        domain_checks.forget_calls()
        policies.forget()
        acceptance.forget()
        metric_scrapes.forget()
        yield


@pytest.fixture(scope="session")
def built_app(session_settings: Settings) -> Flask:
    """The web application. It is built once a run, which takes longer than most tests: it keeps
    nothing from one request to the next, and reads its settings anew for each.
    """
    app = factory.build_app()
    app.testing = True
    throttle.limiter.enabled = False  # tests of one address are not one visitor
    return app


@pytest.fixture
def app(built_app: Flask, database: None, settings: Settings) -> Flask:
    """The web application on the test's database. A test that adds to it builds its own."""
    return built_app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of the whole application, as from this machine; nobody is signed in."""
    return client_of(app)


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> None:
    """Hash as cheaply as can be: what a good hash costs is of no interest to any test."""
    passwords.hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def make_person(database: None) -> Callable[..., Person]:
    """Call with an address to make a person, who is a member of workspace A unless said otherwise
    (`role` None: of none). Their password is PASSWORD.
    """

    def make(
        email: str,
        role: Role | str | None = Role.ADMIN,
        *,
        workspace_id: int = WORKSPACE_A,
        is_verified: bool = True,
        **fields: object,
    ) -> Person:
        values: dict[str, object] = {
            "name": email.partition("@")[0].capitalize(),
            "email": email,
            "password_hash": passwords.make_hash(PASSWORD),
            "email_verified_at": clock.now() if is_verified else None,
        }
        person = Person.create(**{**values, **fields})
        if role is not None:
            Member.insert(workspace=workspace_id, person=person.id, role=Role(role)).execute()
        return person

    return make


@pytest.fixture
def sign_in(app: Flask) -> Callable[..., FlaskClient]:
    """Call with a person to have a client in whose browser they are signed in."""

    def start(person: Person, *, workspace_id: int | None = None) -> FlaskClient:
        client = client_of(app)
        client.set_cookie(*session_cookie(app, person, workspace_id=workspace_id))
        return client

    return start


def session_cookie(
    app: Flask, person: Person, *, workspace_id: int | None = None
) -> tuple[str, str]:
    """The name and value of the cookie of somebody who has just logged in."""
    token = sessions.start(
        person.id,
        is_remembered=False,
        ip="127.0.0.1",
        user_agent="a test",
        workspace_id=workspace_id,
    )
    signer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    value = signer.dumps({"_user_id": token, "_fresh": True})
    return app.config["SESSION_COOKIE_NAME"], value


def client_of(app: Flask) -> FlaskClient:
    """A client of an application, as from this machine."""
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = "127.0.0.1"
    client.environ_base["HTTP_HOST"] = "127.0.0.1:8080"
    return client


@pytest.fixture
def accept(database: None) -> Callable[..., Message]:
    """Store a message through the service; any field of NewMessage may be given."""

    def store(*, workspace_id: int = WORKSPACE_A, **fields: object) -> Message:
        values: dict[str, object] = {
            "from_email": "shop@example.com",
            "to_email": "ann@example.org",
            "subject": "Hello",
            "body_text": "Hello Ann.",
        }
        return messages.accept(workspace_id, NewMessage(**{**values, **fields}))  # type: ignore[arg-type]

    return store


@pytest.fixture
def postgres_away(settings: Settings) -> Iterator[None]:
    """No connection is open, and nobody listens where Postgres was. Name it after what needs
    Postgres to be set up.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    db.database.close_all()
    db.init(f"postgresql://maild@127.0.0.1:{port}/maild", pool_size=2, application="test")
    yield
    db.database.close_all()
    db.init(settings.postgres_dsn, pool_size=settings.postgres_pool_size, application="test")


@dataclasses.dataclass(frozen=True, slots=True)
class Inbox:
    """The running inbox: its SMTP address, and what it has received."""

    smtp: config.Addr
    web: config.Addr

    def messages(self) -> list[dict[str, Any]]:
        """Everything received, newest first."""
        return self._call("GET", "/api/v1/messages?limit=5000")["messages"]

    def raw(self, message_id: str) -> bytes:
        """A message as it came over the wire."""
        return self._read("GET", f"/api/v1/message/{message_id}/raw")

    def envelope(self, message_id: str) -> dict[str, Any]:
        """A message with `ReturnPath` and `Recipients`, whom its envelope named."""
        return self._call("GET", f"/api/v1/message/{message_id}")

    def only(self) -> email.message.EmailMessage:
        """The one message received, parsed. Fails where there is none or more than one."""
        [message] = self.messages()
        return email.message_from_bytes(self.raw(message["ID"]), policy=email.policy.default)

    def clear(self) -> None:
        self._read("DELETE", "/api/v1/messages")

    def _call(self, method: str, path: str) -> Any:
        return json.loads(self._read(method, path))

    def _read(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection(self.web.host, self.web.port, timeout=10)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, (response.status, body)
            return body
        finally:
            connection.close()


@pytest.fixture(scope="session")
def running_inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    """The inbox as `maild run` starts it: a process of its own, on free ports."""
    smtp, web = (config.Addr("127.0.0.1", port) for port in free_ports(2))
    store = tmp_path_factory.mktemp("inbox") / "inbox.sqlite3"
    command = [sys.executable, "-m", "maild.local.inbox"]
    command += ["--smtp", str(smtp), "--web", str(web), "--store", str(store)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "ready" in line, line
        yield Inbox(smtp, web)
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.fixture
def inbox(running_inbox: Inbox, use_settings: Callable[..., Settings]) -> Inbox:
    """An empty inbox, to which the environment's SMTP account leads."""
    running_inbox.clear()
    smtp = dataclasses.replace(
        config.current().smtp,
        host=running_inbox.smtp.host,
        port=running_inbox.smtp.port,
        security="none",
    )
    use_settings(smtp=smtp)
    return running_inbox


@pytest.fixture
def lease(database: None) -> Lease:
    """This process as a worker."""
    return workers.enter()


@pytest.fixture
def deliver(lease: Lease) -> Callable[[], int]:
    """Send everything that is due, and record it; returns how many messages were tried."""

    def send() -> int:
        workers.renew(
            lease
        )  # a test that starts processes first can take longer than a lease lasts
        return sending.deliver_due(lease, recorder.current())

    return send


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Put this process's logging back as it was, for a test that configures it."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    log.clear()
    yield
    log.clear()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
