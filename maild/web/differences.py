"""What an entry of the audit log changed, in words: each field before and after."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maild.web import filters

TEXT_MAX_CHARS = 200
LISTED_MAX = 5
"""So much is shown of a long value; an entry is there as it is stored as well."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field. `before` and `after` are None where it was not there."""

    name: str
    before: str | None
    after: str | None


def tell(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Difference]:
    """The fields that are not the same, those of `before` first. One inside of another is named
    with the way there: `limits, per hour`.
    """
    old, new = dict(_leaves(before or {})), dict(_leaves(after or {}))
    return [
        Difference(name, _find(old, name), _find(new, name))
        for name in {**old, **new}
        # Not by their values: to Python 1 and true are the same.
        if name not in old or name not in new or repr(old[name]) != repr(new[name])
    ]


def _find(leaves: Mapping[str, Any], name: str) -> str | None:
    return _say(leaves[name]) if name in leaves else None


def _leaves(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Each field that has no fields of its own, by its name."""
    for key, inner in value.items():
        name = f"{above}, {_name(key)}" if above else _name(key)
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, name)
        else:
            yield name, inner


def _name(key: str) -> str:
    return key.replace("_", " ")


def _say(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return _time(value) or _shorten(value) or "empty"
    if isinstance(value, Mapping):
        return ", ".join(f"{_name(key)} {_say(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, Sequence):
        return _list(value)
    return str(value)


def _list(values: Sequence[Any]) -> str:
    shown = ", ".join(map(_say, values[:LISTED_MAX]))
    more = len(values) - LISTED_MAX
    return f"{shown} and {more} more" if more > 0 else shown or "none"


def _shorten(text: str) -> str:
    return text if len(text) <= TEXT_MAX_CHARS else f"{text[:TEXT_MAX_CHARS]}…"


def _time(text: str) -> str | None:
    """As the rest of a page writes times; None for what is none."""
    if not _TIME.fullmatch(text):
        return None
    try:
        return filters.exact(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None
