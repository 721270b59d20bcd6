"""Periodic jobs: once in a slot, however many ask."""

import pytest

from maild import scheduler
from maild.db import database as db
from maild.domain.states import EventType
from maild.models import AcceptedTally, Event, PeriodicJob
from maild.services import periodic_jobs
from tests.services.helpers import Accept, ago, at_once

pytestmark = pytest.mark.proves("I24")


def test_one_of_many_who_ask_at_once_does_it(database: None) -> None:
    taken: list[bool] = []
    at_once(*[lambda: taken.append(periodic_jobs.take_slot("job", seconds=3600))] * 8)
    assert sorted(taken) == [False] * 7 + [True]


def test_it_is_done_again_in_the_next_slot_and_not_before(database: None) -> None:
    assert periodic_jobs.take_slot("job", seconds=3600)
    assert not periodic_jobs.take_slot("job", seconds=3600)
    PeriodicJob.update(ran_at=ago(hours=1)).execute()
    assert periodic_jobs.take_slot("job", seconds=3600)


def test_another_job_has_slots_of_its_own(database: None) -> None:
    assert periodic_jobs.take_slot("job", seconds=3600)
    assert periodic_jobs.take_slot("other", seconds=3600)


def test_the_scheduler_counts_all_once_a_minute(accept: Accept) -> None:
    """A message is missing; one minute tells it once."""
    accept()
    AcceptedTally.update(accepted_count=AcceptedTally.accepted_count + 1).execute()
    for _ in range(3):
        scheduler.count_all()
    db.execute_sql("UPDATE conservation_checks SET checked_at = now() - interval '1 minute'")
    db.execute_sql("UPDATE periodic_jobs SET ran_at = now() - interval '1 minute'")
    scheduler.count_all()
    assert Event.select().where(Event.type == EventType.CONSERVATION_BROKEN).count() == 1
