"""What the tests of the pages share."""

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient

from maild import clock
from maild.db import database as database_
from maild.domain.states import Status
from maild.models import Message
from maild.services.message_log import TAIL_LAG_SECONDS

HTMX = {"HX-Request": "true"}


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
