"""Dead letters: kept whole, and replayed with today's code, once."""

import json

import pytest

from maild.domain.actor import Actor
from maild.domain.provider_event import ReportStatus
from maild.errors import InvalidFields, NotFound
from maild.models import AuditEntry, Event, ProviderEvent
from maild.services import dead_letters, payload_events, provider_events, report_loop
from maild.services.dead_letters import OutcomeStatus, Source, dismiss, replay
from maild.transports.webhooks import generic
from maild.transports.webhooks.base import UnreadablePayload
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import Accept, at_once, end, take_one
from tests.services.reporting import about, make_due_again, report, send_all, status_of, suppressed

EVE = Actor("Eve")
UNKNOWN = {"type": "returned_to_sender", "email": "ann@example.org", "event_id": "1"}
"""A kind of event that no version knows yet."""


@pytest.fixture
def mended(monkeypatch):
    """Call, and the parser knows the new kind of event: a hard bounce."""

    def mend() -> None:
        meaning = generic._MEANINGS["hardbounce"]
        monkeypatch.setitem(generic._MEANINGS, "returnedtosender", meaning)

    return mend


def again(*events: ProviderEvent, dry_run: bool = False, workspace_id: int = WORKSPACE_A):
    ids = [str(event.id) for event in events]
    return replay(workspace_id, event_ids=ids, dry_run=dry_run, by=EVE)


def one(event: ProviderEvent) -> ProviderEvent:
    return ProviderEvent.get_by_id(event.id)


@pytest.mark.proves("feedback-dead-letters")
def test_what_cannot_be_read_is_kept_whole_with_the_error(database):
    [event] = report(UNKNOWN)
    assert event.status is ReportStatus.DEAD_LETTER
    assert "returned_to_sender" in event.last_error
    [entry] = provider_events.list_page(WORKSPACE_A).entries
    assert json.loads(entry.raw) == UNKNOWN


@pytest.mark.proves("bad-webhooks")
def test_a_payload_that_makes_the_parser_fail_is_kept_too(database, monkeypatch):
    monkeypatch.setattr(generic, "parse_body", lambda body: 1 / 0)
    [event] = report({"type": "delivered", "email": "ann@example.org"})
    assert event.status is ReportStatus.DEAD_LETTER
    assert "ZeroDivisionError" in event.last_error


@pytest.mark.proves("feedback-dead-letters")
def test_once_the_parser_is_mended_a_replay_applies_it(accept: Accept, lease, mended):
    message = accept()
    send_all(lease)
    [event] = report(about(message, "returned_to_sender"))
    assert status_of(message) == "sent"
    mended()
    preview = again(event, dry_run=True)
    assert preview.count(OutcomeStatus.REPLAYED) == 1
    assert preview.summary["suppressions_added"] == 1
    assert status_of(message) == "sent"  # so far only told
    assert suppressed() == {}
    assert one(event).status is ReportStatus.DEAD_LETTER
    done = again(event)
    assert [o.effects for o in done.outcomes] == [o.effects for o in preview.outcomes]
    assert status_of(message) == "bounced"
    assert suppressed() == {"ann@example.org": "hard_bounce"}
    assert (one(event).status, one(event).last_error) == (ReportStatus.REPLAYED, None)
    assert one(event).event_type == "bounced"


def test_what_still_cannot_be_read_stays_a_dead_letter(database):
    [event] = report(UNKNOWN)
    [outcome] = again(event).outcomes
    assert outcome.status is OutcomeStatus.FAILED
    assert "returned_to_sender" in outcome.error
    assert (one(event).status, one(event).attempt_count) == (ReportStatus.DEAD_LETTER, 2)


def test_a_dry_run_changes_nothing(database, mended):
    events = report(UNKNOWN, {**UNKNOWN, "event_id": "2"}, b"nonsense")
    before = [one(event).__data__ for event in events]
    mended()
    result = again(*events, dry_run=True)
    assert result.summary == {
        "suppressions_added": 1, "suppressions_already_there": 1, "unreadable": 1,
    }  # fmt: skip
    assert [one(event).__data__ for event in events] == before
    assert suppressed() == {}
    assert not AuditEntry.select().exists()
    assert not Event.select().where(Event.workspace == WORKSPACE_A).exists()


def test_a_second_replay_has_nothing_to_do(database, mended):
    [event] = report(UNKNOWN)
    mended()
    again(event)
    [outcome] = again(event).outcomes
    assert outcome.status is OutcomeStatus.SKIPPED
    assert "replayed" in outcome.error


