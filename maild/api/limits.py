"""How many requests a minute an API key may make, told with every answer.

Not the limits of a policy, which are of messages an hour (`services/acceptance`). Instance keys
have none: they belong to whoever runs maild. The headers are those of
draft-ietf-httpapi-ratelimit-headers-10, 3 and 4; those of the policy are of an older form, with
other names.
"""

import math

from flask import Response, g

from maild import allowances, config
from maild.allowances import WINDOW_SECONDS
from maild.api.auth import Caller
from maild.errors import TooManyRequests


def take(caller: Caller) -> None:
    """Count the present request. Raises TooManyRequests."""
    per_minute = caller.requests_per_minute
    if caller.key_id is None or per_minute == 0:
        return
    if per_minute is None:
        per_minute = config.current().api_requests_per_minute
        if not per_minute:
            return
    stands = g.allowance = allowances.take(f"key:{caller.key_id}", per_minute)
    if not stands.is_given:
        raise TooManyRequests(
            f"This API key makes more than {per_minute} requests a minute. Wait, or put more into"
            " each: a batch takes 500 messages.",
            retry_after_seconds=max(1, math.ceil(stands.wait_seconds)),
        )


def tell(response: Response) -> None:
    """Add how the key's limit stands, where it has one."""
    stands = g.get("allowance")
    if stands is None:
        return
    response.headers["RateLimit-Policy"] = f'"key";q={stands.per_minute};w={WINDOW_SECONDS}'
    reset = math.ceil(stands.reset_seconds)
    response.headers["RateLimit"] = f'"key";r={stands.remaining};t={reset}'
