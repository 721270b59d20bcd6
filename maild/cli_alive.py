"""`maild alive`: whether a worker or a scheduler works, for the health checks of containers."""

import sys
import threading

import click

from maild import config, db
from maild.errors import Unavailable
from maild.services import liveness, processes

PATIENCE_SECONDS = 8.0
"""A database that keeps us waiting for longer is away."""


@click.command("alive")
@click.argument("process", type=click.Choice(["worker", "scheduler"]))
def command(process: str) -> None:
    """Whether the worker of this host, or the scheduler, works: exit code 0, or 1 and a sentence.

    While the database is away nobody can tell, and the code is 0: a worker must not be ended then.
    """
    processes.start(config.load(), name="alive", pool_size=1)
    answer: list[str | None] = []

    def look() -> None:
        try:
            with db.connection():
                answer.append(liveness.find_fault(process))
        except Unavailable as error:
            click.echo(f"Nobody can tell: {error.detail}")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    if thread.is_alive():
        click.echo("Nobody can tell: the database does not answer.")
    fault = answer[0] if answer else None
    if fault is not None:
        click.echo(fault, err=True)
        sys.exit(1)
