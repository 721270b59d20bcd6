"""When a deferred message is tried again: the ladder of waits, with jitter. Pure."""

from collections.abc import Callable, Sequence

JITTER = 0.2
"""Each wait is moved by up to this share either way, so that a backlog does not come back as one
wave.
"""
EXCUSED_FIRST_SECONDS = 2.0
EXCUSED_LAST_SECONDS = 300.0

Jitter = Callable[[float, float], float]
"""`jitter(low, high)` draws from a range, as `random.uniform` does."""


def delay_seconds(attempt_no: int, ladder: Sequence[int], *, jitter: Jitter) -> float:
    """Seconds to wait after the `attempt_no`th attempt that counts (1 is the first) was deferred.

    `ladder` holds the waits in seconds; attempts past its end repeat the last rung. RFC 5321
    4.5.4.1 asks for at least 30 minutes between tries of a queue in general, but for quick ones at
    the beginning.
    """
    if attempt_no < 1:
        raise ValueError("attempts are counted from 1")
    wait = ladder[min(attempt_no, len(ladder)) - 1]
    return wait * jitter(1 - JITTER, 1 + JITTER)


def excused_delay_seconds(excused_count: int, *, jitter: Jitter) -> float:
    """Seconds to wait after the provider, not the message, was at fault for the
    `excused_count`th time.

    Short at first: the breaker, or another provider, will see to it soon. Then longer, for a
    message that only looks innocent.
    """
    wait = EXCUSED_FIRST_SECONDS * 2.0 ** min(max(excused_count - 1, 0), 16)
    return min(wait, EXCUSED_LAST_SECONDS) * jitter(1 - JITTER, 1 + JITTER)
