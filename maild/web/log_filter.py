"""The log's filter bar: from the query string to a Filter, or to what is wrong with each field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from werkzeug.datastructures import MultiDict

from maild.domain import submission
from maild.domain.states import Status, Stream
from maild.services import addresses
from maild.services.message_log import Filter
from maild.web import filter_form

MORE_FIELDS = (
    "to_email",
    "from_email",
    "subject",
    "tag",
    "error_class",
    "smtp_account",
    "since",
    "until",
)
"""Fields that the bar keeps under "More filters"."""

FIELDS = ("q", "status", "stream", "range", *MORE_FIELDS, "restore")

RANGES = {
    "15m": ("Last 15 minutes", timedelta(minutes=15)),
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
}
"""The time ranges one can pick: what the URL says, what the page says, how far back it goes."""

CHOICES = {
    "statuses": [(status.value, status.value) for status in Status],
    "streams": [(stream.value, stream.value) for stream in Stream],
    "ranges": [(key, label) for key, (label, _) in RANGES.items()],
}
"""For each choice of the bar's template, the values and their words."""

_LABELS = {
    "q": "Search",
    "status": "Status",
    "stream": "Stream",
    "range": "Time",
    "to_email": "Recipient",
    "from_email": "Sender",
    "subject": "Subject",
    "tag": "Tag",
    "error_class": "Error class",
    "smtp_account": "SMTP account",
    "since": "Since",
    "until": "Until",
    "restore": "Restore",
}
_TEXT_MAX_CHARS = 320
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_SERIAL_MAX = 2**31 - 1
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

E = TypeVar("E", Status, Stream)


@dataclass(frozen=True, slots=True)
class Chip:
    """A part of the filter that is in use, in words; `query` asks for the same without it."""

    label: str
    value: str
    query: str


class FilterForm(filter_form.FilterForm[Filter]):
    """That of the log, part of which is folded away."""

    @property
    def has_details(self) -> bool:
        """Whether a field is in use that would be hidden while "More filters" is closed."""
        return any(self.values[name] for name in MORE_FIELDS)


def chips(form: FilterForm) -> list[Chip]:
    """What the filter asks for, part by part."""
    return [
        Chip(_LABELS[name], _say(name, value), form.query(**{name: ""}))
        for name, value in form.values.items()
        if value
    ]


def say(form: FilterForm) -> str:
    """All of the filter in a line: `status failed, last 24 hours`; empty where nothing is asked."""
    parts = [
        RANGES[value][0].lower()
        if name == "range" and value in RANGES
        else f"{_LABELS[name].lower()} {value}"
        for name, value in form.values.items()
        if value
    ]
    return ", ".join(parts)


def _say(name: str, value: str) -> str:
    if name == "range" and value in RANGES:
        return RANGES[value][0]
    return f"{value.replace('T', ' ')} UTC" if name in {"since", "until"} else value


def read(args: "MultiDict[str, str]", *, now: datetime) -> FilterForm:
    """The filter in a query string. A value that makes no sense is an error, and never ignored."""
    values = {name: args.get(name, "").strip() for name in FIELDS}
    reader = _Reader(values)
    for name in FIELDS:
        if len(args.getlist(name)) > 1:
            reader.errors[name] = "is given more than once"
    preset = reader.preset(now)
    since, until = reader.time("since"), reader.time("until")
    if since and until and since >= until:
        reader.errors["until"] = "must be later than the beginning"
    starts = [start for start in (preset, since) if start]
    filter_ = Filter(
        status=reader.word("status", Status),
        stream=reader.word("stream", Stream),
        to_email=reader.address("to_email"),
        from_email=reader.address("from_email"),
        subject=reader.text("subject"),
        q=reader.text("q"),
        tag=reader.text("tag"),
        smtp_account=reader.text("smtp_account"),
        error_class=reader.text("error_class"),
        since=max(starts, default=None),
        until=until,
        restore_id=reader.number("restore"),
    )
    return FilterForm(values, filter_, reader.errors)


class _Reader:
    """Reads one field after the other, and collects what is wrong."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.errors: dict[str, str] = {}

    def text(self, name: str) -> str | None:
        text = self._values[name]
        for _, complaint in submission.check_line(name, text, max_chars=_TEXT_MAX_CHARS):
            self.errors[name] = complaint
        return text or None

    def number(self, name: str) -> int | None:
        text = self._values[name]
        if not text:
            return None
        if not _NUMBER.fullmatch(text) or int(text) > _SERIAL_MAX:
            self.errors[name] = "must be a number"
            return None
        return int(text)

    def word(self, name: str, words: type[E]) -> E | None:
        text = self._values[name]
        if not text:
            return None
        try:
            return words(text)
        except ValueError:
            self.errors[name] = "must be one of " + ", ".join(word.value for word in words)
            return None

    def address(self, name: str) -> str | None:
        text = self.text(name)
        if text is None or name in self.errors:
            return None
        try:
            return addresses.parse(text).text
        except ValueError:
            self.errors[name] = "must be a whole address; the search above finds parts of one"
            return None

    def preset(self, now: datetime) -> datetime | None:
        text = self._values["range"]
        if not text:
            return None
        if text not in RANGES:
            self.errors["range"] = "must be one of " + ", ".join(RANGES)
            return None
        return now - RANGES[text][1]

    def time(self, name: str) -> datetime | None:
        text = self._values[name]
        if not text:
            return None
        try:
            at = datetime.fromisoformat(text)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            self.errors[name] = "must be a time in UTC such as 2025-11-22T18:30"
            return None
        if at < _EARLIEST:
            self.errors[name] = "must not be before 1970"
            return None
        return at
