"""A database that came back from a backup: what is held, frozen and ended, and what people decide
about it afterwards.
"""

from datetime import timedelta

import pytest

from maild import clock, config, marks
from maild.db import database
from maild.domain.actor import Actor
from maild.domain.campaign import CampaignStatus as C
from maild.domain.freeze import NEVER, FreezeKind
from maild.domain.role import Role
from maild.domain.states import EventType, Status
from maild.errors import Conflict, MigrationPending, NotFound
from maild.marks import DOT
from maild.models import (
    AuditEntry,
    Campaign,
    Event,
    Freeze,
    Invitation,
    Job,
    Message,
    RestoredMessage,
    Session,
    Worker,
)
from maild.services import (
    bulk_messages,
    campaign_histories,
    campaign_states,
    campaigns,
    freezes,
    invitations,
    jobs,
    message_log,
    migrations,
    periodic_jobs,
    recorder,
    restore_marks,
    restored_queues,
    restores,
    sending,
    transitions,
    verbs,
    workers,
)
from maild.services.backups import PERIODIC_JOB
from maild.services.message_log import Filter
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.campaigning import (
    again,
    make_campaign,
    make_contacts,
    make_template,
    step_until,
)
from tests.services.helpers import leave_marks, mark
from tests.services.reporting import about, report
from tests.services.restoring import AGE, CutOff, make_safe, of_a

BY = Actor("ann@example.org")


@pytest.fixture(autouse=True)
def unmarked(database):
    """The tests' database is for other tests, too."""
    yield
    if restore_marks.find() is not None:
        restore_marks.remove()


@pytest.fixture
def old_world(accept, lease):
    """A message of each kind that waits, or is done with; by what it is."""
    freeze = freezes.start(
        WORKSPACE_A,
        reason="a drill",
        kind=FreezeKind.STREAM,
        target="marketing",
        expires_at=clock.now() + timedelta(hours=1),
        by=BY,
    )
    made = {
        name: accept(to_email=f"{name}@example.org")
        for name in ("due", "deferred", "sending", "frozen", "held", "sent", "failed")
    }
    made["later"] = accept(scheduled_at=clock.now() + timedelta(days=1))
    made["elsewhere"] = accept(workspace_id=WORKSPACE_B)
    waits = "next_attempt_at = NULL"
    sends = f"status = 'sending', worker_id = '{lease.worker_id}', attempt_count = 1, {waits}"
    for name, *steps in (
        ("deferred", "next_attempt_at = now() + interval '1 hour', attempt_count = 1"),
        ("sending", f"{sends}, smtp_account_name = 'default'"),
        ("frozen", f"status = 'held', hold_reason = 'a drill', freeze_id = {freeze.id}, {waits}"),
        ("held", f"status = 'held', hold_reason = 'by hand', {waits}"),
        ("sent", sends, "status = 'sent', worker_id = NULL"),
        ("failed", sends, "status = 'failed', worker_id = NULL"),
    ):
        for step in steps:
            database.execute_sql(f"UPDATE messages SET {step} WHERE id = %s", (made[name].id,))
    return made


def work():
    """What a worker does that starts after the restore."""
    sending.deliver_due(workers.enter(), recorder.current())


def statuses(made):
    rows = {row.id: row.status for row in Message.select()}
    return {name: rows[message.id].value for name, message in made.items()}


def test_all_that_waited_is_held_and_what_was_being_sent_is_unknown(old_world):
    make_safe()
    assert statuses(old_world) == {
        "due": "held",
        "deferred": "held",
        "sending": "unknown",
        "frozen": "held",
        "held": "held",
        "sent": "sent",
        "failed": "failed",
        "later": "held",
        "elsewhere": "held",
    }
    held = Message.select().where(Message.status == Status.HELD)
    assert all(one.hold_reason.startswith("Restored from the backup of") for one in held)
    # No freeze that ends lets one of them go.
    assert [one.id for one in held if one.freeze_id is not None] == []
    told = Event.select().where(Event.type == EventType.HELD.value)
    assert told.where(Event.message == old_world["held"].id).get().data["held_before"] == "by hand"
    assert Worker.select().count() == 0


