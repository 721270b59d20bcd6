"""What happened to an account of late: from events and tallies, for it alone."""

import uuid
from datetime import timedelta

import pytest

from maild import clock
from maild.domain.actor import SYSTEM
from maild.domain.breaker_history import Mode
from maild.domain.states import EventType
from maild.models import AccountTally, Breaker, Event, SmtpAccount
from maild.models.smtp_account import ENVIRONMENT
from maild.services import account_health, provider_histories, smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.helpers import ago

pytestmark = pytest.mark.usefixtures("database")


def save(name="main", *, workspace_id=WORKSPACE_A, days=30):
    account = NewSmtpAccount(name=name, host="127.0.0.1", port=2525, from_email="a@example.com")
    row = smtp_accounts.save(workspace_id, account, by=SYSTEM)
    SmtpAccount.update(created_at=ago(days=days)).where(SmtpAccount.id == row.id).execute()
    return row


def tell(kind, *, name="main", workspace_id=WORKSPACE_A, **before):
    Event.insert(
        workspace=workspace_id,
        type=kind.value,
        data={"smtp_account": name},
        created_at=ago(**before),
    ).execute()


def read(account_id, *, days=1, workspace_id=WORKSPACE_A):
    found = account_health.get(workspace_id, account_id)
    return provider_histories.read(workspace_id, found, days=days)


def modes(history):
    return [band.mode for band in history.bands]


def test_nothing_happened():
    history = read(save().id)
    assert modes(history) == [Mode.CLOSED]
    assert (history.events, history.is_cut) == ([], False)
    assert history.bands[0].seconds == pytest.approx(86_400, abs=5)


def test_it_tells_how_the_account_stood_and_why():
    row = save()
    tell(EventType.BREAKER_OPENED, hours=3)
    tell(EventType.BREAKER_HALF_OPENED, hours=2)
    tell(EventType.BREAKER_CLOSED, hours=1)
    history = read(row.id)
    assert modes(history) == [Mode.CLOSED, Mode.OPEN, Mode.HALF_OPEN, Mode.CLOSED]
    kinds = [event.type.rpartition(".")[2] for event in history.events]
    assert kinds == ["breaker_closed", "breaker_half_opened", "breaker_opened"]


def test_it_goes_back_as_far_as_it_was_asked():
    row = save()
    tell(EventType.BREAKER_OPENED, days=3)
    tell(EventType.BREAKER_CLOSED, days=2)
    assert modes(read(row.id)) == [Mode.CLOSED]
    assert modes(read(row.id, days=7)) == [Mode.CLOSED, Mode.OPEN, Mode.CLOSED]


def test_it_begins_where_the_account_does():
    row = save(days=0.25)
    [band] = read(row.id).bands
    assert band.seconds == pytest.approx(6 * 3600, abs=5)


def test_what_goes_on_now_is_told_by_the_present():
    row = save()
    Breaker.create(account_id=row.id, state="open", opened_at=ago(days=9))
    assert modes(read(row.id)) == [Mode.OPEN]
    smtp_accounts.pause(WORKSPACE_A, name="main", reason="r", by=SYSTEM)
    assert modes(read(row.id)) == [Mode.OPEN, Mode.PAUSED]


def test_others_events_are_others():
    row, other = save(), save("other")
    save(workspace_id=WORKSPACE_B)
    tell(EventType.BREAKER_OPENED, name="other", hours=1)
    tell(EventType.BREAKER_OPENED, workspace_id=WORKSPACE_B, hours=1)
    tell(EventType.BREAKER_OPENED, workspace_id=None, name="default", hours=1)
    tell(EventType.POLICY_CHANGED, hours=1)
    assert read(row.id).events == []
    assert len(read(other.id).events) == 1
    assert len(read(ENVIRONMENT).events) == 1


def test_it_stops_where_too_much_happened(monkeypatch):
    row = save()
    for minute in range(6):
        tell(EventType.SLOWED, minutes=60 - minute)
    monkeypatch.setattr(provider_histories, "EVENTS_MAX", 3)
    history = read(row.id)
    assert len(history.events) == 3
    assert history.is_cut
    assert history.since == history.events[-1].created_at


def test_it_asks_as_often_for_much_as_for_little():
    row = save()
    few = count_statements(lambda: read(row.id))
    for minute in range(50):
        tell(EventType.SLOWED, minutes=minute)
    assert count_statements(lambda: read(row.id)) == few


def test_hours_without_a_try_are_told_too():
    row, other = save(), save("other")
    now = clock.now()
    for account, at, tries, faults in (
        (row, now, 5, 1),
        (row, now - timedelta(seconds=1), 2, 2),
        (row, now - timedelta(hours=40), 9, 9),
        (other, now, 7, 7),
    ):
        AccountTally.insert(
            account_id=account.id,
            slot_at=at,
            worker_id=uuid.uuid4(),
            try_count=tries,
            fault_count=faults,
        ).execute()
    hours = provider_histories.list_hours(row.id)
    assert len(hours) == provider_histories.HOURS
    assert [hour.at for hour in hours] == sorted(hour.at for hour in hours)
    assert sum(hour.try_count for hour in hours) == 7
    assert sum(hour.fault_count for hour in hours) == 3
    assert hours[0].try_count == 0
