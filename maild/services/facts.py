"""What is known when submissions are decided: one look at the database for any number of them.

Nothing is decided here (`acceptance`), and nothing changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from maild.db import execute_prepared
from maild.domain.freeze import FreezeKind
from maild.domain.limits import WINDOW_SLOTS, WORKSPACE, Ledger, slot_of
from maild.domain.policy import Policy
from maild.errors import NotFound
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import policies
from maild.services.submissions import Submission

KEY_LIFETIME = "24 hours"
"""How long an idempotency key is remembered."""


@dataclass(slots=True)
class Known:
    """What the database said, and what it means for a submission."""

    now: datetime
    policy: Policy
    suppressions: dict[str, list[list[Any]]]
    unsubscribes: dict[str, list[list[Any]]]
    freezes: list[list[Any]]
    accounts: frozenset[str]
    """The names of SMTP accounts that submissions ask for, and that are there."""
    ledger: Ledger
    keys: dict[str, tuple[bytes, dict[str, Any]]] = field(default_factory=dict)

    def due_at(self, submission: Submission) -> datetime:
        scheduled_at = submission.new.scheduled_at
        return max(self.now, scheduled_at) if scheduled_at else self.now

    def expires_at(self, submission: Submission) -> datetime:
        if submission.new.expires_at is not None:
            return submission.new.expires_at
        seconds = self.policy.stream(submission.new.stream).lifetime_seconds
        return self.due_at(submission) + timedelta(seconds=seconds)

    def end_of(self, submissions: Sequence[Submission]) -> datetime:
        """After this moment none of them is sent."""
        return max(max(self.due_at(one), self.expires_at(one)) for one in submissions)

    def find_suppression(self, recipient: str, stream: str) -> dict[str, Any] | None:
        """The evidence of one that matches."""
        for id_, scope, class_, reason in self.suppressions.get(recipient, ()):
            if scope is None or scope == stream:
                return {"suppression_id": id_, "class": class_, "reason": reason}
        return None

    def find_unsubscribe(
        self, recipient: str, stream: str, topic: str | None
    ) -> dict[str, Any] | None:
        """The evidence of one that matches."""
        for id_, scope, of_topic in self.unsubscribes.get(recipient, ()):
            if (scope is None or scope == stream) and (of_topic is None or of_topic == topic):
                return {"unsubscribe_id": id_, **({"topic": of_topic} if of_topic else {})}
        return None

    def find_freeze(self, submission: Submission, recipient: str) -> dict[str, Any] | None:
        """The evidence of one that matches."""
        new = submission.new
        own = {
            FreezeKind.WORKSPACE: None,
            FreezeKind.STREAM: new.stream.value,
            FreezeKind.API_KEY: str(submission.by.api_key_id),
            FreezeKind.FROM_EMAIL: new.from_email.lower(),
            FreezeKind.RECIPIENT_DOMAIN: domain_of(recipient),
        }
        for id_, kind, target, reason, expires_at in self.freezes:
            if kind in own and own[FreezeKind(kind)] == target:
                until = expires_at.replace("+00:00", "Z")
                return {"freeze_id": id_, "kind": kind, "reason": reason, "until": until}
        return None


# One row, each of its columns a list of lists. Addresses are compared in lower case beyond ASCII
# too, whatever the locale of the database. Each is looked up by itself (OFFSET keeps it so), and so
# is each stretch of tallies: this is planned once, when there may be none, and must hold for a
# hundred thousand. The clock, because whoever waited for his turn began sooner.
_READ = """
WITH a AS MATERIALIZED (
    SELECT address, lower(address COLLATE "pg_c_utf8") AS email FROM unnest($2::text[]) AS address
)
SELECT clock_timestamp(),
    EXISTS (SELECT FROM workspaces WHERE id = $1),
    (SELECT max(version) FROM policies WHERE workspace_id = $1),
    (SELECT json_agg(json_build_array(a.address, s.id, s.stream, s.class, s.reason))
        FROM a, LATERAL (
            SELECT id, stream, class, reason FROM suppressions
            WHERE workspace_id = $1 AND email = a.email AND removed_at IS NULL
                AND (expires_at IS NULL OR expires_at > now())
            OFFSET 0) AS s),
    (SELECT json_agg(json_build_array(a.address, u.id, u.stream, u.topic))
        FROM a, LATERAL (
            SELECT id, stream, topic FROM unsubscribes
            WHERE workspace_id = $1 AND email = a.email AND removed_at IS NULL
            OFFSET 0) AS u),
    (SELECT json_agg(json_build_array(id, kind, target, reason, expires_at) ORDER BY id)
        FROM freezes
        WHERE workspace_id = $1 AND lifted_at IS NULL AND expires_at > now()),
    (SELECT json_agg(json_build_array(domain, slot, message_count)) FROM (
        SELECT DISTINCT t.* FROM (
            SELECT slot - $4 - 1 AS first, slot + $4 + 1 AS last
            FROM CAST(floor(extract(epoch FROM clock_timestamp()) / 300) AS int) AS slot
            UNION ALL
            SELECT * FROM unnest($8::int[], $9::int[])) AS stretch,
        LATERAL (
            SELECT domain, slot, message_count FROM limit_tallies
            WHERE workspace_id = $1 AND domain = ANY($3::text[])
                AND slot BETWEEN stretch.first AND stretch.last
            OFFSET 0) AS t) AS tallies),
    (SELECT json_agg(json_build_array(key, encode(request_hash, 'hex'), answer))
        FROM idempotency_keys
        WHERE workspace_id = $1 AND key = ANY($5::text[])
            AND created_at > now() - $6::interval),
    (SELECT array_agg(name) FROM smtp_accounts WHERE workspace_id = $1 AND name = ANY($7::text[]))
