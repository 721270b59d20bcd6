"""Policies in words: what each rule is called, what its value says, and what a change changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from maild.domain import durations
from maild.domain.policy import OnLimit, Policy
from maild.services import policy_changes
from maild.services.policies import Version
from maild.services.policy_changes import TOLD_MAX, Change
from maild.services.policy_previews import Window

ON_LIMIT: dict[str, str] = {
    OnLimit.REJECT.value: "Refuse it: the sender gets 429, and the time to come again",
    OnLimit.DEFER.value: "Accept it, and send it when there is room",
}
UNKNOWN_OUTCOME: dict[str, str] = {
    "hold": "wait for a person",
    "retry": "send again, perhaps twice",
    "assume_sent": "take it for sent",
}
"""What becomes of a message of which nobody knows whether the provider took it."""
WINDOW: dict[Window, str] = {Window.DAY: "the last 24 hours", Window.WEEK: "the last 7 days"}

LABELS: dict[str, str] = {
    "rate_limit_workspace_per_hour": "Messages an hour, all together",
    "rate_limit_domain_per_hour": "Messages an hour, to one domain",
    "on_limit": "What is beyond a limit",
    "blocked_recipient_domains": "Blocked recipient domains",
    "allowed_from_domains": "Allowed From domains",
    "transactional.max_attempts": "Transactional mail: attempts",
    "transactional.lifetime_seconds": "Transactional mail: lifetime",
    "transactional.unknown_outcome": "Transactional mail: unknown outcome",
    "marketing.max_attempts": "Marketing mail: attempts",
    "marketing.lifetime_seconds": "Marketing mail: lifetime",
    "marketing.unknown_outcome": "Marketing mail: unknown outcome",
    "soft_bounce_threshold": "Soft bounces in a row that suppress",
}
FEW = 10
"""So many of the domains that were added, and removed, are told where there is little room."""
FEW_DEFAULTS = 3
_ON_LIMIT_SHORT = {OnLimit.REJECT.value: "refused", OnLimit.DEFER.value: "sent when there is room"}


@dataclass(frozen=True, slots=True)
class Difference:
    """A rule that is not the same. Of a list of domains `added` and `removed` are the first
    TOLD_MAX, and `before` and `after` say how many it has.
    """

    label: str
    before: str
    after: str
    added: tuple[str, ...] = ()
    added_count: int = 0
    removed: tuple[str, ...] = ()
    removed_count: int = 0

    @property
    def is_of_domains(self) -> bool:
        return bool(self.added_count or self.removed_count)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and its value; of a list the first TOLD_MAX `domains`."""

    label: str
    value: str
    domains: tuple[str, ...] = ()


def say(field: str, value: Any) -> str:
    """The value of a rule: `400`, `no limit`, `3 d`, `12 domains`."""
    if field in policy_changes.DOMAIN_LISTS:
        return _count_domains(field, value)
    if field.endswith("lifetime_seconds"):
        return durations.write(value)
    if field.endswith("unknown_outcome"):
        return UNKNOWN_OUTCOME[value]
    if field == "on_limit":
        return _ON_LIMIT_SHORT[value]
    return "no limit" if value is None else f"{value:,}"


def say_against(field: str, before: Any, value: Any) -> str:
    """As `say`; of a list that is not as before also which domains that are: `+ a.example`."""
    if field not in policy_changes.DOMAIN_LISTS or before == value:
        return say(field, value)
    change = Change(field, before, value)
    told = [f"+\u00a0{one}" for one in change.added[:FEW]] + [
        f"−\u00a0{one}" for one in change.removed[:FEW]
    ]
    left = len(change.added) + len(change.removed) - len(told)
    more = [f"and {left:,} more"] if left else []
    return f"{say(field, value)}: {', '.join(told + more)}"


def differences(changes: Iterable[Change]) -> list[Difference]:
    """What changes change, rule by rule."""
    return [_difference(change) for change in changes]


def rules(policy: Policy) -> list[Rule]:
    """All rules of a policy."""
    flat = policy_changes.flatten(policy)
    return [
        Rule(
            label,
            say(field, flat[field]),
            flat[field][:TOLD_MAX] if field in policy_changes.DOMAIN_LISTS else (),
        )
        for field, label in LABELS.items()
    ]


def defaults(policy: Policy) -> dict[str, str]:
    """What each rule is where a workspace has no policy of its own, by the rule; a short list of
    domains as their names.
    """
    return {
        field: ", ".join(value)
        if field in policy_changes.DOMAIN_LISTS and 0 < len(value) <= FEW_DEFAULTS
        else say(field, value)
        for field, value in policy_changes.flatten(policy).items()
    }


def name(version: int) -> str:
    """`version 3`; 0 is `the instance's defaults`."""
    return f"version {version}" if version else "the instance's defaults"


def story(version: Version) -> str:
    """Who made it, as it follows its name: `by ann@example.org: “spring sale”`."""
    if version.created_by is None:
        return ""
    told = f"by {version.created_by}"
    return f"{told}: “{version.reason}”" if version.reason else told


def _count_domains(field: str, value: Any) -> str:
    if not value:
        return "any domain" if field == "allowed_from_domains" else "none"
    return "1 domain" if len(value) == 1 else f"{len(value):,} domains"


def _difference(change: Change) -> Difference:
    label = LABELS[change.field]
    before, after = say(change.field, change.before), say(change.field, change.after)
    if not change.is_of_domains:
        return Difference(label, before, after)
    added, removed = change.added, change.removed
    return Difference(
        label,
        before,
        after,
        added=tuple(added[:TOLD_MAX]),
        added_count=len(added),
        removed=tuple(removed[:TOLD_MAX]),
        removed_count=len(removed),
    )
