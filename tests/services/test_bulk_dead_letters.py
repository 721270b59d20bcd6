"""What is done to many dead letters: foretold by doing it and taking it back, and done once."""

from datetime import UTC, datetime

import pytest

from maild.domain.actor import Actor
from maild.domain.job import JobStatus
from maild.domain.provider_event import ReportStatus
from maild.errors import InvalidFields
from maild.models import AuditEntry, Job, JobItem, ProviderEvent
from maild.services import bulk_dead_letters, dead_letters, job_kinds, job_steps, jobs
from maild.services.bulk_dead_letters import Action, Selection
from maild.services.dead_letter_lists import Filter, State
from maild.services.dead_letters import OutcomeStatus
from maild.transports.webhooks import generic
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.reporting import report, suppressed

pytestmark = pytest.mark.usefixtures("database")

assert job_kinds.ALL
ME = Actor("me")


def letter(number: int) -> dict[str, str]:
    """A kind of event that no version knows yet."""
    return {
        "type": "returned_to_sender",
        "email": f"user{number}@example.org",
        "event_id": str(number),
    }


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch):
    """Call, and the parser knows the new kind of event: a hard bounce."""

    def mend() -> None:
        meaning = generic._MEANINGS["hardbounce"]
        monkeypatch.setitem(generic._MEANINGS, "returnedtosender", meaning)

    return mend


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_dead_letters, "CHUNK", 3)


def matching(**fields: object) -> Selection:
    return Selection(filter_=Filter(**{"until": datetime.now(UTC), **fields}))  # type: ignore[arg-type]


def chosen(*events: ProviderEvent) -> Selection:
    return Selection(ids=tuple(str(event.id) for event in events))


def look(action: Action, selection: Selection):
    return bulk_dead_letters.preview(WORKSPACE_A, action, selection, by=ME)


def run(action: Action, selection: Selection) -> Job:
    job = bulk_dead_letters.start(
        WORKSPACE_A, action, selection, reason="The parser is mended.", words="all", by=ME
    )
    job_steps.drain()
    return Job.get_by_id(job.id)  # type: ignore[no-any-return]


def counts(job: Job) -> tuple[int, int, int]:
    return job.done_count, job.skipped_count, job.failed_count


def statuses() -> dict[str, int]:
    found: dict[str, int] = {}
    for event in ProviderEvent.select():
        found[event.status.value] = found.get(event.status.value, 0) + 1
    return found


def test_the_preview_tells_what_todays_code_makes_of_them_and_changes_nothing(mended) -> None:
    report(*(letter(number) for number in range(4)), b"nonsense")
    before = look(Action.REPLAY, matching())
    assert (before.count, before.going_count, before.has_more) == (5, 5, False)
    assert before.tried == {OutcomeStatus.FAILED: 5}
    mended()
    after = look(Action.REPLAY, matching())
    assert after.tried == {OutcomeStatus.REPLAYED: 4, OutcomeStatus.FAILED: 1}
    assert {s.outcome.status for s in after.samples if s.outcome} == set(after.tried)
    assert sum(after.by_error.values()) == 5
    assert statuses() == {"dead_letter": 5}
    assert suppressed() == {}
    assert not AuditEntry.select().exists()


@pytest.mark.usefixtures("small_chunks")
def test_all_that_match_are_replayed_a_chunk_at_a_time(mended) -> None:
    events = report(*(letter(number) for number in range(8)), b"nonsense")
    mended()
    job = run(Action.REPLAY, matching())
    assert (job.status, job.total_count, counts(job)) == (JobStatus.DONE, 9, (8, 0, 1))
    assert statuses() == {"replayed": 8, "dead_letter": 1}
    assert len(suppressed()) == 8
    noted = [item.target_id for item in JobItem.select()]
    assert sorted(noted) == sorted(event.id for event in events[:8])
    assert "cannot be taken back" in (jobs.why_no_undo(job, None) or "")


