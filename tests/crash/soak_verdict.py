"""The verdict of a soak: whether what was measured over an hour stayed flat.

Each series is looked at after a warm-up, in which caches, pools and heaps grow to the size that
they keep. Its slope is that of Theil and Sen, the median of the slopes between all pairs of
samples: a vacuum, a job or a pause of the machine moves it little, growth that goes on moves it
fully. What it comes to over the time that was measured must be within a tolerance: a share of the
level, or a fixed amount where that is more.

What is kept for a while is as much as comes in it. So where the load rose meanwhile, because the
machine had more time for it, what follows the load may have risen by the same share. Latencies are
told, and not judged: they say what else the machine did. Pure.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SAMPLES_MIN = 5
PAIRS_MAX_SAMPLES = 300
"""More samples are thinned out: the pairs grow with the square."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much a series may grow while it is measured: a share of its level, or `least`."""

    share: float
    least: float
    why: str
    follows_load: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """`growth` is what the slope comes to over the whole time; `level` the median at its start."""

    name: str
    level: float
    last: float
    highest: float
    growth: float
    allowed: float
    is_flat: bool


TOLERANCES: dict[str, Tolerance] = {
    "rss": Tolerance(0.06, 8.0, "MiB; 8 MiB are 25 bytes a message at 120 a second for 50 min"),
    "fds": Tolerance(0.10, 6.0, "pools breathe by a few connections"),
    "threads": Tolerance(0.10, 3.0, "web threads come and go"),
    "connections": Tolerance(0.10, 6.0, "of PostgreSQL, without those of the harness"),
    "redis keys": Tolerance(0.20, 20.0, "marks come and go with messages"),
    "redis MiB": Tolerance(0.10, 1.0, "buffers of clients"),
    "table": Tolerance(0.15, 3.0, "MiB; dead rows wait for the next vacuum", follows_load=True),
    "database": Tolerance(0.10, 12.0, "MiB; with indexes and catalogs", follows_load=True),
    "dead rows": Tolerance(0.30, 20_000.0, "between two vacuums", follows_load=True),
    "queue": Tolerance(1.00, 200.0, "due messages that wait at one moment"),
}
"""By the first words of a series' name."""
LOAD = "accepted a second"
TOLD = (LOAD, "p50 of accepting, ms", "p99 of accepting, ms")
"""Series that are not judged."""


def judge(series: Mapping[str, Sequence[tuple[float, float]]], *, warm_up: float) -> list[Verdict]:
    """A verdict for each series of (seconds, value), of what comes after `warm_up` seconds. Raises
    ValueError where too little was measured to say anything.
    """
    counted = {
        name: [(at, value) for at, value in samples if at >= warm_up]
        for name, samples in sorted(series.items())
    }
    for name, samples in counted.items():
        if len(samples) < SAMPLES_MIN:
            raise ValueError(f"{name} has {len(samples)} samples after the warm-up: too few")
    load_rise = _rise(counted[LOAD]) if LOAD in counted else 0.0
    return [_judge(name, samples, load_rise) for name, samples in counted.items()]


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """The median slope between all pairs, a second."""
    step = -(-len(samples) // PAIRS_MAX_SAMPLES)
    thin = samples[::step]
    slopes = [
        (b - a) / (t - s)
        for number, (s, a) in enumerate(thin)
        for t, b in thin[number + 1 :]
        if t > s
    ]
    return statistics.median(slopes)


def _judge(name: str, samples: Sequence[tuple[float, float]], load_rise: float) -> Verdict:
    values = [value for _, value in samples]
    level, last = _ends(values)
    growth = _growth(samples)
    if name in TOLD:
        allowed = float("inf")
    else:
        tolerance = find_tolerance(name)
        allowed = max(tolerance.share * level, tolerance.least)
        allowed += level * load_rise * tolerance.follows_load
    return Verdict(name, level, last, max(values), growth, allowed, growth <= allowed)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """The medians of the first and of the last tenth."""
    part = max(3, len(values) // 10)
    return statistics.median(values[:part]), statistics.median(values[-part:])


def _growth(samples: Sequence[tuple[float, float]]) -> float:
    return slope(samples) * (samples[-1][0] - samples[0][0])


def _rise(samples: Sequence[tuple[float, float]]) -> float:
    """By which share a series was above its beginning for a tenth of the time; 0 where it was not.
    Tables keep the size that they once had.
    """
    values = [value for _, value in samples]
    part = max(3, len(values) // 10)
    means = [statistics.mean(values[n : n + part]) for n in range(len(values) - part + 1)]
    return max(means) / means[0] - 1 if means[0] else 0.0


def find_tolerance(name: str) -> Tolerance:
    """Raises KeyError: a series that nobody judges proves nothing."""
    for start, tolerance in TOLERANCES.items():
        if name.startswith(start):
            return tolerance
    raise KeyError(name)
