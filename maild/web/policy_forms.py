"""The form of a policy: every field as text, read one by one, with a complaint at each that is
wrong. What a rule may be is for `services/policy_changes` to say.
"""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import Any

from wtforms import HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from maild.domain import domain_list, durations
from maild.domain.domain_list import Reading
from maild.domain.policy import OnLimit, Policy
from maild.errors import InvalidFields
from maild.services import addresses, policy_changes
from maild.services.policy_changes import LIFETIME_MAX_SECONDS, LIFETIME_MIN_SECONDS
from maild.services.policy_previews import Window
from maild.web import policy_words, render
from maild.web.forms import Form, text

MAX_FORM_BYTES = 2 * policy_changes.ENTRIES_MAX * (policy_changes.ENTRY_MAX_CHARS + 6) + 65_536
"""Two lists as long as they may be, each of the longest names, as a form sends them: with six bytes
for the end of a line. Of names in another alphabet, whose letters take nine, the usual ones fit.
"""
TYPED_MAX = 4 * policy_changes.ENTRIES_MAX
"""So many entries of a list are read, with what is wrong or said twice: that takes seconds."""
LINES_TOLD = 20
"""Lines of a list of which something is told; the rest is counted."""

_NUMBER = re.compile(r"\d{1,9}|\d{1,3}([ ,]\d{3}){1,2}", re.ASCII)
_ENTRY = re.compile(r"#.*|([^\s,;#]+)")
"""A comment, or what is read as a domain."""
_UNREAD = Reading((), (), (), ())
_NOT_A_DOMAIN = "is not a domain such as example.com, or *.example.com for all below it"


def _choices(words: Mapping[Any, str]) -> list[SelectChoice]:
    return [SelectChoice(str(value), told) for value, told in words.items()]


class PolicyForm(Form):
    rate_limit_workspace_per_hour = StringField("Messages an hour, all together")
    rate_limit_domain_per_hour = StringField("Messages an hour, to one domain")
    on_limit = RadioField("What is beyond a limit", choices=_choices(policy_words.ON_LIMIT))
    blocked_recipient_domains = TextAreaField("Blocked recipient domains")
    allowed_from_domains = TextAreaField("Allowed From domains")
    transactional_max_attempts = StringField("Attempts")
    transactional_lifetime = StringField("Lifetime")
    transactional_unknown_outcome = SelectField(
        "Unknown outcome", choices=_choices(policy_words.UNKNOWN_OUTCOME)
    )
    marketing_max_attempts = StringField("Attempts")
    marketing_lifetime = StringField("Lifetime")
    marketing_unknown_outcome = SelectField(
        "Unknown outcome", choices=_choices(policy_words.UNKNOWN_OUTCOME)
    )
    soft_bounce_threshold = StringField("Soft bounces in a row")
    window = SelectField(
        "Tried on",
        choices=_choices(policy_words.WINDOW),
    )
    reason = StringField("Reason")
    version = HiddenField()
    """The version from which it was made."""
    seen = HiddenField()
    """The mark of the changes that the page has shown."""


NAMES = {
    "transactional.max_attempts": "transactional_max_attempts",
    "transactional.lifetime_seconds": "transactional_lifetime",
    "transactional.unknown_outcome": "transactional_unknown_outcome",
    "marketing.max_attempts": "marketing_max_attempts",
    "marketing.lifetime_seconds": "marketing_lifetime",
    "marketing.unknown_outcome": "marketing_unknown_outcome",
}
"""Fields that are called otherwise here than by the services."""
RULES = (
    "rate_limit_workspace_per_hour",
    "rate_limit_domain_per_hour",
    "on_limit",
    "blocked_recipient_domains",
    "allowed_from_domains",
    "transactional.max_attempts",
    "transactional.lifetime_seconds",
    "transactional.unknown_outcome",
    "marketing.max_attempts",
    "marketing.lifetime_seconds",
    "marketing.unknown_outcome",
    "soft_bounce_threshold",
)
"""The rules of a policy, as `policy_changes.flatten` names them."""
LISTS = ("blocked_recipient_domains", "allowed_from_domains")


@dataclass(frozen=True, slots=True)
class Typed:
    """What a form says. `changes` are all rules, in normal form as `policy_changes.check` returns
    them, or None where something is wrong, which the form tells at its fields.
    """

    changes: Mapping[str, Any] | None
    notes: Mapping[str, "Notes"]
    """By list."""

    def apply_to(self, rules: Policy) -> Policy:
        """The policy as it was typed, under the version of `rules`."""
        assert self.changes is not None
        return policy_changes.apply(rules, self.changes)


@dataclass(frozen=True, slots=True)
class Notes:
    """What there is to tell of a list. `count` are its domains, without what is wrong, and
    `wrong_lines` the lines that have something wrong; `wrong` are complaints, `hints` what is right
    and said twice, `names` international names as they are written and as they go over the wire.
    """

    count: int
    wrong_lines: int
    wrong: tuple[str, ...]
    wrong_more: int
    hints: tuple[str, ...]
    hints_more: int
    names: tuple[tuple[str, str], ...]
    names_more: int


def field_of(rule: str) -> str:
    """The name of a rule's field in the form."""
    return NAMES.get(rule, rule)


def fill(rules: Policy, **fields: object) -> PolicyForm:
    """The form of a policy; `fields` are those that are no rules."""
    flat = policy_changes.flatten(rules)
    values: dict[str, object] = {field_of(rule): write(rule, flat[rule]) for rule in RULES}
    values["version"] = str(rules.version)
    return PolicyForm(formdata=None, **{"window": Window.DAY.value, **values, **fields})


