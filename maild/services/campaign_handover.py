"""Handing over: messages are made of the next rows of a campaign's ledger, and go the way of all
mail: the decision, suppressions, unsubscribes, freezes and limits of `acceptance`.

Message and row commit together, in the transaction of the step. Only so many messages of a campaign
are under way at a time, so that the queue stays short, and so many as its pace allows.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import peewee

from maild import queue
from maild.db import database
from maild.domain import campaign_pace
from maild.domain.campaign import RecipientStatus, Variant
from maild.domain.campaign_pace import Pace, Room
from maild.domain.limits import WINDOW_SLOTS, WORKSPACE
from maild.domain.states import Status, Stream
from maild.errors import (
    BlockedRecipientDomain,
    Conflict,
    InvalidRequest,
    MaildError,
    RateLimited,
)
from maild.models import Campaign, CampaignRecipient, Message
from maild.services import (
    acceptance,
    campaign_contents,
    campaign_engagement,
    metric_counts,
    policies,
    submissions,
)
from maild.services.acceptance import Settled
from maild.services.campaign_contents import Content
from maild.services.claims import PAUSED
from maild.services.messages import DELIVER
from maild.services.submissions import NewMessage, Submission, TemplateUsed

DUE_MAX = 4_000
"""Messages of a campaign that are due or being sent, at a time; of one with a pace there are fewer
(`campaign_pace.find_most_waiting`).
"""
UNDER_WAY_MAX = 20_000
"""The same with those that wait for a later attempt, or are held."""
ROWS_MAX = 250
"""Of which one step makes messages: fewer than those that need a turn (`acceptance.AT_ONCE_MAX`),
so that nobody who submits other mail waits for them.
"""
STEP_BYTES_MAX = 4 * 1024 * 1024
"""So much content one step makes, or one message's."""
FREE_MIN = 100
"""For less room than that under these two no step is taken, but waited for more."""
WINDOW_SECONDS = 0.5
"""How soon there may be room again where all that may be under way is."""
LIMIT_SECONDS_MAX = 300
"""A limit that is full is looked at again after so long at most: somebody may raise it. So is the
campaign's own pace: what a claim has held, that began before the campaign was resumed, is found by
its next step.
"""
LIMIT_SECONDS = 30.0
"""So is the workspace's, where a campaign has used up its part of it."""
SHARE_OF_LIMIT = 0.9
"""Of what the workspace may send in an hour campaigns leave the rest to other mail: a password
reset is not refused because of a newsletter.
"""
FULL_DOMAINS_MAX = 50
REASON_MAX_CHARS = 200

CONTACT_DELETED = "contact_deleted"
BLOCKED_DOMAIN = "blocked_domain"
SUPPRESSED, UNSUBSCRIBED = "suppressed", "unsubscribed"
MISSING_FIELDS = "missing_fields"
TEMPLATE_ERROR = "template_error"


class Traffic(NamedTuple):
    """The messages of a campaign that have not come to their end: all of them, those that are due
    or being sent, and those that a pause holds.
    """

    under_way_count: int
    due_count: int
    held_count: int


# Rows of messages under way stand in an index of their own, and each message is looked up by its
# id: there are UNDER_WAY_MAX of them at most, or hardly more.
_LOOK = """
SELECT count(*), count(*) FILTER (WHERE m.status = 'sending'
        OR m.status = 'queued' AND m.next_attempt_at <= now() + interval '1 minute'),
    count(*) FILTER (WHERE m.status = 'held' AND m.freeze_id IS NULL AND m.hold_reason = %s)
FROM campaign_recipients r CROSS JOIN LATERAL (
    SELECT status, next_attempt_at, freeze_id, hold_reason FROM messages
    WHERE id = r.message_id OFFSET 0) AS m
WHERE r.campaign_id = %s AND r.status = 'queued' AND r.message_id IS NOT NULL
"""


def look(campaign: Campaign) -> Traffic:
    """What of it is under way."""
    return Traffic(*database.execute_sql(_LOOK, (PAUSED, campaign.id)).fetchone())


_FROZEN = """
SELECT EXISTS (
    SELECT FROM freezes
    WHERE workspace_id = %s AND lifted_at IS NULL AND expires_at > now() AND CASE kind
        WHEN 'workspace' THEN true
        WHEN 'stream' THEN target = %s
        WHEN 'from_email' THEN target = lower(%s COLLATE "pg_c_utf8")
        ELSE false END)
"""


def is_frozen(campaign: Campaign) -> bool:
    """Whether a freeze stops all of its mail. What would be handed over then is better off in the
    ledger: it uses up neither pace nor lifetime, and does not go out in one burst afterwards.
    """
    values = (campaign.workspace_id, Stream.MARKETING.value, campaign.from_email)
    return bool(database.execute_sql(_FROZEN, values).fetchone()[0])


