"""What a database must be like before a backup is brought back into it."""

import dataclasses
from datetime import UTC, datetime

import pytest

from maild.errors import Conflict, InvalidRequest
from maild.services import restore_runs
from maild.services.backup_files import Manifest
from maild.services.databases import Look

FULL = Look(
    name="maild", exists=True, is_empty=False, marked=None, processes=(), other_count=0,
    worker_count=0, may_create=True,
)  # fmt: skip
MANIFEST = Manifest(
    taken_at=datetime(2026, 11, 28, tzinfo=UTC), maild_version="9.9", migrations=["0001_initial"],
    counts={}, messages={}, key_ids=[], server_version="16.1", pg_dump="16.1", size_bytes=0,
    sha256="f00d",
)  # fmt: skip


def refuse(*, goes_on=False, replace_name=None, **fields):
    target = dataclasses.replace(FULL, **fields)
    restore_runs._refuse_target(target, MANIFEST, goes_on=goes_on, replace_name=replace_name)


@pytest.mark.parametrize(
    "fields",
    [
        {"is_empty": True},
        {"is_empty": True, "marked": "f00d"},
        {"is_empty": True, "marked": "another"},
        {"is_empty": True, "other_count": 1},
        {"marked": "f00d", "goes_on": True, "worker_count": 1},
        {"replace_name": "maild"},
    ],
)
def test_an_empty_one_is_taken_and_a_full_one_by_its_name(fields):
    refuse(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"processes": ("maild web",), "is_empty": True}, "maild runs on the database"),
        ({"worker_count": 2, "replace_name": "maild"}, "2 workers were alive"),
        ({"marked": "another", "replace_name": "maild"}, "Another backup is half restored"),
        ({"is_empty": True, "marked": "f00d", "other_count": 1}, "somebody is connected"),
        ({}, "is not empty"),
        ({"replace_name": "Maild"}, "Nothing was changed"),
        ({"replace_name": "maild", "may_create": False}, "may not make databases"),
        ({"replace_name": "maild", "other_count": 3}, "3 other connections"),
    ],
)
def test_any_other_one_is_refused_with_what_to_do(fields, words):
    with pytest.raises(Conflict, match=words):
        refuse(**fields)


def test_a_backup_of_a_newer_maild_or_of_nothing_is_refused(database):
    newer = dataclasses.replace(MANIFEST, migrations=["0001_initial", "9999_later"])
    with pytest.raises(Conflict, match=r"newer maild \(9\.9\).*9999_later"):
        restore_runs._refuse_newer(newer)
    with pytest.raises(InvalidRequest, match="nothing of maild"):
        restore_runs._refuse_newer(dataclasses.replace(MANIFEST, migrations=[]))
    restore_runs._refuse_newer(MANIFEST)


@pytest.mark.parametrize("version", ["", "new", "devel.1"])
def test_a_pg_dump_without_a_version_is_said_so(version):
    with pytest.raises(InvalidRequest, match="no version of pg_dump"):
        restore_runs._major(version)
    assert restore_runs._major("16.1") == 16
