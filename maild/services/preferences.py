"""The preference centre: what the holder of a link hears of from a workspace, and their choice.

A link takes back what was done by a link, and nothing else: what an admin, a program, a provider or
a complaint has stopped stays stopped, and the centre says so. Contacts are changed where there are
any, and never made.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import peewee

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass, SuppressionState
from maild.models import Contact, Suppression, Topic, Unsubscribe
from maild.services import (
    audit,
    email_search,
    locks,
    suppressions,
    topics,
    unsubscribe_choices,
    workspaces,
)
from maild.services.unsubscribe_choices import Whose
from maild.services.unsubscribe_links import Link
from maild.services.unsubscribe_standings import BY_LINK, PREFERENCES

SHOWN_MAX = 200
"""Topics on a page: those that are declared, and as many more that the person has named."""
_ROWS_MAX = 1_000
_WHY_BACK = "chosen again in the preference centre"


@dataclass(frozen=True, slots=True)
class Choice:
    """A topic as its reader sees it. `is_left`: they have unsubscribed from it; `is_locked`: that,
    in a way that no link undoes.
    """

    topic: str
    label: str
    description: str
    is_chosen: bool
    is_left: bool
    is_locked: bool


@dataclass(frozen=True, slots=True)
class Centre:
    """All that a link shows. `is_out` is of all marketing, `is_locked` in a way that no link
    undoes; `stopped_by` is what keeps all marketing from them, whatever they choose;
    `has_important`: other mail still reaches them.
    """

    workspace: str
    email: str
    choices: tuple[Choice, ...]
    is_out: bool
    is_locked: bool
    stopped_by: SuppressionClass | None
    has_important: bool


def get(link: Link) -> Centre:
    """What the holder of a link hears of now. Raises NotFound (the workspace)."""
    workspace = workspaces.get(link.workspace_id)
    left = _Left(link)
    contact = _find_contact(link)
    asked = set(contact.topics) if contact else set()
    # Who has named none may be mailed about any that they have not left.
    hears_of = (asked | ({link.topic} if link.topic else set())) if asked else None
    declared = {row.name: row for row in topics.list_all(link.workspace_id)}
    names = {name for name, row in declared.items() if row.is_public}
    stop = find_stop(link.workspace_id, link.email)
    own = asked | left.names | ({link.topic} if link.topic else set())
    shown = sorted(names | own, key=lambda name: _rank(declared.get(name), name))[:SHOWN_MAX]
    return Centre(
        workspace=workspace.name,
        email=link.email,
        choices=tuple(
            Choice(
                topic=name,
                label=declared[name].label if name in declared else name,
                description=declared[name].description if name in declared else "",
                is_chosen=not left.is_out
                and name not in left.names
                and (hears_of is None or name in hears_of),
                is_left=name in left.names,
                is_locked=left.is_locked or name in left.locked,
            )
            for name in shown
        ),
        is_out=left.is_out,
        is_locked=left.is_locked,
        stopped_by=stop.class_ if stop else None,
        has_important=not left.is_out_of_all_mail and (stop is None or stop.stream is not None),
    )


def choose(link: Link, chosen: Collection[str], *, by: Actor) -> None:
    """Hear of these topics, and of no other that the page shows. What it does not show, and what
    is locked, stays. Who has left everything and chooses nothing stays out of everything. Raises
    NotFound.
    """
    with database.atomic():
        locks.choosing_in_turn(link.workspace_id, link.email)
        centre = get(link)
        free = {one.topic for one in centre.choices if not one.is_locked}
        wanted = free & set(chosen)
        if centre.is_locked or (centre.is_out and not wanted):
            return
        back = [*sorted(wanted), *([None] if centre.is_out else [])]
        known = {one.topic for one in centre.choices if one.is_left}
        leave = sorted(free - wanted - known)
        _apply(link, leave=leave, back=back, free=free, wanted=wanted, by=by)


def leave_everything(link: Link, *, by: Actor) -> None:
    """Hear of nothing any more but important mail. Raises NotFound."""
    with database.atomic():
        locks.choosing_in_turn(link.workspace_id, link.email)
        workspaces.require(link.workspace_id)
        _apply(link, leave=[] if _Left(link).is_out else [None], free=None, by=by)


def come_back(link: Link, *, by: Actor) -> None:
    """Take back that they have left everything, as far as a link can: for who has no topics to
    choose from. Raises NotFound.
    """
    with database.atomic():
        locks.choosing_in_turn(link.workspace_id, link.email)
        workspaces.require(link.workspace_id)
        _apply(link, back=[None], free=set(), by=by)


def find_stop(workspace_id: int, email: str) -> Suppression | None:
    """What keeps all marketing from an address, whatever its owner chooses; first what keeps other
    mail from it too.
    """
    row: Suppression | None = (
        Suppression.select()
        .where(
            Suppression.workspace == workspace_id,
            email_search.is_exactly(Suppression.email, email),
            suppressions.in_state(SuppressionState.IN_FORCE),
            Suppression.stream.is_null() | (Suppression.stream == Stream.MARKETING),
        )
        .order_by(Suppression.stream.asc(nulls="first"))
        .first()
    )
    return row


def is_stopped_for_good(workspace_id: int, email: str) -> bool:
    """Whether something that no link takes back keeps all marketing from an address."""
    return find_stop(workspace_id, email) is not None or bool(
        Unsubscribe.select()
        .where(
            Unsubscribe.workspace == workspace_id,
            email_search.is_exactly(Unsubscribe.email, email),
            Unsubscribe.removed_at.is_null(),
            Unsubscribe.topic.is_null(),
            Unsubscribe.stream.is_null()
            | (Unsubscribe.stream == Stream.MARKETING) & Unsubscribe.source.not_in(BY_LINK),
        )
        .exists()
    )


class _Left:
    """What the address of a link has left, of marketing."""

    def __init__(self, link: Link) -> None:
        rows = list(
            Unsubscribe.select(Unsubscribe.stream, Unsubscribe.topic, Unsubscribe.source)
            .where(
                Unsubscribe.workspace == link.workspace_id,
                email_search.is_exactly(Unsubscribe.email, link.email),
                Unsubscribe.removed_at.is_null(),
                Unsubscribe.stream.is_null() | (Unsubscribe.stream == Stream.MARKETING),
            )
            .order_by(Unsubscribe.topic.asc(nulls="first"), Unsubscribe.id)
            .limit(_ROWS_MAX)
        )
        for_good = [row for row in rows if row.source not in BY_LINK or row.stream is None]
        self.names = {row.topic for row in rows if row.topic is not None}
        self.is_out = any(row.topic is None for row in rows)
        self.is_out_of_all_mail = any(row.topic is None and row.stream is None for row in rows)
        self.locked = {row.topic for row in for_good if row.topic is not None}
        self.is_locked = any(row.topic is None for row in for_good)


def _rank(row: Topic | None, name: str) -> tuple[bool, str, str]:
    """Declared ones first, by what people read."""
    return row is None, (row.label if row else name).casefold(), name


def _find_contact(link: Link) -> Contact | None:
    found: Contact | None = Contact.get_or_none(
        Contact.workspace_id == link.workspace_id,
        email_search.is_exactly(Contact.email, link.email),
    )
    return found


def _apply(
    link: Link,
    *,
    leave: Sequence[str | None] = (),
    back: Sequence[str | None] = (),
    free: set[str] | None,
    wanted: Collection[str] = (),
    by: Actor,
) -> None:
    """`free` are the topics that were to be chosen from, None all of them; `wanted` the chosen."""
    whose = Whose(link.workspace_id, link.email, link.message_id)
    applied = unsubscribe_choices.apply(
        whose, leave=leave, back=back, source=PREFERENCES, reason=_WHY_BACK, by=by
    )
    contact = _find_contact(link)
    is_changed = contact is not None and _set_topics(contact, free=free, wanted=wanted)
    unsubscribe_choices.record(whose, applied, reason=_WHY_BACK, by=by)
    if contact is not None and is_changed:
        audit.record(
            link.workspace_id, by, action="contact.chose_topics", target=f"contact:{contact.email}"
        )


def _set_topics(contact: Contact, *, free: set[str] | None, wanted: Collection[str]) -> bool:
    """Let a contact have asked for what is wanted; returns whether that is news."""
    kept = set() if free is None else set(contact.topics) - free
    asked = sorted(kept | set(wanted))
    return bool(
        Contact.update(topics=asked, version=Contact.version + 1, updated_at=peewee.fn.now())
        .where(Contact.id == contact.id, Contact.topics != asked)
        .execute()
    )
