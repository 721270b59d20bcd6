"""What services come to is counted: each counter, by what makes it grow."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from maild import db, log, queue
from maild.config import Settings
from maild.domain.actor import Actor
from maild.domain.freeze import FreezeKind
from maild.errors import MaildError, Unavailable
from maild.models import Message
from maild.services import (
    freezes,
    intake,
    job_steps,
    jobs,
    messages,
    notification_loop,
    recorder,
    rescues,
    sending,
)
from maild.services.jobs import Handler, Step
from maild.services.messages import NewMessage
from maild.services.submissions import Submitter
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, free_ports
from tests.metering import number
from tests.services.helpers import (
    ACCEPTED,
    LATER,
    LOST,
    NO_SUCH_USER,
    ago,
    end,
    kill,
    leave_marks,
    take,
)
from tests.services.noticing import add_channel, hook, open_incident  # noqa: F401 - a fixture
from tests.services.reporting import about, report

pytestmark = pytest.mark.usefixtures("database")

NEW = NewMessage(
    from_email="shop@example.com", to_email="ann@example.org", subject="Hello", body_text="Hello."
)


@contextmanager
def grows(name: str, by: float = 1, **labels: str) -> Iterator[None]:
    """Inside, this number must grow by so much."""
    before = number(name, **labels)
    yield
    assert number(name, **labels) - before == by, (name, labels)


def test_accepting_is_counted() -> None:
    by = Submitter(idempotency_key="k", request_hash=b"1" * 32)
    queued = {"stream": "transactional", "status": "queued"}
    with (
        grows("maild_accepted_messages_total", by=3, **queued),
        grows("maild_accept_seconds_count", by=3, kind="single"),
        grows("maild_accept_seconds_count", kind="batch"),
        grows("maild_idempotent_replays_total"),
        grows("maild_rejections_total", by=2, code="blocked_recipient_domain"),
    ):
        messages.submit(WORKSPACE_A, NEW, by=by)
        messages.submit(WORKSPACE_A, NEW, by=by)
        blocked = NewMessage(
            from_email="shop@example.com",
            to_email="ann@mailinator.com",
            subject="Hello",
            body_text="Hello.",
        )
        messages.accept_many(WORKSPACE_A, [NEW, blocked, NEW])
        with pytest.raises(MaildError):
            messages.submit(WORKSPACE_A, blocked)


def test_waiting_and_what_is_stopped_are_counted(
    accept: Callable[..., Message], lease: Lease
) -> None:
    accept()
    accept(from_email="other@example.com")
    freezes.start(
        WORKSPACE_A,
        reason="a test",
        expires_at=ago(hours=-1),
        kind=FreezeKind.FROM_EMAIL,
        target="other@example.com",
    )
    with (
        grows("maild_queue_wait_seconds_count", stream="transactional"),
        grows("maild_stopped_messages_total", check="freeze"),
    ):
        assert len(take(lease)) == 1


def test_attempts_are_counted_by_what_was_answered(
    accept: Callable[..., Message], lease: Lease
) -> None:
    for _ in range(4):
        accept()
    claims = take(lease)
    unknown = {"account": "default", "outcome": "unknown", "error_class": "connection"}
    with (
        grows("maild_attempts_total", account="default", outcome="sent", error_class="none"),
        grows(
            "maild_attempts_total",
            account="default",
            outcome="failed",
            error_class="invalid_recipient",
        ),
        grows("maild_attempts_total", **unknown),
        grows("maild_unknown_outcomes_total", rule="hold"),
        grows("maild_smtp_stage_seconds_count", stage="final_dot"),
        grows("maild_suppressions_total", reason="hard_bounce"),
    ):
        for claim, outcome in zip(claims, (ACCEPTED, NO_SUCH_USER, LOST, LATER), strict=True):
            end(claim, outcome)


def test_rescues_are_counted(accept: Callable[..., Message], lease: Lease) -> None:
    accept()
    take(lease)
    leave_marks(lease)
    kill(lease)
    with grows("maild_rescued_messages_total", cause="dead_worker"):
        rescues.rescue()


def test_dials_in_vain_are_counted(
    accept: Callable[..., Message], lease: Lease, unreachable: int
) -> None:
    accept()
    labels = {"account": "default", "error_class": "connection"}
    before = number("maild_smtp_dial_failures_total", **labels)
    sending.deliver_due(lease, recorder.current())
    assert number("maild_smtp_dial_failures_total", **labels) > before


def test_reports_are_counted(sent: Callable[..., Message], monkeypatch: pytest.MonkeyPatch) -> None:
    message = sent()
    with (
        grows("maild_webhook_requests_total", by=2, provider="generic", result="taken"),
        grows("maild_provider_events_total", provider="generic", result="applied"),
        grows("maild_provider_events_total", provider="generic", result="dead_letter"),
    ):
        report(about(message, "delivered"))
        report(b"no json")
    monkeypatch.setattr(intake, "REFUSALS_PER_MINUTE", 1)  # so many are written down, all counted
    with grows("maild_webhook_requests_total", by=3, provider="ses", result="refused"):
        for _ in range(3):
            intake.refuse(7, "ses", "The signature does not hold.")


def test_jobs_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_handlers", {})
    jobs.register("nothing", Handler(lambda job: Step(cursor=None, is_done=True, done=0)))
    jobs.start(WORKSPACE_A, kind="nothing", params={}, by=Actor("ann"))
    claimed = job_steps.claim()
    assert claimed is not None
    with grows("maild_jobs_total", kind="nothing", status="done"):
        job_steps.carry_on(claimed)


def test_notifications_are_counted(hook: Any) -> None:  # noqa: F811
    add_channel(hook.url)
    open_incident()
    with grows("maild_notifications_total", channel="webhook", result="sent"):
        notification_loop.drain()


def test_a_database_that_breaks_work_off_is_counted(postgres_away: None) -> None:
    with (
        grows("maild_database_errors_total", kind="away"),
        pytest.raises(Unavailable),
        db.connection(),
    ):
        pass


def test_a_statement_that_is_cut_off_is_counted(settings: Settings) -> None:
    db.database.close()
    db.limit_statements(20)
    try:
        with (
            grows("maild_database_errors_total", kind="timeout"),
            pytest.raises(Unavailable),
            db.connection(),
        ):
            db.database.execute_sql("SELECT pg_sleep(10)")
    finally:
        db.limit_statements(0)
        db.database.connect()


def test_a_redis_that_is_away_is_counted(settings: Settings) -> None:
    queue.init(f"redis://127.0.0.1:{free_ports(1)[0]}/0")
    try:
        with grows("maild_redis_errors_total", part="doorbell"):
            queue.enqueue("deliver")
            queue.enqueue("deliver")  # and left alone for a moment
    finally:
        queue.init(settings.redis_url)


def test_outcomes_that_are_long_in_memory_are_told(
    accept: Callable[..., Message], lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the database refuses them or hangs."""
    accept()
    [claim] = take(lease)
    began, until = threading.Event(), threading.Event()

    def hang(results: Any, *, faults: Any) -> list[Any]:
        began.set()
        until.wait(30)
        return []

    monkeypatch.setattr(recorder, "record", hang)
    writer = recorder.Recorder()
    writer.put(recorder.Result(claim, None, None, ACCEPTED, 1))  # type: ignore[arg-type]
    assert began.wait(30)
    writer.put(recorder.Result(claim, None, None, ACCEPTED, 1))  # type: ignore[arg-type]
    monkeypatch.setattr(recorder, "STUCK_SECONDS", 1_000)
    writer.tell_waiting()
    assert number("maild_outcomes_waiting") == 0, "for a moment it is nothing special"
    monkeypatch.setattr(recorder, "STUCK_SECONDS", -1)
    writer.tell_waiting()
    assert number("maild_outcomes_waiting") == 2
    until.set()
    assert writer.close(timeout_seconds=30)
    writer.tell_waiting()
    assert number("maild_outcomes_waiting") == 0


def test_lines_of_the_log_are_counted(settings: Settings) -> None:
    event = "testing.crashed"
    with (
        grows("maild_log_events_total", event=event, level="error"),
        grows("maild_crashes_total"),
    ):
        log.get(__name__).error(event)
        log.get(__name__).info(event)