def test_the_end_of_an_older_freeze_and_the_sweep_let_nothing_go(old_world, inbox):
    make_safe()
    database.execute_sql("UPDATE freezes SET expires_at = now() WHERE kind = 'stream'")
    assert freezes.release_thawed() == 0
    work()
    assert inbox.messages() == []
    assert Message.select().where(Message.status << [Status.QUEUED, Status.SENDING]).count() == 0


def test_each_workspace_is_frozen_without_an_end_and_new_mail_waits(old_world, accept, inbox):
    make_safe()
    frozen = Freeze.select().where(Freeze.kind == FreezeKind.WORKSPACE)
    assert {row.workspace_id for row in frozen} == {0, WORKSPACE_A, WORKSPACE_B}
    assert {row.expires_at for row in frozen} == {NEVER}
    new = accept(to_email="new@example.org")
    work()
    assert Message.get_by_id(new.id).status is Status.HELD
    freezes.lift(of_a().freeze, reason="all is back", by=BY)
    assert Message.get_by_id(new.id).status is Status.QUEUED
    assert Message.get_by_id(old_world["due"].id).status is Status.HELD


def test_what_was_under_way_is_ended(old_world, make_person):
    ann = make_person("ann@example.org")
    database.execute_sql(
        "INSERT INTO sessions (person_id, token_hash, user_agent, expires_at)"
        " VALUES (%s, %s, 'x', now() + interval '1 day')",
        (ann.id, b"s" * 32),
    )
    invitations.make(WORKSPACE_A, email="bob@example.org", role=Role.ADMIN, by=BY)
    job = bulk_messages.start(
        WORKSPACE_A,
        bulk_messages.Action.RETRY,
        bulk_messages.Selection(ids=(str(old_world["failed"].id),)),
        reason="r",
        words="one",
        by=BY,
    )
    ended = make_safe()
    assert (ended.job_count, ended.session_count) == (1, 1)
    assert not Job.get_by_id(job.id).is_open
    assert jobs.why_no_resume(Job.get_by_id(job.id), None) is None
    assert Session.select().count() == 0
    assert [row.revoked_at is None for row in Invitation.select()] == [False]
    assert of_a().stopped_job_count == 1
    age = (clock.now() - periodic_jobs.find_last(PERIODIC_JOB)).total_seconds()
    assert age == pytest.approx(AGE.total_seconds(), abs=60)
    actions = {row.workspace_id for row in AuditEntry.select() if row.action == "backup.restored"}
    assert actions == {0, WORKSPACE_A, WORKSPACE_B}


def test_a_drill_leaves_the_marks_of_the_redis_that_runs(old_world, lease):
    kept = mark(old_world["sending"], DOT)
    leave_marks(lease, kept)
    make_safe()
    assert marks.read(config.current().redis_url, lease.worker_id) == kept


def make_campaigns():
    """One that stood so when the backup was taken, by that."""
    make_contacts(3)
    same = make_template()
    fields = {"template": same.template_id, "template_version": same.version}
    made = {name: step_until(make_campaign(**fields), C.SENDING) for name in ("sending", "paused")}
    campaign_states.pause(WORKSPACE_A, made["paused"].id, reason="a typo", by=BY)
    made["preparing"] = make_campaign(**fields, status=C.PREPARING)
    made["finished"] = make_campaign(**fields, status=C.FINISHED, ended_at=clock.now())
    made["scheduled"] = make_campaign(**fields, starts_at=clock.now() + timedelta(hours=1))
    made["in_review"] = make_campaign(
        **fields, status=C.IN_REVIEW, submitted_by="ann@example.org", starts_at=None
    )
    # Of a draft that was scheduled once, and whose beginning failed.
    made["draft"] = make_campaign(
        **{**fields, "template_version": None}, status=C.DRAFT, starts_at=None, fault="x",
        fault_count=2,
    )  # fmt: skip
    return made


