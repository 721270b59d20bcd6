"""Test mails of a campaign: what it looks like in the mailbox of somebody who works on it. They go
the way of all mail, to people of the workspace alone, and are in no ledger.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.campaign import Variant
from maild.domain.states import Stream
from maild.errors import MaildError, TooManyRequests
from maild.models import Campaign
from maild.services import campaign_previews, campaigns, messages, template_tests
from maild.services.submissions import NewMessage
from maild.services.template_tests import Outcome

TAG = "campaign-test"
"""By which a test is known among other mail."""
MARK = "[Test] "
"""Before its subject, so that nobody takes it for the campaign."""
PER_MINUTE_MAX = 20
"""Tests of a workspace, in this process: each is for some addresses."""
_WINDOW_SECONDS = 60.0

_recent: defaultdict[int, deque[float]] = defaultdict(deque)
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Tested:
    """What became of it for each recipient, and the merge fields that had no value."""

    outcomes: list[Outcome]
    missing: tuple[str, ...]


def send(
    campaign: Campaign,
    *,
    to: Sequence[str],
    email: str | None = None,
    variant: Variant | None = None,
    by: Actor,
) -> Tested:
    """Send what `campaign_previews.make` shows to each of these addresses, as a message of its own.
    Policy, suppressions, unsubscribes, limits and freezes hold for it as for any other.

    Raises as that, TooManyRequests, and InvalidFields: `to` names nobody, too many, or somebody who
    does not belong to the workspace.
    """
    recipients = template_tests.check_recipients(campaign.workspace_id, to)
    preview = campaign_previews.make(campaign, email=email, variant=variant)
    _count(campaign.workspace_id)
    mail = preview.mail
    news = [
        NewMessage(
            from_email=campaign.from_email,
            to_email=recipient,
            subject=MARK + mail.subject,
            body_html=mail.html,
            body_text=mail.text or None,
            from_name=campaign.from_name,
            reply_to=campaign.reply_to,
            stream=Stream.MARKETING,
            topic=campaign.topic,
            smtp_account=campaign.smtp_account,
            tags=(TAG,),
        )
        for recipient in recipients
    ]
    with database.atomic():
        settled = messages.accept_many(campaign.workspace_id, news)
        outcomes = [
            Outcome(recipient, None, one.detail)
            if isinstance(one, MaildError)
            else Outcome(recipient, one)
            for recipient, one in zip(recipients, settled, strict=True)
        ]
        sent = [one.email for one in outcomes if one.message is not None]
        if sent:
            campaigns.record(campaign, by, "tested", after={"to": sent})
    return Tested(outcomes, mail.missing)


def forget() -> None:
    """Begin to count anew, where workspaces are made anew under the same ids."""
    with _lock:
        _recent.clear()


def _count(workspace_id: int) -> None:
    """Raises TooManyRequests."""
    now = time.monotonic()
    with _lock:
        recent = _recent[workspace_id]
        while recent and recent[0] <= now - _WINDOW_SECONDS:
            recent.popleft()
        if len(recent) >= PER_MINUTE_MAX:
            wait = int(recent[0] + _WINDOW_SECONDS - now) + 1
            raise TooManyRequests(
                f"{PER_MINUTE_MAX} tests a minute are the most. Try again in {wait} seconds.",
                retry_after_seconds=wait,
            )
        recent.append(now)
