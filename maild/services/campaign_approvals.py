"""From a draft to its time: submitting a campaign, sending it back, approving and scheduling it.

What is sent is fixed here: the version of its template. Whoever wants to change anything takes the
campaign back to a draft, and it needs approval anew. An admin may require that whoever approves is
somebody else than who submitted it and who changed it last (`campaign_settings`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from maild import clock
from maild.db import database
from maild.domain import campaign_schedule, submission
from maild.domain.actor import Actor
from maild.domain.campaign import CampaignStatus
from maild.errors import Conflict, FieldError, InvalidFields, summarise
from maild.models import Campaign
from maild.services import (
    campaign_checks,
    campaign_fields,
    campaign_settings,
    campaign_states,
    campaigns,
    workspaces,
)

REASON_MAX_CHARS = 500
SCHEDULE_MAX_DAYS = submission.SCHEDULE_MAX_DAYS

NEEDS_SECOND = (
    "This workspace wants a second person to approve each campaign. Submit it for that instead."
)
NOT_SECOND = (
    "This workspace wants a second person to approve each campaign: somebody else than who"
    " submitted it and than who changed it last."
)
_BACK = {
    "template_version": None,
    "submitted_by": None,
    "approved_by": None,
    "starts_at": None,
}


def submit(
    workspace_id: int, campaign_id: int, *, version: int | None = None, by: Actor
) -> Campaign:
    """Ask for approval of a draft. Raises NotFound; Conflict where it is no draft, somebody has
    changed it, or something stops it: `errors` names that.
    """
    with database.atomic():
        row = campaigns.take(workspace_id, campaign_id, version)
        campaigns.require_draft(row)
        sent = campaign_checks.require_sendable(row)
        fixed = {"template_version": sent, "submitted_by": by.name}
        return _move(row, CampaignStatus.IN_REVIEW, "submitted", fixed, by=by)


def send_back(
    workspace_id: int,
    campaign_id: int,
    *,
    reason: str | None = None,
    version: int | None = None,
    by: Actor,
) -> Campaign:
    """Make a draft again of what waits for approval: not approved, or no longer wanted. Raises
    NotFound, InvalidFields (the reason), Conflict.
    """
    reason = _check_reason(reason)
    with database.atomic():
        row = campaigns.take(workspace_id, campaign_id, version)
        _require(row, CampaignStatus.IN_REVIEW, "waits for approval")
        return _move(row, CampaignStatus.DRAFT, "sent_back", _BACK, by=by, reason=reason)


def approve(
    workspace_id: int, campaign_id: int, *, version: int | None = None, by: Actor
) -> Campaign:
    """Let what was submitted begin at its time, or at once where it has none. Raises NotFound;
    Conflict where it does not wait for approval, somebody has changed it, a second person is
    needed, or something stops it: `errors` names that.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = campaigns.take(workspace_id, campaign_id, version)
        _require(row, CampaignStatus.IN_REVIEW, "waits for approval")
        if campaign_settings.get(workspace_id).needs_second_person and by.name in {
            row.submitted_by,
            row.changed_by or row.created_by,
        }:
            raise Conflict(NOT_SECOND)
        start = _start_of(row)
        campaign_checks.require_sendable(row)
        fixed = {"approved_by": by.name, **start}
        return _move(row, CampaignStatus.SCHEDULED, "approved", fixed, by=by)


def schedule(
    workspace_id: int,
    campaign_id: int,
    *,
    send_at: datetime | None = None,
    time_zone: str | None = None,
    is_now: bool = False,
    version: int | None = None,
    by: Actor,
) -> Campaign:
    """Let a draft begin at its time, or at once where it has none. `send_at`, what clocks in
    `time_zone` show then, takes the place of its own; so does `is_now`.

    Raises NotFound, InvalidFields; Conflict where it is no draft, somebody has changed it, it has
    to be approved first, or something stops it: `errors` names that.
    """
    changes: dict[str, Any] = {}
    if is_now or send_at is not None:
        changes["send_at"] = None if is_now else send_at
    if time_zone is not None:
        changes["time_zone"] = time_zone
    if is_now and send_at is not None:
        raise _invalid("send_at", "cannot be given for what is to begin now")
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = campaigns.take(workspace_id, campaign_id, version)
        campaigns.require_draft(row)
        if campaign_settings.get(workspace_id).needs_second_person:
            raise Conflict(NEEDS_SECOND)
        before = campaign_fields.values_of(row)
        after = campaign_fields.check(workspace_id, changes, before=before)
        changed = {name: after[name] for name in changes if after[name] != before[name]}
        for name, value in changed.items():
            setattr(row, name, value)
        if changed:
            changed["changed_by"] = by.name
        start = _start_of(row)
        fixed = {
            **changed,
            "template_version": campaign_checks.require_sendable(row),
            "submitted_by": by.name,
            "approved_by": None,
            **start,
        }
        return _move(row, CampaignStatus.SCHEDULED, "scheduled", fixed, by=by)


