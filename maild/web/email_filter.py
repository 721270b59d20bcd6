"""What the filter bars of suppressions and unsubscribes share: address, domain and time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from werkzeug.datastructures import MultiDict

from maild.domain import submission
from maild.services import addresses
from maild.web import log_filter

FIELDS = ("address", "domain", "range", "since", "until")
RANGES = [(key, label) for key, (label, _) in log_filter.RANGES.items()]
_PERIOD = ("range", "since", "until")
_TEXT_MAX_CHARS = 320


@dataclass(slots=True)
class Asked:
    """What was found of FIELDS, and what is wrong with them. `email` is a whole address,
    `email_start` the beginning of one; at most one of the two is there.
    """

    email: str | None = None
    email_start: str | None = None
    domain: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    errors: dict[str, str] = field(default_factory=dict)


def read(args: "MultiDict[str, str]", values: Mapping[str, str], *, now: datetime) -> Asked:
    """`values` has the fields of `args`, each once and without space around."""
    asked = Asked()
    for name in values:
        if len(args.getlist(name)) > 1:
            asked.errors[name] = "is given more than once"
        for _, complaint in submission.check_line(name, values[name], max_chars=_TEXT_MAX_CHARS):
            asked.errors[name] = complaint
    # The same periods as in the log, with the same words for what is wrong.
    period = log_filter.read(
        MultiDict([(name, text) for name in _PERIOD for text in args.getlist(name)]), now=now
    )
    asked.errors |= {name: text for name, text in period.errors.items() if name in _PERIOD}
    asked.since, asked.until = period.filter_.since, period.filter_.until
    if values["address"] and "address" not in asked.errors:
        _read_address(values["address"], asked)
    if values["domain"] and "domain" not in asked.errors:
        _read_domain(values["domain"], asked)
    return asked


def _read_address(text: str, asked: Asked) -> None:
    if text.startswith("@"):
        _read_domain(text, asked, name="address")
        return
    asked.email_start = text
    if "." not in text.rpartition("@")[2]:
        return
    try:
        asked.email, asked.email_start = addresses.parse(text).text, None
    except ValueError:
        return


def _read_domain(text: str, asked: Asked, *, name: str = "domain") -> None:
    try:
        asked.domain = addresses.parse_domain(text.removeprefix("@"))
    except ValueError:
        asked.errors[name] = "must be a domain such as example.com"
