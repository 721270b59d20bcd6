"""Many messages at once: what an action would do to those that somebody has chosen, and the job
that does it. Which of them are left alone, and what becomes of the others, is in `verbs`; the steps
of the jobs are in `bulk_message_jobs`.

A preview looks at COUNTED_MAX messages at most, and counts them in one query, grouped by all that
the verbs look at, so that what it says of skipped ones is what the verbs say.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from maild.db import database
from maild.domain import ids
from maild.domain.actor import SYSTEM, Actor
from maild.domain.states import Status, Stream
from maild.errors import FieldError, InvalidFields, Unavailable
from maild.models import Job, Message
from maild.services import incident_messages, jobs, message_log, restores, verbs, workspaces
from maild.services.message_log import Filter
from maild.services.verbs import Found, Verb, Who, WhyNot

IDS_MAX = 500
COUNTED_MAX = 100_000
SAMPLES = 10
SHOWN_MAX = 8
"""Of each breakdown the most frequent; the others are counted together."""
SUPPRESSED_ALREADY = "the address is suppressed already"
SUPPRESSED_FOR_A_TIME = "the address is suppressed for a time already, and that stays so"
SAME_ADDRESS = "another message to the same address"


class Action(StrEnum):
    """What can be done to many messages."""

    RETRY = "retry"
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    SUPPRESS = "suppress"
    """Their recipients, that is."""

    @property
    def kind(self) -> str:
        """The kind of job that does it."""
        return f"messages.{self.value}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which messages: those with these ids, all that match, or all of an incident. Exactly one of
    the three is given.

    All that match has an `until`: what is accepted later is never touched.
    """

    ids: tuple[str, ...] | None = None
    filter_: Filter | None = None
    incident_id: int | None = None
    seen_until: datetime | None = None
    """Of an incident: what was seen of it later than this is never touched."""

    def dump(self) -> dict[str, Any]:
        """As a job's params keep it."""
        if self.ids is not None:
            return {"ids": list(self.ids)}
        if self.incident_id is not None:
            return incident_messages.dump(self.incident_id, self.seen_until)
        assert self.filter_ is not None
        return {"filter": _dump(self.filter_)}

    @staticmethod
    def load(params: Mapping[str, Any]) -> "Selection":
        """What `dump` wrote."""
        if "ids" in params:
            return Selection(ids=tuple(params["ids"]))
        if "incident" in params:
            return Selection(
                incident_id=params["incident"], seen_until=incident_messages.load_until(params)
            )
        return Selection(filter_=_load(params["filter"]))