def test_every_campaign_that_was_not_over_says_that_it_may_have_been_sent(database):
    made = make_campaigns()
    make_safe()
    after = {name: again(campaign) for name, campaign in made.items()}
    stands = {name: one.status for name, one in after.items()}
    assert stands == {
        "sending": C.PAUSED, "paused": C.PAUSED, "preparing": C.PAUSED, "finished": C.FINISHED,
        "scheduled": C.DRAFT, "in_review": C.DRAFT, "draft": C.DRAFT,
    }  # fmt: skip
    for name in ("scheduled", "in_review", "draft"):
        one = after[name]
        assert one.fault.startswith(restores.DOUBT)
        assert "would be sent again" in one.fault
        assert (one.fault_count, one.submitted_by, one.starts_at) == (0, None, None)
    assert after["sending"].pause_reason.startswith(restores.DOUBT)
    paused = after["paused"]
    assert paused.paused_from is C.SENDING
    assert paused.pause_reason.startswith(after["sending"].pause_reason)
    assert paused.pause_reason.endswith("It was paused before, by ann@example.org: a typo")
    assert (after["finished"].pause_reason, after["finished"].fault) == (None, None)
    assert restores.count_doubts([WORKSPACE_A, WORKSPACE_B]) == {
        WORKSPACE_A: restores.Doubts(paused_count=3, draft_count=3),
        WORKSPACE_B: restores.Doubts(),
    }
    [mine] = [one for one in restores.list_latest() if one.workspace_id == WORKSPACE_A]
    assert (mine.paused_campaign_count, mine.draft_campaign_count) == (3, 3)


def test_who_did_what_to_a_campaign_tells_that_it_was_stopped(database):
    made = make_campaigns()
    make_safe()
    told = {}
    for name, campaign in made.items():
        stops = [e for e in campaign_histories.list_entries(campaign) if e.actor == "command line"]
        told[name] = [(e.action, e.before, e.after) for e in stops]
        assert all(e.reason.startswith(restores.DOUBT) for e in stops)
    assert told == {
        "sending": [("campaign.paused", {"status": "sending"}, {"status": "paused"})],
        "paused": [("campaign.paused", {"status": "paused"}, {"status": "paused"})],
        "preparing": [("campaign.paused", {"status": "preparing"}, {"status": "paused"})],
        "scheduled": [("campaign.unscheduled", {"status": "scheduled"}, {"status": "draft"})],
        "in_review": [("campaign.sent_back", {"status": "in_review"}, {"status": "draft"})],
        "draft": [],
        "finished": [],
    }


def test_the_doubt_stays_until_a_campaign_begins(database):
    made = make_campaigns()
    make_safe()
    draft = made["draft"]
    campaigns.change(WORKSPACE_A, draft.id, {"name": "Summer"}, by=BY)
    assert again(draft).fault, "another name does not tell whether it was sent"
    # As after its schedule, which it may still be taken off.
    Campaign.update(status=C.SCHEDULED, starts_at=clock.now(), template_version=1).where(
        Campaign.id == draft.id
    ).execute()
    assert restores.count_doubts([WORKSPACE_A])[WORKSPACE_A].draft_count == 3
    step_until(draft, C.SENDING)
    assert again(draft).fault is None
    campaign_states.resume(WORKSPACE_A, made["paused"].id, by=BY)
    assert again(made["paused"]).pause_reason is None
    assert restores.count_doubts([WORKSPACE_A])[WORKSPACE_A] == restores.Doubts(2, 2)


