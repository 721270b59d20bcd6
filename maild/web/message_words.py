"""What a person may do to a message, in words: what it is called, what will happen, what cannot be
taken back; and who was quicker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from maild.domain.role import ADMINS, OPERATORS, Roles
from maild.domain.states import UNFINISHED, Status
from maild.models import Event, Freeze, Message, Suppression
from maild.web import story


class Act(StrEnum):
    """What can be done to one message."""

    RETRY = "retry"
    RELEASE = "release"
    HOLD = "hold"
    ASSUME_SENT = "assume_sent"
    CANCEL = "cancel"
    RESEND = "resend"
    SUPPRESS = "suppress"


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing that can be done now. `happens` is told before it is done, and so is `undo`.

    `needs_reason`: nobody does it without saying why.
    """

    act: Act
    words: str
    title: str
    happens: str
    undo: str
    needs_reason: bool = False
    tone: str = "primary"
    roles: Roles = OPERATORS


_RETRY = Offer(
    Act.RETRY,
    "Retry",
    "Retry the message?",
    "It is queued again, with all its attempts and the lifetime of its stream, even where its"
    " sender had set an earlier end, and goes out as soon as its provider takes it. If the"
    " recipient is suppressed or has unsubscribed, nothing is done.",
    "What has gone out cannot be called back; while it waits, it can be cancelled.",
)
_RETRY_UNKNOWN = Offer(
    Act.RETRY,
    "It was not sent: retry",
    "Resolve it as not sent?",
    "It is queued again, with all its attempts and a new lifetime. If the provider has taken it"
    " after all, the recipient gets it twice: look for its Message-ID in the provider's log first.",
    "What has gone out cannot be called back.",
    needs_reason=True,
)
_ASSUME_SENT = Offer(
    Act.ASSUME_SENT,
    "It was sent",
    "Resolve it as sent?",
    "It counts as sent, and is not tried again. If the provider never had it, the recipient does"
    " not get it.",
    "It cannot be undone; later on it can be resent as a copy.",
    needs_reason=True,
)
_HOLD = Offer(
    Act.HOLD,
    "Hold",
    "Hold the message?",
    "It is kept back until somebody releases it. Its lifetime goes on meanwhile: if that ends, the"
    " message expires.",
    "It can be undone: release it.",
    needs_reason=True,
)
_RELEASE = Offer(
    Act.RELEASE,
    "Release",
    "Release the message?",
    "It goes out at once, or at the time for which it is scheduled.",
    "It can be undone while it waits: hold it again.",
)
_CANCEL = Offer(
    Act.CANCEL,
    "Cancel",
    "Cancel the message?",
    "It is withdrawn for good, and never sent.",
    "It cannot be undone. To stop it for a while, hold it instead.",
    needs_reason=True,
    tone="danger",
)
_RESEND = Offer(
    Act.RESEND,
    "Resend a copy",
    "Resend a copy?",
    "A new message with the same content goes to the same recipient, and passes all checks again."
    " This one stays as it is. What was urgent then, such as a code, may be of no use now.",
    "A message is copied once; while the copy waits, it can be cancelled.",
)
_SUPPRESS = Offer(
    Act.SUPPRESS,
    "Suppress the recipient",
    "Suppress the recipient?",
    "The address gets no mail of this workspace any more, of any stream, until somebody removes the"
    " suppression. What waits for it is stopped when its turn comes.",
    "It can be undone: the suppression is removed.",
    needs_reason=True,
    tone="danger",
    roles=ADMINS,
)

DONE = {
    Act.RETRY: "It is queued again, and goes out as soon as its provider takes it.",
    Act.RELEASE: "Released.",
    Act.HOLD: "Held, until somebody releases it.",
    Act.ASSUME_SENT: "It counts as sent.",
    Act.CANCEL: "Cancelled. It is never sent.",
}
NOT_ENDED = frozenset({*UNFINISHED, Status.UNKNOWN})
"""Of these no copy is made."""


def offers(
    message: Message,
    *,
    freeze: Freeze | None,
    is_resent: bool,
    suppression: Suppression | None,
    has_content: bool = True,
) -> list[Offer]:
    """What can be done to it now. `freeze` is what holds it, if it is in force. Without content
    nothing is sent once more.
    """
    status = message.status
    found = []
    if status is Status.FAILED:
        found.append(_RETRY)
    if status is Status.UNKNOWN:
        found += [_ASSUME_SENT, _RETRY_UNKNOWN]
    if status is Status.HELD and freeze is None:
        found.append(_RELEASE)
    if status is Status.QUEUED:
        found.append(_HOLD)
    if status in {Status.QUEUED, Status.HELD}:
        found.append(_CANCEL)
    if status not in NOT_ENDED and not is_resent:
        found.append(_RESEND)
    if suppression is None:
        found.append(_SUPPRESS)
    if not has_content:
        found = [one for one in found if one.act not in (Act.RETRY, Act.RESEND)]
    return found


def find(act: Act, status: Status) -> Offer:
    """The words of an act for a message that has this status."""
    if act is Act.RETRY:
        return _RETRY_UNKNOWN if status is Status.UNKNOWN else _RETRY
    return {
        Act.RELEASE: _RELEASE,
        Act.HOLD: _HOLD,
        Act.ASSUME_SENT: _ASSUME_SENT,
        Act.CANCEL: _CANCEL,
        Act.RESEND: _RESEND,
        Act.SUPPRESS: _SUPPRESS,
    }[act]


def meanwhile(message: Message, events: Sequence[Event]) -> str:
    """Who has changed it since it was shown, and to what; from its own latest event."""
    own = [event for event in events if event.message_id == message.id]
    now = f"Now it is {message.status.value}. Nothing that you asked for was done."
    if not own:
        return now
    latest = own[-1]
    what = story.words_of(latest)
    by = latest.data.get("by")
    if by:
        reason = f" ({latest.data['reason']})" if latest.data.get("reason") else ""
        return f"{by} was quicker. {what}{reason}. {now}"
    return f"It went on by itself: {what}. {now}"
