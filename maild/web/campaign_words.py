"""Campaigns in words: their states, what became of whom, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from maild import clock
from maild.domain import campaign_forecast, campaign_schedule
from maild.domain.campaign import CampaignStatus, RecipientStatus
from maild.domain.template import Finding
from maild.models import Campaign
from maild.services.campaign_ledger import Engagement
from maild.web import template_parts
from maild.web.badges import Badge
from maild.web.template_parts import Told

STATUSES: dict[CampaignStatus, Badge] = {
    CampaignStatus.DRAFT: Badge("draft", "card", "neutral"),
    CampaignStatus.IN_REVIEW: Badge("waits for approval", "clock", "warn"),
    CampaignStatus.SCHEDULED: Badge("scheduled", "clock", "info"),
    CampaignStatus.PREPARING: Badge("preparing", "queue", "info"),
    CampaignStatus.SENDING: Badge("sending", "arrow", "info"),
    CampaignStatus.PAUSED: Badge("paused", "pause", "warn"),
    CampaignStatus.FINISHED: Badge("finished", "checks", "ok"),
    CampaignStatus.CANCELLED: Badge("cancelled", "minus", "neutral"),
}
RECIPIENTS: dict[RecipientStatus, Badge] = {
    RecipientStatus.QUEUED: Badge("queued", "queue", "info"),
    RecipientStatus.SENT: Badge("sent", "check", "ok"),
    RecipientStatus.DELIVERED: Badge("delivered", "checks", "ok"),
    RecipientStatus.BOUNCED: Badge("bounced", "return", "bad"),
    RecipientStatus.SUPPRESSED: Badge("suppressed", "ban", "neutral"),
    RecipientStatus.FAILED: Badge("failed", "cross", "bad"),
    RecipientStatus.CANCELLED: Badge("cancelled", "minus", "neutral"),
    RecipientStatus.UNKNOWN: Badge("unknown", "question", "unsure"),
}
MEANINGS: dict[RecipientStatus, str] = {
    RecipientStatus.QUEUED: "no message yet, or it waits or is on its way",
    RecipientStatus.SENT: "taken by the provider; no report yet",
    RecipientStatus.DELIVERED: "reported as delivered",
    RecipientStatus.BOUNCED: "came back",
    RecipientStatus.SUPPRESSED: "must not be mailed, or have left",
    RecipientStatus.FAILED: "refused, or no message could be made",
    RecipientStatus.CANCELLED: "withdrawn before it went out",
    RecipientStatus.UNKNOWN: "contact was lost: it may have arrived",
}
DEEDS = {
    "opened": "opened",
    "clicked": "clicked",
    "complained": "called it spam",
    "unsubscribed": "unsubscribed",
}
KINDS = {"everyone": "Everyone", "list": "A list", "segment": "A segment"}


@dataclass(frozen=True, slots=True)
class Deed:
    """How many did something, and which share of those reached; None where nobody was."""

    name: str
    words: str
    count: int
    share: float | None


def list_deeds(engagement: Engagement, reached_count: int) -> list[Deed]:
    """All that recipients do, with counts. More may have opened than are known to be reached: who
    reports opens need not report deliveries.
    """
    counts: Mapping[str, int] = {
        "opened": engagement.opened_count,
        "clicked": engagement.clicked_count,
        "complained": engagement.complained_count,
        "unsubscribed": engagement.unsubscribed_count,
    }
    return [
        Deed(name, DEEDS[name], count, min(1.0, count / reached_count) if reached_count else None)
        for name, count in counts.items()
    ]


def reason(given: str | None) -> str:
    """Why a row came to its end, as it is kept there: a word or a sentence."""
    return "no reason given" if given is None else given.replace("_", " ")


def contacts(number: int) -> str:
    """`1 contact`, `12,430 contacts`."""
    return "1 contact" if number == 1 else f"{number:,} contacts"


def messages(number: int) -> str:
    """`1 message`, `12,430 messages`."""
    return "1 message" if number == 1 else f"{number:,} messages"


def takes(time: timedelta | None) -> str:
    """How long it is under way: `takes about 3 hours`."""
    if time == timedelta():
        return "goes out as fast as the providers take it"
    return f"takes {campaign_forecast.in_words(time)}"


def begins(campaign: Campaign) -> str:
    """When it begins, by the clocks of its zone and in UTC, as a sentence goes on after `it`."""
    if campaign.starts_at is not None and campaign.status is not CampaignStatus.DRAFT:
        at = campaign.starts_at
    elif campaign.send_at is None:
        return "begins at once"
    else:
        try:
            at = campaign_schedule.find_moment(campaign.send_at, campaign.time_zone).at
        except ValueError as error:
            return f"has a time that {error}"
    if campaign.started_at is not None:
        verb = "began"
    elif at > clock.now():
        verb = "begins"
    elif campaign.status is CampaignStatus.SCHEDULED:
        return "is due, and begins in a moment"
    else:
        verb = "was to begin"
    local = campaign_schedule.local_time(at, campaign.time_zone)
    if campaign.time_zone == "UTC":
        return f"{verb} on {local.day} {local:%B %Y at %H:%M} UTC"
    offset = campaign_schedule.offset_text(at, campaign.time_zone)
    return f"{verb} on {local.day} {local:%B %Y at %H:%M} in {campaign.time_zone} ({offset})"


def pace(campaign: Campaign) -> str:
    """`at most 500 an hour; 100, 200, 400 on its first days`."""
    parts = []
    if campaign.per_hour is not None:
        parts.append(f"at most {campaign.per_hour:,} an hour")
    if campaign.ramp:
        days = ", ".join(f"{most:,}" for most in campaign.ramp)
        parts.append(f"{days} on its first days" if len(campaign.ramp) > 1 else f"{days} on day 1")
    return "; ".join(parts) or "as fast as the policy and the providers allow"


def finding(one: Finding) -> Told:
    """A finding with its badge."""
    where = "" if one.line is None else f"Line {one.line}: "
    return Told(template_parts.SEVERITIES[one.severity], f"{where}{one.message}", one.advice)
