"""A path: what one worker has to do with one SMTP account at the moment.

The messages that are ready for it, the connections that are open, its pace, and whether it is only
a canary's. No network and no database here: the engine (`services/sending.py`) moves things in and
out, on its one thread.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from maild.domain.lanes import SLICE
from maild.domain.pacing import Pace
from maild.domain.states import Stream
from maild.services.claims import Claim, Content
from maild.services.providers import Account
from maild.transports.smtp import Connection

CHECK_SECONDS = 0.5
"""How old the last look at suppressions and freezes may be when a message is offered."""
TAKE_SHARE = 0.9
"""Of that age, when it is taken: the rest is for writing its mark."""
CHECKED_MIN = 20
"""So many are looked at together, however late the answers are."""
BUFFER_SECONDS = 0.25
"""How much work a path keeps ready, at its speed of the moment."""
BUFFER_MAX = 400
READY_MAX_BYTES = 32 * 1024 * 1024
"""Contents that a path holds ready before it claims no more."""
DIALS_AT_ONCE = 8
FIRST_DIALS_MAX = 5
"""Dials at once where no connection stands."""
SLOW_DIAL_SECONDS = 2.0
FIRST_DIAL_WAIT_SECONDS = 0.25
LAST_DIAL_WAIT_SECONDS = 10.0
REGROW_SECONDS = 5.0
"""After throttling, a connection more is dared once in this time."""


@dataclass(slots=True, eq=False)
class Parcel:
    """A message in this worker's hands: claimed, loaded, and checked at `checked_at`."""

    claim: Claim
    content: Content
    attachments: list[tuple[str, str, bytes, str | None]]
    checked_at: float
    begun_at: float = 0.0
    stale_count: int = 0
    marks_for: str | None = None
    """The provider whose header says which message it is."""
    signed_by: str | None = None
    """The keys whose signatures it was last offered with."""


