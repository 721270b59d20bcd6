"""The watch over providers: silence and failing signatures are events, told once."""

import pytest

from maild import clock
from maild.domain.actor import SYSTEM
from maild.domain.states import Status
from maild.models import Event, Message, WebhookEndpoint
from maild.services import payloads, report_loop, report_watch, webhook_endpoints
from maild.transports.webhooks.base import Request
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import Accept, ago, fill
from tests.services.reporting import send_all

pytestmark = pytest.mark.proves("feedback-silence")


@pytest.fixture
def endpoint(database) -> WebhookEndpoint:
    return webhook_endpoints.add(
        WORKSPACE_A, provider="postmark", smtp_account="default", by=SYSTEM
    )


DELIVERY = b'{"RecordType":"Delivery","Recipient":"ann@example.org","MessageID":"x"}'
BOUNCE = b'{"RecordType":"Bounce","Type":"SoftBounce","Email":"ann@example.org","MessageID":"x"}'


def hear(endpoint: WebhookEndpoint, body: bytes = DELIVERY) -> None:
    """Something comes in, and is read and applied."""
    request = Request(body=body, content_type="application/json", received_at=clock.now())
    payloads.take(endpoint, request, headers={})
    report_loop.drain()


def last_heard(endpoint: WebhookEndpoint, **spans: float) -> None:
    WebhookEndpoint.update(last_event_at=ago(**spans)).where(
        WebhookEndpoint.id == endpoint.id
    ).execute()


def have_sent(count: int, *, minutes: float, account: str = "default", workspace_id=WORKSPACE_A):
    """Messages that went out so long ago, and were not reported on."""
    fill(count, workspace_id=workspace_id)
    Message.update(
        status=Status.SENT,
        next_attempt_at=None,
        smtp_account_name=account,
        created_at=ago(minutes=minutes + 1),
        updated_at=ago(minutes=minutes),
    ).where(Message.status == Status.QUEUED).execute()


def told(workspace_id: int = WORKSPACE_A) -> list[str]:
    query = Event.select().where(Event.workspace == workspace_id, Event.message.is_null())
    return [event.type for event in query.order_by(Event.id)]


def reload(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    return WebhookEndpoint.get_by_id(endpoint.id)


def test_a_provider_that_falls_silent_is_told_once(endpoint):
    hear(endpoint)
    last_heard(endpoint, hours=2)
    have_sent(20, minutes=60)
    report_watch.check()
    report_watch.check()
    assert told() == ["provider.silent"]
    event = Event.get(Event.type == "provider.silent")
    assert event.data["smtp_account"] == "default"
    assert event.data["provider"] == "postmark"
    assert event.data["endpoint_id"] == endpoint.id
    assert reload(endpoint).silent_since is not None


def test_it_is_told_when_it_speaks_again(endpoint):
    hear(endpoint)
    last_heard(endpoint, hours=2)
    have_sent(20, minutes=60)
    report_watch.check()
    hear(endpoint, b"[1]")
    assert told() == ["provider.silent", "provider.reporting"]
    assert Event.get(Event.type == "provider.reporting").data["endpoint_id"] == endpoint.id
    assert reload(endpoint).silent_since is None


@pytest.mark.parametrize(
    "sent",
    [
        {"count": 19, "minutes": 60},  # too few
        {"count": 30, "minutes": 5},  # just now
        {"count": 30, "minutes": 60, "account": "other"},
        {"count": 30, "minutes": 60, "workspace_id": WORKSPACE_B},
        {"count": 30, "minutes": 180},  # before it spoke
    ],
)
def test_these_do_not_make_it_silent(endpoint, sent):
    hear(endpoint)
    last_heard(endpoint, hours=2)
    have_sent(**sent)
    report_watch.check()
    assert told() == []


def test_one_that_tells_of_bounces_alone_is_not_silent(endpoint):
    """No report is good news."""
    hear(endpoint, BOUNCE)
    last_heard(endpoint, hours=2)
    have_sent(30, minutes=60)
    report_watch.check()
    assert told() == []


def test_one_that_has_never_spoken_is_not_silent(endpoint):
    have_sent(30, minutes=60)
    report_watch.check()
    assert told() == []


def test_one_that_spoke_a_moment_ago_is_not_silent(endpoint):
    hear(endpoint)
    have_sent(30, minutes=60)
    report_watch.check()
    assert told() == []


def test_one_whose_reports_take_long_is_given_time(endpoint):
    hear(endpoint)
    last_heard(endpoint, hours=2)
    WebhookEndpoint.update(usual_delay_seconds=3600).execute()
    have_sent(30, minutes=60)
    report_watch.check()
    assert told() == []


def test_it_learns_how_long_reports_take(endpoint, accept: Accept, lease):
    message = accept()
    send_all(lease)
    Message.update(updated_at=ago(seconds=100)).where(Message.id == message.id).execute()
    body = (
        '{"RecordType":"Delivery","Recipient":"ann@example.org",'
        f'"MessageID":"x","Metadata":{{"maild_message_id":"{message.id}"}},'
        '"DeliveredAt":"2026-01-01T00:00:00Z"}'
    )
    hear(endpoint, body.encode())
    assert reload(endpoint).usual_delay_seconds == pytest.approx(100, abs=30)


def test_signatures_that_keep_failing_are_told_once(endpoint):
    for _ in range(5):
        webhook_endpoints.refused(endpoint.id, "the signature does not fit")
    report_watch.check()
    report_watch.check()
    assert told() == ["provider.signatures_failing"]
    data = Event.get(Event.type == "provider.signatures_failing").data
    assert (data["reason"], data["refused"]) == ("the signature does not fit", 5)
    assert data["endpoint_id"] == endpoint.id


def test_a_few_are_not_told(endpoint):
    for _ in range(4):
        webhook_endpoints.refused(endpoint.id, "no")
    report_watch.check()
    assert told() == []


def test_some_among_good_ones_are_not_told(endpoint):
    """Somebody tries, and the provider goes on reporting."""
    hear(endpoint)
    for _ in range(9):
        webhook_endpoints.refused(endpoint.id, "no")
    report_watch.check()
    assert told() == []


def test_a_good_one_ends_it(endpoint):
    for _ in range(5):
        webhook_endpoints.refused(endpoint.id, "no")
    report_watch.check()
    hear(endpoint)
    assert told() == ["provider.signatures_failing", "provider.reporting"]
    assert reload(endpoint).refusing_since is None


def test_what_needs_somebody_is_found_and_counted_no_further_than_told(endpoint, monkeypatch):
    assert report_watch.find_trouble(WORKSPACE_A) == report_watch.Trouble((), 0)
    monkeypatch.setattr(report_watch, "DEAD_LETTERS_MAX", 4)
    payloads.read(payloads.take_entries(WORKSPACE_A, [b"no JSON %d" % n for n in range(6)]))
    WebhookEndpoint.update(silent_since=ago(hours=1)).execute()
    trouble = report_watch.find_trouble(WORKSPACE_A)
    [troubled] = trouble.endpoints
    assert (troubled.endpoint_id, troubled.provider) == (endpoint.id, "postmark")
    assert troubled.silent_since == reload(endpoint).silent_since
    assert trouble.dead_letter_count == 4
    assert report_watch.find_trouble(WORKSPACE_B) == report_watch.Trouble((), 0)
