"""The audit: what must be true when all is over, whatever was killed.

It compares three witnesses: what clients were answered, what PostgreSQL holds, and what the
provider wrote to its ledger before each 250. Each finding names the invariant (RELIABILITY) that it
breaks. The bound on copies is exact: a line in the ledger belongs to an attempt that is recorded as
`sent`, or as `unknown` because contact was lost after the final dot; so

    attempts `sent`  <=  copies  <=  attempts `sent` + attempts `unknown`

and a message that was never `unknown` has exactly one copy if it is `sent`, and none if not.
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.crash.load import ENDLESS, Acknowledged
from tests.crash.rig import Rig

REPORTED = {"delivered", "bounced", "complained"}
"""What the provider took, and has reported on."""
TERMINAL = {"sent", "failed", "unknown", "suppressed", "expired", "cancelled", *REPORTED}
CHECK_SECONDS = 0.5
"""`services.paths.CHECK_SECONDS`: how old the last look before DATA may be. Written here once more,
because it is a promise.
"""
DATABASE_AWAY = ("OperationalError", "server closed the connection", "AdminShutdown")
"""What such a line has where PostgreSQL was killed under it, which is no fault of maild's."""
MISCOUNTED = """
SELECT workspace_id, at, kind, stream, coalesce(c.count, 0), coalesce(t.count, 0)
FROM (
    SELECT workspace_id, at, kind, stream, sum(message_count) AS count FROM (
        SELECT workspace_id, at, kind, stream, message_count FROM traffic_tallies
        UNION ALL
        SELECT workspace_id, at, kind, stream, message_count FROM rollups
        WHERE grain = 'minute') AS counted
    GROUP BY 1, 2, 3, 4) AS c
FULL JOIN (
    SELECT m.workspace_id, date_trunc('minute', e.created_at) AS at, traffic_kind(e.type) AS kind,
        m.stream, count(*) AS count
    FROM events e JOIN messages m ON m.id = e.message_id
    WHERE traffic_kind(e.type) IS NOT NULL GROUP BY 1, 2, 3, 4) AS t
USING (workspace_id, at, kind, stream)
WHERE c.count IS DISTINCT FROM t.count
"""
"""Minutes in which more, or less, was counted than events tell."""
FAULTS_IN_LOGS = ("crashed", "cannot_be_written", "Traceback", "conservation.broken")


@dataclass(frozen=True, slots=True)
class Stop:
    """Mail that had to stand still, from when it surely did until when it surely did no more.

    None is any: a suppression has an address, a freeze a stream, and one click both.
    """

    workspace_id: int
    since: float
    until: float = float("inf")
    email: str | None = None
    stream: str | None = None
    topic: str | None = None

    def covers(self, row: "Row") -> bool:
        return (
            self.workspace_id == row.workspace_id
            and self.email in (None, row.to_email)
            and self.stream in (None, row.stream)
            and self.topic in (None, row.topic)
        )


@dataclass(slots=True)
class Row:
    """A message with its attempts, as they are in PostgreSQL at the end."""

    workspace_id: int
    status: str
    stream: str
    to_email: str
    topic: str | None
    attempt_count: int
    attempts: list[tuple[int, str, str, int]] = field(default_factory=list)
    """Number, outcome, SMTP account, milliseconds (0: written by a rescue)."""

    def count(self, outcome: str) -> int:
        return sum(attempt[1] == outcome for attempt in self.attempts)