@dataclass(frozen=True, slots=True)
class Sample:
    """One of the newest of the messages, and why it would be left as it is, if it would."""

    message: Message
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What an action would do now. `count` is of all that are looked at; where there are more than
    COUNTED_MAX, `has_more` says so and all the numbers are of that many.

    `missing_count` are ids that are no messages of this workspace. `address_count` is given for
    suppressing: so many addresses would be suppressed anew.
    """

    action: Action
    count: int
    has_more: bool
    going_count: int
    skipped: dict[str, int]
    by_status: dict[Status, int]
    by_class: dict[str, int]
    by_domain: dict[str, int]
    samples: list[Sample]
    missing_count: int = 0
    address_count: int | None = None
    going_by_status: dict[Status, int] = field(default_factory=dict)


def preview(workspace_id: int, action: Action, selection: Selection) -> Preview:
    """What the action would do to the selection now. Raises InvalidFields, NotFound (the
    workspace), Unavailable (counting takes too long).
    """
    _check(selection)
    workspaces.require(workspace_id)
    chosen = _conditions(workspace_id, selection)
    why_not = _why_not(workspace_id, action)
    with message_log.bounded():
        groups = _count(chosen)
        # A group is over its bound by a row where there are more.
        total = sum(group.count for group in groups)
        addresses = _count_addresses(workspace_id, chosen) if action is Action.SUPPRESS else None
    counted: dict[str, Counter[Any]] = {
        name: Counter() for name in ("status", "going", "class", "domain", "skipped")
    }
    for group in groups:
        why = why_not(group.found)
        counted["status"][group.found.status] += group.count
        counted["domain"][group.domain] += group.count
        if group.error_class:
            counted["class"][group.error_class] += group.count
        if why is None:
            counted["going"][group.found.status] += group.count
        else:
            counted["skipped"][why.words] += group.count
    going = sum(counted["going"].values())
    if addresses is not None:
        different, known_count, ending = addresses
        left = {
            SAME_ADDRESS: min(going, COUNTED_MAX) - different,
            SUPPRESSED_ALREADY: known_count - ending,
            SUPPRESSED_FOR_A_TIME: ending,
        }
        going = different - known_count
        counted["skipped"].update({why: count for why, count in left.items() if count > 0})
    known = len(selection.ids) if selection.ids is not None else 0
    return Preview(
        action,
        count=min(total, COUNTED_MAX),
        has_more=total > COUNTED_MAX,
        going_count=min(going, COUNTED_MAX),
        skipped=dict(counted["skipped"].most_common()),
        by_status=dict(counted["status"].most_common()),
        by_class=_most(counted["class"]),
        by_domain=_most(counted["domain"]),
        samples=_list_samples(workspace_id, action, selection, why_not, set(counted["going"])),
        missing_count=max(known - total, 0),
        address_count=going if addresses else None,
        going_by_status=dict(counted["going"]),
    )


def start(
    workspace_id: int,
    action: Action,
    selection: Selection,
    *,
    reason: str,
    words: str,
    by: Actor,
) -> Job:
    """Have it done. `words` say which messages, for people. Raises InvalidFields, NotFound (the
    workspace), Conflict (too many jobs are open).
    """
    _check(selection)
    given = jobs.check_reason(reason)
    return jobs.start(
        workspace_id,
        kind=action.kind,
        params={**selection.dump(), "words": words},
        reason=given,
        total_count=_count_all(_conditions(workspace_id, selection)),
        told={"which": words},
        by=by,
    )


def has_restored(workspace_id: int, selection: Selection) -> bool:
    """Whether one of the selection is held because it may have been sent after a backup that was
    restored. Raises Unavailable where finding out takes too long.
    """
    _check(selection)
    with message_log.bounded():
        return restores.has_held(workspace_id, _conditions(workspace_id, selection))


def verb_of(action: Action, who: Who) -> Verb:
    """How the action treats each message. For all but SUPPRESS, which moves none."""
    return {
        Action.RETRY: verbs.retrying,
        Action.CANCEL: verbs.cancelling,
        Action.HOLD: verbs.holding,
        Action.RELEASE: verbs.releasing,
    }[action](who)


def _check(selection: Selection) -> None:
    given = (selection.ids, selection.filter_, selection.incident_id)
    if sum(one is not None for one in given) != 1:
        raise ValueError("give either ids, a filter or an incident")
    if selection.ids is not None and not 1 <= len(selection.ids) <= IDS_MAX:
        message = f"choose 1 to {IDS_MAX} messages, or all that match"
        raise InvalidFields(message, errors=[FieldError("ids", message)])
    if selection.filter_ is not None and selection.filter_.until is None:
        raise ValueError("a selection of all that match needs an end")


def _why_not(workspace_id: int, action: Action) -> Any:
    if action is Action.SUPPRESS:

        def nothing(found: Found) -> WhyNot | None:
            return None

        return nothing
    return verb_of(action, Who(workspace_id, SYSTEM, "a preview")).why_not


def _conditions(workspace_id: int, selection: Selection) -> Sequence[Any]:
    if selection.filter_ is not None:
        return message_log.conditions(workspace_id, selection.filter_)
    if selection.incident_id is not None:
        own = incident_messages.ids_of(selection.incident_id, until=selection.seen_until)
        return [Message.workspace == workspace_id, Message.id << own]
    known = [one for text in selection.ids or () if (one := ids.parse_id(text)) is not None]
    return [Message.workspace == workspace_id, Message.id << known]


def _count_all(chosen: Sequence[Any]) -> int | None:
    """How many there are; None where that are more than COUNTED_MAX, or takes too long to count."""
    query = Message.select(Message.id).where(*chosen).limit(COUNTED_MAX + 1)
    try:
        with message_log.bounded():
            count = int(query.count(database, clear_limit=False))
    except Unavailable:
        return None
    return count if count <= COUNTED_MAX else None


@dataclass(frozen=True, slots=True)
class _Group:
    """So many messages that are alike in all that matters, and one that stands for them."""

    found: Found
    domain: str
    error_class: str | None
    count: int


# What stops one is told apart by whether it is there: the words for people are of each message.
_GROUPS = """
SELECT status, stream, split_part(from_email, '@', -1), split_part(to_email, '@', -1),
    suppressed_by IS NOT NULL, left_by IS NOT NULL, frozen_by IS NOT NULL,
    date_trunc('day', pruned_at, 'UTC'), error_class, count(*)
FROM ({inner}) AS m (id, status, stream, from_email, to_email, wait, suppressed_by, left_by,
    frozen_by, pruned_at, error_class)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""


