"""What provider events do: to messages, suppressions, unsubscribes, counts of soft bounces, and the
timeline.

`carry_out` does it for a batch of events in the caller's transaction: any order, any repetition
ends in the same state. Which events, and what becomes of their rows, is for `provider_events`; what
follows from one event, `domain/feedback.py` decides.
"""

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from maild.db import database
from maild.domain import feedback
from maild.domain.feedback import Consequence
from maild.domain.provider_event import DSN, ProviderEvent
from maild.domain.states import EventType, Status, Stream
from maild.domain.suppression import SuppressionClass
from maild.services import (
    addresses,
    campaign_engagement,
    report_links,
    soft_bounces,
    suppressions,
    transitions,
    unsubscribes,
)
from maild.services.campaign_engagement import Deed
from maild.services.report_links import Report
from maild.services.suppressions import Bounced
from maild.services.transitions import Move
from maild.services.unsubscribes import Left

SOURCE = "provider_event"
"""Where suppressions and unsubscribes say that they came from."""

ADDED, ALREADY_THERE = "added", "already_there"
TOO_OFTEN = "bounced too often in a row; the last time "

_SOFT = SuppressionClass.SOFT_BOUNCE
_EVENTS = {
    Status.SENT: EventType.OUTCOME_LEARNED,
    Status.DELIVERED: EventType.DELIVERED,
    Status.BOUNCED: EventType.BOUNCED,
    Status.COMPLAINED: EventType.COMPLAINED,
}


@dataclass(slots=True)
class Effects:
    """What a report has done, or would do. `error` says why it could not be applied in full."""

    message_id: uuid.UUID | None = None
    old_status: Status | None = None
    new_status: Status | None = None
    """The two are equal where the message stays as it is."""
    suppression: str | None = None
    """ADDED or ALREADY_THERE."""
    suppression_class: SuppressionClass | None = None
    suppressed_email: str | None = None
    unsubscribe: str | None = None
    """ADDED or ALREADY_THERE."""
    soft_bounce_count: int | None = None
    """In a row, this one included."""
    error: str | None = None
    is_too_early: bool = False
    """It waits for the message: its worker has not written down yet what came of sending it."""
    sent_at: datetime | None = None
    """When the message was sent, where it has been until now."""

    @property
    def is_nothing(self) -> bool:
        return not (self.message_id or self.suppression or self.unsubscribe) and (
            self.soft_bounce_count is None
        )

    def told(self) -> dict[str, Any]:
        """As the row of the event keeps it, and answers tell it."""
        data = {
            "message_id": self.message_id and str(self.message_id),
            "message_status": self.new_status,
            "message_moved_from": self.old_status if self.old_status != self.new_status else None,
            "suppression": self.suppression,
            "suppression_class": self.suppression_class,
            "suppressed_email": self.suppressed_email,
            "unsubscribe": self.unsubscribe,
            "soft_bounces_in_a_row": self.soft_bounce_count,
        }
        return {name: value for name, value in data.items() if value is not None}


class _Message(NamedTuple):
    """A message as a report meets it."""

    id: uuid.UUID
    workspace_id: int
    status: Status
    stream: Stream
    to_email: str
    updated_at: datetime
    is_doubtful: bool
    """It waits, and an attempt before may have reached the provider: one whose outcome is unknown,
    or one since the backup that a restore brought back.
    """
    recipient_id: int | None
    """The row of a campaign's ledger that it was made of."""


@dataclass(slots=True)
class _Case:
    """A report, what follows from it, and what it is about. `email`: whom a suppression would be
    about; None where nobody knows.
    """

    report: Report
    consequence: Consequence
    message: _Message | None
    email: str | None
    effects: Effects
    suppression: SuppressionClass | None
    """Why the address is suppressed, where it is."""

    @property
    def waits_for_message(self) -> bool:
        """Whether its message is not known yet: what is counted by message, or is about the
        message's stream, waits as well.
        """
        return self.message is None and self.effects.is_too_early


def carry_out(reports: Sequence[Report]) -> list[Effects]:
    """Apply reports; their effects, in the same order. In the caller's transaction."""
    links = report_links.find(reports)
    messages = _lock(set(links.found.values()))
    cases = []
    for report in reports:
        message_id = links.found.get(report.id)
        case = _case(report, messages.get(message_id) if message_id else None)
        case.effects.is_too_early = report.id in links.too_early and not report.is_last_try
        cases.append(case)
    _advance(cases)
    _engage(cases)
    _count_soft_bounces(cases)
    _suppress(cases)
    _unsubscribe(cases)
    return [case.effects for case in cases]