@dataclass(slots=True)
class Report:
    """The figures, and what was found wrong."""

    accepted: int = 0
    refused: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    phantoms: int = 0
    copies: int = 0
    duplicates: int = 0
    duplicates_of_held: int = 0
    """Of messages whose stream says hold: none are allowed."""
    bound: int = 0
    """Attempts that were recorded as `unknown`: so many copies more may there be."""
    ordered_duplicates: int = 0
    """Of `drop-after-dot@`, whose contact is lost after every dot."""
    unknown_by_hold: int = 0
    stopped: int = 0
    """Messages that a suppression or an unsubscribe stopped."""
    late: int = 0
    """Copies of what a stop covers that were begun after the bound."""
    in_flight_late: int = 0
    """Copies of it that came after the stop's commit, within the bound."""
    untold: int = 0
    """Copies after a stop whose attempt a rescue wrote down: when it began is not known."""
    violations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What processes said about themselves while PostgreSQL was killed under them."""


def audit(
    rig: Rig,
    acknowledged: Sequence[Acknowledged],
    *,
    refused: int = 0,
    stops: Sequence[Stop] = (),
    differences: Mapping[int, int] | None = None,
) -> Report:
    """Compare the witnesses. Everything has drained by now."""
    report = Report(accepted=len(acknowledged), refused=refused)
    rows = read_rows(rig)
    lines: dict[uuid.UUID, list[float]] = defaultdict(list)
    for at, message_id, recipient in rig.sink.lines():
        lines[message_id].append(at)
        if message_id in rows and rows[message_id].to_email != recipient:
            report.violations.append(f"I2: {message_id} went to {recipient}")
    _check_acknowledged(report, acknowledged, rows, lines)
    for message_id in lines.keys() - rows.keys():
        report.phantoms += 1
        report.violations.append(f"I2: {message_id} is in the ledger, and nobody knows it")
    for message_id, row in rows.items():
        report.by_status[row.status] += 1
        problems = [*_check_copies(report, row, len(lines[message_id])), *_check_attempts(row)]
        report.violations += [f"{problem} ({message_id}, {row})" for problem in problems]
        _check_stopped(report, message_id, row, lines[message_id], stops)
    for workspace_id, difference in (differences or {}).items():
        if difference:
            report.violations.append(f"I19: workspace {workspace_id} misses {difference}")
    report.violations += [f"I24: {text}" for text in _told_twice(rig)]
    report.violations += [f"I19: {text}" for text in _counted_wrongly(rig)]
    for line in complaints(rig):
        is_excused = any(word in line for word in DATABASE_AWAY)
        (report.notes if is_excused else report.violations).append(f"log: {line}")
    return report


def read_rows(rig: Rig) -> dict[uuid.UUID, Row]:
    """Every message, with its attempts in order."""
    rows = {
        found[0]: Row(*found[1:])
        for found in rig.query(
            "SELECT id, workspace_id, status, stream, to_email, topic, attempt_count FROM messages"
        )
    }
    for message_id, *attempt in rig.query(
        "SELECT message_id, attempt_no, status, smtp_account_name, duration_ms FROM attempts"
        " ORDER BY message_id, attempt_no"
    ):
        rows[message_id].attempts.append((attempt[0], attempt[1], attempt[2], attempt[3] or 0))
    return rows


def _check_acknowledged(
    report: Report,
    acknowledged: Sequence[Acknowledged],
    rows: Mapping[uuid.UUID, Row],
    lines: Mapping[uuid.UUID, list[float]],
) -> None:
    for one in acknowledged:
        row = rows.get(one.message_id)
        if row is None or (row.status not in TERMINAL and one.message_id not in lines):
            report.lost += 1
        if row is None:
            report.violations.append(f"I1: {one} was answered 201, and is not there")
        elif row.status not in TERMINAL:
            report.violations.append(f"I1: {one} stays {row.status}")


def _check_copies(report: Report, row: Row, copies: int) -> Iterator[str]:
    sent, unknown = row.count("sent"), row.count("unknown")
    more = max(copies - 1, 0)
    report.copies += copies
    report.bound += unknown
    if row.to_email.startswith("drop-after-dot"):
        report.ordered_duplicates += more
    else:
        report.duplicates += more
    if copies and not row.attempts:
        report.phantoms += 1
        yield "I2: on the wire without an attempt"
    if not sent <= copies <= sent + unknown:
        yield f"I3: {copies} copies of {sent} attempts sent and {unknown} unknown"
    if row.stream == "marketing":
        report.duplicates_of_held += more
        report.unknown_by_hold += row.status == "unknown"
        if more:
            yield "I4: sent again, though its stream says hold"
    if row.status == "failed" and copies and not unknown:
        yield "I4: failed, and the provider has it"
    if row.status in {"sent", *REPORTED} and not copies:
        yield f"I1: {row.status}, and the provider does not have it"
    if row.status in {"suppressed", "expired"} and copies > unknown:
        yield f"I6: {row.status}, and the provider has it"


def _check_attempts(row: Row) -> Iterator[str]:
    numbers = [attempt[0] for attempt in row.attempts]
    if row.status in TERMINAL and numbers != list(range(1, row.attempt_count + 1)):
        yield f"I5: its attempts have the numbers {numbers}"
    if row.count("sent") > 1:
        yield "I3: two attempts are recorded as sent"
    if any(not attempt[2] for attempt in row.attempts):
        yield "I17: an attempt names no SMTP account"


def _check_stopped(
    report: Report,
    message_id: uuid.UUID,
    row: Row,
    times: Sequence[float],
    stops: Sequence[Stop],
) -> None:
    """I6: nothing is begun more than CHECK_SECONDS after a stop was committed.

    The ledger says when the dialogue ended, the attempt how long it had taken since it began.
    """
    report.stopped += row.status == "suppressed"
    mine = [stop for stop in stops if stop.covers(row)]
    sent = [attempt for attempt in row.attempts if attempt[1] in {"sent", "unknown"}]
    for at in times:
        since = min((s.since for s in mine if s.since < at < s.until), default=None)
        if since is None:
            continue
        if len(times) != len(sent) or len(sent) != 1 or not sent[0][3]:
            report.untold += 1
        elif since + CHECK_SECONDS < at - sent[0][3] / 1000:
            report.late += 1
            report.violations.append(f"I6: {message_id} begun late: {row}, {at - since:.3f} s")
        else:
            report.in_flight_late += 1


def _told_twice(rig: Rig) -> list[str]:
    """An attempt ends once, however many schedulers rescue it."""
    return [
        f"{count} events {kind} of attempt {attempt_no} of {message_id}"
        for message_id, kind, attempt_no, count in rig.query(
            "SELECT message_id, type, data->>'attempt_no', count(*) FROM events"
            " WHERE type IN ('message.sent', 'message.deferred', 'message.failed',"
            " 'message.outcome_unknown', 'message.outcome_learned', 'message.assumed_sent')"
            " GROUP BY 1, 2, 3 HAVING count(*) > 1"
        )
    ]


def _counted_wrongly(rig: Rig) -> list[str]:
    """What was counted is what happened, to the minute: rollups are exact, or worth nothing."""
    return [
        f"{counted} {kind} of {stream} mail counted at {at:%H:%M} in workspace {workspace_id},"
        f" and {told} told"
        for workspace_id, at, kind, stream, counted, told in rig.query(MISCOUNTED)
    ]


def complaints(rig: Rig) -> list[str]:
    """Lines in which maild's processes tell of a fault of their own; each kind once."""
    found: dict[str, str] = {}
    for path in sorted((rig.home / "logs").glob("*.log")):
        if path.stem.startswith(("postgres", "valkey")):
            continue
        for line in path.read_text(errors="replace").splitlines():
            for word in FAULTS_IN_LOGS:
                if word in line:
                    kind = "away" if any(sign in line for sign in DATABASE_AWAY) else "fault"
                    name = f"{path.stem.rstrip('0123456789')}{word}: {kind}"
                    found.setdefault(name, line[:3000])
    return [f"{name}: {line}" for name, line in found.items()]


def expire_endless(rig: Rig) -> None:
    """End the lifetime of what a server refuses for ever by its own fault."""
    patterns = " OR ".join(f"to_email LIKE '{order}+%%'" for order in ENDLESS)
    rig.query(
        "UPDATE messages SET expires_at = now() WHERE status = 'queued' AND expires_at > now()"
        f" AND ({patterns})"
    )
