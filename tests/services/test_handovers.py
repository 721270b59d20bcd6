"""The hand-over: what happened since somebody's last visit."""

import json

import pytest

from maild import clock
from maild.db import database as database_
from maild.domain.actor import RECIPIENT, SYSTEM, Actor
from maild.domain.freeze import FreezeKind
from maild.domain.states import EventType
from maild.models import Event, Message, ProviderEvent, Workspace
from maild.services import audit, freezes, handovers, policies, smtp_accounts
from maild.services.handovers import COUNT_MAX, FIRST_LOOK, LISTED_MAX, LOOK_BACK_MAX
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.freezing import ahead, hold, start
from tests.services.helpers import ago
from tests.services.reporting import report

pytestmark = pytest.mark.usefixtures("database")

ANN, OLAF = Actor("ann@a.example"), Actor("olaf@a.example")


def read(*, since=None, ids=(WORKSPACE_A,), audited=(WORKSPACE_A,), person=ANN.name):
    return handovers.read(
        ids, last_visit_at=since or ago(hours=1), person=person, audited_ids=audited
    )


def unknown(count=1, *, workspace_id=WORKSPACE_A, at=None):
    database_.execute_sql(
        """
        INSERT INTO messages (id, workspace_id, status, stream, priority, from_email, to_email,
            subject, size_bytes, tags, metadata, created_at, updated_at)
        SELECT gen_random_uuid(), %s, 'unknown', 'transactional', 0, 'shop@example.com',
            'ann@example.org', 'Hello', 1, '{}', '{}', %s, %s
        FROM generate_series(1, %s)
        """,
        (workspace_id, ago(days=2), at or clock.now(), count),
    )


def tell(kind, *, workspace_id=WORKSPACE_A, at=None, **data):
    Event.create(workspace=workspace_id, type=kind.value, data=data, created_at=at or clock.now())


def did(action, *, by=OLAF, target="x", workspace_id=WORKSPACE_A):
    with database_.atomic():
        audit.record(workspace_id, by, action=action, target=target)


def age_freeze(freeze, **fields):
    type(freeze).update(**fields).where(type(freeze).id == freeze.id).execute()


def test_where_nothing_happened_it_is_empty():
    assert read().is_empty


def test_it_begins_with_the_last_visit():
    at = ago(hours=3)
    handover = read(since=at)
    assert (handover.since, handover.is_first, handover.is_cut) == (at, False, False)


def test_it_goes_back_a_day_for_who_was_never_there():
    handover = handovers.read([WORKSPACE_A], last_visit_at=None, person=ANN.name)
    assert (handover.is_first, handover.is_cut) == (True, False)
    assert abs(handover.since - (clock.now() - FIRST_LOOK)).total_seconds() < 60


def test_it_goes_back_a_week_at_most():
    handover = read(since=ago(days=30))
    assert (handover.is_first, handover.is_cut) == (False, True)
    assert abs(handover.since - (clock.now() - LOOK_BACK_MAX)).total_seconds() < 60


def test_it_tells_what_became_unknown_since():
    unknown(2, at=ago(hours=2))
    unknown(3, at=ago(minutes=10))
    [came] = read().unknown
    assert (came.workspace_id, came.count) == (WORKSPACE_A, 3)
    assert abs(came.latest_at - ago(minutes=10)).total_seconds() < 60
    Message.delete().where(Message.updated_at > ago(hours=1)).execute()
    assert read().unknown == []


def test_it_counts_so_far_and_no_further():
    unknown(COUNT_MAX + 5)
    assert read().unknown[0].count == COUNT_MAX


def test_it_tells_what_dead_letters_came():
    report(b"{}", b"[]")
    [came] = read().dead_letters
    assert (came.workspace_id, came.count) == (WORKSPACE_A, 2)
    ProviderEvent.update(updated_at=ago(hours=2), created_at=ago(hours=3)).execute()
    assert read().dead_letters == []


