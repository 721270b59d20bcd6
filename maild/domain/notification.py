"""What channels are told of incidents: the occasions, the kinds of channels, when one that does not
answer is asked again. Pure.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from maild.domain.incident import Severity


class Occasion(StrEnum):
    """What a notification is about."""

    OPENED = "opened"
    ESCALATED = "escalated"
    """It is worse than it was."""
    RESOLVED = "resolved"
    REOPENED = "reopened"
    TEST = "test"
    """Somebody tries the channel: it is about no incident."""


OF_INCIDENTS = (Occasion.OPENED, Occasion.ESCALATED, Occasion.RESOLVED, Occasion.REOPENED)
"""Those that a channel may choose among."""


class ChannelKind(StrEnum):
    WEBHOOK = "webhook"
    """A POST of JSON, signed as Standard Webhooks has it."""
    SLACK = "slack"
    """An incoming webhook of Slack, or of whatever takes the same."""
    EMAIL = "email"
    """A mail to a member."""


class NotificationStatus(StrEnum):
    WAITING = "waiting"
    """It is to be sent, for the first time or again."""
    SENT = "sent"
    FAILED = "failed"
    """It is not tried any more."""
    FOLDED = "folded"
    """It is told by another one."""


RETRY_SECONDS = (10, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800)
"""How long to wait after each failure: a day in all."""
RETRY_AFTER_MAX_SECONDS = 21_600
"""A server that asks for a longer pause is asked again then nevertheless."""


def retry_in(attempt_count: int, *, asked_seconds: int | None = None) -> int | None:
    """In how many seconds to try again after so many attempts; None: no more. The server's own
    wish is heard where it is longer.
    """
    if attempt_count > len(RETRY_SECONDS):
        return None
    own = RETRY_SECONDS[attempt_count - 1]
    return max(own, min(asked_seconds or 0, RETRY_AFTER_MAX_SECONDS))


def round_of(occasion: Occasion, severity: Severity, reopen_count: int) -> int:
    """Which time it is that this happens to an incident: no channel is told twice of one."""
    if occasion is Occasion.OPENED:
        return 0
    if occasion is Occasion.ESCALATED:
        return reopen_count * len(Severity) + severity.rank
    return reopen_count


def slack_text(text: str) -> str:
    """A text in which Slack sees no mark-up of its own: the three characters that it names are
    replaced (https://docs.slack.dev/messaging/formatting-message-text), and line ends are spaces.
    """
    line = " ".join(text.split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_VERBS = {
    Occasion.OPENED: "Incident",
    Occasion.ESCALATED: "Incident is worse",
    Occasion.RESOLVED: "Resolved",
    Occasion.REOPENED: "Incident is back",
    Occasion.TEST: "Test",
}


def headline(occasion: Occasion, data: Mapping[str, Any]) -> str:
    """What it is about in one line, without the workspace."""
    return f"{_VERBS[occasion]}: {data['title']}"


def facts(data: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """What is known of an incident besides, as pairs of a name and a value; for people."""
    found = [("Workspace", data["workspace"])]
    if data.get("severity"):
        found.append(("Severity", data["severity"]))
    if data.get("message_count"):
        recipients = data.get("recipient_count") or 0
        found.append(("Messages", f"{data['message_count']}, to {recipients} recipients"))
    if data.get("smtp_account"):
        found.append(("Provider", data["smtp_account"]))
    if data.get("recipient_domain"):
        found.append(("Recipients at", data["recipient_domain"]))
    if data.get("likely_cause"):
        found.append(("Likely cause", data["likely_cause"]))
    if data.get("cause"):
        found.append(("Cause", data["cause"]))
    return found


def more(data: Mapping[str, Any]) -> str | None:
    """What else it stands for, where it is told for others as well."""
    count = data.get("more_count") or 0
    if not count:
        return None
    others = "1 other notification" if count == 1 else f"{count} other notifications"
    return f"And {others} came at the same time. The list of incidents has them all."
