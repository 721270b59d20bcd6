"""Releases: the code of the previous one, of this one, and of a next one, each in a folder.

In charge of where their code comes from: the previous release is a commit of the history, named in
`tests/upgrade/previous_release`; the next one is this tree with a migration more for each of the
tables that all mail goes through. Not in charge of running them: `fleet.py` is.
"""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.crash.rig import ROOT

PREVIOUS = ROOT / "tests" / "upgrade" / "previous_release"
PARTS = ("app.py", "maild", "migrations", "static", "templates")
"""What a release needs to run; libraries are those of this environment."""

NEXT_TABLES = ("messages", "events", "attempts")
NEXT = '''"""A column more on `{table}`."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE {table} ADD COLUMN next_note text NOT NULL DEFAULT 'x'")


def down(migrator, db):
    db.execute_sql("ALTER TABLE {table} DROP COLUMN next_note")
'''


class HistoryMissing(Exception):
    """The previous release is not in the history of this clone, if there is any history."""


def write_previous(folder: Path) -> Path:
    """The previous release's code. Raises HistoryMissing."""
    commit = PREVIOUS.read_text().strip()
    command = ["git", "-C", str(ROOT), "archive", commit, *PARTS]
    try:
        archive = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", b"").decode(errors="replace").strip() or str(error)
        raise HistoryMissing(
            f"The previous release {commit[:12]} is not in the history here, so the upgrade from"
            f" it cannot be tried: use a full clone (git fetch --unshallow). {why}"
        ) from None
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def find_previous(folder: Path) -> Path:
    """As `write_previous`, for a test: skipped where there is no history, but with `CI` set."""
    try:
        return write_previous(folder)
    except HistoryMissing as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def write_next(folder: Path) -> Path:
    """This release's code, and migrations that it does not have."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part)
        else:
            shutil.copy2(source, folder / part)
    for number, table in enumerate(NEXT_TABLES, 9001):
        (folder / "migrations" / f"{number}_next_{table}.py").write_text(NEXT.format(table=table))
    return folder


def list_migrations(tree: Path) -> set[str]:
    """The names of the migrations of a tree."""
    return {path.stem for path in (tree / "migrations").glob("[0-9]*.py")}
