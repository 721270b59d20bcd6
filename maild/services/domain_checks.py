"""Checks of sending domains: what the DNS says of them, on demand and daily, and what drifts.

`domain_check_loop` takes those that are due; `check` is for a caller who waits, `inspect` for one
who asks about any domain. What was in order and is not, in two looks running, opens an incident,
and closes it when it is mended. That the DNS does not answer is unknown: an incident only after
UNKNOWN_HOURS. No network in a transaction.
"""

import asyncio
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from maild import clock, config, log
from maild.db import database
from maild.domain import dkim, domain_report
from maild.domain.dkim import KeyState
from maild.domain.dkim_check import SELECTORS_MAX, OwnKey
from maild.domain.dns_finding import State
from maild.domain.domain_report import NEEDED, Report, Subject
from maild.domain.incident import IncidentKind, Severity
from maild.domain.sending_route import Route
from maild.domain.storable import clean_json
from maild.errors import NotFound, RateLimited, Unavailable
from maild.models import DkimKey, Domain
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import (
    addresses,
    dkim_keys,
    dns_questions,
    domains,
    incident_signals,
    smtp_accounts,
    workspaces,
)

CLAIM_SECONDS = 60
"""After which a check is another worker's: longer than any takes."""
UNKNOWN_HOURS = 24
AGAIN_MINUTES = 10
"""Until the second look at what has drifted."""
ROUTES_MAX = 10
HISTORY_KEPT = 30
"""Of each domain."""
AT_ONCE_MAX = 4
"""Checks of this process for callers who wait: each keeps one of its threads."""
SHARE_MAX = 2
"""Of AT_ONCE_MAX, so many are one workspace's: its names may never answer."""
PER_MINUTE_MAX = 30
"""Of a workspace, in this process: maild is no means to flood the DNS with."""
_WINDOW_SECONDS = 60.0
_UNKNOWN_LASTS = timedelta(hours=UNKNOWN_HOURS)
_UNKNOWN_SOON = timedelta(hours=3)

logger = log.get(__name__)

_turns = threading.BoundedSemaphore(AT_ONCE_MAX)
_recent: dict[int, deque[float]] = {}
_waiting: Counter[int] = Counter()
_recent_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Claimed:
    """A check that is this process's to do, until then."""

    id: int
    workspace_id: int
    subject: Subject
    until: datetime


def count_call(workspace_id: int) -> None:
    """Before a check for a caller who waits. Raises RateLimited."""
    now = time.monotonic()
    with _recent_lock:
        for key in [key for key, times in _recent.items() if times[-1] < now - _WINDOW_SECONDS]:
            del _recent[key]
        times = _recent.setdefault(workspace_id, deque())
        while times and times[0] < now - _WINDOW_SECONDS:
            times.popleft()
        if len(times) >= PER_MINUTE_MAX:
            wait = max(1, round(times[0] + _WINDOW_SECONDS - now))
            raise RateLimited(
                f"A workspace may have {PER_MINUTE_MAX} domains checked a minute. Wait {wait} s.",
                retry_after_seconds=wait,
            )
        times.append(now)


def forget_calls() -> None:
    """Begin to count anew, for a process that begins anew."""
    with _recent_lock:
        _recent.clear()


def prepare(workspace_id: int, name: str, *, dkim_selector: str | None) -> Subject:
    """What is to be known of any domain for this workspace. Reads the database.

    Raises InvalidFields, NotFound (the workspace).
    """
    normal, selector = domains.check_fields(name, dkim_selector)
    workspaces.require(workspace_id)
    return _subject(workspace_id, normal, selector)


def inspect(workspace_id: int, subject: Subject) -> Report:
    """Ask the DNS, for a caller who waits: dns_questions.SECONDS_MAX at most. No database.

    Raises RateLimited where SHARE_MAX of the workspace wait already, Unavailable where AT_ONCE_MAX
    of all do.
    """
    with _share(workspace_id):
        if not _turns.acquire(timeout=1):
            raise Unavailable(
                "Too many domains are being checked at the moment. Try again.",
                retry_after_seconds=5,
            )
        try:
            return asyncio.run(_inspect(subject))
        finally:
            _turns.release()


@contextmanager
def _share(workspace_id: int) -> Iterator[None]:
    with _recent_lock:
        if _waiting[workspace_id] >= SHARE_MAX:
            raise RateLimited(
                f"{SHARE_MAX} domains of this workspace are being checked at the moment. Wait for"
                " them.",
                retry_after_seconds=5,
            )
        _waiting[workspace_id] += 1
    try:
        yield
    finally:
        with _recent_lock:
            _waiting[workspace_id] -= 1
            if not _waiting[workspace_id]:
                del _waiting[workspace_id]