def test_it_tells_which_freezes_end_soon_and_what_they_hold(accept):
    later = start(expires_at=ahead(hours=25))
    freeze = start(FreezeKind.STREAM, "marketing", expires_at=ahead(hours=23), by=OLAF)
    hold(freeze, accept, count=2)
    [ending] = read().ending
    assert (ending.id, ending.kind, ending.target) == (freeze.id, "stream", "marketing")
    assert (ending.held_count, ending.created_by) == (2, OLAF.name)
    assert (ending.reason, ending.expires_at) == ("a test", freeze.expires_at)
    assert [one.event.data["freeze_id"] for one in read().freezes] == [later.id], "told once"


def test_the_first_to_end_comes_first():
    second = start(expires_at=ahead(hours=3))
    first = start(FreezeKind.STREAM, "marketing", expires_at=ahead(hours=2))
    assert [ending.id for ending in read().ending] == [first.id, second.id]


def test_it_tells_which_freezes_were_started_and_lifted():
    old = start(expires_at=ahead(days=2))
    Event.update(created_at=ago(hours=2)).execute()
    start(FreezeKind.STREAM, "marketing", expires_at=ahead(days=2))
    [started] = read().freezes
    assert started.event.type == EventType.FREEZE_STARTED
    assert started.event.data["target"] == "marketing"
    freezes.lift(old, reason="mended", by=OLAF)
    lifted, _ = read().freezes
    assert (lifted.event.type, lifted.event.data["by"]) == (EventType.FREEZE_ENDED, OLAF.name)


def test_one_that_is_over_is_told_once():
    freezes.lift(start(expires_at=ahead(days=2)), by=OLAF)
    [one] = read().freezes
    assert one.event.type == EventType.FREEZE_ENDED


def test_it_tells_which_breakers_opened_and_how_often():
    for n in range(3):
        tell(EventType.BREAKER_OPENED, smtp_account="main", reason=f"refused {n}")
    tell(EventType.BREAKER_OPENED, smtp_account="second")
    tell(EventType.BREAKER_OPENED, smtp_account="third", at=ago(hours=2))
    second, main = read().troubles
    assert (second.event.data["smtp_account"], second.count) == ("second", 1)
    assert (main.event.data["reason"], main.count, main.is_over) == ("refused 2", 3, False)


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        (EventType.BREAKER_OPENED, EventType.BREAKER_CLOSED),
        (EventType.SILENT, EventType.REPORTING),
        (EventType.SIGNATURES_FAILING, EventType.REPORTING),
    ],
)
def test_it_tells_whether_a_trouble_is_over(kind, end):
    tell(kind, smtp_account="main")
    tell(end, smtp_account="other")
    assert not read().troubles[0].is_over
    tell(end, smtp_account="main")
    assert read().troubles[0].is_over
    tell(kind, smtp_account="main")
    assert not read().troubles[0].is_over


def test_a_trouble_that_ended_and_did_not_begin_since_is_none():
    tell(EventType.BREAKER_CLOSED, smtp_account="main")
    assert read().is_empty


def test_the_account_of_the_environment_concerns_whose_mail_takes_it():
    tell(EventType.BREAKER_OPENED, workspace_id=None, smtp_account="default")
    [one] = read().troubles
    assert one.event.workspace_id is None
    new = NewSmtpAccount(name="main", host="127.0.0.1", port=2525, from_email="a@example.com")
    smtp_accounts.save(WORKSPACE_A, new, by=ANN)
    smtp_accounts.activate(WORKSPACE_A, name="main", by=ANN)
    assert read().troubles == []


def test_it_tells_who_changed_what():
    did("policy.changed", target="policy 2")
    did("member.role_changed", by=Actor("key mk_1 (infra)"), target="vera@a.example")
    newest, older = read().changes
    assert (newest.actor, newest.action) == ("key mk_1 (infra)", "member.role_changed")
    assert (older.actor, older.target, older.count) == (OLAF.name, "policy 2", 1)
    assert older.workspace_id == WORKSPACE_A


