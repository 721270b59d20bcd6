"""What a worker holds: Postgres and the worker say the same, whatever happens in between."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from maild import db, marks
from maild.domain.lanes import Lane
from maild.domain.policy import Route
from maild.domain.states import Status
from maild.errors import Unavailable
from maild.models import Message
from maild.services import claims, holds, recorder, rescues
from maild.services.aside import Aside
from maild.services.claims import Claim
from maild.services.dispatch import Dispatcher
from maild.services.providers import Account
from maild.services.workers import Lease
from tests.services.helpers import A_URGENT, Accept, ago, reload

ACCOUNT = Account(0, "default", None, 10, None, "1")
WAIT_SECONDS = 30.0
A_MOMENT = 0.5


def take(lease: Lease, lane: Lane = A_URGENT) -> list[Claim]:
    claimed, _ = holds.take(
        lease, lease.worker_id, lane, ACCOUNT, limit=10, route=Route.FIRST_CHOICE
    )
    return claimed.claims


def release(lease: Lease, released: Sequence[Claim]) -> dict[str, str]:
    """As the engine does it; returns the marks that are left then. Raises Unavailable."""

    async def run() -> dict[str, str]:
        aside = Aside()
        dispatcher = Dispatcher(
            lease,
            recorder.current(),
            aside,
            call_for_work=lambda: None,
            on_health_changed=lambda: None,
        )
        for claim in released:
            dispatcher.gate.mark(marks.field(claim.message_id, claim.attempt_no), marks.BEGUN)
        try:
            await dispatcher.release(released)
        finally:
            await dispatcher.close()
            aside.close()
        return dispatcher.gate._known

    return asyncio.run(run())


def test_what_was_claimed_is_held_until_it_is_given_back(accept: Accept, lease: Lease) -> None:
    message = accept()
    taken = take(lease)
    assert lease.held == {message.id: (lease.worker_id, 1)}
    assert release(lease, taken) == {}, "and its marks are gone"
    assert lease.held == {}
    assert (reload(message).status, reload(message).attempt_count) == (Status.QUEUED, 0)


@pytest.mark.proves("I3")
def test_what_is_claimed_again_at_once_stays_held(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was given back, and claimed again before the engine has heard that: by the same worker,
    with the same number of its attempt.
    """
    message = accept()
    taken = take(lease)
    commit = claims.release
    again: list[threading.Thread] = []

    def claim_again() -> None:
        with db.connection():
            take(lease)

    def give_back(released: Sequence[Claim]) -> None:
        commit(released)
        again.append(threading.Thread(target=claim_again))
        again[0].start()
        again[0].join(A_MOMENT)  # which is more than enough, where nothing keeps it back

    monkeypatch.setattr(claims, "release", give_back)
    release(lease, taken)
    again[0].join(WAIT_SECONDS)
    assert reload(message).status is Status.SENDING
    assert set(lease.held) == {message.id}, "it is in hand, and nothing may take it for forgotten"
    Message.update(updated_at=ago(seconds=rescues.FORGOTTEN_AFTER_SECONDS + 1)).execute()
    assert rescues.rescue_forgotten(lease) == 0
    assert reload(message).status is Status.SENDING


def test_what_cannot_be_given_back_is_nobodys(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the mending finds it."""
    message = accept()
    taken = take(lease)

    def fail(_: object) -> None:
        raise Unavailable("away", retry_after_seconds=1)

    monkeypatch.setattr(claims, "release", fail)
    with pytest.raises(Unavailable):
        release(lease, taken)
    assert lease.held == {}
    Message.update(updated_at=ago(seconds=rescues.FORGOTTEN_AFTER_SECONDS + 1)).execute()
    assert rescues.rescue_forgotten(lease) == 1
    assert reload(message).status is not Status.SENDING


def test_what_cannot_even_be_asked_for_is_nobodys(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept()
    taken = take(lease)

    async def fail(*_: object) -> None:
        raise Unavailable("no connection", retry_after_seconds=1)

    monkeypatch.setattr(Aside, "ask", fail)
    with pytest.raises(Unavailable):
        release(lease, taken)
    assert lease.held == {}


def test_giving_back_waits_for_nobody_for_long(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No claim begins meanwhile."""
    message = accept()
    taken = take(lease)
    monkeypatch.setattr(claims, "RELEASE_WAITS_FOR", "50ms")
    locked, done = threading.Event(), threading.Event()

    def keep() -> None:
        with db.connection(), db.database.atomic():
            db.database.execute_sql("SELECT FROM messages FOR UPDATE")
            locked.set()
            done.wait(WAIT_SECONDS)

    other = threading.Thread(target=keep)
    other.start()
    try:
        assert locked.wait(WAIT_SECONDS)
        with pytest.raises(Unavailable):
            release(lease, taken)
    finally:
        done.set()
        other.join()
    assert reload(message).status is Status.SENDING
    assert lease.held == {}
