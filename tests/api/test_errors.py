"""The one shape of errors, and the request id of every answer."""

import re

import pytest

from maild import factory
from maild.errors import Unavailable
from tests.api.conftest import Api
from tests.conftest import client_of


@pytest.fixture
def api_with(database):
    """Call with a path and a view to get a caller of an application that has this view as well."""

    def build(path, view):
        app = factory.build_app()
        app.add_url_rule(path, view_func=view)
        return Api(client_of(app))

    return build


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nope", "/v1/messages/", "/v1/messages/a/b",
                                  "/v1/%00", "/v1/%ff", "/v1/messages.json"])  # fmt: skip
@pytest.mark.parametrize("key", ["admin", None])
def test_it_answers_404_for_an_unknown_route(api, refused, path, key):
    document = refused(api("GET", path, key=key), 404, "not_found")
    assert document["detail"] == "There is no such route."


def test_pages_are_not_answered_as_problems(client):
    response = client.get("/v1nope")
    assert response.status_code == 404
    assert response.mimetype == "text/html"


@pytest.mark.proves("api-errors")
def test_it_has_every_field_of_a_problem(api):
    response = api.submit(subject=...)
    assert response.content_type == "application/problem+json"
    assert response.get_json(force=True) == {
        "type": "about:blank",
        "title": "Invalid request",
        "status": 400,
        "detail": "subject: is required and must not be empty",
        "code": "invalid_request",
        "request_id": response.headers["X-Request-ID"],
        "error": "subject: is required and must not be empty",
        "errors": [{"field": "subject", "message": "is required and must not be empty"}],
    }


@pytest.mark.proves("api-errors")
def test_it_lists_all_complaints(api, refused):
    response = api.submit(to_email="nobody", subject="a\nb", tags=[""])
    document = refused(response, 422, "invalid_fields", "to_email", "subject", "tags.0")
    assert "(and 2 more)" in document["detail"]


@pytest.mark.proves("api-errors")
def test_it_tells_nothing_of_a_crash(api_with, refused, caplog):
    def crash():
        password = "-".join(["s3cret", "in", "a", "local", "variable"])
        raise RuntimeError(f"SELECT * FROM messages {len(password)}")

    response = api_with("/v1/crash", crash)("GET", "/v1/crash")
    refused(response, 500, "internal_error")
    for word in ("RuntimeError", "SELECT", "crash", "Traceback", ".py"):
        assert word not in response.text
    assert "request.crashed" in caplog.text
    assert "s3cret-in" not in caplog.text


@pytest.mark.parametrize("path", ["/v1/messages/logs", "/v1/smtp-accounts/list"])
def test_it_answers_503_while_postgres_is_away(api, refused, postgres_away, path):
    response = api("GET", path)
    document = refused(response, 503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert "127.0.0.1" not in document["detail"]


@pytest.mark.proves("accept-durable")
def test_it_accepts_nothing_while_postgres_is_away(api, refused, postgres_away):
    response = api.submit()
    refused(response, 503, "unavailable")
    assert "Retry-After" in response.headers


def test_it_says_when_to_come_again_where_nobody_knows_better(api_with, refused):
    def away():
        raise Unavailable("Later.")

    response = api_with("/v1/away", away)("GET", "/v1/away")
    refused(response, 503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_it_gives_a_retry_after_only_where_there_is_one(api_with, refused):
    def away():
        raise Unavailable("Later.", retry_after_seconds=7)

    api = api_with("/v1/away", away)
    response = api("GET", "/v1/away")
    refused(response, 503, "unavailable")
    assert response.headers["Retry-After"] == "7"
    assert "Retry-After" not in api("GET", "/v1/nope").headers


@pytest.mark.parametrize("given", ["a", "req-1", "A.b_c-9", "x" * 64])
def test_it_echoes_a_plain_request_id(api, given):
    response = api("GET", "/v1/messages/logs", headers={"X-Request-ID": given})
    assert response.headers["X-Request-ID"] == given
    response = api("GET", "/v1/nope", headers={"X-Request-ID": given})
    assert response.get_json(force=True)["request_id"] == given


@pytest.mark.parametrize(
    "given", ["", " ", "a b", "x" * 65, "<script>", "a\tb", "ü", 'a"b', "a,b", "../"]
)
def test_it_makes_its_own_request_id_for_an_odd_one(api, given):
    response = api("GET", "/v1/nope", headers={"X-Request-ID": given})
    assert re.fullmatch(r"[0-9a-f]{16}", response.headers["X-Request-ID"])


@pytest.mark.proves("api-request-id")
def test_every_answer_has_a_request_id_of_its_own(client, api):
    answers = [
        *(client.get(path) for path in ("/healthz", "/nope", "/v1/nope", "/v1/openapi.json")),
        api.submit(), api.submit(key=None), client.open("/v1/messages", method="OPTIONS"),
    ]  # fmt: skip
    ids = [answer.headers["X-Request-ID"] for answer in answers]
    assert len(set(ids)) == len(answers)


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"tags": ["x"] * 51}, "tags", "has more than 50 entries"),
        ({"scheduled_at": "2026-12-01T09:00:00"}, "scheduled_at", "needs a time zone, such as Z"),
        ({"scheduled_at": "2026-02-30T09:00:00Z"}, "scheduled_at", "is not a time that exists"),
        ({"subjekt": "x"}, "subjekt", "is not a known field"),
    ],
)
def test_it_says_what_is_wrong_in_words_of_its_own(api, fields, field, words):
    [problem] = api.submit(**fields).get_json()["errors"]
    assert problem["field"] == field
    assert problem["message"].startswith(words)
