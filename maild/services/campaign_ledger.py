"""The ledger of a campaign, read: what has become of whom, the list behind each figure, and whether
it all adds up.

The rows are written by `campaign_steps`, and follow their messages by a trigger. Figures are of one
statement, so they are of one moment.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from maild import log
from maild.db import database
from maild.domain.campaign import RecipientStatus, Variant
from maild.errors import SearchTooLong
from maild.models import Campaign, CampaignRecipient
from maild.services import campaign_states, message_log

COUNT_TIMEOUT_MS = 20_000
"""For counting a whole ledger, of millions of rows perhaps."""
PAGE_MAX = 500
DOMAINS_MAX = 20
"""Domains that a report tells one by one."""

EVERY_SECONDS = 60
"""How often the ledgers are looked at."""
SHARE = 10
"""One that took longer than a part of that rests for so many times as long."""
LOOK_AGAIN_SECONDS = 3600
"""So long nobody looks at one that does not change."""

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Engagement:
    """How many have done it at least once."""

    opened_count: int = 0
    clicked_count: int = 0
    complained_count: int = 0
    unsubscribed_count: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What has become of a campaign's audience. `counts` are rows by status and reason (None: none
    is given). `waiting_count` of the queued ones have no message yet; `engagement` is of the same
    moment.
    """

    audience_count: int
    waiting_count: int
    counts: Mapping[tuple[RecipientStatus, str | None], int] = field(default_factory=dict)
    engagement: Engagement = field(default_factory=Engagement)

    @property
    def by_status(self) -> dict[RecipientStatus, int]:
        """Every status, in its order, with 0 where nobody is."""
        found = dict.fromkeys(RecipientStatus, 0)
        for (status, _), count in self.counts.items():
            found[status] += count
        return found

    def reasons(self, status: RecipientStatus) -> dict[str | None, int]:
        """The reasons of those with this status, the most frequent first."""
        found = {reason: n for (one, reason), n in self.counts.items() if one is status}
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0] or "")))

    @property
    def done_count(self) -> int:
        """Rows that have come to their end."""
        return sum(self.by_status.values()) - self.by_status[RecipientStatus.QUEUED]

    @property
    def difference(self) -> int:
        """Audience minus the sum over all statuses: 0, always."""
        return self.audience_count - sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a campaign: a variant, or a domain. `counts` are rows by status."""

    counts: Mapping[RecipientStatus, int]
    engagement: Engagement

    @property
    def total_count(self) -> int:
        return sum(self.counts.values())

    @property
    def reached_count(self) -> int:
        """Those whose server has taken it, as far as anybody knows."""
        known = (RecipientStatus.SENT, RecipientStatus.DELIVERED)
        return sum(self.counts.get(status, 0) for status in known)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows; None means any. `reason` is exact; "" finds those without one. `variant`: those
    of a test. `did`: `opened`, `clicked`, `complained` or `unsubscribed`.
    """

    status: RecipientStatus | None = None
    reason: str | None = None
    variant: Variant | None = None
    did: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order of their ids, and the id after which the next page begins."""

    recipients: list[CampaignRecipient]
    next_after: int | None


@contextmanager
def bounded() -> Iterator[None]:
    """A transaction for somebody who looks: its statements end after COUNT_TIMEOUT_MS, whatever the
    limit of a page is; raises SearchTooLong then.
    """
    try:
        with message_log.bounded(COUNT_TIMEOUT_MS):
            yield
    except SearchTooLong as error:
        raise SearchTooLong(
            "The campaign's figures could not be counted in time. Try again in a while.",
            retry_after_seconds=30,
        ) from error


DEEDS = ("opened", "clicked", "complained", "unsubscribed")

_FIGURES = """
SELECT c.id, c.audience_count, f.status, f.reason, f.count, f.waiting, f.opened, f.clicked,
    f.complained, f.unsubscribed
FROM campaigns c LEFT JOIN (
    SELECT campaign_id, status, reason, count(*),
        count(*) FILTER (WHERE message_id IS NULL) AS waiting, count(opened_at) AS opened,
        count(clicked_at) AS clicked, count(complained_at) AS complained,
        count(unsubscribed_at) AS unsubscribed
    FROM campaign_recipients WHERE campaign_id = ANY(%s)
    GROUP BY campaign_id, status, reason) AS f ON f.campaign_id = c.id
