"""GET /metrics: who may, and what it tells."""

import dataclasses

import pytest

from maild import config
from tests.metering import number, parse

TOKEN = "a-token-of-metrics-0123456789"


@pytest.fixture
def with_token(use_settings):
    use_settings(metrics=dataclasses.replace(config.current().metrics, token=TOKEN))


def test_it_is_open_to_this_machine_in_development(client):
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    told = parse(response.data)
    assert told["maild_database_up"] == 1
    assert told["maild_redis_up"] == 1
    assert told['maild_queue_due{stream="transactional"}'] == 0


def test_it_is_not_there_for_others_without_a_token(client):
    response = client.get("/metrics", environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert (response.status_code, response.data) == (404, b"There is no such page.\n")


def test_a_proxy_on_this_machine_opens_it_to_nobody(client, use_settings):
    use_settings(trusted_proxies=config.kinds.networks("127.0.0.1"))
    response = client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"})
    assert response.status_code == 404


def test_it_is_not_there_in_production_without_a_token(client, use_settings):
    use_settings(env="production")
    assert client.get("/metrics").status_code == 404


@pytest.mark.parametrize("env", ["development", "production"])
def test_the_token_opens_it_from_anywhere(client, use_settings, with_token, env):
    use_settings(env=env)
    response = client.get(
        "/metrics",
        headers={"Authorization": f"Bearer {TOKEN}"},
        environ_overrides={"REMOTE_ADDR": "192.0.2.7"},
    )
    assert response.status_code == 200


@pytest.mark.parametrize(
    "authorization", ["", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer", "Bearer "]
)
def test_anything_else_is_refused(client, with_token, authorization):
    response = client.get("/metrics", headers={"Authorization": authorization})
    assert response.status_code == 401
    assert b"maild_" not in response.data


def test_no_key_opens_it(client, with_token):
    for key in (config.current().admin_api_key, "mk_12345678_something"):
        headers = {config.current().api_key_header: key, "Authorization": f"Bearer {key}"}
        assert client.get("/metrics", headers=headers).status_code == 401


def test_requests_are_counted_by_their_routes(client):
    def counted(route: str, status: str) -> float:
        labels = {"route": route, "method": "GET", "status": status}
        return number("maild_http_requests_total", **labels)

    before = counted("/v1/messages/<uuid:message_id>", "4xx"), counted("none", "4xx")
    for last in (1, 2):
        client.get(f"/v1/messages/00000000-0000-0000-0000-00000000000{last}")
    client.get("/no/such/path/ann@example.org")
    after = counted("/v1/messages/<uuid:message_id>", "4xx"), counted("none", "4xx")
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


@pytest.mark.proves("run-metrics")
def test_it_answers_while_postgres_is_away(client, postgres_away):
    response = client.get("/metrics")
    assert response.status_code == 200
    told = parse(response.data)
    assert told["maild_database_up"] == 0
    assert told["maild_redis_up"] == 1
    assert not any(name.startswith("maild_queue_due") for name in told)


def test_it_answers_while_redis_is_away(client, redis_away):
    told = parse(client.get("/metrics").data)
    assert (told["maild_redis_up"], told["maild_database_up"]) == (0, 1)


@pytest.mark.proves("run-metrics")
def test_it_names_nobody(client, accept):
    accept(to_email="somebody@very-private.example", workspace_id=2)
    told = client.get("/metrics").data
    assert b"very-private" not in told
    assert b"shop@example.com" not in told
