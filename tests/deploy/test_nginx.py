"""nginx as deploy/ sets it up, in front of a real maild: what a proxy could spoil, it does not."""

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from maild.config import Settings
from maild.local.program import kill_group
from maild.models import AuditEntry, Unsubscribe
from maild.services import intake, unsubscribe_links
from maild.services.unsubscribe_links import Link
from maild.web import headers
from tests.conftest import ADMIN_KEY, OPERATOR_KEY, WORKSPACE_A, free_ports
from tests.crash.rig import wait_until
from tests.deploy import proxies, recipes
from tests.deploy.proxies import NGINX, Proxy

SEEN = {"X-Forwarded-For": "203.0.113.9"}
"""What somebody writes who wants to be taken for somebody else."""
MB = 1024 * 1024


@pytest.fixture(scope="module")
def web_port(session_settings: Settings) -> Iterator[int]:
    """A web server as a deployment has it, behind a proxy on this machine."""
    [port] = free_ports(1)
    process = proxies.start_web(port, session_settings)
    try:
        wait_until(lambda: proxies.answers(port), "the web server answers")
        yield port
    finally:
        kill_group(process)
        process.wait()


@pytest.fixture(scope="module")
def proxy(web_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """With two web servers, of which the first does not listen: as in the middle of a restart."""
    [dead] = free_ports(1)
    upstream = (NGINX / "upstream.conf").read_text()
    upstream = upstream.replace(":8081", f":{dead}").replace(":8082", f":{web_port}")
    made = Proxy(tmp_path_factory.mktemp("nginx"), upstream)
    process = subprocess.Popen(made.command(), start_new_session=True)
    try:
        wait_until((made.folder / "pid").exists, "nginx runs")
        yield made
    finally:
        kill_group(process)
        process.wait()


@pytest.mark.parametrize("name", ["upstream.conf", "upstream-compose.conf"])
def test_nginx_takes_the_files(name: str, tmp_path: Path) -> None:
    proxy = Proxy(tmp_path, (NGINX / name).read_text())
    done = subprocess.run(proxy.command("-t"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_the_callers_address_is_not_the_proxys_and_cannot_be_made_up(
    database: None, proxy: Proxy
) -> None:
    body = {"email": "ann@example.org", "reason": "asked us to"}
    status, _, answer = proxy.request(
        "POST", "/v1/suppressions", body, {"X-API-Key": ADMIN_KEY, **SEEN}
    )
    assert status in {200, 201}, answer
    [entry] = AuditEntry.select().where(AuditEntry.action == "suppression.added")
    assert entry.actor_ip == proxies.CALLER


def test_a_post_goes_to_the_server_that_listens(database: None, proxy: Proxy) -> None:
    for number in range(4):
        email = f"ann{number}@example.org"
        body = {"email": email, "reason": "asked us to"}
        status, *_ = proxy.request("POST", "/v1/suppressions", body, {"X-API-Key": ADMIN_KEY})
        assert status in {200, 201}


def test_ten_megabytes_pass(database: None, proxy: Proxy) -> None:
    body = message_of(10 * MB)
    assert 10 * MB - 10 <= len(body) <= 10 * MB
    status, found, answer = proxy.request("POST", "/v1/messages", body, {"X-API-Key": OPERATOR_KEY})
    assert status == 201, answer
    assert re.fullmatch("[0-9a-f]{32}", found["X-Request-ID"])


@pytest.mark.parametrize("size", [11 * MB, 13 * MB], ids=["by maild", "by nginx"])
def test_what_is_larger_is_refused_in_the_same_words(
    size: int, database: None, proxy: Proxy
) -> None:
    status, found, answer = proxy.request(
        "POST", "/v1/messages", message_of(size), {"X-API-Key": OPERATOR_KEY}
    )
    assert status == 413
    assert found["Content-Type"] == "application/problem+json"
    problem = json.loads(answer)
    assert problem["code"] == "payload_too_large"
    assert problem["detail"] == problem["error"] == "The request body is larger than 10 MB."
    assert problem["request_id"]


def message_of(size: int) -> bytes:
    """A message whose request has so many bytes, but for two at most."""
    basics = {
        "from_email": "shop@example.com",
        "to_email": "ann@example.org",
        "subject": "Hello",
        "body_text": "Hello.",
    }
    file = {"filename": "a.bin", "content_type": "application/octet-stream", "content_base64": ""}
    bare = len(json.dumps({**basics, "attachments": [file]}))
    file["content_base64"] = base64.b64encode(bytes((size - bare) // 4 * 3)).decode()
    return json.dumps({**basics, "attachments": [file]}).encode()


def test_one_click_unsubscribes_and_leaves_no_token_in_a_log(
    database: None, accept, proxy: Proxy
) -> None:
    message = accept(stream="marketing", to_email="ann@example.org")
    unsubscribe_links.load(WORKSPACE_A)
    url = unsubscribe_links.make_url(Link(WORKSPACE_A, message.id, "ann@example.org", "news"))
    path = url[url.index("/u/") :]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    before = proxy.logs().count('"path":"/u/..."')
    status, *_ = proxy.request("POST", path, b"List-Unsubscribe=One-Click", form)
    assert status == 200
    assert Unsubscribe.select().count() == 1
    proxy.request("GET", f"{path}?who=ann@example.org")
    wait_until(lambda: proxy.logs().count('"path":"/u/..."') >= before + 2, "both are logged")
    log = proxy.logs()
    assert path.removeprefix("/u/") not in log
    assert "ann@example.org" not in log


def test_no_address_that_is_a_secret_is_logged(proxy: Proxy) -> None:
    starts = {*headers.SECRET_PATHS, *intake.TOKEN_PATHS}
    for start in starts:
        proxy.request("GET", f"{start}s3cr3t")
    # A line is written after its answer.
    wait_until(
        lambda: all(f'"path":"{start}..."' in proxy.logs() for start in starts), "all are logged"
    )
    assert "s3cr3t" not in proxy.logs()


def test_metrics_are_for_inside(proxy: Proxy) -> None:
    for path in ("/metrics", "/metrics/", "/metrics?x=1", "//metrics"):
        status, _, answer = proxy.request("GET", path)
        assert status == 404
        assert b"maild_" not in answer


def test_in_the_clear_there_is_nothing_but_a_way_to_https(proxy: Proxy) -> None:
    status, found, _ = proxy.request_plain("GET", "/ui?x=1")
    assert (status, found["Location"]) == (301, "https://mail.example.com/ui?x=1")
    status, _, answer = proxy.request_plain("POST", "/v1/messages")
    assert (status, json.loads(answer)["code"]) == (403, "forbidden")
    assert proxy.request_plain("POST", "/u/s3cr3t")[0] == 404


def test_maild_says_that_https_stays(proxy: Proxy) -> None:
    _, found, _ = proxy.request("GET", "/login")
    assert found.get_all("Strict-Transport-Security") == ["max-age=31536000"]


def test_http_2_is_spoken(proxy: Proxy) -> None:
    curl = recipes.need("curl", "apt-get install curl")
    asked = ["--silent", "--insecure", "--http2", "--output", os.devnull]
    asked += ["--write-out", "%{http_code} %{http_version}", f"https://127.0.0.1:{proxy.tls}/login"]
    done = subprocess.run([curl, *asked], capture_output=True, text=True, check=True)
    assert done.stdout == "200 2"


def test_no_server_at_all_is_said_in_the_apis_words(tmp_path: Path) -> None:
    first, second = free_ports(2)
    upstream = (NGINX / "upstream.conf").read_text()
    proxy = Proxy(tmp_path, upstream.replace("8081", str(first)).replace("8082", str(second)))
    process = subprocess.Popen(proxy.command(), start_new_session=True)
    try:
        wait_until((proxy.folder / "pid").exists, "nginx runs")
        status, found, answer = proxy.request("GET", "/v1/messages/logs")
        assert (status, found["Retry-After"]) == (503, "2")
        assert json.loads(answer)["code"] == "unavailable"
    finally:
        kill_group(process)
        process.wait()
