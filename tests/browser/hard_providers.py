"""SMTP accounts that are hard to show: long names and replies, and every state that there is."""

import datetime as dt
import uuid
from dataclasses import dataclass

from maild import clock
from maild.domain.actor import SYSTEM, Actor
from maild.domain.freeze import FreezeKind
from maild.domain.states import EventType
from maild.models import (
    AccountTally,
    Breaker,
    Event,
    ProviderCheck,
    SmtpAccount,
    WebhookEndpoint,
)
from maild.services import freezes, smtp_accounts, webhook_endpoints
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.browser.hard_rows import LONG_ADDRESS, LONG_REPLY

LONG_ACCOUNT = "an-account-with-a-name-that-is-as-long-as-it-may-be-" * 2  # 64 are used
LONG_HOST = "smtp." + "sub-domain." * 15 + "example.com"
BY = Actor(LONG_ADDRESS)


@dataclass(frozen=True)
class Hard:
    """The ids of what was made."""

    broken: int
    standby: int
    needs_secret: int
    refusing: int


def make(workspace_id: int = 1) -> Hard:
    """An account out of use, others that stand by in every state, their checks and endpoints."""
    broken = _save(LONG_ACCOUNT[:64], host=LONG_HOST, username="u" * 200, password="p")
    smtp_accounts.activate(workspace_id, name=broken.name, by=BY)
    now = clock.now()
    Breaker.create(
        account_id=broken.id,
        state="open",
        error_class="auth",
        reason=LONG_REPLY,
        opened_at=now - dt.timedelta(minutes=3),
        retry_at=now + dt.timedelta(minutes=2),
        last_fault_at=now,
    )
    for kind, hours in (
        (EventType.BREAKER_OPENED, 20.0),
        (EventType.BREAKER_HALF_OPENED, 18.0),
        (EventType.BREAKER_CLOSED, 17.9),
        (EventType.SLOWED, 12.0),
        (EventType.PAUSED, 9.0),
        (EventType.RESUMED, 6.0),
        (EventType.BREAKER_OPENED, 0.1),
    ):
        data = {"smtp_account": broken.name, "reason": LONG_REPLY, "by": LONG_ADDRESS, "rate": 2.5}
        at = now - dt.timedelta(hours=hours)
        Event.insert(workspace=1, type=kind.value, data=data, created_at=at).execute()
    AccountTally.insert(
        account_id=broken.id, slot_at=now, worker_id=uuid.uuid4(), try_count=90, fault_count=30
    ).execute()
    _check(broken, is_valid=False)
    standby = _save("standby")
    _check(standby, is_valid=True)
    _save("tried")
    slowed, paused, frozen = _save("slowed", max_per_second=0.001), _save("paused"), _save("frozen")
    Breaker.create(account_id=slowed.id, state="closed", slowed_to=0.25, slowed_at=now)
    smtp_accounts.pause(workspace_id, name=paused.name, reason=LONG_REPLY, by=BY)
    end = now + dt.timedelta(days=2)
    freezes.start(
        workspace_id,
        kind=FreezeKind.SMTP_ACCOUNT,
        target=frozen.name,
        reason=LONG_REPLY,
        expires_at=end,
        by=SYSTEM,
    )
    needs_secret = _endpoint("mailgun", broken.name)
    refusing = _endpoint(
        "ses", broken.name, topic_arn=f"arn:aws:sns:eu-west-1:{'1' * 12}:{'x' * 200}"
    )
    WebhookEndpoint.update(
        refusing_since=now, last_refused_at=now, last_refusal=LONG_REPLY, last_event_at=now
    ).where(WebhookEndpoint.id == refusing.id).execute()
    return Hard(broken.id, standby.id, needs_secret.id, refusing.id)


def _save(name: str, **fields: object) -> SmtpAccount:
    values = {"host": "smtp.eu.mailgun.org", "port": 587, "from_email": LONG_ADDRESS}
    new = NewSmtpAccount(name=name, **{**values, **fields})  # type: ignore[arg-type]
    row = smtp_accounts.save(1, new, by=BY)
    old = clock.now() - dt.timedelta(days=30)
    SmtpAccount.update(created_at=old).where(SmtpAccount.id == row.id).execute()
    return row


def _endpoint(provider: str, account: str, **fields: str) -> WebhookEndpoint:
    return webhook_endpoints.add(1, provider=provider, smtp_account=account, by=BY, **fields)


def _check(row: SmtpAccount, *, is_valid: bool) -> None:
    stages = ["dns", "connect", "banner", "ehlo", "tls", "ehlo"]
    steps = [{"stage": stage, "ok": True, "text": LONG_REPLY, "ms": 12.345} for stage in stages]
    if row.username:
        steps.append({"stage": "auth", "ok": is_valid, "text": LONG_REPLY, "ms": 1234.5})
    certificate = {
        "subject": LONG_HOST,
        "issuer": "R11, Let's Encrypt",
        "names": [LONG_HOST] * 3,
        "name_count": 100,
        "valid_until": (clock.now() + dt.timedelta(days=3)).isoformat(),
    }
    result = {
        "certificate": certificate,
        "tls": ["TLSv1.3", "TLS_AES_256_GCM_SHA384"],
        "auth": None,
        "capabilities": ["SIZE 10240000", "PIPELINING", "AUTH PLAIN LOGIN", "X" * 100],
        "error_class": None if is_valid else "auth",
    }
    for _ in range(2):
        ProviderCheck.create(
            workspace=1,
            smtp_account=row.id,
            created_by=LONG_ADDRESS,
            started_at=clock.now(),
            finished_at=clock.now(),
            is_valid=is_valid,
            steps=steps,
            result=result,
        )
