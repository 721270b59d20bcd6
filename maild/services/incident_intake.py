"""Reading troubles: the events of messages that were deferred, failed, came back or were lost
become counts of signals. Each event is read once, in batches, set by set.

Ids of events are given before their transactions commit, so a reader that goes by ids alone would
pass by what commits late. `settle` says how far it is safe to read: up to a mark, which is the
highest id that had been given at some time, once all that were writing at that time have finished.
Not in charge of what becomes of signals (`incident_watch`).
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from maild.db import database
from maild.domain import incident_fingerprint
from maild.domain.incident_fingerprint import Signature
from maild.domain.incident_rules import SLOT_SECONDS
from maild.domain.states import EventType
from maild.domain.storable import clean_text
from maild.services import workspaces

BATCH = 5_000
"""Events read in one transaction."""
SIGNALS_MAX = 1_000
"""So many signals of a workspace are kept apart within a day; what is new beyond that is lumped
together by class and account. Those of incidents are kept for good, and must not fill it up.
"""
SAMPLE_MAX_CHARS = 500
LATEST_MAX = 20
"""To see whether a recipient is a new one, so many messages to them are looked at."""

Key = tuple[int, str]
"""A workspace and a fingerprint."""


@dataclass(slots=True)
class _Seen:
    """A signature in a batch: when each message was seen last with it, and how often in slots."""

    signature: Signature
    sample: str
    messages: dict[str, datetime]
    slots: Counter[datetime]
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class _Trouble:
    """An event of trouble, as far as it matters."""

    workspace_id: int
    message_id: str
    at: datetime
    signature: Signature
    sample: str


# Whoever had written before the mark has a transaction that is older than it. One without an id has
# written nothing, unless it is about to, in a statement that is older as well: long exports read in
# many statements, and nothing waits for their end.
_OPEN_SINCE = """
SELECT EXISTS (
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
        AND application_name LIKE 'maild %%' AND pid <> pg_backend_pid()
        AND xact_start <= %(at)s
        AND (backend_xid IS NOT NULL OR state = 'active' AND query_start <= %(at)s))
"""
_CURSOR = "SELECT last_id, mark_id, mark_at FROM incident_cursors"
_HIGHEST = "SELECT last_value FROM events_id_seq"
_MARK = """
UPDATE incident_cursors SET mark_id = %s, mark_at = clock_timestamp() RETURNING mark_at
"""
_ADVANCE = "UPDATE incident_cursors SET last_id = greatest(last_id, %s)"


def settle() -> tuple[int, int]:
    """How far has been read, and how far it can be: up to that id nothing more will turn up. Not
    in a transaction. The caller is the only one that reads.
    """
    last_id, upto, at = database.execute_sql(_CURSOR).fetchone()
    if upto > last_id and _is_open_since(at):
        return last_id, last_id
    # The id first: whoever begins after the time that follows has a higher one.
    [highest] = database.execute_sql(_HIGHEST).fetchone()
    if highest > upto:
        [mark_at] = database.execute_sql(_MARK, (highest,)).fetchone()
        if not _is_open_since(mark_at):
            upto = highest
    return int(last_id), int(max(last_id, upto))


def _is_open_since(at: datetime) -> bool:
    return bool(database.execute_sql(_OPEN_SINCE, {"at": at}).fetchone()[0])


# What maild itself refuses by the policy is no trouble of a server.
_READ = """
SELECT e.id, e.workspace_id, e.message_id::text, e.type, e.created_at,
    coalesce(e.data->>'error_class', CASE WHEN e.type = %(bounced)s THEN m.error_class END),
    coalesce(e.data->>'smtp_account', m.smtp_account_name),
    coalesce((e.data->>'excused')::boolean, false), e.data->>'text', m.to_email,
    e.data ? 'check'
FROM events e JOIN messages m ON m.id = e.message_id
WHERE e.type IN ('message.deferred', 'message.failed', 'message.outcome_unknown',
        'message.bounced')
    AND e.id > %(after)s AND e.id <= %(upto)s
ORDER BY e.id LIMIT %(batch)s
"""


def read_batch(after: int, upto: int) -> tuple[int, int]:
    """Count the next troubles, in a transaction; returns up to which id all are counted, and how
    many they were.
    """
    with database.atomic():
        values = {"after": after, "upto": upto, "batch": BATCH, "bounced": EventType.BOUNCED.value}
        rows = database.execute_sql(_READ, values).fetchall()
        troubles = [_trouble(row) for row in rows if not row[-1]]
        if troubles:
            _keep(_sort(troubles))
        reached = int(rows[-1][0]) if len(rows) == BATCH else upto
        database.execute_sql(_ADVANCE, (reached,))
    return reached, len(rows)


def _trouble(row: Sequence[Any]) -> _Trouble:
    _, workspace_id, message_id, type_, at, error_class, account, is_excused, text, to, _ = row
    signature = incident_fingerprint.of_trouble(
        EventType(type_),
        error_class=error_class,
        smtp_account=account,
        to_email=to,
        text=text,
        is_path_fault=is_excused,
    )
    return _Trouble(
        workspace_id, message_id, at, signature, clean_text(text or "")[:SAMPLE_MAX_CHARS]
    )


_KNOWN = """
SELECT workspace_id, fingerprint FROM incident_signals
JOIN json_to_recordset(%s) AS v (workspace_id int, fingerprint text)
    USING (workspace_id, fingerprint)
