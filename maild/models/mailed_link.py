"""A link that was mailed to a person, to be used once: it confirms an address, or lets a forgotten
password be chosen anew. Of its token only the hash is kept; a used one has no row.
"""

from enum import StrEnum

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import TextEnumField, TimestampField
from maild.models.person import Person


class Purpose(StrEnum):
    """What a link is for."""

    CONFIRM_EMAIL = "confirm_email"
    RESET_PASSWORD = "reset_password"


class MailedLink(BaseModel):
    id = peewee.AutoField()
    person_id: int
    person = peewee.ForeignKeyField(Person, on_delete="CASCADE", index=False)
    purpose = TextEnumField(Purpose)
    email = peewee.TextField(collation="pg_c_utf8")
    """Where it was mailed to. Where that is another than the person's, they mean to change it."""
    token_hash = peewee.BlobField()
    created_at = TimestampField()
    expires_at = DateTimeTZField()

    class Meta:
        table_name = "mailed_links"
        constraints = (
            peewee.Check("purpose IN ('confirm_email', 'reset_password')", "mailed_links_purpose"),
            peewee.Check("octet_length(token_hash) = 32", "mailed_links_token_hash"),
        )


MailedLink.add_index(MailedLink.token_hash, unique=True, name="mailed_links_by_token")
MailedLink.add_index(MailedLink.person, MailedLink.purpose, name="mailed_links_by_person")
