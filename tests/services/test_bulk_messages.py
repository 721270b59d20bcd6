"""What is done to many messages: foretold as it is done, done once to each, and taken back."""

from datetime import UTC, datetime, timedelta

import pytest

from maild.db import database as peewee_database
from maild.domain.actor import SYSTEM, Actor
from maild.domain.job import JobStatus
from maild.domain.states import Status, Stream
from maild.errors import InvalidFields, NotFound, Unavailable
from maild.models import AuditEntry, Event, Job, JobItem, Message, Suppression
from maild.services import (
    bulk_message_jobs,
    bulk_messages,
    job_kinds,
    job_steps,
    jobs,
    log_search,
    message_log,
    suppressions,
    unsubscribes,
)
from maild.services.bulk_messages import Action, Selection
from maild.services.message_log import Filter
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.bulking import chosen, events_of, matching, put, statuses
from tests.services.helpers import start_freeze
from tests.services.reporting import report

pytestmark = pytest.mark.usefixtures("database")

assert job_kinds.ALL
ME = Actor("me")
ALL = "all messages"


def look(action: Action, selection: Selection, workspace_id: int = WORKSPACE_A):
    return bulk_messages.preview(workspace_id, action, selection)


def begin(action: Action, selection: Selection, *, reason: str = "The server was down.") -> Job:
    return bulk_messages.start(WORKSPACE_A, action, selection, reason=reason, words=ALL, by=ME)


def run(action: Action, selection: Selection) -> Job:
    job = begin(action, selection)
    job_steps.drain()
    return again(job)


def undo(job: Job) -> Job:
    undoing = jobs.undo(WORKSPACE_A, job.id, reason="A mistake.", by=ME)
    job_steps.drain()
    return again(undoing)


def again(job: Job) -> Job:
    found: Job = Job.get_by_id(job.id)
    return found


def counts(job: Job) -> tuple[int, int, int]:
    return job.done_count, job.skipped_count, job.failed_count


def suppress(email: str) -> None:
    suppressions.add(WORKSPACE_A, email, reason="asked", source="api", by=SYSTEM)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_message_jobs, "CHUNK", 10)


@pytest.mark.usefixtures("small_chunks")
def test_what_failed_is_retried_a_chunk_at_a_time() -> None:
    failed = put(35)
    put(3, Status.SENT)
    job = run(Action.RETRY, matching(status=Status.FAILED))
    assert (job.status, job.total_count, counts(job)) == (JobStatus.DONE, 35, (35, 0, 0))
    assert statuses() == {"queued": 35, "sent": 3}
    assert events_of("message.retried") == dict.fromkeys(failed, 1)
    noted = {item.message_id: item.outcome for item in JobItem.select()}
    assert noted == dict.fromkeys(failed, "retried")


def test_the_preview_tells_what_is_there_and_what_will_be_done() -> None:
    put(12, error_class="hard_bounce")
    put(3, Status.UNKNOWN, domain="other.example")
    put(5, Status.DELIVERED)
    suppress("user1@example.org")
    unsubscribes.add(WORKSPACE_A, "user2@example.org", source="api", by=SYSTEM)
    found = look(Action.RETRY, matching())
    assert (found.count, found.going_count, found.has_more) == (20, 13, False)
    assert found.skipped == {
        "is delivered: only failed and unknown messages can be retried": 5,
        "the recipient is suppressed": 1,
        "the recipient has unsubscribed": 1,
    }
    assert found.by_status == {Status.FAILED: 12, Status.DELIVERED: 5, Status.UNKNOWN: 3}
    assert found.by_class == {"hard_bounce": 12}
    assert found.by_domain == {"example.org": 17, "other.example": 3}
    assert found.going_by_status == {Status.FAILED: 10, Status.UNKNOWN: 3}
    assert len(found.samples) == bulk_messages.SAMPLES


@pytest.mark.parametrize("action", list(Action))
def test_what_the_preview_foretells_is_done(action: Action) -> None:
    for status in (Status.FAILED, Status.QUEUED, Status.HELD, Status.SENT, Status.UNKNOWN):
        put(4, status, domain=f"{status.value}.example")
    put(2, Status.HELD, stream="marketing")
    suppress("user1@failed.example")
    start_freeze(WORKSPACE_A, stream=Stream.MARKETING)
    found = look(action, matching())
    job = run(action, matching())
    assert (found.count, found.going_count) == (22, job.done_count)
    assert found.skipped == job.breakdown
    assert job.handled_count == job.total_count == 22


