"""Dispatch: from a path's ready messages over its connections to their outcomes.

In charge of connections (when to open, use and close them), of the marks and the fence around each
message, and of what is learned from how it ended. Not in charge of what is claimed (`sending`), nor
of the dialogue (`transports.smtp`, whose `Owner` this is).
"""

import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial

from maild import config, log, marks, metrics
from maild.domain.policy import Route
from maild.domain.smtp_reply import ErrorClass, Stage, of_contact
from maild.errors import DecryptionError, NotFound, Unavailable
from maild.services import (
    dkim_signers,
    holds,
    last_check,
    outcomes,
    paths,
    providers,
    rescues,
    smtp_accounts,
    workers,
)
from maild.services.aside import Aside
from maild.services.claims import Claim
from maild.services.gate import Gate
from maild.services.last_check import Found
from maild.services.mail import make_offer
from maild.services.outcomes import Result
from maild.services.paths import Parcel, Path
from maild.services.providers import Account, Fault
from maild.services.recorder import Recorder
from maild.services.workers import Lease
from maild.transports.smtp import ConnectFailed, Connection, Offer, Outcome, open_connection

logger = log.get(__name__)

MESSAGES_PER_CONNECTION = 100
"""Then a connection is closed: providers dislike those that never end."""
COMPLAIN_SECONDS = 60.0
"""How often the log tells that mail waits because the last check is late."""
STALE_MAX = 3
"""How often a message is passed on to another connection within one attempt."""