def _count(chosen: Sequence[Any]) -> list[_Group]:
    query = verbs.select().select_extend(Message.error_class).where(*chosen)
    inner, values = query.limit(COUNTED_MAX + 1).sql()
    rows = database.execute_sql(_GROUPS.replace("{inner}", inner), values).fetchall()
    found = []
    for row in rows:
        status, stream, sender, domain, is_suppressed, has_left, is_frozen, pruned_at = row[:8]
        class_, count = row[8:]
        one = Found(
            id=None,
            status=Status(status),
            stream=Stream(stream),
            from_email=f"@{sender}",
            to_email=f"@{domain}",
            seconds_to_schedule=0,
            suppression="" if is_suppressed else None,
            unsubscribe=0 if has_left else None,
            freeze="a freeze" if is_frozen else None,
            content_pruned_at=pruned_at,
        )
        found.append(_Group(one, domain, class_, count))
    return found


_ADDRESSES = """
SELECT count(*), count(s.id), count(s.expires_at) FROM (
    SELECT DISTINCT lower(to_email COLLATE "pg_c_utf8") AS email FROM ({inner}) AS m (to_email)
) AS a
LEFT JOIN suppressions s ON s.workspace_id = %s AND s.email = a.email AND s.stream IS NULL
    AND s.removed_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
"""


def _count_addresses(workspace_id: int, chosen: Sequence[Any]) -> tuple[int, int, int]:
    """How many different addresses these are; how many of them are suppressed for all streams, and
    how many of those for a time.
    """
    inner, values = Message.select(Message.to_email).where(*chosen).limit(COUNTED_MAX).sql()
    sql = _ADDRESSES.replace("{inner}", inner)
    different, known, ending = database.execute_sql(sql, (*values, workspace_id)).fetchone()
    return different, known, ending


def _list_samples(
    workspace_id: int, action: Action, selection: Selection, why_not: Any, going: set[Status]
) -> list[Sample]:
    """The newest that are touched; where none is, the newest of all."""
    newest = _list_newest(workspace_id, selection, set() if action is Action.SUPPRESS else going)
    if not newest:
        return []
    if action is Action.SUPPRESS:
        known = _list_suppressed(workspace_id, newest)
        return [
            Sample(message, SUPPRESSED_ALREADY if message.id in known else None)
            for message in newest
        ]
    query = verbs.select().where(Message.id << [message.id for message in newest])
    found = {row.id: row for row in verbs.rows(query)}
    return [
        Sample(message, why and str(why))
        for message in newest
        for why in [why_not(found[message.id])]
    ]


def _list_newest(workspace_id: int, selection: Selection, wanted: set[Status]) -> list[Message]:
    """The newest of the selection, of these statuses where any are named."""
    if selection.filter_ is None:
        query = Message.select().where(*_conditions(workspace_id, selection))
        if wanted:
            query = query.where(Message.status << list(wanted))
        order = (Message.created_at.desc(), Message.id.desc())
        return list(query.order_by(*order).limit(SAMPLES))
    given = selection.filter_
    filters = [replace(given, status=status) for status in wanted] or [given]
    rows = [
        message
        for one in filters
        for message in message_log.list_page(workspace_id, filter_=one, limit=SAMPLES).messages
    ]
    return sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)[:SAMPLES]


_SUPPRESSED = """
SELECT m.id FROM messages m
JOIN suppressions s ON s.workspace_id = m.workspace_id
    AND s.email = lower(m.to_email COLLATE "pg_c_utf8") AND s.stream IS NULL
    AND s.removed_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
WHERE m.workspace_id = %s AND m.id = ANY(%s::uuid[])
"""


def _list_suppressed(workspace_id: int, messages: Sequence[Message]) -> set[Any]:
    """Whose recipients get no mail of any stream as it is."""
    values = (workspace_id, [message.id for message in messages])
    return {row[0] for row in database.execute_sql(_SUPPRESSED, values).fetchall()}


def _most(counts: Counter[str]) -> dict[str, int]:
    shown = dict(counts.most_common(SHOWN_MAX))
    others = sum(counts.values()) - sum(shown.values())
    return {**shown, f"{len(counts) - SHOWN_MAX} others": others} if others else shown


def _dump(filter_: Filter) -> dict[str, Any]:
    values = {one.name: getattr(filter_, one.name) for one in fields(filter_)}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
        if value is not None
    }


def _load(stored: Mapping[str, Any]) -> Filter:
    values = dict(stored)
    for name, read in (
        ("status", Status),
        ("stream", Stream),
        ("since", datetime.fromisoformat),
        ("until", datetime.fromisoformat),
    ):
        if name in values:
            values[name] = read(values[name])
    return Filter(**values)
