"""What came in through an endpoint of late."""

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.provider_event import ReportStatus
from maild.models import ProviderEvent, WebhookPayload
from maild.services import webhook_arrivals, webhook_endpoints
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements

pytestmark = pytest.mark.usefixtures("database")


def endpoint(workspace_id=WORKSPACE_A):
    return webhook_endpoints.add(
        workspace_id, provider="postmark", smtp_account="default", by=SYSTEM
    )


def come_in(row, email="ann@example.org"):
    payload = WebhookPayload.create(
        workspace=row.workspace_id,
        endpoint_id=row.id,
        provider=row.provider,
        content_type="application/json",
        headers={},
        body=b"{}",
        status="read",
    )
    return ProviderEvent.create(
        workspace=row.workspace_id,
        payload=payload.id,
        position=0,
        provider=row.provider,
        status=ReportStatus.APPLIED,
        event_type="delivered",
        email=email,
        report={},
    )


def test_nothing_has_come_yet():
    assert webhook_arrivals.list_latest(endpoint()) == []


def test_the_latest_come_first_and_no_more_than_was_asked():
    row = endpoint()
    events = [come_in(row) for _ in range(4)]
    found = webhook_arrivals.list_latest(row, limit=3)
    assert [event.id for event in found] == [event.id for event in events[:0:-1]]


def test_what_came_elsewhere_is_not_told():
    row, other, theirs = endpoint(), endpoint(), endpoint(WORKSPACE_B)
    come_in(other)
    come_in(theirs)
    assert webhook_arrivals.list_latest(row) == []
    assert len(webhook_arrivals.list_latest(other)) == 1


def test_it_looks_no_further_back_than_it_says(monkeypatch):
    row, other = endpoint(), endpoint()
    come_in(row)
    for _ in range(2):
        come_in(other)
    monkeypatch.setattr(webhook_arrivals, "LOOKED_AT_MAX", 2)
    assert webhook_arrivals.list_latest(row) == []


def test_it_asks_as_often_for_many_as_for_one():
    row = endpoint()
    come_in(row)
    few = count_statements(lambda: webhook_arrivals.list_latest(row))
    for _ in range(10):
        come_in(row)
    assert count_statements(lambda: webhook_arrivals.list_latest(row)) == few