def _case(report: Report, message: _Message | None) -> _Case:
    is_mail = report.provider == DSN
    consequence = feedback.judge(report.event, is_read_by_maild=is_mail)
    email = _address_of_mail(report, message) if is_mail else _address(report, message)
    case = _Case(report, consequence, message, email, Effects(), consequence.suppression)
    if email is None and consequence.needs_address and not is_mail:
        case.effects.error = _no_address(report)
    return case


_LOCK = """
SELECT id, workspace_id, status, stream, to_email, updated_at, recipient_id
FROM messages WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
"""
# After the lock, in a statement of its own: only that sees what the lock has waited for.
_DOUBTS = (
    "SELECT message_id FROM attempts WHERE message_id = ANY(%s) AND status = 'unknown'"
    " UNION SELECT message_id FROM restored_messages WHERE message_id = ANY(%s)"
)


def _lock(message_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, _Message]:
    """The messages, which nobody else moves until the transaction ends."""
    wanted = list(message_ids)
    if not wanted:
        return {}
    rows = database.execute_sql(_LOCK, (wanted,)).fetchall()
    queued = [row[0] for row in rows if row[2] == Status.QUEUED]
    waiting = queued + [row[0] for row in rows if row[2] == Status.HELD]
    doubts = database.execute_sql(_DOUBTS, (queued, waiting)).fetchall() if waiting else []
    doubtful = {message_id for (message_id,) in doubts}
    return {
        row[0]: _Message(
            row[0],
            row[1],
            Status(row[2]),
            Stream(row[3]),
            row[4],
            row[5],
            row[0] in doubtful,
            row[6],
        )
        for row in rows
    }


# --- The address ------------------------------------------------------------------------------


def _address(report: Report, message: _Message | None) -> str | None:
    """Whom a suppression would be about: the recipient that is named, else the message's."""
    if report.email is not None:
        try:
            return addresses.parse(report.email).text
        except ValueError:
            pass
    return message.to_email if message else None


def _address_of_mail(report: Report, message: _Message | None) -> str | None:
    """The same for a bounce mail. Anybody can write one, so it is only believed of the recipient of
    a message that it shows to know.
    """
    if message is None:
        return None
    is_same = report.email is None or report.email.lower() == message.to_email.lower()
    return message.to_email if is_same else None


def _no_address(report: Report) -> str:
    if report.email is None:
        return "It names no recipient, and no message of this workspace is found by its ids."
    return (
        f"{report.email!r} is not a valid address, and no message of this workspace is found by"
        " its ids."
    )


# --- The message ------------------------------------------------------------------------------


def _advance(cases: Sequence[_Case]) -> None:
    """Move messages as far as the reports say, and tell all of it on their timelines.

    Where a message has several reports, each meets it as the one before has left it: the first
    reports of all messages, then their second ones, and so on.
    """
    statuses = {case.message.id: case.message.status for case in cases if case.message}
    rounds: list[list[_Case]] = []
    seen: Counter[uuid.UUID] = Counter()
    for case in cases:
        if case.message is not None:
            if seen[case.message.id] == len(rounds):
                rounds.append([])
            rounds[seen[case.message.id]].append(case)
            seen[case.message.id] += 1
    for together in rounds:
        moves = [_meet(case, case.message, statuses) for case in together if case.message]
        transitions.apply([move for move in moves if move is not None])
        _tell([c for c, move in zip(together, moves, strict=True) if move is None])


def _meet(case: _Case, message: _Message, statuses: dict[uuid.UUID, Status]) -> Move | None:
    """The move that a report makes of its message, as that stands now; None where it makes none."""
    effects, old = case.effects, statuses[message.id]
    new = _next_status(message, old, case.consequence)
    effects.message_id, effects.old_status, effects.new_status = message.id, old, new or old
    if new is None:
        effects.is_too_early = old is Status.SENDING and case.consequence.target is not None
        return None
    if old is Status.SENT:
        effects.sent_at = message.updated_at
    statuses[message.id] = new
    return _move(case, message, old, new)


def _next_status(message: _Message, status: Status, consequence: Consequence) -> Status | None:
    # One that waits is only done with where it may have been sent before.
    is_waiting = status in {Status.QUEUED, Status.HELD}
    if consequence.target is None or (is_waiting and not message.is_doubtful):
        return None
    return feedback.advance(status, consequence.target)


def _move(case: _Case, message: _Message, old: Status, new: Status) -> Move:
    is_bounce = new is Status.BOUNCED
    error_class, data = case.consequence.error_class, _data(case)
    return Move(
        message_id=message.id,
        workspace_id=message.workspace_id,
        old=old,
        new=new,
        event=_EVENTS[new],
        data=data,
        last_error=data.get("text") if is_bounce else None,
        error_class=error_class.value if is_bounce and error_class else None,
    )


