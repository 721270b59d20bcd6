"""What a restore has left for people to decide: which messages it holds back, and when it is done
with. How a backup is brought back is in `restore_runs`.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass

from peewee import fn

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.states import Status, Stream
from maild.errors import Conflict, NotFound
from maild.models import Freeze, Message, Restore, RestoredMessage
from maild.services import audit, freezes

COUNTED_MAX = 100_000
"""Messages are counted so far; there may be more."""


@dataclass(frozen=True, slots=True)
class Group:
    """Messages of one stream that stand alike. Of `count`, so many were accepted within the hour
    before the backup, within the day before that hour, and earlier; `scheduled_count` are not due
    yet.
    """

    status: Status
    stream: Stream
    count: int
    hour_count: int
    day_count: int
    older_count: int
    scheduled_count: int


@dataclass(frozen=True, slots=True)
class Left:
    """What a restore has touched, as it stands now. `has_more`: only COUNTED_MAX were looked at."""

    groups: list[Group]
    has_more: bool

    @property
    def count_all(self) -> int:
        return sum(group.count for group in self.groups)

    def count(self, *statuses: Status) -> int:
        return sum(group.count for group in self.groups if group.status in statuses)


DOUBT = "The database was restored from the backup of "
"""How the reason begins why a campaign that a restore has stopped must be looked at."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """Campaigns that may have been sent since a backup, and that nobody has decided about:
    paused ones, and drafts with those that wait for approval or their time.
    """

    paused_count: int = 0
    draft_count: int = 0

    @property
    def count_all(self) -> int:
        return self.paused_count + self.draft_count


@dataclass(frozen=True, slots=True)
class Standing:
    """A restore that is not done with. `is_frozen`: its freeze is still in force."""

    restore: Restore
    is_frozen: bool


def find_open(workspace_id: int) -> Standing | None:
    """The newest restore of the workspace, unless somebody is done with it."""
    standing = find_newest(workspace_id)
    return standing if standing and standing.restore.settled_at is None else None


def find_newest(workspace_id: int) -> Standing | None:
    """The newest restore of the workspace; None where there never was one."""
    row = (
        Restore.select(Restore, freezes.is_in_force().alias("is_frozen"))
        .left_outer_join(Freeze)
        .where(Restore.workspace == workspace_id)
        .order_by(Restore.id.desc())
        .first()
    )
    return None if row is None else Standing(row, bool(getattr(row, "is_frozen", False)))


def get(workspace_id: int, restore_id: int) -> Restore:
    """Raises NotFound, also for another workspace's."""
    row: Restore | None = Restore.get_or_none(
        Restore.id == restore_id, Restore.workspace == workspace_id
    )
    if row is None:
        raise NotFound("There is no such restore in this workspace.")
    return row


_LEFT = """
SELECT status, stream, count(*),
    count(*) FILTER (WHERE created_at > taken_at - interval '1 hour'),
    count(*) FILTER (WHERE created_at <= taken_at - interval '1 hour'
        AND created_at > taken_at - interval '1 day'),
    count(*) FILTER (WHERE created_at <= taken_at - interval '1 day'),
    count(*) FILTER (WHERE scheduled_at > now())
FROM (
    SELECT m.status, m.stream, m.created_at, m.scheduled_at, r.taken_at
    FROM restores r
    JOIN restored_messages x ON x.restore_id = r.id
    JOIN messages m ON m.id = x.message_id
    WHERE r.id = %s AND r.workspace_id = %s
    LIMIT %s) AS found
GROUP BY 1, 2 ORDER BY 1, 2
"""


def look(restore: Restore) -> Left:
    """What has become so far of the messages that the restore held."""
    values = (restore.id, restore.workspace_id, COUNTED_MAX + 1)
    rows = database.execute_sql(_LEFT, values).fetchall()
    groups = [Group(Status(row[0]), Stream(row[1]), *row[2:]) for row in rows]
    total = sum(group.count for group in groups)
    return Left(groups, has_more=total > COUNTED_MAX)


# A fault without a count is no step's: see `restored_queues`.
_DOUBTS = """
SELECT workspace_id, count(*) FILTER (WHERE status = 'paused'),
    count(*) FILTER (WHERE status <> 'paused')
FROM campaigns
WHERE workspace_id = ANY(%(ids)s)
    AND (status = 'paused' AND starts_with(pause_reason, %(doubt)s)
        OR status IN ('draft', 'in_review', 'scheduled') AND fault_count = 0
            AND starts_with(fault, %(doubt)s))
GROUP BY workspace_id
"""


def count_doubts(workspace_ids: Iterable[int]) -> dict[int, Doubts]:
    """The campaigns of these workspaces about which a person has to decide, by workspace."""
    ids = list(workspace_ids)
    rows = database.execute_sql(_DOUBTS, {"ids": ids, "doubt": DOUBT}).fetchall()
    return dict.fromkeys(ids, Doubts()) | {row[0]: Doubts(*row[1:]) for row in rows}


def has_held(workspace_id: int, conditions: Iterable[object]) -> bool:
    """Whether one of the workspace's messages that fulfil these conditions is held because of a
    restore.
    """
    held = (
        RestoredMessage.select(RestoredMessage.message)
        .join(Restore)
        .where(Restore.workspace == workspace_id)
    )
    query = Message.select(Message.id).where(
        *conditions, Message.status == Status.HELD, Message.id << held
    )
    return bool(query.limit(1).exists())


def settle(restore: Restore, *, by: Actor) -> None:
    """Be done with a restore: nobody is reminded of it any more. What it holds stays held.

    Raises Conflict while its freeze is in force.
    """
    with database.atomic():
        standing = find_open(restore.workspace_id)
        if standing is not None and standing.restore.id == restore.id and standing.is_frozen:
            raise Conflict("Mail is still frozen by this restore. Lift the freeze first.")
        changed = (
            Restore.update(settled_at=fn.now(), settled_by=by.name)
            .where(
                Restore.workspace == restore.workspace_id,
                Restore.id <= restore.id,
                Restore.settled_at.is_null(),
            )
            .execute()
        )
        if changed:
            audit.record(
                restore.workspace_id,
                by,
                action="restore.settled",
                target=f"restore {restore.id}",
                after={"taken_at": restore.taken_at.isoformat()},
            )


LISTED_MAX = 200
"""Workspaces that the command line tells of one by one."""

_LATEST = """
SELECT r.workspace_id, w.name, r.held_count, r.unknown_count, r.stopped_job_count
FROM restores r JOIN workspaces w ON w.id = r.workspace_id
WHERE r.restored_at = (SELECT max(restored_at) FROM restores)
ORDER BY r.held_count DESC, r.workspace_id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the newest restore did to one workspace. Of its campaigns those are counted that may
    have been sent since, as they stand now.
    """

    workspace_id: int
    name: str
    held_count: int
    unknown_count: int
    stopped_job_count: int
    paused_campaign_count: int
    draft_campaign_count: int


def list_latest() -> list[Summary]:
    """Those of the newest restore, most held first; LISTED_MAX at most."""
    rows = database.execute_sql(_LATEST, (LISTED_MAX,)).fetchall()
    doubts = count_doubts(row[0] for row in rows)
    return [Summary(*row, *astuple(doubts[row[0]])) for row in rows]
