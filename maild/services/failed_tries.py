"""Failed tries: how often one address may fail to show who it is, whatever it fails at.

Who has failed too often is told to wait, and costs no more than that. A request that does show who
it is counts for nothing, and has to wait only where this process has not seen it before: providers,
mail programs and whole offices share an address with whoever misbehaves there.

This machine itself is not counted: what comes from there has come through a proxy that
TRUSTED_PROXIES does not name, and behind it everybody would be one.
"""

import math
import threading
from collections import OrderedDict
from enum import StrEnum

from maild import allowances
from maild.domain import client_address
from maild.domain.client_address import Address
from maild.errors import TooManyRequests

PER_MINUTE = 60
FAMILIAR_MAX = 10_000

_familiar: OrderedDict[bytes, None] = OrderedDict()
_lock = threading.Lock()


class At(StrEnum):
    """What is failed at; each is counted for itself."""

    API_KEY = "api_key"
    WEBHOOK = "webhook"
    LINK = "link"


def count(at: At, address: Address | None) -> None:
    """Count a failure. Raises TooManyRequests where it was one too many."""
    name = _name(at, address)
    if name is not None:
        stands = allowances.take(name, PER_MINUTE)
        if not stands.is_given:
            raise _too_many(stands.wait_seconds)


def check(at: At, address: Address | None, proof: bytes) -> None:
    """Before something costly is done for a stranger: raises TooManyRequests where the address has
    failed too often, unless this `proof`, the hash of what it shows, has been good of late.
    """
    name = _name(at, address)
    if name is not None and (wait := allowances.wait_seconds(name)) and proof not in _familiar:
        raise _too_many(wait)


def remember(proof: bytes) -> None:
    """What it shows is good. It may be revoked since, so that means no more than to ask again."""
    with _lock:
        _familiar[proof] = None
        _familiar.move_to_end(proof)
        while len(_familiar) > FAMILIAR_MAX:
            _familiar.popitem(last=False)


def _name(at: At, address: Address | None) -> str | None:
    if address is None or address.is_loopback:
        return None
    return f"{at}:{client_address.household(address)}"


def _too_many(wait_seconds: float) -> TooManyRequests:
    return TooManyRequests(
        "Too many requests from this address did not show who they are from. Wait, and mend the"
        " key, the signature or the link.",
        retry_after_seconds=max(1, math.ceil(wait_seconds)),
    )
