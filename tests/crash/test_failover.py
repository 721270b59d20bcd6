"""A provider refuses, then rejects our sign-in, then throttles, then is well again: nothing fails,
and the timeline tells where the mail went instead.
"""

import itertools
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.crash.rig import ADMIN_KEY, Rig, Sink, running, wait_until

pytestmark = pytest.mark.crash

SETTINGS = {
    "AUTO_FAILOVER_MIN_FAULTS": "3",
    "AUTO_FAILOVER_WINDOW": "10s",
    "AUTO_FAILOVER_FAULT_PERCENT": "5",
}

FLOW_SECONDS = 0.1
"""How often two messages come: enough for every window, and no more than the machine can do."""


class Drill:
    """A workspace with two accounts, each with a provider of its own."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.workspace_id = rig.add_workspace("Drill")
        self.sinks = {name: Sink(rig, name) for name in ("primary", "standby")}
        self.sent: list[uuid.UUID] = []
        self._numbers = itertools.count(1)
        for priority, (name, sink) in enumerate(self.sinks.items()):
            self._post("/v1/smtp-accounts", 201, name=name, priority=priority, **_server(sink))
        self._post("/v1/smtp-accounts/activate", 200, name="primary")

    def submit(self, count: int = 1, name: str = "person") -> list[uuid.UUID]:
        found = [
            self.rig.submit(
                f"{name}+{next(self._numbers)}@example.org", workspace_id=self.workspace_id
            )
            for _ in range(count)
        ]
        if name == "person":
            self.sent += found
        return found

    def events(self) -> list[tuple[str, dict[str, str]]]:
        """What the timeline tells of the providers, in order."""
        return self.rig.query(
            "SELECT type, data FROM events WHERE workspace_id = %s AND message_id IS NULL"
            " ORDER BY id",
            self.workspace_id,
        )

    def count(self, kind: str) -> int:
        return sum(event[0] == kind for event in self.events())

    def flow_until(self, kind: str, count: int) -> None:
        """Submit mail until so many events of a kind are told."""

        def is_told() -> bool:
            self.submit(2)
            time.sleep(FLOW_SECONDS)
            return self.count(kind) >= count

        wait_until(is_told, f"{kind} is told {count} times; told are {self.events()}")

    def retry_now(self) -> None:
        """The breaker waits a quarter of a minute and more; saving the account ends the wait, as
        when a person has mended it.
        """
        self._post("/v1/smtp-accounts", 201, name="primary", **_server(self.sinks["primary"]))

    def _post(self, path: str, wanted: int, **body: object) -> None:
        body["workspace_id"] = self.workspace_id
        status, answer = self.rig.call("POST", path, body, key=ADMIN_KEY)
        assert status == wanted, answer


def _server(sink: Sink) -> dict[str, object]:
    return {
        "host": sink.addr.host,
        "port": sink.addr.port,
        "from_email": "shop@example.com",
        "security": "none",
        "username": "shop",
        "password": "secret",
    }


@pytest.fixture(scope="module")
def drill() -> Iterator[Drill]:
    with running(**SETTINGS) as rig:
        yield Drill(rig)


def test_a_provider_fails_in_three_ways_and_comes_back(drill: Drill) -> None:
    primary = drill.sinks["primary"]
    drill.submit(20)
    wait_until(lambda: len(primary.lines()) == len(drill.sent), "the first choice takes the mail")

    primary.set_mode("refuse")
    drill.flow_until("provider.failed_over", 1)
    for number, mode in enumerate(("authfail", "throttle"), 2):
        primary.set_mode(mode)
        drill.retry_now()
        drill.flow_until("provider.breaker_opened", number)
    primary.set_mode("ok")
    drill.retry_now()
    drill.flow_until("provider.failed_back", 1)

    for message_id in drill.sent:
        drill.rig.wait_status(message_id, "sent", "failed", "unknown", "expired")
    told = drill.events()
    opened = [data["error_class"] for kind, data in told if kind == "provider.breaker_opened"]
    assert opened == ["connection", "auth", "rate_limited"]
    assert [kind for kind, _ in told].count("provider.breaker_closed") == 1
    [over] = [data for kind, data in told if kind == "provider.failed_over"]
    [back] = [data for kind, data in told if kind == "provider.failed_back"]
    assert (over["smtp_account"], over["to"]) == ("primary", "standby")
    assert (back["smtp_account"], back["from"]) == ("primary", "standby")

    took = {name: [line[1] for line in sink.lines()] for name, sink in drill.sinks.items()}
    everywhere = took["primary"] + took["standby"]
    assert sorted(everywhere) == sorted(drill.sent), "each once, whichever way it took"
    accounts = drill.rig.query(
        "SELECT a.smtp_account_name, a.message_id FROM attempts a JOIN messages m"
        " ON m.id = a.message_id WHERE m.workspace_id = %s AND a.status = 'sent'",
        drill.workspace_id,
    )
    assert sorted(accounts) == sorted(
        (name, message_id) for name, ids in took.items() for message_id in ids
    ), "each attempt names the account that took the message"


def test_recipients_that_do_not_exist_open_nothing(drill: Drill) -> None:
    before = drill.count("provider.breaker_opened")
    refused = drill.submit(100, "permfail")
    for message_id in refused:
        drill.rig.wait_status(message_id, "failed")
    drill.rig.wait_status(drill.submit()[0], "sent")
    assert drill.count("provider.breaker_opened") == before
    states = drill.rig.query(
        "SELECT DISTINCT b.state FROM breakers b JOIN smtp_accounts a ON a.id = b.account_id"
        " WHERE a.workspace_id = %s",
        drill.workspace_id,
    )
    assert states in ([], [("closed",)])
