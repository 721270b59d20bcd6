"""Reporters: client threads that post what providers report, as fast as they go or at a rate.

In charge of what is told about which message, in a provider's own format and in maild's, each event
one to three times, in random order; and of what was answered. What is not answered 2xx is posted
again, as providers do. Not in charge of what must become of it: `reports.py` is.
"""

import base64
import hashlib
import hmac
import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from maild.config import Addr

SECRET = "crash-webhook-secret-0123456789abcdef"
USER, PASSWORD = "provider", "crash-password-0123456789"
GENERIC_PATH = "/v1/webhooks/events"
TIMEOUT_SECONDS = 30.0
AGAIN_SECONDS = 0.05
"""So long after an answer that was none, the same is posted again."""
GIVE_UP_SECONDS = 120.0
"""Not even a provider tries for ever; what had no answer by then is lost."""
PROVIDERS = ("postmark", "sendgrid", "sendgrid", "generic", "generic")
"""Postmark tells of one event a request, and so makes the most of them all the same."""
BATCH_MAX = 50
SINGLE_SHARE = 0.3
"""Of the requests that could tell of several events."""
FORWARDED_SHARE = 0.2
"""Of a provider's records, so many come through maild's own address, as a relay sends them on."""
FORGED_SHARE = 0.02
"""So many requests more have a signature or a password that is wrong."""

FULL = "full@example.org"
FULL_COUNT = 6
"""So many messages go to a mailbox that is full, more than the policy lets bounce in a row."""