def _data(case: _Case) -> dict[str, Any]:
    """What the timeline tells of a report."""
    event, error_class = case.report.event, case.consequence.error_class
    data = {
        "type": event.event_type.value,
        "provider": case.report.provider,
        "text": _text(event),
        "error_class": error_class.value if error_class else None,
        "reject_reason": event.reject_reason and event.reject_reason.value,
        "happened_at": event.timestamp and f"{event.timestamp.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "url": event.click_url,
        "report_id": case.report.id,
    }
    return {name: value for name, value in data.items() if value is not None}


def _text(event: ProviderEvent) -> str | None:
    """The words of the recipient's server, else the provider's."""
    text = event.mta_response or event.description
    return suppressions.cut(text) if text else None


_TELL = """
INSERT INTO events (workspace_id, message_id, type, data)
SELECT * FROM json_to_recordset(%s) AS v (workspace int, message uuid, type text, data jsonb)
"""


def _tell(cases: Sequence[_Case]) -> None:
    """Put what moves nothing on the timelines; what has come too early is told when its time is."""
    rows = [
        {
            "workspace": case.report.workspace_id,
            "message": str(case.message.id),
            "type": EventType.REPORTED,
            "data": _data(case),
        }
        for case in cases
        if case.message and not case.effects.is_too_early
    ]
    if rows:
        database.execute_sql(_TELL, (json.dumps(rows),))


def _engage(cases: Sequence[_Case]) -> None:
    """Tell the ledgers of campaigns what their recipients did."""
    campaign_engagement.note(
        [
            Deed(case.message.recipient_id, case.report.event.event_type, case.report.at)
            for case in cases
            if case.message is not None
            and case.message.recipient_id is not None
            and case.report.event.event_type in campaign_engagement.COUNTED
        ]
    )


# --- The address's standing -------------------------------------------------------------------


def _suppress(cases: Sequence[_Case]) -> None:
    """All at once, so that two who suppress never wait for each other in a circle."""
    chosen = [(case, case.email, case.suppression) for case in cases]
    known = [(case, email, class_) for case, email, class_ in chosen if email and class_]
    added = suppressions.add_many(
        [
            Bounced(
                case.report.workspace_id,
                email,
                case.message.id if case.message else None,
                TOO_OFTEN * (class_ is _SOFT) + _reason(case.report),
                class_,
            )
            for case, email, class_ in known
        ],
        source=SOURCE,
    )
    for case, email, class_ in known:
        key = case.report.workspace_id, email
        case.effects.suppression = ADDED if key in added else ALREADY_THERE
        case.effects.suppression_class, case.effects.suppressed_email = class_, email
        added.discard(key)  # a second report of it finds it there


def _reason(report: Report) -> str:
    text = _text(report.event)
    what = f"reported as {report.event.event_type} by {report.provider}"
    return f"{what}: {text}" if text else what


def _count_soft_bounces(cases: Sequence[_Case]) -> None:
    arrived, bounced = [], []
    for case in cases:
        if case.waits_for_message:
            continue
        if case.email and case.consequence.is_delivery:
            arrived.append((case.report.workspace_id, case.email, case.report.at))
        elif case.email and case.consequence.is_soft_bounce:
            cause = str(case.message.id) if case.message else f"event {case.report.id}"
            bounce = (case.report.workspace_id, case.email, cause, case.report.at)
            bounced.append((case, bounce))
    soft_bounces.forget(arrived)
    standings = soft_bounces.count([bounce for _, bounce in bounced])
    for case, (workspace_id, email, _, _) in bounced:
        standing = standings[workspace_id, email]
        case.effects.soft_bounce_count = standing.count
        if standing.is_over:
            case.suppression = _SOFT


def _stream_left(message: _Message | None) -> Stream | None:
    """What a person has opted out of who left by a provider's link: marketing, whatever the mail
    was; and what the mail was, where that is more. None: all of it.
    """
    is_marketing = message is not None and message.stream is Stream.MARKETING
    return Stream.MARKETING if is_marketing else None


def _unsubscribe(cases: Sequence[_Case]) -> None:
    chosen = [
        (case, case.email)
        for case in cases
        if case.consequence.is_unsubscribe and case.email and not case.waits_for_message
    ]
    added = unsubscribes.add_reported(
        [
            Left(
                case.report.workspace_id,
                email,
                _stream_left(case.message),
                suppressions.cut(_reason(case.report)),
                case.message.id if case.message else None,
            )
            for case, email in chosen
        ],
        source=SOURCE,
    )
    for (case, _), is_new in zip(chosen, added, strict=True):
        case.effects.unsubscribe = ADDED if is_new else ALREADY_THERE
