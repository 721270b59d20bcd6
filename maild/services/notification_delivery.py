"""Getting a notification there: taking what is due, what each kind of channel is sent, and what
came of it.

A claim registers the attempt and when somebody else may take it over, and is committed before
anything is dialled: a worker that dies costs a repetition, by the same id, and no notification.
What came of it is written where the claim still holds, and tells the incident's timeline. Not in
charge of the threads (`notification_loop`), nor of which account a mail goes through
(`notification_mail`).
"""

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import peewee

from maild import clock, log, metrics
from maild.db import database
from maild.domain import notification as words
from maild.domain import standard_webhooks
from maild.domain.actor import SYSTEM
from maild.domain.incident import EntryKind
from maild.domain.notification import ChannelKind, NotificationStatus, Occasion
from maild.domain.storable import clean_text
from maild.errors import DecryptionError
from maild.models import Incident, Notification, NotificationChannel
from maild.services import incident_changes, notification_channels, notification_mail
from maild.services.notification_mail import Outcome
from maild.services.smtp_account_fields import guard
from maild.transports.http_post import Answer, PostFailed, post

LEASE_SECONDS = 60
"""After which an attempt is somebody else's: longer than any takes."""
HOUR_MAX = 30
"""So many are sent to a channel in an hour; the others are told by one, when it is over."""
SAID_MAX_CHARS = 300
PIECE_MIN_CHARS = 8
"""A piece of an address that is repeated by itself: shorter ones stand in many words."""
_PIECES = re.compile("[/?&=;#]")
OFF = "The channel was switched off before this was sent."
CRASHED = "maild could not send it, for a mistake of its own: its log says which."
GONE_WORDS = "It answered 410 Gone: nobody takes notifications there any more."

logger = log.get(__name__)

# One that is under way has no outcome yet, and a lease that stands: its channel waits for it.
_CLAIM = """
WITH next AS (
    SELECT DISTINCT ON (channel_id) id, due_at FROM notifications AS n
    WHERE status = 'waiting' AND due_at <= now() AND NOT EXISTS (
        SELECT FROM notifications AS busy
        WHERE busy.channel_id = n.channel_id AND busy.status = 'waiting'
            AND busy.attempt_count > 0 AND busy.outcome IS NULL AND busy.due_at > now())
    ORDER BY channel_id, id
)
UPDATE notifications SET attempt_count = attempt_count + 1, outcome = NULL,
    due_at = now() + %(lease)s * interval '1 second'
WHERE id IN (
    SELECT id FROM notifications
    WHERE id IN (SELECT id FROM next ORDER BY due_at LIMIT %(limit)s)
        AND status = 'waiting' AND due_at <= now()
    FOR UPDATE SKIP LOCKED)
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Request:
    """What is posted where, for a notification that is this process's to send."""

    row: Notification
    url: str
    body: bytes
    headers: dict[str, str]


def claim(limit: int) -> list[Notification]:
    """What is due, with the channels; one of each channel at a time, so that they arrive in order.
    They are this process's for LEASE_SECONDS.
    """
    values = {"lease": LEASE_SECONDS, "limit": limit}
    ids = [row[0] for row in database.execute_sql(_CLAIM, values).fetchall()]
    if not ids:
        return []
    query = (
        Notification.select(Notification, NotificationChannel)
        .join(NotificationChannel)
        .where(Notification.id.in_(ids))
        .order_by(Notification.id)
    )
    return list(query)


def prepare(row: Notification) -> Request | None:
    """What to post; None where there is nothing to post: it is a mail, which is handed over here,
    or waits, or fails before it begins. Dials nothing.
    """
    if not row.channel.is_active:
        settle(row, Outcome(NotificationStatus.FAILED, OFF), is_fault=False)
        return None
    if _is_put_back(row):
        return None
    data = _data_of(row)
    if row.channel.kind is ChannelKind.EMAIL:
        with database.atomic() as transaction:
            if not settle(row, notification_mail.carry_on(row, data)):
                transaction.rollback()  # somebody else has it: no second mail
        return None
    try:
        url = notification_channels.open_url(row.channel)
        if row.channel.kind is ChannelKind.SLACK:
            return Request(row, url, _slack_body(row, data), _headers())
        body = _webhook_body(row, data)
        signed = standard_webhooks.headers(
            f"msg_{row.uid.hex}",
            int(clock.now().timestamp()),
            body,
            notification_channels.open_signing(row.channel),
        )
        return Request(row, url, body, _headers() | signed)
    except (DecryptionError, ValueError) as error:
        settle(row, Outcome(NotificationStatus.FAILED, str(error)))
        return None


