"""What a person may not override by hand: the same tables as for the claim and the last check."""

import pytest

from maild.domain.states import Status, Stream
from maild.services import interventions
from maild.services.interventions import OutcomeStatus
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A
from tests.services.freezing import BY
from tests.services.helpers import A_PATIENT, A_URGENT, LOST, Accept, end, reload, take_one
from tests.services.stopping import FREEZES, SUPPRESSIONS, UNSUBSCRIBES, Case, name_of

RETRY, RESOLVE = "retry", "resolve"


@pytest.mark.parametrize("verb", [RETRY, RESOLVE])
@pytest.mark.parametrize(
    ("case", "why"),
    [
        *((case, "the recipient is suppressed: complaint") for case in SUPPRESSIONS),
        *((case, "the recipient has unsubscribed") for case in UNSUBSCRIBES),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_nothing_goes_again_to_who_must_not_be_mailed(
    case: Case, why: str, verb: str, accept: Accept, lease: Lease
) -> None:
    """I7."""
    message = case.message(accept)
    lane = A_URGENT if message.stream is Stream.TRANSACTIONAL else A_PATIENT
    end(take_one(lease, lane), LOST)
    case.start()
    ids = [str(message.id)]
    if verb == RETRY:
        [outcome] = interventions.retry(WORKSPACE_A, message_ids=ids, by=BY).result.outcomes
    else:
        [outcome] = interventions.resolve(
            WORKSPACE_A, ids, was_sent=False, by=BY, reason="it was not"
        ).outcomes
    if case.stops:
        assert (outcome.status, outcome.error) == (OutcomeStatus.SKIPPED, why)
    else:
        assert outcome.error is None
    assert reload(message).status is (Status.UNKNOWN if case.stops else Status.QUEUED)


@pytest.mark.parametrize("case", FREEZES, ids=name_of)
def test_nothing_is_let_go_that_a_freeze_would_only_hold_again(case: Case, accept: Accept) -> None:
    message = case.message(accept)
    ids = [str(message.id)]
    interventions.hold(WORKSPACE_A, ids, by=BY, reason="let me see")
    case.start()
    [outcome] = interventions.release(WORKSPACE_A, ids, by=BY).outcomes
    why = "a freeze is in force, lift it first: a test" if case.stops else None
    assert outcome.error == why
    assert reload(message).status is (Status.HELD if case.stops else Status.QUEUED)


@pytest.mark.parametrize("case", [*SUPPRESSIONS, *UNSUBSCRIBES], ids=name_of)
def test_what_must_not_be_sent_can_be_held_let_go_and_cancelled(case: Case, accept: Accept) -> None:
    """The claim stops it, whenever that comes."""
    message = case.message(accept)
    ids = [str(message.id)]
    case.start()
    assert interventions.hold(WORKSPACE_A, ids, by=BY, reason="let me see").done_count == 1
    assert interventions.release(WORKSPACE_A, ids, by=BY).done_count == 1
    assert interventions.cancel(WORKSPACE_A, ids, by=BY).done_count == 1
