"""A messenger: a thread that submits important mail at a steady rate, as a shop sends passwords and
receipts; what is not answered is asked again with the same key.
"""

import http.client
import threading
import time
import uuid
from collections.abc import Mapping

from maild.config import Addr
from tests.crash.load import Acknowledged
from tests.crash.rig import OPERATOR_KEY, call, message

AGAIN_SECONDS = 0.1


class Messenger:
    """One thread between `start` and `stop`."""

    def __init__(self, addr: Addr, *, per_second: float) -> None:
        self.acknowledged: list[Acknowledged] = []
        self._answered_at: dict[uuid.UUID, float] = {}
        self._addr = addr
        self._pause = 1.0 / per_second
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """The one that is under way is answered first."""
        self._stopping.set()
        self._thread.join()

    def waits(self, arrivals: Mapping[uuid.UUID, float]) -> list[float]:
        """How many seconds each took from its answer to the provider's, in order."""
        return sorted(
            max(0.0, arrivals[one] - at) for one, at in self._answered_at.items() if one in arrivals
        )

    def _work(self) -> None:
        number = 0
        while not self._stopping.is_set():
            number += 1
            self._submit(f"reset-{number}@example.org", str(uuid.uuid4()))
            self._stopping.wait(self._pause)

    def _submit(self, to_email: str, key: str) -> None:
        headers = {"X-API-Key": OPERATOR_KEY, "Idempotency-Key": key}
        while True:
            try:
                status, answer = call(
                    self._addr, "POST", "/v1/messages", message(to_email), headers
                )
            except (OSError, http.client.HTTPException, ValueError):
                status = 0
            if status in {200, 201}:
                found = uuid.UUID(answer["id"])
                self._answered_at[found] = time.time()
                self.acknowledged.append(Acknowledged(found, 1, to_email))
                return
            time.sleep(AGAIN_SECONDS)
