"""A game day: the primary provider answers 451 to everything, then refuses the sign-in. Within a
minute there is one incident, the mail goes through the standby, a channel was told, and the bundle
holds the evidence. When the provider is back, one click sends what is left, and the incident
closes by itself.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.crash.drill import SETTINGS, Drill
from tests.crash.rig import ADMIN_KEY, OPERATOR_KEY, running, wait_until
from tests.crash.visitor import Visitor

pytestmark = [pytest.mark.crash, pytest.mark.long]

QUIET_SECONDS = 6


class Pager:
    """Where a webhook channel posts to, and what came."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        posts = self.posts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.append((dict(self.headers.items()), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/page"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def told(self, secret: str) -> list[dict[str, Any]]:
        """What was posted so far, each with a good signature (Standard Webhooks)."""
        found = []
        for headers, body in list(self.posts):
            given = {name.lower(): value for name, value in headers.items()}
            key = base64.b64decode(secret.removeprefix("whsec_"))
            signed = f"{given['webhook-id']}.{given['webhook-timestamp']}.".encode() + body
            digest = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
            assert f"v1,{digest}" in given["webhook-signature"].split()
            found.append(json.loads(body))
        return found


class GameDay(Drill):
    """A drill in the workspace of a person who has signed up."""

    def __init__(self, rig: Any) -> None:
        self.visitor = Visitor(rig, "Gameday")
        super().__init__(rig, self.visitor.workspace_id)

    def ask(self, path: str) -> Any:
        mark = "&" if "?" in path else "?"
        path = f"{path}{mark}workspace_id={self.workspace_id}"
        status, answer = self.rig.call("GET", path, None, key=OPERATOR_KEY)
        assert status == 200, answer
        return answer

    def incidents(self, status: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(f"/v1/incidents?status={status}")["incidents"]
        return found


@pytest.fixture(scope="module")
def day() -> Iterator[GameDay]:
    settings = {
        **SETTINGS,
        "INCIDENT_QUIET": f"{QUIET_SECONDS}s",
        "RETRY_DELAYS": "1h",
        "SIGNUP_MODE": "open",
        "ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8,::1/128",
    }
    with running(**settings) as rig:
        yield GameDay(rig)


@pytest.fixture
def pager() -> Iterator[Pager]:
    pager = Pager()
    yield pager
    pager.close()


@pytest.mark.proves("explain-incident")
def test_a_game_day(day: GameDay, pager: Pager) -> None:
    primary, standby = day.sinks["primary"], day.sinks["standby"]
    status, channel = day.rig.call(
        "POST",
        "/v1/notification-channels",
        {
            "workspace_id": day.workspace_id,
            "name": "pager",
            "kind": "webhook",
            "target": pager.url,
            "min_severity": "minor",
        },
        key=ADMIN_KEY,
    )
    assert status == 201, channel
    secret = channel["signing_secret"]
    day.submit(20)
    wait_until(lambda: len(primary.lines()) == len(day.sent), "the first choice takes the mail")

    primary.set_mode("defer")
    began = time.monotonic()
    for _ in range(15):
        day.submit(2)
        time.sleep(0.2)
    primary.set_mode("authfail")
    day.retry_now()
    day.flow_until("provider.failed_over", 1)
    [incident] = wait_until(lambda: day.incidents("unresolved"), "there is an incident")
    day.flow(standby.lines, "the standby takes the mail")
    wait_until(
        lambda: any(one["type"] == "incident.opened" for one in pager.told(secret)),
        "the channel is told",
    )
    assert time.monotonic() - began < 60

    day.submit(20)
    incident_id = incident["id"]
    wait_until(
        lambda: "auth" in str(day.ask(f"/v1/incidents/{incident_id}")["signals"]),
        "the refused sign-in joins the incident",
    )
    assert [one["id"] for one in day.incidents("unresolved")] == [incident_id], "one, not hundreds"
    bundle = day.ask(f"/v1/incidents/bundle?incident_id={incident_id}")
    assert bundle["incident_id"] == incident_id
    assert "451 4.3.0" in json.dumps(bundle)
    assert "535" in json.dumps(bundle)
    assert bundle["messages"]
    assert "secret" not in json.dumps(bundle["provider_states"])

    primary.set_mode("ok")
    day.retry_now()
    day.flow_until("provider.failed_back", 1)
    left = day.rig.query(
        "SELECT count(*) FROM messages WHERE workspace_id = %s AND status = 'queued'"
        " AND next_attempt_at > now() + interval '10 minutes'",
        day.workspace_id,
    )[0][0]
    assert left >= 20, "what was put off waits for an hour"
    page = day.visitor.open(f"/ui/incidents/{incident_id}")
    link = page.select_one("a#remedy-send")
    assert link is not None, page.get_text(" ", strip=True)
    preview = day.visitor.open(str(link["href"]))
    form = preview.select_one(f"form[action='{link['href']}']")
    day.visitor.send(form, reason="The provider is well again")
    wait_until(
        lambda: len(primary.lines()) + len(standby.lines()) >= len(day.sent),
        "what is left goes out",
    )
    wait_until(lambda: not day.incidents("unresolved"), "the incident closes by itself")
    [closed] = day.incidents("resolved")
    assert closed["id"] == incident_id
    wait_until(
        lambda: [one["type"] for one in pager.told(secret)][-1:] == ["incident.resolved"],
        "the channel is told that it is over",
    )
    took = [line[1] for sink in (primary, standby) for line in sink.lines()]
    assert sorted(took) == sorted(day.sent), "each message once"