def test_it_goes_on_after_a_crash_and_nothing_starts_meanwhile(old_world, monkeypatch):
    monkeypatch.setattr(restored_queues, "BATCH", 2)
    with pytest.raises(CutOff):
        make_safe(cut_off_after=1)
    with pytest.raises(MigrationPending, match="run the same `maild restore` again"):
        migrations.check()
    make_safe()
    migrations.check()
    assert set(statuses(old_world).values()) == {"held", "unknown", "sent", "failed"}
    assert Freeze.select().where(Freeze.kind == FreezeKind.WORKSPACE).count() == 3
    told = Event.select().where(Event.type == EventType.HELD.value)
    assert told.count() == len({event.message_id for event in told}) == 6


def test_the_plan_counts_what_a_restore_holds_and_the_log_finds_it(old_world):
    make_safe()
    restore = of_a()
    assert (restore.held_count, restore.unknown_count) == (5, 1)
    left = restores.look(restore)
    assert (left.count(Status.HELD), left.count(Status.UNKNOWN), left.has_more) == (5, 1, False)
    [held] = [group for group in left.groups if group.status is Status.HELD]
    assert held.scheduled_count == 1
    found = message_log.list_page(
        WORKSPACE_A, filter_=Filter(restore_id=restore.id, status=Status.HELD)
    )
    waited = {"due", "deferred", "frozen", "held", "later"}
    assert {one.id for one in found.messages} == {old_world[name].id for name in waited}


def test_what_a_person_has_released_is_not_restored_any_more(old_world):
    make_safe()
    everything = bulk_messages.Selection(filter_=Filter(status=Status.HELD, until=clock.now()))
    assert bulk_messages.has_restored(WORKSPACE_A, everything)
    Message.update(status=Status.CANCELLED, hold_reason=None).where(
        Message.status == Status.HELD
    ).execute()
    assert not bulk_messages.has_restored(WORKSPACE_A, everything)
    assert RestoredMessage.select().count()


def test_to_be_done_with_it_comes_after_the_freeze(old_world):
    make_safe()
    restore = of_a()
    with pytest.raises(Conflict, match="Lift the freeze first"):
        restores.settle(restore, by=BY)
    freezes.lift(restore.freeze, reason="all is back", by=BY)
    restores.settle(restore, by=BY)
    assert restores.find_open(WORKSPACE_A) is None
    assert restores.find_open(WORKSPACE_B) is not None
    with pytest.raises(NotFound):
        restores.get(WORKSPACE_B, restore.id)


def test_a_release_after_all_obeys_a_suppression_and_the_schedule(old_world):
    make_safe()
    freezes.lift(of_a().freeze, reason="all is back", by=BY)
    who = verbs.who(WORKSPACE_A, BY, "asked the provider")
    verb = verbs.releasing(who)
    [later] = verbs.rows(verbs.select().where(Message.id == old_world["later"].id))
    assert verb.why_not(later) is None
    assert verb.move(later).next_attempt_in == pytest.approx(24 * 3600, abs=60)


def test_what_a_provider_has_delivered_since_is_neither_held_nor_sent_again(old_world):
    by_hand = old_world["held"]
    report(about(by_hand, "delivered", event_id="before"))
    assert statuses(old_world)["held"] == "held"  # no provider can have it
    make_safe()
    freezes.lift(of_a().freeze, reason="all is back", by=BY)
    let_go = verbs.releasing(verbs.who(WORKSPACE_A, BY, "send it"))
    [row] = verbs.rows(verbs.select().where(Message.id == old_world["later"].id))
    transitions.apply([let_go.move(row)])
    report(
        about(old_world["due"], "delivered"),
        about(old_world["frozen"], "hard_bounce"),
        about(by_hand, "deferred"),
        about(old_world["later"], "delivered"),
        about(old_world["elsewhere"], "delivered"),
    )
    found = statuses(old_world)
    names = ("due", "frozen", "held", "later", "elsewhere", "deferred")
    assert [found[name] for name in names] == [
        *("delivered", "bounced", "sent", "delivered"),
        *("held", "held"),  # another workspace's, and one that nobody told of
    ]
    assert Message.get_by_id(old_world["due"].id).hold_reason is None
