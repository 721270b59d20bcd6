"""What the Python client sends, when it tries again, and when it does not."""

import datetime as dt
import json
from collections.abc import Callable

import httpx
import pytest

from maild_client import (
    UNSET,
    ApiError,
    BadAnswer,
    Client,
    NoAnswer,
    RateLimited,
    Retries,
    ServerError,
    Unavailable,
    transport,
)

MAIL = {"from_email": "a@b.example", "to_email": "c@d.example", "subject": "x", "body_text": "x"}
Talk = Callable[..., tuple[Client, list[httpx.Request]]]


def problem(
    status: int, *, headers: dict[str, str] | None = None, **more: object
) -> httpx.Response:
    document = {"status": status, "code": "a_word", "detail": "A sentence.", "request_id": "r1"}
    return httpx.Response(status, json={**document, **more}, headers=headers)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client has waited; no time passes."""
    waited: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", waited.append)
    return waited


@pytest.fixture
def talk(waits: list[float]) -> Talk:
    """Call with answers, or errors, to have a client that gets them, and what it asks."""

    def make(*answers: httpx.Response | Exception, **options: object):
        left, asked = list(answers), []

        def handle(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        http = httpx.Client(transport=httpx.MockTransport(handle))
        return Client("https://mail.example.com/", "mk_secret ", http=http, **options), asked

    return make


def ok(**document: object) -> httpx.Response:
    return httpx.Response(201, json=document)


def test_it_sends_the_key_the_fields_and_an_idempotency_key(talk: Talk) -> None:
    client, asked = talk(ok(id="1"))
    at = dt.datetime(2026, 1, 31, 9, 30, tzinfo=dt.UTC)
    client.submit_message(**MAIL, scheduled_at=at, body_html=None, tags=UNSET)
    [request] = asked
    assert str(request.url) == "https://mail.example.com/v1/messages"
    assert request.headers["Authorization"] == "Bearer mk_secret"
    assert len(request.headers["Idempotency-Key"]) == 32
    sent = json.loads(request.content)
    assert sent == {**MAIL, "scheduled_at": "2026-01-31T09:30:00+00:00", "body_html": None}


def test_a_query_has_what_was_given_and_a_path_is_quoted(talk: Talk) -> None:
    client, asked = talk(ok())
    client.list_messages(from_=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), q="a&b", limit=5)
    query = {"from": "2026-01-01T00:00:00+00:00", "q": "a&b", "limit": "5"}
    assert dict(asked[0].url.params) == query
    client.list_provider_events(linked=True)
    assert dict(asked[1].url.params) == {"linked": "true"}
    client.get_message("../api-keys?x=1")
    assert asked[2].url.raw_path == b"/v1/messages/..%2Fapi-keys%3Fx%3D1"


def test_a_time_without_a_zone_is_refused_before_it_is_sent(talk: Talk) -> None:
    client, asked = talk(ok())
    with pytest.raises(ValueError, match="needs a zone"):
        client.submit_message(**MAIL, scheduled_at=dt.datetime(2026, 1, 1))
    assert asked == []


@pytest.mark.parametrize("error", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut")])
def test_a_submission_is_made_again_with_the_same_key(
    talk: Talk, waits: list[float], error: Exception
) -> None:
    client, asked = talk(error, problem(503), problem(502), ok(id="1"))
    assert client.submit_message(**MAIL)["id"] == "1"
    assert len(asked) == 4
    assert len({request.headers["Idempotency-Key"] for request in asked}) == 1
    assert len({request.content for request in asked}) == 1
    assert len(waits) == 3
    assert all(0.1 < wait <= longest for wait, longest in zip(waits, (0.25, 0.5, 1), strict=True))


@pytest.mark.parametrize(
    "failure", [httpx.ReadError("cut"), httpx.ReadTimeout("slow"), problem(503), problem(504)]
)
def test_what_may_not_be_made_twice_is_made_once(
    talk: Talk, failure: httpx.Response | Exception
) -> None:
    client, asked = talk(failure)
    with pytest.raises((NoAnswer, Unavailable)):
        client.open_incident(message_id="x")
    assert len(asked) == 1


def test_it_is_made_again_where_it_was_never_sent_or_refused_by_a_limit(talk: Talk) -> None:
    limited = problem(429, headers={"Retry-After": "2"})
    client, asked = talk(httpx.ConnectError("no"), httpx.ConnectTimeout("no"), limited, ok())
    client.open_incident(message_id="x")
    assert len(asked) == 4


def test_it_waits_as_long_as_it_is_told_and_no_longer_than_it_may(
    talk: Talk, waits: list[float]
) -> None:
    client, _ = talk(problem(429, headers={"Retry-After": "7"}), ok())
    client.list_messages()
    assert 7 <= waits[0] < 7.5
    client, asked = talk(problem(429, headers={"Retry-After": "61"}))
    with pytest.raises(RateLimited) as raised:
        client.list_messages()
    assert (raised.value.retry_after, len(asked)) == (61, 1)


def test_it_gives_up(talk: Talk, waits: list[float]) -> None:
    client, asked = talk(problem(503), retries=Retries(count=2))
    with pytest.raises(Unavailable):
        client.list_messages()
    assert (len(asked), len(waits)) == (3, 2)


def test_an_error_tells_what_maild_told(talk: Talk) -> None:
    errors = [{"field": "cc.3", "message": "is no address"}]
    client, asked = talk(problem(500, errors=errors))
    with pytest.raises(ServerError) as raised:
        client.list_messages()
    error = raised.value
    assert (error.status, error.code, error.request_id) == (500, "a_word", "r1")
    assert (error.errors[0].field, error.errors[0].message) == ("cc.3", "is no address")
    assert str(error) == "500 a_word: A sentence."
    assert len(asked) == 1


def test_an_answer_of_somebody_else_is_told_as_such(talk: Talk) -> None:
    client, _ = talk(httpx.Response(403, text="<h1>Forbidden</h1>"))
    with pytest.raises(ApiError, match="no problem document"):
        client.list_messages()
    for answer in (httpx.Response(302, headers={"Location": "/login"}), httpx.Response(200)):
        client, _ = talk(answer)
        with pytest.raises(BadAnswer):
            client.list_messages()


@pytest.mark.parametrize("errors", ["no", {"a": 1}, ["no", None, 3]])
def test_a_proxys_own_json_is_an_error_like_others(talk: Talk, errors: object) -> None:
    client, _ = talk(problem(400, errors=errors))
    with pytest.raises(ApiError) as raised:
        client.list_messages()
    assert raised.value.errors == ()


def test_what_was_never_sent_is_told_as_such(talk: Talk) -> None:
    client, asked = talk(httpx.PoolTimeout("full"))
    with pytest.raises(NoAnswer) as raised:
        client.open_incident(message_id="x")
    assert (raised.value.was_sent, len(asked)) == (False, 5)
    with pytest.raises(NoAnswer, match="http") as raised:
        Client("mail.example.com").list_messages()
    assert not raised.value.was_sent


def test_an_answer_that_cannot_be_unpacked_is_no_answer(talk: Talk) -> None:
    client, _ = talk(httpx.DecodingError("no gzip"))
    with pytest.raises(NoAnswer) as raised:
        client.open_incident(message_id="x")
    assert raised.value.was_sent


def test_the_limit_of_the_key_is_told(talk: Talk) -> None:
    headers = {"RateLimit-Policy": '"key";q=6000;w=60', "RateLimit": '"key";r=5999;t=1'}
    client, _ = talk(httpx.Response(200, json={}, headers=headers))
    assert client.request_limit is None
    client.list_messages()
    limit = client.request_limit
    assert limit is not None
    assert (limit.per_minute, limit.remaining, limit.reset_seconds) == (6000, 5999, 1)


def test_large_batches_are_split_by_their_size_too(talk: Talk) -> None:
    client, asked = talk(ok(results=[{"index": 0, "id": "a", "status": "queued"}]))
    text = "x" * 4_000_000
    results = list(client.submit_all([{**MAIL, "body_text": text}] * 5, idempotency_key="k"))
    assert [len(json.loads(request.content)["messages"]) for request in asked] == [2, 2, 1]
    assert [request.headers["Idempotency-Key"] for request in asked] == ["k-0", "k-1", "k-2"]
    assert results[0]["index"] == 0


def test_the_key_is_not_in_what_is_shown(talk: Talk) -> None:
    client, _ = talk(ok())
    assert repr(client) == "Client('https://mail.example.com')"
    with pytest.raises(ValueError, match="characters") as raised:
        Client("https://mail.example.com", "mk_one\nmk_two")
    assert "mk_" not in str(raised.value)