def send(request: Request) -> Outcome:
    """Post it, and say what came of it; touches no database."""
    row = request.row
    try:
        answer = post(request.url, request.body, request.headers, guard=guard())
    except PostFailed as error:
        return _again(row, f"{str(error)[:1].upper()}{str(error)[1:]}.")
    except Exception:
        return crashed(row)
    if 200 <= answer.status < 300:
        return Outcome(NotificationStatus.SENT, f"It answered {answer.status}.", answer.status)
    if answer.status == 410:
        return Outcome(NotificationStatus.FAILED, GONE_WORDS, answer.status)
    if 300 <= answer.status < 400:
        told = f"It answered {answer.status}, a redirect. Redirects are not followed: give the"
        return _again(row, f"{told} address that it leads to.", answer)
    return _again(row, f"It answered {answer.status}{_said(answer, request.url)}", answer)


def crashed(row: Notification) -> Outcome:
    """What comes of one that raises what nobody thought of: the others that are under way must not
    lose their outcomes for it. Called where it is handled.
    """
    logger.exception("notification.crashed", notification_id=row.id)
    return _again(row, CRASHED)


def settle(row: Notification, outcome: Outcome, *, is_fault: bool = True) -> bool:
    """Write down what came of an attempt; returns whether it was still this process's.

    `is_fault` is whether a failure is one of the channel.
    """
    told = clean_text(outcome.text)
    with database.atomic():
        is_over = outcome.status is not NotificationStatus.WAITING
        values: dict[str, Any] = {
            "status": outcome.status,
            "outcome": told,
            "code": outcome.code,
            "settled_at": peewee.fn.now() if is_over else None,
        }
        if outcome.message_id is not None:
            values["message_id"] = outcome.message_id
        if outcome.retry_in is not None:
            later = ("now() + interval '1 second' * %s", (outcome.retry_in,))
            values["due_at"] = peewee.SQL(*later)
        is_ours = (
            Notification.update(**values)
            .where(
                Notification.id == row.id,
                Notification.status == NotificationStatus.WAITING,
                Notification.attempt_count == row.attempt_count,
            )
            .execute()
        )
        if not is_ours:
            return False
        _note_channel(row, outcome, told, is_fault=is_fault)
        _tell_incident(row, outcome, told)
    metrics.NOTIFICATIONS.labels(row.channel.kind.value, outcome.status.value).inc()
    logger.info(
        "notification.tried",
        workspace_id=row.workspace_id,
        notification_id=row.id,
        status=outcome.status.value,
        code=outcome.code,
    )
    return True


_NOTE_SENT = """
UPDATE notification_channels SET last_sent_at = now(), failing_since = NULL, last_error = NULL
WHERE id = %(channel)s
"""
_NOTE_FAILURE = """
UPDATE notification_channels SET failing_since = coalesce(failing_since, now()),
    last_error = %(told)s
WHERE id = %(channel)s
"""


def _note_channel(row: Notification, outcome: Outcome, told: str, *, is_fault: bool) -> None:
    values = {"channel": row.channel_id, "told": told}
    if outcome.status is NotificationStatus.SENT:
        database.execute_sql(_NOTE_SENT, values)
    elif is_fault and not outcome.is_under_way:
        database.execute_sql(_NOTE_FAILURE, values)
        if outcome.code == 410:
            notification_channels.switch_off(row.channel, reason=told, by=SYSTEM)


def _tell_incident(row: Notification, outcome: Outcome, told: str) -> None:
    """An entry when it is sent, when it is given up, and when it fails for the first time."""
    is_first = row.attempt_count == 1 and not outcome.is_under_way
    if row.incident_id is None or (outcome.status is NotificationStatus.WAITING and not is_first):
        return
    incident = Incident(id=row.incident_id, workspace=row.workspace_id)
    outcome_word = {
        NotificationStatus.SENT: "sent",
        NotificationStatus.FAILED: "failed",
    }.get(outcome.status, "retrying")
    incident_changes.add_entry(
        incident,
        EntryKind.NOTIFIED,
        text=None if outcome_word == "sent" else told,
        channel=row.channel.name,
        channel_kind=row.channel.kind.value,
        occasion=row.occasion.value,
        outcome=outcome_word,
        reason=None if outcome_word == "sent" else told,
    )


def _is_put_back(row: Notification) -> bool:
    """Whether it is not sent now: a first attempt beyond the limit, a further one too late."""
    if row.occasion is Occasion.TEST or row.message_id is not None:
        return False
    return _is_held(row) if row.attempt_count == 1 else _is_late(row)


_SENT_BEFORE = """
SELECT settled_at + interval '1 hour' FROM (
    SELECT settled_at FROM notifications
    WHERE channel_id = %(channel)s AND status = 'sent' AND settled_at > now() - interval '1 hour'
    ORDER BY settled_at DESC LIMIT %(max)s) AS latest
ORDER BY settled_at DESC OFFSET %(max)s - 1
"""
_STANDING = """
SELECT id FROM notifications
WHERE channel_id = %(channel)s AND status = 'waiting' AND occasion <> 'test'
    AND (attempt_count = 0 OR id = %(claimed)s)
ORDER BY id FOR UPDATE
"""
_FOLD = """
UPDATE notifications SET status = 'folded', settled_at = now(), folded_into_id = %(into)s,
    outcome = 'Many came at once: this one is told by another.'
WHERE id = ANY(%(others)s)
"""
_FOLD_DEEPER = """
UPDATE notifications SET folded_into_id = %(into)s WHERE folded_into_id = ANY(%(others)s)
"""
_HOLD = """
UPDATE notifications SET due_at = %(until)s, attempt_count = 0, outcome = %(why)s
WHERE id = %(into)s
"""


