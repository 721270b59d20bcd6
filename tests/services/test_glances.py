"""How workspaces do at a glance."""

import pytest

from maild import clock
from maild.db import database as database_
from maild.domain.actor import SYSTEM
from maild.domain.provider_event import ReportStatus
from maild.models import Breaker, ConservationCheck, Message, Workspace
from maild.models.smtp_account import ENVIRONMENT
from maild.services import glances, smtp_accounts
from maild.services.glances import (
    COUNT_MAX,
    FAILED_MIN,
    STUCK_MARKETING_SECONDS,
    STUCK_SECONDS,
    Word,
)
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.freezing import start
from tests.services.helpers import ago, fill
from tests.services.reporting import report

pytestmark = pytest.mark.usefixtures("database")


def glance(workspace_id=WORKSPACE_A):
    return glances.list_all([WORKSPACE_A, WORKSPACE_B])[workspace_id]


def insert(count, status, *, workspace_id=WORKSPACE_A, updated_at=None, created_at=None):
    """Messages that stand so."""
    at = updated_at or clock.now()
    database_.execute_sql(
        """
        INSERT INTO messages (id, workspace_id, status, stream, priority, from_email, to_email,
            subject, size_bytes, tags, metadata, created_at, updated_at)
        SELECT gen_random_uuid(), %s, %s, 'transactional', 0, 'shop@example.com',
            'ann@example.org', 'Hello', 1, '{}', '{}', %s, %s
        FROM generate_series(1, %s)
        """,
        (workspace_id, status, created_at or at, at, count),
    )


def save(name, *, active=False, workspace_id=WORKSPACE_A):
    account = smtp_accounts.save(
        workspace_id,
        NewSmtpAccount(name=name, host="127.0.0.1", port=2525, from_email="shop@example.com"),
        by=SYSTEM,
    )
    if active:
        smtp_accounts.activate(workspace_id, name=name, by=SYSTEM)
    return account


def break_(account_id, state="open"):
    Breaker.insert(account_id=account_id, state=state).execute()


def test_one_without_mail_is_quiet():
    one = glance()
    assert one.word is Word.QUIET
    assert (one.due_count, one.oldest_due_seconds, one.accepted_at) == (0, None, None)


def test_one_whose_mail_went_out_is_well():
    insert(3, "sent")
    one = glance()
    assert one.word is Word.WELL
    assert one.accepted_at is not None


def test_one_without_mail_for_a_day_is_quiet():
    insert(1, "sent", created_at=ago(hours=25), updated_at=ago(hours=25))
    assert glance().word is Word.QUIET


def test_mail_that_is_due_is_counted_in_every_lane():
    save("main")
    fill(2)
    fill(1, stream="marketing")
    fill(1, account="main")
    fill(1, account="default")
    one = glance()
    assert one.due_count == 5
    assert one.oldest_due_seconds == pytest.approx(0, abs=60)
    assert one.word is Word.WELL


def test_mail_for_later_is_not_due(accept):
    accept(scheduled_at=ago(hours=-1))
    assert glance().due_count == 0


@pytest.mark.parametrize(
    ("stream", "seconds"),
    [("transactional", STUCK_SECONDS), ("marketing", STUCK_MARKETING_SECONDS)],
)
def test_mail_that_does_not_get_on_needs_somebody(stream, seconds):
    fill(1, stream=stream)
    Message.update(next_attempt_at=ago(seconds=seconds - 60)).execute()
    assert glance().word is Word.WELL
    Message.update(next_attempt_at=ago(seconds=seconds + 1)).execute()
    one = glance()
    assert (one.word, one.is_stuck) == (Word.NEEDS_YOU, True)
    assert one.oldest_due_seconds == pytest.approx(seconds, abs=60)


def test_the_oldest_is_that_of_all_lanes():
    fill(1)
    fill(1, stream="marketing")
    Message.update(next_attempt_at=ago(seconds=200)).where(Message.stream == "marketing").execute()
    assert glance().oldest_due_seconds == pytest.approx(200, abs=60)


def test_an_unknown_outcome_needs_somebody():
    insert(2, "unknown", created_at=ago(days=3), updated_at=ago(days=3))
    one = glance()
    assert (one.unknown_count, one.word) == (2, Word.NEEDS_YOU)


