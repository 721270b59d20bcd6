"""A drill: a workspace with a primary and a standby, whose providers can be told to fail."""

import itertools
import time
import uuid
from collections.abc import Callable
from typing import Any

from tests.crash.rig import ADMIN_KEY, Rig, Sink, wait_until

SETTINGS = {
    "AUTO_FAILOVER_MIN_FAULTS": "3",
    "AUTO_FAILOVER_WINDOW": "10s",
    "AUTO_FAILOVER_FAULT_PERCENT": "5",
}

DOMAINS = ("example.org", "example.net", "example.com", "mail.example")
FLOW_SECONDS = 0.1
"""How often two messages come: enough for every window, and no more than the machine can do."""

BREAKER_OPENED = "provider.breaker_opened"


class Drill:
    """A workspace with two accounts, each with a provider of its own."""

    def __init__(self, rig: Rig, workspace_id: int | None = None) -> None:
        self.rig = rig
        self.workspace_id = workspace_id or rig.add_workspace("Drill")
        self.sinks = {name: Sink(rig, name) for name in ("primary", "standby")}
        self.sent: list[uuid.UUID] = []
        self._numbers = itertools.count(1)
        for priority, (name, sink) in enumerate(self.sinks.items()):
            self._post("/v1/smtp-accounts", 201, name=name, priority=priority, **_server(sink))
        self._post("/v1/smtp-accounts/activate", 200, name="primary")

    def submit(self, count: int = 1, name: str = "person") -> list[uuid.UUID]:
        found = []
        for _ in range(count):
            number = next(self._numbers)
            to_email = f"{name}+{number}@{DOMAINS[number % len(DOMAINS)]}"
            found.append(self.rig.submit(to_email, workspace_id=self.workspace_id))
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
        self.flow(lambda: self.count(kind) >= count, f"{kind} is told {count} times")

    def opened(self) -> list[str]:
        """Why the breaker opened, each time."""
        return [data["error_class"] for kind, data in self.events() if kind == BREAKER_OPENED]

    def flow_until_opened(self, error_class: str) -> None:
        """Submit mail until the breaker has opened for this reason."""
        self.flow(lambda: self.opened()[-1:] == [error_class], f"it opened for {error_class}")

    def flow(self, condition: Callable[[], Any], what: str) -> None:
        """Submit mail until the condition holds."""

        def holds() -> bool:
            self.submit(2)
            time.sleep(FLOW_SECONDS)
            return bool(condition())

        wait_until(holds, f"{what}; told are {self.events()}")

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
