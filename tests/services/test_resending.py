"""Sending again what has ended: a copy, accepted like any other message."""

import dataclasses
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from maild import clock
from maild.db import Database
from maild.domain.actor import Actor
from maild.domain.freeze import FreezeKind
from maild.domain.mime import Attachment
from maild.domain.states import EventType, Status, Stream
from maild.errors import InvalidFields, NotFound
from maild.models import AuditEntry, Event, Message, MessageAttachment, MessageBody
from maild.services import messages, resending, smtp_accounts, suppressions, timeline
from maild.services.resending import Outcome, OutcomeStatus
from maild.services.submissions import NewMessage
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B, Inbox
from tests.services.conftest import MakeAccount
from tests.services.freezing import make_key, start
from tests.services.helpers import at_once, reload, take

Accept = Callable[..., Message]
Make = Callable[..., Message]

pytestmark = pytest.mark.usefixtures("database")

PERSON = Actor("operator key", ip="192.0.2.1")
NOT_ENDED = {Status.QUEUED, Status.SENDING, Status.HELD, Status.UNKNOWN}


@pytest.fixture
def make(accept: Accept) -> Make:
    """A message in any status, brought there by moves that the database allows."""

    def store(status: Status, **fields: object) -> Message:
        message = accept(**fields)

        def update(**values: object) -> None:
            changes = {"next_attempt_at": None, "worker_id": None, **values}
            Message.update(**changes).where(Message.id == message.id).execute()

        sent = {Status.SENT, Status.DELIVERED, Status.BOUNCED, Status.COMPLAINED}
        if status in {Status.SENDING, Status.UNKNOWN} | sent:
            update(status=Status.SENDING, worker_id=uuid.uuid4())
        if status in sent:
            update(status=Status.SENT)
        if status not in {Status.QUEUED, Status.SENDING, Status.SENT}:
            update(status=status, **({"hold_reason": "r"} if status is Status.HELD else {}))
        return Message.get_by_id(message.id)  # type: ignore[no-any-return]

    return store


def resend(*olds: Message, **more: str) -> list[Outcome]:
    return resending.resend(WORKSPACE_A, [str(m.id) for m in olds], by=PERSON, **more)


def copy_of(old: Message) -> Message:
    [outcome] = resend(old)
    assert outcome.status is OutcomeStatus.RESENT, outcome
    assert outcome.new_message is not None
    return reload(outcome.new_message)


@pytest.mark.parametrize("status", sorted(set(Status) - NOT_ENDED))
def test_what_has_ended_is_sent_again_as_another_message(make: Make, status: Status) -> None:
    old = make(status)
    new = copy_of(old)
    assert new.id != old.id
    assert new.status is Status.QUEUED
    assert new.message_id_header != old.message_id_header
    assert reload(old).status is status


@pytest.mark.parametrize("status", sorted(NOT_ENDED))
def test_what_has_not_ended_is_left_alone(make: Make, status: Status) -> None:
    [outcome] = resend(make(status))
    assert (outcome.status, outcome.new_message) == (OutcomeStatus.SKIPPED, None)
    assert outcome.error
    assert Message.select().count() == 1
    assert AuditEntry.select().count() == 0


WHOLE = {
    "from_name": "The Shop",
    "reply_to": "help@example.com",
    "subject": "Grüße",
    "body_text": "Hello.",
    "body_html": "<p>Hello.</p>",
    "headers": (("X-Order", "7"), ("X-Order", "8")),
    "attachments": (
        Attachment("a.pdf", "application/pdf", b"\x00\xff", None),
        Attachment("b.png", "image/png", b"png", "logo"),
    ),
    "stream": Stream.MARKETING,
    "tags": ("a", "b"),
    "metadata": {"order": 7, "list": [1, {"x": None}]},
}


def test_all_that_it_says_is_copied(make: Make) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    old = make(Status.CANCELLED, **WHOLE, scheduled_at=soon, expires_at=soon + timedelta(hours=1))
    new = copy_of(old)
    for name in ("from_email", "to_email", "subject", "stream", "tags", "metadata", "topic"):
        assert getattr(new, name) == getattr(old, name), name
    bodies = [MessageBody.get_by_id(m.id) for m in (old, new)]
    for name in ("from_name", "reply_to", "headers", "body_text", "body_html", "attachment_count"):
        assert getattr(bodies[1], name) == getattr(bodies[0], name), name
    files = [
        [
            (file.filename, file.content_type, bytes(file.content), file.content_id)
            for file in MessageAttachment.select()
            .where(MessageAttachment.message == m.id)
            .order_by(MessageAttachment.position)
        ]
        for m in (old, new)
    ]
    assert files[0] == files[1] != []


def test_no_part_of_a_message_is_forgotten() -> None:
    """Who adds a field to a submission decides whether a copy has it."""
    left_out = {"scheduled_at", "expires_at", "cc", "bcc", "template", "recipient_id"}
    copied = {*WHOLE, "from_email", "to_email", "topic", "smtp_account"}
    assert {field.name for field in dataclasses.fields(NewMessage)} <= copied | left_out


