"""`maild preflight`: everything that a start needs, looked at before it."""

import json
import sys
import textwrap
from collections import Counter

import click

from maild import config, scheduler, worker
from maild.domain.preflight import Finding, Level, is_fit
from maild.services import preflight, processes

MARKS = {
    Level.OK: ("ok", "green"),
    Level.WARN: ("warn", "yellow"),
    Level.FAIL: ("FAIL", "red"),
    Level.SKIPPED: ("skip", None),
}
WIDTH = 100
MIGRATE_POOL = 2
WATCH_CONNECTIONS = 1
"""Beside its pool a web process asks on one of its own whether PostgreSQL answers (`db_watch`)."""


@click.command("preflight")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def command(as_json: bool) -> None:
    """Look at the settings, PostgreSQL, Redis, SMTP, DNS, clock, disk and schema before a start.

    Every check runs, whatever the others find, and says how to mend what is not well. Exit code 1
    where one fails; warnings alone are 0. It changes nothing, and needs no process of maild to run.
    """
    review = config.review()
    processes.start(review.settings, name="preflight", pool_size=3, is_program=True)
    findings = preflight.run(review, pools=_pools(review.settings.postgres_pool_size))
    if as_json:
        _print_json(review.settings.env, findings)
    else:
        _print_table(findings)
    sys.exit(0 if is_fit(findings) else 1)


def _pools(pool_size: int) -> dict[str, int]:
    """The connections that each kind of process opens at most, by its name. A web server is as many
    processes as granian is told to start, each with a pool of its own.
    """
    told = config.child_environment().get("GRANIAN_WORKERS", "")
    count = max(1, int(told)) if told.isdecimal() else 1
    web = "web" if count == 1 else f"web with {count} processes"
    return {
        web: count * (pool_size + WATCH_CONNECTIONS),
        "worker": worker.POOL_SIZE,
        "scheduler": scheduler.POOL_SIZE,
        "migrate": MIGRATE_POOL,
    }


def _print_json(env: str, findings: list[Finding]) -> None:
    told = {
        "env": env,
        "fit": is_fit(findings),
        "checks": [finding.told() for finding in findings],
    }
    click.echo(json.dumps(told, indent=2, ensure_ascii=False))


def _print_table(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    indent = " " * (width + 8)
    for finding in findings:
        word, colour = MARKS[finding.level]
        lines = textwrap.wrap(finding.found, WIDTH - len(indent)) or [""]
        if finding.mend and finding.level is not Level.OK:
            lines += [f"-> {finding.mend}"]  # whole: a command is copied from it
        click.echo(f"{click.style(f'{word:<4}', fg=colour)}  {finding.name:<{width}}  {lines[0]}")
        for line in lines[1:]:
            click.echo(f"{indent}{line}")
    counts = Counter(finding.level for finding in findings)
    click.echo(
        f"\n{counts[Level.OK]} ok, {counts[Level.WARN]} to look at, {counts[Level.FAIL]} failed,"
        f" {counts[Level.SKIPPED]} not looked at."
    )
