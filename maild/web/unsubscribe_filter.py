"""The filter bar of unsubscribes: from the query string to a Filter, or to what is wrong with each
field.
"""

from datetime import datetime

from werkzeug.datastructures import MultiDict

from maild.domain import submission
from maild.services.unsubscribe_lists import Filter, State
from maild.web import email_filter, filter_form
from maild.web.provenance import BY_LINK, UNSUBSCRIBE_SOURCES, UNSUBSCRIBE_STATES

FIELDS = ("address", "state", "topic", "source", "range", "domain", "since", "until")
CHOICES = {
    "states": [(state.value, badge.word) for state, badge in UNSUBSCRIBE_STATES.items()],
    "sources": list(UNSUBSCRIBE_SOURCES.items()),
    "ranges": email_filter.RANGES,
}


class FilterForm(filter_form.FilterForm[Filter]):
    """That of unsubscribes, part of which is folded away."""

    @property
    def has_details(self) -> bool:
        """Whether a field is in use that would be hidden while the rest is folded."""
        return any(self.values[name] for name in ("domain", "since", "until"))


def read(args: "MultiDict[str, str]", *, now: datetime) -> FilterForm:
    """The filter in a query string. A value that makes no sense is an error, and never ignored."""
    values = {name: args.get(name, "").strip() for name in FIELDS}
    asked = email_filter.read(args, values, now=now)
    allowed = {"state": tuple(State), "source": tuple(UNSUBSCRIBE_SOURCES)}
    for name, words in allowed.items():
        if values[name] and values[name] not in words:
            asked.errors.setdefault(name, "must be one of " + ", ".join(words))
    if values["topic"]:
        for _, complaint in submission.check_topic("topic", values["topic"]):
            asked.errors.setdefault("topic", complaint)
    if asked.errors:
        return FilterForm(values, Filter(), asked.errors)
    is_by_link = values["source"] == BY_LINK
    filter_ = Filter(
        email=asked.email,
        email_start=asked.email_start,
        domain=asked.domain,
        topic=values["topic"] or None,
        source=None if is_by_link else values["source"] or None,
        is_by_link=is_by_link,
        state=State(values["state"]) if values["state"] else None,
        since=asked.since,
        until=asked.until,
    )
    return FilterForm(values, filter_)
