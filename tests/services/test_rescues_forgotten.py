"""The rescue of what a living worker holds, as Postgres sees it, and does not know of."""

from collections.abc import Callable

from maild import config, marks
from maild.config import Settings
from maild.domain.states import Status
from maild.marks import BEGUN, DOT
from maild.models import Message
from maild.services import rescues, workers
from maild.services.workers import Lease
from tests.conftest import free_ports
from tests.services.helpers import Accept, ago, answer, leave_marks, mark, reload, take

UseSettings = Callable[..., Settings]


def forget_for_a_while() -> None:
    """As if all that is under way had been so for long."""
    Message.update(updated_at=ago(seconds=rescues.FORGOTTEN_AFTER_SECONDS + 1)).execute()


def test_what_the_worker_does_not_know_of_is_put_back(accept: Accept, lease: Lease) -> None:
    """As when the answer to a claim is lost: Postgres thinks that this worker holds it."""
    forgotten, held = accept(), accept()
    lease.hold(claim for claim in take(lease) if claim.message_id == held.id)
    leave_marks(lease)
    assert rescues.rescue_forgotten(lease) == 0, "the answer to the claim may be under way"
    forget_for_a_while()
    assert rescues.rescue_forgotten(lease) == 1
    assert (reload(forgotten).status, reload(forgotten).attempt_count) == (Status.QUEUED, 0)
    assert reload(held).status is Status.SENDING
    assert rescues.rescue_forgotten(lease) == 0


def test_what_could_not_be_written_is_settled_by_its_mark(accept: Accept, lease: Lease) -> None:
    taken, begun, out = accept(), accept(), accept()
    take(lease)
    found = mark(taken, answer(250, None, "OK")) | mark(begun, BEGUN) | mark(out, DOT)
    leave_marks(lease, found)
    forget_for_a_while()
    assert rescues.rescue_forgotten(lease) == 3
    assert [reload(m).status for m in (taken, begun, out)] == [
        Status.SENT,
        Status.QUEUED,
        Status.UNKNOWN,
    ]
    assert marks.read(config.current().redis_url, lease.worker_id) == found, "it is alive"


def test_it_leaves_others_to_the_sweep(accept: Accept, lease: Lease) -> None:
    accept()
    take(lease)
    leave_marks(lease)
    forget_for_a_while()
    assert rescues.rescue_forgotten(workers.enter()) == 0


def test_what_is_forgotten_waits_for_redis_too(
    accept: Accept, lease: Lease, use_settings: UseSettings
) -> None:
    message = accept()
    take(lease)
    leave_marks(lease)
    forget_for_a_while()
    use_settings(redis_url=f"redis://127.0.0.1:{free_ports(1)[0]}/0")
    assert rescues.rescue_forgotten(lease) == 0
    assert reload(message).status is Status.SENDING


def test_what_is_forgotten_while_marks_are_missing_is_unknown(accept: Accept, lease: Lease) -> None:
    """Redis was away when it went out unmarked, and is back with what it knew before."""
    message = accept()
    take(lease)
    leave_marks(lease)
    workers.set_has_marks(lease.worker_id, False)
    forget_for_a_while()
    rescues.rescue_forgotten(lease)
    assert reload(message).status is Status.UNKNOWN