"""


def read(
    workspace_id: int,
    submissions: Sequence[Submission],
    *,
    after: tuple[str, Sequence[Any]] = ("", ()),
    until: datetime | None = None,
) -> Known:
    """What there is to know of these. `after` is a statement to be executed before.

    Of the limits' tallies those that say whether the messages may go when they are due; with
    `until` all up to that moment. Raises NotFound (the workspace).
    """
    recipients = list({text for s in submissions for text in s.recipients})
    scopes = [WORKSPACE, *{domain_of(text) for text in recipients}]
    keys = [key for s in submissions if (key := s.by.idempotency_key) is not None]
    accounts = [name for s in submissions if (name := s.new.smtp_account) is not None]
    if until is None:
        due = {slot_of(at.timestamp()) for s in submissions if (at := s.new.scheduled_at)}
        first, last = [slot - WINDOW_SLOTS for slot in due], [slot + WINDOW_SLOTS for slot in due]
    else:
        first, last = [0], [slot_of(until.timestamp()) + WINDOW_SLOTS]
    parameters = (
        *(workspace_id, recipients, scopes, WINDOW_SLOTS, keys, KEY_LIFETIME, accounts),
        *(first, last),
    )
    [row] = execute_prepared("facts", _READ, parameters, after=after)
    now, is_there, version, suppressions, unsubscribes, freezes, tallies, known_keys, found = row
    if not is_there:
        raise NotFound(f"There is no workspace {workspace_id}.")
    return Known(
        now=now,
        policy=policies.known(workspace_id, version or 0),
        suppressions=_by_address(suppressions),
        unsubscribes=_by_address(unsubscribes),
        freezes=freezes or [],
        accounts=frozenset([DEFAULT_ACCOUNT, *(found or ())]),
        ledger=Ledger(tallies or ()),
        keys={key: (bytes.fromhex(hash_), answer) for key, hash_, answer in known_keys or ()},
    )


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]


def _by_address(rows: list[list[Any]] | None) -> dict[str, list[list[Any]]]:
    found: dict[str, list[list[Any]]] = {}
    for address, *rest in rows or ():
        found.setdefault(address, []).append(rest)
    return found