def _is_held(row: Notification) -> bool:
    """Where the channel has had HOUR_MAX within the hour: let the newest that waits stand for all
    of them, and wait until there is room.
    """
    values: dict[str, Any] = {"channel": row.channel_id, "max": HOUR_MAX, "claimed": row.id}
    with database.atomic():
        full = database.execute_sql(_SENT_BEFORE, values).fetchone()
        if full is None:
            return False
        *others, into = [one[0] for one in database.execute_sql(_STANDING, values).fetchall()]
        why = f"This channel has had {HOUR_MAX} notifications within an hour: it is sent later."
        values |= {"others": others, "into": into, "until": full[0], "why": why}
        if others:
            database.execute_sql(_FOLD_DEEPER, values)
            database.execute_sql(_FOLD, values)
        database.execute_sql(_HOLD, values)
    return True


_FOLD_LATE = """
UPDATE notifications AS n SET status = 'folded', settled_at = now(), folded_into_id = later.id,
    outcome = 'It was over, or back, before this got through: that was told.'
FROM (
    SELECT id FROM notifications
    WHERE channel_id = %(channel)s AND incident_id = %(incident)s AND id > %(id)s
        AND occasion IN ('resolved', 'reopened')
    ORDER BY id DESC LIMIT 1) AS later
WHERE n.id = %(id)s AND n.status = 'waiting' AND n.attempt_count = %(attempt)s
"""


def _is_late(row: Notification) -> bool:
    """Where it failed while its incident was resolved, or came back: it is not told afterwards."""
    values = {
        "id": row.id,
        "channel": row.channel_id,
        "incident": row.incident_id,
        "attempt": row.attempt_count,
    }
    return bool(database.execute_sql(_FOLD_LATE, values).rowcount)


_FOLDED = """
SELECT count(*) FILTER (WHERE incident_id <> %(incident)s)::int,
    array_agg(DISTINCT occasion) FILTER (WHERE incident_id = %(incident)s)
FROM notifications WHERE folded_into_id = %(id)s
"""


def _data_of(row: Notification) -> dict[str, object]:
    """What is told, with what else this one stands for."""
    data = dict(row.data)
    if row.incident_id is not None:
        values = {"id": row.id, "incident": row.incident_id}
        more_count, also = database.execute_sql(_FOLDED, values).fetchone()
        if more_count:
            data["more_count"] = more_count
        if also:
            data["also"] = sorted(also)
    return data


def _headers() -> dict[str, str]:
    return {"Content-Type": "application/json", "User-Agent": "maild"}


def _webhook_body(row: Notification, data: dict[str, object]) -> bytes:
    type_ = "test" if row.occasion is Occasion.TEST else f"incident.{row.occasion.value}"
    told = {"type": type_, "timestamp": row.created_at.isoformat(), "data": data}
    return json.dumps(told, ensure_ascii=False).encode()


def _slack_body(row: Notification, data: dict[str, object]) -> bytes:
    """Slack's mark-up, which others take as well: a line in bold, facts, a link."""
    lines = [f"*{words.slack_text(words.headline(row.occasion, data))}*"]
    lines += [f"{name}: {words.slack_text(value)}" for name, value in words.facts(data)]
    if more := words.more(data):
        lines.append(more)
    lines.append(f"<{words.slack_text(str(data['url']))}|Open it in maild>")
    return json.dumps({"text": "\n".join(lines)}, ensure_ascii=False).encode()


def _again(row: Notification, text: str, answer: Answer | None = None) -> Outcome:
    """It failed: when it is tried again, if it is. A test is not: its sender looks at it."""
    asked = answer.retry_after_seconds if answer else None
    code = answer.status if answer else None
    seconds = words.retry_in(row.attempt_count, asked_seconds=asked)
    if row.occasion is Occasion.TEST or seconds is None:
        return Outcome(NotificationStatus.FAILED, text, code)
    return Outcome(NotificationStatus.WAITING, text, code, retry_in=seconds)


def _said(answer: Answer, url: str) -> str:
    """What a server said beside its status, shortened; without what is secret of the address, which
    many repeat ("Cannot POST /services/T0/B0/x").
    """
    said = " ".join(answer.text.split())
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    pieces = [one for one in _PIECES.split(target) if len(one) >= PIECE_MIN_CHARS]
    for piece in (target, parts.path, parts.query, *pieces):
        for form in (piece, unquote(piece)):
            if len(form) > 1:
                said = said.replace(form, "…")
    said = said[:SAID_MAX_CHARS]
    return f": {said}" if said else "."
