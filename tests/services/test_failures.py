"""What has failed lately, by cause."""

from datetime import timedelta

import pytest

from maild import clock
from maild.db import database as database_
from maild.models import Message
from maild.services import failures
from maild.services.failures import COUNT_MIN, Cause
from tests.conftest import WORKSPACE_B


@pytest.fixture
def fail(accept):
    """Call to have messages that failed, as if an attempt had."""

    def make(count=COUNT_MIN, *, account="main", error_class="policy", ago=0, **fields):
        for number in range(count):
            message = accept(**fields)
            for status in ("sending", "failed"):
                values = {"worker_id": message.id} if status == "sending" else {"worker_id": None}
                Message.update(
                    status=status,
                    next_attempt_at=None,
                    smtp_account_name=account,
                    error_class=error_class,
                    last_error=f"550 {number}",
                    updated_at=clock.now() - timedelta(hours=ago, seconds=count - number),
                    **values,
                ).where(Message.id == message.id).execute()

    return make


def test_it_tells_each_cause_with_the_latest_reply(fail):
    fail(7, account="second")
    fail(5)
    fail(6, error_class="spam_content")
    assert failures.list_causes(1) == [
        Cause("second", "policy", 7, "550 6"),
        Cause("main", "spam_content", 6, "550 5"),
        Cause("main", "policy", 5, "550 4"),
    ]


@pytest.mark.parametrize(
    "made",
    [
        {"count": COUNT_MIN - 1},
        {"error_class": "invalid_recipient"},
        {"error_class": "mailbox_full"},
        {"ago": 25},
        {"workspace_id": WORKSPACE_B},
    ],
    ids=["few", "no-such-mailbox", "full", "old", "another-workspace"],
)
def test_it_is_silent_about_what_nobody_here_can_mend(fail, made):
    fail(**made)
    assert failures.list_causes(1) == []


def test_what_is_queued_again_is_failed_no_more(fail):
    fail()
    database_.execute_sql(
        "UPDATE messages SET status = 'queued', next_attempt_at = now() WHERE workspace_id = 1"
    )
    assert failures.list_causes(1) == []
