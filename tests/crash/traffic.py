"""Traffic: programs that use a deployment of several web instances, as clients should.

They submit messages, each with an Idempotency-Key, read them, and report on them. After an error of
the connection they ask the next instance the same again; after nothing else: every other answer
than the one that is due is a failure, and so is an answer that breaks off in its middle. In charge
of remembering what was answered. Not in charge of what becomes of it: `fleet.py` and `soak.py` are.
"""

import hashlib
import hmac
import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from maild.config import Addr
from tests.crash.rig import OPERATOR_KEY, message

SECRET = "traffic-webhook-secret-0123456789abcdef"
SETTINGS = {"WEBHOOKS_ENABLED": "true", "WEBHOOK_SIGNING_SECRET": SECRET}
TIMEOUT_SECONDS = 20.0
TRIES = 200
PAUSE_SECONDS = 0.05
"""After each instance has refused; so all of them may be away for ten seconds."""
RECENT_SECONDS = 40.0
"""What was accepted within so long is read and reported on."""
FAILURES_KEPT = 20

Recipients = Callable[[random.Random, str], str]


def people(dice: random.Random, suffix: str) -> str:
    """Recipients who get everything in the end; some of their servers are slow, some ask to come
    again.
    """
    place = dice.random()
    order = "greylist" if place < 0.02 else "slow+1" if place < 0.05 else "person"
    return f"{order}+n{suffix}@example.org"


class _Cut(Exception):
    """An answer that broke off."""


class Traffic:
    """Client threads between `start` and `stop`."""

    def __init__(
        self,
        addrs: Sequence[Addr],
        workspace_ids: Sequence[int],
        *,
        seed: int,
        clients: int,
        per_second: float,
        reads: float = 0.3,
        reports: float = 0.3,
        recipients: Recipients = people,
    ) -> None:
        """`per_second` counts messages; `reads` and `reports` are for each of them."""
        self.accepted: dict[uuid.UUID, str] = {}
        """Messages that were answered 201, and to whom they go."""
        self.reported: set[str] = set()
        """Ids of events that were answered 202."""
        self.answers: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        """Requests that were asked again, by what was wrong with the connection."""
        self.replayed_count = 0
        """Answers to a second request that was accepted the first time."""
        self.failures: list[str] = []
        self.failure_count = 0
        self._addrs = list(addrs)
        self._workspace_ids = list(workspace_ids)
        self._recipients = recipients
        self._shares = (reads, reports)
        self._pause = clients / per_second
        self._recent: deque[tuple[float, uuid.UUID, int, str]] = deque()
        self._latencies: list[float] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(seed, number), name=f"traffic-{number}")
            for number in range(clients)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is under way, and end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def take_latencies(self) -> list[float]:
        """Seconds from the first try of a submission to its 201, since this was asked last."""
        with self._lock:
            taken, self._latencies = self._latencies, []
        return taken

    def _work(self, seed: int, number: int) -> None:
        dice = random.Random(f"{seed}/{number}")
        client = _Client(self, self._addrs, number)
        count, due_at = 0, time.monotonic()
        reads, reports = self._shares
        while not self._stopping.is_set():
            count += 1
            self._submit(client, dice, f"{number}-{count}")
            if dice.random() < reads:
                self._read(client, dice)
            if dice.random() < reports:
                self._report(client, dice, f"{seed}-{number}-{count}")
            # Who was held up makes up for it, but not for more than a second.
            due_at = max(due_at + self._pause, time.monotonic() - 1.0)
            self._stopping.wait(max(0.0, due_at - time.monotonic()))
        client.close()

    def _submit(self, client: "_Client", dice: random.Random, suffix: str) -> None:
        to_email = self._recipients(dice, suffix)
        workspace_id = dice.choice(self._workspace_ids)
        stream = "marketing" if dice.random() < 0.3 else "transactional"
        body = message(to_email, workspace_id=workspace_id, stream=stream)
        key = {"X-API-Key": OPERATOR_KEY, "Idempotency-Key": f"traffic-{suffix}"}
        begun_at = time.monotonic()
        answer = client.ask("POST", "/v1/messages", json.dumps(body).encode(), key, wanted=201)
        if answer is None:
            return
        message_id = uuid.UUID(answer["id"])
        with self._lock:
            self._latencies.append(time.monotonic() - begun_at)
            self.accepted[message_id] = to_email
            self._recent.append((begun_at, message_id, workspace_id, to_email))

    def _read(self, client: "_Client", dice: random.Random) -> None:
        one = self._pick(dice)
        if one is None:
            return
        message_id, workspace_id, _ = one
        path = f"/v1/messages/{message_id}?include=events"
        if dice.random() < 0.3:
            path = "/v1/messages/logs?limit=20"
        mark = "&" if "?" in path else "?"
        headers = {"X-API-Key": OPERATOR_KEY}
        client.ask("GET", f"{path}{mark}workspace_id={workspace_id}", None, headers, wanted=200)

    def _report(self, client: "_Client", dice: random.Random, event_id: str) -> None:
        """What a provider says of a message, mostly that it was delivered."""
        one = self._pick(dice)
        if one is None:
            return
        message_id, _, to_email = one
        kind = "hard_bounce" if to_email.startswith("pool-") else "delivered"
        event = {
            "type": kind,
            "email": to_email,
            "message_id": f"<{message_id}@example.com>",
            "event_id": event_id,
            "timestamp": int(time.time()),
            "metadata": {"marker": event_id},
            **({"reason": "550 5.1.1 User unknown"} if kind == "hard_bounce" else {}),
        }
        body = json.dumps(event).encode()
        if client.ask("POST", "/v1/webhooks/events", body, None, wanted=202) is not None:
            with self._lock:
                self.reported.add(event_id)

    def _pick(self, dice: random.Random) -> tuple[uuid.UUID, int, str] | None:
        oldest = time.monotonic() - RECENT_SECONDS
        with self._lock:
            while self._recent and self._recent[0][0] < oldest:
                self._recent.popleft()
            return dice.choice(self._recent)[1:] if self._recent else None

    def note(self, answer: str, *, is_replayed: bool = False) -> None:
        with self._lock:
            self.answers[answer] += 1
            self.replayed_count += is_replayed

    def note_broken(self, error: Exception) -> None:
        with self._lock:
            self.broken[type(error).__name__] += 1

    def note_failure(self, text: str) -> None:
        with self._lock:
            self.failure_count += 1
            if len(self.failures) < FAILURES_KEPT:
                self.failures.append(f"{time.strftime('%H:%M:%S')} {text[:400]}")


