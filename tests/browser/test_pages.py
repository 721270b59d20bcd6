"""Every page: accessible in light and dark, readable at 360 px, and quiet in the browser's log."""

import datetime as dt
import uuid

import pytest
from axe_playwright_python.sync_playwright import Axe

from maild import clock, config
from maild.domain.actor import SYSTEM
from maild.domain.freeze import FreezeKind
from maild.domain.mime import Attachment
from maild.domain.policy import Route
from maild.domain.states import AttemptStatus, EventType, Status
from maild.models import Attempt, Event, Message, WebhookEndpoint
from maild.services import (
    freezes,
    payloads,
    suppressions,
    unsubscribe_links,
    unsubscribes,
    webhook_endpoints,
)
from maild.services.unsubscribe_links import Link

pytestmark = pytest.mark.browser

LONG_REPLY = (
    "451 4.7.1 <ann@example.org>: Recipient address rejected: Greylisted, see "
    "http://postgrey.example/help/aVeryLongAddressWithoutAnySpaceInItForALineToBreakAt.html"
)


@pytest.fixture
def paths(settled, fail_message):
    """Every page there is, with the kinds of message that are hard to show."""
    fail_message(settled(subject="Failed"))
    settled(
        subject="🎉 " + "word " * 60,
        to_email="a-very-long-local-part@" + "sub." * 20 + "example.com",
    )
    settled(subject="فاتورتك لشهر نوفمبر جاهزة", tags=("receipt",))
    deferred = settled(
        subject="x" * 300,
        from_name="The shop",
        body_html="<p>Hello</p>",
        metadata={"key" * 40: "value" * 80},
        headers=(("X-Long", "y" * 300),),
        attachments=(Attachment("z" * 200 + ".pdf", "application/pdf", b"x"),),
    )
    Attempt.insert(
        message=deferred.id,
        attempt_no=1,
        status=AttemptStatus.DEFERRED,
        worker_id=uuid.uuid4(),
        smtp_account_name="default",
        remote="mx.example.org:25",
        duration_ms=431,
        stage="rcpt_to",
        smtp_code=451,
        enhanced_code="4.7.1",
        response=LONG_REPLY,
        error_class="greylisted",
        timings={"connect": 1.2, "ehlo": 3.4, "rcpt_to": 431.0},
        finished_at=dt.datetime.now(dt.UTC),
    ).execute()
    Event.insert(
        workspace=1,
        message=deferred.id,
        type=EventType.DEFERRED.value,
        data={"attempt_no": 1, "retry_in_seconds": 60},
    ).execute()
    Message.update(
        status=Status.QUEUED,
        attempt_count=1,
        last_error=LONG_REPLY,
        next_attempt_at=clock.now() + dt.timedelta(minutes=4),
    ).where(Message.id == deferred.id).execute()
    for number in range(2, 6):
        Attempt.insert(
            message=deferred.id,
            attempt_no=number,
            status=AttemptStatus.DEFERRED,
            worker_id=uuid.uuid4(),
            smtp_account_name="an-account-with-a-long-name-" * 3,
            finished_at=clock.now(),
            policy_version=7,
            route=Route.CANARY.value,
        ).execute()
    long = "z" * 60 + "@example.com"
    suppressions.add(1, long, reason=LONG_REPLY, source="api", by=SYSTEM)
    suppressed = settled(to_email=long, cc=("a" * 64 + "@" + "sub." * 20 + "example.com",))
    unsubscribes.add(1, "bob@example.org", topic="t" * 100, source="api", by=SYSTEM)
    unsubscribed = settled(to_email="bob@example.org", topic="t" * 100, stream="marketing")
    end = clock.now() + dt.timedelta(days=9)
    kind, target = FreezeKind.RECIPIENT_DOMAIN, "sub." * 20 + "example.net"
    freezes.start(1, kind=kind, target=target, reason=LONG_REPLY, expires_at=end, by=SYSTEM)
    frozen = settled(to_email=f"ann@{target}")
    reported = report_on(settled(subject="Reported"))
    unsubscribe_links.load(1)
    link = Link(1, deferred.id, "a" * 64 + "@" + "sub." * 20 + "example.com", "t" * 100)
    return (
        unsubscribe_links.make_url(link).removeprefix(config.current().public_url),
        "/",
        "/ui",
        "/ui/logs",
        "/ui/logs?status=failed&tag=x&range=7d",
        *(
            f"/ui/messages/{one.id}"
            for one in (deferred, suppressed, unsubscribed, frozen, reported)
        ),
    )


def report_on(message):
    """Have a message come back, with more to tell, and let the reporting itself be in trouble."""
    for changes in (
        {"status": Status.SENDING, "worker_id": uuid.uuid4(), "next_attempt_at": None},
        {"status": Status.SENT, "worker_id": None},
        {"status": Status.BOUNCED, "last_error": LONG_REPLY},
    ):
        Message.update(**changes).where(Message.id == message.id).execute()
    for kind, told in (
        (EventType.REPORTED, {"type": "deferred", "text": LONG_REPLY}),
        (EventType.REPORTED, {"type": "clicked", "url": "https://example.org/" + "x" * 400}),
        (EventType.BOUNCED, {"type": "bounced", "text": LONG_REPLY}),
    ):
        data = {"provider": "mandrill", "happened_at": "2026-01-31T00:00:00+00:00", **told}
        Event.insert(workspace=1, message=message.id, type=kind.value, data=data).execute()
    for changes in (
        {"silent_since": clock.now(), "last_event_at": clock.now()},
        {"refusing_since": clock.now(), "last_refusal": "y" * 500},
    ):
        row = webhook_endpoints.add(1, provider="mandrill", smtp_account="default", by=SYSTEM)
        WebhookEndpoint.update(**changes).where(WebhookEndpoint.id == row.id).execute()
    payloads.read(payloads.take_entries(1, [b"no JSON"]))
    return message


def unfold(tab):
    """Show what is folded: a page must be in order with it, too."""
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_has_no_violation_of_accessibility(open_context, paths, scheme):
    tab = open_context(color_scheme=scheme).new_page()
    for path in paths:
        tab.goto(path)
        unfold(tab)
        results = Axe().run(tab)
        assert results.violations_count == 0, (path, results.generate_report())


@pytest.mark.parametrize("width", [360, 720, 1000, 1440])
def test_it_never_scrolls_sideways(open_context, paths, width, complaints):
    tab = open_context(viewport={"width": width, "height": 740}).new_page()
    for path in (*paths, "/nothing", "/ui/nothing"):
        tab.goto(path)
        unfold(tab)
        root = "document.documentElement"
        overflow = tab.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
        assert overflow <= 0, (path, width)
    complaints[:] = [text for text in complaints if "404" not in text]  # those two are meant