WHERE c.id = ANY(%s)
"""


def figures(campaign: Campaign) -> Figures:
    """Its figures at this moment."""
    return figures_of([campaign])[campaign.id]


def figures_of(campaigns: Sequence[Campaign]) -> dict[int, Figures]:
    """The figures of several campaigns, by their ids, in one statement. The audience's size is read
    with them, whatever the rows at hand say: they may be older.
    """
    ids = [one.id for one in campaigns]
    sizes: dict[int, int] = {}
    waiting: dict[int, int] = dict.fromkeys(ids, 0)
    counts: dict[int, dict[tuple[RecipientStatus, str | None], int]] = {one: {} for one in ids}
    done = {one: [0, 0, 0, 0] for one in ids}
    rows = database.execute_sql(_FIGURES, (ids, ids)).fetchall() if ids else []
    for id_, size, status, reason, count, waits, *deeds in rows:
        sizes[id_] = size
        if status is not None:
            counts[id_][RecipientStatus(status), reason] = count
            waiting[id_] += waits if status == RecipientStatus.QUEUED else 0
            done[id_] = [a + b for a, b in zip(done[id_], deeds, strict=True)]
    return {
        one: Figures(sizes.get(one, 0), waiting[one], counts[one], Engagement(*done[one]))
        for one in ids
    }


_BY_VARIANT = """
SELECT variant, status, count(*), count(opened_at), count(clicked_at), count(complained_at),
    count(unsubscribed_at)
FROM campaign_recipients WHERE campaign_id = %s GROUP BY variant, status
"""


def by_variant(campaign: Campaign) -> dict[Variant | None, Slice]:
    """The parts of a test, by the subject that they got; None is the remainder, and all of a
    campaign without a test.
    """
    rows = database.execute_sql(_BY_VARIANT, (campaign.id,)).fetchall()
    return {
        Variant(name) if name else None: part
        for name, part in _slices((row[0], row[1:]) for row in rows).items()
    }


_BY_DOMAIN = """
WITH largest AS (
    SELECT split_part(email, '@', 2) AS domain FROM campaign_recipients
    WHERE campaign_id = %(campaign)s GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT %(limit)s
)
SELECT coalesce(l.domain, ''), r.status, count(*), count(opened_at), count(clicked_at),
    count(complained_at), count(unsubscribed_at)
FROM campaign_recipients r LEFT JOIN largest l ON l.domain = split_part(r.email, '@', 2)
WHERE r.campaign_id = %(campaign)s GROUP BY 1, 2
"""


def by_domain(campaign: Campaign, *, limit: int = DOMAINS_MAX) -> dict[str, Slice]:
    """Its parts by the recipients' domains, the largest first; "" is all the others together."""
    rows = database.execute_sql(_BY_DOMAIN, {"campaign": campaign.id, "limit": limit}).fetchall()
    found = _slices((row[0], row[1:]) for row in rows)
    return dict(sorted(found.items(), key=lambda p: (p[0] == "", -p[1].total_count, p[0])))


def list_page(
    workspace_id: int,
    campaign_id: int,
    *,
    filter_: Filter | None = None,
    limit: int = 50,
    after: int = 0,
) -> Page:
    """The rows behind a figure. Raises NotFound, also for another workspace's campaign."""
    campaign_states.get(workspace_id, campaign_id)
    wanted, most = filter_ or Filter(), min(limit, PAGE_MAX)
    with bounded():
        rows = _list_rows(campaign_id, wanted, limit=most + 1, after=after)
    shown = rows[:most]
    return Page(shown, shown[-1].id if len(rows) > most else None)


# Rows of one status stand in an index by their ids; those of all statuses together do not, and
# there may be millions of other campaigns' rows before them. So each status is asked for itself.
_OF_STATUS = """
(SELECT * FROM campaign_recipients
WHERE campaign_id = %s AND status = %s AND id > %s {further} ORDER BY id LIMIT %s)
"""
_OF_ALL = "SELECT * FROM ({each}) AS r ORDER BY id LIMIT %s"


def _list_rows(
    campaign_id: int, wanted: Filter, *, limit: int, after: int
) -> list[CampaignRecipient]:
    further = ""
    own: list[str] = []
    if wanted.reason:
        further += " AND reason = %s"
        own.append(wanted.reason)
    elif wanted.reason is not None:
        further += " AND reason IS NULL"
    if wanted.variant is not None:
        further += " AND variant = %s"
        own.append(wanted.variant.value)
    if wanted.did is not None:
        assert wanted.did in DEEDS
        further += f" AND {wanted.did}_at IS NOT NULL"
    statuses = list(RecipientStatus) if wanted.status is None else [wanted.status]
    each = " UNION ALL ".join([_OF_STATUS.format(further=further)] * len(statuses))
    values = [v for one in statuses for v in (campaign_id, one.value, after, *own, limit)]
    return list(CampaignRecipient.raw(_OF_ALL.format(each=each), *values, limit))