class _Client:
    """One program, with a connection that it keeps."""

    def __init__(self, traffic: Traffic, addrs: Sequence[Addr], number: int) -> None:
        self._traffic = traffic
        self._addrs = addrs
        self._turn = number
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str] | None,
        wanted: int,
    ) -> dict[str, Any] | None:
        """The answer, or None after noting a failure. Without `headers` the body is signed."""
        name = f"{method} {_route(path)}"
        for turn in range(TRIES):
            try:
                status, text, is_replayed = self._try(method, path, body, headers)
            except TimeoutError:
                self.close()
                self._traffic.note_failure(f"{name}: no answer in {TIMEOUT_SECONDS:.0f} s")
                return None
            except _Cut as error:
                self.close()
                self._traffic.note_failure(f"{name}: the answer broke off: {error}")
                return None
            except OSError as error:
                self.close()
                self._traffic.note_broken(error)
                self._turn += 1
                if turn % len(self._addrs):
                    time.sleep(PAUSE_SECONDS)
                continue
            self._traffic.note(f"{name} {status}", is_replayed=is_replayed)
            if status != wanted:
                self._traffic.note_failure(f"{name}: {status} {text!r}")
                return None
            answer: dict[str, Any] = json.loads(text)
            return answer
        self._traffic.note_failure(f"{name}: nobody answered")
        return None

    def _try(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str] | None
    ) -> tuple[int, bytes, bool]:
        """Raises OSError where there was no answer, `_Cut` where there was a part of one."""
        if self._connection is None:
            addr = self._addrs[self._turn % len(self._addrs)]
            self._connection = http.client.HTTPConnection(
                addr.host, addr.port, timeout=TIMEOUT_SECONDS
            )
        given = headers if headers is not None else _signed(body or b"")
        try:
            self._connection.request(
                method, path, body, {"Content-Type": "application/json", **given}
            )
            response = self._connection.getresponse()
        except OSError:  # RemoteDisconnected is one: it ended before it began to answer
            raise
        except http.client.HTTPException as error:
            raise _Cut(repr(error)) from None
        try:
            text = response.read()
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise _Cut(repr(error)) from None
        return response.status, text, response.headers.get("Idempotent-Replayed") == "true"


def _route(path: str) -> str:
    """The path without what differs from one message to the next."""
    words = path.partition("?")[0].split("/")
    return "/".join("{id}" if len(word) == 36 else word for word in words)


def _signed(body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    digest = hmac.new(SECRET.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return {"X-Webhook-Timestamp": timestamp, "X-Webhook-Signature": f"v1={digest.hexdigest()}"}
