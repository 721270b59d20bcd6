"""Notifications by mail: by a way that is not the one that fails."""

import uuid
from datetime import timedelta

import pytest

from maild import clock
from maild.domain.freeze import FreezeKind
from maild.domain.incident import IncidentKind
from maild.domain.notification import NotificationStatus
from maild.domain.states import Status
from maild.errors import InvalidFields
from maild.models import Breaker, Member, Message, Notification, SmtpAccount
from maild.services import (
    freezes,
    incidents,
    interventions,
    notification_channels,
    notification_loop,
    notification_mail,
)
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.conftest import wait_until
from tests.services.helpers import working
from tests.services.noticing import ANN, add_channel, open_incident

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.proves("explain-told")]

EMAIL = "ann@a.example"


@pytest.fixture(autouse=True)
def channel(make_person):
    make_person(EMAIL)
    return add_channel(EMAIL, kind="email")[0]


def tell(**fields):
    open_incident(**{"kind": IncidentKind.PROVIDER, **fields})
    notification_loop.drain()
    return Notification.get()


def make_due():
    Notification.update(due_at=clock.now() - timedelta(seconds=1)).execute()


def test_it_takes_another_account_than_the_one_that_fails(account, lease, inbox):
    account("broken", active=True)
    account("spare", from_email="spare@example.com")
    row = tell(smtp_account="broken")
    message = Message.get()
    assert message.id == row.message_id
    assert (message.pinned_account, message.workspace_id) == ("spare", WORKSPACE_A)
    assert (message.from_email, message.to_email) == ("spare@example.com", EMAIL)
    assert row.status is NotificationStatus.WAITING
    with working(lease):
        wait_until(lambda: Message.get().status is Status.SENT)
    make_due()
    notification_loop.drain()
    row = Notification.get()
    assert (row.status, row.outcome) == (NotificationStatus.SENT, "The mail is sent.")
    mail = inbox.only()
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Subject"] == "[Default] Incident: Gmail refuses mail"
    assert "/ui/incidents/" in mail.get_content()


def test_without_a_second_one_it_takes_that_of_the_environment(account):
    account("broken", active=True)
    tell(smtp_account="broken")
    message = Message.get()
    assert (message.pinned_account, message.workspace_id) == ("default", 0)


def test_it_never_takes_the_sandbox_where_nobody_would_read_it(account):
    account("broken", active=True)
    sandbox = account("sandbox")
    SmtpAccount.update(is_sandbox=True).where(SmtpAccount.id == sandbox.id).execute()
    tell(smtp_account="broken")
    assert Message.get().pinned_account == "default"


def open_breaker(account_id):
    later = clock.now() + timedelta(hours=1)
    Breaker.insert(account_id=account_id, state="open", retry_at=later).execute()


def test_it_turns_round_when_its_own_way_fails_too(account):
    account("broken", active=True)
    spare = account("spare")
    tell(smtp_account="broken")
    open_breaker(spare.id)
    make_due()
    notification_loop.drain()
    first, second = Message.select().order_by(Message.id)
    assert (first.pinned_account, first.status) == ("spare", Status.CANCELLED)
    assert (second.pinned_account, second.status) == ("default", Status.QUEUED)
    row = Notification.get()
    assert row.message_id == second.id
    assert row.outcome == "The mail is on its way, through “default”."
    open_breaker(0)
    for _ in range(2):  # nowhere else to go: it stays where it is
        make_due()
        notification_loop.drain()
    assert Notification.get().message_id == second.id
    assert Message.get_by_id(second.id).status is Status.QUEUED


def test_what_cannot_be_withdrawn_any_more_is_not_sent_twice(account):
    account("broken", active=True)
    spare = account("spare")
    row = tell(smtp_account="broken")
    open_breaker(spare.id)
    stale = Message.get()
    interventions.cancel(WORKSPACE_A, [str(stale.id)], by=ANN)
    assert notification_mail._turn_round(row, row.data, stale) is None
    assert Message.select().count() == 1, "one mail, or two would arrive"


def test_without_any_other_way_it_waits_and_says_so():
    row = tell(smtp_account="default")
    assert Message.select().count() == 0
    assert row.status is NotificationStatus.WAITING
    assert "no SMTP account to send it through" in row.outcome
    assert notification_channels.get(WORKSPACE_A, row.channel_id).failing_since is not None


def test_what_some_recipients_refuse_still_takes_mail_to_others():
    tell(smtp_account="default", kind=IncidentKind.DELIVERY)
    assert Message.get().pinned_account == "default"


