"""Dead letters and freezes that are hard to show: long words, no words, markup, and every state."""

import datetime as dt
import json
from dataclasses import dataclass

from maild import clock
from maild.domain.actor import SYSTEM, Actor
from maild.domain.freeze import FreezeKind
from maild.models import ProviderEvent, WebhookPayload
from maild.services import dead_letters, freezes, webhook_endpoints
from tests.browser.hard_rows import LONG_ADDRESS, LONG_REPLY
from tests.services.reporting import report


@dataclass(frozen=True)
class Hard:
    """The ids of what was made."""

    unreadable: int
    applied: int
    freeze: int


def make() -> Hard:
    """Reports and freezes of workspace A."""
    endpoint = webhook_endpoints.add(1, provider="mandrill", smtp_account="default", by=SYSTEM)
    unreadable, markup, gone, applied, _ = report(
        {"type": "x" * 200, "email": LONG_ADDRESS, "deep": {"text": "y" * 300}},
        b"<html><script>alert(1)</script>" + b"z" * 70_000,
        b"",
        {"type": "spam", "email": LONG_ADDRESS},
        {"type": "spam", "email": LONG_ADDRESS},
    )
    WebhookPayload.update(endpoint_id=endpoint.id, headers={"x-very-long-header": "v" * 300}).where(
        WebhookPayload.id == unreadable.payload_id
    ).execute()
    ProviderEvent.update(last_error=LONG_REPLY).where(ProviderEvent.id == markup.id).execute()
    dead_letters.dismiss(1, [str(gone.id)], reason=LONG_REPLY, by=SYSTEM)
    return Hard(unreadable=unreadable.id, applied=applied.id, freeze=_make_freezes())


def _make_freezes() -> int:
    """Freezes in force and ended; returns the id of one in force."""
    someone = Actor(LONG_ADDRESS)
    end = clock.now() + dt.timedelta(days=9)
    targets = {
        FreezeKind.STREAM: "marketing",
        FreezeKind.FROM_EMAIL: "a" * 60 + "@example.com",
        FreezeKind.RECIPIENT_DOMAIN: "sub." * 20 + "example.org",
    }
    made = [
        freezes.start(1, kind=kind, target=target, reason=LONG_REPLY, expires_at=end, by=someone)
        for kind, target in targets.items()
    ]
    freezes.lift(made[1], reason=json.dumps("r" * 200), by=someone)
    return int(made[0].id)
