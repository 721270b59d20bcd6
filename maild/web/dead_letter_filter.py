"""The filter bar of what providers have reported: from the query string to a Filter, or to what is
wrong with each field. Without a word about the state it asks for dead letters.
"""

from datetime import datetime

from werkzeug.datastructures import MultiDict

from maild.domain import submission
from maild.domain.provider_event import GENERIC, ProviderEventType
from maild.services import addresses, webhook_endpoints
from maild.services.dead_letter_lists import Filter, State
from maild.web import filter_form, log_filter

_PERIOD = ("range", "since", "until")
FIELDS = ("state", "email", "provider", "event_type", "endpoint_id", *_PERIOD)
MORE_FIELDS = ("event_type", "endpoint_id", "since", "until")
"""Fields that the bar keeps under "More filters"."""

ANY = "any"
"""What the URL says for every state."""
STATE_WORDS: dict[State, str] = {
    State.DEAD_LETTER: "dead letter",
    State.RECEIVED: "waiting",
    State.APPLIED: "applied",
    State.REPLAYED: "replayed",
    State.IGNORED: "ignored",
    State.DISMISSED: "dismissed",
    State.DUPLICATE: "duplicate",
}

_TEXT_MAX_CHARS = 320
_ID_MAX = 2**31 - 1


class FilterForm(filter_form.FilterForm[Filter]):
    """That of the dead letters, part of which is folded away."""

    @property
    def has_details(self) -> bool:
        """Whether a field is in use that would be hidden while "More filters" is closed."""
        return any(self.values[name] for name in MORE_FIELDS)


def read(args: "MultiDict[str, str]", *, now: datetime) -> FilterForm:
    """The filter in a query string. A value that makes no sense is an error, and never ignored."""
    values = {name: args.get(name, "").strip() for name in FIELDS}
    # The same periods as in the log, with the same words for what is wrong.
    log = log_filter.read(
        MultiDict([(name, text) for name in _PERIOD for text in args.getlist(name)]), now=now
    )
    errors = dict(log.errors)
    for name in FIELDS:
        if name not in _PERIOD and (complaint := _find_fault(name, args.getlist(name))):
            errors[name] = complaint
    usable = {name: "" if name in errors else text for name, text in values.items()}
    filter_ = Filter(
        state=_state(usable["state"]),
        provider=usable["provider"] or None,
        event_type=ProviderEventType(usable["event_type"]) if usable["event_type"] else None,
        emails=_forms_of(usable["email"]),
        endpoint_id=int(usable["endpoint_id"]) if usable["endpoint_id"] else None,
        since=log.filter_.since,
        until=log.filter_.until,
    )
    return FilterForm(values, filter_, errors)


def provider_choices() -> list[tuple[str, str]]:
    """Every word for a provider, with its name."""
    known = [
        (word, webhook_endpoints.title_of(word)) for word in webhook_endpoints.provider_words()
    ]
    return [(GENERIC, "maild's own format, without an endpoint"), *known]


def state_choices() -> list[tuple[str, str]]:
    """The states that are not the one of an empty field, with their words."""
    rest = [(state.value, word) for state, word in STATE_WORDS.items() if state != _DEFAULT]
    return [*rest, (ANY, "everything")]


_DEFAULT = State.DEAD_LETTER


def _state(text: str) -> State | None:
    if text == ANY:
        return None
    return State(text) if text else _DEFAULT


def _find_fault(name: str, given: list[str]) -> str | None:
    if len(given) > 1:
        return "is given more than once"
    text = given[0].strip() if given else ""
    for _, complaint in submission.check_line(name, text, max_chars=_TEXT_MAX_CHARS):
        return complaint
    return _find_misfit(name, text) if text else None


def _find_misfit(name: str, text: str) -> str | None:
    """What is wrong with a text that could stand in another field."""
    choices: dict[str, tuple[str, ...]] = {
        "state": (*State, ANY),
        "provider": tuple(word for word, _ in provider_choices()),
        "event_type": tuple(ProviderEventType),
    }
    if name in choices and text not in choices[name]:
        return "must be one of " + ", ".join(choices[name])
    if name == "email" and "@" not in text:
        return "must be a whole address"
    if name == "endpoint_id" and not (text.isascii() and text.isdigit() and int(text) <= _ID_MAX):
        return "must be the number of a webhook endpoint"
    return None


def _forms_of(text: str) -> tuple[str, ...]:
    """In which forms an address may stand: as maild writes it, and all in lower case, as many
    providers do; or as a provider wrote what is no address.
    """
    if not text:
        return ()
    try:
        normal = addresses.parse(text).text
    except ValueError:
        normal = text
    return tuple(dict.fromkeys((normal, normal.lower())))
