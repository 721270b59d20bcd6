"""The last check, while what it looks at goes on its way."""

import dataclasses
import threading
from collections.abc import Callable

import pytest

from maild import config
from maild.domain.states import Status
from maild.models import Message
from maild.services import last_check, messages, paths, sending
from maild.services.recorder import Recorder
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, Inbox
from tests.services.conftest import wait_until
from tests.services.helpers import start_freeze

Accept = Callable[..., Message]


def reload(message: Message) -> Message:
    return messages.get(message.workspace_id, message.id)


def test_what_was_begun_while_the_check_looked_is_not_taken_back(
    accept: Accept,
    lease: Lease,
    inbox: Inbox,
    use_settings: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Postgres takes its time to answer: it says "frozen" of messages that are out by then."""
    use_settings(smtp=dataclasses.replace(config.current().smtp, max_connections=1))
    look = last_check.find_forbidden
    looked, go_on = threading.Event(), threading.Event()

    def look_slowly(claimed: object) -> object:
        found = look(claimed)  # type: ignore[arg-type]
        if not looked.is_set():
            start_freeze(WORKSPACE_A, reason="a test")
            found = look(claimed)  # type: ignore[arg-type]
            looked.set()
            go_on.wait()
        return found

    monkeypatch.setattr(last_check, "find_forbidden", look_slowly)
    # What waits is looked at again after two seconds, and may go out for two more; the connection
    # is free after three.
    monkeypatch.setattr(paths, "CHECK_SECONDS", 4.0)
    first = accept(to_email="slow+3@example.org")
    others = [accept(subject=str(number)) for number in range(3)]
    engine = threading.Thread(target=sending.work, args=(lease, Recorder()))
    engine.start()
    looked.wait()
    wait_until(lambda: reload(others[-1]).status is Status.SENT)
    assert reload(first).status is Status.SENT
    go_on.set()
    wait_until(lambda: not lease.held)
    lease.stopping.set()
    sending.wake()
    engine.join()

    assert len(inbox.messages()) == 4, "each once"
    assert {reload(m).status for m in others} == {Status.SENT}
    assert {reload(m).attempt_count for m in others} == {1}
