"""What a soak measures of a running rig, every few seconds: processes, PostgreSQL, Redis."""

import contextlib
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import psutil

from tests.crash.rig import Part, Rig
from tests.crash.soak_verdict import LOAD

MIB = 1024 * 1024
_TABLES = """
SELECT c.relname, pg_total_relation_size(c.oid), coalesce(s.n_dead_tup, 0)
FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
"""
_DATABASE = """
SELECT pg_database_size(current_database()), (
    SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND application_name LIKE 'maild %%')
"""
_DUE = "SELECT count(*) FROM messages WHERE status = 'queued' AND next_attempt_at <= now()"


class Samples:
    """Series by name, each of (seconds since the start, value)."""

    def __init__(self, rig: Rig) -> None:
        self.series: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        self._rig = rig
        self._begun_at = time.monotonic()
        self._taken_at = 0.0

    def cpu_seconds(self) -> dict[str, float]:
        """What each kind of process has used since it was started; `load` is this one."""
        used: Counter[str] = Counter()
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                used[self._kind(process)] += times.user + times.system
        own = psutil.Process().cpu_times()
        return {**used, "load": own.user + own.system}

    def _kind(self, process: psutil.Process) -> str:
        known = {
            part.pid: part.name.partition("-")[0]
            for part in (self._rig.web, self._rig.sink.part, *self._rig.workers)
        }
        known |= {part.pid: "scheduler" for part in self._rig.schedulers}
        if process.ppid() in known or process.pid in known:
            return known.get(process.pid) or known[process.ppid()]
        return process.name()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun_at

    def take(self, latencies: Sequence[float]) -> str:
        """Measure once; `latencies` are those since the last time. Returns a line that tells."""
        at, rig = self.seconds, self._rig
        found: dict[str, float] = {LOAD: len(latencies) / (at - self._taken_at)}
        self._taken_at = at
        for part in (rig.web, *rig.workers, *rig.schedulers):
            found |= _measure_part(part)
        dead = 0
        for table, size, dead_rows in rig.query(_TABLES):
            found[f"table {table}"] = size / MIB
            dead += dead_rows
        [(size, connections)] = rig.query(_DATABASE)
        [(due,)] = rig.query(_DUE)
        with rig.redis() as client:
            memory = client.info("memory")["used_memory"]
            found |= {"redis keys": client.dbsize(), "redis MiB": memory / MIB}
        found |= {
            "dead rows": dead,
            "database MiB": size / MIB,
            "connections": connections,
            "queue due": due,
        }
        if len(latencies) >= 2:
            cuts = statistics.quantiles(latencies, n=100)
            found |= {
                "p50 of accepting, ms": 1000 * cuts[49],
                "p99 of accepting, ms": 1000 * cuts[98],
            }
        for name, value in found.items():
            self.series[name].append((at, value))
        rss = sum(value for name, value in found.items() if name.startswith("rss"))
        return (
            f"{at:6.0f} s  {len(latencies):6} accepted  rss {rss:6.0f} MiB  database"
            f" {size / MIB:6.0f} MiB  dead {dead:7}  due {due:5}"
            f"  p99 {found.get('p99 of accepting, ms', 0):5.0f} ms"
        )


def _measure_part(part: Part) -> dict[str, float]:
    """Of a process and those that it has started."""
    first = psutil.Process(part.pid)
    processes = [first, *first.children(recursive=True)]
    return {
        f"rss {part.name}, MiB": sum(p.memory_info().rss for p in processes) / MIB,
        f"fds {part.name}": sum(p.num_fds() for p in processes),
        f"threads {part.name}": sum(p.num_threads() for p in processes),
    }
