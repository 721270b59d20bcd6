"""The watch reads: nothing is passed by or read twice, and nobody keeps others waiting."""

import contextlib
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest

from maild.db import database as pool
from maild.domain.actor import Actor
from maild.domain.incident import IncidentKind
from maild.domain.states import EventType
from maild.models import Event, Incident, IncidentMessage, IncidentSignal, Message
from maild.services import (
    incident_intake,
    incident_messages,
    incident_watch,
    incidents,
)
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import ACCEPTED, PATH_FAULT, says
from tests.services.troubling import (
    entries,
    look,
    make_trouble,
    pass_time,
)

Accept = Callable[..., Message]
BY = Actor("operator@maild.test")
BLOCKED = says("Your domain is not allowed to send here", code=550)


def another_process() -> contextlib.closing[Any]:
    """A connection of another process of maild."""
    named = {**pool.connect_params, "application_name": "maild elsewhere"}
    return contextlib.closing(psycopg2.connect(pool.database, **named))


def test_what_commits_late_is_not_passed_by(accept: Accept, lease: Lease) -> None:
    """An event with a low id, whose transaction commits after others have been read."""
    late, *others = [accept(to_email=f"p{number}@gmail.com") for number in range(13)]
    data = {"smtp_account": "primary", "text": "550 no", "error_class": "policy"}
    with another_process() as second:
        cursor = second.cursor()
        cursor.execute(
            "INSERT INTO events (workspace_id, message_id, type, data)"
            " VALUES (%s, %s, 'message.failed', '{}')",
            (WORKSPACE_A, late.id),
        )
        for message in others:
            Event.insert(
                workspace=WORKSPACE_A, message=message.id, type=EventType.FAILED.value, data=data
            ).execute()
        look()
        assert IncidentMessage.select().count() == 0
        second.commit()
    look()
    assert IncidentMessage.select().count() == 13


def test_each_trouble_is_read_once_in_batches(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_intake, "BATCH", 5)
    make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com"])
    look()
    look()
    [signal] = IncidentSignal.select()
    assert (signal.news_count, signal.message_count) == (12, 12)


def test_beyond_the_most_signals_the_rest_is_lumped_together(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_intake, "SIGNALS_MAX", 2)
    for word in ("apple", "pear", "plum", "cherry"):
        make_trouble(accept, lease, 1, says(word, code=550), domains=[f"{word}.example"])
    look()
    patterns = [one.pattern for one in IncidentSignal.select().order_by(IncidentSignal.id)]
    assert len(patterns) == 3
    assert patterns.count(None) == 1
    make_trouble(accept, lease, 40, ACCEPTED)
    for number in range(10):  # many reasons are not the account's, only because they are lumped
        make_trouble(accept, lease, 1, BLOCKED, domains=[f"d{number}.example"])
    assert [one.kind for one in look()] == [IncidentKind.DELIVERY]


def test_what_made_no_incident_is_forgotten(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_watch, "PRUNED_MAX", 1)
    make_trouble(accept, lease, 3, BLOCKED, domains=["gmail.com", "yahoo.com"])
    look()
    pass_time(26 * 60)
    look()
    assert IncidentSignal.select().count() == 0
    assert IncidentMessage.select().count() == 0


def test_signals_of_old_incidents_do_not_keep_new_ones_from_being_told_apart(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_intake, "SIGNALS_MAX", 1)
    make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com"])
    [incident] = look()
    incidents.resolve(WORKSPACE_A, incident.id, cause="Mended", by=BY)
    pass_time(48 * 60)
    make_trouble(accept, lease, 1, says("pear", code=550), domains=["pear.example"])
    look()
    assert [one.pattern for one in IncidentSignal.select().order_by(IncidentSignal.id)][1]


def test_an_incident_of_very_many_messages_is_never_of_fewer(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_trouble(accept, lease, 12)
    [incident] = look()
    monkeypatch.setattr(incident_messages, "COUNTED_MAX", 5)
    make_trouble(accept, lease, 6, PATH_FAULT, first=50)  # another signal of the account
    [incident] = look()
    assert len(entries(incident)) > 1
    assert (incident.message_count, incident.recipient_count) == (12, 12)


def test_the_troubles_of_one_workspace_do_not_keep_those_of_another_waiting(
    accept: Accept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_watch, "CANDIDATES_MAX", 2)
    for workspace_id, domain, count in (
        (WORKSPACE_A, "one.example", 90),
        (WORKSPACE_A, "two.example", 80),
        (WORKSPACE_B, "one.example", 20),
    ):
        signal = IncidentSignal.create(
            workspace=workspace_id,
            fingerprint=domain,
            kind=IncidentKind.DELIVERY,
            recipient_domain=domain,
            detail={},
        )
        pool.execute_sql("INSERT INTO incident_tallies VALUES (%s, now(), %s)", (signal.id, count))
    accept()
    incident_watch._judge(incident_watch._recent_since())
    assert {one.workspace_id for one in Incident.select()} == {WORKSPACE_A, WORKSPACE_B}
