"""The last check before a message is offered: what has changed since its claim.

A recipient who was suppressed or has unsubscribed, a freeze that has started, a campaign that was
paused or cancelled, a contact of it that was deleted. It looks at what waits in a worker, many
messages at once; the claim looks at the same before (`claims`).

It is a fence as well: it finds what is not this worker's any more, whatever the worker believes.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from maild.db import database
from maild.domain.policy import Check
from maild.domain.states import EventType, Status
from maild.services import transitions
from maild.services.claims import Claim
from maild.services.transitions import Move

_STOPPED = """
SELECT m.id,
    m.status = 'sending' AND m.worker_id = c.worker_id AND m.attempt_count = c.attempt_no,
    (SELECT s.id FROM suppressions s
        WHERE s.workspace_id = m.workspace_id AND s.email = lower(m.to_email COLLATE "pg_c_utf8")
            AND s.removed_at IS NULL AND (s.stream IS NULL OR s.stream = m.stream)
            AND (s.expires_at IS NULL OR s.expires_at > now())
        LIMIT 1),
    (SELECT u.id FROM unsubscribes u
        WHERE u.workspace_id = m.workspace_id AND u.email = lower(m.to_email COLLATE "pg_c_utf8")
            AND u.removed_at IS NULL AND (u.stream IS NULL OR u.stream = m.stream)
            AND (u.topic IS NULL OR u.topic = m.topic)
        LIMIT 1),
    EXISTS (
        SELECT FROM freezes f
        WHERE f.workspace_id = m.workspace_id AND f.lifted_at IS NULL AND f.expires_at > now()
            AND CASE f.kind
                WHEN 'stream' THEN f.target = m.stream
                WHEN 'smtp_account' THEN f.target = c.account
                WHEN 'api_key' THEN f.target = m.api_key_id::text
                WHEN 'from_email' THEN f.target = lower(m.from_email COLLATE "pg_c_utf8")
                WHEN 'recipient_domain' THEN f.target = split_part(m.to_email, '@', -1)
                ELSE true END)
        OR EXISTS (
            SELECT FROM campaign_recipients r JOIN campaigns k ON k.id = r.campaign_id
            WHERE r.id = m.recipient_id AND (k.status IN ('paused', 'cancelled')
                OR NOT EXISTS (
                    SELECT FROM contacts p
                    WHERE p.workspace_id = m.workspace_id AND p.email = r.email
                        AND p.status = 'active')))
FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::int[])
    AS c (id, account, worker_id, attempt_no)
JOIN messages m ON m.id = c.id
"""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a message that was claimed must not be sent: what its recipient is suppressed or
    unsubscribed by.
    """

    suppression_id: int | None
    unsubscribe_id: int | None


class Found(NamedTuple):
    """What must not be offered, by the ids of the messages; each is in one of them.

    `stopped`: their recipients opted out or were suppressed since their claim. `frozen`: also what
    was stopped with its campaign, or whose contact was deleted; the next claim says which. `lost`:
    they are not claimed by this attempt of this worker any more, and whoever has them by now
    decides.
    """

    stopped: dict[uuid.UUID, Stop]
    frozen: set[uuid.UUID]
    lost: set[uuid.UUID]


def find_forbidden(claims: Sequence[Claim]) -> Found:
    """The last check before messages are offered. Changes nothing."""
    stopped: dict[uuid.UUID, Stop] = {}
    frozen: set[uuid.UUID] = set()
    lost = {claim.message_id for claim in claims}
    for row in database.execute_sql(_STOPPED, values_of(claims)).fetchall():
        message_id, is_ours, suppression_id, unsubscribe_id, is_frozen = row
        if not is_ours:
            continue
        lost.discard(message_id)
        if suppression_id is not None or unsubscribe_id is not None:
            stopped[message_id] = Stop(suppression_id, unsubscribe_id)
        elif is_frozen:
            frozen.add(message_id)
    return Found(stopped, frozen, lost)


def values_of(claims: Sequence[Claim]) -> tuple[list[str], list[str], list[str], list[int]]:
    """What `_STOPPED` is asked with."""
    return (
        [str(claim.message_id) for claim in claims],
        [claim.account_name for claim in claims],
        [str(claim.worker_id) for claim in claims],
        [claim.attempt_no for claim in claims],
    )


def suppress(stopped: Sequence[tuple[Claim, Stop]]) -> None:
    """Take messages that were offered to no server out of sending: their recipients must not be
    mailed.
    """
    with database.atomic():
        transitions.apply([_suppress(claim, stop) for claim, stop in stopped])


def _suppress(claim: Claim, stop: Stop) -> Move:
    is_suppressed = stop.suppression_id is not None
    check = Check.SUPPRESSION if is_suppressed else Check.UNSUBSCRIBE
    name, evidence = "unsubscribe_id", stop.unsubscribe_id
    if is_suppressed:
        name, evidence = "suppression_id", stop.suppression_id
    return Move(
        message_id=claim.message_id,
        workspace_id=claim.workspace_id,
        old=Status.SENDING,
        new=Status.SUPPRESSED,
        event=EventType.SUPPRESSED,
        data={"check": check, "policy_version": claim.policy_version, name: evidence},
        worker_id=claim.worker_id,
        attempt_no=claim.attempt_no,
        uncount=True,
        suppression_id=stop.suppression_id,
        unsubscribe_id=None if is_suppressed else stop.unsubscribe_id,
    )
