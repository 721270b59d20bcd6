"""Jinja filters and globals: times, sizes and badges as people read them.

`static/js/maild.js` keeps the relative times on a page true, in the same words.
"""

from datetime import UTC, datetime

from flask import Flask
from jinja2 import StrictUndefined
from markupsafe import Markup

from maild import clock, config
from maild.domain.states import UNFINISHED, Status
from maild.models import Message
from maild.services import message_log
from maild.web import badges

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_RELATIVE_MAX_SECONDS = 30 * _DAY


def register(app: Flask) -> None:
    """Teach Jinja the words of this module, and to refuse a name that nobody set."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        ago=ago,
        exact=exact,
        minute=minute,
        size=size,
        milliseconds=milliseconds,
        span=span,
        percent=percent,
        trouble=trouble,
    )
    app.jinja_env.globals.update(
        signup_mode=lambda: config.current().signup_mode,
        is_production=lambda: config.current().is_production,
        badge_of=badge_of,
        is_unfinished=is_unfinished,
        cursor_of=message_log.cursor_of,
    )


def ago(at: datetime) -> Markup:
    """A time relative to now, the exact one in UTC on hover."""
    return Markup('<time datetime="{}" title="{}" data-relative>{}</time>').format(
        at.astimezone(UTC).isoformat(), exact(at), relative(at, now=clock.now())
    )


def relative(at: datetime, *, now: datetime) -> str:
    """`just now`, `12 s ago`, `in 4 m`, `3 h ago`, `2 d ago`; the day itself beyond a month."""
    seconds = int((now - at).total_seconds())
    if abs(seconds) > _RELATIVE_MAX_SECONDS:
        return f"{at.astimezone(UTC):%Y-%m-%d}"
    if abs(seconds) < 2:
        return "just now"
    return f"{_coarse(seconds)} ago" if seconds > 0 else f"in {_coarse(-seconds)}"


def exact(at: datetime) -> str:
    """`2025-11-22 18:43:12.345 UTC`."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03} UTC"


def minute(at: datetime) -> str:
    """`2025-11-22 18:43 UTC`: for what nobody needs to know more exactly."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def moment(at: datetime, *, now: datetime) -> str:
    """A time in a sentence, to the minute: `14:05 UTC` today, else `3 Dec 2026 14:05 UTC`."""
    utc = at.astimezone(UTC)
    is_today = utc.date() == now.astimezone(UTC).date()
    return f"{utc:%H:%M} UTC" if is_today else f"{utc.day} {utc:%b %Y %H:%M} UTC"


def size(count: int) -> str:
    """Bytes: `312 B`, `4.7 kB`, `1.2 MB`, `80.1 GB`."""
    if count < 1000:
        return f"{count} B"
    if count < 1_000_000:
        return f"{count / 1000:.1f} kB"
    if count < 1_000_000_000:
        return f"{count / 1_000_000:.1f} MB"
    return f"{count / 1_000_000_000:.1f} GB"


def milliseconds(ms: float) -> str:
    """A short duration: `0.4 ms`, `123 ms`, `1.2 s`."""
    if ms >= 1000:
        return f"{ms / 1000:.1f} s"
    return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def span(seconds: float) -> str:
    """A longer duration, in its two largest units: `9 s`, `4 m 10 s`, `2 h 5 m`, `3 d 4 h`."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, length in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE), ("s", 1)):
        count, left = divmod(left, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def percent(share: float) -> str:
    """A share of 1: `98.2 %`. Never 100 % of what is not all, nor 0 % of what is something."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    if share < 0.001:
        return "under 0.1 %"
    return "over 99.9 %" if share > 0.999 else f"{share * 100:.1f} %"


def trouble(message: Message) -> str | None:
    """Why it is not sent, in a table: what stopped it, or else its last error, which is old news
    once it is delivered.
    """
    if message.status is Status.DELIVERED:
        return None
    if message.status is Status.SUPPRESSED and message.unsubscribe_id is not None:
        return "unsubscribed"
    if message.status is Status.SUPPRESSED and message.suppression_id is not None:
        return "recipient suppressed"
    error: str | None = message.last_error
    return error


def badge_of(message: Message) -> badges.Badge:
    """The badge of a message: its status, with what a time in the future makes of `queued`."""
    return badges.of(message, now=clock.now())


def is_unfinished(message: Message) -> bool:
    """Whether maild still has something to do with it, so that a page should keep looking."""
    return message.status in UNFINISHED


def _coarse(seconds: int) -> str:
    for unit, length in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
