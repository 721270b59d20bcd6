"""Lists of contacts: in pages, as a filter asks for them, and all of them for a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from peewee import SQL, Field

from maild.db import connection
from maild.domain.contact import ContactStatus
from maild.domain.suppression import normalise_topic
from maild.models import Audience, AudienceMember, Contact
from maild.services import (
    contact_attributes,
    contact_standings,
    email_search,
    message_log,
    workspaces,
)
from maild.services.contact_standings import Standing, StandingState

EXPORT_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list shows; None is anything.

    `email` is a whole address in normal form, `email_start` the beginning of one; `audience_id` a
    list of the workspace; `topic` one that they have asked for.
    """

    email: str | None = None
    email_start: str | None = None
    domain: str | None = None
    audience_id: int | None = None
    topic: str | None = None
    status: ContactStatus | None = None
    state: StandingState | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Contacts, newest first, and how each stands, by its id; `older` is the id to go on from,
    where there are more.
    """

    contacts: list[Contact]
    standings: dict[int, Standing]
    older: int | None


def list_page(
    workspace_id: int,
    *,
    filter_: Filter | None = None,
    limit: int = 50,
    older_than: int | None = None,
) -> Page:
    """One page. Raises NotFound (the workspace), SearchTooLong."""
    asked = filter_ or Filter()
    query, place = _select(workspace_id, asked)
    if older_than is not None:
        query = query.where(place < older_than)
    with message_log.bounded():
        rows = list(query.order_by(place.desc()).limit(limit + 1))
        standings = contact_standings.look_up(workspace_id, rows[:limit])
        if not rows:
            workspaces.require(workspace_id)
    shown = rows[:limit]
    return Page(shown, standings, older=shown[-1].id if len(rows) > limit else None)


def list_audiences(workspace_id: int, contact_id: int) -> list[Audience]:
    """The lists that a contact is on, by name."""
    query = (
        Audience.select()
        .join(AudienceMember, on=AudienceMember.audience_id == Audience.id)
        .where(
            AudienceMember.contact_id == contact_id,
            Audience.workspace == workspace_id,
            Audience.removed_at.is_null(),
        )
    )
    return list(query.order_by(Audience.name))


def export(workspace_id: int, *, filter_: Filter) -> tuple[list[str], Iterator[list[Any]]]:
    """The names of the columns, and the rows that a filter finds, oldest first, read little by
    little: the last columns are the workspace's attributes.

    Each portion opens the database for itself, so that nobody who reads slowly keeps a connection.
    Raises NotFound (the workspace) at once, not in the middle.
    """
    with connection():
        workspaces.require(workspace_id)
        names = [row.name for row in contact_attributes.list_all(workspace_id)]
    columns = [*_COLUMNS, *(f"attributes.{name}" for name in names)]
    return columns, _read_all(workspace_id, filter_, names)


_COLUMNS = (
    "email", "name", "topics", "status", "standing", "left_topics", "consent_source", "consent_at",
    "consent_proof", "created_at", "id",
)  # fmt: skip


def _read_all(workspace_id: int, asked: Filter, names: Sequence[str]) -> Iterator[list[Any]]:
    last_id = 0
    while True:
        query, place = _select(workspace_id, asked)
        with connection():
            rows = list(query.where(place > last_id).order_by(place).limit(EXPORT_BATCH))
            standings = contact_standings.look_up(workspace_id, rows)
        for row in rows:
            yield _cells(row, standings[row.id], names)
        if len(rows) < EXPORT_BATCH:
            return
        last_id = rows[-1].id


def _cells(row: Contact, standing: Standing, names: Sequence[str]) -> list[Any]:
    values = {
        **row.__data__,
        "topics": ", ".join(row.topics),
        "standing": standing.state,
        "left_topics": ", ".join(standing.left_topics),
    }
    attributes = (row.attributes.get(name) for name in names)
    return [
        *(values[name] for name in _COLUMNS),
        *(str(value).lower() if isinstance(value, bool) else value for value in attributes),
    ]


def _select(workspace_id: int, f: Filter) -> tuple[Any, Field]:
    """The query without its order, and the column whose order it has: of a list the one by which
    its members are found.
    """
    query = Contact.select().where(Contact.workspace_id == workspace_id)
    place: Field = Contact.id
    if f.audience_id is not None:
        query = query.join(AudienceMember, on=AudienceMember.contact_id == Contact.id)
        query = query.where(AudienceMember.audience_id == f.audience_id)
        place = AudienceMember.contact_id
    if f.email is not None:
        query = query.where(email_search.is_exactly(Contact.email, f.email))
    if f.email_start is not None:
        query = query.where(email_search.starts_with(Contact.email, f.email_start))
    if f.domain is not None:
        query = query.where(email_search.is_of_domain(Contact.email, f.domain))
    if f.topic is not None:
        query = query.where(SQL("%s = ANY(t1.topics)", (normalise_topic(f.topic),)))
    if f.status is not None:
        query = query.where(Contact.status == f.status)
    if f.state is not None:
        query = query.where(contact_standings.is_in_state(f.state))
    return query, place
