"""The filter bar of the audit log: from the query string to a Filter, or to what is wrong with each
field.
"""

import re
from datetime import datetime

from werkzeug.datastructures import MultiDict

from maild.domain import submission
from maild.services.audit import Filter
from maild.web import filter_form, log_filter

FIELDS = ("action", "actor", "since", "until")
_PERIOD = ("since", "until")
_TEXT_MAX_CHARS = 320
_ACTION = re.compile(r"[a-z_]+\.[a-z_]+", re.ASCII)


class FilterForm(filter_form.FilterForm[Filter]):
    """That of the audit log."""


def read(args: "MultiDict[str, str]", *, now: datetime) -> FilterForm:
    """The filter in a query string. A value that makes no sense is an error, and never ignored."""
    values = {name: args.get(name, "").strip() for name in FIELDS}
    # The same periods as in the log, with the same words for what is wrong.
    log = log_filter.read(
        MultiDict([(name, text) for name in _PERIOD for text in args.getlist(name)]), now=now
    )
    errors = dict(log.errors)
    for name in ("action", "actor"):
        if complaint := _find_fault(name, args.getlist(name), values[name]):
            errors[name] = complaint
    filter_ = Filter(
        action=values["action"] or None,
        actor=values["actor"] or None,
        since=log.filter_.since,
        until=log.filter_.until,
    )
    return FilterForm(values, filter_, errors)


def _find_fault(name: str, given: list[str], text: str) -> str | None:
    if len(given) > 1:
        return "is given more than once"
    for _, complaint in submission.check_line(name, text, max_chars=_TEXT_MAX_CHARS):
        return complaint
    if name == "action" and text and not _ACTION.fullmatch(text):
        return "must be as entries name it, such as api_key.created"
    return None