def test_samples_are_of_those_that_are_touched() -> None:
    put(30, Status.SENT, newest=datetime.now(UTC))
    wanted = put(2) + put(2, Status.UNKNOWN)
    samples = look(Action.RETRY, matching()).samples
    assert {sample.message.id for sample in samples} == set(wanted)
    assert [sample.message.created_at for sample in samples] == sorted(
        (sample.message.created_at for sample in samples), reverse=True
    )
    assert look(Action.CANCEL, matching()).samples[0].why_not == "is sent already"
    suppress("user1@example.org")
    left = [s.why_not for s in look(Action.SUPPRESS, matching(status=Status.FAILED)).samples]
    assert left == ["the address is suppressed already", None]


def test_samples_say_why_they_are_left() -> None:
    put(2)
    suppress("user1@example.org")
    told = {
        sample.message.to_email: sample.why_not for sample in look(Action.RETRY, matching()).samples
    }
    assert told == {
        "user1@example.org": "the recipient is suppressed: asked",
        "user2@example.org": None,
    }


def test_beyond_a_bound_the_preview_says_that_there_are_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk_messages, "COUNTED_MAX", 10)
    put(12)
    found = look(Action.RETRY, matching())
    assert (found.count, found.has_more, found.going_count) == (10, True, 10)
    job = begin(Action.RETRY, matching())
    assert job.total_count is None
    job_steps.drain()
    assert (again(job).done_count, again(job).total_count) == (12, 12)


def test_many_domains_are_told_in_short() -> None:
    for number in range(12):
        put(number + 1, domain=f"d{number:02}.example")
    by_domain = look(Action.RETRY, matching()).by_domain
    assert len(by_domain) == bulk_messages.SHOWN_MAX + 1
    assert list(by_domain)[:2] == ["d11.example", "d10.example"]
    assert by_domain["4 others"] == 1 + 2 + 3 + 4


def test_a_search_that_takes_too_long_ends_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    put(5)
    monkeypatch.setattr(message_log, "SEARCH_TIMEOUT_MS", 1)
    monkeypatch.setattr(bulk_messages, "_GROUPS", f"SELECT pg_sleep(1); {bulk_messages._GROUPS}")
    with pytest.raises(Unavailable):
        look(Action.RETRY, matching())
    assert log_search.TIMEOUT_MS == 2_000


def test_what_comes_later_is_not_touched() -> None:
    put(3)
    selection = matching(status=Status.FAILED)
    put(2, newest=datetime.now(UTC) + timedelta(seconds=1))
    job = run(Action.RETRY, selection)
    assert counts(job) == (3, 0, 0)
    assert statuses() == {"queued": 3, "failed": 2}


def test_what_has_changed_since_the_preview_is_left_with_the_reason() -> None:
    first, second, *_ = put(5)
    selection = chosen(first, second)
    assert look(Action.RETRY, selection).going_count == 2
    suppress("user1@example.org")
    job = run(Action.RETRY, selection)
    assert counts(job) == (1, 1, 0)
    assert job.breakdown == {"the recipient is suppressed": 1}
    assert Message.get_by_id(first).status is Status.FAILED


@pytest.mark.usefixtures("small_chunks")
def test_what_matches_no_more_when_its_turn_comes_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = put(25)
    monkeypatch.setattr(job_steps, "SLICE_SECONDS", 0)
    job = begin(Action.RETRY, matching(status=Status.FAILED))
    claimed = job_steps.claim()
    assert claimed is not None
    job_steps.take_step(claimed)
    Message.update(status=Status.QUEUED, next_attempt_at=datetime.now(UTC)).where(
        Message.id << ids[20:22]
    ).execute()
    job_steps.carry_on(again(job))
    job_steps.drain()
    over = again(job)
    assert (over.status, counts(over), over.total_count) == (JobStatus.DONE, (23, 2, 0), 25)
    assert over.breakdown == {"it did not match any more when its turn came": 2}


@pytest.mark.usefixtures("small_chunks")
def test_a_job_that_was_killed_touches_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = put(35)
    job = begin(Action.RETRY, matching(status=Status.FAILED))
    claimed = job_steps.claim()
    assert claimed is not None
    job_steps.take_step(claimed)
    save = job_steps._save
    monkeypatch.setattr(job_steps, "_save", lambda job, step: 1 / 0)  # it dies before the commit
    job_steps.carry_on(again(job))
    monkeypatch.setattr(job_steps, "_save", save)
    assert statuses() == {"queued": 10, "failed": 25}
    Job.update(due_at=datetime.now(UTC) - timedelta(seconds=1)).execute()
    job_steps.drain()
    assert counts(again(job)) == (35, 0, 0)
    assert events_of("message.retried") == dict.fromkeys(ids, 1)


def test_the_timeline_says_who_why_and_by_which_job() -> None:
    [message_id] = put(1)
    job = run(Action.RETRY, chosen(message_id))
    event = Event.get(Event.message == message_id)
    assert event.data == {"by": "me", "reason": "The server was down.", "job_id": job.id}


