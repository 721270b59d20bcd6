"""`maild backup` and `maild restore`. For whoever runs the instance.

Where neither POSTGRES_DSN nor a running `maild run` says where the database is, the embedded one in
MAILD_HOME is started for as long as it takes.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from maild import clock, config, db
from maild.config import STACK_FILE, Settings
from maild.errors import NotFound
from maild.services import backup_files, backups, processes, restore_runs, restores
from maild.services.restore_runs import Done, Plan

FOLDER = "backups"
"""In MAILD_HOME."""


@click.command("backup")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    help="A folder, or a file that ends in .dump; `backups` in MAILD_HOME unless given.",
)
@click.option(
    "--keep", "keep_count", type=click.IntRange(1, 10_000), help="Delete all but so many."
)
@click.option("--json", "is_json", is_flag=True, help="Print what was made as JSON.")
def backup(to: Path | None, keep_count: int | None, is_json: bool) -> None:
    """Save the whole database in one file, while mail flows.

    Beside it is a manifest, without which it is no backup. The file has the mail of people in it:
    keep it where nobody else reads it, away from this machine, and the encryption key elsewhere.
    """
    if to is not None and to.suffix == backup_files.DUMP_SUFFIX and keep_count is not None:
        raise click.UsageError("--keep is for a folder: --to names a file.")
    with _database(must_exist=True) as settings:
        processes.start(settings, name="backup", pool_size=2, is_program=True)
        report = _silent if is_json else _say
        folder = to or config.load_local().home / FOLDER
        made = backups.make(folder, keep_count=keep_count, report=report)
    manifest = made.manifest
    if is_json:
        told = {
            "path": str(made.path.absolute()),
            "taken_at": manifest.taken_at.isoformat(),
            "size_bytes": manifest.size_bytes,
            "sha256": manifest.sha256,
            "seconds": round(made.seconds, 1),
            "messages": manifest.messages,
            "key_ids": manifest.key_ids,
            "rotated": [str(path) for path in made.rotated],
        }
        click.echo(json.dumps(told))
        return
    click.echo(
        f"{made.path}: {manifest.size_bytes / 1e6:,.1f} MB, as of {_moment(manifest.taken_at)},"
        f" in {made.seconds:.0f} s. It was read back, and can be restored."
    )
    if made.rotated:
        click.echo(f"Deleted {len(made.rotated)} older: --keep {keep_count}.")
    if manifest.key_ids:
        click.echo(
            f"Its secrets need the encryption key {', '.join(manifest.key_ids)}: keep that too,"
            " somewhere else."
        )


@click.command("restore")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--into", "dsn", metavar="DSN", help="Another database than that of POSTGRES_DSN.")
@click.option(
    "--replace",
    "replace_name",
    metavar="NAME",
    help="The database is not empty: its name, typed out, gives it up. It is kept under another.",
)
@click.option("--without-keys", is_flag=True, help="Restore even where secrets cannot be opened.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@click.option("--json", "is_json", is_flag=True, help="Print what was done as JSON; needs --yes.")
def restore(
    path: Path,
    dsn: str | None,
    replace_name: str | None,
    without_keys: bool,
    is_sure: bool,
    is_json: bool,
) -> None:
    """Bring a backup back, with everything in it that waits held.

    Stop all processes of maild first. Nothing that waited when the backup was taken goes out by
    itself, for it may have been sent since; and new mail waits until a person lifts the freeze, for
    suppressions and unsubscribes since then are missing.
    """
    if is_json and not is_sure:
        raise click.UsageError("--json does not ask: give --yes as well.")
    report = _silent if is_json else _say
    with _database(must_exist=False, dsn=dsn) as settings:
        processes.start(settings, name="restore", pool_size=2, is_program=True)
        plan = restore_runs.prepare(
            path,
            settings,
            replace_name=replace_name,
            may_lack_keys=without_keys,
            report=report,
        )
        if not is_json:
            _tell_plan(plan)
        if not is_sure:
            click.confirm("Restore it?", abort=True)
        # Elsewhere, or started here: the Redis of the settings may be another database's.
        has_redis = dsn is None and settings.postgres_dsn == config.load().postgres_dsn
        done = restore_runs.carry_out(plan, settings, has_redis=has_redis, report=report)
        processes.start(settings, name="restore", pool_size=2, is_program=True)
        with db.connection():
            found = restores.list_latest()
    if is_json:
        told = {
            "taken_at": plan.manifest.taken_at.isoformat(),
            "database": plan.target.name,
            "kept_as": done.kept_as,
            "migrations": done.applied,
            "missing_keys": list(plan.missing_keys),
            "workspaces": [asdict(one) for one in found],
        }
        click.echo(json.dumps(told))
        return
    _tell_done(plan, done, found)


@contextmanager
def _database(*, must_exist: bool, dsn: str | None = None) -> Iterator[Settings]:
    """The settings, with a database that runs. Raises ConfigError, NotFound, Unavailable."""
    settings = config.load()
    if dsn is not None:
        yield replace(settings, postgres_dsn=config.check_dsn(dsn))
        return
    local = config.load_local()
    if local.postgres_dsn is not None or (local.home / STACK_FILE).exists():
        yield settings
        return
    # Late: the embedded stack is installed for development only.
    from maild.local import home as homes
    from maild.local import postgres

    if must_exist and not (local.home / "postgres").exists():
        raise NotFound(
            f"There is no database in {local.home}, and POSTGRES_DSN is not set. Name one of them."
        )
    homes.make(local.home)
    with ExitStack() as stack:
        stack.enter_context(homes.locked(local.home))
        url = stack.enter_context(postgres.running(local.home))
        yield replace(settings, postgres_dsn=url)


def _tell_plan(plan: Plan) -> None:
    manifest, target = plan.manifest, plan.target
    messages = ", ".join(f"{count:,} {status}" for status, count in manifest.messages.items())
    click.echo(f"The backup is of {_moment(manifest.taken_at)}, {_ago(manifest.taken_at)}.")
    click.echo(f"It has {sum(manifest.messages.values()):,} messages: {messages or 'none'}.")
    click.echo("Whatever was accepted, suppressed or unsubscribed since then is not in it.")
    if plan.missing_keys:
        click.echo(f"Secrets under the keys {', '.join(plan.missing_keys)} will not open.")
    if plan.goes_on:
        click.echo(f"An earlier run was cut off: it goes on in the database {target.name}.")
    elif plan.is_replacing:
        click.echo(f"The database {target.name} is replaced, and kept under another name.")
    else:
        words = "is empty" if target.exists else "is made for it"
        click.echo(f"It goes into the database {target.name}, which {words}.")


def _tell_done(plan: Plan, done: Done, found: list[restores.Summary]) -> None:
    moment = _moment(plan.manifest.taken_at)
    click.echo(f"\nRestored, as of {moment}. All mail is held back; nothing goes out by itself.\n")
    if done.kept_as:
        click.echo(f"The database before is kept as {done.kept_as}. Drop it when all is well:")
        click.echo(f'  DROP DATABASE "{done.kept_as}";\n')
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        click.echo(
            f"  {one.workspace_id:>4}  {one.name:<{width}}  {one.held_count:,} held,"
            f" {one.unknown_count:,} unknown, {one.stopped_job_count:,} jobs stopped;"
            f" campaigns: {one.paused_campaign_count:,} paused, {one.draft_campaign_count:,} drafts"
        )
    if len(found) == restores.LISTED_MAX:
        click.echo("  These are the first: there are more.")
    click.echo(_PLAN.format(moment=moment))
    if done.redis_is_away:
        click.echo("Redis does not answer. What it keeps is of the old world, and harms nobody.")
    if plan.missing_keys:
        click.echo("Set anew what did not open: see `maild keys rotate`, which lists it.")


_PLAN = """
What to do now:
  1. Start maild. Everybody must log in again; jobs that ran were stopped, and can be resumed.
  2. In each workspace, under /ui/restore, bring back what happened since {moment}:
     suppressions and unsubscribes from the providers' lists (CSV import), reports by having the
     providers send them again. Messages accepted since are missing, and most were sent: have their
     senders send what the provider's log does not show. No Idempotency-Key of that time is known
     here. Revoke again the API keys, and remove the members, that went.
  3. Then lift the workspace's freeze: new mail goes out.
  4. Decide about what is held: cancel it, release what the provider's log does not show, or release
     all of it, which may send some of it twice.
  5. Decide about the campaigns that were not over: each is paused or a draft now, and may have been
     sent since, as a whole or in part. See the provider's log before you resume or send one: it
     would mail all those again that it has mailed since.
"""


def _say(words: str) -> None:
    click.echo(f"{words} ...", err=True)


def _silent(words: str) -> None:
    """Nothing is told on the way."""


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _ago(at: datetime) -> str:
    minutes = round((clock.now() - at).total_seconds() / 60)
    if minutes < 2:
        return "just now" if minutes < 1 else "a minute ago"
    return f"{minutes} minutes ago" if minutes < 120 else f"{minutes / 60:.0f} hours ago"
