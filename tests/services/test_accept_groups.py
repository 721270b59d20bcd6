"""Who accepts together, and who waits for whom: every caller is told what became of his own."""

import copy
import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from maild import db
from maild.domain.actor import SYSTEM
from maild.errors import (
    BlockedRecipientDomain,
    FieldError,
    IdempotencyConflict,
    InvalidFields,
    MaildError,
    NotFound,
    RateLimited,
    Unavailable,
)
from maild.models import Message
from maild.services import accept_groups, messages, policies, resending
from maild.services.messages import NewMessage
from maild.services.submissions import Submitter
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.conftest import wait_until

pytestmark = pytest.mark.usefixtures("database")

GOOD = NewMessage("shop@example.com", "ann@example.org", "Hello", "Hello Ann.")
LARGE = "x" * (accept_groups.GROUP_BYTES_MAX + 1)


def new(**fields):
    return dataclasses.replace(GOOD, **fields)


def at_once(count, action):
    """What `action(number)` returned or raised, of as many threads at the same time."""
    start = threading.Barrier(count)

    def run(number):
        start.wait(10)
        try:
            return action(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def limit(count, **changes):
    policies.save(
        WORKSPACE_A, changes={"rate_limit_workspace_per_hour": count, **changes}, by=SYSTEM
    )


def test_of_a_group_each_is_told_of_its_own():
    """Good, refused for a domain, unknown workspace, conflict, replay: all at the same time."""
    limit(None, blocked_recipient_domains=["blocked.example"])
    by = Submitter(idempotency_key="k1", request_hash=b"one")
    first = messages.submit(WORKSPACE_A, GOOD, by=by).messages[0].id

    def action(number):
        match number % 5:
            case 0:
                return messages.accept(WORKSPACE_A, new(to_email=f"a{number}@example.org"))
            case 1:
                return messages.accept(WORKSPACE_A, new(to_email=f"a{number}@blocked.example"))
            case 2:
                return messages.accept(999, GOOD)
            case 3:
                conflicting = dataclasses.replace(by, request_hash=b"two")
                return messages.submit(WORKSPACE_A, GOOD, by=conflicting)
            case _:
                return messages.submit(WORKSPACE_A, GOOD, by=by)

    for number, outcome in enumerate(at_once(20, action)):
        match number % 5:
            case 0:
                assert outcome.to_email == f"a{number}@example.org"
            case 1:
                assert isinstance(outcome, BlockedRecipientDomain)
                assert outcome.errors[0].field == "to_email"
            case 2:
                assert isinstance(outcome, NotFound)
                assert "999" in outcome.detail
            case 3:
                assert isinstance(outcome, IdempotencyConflict)
            case _:
                assert (outcome.is_replayed, outcome.messages[0].id) == (True, first)
    assert Message.select().count() == 1 + 4


def test_each_that_a_limit_refuses_has_an_error_of_its_own_with_its_headers():
    limit(10)
    outcomes = at_once(20, lambda _: messages.accept(WORKSPACE_A, GOOD))
    errors = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
    assert len(errors) == len({id(error) for error in errors}) == 10
    for error in errors:
        assert error.headers["RateLimit-Limit"] == "10"
        assert error.retry_after_seconds > 0


def test_large_and_small_ones_share_the_limit():
    limit(10)
    outcomes = at_once(
        20, lambda n: messages.accept(WORKSPACE_A, new(body_text=LARGE if n % 2 else "small"))
    )
    assert sum(isinstance(outcome, Message) for outcome in outcomes) == 10
    assert Message.select().count() == 10


def test_while_postgres_is_away_each_is_told_when_to_come_again(postgres_away):
    outcomes = at_once(8, lambda _: messages.accept(WORKSPACE_A, GOOD))
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert len({id(outcome) for outcome in outcomes}) == 8
    assert {outcome.retry_after_seconds for outcome in outcomes} == {db.RETRY_AFTER_SECONDS}


def waiting_for_their_turn():
    rows = db.database.execute_sql(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    )
    return rows.fetchone()[0]


@pytest.mark.parametrize("text", ["small", LARGE], ids=["small", "large"])
def test_within_a_transaction_the_turn_lasts_until_its_end(text):
    """What others accept meanwhile waits, and then finds the limit used up; other workspaces do
    not wait.
    """
    limit(1)
    with ThreadPoolExecutor(1) as pool:
        with db.database.atomic():
            messages.accept(WORKSPACE_A, GOOD)
            later = pool.submit(messages.accept, WORKSPACE_A, new(body_text=text))
            wait_until(lambda: waiting_for_their_turn() == 1)
            with ThreadPoolExecutor(1) as other:
                other.submit(messages.accept, WORKSPACE_B, GOOD).result()
            assert not later.done()
        assert isinstance(later.exception(), RateLimited)
    assert Message.select().count() == 2


def test_a_turn_that_was_rolled_back_has_taken_up_nothing():
    limit(1)
    with ThreadPoolExecutor(1) as pool:
        with db.database.atomic() as transaction:
            messages.accept(WORKSPACE_A, GOOD)
            later = pool.submit(messages.accept, WORKSPACE_A, GOOD)
            wait_until(lambda: waiting_for_their_turn() == 1)
            transaction.rollback()
        assert later.exception() is None
    assert Message.select().count() == 1


def test_a_refusal_within_a_transaction_leaves_it_whole():
    limit(1)
    with db.database.atomic():
        messages.accept(WORKSPACE_A, GOOD)
        with pytest.raises(RateLimited):
            messages.accept(WORKSPACE_A, GOOD)
        [outcome] = messages.accept_many(WORKSPACE_A, [GOOD])
        assert isinstance(outcome, RateLimited)
    assert Message.select().count() == 1


def test_resending_and_accepting_at_once_keep_to_the_limit():
    olds = messages.accept_many(WORKSPACE_A, [new(to_email=f"a{n}@example.org") for n in range(8)])
    Message.update(status="cancelled", next_attempt_at=None).execute()
    limit(8 + 10)

    def action(number):
        with db.connection():
            if number % 2:
                return messages.accept(WORKSPACE_A, GOOD)
            return resending.resend(WORKSPACE_A, [str(olds[number // 2].id)], by=SYSTEM)

    at_once(16, action)
    assert Message.select().count() == 8 + 10


@pytest.mark.parametrize(
    "error",
    [
        NotFound("There is none."),
        InvalidFields("a: b", errors=[FieldError("a", "b")]),
        Unavailable("Away.", retry_after_seconds=2),
    ],
)
def test_an_error_that_is_told_to_several_keeps_what_it_says(error):
    error.headers, error.extensions = {"RateLimit-Limit": "1"}, {"steps": []}
    again = copy.copy(error)
    assert isinstance(again, MaildError)
    assert (type(again), vars(again), str(again)) == (type(error), vars(error), str(error))