def test_it_is_audited_once_with_what_and_how_many() -> None:
    put(4)
    run(Action.RETRY, matching(status=Status.FAILED))
    [entry] = AuditEntry.select()
    assert (entry.action, entry.actor, entry.reason) == (
        "job.started",
        "me",
        "The server was down.",
    )
    assert entry.after["which"] == ALL
    assert entry.after["total_count"] == 4


@pytest.mark.usefixtures("small_chunks")
def test_a_retry_is_taken_back_for_what_still_waits() -> None:
    ids = put(15)
    other = put(2, Status.QUEUED)
    job = run(Action.RETRY, matching(status=Status.FAILED))
    for status in (Status.SENDING, Status.SENT):
        values = {"worker_id": ids[0]} if status is Status.SENDING else {"worker_id": None}
        Message.update(status=status, next_attempt_at=None, **values).where(
            Message.id == ids[0]
        ).execute()
    undoing = undo(job)
    assert (counts(undoing), undoing.breakdown) == (
        (14, 1, 0),
        {"is sent by now, not queued": 1},
    )
    assert statuses() == {"cancelled": 14, "sent": 1, "queued": 2}
    assert {Message.get_by_id(one).status for one in other} == {Status.QUEUED}


def test_a_hold_is_taken_back_by_a_release_and_the_other_way_round() -> None:
    put(3, Status.QUEUED)
    put(2, Status.HELD)
    job = run(Action.HOLD, matching(status=Status.QUEUED))
    assert statuses() == {"held": 5}
    assert counts(undo(job)) == (3, 0, 0)
    assert statuses() == {"queued": 3, "held": 2}
    job = run(Action.RELEASE, matching(status=Status.HELD))
    assert counts(job) == (2, 0, 0)
    assert counts(undo(job)) == (2, 0, 0)
    assert statuses() == {"queued": 3, "held": 2}
    reasons = {m.hold_reason for m in Message.select().where(Message.status == Status.HELD)}
    assert reasons == {"A mistake."}


def test_what_somebody_has_acted_on_since_is_left() -> None:
    first, second, _ = put(3, Status.QUEUED)
    job = run(Action.HOLD, matching(status=Status.QUEUED))
    run(Action.RELEASE, chosen(first))
    run(Action.HOLD, chosen(first))
    run(Action.RELEASE, chosen(second))
    undoing = undo(job)
    assert (counts(undoing), undoing.breakdown) == (
        (1, 2, 0),
        {"somebody has acted on it since": 1, "is queued by now, not held": 1},
    )
    assert Message.get_by_id(first).status is Status.HELD


def test_a_retry_that_a_worker_gave_back_is_still_taken_back() -> None:
    [message_id] = put(1)
    job = run(Action.RETRY, chosen(message_id))
    Event.insert(
        workspace=WORKSPACE_A, message=message_id, type="message.released", data={"why": "x"}
    ).execute()
    assert counts(undo(job)) == (1, 0, 0)


def test_what_was_cancelled_stays_so() -> None:
    put(3, Status.QUEUED)
    put(1, Status.SENT)
    job = run(Action.CANCEL, matching())
    assert counts(job) == (3, 1, 0)
    assert job.breakdown == {"is sent already": 1}
    assert "stays cancelled" in (jobs.why_no_undo(job, None) or "")


def test_addresses_are_suppressed_once_each_and_freed_again() -> None:
    put(4)
    put(4, Status.SENT)  # the same four addresses
    suppress("user1@example.org")
    suppressions.add(
        WORKSPACE_A,
        "user2@example.org",
        reason="for a while",
        source="api",
        expires_at=datetime.now(UTC) + timedelta(days=1),
        by=SYSTEM,
    )
    found = look(Action.SUPPRESS, matching())
    assert (found.count, found.address_count, found.going_count) == (8, 2, 2)
    job = run(Action.SUPPRESS, matching())
    assert counts(job) == (2, 6, 0)
    assert (
        found.skipped
        == job.breakdown
        == {
            "another message to the same address": 4,
            "the address is suppressed already": 1,
            "the address is suppressed for a time already, and that stays so": 1,
        }
    )
    rows = {row.email: row for row in Suppression.select()}
    assert len(rows) == 4
    assert [email for email, row in rows.items() if row.expires_at] == ["user2@example.org"]
    made = rows["user3@example.org"]
    assert (made.created_by, made.source, made.reason) == ("me", "console", "The server was down.")
    assert made.message_id is not None
    suppressions.remove(WORKSPACE_A, "user3@example.org", reason="asked back", by=ME)
    undoing = undo(job)
    assert (counts(undoing), undoing.breakdown) == (
        (1, 1, 0),
        {"the suppression has ended already": 1},
    )
    in_force = {row.email for row in Suppression.select() if row.removed_at is None}
    assert in_force == {"user1@example.org", "user2@example.org"}


