"""What a campaign does by itself, step by step: it begins, its ledger is written, messages are made
of the rows, a test is decided, and it ends; after a cancellation, what is left is withdrawn.

A step is one transaction of a second or less that holds the campaign's row: nobody else steps it
meanwhile, a person's pause waits for the commit, and a worker that is killed leaves nothing
half-done. Nothing is remembered between steps but what the rows say.

How messages are made of rows is in `campaign_handover`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import peewee

from maild import db, log, queue
from maild.db import database
from maild.domain import campaign_test
from maild.domain.actor import SYSTEM
from maild.domain.campaign import CampaignStatus, TestMetric, Variant
from maild.domain.campaign_test import Tally
from maild.errors import Conflict, MaildError
from maild.models import Campaign
from maild.services import (
    audit,
    campaign_audience,
    campaign_contents,
    campaign_handover,
    campaign_ledger,
    campaign_states,
    jobs,
)
from maild.services.campaign_contents import Content
from maild.services.campaign_handover import Traffic
from maild.services.campaign_ledger import Engagement, Slice
from maild.services.messages import DELIVER

LOOKED_AT = 5_000
"""Contacts that one step looks at for the ledger."""
WITHDRAWN_AT_ONCE = 5_000
"""Rows, and messages, that one step of a cancellation withdraws."""
LOOK_AGAIN_SECONDS = 2.0
"""Nothing tells when the last message comes to its end, or when a freeze is over: it is looked
for.
"""
FROZEN_SECONDS = 5.0
"""How soon a campaign that a freeze stops looks whether it is over."""
STRAGGLERS = 0.1
"""A test's time begins though this part of it waits still: a few mailboxes take hours."""
FAULT_PAUSE_SECONDS = (1, 5, 15, 60, 120)
"""How long a step that raised waits before each further try; after the last of them the campaign
pauses itself.
"""
REST_SECONDS_MIN = 0.05
FAULT_MAX_CHARS = 500

logger = log.get(__name__)


def drain(should_stop: Callable[[], bool] = lambda: False) -> int:
    """Take all steps that are due, of all campaigns in turn; how many. On `should_stop` the step
    that is under way is the last. Raises what the database raises when it goes away.
    """
    count = 0
    while not should_stop() and take_step():
        count += 1
    return count


def rest_seconds() -> float:
    """How long no step is due."""
    query = Campaign.select(
        peewee.fn.extract(
            peewee.NodeList((peewee.SQL("epoch FROM"), peewee.fn.min(Campaign.step_at) - _now()))
        )
    ).where(_has_steps())
    seconds = query.scalar()
    return 3600.0 if seconds is None else max(REST_SECONDS_MIN, float(seconds))


def take_step() -> bool:
    """Take the step that is due longest, so that campaigns take turns; whether there was one that
    nobody else takes just now.
    """
    campaign: Campaign | None = None
    try:
        with database.atomic():
            campaign = _take_due()
            if campaign is None:
                return False
            jobs.allow_time()
            _step(campaign)
    except Exception as error:
        if campaign is None or _is_away(error):
            raise
        _note_fault(campaign, error)
    return True


def _take_due() -> Campaign | None:
    query = (
        Campaign.select()
        .where(_has_steps(), Campaign.step_at <= _now())
        .order_by(Campaign.step_at)
        .limit(1)
        .for_update("FOR NO KEY UPDATE SKIP LOCKED")  # type: ignore[arg-type]
    )
    found: Campaign | None = query.first()
    return found


def _step(campaign: Campaign) -> None:
    match campaign.status:
        case CampaignStatus.SCHEDULED:
            _begin(campaign)
        case CampaignStatus.PREPARING:
            _prepare(campaign)
        case CampaignStatus.SENDING:
            _send(campaign)
        case CampaignStatus.CANCELLED:
            _finish_cancellation(campaign)


def _begin(campaign: Campaign) -> None:
    assert campaign.starts_at is not None
    if campaign.starts_at > _clock():
        _save(campaign, step_at=campaign.starts_at)
        return
    campaign_states.move(campaign, CampaignStatus.PREPARING, started_at=_now())
    _log(campaign, "campaign.started")


def _prepare(campaign: Campaign) -> None:
    """Write the next rows of the ledger; after the last of them, go on to sending."""
    changes: dict[str, Any] = {}
    if campaign.rules is None:
        _require_content(campaign)
        campaign.rules = changes["rules"] = campaign_audience.find_rules(campaign)
    chosen = campaign_audience.choose(campaign, limit=LOOKED_AT)
    written = _write_rows(campaign, chosen.contacts)
    changes |= {
        "cursor": chosen.cursor,
        "audience_count": Campaign.audience_count + written,
    }
    if not chosen.is_last:
        _save(campaign, **changes)
        return
    campaign_states.move(campaign, CampaignStatus.SENDING, prepared_at=_now(), **_fine(changes))
    _log(campaign, "campaign.prepared", audience_count=campaign.audience_count + written)


