"""When a deferred message is tried again: the ladder of waits, with jitter. Pure."""

from collections.abc import Callable, Sequence

JITTER = 0.2
"""Each wait is moved by up to this share either way, so that a backlog does not come back as one
wave.
"""


def delay_seconds(
    attempt_no: int, ladder: Sequence[int], *, jitter: Callable[[float, float], float]
) -> float:
    """Seconds to wait after attempt `attempt_no` (1 is the first) was deferred.

    `ladder` holds the waits in seconds; attempts past its end repeat the last rung. `jitter(low,
    high)` draws from a range, as `random.uniform` does. RFC 5321 4.5.4.1 asks for at least 30
    minutes between tries of a queue in general, but for quick ones at the beginning.
    """
    if attempt_no < 1:
        raise ValueError("attempts are counted from 1")
    wait = ladder[min(attempt_no, len(ladder)) - 1]
    return wait * jitter(1 - JITTER, 1 + JITTER)
