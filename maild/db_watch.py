"""Notices a PostgreSQL that hangs, and frees those who wait for it.

A server that is stopped, or whose disk has stalled, takes what it is sent and answers nothing; its
machine goes on acknowledging, so that no timeout of TCP ends the wait, and none of the server's own
does either. A web process would lose one thread after the other, and the health checks with them.

In charge of asking a second time, on a connection of its own, whether the server answers at all: a
statement that takes long is none of its business. Where two such questions in a row get no answer,
every connection in use is cut, and none is handed out until the server answers again. For web
processes: a worker has nobody waiting, and what it was told is kept by its marks.
"""

import contextlib
import os
import socket
import threading
import time
from typing import Any

import psycopg2

from maild import log

HELD_SECONDS = 1.0
"""In use for longer than this, a connection may be waiting: the question is asked."""
ANSWER_SECONDS = 2
"""How long an answer may take; libpq takes whole seconds, and none below two."""
QUESTIONS = 2
LOOK_SECONDS = 0.25

logger = log.get(__name__)


class _Watch:
    """The connections of this process that are in use, and whether their server hangs."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: dict[int, tuple[Any | None, float]] = {}
        """By thread; None while it opens one."""
        self.dsn: str | None = None
        self.is_hung = False

    def has_waiting(self) -> bool:
        before = time.monotonic() - HELD_SECONDS
        with self.lock:
            return any(since < before for _, since in self.held.values())

    def cut(self) -> int:
        """End every connection in use: who waits on it gets an error. Returns how many."""
        with self.lock:
            connections = [one for one, _ in self.held.values() if one is not None]
            for connection in connections:
                with (
                    contextlib.suppress(OSError, psycopg2.Error),
                    socket.socket(fileno=os.dup(connection.fileno())) as line,
                ):
                    line.shutdown(socket.SHUT_RDWR)
            return len(connections)


_watch = _Watch()


def start(dsn: str) -> None:
    """Watch the server of `dsn` from now on, in a thread; once for each process."""
    _watch.dsn = dsn
    threading.Thread(target=_run, name="database-watch", daemon=True).start()


def is_hung() -> bool:
    """Whether nobody should turn to the server just now."""
    return _watch.is_hung


def hold(connection: Any | None) -> None:
    """This thread uses a connection from now on; None: it is about to open one."""
    with _watch.lock:
        _watch.held[threading.get_ident()] = (connection, time.monotonic())


def let_go() -> None:
    """This thread uses none any more."""
    with _watch.lock:
        _watch.held.pop(threading.get_ident(), None)


def _run() -> None:
    unanswered = 0
    while True:
        time.sleep(LOOK_SECONDS)
        if not _watch.is_hung and not _watch.has_waiting():
            unanswered = 0
            continue
        answers = _answers()
        if answers:
            unanswered = 0
            if _watch.is_hung:
                _watch.is_hung = False
                logger.warning("database.answers_again")
        elif answers is False:
            unanswered += 1
            if unanswered >= QUESTIONS:
                if not _watch.is_hung:
                    logger.error("database.hangs", detail="Nobody is let wait for it.")
                _watch.is_hung = True
                if count := _watch.cut():
                    logger.warning("database.cut", count=count)


def _answers() -> bool | None:
    """Whether the server says anything within its time; a refusal is an answer as well. None: it
    was not asked, for its name leads nowhere. Connections that stand are not the worse for that.
    """
    started = time.monotonic()
    try:
        psycopg2.connect(
            _watch.dsn, connect_timeout=ANSWER_SECONDS, application_name="maild watch"
        ).close()
    except psycopg2.Error as error:
        if "could not translate host name" in str(error):
            return None
        return time.monotonic() - started < ANSWER_SECONDS * 0.9
    except UnicodeDecodeError:
        return True  # words in the server's own language and encoding
    return True
