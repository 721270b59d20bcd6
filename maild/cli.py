"""The command line: `maild run | migrate | send | intake | doctor | keys | trail`, and what `run`
starts. The other commands are in modules of their own, `cli_...`.
"""

import contextlib
import os
import sys
import time
from typing import Any

import click

from maild import (
    cli_alive,
    cli_backup,
    cli_bundle,
    cli_people,
    cli_preflight,
    config,
    db,
    errors,
    scheduler,
    worker,
)
from maild.domain.actor import COMMAND_LINE
from maild.services import (
    account_health,
    audit,
    deadman,
    health,
    intake,
    key_rotation,
    link_keys,
    migrations,
    processes,
)
from maild.transports.api_client import ApiClient, ApiError

HOW_TO_MEND = {
    "postgres": "Start PostgreSQL, and check POSTGRES_DSN. In development: make run",
    "redis": "Start Redis or Valkey, and check REDIS_URL. Mail is sent without it, only later.",
    "migrations": "Run: maild migrate",
    "worker": "Start one: maild worker",
    "conservation": "Start the scheduler (maild scheduler) if it does not run; see"
    " docs/operations.md.",
    "deadman": "See docs/operations.md, on DEADMAN_PING_URL.",
    "smtp": "Check SMTP_HOST, SMTP_PORT, SMTP_SECURITY and the credentials.",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="maild")
def cli() -> None:
    """maild: a control plane for outbound email."""


@cli.command()
def run() -> None:
    """Run the whole product here: database, Valkey, inbox, web, workers, scheduler."""
    # Late: the embedded stack is installed for development only.
    from maild.local import run as local

    sys.exit(local.run())


@cli.command()
def migrate() -> None:
    """Bring the database schema up to this version. Safe to run twice, and by two at once."""
    processes.start(config.load(), name="migrate", pool_size=2)
    with db.connection():
        applied = migrations.apply()
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("The schema is up to date.")


@cli.command("worker")
def run_worker() -> None:
    """Run a worker, which sends what is due. SIGTERM stops it gracefully."""
    worker.run(config.load())


@cli.command("scheduler")
def run_scheduler() -> None:
    """Run the scheduler, which frees what dead workers held. Several may run; one acts."""
    scheduler.run(config.load())


@cli.command()
@click.option("--to", "to_email", required=True, help="The recipient's address.")
@click.option("--from", "from_email", help="The sender's address; SMTP_FROM unless given.")
@click.option("--subject", default="Hello from maild", show_default=True)
@click.option("--text", default="It works.", show_default=True, help="The body.")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option(
    "--stream", type=click.Choice(["transactional", "marketing"]), default="transactional"
)
@click.option("--workspace", "workspace_id", type=click.IntRange(min=1), help="1 unless given.")
@click.option("--url", help="Where maild's API is; http://APP_ADDR unless given.")
def send(
    to_email: str,
    from_email: str | None,
    subject: str,
    text: str,
    count: int,
    stream: str,
    workspace_id: int | None,
    url: str | None,
) -> None:
    """Submit messages through the API, with a progress bar when there are many."""
    settings = config.load()
    body = {
        "from_email": from_email or settings.smtp.from_email,
        "to_email": to_email,
        "body_text": text,
        "stream": stream,
        "workspace_id": workspace_id,
    }
    client = ApiClient(
        url or f"http://{settings.addr}", settings.api_key_header, settings.operator_api_key
    )
    accepted = 0
    last: dict[str, object] = {}
    try:
        with (
            client,
            click.progressbar(range(1, count + 1), label="Submitting", hidden=count == 1) as bar,
        ):
            for number in bar:
                numbered = subject if count == 1 else f"{subject} ({number} of {count})"
                last = _post_patiently(client, {**body, "subject": numbered}, tries=min(count, 20))
                accepted += 1
    except ApiError as error:
        hint = " Set OPERATOR_API_KEY to the server's." if error.status == 401 else ""
        raise click.ClickException(
            f"{error} ({accepted} of {count} were accepted){hint}"
        ) from error
    if count == 1:
        click.echo(f"Accepted as {last['id']}, {last['status']}.")
    else:
        click.echo(f"Accepted {accepted} messages.")


