"""How large the database is and gets: told from notes of its size, and from nothing else."""

from collections.abc import Callable

import pytest

from maild.config import Settings
from maild.db import database as db
from maild.domain.actor import SYSTEM
from maild.domain.retention import Choice
from maild.models import DiskSample, Message, PeriodicJob, Workspace
from maild.services import retention, retention_forecast, rollups
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def no_notes(database: None) -> None:
    DiskSample.delete().execute()
    PeriodicJob.delete().where(PeriodicJob.name == "disk-sample").execute()


def note(days_ago: int, **shares: float) -> None:
    """As if the parts had been so much smaller then, in bytes."""
    now = {part.name: part.bytes for part in retention_forecast.measure().parts}
    for name, size in now.items():
        db.execute_sql(
            "INSERT INTO disk_samples (day, part, bytes) VALUES (current_date - %s, %s, %s)",
            (days_ago, name, size - shares.get(name, 0)),
        )


def test_the_size_is_there_at_once_and_the_growth_from_the_second_day_on() -> None:
    found = retention_forecast.measure()
    assert found.database_bytes == sum(part.bytes for part in found.parts) > 1_000_000
    assert [part.name for part in found.parts] == [*retention_forecast.PARTS, "other"]
    assert (found.growth_per_day, found.settled_bytes, found.full_seconds) == (None, None, None)
    retention_forecast.sample()
    assert DiskSample.select().count() == 5
    assert retention_forecast.measure().growth_per_day is None
    retention_forecast.sample()
    assert DiskSample.select().count() == 5, "once an hour"


@pytest.mark.proves("run-forecast")
def test_it_grows_as_its_notes_say_and_settles_as_long_as_is_kept(
    use_settings: Callable[..., Settings],
) -> None:
    use_settings(database_disk_bytes=10**12)
    note(2, content=20_000_000, messages=2_000_000)
    found = {part.name: part for part in retention_forecast.measure().parts}
    assert found["content"].growth_per_day == pytest.approx(10_000_000, rel=0.01)
    assert found["content"].settled_bytes == pytest.approx(300_000_000, rel=0.01)
    assert found["messages"].settled_bytes == pytest.approx(90_000_000, rel=0.05)
    assert retention_forecast.measure().full_seconds is None, "it settles before"


@pytest.mark.proves("run-forecast")
def test_when_the_disk_is_full_is_told(use_settings: Callable[..., Settings]) -> None:
    size = retention_forecast.measure().database_bytes
    note(1, content=10_000_000)
    use_settings(database_disk_bytes=size + 50_000_000)
    found = retention_forecast.measure()
    assert found.free_bytes == pytest.approx(50_000_000, rel=0.05)
    assert found.full_seconds == pytest.approx(5 * 86_400, rel=0.05)
    use_settings(database_disk_bytes=1_000_000)
    assert retention_forecast.measure().full_seconds == 0


def test_one_that_keeps_longer_is_reckoned_with(use_settings: Callable[..., Settings]) -> None:
    size = retention_forecast.measure().database_bytes
    note(1, content=10_000_000)
    use_settings(database_disk_bytes=size + 400_000_000)
    assert retention_forecast.measure().full_seconds is None, "30 days of it have room"
    retention.save(WORKSPACE_B, Choice(bodies=60), version=0, by=SYSTEM)
    assert retention_forecast.measure().full_seconds == pytest.approx(40 * 86_400, rel=0.05)


def test_what_grows_though_it_should_have_settled_fills_the_disk(
    use_settings: Callable[..., Settings],
) -> None:
    size = retention_forecast.measure().database_bytes
    growth = 1_000_000
    note(1, other=growth)
    use_settings(database_disk_bytes=size + 60 * growth)
    assert retention_forecast.measure().full_seconds is None, "there is room for a month"
    use_settings(database_disk_bytes=size + 5 * growth)
    assert retention_forecast.measure().full_seconds == pytest.approx(5 * 86_400, rel=0.3)


def test_notes_are_not_kept_for_ever() -> None:
    note(401)
    note(399)
    retention_forecast.sample()
    days = {row.day for row in DiskSample.select()}
    assert len(days) == 2


def test_a_workspace_is_told_of_its_own_mail_alone(accept: Callable[..., Message]) -> None:
    for _ in range(20):
        accept()
    for _ in range(5):
        accept(workspace_id=WORKSPACE_B, body_text="x" * 10_000)
    db.execute_sql("UPDATE traffic_tallies SET at = at - interval '10 minutes'")
    rollups.fold()
    mine = retention_forecast.estimate(WORKSPACE_A, message_count=20)
    assert mine.per_day == 20
    assert mine.bytes_per_day is not None
    assert 20 * 3_000 < mine.bytes_per_day < 20 * 3_100
    assert mine.settled_bytes is not None
    assert mine.settled_bytes > 89 * 20 * 3_000
    theirs = retention_forecast.estimate(WORKSPACE_B, message_count=5)
    assert theirs.bytes_now is not None
    assert theirs.bytes_now > 5 * 13_000


def test_without_mail_there_is_nothing_to_tell() -> None:
    found = retention_forecast.estimate(WORKSPACE_A, message_count=0)
    assert (found.per_day, found.bytes_now, found.settled_bytes) == (0, None, None)


def test_the_whole_is_shown_where_it_is_one_workspaces_alone() -> None:
    assert not retention_forecast.is_alone()
    Workspace.delete().where(Workspace.id == WORKSPACE_B).execute()
    assert retention_forecast.is_alone()
