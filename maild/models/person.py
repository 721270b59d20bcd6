"""A person who signs in: an address, a name, a password, and perhaps a second factor.

The password is only ever an Argon2id hash, the secret of the second factor only ciphertext, and of
a recovery code only the SHA-256 is kept.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import TimestampField


class Person(BaseModel):
    id = peewee.AutoField()
    email = peewee.TextField(collation="pg_c_utf8")
    """In the normal form of addresses, in lower case."""
    name = peewee.TextField()
    password_hash = peewee.TextField()
    password_changed_at = TimestampField()
    email_verified_at = DateTimeTZField(null=True)
    totp_secret_encrypted = peewee.BlobField(null=True)
    totp_enabled_at = DateTimeTZField(null=True)
    """None while the second factor is only being set up."""
    totp_last_step = peewee.BigIntegerField(null=True)
    """The time step of the last code that was taken: no code is taken twice (RFC 6238 5.2). While
    the second factor is being set up, a step before it was begun.
    """
    seen_at = TimestampField()
    last_visit_at = DateTimeTZField(null=True)
    """When the visit before this one ended."""
    created_at = TimestampField()

    class Meta:
        table_name = "people"
        constraints = (
            peewee.Check("email = lower(email)", "people_email"),
            peewee.Check(
                "totp_enabled_at IS NULL OR totp_secret_encrypted IS NOT NULL",
                "people_second_factor",
            ),
        )


Person.add_index(Person.email, unique=True, name="people_by_email")


class RecoveryCode(BaseModel):
    id = peewee.AutoField()
    person_id: int
    person = peewee.ForeignKeyField(Person, on_delete="CASCADE", index=False)
    code_hash = peewee.BlobField()
    used_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "recovery_codes"


RecoveryCode.add_index(RecoveryCode.person, name="recovery_codes_by_person")
