"""Templates: mails with gaps in them. Every save makes a version, and a version never changes.

A source is compiled when it is saved (`template_sources`), so that what does not compile is never
kept, and filled in when it is used (`template_rendering`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import peewee

from maild.db import database
from maild.domain import submission
from maild.domain import template as limits
from maild.domain.actor import Actor
from maild.domain.template import Source, TemplateFormat
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import Template, TemplateVersion
from maild.services import audit, template_sources, workspaces
from maild.services.template_sources import Compiled

VERSIONS_SHOWN = 50
NO_SUCH = "There is no such template."


@dataclass(frozen=True, slots=True)
class Saved:
    """A template with its latest version, and what that was compiled to. `is_new`: the version was
    made just now.
    """

    template: Template
    version: TemplateVersion
    compiled: Compiled
    is_new: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """Which templates. `q` is a part of the name, in whatever case."""

    q: str | None = None
    is_archived: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """A template with what a list shows of its latest version: no texts but the subject."""

    template: Template
    subject: str
    format: TemplateFormat
    saved_by: str


@dataclass(frozen=True, slots=True)
class Page:
    """Templates, newest first; `older` is the id after which the next page begins, if there is
    one.
    """

    templates: list[Listed]
    older: int | None


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Versions without their texts, newest first; `older` is the number before which the next page
    begins, if there is one.
    """

    template: Template
    versions: list[TemplateVersion]
    older: int | None


def create(
    workspace_id: int, *, name: str, source: Source, note: str | None = None, by: Actor
) -> Saved:
    """A new template, at version 1. Raises InvalidFields, NotFound (the workspace), Conflict
    (another template has the name, or there are too many).
    """
    name = _check_name(name)
    compiled = _compile(source, note)
    with database.atomic():
        workspaces.require(workspace_id)
        _lock(workspace_id)
        _check_count(workspace_id)
        _refuse_taken(workspace_id, name)
        insert = Template.insert(workspace=workspace_id, name=name, created_by=by.name)
        [template] = insert.returning(Template).execute()
        version = _add_version(template, 1, source, compiled, note=note, by=by)
        _record(template, by, "created", after=_facts(version))
    return Saved(template, version, compiled, is_new=True)


def save(
    workspace_id: int,
    template_id: int,
    *,
    source: Source,
    version: int,
    note: str | None = None,
    by: Actor,
) -> Saved:
    """Save a template as its next version; where nothing is changed, there is none. `version` is
    the one that was edited. Raises InvalidFields, NotFound, Conflict (it is not the latest any
    more, or the template is archived).
    """
    compiled = _compile(source, note)
    with database.atomic():
        template = _get_for_change(workspace_id, template_id)
        return _save(template, source, compiled, version=version, note=note, by=by, verb="saved")


def restore(
    workspace_id: int, template_id: int, *, restored: int, version: int, by: Actor
) -> Saved:
    """Save what a template was at the version `restored`, as its next version. `version` is the
    latest that is known. Raises NotFound, Conflict, and InvalidFields where maild does not compile
    it any more.
    """
    _, old = get_version(workspace_id, template_id, restored)
    source = source_of(old)
    note = f"Version {restored} again"
    compiled = _compile(source, note)
    with database.atomic():
        template = _get_for_change(workspace_id, template_id)
        return _save(template, source, compiled, version=version, note=note, by=by, verb="restored")


def rename(workspace_id: int, template_id: int, *, name: str, by: Actor) -> Template:
    """Raises InvalidFields, NotFound, Conflict (another one has the name, or it is archived).
    Whoever sends by the old name finds nothing from now on.
    """
    name = _check_name(name)
    with database.atomic():
        _lock(workspace_id)
        template = _get_for_change(workspace_id, template_id)
        if template.name == name:
            return template
        _refuse_taken(workspace_id, name, but=template.id)
        before = template.name
        changed = _change(template, name=name)
        _record(changed, by, "renamed", before={"name": before}, after={"name": name})
    return changed


def archive(workspace_id: int, template_id: int, *, by: Actor) -> Template:
    """Take a template out of use; its name is free again. Nothing of it is lost. Raises NotFound;
    one that is archived already stays so.
    """
    with database.atomic():
        template = _get_locked(workspace_id, template_id)
        if template.archived_at is not None:
            return template
        changed = _change(template, archived_at=peewee.fn.now())
        _record(changed, by, "archived")
    return changed