@pytest.mark.proves("I11")
def test_two_replays_at_once_are_one(accept: Accept, lease, mended):
    message = accept()
    send_all(lease)
    [event] = report(about(message, "returned_to_sender"))
    mended()
    results = []
    at_once(*[lambda: results.append(again(event))] * 4)
    statuses = sorted(result.outcomes[0].status.value for result in results)
    assert statuses == ["replayed", "skipped", "skipped", "skipped"]
    assert Event.select().where(Event.type == "message.bounced").count() == 1


def test_a_replay_of_what_came_again_meanwhile_is_a_duplicate(database, mended):
    [dead] = report(UNKNOWN)
    mended()
    report(UNKNOWN)  # the provider has sent it once more
    [outcome] = again(dead).outcomes
    assert outcome.status is OutcomeStatus.DUPLICATE
    assert one(dead).status is ReportStatus.DUPLICATE


def test_a_payload_that_comes_to_hold_several_events_applies_them_all(database, monkeypatch):
    [dead] = report(b'["ann", "bob"]')
    assert dead.status is ReportStatus.DEAD_LETTER

    def parse(body):
        spam = generic._MEANINGS["spam"]
        return "generic", [
            generic.ProviderEvent(
                event_type=spam[0], recipient=f"{name}@example.org", event_id=name, raw=name
            )
            for name in json.loads(body)
        ]

    monkeypatch.setattr(generic, "parse_body", parse)
    [outcome] = again(dead).outcomes
    assert (outcome.status, len(outcome.effects)) == (OutcomeStatus.REPLAYED, 2)
    assert suppressed() == {"ann@example.org": "complaint", "bob@example.org": "complaint"}
    rows = ProviderEvent.select().where(ProviderEvent.payload == dead.payload_id)
    assert {row.status for row in rows} == {ReportStatus.REPLAYED}


def test_what_could_not_be_applied_is_replayed_as_well(accept: Accept, lease, use_settings):
    """A complaint that names nobody, about a message that is not found."""
    [event] = report({"Type": "Notification"})
    row = one(event)
    row.position, row.event_type, row.report = 0, "complained", {"event_type": "complained"}
    row.status, row.next_attempt_at = ReportStatus.RECEIVED, row.created_at
    row.save()
    report_loop.drain()
    assert one(event).status is ReportStatus.DEAD_LETTER
    assert "names no recipient" in one(event).last_error


def test_the_newest_are_replayed_by_a_limit(database, mended):
    events = report(*({**UNKNOWN, "event_id": str(n)} for n in range(3)))
    mended()
    result = replay(WORKSPACE_A, limit=2, by=EVE)
    assert result.source is Source.LATEST
    assert [o.event_id for o in result.outcomes] == [str(events[2].id), str(events[1].id)]
    assert one(events[0]).status is ReportStatus.DEAD_LETTER


def test_what_is_not_a_dead_letter_is_skipped(database):
    [event] = report({"type": "spam", "email": "ann@example.org"})
    [outcome] = again(event).outcomes
    assert (outcome.status, outcome.error) == (
        OutcomeStatus.SKIPPED, "it is applied, and not a dead letter",
    )  # fmt: skip


def test_what_was_ignored_can_be_replayed(database):
    [event] = report({"type": "subscribed", "email": "ann@example.org"})
    assert event.status is ReportStatus.IGNORED
    assert again(event).outcomes[0].status is OutcomeStatus.REPLAYED
    assert one(event).status is ReportStatus.IGNORED  # nothing follows from it, still


def test_another_workspaces_events_are_not_there(database, mended):
    [event] = report(UNKNOWN, workspace_id=WORKSPACE_B)
    mended()
    [outcome] = again(event).outcomes
    assert (outcome.status, outcome.error) == (OutcomeStatus.FAILED, "there is no such event")
    assert one(event).status is ReportStatus.DEAD_LETTER
    assert replay(WORKSPACE_A, limit=5, by=EVE).outcomes == []


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "９", "9" * 30, "0"])
def test_what_is_no_id_is_not_there(database, text):
    [outcome] = replay(WORKSPACE_A, event_ids=[text], by=EVE).outcomes
    assert (outcome.event_id, outcome.status) == (text, OutcomeStatus.FAILED)


@pytest.mark.parametrize(
    "chosen",
    [{}, {"event_ids": ["1"], "limit": 1}, {"event_ids": []}, {"event_ids": ["1"] * 501},
     {"limit": 0}, {"limit": 501}],
)  # fmt: skip
def test_it_refuses_what_chooses_nothing_or_too_much(database, chosen):
    with pytest.raises(InvalidFields):
        replay(WORKSPACE_A, by=EVE, **chosen)


