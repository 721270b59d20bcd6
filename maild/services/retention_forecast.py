"""How large the database is, how fast it grows, what retention will let it come to, and when the
disk would be full.

`sample` notes the sizes once a day; all growth is told from those notes, and is not known before
there are two. How much room there is, PostgreSQL does not say: DATABASE_DISK_BYTES does, or the
disk itself where the server runs on this machine. `measure` is of the whole instance, and for those
who run it; `estimate` is of one workspace, for its people, made from its own traffic alone.
"""

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from maild import config
from maild.db import database
from maild.domain.retention import Keep, Subject
from maild.models import Workspace
from maild.services import periodic_jobs, retention
from maild.services.workspaces import MAILDS_OWN_ID

PARTS: dict[str, tuple[str, ...]] = {
    "content": ("message_bodies", "message_attachments"),
    "messages": ("messages", "events", "attempts", "log_blocks", "incident_messages"),
    "webhooks": ("webhook_payloads", "provider_events"),
    "audit": ("audit_entries",),
}
"""The tables that make most of the size; all the others, and what the database itself takes, are
`other`.
"""
OTHER = "other"
_SUBJECTS = {
    "content": Subject.BODIES,
    "messages": Subject.MESSAGES,
    "webhooks": Subject.WEBHOOKS,
    "audit": Subject.AUDIT,
}
SAMPLE_SECONDS = 3_600
SAMPLES_KEPT_DAYS = 400
GROWTH_DAYS = 14
"""Growth is of so many days at most."""
RECENT_DAYS = 7
BEYOND_DAYS = 30
"""Room for so many days of growth that retention does not explain is room enough."""
ROW_BYTES = 3_000
"""About what a message takes beside its content: its row with all indexes, three events and an
attempt, as measured (docs/operations.md).
"""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes, by a group of tables. What is None is not known yet; `settled_bytes` also where it
    never settles, as what is kept for ever.
    """

    name: str
    bytes: int
    growth_per_day: float | None
    kept_days: int | None
    settled_bytes: float | None

    @property
    def is_beyond(self) -> bool:
        """Whether it still grows, and retention does not tell why."""
        has_settled = self.settled_bytes is not None and self.settled_bytes <= self.bytes
        return has_settled and (self.growth_per_day or 0.0) > 0


@dataclass(frozen=True, slots=True)
class Measure:
    """The whole database. `free_bytes` is None where nobody says how much room there is.

    `full_seconds` is until it is full at the present growth; None: never, or not known, which
    `growth_per_day` and `free_bytes` tell.
    """

    parts: list[Part]
    database_bytes: int
    free_bytes: int | None
    growth_per_day: float | None
    settled_bytes: float | None
    full_seconds: float | None
    sampled_days: int
    """From the first note of those that growth is told from to now."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one workspace's mail takes, about. None: nothing was sent of late to tell it from."""

    message_count: int
    per_day: float
    bytes_now: float | None
    bytes_per_day: float | None
    settled_bytes: float | None


_SIZES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname = ANY(%s)
"""
_NOTE = """
INSERT INTO disk_samples (day, part, bytes)
SELECT current_date, part, bytes FROM unnest(%s::text[], %s::bigint[]) AS s (part, bytes)
ON CONFLICT (day, part) DO UPDATE SET bytes = excluded.bytes
"""
_FORGET = "DELETE FROM disk_samples WHERE day < current_date - %s"
_FIRST = """
SELECT day, part, bytes, current_date - day FROM disk_samples
WHERE day = (SELECT min(day) FROM disk_samples WHERE day >= current_date - %s)
"""
_TRAFFIC = """
SELECT coalesce(sum(message_count), 0), greatest(extract(epoch FROM now() - min(at)), 86400) / 86400
FROM rollups
WHERE workspace_id = %(workspace)s AND grain = 'hour' AND kind = 'accepted'
    AND at >= now() - %(days)s * interval '1 day'
"""
_CONTENT = """
SELECT avg(size_bytes) FROM (
    SELECT size_bytes FROM messages WHERE workspace_id = %s
    ORDER BY created_at DESC, id DESC LIMIT 200) AS latest
