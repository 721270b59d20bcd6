"""A test of two subjects: who is in it, with which one, and which one is better. Pure."""

import hashlib
from dataclasses import dataclass

from maild.domain.campaign import Variant

_SHARES = 10_000


def assign(campaign_id: int, contact_id: int, *, percent: int) -> Variant | None:
    """The subject that a contact gets in the test; None where it is not in it.

    Always the same for the same two, whoever asks and when; different for each campaign, so that
    no contact is always tried upon.
    """
    digest = hashlib.sha256(f"{campaign_id}:{contact_id}".encode()).digest()
    if int.from_bytes(digest[:8]) % _SHARES >= percent * _SHARES // 100:
        return None
    return Variant.A if digest[8] % 2 == 0 else Variant.B


@dataclass(frozen=True, slots=True)
class Tally:
    """How a subject did: whom it reached, and how many of them did what the test counts."""

    reached_count: int
    done_count: int


def choose(a: Tally, b: Tally) -> Variant:
    """The one that more of those it reached have answered to; A where both did alike, or nothing
    is known.
    """
    is_b = b.reached_count > 0 and (
        b.done_count * max(a.reached_count, 1) > a.done_count * b.reached_count
    )
    return Variant.B if is_b else Variant.A