def test_a_workspace_that_is_not_there_is_told(database):
    with pytest.raises(NotFound):
        replay(99, limit=1, by=EVE)


def test_a_replay_is_audited(database, mended):
    [event] = report(UNKNOWN)
    mended()
    again(event)
    entry = AuditEntry.get()
    assert (entry.actor, entry.action) == ("Eve", "provider_events.replayed")
    assert entry.after == {
        "replayed": 1,
        "failed": 0,
        "event_ids": [str(event.id)],
        "effects": {"suppressions_added": 1, "unreadable": 0},
    }


def test_an_audited_replay_names_no_more_than_it_did(database):
    [event] = report({"type": "spam", "email": "ann@example.org"})
    again(event)
    assert not AuditEntry.select().exists()


def test_one_that_cannot_be_stored_keeps_no_other_from_being_replayed(
    database, mended, monkeypatch
):
    bad, good = report(UNKNOWN, {**UNKNOWN, "email": "bob@example.org"})
    mended()
    describe = payload_events.describe

    def spoil(payload, parsed):
        [row] = describe(payload, parsed)
        return [{**row, "event_type": None} if row["email"] == "ann@example.org" else row]

    monkeypatch.setattr(payload_events, "describe", spoil)
    statuses = [outcome.status for outcome in replay(WORKSPACE_A, limit=5, by=EVE).outcomes]
    assert statuses == [OutcomeStatus.REPLAYED, OutcomeStatus.FAILED]
    assert suppressed() == {"bob@example.org": "hard_bounce"}
    assert one(bad).status is ReportStatus.DEAD_LETTER
    assert one(good).status is ReportStatus.REPLAYED


def test_one_that_the_parser_fails_on_keeps_no_other_from_being_replayed(database, mended):
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    bad, good = report(deep, UNKNOWN)
    mended()
    result = replay(WORKSPACE_A, limit=5, by=EVE)
    assert result.count(OutcomeStatus.REPLAYED) == 1
    assert result.summary["unreadable"] == 1
    assert one(bad).status is ReportStatus.DEAD_LETTER
    assert one(good).status is ReportStatus.REPLAYED


def test_what_must_wait_for_its_message_says_so(accept: Accept, lease, mended):
    message = accept()
    [event] = report(about(message, "returned_to_sender"))
    take_one(lease)
    mended()
    [outcome] = again(event).outcomes
    assert outcome.status is OutcomeStatus.WAITING
    assert "being sent" in outcome.error


def test_many_of_one_payload_are_read_once(database, monkeypatch):
    body = json.dumps([f"user{n}@example.org" for n in range(200)]).encode()
    [dead] = report(body)
    read = []

    def parse(body):
        read.append(body)
        return "generic", [
            generic.ProviderEvent(
                event_type=generic._MEANINGS["subscribed"][0], recipient=email, event_id=email
            )
            for email in json.loads(body)
        ]

    monkeypatch.setattr(generic, "parse_body", parse)
    again(dead)  # 200 events of one payload, all of them ignored in the end
    ProviderEvent.update(status=ReportStatus.IGNORED).execute()
    read.clear()
    events = list(ProviderEvent.select())
    assert again(*events).count(OutcomeStatus.REPLAYED) == 200
    assert len(read) == 1


def test_what_nothing_will_mend_can_be_dismissed(database):
    dead, other = report(b"nonsense", UNKNOWN)
    [outcome] = dismiss(WORKSPACE_A, [str(dead.id)], reason="a test", by=EVE)
    assert outcome.status is OutcomeStatus.DISMISSED
    assert one(dead).status is ReportStatus.IGNORED
    assert one(other).status is ReportStatus.DEAD_LETTER
    entry = AuditEntry.get()
    assert (entry.action, entry.reason) == ("provider_events.dismissed", "a test")
    assert entry.after == {"dismissed": 1, "event_ids": [dead.id]}


def test_what_was_dismissed_can_be_replayed(database, mended):
    [event] = report(UNKNOWN)
    dismiss(WORKSPACE_A, [str(event.id)], reason="too soon", by=EVE)
    mended()
    again(event)
    assert one(event).status is ReportStatus.REPLAYED


def test_only_dead_letters_of_the_workspace_can_be_dismissed(database):
    [applied] = report({"type": "spam", "email": "ann@example.org"})
    [foreign] = report(UNKNOWN, workspace_id=WORKSPACE_B)
    ids = [str(applied.id), str(foreign.id), "x"]
    statuses = [o.status for o in dismiss(WORKSPACE_A, ids, reason="r", by=EVE)]
    assert statuses == [OutcomeStatus.SKIPPED, OutcomeStatus.FAILED, OutcomeStatus.FAILED]
    assert one(foreign).status is ReportStatus.DEAD_LETTER
    assert not AuditEntry.select().exists()


