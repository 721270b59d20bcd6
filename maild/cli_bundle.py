"""`maild bundle`: checking the evidence that was handed on. Needs no database and no settings."""

import os
import sys
from pathlib import Path

import click

from maild import __version__
from maild.domain import bundle_check
from maild.domain.bundle_check import NotABundle


@click.group("bundle")
def group() -> None:
    """Bundles of evidence, as the console and the API give them."""


@group.command("verify")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--sha256",
    "kept",
    metavar="HASH",
    help="The hash of the document as it was noted elsewhere: the file must still have it.",
)
def verify(path: Path, kept: str | None) -> None:
    """Check that a bundle, JSON or zip, is what it was when it was made.

    Exit code 1 means that it was changed, and what differs is named; 65 that it is no bundle at
    all. Whoever can write the file can write its hash too: only with --sha256 is it certain.
    """
    try:
        verdict = bundle_check.check(_read(path), version=__version__)
    except NotABundle as error:
        click.echo(f"maild: {error}", err=True)
        sys.exit(os.EX_DATAERR)
    problems = list(verdict.problems)
    if kept is not None and kept.strip().lower() != verdict.sha256:
        problems.append(f"It is not the one that was noted: its hash is {verdict.sha256}.")
    click.echo(f"{verdict.about}, made at {verdict.generated_at}")
    if problems:
        for problem in problems:
            click.echo(f"  {problem}", err=True)
        click.echo("Not genuine: it was changed after it was made.", err=True)
        sys.exit(1)
    click.echo(f"Genuine: nothing was changed since. SHA-256 {verdict.sha256}")
    if verdict.unchecked:
        click.echo(
            f"Another version of maild made it. {' and '.join(verdict.unchecked)} could not be"
            " compared with the document: go by bundle.json."
        )


def _read(path: Path) -> bytes:
    """No more than a bundle can have. Raises NotABundle."""
    try:
        with path.open("rb") as file:
            return file.read(bundle_check.FILE_MAX_BYTES + 1)
    except OSError as error:
        raise NotABundle(f"{path} cannot be read: {error.strerror}.") from None
