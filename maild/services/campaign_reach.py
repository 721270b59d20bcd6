"""How many a campaign is meant for, how many of them it would reach, and what they lack: counted in
the tables, at the moment of asking. Writes nothing; who is taken when it begins, is
`campaign_audience`'s.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from maild.db import database
from maild.domain.campaign import AudienceKind
from maild.domain.states import Stream
from maild.errors import SearchTooLong
from maild.models import Audience, Campaign, Contact, Segment
from maild.services import campaign_audience, message_log, segment_rules

COUNT_TIMEOUT_MS = 20_000
"""For counting a whole audience."""
DOMAINS_MAX = 10_000
"""So many recipient domains are told, those with the most contacts first."""
SAMPLE_MAX = 10


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL over `contacts c` that finds who is meant, the workspace's alone, and its values."""

    sql: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """How many are meant, and how many of them it could mail now. Each of the others is counted
    once, for the first reason that applies; who is `pending` is not meant until they confirm.
    """

    audience: int
    can_be_mailed: int
    suppressed: int
    unsubscribed: int
    left_topic: int
    pending: int


@dataclass(frozen=True, slots=True)
class Lacking:
    """An attribute that contacts do not have: its name, how many, and the addresses of some."""

    name: str
    count: int
    samples: tuple[str, ...]


def name_of(campaign: Campaign) -> str | None:
    """What its list or segment is called; None where it is gone, or nobody has chosen one."""
    row: Audience | Segment | None = None
    if campaign.audience_kind is AudienceKind.EVERYONE:
        return "Everyone"
    if campaign.audience_kind is AudienceKind.LIST:
        row = _find_list(campaign)
    else:
        row = _find_segment(campaign)
    return None if row is None else str(row.name)


def find(campaign: Campaign) -> Condition | None:
    """What finds the contacts that it is meant for, pending ones too; None where its list or
    segment is gone, or nobody has chosen one. Raises Conflict where the rules of its segment do not
    hold any more.
    """
    own = Condition("c.workspace_id = %s", (campaign.workspace_id,))
    if campaign.audience_kind is AudienceKind.EVERYONE:
        return own
    if campaign.audience_kind is AudienceKind.LIST:
        if _find_list(campaign) is None:
            return None
        return _both(
            own,
            "EXISTS (SELECT FROM audience_members m"
            " WHERE m.audience_id = %s AND m.contact_id = c.id)",
            (campaign.audience_id,),
        )
    rules = campaign.rules
    if rules is None:
        row = _find_segment(campaign)
        rules = None if row is None else row.rules
    if rules is None:
        return None
    read = segment_rules.read(campaign.workspace_id, rules)
    found = read.condition(today=campaign_audience.day_of(campaign))
    return _both(own, found.sql, found.values)


def _both(first: Condition, sql: str, values: Iterable[Any]) -> Condition:
    return Condition(f"{first.sql} AND ({sql})", (*first.values, *values))


def _find_list(campaign: Campaign) -> Audience | None:
    if campaign.audience_id is None:
        return None
    row: Audience | None = Audience.get_or_none(
        Audience.id == campaign.audience_id,
        Audience.workspace == campaign.workspace_id,
        Audience.removed_at.is_null(),
    )
    return row


def _find_segment(campaign: Campaign) -> Segment | None:
    if campaign.segment_id is None:
        return None
    row: Segment | None = Segment.get_or_none(
        Segment.id == campaign.segment_id,
        Segment.workspace == campaign.workspace_id,
        Segment.removed_at.is_null(),
    )
    return row


# Both tables are read once, for there are fewer in them than contacts, and joined by a hash.
_REACH = """
SELECT count(*) FILTER (WHERE c.status = 'active'),
    count(*) FILTER (WHERE c.status = 'active' AND s.email IS NULL AND u.email IS NULL),
    count(*) FILTER (WHERE c.status = 'active' AND s.email IS NOT NULL),
    count(*) FILTER (WHERE c.status = 'active' AND s.email IS NULL AND u.of_all),
    count(*) FILTER (WHERE c.status = 'active' AND s.email IS NULL AND NOT u.of_all),
    count(*) FILTER (WHERE c.status <> 'active')
FROM contacts c
LEFT JOIN (
    SELECT DISTINCT email FROM suppressions
    WHERE workspace_id = %s AND removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())
        AND (stream IS NULL OR stream = %s)) s ON s.email = c.email
LEFT JOIN (
    SELECT email, bool_or(topic IS NULL) AS of_all FROM unsubscribes
    WHERE workspace_id = %s AND removed_at IS NULL AND (stream IS NULL OR stream = %s)
        AND (topic IS NULL OR topic = %s)
    GROUP BY email) u ON u.email = c.email
"""


