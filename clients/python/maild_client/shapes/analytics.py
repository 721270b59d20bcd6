"""Shapes: Analytics. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict


class AccountTrafficOut(TypedDict):
    accepted: int
    sent: int
    failed: int
    suppressed: int
    deferred: int
    delivered: int
    bounced: int
    complained: int
    expired: int
    cancelled: int
    held: int
    unknown: int
    smtp_account: str
    share: float | None
    success_rate: float | None
    deferral_rate: float | None


AnalyticsSummary = TypedDict(
    "AnalyticsSummary",
    {
        "workspace_id": "int",
        "span": "Span | None",
        "from": "str",
        "to": "str",
        "step_seconds": "int",
        "totals": "CountsOut",
        "success_rate": "float | None",
        "deferral_rate": "float | None",
        "streams": "StreamsOut",
        "accounts": "list[AccountTrafficOut]",
        "series": "list[StepCountsOut]",
        "queue": "QueueOut",
    },
)


class CountsOut(TypedDict):
    """How often each thing has happened to a message."""

    accepted: int
    sent: int
    failed: int
    suppressed: int
    deferred: int
    delivered: int
    bounced: int
    complained: int
    expired: int
    cancelled: int
    held: int
    unknown: int


class MeteredDay(TypedDict):
    accepted: int
    sent: int
    failed: int
    suppressed: int
    deferred: int
    delivered: int
    bounced: int
    complained: int
    expired: int
    cancelled: int
    held: int
    unknown: int
    day: str


Metering = TypedDict(
    "Metering",
    {
        "workspace_id": "int",
        "from": "str",
        "to": "str",
        "totals": "CountsOut",
        "days": "list[MeteredDay]",
    },
)


class QueueOut(TypedDict):
    """What waits now, whatever time is asked for."""

    due: int
    later: int
    sending: int
    max: int
    oldest_due_seconds: float | None
    sent_per_second: float
    drain_seconds: float | None


Span: TypeAlias = Literal["1h", "24h", "7d"]


class StepCountsOut(TypedDict):
    accepted: int
    sent: int
    failed: int
    suppressed: int
    deferred: int
    delivered: int
    bounced: int
    complained: int
    expired: int
    cancelled: int
    held: int
    unknown: int
    at: str


class StreamsOut(TypedDict):
    transactional: CountsOut
    marketing: CountsOut
