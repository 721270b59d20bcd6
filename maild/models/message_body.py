"""The content of a message, apart from it: read per attempt and on its page, never in a list."""

import uuid

import peewee
from playhouse.postgres_ext import ArrayField, DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import JsonField
from maild.models.message import Message


class MessageBody(BaseModel):
    message_id: uuid.UUID
    message = peewee.ForeignKeyField(Message, primary_key=True, on_delete="CASCADE")
    from_name = peewee.TextField(null=True)
    reply_to = peewee.TextField(null=True)
    headers = JsonField()
    """A list of [name, value], in the order in which they were given."""
    body_text = peewee.TextField(null=True)
    body_html = peewee.TextField(null=True)
    attachment_count = peewee.SmallIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    visible_to = peewee.TextField(null=True)
    """What the To header says where a submission has several recipients; None: the recipient."""
    visible_cc = ArrayField(peewee.TextField, index=False, null=True)
    pruned_at = DateTimeTZField(null=True)
    """When the content was removed, for it was old; the rest of the row tells of it."""

    class Meta:
        table_name = "message_bodies"
        constraints = (
            peewee.Check(
                "body_text IS NOT NULL OR body_html IS NOT NULL OR pruned_at IS NOT NULL",
                "message_bodies_not_empty",
            ),
        )


class MessageAttachment(BaseModel):
    message_id: uuid.UUID
    message = peewee.ForeignKeyField(Message, on_delete="CASCADE", index=False)
    position = peewee.SmallIntegerField()
    filename = peewee.TextField()
    content_type = peewee.TextField()
    content_id = peewee.TextField(null=True)
    content = peewee.BlobField()

    class Meta:
        table_name = "message_attachments"
        primary_key = peewee.CompositeKey("message", "position")
