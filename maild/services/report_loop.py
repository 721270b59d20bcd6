"""The loop that reads and applies what providers have reported: one thread of a worker.

Its doorbell is `payloads.HINT`; without the bell it looks every SWEEP_INTERVAL, so that a lost hint
and a killed worker cost nothing but time. One worker at a time does it, and no replay meanwhile:
reports about one message never meet each other half-way. A batch is a transaction, of which nothing
is left where it does not commit.
"""

import threading
from collections.abc import Callable

from maild import config, db, log
from maild.db import database
from maild.errors import Unavailable
from maild.services import locks, payloads, provider_events

logger = log.get(__name__)

_bell = threading.Event()
_owed: set[int] = set()
"""Payloads whose try is to be taken back, since the database went away meanwhile."""


def wake() -> None:
    """There is something to read; from any thread."""
    _bell.set()


def work(stopping: threading.Event) -> None:
    """Read and apply until `stopping` is set, whatever is raised meanwhile."""
    while not stopping.is_set():
        _bell.clear()
        try:
            with db.connection():
                drain(stopping.is_set)
        except Unavailable as error:
            logger.warning("reports.database_away", detail=error.detail)
        except Exception:
            logger.exception("reports.crashed")
        _bell.wait(config.current().sweep_seconds)


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