def bring_back(workspace_id: int, template_id: int, *, by: Actor) -> Template:
    """Take an archived template into use again. Raises NotFound, Conflict (another one has its name
    by now). One that is in use stays so.
    """
    with database.atomic():
        _lock(workspace_id)
        template = _get_locked(workspace_id, template_id)
        if template.archived_at is None:
            return template
        _refuse_taken(workspace_id, template.name)
        changed = _change(template, archived_at=None)
        _record(changed, by, "brought_back")
    return changed


def get(workspace_id: int, template_id: int) -> Template:
    """One template, archived or not. Raises NotFound, also for another workspace's."""
    template: Template | None = Template.get_or_none(
        Template.id == template_id, Template.workspace == workspace_id
    )
    if template is None:
        raise NotFound(NO_SUCH)
    return template


def get_version(
    workspace_id: int, template_id: int, version: int | None = None
) -> tuple[Template, TemplateVersion]:
    """A template, archived or not, with one of its versions, whole; None: the latest. Raises
    NotFound.
    """
    template = get(workspace_id, template_id)
    number = template.version if version is None else version
    found = TemplateVersion.get_or_none(
        TemplateVersion.template == template.id, TemplateVersion.version == number
    )
    if found is None:
        raise NotFound(f"There is no version {number} of this template.")
    return template, found


def find_by_name(workspace_id: int, name: str) -> Template | None:
    """The template in use of that name, in whatever case."""
    found: Template | None = Template.get_or_none(
        Template.workspace == workspace_id,
        peewee.fn.lower(Template.name) == peewee.fn.lower(name),
        Template.archived_at.is_null(),
    )
    return found


def list_page(
    workspace_id: int,
    *,
    filter_: Filter | None = None,
    limit: int = 50,
    older_than: int | None = None,
) -> Page:
    """One page. Raises NotFound (the workspace)."""
    f = filter_ or Filter()
    query = (
        Template.select(
            Template,
            TemplateVersion.subject.alias("subject"),
            TemplateVersion.format.alias("format"),
            TemplateVersion.created_by.alias("saved_by"),
        )
        .join(
            TemplateVersion,
            on=(TemplateVersion.template == Template.id)
            & (TemplateVersion.version == Template.version),
        )
        .where(Template.workspace == workspace_id, Template.archived_at.is_null(not f.is_archived))
        .order_by(Template.id.desc())
        .limit(limit + 1)
    )
    if older_than is not None:
        query = query.where(Template.id < older_than)
    if f.q:
        query = query.where(
            peewee.fn.strpos(peewee.fn.lower(Template.name), peewee.fn.lower(f.q)) > 0
        )
    rows = list(query.objects())
    if not rows:
        workspaces.require(workspace_id)
    has_more, rows = len(rows) > limit, rows[:limit]
    return Page([_listed(row) for row in rows], rows[-1].id if has_more else None)


def list_versions(
    workspace_id: int,
    template_id: int,
    *,
    limit: int = VERSIONS_SHOWN,
    older_than: int | None = None,
) -> VersionPage:
    """One page of a template's versions. Raises NotFound."""
    template = get(workspace_id, template_id)
    v = TemplateVersion
    query = v.select(
        v.id, v.template, v.version, v.subject, v.format, v.note, v.created_by, v.created_at
    ).where(v.template == template.id)
    if older_than is not None:
        query = query.where(v.version < older_than)
    rows = list(query.order_by(v.version.desc()).limit(limit + 1))
    has_more, rows = len(rows) > limit, rows[:limit]
    return VersionPage(template, rows, rows[-1].version if has_more else None)


def source_of(version: TemplateVersion) -> Source:
    """What a version was written as."""
    return Source(
        subject=version.subject,
        format=version.format,
        source=version.source,
        source_text=version.source_text,
        preheader=version.preheader,
    )


def compiled_of(version: TemplateVersion) -> Compiled:
    """What a version was compiled to; what was found then is not kept."""
    fields = tuple(template_sources.field_of(one) for one in version.fields)
    return Compiled(version.html, version.body_text, fields, ())


def _listed(row: Any) -> Listed:
    """A row of the list, which has some columns of its version as well."""
    return Listed(row, row.subject, TemplateFormat(row.format), row.saved_by)


