"""The machine-readable part of a delivery status notification: RFC 3464.

In charge of fields and their grouping, also where the blank lines between groups are missing or too
many. Not in charge of what a diagnostic means (`reason`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from maild.domain.bounce_mail.addresses import from_xtext, of_dsn
from maild.domain.bounce_mail.mail import Part
from maild.domain.provider_event import ProviderEventType

STATUS_TYPES = frozenset(
    {"message/delivery-status", "message/global-delivery-status", "text/delivery-status",
     "message/x-delivery-status", "message/delivery-report"}
)  # fmt: skip
_RECIPIENT_LIMIT = 200
_VALUE_LIMIT = 2000
_FIELD = re.compile(r"\s{0,4}([A-Za-z][A-Za-z0-9-]{1,50})\s{0,4}:\s*(.*)")
_HAS_RECIPIENT = re.compile(r"^[ \t]{0,4}(?:final|original)-recipient[ \t]*:", re.I | re.M)
_NAMES = frozenset({"final-recipient", "original-recipient"})
_PER_MESSAGE = frozenset(
    {"reporting-mta", "original-envelope-id", "dsn-gateway", "received-from-mta", "arrival-date"}
)  # RFC 3464 2.2
_PER_RECIPIENT = _NAMES | {
    "action", "status", "remote-mta", "diagnostic-code", "last-attempt-date", "final-log-id",
    "will-retry-until", "localized-diagnostic",
}  # fmt: skip
_ACTIONS = (
    ("fail", ProviderEventType.BOUNCED),
    ("delay", ProviderEventType.DEFERRED),
    ("deliver", ProviderEventType.DELIVERED),
    # RFC 3464 2.3.3: from there on nobody reports, or a list has taken over.
    ("relay", ProviderEventType.SENT),
    ("expand", ProviderEventType.SENT),
)
_TYPE = re.compile(r"\s{0,10}([A-Za-z][\w-]{0,30})\s{0,5};\s{0,10}", re.DOTALL)


@dataclass(slots=True)
class Group:
    """The fields about one recipient, names in lower case."""

    fields: dict[str, str] = field(default_factory=dict)

    @property
    def recipient(self) -> str | None:
        """The address that the message was sent to, where the report tells it; else the one that
        failed."""
        final = of_dsn(self.fields.get("final-recipient", ""))
        original = of_dsn(self.fields.get("original-recipient", ""))
        if original and (final is None or original.lower() != final.lower()):
            return from_xtext(original)
        return original or final

    @property
    def event_type(self) -> ProviderEventType:
        """What has become of it: RFC 3464 2.3.3, or the class of the status."""
        action = self.fields.get("action", "").lower()
        for beginning, event_type in _ACTIONS:
            if action.startswith(beginning):
                return event_type
        status = self.fields.get("status", "")
        if status.startswith("2"):
            return ProviderEventType.DELIVERED
        return ProviderEventType.DEFERRED if status.startswith("4") else ProviderEventType.BOUNCED

    @property
    def status(self) -> str:
        """As `5.1.1`, perhaps with a comment after it."""
        return self.fields.get("status", "")

    @property
    def diagnostic(self) -> str:
        """What the remote server or the MTA said, without the type before it: RFC 3464 2.3.6."""
        value = self.fields.get("diagnostic-code", "")
        match = _TYPE.match(value)
        return value[match.end() :] if match else value


@dataclass(frozen=True, slots=True)
class Status:
    """All delivery-status parts of a mail together."""

    message: dict[str, str]
    groups: list[Group]


def read_status(parts: Sequence[Part], words: str) -> Status | None:
    """The status that a mail holds: in parts of its own, else in its text, where some MTAs put the
    fields for want of MIME. None where there is none."""
    texts = [part.text for part in parts if part.content_type in STATUS_TYPES]
    if not texts:
        texts = [
            part.text
            for part in parts
            if part.content_type in {"application/octet-stream", "text/plain", "message/report"}
            and part.value("content-disposition")
            and _HAS_RECIPIENT.search(part.text)
        ]
    if not texts and _HAS_RECIPIENT.search(words):
        texts = [words]
    if not texts:
        return None
    message: dict[str, str] = {}
    groups: list[Group] = []
    for text in texts:
        _read(text, message, groups)
    groups = [group for group in groups if not _PER_RECIPIENT.isdisjoint(group.fields)]
    return Status(message, groups[:_RECIPIENT_LIMIT])


def _read(text: str, message: dict[str, str], groups: list[Group]) -> None:
    current = Group()
    groups.append(current)
    last: tuple[dict[str, str], str] | None = None
    after_blank = False
    for line in text.split("\n"):
        if not line.strip():
            after_blank, last = True, None
            continue
        match = _FIELD.fullmatch(line)
        name = match[1].lower() if match else ""
        is_known = name in _PER_RECIPIENT or name in _PER_MESSAGE or name.startswith("x-")
        if last and line[0] in " \t" and not (name in _PER_RECIPIENT or name in _PER_MESSAGE):
            fields, key = last
            fields[key] = f"{fields[key]} {line.strip()}"[:_VALUE_LIMIT]
            continue
        if not match or not is_known:
            last = None
            continue
        value = match[2].strip()[:_VALUE_LIMIT]
        if name in _PER_MESSAGE or (name not in _PER_RECIPIENT and not current.fields):
            message.setdefault(name, value)
            last = (message, name)
        else:
            if _begins_group(current, name, after_blank=after_blank):
                if len(groups) > _RECIPIENT_LIMIT:
                    return
                current = Group()
                groups.append(current)
            if name in current.fields and current.fields[name] != value:
                value = f"{current.fields[name]} {value}".strip()[:_VALUE_LIMIT]
            current.fields[name] = value
            last = (current.fields, name)
        after_blank = False


def _begins_group(current: Group, name: str, *, after_blank: bool) -> bool:
    """Whether a field is about the next recipient. A blank line should say so, and often lies."""
    fields = current.fields
    is_named = not _NAMES.isdisjoint(fields)
    if name in fields and name in {"final-recipient", "original-recipient", "action", "status"}:
        return True
    return after_blank and is_named and "action" in fields and "status" in fields
