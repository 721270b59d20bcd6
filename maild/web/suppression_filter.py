"""The filter bar of suppressions: from the query string to a Filter, or to what is wrong with each
field.
"""

from datetime import datetime

from werkzeug.datastructures import MultiDict

from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass, SuppressionState
from maild.services.suppression_lists import Filter
from maild.web import email_filter, filter_form
from maild.web.provenance import CLASSES, STATES, SUPPRESSION_SOURCES

ALL = "all"
FIELDS = ("address", "state", "class", "source", "stream", "domain", "range", "since", "until")
CHOICES = {
    "states": [(state.value, badge.word) for state, badge in STATES.items()],
    "classes": [(class_.value, badge.word) for class_, badge in CLASSES.items()],
    "sources": list(SUPPRESSION_SOURCES.items()),
    "streams": [(ALL, "all streams"), *((one.value, f"{one.value} only") for one in Stream)],
    "ranges": email_filter.RANGES,
}


class FilterForm(filter_form.FilterForm[Filter]):
    """That of suppressions, part of which is folded away."""

    @property
    def has_details(self) -> bool:
        """Whether a field is in use that would be hidden while the rest is folded."""
        return any(self.values[name] for name in ("stream", "domain", "since", "until"))


def read(args: "MultiDict[str, str]", *, now: datetime) -> FilterForm:
    """The filter in a query string. A value that makes no sense is an error, and never ignored."""
    values = {name: args.get(name, "").strip() for name in FIELDS}
    asked = email_filter.read(args, values, now=now)
    allowed: dict[str, tuple[str, ...]] = {
        "state": tuple(SuppressionState),
        "class": tuple(SuppressionClass),
        "source": tuple(SUPPRESSION_SOURCES),
        "stream": (ALL, *Stream),
    }
    for name, words in allowed.items():
        if values[name] and values[name] not in words:
            asked.errors.setdefault(name, "must be one of " + ", ".join(words))
    if asked.errors:
        return FilterForm(values, Filter(), asked.errors)
    is_for_all = values["stream"] == ALL
    filter_ = Filter(
        email=asked.email,
        email_start=asked.email_start,
        domain=asked.domain,
        source=values["source"] or None,
        class_=SuppressionClass(values["class"]) if values["class"] else None,
        stream=Stream(values["stream"]) if values["stream"] and not is_for_all else None,
        is_for_all_streams=is_for_all,
        state=SuppressionState(values["state"]) if values["state"] else None,
        since=asked.since,
        until=asked.until,
    )
    return FilterForm(values, filter_)
