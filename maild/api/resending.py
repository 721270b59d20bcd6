"""POST /v1/messages/resend: new messages, copied from old ones that have ended."""

from collections import Counter

from maild.api import schemas
from maild.api.auth import OPERATORS, Caller
from maild.api.endpoint import endpoint
from maild.services import resending
from maild.services.resending import Outcome, OutcomeStatus


@endpoint(
    "POST",
    "/v1/messages/resend",
    summary="Submit copies of messages that have ended, with all checks made anew",
    allow=OPERATORS,
    body=schemas.ResendIn,
    answer=schemas.ResendOut,
)
def resend_messages(caller: Caller, body: schemas.ResendIn) -> schemas.ResendOut:
    """Each copy is a new message with an id, checks and a fate of its own. Messages that have not
    ended are skipped.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    outcomes = resending.resend(workspace_id, body.message_ids, by=caller.actor, reason=body.reason)
    counts = Counter(outcome.status for outcome in outcomes)
    return schemas.ResendOut(
        workspace_id=workspace_id,
        requested=len(outcomes),
        resent=counts[OutcomeStatus.RESENT],
        skipped=counts[OutcomeStatus.SKIPPED],
        failed=counts[OutcomeStatus.FAILED],
        outcomes=[_outcome(outcome) for outcome in outcomes],
    )


def _outcome(outcome: Outcome) -> schemas.ResendOutcome:
    new = outcome.new_message
    return schemas.ResendOutcome(
        message_id=outcome.message_id,
        status=outcome.status,
        new_message_id=new.id if new else None,
        new_status=new.status if new else None,
        error=outcome.error,
    )
