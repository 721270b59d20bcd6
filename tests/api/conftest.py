"""What the tests of /v1 share: a caller, the shape of a refusal, and what the database holds."""

import contextlib
import dataclasses
import json as jsonlib
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peewee
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from maild import config, queue
from maild.config import Settings
from maild.domain.actor import SYSTEM
from maild.domain.states import Status
from maild.models import ApiKey, Event, Message, MessageAttachment, MessageBody, SmtpAccount
from maild.services import api_keys
from maild.services.api_keys import NewApiKey
from tests.api.serving import Web
from tests.conftest import WORKSPACE_A, WORKSPACE_B

MESSAGE = {
    "from_email": "shop@example.com",
    "to_email": "ann@example.org",
    "subject": "Hello",
    "body_text": "Hello Ann.",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Api:
    """Calls /v1. `key` is `admin`, `operator`, a key itself, or None for nobody."""

    client: FlaskClient

    def __call__(
        self,
        method: str,
        path: str,
        *,
        key: str | None = "admin",
        json: Any = ...,
        data: bytes | str | None = None,
        headers: dict[str, str] | None = None,
        query: Any = None,
    ) -> TestResponse:
        keys = {
            "admin": config.current().admin_api_key,
            "operator": config.current().operator_api_key,
        }
        all_headers = dict(headers or {})
        if key is not None:
            all_headers[config.current().api_key_header] = keys.get(key, key)
        if json is not ...:
            data = jsonlib.dumps(json)
            all_headers.setdefault("Content-Type", "application/json")
        return self.client.open(
            path, method=method, data=data, headers=all_headers, query_string=query
        )

    def submit(self, *, key: str | None = "admin", **fields: Any) -> TestResponse:
        """Submit a good message, with `fields` on top; a field given as `...` is left out."""
        body = {k: v for k, v in {**MESSAGE, **fields}.items() if v is not ...}
        return self("POST", "/v1/messages", json=body, key=key)

    def submit_raw(self, fragment: str) -> TestResponse:
        """Submit a good message with a piece of raw JSON at its end."""
        data = jsonlib.dumps(MESSAGE)[:-1] + "," + fragment + "}"
        return self("POST", "/v1/messages", data=data)


@pytest.fixture
def api(client: FlaskClient) -> Api:
    return Api(client)


@pytest.fixture
def make_key(database: None) -> Callable[..., str]:
    """Call with a role to make a key, of workspace A unless said otherwise; returns the key."""

    def make(role: str, *, workspace_id: int = WORKSPACE_A, name: str = "", **fields: Any) -> str:
        new = NewApiKey(name=name or f"the {role}", role=role, **fields)
        return api_keys.create(workspace_id, new, by=SYSTEM)[1]

    return make


@pytest.fixture
def admin_a(make_key: Callable[..., str]) -> str:
    return make_key("admin")


@pytest.fixture
def operator_a(make_key: Callable[..., str]) -> str:
    return make_key("operator")


@pytest.fixture
def viewer_a(make_key: Callable[..., str]) -> str:
    return make_key("viewer")


@pytest.fixture
def sender_key_a(make_key: Callable[..., str]) -> str:
    return make_key("sender")


@pytest.fixture
def revoked_a(make_key: Callable[..., str]) -> str:
    """What was once an admin's key of workspace A."""
    key = make_key("admin", name="revoked")
    row = ApiKey.get(ApiKey.name == "revoked")
    api_keys.revoke(WORKSPACE_A, key_id=row.id, by=SYSTEM)
    return key


@pytest.fixture
def expired_a(make_key: Callable[..., str]) -> str:
    """The same, expired a moment ago."""
    key = make_key("admin", name="expired")
    ApiKey.update(expires_at=peewee.fn.now()).where(ApiKey.name == "expired").execute()
    return key


@pytest.fixture
def admin_b(make_key: Callable[..., str]) -> str:
    """Of another workspace: must see and change nothing of A."""
    return make_key("admin", workspace_id=WORKSPACE_B)


@pytest.fixture
def stored(database: None) -> Callable[[], dict[str, int]]:
    """Call to count everything that a request can have written."""
    models = (Message, MessageBody, MessageAttachment, Event, SmtpAccount)
    return lambda: {model.__name__: model.select().count() for model in models}


@pytest.fixture
def refused() -> Callable[..., dict[str, Any]]:
    """Call with a response to assert that it is a problem document of this status and code, and
    that it complains of exactly these fields, where any are named. Returns the document.
    """

    def check(response: TestResponse, status: int, code: str, *fields: str) -> dict[str, Any]:
        assert response.status_code == status, response.get_data(as_text=True)[:1000]
        assert response.content_type == "application/problem+json"
        document = response.get_json(force=True)
        words = {"type", "title", "status", "detail", "code", "request_id", "error"}
        assert words <= set(document) <= words | {"errors", "steps"}
        assert (document["status"], document["code"]) == (status, code), document
        assert document["error"] == document["detail"] != ""
        assert document["request_id"] == response.headers["X-Request-ID"]
        for item in document.get("errors", []):
            assert set(item) == {"field", "message"}
        if fields:
            named = {item["field"] for item in document["errors"]}
            assert named == set(fields), document["errors"]
        return document

    return check


@pytest.fixture
def put(accept: Callable[..., Message]) -> Callable[..., str]:
    """Store a message, and bring it to a status by moves that the database allows; returns its
    id.
    """

    def store(status: str, **fields: object) -> str:
        message = accept(**fields)

        def update(**values: object) -> None:
            changes = {"next_attempt_at": None, "worker_id": None, **values}
            Message.update(**changes).where(Message.id == message.id).execute()

        if status in {"sending", "sent", "unknown"}:
            update(status=Status.SENDING, worker_id=uuid.uuid4())
        if status not in {"queued", "sending"}:
            held = {"hold_reason": "to look at it"} if status == "held" else {}
            update(status=Status(status), **held)
        return str(message.id)

    return store


@pytest.fixture
def statuses(database: None) -> Callable[..., list[str]]:
    """Call with ids to read where the messages stand."""
    return lambda *ids: [Message.get_by_id(message_id).status.value for message_id in ids]


@pytest.fixture
def redis_away(settings: Settings) -> Iterator[None]:
    """The doorbell points at a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    queue.init(f"redis://127.0.0.1:{port}/0")
    yield
    queue.init(settings.redis_url)


@pytest.fixture
def serve(settings: Settings, database: None, tmp_path: Path) -> Iterator[Callable[..., list[Web]]]:
    """Call to start web processes, with more settings where they are given; all of them end with
    the test.
    """
    with contextlib.ExitStack() as cleanup:

        def start(count: int = 1, **more: str) -> list[Web]:
            webs = [Web(settings, tmp_path, **more) for _ in range(count)]
            for web in webs:
                cleanup.callback(web.kill)
            for web in webs:
                web.wait_ready()
            return webs

        yield start


def attachment(**fields):
    return {"filename": "a.txt", "content_base64": "YWJj", **fields}


def file_with(**fields):
    return {"attachments": [attachment(**fields)]}
