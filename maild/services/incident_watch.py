"""The watch: looks every few seconds at what goes wrong, and opens, updates and closes incidents.

`look` is called by the scheduler; one process at a time does it. It reads the new troubles
(`incident_intake`), sees which of them are a burst (`domain/incident_rules.py`), compares the
states that hold with those that were known (`incident_states`), and closes what has become quiet.
Where there is nothing new it costs a handful of small statements.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from maild import config, log
from maild.db import database
from maild.domain import incident_advice, incident_rules
from maild.domain.actor import SYSTEM
from maild.domain.incident import IncidentKind, IncidentStatus
from maild.domain.incident_rules import RECENT_SLOTS, SLOT_SECONDS, Volume
from maild.models import Incident, IncidentSignal
from maild.services import incident_changes as changes
from maild.services import (
    incident_intake,
    incident_signals,
    incident_states,
    incident_widening,
    locks,
    periodic_jobs,
    workspaces,
)

LOOK_SECONDS = 20.0
"""One look reads on for so long at most; what is left is read by the next."""
JUDGE_SECONDS = 20.0
"""It opens incidents for so long at most; what is left is judged by the next."""
CANDIDATES_MAX = 5_000
"""Signals that are judged in one look: of each workspace the busiest first, so that none waits for
the troubles of another.
"""
ESCALATED_MAX = 500
SETTLED_SECONDS = 120
"""Quiet for so long, and all of its messages well: it is over."""
CLOSED_MAX = 100
KEPT_HOURS = 25
"""What made no incident is forgotten then; the day before it is what is usual."""
PRUNED_MAX = 5_000
"""Signals that are deleted in one statement."""

ALL_WELL = "It has been quiet, and every message that it touched has got where it should."
QUIET = "It has been quiet for {minutes} minutes; what was so before is not so any more."

logger = log.get(__name__)


def look() -> int:
    """Take in what is new; returns how many troubles that was. Nothing where another process does
    it.
    """
    with locks.only_one(locks.INCIDENTS) as is_ours:
        if not is_ours:
            return 0
        count = _read()
        # Also where nothing is new: the look before may have left something, or have been cut off.
        since = _recent_since()
        incident_widening.widen(since)
        _judge(since)
        incident_states.compare()
        _escalate()
        _close()
        if periodic_jobs.take_slot("incident-pruning", seconds=3600):
            _prune()
        return count


def _read() -> int:
    ends_at = time.monotonic() + LOOK_SECONDS
    after, upto = incident_intake.settle()
    count = 0
    while after < upto and time.monotonic() < ends_at:
        after, read = incident_intake.read_batch(after, upto)
        count += read
    return count


_RECENT = """
SELECT date_bin(%(slot)s * interval '1 second', now(), 'epoch')
    - (%(slots)s - 1) * %(slot)s * interval '1 second'
"""


def _recent_since() -> datetime:
    """When the earliest of the recent slots began."""
    values = {"slot": SLOT_SECONDS, "slots": RECENT_SLOTS}
    [at] = database.execute_sql(_RECENT, values).fetchone()
    return at  # type: ignore[no-any-return]


# Those of no incident, of a resolved one, and those of some recipients that may turn out to be the
# account's.
_CANDIDATES = """
SELECT s.id, t.recent, t.before, i.status, s.news_count
FROM incident_signals s
LEFT JOIN incidents i ON i.id = s.incident_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(seen_count) FILTER (WHERE slot_at >= %(since)s), 0)::int AS recent,
        coalesce(sum(seen_count) FILTER (WHERE slot_at < %(since)s), 0)::int AS before
    FROM incident_tallies
    WHERE signal_id = s.id AND slot_at > now() - interval '1 day') AS t
WHERE s.last_seen_at >= %(since)s AND NOT s.is_state AND t.recent > 0
    AND (i.id IS NULL OR i.status = 'resolved' OR i.kind = 'delivery' AND s.kind = 'delivery')
ORDER BY row_number() OVER (PARTITION BY s.workspace_id ORDER BY t.recent DESC), t.recent DESC
LIMIT %(most)s
"""
# Minutes that are over may have been folded already.
_TRIES = """
SELECT v.workspace_id, v.account, (
    SELECT coalesce(sum(message_count), 0)::int FROM (
        SELECT message_count FROM traffic_tallies t
        WHERE t.workspace_id = v.workspace_id AND t.at >= %(since)s AND t.kind = ANY(%(kinds)s)
            AND t.smtp_account = v.account
        UNION ALL
        SELECT message_count FROM rollups r
        WHERE r.workspace_id = v.workspace_id AND r.grain = 'minute' AND r.at >= %(since)s
            AND r.kind = ANY(%(kinds)s) AND r.smtp_account = v.account) AS counted)
