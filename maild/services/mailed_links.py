"""Links that are mailed to a person and used once: to confirm an address, and to choose a new
password where the old one is forgotten. Opening one changes nothing: scanners of links do that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import peewee

from maild import clock, log
from maild.db import database
from maild.domain.actor import Actor
from maild.errors import FieldError, MaildError, NotFound
from maild.models import MailedLink, Person
from maild.models.mailed_link import Purpose
from maild.services import audit, campaign_approvals, people, people_mail, tokens
from maild.services.workspaces import MAILDS_OWN_ID

CONFIRM_LIFETIME = timedelta(days=3)
RESET_LIFETIME = timedelta(hours=1)
CONFIRM_PATH = "/confirm/"
RESET_PATH = "/reset/"

GONE = "The link does not work: it was used, has run out, or a newer one was sent."

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that works: whose it is, and the address that it was mailed to."""

    person: Person
    email: str


def send_confirmation(person: Person, *, email: str | None = None) -> bool:
    """Mail the link that confirms the person's address, or another one that they want to have.

    Returns whether the mail will go out. Raises as `people_mail.send`, where the link before works
    on.
    """
    to_email = email or person.email
    with _new_link(person, Purpose.CONFIRM_EMAIL, to_email) as (url, expires_at):
        return people_mail.send(
            to_email,
            subject="Confirm your address for maild",
            # Without a name: whoever signs up with somebody's address could write to them in it.
            text=(
                "Hello,\n\n"
                "please confirm that this is your address. The link works for three days:\n"
                f"{url}\n\n"
                "If you did not ask for this, somebody typed your address by mistake, and there is"
                " nothing to do.\n"
            ),
            expires_at=expires_at,
        )


def send_reset(email: str) -> None:
    """Mail the link to choose a new password, if there is such a person. Whoever asks must not
    learn whether there is one, so it answers nothing. Raises as `people_mail.send`, where the link
    before works on.
    """
    person = people.find_by_email(email)
    if person is None:
        logger.info("person.reset_asked", is_known=False)
        return
    with _new_link(person, Purpose.RESET_PASSWORD, person.email) as (url, expires_at):
        people_mail.send(
            person.email,
            subject="Choose a new password for maild",
            text=(
                "Hello,\n\n"
                "with this link you choose a new password. It works once, for one hour:\n"
                f"{url}\n\n"
                "If you did not ask for this, there is nothing to do: your password stays as it"
                " is.\n"
            ),
            expires_at=expires_at,
        )
    logger.info("person.reset_asked", is_known=True, person_id=person.id)


def make_reset_url(person: Person) -> str:
    """The same link, for the command line to print."""
    with _new_link(person, Purpose.RESET_PASSWORD, person.email) as (url, _):
        return url


def open_reset(token: str) -> Opened:
    """Whose password the link would change. Raises NotFound."""
    return _open(token, Purpose.RESET_PASSWORD)


def open_confirmation(token: str) -> Opened:
    """Which address the link would confirm. Raises NotFound."""
    return _open(token, Purpose.CONFIRM_EMAIL)


def reset_password(token: str, new: str, *, by: Actor) -> Person:
    """Use a link to set a new password; all sessions of the person end, and their address is
    confirmed by it. Raises NotFound, InvalidFields.
    """
    opened = open_reset(token)
    person = opened.person
    password_hash = people.hash_password(new, email=person.email, name=person.name, field="new")
    with database.atomic():
        _use(token, person)
        people.store_password(person, password_hash, by=by, keep_session=None)
        if opened.email == person.email:
            _mark_verified(person)
    return person


def confirm(token: str, *, by: Actor) -> Opened:
    """Use a link to confirm an address; where it is a new one, it becomes the person's.

    Raises NotFound, and InvalidFields where somebody else has that address by now.
    """
    try:
        with database.atomic():
            opened = _open(token, Purpose.CONFIRM_EMAIL)
            person, email = opened.person, opened.email
            _use(token, person)
            if email == person.email:
                _mark_verified(person)
                return opened
            Person.update(email=email, email_verified_at=peewee.fn.now()).where(
                Person.id == person.id
            ).execute()
            MailedLink.delete().where(MailedLink.person == person.id).execute()
            campaign_approvals.follow_person(person.id, old=person.email, new=email)
            audit.record(
                MAILDS_OWN_ID,
                by,
                action="person.email_changed",
                target=email,
                before={"email": person.email},
                after={"email": email},
            )
            logger.warning("person.email_changed", person_id=person.id)
    except peewee.IntegrityError:
        raise people.invalid(FieldError("email", "has an account of its own by now")) from None
    return opened


def prune() -> None:
    """Remove what has run out."""
    MailedLink.delete().where(MailedLink.expires_at < clock.now()).execute()


@contextmanager
def _new_link(person: Person, purpose: Purpose, email: str) -> Iterator[tuple[str, datetime]]:
    """The URL of a new link, and when it runs out. Once its mail is accepted, the ones before it
    end; where that is refused, they work on, and this one does not.
    """
    token = tokens.make()
    is_reset = purpose is Purpose.RESET_PASSWORD
    expires_at = clock.now() + (RESET_LIFETIME if is_reset else CONFIRM_LIFETIME)
    row = MailedLink.create(
        person=person.id,
        purpose=purpose,
        email=email,
        token_hash=tokens.hash_of(token),
        expires_at=expires_at,
    )
    path = RESET_PATH if is_reset else CONFIRM_PATH
    try:
        yield people_mail.link(path + token), expires_at
    except MaildError:
        row.delete_instance()
        raise
    MailedLink.delete().where(
        MailedLink.person == person.id, MailedLink.purpose == purpose, MailedLink.id < row.id
    ).execute()


def _open(token: str, purpose: Purpose) -> Opened:
    row: MailedLink | None = (
        MailedLink.select(MailedLink, Person)
        .join(Person)
        .where(
            MailedLink.token_hash == tokens.hash_of(token),
            MailedLink.purpose == purpose,
            MailedLink.expires_at > clock.now(),
        )
        .first()
    )
    if row is None:
        raise NotFound(GONE)
    return Opened(row.person, row.email)


def _use(token: str, person: Person) -> None:
    """Of two who use a link at once, one has it. Raises NotFound."""
    # The person before their links, as everybody does who changes both: nobody waits in a circle.
    Person.select(Person.id).where(Person.id == person.id).for_update().first()
    used = MailedLink.delete().where(MailedLink.token_hash == tokens.hash_of(token)).execute()
    if not used:
        raise NotFound(GONE)


def _mark_verified(person: Person) -> None:
    Person.update(email_verified_at=peewee.fn.now()).where(
        Person.id == person.id, Person.email_verified_at.is_null()
    ).execute()