def _post_patiently(client: ApiClient, body: dict[str, Any], *, tries: int) -> dict[str, Any]:
    """Submit one of many: a server that restarts is waited for, half a second for each try."""
    for _ in range(tries - 1):
        try:
            return client.post("/v1/messages", body)
        except ApiError as error:
            if error.status not in {0, 503}:
                raise
            time.sleep(0.5)
    return client.post("/v1/messages", body)


@cli.command("intake")
@click.option(
    "--workspace",
    "workspace_id",
    type=click.IntRange(min=1),
    help=("Whose bounce it is; unless given, that of the message that it tells of."),
)
def take_bounce(workspace_id: int | None) -> None:
    """Take a bounce mail or abuse report from standard input, as an MTA pipes it.

    Exit code 65 means that it is no mail. 75 is everything that may be mended, such as a database
    that is away: the MTA keeps the mail, and tries again.
    """
    try:
        processes.start(config.load(), name="intake", pool_size=2)
        processes.require_schema()
        mail = sys.stdin.buffer.read(intake.MAIL_MAX_BYTES + 1)
        piped = intake.take_piped(mail, workspace_id=workspace_id)
    except errors.InvalidRequest as error:
        click.echo(f"maild: {error}", err=True)
        sys.exit(os.EX_DATAERR)
    except Exception as error:  # MTAs take any other code for a refusal, and drop the bounce
        click.echo(f"maild: {error or type(error).__name__}", err=True)
        sys.exit(os.EX_TEMPFAIL)
    with contextlib.suppress(OSError, UnicodeError):  # it is stored: nothing may say otherwise
        _tell_piped(piped)


def _tell_piped(piped: intake.Piped) -> None:
    for event in piped.events:
        reason = event.mta_response or event.description or ""
        about = event.recipient or "nobody in particular"
        click.echo(" ".join(f"{event.event_type}: {about} {reason}".split()))
    click.echo(f"Stored for workspace {piped.workspace_id}; a worker applies it.")


@cli.command()
def doctor() -> None:
    """Check every dependency, and say how to mend what is not well."""
    settings = config.load()
    processes.start(settings, name="doctor", pool_size=2)
    checks = [*health.list_checks_in_time(), account_health.check_default()]
    can_count = all(check.is_ok for check in checks if check.name in {"postgres", "migrations"})
    if can_count:
        checks.append(health.check_conservation())
        if settings.deadman_ping_url is not None:
            checks.append(deadman.check())
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark = click.style("ok  ", fg="green") if check.is_ok else click.style("FAIL", fg="red")
        click.echo(f"{mark}  {check.name:<{width}}  {check.detail}")
        if not check.is_ok and check.detail != health.NOT_CHECKED:
            click.echo(f"{'':<{width + 8}}{HOW_TO_MEND[check.name]}")
    if not all(check.is_ok for check in checks):
        sys.exit(1)


@cli.group("keys")
def keys_group() -> None:
    """The keys that encrypt stored secrets."""


