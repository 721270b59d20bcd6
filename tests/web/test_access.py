"""Who may see the console: a browser on the same machine, in development."""

import pytest

from maild.config import Addr
from tests.conftest import OPERATOR_KEY

PATHS = ("/ui", "/ui/logs", "/ui/logs/tail", "/ui/messages/0190b0c8-5f6e-7000-8000-000000000000")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("remote", ["192.0.2.7", "10.0.0.1", "::2", "::ffff:192.0.2.7", ""])
def test_it_is_closed_to_other_machines(client, path, remote):
    response = client.get(path, environ_overrides={"REMOTE_ADDR": remote})
    assert response.status_code == 403
    assert "same machine" in response.text


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io", ""]
)
def test_it_is_closed_to_other_host_names(client, path, host):
    response = client.get(path, headers={"Host": host})
    assert response.status_code == 403
    assert "answers only to the names" in response.text


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-IP"]
)
def test_it_is_closed_behind_a_proxy(client, header):
    response = client.get("/ui/logs", headers={header: "127.0.0.1"})
    assert response.status_code == 403
    assert "proxy" in response.text


@pytest.mark.parametrize("path", [*PATHS, "/ui/no-such-page"])
def test_it_is_closed_in_production(client, use_settings, path):
    use_settings(env="production")
    response = client.get(path)
    assert response.status_code == 403
    assert "needs sign-in" in response.text
    assert "API works" in response.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8080", "LOCALHOST", "[::1]:8080"])
@pytest.mark.parametrize("remote", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_it_is_open_to_this_machine(client, host, remote):
    response = client.get(
        "/ui/logs", headers={"Host": host}, environ_overrides={"REMOTE_ADDR": remote}
    )
    assert response.status_code == 200


def test_it_shows_no_console_around_a_refusal(page):
    soup = page("/ui/logs", status=403, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert not soup.select(".rail")


@pytest.mark.parametrize("host", ["evil.example", "maild.example:8080"])
def test_the_api_of_development_answers_to_local_names_only(client, host):
    """Its keys are known to everybody: a page that is bound to this machine must not use them."""
    response = client.get("/v1/messages/logs", headers={"Host": host, "X-API-Key": OPERATOR_KEY})
    assert response.status_code == 403
    assert response.get_json()["code"] == "forbidden"


def test_the_api_answers_to_any_name_where_it_listens_to_others(client, use_settings):
    use_settings(addr=Addr("0.0.0.0", 8080))
    headers = {"Host": "maild.example", "X-API-Key": OPERATOR_KEY}
    assert client.get("/v1/messages/logs", headers=headers).status_code == 200
