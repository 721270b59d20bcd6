"""Notifications by mail: by a way that is not the one that fails.

A notification becomes a message as all are, pinned to an SMTP account that is in order and that
the incident is not about: one of the workspace's own, else that of the environment. Where there is
none, it waits and says so. What the message comes to is what the notification comes to.
"""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from maild import clock, config
from maild.db import database
from maild.domain import notification as words
from maild.domain.actor import SYSTEM
from maild.domain.incident import IncidentKind
from maild.domain.notification import NotificationStatus, Occasion
from maild.domain.policy import Verdict
from maild.domain.states import Status
from maild.errors import MaildError, Unavailable
from maild.models import Message, Notification
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import (
    interventions,
    messages,
    notification_channels,
    providers,
    smtp_accounts,
)
from maild.services.interventions import OutcomeStatus
from maild.services.submissions import NewMessage
from maild.services.workspaces import MAILDS_OWN_ID

TAG = "maild-notification"
"""By which such mail is known among other mail."""
WAIT_MAX = timedelta(days=1)
"""How long a notification waits for a way out."""
LOOK_SOON_SECONDS, LOOK_SECONDS, SOON_COUNT = 5, 60, 12
"""How often it is looked at what became of a mail: soon at first."""

NO_MEMBER = "The address is not the confirmed address of a member any more."
NO_WAY = (
    "There is no SMTP account to send it through but what this incident is about. It waits for"
    " one that works. A second SMTP account, or a webhook, would have told you."
)

TURNED_ROUND = "Its way is not in order any more: the notification goes by another one."

# Of these the account itself is the trouble: a notification would go the same way.
_OF_THE_PATH = (IncidentKind.PROVIDER, IncidentKind.UNKNOWN_OUTCOMES, IncidentKind.CONSERVATION)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt, in a sentence. One that waits is tried again in `retry_in`
    seconds; `is_under_way` is one that waits for no fault of its channel.
    """

    status: NotificationStatus
    text: str
    code: int | None = None
    retry_in: int | None = None
    message_id: uuid.UUID | None = None
    is_under_way: bool = False


def carry_on(row: Notification, data: dict[str, Any]) -> Outcome:
    """Accept the mail, or look what became of it; in the caller's transaction."""
    if row.message_id is None:
        return _send(row, data)
    message = Message.get_or_none(
        Message.id == row.message_id, Message.workspace.in_((row.workspace_id, MAILDS_OWN_ID))
    )
    if message is None:
        return Outcome(NotificationStatus.FAILED, "The mail is not there any more.")
    turned = _turn_round(row, data, message) if _is_stuck(message) else None
    return turned or _follow(row, message)


def _send(
    row: Notification, data: dict[str, Any], *, but: tuple[int, str] | None = None
) -> Outcome:
    """Accept the mail, by another way than `but`."""
    if not notification_channels.is_address_known(row.workspace_id, row.channel.target):
        return Outcome(NotificationStatus.FAILED, NO_MEMBER)
    why = NO_WAY
    for workspace_id, account, sender in _list_ways(row, data):
        if (workspace_id, account) == but:
            continue
        new = _compose(row, data, account=account, sender=sender)
        try:
            [(_, decision)] = messages.ask(workspace_id, new)
            if decision.verdict is not Verdict.PASS:
                why = f"“{account}” would not take it now: {decision.last.check} stops it."
                continue
            message = messages.submit(workspace_id, new).messages[0]
        except Unavailable:
            raise
        except MaildError as error:
            why = error.detail
            continue
        return Outcome(
            NotificationStatus.WAITING,
            f"The mail is on its way, through “{account}”.",
            retry_in=LOOK_SOON_SECONDS,
            message_id=message.id,
            is_under_way=True,
        )
    return _wait(row, why)


def _is_stuck(message: Message) -> bool:
    """Whether it waits for what may take long: its account is not in order any more, or a freeze
    keeps it back.
    """
    if message.status is Status.HELD:
        return True
    way = (message.workspace_id, message.pinned_account)
    return message.status is Status.QUEUED and not providers.choose(providers.list_ways([way])[way])


