"""How contacts stand: whether a campaign may mail them, and what keeps them from it. Kept nowhere:
`suppressions` and `unsubscribes` are asked at the moment, for all contacts of a page at once.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from peewee import fn

from maild.db import database
from maild.domain.contact import ContactStatus
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass, SuppressionState
from maild.models import Contact, Suppression, Unsubscribe
from maild.services import suppressions

# Each step is one into an index of what is in force.
_LOOK = """
SELECT email, 'suppression', id, stream, class, NULL, source, created_at, expires_at
FROM suppressions
WHERE workspace_id = %(workspace)s AND email = ANY(%(emails)s) AND removed_at IS NULL
    AND (expires_at IS NULL OR expires_at > now())
UNION ALL
SELECT email, 'unsubscribe', id, stream, NULL, topic, source, created_at, NULL
FROM unsubscribes
WHERE workspace_id = %(workspace)s AND email = ANY(%(emails)s) AND removed_at IS NULL
ORDER BY 1, 2, 3
"""


class StandingState(StrEnum):
    """How a contact stands, as lists filter by it: exactly one, the first that applies."""

    SUPPRESSED = "suppressed"
    """Marketing, or all mail, must not go there."""
    UNSUBSCRIBED = "unsubscribed"
    """They have left marketing, or all mail."""
    PENDING = "pending"
    """Nobody has confirmed the address yet."""
    OPEN = "open"
    """They can be mailed; but for the topics that they have left, if any."""


class BarKind(StrEnum):
    SUPPRESSION = "suppression"
    UNSUBSCRIBE = "unsubscribe"


@dataclass(frozen=True, slots=True)
class Bar:
    """A suppression or an unsubscribe in force. `stream` and `topic`: None is all of them;
    `class_` only a suppression has.
    """

    kind: BarKind
    id: int
    stream: Stream | None
    class_: SuppressionClass | None
    topic: str | None
    source: str
    created_at: Any
    expires_at: Any

    @property
    def stops_marketing(self) -> bool:
        """Whether no campaign may mail them, whatever its topic."""
        return self.topic is None and self.stream in {None, Stream.MARKETING}


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is in force about one contact."""

    is_pending: bool
    bars: tuple[Bar, ...] = ()

    @property
    def state(self) -> StandingState:
        kinds = {bar.kind for bar in self.bars if bar.stops_marketing}
        if BarKind.SUPPRESSION in kinds:
            return StandingState.SUPPRESSED
        if BarKind.UNSUBSCRIBE in kinds:
            return StandingState.UNSUBSCRIBED
        return StandingState.PENDING if self.is_pending else StandingState.OPEN

    @property
    def can_be_mailed(self) -> bool:
        """Whether a campaign may mail them: one about none of `left_topics`."""
        return self.state is StandingState.OPEN

    @property
    def is_suppressed(self) -> bool:
        return any(bar.kind is BarKind.SUPPRESSION and bar.stops_marketing for bar in self.bars)

    @property
    def is_unsubscribed(self) -> bool:
        return any(bar.kind is BarKind.UNSUBSCRIBE and bar.stops_marketing for bar in self.bars)

    @property
    def left_topics(self) -> list[str]:
        """The topics that they hear of no more, by name."""
        return sorted(
            {
                bar.topic
                for bar in self.bars
                if bar.topic is not None and bar.stream in {None, Stream.MARKETING}
            }
        )


def look_up(workspace_id: int, contacts: Sequence[Contact]) -> dict[int, Standing]:
    """The standing of each contact by its id, in one statement."""
    found: defaultdict[str, list[Bar]] = defaultdict(list)
    if contacts:
        values = {"workspace": workspace_id, "emails": [contact.email for contact in contacts]}
        for email, kind, id_, stream, class_, *more in database.execute_sql(_LOOK, values):
            bar = Bar(
                BarKind(kind),
                id_,
                Stream(stream) if stream else None,
                SuppressionClass(class_) if class_ else None,
                *more,
            )
            found[email].append(bar)
    return {
        contact.id: Standing(
            is_pending=contact.status is ContactStatus.PENDING,
            bars=tuple(found.get(contact.email, ())),
        )
        for contact in contacts
    }


def look_up_one(contact: Contact) -> Standing:
    """The standing of one contact."""
    return look_up(contact.workspace_id, [contact])[contact.id]


def is_in_state(state: StandingState) -> Any:
    """What finds the contacts that stand so."""
    if state is StandingState.SUPPRESSED:
        return _has_suppression()
    if state is StandingState.UNSUBSCRIBED:
        return _has_unsubscribe() & ~_has_suppression()
    status = ContactStatus.PENDING if state is StandingState.PENDING else ContactStatus.ACTIVE
    return (Contact.status == status) & ~_has_suppression() & ~_has_unsubscribe()


def _has_suppression() -> Any:
    return fn.EXISTS(
        Suppression.select(1).where(
            Suppression.workspace == Contact.workspace_id,
            Suppression.email == Contact.email,
            suppressions.in_state(SuppressionState.IN_FORCE),
            Suppression.stream.is_null() | (Suppression.stream == Stream.MARKETING),
        )
    )


def _has_unsubscribe() -> Any:
    return fn.EXISTS(
        Unsubscribe.select(1).where(
            Unsubscribe.workspace == Contact.workspace_id,
            Unsubscribe.email == Contact.email,
            Unsubscribe.removed_at.is_null(),
            Unsubscribe.topic.is_null(),
            Unsubscribe.stream.is_null() | (Unsubscribe.stream == Stream.MARKETING),
        )
    )
