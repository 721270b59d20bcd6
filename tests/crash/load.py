"""The load: client threads that submit single messages through the API, as programs do.

In charge of whom the messages are for, and of remembering what was answered 201. A refused or
broken request is not an acknowledgement, and not an error here: parts of the product are being
killed. Not in charge of what becomes of the messages: `audit.py` is.
"""

import http.client
import json
import random
import threading
import time
import uuid
from dataclasses import dataclass

from maild.config import Addr
from tests.crash.rig import OPERATOR_KEY, message

TIMEOUT_SECONDS = 15.0
POOL_SIZE = 30
"""Addresses that come again and again, so that some of them can be suppressed meanwhile."""

# What recipients order (`maild.local.inbox_rules`), in parts of a thousand; the others are people.
ORDERS = {
    "pool": 100,
    "permfail": 20,
    "greylist": 15,
    "slow+1": 15,
    "drop-after-dot": 10,
    "tempfail": 8,
    "drop-before-dot": 3,
    "busy-421": 2,
    "throttle": 1,
    "authfail": 1,
}
ENDLESS = ("busy-421", "throttle", "authfail", "drop-before-dot")
"""The server is at fault each time, which uses up no attempts: these end with their lifetime."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A message that was answered 201."""

    message_id: uuid.UUID
    workspace_id: int
    to_email: str


class Load:
    """Client threads between `start` and `stop`."""

    def __init__(
        self, addr: Addr, workspace_ids: list[int], *, seed: int, clients: int, per_second: float
    ) -> None:
        self.acknowledged: list[Acknowledged] = []
        self.refused_count = 0
        """Requests that got another answer than 201, or none."""
        self._addr = addr
        self._workspace_ids = workspace_ids
        self._pause = clients / per_second
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(seed, number), name=f"client-{number}")
            for number in range(clients)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _work(self, seed: int, number: int) -> None:
        dice = random.Random(f"{seed}/{number}")
        connection: http.client.HTTPConnection | None = None
        count = 0
        while not self._stopping.is_set():
            count += 1
            body = self._message(dice, f"{number}-{count}")
            started_at = time.monotonic()
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(
                        self._addr.host, self._addr.port, timeout=TIMEOUT_SECONDS
                    )
                self._submit(connection, body)
            except (OSError, http.client.HTTPException, ValueError):
                self.refused_count += 1
                if connection is not None:
                    connection.close()
                connection = None
            self._stopping.wait(max(0.0, self._pause - (time.monotonic() - started_at)))
        if connection is not None:
            connection.close()

    def _submit(self, connection: http.client.HTTPConnection, body: dict[str, object]) -> None:
        headers = {"Content-Type": "application/json", "X-API-Key": OPERATOR_KEY}
        connection.request("POST", "/v1/messages", json.dumps(body), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 201:
            self.refused_count += 1
            return
        self.acknowledged.append(
            Acknowledged(uuid.UUID(answer["id"]), answer["workspace_id"], answer["to_email"])
        )

    def _message(self, dice: random.Random, suffix: str) -> dict[str, object]:
        stream = "marketing" if dice.random() < 0.4 else "transactional"
        return message(
            _recipient(dice, suffix),
            workspace_id=dice.choice(self._workspace_ids),
            stream=stream,
            **({"attachments": [_ATTACHMENT]} if dice.random() < 0.05 else {}),
        )


_ATTACHMENT = {
    "filename": "note.txt",
    "content_type": "text/plain",
    "content_base64": "SGVsbG8u",
}


def pool_address(number: int) -> str:
    return f"pool-{number}@example.org"


def _recipient(dice: random.Random, suffix: str) -> str:
    place = dice.randrange(1000)
    for order, parts in ORDERS.items():
        place -= parts
        if place < 0:
            if order == "pool":
                return pool_address(dice.randrange(POOL_SIZE))
            return f"{order}+n{suffix}@example.org"
    return f"person-{suffix}@example.org"