def _save(
    template: Template,
    source: Source,
    compiled: Compiled,
    *,
    version: int,
    note: str | None,
    by: Actor,
    verb: str,
) -> Saved:
    latest = TemplateVersion.get(
        TemplateVersion.template == template.id, TemplateVersion.version == template.version
    )
    if template.version != version:
        raise Conflict(
            f"Version {template.version} was saved meanwhile, by {latest.created_by}. Look at it"
            " before you save yours."
        )
    if source_of(latest) == source:
        return Saved(template, latest, compiled, is_new=False)
    changed = _change(template, version=version + 1)
    saved = _add_version(changed, version + 1, source, compiled, note=note, by=by)
    _record(changed, by, verb, before=_facts(latest), after=_facts(saved), reason=note)
    return Saved(changed, saved, compiled, is_new=True)


def _add_version(
    template: Template,
    number: int,
    source: Source,
    compiled: Compiled,
    *,
    note: str | None,
    by: Actor,
) -> TemplateVersion:
    insert = TemplateVersion.insert(
        template=template.id,
        version=number,
        subject=source.subject,
        preheader=source.preheader,
        format=source.format,
        source=source.source,
        source_text=source.source_text,
        html=compiled.html,
        body_text=compiled.text,
        fields=[asdict(field) for field in compiled.fields],
        note=note or None,
        created_by=by.name,
    )
    [version] = insert.returning(TemplateVersion).execute()
    return version  # type: ignore[no-any-return]


def _change(template: Template, **values: Any) -> Template:
    [changed] = (
        Template.update(**values, updated_at=peewee.fn.now())
        .where(Template.id == template.id)
        .returning(Template)
        .execute()
    )
    return changed  # type: ignore[no-any-return]


def _get_for_change(workspace_id: int, template_id: int) -> Template:
    template = _get_locked(workspace_id, template_id)
    if template.archived_at is not None:
        raise Conflict("This template is archived. Bring it back to change it.")
    return template


def _get_locked(workspace_id: int, template_id: int) -> Template:
    template: Template | None = (
        Template.select()
        .where(Template.id == template_id, Template.workspace == workspace_id)
        .for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
        .first()
    )
    if template is None:
        raise NotFound(NO_SUCH)
    return template


def _lock(workspace_id: int) -> None:
    """Of two who mean the same name, one waits for the other."""
    database.execute_sql(
        "SELECT 1 FROM workspaces WHERE id = %s FOR NO KEY UPDATE", (workspace_id,)
    )


def _check_count(workspace_id: int) -> None:
    of_workspace = Template.select(Template.id).where(Template.workspace == workspace_id)
    if of_workspace.limit(limits.TEMPLATES_MAX).count(database) >= limits.TEMPLATES_MAX:
        raise Conflict(f"There are {limits.TEMPLATES_MAX:,} templates already.")


def _refuse_taken(workspace_id: int, name: str, *, but: int | None = None) -> None:
    other = find_by_name(workspace_id, name)
    if other is not None and other.id != but:
        raise Conflict(f"There is a template called “{other.name}” already. Choose another name.")


def _check_name(name: str) -> str:
    name = " ".join(name.split(" ")).strip()
    complaints = list(submission.check_line("name", name, max_chars=limits.NAME_MAX_CHARS))
    if not name:
        complaints = [("name", "is required and must not be empty")]
    if name.isascii() and name.isdigit():
        complaints = [("name", "must not be a number alone: it would be taken for an id")]
    _raise_for(complaints)
    return name


def _compile(source: Source, note: str | None) -> Compiled:
    if note:
        _raise_for(list(submission.check_line("note", note, max_chars=limits.NOTE_MAX_CHARS)))
    return template_sources.compile_source(source)


def _raise_for(complaints: Sequence[submission.Complaint]) -> None:
    if complaints:
        problems = [FieldError(field, message) for field, message in complaints]
        raise InvalidFields(summarise(problems), errors=problems)


def _facts(version: TemplateVersion) -> dict[str, Any]:
    """What the audit log tells of a version: not its texts, which are kept with it."""
    return {
        "version": version.version,
        "subject": version.subject,
        "format": version.format.value,
        "html_chars": len(version.html),
        "text_chars": len(version.body_text),
    }


def _record(
    template: Template,
    by: Actor,
    verb: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    audit.record(
        template.workspace_id,
        by,
        action=f"template.{verb}",
        target=f"template {template.name}",
        before=before,
        after=after,
        reason=reason,
    )