def _turn_round(row: Notification, data: dict[str, Any], message: Message) -> Outcome | None:
    """Withdraw the mail, and send another by another way; None where there is none, or where it
    cannot be withdrawn any more.
    """
    with database.atomic() as savepoint:
        outcome = _send(row, data, but=(message.workspace_id, message.pinned_account))
        if outcome.message_id is not None:
            done = interventions.cancel(
                message.workspace_id, [str(message.id)], by=SYSTEM, reason=TURNED_ROUND
            )
            if done.outcomes[0].status is OutcomeStatus.CANCELLED:
                return outcome
        savepoint.rollback()
    return None


def _list_ways(row: Notification, data: dict[str, Any]) -> list[tuple[int, str, str]]:
    """The workspace, the account and the sender of each way that is in order, the best first."""
    # In the sandbox mail counts as sent, and nobody reads it.
    own = [one for one in smtp_accounts.list_all(row.workspace_id) if not one.is_sandbox]
    own.sort(key=lambda one: (not one.is_active, one.priority))
    ways = [(row.workspace_id, one.name, one.from_email) for one in own]
    # From maild's own workspace, where this one's limits and freezes do not hold.
    ways.append((MAILDS_OWN_ID, DEFAULT_ACCOUNT, config.current().smtp.from_email))
    candidates = providers.list_ways([(workspace_id, name) for workspace_id, name, _ in ways])
    sound = [way for way in ways if providers.choose(candidates[way[0], way[1]])]
    suspect = data.get("smtp_account")
    if row.occasion is Occasion.RESOLVED:
        suspect = None
    others = [way for way in sound if way[1] != suspect]
    if data.get("kind") in _OF_THE_PATH:
        return others
    # What the incident is about works, but for some recipients: better than no way at all.
    return others + [way for way in sound if way[1] == suspect]


def _compose(row: Notification, data: dict[str, Any], *, account: str, sender: str) -> NewMessage:
    headline = words.headline(row.occasion, data)
    lines = [headline, ""]
    lines += [f"{name}: {value}" for name, value in words.facts(data)]
    if more := words.more(data):
        lines += ["", more]
    lines += [
        "",
        f"Open it in maild: {data['url']}",
        "",
        f"You get this by the channel “{row.channel.name}”. Admins of the workspace change it at",
        f"{config.current().public_url}/ui/settings/notifications",
        "",
    ]
    return NewMessage(
        from_email=sender,
        from_name="maild",
        to_email=row.channel.target,
        subject=f"[{data['workspace']}] {headline}"[:200],
        body_text="\n".join(lines),
        # RFC 3834 5: no vacation note shall answer it.
        headers=(("Auto-Submitted", "auto-generated"),),
        tags=(TAG,),
        expires_at=clock.now() + WAIT_MAX,
        smtp_account=account,
    )


def _wait(row: Notification, why: str) -> Outcome:
    is_late = clock.now() - row.created_at > WAIT_MAX
    if is_late or row.occasion is Occasion.TEST:
        return Outcome(NotificationStatus.FAILED, why)
    return Outcome(NotificationStatus.WAITING, why, retry_in=LOOK_SECONDS)


_ENDS = {
    Status.SENT: "The mail is sent.",
    Status.DELIVERED: "The mail is delivered.",
    Status.COMPLAINED: "The mail is delivered; its recipient called it spam.",
}
_FAULTS = {
    Status.BOUNCED: "The mail came back",
    Status.FAILED: "The mail was refused",
    Status.SUPPRESSED: "The address is suppressed: nothing is mailed to it",
    Status.CANCELLED: "Somebody has cancelled the mail",
    Status.EXPIRED: "The mail could not be sent in time",
    Status.UNKNOWN: "Whether the mail was taken is not known: contact was lost",
}


def _follow(row: Notification, message: Message) -> Outcome:
    """What became of the mail, which is the workspace's or maild's own."""
    if message.status in _ENDS:
        return Outcome(NotificationStatus.SENT, _ENDS[message.status])
    if message.status in _FAULTS:
        reply = f": {message.last_error}" if message.last_error else "."
        return Outcome(NotificationStatus.FAILED, f"{_FAULTS[message.status]}{reply}")
    waits = message.last_error
    text = f"The mail waits for another attempt: {waits}" if waits else "The mail is on its way."
    soon = row.attempt_count <= SOON_COUNT
    return Outcome(
        NotificationStatus.WAITING,
        text,
        retry_in=LOOK_SOON_SECONDS if soon else LOOK_SECONDS,
        is_under_way=True,
    )