def test_a_freeze_of_the_workspace_does_not_stop_it(account):
    account("main", active=True)
    freezes.start(
        WORKSPACE_A,
        kind=FreezeKind.WORKSPACE,
        target=None,
        reason="quiet",
        expires_at=clock.now() + timedelta(hours=1),
        by=ANN,
    )
    tell(smtp_account=None)
    assert Message.get().workspace_id == 0


def test_a_worker_that_dies_between_accepting_and_writing_down_mails_once(monkeypatch):
    open_incident()
    with monkeypatch.context() as patch:
        patch.setattr("maild.services.notification_delivery._tell_incident", _die)
        patch.setattr("maild.services.notification_delivery._note_channel", _die)
        with pytest.raises(RuntimeError):
            notification_loop.drain()
    assert Message.select().count() == 0
    make_due()
    notification_loop.drain()
    assert Message.select().count() == 1


def _die(*_, **__):
    raise RuntimeError


def test_only_members_are_mailed(make_person, channel):
    make_person("eve@b.example", workspace_id=WORKSPACE_B)
    make_person("new@a.example", is_verified=False)
    for email in ("eve@b.example", "nobody@example.com", "new@a.example"):
        with pytest.raises(InvalidFields, match="confirmed address of a member"):
            add_channel(email, name="Other", kind="email")
    Member.delete().where(Member.workspace == WORKSPACE_A).execute()
    row = tell()
    assert row.status is NotificationStatus.FAILED
    assert "member any more" in row.outcome
    assert Message.select().count() == 0


def set_status(status, **fields):
    """Bring the mail there, by moves that the database allows."""
    ended = {"next_attempt_at": None, "worker_id": None}
    if status not in {Status.SUPPRESSED, Status.EXPIRED}:
        Message.update(
            status=Status.SENDING, worker_id=uuid.uuid4(), next_attempt_at=None
        ).execute()
        Message.update(status=Status.SENT, **ended).execute()
    if status is not Status.SENT:
        Message.update(status=status, **ended, **fields).execute()


@pytest.mark.parametrize(
    ("status", "fields", "told"),
    [
        (Status.DELIVERED, {}, "The mail is delivered."),
        (Status.COMPLAINED, {}, "called it spam"),
        (Status.BOUNCED, {"last_error": "550 no"}, "The mail came back: 550 no"),
        (Status.SUPPRESSED, {}, "nothing is mailed to it."),
        (Status.EXPIRED, {}, "could not be sent in time."),
    ],
)
def test_what_became_of_the_mail_is_told(account, status, fields, told):
    account("spare")
    tell(smtp_account="default")
    set_status(status, **fields)
    make_due()
    notification_loop.drain()
    row = Notification.get()
    is_well = status in {Status.DELIVERED, Status.COMPLAINED}
    assert row.status is (NotificationStatus.SENT if is_well else NotificationStatus.FAILED)
    assert told in row.outcome


def test_a_mail_that_waits_says_for_what(account):
    account("spare")
    tell(smtp_account="default")
    Message.update(last_error="451 try later").execute()
    make_due()
    notification_loop.drain()
    row = Notification.get()
    assert row.status is NotificationStatus.WAITING
    assert row.outcome == "The mail waits for another attempt: 451 try later"


def test_a_mail_that_is_gone_is_no_success(account):
    account("spare")
    tell(smtp_account="default")
    Message.delete().execute()
    make_due()
    notification_loop.drain()
    row = Notification.get()
    assert (row.status, row.outcome) == (
        NotificationStatus.FAILED,
        "The mail is not there any more.",
    )


def test_that_it_is_over_is_told_by_the_account_that_works_again(account):
    account("main", active=True)
    incident = open_incident(kind=IncidentKind.DELIVERY, smtp_account="main")
    notification_loop.drain()
    assert Message.get().pinned_account == "default", "not by the one that it is about"
    set_status(Status.SENT)
    make_due()
    notification_loop.drain()
    Message.delete().execute()
    incidents.resolve(WORKSPACE_A, incident.id, cause="It was theirs.", by=ANN)
    notification_loop.drain()
    message = Message.get()
    assert message.pinned_account == "main"
    assert message.subject == "[Default] Resolved: Gmail refuses mail"


def test_without_a_way_it_is_given_up_after_a_while():
    row = tell(smtp_account="default")
    late = clock.now() - notification_mail.WAIT_MAX - timedelta(minutes=1)
    Notification.update(created_at=late).execute()
    make_due()
    notification_loop.drain()
    row = Notification.get()
    assert row.status is NotificationStatus.FAILED
    assert "no SMTP account" in row.outcome


def test_a_test_by_mail_without_a_way_fails_at_once(channel):
    open_breaker(0)
    notification_channels.test(WORKSPACE_A, channel.id, by=ANN)
    notification_loop.drain()
    assert Notification.get().status is NotificationStatus.FAILED
