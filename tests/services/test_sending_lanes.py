"""What is wrong with one lane's mail keeps no other lane waiting."""

import threading
from collections.abc import Callable

import pytest

from maild.domain.mime import Attachment
from maild.domain.states import Status
from maild.models import MessageAttachment, MessageBody
from maild.services import paths, sending
from maild.services.dispatch import Dispatcher
from maild.services.recorder import Recorder
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B, Inbox
from tests.services.conftest import wait_until
from tests.services.helpers import Accept, reload


def test_a_message_whose_content_is_gone_fails_and_others_go_out(
    accept: Accept, inbox: Inbox, deliver: Callable[[], int]
) -> None:
    gone, whole = accept(), accept()
    file = Attachment("a.txt", "text/plain", b"a", None)
    halved, other = accept(attachments=(file,)), accept(workspace_id=WORKSPACE_B)
    MessageBody.delete().where(MessageBody.message == gone.id).execute()
    MessageAttachment.delete().where(MessageAttachment.message == halved.id).execute()
    deliver()
    assert [reload(m).status for m in (whole, other)] == [Status.SENT, Status.SENT]
    for message in (gone, halved):
        assert reload(message).status is Status.FAILED
        assert "content is not kept any more" in reload(message).last_error
    assert len(inbox.messages()) == 2


def test_an_unexpected_error_in_one_lane_leaves_the_others_alone(
    accept: Accept, inbox: Inbox, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = sending.claims.claim

    def fail_for_a(worker_id: object, lane: sending.Lane, **more: object) -> object:
        if lane.workspace_id == WORKSPACE_A:
            raise ValueError("nobody expected this")
        return claim(worker_id, lane, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(sending.claims, "claim", fail_for_a)
    poisoned, other = accept(), accept(workspace_id=WORKSPACE_B)
    engine = threading.Thread(target=sending.work, args=(lease, Recorder()))
    engine.start()
    worker_id = lease.worker_id
    wait_until(lambda: reload(other).status is Status.SENT)
    later = accept(workspace_id=WORKSPACE_B)
    sending.wake()
    wait_until(lambda: reload(later).status is Status.SENT)
    lease.stopping.set()
    sending.wake()
    engine.join()
    assert lease.worker_id == worker_id, "the engine did not have to begin anew"
    assert reload(poisoned).status is Status.QUEUED


def test_nothing_is_offered_whose_mark_took_longer_than_its_check_holds(
    accept: Accept, inbox: Inbox, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis is slow: what was checked before is looked at again, and not offered as it is."""
    offered_late: list[float] = []
    begin = Dispatcher._begin
    is_slow = threading.Event()
    is_slow.set()

    def begin_late(self: Dispatcher, connection: object, parcel: paths.Parcel) -> None:
        if is_slow.is_set():
            parcel.checked_at -= 2 * paths.CHECK_SECONDS
            offered_late.append(parcel.checked_at)
            is_slow.clear()
        begin(self, connection, parcel)  # type: ignore[arg-type]

    monkeypatch.setattr(Dispatcher, "_begin", begin_late)
    asked = threading.Event()
    look = Dispatcher._check

    async def check(self: Dispatcher, path: paths.Path) -> None:
        asked.set()
        await look(self, path)

    monkeypatch.setattr(Dispatcher, "_check", check)
    message = accept()
    engine = threading.Thread(target=sending.work, args=(lease, Recorder()))
    engine.start()
    wait_until(lambda: reload(message).status is Status.SENT)
    lease.stopping.set()
    sending.wake()
    engine.join()
    assert offered_late
    assert asked.is_set(), "it was looked at once more before it went out"
    assert len(inbox.messages()) == 1
