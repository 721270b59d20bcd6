"""The filter bar of contacts: from the query string to a Filter, or to what is wrong with each
field.
"""

import re
from collections.abc import Sequence

from werkzeug.datastructures import MultiDict

from maild import clock
from maild.domain import submission
from maild.domain.contact import ContactStatus
from maild.models import Audience
from maild.services.contact_lists import Filter
from maild.services.contact_standings import StandingState
from maild.web import email_filter, filter_form
from maild.web.contact_words import STATES, STATUSES

FIELDS = ("address", "audience", "standing", "topic", "status", "domain")
CHOICES = {
    "states": [(state.value, badge.word) for state, badge in STATES.items()],
    "statuses": list(STATUSES.items()),
}

_NUMBER = re.compile(r"\d{1,10}", re.ASCII)


class FilterForm(filter_form.FilterForm[Filter]):
    """That of contacts, part of which is folded away."""

    @property
    def has_details(self) -> bool:
        """Whether a field is in use that would be hidden while the rest is folded."""
        return any(self.values[name] for name in ("status", "domain"))


def read(args: "MultiDict[str, str]", *, audiences: Sequence[Audience]) -> FilterForm:
    """The filter in a query string. A value that makes no sense is an error, and never ignored.
    `audiences` are the lists that there are.
    """
    values = {name: args.get(name, "").strip() for name in FIELDS}
    asked = email_filter.read(args, values, now=clock.now())
    allowed = {"standing": tuple(StandingState), "status": tuple(ContactStatus)}
    for name, words in allowed.items():
        if values[name] and values[name] not in words:
            asked.errors.setdefault(name, "must be one of " + ", ".join(words))
    if values["topic"]:
        for _, complaint in submission.check_topic("topic", values["topic"]):
            asked.errors.setdefault("topic", complaint)
    audience_id = None
    if values["audience"]:
        known = {row.id for row in audiences}
        if _NUMBER.fullmatch(values["audience"]) and int(values["audience"]) in known:
            audience_id = int(values["audience"])
        else:
            asked.errors.setdefault("audience", "is not there any more: choose another one")
    if asked.errors:
        return FilterForm(values, Filter(), asked.errors)
    return FilterForm(
        values,
        Filter(
            email=asked.email,
            email_start=asked.email_start,
            domain=asked.domain,
            audience_id=audience_id,
            topic=values["topic"] or None,
            status=ContactStatus(values["status"]) if values["status"] else None,
            state=StandingState(values["standing"]) if values["standing"] else None,
        ),
    )