@pytest.mark.parametrize("reason", ["", " ", "x" * 501, "two\nlines"])
def test_dismissing_needs_a_reason(database, reason):
    with pytest.raises(InvalidFields):
        dismiss(WORKSPACE_A, ["1"], reason=reason, by=EVE)


def test_a_dead_letter_is_found_by_the_address_that_it_names(database):
    report({"type": "vanished", "email": "Ann@EXAMPLE.org"})
    [entry] = provider_events.list_page(
        WORKSPACE_A, filter_=provider_events.Filter(email="Ann@example.org")
    ).entries
    assert entry.row.status is ReportStatus.DEAD_LETTER


def test_replays_in_vain_are_no_tries_of_applying(accept: Accept, lease, mended):
    message = accept()
    [event] = report(about(message, "returned_to_sender"))
    for _ in range(6):
        again(event)
    claim = take_one(lease)
    mended()
    assert again(event).outcomes[0].status is OutcomeStatus.WAITING
    end(claim)
    make_due_again()
    report_loop.drain()
    assert status_of(message) == "bounced"


def test_what_is_too_much_for_one_replay_is_left_for_the_next(database, mended, monkeypatch):
    events = report(*({**UNKNOWN, "event_id": str(n)} for n in range(4)))
    mended()
    monkeypatch.setattr(dead_letters, "BYTES_MAX", 150)  # two of them
    first = again(*events)
    assert first.count(OutcomeStatus.REPLAYED) == 2
    assert "replay the rest next" in first.outcomes[-1].error
    again(*events)
    assert {one(event).status for event in events} == {ReportStatus.REPLAYED}


def test_a_dismissal_can_be_taken_back(database):
    dead, other = report(b"nonsense", UNKNOWN)
    dismiss(WORKSPACE_A, [str(dead.id)], reason="a test", by=EVE)
    assert dead_letters.restore(WORKSPACE_A, [str(dead.id), str(other.id)], by=EVE) == 1
    assert one(dead).status is ReportStatus.DEAD_LETTER
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).get()
    assert entry.action == "provider_events.restored"
    assert entry.after == {"restored": 1, "event_ids": [dead.id]}


def test_what_was_never_dismissed_is_not_restored(database, mended):
    ignored, applied = report(
        {"type": "subscribed", "email": "ann@example.org"},
        {"type": "spam", "email": "ann@example.org"},
    )
    [replayed] = report(UNKNOWN)
    dismiss(WORKSPACE_A, [str(replayed.id)], reason="a test", by=EVE)
    mended()
    again(replayed)
    [foreign] = report(b"nonsense", workspace_id=WORKSPACE_B)
    dismiss(WORKSPACE_B, [str(foreign.id)], reason="a test", by=EVE)
    before = AuditEntry.select().count()
    ids = [str(event.id) for event in (ignored, applied, replayed, foreign)]
    assert dead_letters.restore(WORKSPACE_A, [*ids, "x"], by=EVE) == 0
    assert one(ignored).status is ReportStatus.IGNORED
    assert one(replayed).status is ReportStatus.REPLAYED
    assert one(foreign).status is ReportStatus.IGNORED
    assert AuditEntry.select().count() == before


@pytest.mark.parametrize(
    ("today", "why"),
    [
        ([], "Today's reading finds no event in it."),
        (UnreadablePayload("it is torn"), "it is torn"),
        (KeyError("x"), "KeyError"),
    ],
)
def test_what_todays_code_reads_no_better_stays_dead(database, monkeypatch, today, why):
    [event] = report(UNKNOWN)

    def read(body):
        if isinstance(today, Exception):
            raise today
        return "generic", today

    monkeypatch.setattr(generic, "parse_body", read)
    [outcome] = again(event).outcomes
    assert outcome.status is not OutcomeStatus.REPLAYED
    assert why in outcome.error
    assert one(event).status is ReportStatus.DEAD_LETTER


def test_a_payload_of_too_many_events_is_one_dead_letter(database, monkeypatch):
    monkeypatch.setattr(payload_events, "EVENTS_MAX", 1)
    monkeypatch.setattr(generic, "parse_body", lambda body: ("generic", [None, None]))
    [event] = report(UNKNOWN)
    assert event.status is ReportStatus.DEAD_LETTER
    assert "it holds 2 events; 1 are the most" in event.last_error
