"""Campaigns: writing them down, reading them, and throwing drafts away.

What brings one from a draft to its time is in `campaign_approvals`, what a person does to one that
runs in `campaign_states`, and what became of whom in `campaign_ledger`. Changes take a `version`,
where the caller has seen one: of two people at once, the second learns of the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any

from peewee import fn

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.campaign import CampaignStatus
from maild.errors import Conflict
from maild.models import Campaign
from maild.services import audit, campaign_fields, campaign_states, workspaces

DRAFTS_MAX = 1_000
"""Of one workspace."""

STALE = (
    "Somebody has changed this campaign meanwhile. Look at what it says now, and try again if you"
    " still want to."
)
NOT_A_DRAFT = {
    CampaignStatus.IN_REVIEW: "It is being reviewed. Send it back to change it.",
    CampaignStatus.SCHEDULED: (
        "It is scheduled. Take it off the schedule to change it; it needs approval anew then."
    ),
}
BEGUN = "It has begun, and what it says does not change any more. Copy it to send another one."


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; `older` is the id after which the next page begins."""

    campaigns: list[Campaign]
    older: int | None


def create(workspace_id: int, fields: Mapping[str, Any], *, by: Actor) -> Campaign:
    """A draft. `fields` are of `campaign_fields.NAMES`; it needs a name, an audience and a From.

    Raises InvalidFields; NotFound: the workspace, or a list, segment or template that it names;
    Conflict where there are too many drafts.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        values = campaign_fields.check(workspace_id, fields)
        return _insert(workspace_id, values, by=by)


def copy(workspace_id: int, campaign_id: int, *, by: Actor) -> Campaign:
    """A draft that says what a campaign says, whatever has become of that one; not when. Raises
    NotFound, Conflict where there are too many drafts.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        original = get(workspace_id, campaign_id)
        values = campaign_fields.values_of(original) | {"send_at": None}
        most = campaign_fields.NAME_MAX_CHARS - len(_COPY)
        values["name"] = original.name[:most] + _COPY
        return _insert(workspace_id, values, by=by, copied_from=original.id)


_COPY = " (copy)"


def change(
    workspace_id: int,
    campaign_id: int,
    changes: Mapping[str, Any],
    *,
    version: int | None = None,
    by: Actor,
) -> Campaign:
    """Change what a draft says; what is left out stays. Nothing new is no change. Raises
    InvalidFields, NotFound, and Conflict where it is no draft or somebody else has changed it.
    """
    with database.atomic():
        row = take(workspace_id, campaign_id, version)
        require_draft(row)
        before = campaign_fields.values_of(row)
        after = campaign_fields.check(workspace_id, changes, before=before)
        changed = {name: after[name] for name in after if after[name] != before[name]}
        if not changed:
            return row
        saved = update(row, changed | {"changed_by": by.name})
        record(
            saved,
            by,
            "changed",
            before=_facts({name: before[name] for name in changed}),
            after=_facts(changed),
        )
    return saved


def delete(
    workspace_id: int, campaign_id: int, *, version: int | None = None, by: Actor
) -> Campaign:
    """Throw a draft away; returns what it was. Raises NotFound, and Conflict where it is no draft
    or somebody has changed it.
    """
    with database.atomic():
        row = take(workspace_id, campaign_id, version)
        require_draft(row)
        Campaign.delete().where(Campaign.id == row.id).execute()
        record(row, by, "deleted", before=_facts(campaign_fields.values_of(row)))
    return row


def get(workspace_id: int, campaign_id: int) -> Campaign:
    """Raises NotFound, for a foreign one as well."""
    return campaign_states.get(workspace_id, campaign_id)


def list_page(
    workspace_id: int,
    *,
    status: CampaignStatus | None = None,
    limit: int = 50,
    older_than: int | None = None,
) -> Page:
    """The newest campaigns, or those before an id. Raises NotFound (the workspace)."""
    query = Campaign.select().where(Campaign.workspace == workspace_id)
    if status is not None:
        query = query.where(Campaign.status == status)
    if older_than is not None:
        query = query.where(Campaign.id < older_than)
    rows = list(query.order_by(Campaign.id.desc()).limit(limit + 1))
    if not rows:
        workspaces.require(workspace_id)
    shown = rows[:limit]
    return Page(shown, older=shown[-1].id if len(rows) > limit else None)


def take(workspace_id: int, campaign_id: int, version: int | None) -> Campaign:
    """A campaign that nobody else changes until the end of the caller's transaction. Raises
    NotFound, and Conflict where it is not at this version any more.
    """
    row = campaign_states.lock(workspace_id, campaign_id)
    if version is not None and version != row.version:
        raise Conflict(STALE)
    return row


def require_draft(row: Campaign) -> None:
    """Raises Conflict."""
    if row.status is not CampaignStatus.DRAFT:
        raise Conflict(NOT_A_DRAFT.get(row.status, BEGUN))


def update(row: Campaign, values: Mapping[str, Any]) -> Campaign:
    """Write a change by a person to a campaign that is taken."""
    [changed] = (
        Campaign.update(**values, version=Campaign.version + 1, updated_at=fn.now())
        .where(Campaign.id == row.id)
        .returning(Campaign)
        .execute()
    )
    return changed  # type: ignore[no-any-return]


def record(
    row: Campaign,
    by: Actor,
    verb: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Keep in the audit log what somebody did to a campaign; last in the transaction."""
    audit.record(
        row.workspace_id,
        by,
        action=f"campaign.{verb}",
        target=f"campaign {row.id}",
        before=before,
        after=after,
        reason=reason,
    )


def _insert(
    workspace_id: int, values: Mapping[str, Any], *, by: Actor, copied_from: int | None = None
) -> Campaign:
    drafts = Campaign.select(Campaign.id).where(
        Campaign.workspace == workspace_id, Campaign.status == CampaignStatus.DRAFT
    )
    if drafts.limit(DRAFTS_MAX).count(database) >= DRAFTS_MAX:
        raise Conflict(f"There are {DRAFTS_MAX:,} drafts already. Delete some that nobody needs.")
    [row] = (
        Campaign.insert(workspace=workspace_id, created_by=by.name, **values)
        .returning(Campaign)
        .execute()
    )
    copied = {} if copied_from is None else {"copied_from": copied_from}
    record(
        row,
        by,
        "created",
        after=_facts({k: v for k, v in values.items() if v is not None}) | copied,
    )
    return row  # type: ignore[no-any-return]


def _facts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as the audit log keeps them."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, date | datetime) else value
