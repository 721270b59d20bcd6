"""When each API key was used last: noted by requests, and written aside, once a minute for a key.

No request waits for it or fails by it. What is lost with a process is the last minute of a time.
"""

import threading
from collections.abc import Callable

import peewee

from maild import db, log
from maild.db import database
from maild.errors import MaildError

GATHER_SECONDS = 0.2
"""What is noted meanwhile is written together."""

# A key that somebody has locked is left for the next time.
_WRITE = """
UPDATE api_keys SET last_used_at = now() WHERE id IN (
    SELECT id FROM api_keys
    WHERE id = ANY(%s)
        AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
    FOR NO KEY UPDATE SKIP LOCKED)
"""

logger = log.get(__name__)

_noted: set[int] = set()
_lock = threading.Lock()
_wake = threading.Event()


def note(key_id: int) -> None:
    """Have it written that the key is in use."""
    with _lock:
        _noted.add(key_id)
    _wake.set()


def start() -> Callable[[], None]:
    """From now on a thread writes what is noted; returns what ends it. For a process that serves
    requests.
    """
    is_over = threading.Event()
    thread = threading.Thread(target=_run, args=(is_over,), name="api-key-uses", daemon=True)
    thread.start()

    def stop() -> None:
        is_over.set()
        _wake.set()
        thread.join()

    return stop


def write() -> None:
    """Write what was noted since the last call. What cannot be written now is dropped: the next
    request with the key notes it again.
    """
    with _lock:
        key_ids = sorted(_noted)
        _noted.clear()
    if not key_ids:
        return
    try:
        with db.connection():
            database.execute_sql(_WRITE, (key_ids,))
    except (MaildError, peewee.PeeweeException) as error:
        logger.warning("api_key.use_not_written", error=type(error).__name__)


def _run(is_over: threading.Event) -> None:
    while not is_over.is_set():
        _wake.wait()
        is_over.wait(GATHER_SECONDS)
        _wake.clear()
        try:
            write()
        except Exception:  # without this thread nothing would be written any more
            logger.exception("api_key.uses_crashed")
