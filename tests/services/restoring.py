"""Making the tests' own database safe, as if it had just come back from a backup."""

from datetime import timedelta

from maild import clock
from maild.models import Restore
from maild.services import restore_marks, restored_queues
from maild.services.restored_queues import Ended
from tests.conftest import WORKSPACE_A

AGE = timedelta(hours=3)


def make_safe(*, cut_off_after: int | None = None) -> Ended:
    """`cut_off_after` is the number of reports after which the run is cut off, as by a crash."""
    mark = restore_marks.find() or restore_marks.put("0" * 64)
    left = [cut_off_after]

    def report(words: str) -> None:
        if left[0] is not None:
            left[0] -= 1
            if left[0] < 0:
                raise CutOff

    return restored_queues.make_safe(mark, taken_at=clock.now() - AGE, report=report)


def of_a() -> Restore:
    """Workspace A's newest restore."""
    row: Restore = (
        Restore.select().where(Restore.workspace == WORKSPACE_A).order_by(Restore.id.desc()).get()
    )
    return row


class CutOff(Exception):
    """What stands for a crash."""