"""
_COUNTS = """
SELECT w.id, (SELECT count(*) FROM (
    SELECT FROM incident_signals s
    WHERE s.workspace_id = w.id AND s.last_seen_at > now() - interval '1 day' LIMIT %s) AS counted)
FROM unnest(%s::int[]) AS w (id)
"""


def _sort(troubles: Sequence[_Trouble]) -> dict[Key, _Seen]:
    """The troubles by what they count as: a trouble that is known to be wide counts as that, and a
    new one beyond SIGNALS_MAX as one of its class.
    """
    fingerprints = {signature: signature.fingerprint for signature in _all_of(troubles)}
    asked = {(t.workspace_id, fingerprints[t.signature]) for t in troubles}
    asked |= {(t.workspace_id, fingerprints[t.signature.wide]) for t in troubles}
    rows = [{"workspace_id": key[0], "fingerprint": key[1]} for key in sorted(asked)]
    known = {tuple(row) for row in database.execute_sql(_KNOWN, (json.dumps(rows),)).fetchall()}
    ids = sorted({t.workspace_id for t in troubles})
    counts = dict(database.execute_sql(_COUNTS, (SIGNALS_MAX, ids)).fetchall())
    seen: dict[Key, _Seen] = {}
    for trouble in troubles:
        workspace_id, signature = trouble.workspace_id, trouble.signature
        if (workspace_id, fingerprints[signature.wide]) in known:
            signature = signature.wide
        key = workspace_id, fingerprints[signature]
        if key not in known and counts[workspace_id] >= SIGNALS_MAX:
            signature = signature.coarse
            key = workspace_id, signature.fingerprint
        elif key not in known:
            known.add(key)
            counts[workspace_id] += 1
        _count(seen, key, signature, trouble)
    return seen


def _all_of(troubles: Sequence[_Trouble]) -> set[Signature]:
    own = {trouble.signature for trouble in troubles}
    return own | {signature.wide for signature in own}


def _count(seen: dict[Key, _Seen], key: Key, signature: Signature, trouble: _Trouble) -> None:
    found = seen.get(key)
    if found is None:
        found = seen[key] = _Seen(signature, trouble.sample, {}, Counter(), trouble.at, trouble.at)
    found.sample = trouble.sample or found.sample
    found.messages[trouble.message_id] = trouble.at
    found.slots[_slot(trouble.at)] += 1
    found.first_at = min(found.first_at, trouble.at)
    found.last_at = max(found.last_at, trouble.at)


def _slot(at: datetime) -> datetime:
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % SLOT_SECONDS, UTC)


_SIGNALS = """
INSERT INTO incident_signals AS s (workspace_id, fingerprint, kind, error_class, smtp_account,
    recipient_domain, pattern, sample, detail, first_seen_at, since_at, last_seen_at, news_count)
SELECT workspace_id, fingerprint, kind, error_class, smtp_account, recipient_domain, pattern,
    sample, '{}', first_at, first_at, last_at, seen_count
FROM json_to_recordset(%s) AS v (workspace_id int, fingerprint text, kind text, error_class text,
    smtp_account text, recipient_domain text, pattern text, sample text, first_at timestamptz,
    last_at timestamptz, seen_count int)
ORDER BY workspace_id, fingerprint
ON CONFLICT (workspace_id, fingerprint) DO UPDATE SET
    sample = coalesce(excluded.sample, s.sample),
    last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at),
    news_count = s.news_count + excluded.news_count