def unschedule(
    workspace_id: int, campaign_id: int, *, version: int | None = None, by: Actor
) -> Campaign:
    """Make a draft again of what has not begun yet. Raises NotFound, Conflict."""
    with database.atomic():
        row = campaigns.take(workspace_id, campaign_id, version)
        _require(row, CampaignStatus.SCHEDULED, "is scheduled")
        return _move(row, CampaignStatus.DRAFT, "unscheduled", _BACK, by=by)


_RENAME = """
UPDATE campaigns SET
    created_by = CASE created_by WHEN %(old)s THEN %(new)s ELSE created_by END,
    changed_by = CASE changed_by WHEN %(old)s THEN %(new)s ELSE changed_by END,
    submitted_by = CASE submitted_by WHEN %(old)s THEN %(new)s ELSE submitted_by END
WHERE status IN ('draft', 'in_review') AND %(old)s IN (created_by, changed_by, submitted_by)
    AND workspace_id IN (SELECT workspace_id FROM members WHERE person_id = %(person)s)
"""


def follow_person(person_id: int, *, old: str, new: str) -> None:
    """A person has another address: what they wrote and submitted stays theirs, so that they are no
    second person now. In the caller's transaction.
    """
    database.execute_sql(_RENAME, {"person": person_id, "old": old, "new": new})


def _start_of(row: Campaign) -> dict[str, Any]:
    """When it begins, and its first step with it. Raises InvalidFields where that is over, or too
    far away.
    """
    now = clock.now()
    if row.send_at is None:
        return {"starts_at": now, "step_at": now}
    try:
        moment = campaign_schedule.find_moment(row.send_at, row.time_zone)
    except ValueError as error:  # the rules of its zone are other ones by now
        raise _invalid("send_at", str(error)) from None
    if moment.at <= now:
        raise _invalid("send_at", "is over already: choose a time that is to come")
    if (moment.at - now).days >= SCHEDULE_MAX_DAYS:
        raise _invalid("send_at", f"is more than {SCHEDULE_MAX_DAYS} days away")
    return {"starts_at": moment.at, "step_at": moment.at}


def _require(row: Campaign, status: CampaignStatus, what: str) -> None:
    """Raises Conflict."""
    if row.status is not status:
        is_ = row.status.value.replace("_", " ")
        raise Conflict(f"Only a campaign that {what} can do that, and this one is {is_}.")


def _move(
    row: Campaign,
    new: CampaignStatus,
    verb: str,
    values: Mapping[str, Any],
    *,
    by: Actor,
    reason: str | None = None,
) -> Campaign:
    before = {"status": row.status.value}
    moved = campaign_states.move(row, new, **values, version=Campaign.version + 1)
    after: dict[str, Any] = {"status": moved.status.value}
    if moved.template_version is not None:
        after["template_version"] = moved.template_version
    if moved.starts_at is not None:
        after["starts_at"] = moved.starts_at.isoformat()
    campaigns.record(moved, by, verb, before=before, after=after, reason=reason)
    return moved


def _check_reason(reason: str | None) -> str | None:
    if reason is None or not reason.strip():
        return None
    problems = list(submission.check_line("reason", reason, max_chars=REASON_MAX_CHARS))
    if problems:
        errors = [FieldError(name, message) for name, message in problems]
        raise InvalidFields(summarise(errors), errors=errors)
    return reason.strip()


def _invalid(field: str, message: str) -> InvalidFields:
    error = FieldError(field, message)
    return InvalidFields(summarise([error]), errors=[error])
