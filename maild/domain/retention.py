"""For how long what is kept, in days: the bounds, and what a workspace's choice comes to. Pure.

None is for ever, which only the instance can choose; in a workspace's choice it means: as the
instance does.
"""

from dataclasses import dataclass, fields
from enum import StrEnum

DAYS_MAX = 3_650


class Subject(StrEnum):
    """What has a time of its own."""

    BODIES = "bodies"
    """What messages say: texts, headers, attachments."""
    MESSAGES = "messages"
    """The messages themselves, with attempts, events, decisions, provider events; and the
    incidents, jobs and notifications that are over.
    """
    WEBHOOKS = "webhooks"
    """What providers sent, as it came."""
    AUDIT = "audit"
    """Who did what."""


DAYS_MIN: dict[Subject, int] = {
    Subject.BODIES: 1,
    Subject.MESSAGES: 7,
    Subject.WEBHOOKS: 1,
    Subject.AUDIT: 90,
}
"""Less would take what is still needed: idempotency keys and late reports ask for messages of the
last days, and a log that forgets within a quarter proves little.
"""


@dataclass(frozen=True, slots=True)
class Keep:
    """Days for each subject; None: for ever."""

    bodies: int | None
    messages: int | None
    webhooks: int | None
    audit: int | None

    def days(self, subject: Subject) -> int | None:
        value: int | None = getattr(self, subject.value)
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """What a workspace has chosen; None: as the instance does."""

    bodies: int | None = None
    messages: int | None = None
    webhooks: int | None = None
    audit: int | None = None


def merge(choice: Choice, default: Keep) -> Keep:
    """What a workspace keeps: its own days, or the instance's."""
    return Keep(
        **{
            field.name: own if (own := getattr(choice, field.name)) is not None
            else getattr(default, field.name)
            for field in fields(Keep)
        }
    )  # fmt: skip


def check(choice: Choice, default: Keep) -> list[tuple[str, str]]:
    """What is wrong with a choice: (field, sentence)."""
    problems = []
    for subject in Subject:
        days = getattr(choice, subject.value)
        if days is not None and not DAYS_MIN[subject] <= days <= DAYS_MAX:
            words = f"must be {DAYS_MIN[subject]:,} to {DAYS_MAX:,} days"
            problems.append((f"{subject.value}_days", words))
    if not problems:
        problems += [
            (f"{name}_days", sentence) for name, sentence in find_conflicts(merge(choice, default))
        ]
    return problems


def find_conflicts(keep: Keep) -> list[tuple[str, str]]:
    """What is kept of a message does not outlive it: (subject, sentence)."""
    found = []
    for subject in (Subject.BODIES, Subject.WEBHOOKS):
        days = keep.days(subject)
        if keep.messages is not None and (days is None or days > keep.messages):
            words = f"must not be longer than messages are kept, which is {keep.messages:,} days"
            found.append((subject.value, words))
    return found
