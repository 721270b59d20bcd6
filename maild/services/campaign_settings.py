"""What holds for all campaigns of a workspace: whether one needs a second person."""

from dataclasses import dataclass
from datetime import datetime

from peewee import fn

from maild.db import database
from maild.domain.actor import Actor
from maild.errors import Conflict
from maild.models import CampaignSettings
from maild.services import audit, workspaces

STALE = "Somebody has changed these settings meanwhile. Look at them, and try again."


@dataclass(frozen=True, slots=True)
class Settings:
    """Version 0 is what holds where nobody has said anything."""

    needs_second_person: bool = False
    version: int = 0
    updated_by: str | None = None
    updated_at: datetime | None = None


def get(workspace_id: int) -> Settings:
    """Raises NotFound (the workspace)."""
    row = CampaignSettings.get_or_none(CampaignSettings.workspace == workspace_id)
    if row is None:
        workspaces.require(workspace_id)
        return Settings()
    return _settings(row)


def save(
    workspace_id: int, *, needs_second_person: bool, version: int | None = None, by: Actor
) -> Settings:
    """It holds for what is scheduled from now on; what is scheduled already stays so. Raises
    NotFound (the workspace), and Conflict where the settings are not at this version any more.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        before = get(workspace_id)
        if version is not None and version != before.version:
            raise Conflict(STALE)
        if before.needs_second_person == needs_second_person:
            return before
        values = {
            "needs_second_person": needs_second_person,
            "updated_by": by.name,
            "version": before.version + 1,
        }
        [row] = (
            CampaignSettings.insert(workspace=workspace_id, **values)
            .on_conflict(
                conflict_target=[CampaignSettings.workspace],
                update={**values, "updated_at": fn.now()},
            )
            .returning(CampaignSettings)
            .execute()
        )
        audit.record(
            workspace_id,
            by,
            action="campaign_settings.changed",
            target="campaigns",
            before={"needs_second_person": before.needs_second_person},
            after={"needs_second_person": needs_second_person},
        )
    return _settings(row)


def _settings(row: CampaignSettings) -> Settings:
    return Settings(row.needs_second_person, row.version, row.updated_by, row.updated_at)
