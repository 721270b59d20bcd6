"""What an attempt came to: the message's next state, and writing it down.

`decide` turns the transport's outcome into a state by the rules of DESIGN: sent; failed for good;
deferred by the ladder; excused where the provider was at fault; unknown where contact was lost
after the final dot. `record` writes a group of results in one transaction. The thread that does so
is in `services/recorder.py`.
"""

import json
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from maild import clock, config, log, tracing
from maild.db import database
from maild.domain import feedback, retry
from maild.domain.smtp_reply import ErrorClass, Reply, Stage, Verdict
from maild.domain.states import AttemptStatus, EventType, Status
from maild.domain.suppression import SuppressionClass
from maild.models.smtp_account import ENVIRONMENT
from maild.services import metric_counts, providers, soft_bounces, suppressions, transitions
from maild.services.claims import Claim
from maild.services.providers import Counts, Fault, storable
from maild.services.suppressions import Bounced
from maild.services.transitions import Move
from maild.transports.smtp import Outcome

logger = log.get(__name__)

BLAMED_TRIES = 1
"""Faults of the path that a single message may count against its provider: one message that makes
every server hang up must not open a breaker.
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One finished attempt, ready to be written."""

    claim: Claim
    move: Move
    status: AttemptStatus
    outcome: Outcome
    duration_ms: int

    @property
    def is_path_fault(self) -> bool:
        """Whether the provider was at fault, not the message."""
        verdict = self.outcome.verdict
        return verdict is not None and verdict.is_path_fault

    @property
    def is_blamable(self) -> bool:
        """Whether the path failed: the provider was at fault, or contact was lost after the dot."""
        return self.is_path_fault or (self.outcome.is_unknown and bool(self.outcome.remote))

    @property
    def fault(self) -> Fault | None:
        """What this says against the provider's health; a message says it once."""
        is_new = self.claim.path_fault_count < BLAMED_TRIES
        return self.blame if self.is_blamable and is_new and self.claim.account_id >= 0 else None

    @property
    def blame(self) -> Fault:
        """The trouble of this attempt as the account's.

        That of the environment's account is seen by every workspace that uses it: it says nothing
        of whose message it was.
        """
        claim, outcome = self.claim, self.outcome
        text = outcome.text
        if claim.account_id == ENVIRONMENT:
            reply = outcome.reply
            parts = (str(reply.code), reply.enhanced_code or "") if reply else ("lost contact",)
            text = " ".join([*filter(None, parts), f"({outcome.stage.words})"])
        return Fault(
            worker_id=claim.worker_id,
            account_id=claim.account_id,
            account_name=claim.account_name,
            workspace_id=claim.workspace_id if claim.account_id else None,
            error_class=outcome.error_class.value if outcome.error_class else None,
            text=storable(text),
        )


@dataclass(frozen=True, slots=True)
class _Next:
    """Where a message goes from `sending`, and why."""

    status: Status
    attempt: AttemptStatus
    event: EventType
    error: str | None = None
    delay: float | None = None
    is_excused: bool = False


_SENT = _Next(Status.SENT, AttemptStatus.SENT, EventType.SENT)


def not_offered(
    stage: Stage,
    error_class: ErrorClass,
    text: str,
    *,
    verdict: Verdict | None = None,
    reply: Reply | None = None,
    remote: str = "",
    is_permanent: bool = False,
) -> Outcome:
    """The outcome of an attempt in which no server was offered the message."""
    return Outcome(
        accepted=False,
        stage=stage,
        reply=reply,
        error_class=error_class,
        is_permanent=is_permanent,
        is_unknown=False,
        is_stale=False,
        text=text,
        remote=remote,
        verdict=verdict,
    )


def lost_contact(text: str) -> Outcome:
    """The outcome of an attempt whose message may have been taken: nobody lived to see."""
    return Outcome(
        accepted=False,
        stage=Stage.FINAL_DOT,
        reply=None,
        error_class=ErrorClass.CONNECTION,
        is_permanent=False,
        is_unknown=True,
        is_stale=False,
        text=text,
        remote="",
    )


