"""Changing the address that a person signs in with: asked for with the password, done by the link
that goes to the new address, and told to the old one.
"""

from maild import log
from maild.errors import FieldError
from maild.services import mailed_links, people, people_mail

logger = log.get(__name__)


def ask(person_id: int, *, email: str, password: str) -> str:
    """Mail a link to the new address; returns it in normal form. Raises InvalidFields, and as
    `people_mail.send`, where nothing is changed.
    """
    person = people.require_password(person_id, password)
    new = people.normal_email(email)
    if new == person.email:
        raise people.invalid(FieldError("email", "is your address already"))
    if people.find_by_email(new) is not None:
        raise people.invalid(FieldError("email", "has an account of its own"))
    mailed_links.send_confirmation(person, email=new)
    people_mail.send_news(
        person.email,
        name=person.name,
        what=f"somebody who knows your password asked to change its address to {new}",
    )
    logger.warning("person.email_change_asked", person_id=person.id)
    return new
