"""A draft: what one person has typed into a template and not saved. Nobody else sees it."""

import peewee

from maild.db import BaseModel
from maild.models.fields import JsonField, TimestampField
from maild.models.person import Person
from maild.models.template import Template
from maild.models.workspace import Workspace


class TemplateDraft(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    person_id: int
    person = peewee.ForeignKeyField(Person, on_delete="CASCADE", index=False)
    template_id: int | None
    template = peewee.ForeignKeyField(Template, on_delete="CASCADE", index=False, null=True)
    """None: of one that is not saved yet."""
    version = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """From which version of the template it was made."""
    typed = JsonField()
    """Each field of the form by its name, as text."""
    html = peewee.TextField()
    """The HTML part as the preview shows it, filled in."""
    updated_at = TimestampField()

    class Meta:
        table_name = "template_drafts"


TemplateDraft.add_index(
    peewee.SQL(
        "CREATE UNIQUE INDEX template_drafts_by_person"
        " ON template_drafts (workspace_id, person_id, coalesce(template_id, 0))"
    )
)
TemplateDraft.add_index(TemplateDraft.person, name="template_drafts_by_person_id")
TemplateDraft.add_index(TemplateDraft.template, name="template_drafts_by_template")
TemplateDraft.add_index(TemplateDraft.updated_at, name="template_drafts_by_update")
