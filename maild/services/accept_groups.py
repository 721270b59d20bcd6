"""Submissions that come at the same time share a turn: one transaction and one commit.

The first of the threads of a process settles all that have come; meanwhile the next ones gather,
and one of them goes on. A thread that is alone waits for nobody. Nobody is answered before the
commit that holds his message.
"""

import copy
import threading
from weakref import WeakValueDictionary

import peewee

from maild.db import database
from maild.errors import MaildError
from maild.services import acceptance
from maild.services.acceptance import Accepted, Settled
from maild.services.submissions import Submission

GROUP_BYTES_MAX = 64 * 1024
"""A message larger than this is settled by itself: nobody waits for its bytes."""


def settle_one(workspace_id: int, submission: Submission) -> Accepted:
    """Settle a submission, and raise what it was rejected for; as `acceptance.settle` otherwise.

    No connection need be open.
    """
    settled = _settle(workspace_id, submission)
    if isinstance(settled, MaildError):
        raise settled
    return settled


def _settle(workspace_id: int, submission: Submission) -> Settled:
    if database.in_transaction() or submission.size_bytes > GROUP_BYTES_MAX:
        return acceptance.settle(workspace_id, [submission])[0]
    ticket = _Ticket(submission)
    group = _groups.setdefault(workspace_id, _Group())
    group.settle(workspace_id, ticket)
    if ticket.is_alone:
        return acceptance.settle(workspace_id, [submission])[0]
    if ticket.error is not None:
        # Not the same exception in several threads: each notes its own way in it.
        raise copy.copy(ticket.error) from ticket.error
    assert ticket.settled is not None
    return ticket.settled


class _Ticket:
    """A submission that waits to be settled, and what became of it: it is set before `wake`."""

    __slots__ = ("_asleep", "error", "is_alone", "leads", "settled", "submission")

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.settled: Settled | None = None
        self.error: BaseException | None = None
        self.is_alone = False
        """The group came to nothing, perhaps because of another: settle it by itself."""
        self.leads = False
        """It is this one's turn to settle all that wait."""
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wait(self) -> None:
        self._asleep.acquire()

    def wake(self) -> None:
        self._asleep.release()


class _Group:
    """The submissions to one workspace that threads want settled just now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_led = False
        self._waiting: list[_Ticket] = []

    def settle(self, workspace_id: int, ticket: _Ticket) -> None:
        """Comes back when something has become of the ticket."""
        with self._lock:
            self._waiting.append(ticket)
            ticket.leads, self._is_led = not self._is_led, True
        if not ticket.leads:
            ticket.wait()
        if ticket.leads:
            with self._lock:
                tickets, self._waiting = self._waiting, []
            try:
                _settle_group(workspace_id, tickets)
            finally:
                self._hand_over()
                for other in tickets:
                    if other is not ticket:
                        other.wake()

    def _hand_over(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting[0].leads = True
                self._waiting[0].wake()
            else:
                self._is_led = False


_groups: "WeakValueDictionary[int, _Group]" = WeakValueDictionary()
"""One for each workspace, for as long as somebody is in it."""


def _settle_group(workspace_id: int, tickets: list[_Ticket]) -> None:
    """Settle the submissions of a group, and note on each ticket what became of it. Raises nothing
    but what ends the thread.
    """
    try:
        settled = acceptance.settle(workspace_id, [ticket.submission for ticket in tickets])
    except (MaildError, peewee.IntegrityError, peewee.DataError, peewee.ProgrammingError) as error:
        if isinstance(error, MaildError) and error.status >= 500:
            _fail(tickets, error)
            return
        # The database refused the statement, so nothing of it was stored.
        for ticket in tickets:
            ticket.is_alone = True
    except BaseException as error:
        # Perhaps it was stored, and the answer got lost: each caller is told that nobody knows.
        _fail(tickets, error)
        if not isinstance(error, Exception):
            raise
    else:
        for ticket, one in zip(tickets, settled, strict=True):
            ticket.settled = one


def _fail(tickets: list[_Ticket], error: BaseException) -> None:
    for ticket in tickets:
        ticket.error = error