_WRITE_ROWS = """
INSERT INTO campaign_recipients (campaign_id, contact_id, email, variant)
SELECT %s, * FROM unnest(%s::bigint[], %s::text[], %s::text[])
ON CONFLICT DO NOTHING
"""


def _write_rows(campaign: Campaign, contacts: list[tuple[int, str]]) -> int:
    if not contacts:
        return 0
    variants: list[str | None] = [None] * len(contacts)
    if campaign.test_percent is not None:
        percent = campaign.test_percent
        variants = [campaign_test.assign(campaign.id, id_, percent=percent) for id_, _ in contacts]
    ids, emails = [id_ for id_, _ in contacts], [email for _, email in contacts]
    cursor = database.execute_sql(_WRITE_ROWS, (campaign.id, ids, emails, variants))
    return int(cursor.rowcount)


def _require_content(campaign: Campaign) -> Content:
    """What a campaign says. Raises Conflict where it is gone."""
    content = campaign_contents.find(campaign)
    if content is None:
        raise Conflict("Its template was deleted.")
    return content


# --- Sending ----------------------------------------------------------------------------------


def _send(campaign: Campaign) -> None:
    """Hand over the next rows, unless a freeze is on; where none waits, decide the test, or see
    whether all is done.
    """
    traffic = campaign_handover.look(campaign)
    if traffic.held_count:
        # A claim that had begun before it was resumed has held them.
        campaign_states.release(campaign)
        queue.enqueue(DELIVER)
    if campaign_handover.has_waiting(campaign):
        if campaign_handover.is_frozen(campaign):
            _save(campaign, step_at=_later(FROZEN_SECONDS))
        else:
            _hand_over(campaign, traffic)
    elif campaign_handover.has_queued(campaign):
        _save(campaign, step_at=_later(LOOK_AGAIN_SECONDS))
    else:
        campaign_states.move(campaign, CampaignStatus.FINISHED, settled_at=_now(), **_fine({}))
        _log(campaign, "campaign.finished", audience_count=campaign.audience_count)


def _hand_over(campaign: Campaign, traffic: Traffic) -> None:
    """Make messages of the next rows: while a test is not decided, of those that are in it."""
    content = _require_content(campaign)
    is_test = campaign.test_percent is not None and campaign.winner is None
    done = campaign_handover.hand_over(campaign, content, traffic, is_test=is_test)
    if is_test and done.is_nothing_left:
        _wait_for_decision(campaign, traffic)
    else:
        _save(campaign, step_at=_later(done.wait_seconds), **done.changes)


def _wait_for_decision(campaign: Campaign, traffic: Traffic) -> None:
    """Decide the test when its time is over. That begins when nearly all of it has gone out, and
    anew after a pause: what nobody could open yet decides nothing.
    """
    now, soon = _clock(), _later(LOOK_AGAIN_SECONDS)
    if campaign.decide_at is not None and now < campaign.decide_at:
        _save(campaign, step_at=min(campaign.decide_at, soon))
        return
    parts = campaign_ledger.by_variant(campaign)
    if parts.keys() == {None}:  # of a few contacts, none may be in it
        _decide(campaign, Variant.A)
    elif campaign.decide_at is None and _is_held_up(campaign, traffic):
        _save(campaign, step_at=soon)
    elif campaign.decide_at is None:
        decide_at = now + timedelta(minutes=campaign.test_minutes or 0)
        _save(campaign, decide_at=decide_at, step_at=min(decide_at, soon))
    else:
        _decide(campaign, _find_better(campaign, parts))


def _is_held_up(campaign: Campaign, traffic: Traffic) -> bool:
    """Whether so much of a test that was handed over waits still, in a freeze or because a provider
    is away, that its time must not begin.
    """
    return traffic.under_way_count > campaign.handed_count * STRAGGLERS


def _decide(campaign: Campaign, winner: Variant) -> None:
    _save(campaign, winner=winner)
    audit.record(
        campaign.workspace_id,
        SYSTEM,
        action="campaign.winner_chosen",
        target=f"campaign {campaign.id}",
        after={"winner": winner.value},
    )
    _log(campaign, "campaign.winner_chosen", winner=winner.value)


def _find_better(campaign: Campaign, parts: Mapping[Variant | None, Slice]) -> Variant:
    def tally(variant: Variant) -> Tally:
        part = parts.get(variant) or Slice({}, Engagement())
        did = part.engagement
        is_opens = campaign.test_metric is TestMetric.OPENS
        return Tally(part.reached_count, did.opened_count if is_opens else did.clicked_count)

    return campaign_test.choose(tally(Variant.A), tally(Variant.B))