def test_what_failed_is_of_the_last_hour():
    insert(2, "failed")
    insert(1, "failed", created_at=ago(days=1), updated_at=ago(minutes=50))
    insert(1, "failed", created_at=ago(hours=3), updated_at=ago(hours=2))
    one = glance()
    assert one.failed_count == 3
    assert (one.word, one.is_failing) == (Word.WELL, False)


def test_many_failures_need_somebody_where_they_are_a_share_of_the_mail():
    insert(FAILED_MIN - 1, "failed")
    assert not glance().is_failing
    insert(1, "failed")
    one = glance()
    assert (one.is_failing, one.word) == (True, Word.NEEDS_YOU)
    insert(100, "delivered")
    assert not glance().is_failing


def test_dead_letters_need_somebody():
    [event] = report(b"{}")
    assert event.status is ReportStatus.DEAD_LETTER
    one = glance()
    assert (one.dead_letter_count, one.word) == (1, Word.NEEDS_YOU)


def test_a_freeze_needs_somebody_as_long_as_it_is_in_force():
    freeze = start()
    one = glance()
    assert (one.freeze_count, one.word) == (1, Word.NEEDS_YOU)
    type(freeze).update(expires_at=ago(seconds=1)).execute()
    assert glance().freeze_count == 0


@pytest.mark.parametrize(("state", "count"), [("open", 1), ("half_open", 1), ("closed", 0)])
def test_an_account_out_of_use_needs_somebody(state, count):
    break_(save("main", active=True).id, state)
    one = glance()
    assert one.broken_count == count
    assert one.word is (Word.NEEDS_YOU if count else Word.QUIET)


def test_one_that_a_person_has_paused_is_not_counted():
    break_(save("main", active=True).id)
    smtp_accounts.pause(WORKSPACE_A, name="main", reason="moving", by=SYSTEM)
    assert glance().broken_count == 0


def test_the_account_of_the_environment_concerns_whose_mail_takes_it():
    break_(ENVIRONMENT)
    save("main", active=True)
    assert glance().broken_count == 0
    assert glance(WORKSPACE_B).broken_count == 1


@pytest.mark.parametrize("difference", [2, -1])
def test_messages_that_are_not_there_need_somebody(difference):
    values = {"accepted_count": 5, "by_status": {}, "difference": difference}
    ConservationCheck.create(workspace=WORKSPACE_A, **values)
    ConservationCheck.create(workspace=WORKSPACE_B, **{**values, "difference": 0})
    one = glance()
    assert (one.missing_count, one.word) == (difference, Word.NEEDS_YOU)
    assert glance(WORKSPACE_B).word is Word.QUIET


def test_it_counts_nothing_of_others():
    insert(2, "unknown", workspace_id=WORKSPACE_B)
    insert(2, "failed", workspace_id=WORKSPACE_B)
    fill(2, workspace_id=WORKSPACE_B)
    break_(save("main", active=True, workspace_id=WORKSPACE_B).id)
    start(workspace_id=WORKSPACE_B)
    report(b"{}", workspace_id=WORKSPACE_B)
    alone = glances.list_all([WORKSPACE_A])
    assert list(alone) == [WORKSPACE_A]
    assert alone[WORKSPACE_A] == glance()
    assert alone[WORKSPACE_A].word is Word.QUIET
    other = glance(WORKSPACE_B)
    assert (other.unknown_count, other.failed_count, other.due_count) == (2, 2, 2)
    assert (other.broken_count, other.freeze_count, other.dead_letter_count) == (1, 1, 1)


def test_no_count_is_without_end():
    insert(COUNT_MAX + 5, "unknown")
    insert(COUNT_MAX + 5, "failed")
    fill(COUNT_MAX + 5)
    fill(COUNT_MAX + 5, stream="marketing")
    one = glance()
    assert (one.unknown_count, one.failed_count, one.due_count) == (COUNT_MAX,) * 3


def test_many_are_as_many_statements_as_one():
    ids = [Workspace.create(name=f"W{n}").id for n in range(19)]
    for workspace_id in ids:
        insert(1, "unknown", workspace_id=workspace_id)
    few = count_statements(lambda: glances.list_all([WORKSPACE_A]))
    many = count_statements(lambda: glances.list_all([WORKSPACE_A, *ids]))
    assert few == many == 3
    assert {one.unknown_count for one in glances.list_all(ids).values()} == {1}


def test_nobodys_are_none():
    assert glances.list_all([]) == {}
    assert count_statements(lambda: glances.list_all([])) == 0
