"""Drafts: what somebody has typed into a template and not saved, one for each person and template.

A draft is what its writer's preview shows, and what is there again after a browser that crashed.
Nobody else sees it, nothing is ever sent from it but a test, and it is forgotten after a while.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from peewee import SQL, fn

from maild.db import database
from maild.domain.storable import clean_json, clean_text
from maild.errors import NotFound
from maild.models import TemplateDraft

KEPT_DAYS = 30

_KEEP = """
INSERT INTO template_drafts AS d (workspace_id, person_id, template_id, version, typed, html)
VALUES (%(workspace)s, %(person)s, %(template)s, %(version)s, %(typed)s, coalesce(%(html)s, ''))
ON CONFLICT (workspace_id, person_id, coalesce(template_id, 0)) DO UPDATE
SET version = excluded.version, typed = excluded.typed, html = coalesce(%(html)s, d.html),
    updated_at = now()
RETURNING id
"""


def keep(
    workspace_id: int,
    person_id: int,
    *,
    template_id: int | None,
    version: int,
    typed: Mapping[str, str],
    html: str | None,
) -> int:
    """Keep what was typed in place of what the person typed before; returns the draft's id.
    `template_id` is one of the workspace's, or None for a new template; `html` None: what is typed
    cannot be shown, and the HTML from before stays. NUL and halves of characters, which PostgreSQL
    cannot keep, are replaced.
    """
    with database.atomic():
        row = database.execute_sql(
            _KEEP,
            {
                "workspace": workspace_id,
                "person": person_id,
                "template": template_id,
                "version": version,
                "typed": json.dumps(clean_json(dict(typed))),
                "html": None if html is None else clean_text(html),
            },
        ).fetchone()
    return int(row[0])


def find(workspace_id: int, person_id: int, *, template_id: int | None) -> TemplateDraft | None:
    """What the person has typed into a template, or into a new one (None), without its HTML."""
    columns = [column for name, column in TemplateDraft._meta.fields.items() if name != "html"]
    query = TemplateDraft.select(*columns).where(
        TemplateDraft.workspace == workspace_id,
        TemplateDraft.person == person_id,
        TemplateDraft.template.is_null()
        if template_id is None
        else TemplateDraft.template == template_id,
    )
    found: TemplateDraft | None = query.first()
    return found


def find_started_at(workspace_id: int, person_id: int) -> datetime | None:
    """When the person last typed into a template that they have not saved yet."""
    draft = find(workspace_id, person_id, template_id=None)
    return None if draft is None else draft.updated_at


def get(workspace_id: int, person_id: int, draft_id: int) -> TemplateDraft:
    """One draft, whole. Raises NotFound, also for what somebody else has typed."""
    found: TemplateDraft | None = TemplateDraft.get_or_none(
        TemplateDraft.workspace == workspace_id,
        TemplateDraft.person == person_id,
        TemplateDraft.id == draft_id,
    )
    if found is None:
        raise NotFound("There is no such draft: it was saved, or given up.")
    return found


def drop(workspace_id: int, person_id: int, *, template_id: int | None) -> bool:
    """Give up what the person has typed; returns whether there was something."""
    query = TemplateDraft.delete().where(
        TemplateDraft.workspace == workspace_id,
        TemplateDraft.person == person_id,
        TemplateDraft.template.is_null()
        if template_id is None
        else TemplateDraft.template == template_id,
    )
    return bool(query.execute())


def prune() -> None:
    """Forget what nobody has typed into for KEPT_DAYS."""
    TemplateDraft.delete().where(
        TemplateDraft.updated_at < fn.now() - SQL("%s * interval '1 day'", (KEPT_DAYS,))
    ).execute()
