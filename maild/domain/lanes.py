"""Lanes: whose turn it is. A lane is one workspace's mail of one stream, and of that the mail that
may go through any of its SMTP accounts, or through a certain one alone. Pure.

Lanes get a slice of work each in turn. Transactional ones go first; after a few slices of theirs a
marketing lane gets one, so that no stream starves the other. However much one lane has waiting,
another waits for a slice of it at most.
"""

from collections.abc import Iterable
from typing import NamedTuple

from maild.domain.states import PRIORITY, Stream

SLICE = 100
"""Messages that a lane may send before it is another's turn."""
TRANSACTIONAL_RUN = 4
"""Slices of transactional mail for one of marketing, where both wait."""


class Lane(NamedTuple):
    """One workspace's mail of one stream, the stream told by its priority. `account` is the name
    of the SMTP account that its sender wished for; empty where that is left to maild.
    """

    priority: int
    workspace_id: int
    account: str = ""

    @property
    def wish(self) -> tuple[int, str]:
        """Whose mail it is, and the account wished for: lanes that share them take the same way."""
        return self.workspace_id, self.account

    @property
    def stream(self) -> Stream:
        return _STREAMS[self.priority]


_STREAMS = {priority: stream for stream, priority in PRIORITY.items()}


class Rotation:
    """Remembers who was served when: start-time fair queueing, with a slice for the packet.

    Each lane has the round in which its next slice is due; `_round` is the one being served, in
    each stream for itself. A lane that comes anew joins the present round, and one that comes back
    soon keeps its place, so that lanes that come and go do not go before those that wait.
    """

    def __init__(self) -> None:
        self._due: dict[Lane, int] = {}
        self._round = dict.fromkeys(Stream, 0)
        self._run = 0

    def pick(self, lanes: Iterable[Lane]) -> Lane | None:
        """The lane whose turn it is among those that have work; None where there are none."""
        urgent: list[Lane] = []
        patient: list[Lane] = []
        for lane in lanes:
            (urgent if lane.stream is Stream.TRANSACTIONAL else patient).append(lane)
        if patient and (not urgent or self._run >= TRANSACTIONAL_RUN):
            return min(patient, key=self._turn_of)
        return min(urgent, key=self._turn_of) if urgent else None

    def served(self, lane: Lane) -> None:
        """This lane had its slice."""
        due = self._due_of(lane)
        self._due[lane] = due + 1
        self._run = self._run + 1 if lane.stream is Stream.TRANSACTIONAL else 0
        if due > self._round[lane.stream]:
            self._round[lane.stream] = due
            self._due = {
                known: due for known, due in self._due.items() if due > self._round[known.stream]
            }

    def _due_of(self, lane: Lane) -> int:
        return max(self._due.get(lane, 0), self._round[lane.stream])

    def _turn_of(self, lane: Lane) -> tuple[int, Lane]:
        return self._due_of(lane), lane
