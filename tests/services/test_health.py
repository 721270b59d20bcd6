"""What waits, told without counting more the more there is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from maild.domain.lanes import Lane
from maild.domain.states import Stream
from maild.models import Message
from maild.services import claims, health
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B

Accept = Callable[..., Message]


def test_an_empty_queue_has_no_oldest(database: None) -> None:
    assert health.measure_queue(WORKSPACE_A) == health.QueueDepth(0, 0, 0, None)


def test_it_counts_no_other_workspace(accept: Accept) -> None:
    accept(workspace_id=WORKSPACE_B)
    assert health.measure_queue(WORKSPACE_A) == health.QueueDepth(0, 0, 0, None)
    assert health.measure_queue(WORKSPACE_B).due_count == 1


def test_it_tells_what_is_due_from_what_comes_later_and_what_is_held(
    accept: Accept, lease: Lease
) -> None:
    accept()
    claims.claim(
        lease.worker_id, Lane(0, WORKSPACE_A), account_id=0, account_name="default", limit=1
    )
    accept(scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    for _ in range(3):
        accept()
    depth = health.measure_queue(WORKSPACE_A)
    assert (depth.due_count, depth.later_count, depth.sending_count) == (3, 1, 1)


def test_the_oldest_is_found_behind_more_urgent_mail(
    accept: Accept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marketing that starves shows, however much transactional mail is due before it."""
    monkeypatch.setattr(health, "DEPTH_MAX", 2)
    for _ in range(5):
        accept()
    starving = accept(stream=Stream.MARKETING)
    Message.update(next_attempt_at=datetime.now(UTC) - timedelta(hours=2)).where(
        Message.id == starving.id
    ).execute()
    depth = health.measure_queue(WORKSPACE_A)
    assert depth.due_count == 2, "counting stops"
    assert depth.oldest_due_seconds == pytest.approx(7200, abs=60)
