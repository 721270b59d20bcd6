"""Shapes: Policy. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from maild_client.shapes.shared import Check

OnLimit: TypeAlias = Literal["reject", "defer"]


Outcome: TypeAlias = Literal["passed", "deferred", "rejected", "suppressed"]


class PolicyChangeOut(TypedDict):
    """One field that differs. Of a list of domains it tells what was added and ..."""

    field: str
    before: int | str | None
    after: int | str | None
    added: list[str] | None
    added_count: int | None
    removed: list[str] | None
    removed_count: int | None


class PolicyChanges(TypedDict):
    """What is left out stays as it is; so does what is null, but for the two limits."""

    rate_limit_workspace_per_hour: NotRequired[int | None]
    rate_limit_domain_per_hour: NotRequired[int | None]
    on_limit: NotRequired[OnLimit | None]
    blocked_recipient_domains: NotRequired[list[str] | None]
    allowed_from_domains: NotRequired[list[str] | None]
    transactional: NotRequired[StreamChanges | None]
    marketing: NotRequired[StreamChanges | None]
    soft_bounce_threshold: NotRequired[int | None]


class PolicyInForceFigures(TypedDict):
    passed: int
    deferred: int
    rejected: int
    suppressed: int
    by_check: dict[str, int]
    version: int


class PolicyOut(TypedDict):
    rate_limit_workspace_per_hour: int | None
    rate_limit_domain_per_hour: int | None
    on_limit: OnLimit
    blocked_recipient_domains: list[str]
    allowed_from_domains: list[str]
    transactional: StreamRulesOut
    marketing: StreamRulesOut
    soft_bounce_threshold: int
    workspace_id: int
    version: int
    source: Literal["instance", "workspace"]
    created_at: str | None
    created_by: str | None
    reason: str | None
    restored_version: int | None


PolicyPreviewOut = TypedDict(
    "PolicyPreviewOut",
    {
        "passed": "int",
        "deferred": "int",
        "rejected": "int",
        "suppressed": "int",
        "by_check": "dict[str, int]",
        "workspace_id": "int",
        "window": "Window",
        "from": "str",
        "to": "str",
        "looked_at": "int",
        "truncated": "bool",
        "policy": "PolicyRules",
        "changes": "list[PolicyChangeOut]",
        "in_force": "PolicyInForceFigures",
        "stopped_domains": "list[StoppedDomain]",
        "samples": "list[PolicySample]",
    },
)


class PolicyRules(TypedDict):
    rate_limit_workspace_per_hour: int | None
    rate_limit_domain_per_hour: int | None
    on_limit: OnLimit
    blocked_recipient_domains: list[str]
    allowed_from_domains: list[str]
    transactional: StreamRulesOut
    marketing: StreamRulesOut
    soft_bounce_threshold: int


class PolicySample(TypedDict):
    outcome: Outcome
    check: Check | None
    evidence: dict[str, Any]
    deferred_until: str | None
    message_id: str
    from_email: str
    to_email: str
    subject: str
    created_at: str


class PolicySaved(TypedDict):
    rate_limit_workspace_per_hour: int | None
    rate_limit_domain_per_hour: int | None
    on_limit: OnLimit
    blocked_recipient_domains: list[str]
    allowed_from_domains: list[str]
    transactional: StreamRulesOut
    marketing: StreamRulesOut
    soft_bounce_threshold: int
    workspace_id: int
    version: int
    source: Literal["instance", "workspace"]
    created_at: str | None
    created_by: str | None
    reason: str | None
    restored_version: int | None
    status: Literal["saved", "unchanged"]
    changes: list[PolicyChangeOut]


class PolicyVersionOut(TypedDict):
    version: int
    created_at: str
    created_by: str
    reason: str | None
    restored_version: int | None
    changes: list[PolicyChangeOut]


class PolicyVersionPage(TypedDict):
    workspace_id: int
    count: int
    versions: list[PolicyVersionOut]
    next_cursor: str | None


class StoppedDomain(TypedDict):
    domain: str
    deferred: int
    rejected: int


class StreamChanges(TypedDict):
    """What is null or left out stays as it is."""

    max_attempts: NotRequired[int | None]
    lifetime_seconds: NotRequired[int | None]
    unknown_outcome: NotRequired[Literal["hold", "retry", "assume_sent"] | None]


class StreamRulesOut(TypedDict):
    max_attempts: int
    lifetime_seconds: int
    unknown_outcome: str


Window: TypeAlias = Literal["24h", "7d"]
