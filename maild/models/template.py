"""A template: a mail with gaps in it, and all the versions that it had."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.template import TemplateFormat
from maild.models.fields import JsonField, TextEnumField, TimestampField
from maild.models.workspace import Workspace


class Template(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    version = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 1")])
    """The latest of its versions: the one that is used."""
    created_by = peewee.TextField()
    created_at = TimestampField()
    updated_at = TimestampField()
    archived_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "templates"


Template.add_index(
    peewee.SQL(
        "CREATE UNIQUE INDEX templates_by_name ON templates (workspace_id, lower(name))"
        " WHERE archived_at IS NULL"
    )
)
Template.add_index(Template.workspace, Template.id, name="templates_by_workspace")


class TemplateVersion(BaseModel):
    """What a template was at one time; it never changes."""

    id = peewee.AutoField()
    template_id: int
    template = peewee.ForeignKeyField(Template, on_delete="CASCADE", index=False)
    version = peewee.IntegerField()
    subject = peewee.TextField()
    preheader = peewee.TextField(constraints=[peewee.SQL("DEFAULT ''")])
    """What mail programs show beside the subject."""
    format = TextEnumField(TemplateFormat)
    source = peewee.TextField()
    """HTML or MJML as it was written; empty for mail of text alone."""
    source_text = peewee.TextField(constraints=[peewee.SQL("DEFAULT ''")])
    """The text part as it was written; empty: it is made from the HTML."""
    html = peewee.TextField()
    """What `source` comes to, with its styles inlined: ready to be filled in."""
    body_text = peewee.TextField()
    """The text part, ready to be filled in."""
    fields = JsonField()
    """The merge fields that it names (`services/merge_fields.py`)."""
    note = peewee.TextField(null=True)
    """What its writer says of the change."""
    created_by = peewee.TextField()
    created_at = TimestampField()

    class Meta:
        table_name = "template_versions"
        constraints = (
            peewee.Check("format IN ('html', 'mjml', 'text')", "template_versions_format"),
        )


TemplateVersion.add_index(
    TemplateVersion.template,
    TemplateVersion.version,
    unique=True,
    name="template_versions_by_number",
)
