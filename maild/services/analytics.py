"""Analytics: how much happened to a workspace's mail, over time and by SMTP account; what the
Overview, exports and bills are made of.

It reads rollups, and the tallies that are not folded yet, in one statement each: so nothing is
missed and nothing counted twice, whatever is folded meanwhile. Nobody else counts messages.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from maild import clock
from maild.db import connection, database
from maild.domain import traffic
from maild.domain.states import Stream
from maild.domain.traffic import Kind, Span, Window
from maild.errors import FieldError, InvalidRequest
from maild.services import message_log, rollups, workspaces
from maild.services.health import DEPTH_MAX, QueueDepth

RATE_MINUTES = 5
"""How fast mail goes is told by so many minutes before now."""
DAYS_MAX = 366
"""Nobody asks for more at once."""
EXPORT_STEPS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EXPORT_PORTION = DAY
"""So much is read at once for a file."""

_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)

Counts = dict[Kind, int]


@dataclass(frozen=True, slots=True)
class AccountTraffic:
    """What went through one SMTP account. `share` is of all that was sent; None where nothing
    was.
    """

    name: str
    totals: Counts
    share: float | None

    @property
    def success_rate(self) -> float | None:
        """As `traffic.success_rate` has it."""
        return traffic.success_rate(self.totals)

    @property
    def deferral_rate(self) -> float | None:
        """As `traffic.deferral_rate` has it."""
        return traffic.deferral_rate(self.totals)


@dataclass(frozen=True, slots=True)
class Summary:
    """How much happened in a window. `series` has a number for each of its steps, oldest first;
    every kind is in it, and in the totals. `accounts` by their share, the largest first.
    """

    window: Window
    series: dict[Kind, list[int]]
    totals: Counts
    streams: dict[Stream, Counts]
    accounts: list[AccountTraffic]

    @property
    def success_rate(self) -> float | None:
        """As `traffic.success_rate` has it."""
        return traffic.success_rate(self.totals)

    @property
    def deferral_rate(self) -> float | None:
        """As `traffic.deferral_rate` has it."""
        return traffic.deferral_rate(self.totals)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast mail goes: `sent_count` messages in the last `over_seconds`."""

    sent_count: int
    over_seconds: float

    @property
    def per_second(self) -> float:
        """0 where nothing was sent."""
        return self.sent_count / self.over_seconds if self.over_seconds else 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """What happened in one step to the mail of one stream through one SMTP account."""

    at: datetime
    stream: Stream
    smtp_account: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Metering:
    """What a bill is made of: a day's counts, for each of the days from `first` to `last`, both
    included, in UTC.
    """

    first: date
    last: date
    days: list[tuple[date, Counts]]
    totals: Counts


# By the hour up to a whole one, by the minute from there on, and what is not folded yet: nothing is
# read twice. Minutes are asked for only where they are sure to be kept, whoever forgets meanwhile.
_READ = """
WITH kept AS MATERIALIZED (
    SELECT greatest(date_trunc('hour', now(), 'UTC') - %(days)s * interval '1 day'
        + interval '1 hour', %(hours_until)s) AS since
)
SELECT date_bin(%(step)s, at, %(since)s) AS begun_at, kind, stream, smtp_account,
    sum(message_count)::bigint
FROM (
    SELECT at, kind, stream, smtp_account, message_count FROM rollups
    WHERE workspace_id = %(workspace)s AND grain = 'hour'
        AND at >= %(since)s AND at < %(until)s AND at < (SELECT since FROM kept)
    UNION ALL
    SELECT at, kind, stream, smtp_account, message_count FROM rollups
    WHERE workspace_id = %(workspace)s AND grain = 'minute'
        AND at >= %(since)s AND at < %(until)s AND at >= (SELECT since FROM kept)
    UNION ALL
    SELECT at, kind, stream, smtp_account, message_count FROM traffic_tallies
    WHERE workspace_id = %(workspace)s AND at >= %(since)s AND at < %(until)s
) AS counted
GROUP BY 1, 2, 3, 4
ORDER BY 1, 3, 4
"""
_PACE = """
SELECT coalesce(sum(message_count), 0)::bigint, min(at) FROM (
    SELECT at, message_count FROM rollups
    WHERE workspace_id = %(workspace)s AND grain = 'minute' AND kind = 'sent'
        AND at >= %(since)s
    UNION ALL
    SELECT at, message_count FROM traffic_tallies
    WHERE workspace_id = %(workspace)s AND kind = 'sent' AND at >= %(since)s
) AS counted
"""


def summarise_span(workspace_id: int, *, span: Span) -> Summary:
    """What happened in a span up to now; raises as `summarise`."""
    return summarise(workspace_id, window=traffic.window(span, clock.now()))


