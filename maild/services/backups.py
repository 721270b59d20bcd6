"""Backups: the whole database in one file, as it was at one moment, while mail flows.

The moment is that of a snapshot which `pg_dump` shares, so that the counts in the manifest are
those of the dump. In charge of making one and of seeing that it can be read; the files are in
`backup_files`, and bringing one back is in `restores`.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from maild import __version__, config, db
from maild.db import database
from maild.errors import NotFound, Unavailable
from maild.services import backup_files, key_rotation, migrations, periodic_jobs, restore_marks
from maild.services.backup_files import DUMP_SUFFIX, Manifest
from maild.transports import pg_tools

PERIODIC_JOB = "backup"
"""By this name it is known when the last one was made."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that is there and can be read. `rotated` are older ones that were deleted for it."""

    path: Path
    manifest: Manifest
    seconds: float
    rotated: list[Path]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    id: str
    taken_at: datetime
    server_version: str
    migrations: list[str]
    counts: dict[str, int]
    messages: dict[str, int]
    key_ids: list[str]


def make(to: Path, *, keep_count: int | None, report: Callable[[str], None]) -> Made:
    """Write a backup: into the folder `to`, or into the file where `to` ends in .dump.

    `keep_count` is how many of a folder's are kept, None all. `report` is told how it goes on.
    Raises Conflict (another one is being written), Unavailable (the database or the disk),
    ConfigError (no pg_dump that suits), MigrationPending (a database that is half restored).
    """
    begun_at = time.monotonic()
    is_file = to.suffix == DUMP_SUFFIX and not to.is_dir()
    folder = to.parent if is_file else to
    with db.connection():
        restore_marks.refuse_half_restored()
        if not migrations.list_applied():
            raise NotFound("There is nothing of maild in this database, and nothing to back up.")
        major = database.connection().server_version // 10_000
    dumper = pg_tools.find("pg_dump", major=major)
    reader = pg_tools.find("pg_restore", major=major)
    with backup_files.locked(folder):
        partial = backup_files.partial_path(folder)
        try:
            snapshot = _dump(dumper, partial, report)
            report("checking that it can be read")
            manifest = _describe(snapshot, dumper, reader, partial)
            path = to if is_file else folder / backup_files.name_at(snapshot.taken_at)
            backup_files.keep(partial, path, manifest)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        backup_files.check_sum(path, manifest)
        rotated = []
        if keep_count is not None and not is_file:
            rotated = backup_files.rotate(folder, keep_count=keep_count)
    with db.connection():
        periodic_jobs.note(PERIODIC_JOB)
    return Made(path, manifest, time.monotonic() - begun_at, rotated)


def _dump(dumper: Path, partial: Path, report: Callable[[str], None]) -> _Snapshot:
    """The one transaction that holds the snapshot, until pg_dump has read all of it."""
    parts = db.parse(config.current().postgres_dsn)
    with db.connection(), database.atomic():
        database.execute_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        database.execute_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        database.execute_sql("SET LOCAL statement_timeout = 0")
        report("counting")
        snapshot = _take_snapshot()
        report("dumping")
        pg_tools.dump(
            dumper,
            {**parts, "application_name": "maild backup"},
            partial,
            snapshot=snapshot.id,
            without=restore_marks.TABLE,
            report=lambda size: report(f"{size / 1e6:,.0f} MB written"),
        )
    return snapshot


def _take_snapshot() -> _Snapshot:
    snapshot_id, taken_at, server = database.execute_sql(
        "SELECT pg_export_snapshot(), now(), current_setting('server_version')"
    ).fetchone()
    by_status = database.execute_sql(
        "SELECT status, count(*) FROM messages GROUP BY status ORDER BY status"
    ).fetchall()
    return _Snapshot(
        id=snapshot_id,
        taken_at=taken_at,
        server_version=server.split()[0],
        migrations=migrations.list_applied(),
        counts=count_rows(),
        messages=dict(by_status),
        key_ids=key_rotation.list_key_ids(),
    )


def count_rows() -> dict[str, int]:
    """The rows of every table of the database, by its name."""
    names = [
        row[0]
        for row in database.execute_sql(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
            " AND tablename <> %s ORDER BY 1",
            (restore_marks.TABLE,),
        ).fetchall()
    ]
    if not names:
        return {}
    one = "SELECT '{name}', count(*) FROM \"{name}\""  # the names are the catalog's own
    parts = [one.replace("{name}", name) for name in names]
    rows: list[tuple[Any, ...]] = database.execute_sql(" UNION ALL ".join(parts)).fetchall()
    return dict(rows)


def _describe(snapshot: _Snapshot, dumper: Path, reader: Path, partial: Path) -> Manifest:
    """The manifest of a dump, of which this makes sure that it can be read. Raises Unavailable."""
    # "3456; 0 16390 TABLE DATA public messages maild": an owner's name may have spaces.
    lines = pg_tools.list_contents(reader, partial)
    held = {line.partition(" TABLE DATA ")[2].split()[1] for line in lines
            if " TABLE DATA " in line}  # fmt: skip
    if missing := snapshot.counts.keys() - held:
        words = ", ".join(sorted(missing))
        raise Unavailable(f"The dump lacks tables: {words}. Nothing was kept; try again.")
    return Manifest(
        taken_at=snapshot.taken_at,
        maild_version=__version__,
        migrations=snapshot.migrations,
        counts=snapshot.counts,
        messages=snapshot.messages,
        key_ids=snapshot.key_ids,
        server_version=snapshot.server_version,
        pg_dump=pg_tools.version(dumper),
        size_bytes=partial.stat().st_size,
        sha256=backup_files.sum_of(partial),
    )
