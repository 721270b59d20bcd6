"""A contact: somebody whom a workspace may want to mail, with what it knows of them.

That an address is suppressed or has opted out is not written here: `suppressions` and
`unsubscribes` say so, and they alone.
"""

import peewee
from playhouse.postgres_ext import ArrayField, DateTimeTZField

from maild.db import BaseModel
from maild.domain.contact import AttributeKind, ContactStatus
from maild.models.fields import JsonField, TextEnumField, TimestampField
from maild.models.job import Job
from maild.models.workspace import Workspace


class Contact(BaseModel):
    id = peewee.BigAutoField()
    workspace_id = peewee.IntegerField()
    """Of one that is there: triggers see to it for all rows of a statement at once, where a foreign
    key would look at each.
    """
    email = peewee.TextField(collation="pg_c_utf8")
    """In the normal form of addresses, in lower case."""
    name = peewee.TextField(null=True)
    attributes = JsonField(constraints=[peewee.SQL("DEFAULT '{}'")])
    """By their names; each of the kind that `ContactAttribute` says."""
    topics = ArrayField(peewee.TextField, index=False, constraints=[peewee.SQL("DEFAULT '{}'")])
    """What they asked for, in normal form."""
    status = TextEnumField(ContactStatus, constraints=[peewee.SQL("DEFAULT 'active'")])
    consent_source = peewee.TextField(null=True)
    """Where they said that they want mail: `import`, `form`, `double_opt_in`, ..."""
    consent_at = DateTimeTZField(null=True)
    consent_proof = peewee.TextField(null=True)
    """What shows it: the address of the form, the number of the contract, ..."""
    version = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 1")])
    created_by = peewee.TextField()
    created_at = TimestampField()
    updated_at = TimestampField()
    is_named_again = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT false")])
    """Whether a file, a form or a program has named them since, though nothing of them changed."""

    class Meta:
        table_name = "contacts"
        constraints = (
            peewee.Check("email = lower(email)", "contacts_email"),
            peewee.Check("status IN ('pending', 'active')", "contacts_status"),
            peewee.Check("jsonb_typeof(attributes) = 'object'", "contacts_attributes"),
        )


Contact.add_index(Contact.workspace_id, Contact.email, unique=True, name="contacts_by_email")
"""One address is one contact; also finds those that begin with something."""
Contact.add_index(Contact.workspace_id, Contact.id, name="contacts_by_workspace")
"""The list, newest first."""
Contact.add_index(
    peewee.SQL(
        "CREATE INDEX contacts_of_domain ON contacts (workspace_id, split_part(email, '@', 2), id)"
    )
)


class ContactAttribute(BaseModel):
    """An attribute that contacts of a workspace may have: its name, and of which kind it is."""

    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    kind = TextEnumField(AttributeKind)
    created_by = peewee.TextField()
    created_at = TimestampField()
    removed_at = DateTimeTZField(null=True)
    """When somebody deleted it; its row goes when its values have gone."""

    class Meta:
        table_name = "contact_attributes"
        constraints = (
            peewee.Check(
                "kind IN ('text', 'number', 'boolean', 'date')", "contact_attributes_kind"
            ),
        )


ContactAttribute.add_index(
    ContactAttribute.workspace,
    ContactAttribute.name,
    unique=True,
    name="contact_attributes_by_name",
)


class ContactChange(BaseModel):
    """What a contact was before a job changed it, so that the job can be undone."""

    job_id: int
    job = peewee.ForeignKeyField(Job, on_delete="CASCADE", index=False)
    contact_id = peewee.BigIntegerField()
    """Of a contact that may be gone by now."""
    before = JsonField()
    """Its columns as they were; empty where it has only joined a list."""
    version = peewee.IntegerField()
    """What the job left: who finds another one finds it changed since."""
    is_new_member = peewee.BooleanField()
    """Whether the job has put it on the list."""

    class Meta:
        table_name = "contact_changes"
        primary_key = peewee.CompositeKey("job", "contact_id")


class ContactImportPart(BaseModel):
    """The contacts that one step of an import has made, so that it can be undone."""

    job_id: int
    job = peewee.ForeignKeyField(Job, on_delete="CASCADE", index=False)
    position = peewee.IntegerField()
    """Of the part of the file."""
    contact_ids = ArrayField(peewee.BigIntegerField, index=False)
    """Some may be gone by now. Each was of version 1."""

    class Meta:
        table_name = "contact_import_parts"
        primary_key = peewee.CompositeKey("job", "position")
