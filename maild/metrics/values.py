"""Where the numbers of metrics are kept: in memory, and in files that other processes can read.

A web server has several processes, and a scrape reaches one of them. So each process of a machine
keeps its numbers in files of its own in one folder (METRICS_DIR), and whoever is asked reads all of
them. The format is that of prometheus-client, whose values are chosen when it is imported; ours
begin in memory and move into files when the settings are known.

What an ended process has counted is added up in files of the dead, so that nothing counts backward
and the folder stays small. A folder belongs to one machine, or to one container: it is told by
their process ids who is alive.
"""

import fcntl
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

from prometheus_client import Metric, values
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

DEAD = "ended-0-0"
"""In whose name stands what ended processes have counted."""
_LOCK_FILE = "lock"

_lock = Lock()
_values: list["Value"] = []


class _Place:
    """The files of this process; none before `keep_in`."""

    def __init__(self) -> None:
        self.directory: Path | None = None
        self.identity = ""
        self.files: dict[str, MmapedDict] = {}


_place = _Place()


class Value:
    """One number, as prometheus-client asks for it: of a counter, of a gauge, of a bucket."""

    _multiprocess = True

    def __init__(  # noqa: PLR0917 - as prometheus-client calls it
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: Sequence[str],
        labelvalues: Sequence[str],
        help_text: str,
        multiprocess_mode: str = "",
        **_: object,
    ) -> None:
        self._prefix = f"{typ}_{multiprocess_mode}" if typ == "gauge" else typ
        self._key = mmap_key(metric_name, name, list(labelnames), list(labelvalues), help_text)
        self._number = 0.0
        self._file: MmapedDict | None = None
        with _lock:
            _values.append(self)
            self.attach()

    def attach(self) -> None:
        """Stand in the file of this process, where there is one. The caller has the lock."""
        self._file = None
        if _place.directory is None:
            return
        if self._prefix not in _place.files:
            path = _place.directory / f"{self._prefix}_{_place.identity}.db"
            _place.files[self._prefix] = MmapedDict(str(path))
        self._file = _place.files[self._prefix]
        self._write()

    def _write(self) -> None:
        if self._file is not None:
            self._file.write_value(self._key, self._number, 0.0)

    def inc(self, amount: float) -> None:
        with _lock:
            self._number += amount
            self._write()

    def set(self, value: float, timestamp: float | None = None) -> None:
        with _lock:
            self._number = value
            self._write()

    def get(self) -> float:
        with _lock:
            return self._number

    def set_exemplar(self, exemplar: object) -> None:
        """None are kept."""

    def get_exemplar(self) -> None:
        return None


values.ValueClass = Value


def keep_in(directory: Path, *, name: str) -> None:
    """From now on this process's numbers stand in `directory` too, which is made where it is not
    there. `name` is the kind of process: `web`, `worker`. Raises OSError.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / _LOCK_FILE).touch(mode=0o600)
    with _lock:
        _close_files()
        _place.directory = directory
        _place.identity = f"{name}-{os.getpid()}-{_started(os.getpid())}"
        for value in _values:
            value.attach()


def keep_in_memory() -> None:
    """No files any more, and every number at nothing: for tests."""
    with _lock:
        _close_files()
        _place.directory = None
        for value in _values:
            value._number = 0.0
            value.attach()


def _close_files() -> None:
    for file in _place.files.values():
        file.close()
    _place.files.clear()


def directory() -> Path | None:
    """Where the numbers of this machine's processes stand; None where each has only its own."""
    return _place.directory


def collect(folder: Path) -> Iterable[Metric]:
    """The numbers of all processes that have files in `folder`, added up."""
    with _alone(folder):
        _bury(folder)
        # An empty file has been made just now, and holds nothing yet.
        found = [str(path) for path in folder.glob("*.db") if path.stat().st_size]
        merged: Iterable[Metric] = MultiProcessCollector.merge(found, accumulate=True)
    return merged


def list_processes(folder: Path | None) -> list[tuple[str, int]]:
    """The kind and process id of everybody alive who has files in `folder`; this process alone
    without one.
    """
    if folder is None:
        return [("process", os.getpid())]
    identities = {_identity_of(path) for path in folder.glob("*.db")} - {DEAD}
    alive = sorted(one for one in identities if _is_alive(one))
    return [(one.split("-")[0], int(one.split("-")[1])) for one in alive]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One at a time reads a folder and puts it in order."""
    with (folder / _LOCK_FILE).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _bury(folder: Path) -> None:
    """Add up what ended processes have counted, and take their files away. Their gauges go: what
    they held, nobody holds any more.
    """
    ended: dict[str, list[Path]] = defaultdict(list)
    for path in list(folder.glob("*.db")):
        identity = _identity_of(path)
        if identity != DEAD and not _is_alive(identity):
            ended[path.name.split("_")[0]].append(path)
    for kind, paths in ended.items():
        if kind != "gauge":
            _add_up(folder / f"{kind}_{DEAD}.db", paths)
        for path in paths:
            path.unlink(missing_ok=True)


def _add_up(into: Path, paths: Sequence[Path]) -> None:
    sums: dict[str, float] = defaultdict(float)
    for path in (into, *paths):
        if path.exists() and path.stat().st_size:
            for key, number, _, _ in MmapedDict.read_all_values_from_file(str(path)):
                sums[key] += number
    draft = into.with_suffix(".new")
    draft.unlink(missing_ok=True)
    file = MmapedDict(str(draft))
    for key, number in sums.items():
        file.write_value(key, number, 0.0)
    file.close()
    draft.replace(into)


def _identity_of(path: Path) -> str:
    return path.stem.split("_")[-1]


def _is_alive(identity: str) -> bool:
    """Whether that very process runs: a later one may have its number."""
    _, pid, started = identity.split("-")
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so not ours
        return False
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    """When a process began, in ticks since the machine did; 0 where the system does not tell."""
    with suppress(OSError, IndexError):
        return stat_fields(pid)[19]
    return "0"


def stat_fields(pid: int) -> list[str]:
    """What Linux tells of a process, from its state on (proc(5), /proc/pid/stat).

    Raises OSError.
    """
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2 :].split()


def add_observations(histogram: Any, numbers: Sequence[float], places: Iterable[int]) -> None:
    """Put `numbers` into a histogram at once; `places` are the buckets of each."""
    counts: dict[int, int] = defaultdict(int)
    for place in places:
        counts[place] += 1
    for place, count in counts.items():
        histogram._buckets[place].inc(count)
    histogram._sum.inc(sum(numbers))
