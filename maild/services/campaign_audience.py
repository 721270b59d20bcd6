"""Whom a campaign is for: its audience, read in the order of contacts, some thousands at a time.

Everybody who is a contact, on the list or in the segment when their turn comes, and has confirmed
the address where that was asked. That somebody must not be mailed is no reason to leave them out:
what became of them is told.
"""

from datetime import date
from typing import Any, NamedTuple

from maild import clock
from maild.db import database
from maild.domain import campaign_schedule
from maild.domain.campaign import AudienceKind
from maild.errors import Conflict
from maild.models import Audience, Campaign, Segment
from maild.services import segment_rules
from maild.services.segment_sql import Condition


class Chosen(NamedTuple):
    """Contacts that a campaign is for, out of those that were looked at; `cursor` is the id of the
    last of these, and `is_last` says that there are no more.
    """

    contacts: list[tuple[int, str]]
    cursor: int
    is_last: bool


def find_rules(campaign: Campaign) -> Any:
    """What the audience of a campaign that begins is chosen by, as plain JSON: the rules of its
    segment as they are now. Raises Conflict with what is missing.
    """
    if campaign.audience_kind is AudienceKind.SEGMENT:
        row: Segment | None = Segment.get_or_none(
            Segment.id == campaign.segment_id,
            Segment.workspace == campaign.workspace_id,
            Segment.removed_at.is_null(),
        )
        if row is None:
            raise Conflict("Its segment was deleted.")
        return row.rules
    if campaign.audience_kind is AudienceKind.LIST:
        return {"list": _require_list(campaign)}
    return {}


# The list stands in its key, in the order of contacts.
_OF_LIST = """
SELECT c.id, c.email, c.status = 'active'
FROM audience_members m JOIN contacts c ON c.id = m.contact_id
WHERE m.audience_id = %s AND c.workspace_id = %s AND m.contact_id > %s
ORDER BY m.contact_id LIMIT %s
"""
_OF_ALL = """
SELECT c.id, c.email, c.status = 'active' AND ({condition})
FROM contacts c WHERE c.workspace_id = %s AND c.id > %s ORDER BY c.id LIMIT %s
"""


def choose(campaign: Campaign, *, limit: int) -> Chosen:
    """The next contacts, by the campaign's rules; so many are looked at.

    Raises Conflict where its list, or something that its rules name, is gone.
    """
    place = (campaign.workspace_id, campaign.cursor, limit)
    if campaign.audience_kind is AudienceKind.LIST:
        rows = database.execute_sql(_OF_LIST, (_require_list(campaign), *place)).fetchall()
    else:
        condition = _condition(campaign)
        sql = _OF_ALL.replace("{condition}", condition.sql)  # nosec B608
        rows = database.execute_sql(sql, (*condition.values, *place)).fetchall()
    return Chosen(
        contacts=[(id_, email) for id_, email, is_meant in rows if is_meant],
        cursor=rows[-1][0] if rows else campaign.cursor,
        is_last=len(rows) < limit,
    )


def _condition(campaign: Campaign) -> Condition:
    if campaign.audience_kind is AudienceKind.EVERYONE:
        return Condition("true")
    return segment_rules.read(campaign.workspace_id, campaign.rules).condition(
        today=day_of(campaign)
    )


def day_of(campaign: Campaign) -> date:
    """What is today in the rules of its segment: by its clocks the day on which it began, the same
    for all of its contacts, whenever their turn comes.
    """
    began_at = campaign.started_at or clock.now()
    return campaign_schedule.local_time(began_at, campaign.time_zone).date()


def _require_list(campaign: Campaign) -> int:
    found = Audience.get_or_none(
        Audience.id == campaign.audience_id,
        Audience.workspace == campaign.workspace_id,
        Audience.removed_at.is_null(),
    )
    if found is None:
        raise Conflict("Its list was deleted.")
    return int(found.id)
