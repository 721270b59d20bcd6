"""What a change of a policy may say, and what is different between two policies.

Changes are a mapping from fields to values; what is left out stays as it is. Nothing is stored
here: `policies` does that, and `policy_previews` only tries.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from maild.domain.policy import OnLimit, Policy, StreamRules
from maild.errors import FieldError, InvalidFields, summarise
from maild.services import addresses

LIMIT_MAX = 100_000_000
ENTRIES_MAX = 10_000
ENTRY_MAX_CHARS = 255
"""A name of 253, and the `*.` before it."""
ATTEMPTS_MAX = 100
LIFETIME_MIN_SECONDS = 60
LIFETIME_MAX_SECONDS = 30 * 86_400
UNKNOWN_OUTCOMES = ("hold", "retry", "assume_sent")
THRESHOLD_MAX = 100

TOLD_MAX = 100
"""Domains that are told of a list as added, and as removed; their counts are told with them."""

DOMAIN_LISTS = frozenset({"blocked_recipient_domains", "allowed_from_domains"})

Checked = Mapping[str, Any]
"""Changes in normal form, as `check` returns them. Those of a stream are a mapping themselves."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs; those of a stream are named `marketing.max_attempts`. Lists of
    domains are tuples.
    """

    field: str
    before: Any
    after: Any

    @property
    def is_of_domains(self) -> bool:
        return self.field in DOMAIN_LISTS

    @property
    def added(self) -> list[str]:
        """Of a list of domains: what is on it now and was not."""
        return sorted(set(self.after) - set(self.before))

    @property
    def removed(self) -> list[str]:
        """Of a list of domains: what was on it and is not."""
        return sorted(set(self.before) - set(self.after))

    def told(self) -> dict[str, Any]:
        """Of a list of domains: what was added and removed, in short."""
        added, removed = self.added, self.removed
        return {
            "added": added[:TOLD_MAX],
            "added_count": len(added),
            "removed": removed[:TOLD_MAX],
            "removed_count": len(removed),
        }


def check(changes: Mapping[str, Any], *, within: str = "") -> Checked:
    """The changes in normal form. Raises InvalidFields with every complaint; `within` is where the
    changes stand in what was sent (`policy.`).
    """
    errors: list[FieldError] = []
    checked = _check_fields(_FIELDS, changes, within, errors)
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
    return checked


def apply(policy: Policy, checked: Checked) -> Policy:
    """The policy with these changes, under the same version."""
    streams = {
        name: replace(getattr(policy, name), **checked[name])
        for name in ("transactional", "marketing")
        if name in checked
    }
    return replace(policy, **{**checked, **streams})


def compare(before: Policy, after: Policy) -> list[Change]:
    """What differs, but for the version, in the order of the fields."""
    old, new = flatten(before), flatten(after)
    return [Change(name, old[name], new[name]) for name in old if old[name] != new[name]]


def flatten(policy: Policy) -> dict[str, Any]:
    """Every field but for the version, in their order; those of a stream are named
    `marketing.max_attempts`.
    """
    flat: dict[str, Any] = {}
    for name in _FIELDS:
        value = getattr(policy, name)
        if isinstance(value, StreamRules):
            flat |= {f"{name}.{rule}": getattr(value, rule) for rule in _STREAM_FIELDS}
        else:
            flat[name] = value
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as `flatten` names them, as `check` reads them."""
    changes: dict[str, Any] = {}
    for name, value in flat.items():
        above, dot, rule = name.partition(".")
        if dot:
            changes.setdefault(above, {})[rule] = value
        else:
            changes[name] = value
    return changes


def fold(entries: Iterable[str]) -> tuple[str, ...]:
    """Domains in normal form as a policy lists them: each once, in alphabetical order."""
    return tuple(sorted(set(entries)))


_Checks = Mapping[str, Callable[[str, Any, list[FieldError]], Any]]


def _check_fields(
    known: _Checks, given: Mapping[str, Any], within: str, errors: list[FieldError]
) -> dict[str, Any]:
    checked = {}
    for name, value in given.items():
        if name in known:
            checked[name] = known[name](f"{within}{name}", value, errors)
        else:
            errors.append(FieldError(f"{within}{name}", "is not a known field"))
    return checked


def _check_limit(field: str, value: Any, errors: list[FieldError]) -> Any:
    if value is not None and not _is_whole(value, 0, LIMIT_MAX):
        message = f"must be null (no limit) or a whole number from 0 to {LIMIT_MAX:,}"
        errors.append(FieldError(field, message))
    return value


def _check_on_limit(field: str, value: Any, errors: list[FieldError]) -> Any:
    if isinstance(value, str) and value in set(OnLimit):
        return OnLimit(value)
    errors.append(FieldError(field, "must be " + " or ".join(OnLimit)))
    return value


def _check_domains(field: str, value: Any, errors: list[FieldError]) -> Any:
    if not isinstance(value, list | tuple):
        errors.append(FieldError(field, "must be a list of domains"))
        return value
    if len(value) > ENTRIES_MAX:
        errors.append(FieldError(field, f"has more than {ENTRIES_MAX:,} entries"))
        return value
    entries = []
    for index, entry in enumerate(value):
        try:
            entries.append(_parse_entry(entry))
        except ValueError as error:
            errors.append(FieldError(f"{field}.{index}", str(error)))
    return fold(entries)


def _parse_entry(entry: Any) -> str:
    if not isinstance(entry, str):
        raise ValueError("must be a domain such as example.com")
    if len(entry) > ENTRY_MAX_CHARS:
        raise ValueError(f"is longer than {ENTRY_MAX_CHARS} characters")
    return addresses.parse_domain_entry(entry)


def _check_stream(field: str, value: Any, errors: list[FieldError]) -> Any:
    if not isinstance(value, Mapping):
        errors.append(FieldError(field, "must be an object with the stream's rules"))
        return value
    return _check_fields(_STREAM_FIELDS, value, f"{field}.", errors)


def _whole(low: int, high: int, unit: str = "") -> Callable[[str, Any, list[FieldError]], Any]:
    def check_number(field: str, value: Any, errors: list[FieldError]) -> Any:
        if not _is_whole(value, low, high):
            words = f"must be a whole number{unit} from {low} to {high:,}"
            errors.append(FieldError(field, words))
        return value

    return check_number


def _check_unknown_outcome(field: str, value: Any, errors: list[FieldError]) -> Any:
    if value not in UNKNOWN_OUTCOMES:
        first, second, third = UNKNOWN_OUTCOMES
        errors.append(FieldError(field, f"must be {first}, {second} or {third}"))
    return value


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


_STREAM_FIELDS: _Checks = {
    "max_attempts": _whole(1, ATTEMPTS_MAX),
    "lifetime_seconds": _whole(LIFETIME_MIN_SECONDS, LIFETIME_MAX_SECONDS, " of seconds"),
    "unknown_outcome": _check_unknown_outcome,
}
_FIELDS: _Checks = {
    "rate_limit_workspace_per_hour": _check_limit,
    "rate_limit_domain_per_hour": _check_limit,
    "on_limit": _check_on_limit,
    "blocked_recipient_domains": _check_domains,
    "allowed_from_domains": _check_domains,
    "transactional": _check_stream,
    "marketing": _check_stream,
    "soft_bounce_threshold": _whole(1, THRESHOLD_MAX),
}
