"""People: finding them, and what they change about themselves. Signing up is `sign_ups`, their
sessions are `sessions`, the second factor is `second_factors`.
"""

import unicodedata

import peewee

from maild import log
from maild.db import database
from maild.domain import display_name
from maild.domain.actor import Actor
from maild.errors import FieldError, InvalidFields, NotFound, summarise
from maild.models import MailedLink, Person
from maild.models.mailed_link import Purpose
from maild.services import addresses, audit, passwords, sessions
from maild.services.workspaces import MAILDS_OWN_ID

NAME_MAX_CHARS = 80

logger = log.get(__name__)


def get(person_id: int) -> Person:
    """Raises NotFound."""
    row = find(person_id)
    if row is None:
        raise NotFound("There is no such person.")
    return row


def find(person_id: int) -> Person | None:
    """The person of this id."""
    row: Person | None = Person.get_or_none(Person.id == person_id)
    return row


def find_by_email(email: str) -> Person | None:
    """The person with this address, in whatever case it is typed."""
    try:
        normal = normal_email(email)
    except InvalidFields:
        return None
    row: Person | None = Person.get_or_none(Person.email == normal)
    return row


def authenticate(email: str, password: str) -> Person | None:
    """The person whose address and password these are. It takes as long where there is none."""
    person = find_by_email(email)
    if not passwords.is_right(password, person.password_hash if person else None):
        return None
    assert person is not None
    if passwords.is_outdated(person.password_hash):
        Person.update(password_hash=passwords.make_hash(password)).where(
            Person.id == person.id, Person.password_hash == person.password_hash
        ).execute()
    return person


def require_password(person_id: int, password: str, *, field: str = "password") -> Person:
    """Have a person show again that it is them. Raises InvalidFields."""
    person = get(person_id)
    if not passwords.is_right(password, person.password_hash):
        raise invalid(FieldError(field, "is not your password"))
    return person


def rename(person_id: int, name: str) -> None:
    """Raises InvalidFields."""
    Person.update(name=check_name(name)).where(Person.id == person_id).execute()


def change_password(
    person_id: int, *, current: str, new: str, by: Actor, keep_session: int
) -> Person:
    """Choose another password; every other session ends. Raises InvalidFields."""
    person = require_password(person_id, current, field="current")
    password_hash = hash_password(new, email=person.email, name=person.name, field="new")
    with database.atomic():
        # Whoever knows the old one must not undo a change that came while theirs was hashed.
        is_as_before = Person.password_changed_at == person.password_changed_at
        known = Person.select().where(Person.id == person_id, is_as_before).for_update()
        if known.first() is None:
            raise invalid(FieldError("current", "is not your password any more"))
        store_password(person, password_hash, by=by, keep_session=keep_session)
    return person


def hash_password(password: str, *, email: str, name: str, field: str = "password") -> str:
    """The hash of a password that is good enough for this person. Takes some 50 ms, so it stays
    outside of transactions. Raises InvalidFields.
    """
    if fault := passwords.find_fault(password, about=(email, name)):
        raise invalid(FieldError(field, fault))
    return passwords.make_hash(password)


def store_password(
    person: Person, password_hash: str, *, by: Actor, keep_session: int | None
) -> None:
    """Give a person another password, in the caller's transaction; every session but
    `keep_session` ends, and so does what was mailed to choose a password or another address:
    whoever knew the old one may have asked for it.
    """
    Person.update(password_hash=password_hash, password_changed_at=peewee.fn.now()).where(
        Person.id == person.id
    ).execute()
    sessions.end_all(person.id, but=keep_session)
    MailedLink.delete().where(
        MailedLink.person == person.id,
        (MailedLink.purpose == Purpose.RESET_PASSWORD) | (MailedLink.email != person.email),
    ).execute()
    audit.record(MAILDS_OWN_ID, by, action="person.password_changed", target=person.email)
    logger.warning("person.password_changed", person_id=person.id)


def normal_email(email: str, *, field: str = "email") -> str:
    """The normal form that people are known by: as of addresses, in lower case. Raises
    InvalidFields.
    """
    text = email.strip()
    if not text:
        raise invalid(FieldError(field, "is required"))
    try:
        # Composed again: some capitals have a small letter in one piece, and no other.
        return unicodedata.normalize("NFC", addresses.parse(text).text.lower())
    except ValueError as error:
        raise invalid(FieldError(field, str(error))) from None


def check_name(name: str, *, field: str = "name") -> str:
    """The name without the spaces around it. Raises InvalidFields."""
    name = name.strip()
    if fault := display_name.find_fault(name, max_chars=NAME_MAX_CHARS):
        raise invalid(FieldError(field, fault))
    return name


def invalid(*errors: FieldError) -> InvalidFields:
    """The error that names these fields."""
    return InvalidFields(summarise(errors), errors=errors)
