"""People and the watch at once, on the same incident: who waits for whom, and who was first."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from maild import db
from maild.db import database as pool
from maild.domain.actor import Actor
from maild.domain.incident import IncidentKind, IncidentStatus
from maild.models import Incident, IncidentSignal, Message
from maild.services import incident_changes, incident_intake, incident_watch, incidents
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A
from tests.services.helpers import ACCEPTED, ago, says
from tests.services.incidenting import make_incident
from tests.services.troubling import look, make_trouble

Accept = Callable[..., Message]
BY = Actor("operator@maild.test")
BLOCKED = says("Your domain is not allowed to send here", code=550)
WAIT_SECONDS = 10.0


def wait_for_a_wait() -> None:
    """Until some connection waits for a lock that another one holds."""
    ends_at = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < ends_at:
        [count] = pool.execute_sql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND cardinality(pg_blocking_pids(pid)) > 0"
        ).fetchone()
        if count:
            return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


@contextlib.contextmanager
def at_once(job: Callable[[], Any]) -> Iterator[list[Exception]]:
    """The job in a thread with a connection of its own; what it raised."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            with db.connection():
                job()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield raised
    thread.join()


def test_whoever_resolves_one_and_the_watch_do_not_wait_for_each_other(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_trouble(accept, lease, 50, ACCEPTED)
    make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com"])
    [incident] = look()
    make_trouble(accept, lease, 5, BLOCKED, domains=["gmail.com"])
    incident_intake.settle()  # nobody who was writing then keeps the watch from reading
    has_taken, may_go_on = threading.Event(), threading.Event()
    resolve = incident_changes.resolve

    def slowly(*args: Any, **fields: Any) -> Incident:
        has_taken.set()
        assert may_go_on.wait(WAIT_SECONDS)
        return resolve(*args, **fields)

    monkeypatch.setattr(incident_changes, "resolve", slowly)
    with at_once(lambda: incidents.resolve(WORKSPACE_A, incident.id, cause="Over", by=BY)) as one:
        assert has_taken.wait(WAIT_SECONDS)
        with at_once(incident_watch.look) as other:
            wait_for_a_wait()
            may_go_on.set()
    assert (one, other) == ([], [])
    assert Incident.get_by_id(incident.id).status is IncidentStatus.RESOLVED


def test_nobody_waits_for_whoever_reads_for_long(accept: Accept, lease: Lease) -> None:
    may_read, has_begun = threading.Event(), threading.Event()

    def read() -> None:
        with pool.atomic():
            pool.execute_sql("SELECT count(*) FROM messages")
            has_begun.set()
            assert may_read.wait(WAIT_SECONDS)
            pool.execute_sql("SELECT pg_advisory_xact_lock_shared(1, 1)")

    with at_once(read) as raised:
        assert has_begun.wait(WAIT_SECONDS)
        make_trouble(accept, lease, 12)
        incident_intake.settle()
        pool.execute_sql("SELECT pg_advisory_lock(1, 1)")
        may_read.set()
        wait_for_a_wait()
        last_id, upto = incident_intake.settle()
        pool.execute_sql("SELECT pg_advisory_unlock(1, 1)")
    assert raised == []
    assert upto > last_id


def test_what_goes_on_while_it_is_closed_stays_open(
    accept: Accept, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = make_incident([accept().id], last_seen_at=ago(minutes=60))
    quiet = incident_watch.workspaces.take_turns_of

    def after_it_was_seen_again(*args: Any) -> None:
        IncidentSignal.update(is_state=True, is_active=True).execute()
        quiet(*args)

    monkeypatch.setattr(incident_watch.workspaces, "take_turns_of", after_it_was_seen_again)
    incident_watch._close()
    assert Incident.get_by_id(incident.id).status is IncidentStatus.OPEN


def test_what_one_look_leaves_the_next_one_judges(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_watch, "JUDGE_SECONDS", 0.0, raising=False)
    make_trouble(accept, lease, 60, ACCEPTED)
    make_trouble(accept, lease, 12, BLOCKED, domains=["one.example"])
    make_trouble(accept, lease, 12, says("Not so fast, by policy", code=550), domains=["two.net"])
    assert len(look()) == 1
    assert len(look()) == 2


def test_what_becomes_an_accounts_trouble_is_no_part_of_itself(
    accept: Accept, lease: Lease
) -> None:
    make_trouble(accept, lease, 20, ACCEPTED)
    make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com"])
    [first] = look()
    make_trouble(accept, lease, 10)
    [_, second] = look()
    assert second.kind is IncidentKind.PROVIDER
    incidents.merge(WORKSPACE_A, second.id, into_id=first.id, by=BY)
    make_trouble(accept, lease, 200, BLOCKED, domains=["gmail.com"])
    [left] = look()
    assert (left.id, left.kind) == (first.id, IncidentKind.PROVIDER)
