"""Suppressions, unsubscribes and files of them that are hard to show."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from maild import clock
from maild.domain.actor import SYSTEM, Actor
from maild.domain.states import Status, Stream
from maild.domain.suppression import SuppressionClass
from maild.models import Job, Message
from maild.services import (
    suppression_files,
    suppression_jobs,
    suppressions,
    unsubscribes,
)
from maild.services.suppressions import Bounced
from tests.browser.hard_rows import LONG_ADDRESS, LONG_REPLY

_WIDE = (
    ";".join(f"column with a long name {n}" for n in range(12))
    + "\n"
    + ";".join(["ann@example.org", "x" * 90, *("y" * 20 for _ in range(10))])
    + "\nnonsense\n"
)


@dataclass(frozen=True)
class Hard:
    """The ids of what has a page of its own."""

    complaint: int
    removed: int
    unsubscribe: int
    came_back: int
    wide_file: int
    nameless_file: int
    open_file: int
    stopped_file: int


def make(accept: Callable[..., Message]) -> Hard:
    """Fill workspace A."""
    by = Actor(LONG_ADDRESS)
    message = accept(subject="word " * 60)
    suppressions.add_many(
        [
            Bounced(1, LONG_ADDRESS, message.id, LONG_REPLY, SuppressionClass.COMPLAINT),
            Bounced(1, "gone@example.org", None, "reported as bounced by ses: " + LONG_REPLY),
        ],
        source="provider_event",
    )
    complaint = suppressions.add(1, LONG_ADDRESS, reason=LONG_REPLY, source="test", by=SYSTEM)
    removed = suppressions.add(
        1,
        "back@example.org",
        reason="r" * 500,
        source="api",
        stream=Stream.MARKETING,
        expires_at=clock.now() + dt.timedelta(days=9),
        by=by,
    )
    suppressions.remove(1, removed.email, stream=removed.stream, reason="w" * 300, by=by)
    topic, where = "t" * 100, {"source": "one_click", "by": by, "message_id": message.id}
    unsubscribe = unsubscribes.add(1, LONG_ADDRESS, topic=topic, stream=Stream.MARKETING, **where)
    came_back = unsubscribes.add(1, "back@example.org", reason="x" * 300, source="api", by=by)
    unsubscribes.remove(1, "back@example.org", reason="w" * 300, by=by)
    for column, row in ((Message.suppression, removed), (Message.unsubscribe, came_back)):
        for subject in ("word " * 60, "x" * 200):
            one = accept(to_email=LONG_ADDRESS, subject=subject)
            Message.update(
                {column: row.id, Message.status: Status.SUPPRESSED, Message.next_attempt_at: None}
            ).where(Message.id == one.id).execute()
    return Hard(
        complaint.id,
        removed.id,
        unsubscribe.id,
        came_back.id,
        wide_file=_file(_WIDE, "x" * 120),
        nameless_file=_file("wer,warum\nann,x\n", "n.csv"),
        open_file=_started("open.csv"),
        stopped_file=_started("stopped.csv", is_stopped=True),
    )


def _file(text: str, name: str) -> int:
    row = suppression_files.receive(1, text.encode(), name=name, by=SYSTEM)
    return int(row.id)


def _started(name: str, *, is_stopped: bool = False) -> int:
    file_id = _file("email\nann@example.org\nnonsense\n", name)
    job = suppression_jobs.start(1, file_id, by=SYSTEM)
    if is_stopped:
        Job.update(status="failed", finished_at=clock.now(), error=LONG_REPLY).where(
            Job.id == job.id
        ).execute()
    return file_id
