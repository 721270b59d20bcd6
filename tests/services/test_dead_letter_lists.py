"""Lists of what providers have reported, and one of it with what it was read from."""

import datetime as dt
import json

import pytest

from maild import clock
from maild.domain.actor import Actor
from maild.domain.provider_event import ProviderEventType, ReportStatus
from maild.errors import NotFound
from maild.models import ProviderEvent, WebhookPayload
from maild.services import dead_letter_lists, dead_letters, report_loop, webhook_endpoints
from maild.services.dead_letter_lists import Filter, State
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.helpers import Accept
from tests.services.reporting import about, report, send_all

EVE = Actor("Eve")
UNKNOWN = {"type": "returned_to_sender", "email": "ann@example.org", "event_id": "1"}
SPAM = {"type": "spam", "email": "ann@example.org"}


def ids_of(filter_=None, *, workspace_id=WORKSPACE_A, **page):
    found = dead_letter_lists.list_page(workspace_id, filter_=filter_ or Filter(), **page)
    return [row.id for row in found.events]


def dismiss(event):
    dead_letters.dismiss(WORKSPACE_A, [str(event.id)], reason="a test", by=EVE)


def test_it_lists_dead_letters_newest_first(database):
    first, second, _ = report(UNKNOWN, b"nonsense", SPAM)
    assert ids_of() == [second.id, first.id]


def test_each_event_is_in_one_state_and_found_by_it(accept: Accept, lease):
    message = accept()
    send_all(lease)
    dead, gone, applied, ignored = report(
        UNKNOWN, b"nonsense", about(message, "delivered"),
        {"type": "subscribed", "email": "ann@example.org"},
    )  # fmt: skip
    [again] = report(about(message, "delivered"))
    dismiss(gone)
    states = {
        State.DEAD_LETTER: [dead.id],
        State.DISMISSED: [gone.id],
        State.APPLIED: [applied.id],
        State.IGNORED: [ignored.id],
        State.DUPLICATE: [again.id],
        State.RECEIVED: [],
        State.REPLAYED: [],
    }
    assert {state: ids_of(Filter(state=state)) for state in State} == states
    assert set(ids_of(Filter(state=None))) == {one for found in states.values() for one in found}
    for state, found in states.items():
        for event_id in found:
            assert dead_letter_lists.get(WORKSPACE_A, event_id).state is state


def test_what_was_dismissed_and_came_to_nothing_in_a_replay_is_ignored(database):
    [event] = report({"type": "subscribed", "email": "ann@example.org"})
    ProviderEvent.update(status=ReportStatus.DEAD_LETTER, last_error="why").execute()
    dismiss(event)
    assert ids_of(Filter(state=State.DISMISSED)) == [event.id]
    dead_letters.replay(WORKSPACE_A, event_ids=[str(event.id)], by=EVE)
    assert ids_of(Filter(state=State.DISMISSED)) == []
    assert ids_of(Filter(state=State.IGNORED)) == [event.id]


def test_it_finds_who_reported_what_about_an_address(database):
    ann, upper, bob = report(UNKNOWN, {**SPAM, "email": "Ann@example.org"},
                             {**SPAM, "email": "bob@example.org"})  # fmt: skip
    either = Filter(state=None, emails=("Ann@example.org", "ann@example.org"))
    assert set(ids_of(either)) == {upper.id, ann.id}
    assert ids_of(Filter(state=None, emails=("bob@example.org",))) == [bob.id]


def test_it_finds_by_provider_kind_and_time(database):
    dead, spam = report(UNKNOWN, SPAM)
    kind = ProviderEventType.COMPLAINED
    assert ids_of(Filter(state=None, event_type=kind)) == [spam.id]
    assert ids_of(Filter(state=None, provider="generic")) == sorted([spam.id, dead.id])[::-1]
    assert ids_of(Filter(state=None, provider="ses")) == []
    soon = clock.now() + dt.timedelta(minutes=1)
    assert ids_of(Filter(since=soon)) == []
    assert ids_of(Filter(until=soon)) == [dead.id]


