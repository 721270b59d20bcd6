"""Two people changed the same policy from the same version: what comes out of both. Pure.

Policies are flat here, a value by each field; lists of domains are tuples. A field that only one of
them changed is theirs. Lists are put together entry by entry, so that they seldom collide.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Merged:
    """A field that one or both have changed. `value` is what comes out of it; where it
    `is_collision`, that is for a person to choose, and `value` is theirs.
    """

    field: str
    base: Any
    theirs: Any
    yours: Any
    value: Any
    is_collision: bool


def merge(
    base: Mapping[str, Any],
    theirs: Mapping[str, Any],
    yours: Mapping[str, Any],
    *,
    lists: Collection[str],
    open_lists: Collection[str],
) -> list[Merged]:
    """Every field in which the three are not the same, in the order of `base`. `lists` are fields
    that hold domains; of `open_lists` an empty one means any domain.
    """
    merged = []
    for field, before in base.items():
        one, other = theirs[field], yours[field]
        if before == one == other:
            continue
        if other in (before, one):
            value, is_collision = one, False
        elif before == one:
            value, is_collision = other, False
        else:
            value, is_collision = one, True
            together = _merge_lists(before, one, other) if field in lists else ()
            # Two who each take something away must not end with a list that lets everything in.
            is_open = field in open_lists and not (one and other and together)
            if field in lists and not is_open:
                value, is_collision = together, False
        merged.append(Merged(field, before, one, other, value, is_collision))
    return merged


def _merge_lists(
    base: Collection[str], theirs: Collection[str], yours: Collection[str]
) -> tuple[str, ...]:
    """What both keep, and what either adds."""
    kept = set(base) & set(theirs) & set(yours)
    added = (set(theirs) | set(yours)) - set(base)
    return tuple(sorted(kept | added))
