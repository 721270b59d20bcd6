"""Idempotency keys as they are kept: for a day, whoever forgets or uses them at the same time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from maild import db
from maild.clock import now
from maild.models import IdempotencyKey
from maild.services import acceptance, messages
from maild.services.messages import NewMessage
from maild.services.submissions import Submitter
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.conftest import wait_until

pytestmark = pytest.mark.usefixtures("database")

GOOD = NewMessage("shop@example.com", "ann@example.org", "Hello", "Hello Ann.")
BY = Submitter(idempotency_key="k1", request_hash=b"h")


def submit(workspace_id=WORKSPACE_A, by=BY):
    return messages.submit(workspace_id, GOOD, by=by)


def age(**span):
    IdempotencyKey.update(created_at=now() - timedelta(**span)).execute()


def prune():
    with db.connection():
        acceptance.prune()


def somebody_waits():
    """For a transaction to end that has changed the same row."""
    rows = db.database.execute_sql("SELECT FROM pg_locks WHERE NOT granted")
    return len(rows.fetchall())


def test_a_key_that_is_used_anew_while_it_is_forgotten_stays():
    submit()
    age(hours=25)
    with ThreadPoolExecutor(1) as pool:
        with db.database.atomic():
            second = submit()
            pruning = pool.submit(prune)
            wait_until(somebody_waits)
        pruning.result()
    again = submit()
    assert again.is_replayed
    assert again.messages[0].id == second.messages[0].id


def test_forgetting_and_using_at_once_loses_no_young_key():
    submit(WORKSPACE_B)
    prune()
    assert submit(WORKSPACE_B).is_replayed
    age(hours=25)
    prune()
    assert IdempotencyKey.select().count() == 0
    assert not submit(WORKSPACE_B).is_replayed


def test_what_was_rolled_back_used_up_no_key():
    with db.database.atomic() as transaction:
        submit()
        transaction.rollback()
    assert not submit().is_replayed


def test_an_answer_keeps_its_times_to_the_microsecond():
    first, again = (submit().messages[0] for _ in range(2))
    assert first.__data__ == again.__data__