@dataclass(slots=True, eq=False)
class Path:
    """Everything this worker knows about sending through one account."""

    account: Account
    pace: Pace
    urgent: deque[Parcel] = field(default_factory=deque)
    patient: deque[Parcel] = field(default_factory=deque)
    ready_bytes: int = 0
    claim_limit: int = SLICE
    """Messages of one claim: fewer where they are large."""
    connections: dict[Connection, str] = field(default_factory=dict)
    """Each with the revision of the account that it was opened for."""
    idle: dict[Connection, None] = field(default_factory=dict)
    """Connections that wait for work, the one that waits longest first."""
    opening: int = 0
    begun: int = 0
    """Messages handed to connections whose outcome is not in."""
    connection_limit: int = 1
    """This worker's share of the account's connections."""
    slow_limit: float = math.inf
    slow_limit_at: float = 0.0
    dial_failures: int = 0
    next_dial_at: float = 0.0
    dialled_at: float = 0.0
    has_other: bool = False
    """Whether the mail that takes it could take another one as well, but for what is pinned."""
    is_canary: bool = False
    is_canary_over: bool = False
    """It met a fault; the path waits for its next turn."""
    canary_faults: int = 0
    is_checking: bool = False
    check_limit: int = BUFFER_MAX
    """Messages of one look: fewer where the answer comes late."""

    @property
    def ready_count(self) -> int:
        return len(self.urgent) + len(self.patient)

    @property
    def ready(self) -> set[Parcel]:
        return {*self.urgent, *self.patient}

    @property
    def is_quiet(self) -> bool:
        """Nothing is ready, on its way or being opened."""
        return not (self.ready_count or self.begun or self.opening)

    def limit(self, now: float) -> int:
        """Connections that may be open now."""
        if self.slow_limit < self.connection_limit and now - self.slow_limit_at > REGROW_SECONDS:
            self.slow_limit, self.slow_limit_at = self.slow_limit + 1, now
        return int(min(self.connection_limit, self.slow_limit))

    def room(self, now: float) -> int:
        """How many more messages may be claimed for this path.

        None before a first connection stands: a server that cannot be reached costs no message an
        attempt. Otherwise as many as leave soon at the speed of the moment.
        """
        if not self.connections or not self.connection_limit:
            return 0
        if self.ready_bytes > READY_MAX_BYTES:
            return 0
        if self.is_canary:
            return 0 if self.is_canary_over or self.ready_count or self.begun else 1
        wanted = max(2.0 * self.limit(now), self.pace.measured(now) * BUFFER_SECONDS)
        if not math.isinf(self.pace.per_second):
            wanted = min(wanted, max(1.0, self.pace.available(now)))
        return max(0, int(min(wanted, BUFFER_MAX)) - self.ready_count)

    def is_low(self, now: float) -> bool:
        """Whether it is time to claim more."""
        return self.room(now) >= max(1, self.ready_count)

    def put(self, parcel: Parcel) -> None:
        """A message is ready."""
        self.ready_bytes += parcel.claim.size_bytes
        self._queue_of(parcel).append(parcel)

    def put_back(self, parcel: Parcel) -> None:
        """A message that a connection gave back goes first."""
        self.ready_bytes += parcel.claim.size_bytes
        self._queue_of(parcel).appendleft(parcel)

    def take(self, now: float) -> Parcel | None:
        """The next message that may be offered now: checked lately, and within the pace."""
        queue = self.urgent or self.patient
        age = CHECK_SECONDS * TAKE_SHARE
        if not queue or now - queue[0].checked_at > age or not self.pace.take(now):
            return None
        self.begun += 1
        parcel = queue.popleft()
        self.ready_bytes -= parcel.claim.size_bytes
        parcel.begun_at = now
        return parcel

    def drain(self) -> list[Parcel]:
        """Take out everything that is ready."""
        parcels = [*self.urgent, *self.patient]
        self.urgent.clear()
        self.patient.clear()
        self.ready_bytes = 0
        return parcels

    def remove(self, parcels: set[Parcel]) -> None:
        """Take these out, which are all ready."""
        self.ready_bytes -= sum(parcel.claim.size_bytes for parcel in parcels)
        self.urgent = deque(p for p in self.urgent if p not in parcels)
        self.patient = deque(p for p in self.patient if p not in parcels)

    def unchecked(self, now: float) -> list[Parcel]:
        """What is ready and should be looked at again before it is offered, the next to go first;
        as much as one look is for.
        """
        age = CHECK_SECONDS / 2
        old = [p for p in (*self.urgent, *self.patient) if now - p.checked_at > age]
        return old[: self.check_limit]

    def checked(
        self, parcels: Iterable[Parcel], count: int, *, looked_at: float, now: float
    ) -> bool:
        """The answer of a look at `count` messages is there, and it tells of these.

        It is as old as the question (`looked_at`): it need not know of stops that came after. False
        where that makes it too old for any of them to be taken; the next look is for fewer then.
        """
        for parcel in parcels:
            parcel.checked_at = looked_at
        seconds = now - looked_at
        is_late = seconds > CHECK_SECONDS * TAKE_SHARE
        if is_late:
            self.check_limit = max(CHECKED_MIN, min(count, self.check_limit) // 2)
        elif seconds < CHECK_SECONDS / 4:
            self.check_limit = min(BUFFER_MAX, self.check_limit * 2)
        return not is_late

    def needs_check(self, now: float) -> bool:
        """Whether what is first in line is about to be too long unchecked."""
        age = CHECK_SECONDS / 2
        return any(q and now - q[0].checked_at > age for q in (self.urgent, self.patient))

    def dials_wanted(self, now: float) -> int:
        """How many more connections to open."""
        if now < self.next_dial_at:
            return 0
        standing = len(self.connections) + self.opening
        if not self.connections:
            return min(self._first_dials_wanted(now), self.limit(now) - standing)
        wanted = self.ready_count - len(self.idle) - self.opening
        return max(0, min(wanted, self.limit(now) - standing, DIALS_AT_ONCE - self.opening))

    def _first_dials_wanted(self, now: float) -> int:
        """How many more to try where none stands: one; a few where that was in vain, or takes its
        time, so that a server that is gone, or silent, is soon known to be.
        """
        if self.is_canary:
            return 0 if self.opening else 1
        if self.dial_failures:
            return FIRST_DIALS_MAX - self.opening
        is_slow = self.opening and now - self.dialled_at > SLOW_DIAL_SECONDS
        return 1 if (not self.opening or is_slow) and self.opening < FIRST_DIALS_MAX else 0

    def is_down(self, *, after: int) -> bool:
        """Whether `after` dials in a row were in vain, and nothing stands."""
        return not self.connections and self.dial_failures >= after

    def wants(self, connection: Connection, now: float) -> bool:
        """Whether a connection may go on: not one too many, and of the account as it is now."""
        is_current = self.connections.get(connection) == self.account.revision
        return is_current and len(self.connections) <= self.limit(now)

    def has_enough(self, now: float) -> None:
        """The server takes no more connections than stand."""
        self.slow_limit, self.slow_limit_at = max(1.0, float(len(self.connections))), now

    def dialled(self) -> None:
        """A connection stands."""
        self.dial_failures, self.next_dial_at = 0, 0.0

    def failed_to_dial(self, now: float) -> None:
        """It does not; wait for longer each time."""
        wait = FIRST_DIAL_WAIT_SECONDS * 2.0 ** min(self.dial_failures, 16)
        self.dial_failures += 1
        self.next_dial_at = now + min(wait, LAST_DIAL_WAIT_SECONDS)

    def throttled(self, now: float) -> bool:
        """The provider says that we are too fast: fewer connections, and a slower pace. True where
        that changed something.
        """
        if not self.pace.throttled(now):
            return False
        self.slow_limit = max(1.0, min(self.slow_limit, float(len(self.connections))) // 2)
        self.slow_limit_at = now
        return True

    def _queue_of(self, parcel: Parcel) -> deque[Parcel]:
        is_urgent = parcel.claim.stream is Stream.TRANSACTIONAL
        return self.urgent if is_urgent else self.patient