def has_waiting(campaign: Campaign) -> bool:
    """Whether any of its rows has no message, and is to have one."""
    return _exists(campaign, CampaignRecipient.message_id.is_null())


def has_queued(campaign: Campaign) -> bool:
    """Whether any of its rows has not come to its end."""
    return _exists(campaign)


def _exists(campaign: Campaign, *conditions: Any) -> bool:
    row = CampaignRecipient
    query = row.select(peewee.SQL("1")).where(
        row.campaign == campaign.id, row.status == RecipientStatus.QUEUED, *conditions
    )
    return bool(query.limit(1).tuples().first())


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What a step has handed over. `is_nothing_left`: no row waits. `wait_seconds`: how long the
    next step has nothing to do; `changes` are columns of the campaign.
    """

    is_nothing_left: bool = False
    wait_seconds: float = 0.0
    changes: Mapping[str, Any] = field(default_factory=dict)


def hand_over(
    campaign: Campaign, content: Content, traffic: Traffic, *, is_test: bool
) -> HandedOver:
    """Make messages of the next rows that wait: `is_test`, of those that test a subject.

    Raises Conflict where all of them would be refused for what the campaign says.
    """
    now = _clock()
    state = _State(campaign, now)
    room = state.find_room()
    free = min(DUE_MAX - traffic.due_count, UNDER_WAY_MAX - traffic.under_way_count)
    most = min(ROWS_MAX, free) if free >= FREE_MIN else 0
    if (waiting_max := state.find_most_waiting()) is not None:
        most = max(0, min(most, waiting_max - traffic.due_count))
    if room.count is not None:
        most = min(most, room.count)
    if (spare := _find_spare(campaign.workspace_id)) is not None and spare < most:
        most, room = spare, Room(spare, LIMIT_SECONDS)
    if most <= 0:
        if not _pick(campaign, limit=1, is_test=is_test, without=()):
            return HandedOver(is_nothing_left=True)
        wait = room.wait_seconds if room.count == 0 else 0.0
        wait = min(max(wait, WINDOW_SECONDS), LIMIT_SECONDS_MAX)
        return HandedOver(wait_seconds=wait, changes=state.as_changes())
    rows = _pick(campaign, limit=most, is_test=is_test, without=state.full_domains)
    if not rows:
        if not state.full_domains:
            return HandedOver(is_nothing_left=True)
        if not _pick(campaign, limit=1, is_test=is_test, without=()):
            return HandedOver(is_nothing_left=True)
        return HandedOver(wait_seconds=state.seconds_to_room(), changes=state.as_changes())
    settled = _settle(campaign, content, rows)
    wait = state.note(settled)
    made = _write(settled)
    state.use(sum(_goes_out(outcome) for outcome in settled))
    changes = state.as_changes()
    if made:
        changes["handed_count"] = Campaign.handed_count + made
        queue.enqueue(DELIVER)
    return HandedOver(wait_seconds=wait, changes=changes)


_COUNTED = """
SELECT coalesce(sum(message_count), 0)::bigint FROM limit_tallies
WHERE workspace_id = %s AND domain = %s AND slot BETWEEN
    floor(extract(epoch FROM now()) / 300)::int - %s AND floor(extract(epoch FROM now()) / 300)::int
