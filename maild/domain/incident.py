"""What incidents are made of: their kinds, how they stand, how bad they are. Pure."""

from enum import StrEnum


class IncidentKind(StrEnum):
    """What goes wrong."""

    DELIVERY = "delivery"
    """Servers refuse or defer messages, for one reason."""
    PROVIDER = "provider"
    """An SMTP account does not work: its breaker is open, or all that goes through it is told
    the same.
    """
    UNKNOWN_OUTCOMES = "unknown_outcomes"
    """Contact is lost after the last byte again and again."""
    SILENT_PROVIDER = "silent_provider"
    """A provider that used to report does so no more, or its signatures fail."""
    DEAD_LETTERS = "dead_letters"
    """Reports come in that cannot be read or applied."""
    CONSERVATION = "conservation"
    """There are not as many messages as were accepted."""
    DOMAIN = "domain"
    """The DNS records of a sending domain are not any more what they were."""
    MANUAL = "manual"
    """Somebody has opened it by hand."""


class IncidentStatus(StrEnum):
    OPEN = "open"
    """Nobody has said yet that they look after it."""
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


UNRESOLVED = (IncidentStatus.OPEN, IncidentStatus.ACKNOWLEDGED)


class Severity(StrEnum):
    """How bad it is; the worst last."""

    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class EntryKind(StrEnum):
    """What an entry of an incident's timeline tells."""

    OPENED = "opened"
    SIGNAL_JOINED = "signal_joined"
    """Something more goes wrong that belongs to it."""
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    NOTE = "note"
    SEVERITY_SET = "severity_set"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    MERGED = "merged"
    """Another one became part of it, or it of another one."""
    REMEDY = "remedy"
    """Somebody did something about it."""
    NOTIFIED = "notified"
    """A channel was told, or could not be."""
