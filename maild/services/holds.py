"""What a worker holds: claimed, and given back, in Postgres and in its own list at the same time.

Both happen on the thread that asks Postgres, under `Lease.claiming`. Otherwise a message that was
given back could be claimed again before the list has lost it, and the list would lose the new
claim: the mending would take it for forgotten, and queue it again while it is on the wire.
"""

import time
import uuid
from collections.abc import Sequence

from maild.domain.lanes import Lane
from maild.domain.policy import Route
from maild.services import claims, dkim_signers
from maild.services.claims import Claim, Claimed
from maild.services.providers import Account
from maild.services.workers import Lease


def take(
    lease: Lease, worker_id: uuid.UUID, lane: Lane, account: Account, *, limit: int, route: Route
) -> tuple[Claimed, float]:
    """Claim up to `limit` messages of a lane for an account, and hold them.

    Also returns when they were looked at, or somewhat before, by `time.monotonic`: no stop that is
    older was missed. Raises Unavailable; what was claimed even so is for the mending.
    """
    dkim_signers.load(lane.workspace_id)
    with lease.claiming:
        looked_at = time.monotonic()
        claimed = claims.claim(
            worker_id,
            lane,
            account_id=account.id,
            account_name=account.name,
            limit=limit,
            route=route,
        )
        lease.hold(claimed.claims)
    return claimed, looked_at


def give_back(lease: Lease, released: Sequence[Claim]) -> None:
    """Give claims back to the queue, and hold them no more. Raises Unavailable; what Postgres could
    not be told of is nobody's then, and the mending puts it back.
    """
    with lease.claiming:
        try:
            claims.release(released)
        finally:
            lease.let_go(released)
