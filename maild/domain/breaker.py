"""A provider's circuit breaker: when it opens, how long, and when it trusts again. Pure.

closed --(faults)--> open --(retry_at)--> half_open --(enough passed)--> closed
                       ^                      |
                       +------(a fault)-------+
"""

from enum import StrEnum


class State(StrEnum):
    """Whether an SMTP account is used."""

    CLOSED = "closed"
    """It works; all mail may go through it."""
    OPEN = "open"
    """It does not; nothing goes through it until its time to be tried again."""
    HALF_OPEN = "half_open"
    """One worker lets a trickle through, to see."""


FIRST_WAIT_SECONDS = 15.0
LAST_WAIT_SECONDS = 300.0
CANARY_MESSAGES = 5
"""How many tries must pass in a row before all mail goes through an account again."""


def should_open(*, try_count: int, fault_count: int, min_faults: int, fault_percent: int) -> bool:
    """Whether these counts of the last minute open a closed breaker."""
    return fault_count >= min_faults and fault_count * 100 >= try_count * fault_percent


def wait_seconds(open_count: int) -> float:
    """How long it stays open when it opened for the `open_count`th time in a row (1 is the
    first).
    """
    if open_count < 1:
        raise ValueError("openings are counted from 1")
    return min(FIRST_WAIT_SECONDS * 2.0 ** min(open_count - 1, 16), LAST_WAIT_SECONDS)