# What is told of a message, and how likely. The first ones several times, as deferrals are.
KINDS = {"delivered": 0.9, "hard": 0.2, "soft": 0.15, "complained": 0.2}
DEFERRALS_MAX = 4
REPLIES = {
    "deferred": "451 4.7.1 Greylisted, come back later",
    "hard": "550 5.1.1 User unknown",
    "soft": "452 4.2.2 Mailbox full",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A message that was sent, and is reported on."""

    message_id: uuid.UUID
    email: str


@dataclass(frozen=True, slots=True)
class Told:
    """One event. Its marker comes back in the metadata of what is stored of it."""

    marker: str
    about: Subject
    kind: str
    provider: str
    at: int


@dataclass(slots=True)
class Post:
    """One request; `due` is seconds after the start."""

    path: str
    body: bytes
    markers: tuple[str, ...]
    is_forged: bool = False
    due: float = 0.0


@dataclass(slots=True)
class Answers:
    """What was answered. `accepted` and `tried` count by marker; the latencies are seconds, of the
    requests answered 202: since they were begun, and since they were due.
    """

    accepted: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    since_due: list[float] = field(default_factory=list)
    own: Counter[str] = field(default_factory=Counter)
    """What maild said of entries in its own format, by the names in its answer."""
    forged_tried: int = 0
    """Requests with a wrong proof, whether they were answered or not."""
    begun_at: float = 0.0
    ended_at: float = 0.0


def invent(dice: random.Random, subjects: Sequence[Subject]) -> list[Told]:
    """What has happened to messages, in no order of time."""
    now, told = int(time.time()), []
    for subject in subjects:
        kinds = ["deferred"] * dice.randint(1, DEFERRALS_MAX)
        if subject.email == FULL:
            kinds += ["soft"]
        else:
            kinds += [kind for kind, share in KINDS.items() if dice.random() < share]
        for kind in kinds:
            provider = dice.choice(PROVIDERS)
            marker = f"{len(told)}-{kind}"
            told.append(Told(marker, subject, kind, provider, now - dice.randrange(60)))
    return told


def record_of(told: Told) -> dict[str, Any]:
    """An event in the format of its provider."""
    if told.provider == "postmark":
        return _postmark(told)
    return _sendgrid(told) if told.provider == "sendgrid" else _own(told)


def _own(told: Told) -> dict[str, Any]:
    kinds = {"hard": "hard_bounce", "soft": "soft_bounce"}
    return {
        "type": kinds.get(told.kind, told.kind),
        "email": told.about.email,
        "reason": REPLIES.get(told.kind),
        "message_id": f"<{told.about.message_id}@example.com>",
        "event_id": f"own-{told.marker}",
        "timestamp": told.at,
        "metadata": {"marker": told.marker},
    }


def _sendgrid(told: Told) -> dict[str, Any]:
    kinds = {"hard": "bounce", "soft": "bounce", "complained": "spamreport"}
    bounce = {"type": "bounce", "bounce_classification": "Invalid Address"}
    return {
        "event": kinds.get(told.kind, told.kind),
        "email": told.about.email,
        "smtp-id": f"<{told.about.message_id}@example.com>",
        "sg_event_id": f"sg-{told.marker}",
        "sg_message_id": f"sg-{told.about.message_id.hex}.filter0001.0",
        "timestamp": told.at,
        "marker": told.marker,
        **({"response": REPLIES[told.kind]} if told.kind in REPLIES else {}),
        **(bounce if told.kind == "hard" else {}),
        **({"type": "bounce", "bounce_classification": "Mailbox Unavailable"}
           if told.kind == "soft" else {}),
    }  # fmt: skip


def _postmark(told: Told) -> dict[str, Any]:
    """Deliveries have no id of their own there; a repetition is told by its words."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(told.at))
    record: dict[str, Any] = {
        "MessageID": str(uuid.uuid5(told.about.message_id, "postmark")),
        "Metadata": {"maild_message_id": str(told.about.message_id), "marker": told.marker},
    }
    if told.kind == "delivered":
        delivered = {"Recipient": told.about.email, "DeliveredAt": at, "Details": "250 2.0.0 OK"}
        return {"RecordType": "Delivery", **record, **delivered}
    types = {"hard": "HardBounce", "soft": "SoftBounce", "deferred": "Transient"}
    is_complaint = told.kind == "complained"
    return {
        "RecordType": "SpamComplaint" if is_complaint else "Bounce",
        "Type": "SpamComplaint" if is_complaint else types[told.kind],
        "ID": int(told.marker.partition("-")[0]) + 1,
        "Email": told.about.email,
        "BouncedAt": at,
        "Details": REPLIES.get(told.kind, ""),
        **record,
    }


def pack(dice: random.Random, told: Sequence[Told], paths: dict[str, str]) -> list[Post]:
    """The requests that tell all of it, each event one to three times, in random order; and some
    that are forged, of which nothing must come.
    """
    copies = [each for each in told for _ in range(dice.randint(1, 3))]
    dice.shuffle(copies)
    forgeries = [
        Told(f"{number}-forged", each.about, "complained", each.provider, each.at)
        for number, each in enumerate(dice.choices(told, k=round(len(copies) * FORGED_SHARE)))
    ]
    posts = list(_pack(dice, copies, paths))
    posts += _pack(dice, forgeries, paths, is_forged=True)
    dice.shuffle(posts)
    return posts


def _pack(
    dice: random.Random,
    copies: Sequence[Told],
    paths: dict[str, str],
    *,
    is_forged: bool = False,
) -> Iterator[Post]:
    waiting: dict[str, list[Told]] = {path: [] for path in (*paths.values(), GENERIC_PATH)}
    sizes = dict.fromkeys(waiting, 1)
    for each in copies:
        path = paths.get(each.provider, GENERIC_PATH)
        if dice.random() < FORWARDED_SHARE and not is_forged:
            path = GENERIC_PATH
        waiting[path].append(each)
        if len(waiting[path]) >= sizes[path]:
            yield _post(path, waiting[path], is_forged=is_forged)
            waiting[path] = []
            # Postmark tells of one event at a time.
            is_single = path == paths["postmark"] or dice.random() < SINGLE_SHARE
            sizes[path] = 1 if is_single else dice.randint(2, BATCH_MAX)
    for path, rest in waiting.items():
        if rest:
            yield _post(path, rest, is_forged=is_forged)


def _post(path: str, told: Sequence[Told], *, is_forged: bool) -> Post:
    records = [record_of(each) for each in told]
    # SendGrid sends an array always, a relay one where there are several.
    is_array = "/sendgrid/" in path or len(records) > 1
    body = json.dumps(records if is_array else records[0]).encode()
    return Post(path, body, tuple(each.marker for each in told), is_forged)


def headers_of(post: Post) -> dict[str, str]:
    """What proves who is reporting; made when it is sent, because the time is signed."""
    content_type = {"Content-Type": "application/json"}
    if post.path != GENERIC_PATH:
        proof = f"{USER}:{'wrong' if post.is_forged else PASSWORD}".encode()
        return {"Authorization": f"Basic {base64.b64encode(proof).decode()}", **content_type}
    timestamp = str(int(time.time()))
    key = "wrong" if post.is_forged else SECRET
    digest = hmac.new(key.encode(), f"{timestamp}.".encode() + post.body, hashlib.sha256)
    return {
        "X-Webhook-Timestamp": timestamp,
        "X-Webhook-Signature": f"v1={digest.hexdigest()}",
        **content_type,
    }


class Reporters:
    """Threads that post until everything has its answer."""

    def __init__(
        self, addr: Addr, posts: Sequence[Post], *, clients: int, per_second: float | None = None
    ) -> None:
        """`per_second` counts events; without it, each thread posts as fast as it is answered."""
        self.answers = Answers()
        self._addr = addr
        self._posts = deque(posts)
        self._total = len(posts)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"reporter-{n}", daemon=True)
            for n in range(clients)
        ]
        events = 0
        for post in posts:
            post.due = events / per_second if per_second else 0.0
            events += len(post.markers)

    @property
    def share_done(self) -> float:
        """Of the requests, as far as somebody has begun them."""
        return 1 - len(self._posts) / self._total

    def start(self) -> None:
        self.answers.begun_at = time.time()
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until all is answered."""
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Give up what is left."""
        self._stopping.set()
        self.join()

    def _work(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stopping.is_set():
            try:
                post = self._posts.popleft()
            except IndexError:
                break
            due_at = self.answers.begun_at + post.due
            self._stopping.wait(max(0.0, due_at - time.time()))
            give_up_at = time.time() + GIVE_UP_SECONDS
            while not self._stopping.is_set() and time.time() < give_up_at:
                connection, is_answered = self._try(connection, post, due_at)
                if is_answered:
                    break
                self._stopping.wait(AGAIN_SECONDS)
        if connection is not None:
            connection.close()

    def _try(
        self, connection: http.client.HTTPConnection | None, post: Post, due_at: float
    ) -> tuple[http.client.HTTPConnection | None, bool]:
        """Post once; whether that was the end of it."""
        begun_at = time.time()
        with self._lock:
            self.answers.tried.update(post.markers)
            self.answers.forged_tried += post.is_forged
        try:
            if connection is None:
                connection = http.client.HTTPConnection(
                    self._addr.host, self._addr.port, timeout=TIMEOUT_SECONDS
                )
            connection.request("POST", post.path, post.body, headers_of(post))
            response = connection.getresponse()
            status, text = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            with self._lock:
                self.answers.statuses[type(error).__name__] += 1
            if connection is not None:
                connection.close()
            return None, False
        with self._lock:
            self._note(post, status, text, begun_at, due_at)
        return connection, 200 <= status < 300 or (post.is_forged and status == 401)

    def _note(self, post: Post, status: int, text: bytes, begun_at: float, due_at: float) -> None:
        answers, now = self.answers, time.time()
        answers.statuses[f"{status} forged" if post.is_forged else str(status)] += 1
        if not 200 <= status < 300:
            return
        answers.accepted.update(post.markers)
        answers.latencies.append(now - begun_at)
        answers.since_due.append(now - due_at)
        answers.ended_at = max(answers.ended_at, now)
        if post.path == GENERIC_PATH:
            told = json.loads(text)
            answers.own.update({n: v for n, v in told.items() if n.endswith("_count")})