def test_it_finds_by_the_endpoint_through_which_it_came(database):
    endpoint = webhook_endpoints.add(
        WORKSPACE_A, provider="postmark", smtp_account="default", by=EVE
    )
    through, other = report(b"nonsense", b"more of it")
    WebhookPayload.update(endpoint_id=endpoint.id).where(
        WebhookPayload.id == through.payload_id
    ).execute()
    assert ids_of(Filter(endpoint_id=endpoint.id)) == [through.id]
    assert ids_of(Filter(endpoint_id=endpoint.id + 1)) == []
    assert dead_letter_lists.get(WORKSPACE_A, through.id).endpoint == endpoint
    assert dead_letter_lists.get(WORKSPACE_A, other.id).endpoint is None


def test_it_goes_on_where_a_page_ended(database):
    events = report(*({**UNKNOWN, "event_id": str(n)} for n in range(5)))
    newest = [event.id for event in reversed(events)]
    page = dead_letter_lists.list_page(WORKSPACE_A, filter_=Filter(), limit=2)
    assert ([row.id for row in page.events], page.older) == (newest[:2], newest[1])
    assert ids_of(limit=2, older_than=page.older) == newest[2:4]
    last = dead_letter_lists.list_page(WORKSPACE_A, filter_=Filter(), limit=5)
    assert last.older is None
    assert dead_letter_lists.list_ids(
        WORKSPACE_A, filter_=Filter(), limit=3, older_than=newest[1]
    ) == newest[2:]  # fmt: skip


def test_a_page_is_as_many_statements_as_a_row(database):
    report(UNKNOWN)
    few = count_statements(ids_of)
    report(*({**UNKNOWN, "event_id": str(n)} for n in range(9)))
    assert count_statements(ids_of) == few


def test_a_workspace_that_is_not_there_is_told(database):
    with pytest.raises(NotFound):
        ids_of(workspace_id=99)


def test_another_workspaces_events_are_not_there(database):
    [foreign] = report(UNKNOWN, workspace_id=WORKSPACE_B)
    assert ids_of(Filter(state=None)) == []
    assert dead_letter_lists.list_ids(WORKSPACE_A, filter_=Filter(state=None), limit=9) == []
    for look in (dead_letter_lists.get, dead_letter_lists.get_payload):
        with pytest.raises(NotFound):
            look(WORKSPACE_A, foreign.id)


def test_one_event_comes_with_what_it_was_read_from(database):
    [event] = report(UNKNOWN)
    letter = dead_letter_lists.get(WORKSPACE_A, event.id)
    assert json.loads(letter.raw) == UNKNOWN
    assert (letter.is_cut, letter.is_part) == (False, False)
    assert letter.size_bytes == len(json.dumps(UNKNOWN))
    assert letter.content_type == "application/json"
    assert dead_letter_lists.get_payload(WORKSPACE_A, event.id) == json.dumps(UNKNOWN).encode()


def test_one_of_several_shows_its_own_part(database):
    body = json.dumps(
        [
            {"event": "spamreport", "email": f"{name}@example.org", "sg_event_id": name}
            for name in ("ann", "bob")
        ]
    ).encode()
    payload_id = _store_array(body)
    query = ProviderEvent.select().where(ProviderEvent.payload == payload_id)
    events = list(query.order_by(ProviderEvent.position))
    letter = dead_letter_lists.get(WORKSPACE_A, events[1].id)
    assert json.loads(letter.raw)["email"] == "bob@example.org"
    assert letter.is_part
    assert letter.size_bytes == len(body)


def test_a_long_payload_is_cut_and_there_as_a_whole(database, monkeypatch):
    monkeypatch.setattr(dead_letter_lists, "SHOWN_MAX_BYTES", 10)
    body = b"\xff" + b"n\0nsense" * 9
    [event] = report(body)
    letter = dead_letter_lists.get(WORKSPACE_A, event.id)
    assert letter.is_cut
    assert len(letter.raw) <= 10
    assert "\0" not in letter.raw
    assert dead_letter_lists.get_payload(WORKSPACE_A, event.id) == body


def _store_array(body):
    """A payload of several events, as SendGrid sends it; its id."""
    row = WebhookPayload.create(
        workspace=WORKSPACE_A,
        provider="sendgrid",
        content_type="application/json",
        headers={},
        body=body,
        status="received",
        next_attempt_at=clock.now() - dt.timedelta(seconds=5),
    )
    report_loop.drain()
    return row.id