@dataclass(frozen=True, slots=True)
class Check:
    """Whether a ledger agrees with itself and with the messages. All are 0 where it does.

    `missing_count`: the audience minus its rows. `handed_difference`: messages that were made, as
    counted, minus rows that have one. `out_of_step_count`: rows that are queued while their message
    is not on its way.
    """

    campaign_id: int
    missing_count: int
    handed_difference: int
    out_of_step_count: int

    @property
    def is_whole(self) -> bool:
        return not (self.missing_count or self.handed_difference or self.out_of_step_count)


# Rows that wait for their message's end are some thousands at most: each is compared with it.
_CHECK = """
SELECT c.id, c.audience_count - r.rows, c.handed_count - r.handed, (
        SELECT count(*) FROM campaign_recipients w LEFT JOIN messages m ON m.id = w.message_id
        WHERE w.campaign_id = c.id AND w.status = 'queued' AND w.message_id IS NOT NULL
            AND (m.id IS NULL OR m.recipient_id <> w.id
                OR m.status NOT IN ('queued', 'sending', 'held')))
FROM campaigns c CROSS JOIN LATERAL (
    SELECT count(*) AS rows, count(message_id) AS handed FROM campaign_recipients
    WHERE campaign_id = c.id) AS r
WHERE c.id = ANY(%s)
ORDER BY c.id
"""


def check(campaign_ids: Sequence[int]) -> list[Check]:
    """Compare the ledgers of these campaigns with themselves and with their messages, in one
    snapshot.
    """
    rows = database.execute_sql(_CHECK, (list(campaign_ids),)).fetchall()
    return [Check(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class _Look:
    """What a campaign was like when this process has looked at it last: until `again_at`, by a
    clock that only runs on, it is not looked at again, unless it has changed; before `rest_until`
    not even then.
    """

    facts: tuple[Any, ...]
    again_at: float
    rest_until: float


_looks: dict[int, _Look] = {}

# Whatever happens to a ledger in the course of things changes one of these; all are at hand.
_RUNNING = """
SELECT c.id, c.status, c.updated_at, c.audience_count, c.handed_count, (
        SELECT count(*) FROM campaign_recipients r
        WHERE r.campaign_id = c.id AND r.status = 'queued' AND r.message_id IS NOT NULL)
FROM campaigns c
WHERE c.started_at IS NOT NULL
    AND (c.ended_at IS NULL OR c.ended_at > now() - interval '1 hour')
ORDER BY c.id
"""


def check_running() -> Iterator[Check]:
    """The same for each campaign that has begun and is not over, of every workspace, and each that
    ended within the last hour; one after the other, for each may have millions of rows.

    One that was whole, and has not changed since this process has looked at it, is passed over for
    LOOK_AGAIN_SECONDS: it may be paused for months. So is one that took long, for SHARE times as
    long. One that takes longer than COUNT_TIMEOUT_MS is left out: a log line says so.
    """
    rows = database.execute_sql(_RUNNING).fetchall()
    for gone in _looks.keys() - {row[0] for row in rows}:
        del _looks[gone]
    for campaign_id, *now in rows:
        facts, began = tuple(now), time.monotonic()
        look = _looks.get(campaign_id)
        if look and began < (look.again_at if look.facts == facts else look.rest_until):
            continue
        found: list[Check] = []
        try:
            with bounded():
                found = check([campaign_id])
        except SearchTooLong:
            logger.warning("campaign.ledger_not_checked", campaign_id=campaign_id)
        took = time.monotonic() - began
        rest_until = began + took * SHARE if took * SHARE > EVERY_SECONDS else began
        is_whole = bool(found) and all(one.is_whole for one in found)
        again_at = began + LOOK_AGAIN_SECONDS if is_whole else rest_until
        _looks[campaign_id] = _Look(facts, again_at, rest_until)
        yield from found


def watch() -> None:
    """Look at all ledgers that `check_running` finds, and log each that does not add up. It mends
    nothing: a difference is for a person to look at.
    """
    for found in check_running():
        if not found.is_whole:
            logger.error("campaign.ledger_broken", **asdict(found))


def _slices(rows: Iterable[tuple[Any, Sequence[Any]]]) -> dict[Any, Slice]:
    counts: dict[Any, dict[RecipientStatus, int]] = {}
    deeds: dict[Any, list[int]] = {}
    for name, (status, count, *done) in rows:
        counts.setdefault(name, {})[RecipientStatus(status)] = count
        sums = deeds.setdefault(name, [0, 0, 0, 0])
        deeds[name] = [a + b for a, b in zip(sums, done, strict=True)]
    return {name: Slice(counts[name], Engagement(*deeds[name])) for name in counts}