"""


def _find_spare(workspace_id: int) -> int | None:
    """How many messages campaigns may still make within the workspace's limit; None: there is
    none.
    """
    limit = policies.get(workspace_id).rate_limit_workspace_per_hour
    if limit is None:
        return None
    values = (workspace_id, WORKSPACE, WINDOW_SLOTS)
    [(counted,)] = database.execute_sql(_COUNTED, values).fetchall()
    return max(0, max(1, int(limit * SHARE_OF_LIMIT)) - int(counted))


class _Row(NamedTuple):
    """A row that waits, with its contact as it is now; `contact_id` None: it was deleted."""

    id: int
    email: str
    variant: str | None
    contact_id: int | None
    name: str | None
    attributes: dict[str, Any] | None


# The contact is looked up for each row of the slice; by its address, for somebody who was deleted
# and added again meanwhile has another number. With `variant IS NULL` or `= 'a'`, and nothing
# cleverer, the index of what waits leads to the rows.
_ROWS = """
(SELECT r.id, r.email, r.variant, c.id AS contact_id, c.name, c.attributes
FROM campaign_recipients r LEFT JOIN LATERAL (
    SELECT id, name, attributes FROM contacts
    WHERE workspace_id = %s AND email = r.email AND status = 'active' OFFSET 0) AS c ON true
WHERE r.campaign_id = %s AND r.status = 'queued' AND r.message_id IS NULL
    AND r.variant {variant} {fitting}
ORDER BY r.id LIMIT %s)
"""
_NOT_FULL = "AND split_part(r.email, '@', 2) <> ALL(%s)"


def _pick(campaign: Campaign, *, limit: int, is_test: bool, without: Sequence[str]) -> list[_Row]:
    """The next rows. Of a test as many with each subject, so that neither is sooner; one at a time
    they come as they stand in the ledger, where both are mixed. Whoever was in the test and has no
    message yet comes first afterwards too.
    """
    variants: list[str | None] = [None]
    if campaign.test_percent is not None:
        variants = [Variant.A.value, Variant.B.value]
        if not is_test:
            variants.append(None)
    share = max(1, limit // len(variants)) if is_test else limit
    ways: list[str] = []
    values: list[Any] = []
    for variant in variants:
        way = _ROWS.replace("{variant}", f"= '{variant}'" if variant else "IS NULL")
        ways.append(way.replace("{fitting}", _NOT_FULL if without else ""))
        values += [campaign.workspace_id, campaign.id]
        values += [list(without)] if without else []
        values.append(share)
    end = ") AS t ORDER BY t.id LIMIT %s" if is_test else ") AS t LIMIT %s"
    sql = " UNION ALL ".join(ways).join(("SELECT * FROM (", end))
    rows = database.execute_sql(sql, (*values, limit))
    return [_Row(*row) for row in rows.fetchall()]


class _End(NamedTuple):
    """What a row comes to where no message is made of it."""

    status: RecipientStatus
    reason: str


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What has become of a row in this step: it ended, or it was settled."""

    row: _Row
    end: _End | None = None
    settled: Settled | None = None


def _settle(campaign: Campaign, content: Content, rows: Sequence[_Row]) -> list[_Outcome]:
    """Render the rows' mail and let it be accepted; the outcomes of those that were reached."""
    outcomes: list[_Outcome] = []
    good: list[tuple[_Row, Submission]] = []
    room = STEP_BYTES_MAX
    for row in rows:
        made = _make(campaign, content, row)
        if isinstance(made, _End):
            outcomes.append(_Outcome(row, end=made))
            continue
        room -= made.size_bytes
        if room < 0 and good:
            break
        good.append((row, made))
    if good:
        began = time.perf_counter()
        settled = acceptance.settle(campaign.workspace_id, [one for _, one in good])
        metric_counts.count_settled(settled, kind="batch", seconds=time.perf_counter() - began)
        outcomes += [
            _Outcome(row, settled=one) for (row, _), one in zip(good, settled, strict=True)
        ]
    return outcomes


def _make(campaign: Campaign, content: Content, row: _Row) -> Submission | _End:
    if row.contact_id is None or row.attributes is None:
        return _End(RecipientStatus.CANCELLED, CONTACT_DELETED)
    template = content.template
    used = TemplateUsed(template.id, template.name, content.version.version)
    contact = {**row.attributes, "email": row.email, "name": row.name}
    try:
        variant = Variant(row.variant) if row.variant else campaign.winner
        mail = campaign_contents.render(campaign, content, contact, variant=variant)
    except ValueError as error:
        return _failed(TEMPLATE_ERROR, str(error))
    if mail.missing:
        return _failed(MISSING_FIELDS, ", ".join(mail.missing))
    try:
        return submissions.check(
            NewMessage(
                from_email=campaign.from_email,
                from_name=campaign.from_name,
                reply_to=campaign.reply_to,
                to_email=row.email,
                subject=mail.subject,
                body_text=mail.text,
                body_html=mail.html,
                stream=Stream.MARKETING,
                topic=campaign.topic,
                tags=(f"campaign-{campaign.id}",),
                smtp_account=campaign.smtp_account,
                template=used,
                recipient_id=row.id,
            )
        )
    except InvalidRequest as error:
        if any(problem.field in _OF_CAMPAIGN for problem in error.errors):
            raise Conflict(f"No mail can be made of it. {error.detail}") from error
        return _failed("invalid", error.detail)


_OF_CAMPAIGN = frozenset({"from_email", "from_name", "reply_to", "topic", "smtp_account"})
"""What is wrong with these is wrong with every message."""


def _failed(word: str, detail: str) -> _End:
    line = " ".join(f"{word}: {detail}".split())
    return _End(RecipientStatus.FAILED, line[:REASON_MAX_CHARS])