def count_reach(campaign: Campaign, condition: Condition) -> Reach:
    """Raises SearchTooLong."""
    scope = (campaign.workspace_id, Stream.MARKETING.value)
    values = (*scope, *scope, campaign.topic, *condition.values)
    with message_log.bounded(COUNT_TIMEOUT_MS):
        row = database.execute_sql(f"{_REACH} WHERE {condition.sql}", values).fetchone()
    return Reach(*row)


_DOMAINS = """
SELECT split_part(c.email, '@', 2) AS domain, count(*) FROM contacts c
WHERE {condition} AND c.status = 'active'
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s
"""


def count_domains(condition: Condition) -> list[tuple[str, int]]:
    """Recipient domains with how many are there, the most first. Raises SearchTooLong."""
    with message_log.bounded(COUNT_TIMEOUT_MS):
        return list(
            database.execute_sql(
                _DOMAINS.format(condition=condition.sql), (*condition.values, DOMAINS_MAX)
            ).fetchall()
        )


_LACKS = {"name": "c.name IS NULL"}
"""What every contact may have; all else is an attribute."""


def _lacks(name: str) -> tuple[str, tuple[str, ...]]:
    """What finds a contact without it: a JSON null counts as nothing."""
    return (_LACKS[name], ()) if name in _LACKS else ("c.attributes->>%s IS NULL", (name,))


_SAMPLES = "SELECT * FROM ({each}) AS sample (place, id, email) ORDER BY place, id"


def count_lacking(condition: Condition, names: Sequence[str]) -> list[Lacking]:
    """For each of these attributes that some have no value for: how many have none, and the
    addresses of the first SAMPLE_MAX. Raises SearchTooLong.
    """
    if not names:
        return []
    tests = [_lacks(name) for name in names]
    counts = ", ".join(f"count(*) FILTER (WHERE {sql})" for sql, _ in tests)
    where = f"FROM contacts c WHERE {condition.sql} AND c.status = 'active'"
    values = [value for _, own in tests for value in own]
    samples = " UNION ALL ".join(
        f"(SELECT {place}, c.id, c.email {where} AND {sql} ORDER BY c.id LIMIT {SAMPLE_MAX})"
        for place, (sql, _) in enumerate(tests)
    )
    sampled = [value for _, own in tests for value in (*condition.values, *own)]
    with message_log.bounded(COUNT_TIMEOUT_MS):
        found = database.execute_sql(
            f"SELECT {counts} {where}", (*values, *condition.values)
        ).fetchone()
        rows = database.execute_sql(_SAMPLES.format(each=samples), sampled).fetchall()
    addresses: dict[int, list[str]] = {}
    for place, _, email in rows:
        addresses.setdefault(place, []).append(email)
    return [
        Lacking(name, count, tuple(addresses.get(place, ())))
        for place, (name, count) in enumerate(zip(names, found, strict=True))
        if count
    ]


_LIST_LACKING = """
SELECT c.id, c.workspace_id, c.email, c.name, c.attributes FROM contacts c
WHERE {condition} AND c.status = 'active' AND ({any_of}) ORDER BY c.id LIMIT %s
"""


def list_lacking(condition: Condition, names: Sequence[str], *, limit: int) -> list[Contact]:
    """The first contacts that lack any of these. Raises SearchTooLong."""
    tests = [_lacks(name) for name in names]
    any_of = " OR ".join(sql for sql, _ in tests)
    values = [value for _, own in tests for value in own]
    with message_log.bounded(COUNT_TIMEOUT_MS):
        return list(
            Contact.raw(
                _LIST_LACKING.format(condition=condition.sql, any_of=any_of),
                *condition.values,
                *values,
                limit,
            )
        )


_FIRST = """
SELECT c.* FROM contacts c WHERE {condition} AND c.status = 'active' ORDER BY c.id LIMIT 1
"""


def find_first(condition: Condition) -> Contact | None:
    """The contact that was added first of those who are meant. Raises SearchTooLong."""
    with message_log.bounded():
        rows = list(Contact.raw(_FIRST.format(condition=condition.sql), *condition.values))
    return rows[0] if rows else None


# In no order, so that the planner may begin where it finds one soonest.
_ANY = "SELECT EXISTS (SELECT FROM contacts c WHERE {condition} AND c.status = 'active')"


def is_empty(condition: Condition) -> bool:
    """Whether it is meant for nobody; False too where that cannot be found out in a moment."""
    try:
        with message_log.bounded():
            row = database.execute_sql(
                _ANY.format(condition=condition.sql), condition.values
            ).fetchone()
    except SearchTooLong:
        return False
    return not row[0]