FROM unnest(%(workspaces)s::int[], %(accounts)s::text[]) AS v (workspace_id, account)
"""
_TRIED = ["sent", "deferred", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class _Candidate:
    signal: IncidentSignal
    volume: Volume
    is_open: bool
    """It belongs to an incident that is not resolved."""
    is_known: bool
    """It belonged to an incident before."""

    @property
    def is_of_path(self) -> bool:
        return incident_rules.is_of_path(self.signal.kind, self.signal.error_class, self.volume)

    @property
    def is_burst(self) -> bool:
        signal = self.signal
        is_new = not self.is_known or signal.news_count >= incident_rules.seen_min(
            signal.kind, signal.error_class
        )
        return is_new and incident_rules.is_burst(signal.kind, signal.error_class, self.volume)

    @property
    def title(self) -> str:
        signal = self.signal
        return incident_advice.title_of(
            IncidentKind.PROVIDER
            if self.is_of_path and signal.kind is IncidentKind.DELIVERY
            else signal.kind,
            error_class=signal.error_class,
            smtp_account=signal.smtp_account,
            recipient_domain=signal.recipient_domain,
        )


def _judge(since: datetime) -> None:
    """Open, join or bring back incidents for the signals that are a burst."""
    values = {"since": since, "most": CANDIDATES_MAX}
    rows = database.execute_sql(_CANDIDATES, values).fetchall()
    if not rows:
        return
    signals = {
        signal.id: signal
        for signal in IncidentSignal.select().where(IncidentSignal.id.in_([r[0] for r in rows]))
    }
    tries = _list_tries(list(signals.values()), since)
    failing = _list_failing(sorted({signal.workspace_id for signal in signals.values()}))
    joined: set[tuple[int, int]] = set()
    ends_at = time.monotonic() + JUDGE_SECONDS
    for signal_id, recent, before, status, _ in rows:
        signal = signals[signal_id]
        whose = signal.workspace_id, signal.smtp_account
        candidate = _Candidate(
            signal,
            Volume(recent, before, tries.get(whose, 0), is_wide=_is_wide(signal)),
            is_open=status not in (None, IncidentStatus.RESOLVED.value),
            is_known=status is not None,
        )
        if candidate.is_open:
            is_due = candidate.is_of_path
        else:
            # What ails an account that fails already is one more sign of it, however seldom.
            is_due = candidate.is_burst or (candidate.is_of_path and whose in failing)
        if is_due:
            _attach(candidate, since, joined)
            if time.monotonic() > ends_at:
                break
    for workspace_id, incident_id in sorted(joined):
        incident_signals.count_anew(workspace_id, incident_id)


def _is_wide(signal: IncidentSignal) -> bool:
    """Whether many families hear the same; what is only lumped together may be of any kind."""
    return signal.recipient_domain is None and signal.pattern is not None


def _list_tries(
    signals: Sequence[IncidentSignal], since: datetime
) -> dict[tuple[int, str | None], int]:
    """How many tries the accounts of these signals have made since then, by workspace."""
    whose = sorted({(s.workspace_id, s.smtp_account) for s in signals if s.smtp_account})
    values = {
        "since": since,
        "kinds": _TRIED,
        "workspaces": [workspace_id for workspace_id, _ in whose],
        "accounts": [account for _, account in whose],
    }
    return {
        (workspace_id, account): count
        for workspace_id, account, count in database.execute_sql(_TRIES, values).fetchall()
    }


_FAILING = """
SELECT DISTINCT s.workspace_id, s.smtp_account
FROM incident_signals s JOIN incidents i ON i.id = s.incident_id
WHERE s.workspace_id = ANY(%s) AND s.kind IN ('provider', 'unknown_outcomes')
    AND s.smtp_account IS NOT NULL AND i.status <> 'resolved'