_CLAIM_ONE = """
UPDATE domains SET claimed_until = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE id = %(id)s AND workspace_id = %(workspace)s
RETURNING id, workspace_id, name, dkim_selector, claimed_until
"""
_CLAIM = """
UPDATE domains SET claimed_until = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE id IN (
    SELECT id FROM domains WHERE due_at <= now() AND coalesce(claimed_until < now(), true)
    ORDER BY due_at FOR UPDATE SKIP LOCKED LIMIT %(limit)s)
RETURNING id, workspace_id, name, dkim_selector, claimed_until
"""


def take(workspace_id: int, name: str) -> Claimed:
    """Begin the check of a domain for a caller who waits: `inspect` and `save` follow.

    Raises InvalidFields, NotFound.
    """
    row = domains.find(workspace_id, name)
    values = {"id": row.id, "workspace": workspace_id, "seconds": CLAIM_SECONDS}
    found = database.execute_sql(_CLAIM_ONE, values).fetchone()
    if found is None:  # it was removed just now
        raise NotFound(domains.NO_SUCH)
    return _claimed(*found)


def claim(limit: int) -> list[Claimed]:
    """Checks that are due, the longest first; they are this process's for CLAIM_SECONDS."""
    rows = database.execute_sql(_CLAIM, {"seconds": CLAIM_SECONDS, "limit": limit}).fetchall()
    return [_claimed(*row) for row in rows]


async def carry_out(claimed: Claimed) -> None:
    """Ask, and write down what was found."""
    save(claimed, await _inspect(claimed.subject))


def save(claimed: Claimed, report: Report) -> None:
    """Keep what was found, unless the domain was changed or removed meanwhile; tell of drift."""
    now = clock.now()
    with database.atomic():
        workspaces.take_turns(claimed.workspace_id)
        row = Domain.get_or_none(Domain.id == claimed.id, Domain.claimed_until == claimed.until)
        if row is None:
            return
        good, drift = domain_report.compare(
            row.good, row.drift, report.findings, now=now.isoformat()
        )
        unknown_since = (row.unknown_since_at or now) if report.has_unknown else None
        is_ready = row.is_ready if report.is_ready is None else report.is_ready
        values = {
            "id": row.id,
            "now": now,
            "is_ready": is_ready,
            "results": _json(domain_report.to_json(report)),
            "good": _json(good),
            "drift": _json(drift),
            "unknown_since": unknown_since,
            "minutes": _minutes_until_next(
                report, drift, unknown_for=now - unknown_since if unknown_since else None
            ),
        }
        database.execute_sql(_SAVE, values)
        _keep_history(row, report, now)
        is_lasting = unknown_since is not None and now - unknown_since >= _UNKNOWN_LASTS
        _tell(row, report, drift, is_lasting=is_lasting)
    logger.info("domain.checked", domain=row.name, is_ready=report.is_ready, drift=sorted(drift))


def details(report: Report) -> dict[str, Any]:
    """The report as programs read it."""
    cleaned: dict[str, Any] = clean_json(domain_report.to_json(report))
    return cleaned


async def _inspect(subject: Subject) -> Report:
    return await dns_questions.settle(lambda book: domain_report.judge(book, subject))


def _claimed(
    id_: int, workspace_id: int, name: str, selector: str | None, until: datetime
) -> Claimed:
    return Claimed(id_, workspace_id, _subject(workspace_id, name, selector), until)


def _subject(workspace_id: int, name: str, selector: str | None) -> Subject:
    wire = addresses.to_ascii(name)
    own = _own_keys(workspace_id, wire) if selector is None else ()
    return Subject(wire, selector, _routes(workspace_id), own)


def _own_keys(workspace_id: int, wire: str) -> tuple[OwnKey, ...]:
    """The keys that maild signs the domain's mail with: its own, else those of the nearest above
    it that has any, as `dkim_signers.find` has it. After them those that wait for their record.
    """
    waiting: list[OwnKey] = []
    for domain in dkim.list_parents(wire):
        keys = dkim_keys.list_of_domain(workspace_id, domain)
        waiting += [_own(key) for key in keys if key.state is KeyState.PREPARED]
        if active := [_own(key) for key in keys if key.state is KeyState.ACTIVE]:
            return tuple([*active, *waiting][:SELECTORS_MAX])
    return tuple(waiting[:SELECTORS_MAX])


def _own(key: DkimKey) -> OwnKey:
    is_signing = key.state is KeyState.ACTIVE
    return OwnKey(key.selector, key.domain, key.algorithm, key.public_key, is_signing)