def decide(
    claim: Claim,
    outcome: Outcome,
    *,
    duration_ms: int,
    has_other_path: bool = False,
    signed_by: str | None = None,
) -> Result:
    """The result of an attempt. `has_other_path`: another account could take the message.
    `signed_by` names the keys that signed what was offered, for the timeline of what is taken.
    """
    following = _SENT if outcome.accepted else _after_trouble(claim, outcome, has_other_path)
    reply = outcome.reply
    error = storable(following.error) if following.error else None
    error_class = outcome.error_class.value if outcome.error_class else None
    data = {
        "attempt_no": claim.attempt_no,
        "smtp_account": claim.account_name,
        "smtp_code": reply.code if reply else None,
        "enhanced_code": reply.enhanced_code if reply else None,
        "error_class": error_class,
        "text": error or storable(outcome.text),
        "retry_in_seconds": round(following.delay) if following.delay is not None else None,
        "excused": following.is_excused or None,
        "signed_by": signed_by if outcome.accepted else None,
    }
    move = Move(
        message_id=claim.message_id,
        workspace_id=claim.workspace_id,
        old=Status.SENDING,
        new=following.status,
        event=following.event,
        data={name: value for name, value in data.items() if value is not None},
        worker_id=claim.worker_id,
        attempt_no=claim.attempt_no,
        next_attempt_in=following.delay,
        excuse=following.is_excused,
        last_error=error,
        error_class=error_class,
        smtp_account_name=claim.account_name,
    )
    return Result(claim, move, following.attempt, outcome, duration_ms)


def _after_trouble(claim: Claim, outcome: Outcome, has_other_path: bool) -> _Next:
    verdict = outcome.verdict
    max_attempts = claim.rules.max_attempts
    ladder = config.current().retry_delays_seconds
    if outcome.is_unknown:
        return _after_lost_contact(claim, outcome)
    if outcome.is_permanent:
        return _failed(outcome.text)
    asked = verdict.retry_after_seconds if verdict and verdict.retry_after_seconds else 0
    if verdict is not None and verdict.is_path_fault:
        delay = retry.excused_delay_seconds(claim.path_fault_count + 1, jitter=random.uniform)
        # What a path asks for says nothing about the message, which may not die of it: the path
        # may change, or have time sooner than it says.
        asked = 0 if has_other_path else min(asked, max(0, round(claim.seconds_left / 2)))
        is_excused = True
    else:
        counted = claim.attempt_no - claim.excused_count
        if counted >= max_attempts:
            return _failed(f"Gave up after {_times(counted)}. The last answer: {outcome.text}")
        delay = retry.delay_seconds(counted, ladder, jitter=random.uniform)
        is_excused = False
    # RFC 5321 4.5.4.1 leaves the interval to us; a server that names one knows better.
    delay = max(delay, float(asked))
    if delay >= claim.seconds_left:
        return _failed(
            f"Its lifetime ends before the next attempt. The last answer: {outcome.text}"
        )
    return _Next(
        Status.QUEUED,
        AttemptStatus.DEFERRED,
        EventType.DEFERRED,
        outcome.text,
        delay,
        is_excused,
    )


def _after_lost_contact(claim: Claim, outcome: Outcome) -> _Next:
    """The stream's rule for a message that may have been taken: never `failed`, never silent."""
    rule = claim.rules.unknown_outcome
    counted = claim.attempt_no - claim.excused_count
    if rule == "assume_sent":
        return _Next(Status.SENT, AttemptStatus.UNKNOWN, EventType.ASSUMED_SENT, outcome.text)
    if rule == "retry" and counted < claim.rules.max_attempts:
        ladder = config.current().retry_delays_seconds
        delay = retry.delay_seconds(counted, ladder, jitter=random.uniform)
        if delay < claim.seconds_left:
            return _Next(
                Status.QUEUED,
                AttemptStatus.UNKNOWN,
                EventType.OUTCOME_UNKNOWN,
                f"{outcome.text} It is sent again, as the rule for {claim.stream} mail says.",
                delay,
            )
    return _Next(Status.UNKNOWN, AttemptStatus.UNKNOWN, EventType.OUTCOME_UNKNOWN, outcome.text)


def _failed(error: str) -> _Next:
    return _Next(Status.FAILED, AttemptStatus.FAILED, EventType.FAILED, error)


