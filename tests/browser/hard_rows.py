"""Rows that are hard to show: long names, many of them, and every state that there is."""

import datetime as dt
import uuid
from collections.abc import Callable

from maild import clock
from maild.domain.actor import SYSTEM, Actor
from maild.domain.freeze import FreezeKind
from maild.domain.mime import Attachment
from maild.domain.policy import Route
from maild.domain.role import Role
from maild.domain.states import AttemptStatus, EventType, Status
from maild.models import (
    ApiKey,
    Attempt,
    Event,
    Invitation,
    Member,
    Message,
    Person,
    WebhookEndpoint,
    Workspace,
)
from maild.services import (
    api_keys,
    audit,
    freezes,
    invitations,
    payloads,
    suppressions,
    unsubscribes,
    webhook_endpoints,
)
from maild.services.api_keys import NewApiKey

LONG_REPLY = (
    "451 4.7.1 <ann@example.org>: Recipient address rejected: Greylisted, see "
    "http://postgrey.example/help/aVeryLongAddressWithoutAnySpaceInItForALineToBreakAt.html"
)
LONG_ADDRESS = "a" * 64 + "@" + "sub." * 20 + "example.com"
LONG_NAME = "Maximiliane-Wilhelmine-Charlotte " + "von-und-zu-" * 4 + "E"  # of the 80 that may be
LONG_WORKSPACE = "Acme-International-Transactional-Mail-Operations-Of-All-Brands-1"  # of 64

Make = Callable[..., Message]


def make_messages(settled: Make, fail_message: Callable[[Message], None]) -> list[Message]:
    """Messages in the log of workspace A; returns those whose own page is hard to show."""
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
    _defer(deferred)
    long = "z" * 60 + "@example.com"
    suppressions.add(1, long, reason=LONG_REPLY, source="api", by=SYSTEM)
    suppressed = settled(to_email=long, cc=(LONG_ADDRESS,))
    unsubscribes.add(1, "bob@example.org", topic="t" * 100, source="api", by=SYSTEM)
    unsubscribed = settled(to_email="bob@example.org", topic="t" * 100, stream="marketing")
    end = clock.now() + dt.timedelta(days=9)
    kind, target = FreezeKind.RECIPIENT_DOMAIN, "sub." * 20 + "example.net"
    freezes.start(1, kind=kind, target=target, reason=LONG_REPLY, expires_at=end, by=SYSTEM)
    frozen = settled(to_email=f"ann@{target}")
    reported = settled(subject="Reported")
    _report(reported)
    return [deferred, suppressed, unsubscribed, frozen, reported]


def make_people(admin: Person) -> None:
    """Give workspace A a long name, many members and invitations, keys and entries of the audit
    log; the admin as well.
    """
    by = Actor(admin.email, ip="2001:db8:1234:5678:9abc:def0:1234:5678", request_id="r" * 32)
    Workspace.update(name=LONG_WORKSPACE).where(Workspace.id == 1).execute()
    Person.update(name=LONG_NAME).where(Person.id == admin.id).execute()
    emails = [f"person-{number}@a.example" for number in range(3)] + [LONG_ADDRESS]
    for number, email in enumerate(emails):
        person = Person.create(
            name=LONG_NAME if email is LONG_ADDRESS else f"Person {number}",
            email=email,
            password_hash="x",
            email_verified_at=clock.now(),
            totp_secret_encrypted=b"x",
            totp_enabled_at=clock.now() if number % 2 else None,
        )
        role = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)[number % 3]
        Member.insert(workspace=1, person=person.id, role=role).execute()
    for number, email in enumerate(
        ("guest-0@a.example", "guest-1@a.example", "b" + LONG_ADDRESS[1:])
    ):
        made = invitations.make(1, email=email, role=Role.OPERATOR, by=by)
        if number % 3 == 0:
            ago = clock.now() - dt.timedelta(hours=3)
            Invitation.update(expires_at=ago).where(Invitation.id == made.invitation.id).execute()
    _make_keys(by)
    audit.record(
        1,
        by,
        action="policy.saved",
        target="x" * 200,
        before={"rules": {"key" * 20: ["value" * 40] * 3}},
        after={"rules": {"key" * 20: None}, "text": LONG_REPLY},
        reason=LONG_REPLY * 3,
    )


def make_workspaces(person: Person, count: int) -> None:
    """Let somebody belong to so many further workspaces."""
    for number in range(count):
        name = LONG_WORKSPACE if number == 0 else f"Workspace {number}"
        row = Workspace.create(name=name)
        Member.insert(workspace=row.id, person=person.id, role=Role.VIEWER).execute()


def _make_keys(by: Actor) -> None:
    later, ago = clock.now() + dt.timedelta(days=3), clock.now() - dt.timedelta(days=3)
    for name, role, values in (
        ("shop backend", Role.SENDER, {"last_used_at": clock.now()}),
        ("never used", Role.ADMIN, {}),
        ("ends soon", Role.VIEWER, {"expires_at": later}),
        ("has run out", Role.OPERATOR, {"expires_at": ago}),
        ("is revoked", Role.SENDER, {"revoked_at": ago, "revoked_by": LONG_ADDRESS}),
        ("k" * 64, Role.OPERATOR, {"created_by": LONG_ADDRESS, "last_used_at": ago}),
    ):
        networks = tuple(f"2001:db8:{part}::/48" for part in range(9)) if len(name) > 60 else None
        new = NewApiKey(name, role, allowed_networks=networks)
        row, _ = api_keys.create(1, new, by=by)
        if values:
            ApiKey.update(**values).where(ApiKey.id == row.id).execute()


def _defer(message: Message) -> None:
    Attempt.insert(
        message=message.id,
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
        message=message.id,
        type=EventType.DEFERRED.value,
        data={"attempt_no": 1, "retry_in_seconds": 60},
    ).execute()
    Message.update(
        status=Status.QUEUED,
        attempt_count=1,
        last_error=LONG_REPLY,
        next_attempt_at=clock.now() + dt.timedelta(minutes=4),
    ).where(Message.id == message.id).execute()
    for number in range(2, 6):
        Attempt.insert(
            message=message.id,
            attempt_no=number,
            status=AttemptStatus.DEFERRED,
            worker_id=uuid.uuid4(),
            smtp_account_name="an-account-with-a-long-name-" * 3,
            finished_at=clock.now(),
            policy_version=7,
            route=Route.CANARY.value,
        ).execute()


def _report(message: Message) -> None:
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
