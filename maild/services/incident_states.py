"""States that are trouble as long as they hold: breakers that are not closed, providers that have
stopped reporting, dead letters coming in, messages that are missing.

`compare` finds those that hold, raises what is new or says something else than before, and clears
what holds no more. Those of sending domains are looked after by whoever checks domains.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from maild.db import database
from maild.domain import incident_advice, incident_rules
from maild.domain.incident import IncidentKind, Severity
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import incident_signals, periodic_jobs

SLOW_SECONDS = 20
"""How often all but the breakers are looked at."""
DEAD_LETTERS_MIN = 10
DEAD_LETTERS_MINUTES = 15
"""So many within so long are a burst, which is over when fewer are."""

_SLOW_KINDS = (IncidentKind.SILENT_PROVIDER, IncidentKind.DEAD_LETTERS, IncidentKind.CONSERVATION)


@dataclass(frozen=True, slots=True)
class _State:
    workspace_id: int
    kind: IncidentKind
    key: str
    title: str
    severity: Severity | None
    """None: that of a provider's trouble, as the workspace's other accounts do."""
    detail: dict[str, Any]
    smtp_account: str | None = None

    @property
    def identity(self) -> tuple[int, str, str]:
        return self.workspace_id, self.kind.value, self.key


def compare() -> None:
    """Raise and clear what has changed."""
    found = list(_list_breakers())
    kinds = [IncidentKind.PROVIDER]
    if periodic_jobs.take_slot("incident-states", seconds=SLOW_SECONDS):
        found += [*_list_endpoints(), *_list_dead_letters(), *_list_broken()]
        kinds += _SLOW_KINDS
    known = _list_known(kinds)
    for state in found:
        told = known.pop(state.identity, None)
        if told is None or told != _told(state.title, state.detail):
            _raise(state)
    for workspace_id, kind, key in known:
        incident_signals.clear_state(workspace_id, kind=IncidentKind(kind), key=key)


def _raise(state: _State) -> None:
    severity = state.severity
    if severity is None:
        has_path = incident_signals.has_path(state.workspace_id)
        severity = incident_rules.severity(state.kind, message_count=0, has_path=has_path)
    incident_signals.raise_state(
        state.workspace_id,
        kind=state.kind,
        key=state.key,
        title=state.title,
        severity=severity,
        detail=state.detail,
        smtp_account=state.smtp_account,
    )


_KNOWN = """
SELECT workspace_id, kind, detail->>'key', detail->>'title', detail->>'reason'
FROM incident_signals WHERE is_active AND kind = ANY(%s)
"""


def _list_known(kinds: list[IncidentKind]) -> dict[tuple[int, str, str], tuple[Any, ...]]:
    """The states that hold as far as is known, with what is told of them."""
    rows = database.execute_sql(_KNOWN, ([kind.value for kind in kinds],)).fetchall()
    return {tuple(row[:3]): tuple(row[3:]) for row in rows}


def _told(title: str, detail: dict[str, Any]) -> tuple[Any, ...]:
    return title, detail.get("reason")


# The environment's account concerns the workspaces that send through it, and have sent something.
_BREAKERS = """
SELECT a.workspace_id, b.account_id, a.name, b.state, b.error_class, b.reason
FROM breakers b JOIN smtp_accounts a ON a.id = b.account_id
WHERE b.state <> 'closed'
UNION ALL
SELECT w.id, 0, %(default)s, b.state, b.error_class, b.reason
FROM breakers b CROSS JOIN workspaces w
WHERE b.account_id = 0 AND b.state <> 'closed'
    AND NOT EXISTS (SELECT FROM smtp_accounts a WHERE a.workspace_id = w.id AND a.is_active)
    AND EXISTS (
        SELECT FROM messages m
        WHERE m.workspace_id = w.id AND m.created_at > now() - interval '1 day')
"""


def _list_breakers() -> Iterator[_State]:
    rows = database.execute_sql(_BREAKERS, {"default": DEFAULT_ACCOUNT}).fetchall()
    for workspace_id, account_id, name, _, error_class, reason in rows:
        yield _State(
            workspace_id,
            IncidentKind.PROVIDER,
            f"breaker {account_id}",
            incident_advice.breaker_title(name, error_class),
            None,
            {"error_class": error_class, "reason": reason},
            smtp_account=name,
        )


_ENDPOINTS = """
SELECT workspace_id, id, provider, smtp_account_name, silent_since, last_refusal
FROM webhook_endpoints WHERE silent_since IS NOT NULL OR refusing_since IS NOT NULL
"""


def _list_endpoints() -> Iterator[_State]:
    for row in database.execute_sql(_ENDPOINTS).fetchall():
        workspace_id, endpoint_id, provider, account, silent_since, refusal = row
        what = "has stopped reporting" if silent_since else "reports, and its reports are refused"
        yield _State(
            workspace_id,
            IncidentKind.SILENT_PROVIDER,
            f"endpoint {endpoint_id}",
            f"“{account}” {what} ({provider})",
            Severity.MINOR if silent_since else Severity.MAJOR,
            {"reason": None if silent_since else refusal, "endpoint_id": endpoint_id},
            smtp_account=account,
        )


# The newest of each workspace, by the index on their status.
_DEAD_LETTERS = """
SELECT w.id FROM workspaces w
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (
        WHERE created_at > now() - %(minutes)s * interval '1 minute') AS count
    FROM (
        SELECT created_at FROM provider_events e
        WHERE e.workspace_id = w.id AND e.status = 'dead_letter'
        ORDER BY e.id DESC LIMIT %(least)s) AS newest) AS recent
WHERE recent.count >= %(least)s
"""


def _list_dead_letters() -> Iterator[_State]:
    values = {"minutes": DEAD_LETTERS_MINUTES, "least": DEAD_LETTERS_MIN}
    for (workspace_id,) in database.execute_sql(_DEAD_LETTERS, values).fetchall():
        yield _State(
            workspace_id,
            IncidentKind.DEAD_LETTERS,
            "dead letters",
            "Reports of providers come in that cannot be read or applied",
            Severity.MINOR,
            {},
        )


_BROKEN = "SELECT workspace_id, difference FROM conservation_checks WHERE difference <> 0"


def _list_broken() -> Iterator[_State]:
    for workspace_id, difference in database.execute_sql(_BROKEN).fetchall():
        count = f"{abs(difference):,} {'message' if abs(difference) == 1 else 'messages'}"
        yield _State(
            workspace_id,
            IncidentKind.CONSERVATION,
            "conservation",
            f"{count} fewer than were accepted"
            if difference > 0
            else f"{count} more than were accepted",
            Severity.CRITICAL,
            {},
        )
