"""A file of contacts that somebody has sent: what is in it, how it is read, what an import of it
would do, and the lines that were refused. It goes by itself after some days.
"""

import peewee
from playhouse.postgres_ext import ArrayField, DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import JsonField, TimestampField
from maild.models.workspace import Workspace


class ContactFile(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    """As its sender's machine calls it."""
    size_bytes = peewee.BigIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    digest = peewee.BlobField(null=True)
    """SHA-256 of the content: the same file again is recognised by it. None until it is there."""
    line_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    chunk_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    layout = JsonField()
    """Its delimiter, encoding, header, and what each column is (`domain/contact_layout.py`)."""
    options = JsonField()
    """What an import does with its lines: which list they join, what is left out, the consent."""
    foreseen = JsonField(null=True)
    """What an import would do, as of the last look at it; None while nobody has looked."""
    check_job_id = peewee.IntegerField(null=True)
    """The job that looks at it, or has."""
    import_job_id = peewee.IntegerField(null=True)
    """The job that imports it; None before."""
    created_by = peewee.TextField()
    created_at = TimestampField()
    received_at = DateTimeTZField(null=True)
    """When its last octet came; None: it is on its way, or its sender has given up."""

    class Meta:
        table_name = "contact_files"


ContactFile.add_index(ContactFile.workspace, ContactFile.id, name="contact_files_by_workspace")
ContactFile.add_index(ContactFile.created_at, name="contact_files_by_age")
"""What has been kept for long enough."""


class ContactFileChunk(BaseModel):
    """A part of the content, which ends where a row of the table does. Its octets are those of the
    file, but UTF-16 is kept as UTF-8.
    """

    file_id: int
    file = peewee.ForeignKeyField(ContactFile, on_delete="CASCADE", index=False)
    position = peewee.IntegerField()
    first_line = peewee.IntegerField()
    """The number of its first line, from 1."""
    line_count = peewee.IntegerField()
    content = peewee.BlobField()
    duplicates = ArrayField(
        peewee.IntegerField, index=False, constraints=[peewee.SQL("DEFAULT '{}'")]
    )
    """The lines whose address an earlier line of the file has, as of the last look."""

    class Meta:
        table_name = "contact_file_chunks"
        primary_key = peewee.CompositeKey("file", "position")


class ContactFileAddress(BaseModel):
    """While a file is looked at: the line on which an address comes for the first time."""

    file_id: int
    file = peewee.ForeignKeyField(ContactFile, on_delete="CASCADE", index=False)
    email = peewee.TextField(collation="pg_c_utf8")
    line = peewee.IntegerField()

    class Meta:
        table_name = "contact_file_addresses"
        primary_key = peewee.CompositeKey("file", "email")


class ContactRejection(BaseModel):
    """A line that was refused, and why: `reason` in a word, `problem` in a sentence."""

    file_id: int
    file = peewee.ForeignKeyField(ContactFile, on_delete="CASCADE", index=False)
    line = peewee.IntegerField()
    reason = peewee.TextField()
    problem = peewee.TextField()
    content = peewee.TextField()

    class Meta:
        table_name = "contact_rejections"
        primary_key = peewee.CompositeKey("file", "line")