def summarise(workspace_id: int, *, window: Window) -> Summary:
    """What happened in a time. Raises InvalidRequest where that is longer than DAYS_MAX or ends
    before it begins, NotFound (the workspace), and Unavailable where it takes too long to read.
    """
    _check(window)
    rows = _read(workspace_id, window)
    if not rows:
        workspaces.require(workspace_id)
    series = {kind: [0] * window.step_count for kind in Kind}
    totals: Counts = dict.fromkeys(Kind, 0)
    streams: dict[Stream, Counts] = {stream: dict.fromkeys(Kind, 0) for stream in Stream}
    accounts: dict[str, Counts] = {}
    for at, kind, stream, account, count in rows:
        series[kind][(at - window.since) // window.step] += count
        totals[kind] += count
        streams[stream][kind] += count
        if account:
            accounts.setdefault(account, dict.fromkeys(Kind, 0))[kind] += count
    return Summary(window, series, totals, streams, _by_share(accounts))


def measure_pace(workspace_id: int) -> Pace:
    """How fast the workspace's mail has gone out lately: in the last RATE_MINUTES, or since the
    minute in them in which it began.
    """
    now = clock.now()
    since = traffic.floor(now, timedelta(minutes=1)) - timedelta(minutes=RATE_MINUTES - 1)
    [(count, begun_at)] = database.execute_sql(
        _PACE, {"workspace": workspace_id, "since": since}
    ).fetchall()
    return Pace(count, max((now - begun_at).total_seconds(), 1.0) if begun_at else 0.0)


def estimate_drain(depth: QueueDepth, pace: Pace) -> float | None:
    """In how many seconds what is due is sent, as fast as mail goes now; None where nobody can
    tell: nothing was sent lately, or more is due than is counted.
    """
    if depth.due_count >= DEPTH_MAX:
        return None
    return traffic.drain_seconds(
        depth.due_count, sent_count=pace.sent_count, over_seconds=pace.over_seconds
    )


def meter(workspace_id: int, *, first: date | None = None, last: date | None = None) -> Metering:
    """What happened on each day, in UTC. Without a last day it goes up to today, and without a
    first one from the beginning of the last day's month.

    Raises InvalidRequest for days that end before they begin, are more than DAYS_MAX, or further
    ahead than that; NotFound (the workspace), and Unavailable where it takes too long.
    """
    today = clock.now().date()
    last = last or today
    first = first or last.replace(day=1)
    if (last - today).days > DAYS_MAX:
        _refuse("to", f"must be at most {DAYS_MAX} days ahead")
    if first > last:
        _refuse("to", "must not be before `from`")
    if (last - first).days >= DAYS_MAX:
        _refuse("from", f"must be at most {DAYS_MAX} days before the end")
    window = Window(_midnight(first), _midnight(last) + DAY, DAY)
    rows = _read(workspace_id, window)
    if not rows:
        workspaces.require(workspace_id)
    days = {at.date(): dict.fromkeys(Kind, 0) for at in window.starts()}
    totals: Counts = dict.fromkeys(Kind, 0)
    for at, kind, _, _, count in rows:
        days[at.date()][kind] += count
        totals[kind] += count
    return Metering(first, last, list(days.items()), totals)


def export(
    workspace_id: int, *, since: datetime, until: datetime, step: timedelta
) -> Iterator[Line]:
    """What happened, step by step, by stream and SMTP account, oldest first, read little by little.
    What is older than some days is known by the hour only, and stands at its hour.

    `since` is floored to a step. Each portion opens the database for itself, so that nobody who
    reads slowly keeps a connection. Raises InvalidRequest and NotFound (the workspace) at once, not
    in the middle.
    """
    window = Window(traffic.floor(since, step), until, step)
    _check(window)
    with connection():
        workspaces.require(workspace_id)
    return _export(workspace_id, window)


def _export(workspace_id: int, whole: Window) -> Iterator[Line]:
    since = whole.since
    while since < whole.until:
        until = min(since + EXPORT_PORTION, whole.until)
        with connection():
            rows = _read(workspace_id, Window(since, until, whole.step))
        lines: dict[tuple[datetime, Stream, str], Counts] = defaultdict(dict)
        for at, kind, stream, account, count in rows:
            lines[at, stream, account][kind] = count
        for (at, stream, account), counts in lines.items():
            yield Line(at, stream, account, counts)
        since = until


def _read(workspace_id: int, window: Window) -> list[tuple[datetime, Kind, Stream, str, int]]:
    values = {
        "workspace": workspace_id,
        "since": window.since,
        "until": window.until,
        "step": window.step,
        # Steps of less than an hour need the minutes; the others only those of the last hour.
        "hours_until": traffic.floor(window.until, HOUR) if window.step >= HOUR else _EARLIEST,
        "days": rollups.MINUTES_KEPT_DAYS,
    }
    with message_log.bounded():
        rows = database.execute_sql(_READ, values).fetchall()
    return [(at, Kind(kind), Stream(stream), *rest) for at, kind, stream, *rest in rows]


def _by_share(accounts: dict[str, Counts]) -> list[AccountTraffic]:
    shares = traffic.shares({name: totals[Kind.SENT] for name, totals in accounts.items()})
    found = [AccountTraffic(name, totals, shares.get(name)) for name, totals in accounts.items()]
    return sorted(found, key=lambda one: (-(one.share or 0.0), one.name))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _check(window: Window) -> None:
    if window.since >= window.until:
        _refuse("to", "must be later than from")
    # It begins with a whole step, perhaps before the time that was asked for.
    if window.until - window.since >= DAYS_MAX * DAY + window.step:
        _refuse("from", f"must be at most {DAYS_MAX} days before the end")


def _refuse(field: str, message: str) -> None:
    raise InvalidRequest(f"{field}: {message}", errors=[FieldError(field, message)])
