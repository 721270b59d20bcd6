"""The files of backups: private, named by their time, and believed only when they are whole."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from maild.errors import Conflict, InvalidRequest, NotFound, Unavailable
from maild.services import backup_files
from maild.services.backup_files import Manifest

TAKEN_AT = datetime(2026, 11, 28, 3, 15, tzinfo=UTC)


def make(folder, *, taken_at=TAKEN_AT, content=b"dump"):
    """A backup of these bytes; returns where it is."""
    path = folder / backup_files.name_at(taken_at)
    with backup_files.locked(folder):
        partial = backup_files.partial_path(folder)
        partial.write_bytes(content)
        manifest = Manifest(
            taken_at=taken_at, maild_version="1", migrations=["0001"], counts={"messages": 1},
            messages={"sent": 1}, key_ids=[], server_version="16.1", pg_dump="16.1",
            size_bytes=len(content), sha256=backup_files.sum_of(partial),
        )  # fmt: skip
        backup_files.keep(partial, path, manifest)
    return path


def change(path, **fields):
    beside = backup_files.manifest_path(path)
    beside.write_text(json.dumps({**json.loads(beside.read_text()), **fields}))


def test_a_backup_is_read_as_it_was_written_and_private(tmp_path):
    path = make(tmp_path / "new" / "folder")
    manifest = backup_files.read_manifest(path)
    assert (manifest.taken_at, manifest.counts) == (TAKEN_AT, {"messages": 1})
    backup_files.check_sum(path, manifest)
    for one in (path, backup_files.manifest_path(path)):
        assert one.stat().st_mode & 0o777 == 0o600
    assert not list(path.parent.glob(f".*{backup_files.PARTIAL_SUFFIX}"))


def test_names_in_order_are_times_in_order():
    east = timezone(timedelta(hours=5))
    assert backup_files.name_at(TAKEN_AT) == "maild-20261128T031500Z.dump"
    assert backup_files.name_at(TAKEN_AT.astimezone(east)) == "maild-20261128T031500Z.dump"


def test_one_at_a_time_writes_into_a_folder_and_sweeps_up_what_was_left(tmp_path):
    left = tmp_path / f".maild-1{backup_files.PARTIAL_SUFFIX}"
    left.write_bytes(b"half")
    with backup_files.locked(tmp_path):
        assert not left.exists()
        with pytest.raises(Conflict, match="Another backup"), backup_files.locked(tmp_path):
            pass


def test_a_folder_that_cannot_be_is_said_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    locked = backup_files.locked(tmp_path / "file" / "below")
    with pytest.raises(Unavailable, match="cannot be written to"), locked:
        pass


def test_the_oldest_go_with_their_manifests_and_nothing_else(tmp_path):
    paths = [make(tmp_path, taken_at=TAKEN_AT + timedelta(days=day)) for day in range(4)]
    own = tmp_path / "my-own.dump"
    own.write_bytes(b"")
    assert backup_files.rotate(tmp_path, keep_count=2) == paths[:2]
    assert [path.exists() for path in paths] == [False, False, True, True]
    assert not backup_files.manifest_path(paths[0]).exists()
    assert own.exists()
    assert backup_files.rotate(tmp_path, keep_count=2) == []


@pytest.mark.parametrize(
    ("content", "words"), [(b"dum", "3 bytes, and had 4"), (b"DUMP", "checksum differs")]
)
def test_a_dump_that_was_changed_is_refused(tmp_path, content, words):
    path = make(tmp_path)
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=words):
        backup_files.check_sum(path, backup_files.read_manifest(path))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"format": backup_files.FORMAT + 1}, "newer maild"),
        ({"format": None}, "no manifest"),
        ({"taken_at": "yesterday"}, "no manifest"),
        ({"counts": [1]}, "no manifest of a backup .counts"),
        ({"size_bytes": "4"}, "no manifest of a backup .size_bytes"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path, fields, words):
    path = make(tmp_path)
    change(path, **fields)
    with pytest.raises(InvalidRequest, match=words):
        backup_files.read_manifest(path)


def test_a_dump_without_a_manifest_was_never_finished(tmp_path):
    path = make(tmp_path)
    backup_files.manifest_path(path).write_text("{")
    with pytest.raises(InvalidRequest, match="cannot be read"):
        backup_files.read_manifest(path)
    backup_files.manifest_path(path).unlink()
    with pytest.raises(NotFound, match="never finished"):
        backup_files.read_manifest(path)
    path.unlink()
    with pytest.raises(NotFound, match="There is no backup"):
        backup_files.read_manifest(path)
