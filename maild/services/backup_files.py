"""The files of backups: a dump, and beside it the manifest that says what it is.

A backup is there when its manifest is: the dump is written under another name, made durable and
named first. Both are for their owner's eyes alone. Not in charge of making one (`backups`).
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maild.errors import Conflict, InvalidRequest, NotFound, Unavailable

FORMAT = 1
"""Of the manifest; a newer one is not understood."""
DUMP_SUFFIX = ".dump"
MANIFEST_SUFFIX = ".json"
PARTIAL_SUFFIX = ".partial"
LOCK = ".maild-backup.lock"
CHUNK_BYTES = 1 << 20
MANIFEST_MAX_BYTES = 1 << 20

_NAME = re.compile(r"maild-\d{8}T\d{6}Z\.dump")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a dump is. `taken_at` is the moment that it shows, by Postgres' clock, and `counts` the
    rows of each table at that moment; `messages` counts them by status.

    `key_ids` name the keys that its secrets need; they tell nothing of the keys. `pg_dump` is the
    version that wrote it.
    """

    taken_at: datetime
    maild_version: str
    migrations: list[str]
    counts: dict[str, int]
    messages: dict[str, int]
    key_ids: list[str]
    server_version: str
    pg_dump: str
    size_bytes: int
    sha256: str
    format: int = FORMAT


def name_at(taken_at: datetime) -> str:
    """`maild-20261128T031500Z.dump`: names in order are times in order."""
    return f"maild-{taken_at.astimezone(UTC):%Y%m%dT%H%M%SZ}{DUMP_SUFFIX}"


def manifest_path(path: Path) -> Path:
    """Where the manifest of a dump is."""
    return path.with_name(path.name + MANIFEST_SUFFIX)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder where it is missing, and be the only one who writes backups into it. Raises
    Conflict, and Unavailable where that cannot be.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(folder / LOCK, "a", opener=_private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(f"Another backup is being written into {folder}.") from None
            for left in folder.glob(f".*{PARTIAL_SUFFIX}"):  # by one that was killed
                left.unlink(missing_ok=True)
            yield
    except OSError as error:
        raise Unavailable(f"{folder} cannot be written to: {error.strerror}.") from error


def partial_path(folder: Path) -> Path:
    """The empty file into which a dump is written until it is whole."""
    path = folder / f".maild-{os.getpid()}{PARTIAL_SUFFIX}"
    with open(path, "wb", opener=_private):
        return path


def keep(partial: Path, path: Path, manifest: Manifest) -> None:
    """Give a whole dump its name, and its manifest; both are durable when this returns."""
    _sync(partial)
    _sync(partial.parent)
    partial.replace(path)
    told = {**asdict(manifest), "taken_at": manifest.taken_at.isoformat()}
    fresh = path.with_name(f".{path.name}{MANIFEST_SUFFIX}{PARTIAL_SUFFIX}")
    with open(fresh, "w", encoding="utf-8", opener=_private) as file:
        json.dump(told, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(manifest_path(path))
    _sync(path.parent)


def read_manifest(path: Path) -> Manifest:
    """What the dump in `path` is. Raises NotFound, InvalidRequest."""
    if not path.is_file():
        raise NotFound(f"There is no backup {path}.")
    beside = manifest_path(path)
    try:
        with beside.open("rb") as file:
            told = json.loads(file.read(MANIFEST_MAX_BYTES))
    except FileNotFoundError:
        raise NotFound(
            f"{beside} is missing: it says what the backup is, and belongs beside it. A dump"
            " without one was never finished, or was copied without it."
        ) from None
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{beside} cannot be read: {error}.") from error
    return _load(told, beside)


def check_sum(path: Path, manifest: Manifest) -> None:
    """Raises InvalidRequest where the dump is not what its manifest says."""
    size = path.stat().st_size
    if size != manifest.size_bytes:
        raise InvalidRequest(
            f"{path} has {size:,} bytes, and had {manifest.size_bytes:,} when it was made: it was"
            " cut off or changed. Take another copy of it."
        )
    if sum_of(path) != manifest.sha256:
        raise InvalidRequest(
            f"{path} is not what it was when it was made: its checksum differs. Take another copy."
        )


def sum_of(path: Path) -> str:
    """Its SHA-256, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def rotate(folder: Path, *, keep_count: int) -> list[Path]:
    """Delete the oldest of the backups that were named by us, so that so many are left; returns
    the dumps that are gone.
    """
    dumps = sorted(one for one in folder.iterdir() if _NAME.fullmatch(one.name))
    gone = dumps[:-keep_count]
    for path in gone:  # the manifest first: without it, it is none
        manifest_path(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return gone


def _load(told: Any, path: Path) -> Manifest:
    try:
        if told["format"] > FORMAT:
            raise InvalidRequest(f"{path} was written by a newer maild. Restore it with that one.")
        values = {one.name: told[one.name] for one in fields(Manifest)}
        values["taken_at"] = datetime.fromisoformat(told["taken_at"])
        manifest = Manifest(**values)
        for name, kind in _KINDS.items():
            if not isinstance(getattr(manifest, name), kind):
                raise TypeError(name)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRequest(f"{path} is no manifest of a backup ({error}).") from error
    return manifest


_KINDS: dict[str, type] = {
    "migrations": list,
    "counts": dict,
    "messages": dict,
    "key_ids": list,
    "size_bytes": int,
    "sha256": str,
    "pg_dump": str,
}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
