"""The moves of a campaign, each guarded; and what pausing, resuming and cancelling do to its
messages.

Whoever moves a campaign holds its row from reading to commit, as every step does
(`campaign_steps`): a person waits for the step that is under way, and a step never meets a campaign
that has changed under it. What goes on by itself is in `campaign_steps`; what people do to a draft,
in `campaigns`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import peewee

from maild import log, queue
from maild.db import database
from maild.domain import submission
from maild.domain.actor import Actor
from maild.domain.campaign import OVER, CampaignStatus, Variant, can_move
from maild.domain.states import EventType
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import Campaign
from maild.services import audit, policies
from maild.services.claims import HELD_WHILE_PAUSED, PAUSED
from maild.services.messages import DELIVER

HINT = "campaigns"
"""The hint that wakes whoever takes steps of campaigns."""
REASON_MAX_CHARS = 500

logger = log.get(__name__)


def get(workspace_id: int, campaign_id: int) -> Campaign:
    """One campaign. Raises NotFound, also for another workspace's."""
    row: Campaign | None = Campaign.get_or_none(
        Campaign.id == campaign_id, Campaign.workspace == workspace_id
    )
    if row is None:
        raise NotFound("There is no such campaign.")
    return row


def lock(workspace_id: int, campaign_id: int) -> Campaign:
    """The same, kept from others until the caller's transaction ends; a step of it that is under
    way is waited for. Raises NotFound.
    """
    query = Campaign.select().where(Campaign.id == campaign_id, Campaign.workspace == workspace_id)
    row: Campaign | None = query.for_update("FOR NO KEY UPDATE").first()  # type: ignore[arg-type]
    return get(workspace_id, campaign_id) if row is None else row


def move(campaign: Campaign, new: CampaignStatus, **changes: Any) -> Campaign:
    """Move a locked campaign on, with other columns that change; in the caller's transaction. Its
    next step is due at once, where it has any.

    Raises Conflict for a move that the states do not have.
    """
    if not can_move(campaign.status, new):
        raise Conflict(
            f"The campaign is {campaign.status.value.replace('_', ' ')}:"
            f" it cannot become {new.value.replace('_', ' ')}."
        )
    now = peewee.fn.now()
    values = {"status": new, "updated_at": now, "step_at": now, **changes}
    if new is not CampaignStatus.PAUSED:
        values |= {"paused_from": None, "paused_by": None, "pause_reason": None}
    if new in OVER:
        values["ended_at"] = now
    rows = list(
        Campaign.update(values)
        .where(Campaign.id == campaign.id, Campaign.status == campaign.status)
        .returning(Campaign)
        .execute()
    )
    if not rows:
        raise Conflict("Somebody else was quicker: the campaign has changed meanwhile.")
    moved: Campaign = rows[0]
    queue.enqueue(HINT)
    return moved


@dataclass(frozen=True, slots=True)
class Done:
    """A campaign after a verb, and how many messages it has held, let go or withdrawn by it."""

    campaign: Campaign
    message_count: int


def pause(workspace_id: int, campaign_id: int, *, reason: str | None = None, by: Actor) -> Done:
    """Stop a campaign that is prepared or sent, until somebody resumes it. Its messages that wait
    are held; after the commit at most those go out that a worker is sending already.

    Audited. Raises NotFound, InvalidFields (the reason), Conflict (its status).
    """
    reason = _check_reason(reason)
    with database.atomic():
        campaign = lock(workspace_id, campaign_id)
        done = stop(campaign, reason=reason, by=by)
        _audit(done, by, "campaign.paused", before=campaign.status, reason=reason)
    logger.info("campaign.paused", workspace_id=workspace_id, campaign_id=campaign_id, by=by.name)
    return done


