"""Double opt-in: whoever gave an address is asked by mail whether they want to be a contact, and is
one once they have said yes on the page behind the link.

Asking is bounded for each contact, whoever asks: somebody may sign up with another's address. What
a yes takes back is what a link has stopped, of the topics that they asked for and of all marketing:
it is their own act, as every other link of theirs. So a contact that has left by a link and signs
up again is asked as well; what they leave after they were asked, an old link does not take back.
What an admin, a program, a provider or a complaint has stopped stays stopped.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee

from maild import clock
from maild.db import database
from maild.domain import client_address
from maild.domain.actor import Actor
from maild.domain.client_address import Address
from maild.domain.contact import ContactStatus
from maild.domain.states import Status, Stream
from maild.errors import Conflict, NotFound, TooManyRequests
from maild.models import Contact, Message, OptInAsk, Topic, Unsubscribe
from maild.services import (
    audit,
    confirmation_links,
    confirmation_mails,
    locks,
    messages,
    preferences,
    unsubscribe_choices,
    workspaces,
)
from maild.services.confirmation_links import Ask
from maild.services.submissions import NewMessage
from maild.services.unsubscribe_choices import Whose
from maild.services.unsubscribe_standings import BY_LINK

PER_HOUR, PER_DAY = 1, 3
"""Asks of one contact."""
CONSENT_SOURCE = "double_opt_in"
TAG = "maild-opt-in"
"""By which these mails are known among others."""
KEPT_DAYS = 30

_WHY_BACK = "confirmed their address by the link"
_GONE = "This link does not work."

# Of an address: whether anything keeps it from being asked.
_STOPS = """
SELECT EXISTS (
    SELECT FROM suppressions WHERE workspace_id = %(workspace)s AND email = %(email)s
        AND removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())
), EXISTS (
    SELECT FROM unsubscribes WHERE workspace_id = %(workspace)s AND email = %(email)s
        AND removed_at IS NULL AND topic IS NULL
        AND (stream IS NULL OR stream = 'transactional')
)
"""
_RECENT = """
SELECT count(*) FILTER (WHERE asked_at > now() - interval '1 hour'), count(*),
    extract(epoch FROM max(asked_at) + interval '1 hour' - now()),
    extract(epoch FROM min(asked_at) + interval '1 day' - now())
FROM opt_in_asks WHERE contact_id = %s AND asked_at > now() - interval '1 day'
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """The mail that asks, and until when its link works."""

    message: Message
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """What the page behind a link asks. `topics` are in the words that people read."""

    workspace: str
    email: str
    topics: tuple[str, ...]
    is_confirmed: bool
    """There is nothing left to ask."""
    has_left: bool
    """They have left all marketing by a link."""
    is_stopped: bool
    """Something that no link takes back keeps mail from them all the same."""


@dataclass(frozen=True, slots=True)
class History:
    """How often a contact was asked of late, and whether it can be asked now."""

    asked_at: datetime | None
    message_id: uuid.UUID | None
    why_not: str | None


def ask(workspace_id: int, contact: Contact, *, by: Actor) -> Asked:
    """Mail a contact, that is pending or has left by a link, the link by which it says yes.

    Raises NotFound (there is no such contact any more), Conflict (it is none that is asked:
    confirmed, suppressed, or out of all mail), TooManyRequests (it was asked a little while ago),
    and as `messages.submit`; nothing is sent then.
    """
    with database.atomic():
        row = _lock(workspace_id, contact.id, contact.email)
        _refuse(row)
        mail = confirmation_mails.get(workspace_id)
        asked: OptInAsk = (
            OptInAsk.insert(workspace=workspace_id, contact=row.id, asked_by=by.name)
            .returning(OptInAsk)
            .execute()[0]
        )
        expires_at = clock.now().replace(microsecond=0) + confirmation_links.LIFETIME
        url = confirmation_links.make_url(
            Ask(workspace_id, asked.id, row.id, row.email, expires_at)
        )
        message = messages.submit(
            workspace_id,
            NewMessage(
                from_email=mail.from_email,
                from_name=mail.from_name,
                to_email=row.email,
                subject=mail.subject,
                body_text=confirmation_mails.render(mail.body_text, url=url),
                # RFC 3834 5: no vacation note shall answer it.
                headers=(("Auto-Submitted", "auto-generated"),),
                tags=(TAG,),
            ),
        ).messages[0]
        if message.status is Status.SUPPRESSED:
            raise Conflict(_stopped(row.email))
        OptInAsk.update(message_id=message.id).where(OptInAsk.id == asked.id).execute()
        audit.record(
            workspace_id,
            by,
            action="contact.asked",
            target=_target(row),
            after={"message_id": str(message.id)},
        )
    return Asked(message, expires_at)