class Dispatcher:
    """The paths of one worker, and everything on them. For one event loop."""

    def __init__(
        self,
        lease: Lease,
        recorder: Recorder,
        aside: Aside,
        *,
        call_for_work: Callable[[], None],
        on_health_changed: Callable[[], None],
    ) -> None:
        """`call_for_work()` is called where a path has room for more, `on_health_changed()` where a
        canary came back.
        """
        self.paths: dict[int, Path] = {}
        self.gate = Gate(config.current().redis_url, self._set_has_marks)
        self.tried_count = 0
        self._lease = lease
        self._recorder = recorder
        self._aside = aside
        self._call_for_work = call_for_work
        self._on_health_changed = on_health_changed
        self._path_of: dict[Connection, Path] = {}
        self._complain_at = 0.0
        recorder.on_recorded = self._on_recorded

    @property
    def is_quiet(self) -> bool:
        """Nothing is ready, on its way or being opened."""
        return self.gate.is_quiet and all(path.is_quiet for path in self.paths.values())

    @property
    def has_begun(self) -> bool:
        """Whether outcomes are still to come."""
        return not self.gate.is_quiet or any(path.begun for path in self.paths.values())

    @property
    def connection_count(self) -> int:
        return len(self._path_of)

    async def close(self) -> None:
        """Cut every connection, and forget the marks' client."""
        self._recorder.on_recorded = None
        for connection in list(self._path_of):
            connection.abort()
        await self.gate.close()

    def pump(self, path: Path) -> None:
        """Give ready messages to idle connections, and open more where they do not suffice."""
        now = time.monotonic()
        may_begin = self._lease.is_fresh() and not self._lease.stopping.is_set()
        while may_begin and path.idle and (parcel := path.take(now)) is not None:
            connection, _ = path.idle.popitem()  # the one used last: the others may grow old
            self.gate.mark(_mark_of(parcel), marks.BEGUN)
            self.gate.when_written(partial(self._begin, connection, parcel))
        if path.ready_count:
            self.dial_wanted(path, now)
            if not path.is_checking and path.needs_check(now):
                path.is_checking = True
                self._aside.start(self._check(path))
        if path.is_low(now):
            self._call_for_work()

    async def _check(self, path: Path) -> None:
        """Look again whether what waits may still be sent.

        What a connection has taken meanwhile was checked lately enough, and is left alone.
        """
        parcels = path.unchecked(time.monotonic())
        if not parcels:  # all taken meanwhile
            path.is_checking = False
            return
        try:
            found, looked_at = await self._aside.ask(
                _look_again, [parcel.claim for parcel in parcels]
            )
        finally:
            path.is_checking = False
        now = time.monotonic()
        stopped, frozen, lost = found
        waiting = path.ready & set(parcels)
        taken = {p for p in waiting if p.claim.message_id in stopped.keys() | frozen | lost}
        path.remove(taken)
        if not path.checked(waiting, len(parcels), looked_at=looked_at, now=now):
            self._tell_late(path, len(parcels), now - looked_at)
        self.pump(path)
        self._drop([p.claim for p in taken if p.claim.message_id in lost])
        unwanted = [
            (p.claim, stopped[p.claim.message_id]) for p in taken if p.claim.message_id in stopped
        ]
        try:
            if unwanted:
                await self._aside.ask(last_check.suppress, unwanted)
        finally:
            self._lease.let_go(claim for claim, _ in unwanted)
            # And the next claim holds them.
            await self.release([p.claim for p in taken if p.claim.message_id in frozen])

    def _drop(self, lost: Sequence[Claim]) -> None:
        """Forget what somebody else has by now: none of it is to be offered, or written down."""
        if lost:
            logger.warning("delivery.claims_lost", count=len(lost))
            self._unmark(lost)
            self._lease.let_go(lost)

    def _tell_late(self, path: Path, count: int, seconds: float) -> None:
        """Mail waits because Postgres takes its time; nobody else would say so."""
        metrics.LATE_CHECKS.inc()
        now = time.monotonic()
        if now >= self._complain_at:
            self._complain_at = now + COMPLAIN_SECONDS
            logger.warning(
                "delivery.checks_late",
                smtp_account=path.account.name,
                messages=count,
                seconds=round(seconds, 2),
                limit_seconds=paths.CHECK_SECONDS,
                detail="Nothing is offered that was not looked at within the limit, and PostgreSQL"
                " answers later, or this machine is too busy: mail waits.",
            )

    # Connections

    def dial_wanted(self, path: Path, now: float) -> None:
        """Open as many connections as the path could use, and may have.

        The worker's connections are shared by the paths that have work; one without any may always
        open its first.
        """
        wanted = path.dials_wanted(now)
        if not wanted:
            return
        everybody = self.paths.values()
        total = config.current().worker_connections
        share = max(1, total // max(1, sum(1 for p in everybody if p.ready_count or p.begun)))
        mine = len(path.connections) + path.opening
        free = total - len(self._path_of) - sum(p.opening for p in everybody)
        least = 0 if mine else 1
        for _ in range(min(wanted, max(least, min(free, share - mine)))):
            path.opening += 1
            path.dialled_at = now
            self._aside.start(self._dial(path))

    async def _dial(self, path: Path) -> None:
        account = path.account
        try:
            server = await self._aside.ask(smtp_accounts.get_server, account.id or None)
            connection = await open_connection(server, self)
        except ConnectFailed as failure:
            if path.connections and failure.reply is not None and failure.reply.code < 500:
                # It serves us, only not over so many connections.
                path.has_enough(time.monotonic())
            else:
                self._failed_to_dial(path, failure.error_class, failure.text)
        except (DecryptionError, NotFound) as error:
            self._failed_to_dial(path, ErrorClass.AUTH, error.detail)
        except Unavailable:
            raise
        except Exception:
            logger.exception("provider.dial_crashed", smtp_account=account.name)
            text = "maild itself failed while connecting; the worker's log says how."
            self._failed_to_dial(path, ErrorClass.CONNECTION, text)
        else:
            path.dialled()
            path.connections[connection] = account.revision
            self._path_of[connection] = path
            self.on_idle(connection)
        finally:
            path.opening -= 1
            self._call_for_work()

    def _failed_to_dial(self, path: Path, error_class: ErrorClass, text: str) -> None:
        path.failed_to_dial(time.monotonic())
        fault = Fault(
            worker_id=self._lease.worker_id,
            account_id=path.account.id,
            account_name=path.account.name,
            workspace_id=path.account.workspace_id,
            error_class=error_class.value,
            text=text,
            is_down=path.is_down(after=config.current().auto_failover.min_faults),
        )
        self._recorder.put(fault)
        account = metrics.account_label(fault.account_id)
        metrics.DIAL_FAILURES.labels(account, error_class.value).inc()
        logger.warning("provider.dial_failed", smtp_account=path.account.name, text=text)
        self._report_canary(path, fault)
        if not path.connections:
            self._aside.start(self.release([parcel.claim for parcel in path.drain()]))

    def close_idle(self, path: Path, *, older_than: float) -> None:
        """Take leave of the servers that nothing was sent to for so many seconds."""
        now = time.monotonic()
        for connection in list(path.idle):
            if now - connection.idle_since >= older_than:
                del path.idle[connection]
                connection.quit()

    # What connections tell (`transports.smtp.Owner`)

    def on_idle(self, connection: Connection) -> None:
        """Nothing is begun here: take the next message, or end after so many."""
        path = self._path_of.get(connection)
        if path is None:
            return
        if connection.done_count >= MESSAGES_PER_CONNECTION or not path.wants(
            connection, time.monotonic()
        ):
            connection.quit()
            return
        path.idle[connection] = None
        self.pump(path)

    def on_go_ahead(self, connection: Connection, offer: Offer) -> None:
        """The server waits for the content. Mark it, and begin the next one along with it."""
        path = self._path_of[connection]
        following: Parcel | None = None
        if (
            connection.capabilities.pipelining
            and connection.done_count + 1 < MESSAGES_PER_CONNECTION
            and path.wants(connection, time.monotonic())
            and self._lease.may_claim()
        ):
            following = path.take(time.monotonic())
            if path.is_low(time.monotonic()):
                self._call_for_work()
        self.gate.mark(_mark_of(offer.context), marks.DOT)
        if following is not None:
            self.gate.mark(_mark_of(following), marks.BEGUN)
        self.gate.when_written(partial(self._finish, connection, offer, following))

    def on_done(self, connection: Connection, offer: Offer, outcome: Outcome) -> None:
        """A message's outcome is in."""
        path = self._path_of[connection]
        parcel: Parcel = offer.context
        path.begun -= 1
        if outcome.is_stale:
            parcel.stale_count += 1
            if parcel.stale_count <= STALE_MAX:
                self._put_back(path, parcel)
                return
            outcome = outcomes.not_offered(
                outcome.stage,
                ErrorClass.CONNECTION,
                outcome.text,
                verdict=of_contact(ErrorClass.CONNECTION),
                remote=outcome.remote,
            )
        elif outcome.reply is not None and outcome.stage is Stage.FINAL_DOT:
            self.gate.note(_mark_of(parcel), rescues.write_mark(outcome))
        self._conclude(path, parcel, outcome)

    def on_closed(self, connection: Connection) -> None:
        """The connection is gone."""
        path = self._path_of.pop(connection)
        path.connections.pop(connection, None)
        path.idle.pop(connection, None)
        self.pump(path)
        self._call_for_work()

    # One message

    def _begin(self, connection: Connection, parcel: Parcel) -> None:
        path = self._path_of.get(connection)
        is_ready = connection.is_idle and self._may_send(parcel) and self._is_checked(parcel)
        if path is None or not is_ready:
            self._take_back(parcel)
            if path is not None and connection.is_idle:
                self.on_idle(connection)
            return
        offer = self._build(connection, path, parcel)
        if offer is None:
            self.on_idle(connection)
        else:
            connection.begin(offer)

    def _finish(self, connection: Connection, offer: Offer, following: Parcel | None) -> None:
        path = self._path_of.get(connection)
        if path is None or not self._may_send(offer.context):
            if following is not None:
                self._take_back(following)
            if path is not None:
                connection.abort()
            return
        if following is not None and not self._is_checked(following):
            self._take_back(following)
            following = None
        connection.finish(
            self._build(connection, path, following) if following is not None else None
        )

    def _may_send(self, parcel: Parcel) -> bool:
        """The fence: the lease holds, and it is the one under which this was claimed."""
        return self._lease.is_fresh() and parcel.claim.worker_id == self._lease.worker_id

    def _is_checked(self, parcel: Parcel) -> bool:
        """Whether the last check still holds: writing the mark may have taken its time."""
        return time.monotonic() - parcel.checked_at <= paths.CHECK_SECONDS

    def _take_back(self, parcel: Parcel) -> None:
        """This was taken and not begun."""
        path = self.paths[parcel.claim.account_id]
        path.begun -= 1
        self._put_back(path, parcel)

    def _put_back(self, path: Path, parcel: Parcel) -> None:
        if parcel.claim.worker_id == self._lease.worker_id:
            path.put_back(parcel)
            self._call_for_work()
        else:  # it is the rescue's
            self._lease.let_go([parcel.claim])

    def _build(self, connection: Connection, path: Path, parcel: Parcel) -> Offer | None:
        """The message for this server; None where it has no way to it, which is its outcome."""
        try:
            offer = make_offer(
                parcel,
                connection.capabilities,
                return_path=path.account.return_path,
                host=path.account.host,
            )
            refusal = connection.refuse(offer)
        except ValueError as error:
            text = f"This message cannot be put into SMTP: {error}"
            refusal = outcomes.not_offered(
                Stage.MAIL_FROM, ErrorClass.PROTOCOL, text, is_permanent=True
            )
        except DecryptionError as error:
            refusal = outcomes.not_offered(Stage.MAIL_FROM, ErrorClass.UNKNOWN, error.detail)
        except Exception:
            logger.exception("attempt.crashed", message_id=str(parcel.claim.message_id))
            text = "maild itself failed while building this message; the worker's log says how."
            refusal = outcomes.not_offered(Stage.MAIL_FROM, ErrorClass.UNKNOWN, text)
        if refusal is None:
            return offer
        path.begun -= 1
        self._conclude(path, parcel, refusal)
        return None

    def _conclude(self, path: Path, parcel: Parcel, outcome: Outcome) -> None:
        """Hand an outcome to the recorder, and learn from it."""
        self.tried_count += 1
        now = time.monotonic()
        milliseconds = round((now - parcel.begun_at) * 1000)
        # What is pinned has none, whatever other mail on this path could do.
        has_other = path.has_other and parcel.claim.route is not Route.PINNED
        result = outcomes.decide(
            parcel.claim,
            outcome,
            duration_ms=milliseconds,
            has_other_path=has_other,
            signed_by=parcel.signed_by,
        )
        self._recorder.put(result)
        if result.is_path_fault and _is_throttling(outcome) and path.throttled(now):
            rate = path.pace.slowed_to
            if rate is not None:
                self._aside.start(self._tell_slowed(path.account, rate, result.blame.text))
        if result.is_path_fault or outcome.is_unknown:
            path.canary_faults += 1
            # One message that makes every server hang up proves nothing; two in a row do.
            if result.fault is not None or path.canary_faults > 1:
                self._report_canary(path, result.blame)
        else:
            path.canary_faults = 0
            self._report_canary(path, None)

    async def _tell_slowed(self, account: Account, rate: float, text: str) -> None:
        await self._aside.ask(providers.note_slowed, account, rate=rate, text=text)

    def _report_canary(self, path: Path, fault: Fault | None) -> None:
        """A try of a canary came back; after a fault nothing more is tried until its next turn."""
        if path.is_canary and not path.is_canary_over:
            path.is_canary_over = fault is not None
            self._aside.start(self._tell_of_canary(path.account, fault))

    async def _tell_of_canary(self, account: Account, fault: Fault | None) -> None:
        is_over = await self._aside.ask(
            providers.report_canary, account, self._lease.worker_id, fault=fault
        )
        if is_over:
            self._on_health_changed()

    def _on_recorded(self, results: Sequence[Result]) -> None:
        """On the recorder's thread: these outcomes are in Postgres."""
        self._aside.call(self._unmark, [result.claim for result in results])

    def _unmark(self, done: Sequence[Claim]) -> None:
        self.gate.unmark([marks.field(claim.message_id, claim.attempt_no) for claim in done])

    async def release(self, released: Sequence[Claim]) -> None:
        """Give claims back to the queue. Raises Unavailable."""
        if not released:
            return
        # Before, not after: once they are queued they may be claimed again, with marks of the same
        # names. Nobody has been offered them, and no mark says just that.
        self._unmark(released)
        is_asked = False

        def give_back() -> None:
            nonlocal is_asked
            is_asked = True
            holds.give_back(self._lease, released)

        try:
            await self._aside.ask(give_back)
        finally:
            if not is_asked:  # no connection was to be had: they are nobody's, and the mending's
                self._lease.let_go(released)

    async def _set_has_marks(self, worker_id: uuid.UUID, has_marks: bool) -> None:
        await self._aside.ask(workers.set_has_marks, worker_id, has_marks)


def _look_again(waiting: Sequence[Claim]) -> tuple[Found, float]:
    """As `last_check.find_forbidden`, with when it was asked by `time.monotonic`: a stop that is
    older was not missed. And they are signed with the keys that sign by now, however long ago they
    were claimed.
    """
    for workspace_id in {claim.workspace_id for claim in waiting}:
        dkim_signers.load(workspace_id)
    looked_at = time.monotonic()  # not before a thread and a connection were free
    return last_check.find_forbidden(waiting), looked_at


def _mark_of(parcel: Parcel) -> str:
    return marks.field(parcel.claim.message_id, parcel.claim.attempt_no)


def _is_throttling(outcome: Outcome) -> bool:
    return outcome.reply is not None and outcome.reply.code in {421, 450, 451, 452, 454}
