"""The delivery engine of a worker: from the queue over the wire, and the outcome handed on.

One event loop keeps hundreds of connections busy; what asks Postgres runs on a few threads beside
it. The way of a message: its lane's turn comes (`domain.lanes`), a slice of it is claimed for the
path that its workspace takes (`providers`, `claims`), a connection takes one (`paths`), its mark is
written (`gate`), it is offered; the server asks for its content; the mark before the final dot is
written; then, if the lease still holds, the dot goes out (`dispatch`). The outcome goes to the
recorder.
"""

import asyncio
import contextlib
import dataclasses
import time
import uuid
from collections.abc import Sequence

from maild import config, db, log
from maild.domain.breaker import State
from maild.domain.lanes import SLICE, Lane, Rotation
from maild.domain.pacing import Pace
from maild.domain.policy import Route
from maild.domain.smtp_reply import ErrorClass, Stage
from maild.domain.states import Stream
from maild.errors import DecryptionError, NotFound, Unavailable
from maild.services import (
    claims,
    holds,
    outcomes,
    parcels,
    providers,
    unsubscribe_links,
    workers,
)
from maild.services.aside import Aside
from maild.services.claims import Claim, Content
from maild.services.dispatch import Dispatcher
from maild.services.paths import Parcel, Path
from maild.services.providers import Account, Candidate, Wish
from maild.services.recorder import Recorder
from maild.services.workers import Lease

logger = log.get(__name__)

IDLE_SECONDS = 15.0
TICK_SECONDS = 0.1
"""How often paces, idle connections and due dials are looked at."""
RELIST_SECONDS = 0.05
"""For how long a list of lanes is worked off before it is made anew."""
ROUTES_SECONDS = 1.0
"""How old the list of accounts and the state of their breakers may be."""
CROWDED_SECONDS = 0.25
"""How long lanes wait that have work and no room before they are looked at again, unless room is
told of.
"""
AVOID_SECONDS = 15.0
"""How long a lane is left alone in which an error happened that nobody expected."""
COMPLAIN_SECONDS = 60.0
"""How often the log tells that a workspace's marketing mail waits for a key that opens."""
PATIENT_FAULTS = 2
"""Faults of a path that a message puts up with before it tries the next account by itself."""
QUIT_SECONDS = 3.0
RESTART_SECONDS = 1.0