# --- The end of a cancellation ----------------------------------------------------------------

_CANCEL_ROWS = """
WITH waiting AS (
    SELECT id FROM campaign_recipients
    WHERE campaign_id = %(campaign)s AND status = 'queued' AND message_id IS NULL
    LIMIT %(limit)s
)
UPDATE campaign_recipients r SET status = 'cancelled', updated_at = now()
FROM waiting WHERE r.id = waiting.id
"""


def _finish_cancellation(campaign: Campaign) -> None:
    """Withdraw what is left. What is being sent is waited for: it may come back to the queue."""
    messages = campaign_states.withdraw(campaign, limit=WITHDRAWN_AT_ONCE)
    values = {"campaign": campaign.id, "limit": WITHDRAWN_AT_ONCE}
    rows = database.execute_sql(_CANCEL_ROWS, values).rowcount
    if WITHDRAWN_AT_ONCE in {messages, rows}:
        _save(campaign)
    elif campaign_handover.has_queued(campaign):
        _save(campaign, step_at=_later(LOOK_AGAIN_SECONDS))
    else:
        _save(campaign, settled_at=_now())


# --- Faults -----------------------------------------------------------------------------------


def _note_fault(campaign: Campaign, error: Exception) -> None:
    """Let the campaign wait for another try of the same step; or pause it, where that would be in
    vain. A cancellation is tried again as long as it takes.
    """
    words = explain(error)
    is_for_good = isinstance(error, MaildError)
    logger.warning(
        "campaign.step_failed",
        workspace_id=campaign.workspace_id,
        campaign_id=campaign.id,
        status=campaign.status.value,
        fault_count=campaign.fault_count + 1,
        error=words,
        exc_info=not is_for_good,
    )
    with database.atomic():
        current = campaign_states.lock(campaign.workspace_id, campaign.id)
        if current.status is not campaign.status:
            return  # somebody has moved it meanwhile
        count = current.fault_count + 1
        is_too_often = is_for_good or count > len(FAULT_PAUSE_SECONDS)
        if is_too_often and current.status in {CampaignStatus.PREPARING, CampaignStatus.SENDING}:
            done = campaign_states.stop(current, reason=words, by=SYSTEM)
            audit.record(
                current.workspace_id,
                SYSTEM,
                action="campaign.paused",
                target=f"campaign {current.id}",
                before={"status": current.status.value},
                after={"status": "paused", "message_count": done.message_count},
                reason=words,
            )
            return
        seconds = FAULT_PAUSE_SECONDS[min(count, len(FAULT_PAUSE_SECONDS)) - 1]
        Campaign.update(
            fault=words, fault_count=Campaign.fault_count + 1, step_at=_later(seconds)
        ).where(Campaign.id == current.id).execute()


def explain(error: Exception) -> str:
    """What a page says of a step that raised."""
    if isinstance(error, MaildError):
        return error.detail[:FAULT_MAX_CHARS]
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"Something unexpected happened: {text}"[:FAULT_MAX_CHARS].replace("\0", " ")


def _is_away(error: Exception) -> bool:
    """Whether the database is away: no fault of the step. One that took too long, or met another
    head-on, is tried again as any other.
    """
    text = str(error)
    return db.is_away(error) and "timeout" not in text and "deadlock" not in text


# --- Its row ----------------------------------------------------------------------------------


def _save(campaign: Campaign, **changes: Any) -> None:
    """Write down what a step has come to. Its next one is due at once, unless `step_at` says."""
    Campaign.update(_fine(changes)).where(Campaign.id == campaign.id).execute()


def _fine(changes: dict[str, Any]) -> dict[str, Any]:
    return {"step_at": peewee.fn.clock_timestamp(), "fault": None, "fault_count": 0, **changes}


def _has_steps() -> Any:
    return (
        Campaign.status.in_(
            [
                CampaignStatus.SCHEDULED,
                CampaignStatus.PREPARING,
                CampaignStatus.SENDING,
                CampaignStatus.CANCELLED,
            ]
        )
        & Campaign.settled_at.is_null()
    )


def _now() -> Any:
    return peewee.fn.now()


def _clock() -> datetime:
    """The time, by Postgres' clock."""
    at: datetime = database.execute_sql("SELECT now()").fetchone()[0]
    return at


def _later(seconds: float) -> datetime:
    return _clock() + timedelta(seconds=seconds)


def _log(campaign: Campaign, event: str, **told: Any) -> None:
    database.after_commit(
        lambda: logger.info(
            event, workspace_id=campaign.workspace_id, campaign_id=campaign.id, **told
        )
    )
