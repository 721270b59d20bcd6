"""Which message a report is about, among those of its workspace.

By the id that maild gave to the provider, by the Message-ID, and last by the provider's own id, as
its server told it in its reply to the final dot. Never by the recipient alone: that would be a
guess.
"""

import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from maild.db import database
from maild.domain import ids
from maild.domain.provider_event import MESSAGE_ID_KEY, ProviderEvent

RECENT_MAX = 50
"""So many of a recipient's newest messages are looked through for a provider's id."""
TOKEN_MIN_CHARS = 8
"""A provider's id that is shorter is no proof."""


@dataclass(frozen=True, slots=True)
class Report:
    """A provider event with its row's facts."""

    id: int
    workspace_id: int
    provider: str
    smtp_account_name: str | None
    email: str | None
    received_at: datetime
    event: ProviderEvent
    is_last_try: bool = False
    """What it waits for is not waited for any more."""

    @property
    def at(self) -> datetime:
        """When it happened, as far as the provider says; not in the future."""
        told = self.event.timestamp
        return self.received_at if told is None else min(told, self.received_at)


def find_workspace(events: Sequence[ProviderEvent]) -> int | None:
    """The workspace of the message that events name by an id of maild's."""
    wanted = {i for event in events for i in (_given_id(event), *_header_ids(event)) if i}
    for query in (_BY_ID, _BY_SUBMISSION):
        row = database.execute_sql(query, (list(wanted),)).fetchone() if wanted else None
        if row is not None:
            return int(row[1])
    return None


_BY_ID = "SELECT id, workspace_id, id, to_email FROM messages WHERE id = ANY(%s)"
_BY_SUBMISSION = """
SELECT submission_id, workspace_id, id, to_email FROM messages WHERE submission_id = ANY(%s)
"""
# Few reports come here, and each looks at few rows: what was sent to its recipient of late. What is
# being sent has no reply yet.
_RECENT = """
SELECT v.report, m.id, m.status = 'sending', array_agg(a.response) FILTER (WHERE EXISTS (
    SELECT FROM unnest(v.tokens) AS t WHERE position(t IN a.response) > 0))
FROM json_to_recordset(%s) AS v (report bigint, workspace int, emails text[], tokens text[])
CROSS JOIN LATERAL unnest(v.emails) AS e
CROSS JOIN LATERAL (
    SELECT id, status FROM messages WHERE workspace_id = v.workspace AND to_email = e
    ORDER BY created_at DESC, id DESC LIMIT %s) AS m
LEFT JOIN attempts a ON a.message_id = m.id
GROUP BY v.report, m.id, m.status
"""


@dataclass(frozen=True, slots=True)
class Links:
    """The messages that reports are about, by the reports' ids; and which reports may be about one
    that is being sent right now, whose reply will tell.
    """

    found: dict[int, uuid.UUID]
    too_early: set[int]


def find(reports: Sequence[Report]) -> Links:
    """The message of each report, where there is one in its workspace."""
    exact = {report.id: _given_id(report.event) for report in reports}
    told = {report.id: _header_ids(report.event) for report in reports}
    wanted = {i for i in exact.values() if i} | {i for found in told.values() for i in found}
    known: dict[tuple[uuid.UUID, int], dict[uuid.UUID, str]] = {}
    if wanted:
        for query in (_BY_ID, _BY_SUBMISSION):
            for key, workspace_id, message_id, to_email in database.execute_sql(
                query, (list(wanted),)
            ).fetchall():
                known.setdefault((key, workspace_id), {})[message_id] = to_email
    found: dict[int, uuid.UUID] = {}
    for report in reports:
        own = exact[report.id]
        if own and own in known.get((own, report.workspace_id), {}):
            found[report.id] = own
            continue
        for key in told[report.id]:
            chosen = _choose(known.get((key, report.workspace_id), {}), report.email)
            if chosen:
                found[report.id] = chosen
                break
    return _add_by_token([report for report in reports if report.id not in found], found)


def _given_id(event: ProviderEvent) -> uuid.UUID | None:
    """The id that maild gave to the provider, or that a sender of events gives to maild."""
    given = event.metadata.get(MESSAGE_ID_KEY)
    return ids.parse_id(given) if isinstance(given, str) else None


def _header_ids(event: ProviderEvent) -> list[uuid.UUID]:
    texts = (event.message_id_header, event.message_id)
    found = [ids.find_in_header(text) for text in texts if text]
    return list(dict.fromkeys(message_id for message_id in found if message_id))


def _choose(rows: dict[uuid.UUID, str], email: str | None) -> uuid.UUID | None:
    """Of the messages of a submission, which share their Message-ID, the recipient's."""
    if len(rows) == 1:
        return next(iter(rows))
    if email is None:
        return None
    return next((i for i, to in rows.items() if to.lower() == email.lower()), None)


def _add_by_token(reports: Sequence[Report], found: dict[int, uuid.UUID]) -> Links:
    """By the provider's own id, which its server has told us in its reply to the final dot."""
    tokens = {report.id: _tokens(report.event.message_id) for report in reports}
    rows = [
        {
            "report": report.id,
            "workspace": report.workspace_id,
            "emails": sorted({report.email, report.email.lower()}),
            "tokens": tokens[report.id],
        }
        for report in reports
        if report.email and tokens[report.id]
    ]
    early: set[int] = set()
    if rows:
        for report_id, message_id, is_sending, responses in database.execute_sql(
            _RECENT, (json.dumps(rows), RECENT_MAX)
        ).fetchall():
            if any(_names(response, tokens[report_id]) for response in responses or ()):
                found[report_id] = message_id
            elif is_sending:
                early.add(report_id)
    return Links(found, early - set(found))


def _names(response: str, tokens: Sequence[str]) -> bool:
    """Whether a reply has one of these as a word of its own."""
    return any(re.search(rf"(?<![\w-]){re.escape(token)}(?![\w-])", response) for token in tokens)


def _tokens(provider_id: str | None) -> list[str]:
    """A provider's id as replies may have it: whole, without a domain, and without what the
    provider appends to it later (SendGrid: `.filterdrecv-...`).
    """
    whole = (provider_id or "").strip().strip("<>")
    bare = whole.partition("@")[0]
    first = bare.partition(".filter")[0].partition(".recv")[0]
    # A word of a server's, such as "accepted", is no id.
    return [
        token
        for token in dict.fromkeys((whole, bare, first))
        if len(token) >= TOKEN_MIN_CHARS and re.search(r"\d", token)
    ]
