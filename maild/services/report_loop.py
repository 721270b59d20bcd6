"""The loop that reads and applies what providers have reported: one thread of a worker.
Its hint is `payloads.HINT`.

One worker at a time does it, and no replay meanwhile: reports about one message never meet each
other half-way. A batch is a transaction, of which nothing is left where it does not commit.
"""

from collections.abc import Callable

from maild import db
from maild.db import database
from maild.services import locks, payloads, provider_events
from maild.services.loops import Loop

_owed: set[int] = set()
"""Payloads whose try is to be taken back, since the database went away meanwhile."""


def drain(should_stop: Callable[[], bool] = lambda: False) -> int:
    """Read and apply all that is due; how many payloads and events that was."""
    done = 0
    while not should_stop():
        count = _read() + _apply()
        if not count:
            break
        done += count
    return done


def _read() -> int:
    with database.atomic():
        if _owed:
            payloads.give_back(list(_owed))
        is_ours = locks.take_for_transaction(locks.REPORTS)
        claimed = payloads.claim_due() if is_ours else []
    _owed.clear()
    if not claimed:
        return 0
    try:
        with database.atomic():
            locks.wait_for_transaction(locks.REPORTS)
            payloads.read_claimed(claimed)
    except Exception as error:
        if db.is_away(error):  # no try of theirs
            _owed.update(claimed)
        raise
    return len(claimed)


def _apply() -> int:
    with database.atomic():
        is_ours = locks.take_for_transaction(locks.REPORTS)
        return provider_events.apply_due() if is_ours else 0


loop = Loop("reports", drain)