RETURNING workspace_id, fingerprint, id
"""
_TALLIES = """
INSERT INTO incident_tallies AS t (signal_id, slot_at, seen_count)
SELECT signal_id, slot_at, seen_count
FROM json_to_recordset(%s) AS v (signal_id int, slot_at timestamptz, seen_count int)
ORDER BY signal_id, slot_at
ON CONFLICT (signal_id, slot_at) DO UPDATE SET seen_count = t.seen_count + excluded.seen_count
"""
# A message that was deleted a moment ago is left out.
_MESSAGES = """
INSERT INTO incident_messages AS im (signal_id, message_id, seen_at)
SELECT v.signal_id, m.id, v.seen_at
FROM json_to_recordset(%s) AS v (signal_id int, message_id uuid, seen_at timestamptz)
JOIN messages m ON m.id = v.message_id
ORDER BY v.signal_id, v.message_id
ON CONFLICT (signal_id, message_id) DO UPDATE SET seen_at = excluded.seen_at
RETURNING signal_id, message_id::text, xmax = 0
"""


def _keep(seen: dict[Key, _Seen]) -> None:
    """Add what was seen to what is known."""
    # Before the signals, and then their incidents: whoever changes both takes the turn first.
    workspaces.take_turns_of({workspace_id for workspace_id, _ in seen})
    signals = [
        {
            "workspace_id": workspace_id,
            "fingerprint": fingerprint,
            "kind": one.signature.kind.value,
            "error_class": one.signature.error_class,
            "smtp_account": one.signature.smtp_account,
            "recipient_domain": one.signature.recipient_domain,
            "pattern": one.signature.pattern and clean_text(one.signature.pattern),
            "sample": one.sample or None,
            "first_at": one.first_at.isoformat(),
            "last_at": one.last_at.isoformat(),
            "seen_count": one.slots.total(),
        }
        for (workspace_id, fingerprint), one in seen.items()
    ]
    rows = database.execute_sql(_SIGNALS, (json.dumps(signals),)).fetchall()
    ids = {(workspace_id, fingerprint): id_ for workspace_id, fingerprint, id_ in rows}
    tallies = [
        {"signal_id": ids[key], "slot_at": slot.isoformat(), "seen_count": count}
        for key, one in seen.items()
        for slot, count in one.slots.items()
    ]
    database.execute_sql(_TALLIES, (json.dumps(tallies),))
    messages = [
        {"signal_id": ids[key], "message_id": message_id, "seen_at": at.isoformat()}
        for key, one in seen.items()
        for message_id, at in one.messages.items()
    ]
    written = database.execute_sql(_MESSAGES, (json.dumps(messages),)).fetchall()
    fresh = [(signal_id, message_id) for signal_id, message_id, is_new in written if is_new]
    _keep_incidents(sorted(ids.values()), fresh)


_TOUCH = """
UPDATE incidents i SET last_seen_at = greatest(i.last_seen_at, s.last_seen_at)
FROM (
    SELECT incident_id, max(last_seen_at) AS last_seen_at FROM incident_signals
    WHERE id = ANY(%s) AND incident_id IS NOT NULL GROUP BY incident_id) AS s
WHERE i.id = s.incident_id AND i.status <> 'resolved'
"""
_COUNT_SIGNALS = """
UPDATE incident_signals s SET message_count = s.message_count + v.count
FROM (
    SELECT signal_id, count(*)::int AS count
    FROM json_to_recordset(%s) AS v (signal_id int, message_id uuid) GROUP BY signal_id) AS v
WHERE s.id = v.signal_id
"""
# A message that another signal of the incident was seen of counts already, and so does a recipient
# of whose latest messages another one is in it. NOT IN, which is hashed: how many rows there are is
# not known beforehand, and to go through all of them for each takes seconds.
_COUNT_INCIDENTS = """
WITH v AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(rows)s) AS v (signal_id int, message_id uuid)
), fresh AS MATERIALIZED (
    SELECT DISTINCT s.incident_id, m.id, m.workspace_id, m.to_email
    FROM v
    JOIN incident_signals s ON s.id = v.signal_id
    JOIN incidents i ON i.id = s.incident_id AND i.status <> 'resolved'
    JOIN messages m ON m.id = v.message_id
    WHERE NOT EXISTS (
        SELECT FROM incident_messages im JOIN incident_signals o ON o.id = im.signal_id
        WHERE im.message_id = v.message_id AND o.incident_id = s.incident_id
            AND (im.signal_id, im.message_id) NOT IN (SELECT signal_id, message_id FROM v))
), people AS (
    SELECT DISTINCT incident_id, workspace_id, to_email FROM fresh
), new_people AS (
    SELECT incident_id, count(*)::int AS count FROM people p
    WHERE NOT EXISTS (
        SELECT FROM (
            SELECT m.id FROM messages m
            WHERE m.workspace_id = p.workspace_id AND m.to_email = p.to_email
            ORDER BY m.created_at DESC, m.id DESC LIMIT %(latest)s) AS latest
        JOIN incident_messages im ON im.message_id = latest.id
        JOIN incident_signals o ON o.id = im.signal_id AND o.incident_id = p.incident_id
        WHERE (latest.id, p.incident_id) NOT IN (SELECT id, incident_id FROM fresh))
    GROUP BY incident_id
), counts AS (
    SELECT incident_id, count(*)::int AS count FROM fresh GROUP BY incident_id
)
UPDATE incidents i SET
    message_count = i.message_count + c.count,
    recipient_count = i.recipient_count + coalesce(p.count, 0)
FROM counts c LEFT JOIN new_people p USING (incident_id)
WHERE i.id = c.incident_id
"""


def _keep_incidents(signal_ids: list[int], fresh: Sequence[tuple[int, str]]) -> None:
    """Bring the incidents of these signals up to date; `fresh`: messages new to a signal."""
    database.execute_sql(_TOUCH, (signal_ids,))
    if not fresh:
        return
    rows = json.dumps([{"signal_id": id_, "message_id": message} for id_, message in fresh])
    database.execute_sql(_COUNT_SIGNALS, (rows,))
    database.execute_sql(_COUNT_INCIDENTS, {"rows": rows, "latest": LATEST_MAX})
