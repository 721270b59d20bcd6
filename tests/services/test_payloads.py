"""Payloads: stored as they came, read once, and never lost."""

import contextlib
import json

import peewee
import pytest

from maild import clock, db
from maild.domain.actor import SYSTEM
from maild.domain.provider_event import PayloadStatus, ReportStatus
from maild.models import ProviderEvent, WebhookPayload
from maild.services import payload_events, payloads, provider_events, report_loop, webhook_endpoints
from maild.transports.webhooks.base import Request
from tests.conftest import WORKSPACE_A
from tests.services.reporting import report, statuses, store

ENTRY = {"type": "delivered", "email": "ann@example.org"}


def test_what_came_stands_there_byte_for_byte(database):
    body = b'{"type":"delivered",  "email":"ann@example.org"}\r\n'
    report(body)
    payload = WebhookPayload.get()
    assert bytes(payload.body) == body
    assert (payload.status, payload.next_attempt_at) == (PayloadStatus.READ, None)
    [entry] = provider_events.list_page(WORKSPACE_A).entries
    assert entry.raw == body.decode()


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"{", b"[1", b"\0", b"null", b"3"])
def test_nonsense_is_a_dead_letter(database, body):
    [event] = report(body)
    assert event.status is ReportStatus.DEAD_LETTER
    assert (event.event_type, event.report, event.position) == (None, None, None)


@pytest.mark.parametrize("text", ["nul \0 inside", "half \ud800 character", "🎉", "x" * 100_000])
def test_texts_that_postgresql_does_not_keep_are_no_obstacle(database, text):
    body = json.dumps({**ENTRY, "reason": text, "metadata": {text: [text]}}).encode()
    [event] = report(body)
    assert event.status is ReportStatus.IGNORED


def test_numbers_that_are_none_are_no_obstacle(database):
    [event] = report(b'{"type":"delivered","email":"ann@example.org","metadata":{"a":NaN}}')
    assert event.status in {ReportStatus.IGNORED, ReportStatus.DEAD_LETTER}


def test_one_that_the_database_refuses_keeps_no_other_from_being_read(database, monkeypatch):
    describe = payload_events.describe

    def spoil(payload, parsed):
        [row] = describe(payload, parsed)
        return [{**row, "event_type": None} if row["email"] == "bad@example.org" else row]

    monkeypatch.setattr(payload_events, "describe", spoil)
    good, bad = ENTRY, {**ENTRY, "email": "bad@example.org"}
    events = report(good, bad, {**good, "email": "bob@example.org"})
    assert statuses(events) == ["ignored", "ignored"]
    waiting = WebhookPayload.get(WebhookPayload.status == PayloadStatus.RECEIVED)
    assert waiting.attempt_count == 1
    monkeypatch.undo()
    WebhookPayload.update(next_attempt_at=waiting.created_at).where(
        WebhookPayload.id == waiting.id
    ).execute()
    report_loop.drain()
    assert ProviderEvent.get(ProviderEvent.payload == waiting.id).email == "bad@example.org"


def test_one_that_the_database_always_refuses_is_a_dead_letter_in_the_end(database, monkeypatch):
    def fail(rows):
        if rows:
            raise peewee.DataError("no")

    monkeypatch.setattr(payload_events, "insert", fail)
    store(ENTRY)
    for _ in range(5):
        WebhookPayload.update(next_attempt_at=WebhookPayload.created_at).where(
            WebhookPayload.status == PayloadStatus.RECEIVED
        ).execute()
        report_loop.drain()
    event = ProviderEvent.get()
    assert (event.status, event.attempt_count) == (ReportStatus.DEAD_LETTER, 5)


def test_what_was_stored_and_not_read_is_read_later(database):
    """The process that stored it was killed before it could read it."""
    payloads.take_entries(WORKSPACE_A, [json.dumps(ENTRY).encode()])
    report_loop.drain()
    assert not ProviderEvent.select().exists()  # its own process has a moment for it
    WebhookPayload.update(next_attempt_at=WebhookPayload.created_at).execute()
    report_loop.drain()
    assert ProviderEvent.get().email == "ann@example.org"