"""


def _list_failing(workspace_ids: list[int]) -> set[tuple[int, str | None]]:
    """The accounts for which there is an incident, by workspace."""
    return set(database.execute_sql(_FAILING, (workspace_ids,)).fetchall())


def _attach(candidate: _Candidate, since: datetime, joined: set[tuple[int, int]]) -> None:
    signal = candidate.signal
    with database.atomic():
        workspaces.take_turns(signal.workspace_id)
        severity = incident_rules.severity(
            IncidentKind.PROVIDER if candidate.is_of_path else signal.kind,
            message_count=candidate.volume.recent_count,
            has_path=incident_signals.has_path(signal.workspace_id),
        )
        begun: datetime = signal.first_seen_at
        if candidate.is_open:
            incident_signals.promote(signal, title=candidate.title, severity=severity)
            return
        incident_signals.attach(
            signal,
            title=candidate.title,
            severity=severity,
            is_of_path=candidate.is_of_path,
            since_at=max(begun, since),
            joined=joined,
        )


def _escalate() -> None:
    """What has grown, or has left the workspace's mail without a way, is worse than it was."""
    growing = Incident.select().where(
        Incident.status != IncidentStatus.RESOLVED,
        ~Incident.is_severity_set,
        ((Incident.severity == "minor") & (Incident.message_count >= incident_rules.MAJOR_MESSAGES))
        | (
            (Incident.severity != "critical")
            & (
                (Incident.kind == IncidentKind.PROVIDER)
                | (Incident.message_count >= incident_rules.CRITICAL_MESSAGES)
            )
        ),
    )
    found = list(growing.limit(ESCALATED_MAX))
    paths = incident_signals.list_paths({incident.workspace_id for incident in found})
    for incident in found:
        has_path = paths[incident.workspace_id]
        severity = incident_rules.severity(
            incident.kind, message_count=incident.message_count, has_path=has_path
        )
        if severity.rank > incident.severity.rank:
            reason = (
                f"It has touched {incident.message_count:,} messages by now."
                if has_path
                else "No account is left that could carry the mail."
            )
            with database.atomic():
                # A person may have said how bad it is meanwhile, or that it is over.
                now = incident_signals.lock(incident.id)
                if now is not None and now.status is not IncidentStatus.RESOLVED:
                    changes.escalate(now, severity, reason)


_CLOSABLE = """
SELECT i.id, i.workspace_id, i.last_seen_at < now() - %(quiet)s * interval '1 second'
FROM incidents i
WHERE i.status <> 'resolved' AND i.kind <> 'manual' AND (%(one)s IS NULL OR i.id = %(one)s)
    AND i.last_seen_at < now() - least(%(settled)s, %(quiet)s) * interval '1 second'
    AND NOT EXISTS (
        SELECT FROM incident_signals s WHERE s.incident_id = i.id AND s.is_active)
    AND (i.last_seen_at < now() - %(quiet)s * interval '1 second' OR NOT EXISTS (
        SELECT FROM incident_signals s
        JOIN incident_messages im ON im.signal_id = s.id AND im.seen_at >= s.since_at
        JOIN messages m ON m.id = im.message_id
        WHERE s.incident_id = i.id AND (
            m.status IN ('failed', 'unknown', 'bounced', 'held')
            OR m.status IN ('queued', 'sending') AND m.error_class IS NOT NULL)))
ORDER BY i.id LIMIT %(most)s
"""


def _close() -> None:
    """Resolve what has been quiet for long enough, unless somebody opened it by hand."""
    quiet = config.current().incident_quiet_seconds
    values = {"quiet": quiet, "settled": SETTLED_SECONDS, "most": CLOSED_MAX, "one": None}
    for incident_id, workspace_id, is_quiet in database.execute_sql(_CLOSABLE, values).fetchall():
        with database.atomic():
            workspaces.take_turns_of([workspace_id])
            incident = incident_signals.lock(incident_id)
            # By now it may be over, or go on.
            is_so = database.execute_sql(_CLOSABLE, {**values, "one": incident_id}).fetchall()
            if incident is not None and is_so:
                cause = QUIET.format(minutes=max(1, round(quiet / 60))) if is_quiet else ALL_WELL
                changes.resolve(incident, cause, by=SYSTEM)


_FORGET_SIGNALS = """
DELETE FROM incident_signals WHERE id IN (
    SELECT id FROM incident_signals
    WHERE incident_id IS NULL AND NOT is_active
        AND last_seen_at < now() - %(hours)s * interval '1 hour'
    ORDER BY last_seen_at LIMIT %(most)s)
"""
_FORGET_TALLIES = """
DELETE FROM incident_tallies WHERE slot_at < now() - %(hours)s * interval '1 hour'
"""
_FORGET_MESSAGES = """
DELETE FROM incident_messages im USING incident_signals s
WHERE s.id = im.signal_id AND s.incident_id IS NULL
    AND im.seen_at < now() - %(hours)s * interval '1 hour'
"""


def _prune() -> None:
    """Forget what made no incident, and counts that nobody compares with any more."""
    values = {"hours": KEPT_HOURS, "most": PRUNED_MAX}
    while database.execute_sql(_FORGET_SIGNALS, values).rowcount >= PRUNED_MAX:
        pass
    for statement in (_FORGET_TALLIES, _FORGET_MESSAGES):
        database.execute_sql(statement, values)
