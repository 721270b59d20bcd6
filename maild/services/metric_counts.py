"""Counting for /metrics what services come to: submissions and attempts, many at a time.

It costs the ways that all mail takes as little as it can: one look at a label for each kind of
thing in a group, not for each thing.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from maild import metrics
from maild.domain.states import Status
from maild.errors import MaildError

if TYPE_CHECKING:  # they call these
    from maild.services.acceptance import Settled
    from maild.services.outcomes import Result

_RULES = {Status.UNKNOWN: "hold", Status.QUEUED: "retry", Status.SENT: "assume_sent"}
"""What is done about an unknown outcome, by where the message goes."""


def count_settled(settled: "Sequence[Settled]", *, kind: str, seconds: float) -> None:
    """Submissions were accepted or refused, together in `seconds`; `kind` is `single` or
    `batch`.
    """
    accepted: Counter[tuple[str, str]] = Counter()
    for one in settled:
        if isinstance(one, MaildError):
            metrics.REJECTED.labels(one.code).inc()
        elif one.is_replayed:
            metrics.REPLAYED.inc()
        else:
            accepted.update((str(m.stream), str(m.status)) for m in one.messages)
    for labels, count in accepted.items():
        metrics.ACCEPTED.labels(*labels).inc(count)
    metrics.ACCEPT_SECONDS.labels(kind).observe(seconds)


def count_attempts(results: "Sequence[Result]") -> None:
    """Attempts were recorded."""
    counts: Counter[tuple[str, str, str]] = Counter()
    stages: defaultdict[str, list[float]] = defaultdict(list)
    for result in results:
        outcome = result.outcome
        error_class = outcome.error_class.value if outcome.error_class else "none"
        account = metrics.account_label(result.claim.account_id)
        counts[account, result.status.value, error_class] += 1
        for stage, milliseconds in outcome.timings.items():
            stages[stage].append(milliseconds / 1000)
        if outcome.is_unknown and result.move.new in _RULES:
            metrics.UNKNOWN_OUTCOMES.labels(_RULES[result.move.new]).inc()
    for labels, count in counts.items():
        metrics.ATTEMPTS.labels(*labels).inc(count)
    for stage, seconds in stages.items():
        metrics.observe_many(metrics.SMTP_STAGE.labels(stage), seconds)