@keys_group.command("rotate")
def rotate_keys() -> None:
    """Encrypt every stored secret with the current key. Safe while maild runs, and to run again.

    Before: every process has the new key as ENCRYPTION_KEY_BASE64, and the one before it in
    ENCRYPTION_KEYS_OLD.
    """
    settings = config.load()
    processes.start(settings, name="keys", pool_size=2)
    processes.require_schema()
    with db.connection():
        summary = key_rotation.rotate(report=lambda count: click.echo(f"{count} re-encrypted ..."))
    counts = ", ".join(
        f"{source.words}s: {summary.changed[table]}"
        for table, source in key_rotation.SOURCES.items()
    )
    click.echo(f"Re-encrypted with the current key: {summary.changed.total()} ({counts}).")
    for unopened in summary.unopened:
        click.echo(
            f"Not opened: workspace {unopened.workspace_id}, {unopened.name}. {unopened.reason}",
            err=True,
        )
    if summary.unopened:
        click.echo(
            "Hold the key that made them in ENCRYPTION_KEYS_OLD, or save them again.", err=True
        )
    if summary.needs_old_count:
        click.echo(
            f"{summary.needs_old_count} still need a key of ENCRYPTION_KEYS_OLD: keep it. Is every"
            " process running with the new key? Then rotate again.",
            err=True,
        )
    elif settings.encryption_keys_old:
        click.echo("Nothing needs ENCRYPTION_KEYS_OLD any more: drop it.")
    if not summary.is_complete:
        sys.exit(1)


@keys_group.command("new-link-key")
@click.option("--workspace", "workspace_id", type=click.IntRange(min=1), required=True)
def add_link_key(workspace_id: int) -> None:
    """Sign a workspace's unsubscribe links with a new key. Links in old mail go on working."""
    processes.start(config.load(), name="keys", pool_size=2)
    processes.require_schema()
    with db.connection():
        key_id = link_keys.rotate(workspace_id, by=COMMAND_LINE)
    click.echo(
        f"Link key {key_id} is there: workspace {workspace_id} signs with it within"
        f" {link_keys.FRESH_SECONDS:.0f} seconds. Older links go on working."
    )


@cli.group("trail")
def trail_group() -> None:
    """The audit log: who did what."""


@trail_group.command("verify")
@click.option("--workspace", "workspace_id", type=click.IntRange(min=0), help="All unless given.")
@click.option(
    "--kept",
    metavar="COUNT:HASH",
    help="What an earlier run printed for this workspace: the log must still hold it.",
)
def verify_trail(workspace_id: int | None, kept: str | None) -> None:
    """Check that no entry of the audit log was changed, removed, reordered or put in between.

    Prints the count of entries and the newest hash for each workspace. Keep that outside of the
    database: only with --kept does a log show that was written anew as a whole.
    """
    if kept is not None and workspace_id is None:
        raise click.UsageError("--kept is of one workspace: name it with --workspace.")
    known = None if kept is None else _parse_head(kept)
    processes.start(config.load(), name="trail", pool_size=2)
    processes.require_schema()
    with db.connection():
        workspace_ids = audit.list_workspace_ids() if workspace_id is None else [workspace_id]
        for each in workspace_ids:
            verdict = audit.verify(each, kept=known)
            if verdict.problem is not None:
                click.echo(f"workspace {each}: {verdict.problem}.", err=True)
                click.echo("The audit log of this workspace cannot be trusted.", err=True)
                sys.exit(1)
            click.echo(f"workspace {each}: {verdict.head.seq} entries, head {verdict.head}")
            if verdict.cut is not None:
                click.echo(
                    f"  entries 1 to {verdict.cut.seq} were old, and cut off (latest:"
                    f" {verdict.cut.cut_at:%Y-%m-%d}); those that follow are proved"
                )
            if verdict.is_kept_cut:
                click.echo("  the head that you kept is of one of those: keep the new one")
    click.echo("Keep these heads outside of the database, for --kept.")


cli.add_command(cli_alive.command)
cli.add_command(cli_backup.backup)
cli.add_command(cli_backup.restore)
cli.add_command(cli_bundle.group)
cli.add_command(cli_people.group)
cli.add_command(cli_preflight.command)


def _parse_head(text: str) -> audit.Head:
    try:
        return audit.parse_head(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--kept") from None


def main() -> None:
    """The entry point: an error of ours is a sentence on standard error and exit code 1."""
    try:
        cli()
    except errors.MaildError as error:
        click.echo(f"maild: {error}", err=True)
        if error.__cause__ is not None:
            click.echo(f"  {str(error.__cause__).strip().splitlines()[0]}", err=True)
        sys.exit(1)