# A row that has a message, or has come to its end, is left alone.
_WRITE = """
UPDATE campaign_recipients r SET
    contact_id = coalesce(v.contact_id, r.contact_id),
    status = v.status, reason = v.reason, message_id = v.message_id,
    handed_at = CASE WHEN v.message_id IS NOT NULL THEN now() END, updated_at = now()
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::uuid[])
    AS v (id, contact_id, status, reason, message_id)
WHERE r.id = v.id AND r.status = 'queued' AND r.message_id IS NULL
"""


def _write(outcomes: Sequence[_Outcome]) -> int:
    """Write the rows; of how many a message was made. Raises Conflict (see `hand_over`)."""
    ids, contact_ids, statuses, reasons, message_ids = [], [], [], [], []
    made = 0
    for outcome in outcomes:
        end, message_id = _end_of(outcome)
        if end is None:
            continue
        ids.append(outcome.row.id)
        contact_ids.append(outcome.row.contact_id)
        statuses.append(end[0])
        reasons.append(end[1])
        message_ids.append(message_id)
        made += message_id is not None
    if ids:
        database.execute_sql(_WRITE, (ids, contact_ids, statuses, reasons, message_ids))
    each = zip(ids, statuses, message_ids, strict=True)
    campaign_engagement.note_mailed(
        [id_ for id_, status, made_id in each if made_id and status is RecipientStatus.QUEUED]
    )
    return made


def _end_of(
    outcome: _Outcome,
) -> tuple[tuple[RecipientStatus, str | None] | None, uuid.UUID | None]:
    """Status and reason of a row, and its message; no status where it goes on waiting."""
    if outcome.end is not None:
        return outcome.end, None
    settled = outcome.settled
    assert settled is not None
    if isinstance(settled, RateLimited):
        return None, None
    if isinstance(settled, BlockedRecipientDomain):
        return (RecipientStatus.FAILED, BLOCKED_DOMAIN), None
    if isinstance(settled, MaildError):
        # Of the sender or the account: whoever mends that wants all of them sent.
        raise Conflict(settled.detail)
    [message] = settled.messages
    return _standing(message), message.id


def _goes_out(outcome: _Outcome) -> bool:
    """Whether it uses up any of the pace: who must not be mailed does not."""
    settled = outcome.settled
    if settled is None or isinstance(settled, MaildError):
        return False
    return settled.messages[0].status is not Status.SUPPRESSED


def _standing(message: Message) -> tuple[RecipientStatus, str | None]:
    if message.status is not Status.SUPPRESSED:
        return RecipientStatus.QUEUED, None
    is_own_wish = message.unsubscribe_id is not None
    return RecipientStatus.SUPPRESSED, UNSUBSCRIBED if is_own_wish else SUPPRESSED


# --- Pace and limits --------------------------------------------------------------------------


class _State:
    """What the campaign's pace has used up, and which domains' limits are full; both are kept in
    `pace`.
    """

    def __init__(self, campaign: Campaign, now: float) -> None:
        kept = dict(campaign.pace or {})
        self._now = now
        full = kept.pop("full", {})
        self._full: dict[str, float] = {name: at for name, at in full.items() if at > now}
        self._pace = Pace(campaign.per_hour, tuple(campaign.ramp or ()))
        used = campaign_pace.from_json(kept) if kept else campaign_pace.begin(self._pace, now)
        self._used = campaign_pace.advance(self._pace, used, now)

    @property
    def full_domains(self) -> list[str]:
        return sorted(self._full)

    def find_room(self) -> campaign_pace.Room:
        return campaign_pace.find_room(self._pace, self._used)

    def find_most_waiting(self) -> int | None:
        return campaign_pace.find_most_waiting(self._pace, self._used)

    def use(self, count: int) -> None:
        self._used = campaign_pace.use(self._pace, self._used, count)

    def note(self, outcomes: Sequence[_Outcome]) -> float:
        """Remember limits that were full; how long to wait, in seconds."""
        wait = 0.0
        for outcome in outcomes:
            error = outcome.settled
            if not isinstance(error, RateLimited):
                continue
            seconds = min(error.retry_after_seconds or 1, LIMIT_SECONDS_MAX)
            if error.domain is not None and len(self._full) < FULL_DOMAINS_MAX:
                self._full[error.domain] = self._now + seconds
            else:
                wait = max(wait, float(seconds))
        return wait

    def seconds_to_room(self) -> float:
        """How long all of these domains are full."""
        return max(WINDOW_SECONDS, min(self._full.values()) - self._now)

    def as_changes(self) -> dict[str, Any]:
        kept = campaign_pace.to_json(self._used)
        return {"pace": {**kept, "full": self._full} if self._full else kept}


def _clock() -> float:
    """Seconds since 1970, by Postgres' clock."""
    row = database.execute_sql("SELECT extract(epoch FROM now())::float8").fetchone()
    return float(row[0])
