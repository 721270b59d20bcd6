"""Bringing a backup back: what must be so before, and the steps until maild may start again.

The dump is read into an empty database, in one transaction: the one that was named, or, where that
is to be replaced, a new one beside it that takes its name at the very end. Either way nothing of
maild starts on it before its queues are safe (`restored_queues`), and what was there before is
still there when something fails.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path

from maild import clock, config, db, marks
from maild.config import Settings
from maild.db import database
from maild.errors import Conflict, InvalidRequest, Unavailable
from maild.services import (
    backup_files,
    backups,
    databases,
    migrations,
    restore_marks,
    restored_queues,
    secrets,
)
from maild.services.backup_files import Manifest
from maild.services.databases import Look
from maild.services.restore_marks import Mark
from maild.services.restored_queues import Ended
from maild.transports import pg_tools

POOL_SIZE = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """What a restore would do. `missing_keys` are ids of keys that stored secrets need, and we do
    not hold. `goes_on` says that an earlier run was cut off behind the dump.
    """

    path: Path
    manifest: Manifest
    target: Look
    is_replacing: bool
    goes_on: bool
    missing_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it. `kept_as` is the name of the database that was replaced. `redis_is_away`:
    what Redis knows of dead workers was not dropped; nobody asks for it any more.
    """

    kept_as: str | None
    applied: list[str]
    ended: Ended
    redis_is_away: bool


def prepare(
    path: Path,
    settings: Settings,
    *,
    replace_name: str | None,
    may_lack_keys: bool,
    report: Callable[[str], None],
) -> Plan:
    """Look at the backup and at the database of the settings; changes nothing.

    `replace_name` is the name of the database where it may be replaced. Raises NotFound and
    InvalidRequest (the backup), Conflict (the database, with what to do), ConfigError, Unavailable.
    """
    manifest = backup_files.read_manifest(path)
    report("checking the backup")
    backup_files.check_sum(path, manifest)
    reader = pg_tools.find("pg_restore", major=_major(manifest.pg_dump))
    pg_tools.list_contents(reader, path)
    _refuse_newer(manifest)
    missing = tuple(sorted(set(manifest.key_ids) - secrets.held_key_ids()))
    if missing and not may_lack_keys:
        raise Conflict(
            f"The backup has secrets under keys that maild does not have: {', '.join(missing)}."
            " Set ENCRYPTION_KEY_BASE64 to the key of that time, or add it to"
            " ENCRYPTION_KEYS_OLD. If it is lost, --without-keys restores everything else, and"
            " passwords of SMTP accounts, webhook secrets, DKIM keys and second factors must be"
            " set anew."
        )
    target = databases.look(settings.postgres_dsn, lease_seconds=settings.lease_seconds)
    goes_on = target.marked == manifest.sha256 and not target.is_empty
    _refuse_target(target, manifest, goes_on=goes_on, replace_name=replace_name)
    is_replacing = not target.is_empty and not goes_on
    return Plan(path, manifest, target, is_replacing, goes_on, missing)


def carry_out(
    plan: Plan, settings: Settings, *, has_redis: bool, report: Callable[[str], None]
) -> Done:
    """Do it. `has_redis`: the Redis of the settings is this database's, and nobody else's.

    Raises Unavailable, Conflict; the database that is to be replaced is then as it was.
    """
    dsn, name = settings.postgres_dsn, plan.target.name
    if not plan.is_replacing:
        if not plan.target.exists:
            databases.create(dsn, name)
        applied, ended = _fill(plan, settings, report)
        return Done(None, applied, ended, redis_is_away=has_redis and not _forget_marks(settings))
    fresh = f"{name}_restoring"
    databases.drop(dsn, fresh)
    databases.create(dsn, fresh)
    beside = replace(settings, postgres_dsn=db.beside(dsn, fresh))
    try:
        applied, ended = _fill(plan, beside, report)
        kept_as = f"{name}_before_{clock.now().astimezone(UTC):%Y%m%dT%H%M%S}"
        databases.swap(dsn, new=fresh, name=name, aside=kept_as)
    except BaseException:
        databases.drop(dsn, fresh)
        raise
    return Done(kept_as, applied, ended, redis_is_away=has_redis and not _forget_marks(settings))