def needs_asking(contact: Contact) -> bool:
    """Whether there is something that a yes would change."""
    return contact.status is ContactStatus.PENDING or _could_come_back(contact, clock.now())


def look(contact: Contact) -> History:
    """When a contact was asked last, and why it cannot be asked now, if so."""
    latest: OptInAsk | None = (
        OptInAsk.select()
        .where(OptInAsk.contact == contact.id, OptInAsk.workspace == contact.workspace_id)
        .order_by(OptInAsk.asked_at.desc(), OptInAsk.id.desc())
        .first()
    )
    try:
        _refuse(contact)
    except (Conflict, TooManyRequests) as error:
        why_not: str | None = error.detail
    else:
        why_not = None
    return History(
        latest.asked_at if latest else None, latest.message_id if latest else None, why_not
    )


def open_link(token: str) -> Question:
    """What a link asks. Raises NotFound for all that is none, has run out, or is of a contact that
    is not there any more, with the same words.
    """
    ask_ = confirmation_links.open_token(token)
    contact: Contact | None = Contact.get_or_none(*_is(ask_))
    if contact is None:
        raise NotFound(_GONE)
    return _question(contact, ask_, is_done=False)


def confirm(token: str, *, address: Address | None, by: Actor) -> Question:
    """Say yes: the contact is active from now on, with this as its consent. Saying it again changes
    nothing, whatever has happened since. `address` is where they are. Raises NotFound.
    """
    ask_ = confirmation_links.open_token(token)
    with database.atomic():
        locks.choosing_in_turn(ask_.workspace_id, ask_.email)
        contact = _lock(ask_.workspace_id, ask_.contact_id, ask_.email)
        is_pending = contact.status is ContactStatus.PENDING
        message_id = _find_message(ask_)
        whose = Whose(ask_.workspace_id, contact.email, message_id)
        applied = unsubscribe_choices.apply(
            whose,
            back=[None, *contact.topics],
            before=None if is_pending else ask_.asked_at,
            reason=_WHY_BACK,
            by=by,
        )
        if is_pending or applied.ended:
            _activate(contact, proof=_proof(message_id, address))
            unsubscribe_choices.record(whose, applied, reason=_WHY_BACK, by=by)
            audit.record(
                ask_.workspace_id,
                by,
                action="contact.confirmed",
                target=_target(contact),
                after={"message_id": str(message_id) if message_id else None},
            )
    return _question(contact, ask_, is_done=True)


def prune() -> None:
    """Forget asks whose links have run out long ago."""
    OptInAsk.delete().where(
        OptInAsk.asked_at < peewee.fn.now() - peewee.SQL("%s * interval '1 day'", (KEPT_DAYS,))
    ).execute()


def _lock(workspace_id: int, contact_id: int, email: str) -> Contact:
    """The contact, which nobody else changes until the transaction ends. Raises NotFound."""
    row: Contact | None = (
        Contact.select()
        .where(
            Contact.id == contact_id, Contact.workspace_id == workspace_id, Contact.email == email
        )
        .for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
        .first()
    )
    if row is None:
        raise NotFound(_GONE)
    return row