def write(rule: str, value: Any) -> str:
    """A rule as its field shows it."""
    if rule in LISTS:
        return "\n".join(value)
    if rule.endswith("lifetime_seconds"):
        return durations.write(value)
    if isinstance(value, OnLimit):
        return value.value
    return "" if value is None else str(value)


def read(form: PolicyForm, in_force: Policy) -> Typed:
    """What was typed, with a complaint at each field that is wrong.

    A name without a dot is refused, for a pasted sentence has many; one that is in force already
    stays, since programs may save it.
    """
    flat, is_right = {}, True
    flat_now = policy_changes.flatten(in_force)
    readings: dict[str, Reading] = {}
    for rule in RULES:
        name = field_of(rule)
        try:
            if rule in LISTS:
                readings[rule] = _UNREAD
                typed = _bounded(text(form[name].data))
                readings[rule] = domain_list.read(
                    typed, partial(_parse_dotted, known=set(flat_now[rule]))
                )
                flat[rule] = _entries(readings[rule])
            else:
                flat[rule] = _parse(rule, text(form[name].data).strip())
        except ValueError as error:
            form.complain(name, str(error))
            is_right = False
    notes = {name: _notes(reading) for name, reading in readings.items()}
    try:
        checked = policy_changes.check(policy_changes.nest(flat))
    except InvalidFields as error:
        form.show(error, **NAMES)
        return Typed(None, notes)
    return Typed(checked if is_right else None, notes)


def window_of(form: PolicyForm) -> Window:
    """How far back to try it; a day, where that is not said."""
    chosen = text(form.window.data)
    return Window(chosen) if chosen in set(Window) else Window.DAY


def mark_of(rules: Policy) -> str:
    """The mark of what a form says, and of the version that it changes."""
    return render.digest(rules.version, sorted(policy_changes.flatten(rules).items()))


def parse_version(typed: str | None) -> int | None:
    """The number of a version; None where it is none."""
    stripped = text(typed)
    is_number = stripped.isascii() and stripped.isdecimal() and len(stripped) <= 9
    return int(stripped) if is_number else None


def _parse(rule: str, typed: str) -> Any:
    """One rule that is no list. Raises ValueError."""
    if rule.startswith("rate_limit_"):
        return None if not typed else _whole(typed, "must be a whole number, or empty for no limit")
    if rule.endswith("lifetime_seconds"):
        seconds = durations.parse(typed)
        if not LIFETIME_MIN_SECONDS <= seconds <= LIFETIME_MAX_SECONDS:
            low, high = map(durations.write, (LIFETIME_MIN_SECONDS, LIFETIME_MAX_SECONDS))
            raise ValueError(f"must be from {low} to {high}")
        return seconds
    if rule.endswith("max_attempts") or rule == "soft_bounce_threshold":
        return _whole(typed, "must be a whole number")
    return typed


def _whole(typed: str, complaint: str) -> int:
    if not _NUMBER.fullmatch(typed):
        raise ValueError(complaint)
    return int(typed.replace(",", "").replace(" ", ""))


def _parse_dotted(typed: str, *, known: Set[str]) -> str:
    """Raises ValueError, also for a single word that is not known."""
    entry = _parse_entry(typed)
    if "." not in entry and entry not in known:
        raise ValueError("is not a domain: it has no dot")
    return entry


@lru_cache(maxsize=50_000)
def _parse_entry(typed: str) -> str:
    """Raises ValueError. Kept: a page sends both lists anew whenever somebody types a letter, and
    reading twenty thousand names takes a second.
    """
    if "@" in typed:
        raise ValueError("is an address, or part of one: its domain is what goes here")
    if len(typed) > policy_changes.ENTRY_MAX_CHARS:
        raise ValueError(f"is longer than {policy_changes.ENTRY_MAX_CHARS} characters")
    try:
        return addresses.parse_domain_entry(typed)
    except ValueError:
        raise ValueError(_NOT_A_DOMAIN) from None


def _bounded(typed: str) -> str:
    """Raises ValueError where it would take too long to read."""
    entries = (found for found in _ENTRY.finditer(typed) if found[1])
    if next(islice(entries, TYPED_MAX, None), None) is not None:
        most = policy_changes.ENTRIES_MAX
        raise ValueError(f"has more than {TYPED_MAX:,} entries, and may have {most:,}")
    return typed


def _entries(reading: Reading) -> list[str]:
    """Raises ValueError where some are none."""
    if count := len(reading.wrong):
        which = "1 entry is" if count == 1 else f"{count:,} entries are"
        raise ValueError(f"{which} wrong: below stands which, by line")
    return list(reading.entries)


def _notes(reading: Reading) -> Notes:
    wrong = tuple(
        f"Line {one.line}: “{_shorten(one.typed)}” {one.message}."
        for one in reading.wrong[:LINES_TOLD]
    )
    hints = [
        f"Line {one.line}: {one.entry} is on line {one.first_line} already."
        for one in reading.repeated
    ]
    hints += [
        f"Line {one.line}: {one.entry} is within {one.by} already." for one in reading.covered
    ]
    names = [entry for entry in reading.entries if not entry.isascii()]
    return Notes(
        count=len(reading.entries),
        wrong_lines=len({one.line for one in reading.wrong}),
        wrong=wrong,
        wrong_more=len(reading.wrong) - len(wrong),
        hints=tuple(hints[:LINES_TOLD]),
        hints_more=max(0, len(hints) - LINES_TOLD),
        names=tuple((name, addresses.to_ascii(name)) for name in names[:LINES_TOLD]),
        names_more=max(0, len(names) - LINES_TOLD),
    )


def _shorten(typed: str) -> str:
    return typed if len(typed) <= 60 else f"{typed[:60]}…"
