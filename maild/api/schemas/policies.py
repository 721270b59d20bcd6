"""The policy of a workspace: its rules, their versions, and what they would have done."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from maild.api.schemas.base import (
    Input,
    SearchText,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.domain.policy import Check, OnLimit
from maild.domain.policy_trial import Outcome
from maild.services.policies import VERSIONS_SHOWN
from maild.services.policy_changes import TOLD_MAX
from maild.services.policy_previews import Window

PerHour = Annotated[
    StrictInt | None,
    Field(description="Messages in an hour, 0 to 100,000,000; null: no limit. 0: none goes out."),
]
BlockedDomains = Annotated[
    list[str],
    Field(
        description="Mail to these is rejected: `example.com`, or `*.example.com` for everything"
        " below it. 10,000 at most."
    ),
]
AllowedDomains = Annotated[
    list[str],
    Field(description="Mail must come from one of these, in the same form; none: from any."),
]
ChangeReason = Annotated[
    str | None, Field(description="Kept and shown; one line, 500 characters at most.")
]


class StreamChanges(Input):
    """What is null or left out stays as it is."""

    max_attempts: StrictInt | None = Field(None, description="1 to 100.")
    lifetime_seconds: StrictInt | None = Field(None, description="60 to 2,592,000: 30 days.")
    unknown_outcome: Literal["hold", "retry", "assume_sent"] | None = Field(
        None, description="What becomes of a message when contact was lost after its last byte."
    )


class PolicyChanges(Input):
    """What is left out stays as it is; so does what is null, but for the two limits."""

    rate_limit_workspace_per_hour: PerHour = None
    rate_limit_domain_per_hour: PerHour = None
    on_limit: OnLimit | None = Field(
        None,
        description="What becomes of a message for which a limit has no room: 429, or it waits.",
    )
    blocked_recipient_domains: BlockedDomains | None = None
    allowed_from_domains: AllowedDomains | None = None
    transactional: StreamChanges | None = Field(None, description="The rules of this stream.")
    marketing: StreamChanges | None = Field(None, description="The rules of this stream.")
    soft_bounce_threshold: StrictInt | None = Field(None, description="1 to 100.")

    def as_mapping(self) -> dict[str, Any]:
        """The changes that are meant, as services take them."""
        given = self.model_dump(exclude_unset=True, include=set(PolicyChanges.model_fields))
        return _without_null(
            given, keep={"rate_limit_workspace_per_hour", "rate_limit_domain_per_hour"}
        )


class PolicyIn(PolicyChanges):
    workspace_id: WorkspaceId | None = None
    version: StrictInt | None = Field(
        None, ge=0, description="The version that was looked at: 409 where it is not in force."
    )
    reason: ChangeReason = None


class PolicyQuery(WorkspaceQuery):
    version: int | None = Field(
        None, ge=0, le=2**31 - 1, description="An earlier version; 0: the instance's defaults."
    )


class StreamRulesOut(BaseModel):
    max_attempts: int
    lifetime_seconds: int
    unknown_outcome: str


class PolicyRules(BaseModel):
    rate_limit_workspace_per_hour: PerHour
    rate_limit_domain_per_hour: PerHour
    on_limit: OnLimit = Field(
        description="What becomes of a message for which a limit has no room: 429, or it waits."
    )
    blocked_recipient_domains: BlockedDomains
    allowed_from_domains: AllowedDomains
    transactional: StreamRulesOut
    marketing: StreamRulesOut
    soft_bounce_threshold: int = Field(
        description="Soft bounces in a row that suppress an address."
    )


class PolicyOut(PolicyRules):
    workspace_id: int
    version: int = Field(description="0: the instance's defaults.")
    source: Literal["instance", "workspace"]
    created_at: datetime | None
    created_by: str | None
    reason: str | None
    restored_version: int | None = Field(description="The version that a rollback brought back.")


class PolicyChangeOut(BaseModel):
    """One field that differs. Of a list of domains it tells what was added and removed, of any
    other the value before and after.
    """

    field: str = Field(description="`on_limit`, `marketing.max_attempts`, ...")
    before: int | str | None
    after: int | str | None
    added: list[str] | None = Field(description=f"{TOLD_MAX} at most.")
    added_count: int | None
    removed: list[str] | None = Field(description=f"{TOLD_MAX} at most.")
    removed_count: int | None


class PolicySaved(PolicyOut):
    status: Literal["saved", "unchanged"] = Field(
        description="`unchanged`: all was so already, and no version was written."
    )
    changes: list[PolicyChangeOut]


class PolicyVersionsQuery(WorkspaceQuery):
    limit: int = Field(
        VERSIONS_SHOWN, ge=1, le=VERSIONS_SHOWN, description="How many a page has at most."
    )
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class PolicyVersionOut(BaseModel):
    version: int
    created_at: datetime
    created_by: str
    reason: str | None
    restored_version: int | None
    changes: list[PolicyChangeOut] = Field(
        description="Against the version before; of the first, against the instance's defaults as"
        " they are now."
    )


class PolicyVersionPage(BaseModel):
    workspace_id: int
    count: int = Field(description="Versions on this page.")
    versions: list[PolicyVersionOut] = Field(description="Newest first.")
    next_cursor: str | None


class PolicyRollback(Input):
    workspace_id: WorkspaceId | None = None
    version: Annotated[StrictInt, Field(ge=0)] = Field(
        description="Whose rules are to be in force again; 0: the instance's defaults."
    )
    reason: ChangeReason = None


class PolicyPreviewIn(Input):
    workspace_id: WorkspaceId | None = None
    policy: PolicyChanges = Field(description="Changes to the policy in force.")
    window: Window = Field(Window.DAY, description="How far back it looks.")


class PolicyFigures(BaseModel):
    passed: int
    deferred: int
    rejected: int
    suppressed: int
    by_check: dict[Check, int] = Field(
        description="The deferred and the rejected, each once, by the check that decided."
    )


class PolicyInForceFigures(PolicyFigures):
    version: int


class StoppedDomain(BaseModel):
    domain: str
    deferred: int
    rejected: int


class PolicySample(BaseModel):
    outcome: Outcome
    check: Check | None
    evidence: dict[str, Any]
    deferred_until: datetime | None
    message_id: uuid.UUID
    from_email: str
    to_email: str
    subject: str
    created_at: datetime


class PolicyPreviewOut(PolicyFigures):
    """The figures of the policy that was tried, and those of the one in force beside them."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    workspace_id: int
    window: Window
    since: datetime = Field(alias="from")
    until: datetime = Field(alias="to")
    looked_at: int
    truncated: bool = Field(
        description="There were more than 200,000; `from` is that of the oldest one looked at."
    )
    policy: PolicyRules = Field(description="The policy that was tried.")
    changes: list[PolicyChangeOut] = Field(description="Against the policy in force.")
    in_force: PolicyInForceFigures
    stopped_domains: list[StoppedDomain] = Field(
        description="The recipient domains with the most messages deferred or rejected."
    )
    samples: list[PolicySample] = Field(
        description="The first ten of each outcome and check, oldest first."
    )


def _without_null(given: dict[str, Any], *, keep: set[str]) -> dict[str, Any]:
    return {
        name: _without_null(value, keep=set()) if isinstance(value, dict) else value
        for name, value in given.items()
        if value is not None or name in keep
    }
