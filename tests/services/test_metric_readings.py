"""The gauges that are read from the database."""

from typing import Any

import psycopg2
import pytest

from maild import metrics
from maild.db import database as db
from maild.domain.actor import COMMAND_LINE
from maild.domain.states import Stream
from maild.models import Breaker
from maild.services import conservation, metric_readings, periodic_jobs, smtp_accounts, workers
from maild.services.backups import PERIODIC_JOB as BACKUP
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.helpers import take


def read() -> dict[str, float]:
    return {
        "".join([name, *(f" {value}" for value in labels.values())]): value
        for name, labels, value in metric_readings.read()
    }


def test_all_that_is_read_is_declared(database: None, accept: Any) -> None:
    accept()
    conservation.check()
    workers.enter()
    for name, labels, value in metric_readings.read():
        assert set(labels) == set(metrics.READINGS[name].labels), name
        assert value is not None, name


def test_an_empty_instance_waits_for_nothing(database: None) -> None:
    told = read()
    assert [told[f"maild_queue_due {stream}"] for stream in Stream] == [0, 0]
    for way in metric_readings.WAYS:
        oldest = [told[f"maild_queue_oldest_due_seconds {stream} {way}"] for stream in Stream]
        assert oldest == [0, 0]
    assert told["maild_workers_alive"] == 0
    for absent in ("maild_worker_heartbeat_seconds", "maild_backup_age_seconds"):
        assert absent not in told


def test_the_queues_of_all_workspaces_are_one(database: None, accept: Any) -> None:
    for workspace_id in (WORKSPACE_A, WORKSPACE_A, WORKSPACE_B):
        accept(workspace_id=workspace_id)
    accept(stream="marketing")
    old = accept()
    db.execute_sql(
        "UPDATE messages SET next_attempt_at = now() - interval '100 seconds' WHERE id = %s",
        (old.id,),
    )
    later = accept()
    db.execute_sql(
        "UPDATE messages SET next_attempt_at = now() + interval '1 hour' WHERE id = %s", (later.id,)
    )
    told = read()
    assert told["maild_queue_due transactional"] == 4
    assert told["maild_queue_due marketing"] == 1
    assert told["maild_queue_oldest_due_seconds transactional usable"] == pytest.approx(100, abs=30)
    assert told["maild_queue_oldest_due_seconds transactional stopped"] == 0
    assert told["maild_queue_oldest_due_seconds marketing usable"] < 30


def age(message: Any, seconds: int) -> None:
    db.execute_sql(
        "UPDATE messages SET next_attempt_at = now() - %s * interval '1 second' WHERE id = %s",
        (seconds, message.id),
    )


def oldest() -> dict[str, int]:
    """In hundreds of seconds, by the way of transactional mail."""
    told = read()
    return {
        way: round(told[f"maild_queue_oldest_due_seconds transactional {way}"] / 100)
        for way in metric_readings.WAYS
    }


def save_account(name: str) -> None:
    account = NewSmtpAccount(
        name=name, host="127.0.0.1", port=2525, security="none", from_email="a@example.com"
    )
    smtp_accounts.save(WORKSPACE_A, account, by=COMMAND_LINE)


def test_mail_that_nobody_may_send_is_told_apart(database: None, accept: Any) -> None:
    save_account("main")
    smtp_accounts.activate(WORKSPACE_A, name="main", by=COMMAND_LINE)
    age(accept(workspace_id=WORKSPACE_A), 9_000)
    age(accept(workspace_id=WORKSPACE_B), 5_000)
    assert oldest() == {"usable": 90, "stopped": 0}
    main = smtp_accounts.find(WORKSPACE_A, name="main")
    Breaker.create(account_id=main.id, state="open")
    assert oldest() == {"usable": 50, "stopped": 90}
    save_account("spare")
    assert oldest() == {"usable": 90, "stopped": 0}
    smtp_accounts.pause(WORKSPACE_A, name="spare", reason="a test", by=COMMAND_LINE)
    assert oldest() == {"usable": 50, "stopped": 90}
    Breaker.create(account_id=0, state="half_open")
    assert oldest() == {"usable": 0, "stopped": 90}


def test_mail_that_is_due_for_a_moment_is_not_asked_about(database: None, accept: Any) -> None:
    Breaker.create(account_id=0, state="open")
    accept()
    few = count_statements(metric_readings.read)
    assert read()["maild_queue_oldest_due_seconds transactional stopped"] == 0
    for workspace_id in (WORKSPACE_A, WORKSPACE_B):
        age(accept(workspace_id=workspace_id), 500)
        age(accept(workspace_id=workspace_id, stream="marketing"), 500)
    assert count_statements(metric_readings.read) == few + 1, "once for all lanes"


def test_where_very_many_are_late_the_rest_counts_as_usable(
    database: None, accept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Breaker.create(account_id=0, state="open")
    age(accept(workspace_id=WORKSPACE_A), 9_000)
    age(accept(workspace_id=WORKSPACE_B), 5_000)
    monkeypatch.setattr(metric_readings, "LATE_MAX", 1)
    assert oldest() == {"usable": 50, "stopped": 90}


def test_connections_of_everybody_are_counted(database: None, settings: Any) -> None:
    others = [
        psycopg2.connect(settings.postgres_dsn, application_name="somebody") for _ in range(3)
    ]
    try:
        assert read()["maild_database_connections"] > len(others)
    finally:
        for other in others:
            other.close()


def test_due_messages_are_counted_so_far_and_no_further(
    database: None, accept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        accept()
    monkeypatch.setattr(metric_readings, "DUE_MAX", 3)
    assert read()["maild_queue_due transactional"] == 3


def test_workers_are_told(database: None, accept: Any) -> None:
    lease = workers.enter()
    accept()
    take(lease)
    told = read()
    assert told["maild_workers_alive"] >= 1
    assert told["maild_workers_without_marks"] >= 1
    assert told["maild_worker_heartbeat_seconds"] < 30
    assert told["maild_leased_messages"] == 1
    workers.set_has_marks(lease.worker_id, True)
    db.execute_sql("DELETE FROM workers WHERE id <> %s", (lease.worker_id,))
    assert read()["maild_workers_without_marks"] == 0


def test_what_is_missing_is_told(database: None, accept: Any) -> None:
    accept()
    conservation.check()
    assert read()["maild_messages queued"] == 1
    db.execute_sql("UPDATE accepted_tallies SET accepted_count = accepted_count + 3")
    conservation.check()
    told = read()
    assert told["maild_conservation_difference"] == 3
    assert told["maild_conservation_age_seconds"] < 30


def test_breakers_and_periodic_jobs_are_told(database: None) -> None:
    Breaker.create(account_id=1, state="open")
    periodic_jobs.note("sweep")
    periodic_jobs.note(BACKUP)
    told = read()
    assert told["maild_breakers open"] == 1
    assert told["maild_breakers half_open"] == 0
    assert 0 <= told["maild_periodic_job_age_seconds sweep"] < 30
    assert 0 <= told["maild_backup_age_seconds"] < 30


def test_one_that_takes_too_long_leaves_the_others(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_readings, "TIMEOUT_MS", 200)
    monkeypatch.setattr(metric_readings, "_INCIDENTS", "SELECT 'a', 'b', 1 FROM pg_sleep(10)")
    db.close()
    try:
        told = read()
    finally:
        db.connect()
    assert "maild_incidents a b" not in told
    assert "maild_jobs_oldest_seconds" in told