def _refuse(contact: Contact) -> None:
    """Raises Conflict or TooManyRequests where a contact is not to be asked now."""
    if not needs_asking(contact):
        raise Conflict(f"{contact.email} is confirmed, or was added without being asked.")
    where = {"workspace": contact.workspace_id, "email": contact.email}
    if any(database.execute_sql(_STOPS, where).fetchone()):
        raise Conflict(_stopped(contact.email))
    in_hour, in_day, hour_left, day_left = database.execute_sql(_RECENT, (contact.id,)).fetchone()
    if in_day >= PER_DAY:
        raise _too_many(f"{PER_DAY} times within a day", day_left)
    if in_hour >= PER_HOUR:
        raise _too_many("within the hour", hour_left)


def _too_many(how: str, seconds_left: Any) -> TooManyRequests:
    return TooManyRequests(
        f"They were asked {how} already, and are not asked again so soon.",
        retry_after_seconds=max(1, round(float(seconds_left))),
    )


def _stopped(email: str) -> str:
    return f"{email} is suppressed, or has left all mail: it is not asked."


def _is(ask_: Ask) -> tuple[peewee.Expression, ...]:
    return (
        Contact.id == ask_.contact_id,
        Contact.workspace_id == ask_.workspace_id,
        Contact.email == ask_.email,
    )


def _find_message(ask_: Ask) -> uuid.UUID | None:
    row: OptInAsk | None = OptInAsk.get_or_none(
        OptInAsk.id == ask_.ask_id,
        OptInAsk.contact == ask_.contact_id,
        OptInAsk.workspace == ask_.workspace_id,
    )
    return row.message_id if row else None


def _activate(contact: Contact, *, proof: str) -> None:
    Contact.update(
        status=ContactStatus.ACTIVE,
        consent_source=CONSENT_SOURCE,
        consent_at=peewee.fn.now(),
        consent_proof=proof,
        version=Contact.version + 1,
        updated_at=peewee.fn.now(),
    ).where(Contact.id == contact.id).execute()


def _proof(message_id: uuid.UUID | None, address: Address | None) -> str:
    """What shows the consent: which mail was answered, and roughly from where."""
    known = [f"link in message {message_id}"] if message_id else ["link in a mail"]
    if address is not None:
        known.append(f"from {client_address.neighbourhood(address)}")
    return ", ".join(known)


def _could_come_back(contact: Contact, before: datetime) -> bool:
    """Whether a yes to what was asked then would take something back."""
    return bool(
        _left_by_link(contact)
        .where(
            Unsubscribe.created_at < before,
            Unsubscribe.topic.is_null() | (Unsubscribe.topic << list(contact.topics)),
        )
        .exists()
    )


def _left_by_link(contact: Contact) -> Any:
    return Unsubscribe.select().where(
        Unsubscribe.workspace == contact.workspace_id,
        Unsubscribe.email == contact.email,
        Unsubscribe.removed_at.is_null(),
        Unsubscribe.stream == Stream.MARKETING,
        Unsubscribe.source << list(BY_LINK),
    )


def _question(contact: Contact, ask_: Ask, *, is_done: bool) -> Question:
    labels: list[str] = []
    if contact.topics:
        rows = Topic.select().where(
            Topic.workspace == contact.workspace_id, Topic.name << list(contact.topics)
        )
        declared = {row.name: str(row.label) for row in rows}
        labels = [declared.get(name, name) for name in contact.topics]
    return Question(
        workspace=workspaces.get(contact.workspace_id).name,
        email=contact.email,
        topics=tuple(sorted(labels, key=str.casefold)),
        is_confirmed=is_done
        or (
            contact.status is ContactStatus.ACTIVE and not _could_come_back(contact, ask_.asked_at)
        ),
        has_left=_left_by_link(contact).where(Unsubscribe.topic.is_null()).exists(),
        is_stopped=preferences.is_stopped_for_good(contact.workspace_id, contact.email),
    )


def _target(contact: Contact) -> str:
    return f"contact:{contact.email}"