def stop(campaign: Campaign, *, reason: str | None, by: Actor) -> Done:
    """As `pause`, for a campaign that the caller has locked; in his transaction, not audited."""
    moved = move(
        campaign,
        CampaignStatus.PAUSED,
        paused_from=campaign.status,
        paused_by=by.name,
        pause_reason=reason,
    )
    return Done(moved, hold(moved, by=by))


def resume(workspace_id: int, campaign_id: int, *, by: Actor) -> Done:
    """Let a paused campaign go on where it was. The messages that the pause has held are queued
    again, with their lifetime anew, and a test that is not decided gets all its time again. Nobody
    is mailed who must not be by now.

    Audited. Raises NotFound, Conflict (its status).
    """
    with database.atomic():
        campaign = lock(workspace_id, campaign_id)
        if campaign.status is not CampaignStatus.PAUSED:
            raise Conflict(f"The campaign is {campaign.status.value}, not paused.")
        assert campaign.paused_from is not None
        # What was held could not be opened meanwhile: the time of a test begins anew.
        again = {} if campaign.winner else {"decide_at": None}
        moved = move(campaign, campaign.paused_from, fault=None, fault_count=0, **again)
        done = Done(moved, release(moved))
        _audit(done, by, "campaign.resumed", before=campaign.status)
        queue.enqueue(DELIVER)
    logger.info("campaign.resumed", workspace_id=workspace_id, campaign_id=campaign_id, by=by.name)
    return done


def cancel(workspace_id: int, campaign_id: int, *, reason: str | None = None, by: Actor) -> Done:
    """Stop a campaign for good. From the commit on nothing of it goes out but what a worker is
    sending already. What waits or is held is withdrawn: some thousands at once, the others by the
    steps that follow. What is out stays out.

    Audited. Raises NotFound, InvalidFields (the reason), Conflict (its status).
    """
    reason = _check_reason(reason)
    with database.atomic():
        campaign = lock(workspace_id, campaign_id)
        moved = move(campaign, CampaignStatus.CANCELLED, cancelled_by=by.name)
        done = Done(moved, withdraw(moved, limit=AT_ONCE_MAX))
        _audit(done, by, "campaign.cancelled", before=campaign.status, reason=reason)
    logger.info(
        "campaign.cancelled", workspace_id=workspace_id, campaign_id=campaign_id, by=by.name
    )
    return done


def choose_winner(workspace_id: int, campaign_id: int, winner: Variant, *, by: Actor) -> Campaign:
    """Say which subject the contacts get that are not in the test: also before its time is over.

    Audited. Raises NotFound, Conflict (no test, over, or decided already).
    """
    with database.atomic():
        campaign = lock(workspace_id, campaign_id)
        if campaign.test_percent is None:
            raise Conflict("The campaign tests no subjects.")
        if campaign.status in OVER:
            raise Conflict(f"The campaign is {campaign.status.value} already.")
        if campaign.winner is not None:
            raise Conflict(f"It is decided already: subject {campaign.winner.value.upper()}.")
        if campaign.started_at is None:
            raise Conflict("The campaign has not begun: there is nothing to decide yet.")
        chosen: Campaign
        [chosen] = (
            Campaign.update(winner=winner, step_at=peewee.fn.now(), updated_at=peewee.fn.now())
            .where(Campaign.id == campaign.id)
            .returning(Campaign)
            .execute()
        )
        queue.enqueue(HINT)
        audit.record(
            workspace_id,
            by,
            action="campaign.winner_chosen",
            target=_target(chosen),
            after={"winner": winner.value},
        )
    return chosen


# --- Its messages -----------------------------------------------------------------------------

AT_ONCE_MAX = 10_000
"""Messages that one transaction holds, lets go or withdraws. Claims hold and withdraw the rest, one
by one, should a worker come to them: to stop a campaign, its status is enough.
"""

