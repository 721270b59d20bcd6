"""How fast one worker sends through one SMTP account: a token bucket that gives way to throttling.

Pure: the caller brings the time, in seconds of a monotonic clock.
"""

import math

BURST_SECONDS = 1.0
"""How much of its rate a bucket saves up while nothing is sent."""
SLOWEST_PER_SECOND = 1.0
BACK_OFF = 0.5
"""By what the speed is multiplied when the provider throttles."""
RECOVER_PER_SECOND = 1.1
"""By what a slowed speed grows each second without throttling."""
BACK_OFF_AGAIN_SECONDS = 1.0
"""Throttling within so short a time is one event: what was on its way was sent too fast as well."""
MEASURE_SECONDS = 2.0


class Pace:
    """Tokens for messages. `limit_per_second` is what the account allows us; None is no limit.

    Throttling halves the speed of the moment; each second without lets it grow again, until it is
    twice what it was when the throttling began, or the limit.
    """

    def __init__(self, limit_per_second: float | None, *, now: float) -> None:
        self._limit = limit_per_second
        self._slowed: float | None = None
        self._ceiling = math.inf
        self._tokens = self._burst
        self._filled_at = now
        self._grown_at = now
        self._throttled_at = -math.inf
        self._measured = 0.0
        self._measured_at = now
        self._taken = 0

    @property
    def per_second(self) -> float:
        """The speed that is allowed at the moment; infinite where nothing limits it."""
        return min(self._limit or math.inf, self._slowed or math.inf)

    @property
    def slowed_to(self) -> float | None:
        """Messages a second to which throttling has slowed us; None where it has not."""
        return self._slowed

    def set_limit(self, limit_per_second: float | None, *, now: float) -> None:
        """Another limit from now on."""
        self._fill(now)
        self._limit = limit_per_second
        self._tokens = min(self._tokens, self._burst)

    def available(self, now: float) -> float:
        """How many messages may go at this moment."""
        self._fill(now)
        return self._tokens

    def take(self, now: float) -> bool:
        """Take the token of one message; False where there is none yet."""
        if self._limit is not None or self._slowed is not None:
            self._fill(now)
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
        self._taken += 1
        return True

    def wait_seconds(self, now: float) -> float:
        """How long until the next token; 0 where there is one."""
        self._fill(now)
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / self.per_second

    def measured(self, now: float) -> float:
        """Messages a second that went lately."""
        elapsed = now - self._measured_at
        if elapsed >= MEASURE_SECONDS:
            self._measured, self._measured_at, self._taken = self._taken / elapsed, now, 0
        elif elapsed >= 0.1:
            return max(self._measured, self._taken / elapsed)
        return self._measured

    def throttled(self, now: float) -> bool:
        """The provider said that we are too fast. True where that slowed us down further."""
        if now - self._throttled_at < BACK_OFF_AGAIN_SECONDS:
            return False
        self._throttled_at = now
        self._fill(now)
        before = min(self.per_second, max(self.measured(now), SLOWEST_PER_SECOND / BACK_OFF))
        if self._slowed is None:
            self._ceiling = before * 2.0
        self._slowed = max(before * BACK_OFF, SLOWEST_PER_SECOND)
        self._tokens = min(self._tokens, self._burst)
        self._grown_at = now
        return True

    def _fill(self, now: float) -> None:
        if self._slowed is not None and now - self._grown_at >= 1.0:
            self._slowed *= RECOVER_PER_SECOND ** (now - self._grown_at)
            self._grown_at = now
            if self._slowed >= min(self._ceiling, self._limit or math.inf):
                self._slowed = None
        if math.isinf(self.per_second):
            self._tokens = math.inf
        else:
            elapsed = max(0.0, now - self._filled_at)
            self._tokens = min(self._burst, self._tokens + elapsed * self.per_second)
        self._filled_at = now

    @property
    def _burst(self) -> float:
        return max(1.0, self.per_second * BURST_SECONDS)
