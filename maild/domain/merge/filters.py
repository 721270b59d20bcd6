"""The filters of merge fields: what may be done to a value on its way into a mail. Pure.

Each takes a value and its arguments, and raises Unfit for what it can do nothing with. Whatever
they are given, they make no text of more than VALUE_MAX_CHARS characters.
"""

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

VALUE_MAX_CHARS = 100_000
NUMBER_MAX = 1e15
DATE_FORMAT_MAX_CHARS = 100
LINK_SCHEMES = frozenset({"http", "https", "mailto", "tel", "sms"})
"""What a link may begin with that data has filled in."""

_SCHEME = re.compile(r"([^/?#:]*):")
_NO_STYLE = re.compile(r"[^\w #%.,-]")
_DATE_PARTS = re.compile(r"%(-?)([a-zA-Z%])")
_DATE_LETTERS = frozenset("aAbBdHIjmMpSyY%")


class Unfit(ValueError):
    """A filter was given what it can do nothing with."""


class Filter(NamedTuple):
    """A function of a value and of `least` to `most` arguments."""

    apply: Callable[..., Any]
    least: int = 0
    most: int = 0


def to_text(value: Any) -> str:
    """A value as a mail shows it. Raises Unfit for an object, and what is made of objects."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number_text(value)
    if isinstance(value, int):
        return str(value) if abs(value) < NUMBER_MAX else _number_text(_as_float(value))
    if isinstance(value, list):
        return _join(value)
    raise Unfit


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:  # JSON sets numbers no bounds
        raise Unfit from None


def _number_text(value: float) -> str:
    if not math.isfinite(value):
        raise Unfit
    return str(int(value)) if value.is_integer() and abs(value) < NUMBER_MAX else repr(value)


def _fits(text: str) -> str:
    if len(text) > VALUE_MAX_CHARS:
        raise Unfit
    return text


def _join(value: Any, between: Any = ", ") -> str:
    if not isinstance(value, list):
        return to_text(value)
    if any(isinstance(item, list | dict) for item in value):
        raise Unfit
    texts = ["" if item is None else to_text(item) for item in value]
    separator = to_text(between)
    _check_room(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _check_room(chars: int) -> None:
    if chars > VALUE_MAX_CHARS:
        raise Unfit


def _number(value: Any) -> float | int:
    if isinstance(value, bool):
        raise Unfit
    if isinstance(value, str):
        text = value.strip()
        if not re.fullmatch(r"[+-]?\d{1,15}(\.\d{1,15})?", text, re.ASCII):
            raise Unfit
        value = float(text) if "." in text else int(text)
    if not isinstance(value, int | float) or not abs(value) <= NUMBER_MAX:
        raise Unfit
    return value


def _calculated(value: float | int) -> float | int:
    if not abs(value) <= NUMBER_MAX:
        raise Unfit
    # What 0.1 + 0.2 is to a person.
    return round(value, 10) if isinstance(value, float) else value


def _divide(value: Any, by: Any) -> float | int:
    divisor = _number(by)
    if divisor == 0:
        raise Unfit
    divided = _number(value) / divisor
    return int(divided) if divided.is_integer() else _calculated(divided)


def _round(value: Any, digits: Any = 0) -> str:
    """With as many digits as were asked for, so that a price is 3.50."""
    places = int(_number(digits))
    if not 0 <= places <= 10:
        raise Unfit
    return f"{_number(value):.{places}f}"


def _replace(value: Any, old: Any, new: Any) -> str:
    text, before, after = to_text(value), to_text(old), to_text(new)
    if not before:
        return text
    _check_room(len(text) + text.count(before) * len(after))
    return text.replace(before, after)


def _truncate(value: Any, length: Any, end: Any = "…") -> str:
    text, most, tail = to_text(value), int(_number(length)), to_text(end)
    return text if len(text) <= most else text[: max(most - len(tail), 0)] + tail


def _capitalize(value: Any) -> str:
    text = to_text(value)
    return text[:1].upper() + text[1:]


def _date(value: Any, layout: Any) -> str:
    """A day or time of ISO 8601, as `layout` says in the letters of strftime."""
    text = to_text(layout)
    if len(text) > DATE_FORMAT_MAX_CHARS:
        raise Unfit
    try:
        day: date = datetime.fromisoformat(to_text(value).strip())
    except ValueError:
        raise Unfit from None

    def write(part: re.Match[str]) -> str:
        if part[2] not in _DATE_LETTERS:
            raise Unfit
        if part[2] == "Y":  # strftime leaves its zeros out, or not, as the platform likes
            return f"{day.year:04}"
        written = day.strftime(f"%{part[2]}")
        return written.lstrip("0") or "0" if part[1] else written

    return _DATE_PARTS.sub(write, text)


def _first(value: Any) -> Any:
    return _pick(value, 0)


def _last(value: Any) -> Any:
    return _pick(value, -1)


def _pick(value: Any, place: int) -> Any:
    if not isinstance(value, list) or not value:
        raise Unfit
    return value[place]


def _size(value: Any) -> int:
    if isinstance(value, str | list | dict):
        return len(value)
    raise Unfit


def link(value: Any) -> str:
    """A link that does nothing but lead somewhere: `#` in place of one that would run something.
    Browsers skip spaces and control characters in a scheme, so they are not looked at.
    """
    text = to_text(value)
    scheme = _SCHEME.match(re.sub(r"[\x00-\x20]", "", text))
    if scheme is not None and scheme[1].lower() not in LINK_SCHEMES:
        return "#"
    return text


def style(value: Any) -> str:
    """What may stand in a style as one value: nothing that ends it, and no `url(...)`."""
    return _NO_STYLE.sub("", to_text(value))[:200]


FILTERS = {
    "append": Filter(lambda value, end: _fits(to_text(value) + to_text(end)), 1, 1),
    "capitalize": Filter(_capitalize),
    "date": Filter(_date, 1, 1),
    "divided_by": Filter(_divide, 1, 1),
    "downcase": Filter(lambda value: to_text(value).lower()),
    "first": Filter(_first),
    "join": Filter(_join, 0, 1),
    "last": Filter(_last),
    "link": Filter(link),
    "minus": Filter(lambda value, by: _calculated(_number(value) - _number(by)), 1, 1),
    "plus": Filter(lambda value, by: _calculated(_number(value) + _number(by)), 1, 1),
    "prepend": Filter(lambda value, start: _fits(to_text(start) + to_text(value)), 1, 1),
    "replace": Filter(_replace, 2, 2),
    "round": Filter(_round, 0, 1),
    "size": Filter(_size),
    "strip": Filter(lambda value: to_text(value).strip()),
    "style": Filter(style),
    "times": Filter(lambda value, by: _calculated(_number(value) * _number(by)), 1, 1),
    "truncate": Filter(_truncate, 1, 2),
    "upcase": Filter(lambda value: _fits(to_text(value).upper())),
    "url_encode": Filter(lambda value: _fits(quote(to_text(value), safe="", errors="replace"))),
}
DEFAULT = "default"
"""Not among them: it alone takes what is missing."""