@pytest.mark.parametrize("name", ["ses", "default"])
def test_a_copy_goes_through_the_account_that_the_old_one_had_to_take(
    name: str, make: Make, account: MakeAccount
) -> None:
    account("ses")
    assert copy_of(make(Status.FAILED, smtp_account=name)).pinned_account == name


def test_a_copy_may_take_any_account_where_the_old_ones_is_gone(
    make: Make, account: MakeAccount
) -> None:
    account("ses")
    account("postal")
    gone, kept = make(Status.FAILED, smtp_account="ses"), make(Status.SENT, smtp_account="postal")
    plain = make(Status.CANCELLED)
    smtp_accounts.delete(WORKSPACE_A, name="ses", by=PERSON)
    outcomes = resend(gone, kept, plain)
    copies = [reload(o.new_message).pinned_account for o in outcomes if o.new_message]
    assert copies == ["", "postal", ""]


def test_neither_its_time_nor_its_lifetime_is_copied(make: Make) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    plain = copy_of(make(Status.CANCELLED))
    new = copy_of(make(Status.CANCELLED, scheduled_at=soon, expires_at=soon + timedelta(hours=1)))
    assert new.scheduled_at is None
    assert new.next_attempt_at <= datetime.now(UTC)
    assert new.expires_at - new.created_at == plain.expires_at - plain.created_at


def test_the_recipients_of_one_submission_share_its_content(make: Make) -> None:
    first, second = make(Status.FAILED, **WHOLE), make(Status.FAILED, to_email="bob@example.org")
    MessageBody.delete().where(MessageBody.message == second.id).execute()
    for message in (first, second):
        Message.update(submission_id=first.id).where(Message.id == message.id).execute()
    new = copy_of(reload(second))
    assert (new.to_email, new.submission_id) == ("bob@example.org", None)
    body = MessageBody.get_by_id(new.id)
    assert (body.body_text, body.attachment_count) == ("Hello.", 2)
    assert (body.visible_to, body.visible_cc) == (None, None)


def test_both_messages_tell_of_each_other(make: Make) -> None:
    old = make(Status.SUPPRESSED)
    [outcome] = resend(old, reason="it works again")
    assert outcome.new_message is not None
    why = {"by": "operator key", "reason": "it works again"}
    events = {
        (event.message_id, event.type): event.data
        for event in Event.select()
        if event.type in {EventType.RESENT, EventType.COPIED}
    }
    assert events == {
        (old.id, "message.resent"): {"new_message_id": str(outcome.new_message.id), **why},
        (outcome.new_message.id, "message.copied"): {"old_message_id": str(old.id), **why},
    }
    order = [event.type for event in timeline.list_events(outcome.new_message)]
    assert order == ["message.accepted", "message.copied"]
    [entry] = AuditEntry.select()
    assert (entry.action, entry.actor, entry.actor_ip) == (
        "messages.resent", "operator key", "192.0.2.1",
    )  # fmt: skip
    assert entry.after == {"messages": {str(old.id): str(outcome.new_message.id)}}
    assert entry.reason == "it works again"


def test_who_asks_twice_sends_once(make: Make) -> None:
    old = make(Status.FAILED)
    new = copy_of(old)
    [outcome] = resend(old)
    assert (outcome.status, outcome.error) == (
        OutcomeStatus.SKIPPED,
        f"was resent already, as {new.id}",
    )
    [outcome] = resending.resend(WORKSPACE_A, [str(new.id)], by=PERSON)
    assert outcome.error == "is still queued"
    assert Message.select().count() == 2


def test_so_do_several_at_once(make: Make) -> None:
    olds = [make(Status.FAILED) for _ in range(5)]
    at_once(*[lambda: resend(*olds)] * 2, *[lambda: resend(*olds[::-1])] * 2)
    assert Message.select().count() == 10


def test_a_copy_obeys_what_is_suppressed(make: Make, lease: Lease) -> None:
    """I7: a resend mails nobody who must not be mailed."""
    old = make(Status.SUPPRESSED)
    suppressions.add(WORKSPACE_A, "ann@example.org", reason="r", source="test")
    [outcome] = resend(old)
    assert take(lease) == []
    assert outcome.new_message is not None
    assert reload(outcome.new_message).status is Status.SUPPRESSED


def test_a_copy_is_of_the_key_that_the_old_one_came_with(make: Make) -> None:
    olds = [make(Status.FAILED) for _ in range(3)]
    keys = [make_key(), make_key(), None]
    for old, key in zip(olds, keys, strict=True):
        Message.update(api_key_id=key).where(Message.id == old.id).execute()
    copies = [reload(o.new_message) for o in resend(*olds) if o.new_message]
    assert [copy.api_key_id for copy in copies] == keys
    assert messages.get(WORKSPACE_A, copies[0].id, api_key_id=keys[0]) == copies[0]


def test_a_copy_is_held_where_its_key_is_frozen(make: Make, lease: Lease) -> None:
    frozen, other = make(Status.FAILED), make(Status.FAILED)
    key = make_key()
    Message.update(api_key_id=key).where(Message.id == frozen.id).execute()
    freeze = start(FreezeKind.API_KEY, str(key))
    held, going = copy_of(frozen), copy_of(other)
    assert [claim.message_id for claim in take(lease)] == [going.id]
    assert (reload(held).status, reload(held).freeze_id) == (Status.HELD, freeze.id)


