"""The timeline of an incident in words: what people and maild did about it, and what else happened
meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import url_for

from maild.domain.actor import SYSTEM
from maild.domain.incident import EntryKind
from maild.models import Event, Incident, IncidentEntry
from maild.services import incident_stories
from maild.web import story

_TONES: dict[EntryKind, str] = {
    EntryKind.OPENED: "bad",
    EntryKind.ESCALATED: "bad",
    EntryKind.REOPENED: "bad",
    EntryKind.SIGNAL_JOINED: "warn",
    EntryKind.ACKNOWLEDGED: "info",
    EntryKind.REMEDY: "info",
    EntryKind.RESOLVED: "ok",
}
"""The tone of an entry; the others have none of their own."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`words` say what, `text` is what somebody wrote; `url` leads to where more is told."""

    at: datetime
    words: str
    text: str | None = None
    details: tuple[tuple[str, str], ...] = ()
    tone: str = "neutral"
    url: str | None = None
    url_words: str = ""


def tell(incident: Incident) -> list[Entry]:
    """Oldest first."""
    return [_tell(one) for one in incident_stories.list_entries(incident)]


def _tell(one: IncidentEntry | Event) -> Entry:
    if isinstance(one, Event):
        [told] = story.tell([], [one])
        return Entry(told.at, told.words, told.reply, told.details, told.tone)
    words, text = _WORDS[one.kind](one.actor, one.data, one.text)
    details = tuple(
        (label, str(one.data[name])) for name, label in _DETAILS.items() if name in one.data
    )
    url, url_words = _link(one.data)
    return Entry(
        one.created_at, words, text, details, _TONES.get(one.kind, "neutral"), url, url_words
    )


_DETAILS = {"reason": "Reason", "error_class": "Class", "occasion": "Occasion"}


def _link(data: dict[str, Any]) -> tuple[str | None, str]:
    if "job_id" in data:
        return url_for("jobs.show", job_id=data["job_id"]), f"Job {data['job_id']}"
    for name in ("into_id", "from_id"):
        if name in data:
            return url_for("incidents.show", incident_id=data[name]), f"Incident {data[name]}"
    return None, ""


Told = tuple[str, str | None]


def _by(did: str, itself: str | None = None) -> Callable[[str, dict[str, Any], str | None], Told]:
    """What a person did, in words that follow their name; `itself` is what is said of maild."""

    def tell(actor: str, data: dict[str, Any], text: str | None) -> Told:
        if actor == SYSTEM.name and itself is not None:
            return itself, text
        return f"{actor} {did}", text

    return tell


def _assigned(actor: str, data: dict[str, Any], text: str | None) -> Told:
    to = data.get("after")
    if not to:
        return f"{actor} let go of it", text
    return (f"{actor} took it" if to == actor else f"{actor} gave it to {to}"), text


def _severity(actor: str, data: dict[str, Any], text: str | None) -> Told:
    return f"{actor} says that it is {data.get('after', 'as bad as before')}", text


def _escalated(actor: str, data: dict[str, Any], text: str | None) -> Told:
    return f"It is {data.get('after', 'worse')} now", text


def _merged(actor: str, data: dict[str, Any], text: str | None) -> Told:
    if "into_id" in data:
        return f"{actor} made it part of another incident", text
    title = data.get("title")
    return f"{actor} made another incident part of it" + (f": {title}" if title else ""), text


def _remedy(actor: str, data: dict[str, Any], text: str | None) -> Told:
    return f"{actor}: {text}", None


def _notified(actor: str, data: dict[str, Any], text: str | None) -> Told:
    channel = f"the channel “{data.get('channel', '?')}”"
    outcomes = {
        "sent": f"Told {channel}",
        "failed": f"Could not tell {channel}, and gave up",
    }
    return outcomes.get(data.get("outcome", ""), f"Could not tell {channel} yet"), text


_WORDS: dict[EntryKind, Callable[[str, dict[str, Any], str | None], Told]] = {
    EntryKind.OPENED: _by("opened it", "It began to go wrong more often than usual"),
    EntryKind.SIGNAL_JOINED: _by("added something", "Something more goes wrong that belongs to it"),
    EntryKind.ESCALATED: _escalated,
    EntryKind.ACKNOWLEDGED: _by("has seen it"),
    EntryKind.ASSIGNED: _assigned,
    EntryKind.NOTE: _by("wrote"),
    EntryKind.SEVERITY_SET: _severity,
    EntryKind.RESOLVED: _by("resolved it", "It is over: nothing more was seen of it"),
    EntryKind.REOPENED: _by("reopened it", "It came back"),
    EntryKind.MERGED: _merged,
    EntryKind.REMEDY: _remedy,
    EntryKind.NOTIFIED: _notified,
}
