"""What the tests of incidents share: making trouble, as servers and workers do."""

from collections.abc import Callable, Sequence

from maild.db import database
from maild.domain.incident import IncidentStatus
from maild.models import Incident, IncidentEntry, Message
from maild.services import claims, incident_watch, outcomes
from maild.services.workers import Lease
from maild.transports.smtp import Outcome
from tests.conftest import WORKSPACE_A
from tests.services.helpers import A_URGENT, says

Trouble = Callable[..., list[Message]]

FAMILIES = ("gmail.com", "hotmail.com", "yahoo.com", "shop.example", "club.example")
DOWN = says("System is not available at the moment")


def make_trouble(
    accept: Callable[..., Message],
    lease: Lease,
    count: int,
    outcome: Outcome = DOWN,
    *,
    domains: Sequence[str] = FAMILIES,
    account: str = "primary",
    first: int = 0,
) -> list[Message]:
    """So many messages to these domains in turn, to people from the `first` on, each of which ends
    so through the account.
    """
    made = [
        accept(to_email=f"person{number}@{domains[number % len(domains)]}")
        for number in range(first, first + count)
    ]
    claimed = claims.claim(
        lease.worker_id, A_URGENT, account_id=7, account_name=account, limit=count
    ).claims
    assert len(claimed) == count
    outcomes.record([outcomes.decide(claim, outcome, duration_ms=9) for claim in claimed])
    return made


def look() -> list[Incident]:
    """Look once, as the scheduler does; the incidents of A that are not resolved."""
    database.execute_sql("DELETE FROM periodic_jobs")
    incident_watch.look()
    return unresolved()


def unresolved() -> list[Incident]:
    return list(
        Incident.select()
        .where(Incident.workspace == WORKSPACE_A, Incident.status != IncidentStatus.RESOLVED)
        .order_by(Incident.id)
    )


def entries(incident: Incident) -> list[str]:
    rows = IncidentEntry.select().where(IncidentEntry.incident == incident.id)
    return [row.kind.value for row in rows.order_by(IncidentEntry.id)]


def pass_time(minutes: float) -> None:
    """As if all that was seen had been seen so much earlier."""
    by = (minutes,)
    for statement in (
        "UPDATE incidents SET last_seen_at = last_seen_at - %s * interval '1 minute',"
        " since_at = since_at - %s * interval '1 minute',"
        " resolved_at = resolved_at - %s * interval '1 minute'",
        "UPDATE incident_signals SET last_seen_at = last_seen_at - %s * interval '1 minute',"
        " first_seen_at = first_seen_at - %s * interval '1 minute',"
        " since_at = since_at - %s * interval '1 minute'",
        "UPDATE incident_messages SET seen_at = seen_at - %s * interval '1 minute'",
    ):
        database.execute_sql(statement, by * statement.count("%s"))
    _move_tallies(minutes)


def _move_tallies(minutes: float) -> None:
    rows = database.execute_sql("SELECT signal_id, slot_at, seen_count FROM incident_tallies")
    kept = rows.fetchall()
    database.execute_sql("DELETE FROM incident_tallies")
    for signal_id, slot_at, count in kept:
        database.execute_sql(
            "INSERT INTO incident_tallies (signal_id, slot_at, seen_count)"
            " VALUES (%s, date_bin('5 minutes', %s - %s * interval '1 minute', 'epoch'), %s)"
            " ON CONFLICT (signal_id, slot_at) DO UPDATE"
            " SET seen_count = incident_tallies.seen_count + excluded.seen_count",
            (signal_id, slot_at, minutes, count),
        )