def _routes(workspace_id: int) -> tuple[Route, ...]:
    """The ways that the workspace's mail may take, the active one first."""
    rows = [row for row in smtp_accounts.list_all(workspace_id) if row.paused_at is None]
    rows.sort(key=lambda row: (not row.is_active, row.priority, row.id))
    routes = [Route(row.name, row.host.lower(), _domain_of(row.return_path)) for row in rows]
    if not any(row.is_active for row in rows):
        smtp = config.current().smtp
        routes.insert(0, Route(DEFAULT_ACCOUNT, smtp.host.lower(), _domain_of(smtp.return_path)))
    return tuple(routes[:ROUTES_MAX])


def _domain_of(return_path: str | None) -> str | None:
    return addresses.to_ascii(return_path.rpartition("@")[2].lower()) if return_path else None


# Spread, so that what was added together is not asked together for ever.
_SAVE = """
UPDATE domains SET checked_at = %(now)s, is_ready = %(is_ready)s, results = %(results)s::jsonb,
    good = %(good)s::jsonb, drift = %(drift)s::jsonb, unknown_since_at = %(unknown_since)s,
    claimed_until = NULL,
    due_at = now() + %(minutes)s * (0.85 + 0.3 * random()) * interval '1 minute'
WHERE id = %(id)s
"""
_SAME_AGAIN = """
UPDATE domain_checks SET last_checked_at = %(now)s
WHERE id = (SELECT max(id) FROM domain_checks WHERE domain_id = %(domain)s)
    AND states = %(states)s::jsonb AND records = %(records)s::jsonb
"""
_NEW = """
INSERT INTO domain_checks (
    workspace_id, domain_id, checked_at, last_checked_at, is_ready, states, records)
VALUES (%(workspace)s, %(domain)s, %(now)s, %(now)s, %(is_ready)s, %(states)s::jsonb,
    %(records)s::jsonb)
"""
_PRUNE = """
DELETE FROM domain_checks WHERE domain_id = %(domain)s AND id < (
    SELECT min(id) FROM (
        SELECT id FROM domain_checks WHERE domain_id = %(domain)s
        ORDER BY id DESC LIMIT %(kept)s) AS kept)
"""


def _minutes_until_next(
    report: Report, drift: dict[str, Any], *, unknown_for: timedelta | None
) -> int:
    """Sooner where it may have been one wrong answer, where somebody is likely to be mending it, or
    the DNS is likely to be back.
    """
    if domain_report.has_new(drift, report.findings):
        return AGAIN_MINUTES
    if unknown_for is not None and unknown_for < _UNKNOWN_SOON:
        return 15
    if report.has_unknown:
        return 60  # a check that waits for servers in vain keeps others waiting
    return 24 * 60 if report.is_ready else 60


def _keep_history(row: Domain, report: Report, now: datetime) -> None:
    values = {
        "workspace": row.workspace_id,
        "domain": row.id,
        "now": now,
        "is_ready": report.is_ready,
        "states": _json({one.check.value: one.state.value for one in report.findings}),
        "records": _json({one.check.value: list(one.found) for one in report.findings}),
        "kept": HISTORY_KEPT,
    }
    if not database.execute_sql(_SAME_AGAIN, values).rowcount:
        database.execute_sql(_NEW, values)
        database.execute_sql(_PRUNE, values)


def _tell(row: Domain, report: Report, drift: dict[str, Any], *, is_lasting: bool) -> None:
    """Open an incident of what is not as it was, or close it. One look alone opens none."""
    confirmed = domain_report.list_confirmed(drift)
    if not confirmed and not is_lasting:
        domains.clear_incident(row)  # whatever ended it: another selector does so, too
        return
    drifted = [one for one in report.findings if one.check.value in confirmed]
    if drifted:
        names = " and ".join(one.check.value.upper() for one in drifted)
        title = f"{names} of {row.name} {'is' if len(drifted) == 1 else 'are'} not as before"
        reason = " ".join(f"{one.check.value.upper()}: {one.summary}." for one in drifted)
    else:
        title = f"The DNS has not answered for {row.name} for a day"
        reason = "It is not known whether mail from this domain can be checked."
    is_bad = any(one.state is State.BAD and one.check in NEEDED for one in drifted)
    incident_signals.raise_state(
        row.workspace_id,
        kind=IncidentKind.DOMAIN,
        key=domains.incident_key(row),
        title=title,
        severity=Severity.MAJOR if is_bad else Severity.MINOR,
        detail={
            "domain": row.name,
            "domain_id": row.id,
            "reason": reason,
            "checks": [
                {
                    "check": one.check.value,
                    "was": drift[one.check.value]["was"],
                    "is": list(one.found),
                }
                for one in drifted
            ],
        },
    )


def _json(value: object) -> str:
    return json.dumps(clean_json(value))
