"""Durations as people type them: `3 d`, `36 hours`, `1 d 12 h`. Pure."""

import re

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_NAMES = {
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
}
_PART = re.compile(r"\s*(\d{1,9})\s*([a-z]+)\s*", re.ASCII)


def parse(text: str) -> int:
    """Seconds. Raises ValueError with a sentence for the person who typed it."""
    rest = text.strip().lower().replace(",", " ")
    seconds, place, seen = 0, 0, set[str]()
    while place < len(rest):
        part = _PART.match(rest, place)
        unit = _NAMES.get(part[2]) if part else None
        if part is None or unit is None or unit in seen:
            raise ValueError("must be a duration such as 90 m, 36 h, 3 d or 1 d 12 h")
        seen.add(unit)
        seconds += int(part[1]) * _UNITS[unit]
        place = part.end()
    if not seen:
        raise ValueError("is needed: a duration such as 36 h or 3 d")
    return seconds


def write(seconds: int) -> str:
    """`3 d`, `1 d 12 h`, `90 s` as `1 m 30 s`: exactly, so that `parse` reads the same again."""
    parts = []
    for unit, length in _UNITS.items():
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"