"""


def sample() -> None:
    """Note the sizes, once an hour; the day keeps the last note. Forgets notes of long ago."""
    if not periodic_jobs.take_slot("disk-sample", seconds=SAMPLE_SECONDS):
        return
    sizes = _sizes()
    database.execute_sql(_NOTE, (list(sizes), list(sizes.values())))
    database.execute_sql(_FORGET, (SAMPLES_KEPT_DAYS,))


def measure(keep: Keep | None = None) -> Measure:
    """The instance as it is now; `keep` is what is kept, where all of it is one workspace's, else
    it settles as if everybody kept as long as who keeps longest.
    """
    sizes, keep = _sizes(), keep or retention.longest()
    first, days = _first()
    parts = [_part(name, size, first.get(name), days, keep) for name, size in sizes.items()]
    total = sum(sizes.values())
    growths = [part.growth_per_day for part in parts]
    growth = None if None in growths else sum(one or 0.0 for one in growths)
    ends = [part.settled_bytes for part in parts]
    settled = None if None in ends else sum(one or 0.0 for one in ends)
    free = _free_bytes(total)
    is_filling = growth is not None and growth > 0 and free is not None
    # What grows though it should have settled grows on, for all that is known.
    beyond = sum(one.growth_per_day or 0.0 for one in parts if one.is_beyond)
    needed = None if settled is None else settled + beyond * BEYOND_DAYS
    fits = needed is not None and free is not None and needed <= total + free
    return Measure(
        parts=parts,
        database_bytes=total,
        free_bytes=free,
        growth_per_day=growth,
        settled_bytes=settled,
        full_seconds=(free or 0) / (growth or 1) * 86_400 if is_filling and not fits else None,
        sampled_days=days,
    )


def is_alone() -> bool:
    """Whether there is no more than one workspace, but for maild's own: the size of the whole then
    tells of nobody else.
    """
    return Workspace.select().where(Workspace.id != MAILDS_OWN_ID).limit(2).count() < 2


def estimate(workspace_id: int, *, message_count: int) -> Estimate:
    """What a workspace's mail takes; `message_count` is how many messages it has now."""
    keep = retention.get_keep(workspace_id)
    accepted, days = database.execute_sql(
        _TRAFFIC, {"workspace": workspace_id, "days": RECENT_DAYS}
    ).fetchone()
    [size] = database.execute_sql(_CONTENT, (workspace_id,)).fetchone()
    per_day = float(accepted) / float(days) if accepted else 0.0
    if size is None:
        return Estimate(message_count, per_day, None, None, None)
    content = float(size)
    body_days = _days_there(message_count, per_day, keep.bodies)
    settled = None
    if keep.messages is not None and keep.bodies is not None:
        settled = per_day * (keep.messages * ROW_BYTES + keep.bodies * content)
    return Estimate(
        message_count=message_count,
        per_day=per_day,
        bytes_now=message_count * ROW_BYTES + body_days * content,
        bytes_per_day=per_day * (ROW_BYTES + content),
        settled_bytes=settled,
    )


def _days_there(message_count: int, per_day: float, days: int | None) -> float:
    """How many messages have their content still."""
    return float(message_count) if days is None else min(float(message_count), per_day * days)


def _sizes() -> dict[str, int]:
    tables = [table for group in PARTS.values() for table in group]
    by_table = dict(database.execute_sql(_SIZES, (tables,)).fetchall())
    [total] = database.execute_sql("SELECT pg_database_size(current_database())").fetchone()
    sizes = {name: sum(by_table.get(t, 0) for t in group) for name, group in PARTS.items()}
    return {**sizes, OTHER: max(0, total - sum(sizes.values()))}


def _first() -> tuple[dict[str, int], int]:
    """The first note of the last days, by part, and how many days ago it is."""
    rows: list[tuple[date, str, int, int]] = database.execute_sql(_FIRST, (GROWTH_DAYS,)).fetchall()
    return {part: size for _, part, size, _ in rows}, rows[0][3] if rows else 0


def _part(name: str, size: int, before: int | None, days: int, keep: Keep) -> Part:
    growth = None if before is None or days < 1 else (size - before) / days
    subject = _SUBJECTS.get(name)
    kept = keep.days(subject) if subject else None
    if growth is None:
        settled = None
    elif growth <= 0 or subject is None:
        settled = float(size)
    else:
        # A part that has come to its end does not grow any more; until then it holds, at most, as
        # many days at the present growth as it is kept.
        settled = None if kept is None else max(float(size), growth * kept)
    return Part(name, size, growth, kept, settled)


def _free_bytes(total: int) -> int | None:
    given = config.current().database_disk_bytes
    if given is not None:
        return max(0, given - total)
    folder = _local_folder()
    return None if folder is None else shutil.disk_usage(folder).free


def _local_folder() -> Path | None:
    """The folder of the database, where its server runs on this machine and lets us know."""
    [is_near, may_know] = database.execute_sql(
        "SELECT coalesce(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', true),"
        " pg_has_role('pg_read_all_settings', 'USAGE')"
    ).fetchone()
    if not (is_near and may_know):
        return None
    [text] = database.execute_sql("SHOW data_directory").fetchone()
    folder = Path(text)
    try:
        return folder if folder.is_dir() else None
    except OSError:
        return None