def test_who_has_bounced_or_complained_meanwhile_stays_suppressed() -> None:
    reported, moved, capital, before, fine = put(5, Status.SENT)
    Message.update(to_email="User3@example.org").where(Message.id == capital).execute()
    Message.update(status=Status.BOUNCED, updated_at=datetime.now(UTC)).where(
        Message.id == before
    ).execute()
    report({"type": "bounced", "email": "user5@example.org", "event_id": "long ago"})
    job = run(Action.SUPPRESS, matching())
    assert counts(job) == (5, 0, 0)
    report({"type": "complained", "email": "user1@example.org", "event_id": "1"})
    report({"type": "bounced", "email": "User3@example.org", "event_id": "3"})
    Message.update(status=Status.COMPLAINED, updated_at=datetime.now(UTC)).where(
        Message.id == moved
    ).execute()
    undoing = undo(job)
    assert (counts(undoing), undoing.breakdown) == (
        (2, 3, 0),
        {"a bounce or a complaint came in meanwhile": 3},
    )
    in_force = {row.email for row in Suppression.select() if row.removed_at is None}
    assert in_force == {f"user{n}@example.org" for n in (1, 2, 3)}
    assert Message.get_by_id(reported).to_email == "user1@example.org"
    assert Message.get_by_id(fine).to_email == "user5@example.org"


@pytest.mark.usefixtures("small_chunks")
def test_another_message_to_an_address_is_told_apart_in_a_later_step_too() -> None:
    put(12)
    put(12, newest=datetime.now(UTC) - timedelta(hours=1))
    job = run(Action.SUPPRESS, matching())
    assert (counts(job), job.breakdown) == (
        (12, 12, 0),
        {"another message to the same address": 12},
    )


def test_a_suppression_that_has_expired_makes_room() -> None:
    put(1)
    suppress("user1@example.org")
    Suppression.update(expires_at=datetime.now(UTC) - timedelta(seconds=1)).execute()
    job = run(Action.SUPPRESS, matching())
    assert counts(job) == (1, 0, 0)
    assert Suppression.select().count() == 2


def test_ids_of_others_are_not_found() -> None:
    [own] = put(1)
    [foreign] = put(1, workspace_id=WORKSPACE_B)
    selection = chosen(own, foreign, "no id at all")
    found = look(Action.RETRY, selection)
    assert (found.count, found.missing_count) == (1, 2)
    job = run(Action.RETRY, selection)
    assert counts(job) == (1, 0, 2)
    assert job.breakdown == {"there is no such message in this workspace": 2}
    assert statuses(WORKSPACE_B) == {"failed": 1}


def test_all_of_another_workspace_stays_as_it_is() -> None:
    put(2)
    put(2, workspace_id=WORKSPACE_B)
    run(Action.SUPPRESS, matching())
    run(Action.RETRY, matching())
    assert statuses(WORKSPACE_B) == {"failed": 2}
    assert not Suppression.select().where(Suppression.workspace == WORKSPACE_B).exists()


def test_a_selection_survives_being_stored() -> None:
    now = datetime.now(UTC)
    filter_ = Filter(
        status=Status.FAILED, stream=Stream.MARKETING, q="a b", since=now, until=now, api_key_id=3
    )
    for selection in (Selection(filter_=filter_), Selection(ids=("a", "b"))):
        assert Selection.load(selection.dump()) == selection


@pytest.mark.parametrize("reason", ["", "two\nlines"])
def test_it_needs_a_reason(reason: str) -> None:
    put(1)
    with pytest.raises(InvalidFields):
        begin(Action.RETRY, matching(), reason=reason)
    assert not Job.select().exists()


def test_too_many_ids_or_none_are_refused() -> None:
    for selection in (Selection(ids=()), Selection(ids=tuple(map(str, range(501))))):
        with pytest.raises(InvalidFields):
            look(Action.RETRY, selection)
    with pytest.raises(NotFound):
        look(Action.RETRY, matching(), workspace_id=999)
    with pytest.raises(ValueError, match="needs an end"):
        look(Action.RETRY, Selection(filter_=Filter()))


def test_a_preview_and_a_step_take_as_many_statements_for_many_as_for_few() -> None:
    put(3)
    few = count_statements(lambda: look(Action.RETRY, matching()))
    put(200)
    assert count_statements(lambda: look(Action.RETRY, matching())) == few <= 12
    begin(Action.RETRY, matching())
    job = job_steps.claim()
    assert job is not None
    assert count_statements(lambda: job_steps.take_step(job)) <= 14
    assert peewee_database.execute_sql("SHOW statement_timeout").fetchone() == ("0",)
