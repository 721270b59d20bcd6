"""The filter bar of incidents: from the query string to a Filter, or to what is wrong with each
field. Without a word about the status it asks for what is not resolved.
"""

from werkzeug.datastructures import MultiDict

from maild.domain import submission
from maild.domain.incident import IncidentKind, Severity
from maild.services.incidents import Filter
from maild.web import filter_form, incident_words

FIELDS = ("status", "kind", "severity", "smtp_account", "mine")
ALL = "all"
"""What the URL says for every status."""
STATUSES = {
    "open": "open",
    "acknowledged": "acknowledged",
    "resolved": "resolved",
    ALL: "all of them",
}
MINE = "yes"
_TEXT_MAX_CHARS = 200


class FilterForm(filter_form.FilterForm[Filter]):
    """That of incidents."""


def read(args: "MultiDict[str, str]", *, email: str) -> FilterForm:
    """The filter in a query string, of the person with this address. A value that makes no sense
    is an error, and never ignored.
    """
    values = {name: args.get(name, "").strip() for name in FIELDS}
    errors = {
        name: complaint
        for name in FIELDS
        if (complaint := _find_fault(name, args.getlist(name))) is not None
    }
    usable = {name: "" if name in errors else text for name, text in values.items()}
    status = usable["status"] or "unresolved"
    filter_ = Filter(
        status=None if status == ALL else status,  # type: ignore[arg-type]
        kind=IncidentKind(usable["kind"]) if usable["kind"] else None,
        severity=Severity(usable["severity"]) if usable["severity"] else None,
        smtp_account=usable["smtp_account"] or None,
        assigned_to=email if usable["mine"] else None,
    )
    return FilterForm(values, filter_, errors)


def kind_choices() -> list[tuple[str, str]]:
    """Every kind, with its words."""
    return [(kind.value, words) for kind, words in incident_words.KIND.items()]


def severity_choices() -> list[tuple[str, str]]:
    """How bad it can be, the worst first."""
    return [(one.value, badge.word) for one, badge in incident_words.SEVERITY.items()]


def _find_fault(name: str, given: list[str]) -> str | None:
    if len(given) > 1:
        return "is given more than once"
    text = given[0].strip() if given else ""
    for _, complaint in submission.check_line(name, text, max_chars=_TEXT_MAX_CHARS):
        return complaint
    choices: dict[str, tuple[str, ...]] = {
        "status": tuple(STATUSES),
        "kind": tuple(IncidentKind),
        "severity": tuple(Severity),
        "mine": (MINE,),
    }
    if text and name in choices and text not in choices[name]:
        return "must be one of " + ", ".join(choices[name])
    return None
