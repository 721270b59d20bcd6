"""What a look at the parts before a start comes to. Pure: the facts are found elsewhere
(`services/preflight`), and judged here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

OLDEST_REDIS = (6, 0)
SKEW_WARN_SECONDS, SKEW_FAIL_SECONDS = 2.0, 30.0
CERTIFICATE_DAYS = 14
DISK_WARN_BYTES, DISK_FAIL_BYTES = 1024**3, 100 * 1024**2
SPARE_CONNECTIONS = 3
"""For a person, a backup and a migration."""


class Level(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    """It starts, and something will go wrong, or could be better."""
    FAIL = "fail"
    """It does not start, or mail would be lost."""
    SKIPPED = "skipped"
    """What it needs is not there; another check says so."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and how to mend it where it is not well."""

    name: str
    level: Level
    found: str
    mend: str = ""

    def told(self) -> dict[str, str]:
        return {key: str(value) for key, value in asdict(self).items()}


def ok(name: str, found: str) -> Finding:
    return Finding(name, Level.OK, found)


def warn(name: str, found: str, mend: str) -> Finding:
    return Finding(name, Level.WARN, found, mend)


def fail(name: str, found: str, mend: str) -> Finding:
    return Finding(name, Level.FAIL, found, mend)


def skipped(name: str, why: str) -> Finding:
    return Finding(name, Level.SKIPPED, why)


def is_fit(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.level is not Level.FAIL for finding in findings)


def of_durability(settings: Mapping[str, str]) -> Finding:
    """Whether what PostgreSQL has confirmed survives a crash; `settings` are those of the server.

    PostgreSQL manual, 19.5.1. `local` and the `remote_` words wait for the disk here as well.
    """
    name = "PostgreSQL: durability"
    off = [
        key
        for key in ("fsync", "full_page_writes", "synchronous_commit")
        if settings.get(key) == "off"
    ]
    if off:
        return fail(
            name,
            f"{' and '.join(off)} off: a crash loses mail that was accepted",
            f"In postgresql.conf: {', '.join(f'{key} = on' for key in off)}. Then reload it.",
        )
    return ok(name, "fsync, full_page_writes and synchronous_commit are on")


def of_connections(*, most: int, others: int, needed: Mapping[str, int]) -> Finding:
    """Whether the server has room for `needed` connections by process, twice: processes overlap
    while they are replaced. `most`: what it lets us have; `others`: what is in use beside maild.
    """
    name = "PostgreSQL: connections"
    free = most - others
    once = sum(needed.values())
    parts = ", ".join(f"{process} {count}" for process, count in needed.items())
    found = (
        f"{free} of {most} free for maild; one process of each kind opens up to {once} ({parts})"
    )
    mend = "Raise max_connections (it needs a restart), or lower POSTGRES_POOL_SIZE."
    if free < once + SPARE_CONNECTIONS:
        return fail(name, found, mend)
    if free < 2 * once + SPARE_CONNECTIONS:
        return warn(name, f"{found}, and twice as many while they are replaced", mend)
    return ok(name, found)


def of_clock(skew_seconds: float) -> Finding:
    """`skew_seconds`: how far PostgreSQL's clock is before that of this machine."""
    name = "Clock"
    away = abs(skew_seconds)
    where = "behind" if skew_seconds > 0 else "ahead of"
    found = f"this machine is {away:.1f} s {where} PostgreSQL"
    mend = "Have both machines take the time from the same place: timedatectl set-ntp true"
    if away > SKEW_FAIL_SECONDS:
        return fail(name, found, mend)
    if away > SKEW_WARN_SECONDS:
        return warn(name, found, mend)
    return ok(name, f"within {max(away, 0.1):.1f} s of PostgreSQL's")


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """What Redis or Valkey says of itself. `version` is that of Redis which it speaks as;
    `has_snapshots` is None where it does not say.
    """

    product: str
    version: tuple[int, ...]
    role: str
    policy: str
    max_bytes: int
    has_log: bool
    has_snapshots: bool | None
    snapshot_failed: bool


def of_redis(facts: RedisFacts) -> list[Finding]:
    """The server, what it evicts, and what it keeps."""
    server = ok("Redis: server", f"{facts.product}, {facts.role}")
    if facts.role != "master":
        server = fail(
            "Redis: server",
            f"{facts.product} is a {facts.role}, and takes no writes",
            "Point REDIS_URL to the primary.",
        )
    elif facts.version < OLDEST_REDIS:
        least = ".".join(map(str, OLDEST_REDIS))
        server = fail("Redis: server", f"{facts.product} is too old", f"Take {least} or newer.")
    return [server, _of_eviction(facts), _of_persistence(facts)]


def _of_eviction(facts: RedisFacts) -> Finding:
    name = "Redis: eviction"
    if facts.policy != "noeviction":
        return fail(
            name,
            f"maxmemory-policy is {facts.policy}: what workers have on the wire may be forgotten",
            "CONFIG SET maxmemory-policy noeviction, and in its configuration file.",
        )
    limit = f"{facts.max_bytes // 1024**2} MiB at most" if facts.max_bytes else "no limit"
    return ok(name, f"noeviction, {limit}")


def _of_persistence(facts: RedisFacts) -> Finding:
    name = "Redis: persistence"
    if facts.has_snapshots and facts.snapshot_failed:
        return warn(
            name,
            "the last snapshot failed; by its defaults it then refuses writes",
            "See its log: the disk may be full.",
        )
    if facts.has_log:
        return ok(name, "an append-only file")
    if facts.has_snapshots:
        return warn(
            name,
            "snapshots only: a crash forgets what workers had on the wire since the last one",
            "CONFIG SET appendonly yes, and in its configuration file.",
        )
    if facts.has_snapshots is None:
        return warn(
            name, "no append-only file, and it does not tell of snapshots", "Ask who runs it."
        )
    return warn(
        name,
        "none: where it ends together with a worker, some mail is of unknown outcome",
        "CONFIG SET appendonly yes, and in its configuration file.",
    )


def of_certificate(name: str, until: datetime, *, now: datetime) -> Finding:
    """`until`: when a certificate that holds ends."""
    days = (until - now).days
    found = f"the certificate holds for {days} days, until {until:%Y-%m-%d}"
    if days < CERTIFICATE_DAYS:
        return warn(name, found, "Renew it, and see why that does not happen by itself.")
    return ok(name, found)


def of_disk(path: str, *, free_bytes: int, total_bytes: int) -> Finding:
    name = f"Disk: {path}"
    found = f"{_size(free_bytes)} of {_size(total_bytes)} free"
    mend = "Make room, or move it to a larger disk."
    if free_bytes < DISK_FAIL_BYTES:
        return fail(name, found, mend)
    if free_bytes < DISK_WARN_BYTES:
        return warn(name, found, mend)
    return ok(name, found)


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"