# In the order of their ids, as everybody locks messages that may wait for another.
_PICK = """
WITH picked AS MATERIALIZED (
    SELECT m.id FROM campaign_recipients r JOIN messages m ON m.id = r.message_id
    WHERE r.campaign_id = %(campaign)s AND r.status = 'queued' AND r.message_id IS NOT NULL
        AND m.workspace_id = %(workspace)s AND {wanted}
    ORDER BY m.id LIMIT %(limit)s
    FOR NO KEY UPDATE OF m
), moved AS (
    UPDATE messages m SET {changes}, updated_at = now()
    FROM picked WHERE m.id = picked.id AND {wanted}
    RETURNING m.workspace_id, m.id
), told AS (
    INSERT INTO events (workspace_id, message_id, type, data)
    SELECT workspace_id, id, %(event)s, jsonb_strip_nulls(
        jsonb_build_object('campaign_id', %(campaign)s, 'by', %(by)s::text,
            'reason', %(reason)s::text))
    FROM moved
)
SELECT count(*) FROM moved
"""
_HOLD = _PICK.format(
    wanted="m.status = 'queued'",
    changes=(
        "status = 'held', next_attempt_at = NULL, hold_reason = %(paused)s,"
        " expires_at = greatest(m.expires_at, now() + %(held_for)s::interval)"
    ),
)
_RELEASE = _PICK.format(
    wanted="m.status = 'held' AND m.freeze_id IS NULL AND m.hold_reason = %(paused)s",
    changes=(
        "status = 'queued', hold_reason = NULL,"
        " next_attempt_at = greatest(now(), m.scheduled_at, m.not_before),"
        " expires_at = greatest(now(), m.scheduled_at, m.not_before)"
        " + %(seconds)s * interval '1 second'"
    ),
)
_WITHDRAW = _PICK.format(
    wanted="m.status IN ('queued', 'held')",
    changes=("status = 'cancelled', next_attempt_at = NULL, hold_reason = NULL, freeze_id = NULL"),
)


def hold(campaign: Campaign, *, by: Actor) -> int:
    """Hold its messages that wait; how many. In the caller's transaction."""
    return _carry_out(campaign, _HOLD, EventType.HELD, by=by.name, reason=PAUSED)


def release(campaign: Campaign) -> int:
    """Queue again what its pause holds; how many. In the caller's transaction."""
    return _carry_out(campaign, _RELEASE, EventType.RELEASED)


def withdraw(campaign: Campaign, *, limit: int) -> int:
    """Withdraw some of its messages that wait or are held, by whoever; how many. In the caller's
    transaction.
    """
    return _carry_out(
        campaign, _WITHDRAW, EventType.CANCELLED, by=campaign.cancelled_by, limit=limit
    )


def _carry_out(
    campaign: Campaign,
    sql: str,
    event: EventType,
    *,
    by: str | None = None,
    reason: str | None = None,
    limit: int = AT_ONCE_MAX,
) -> int:
    rules = policies.get(campaign.workspace_id).marketing
    values = {
        "campaign": campaign.id,
        "workspace": campaign.workspace_id,
        "event": event.value,
        "by": by,
        "reason": reason,
        "paused": PAUSED,
        "held_for": HELD_WHILE_PAUSED,
        "seconds": rules.lifetime_seconds,
        "limit": limit,
    }
    return int(database.execute_sql(sql, values).fetchone()[0])


def _audit(
    done: Done, by: Actor, action: str, *, before: CampaignStatus, reason: str | None = None
) -> None:
    audit.record(
        done.campaign.workspace_id,
        by,
        action=action,
        target=_target(done.campaign),
        before={"status": before.value},
        after={"status": done.campaign.status.value, "message_count": done.message_count},
        reason=reason,
    )


def _target(campaign: Campaign) -> str:
    return f"campaign {campaign.id}"


def _check_reason(reason: str | None) -> str | None:
    if reason is None or not reason.strip():
        return None
    problems: Iterable[submission.Complaint] = submission.check_line(
        "reason", reason, max_chars=REASON_MAX_CHARS
    )
    errors = [FieldError(name, message) for name, message in problems]
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
    return reason.strip()