def test_many_of_one_kind_are_one_line():
    for n in range(5):
        did("suppression.added", target=f"suppression:a{n}@example.org")
    did("suppression.added", by=Actor("admin key"), target="suppression:b@example.org")
    [admin, olaf] = read().changes
    assert (admin.count, olaf.count) == (1, 5)
    assert olaf.target == "suppression:a4@example.org"


def test_what_they_did_themselves_or_maild_did_is_no_news():
    for by in (ANN, SYSTEM, RECIPIENT):
        did("unsubscribe.added", by=by)
    start(expires_at=ahead(days=2), by=ANN)
    assert read().is_empty


def test_freezes_are_told_once():
    start(expires_at=ahead(days=2), by=OLAF)
    handover = read()
    assert len(handover.freezes) == 1
    assert handover.changes == []


def test_the_audit_log_is_for_those_who_may_read_it():
    did("api_key.created")
    policies.save(WORKSPACE_A, changes={"soft_bounce_threshold": 4}, by=OLAF)
    handover = read(audited=())
    assert handover.changes == []
    [deed] = handover.deeds
    assert (deed.event.type, deed.event.data["by"]) == (EventType.POLICY_CHANGED, OLAF.name)
    handover = read()
    assert {change.action for change in handover.changes} == {"api_key.created", "policy.changed"}
    assert handover.deeds == [], "the audit log tells it"


def test_a_message_of_its_own_is_no_event_of_the_workspace(accept):
    message = accept()
    Event.create(
        workspace=WORKSPACE_A, message=message.id, type=EventType.BREAKER_OPENED.value, data={}
    )
    assert read().is_empty


def test_it_lists_so_many_and_no_more():
    for n in range(LISTED_MAX + 5):
        did(f"test.{n}")
        tell(EventType.BREAKER_OPENED, smtp_account=f"a{n}")
    handover = read()
    assert len(handover.changes) == len(handover.troubles) == LISTED_MAX
    assert handover.changes[0].action == f"test.{LISTED_MAX + 4}"


def fill(workspace_id):
    """Something of every kind."""
    unknown(workspace_id=workspace_id)
    report(b"{}", workspace_id=workspace_id)
    start(workspace_id=workspace_id)
    start(FreezeKind.STREAM, "marketing", workspace_id=workspace_id, expires_at=ahead(days=2))
    tell(EventType.BREAKER_OPENED, workspace_id=workspace_id, smtp_account="main")
    did("policy.changed", workspace_id=workspace_id)


def test_it_tells_nothing_of_other_workspaces():
    fill(WORKSPACE_B)
    assert read().is_empty
    told = read(ids=(WORKSPACE_A, WORKSPACE_B), audited=(WORKSPACE_A, WORKSPACE_B))
    parts = (told.unknown, told.dead_letters, told.ending, told.changes)
    assert {one.workspace_id for part in parts for one in part} == {WORKSPACE_B}
    happenings = [*told.freezes, *told.troubles]
    assert {one.event.workspace_id for one in happenings} == {WORKSPACE_B}
    assert len(told.unknown) == len(told.dead_letters) == len(told.ending) == 1
    assert len(told.freezes) == len(told.troubles) == len(told.changes) == 1


def test_many_workspaces_are_as_many_statements_as_one():
    ids = [Workspace.create(name=f"W{n}").id for n in range(19)]
    for workspace_id in ids:
        fill(workspace_id)
    few = count_statements(read)
    many = count_statements(lambda: read(ids=(WORKSPACE_A, *ids), audited=(WORKSPACE_A, *ids)))
    assert few == many == 6


def test_data_that_another_version_has_written_harms_nothing():
    database_.execute_sql(
        "INSERT INTO events (workspace_id, type, data) VALUES (%s, %s, %s)",
        (WORKSPACE_A, EventType.BREAKER_OPENED.value, json.dumps({})),
    )
    assert len(read().troubles) == 1
