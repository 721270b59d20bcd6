"""What the tests of the pages share."""

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from maild import clock
from maild.db import database as database_
from maild.domain.role import Role
from maild.domain.states import Status
from maild.models import Message, Person
from maild.services.message_log import TAIL_LAG_SECONDS
from tests.conftest import WORKSPACE_A, WORKSPACE_B, client_of

HTMX = {"HX-Request": "true"}


@pytest.fixture
def admin_a(make_person: Callable[..., Person]) -> Person:
    return make_person("ann@a.example", Role.ADMIN)


@pytest.fixture
def operator_a(make_person: Callable[..., Person]) -> Person:
    return make_person("olaf@a.example", Role.OPERATOR)


@pytest.fixture
def viewer_a(make_person: Callable[..., Person]) -> Person:
    return make_person("vera@a.example", Role.VIEWER)


@pytest.fixture
def admin_b(make_person: Callable[..., Person]) -> Person:
    """Of another workspace: must see and change nothing of A."""
    return make_person("bob@b.example", Role.ADMIN, workspace_id=WORKSPACE_B)


@pytest.fixture
def anonymous(app: Flask) -> FlaskClient:
    """A browser in which nobody is signed in."""
    return client_of(app)


@pytest.fixture
def client(admin_a: Person, sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    """The browser of workspace A's admin."""
    return sign_in(admin_a)


@pytest.fixture
def post() -> Callable[..., TestResponse]:
    """Call with a client and a path to send a form as its page would: with the token against
    forgery, and the workspace that it was made for.
    """

    def send(
        client: FlaskClient, path: str, *, workspace_id: int | None = WORKSPACE_A, **fields: object
    ) -> TestResponse:
        page = client.get("/reset")  # any page with a form
        token = BeautifulSoup(page.text, "html.parser").select_one("[name=csrf_token]")
        assert token is not None, page.text
        form = {"csrf_token": token["value"], **fields}
        if workspace_id is not None:
            form["workspace_id"] = str(workspace_id)
        return client.post(path, data=form)

    return send


@pytest.fixture
def page(client: FlaskClient) -> Callable[..., BeautifulSoup]:
    """GET a path as a browser does, and parse the answer."""

    def get(path: str, *, status: int = 200, **kwargs: Any) -> BeautifulSoup:
        response = client.get(path, **kwargs)
        assert response.status_code == status, response.text
        return BeautifulSoup(response.text, "html.parser")

    return get


@pytest.fixture
def partial(page: Callable[..., BeautifulSoup]) -> Callable[..., BeautifulSoup]:
    """GET a path as htmx does, and parse the answer."""

    def get(path: str, *, status: int = 200, **headers: str) -> BeautifulSoup:
        return page(path, status=status, headers={**HTMX, **headers})

    return get


@pytest.fixture
def age(database: None) -> Callable[..., None]:
    """Make messages older: by default just old enough for the live log."""

    def make(*messages: Message, seconds: float = TAIL_LAG_SECONDS + 0.5) -> None:
        for message in messages:
            at = message.created_at - dt.timedelta(seconds=seconds)
            Message.update(created_at=at).where(Message.id == message.id).execute()
            message.created_at = at

    return make


@pytest.fixture
def settle(database: None) -> Callable[[Message], None]:
    """Make a message just as old as the live log lags behind, as if that time had gone by."""

    def make(message: Message) -> None:
        database_.execute_sql(
            "UPDATE messages SET created_at = now() - %s * interval '1 second' WHERE id = %s",
            (TAIL_LAG_SECONDS, str(message.id)),
        )

    return make


@pytest.fixture
def move(database: None) -> Callable[..., None]:
    """Bring a queued message to another status, by the moves that the database allows."""

    def make(message: Message, status: Status, **fields: object) -> None:
        def update(**values: object) -> None:
            Message.update(updated_at=clock.now(), **values).where(
                Message.id == message.id
            ).execute()

        direct = {Status.FAILED, Status.HELD, Status.SUPPRESSED, Status.CANCELLED, Status.EXPIRED}
        if status is not Status.QUEUED and status not in direct:
            update(status=Status.SENDING, worker_id=uuid.uuid4(), next_attempt_at=None)
        if status not in {Status.QUEUED, Status.SENDING, Status.UNKNOWN, *direct}:
            update(status=Status.SENT, worker_id=None)
        held = {} if status is Status.SENDING else {"worker_id": None}
        due = {} if status is Status.QUEUED else {"next_attempt_at": None}
        if status is Status.HELD:
            fields.setdefault("hold_reason", "a person said so")
        update(status=status, **held, **due, **fields)

    return make