def _fill(plan: Plan, settings: Settings, report: Callable[[str], None]) -> tuple[list[str], Ended]:
    """Read the dump into the database of these settings, bring its schema up, and make it safe."""
    manifest = plan.manifest
    config.install(settings)
    database.close_all()
    db.init(settings.postgres_dsn, pool_size=POOL_SIZE, application="restore")
    try:
        if plan.goes_on:
            with db.connection():
                mark = restore_marks.find()
            assert mark is not None, "that is why it goes on"
        else:
            mark = _read(plan, settings, report)
        with db.connection():
            if not mark.is_whole:
                _compare(manifest)
                restore_marks.set_whole()
            applied = migrations.apply()
            database.execute_sql("ANALYZE")
            report("holding what may have been sent since")
            ended = restored_queues.make_safe(mark, taken_at=manifest.taken_at, report=report)
    finally:
        database.close_all()
    return applied, ended


def _read(plan: Plan, settings: Settings, report: Callable[[str], None]) -> Mark:
    """Read the dump into the marked database. One that fails leaves no mark where it is empty, and
    nobody may still be filling it.
    """
    dsn = settings.postgres_dsn
    with db.connection():
        mark = restore_marks.put(plan.manifest.sha256)
    report("restoring")
    try:
        pg_tools.restore(
            pg_tools.find("pg_restore", major=_major(plan.manifest.pg_dump)),
            {**db.parse(dsn), "dbname": db.name_of(dsn)},
            plan.path,
            report=lambda: report("still restoring"),
        )
    except Unavailable:
        # All of it may be there after all: the line broke behind the commit, or the pg_restore of
        # an earlier run, which was killed, has finished. Unmarked, it would be sent.
        left = databases.look(dsn, lease_seconds=settings.lease_seconds)
        if left.is_empty and not left.other_count:
            with db.connection():
                restore_marks.remove()
        raise
    return mark


def _compare(manifest: Manifest) -> None:
    """Raises Unavailable where not all of it is there."""
    found = backups.count_rows()
    for table, count in manifest.counts.items():
        if found.get(table) != count:
            raise Unavailable(
                f"Of {table}, {found.get(table, 0):,} rows came back, and {count:,} were saved."
                " This backup cannot be trusted: take another one."
            )


def _refuse_newer(manifest: Manifest) -> None:
    unknown = sorted(set(manifest.migrations) - set(migrations.list_known()))
    if unknown:
        raise Conflict(
            f"The backup is of a newer maild ({manifest.maild_version}), whose migrations this one"
            f" does not know: {', '.join(unknown)}. Install that version, and restore with it."
        )
    if not manifest.migrations:
        raise InvalidRequest("There is nothing of maild in this backup.")


def _refuse_target(
    target: Look, manifest: Manifest, *, goes_on: bool, replace_name: str | None
) -> None:
    if target.processes:
        raise Conflict(
            f"maild runs on the database {target.name}: {', '.join(target.processes)}. Stop all"
            " its processes first, on every machine."
        )
    if target.worker_count and not goes_on:
        raise Conflict(
            f"{target.worker_count} workers were alive on the database {target.name} a moment ago."
            " Stop them; if they were killed, wait for the end of their lease (LEASE_DURATION)."
        )
    if target.marked is not None and target.marked != manifest.sha256 and not target.is_empty:
        raise Conflict(
            f"Another backup is half restored into the database {target.name}. Finish that one, or"
            " drop the database and make it anew."
        )
    if target.is_empty and target.marked is not None and target.other_count:
        raise Conflict(
            f"A restore into the database {target.name} was cut off, and somebody is connected to"
            " it still, perhaps its pg_restore: wait for its end, or end it. Then run this again,"
            " which goes on."
        )
    if target.is_empty or goes_on:
        return
    if replace_name is None:
        raise Conflict(
            f"The database {target.name} is not empty. Restore into an empty one with --into, or"
            f" give it up with --replace {target.name}: it is kept under another name then."
        )
    if replace_name != target.name:
        raise Conflict(
            f"--replace names {replace_name!r}, and the database is {target.name!r}. Nothing was"
            " changed."
        )
    if not target.may_create:
        raise Conflict(
            f"The role of POSTGRES_DSN may not make databases, so {target.name} cannot be"
            " replaced. Have an administrator make an empty one, restore with --into, and let"
            " POSTGRES_DSN lead there."
        )
    if target.other_count:
        raise Conflict(
            f"{target.other_count} other connections use the database {target.name}. Close them,"
            " and try again."
        )


def _forget_marks(settings: Settings) -> bool:
    """Whether Redis has forgotten the workers that are gone."""
    try:
        marks.drop_all(settings.redis_url)
    except Unavailable:
        return False
    return True


def _major(version: str) -> int:
    """Raises InvalidRequest."""
    word = version.partition(".")[0]
    if not word.isdigit():
        raise InvalidRequest(f"The manifest names no version of pg_dump, but {version!r}.")
    return int(word)
