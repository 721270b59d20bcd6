"""Analytics and metering: what is asked for, and what is counted."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from maild.api.schemas.base import Timestamp, WorkspaceQuery
from maild.domain.traffic import Kind, Span

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIMESTAMP: TypeAdapter[AwareDatetime] = TypeAdapter(Timestamp)


def _to_day(value: Any) -> date:
    """A day as it is, or the one of a time in UTC."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise ValueError(f"is no day: {error}") from None
    try:
        return _TIMESTAMP.validate_python(value).astimezone(UTC).date()
    except ValueError:
        raise ValueError("must be a day such as 2026-01-31") from None


Day = Annotated[date, BeforeValidator(_to_day)]


class AnalyticsQuery(WorkspaceQuery):
    span: Span | None = Field(None, description="Up to now. `24h` unless `from` or `to` is given.")
    since: Timestamp | None = Field(
        None, alias="from", description="From this time on; a day before the end unless given."
    )
    until: Timestamp | None = Field(None, alias="to", description="Before this time.")


class AnalyticsExportQuery(WorkspaceQuery):
    since: Timestamp | None = Field(
        None, alias="from", description="From this time on; seven days before the end unless given."
    )
    until: Timestamp | None = Field(None, alias="to", description="Before this time.")
    step: Literal["minute", "hour", "day"] = Field("hour", description="What a line is about.")


class MeteringQuery(WorkspaceQuery):
    first: Day | None = Field(
        None, alias="from", description="The first day, in UTC; that of the month unless given."
    )
    last: Day | None = Field(
        None, alias="to", description="The last day, which is included; today unless given."
    )


class CountsOut(BaseModel):
    """How often each thing has happened to a message."""

    accepted: int
    sent: int = Field(description="Taken by a provider. A message is so at most once.")
    failed: int
    suppressed: int
    deferred: int = Field(description="Attempts that have to be made again.")
    delivered: int
    bounced: int
    complained: int
    expired: int
    cancelled: int
    held: int
    unknown: int

    @classmethod
    def of(cls, counts: dict[Kind, int], **more: Any) -> Self:
        """With what the caller adds; what did not happen is 0."""
        return cls(**{kind.value: counts.get(kind, 0) for kind in Kind}, **more)


class StepCountsOut(CountsOut):
    at: datetime = Field(description="When the step begins.")


class AccountTrafficOut(CountsOut):
    smtp_account: str
    share: float | None = Field(description="Of all that was sent; null where nothing was.")
    success_rate: float | None
    deferral_rate: float | None


class StreamsOut(BaseModel):
    transactional: CountsOut
    marketing: CountsOut


class QueueOut(BaseModel):
    """What waits now, whatever time is asked for."""

    due: int
    later: int = Field(description="Deferred, or scheduled.")
    sending: int
    max: int = Field(description="Nothing is counted further than this.")
    oldest_due_seconds: float | None = Field(description="null where nothing is due.")
    sent_per_second: float = Field(description="As mail went in the last minutes.")
    drain_seconds: float | None = Field(
        description="How long it takes to send what is due, as fast; null where nothing was sent"
        " lately, and where there is more than is counted."
    )


class AnalyticsSummary(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    workspace_id: int
    span: Span | None
    since: datetime = Field(alias="from", description="When the first step begins.")
    until: datetime = Field(alias="to")
    step_seconds: int
    totals: CountsOut
    success_rate: float | None = Field(
        description="sent / (sent + failed + expired + unknown); null where that is nothing."
    )
    deferral_rate: float | None = Field(
        description="deferred / (deferred + sent + failed + unknown); null where that is nothing."
    )
    streams: StreamsOut
    accounts: list[AccountTrafficOut] = Field(description="By their share, the largest first.")
    series: list[StepCountsOut] = Field(description="Each step, oldest first.")
    queue: QueueOut


class MeteredDay(CountsOut):
    day: date


class Metering(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    workspace_id: int
    first: date = Field(alias="from")
    last: date = Field(alias="to", description="Included.")
    totals: CountsOut
    days: list[MeteredDay] = Field(description="Each day, oldest first.")