def test_a_batch_that_does_not_commit_leaves_nothing(database, monkeypatch):
    store(ENTRY)
    monkeypatch.setattr(payloads, "_finish", lambda ids: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report_loop.drain()
    assert not ProviderEvent.select().exists()
    monkeypatch.undo()
    WebhookPayload.update(next_attempt_at=WebhookPayload.created_at).execute()
    report_loop.drain()
    assert ProviderEvent.select().count() == 1


def test_many_are_read_and_applied(database):
    events = report(*({**ENTRY, "event_id": str(n)} for n in range(450)))
    assert len(events) == 450
    assert {event.status for event in events} == {ReportStatus.IGNORED}


def test_a_provider_shaped_entry_is_known_by_its_looks(database):
    [event] = report(
        {
            "event": "delivered",
            "email": "ann@example.org",
            "timestamp": 1_700_000_000,
            "sg_event_id": "abc",
            "sg_message_id": "def.filter",
        }
    )
    assert (event.provider, event.event_type) == ("sendgrid", "delivered")


def test_a_payload_that_kills_whoever_reads_it_is_met_a_few_times_only(database, monkeypatch):
    """The process ends between the count of the try and the reading."""
    store(ENTRY)
    with monkeypatch.context() as patch:
        patch.setattr(payloads, "read_claimed", lambda ids: None)
        for _ in range(5):
            report_loop._read()
            WebhookPayload.update(next_attempt_at=WebhookPayload.created_at).execute()
    report_loop.drain()
    event = ProviderEvent.get()
    assert event.status is ReportStatus.DEAD_LETTER
    assert "ended before" in event.last_error


def test_one_record_about_many_recipients_is_stored_once(database):
    body = json.dumps(
        {
            "notificationType": "Delivery",
            "mail": {"messageId": "x", "destination": []},
            "delivery": {"recipients": [f"user{n}@example.org" for n in range(300)]},
        }
    ).encode()
    events = report(body)
    assert len(events) == 300
    assert all("raw" not in event.report for event in events)
    [entry] = provider_events.list_page(WORKSPACE_A, limit=1).entries
    assert "user299" in entry.raw


def test_a_batch_is_bounded_by_its_bytes(database, monkeypatch):
    monkeypatch.setattr(payloads, "BATCH_BYTES", 100)
    store(*({**ENTRY, "event_id": str(n)} for n in range(10)))  # some 70 bytes each
    with db.database.atomic():
        assert len(payloads.claim_due()) == 2
    report_loop.drain()


def test_what_is_nested_too_deep_is_kept(database):
    [event] = report(b'{"a":' * 900 + b"1" + b"}" * 900)
    assert event.status is ReportStatus.DEAD_LETTER


def test_one_that_kills_its_reader_takes_no_other_with_it(database, monkeypatch):
    class Killed(BaseException):
        """As if the process had ended there."""

    describe = payload_events.describe

    def die_of_one(payload, parsed):
        if b"deadly" in bytes(payload.body):
            raise Killed
        return describe(payload, parsed)

    monkeypatch.setattr(payload_events, "describe", die_of_one)
    store(
        *({**ENTRY, "event_id": str(n)} for n in range(5)),
        {**ENTRY, "event_id": "deadly"},
        *({**ENTRY, "event_id": str(n)} for n in range(5, 9)),
    )
    for _ in range(20):
        WebhookPayload.update(next_attempt_at=WebhookPayload.created_at).where(
            WebhookPayload.status == PayloadStatus.RECEIVED
        ).execute()
        with contextlib.suppress(Killed):
            report_loop.drain()
    assert sorted(statuses(ProviderEvent.select())) == ["dead_letter", *["ignored"] * 9]


def test_a_database_that_goes_away_uses_up_no_try(database, monkeypatch):
    store(ENTRY)
    for _ in range(8):
        WebhookPayload.update(next_attempt_at=WebhookPayload.created_at).execute()
        with monkeypatch.context() as patch:
            patch.setattr(payload_events, "insert", away)
            with pytest.raises(peewee.OperationalError):
                report_loop.drain()
    WebhookPayload.update(next_attempt_at=WebhookPayload.created_at).execute()
    report_loop.drain()
    assert ProviderEvent.get().status is ReportStatus.IGNORED


def away(rows):
    raise peewee.OperationalError("the disk is full")


def test_a_record_that_is_long_stands_in_the_payload_alone(database):
    records = [
        {"event": "delivered", "email": f"{n}@example.org", "sg_event_id": str(n),
         "sg_message_id": "x", "timestamp": 1, "filler": "x" * 100_000}
        for n in range(2)
    ]  # fmt: skip
    endpoint = webhook_endpoints.add(
        WORKSPACE_A, provider="sendgrid", smtp_account="default", by=SYSTEM
    )
    body = json.dumps(records).encode()
    payloads.take(endpoint, Request(body=body, received_at=clock.now()), headers={})
    report_loop.drain()
    entries = provider_events.list_page(WORKSPACE_A).entries
    assert len(entries) == 2
    assert all(len(entry.raw) == provider_events.RAW_SHOWN_MAX_BYTES for entry in entries)
