"""What a scrape of /metrics is answered: who may, and all numbers as text.

The database is asked on threads of their own, which nobody waits for longer than WAIT_SECONDS in
all: a scrape answers while Postgres hangs, and says so. Whether it answers is asked apart from what
is read, which may take longer. What was read is good for FRESH_SECONDS, however many scrape.
"""

import hmac
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from maild import __version__, config, db, log, metrics, queue
from maild.domain.client_address import Address
from maild.errors import ConfigError, NotFound, Unauthenticated, Unavailable
from maild.metrics import values
from maild.services import metric_readings
from maild.services.metric_readings import Sample
from maild.transports import metrics_server

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATH = "/metrics"
FRESH_SECONDS = 5.0
STALE_SECONDS = 60.0
"""What is older is not told any more."""
WAIT_SECONDS = 3.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

logger = log.get(__name__)

T = TypeVar("T")


def start(settings: config.Settings, name: str) -> None:
    """Keep this process's numbers where METRICS_DIR says. `name` is its kind: `web`, `worker`,
    `scheduler`. Raises ConfigError.
    """
    _own.name = name
    folder = settings.metrics.directory
    if folder is None:
        return
    try:
        metrics.keep_in(folder, name=name)
    except OSError as error:
        raise ConfigError(
            f"METRICS_DIR: {folder} cannot be written: {error.strerror}. Choose a folder that"
            " belongs to maild, or leave it out."
        ) from None


def serve(settings: config.Settings, until: threading.Event) -> None:
    """Answer scrapes at METRICS_ADDR, where there is one, until the event; on threads of its own.

    Of several processes with the same address one answers, for all of them where they share a
    METRICS_DIR; when it ends, another takes over.
    """
    if settings.metrics.addr is not None:
        metrics_server.serve(settings.metrics.addr, answer, until=until)


def answer(path: str, authorization: str, client: Address | None) -> tuple[int, str, bytes]:
    """What a request is answered: status, media type, body."""
    plain = "text/plain; charset=utf-8"
    try:
        if path != PATH:
            raise NotFound("There is no such page.")
        _require_access(authorization, client)
    except (NotFound, Unauthenticated) as error:
        return error.status, plain, f"{error.detail}\n".encode()
    return 200, CONTENT_TYPE, render()


def _require_access(authorization: str, client: Address | None) -> None:
    """Let in who has METRICS_TOKEN as bearer. Where there is none, /metrics is not there; but in
    development for this machine itself.

    Raises NotFound, Unauthenticated.
    """
    settings = config.current()
    token = settings.metrics.token
    if token:
        scheme, _, given = authorization.partition(" ")
        is_right = hmac.compare_digest(given.strip().encode(), token.encode())
        if scheme.lower() != "bearer" or not is_right:
            raise Unauthenticated("Send METRICS_TOKEN as Authorization: Bearer.")
    elif settings.is_production or client is None or not client.is_loopback:
        raise NotFound("There is no such page.")


def render() -> bytes:
    """All numbers, in the text format of Prometheus."""
    return generate_latest(_registry)


class _Reader(Generic[T]):
    """Reads something on a thread, one at a time, and remembers it for a moment."""

    def __init__(self, name: str, read: Callable[[], T]) -> None:
        self._name = name
        self._read = read
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._latest: tuple[float, T] | None = None

    def begin(self) -> threading.Thread | None:
        """The thread that reads, begun now if need be; None where what is known is fresh."""
        with self._lock:
            if self._latest is not None and self._age() <= FRESH_SECONDS:
                return None
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            return self._thread

    def has_read(self, thread: threading.Thread | None) -> bool:
        """Whether what `begin` returned has come to something, and not only to its time's end."""
        return thread is None or (not thread.is_alive() and self.latest()[0] is not None)

    def latest(self) -> tuple[T | None, float]:
        """What is known and how many seconds old it is; None where that is nothing, or stale."""
        with self._lock:
            if self._latest is None or self._age() > STALE_SECONDS:
                return None, 0.0
            return self._latest[1], self._age()

    def forget(self) -> None:
        with self._lock:
            self._latest = None

    def _age(self) -> float:
        assert self._latest is not None
        return time.monotonic() - self._latest[0]

    def _run(self) -> None:
        try:
            latest = time.monotonic(), self._read()
        except Unavailable as error:
            logger.warning("metrics.not_read", reading=self._name, detail=error.detail)
            self.forget()
        except Exception:
            logger.exception("metrics.crashed", reading=self._name)
            self.forget()
        else:
            with self._lock:
                self._latest = latest


def _wait(threads: Iterable[threading.Thread | None]) -> None:
    """Until all of them have ended; WAIT_SECONDS at most for all together."""
    deadline = time.monotonic() + WAIT_SECONDS
    for thread in threads:
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))


def _ping_redis() -> bool:
    queue.check()
    return True


def _ping_database() -> bool:
    with db.connection():
        db.database.execute_sql("SELECT 1")
    return True


_pulse = _Reader("pulse", _ping_database)
_database = _Reader("database", metric_readings.read)
_redis = _Reader("redis", _ping_redis)


def forget() -> None:
    """Know nothing any more: for a database that was emptied."""
    for reader in (_pulse, _database, _redis):
        reader.forget()


@dataclass(slots=True)
class _Own:
    """What this process is called."""

    name: str = "process"


_own = _Own()


class _Everything(Collector):
    """What is counted here, or by all processes of this machine, and what is read."""

    def collect(self) -> Iterator[Metric]:
        folder = values.directory()
        yield from metrics.REGISTRY.collect() if folder is None else values.collect(folder)
        yield from _families(_read_all(folder))


def _read_all(folder: Path | None) -> list[Sample]:
    found: list[Sample] = [("maild_build_info", {"version": __version__}, 1.0)]
    pulse, reading, redis = _pulse.begin(), _database.begin(), _redis.begin()
    _wait([pulse, reading, redis])
    found.append(("maild_database_up", {}, float(_pulse.has_read(pulse))))
    read, age = _database.latest()
    if read is not None:
        found += [("maild_reading_age_seconds", {}, age), *read]
    found.append(("maild_redis_up", {}, float(_redis.has_read(redis))))
    for kind, pid in values.list_processes(folder):
        name = _own.name if folder is None else kind
        found += _describe_process({"process": name, "pid": str(pid)}, pid)
    return found


def _describe_process(labels: dict[str, str], pid: int) -> list[Sample]:
    """Nothing of one that has just ended, or where the system has no /proc."""
    try:
        fields = values.stat_fields(pid)
        files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except (OSError, ValueError):
        return []
    cpu_seconds = (int(fields[11]) + int(fields[12])) / _TICKS  # utime and stime, proc(5)
    return [
        ("maild_process_resident_bytes", labels, int(fields[21]) * _PAGE_BYTES),
        ("maild_process_cpu_seconds_total", labels, cpu_seconds),
        ("maild_process_threads", labels, int(fields[17])),
        ("maild_process_open_fds", labels, files),
    ]


def _families(samples: Iterable[Sample]) -> Iterator[Metric]:
    """The samples by their metrics, in the order of `metrics.READINGS`."""
    grouped: dict[str, list[Sample]] = {name: [] for name in metrics.READINGS}
    for sample in samples:
        grouped[sample[0]].append(sample)
    for name, group in grouped.items():
        if group:
            words = metrics.READINGS[name].words
            is_counter = name.endswith("_total")
            family: Metric = (CounterMetricFamily if is_counter else GaugeMetricFamily)(name, words)
            for _, labels, value in group:
                family.add_sample(name, labels, value)
            yield family


_registry = CollectorRegistry()
_registry.register(_Everything())