@pytest.mark.usefixtures("small_chunks")
def test_what_is_too_much_for_one_replay_comes_in_the_next(
    mended, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(*(letter(number) for number in range(7)))
    mended()
    monkeypatch.setattr(dead_letters, "BYTES_MAX", 1)
    job = run(Action.REPLAY, matching())
    assert (job.status, counts(job)) == (JobStatus.DONE, (7, 0, 0))
    assert statuses() == {"replayed": 7}


def test_what_has_been_replayed_meanwhile_is_left_with_the_reason(mended) -> None:
    first, second = report(letter(1), letter(2))
    mended()
    selection = chosen(first, second)
    assert look(Action.REPLAY, selection).going_count == 2
    dead_letters.replay(WORKSPACE_A, event_ids=[str(first.id)], by=ME)
    assert look(Action.REPLAY, selection).skipped == {"it is replayed, and not a dead letter": 1}
    job = run(Action.REPLAY, selection)
    assert counts(job) == (1, 1, 0)
    assert job.breakdown == {"it is replayed, and not a dead letter": 1}


@pytest.mark.usefixtures("small_chunks")
def test_they_are_dismissed_and_brought_back() -> None:
    events = report(*(letter(number) for number in range(7)))
    assert look(Action.DISMISS, matching()).tried == {}
    job = run(Action.DISMISS, matching())
    assert counts(job) == (7, 0, 0)
    assert statuses() == {"ignored": 7}
    dead_letters.restore(WORKSPACE_A, [str(events[0].id)], by=ME)
    undoing = jobs.undo(WORKSPACE_A, job.id, reason="A mistake.", by=ME)
    job_steps.drain()
    over = Job.get_by_id(undoing.id)
    assert (counts(over), over.breakdown) == ((6, 1, 0), {"it is not dismissed any more": 1})
    assert statuses() == {"dead_letter": 7}


def test_those_of_others_are_not_found() -> None:
    [own] = report(letter(1))
    [foreign] = report(letter(2), workspace_id=WORKSPACE_B)
    selection = Selection(ids=(str(own.id), str(foreign.id), "x"))
    assert look(Action.DISMISS, selection).missing_count == 2
    job = run(Action.DISMISS, selection)
    assert counts(job) == (1, 0, 2)
    assert ProviderEvent.get_by_id(foreign.id).status is ReportStatus.DEAD_LETTER


def test_what_comes_later_is_not_touched() -> None:
    report(letter(1))
    selection = matching()
    report(letter(2))
    assert counts(run(Action.DISMISS, selection)) == (1, 0, 0)
    assert statuses() == {"ignored": 1, "dead_letter": 1}


def test_a_selection_survives_being_stored() -> None:
    filter_ = Filter(state=None, emails=("a", "b"), endpoint_id=3, until=datetime.now(UTC))
    for selection in (
        Selection(filter_=filter_),
        Selection(filter_=Filter(state=State.DISMISSED)),
        Selection(ids=("1",)),
    ):
        assert Selection.load(selection.dump()) == selection


def test_it_needs_a_reason_and_something_chosen() -> None:
    report(letter(1))
    with pytest.raises(InvalidFields):
        bulk_dead_letters.start(
            WORKSPACE_A, Action.DISMISS, matching(), reason=" ", words="all", by=ME
        )
    with pytest.raises(InvalidFields):
        look(Action.DISMISS, Selection(ids=()))
    with pytest.raises(ValueError, match="needs an end"):
        look(Action.DISMISS, Selection(filter_=Filter()))
    assert not Job.select().exists()


def test_a_selection_is_of_ids_or_of_a_filter() -> None:
    for selection in (Selection(), Selection(ids=("1",), filter_=matching().filter_)):
        with pytest.raises(ValueError, match="either ids or a filter"):
            look(Action.DISMISS, selection)
    with pytest.raises(InvalidFields, match="choose 1 to"):
        look(Action.DISMISS, Selection(ids=()))