class Engine:
    """The engine of one worker; `run` is its life, on the thread that calls it."""

    def __init__(self, lease: Lease, recorder: Recorder) -> None:
        self._lease = lease
        self._recorder = recorder
        self._rotation = Rotation()
        self._routes: dict[Wish, tuple[float, list[Candidate]]] = {}
        self._aside: Aside | None = None
        self._complain_at: dict[int, float] = {}
        self._avoid_until: dict[Lane, float] = {}

    def wake(self) -> None:
        """There is work; may be called from any thread, and at any time."""
        if self._aside is not None:
            self._aside.call(self._work.set)

    def run(self, *, until_idle: bool = False) -> int:
        """Send until the worker stops, or (`until_idle`) until nothing can be sent at the moment.

        Returns how many messages were tried; everything is recorded then. Raises Unavailable only
        with `until_idle`.
        """
        try:
            return asyncio.run(self._main(until_idle))
        finally:
            self._recorder.flush()

    async def _main(self, until_idle: bool) -> int:
        self._work = asyncio.Event()
        aside = self._aside = Aside()
        self._query = aside.ask
        self._dispatcher = Dispatcher(
            self._lease,
            self._recorder,
            aside,
            call_for_work=self._work.set,
            on_health_changed=self._forget_routes,
        )
        try:
            await self._live(until_idle)
        finally:
            self._aside = None
            await self._dispatcher.close()
            aside.close()
        return self._dispatcher.tried_count

    async def _live(self, until_idle: bool) -> None:
        """Claim and send to the end; or until one of the helpers fails, and then raise its
        error.
        """
        gate = asyncio.create_task(self._dispatcher.gate.run())
        tick = asyncio.create_task(self._tick())
        life = asyncio.create_task(self._claim_until_stopped(until_idle))
        try:
            await asyncio.wait([life, gate, tick], return_when=asyncio.FIRST_COMPLETED)
            for helper in (gate, tick):
                if helper.done():
                    helper.result()
            await life
            await self._wind_down()
        finally:
            self._dispatcher.gate.stop()
            life.cancel()
            tick.cancel()
            await asyncio.gather(life, gate, tick, return_exceptions=True)

    # Claiming

    async def _claim_until_stopped(self, until_idle: bool) -> None:
        while not self._lease.stopping.is_set():
            self._work.clear()
            try:
                has_lanes, has_claimed = await self._claim_round()
            except Unavailable as error:
                logger.warning("delivery.database_away", detail=error.detail)
                has_lanes = has_claimed = False
                if until_idle:
                    raise
            if has_claimed:
                continue
            if until_idle and self._dispatcher.is_quiet:
                return
            wait = CROWDED_SECONDS if has_lanes or until_idle else config.current().sweep_seconds
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._work.wait(), wait)

    async def _claim_round(self) -> tuple[bool, bool]:
        """Claim for the lanes whose turn it is, as long as there is room.

        Returns whether lanes have work, and whether any of it was claimed.
        """
        if not self._lease.may_claim():
            return False, False
        if self._dispatcher.gate.worker_id != self._lease.worker_id:
            self._drop_foreign()
            await self._dispatcher.gate.enter(self._lease.worker_id)
        lanes = set(await self._query(claims.list_due_lanes))
        if not lanes:
            return False, False
        await self._look_up_routes({lane.wish for lane in lanes})
        until, has_claimed = time.monotonic() + RELIST_SECONDS, False
        while lanes and self._lease.may_claim():
            open_lanes = self._find_open(lanes)
            lane = self._rotation.pick(open_lanes)
            if lane is None:
                break
            path = open_lanes[lane]
            limit = min(path.claim_limit, path.room(time.monotonic()))
            moved_count = await self._try_claim(lane, path, limit)
            if moved_count < limit:
                lanes.discard(lane)  # for this round
            has_claimed = has_claimed or moved_count > 0
            if time.monotonic() >= until:
                break
        return bool(lanes), has_claimed

    def _find_open(self, lanes: set[Lane]) -> dict[Lane, Path]:
        """The lanes whose path has room for more; paths without a connection get one."""
        now = time.monotonic()
        found: dict[Lane, Path] = {}
        for lane in lanes:
            path = self._choose(lane) if now >= self._avoid_until.get(lane, 0.0) else None
            if path is None:
                continue
            if not path.connections:
                self._dispatcher.dial_wanted(path, now)
            elif path.room(now):
                found[lane] = path
        return found

    async def _try_claim(self, lane: Lane, path: Path, limit: int) -> int:
        """As `_claim`; a lane that fails for a reason of its own is left alone for a while, and
        keeps no other from its turn. What was claimed of it, the mending puts back.
        """
        try:
            return await self._claim(lane, path, limit)
        except Unavailable:
            raise
        except Exception:
            logger.exception(
                "delivery.lane_crashed",
                workspace_id=lane.workspace_id,
                stream=lane.stream.value,
                detail=f"It is left alone for {AVOID_SECONDS:.0f} seconds.",
            )
            self._avoid_until[lane] = time.monotonic() + AVOID_SECONDS
            return 0

    async def _claim(self, lane: Lane, path: Path, limit: int) -> int:
        """Claim a slice, and make it ready. Returns how many messages left the queue."""
        if lane.stream is Stream.MARKETING and not await self._has_link_key(lane.workspace_id):
            return 0
        worker_id = self._dispatcher.gate.worker_id  # whose marks are ready
        assert worker_id is not None
        claimed, looked_at = await self._query(
            holds.take,
            self._lease,
            worker_id,
            lane,
            path.account,
            limit=limit,
            route=self._route_of(lane, path),
        )
        self._rotation.served(lane)
        try:
            loaded, left = await self._load(claimed.claims, claimed.contents)
        except BaseException:
            # Nobody's now: the mending puts back what Postgres thinks is ours.
            self._lease.let_go(claimed.claims)
            raise
        path.claim_limit = max(1, len(loaded)) if left else min(SLICE, path.claim_limit * 2)
        marks_for = {c.account.id: c.marks_for for c in self._routes[lane.wish][1]}
        for parcel in loaded:
            parcel.checked_at = looked_at
            way = self._find_way(parcel, lane, path)
            parcel.marks_for = marks_for.get(way.account.id)
            way.put(parcel)
        if left:
            await self._dispatcher.release(left)
        for used in list(self._dispatcher.paths.values()):
            if used is path or used.ready_count:
                self._dispatcher.pump(used)
        return claimed.moved_count

    async def _has_link_key(self, workspace_id: int) -> bool:
        """Whether mail can be built with a way out of it. Without, a lane waits, and no other."""
        try:
            await self._query(unsubscribe_links.load, workspace_id)
        except (DecryptionError, NotFound) as error:
            now = time.monotonic()
            if now >= self._complain_at.get(workspace_id, 0.0):
                self._complain_at[workspace_id] = now + COMPLAIN_SECONDS
                logger.error("delivery.no_link_key", workspace_id=workspace_id, detail=error.detail)
            return False
        return True

    async def _load(
        self, taken: Sequence[Claim], contents: dict[uuid.UUID, Content]
    ) -> tuple[list[Parcel], list[Claim]]:
        """The messages with their contents, and those that are too much for now."""
        loaded = await parcels.load(self._query, taken, contents)
        for claim in loaded.lost:
            self._give_up(claim)
        return loaded.whole, loaded.left

    def _give_up(self, claim: Claim) -> None:
        """What it says is not kept any more, or not all of it: nobody can send it."""
        outcome = outcomes.not_offered(
            Stage.MAIL_FROM,
            ErrorClass.UNKNOWN,
            "Its content is not kept any more, so it cannot be sent.",
            is_permanent=True,
        )
        self._recorder.put(outcomes.decide(claim, outcome, duration_ms=0))

    # Paths

    def _forget_routes(self) -> None:
        """Look them up anew with the next round; the one under way goes on with what it knows."""
        self._routes = {w: (-ROUTES_SECONDS, route) for w, (_, route) in self._routes.items()}
        self._work.set()

    async def _look_up_routes(self, wishes: set[Wish]) -> None:
        """Know the accounts that this mail may take; and let a canary fly where it is time."""
        now = time.monotonic()
        missing = [
            wish
            for wish in wishes
            if now - self._routes.get(wish, (-ROUTES_SECONDS, []))[0] >= ROUTES_SECONDS
        ]
        if not missing:
            return
        self._routes = {wish: known for wish, known in self._routes.items() if wish in wishes}
        found = await self._query(providers.list_ways, missing)
        retried = {
            candidate.account.id: candidate.account
            for route in found.values()
            for candidate in route
            if candidate.may_try and not candidate.is_paused
        }
        for account in retried.values():
            path = self._path(account)
            if path.connection_limit and await self._query(
                providers.start_canary, account, self._lease.worker_id
            ):
                path.is_canary_over, path.canary_faults = False, 0
        if retried:
            found = await self._query(providers.list_ways, missing)
        for wish, route in found.items():
            self._routes[wish] = (now, route)

    def _choose(self, lane: Lane) -> Path | None:
        """The path that this lane's mail takes now; None where none is in order."""
        route = self._routes[lane.wish][1]
        for candidate in route:
            if candidate.is_paused:
                continue
            if candidate.state is State.CLOSED:
                path = self._path(candidate.account)
                path.is_canary = path.is_canary_over = False
                if not lane.account:
                    path.has_other = len(_list_usable(route)) > 1
                return path
            if (
                candidate.state is State.HALF_OPEN
                and candidate.canary_worker_id == self._lease.worker_id
            ):
                path = self._path(candidate.account)
                path.is_canary = True
                if path.is_canary_over:
                    continue
                if not lane.account:
                    path.has_other = bool(_list_usable(route))
                if not path.connections:
                    self._dispatcher.dial_wanted(path, time.monotonic())
                elif path.room(time.monotonic()):
                    return path  # a trickle; what is more takes the next account
        return None

    def _route_of(self, lane: Lane, path: Path) -> Route:
        """Why this lane's mail takes this path."""
        if lane.account:
            return Route.PINNED
        if path.is_canary:
            return Route.CANARY
        first = self._routes[lane.wish][1][0]
        is_first = first.account.id == path.account.id
        return Route.FIRST_CHOICE if is_first else Route.FAIL_OVER

    def _find_way(self, parcel: Parcel, lane: Lane, path: Path) -> Path:
        """The path of one message: that of its lane, unless it met with faults there before, and
        there are others. Few messages open no breaker, and must not wait for that.
        """
        claim = parcel.claim
        turn = claim.path_fault_count // PATIENT_FAULTS
        usable = _list_usable(self._routes[lane.wish][1])
        if not turn or len(usable) < 2 or path.is_canary:
            return path
        other = self._path(usable[turn % len(usable)].account)
        parcel.claim = dataclasses.replace(
            claim,
            account_id=other.account.id,
            account_name=other.account.name,
            route=Route.AFTER_FAULTS,
        )
        return other

    def _path(self, account: Account) -> Path:
        path = self._dispatcher.paths.get(account.id)
        now = time.monotonic()
        share = account.max_per_second and account.max_per_second / self._lease.count
        if path is None:
            path = self._dispatcher.paths[account.id] = Path(account, Pace(share, now=now))
        elif path.account != account:
            if path.account.revision != account.revision:
                self._dispatcher.close_idle(
                    path, older_than=0.0
                )  # the others end with their message
            path.account = account
        self._take_share(path)
        return path

    def _take_share(self, path: Path) -> None:
        """What this worker may do of what the account may: it changes as workers come and go."""
        account = path.account
        share = account.max_per_second and account.max_per_second / self._lease.count
        path.pace.set_limit(share, now=time.monotonic())
        path.connection_limit = self._lease.share(account.max_connections)

    # Housekeeping

    async def _tick(self) -> None:
        looked_at = time.monotonic()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            for path in list(self._dispatcher.paths.values()):
                self._dispatcher.close_idle(path, older_than=IDLE_SECONDS)
                if path.ready_count:
                    self._dispatcher.pump(path)
            if now - looked_at >= ROUTES_SECONDS:
                looked_at = now
                # Also of a path that no lane asks for just now: what is ready there may wait for a
                # connection that a dead worker's share still holds.
                for path in list(self._dispatcher.paths.values()):
                    self._take_share(path)
                with contextlib.suppress(Unavailable):
                    await self._leave_blocked()

    async def _leave_blocked(self) -> None:
        """What is ready for an account that was paused or failed goes back, for another one."""
        busy = {
            path.account.id: path for path in self._dispatcher.paths.values() if path.ready_count
        }
        if not busy:
            return
        blocked = await self._query(providers.list_blocked, list(busy), self._lease.worker_id)
        for account_id, path in busy.items():
            if account_id in blocked or not path.connection_limit:
                await self._dispatcher.release([parcel.claim for parcel in path.drain()])

    def _drop_foreign(self) -> None:
        """Forget what was claimed under an id that is no longer ours: it is for the rescue."""
        for path in self._dispatcher.paths.values():
            self._lease.let_go(parcel.claim for parcel in path.drain())

    async def _wind_down(self) -> None:
        """Give back what was not begun, let what was come to its end, and take leave."""
        for path in self._dispatcher.paths.values():
            with contextlib.suppress(Unavailable):
                await self._dispatcher.release([parcel.claim for parcel in path.drain()])
        while self._dispatcher.has_begun:
            await asyncio.sleep(TICK_SECONDS / 10)
            for path in self._dispatcher.paths.values():  # what a connection gave back
                with contextlib.suppress(Unavailable):
                    await self._dispatcher.release([parcel.claim for parcel in path.drain()])
        for path in self._dispatcher.paths.values():
            self._dispatcher.close_idle(path, older_than=0.0)
        deadline = time.monotonic() + QUIT_SECONDS
        while self._dispatcher.connection_count and time.monotonic() < deadline:
            await asyncio.sleep(TICK_SECONDS / 10)


def _list_usable(route: Sequence[Candidate]) -> list[Candidate]:
    return [c for c in route if not c.is_paused and c.state is State.CLOSED]


_current: Engine | None = None


def work(lease: Lease, recorder: Recorder) -> None:
    """Run this process's engine until the worker stops, whatever happens to it."""
    global _current  # noqa: PLW0603 - a worker has one engine
    while not lease.stopping.is_set():
        _current = Engine(lease, recorder)
        try:
            _current.run()
        except BaseException:
            logger.exception("engine.crashed")
            _begin_anew(lease)
            lease.stopping.wait(RESTART_SECONDS)


def _begin_anew(lease: Lease) -> None:
    """Go on under another id, and leave what the old one held, and its marks, to the rescue."""
    lease.let_all_go()
    while not lease.stopping.is_set():
        try:
            with db.connection():
                workers.begin_anew(lease)
                return
        except Unavailable:
            lease.stopping.wait(RESTART_SECONDS)


def wake() -> None:
    """Tell this process's engine that there is work."""
    if _current is not None:
        _current.wake()


def deliver_due(lease: Lease, recorder: Recorder) -> int:
    """Send what can be sent at the moment, and return how many messages were tried."""
    return Engine(lease, recorder).run(until_idle=True)