def test_what_would_not_be_accepted_now_is_skipped(
    make: Make, use_settings: Callable[..., object]
) -> None:
    blocked, fine = make(Status.FAILED, to_email="ann@blocked.example"), make(Status.FAILED)
    use_settings(blocked_recipient_domains=("blocked.example",))
    outcomes = resend(blocked, fine)
    assert [o.status for o in outcomes] == [OutcomeStatus.SKIPPED, OutcomeStatus.RESENT]
    assert "blocked.example" in (outcomes[0].error or "")
    assert Event.select().where(Event.type == EventType.RESENT).count() == 1


def test_one_without_content_is_skipped(make: Make) -> None:
    old = make(Status.FAILED)
    MessageBody.delete().where(MessageBody.message == old.id).execute()
    [outcome] = resend(old)
    assert (outcome.status, outcome.error) == (
        OutcomeStatus.SKIPPED,
        "its content is no longer kept",
    )


def test_one_whose_content_goes_meanwhile_is_not_sent_without_its_files(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make(Status.SENT, attachments=(Attachment("a.pdf", "application/pdf", b"%PDF"),))
    execute = Database.execute_sql

    def prune_after(self: Database, sql: str, params: object = None) -> object:
        """Between the reading of the one and of the other, the content was removed."""
        cursor = execute(self, sql, params)
        if '"message_bodies"' in sql or '"message_attachments"' in sql:
            monkeypatch.undo()
            MessageAttachment.delete().execute()
            MessageBody.update(body_text=None, body_html=None, pruned_at=clock.now()).execute()
        return cursor

    monkeypatch.setattr(Database, "execute_sql", prune_after)
    [outcome] = resend(old)
    assert outcome.status is OutcomeStatus.SKIPPED


def test_it_tells_of_each_once_in_the_order_of_the_request(make: Make) -> None:
    mine, other = make(Status.FAILED), make(Status.FAILED, workspace_id=WORKSPACE_B)
    texts = ["nonsense", str(mine.id), str(other.id), str(uuid.uuid4()), str(mine.id), "nonsense"]
    outcomes = resending.resend(WORKSPACE_A, texts, by=PERSON)
    assert [(o.message_id, o.status.value) for o in outcomes] == [
        (texts[0], "failed"), (texts[1], "resent"), (texts[2], "failed"), (texts[3], "failed"),
    ]  # fmt: skip
    assert {o.error for o in outcomes} == {None, "not found"}
    assert Message.select().where(Message.workspace == WORKSPACE_B).count() == 1


def test_an_unknown_workspace_is_told() -> None:
    with pytest.raises(NotFound):
        resending.resend(999, [str(uuid.uuid4())], by=PERSON)


@pytest.mark.parametrize(
    ("texts", "reason", "field"),
    [
        ([], None, "message_ids"),
        (["x"] * 101, None, "message_ids"),
        (["x"], " ", "reason"),
        (["x"], "a\nb", "reason"),
        (["x"], "x" * 501, "reason"),
    ],
)
def test_it_names_what_it_does_not_take(texts: list[str], reason: str | None, field: str) -> None:
    with pytest.raises(InvalidFields) as raised:
        resending.resend(WORKSPACE_A, texts, by=PERSON, reason=reason)
    assert [error.field for error in raised.value.errors] == [field]


def test_it_holds_no_more_in_memory_than_it_says(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resending, "TOTAL_MAX_BYTES", 250_000)
    olds = [make(Status.FAILED, body_text="x" * 100_000) for _ in range(3)]
    with pytest.raises(InvalidFields, match="resend fewer"):
        resend(*olds)
    assert len(resend(*olds[:2])) == 2


def test_a_hundred_need_no_more_queries_than_one(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    counts = []
    for olds in ([make(Status.FAILED)], [make(Status.FAILED) for _ in range(20)]):
        caplog.clear()
        with caplog.at_level("DEBUG", "peewee"):
            resend(*olds)
        counts.append(len(caplog.records))
    assert counts[0] == counts[1]


def test_a_copy_goes_out(make: Make, inbox: Inbox, deliver: Callable[[], int]) -> None:
    new = copy_of(make(Status.FAILED, **WHOLE))
    assert deliver() == 1
    mail = inbox.only()
    assert (mail["Subject"], mail["Message-ID"]) == ("Grüße", new.message_id_header)
    assert [part.get_filename() for part in mail.iter_attachments()] == ["a.pdf"]
    assert messages.get(WORKSPACE_A, new.id).status is Status.SENT


def test_ids_that_are_none_are_not_found_one_by_one() -> None:
    outcomes = resending.resend(WORKSPACE_A, ["x", "", "x"], by=PERSON)
    assert [(one.message_id, one.status) for one in outcomes] == [
        ("x", OutcomeStatus.FAILED),
        ("", OutcomeStatus.FAILED),
    ]