def _times(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"


# A reply that comes in after the rescue has written the attempt down is the better knowledge, if it
# is the same worker's.
_ATTEMPTS = """
INSERT INTO attempts (
    message_id, attempt_no, status, worker_id, smtp_account_name, remote, started_at, finished_at,
    duration_ms, stage, smtp_code, enhanced_code, response, error_class, timings, is_excused,
    policy_version, route)
SELECT message_id, attempt_no, status, worker_id, smtp_account_name, remote,
    now() - duration_ms * interval '1 millisecond', now(),
    duration_ms, stage, smtp_code, enhanced_code, response, error_class, timings, is_excused,
    policy_version, route
FROM json_to_recordset(%s) AS v (
    message_id uuid, attempt_no int2, status text, worker_id uuid, smtp_account_name text,
    remote text, duration_ms int, stage text, smtp_code int2, enhanced_code text, response text,
    error_class text, timings jsonb, is_excused boolean, policy_version int, route text)
ON CONFLICT (message_id, attempt_no) DO UPDATE SET
    status = excluded.status, finished_at = excluded.finished_at, stage = excluded.stage,
    duration_ms = excluded.duration_ms, smtp_code = excluded.smtp_code,
    enhanced_code = excluded.enhanced_code, response = excluded.response,
    error_class = excluded.error_class, timings = excluded.timings
WHERE attempts.worker_id = excluded.worker_id
"""


def record(results: Sequence[Result], *, faults: Sequence[Fault] = ()) -> list[Fault]:
    """Write finished attempts, and count them for the health of their accounts, in one transaction;
    `faults` are those of dials, which belong to no message.

    Returns all faults, for `providers.judge`, which is no part of the transaction.

    A message that another has taken over keeps its state; but one whose outcome was given up as
    unknown is known to be sent, when its reply comes in late.
    """
    with database.atomic():
        moved = transitions.apply([result.move for result in results])
        learned = _learn([r for r in results if r.claim.message_id not in moved])
        # An attempt that was taken back leaves its number to the next one.
        written = [
            r
            for r in results
            if (r.claim.message_id in moved and not r.move.uncount) or r in learned
        ]
        if written:
            database.execute_sql(_ATTEMPTS, (json.dumps([_attempt(r) for r in written]),))
        blames = [r.fault for r in results if r.fault is not None]
        dead = [_bounced(r) for r in results if _is_dead_address(r, moved)]
        tired = _find_too_often([r for r in results if _is_soft_bounce(r, moved)])
        suppressions.add_many([*dead, *tired])
        providers.add_counts(_counts(results, [*blames, *faults]))
    metric_counts.count_attempts(written)
    for result in results:
        if result.claim.message_id not in moved and result not in learned:
            logger.warning("attempt.lost_its_lease", **log_fields(result))
        elif result.status is not AttemptStatus.SENT or config.current().log_detail == "all":
            logger.info(f"attempt.{result.status}", **log_fields(result))
        _trace(result)
    return [*blames, *faults]


def _is_dead_address(result: Result, moved: set[uuid.UUID]) -> bool:
    """Whether the server said of the address that it never takes mail."""
    verdict = result.outcome.verdict
    return result.claim.message_id in moved and verdict is not None and verdict.suppresses


def _is_soft_bounce(result: Result, moved: set[uuid.UUID]) -> bool:
    """Whether the message has failed for the mailbox's sake, for a reason that may pass."""
    verdict = result.outcome.verdict
    has_failed = result.claim.message_id in moved and result.move.new is Status.FAILED
    return has_failed and verdict is not None and feedback.is_soft_refusal(verdict)


def _find_too_often(results: Sequence[Result]) -> list[Bounced]:
    """Count soft bounces; those that were one too many in a row, as the policy says."""
    now = clock.now()
    standings = soft_bounces.count(
        [(r.claim.workspace_id, r.claim.to_email, str(r.claim.message_id), now) for r in results]
    )
    return [
        _bounced(r, SuppressionClass.SOFT_BOUNCE, prefix="refused too often; the last time: ")
        for r in results
        if standings[r.claim.workspace_id, r.claim.to_email].is_over
    ]


def _bounced(
    result: Result, class_: SuppressionClass = SuppressionClass.HARD_BOUNCE, *, prefix: str = ""
) -> Bounced:
    claim = result.claim
    text = prefix + result.outcome.text
    return Bounced(claim.workspace_id, claim.to_email, claim.message_id, text, class_)


def _counts(results: Sequence[Result], faults: Sequence[Fault]) -> Counts:
    """Tries that worked, and faults. What proves neither is left out: a rescue, a message that no
    server saw, a message that may be at fault itself.
    """
    counts: Counts = {}
    for result in results:
        is_known = result.outcome.remote and result.claim.account_id >= 0
        if is_known and not result.is_blamable:
            key = result.claim.account_id, result.claim.worker_id
            counts.setdefault(key, [0, 0])[0] += 1
    for fault in faults:
        count = counts.setdefault((fault.account_id, fault.worker_id), [0, 0])
        count[0] += 1
        count[1] += 1
    return counts


def _learn(results: Sequence[Result]) -> list[Result]:
    """Those of `results` that settle an unknown outcome after all."""
    accepted = [r for r in results if r.outcome.accepted]
    moves = [
        Move(
            message_id=r.claim.message_id,
            workspace_id=r.claim.workspace_id,
            old=Status.UNKNOWN,
            new=Status.SENT,
            event=EventType.OUTCOME_LEARNED,
            data=r.move.data,
            attempt_no=r.claim.attempt_no,
        )
        for r in accepted
    ]
    learned = transitions.apply(moves)
    return [r for r in accepted if r.claim.message_id in learned]


def _trace(result: Result) -> None:
    """The attempt in the message's trace, with the stages of its dialogue one after the other."""
    if not tracing.is_on():
        return
    claim, outcome = result.claim, result.outcome
    parts, after = [], 0.0
    for stage, milliseconds in outcome.timings.items():
        parts.append(tracing.Part(f"smtp.{stage}", after, milliseconds / 1000))
        after += milliseconds / 1000
    tracing.record_message(
        "message.attempt",
        claim.message_id,
        # The first message of a connection carries what it took to open it.
        seconds=max(result.duration_ms / 1000, after),
        attributes={
            "maild.workspace_id": claim.workspace_id,
            "maild.attempt_no": claim.attempt_no,
            "maild.smtp_account_id": claim.account_id,
            "maild.status": result.move.new.value,
            "maild.error_class": outcome.error_class.value if outcome.error_class else "none",
            "smtp.code": outcome.reply.code if outcome.reply else 0,
        },
        parts=parts,
        is_error=not outcome.accepted,
    )


def log_fields(result: Result) -> dict[str, object]:
    """What a log line says of a result."""
    return {
        "workspace_id": result.claim.workspace_id,
        "message_id": str(result.claim.message_id),
        "attempt_no": result.claim.attempt_no,
        "smtp_account": result.claim.account_name,
        "error_class": result.outcome.error_class,
        "text": result.outcome.text,
    }


def _attempt(result: Result) -> dict[str, object]:
    claim, outcome, reply = result.claim, result.outcome, result.outcome.reply
    return {
        "message_id": str(claim.message_id),
        "attempt_no": claim.attempt_no,
        "status": result.status.value,
        "worker_id": str(claim.worker_id),
        "smtp_account_name": claim.account_name,
        "remote": outcome.remote,
        "duration_ms": result.duration_ms,
        "stage": outcome.stage.value,
        "smtp_code": reply.code if reply else None,
        "enhanced_code": reply.enhanced_code if reply else None,
        "response": storable(reply.text if reply else outcome.text),
        "error_class": outcome.error_class.value if outcome.error_class else None,
        "timings": {stage: round(ms, 2) for stage, ms in outcome.timings.items()},
        "is_excused": result.move.excuse,
        "policy_version": claim.policy_version,
        "route": claim.route,
    }


def interrupted(claim: Claim, *, is_begun: bool) -> Result:
    """The result of an attempt whose worker died before the final dot: certainly not sent.

    One that was not even offered (`is_begun` is false) is not the message's doing. One that was may
    be what killed the worker: it counts, and waits, so that it does not take others with it.
    """
    counted = claim.attempt_no - claim.excused_count
    delay = 0.0
    if is_begun and counted > 1:
        ladder = config.current().retry_delays_seconds
        delay = retry.delay_seconds(counted - 1, ladder, jitter=random.uniform)
    is_spent = is_begun and counted >= claim.rules.max_attempts
    text = "The worker was interrupted before the message was out; it was not sent."
    outcome = not_offered(Stage.MAIL_FROM, ErrorClass.UNKNOWN, text)
    following = (
        _Next(Status.FAILED, AttemptStatus.INTERRUPTED, EventType.FAILED, text)
        if is_spent
        else _Next(Status.QUEUED, AttemptStatus.INTERRUPTED, EventType.RESCUED, text, delay)
    )
    move = Move(
        message_id=claim.message_id,
        workspace_id=claim.workspace_id,
        old=Status.SENDING,
        new=following.status,
        event=following.event,
        data={"attempt_no": claim.attempt_no, "text": text},
        worker_id=claim.worker_id,
        attempt_no=claim.attempt_no,
        next_attempt_in=following.delay,
        uncount=not is_begun,
        last_error=text,
        error_class="interrupted",
    )
    return Result(claim, move, following.attempt, outcome, 0)
