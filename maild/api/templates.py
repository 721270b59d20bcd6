"""/v1/templates: mails with gaps in them, their versions, and what they come to."""

from collections.abc import Iterable
from typing import Any

from maild.api import schemas
from maild.api.auth import OPERATORS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.api.query import parse_serial_cursor
from maild.domain import serial_cursor
from maild.domain.template import Finding, Source
from maild.errors import Conflict, NotFound
from maild.models import Template, TemplateVersion
from maild.services import template_checks, template_previews, templates
from maild.services.merge_fields import Field
from maild.services.templates import Filter, Saved

_ID_MAX = 2**31 - 1


@endpoint(
    "GET",
    "/v1/templates",
    summary="The templates of a workspace, newest first, in pages",
    allow=READERS,
    query=schemas.TemplateQuery,
    answer=schemas.TemplatePage,
)
def list_templates(caller: Caller, query: schemas.TemplateQuery) -> schemas.TemplatePage:
    """Without their texts. Those that are archived are listed with `archived=true`."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = templates.list_page(
        workspace_id,
        filter_=Filter(q=query.q, is_archived=query.archived),
        limit=query.limit,
        older_than=parse_serial_cursor(query.cursor),
    )
    return schemas.TemplatePage(
        workspace_id=workspace_id,
        count=len(page.templates),
        templates=[
            schemas.TemplateListed(
                **_fields(one.template),
                subject=one.subject,
                format=one.format,
                saved_by=one.saved_by,
            )
            for one in page.templates
        ],
        next_cursor=serial_cursor.write(page.older) if page.older else None,
    )


@endpoint(
    "POST",
    "/v1/templates",
    summary="Make a template",
    allow=OPERATORS,
    body=schemas.TemplateIn,
    answer=schemas.TemplateSaved,
    status=201,
    raises=(Conflict,),
)
def create_template(caller: Caller, body: schemas.TemplateIn) -> schemas.TemplateSaved:
    """It is compiled at once: a source that cannot be is refused, with the line. What else is to be
    said of it is in `findings`, and refuses nothing. 409 where there is one of that name.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    source = _source(body)
    saved = templates.create(
        workspace_id, name=body.name, source=source, note=body.note, by=caller.actor
    )
    return _saved(workspace_id, saved)


@endpoint(
    "GET",
    "/v1/templates/<template_id>",
    summary="One template with its latest version, or an earlier one",
    allow=READERS,
    query=schemas.TemplateVersionQuery,
    answer=schemas.TemplateDetail,
)
def get_template(
    caller: Caller, query: schemas.TemplateVersionQuery, template_id: str
) -> schemas.TemplateDetail:
    """Archived ones too. `html` and `body_text` are what the source comes to."""
    workspace_id = caller.workspace_id(query.workspace_id)
    template, version = templates.get_version(workspace_id, _parse(template_id), query.version)
    return schemas.TemplateDetail(
        template=schemas.TemplateOut(**_fields(template)), shown=_version(version)
    )


@endpoint(
    "GET",
    "/v1/templates/<template_id>/versions",
    summary="The versions of a template, newest first, in pages",
    allow=READERS,
    query=schemas.TemplateVersionsQuery,
    answer=schemas.TemplateVersionPage,
)
def list_template_versions(
    caller: Caller, query: schemas.TemplateVersionsQuery, template_id: str
) -> schemas.TemplateVersionPage:
    """Without their texts: `GET /v1/templates/{template_id}?version=` has those of one."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = templates.list_versions(
        workspace_id,
        _parse(template_id),
        limit=query.limit,
        older_than=parse_serial_cursor(query.cursor),
    )
    return schemas.TemplateVersionPage(
        workspace_id=workspace_id,
        template=schemas.TemplateOut(**_fields(page.template)),
        count=len(page.versions),
        versions=[schemas.TemplateVersionSummary(**_summary(one)) for one in page.versions],
        next_cursor=serial_cursor.write(page.older) if page.older else None,
    )


@endpoint(
    "POST",
    "/v1/templates/save",
    summary="Save a template as its next version",
    allow=OPERATORS,
    body=schemas.TemplateSave,
    answer=schemas.TemplateSaved,
    raises=(Conflict,),
)
def save_template(caller: Caller, body: schemas.TemplateSave) -> schemas.TemplateSaved:
    """What is sent from now on is made of it. `version` is the one that was edited: 409 where
    somebody has saved another since.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    saved = templates.save(
        workspace_id,
        body.template_id,
        source=_source(body),
        version=body.version,
        note=body.note,
        by=caller.actor,
    )
    return _saved(workspace_id, saved)


@endpoint(
    "POST",
    "/v1/templates/restore",
    summary="Make a template again what it was",
    allow=OPERATORS,
    body=schemas.TemplateRestore,
    answer=schemas.TemplateSaved,
    raises=(Conflict,),
)
def restore_template(caller: Caller, body: schemas.TemplateRestore) -> schemas.TemplateSaved:
    """As its next version: nothing is lost, and restoring another one takes it back."""
    workspace_id = caller.workspace_id(body.workspace_id)
    saved = templates.restore(
        workspace_id,
        body.template_id,
        restored=body.restored_version,
        version=body.version,
        by=caller.actor,
    )
    return _saved(workspace_id, saved)


@endpoint(
    "POST",
    "/v1/templates/rename",
    summary="Give a template another name",
    allow=OPERATORS,
    body=schemas.TemplateRename,
    answer=schemas.TemplateOut,
    raises=(Conflict,),
)
def rename_template(caller: Caller, body: schemas.TemplateRename) -> schemas.TemplateOut:
    """Programs that send by the old name find nothing from now on; its number stays."""
    template = templates.rename(
        caller.workspace_id(body.workspace_id), body.template_id, name=body.name, by=caller.actor
    )
    return schemas.TemplateOut(**_fields(template))


@endpoint(
    "DELETE",
    "/v1/templates",
    summary="Archive a template: nothing is sent with it any more",
    allow=OPERATORS,
    body=schemas.TemplateChoice,
    answer=schemas.TemplateArchived,
)
def archive_template(caller: Caller, body: schemas.TemplateChoice) -> schemas.TemplateArchived:
    """Its versions stay, its name is free, and it can be brought back."""
    template = templates.archive(
        caller.workspace_id(body.workspace_id), body.template_id, by=caller.actor
    )
    return schemas.TemplateArchived(**_fields(template))


@endpoint(
    "POST",
    "/v1/templates/bring-back",
    summary="Take an archived template into use again",
    allow=OPERATORS,
    body=schemas.TemplateChoice,
    answer=schemas.TemplateInUse,
    raises=(Conflict,),
)
def bring_back_template(caller: Caller, body: schemas.TemplateChoice) -> schemas.TemplateInUse:
    """409 where another one has its name by now."""
    template = templates.bring_back(
        caller.workspace_id(body.workspace_id), body.template_id, by=caller.actor
    )
    return schemas.TemplateInUse(**_fields(template))


@endpoint(
    "POST",
    "/v1/templates/preview",
    summary="What a template comes to, and what is to be said of it; nothing is stored",
    allow=READERS,
    body=schemas.TemplatePreviewIn,
    answer=schemas.TemplatePreviewOut,
)
def preview_template(caller: Caller, body: schemas.TemplatePreviewIn) -> schemas.TemplatePreviewOut:
    """Of a stored `template`, or of a source that is not stored. The links by which a recipient
    leaves are made when a message is sent: in their place are addresses that lead nowhere.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    contact = body.contact
    if body.contact_email is not None:
        contact = template_previews.get_contact_data(workspace_id, body.contact_email)
    source = _source(body)
    if body.template is not None:
        source = template_previews.find_source(workspace_id, body.template, body.version)
    preview = template_previews.of_source(
        workspace_id,
        source,
        contact=contact,
        data=body.data,
        has_way_out=body.marketing,
        from_email=body.from_email,
    )
    return schemas.TemplatePreviewOut(
        workspace_id=workspace_id,
        subject=preview.rendered.subject,
        html=preview.rendered.html,
        text=preview.rendered.text,
        missing=list(preview.rendered.missing),
        fields=[_field(one) for one in preview.fields],
        findings=_findings(preview.findings),
    )


def _parse(template_id: str) -> int:
    """Raises NotFound for a number that no template has."""
    if int(template_id) > _ID_MAX:
        raise NotFound(templates.NO_SUCH)
    return int(template_id)


def _source(body: schemas.TemplateSourceIn | schemas.TemplatePreviewIn) -> Source:
    return Source(
        subject=body.subject,
        format=body.format,
        source=body.source,
        source_text=body.source_text,
        preheader=body.preheader,
    )


def _saved(workspace_id: int, saved: Saved) -> schemas.TemplateSaved:
    source, compiled = templates.source_of(saved.version), saved.compiled
    return schemas.TemplateSaved(
        template=schemas.TemplateOut(**_fields(saved.template)),
        shown=_version(saved.version),
        is_new=saved.is_new,
        findings=_findings(template_checks.check(workspace_id, source, compiled)),
    )


def _fields(template: Template) -> dict[str, Any]:
    return {
        "id": template.id,
        "workspace_id": template.workspace_id,
        "name": template.name,
        "version": template.version,
        "created_by": template.created_by,
        "created_at": template.created_at,
        "updated_at": template.updated_at,
        "archived_at": template.archived_at,
    }


def _summary(version: TemplateVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "subject": version.subject,
        "format": version.format,
        "note": version.note,
        "created_by": version.created_by,
        "created_at": version.created_at,
    }


def _version(version: TemplateVersion) -> schemas.TemplateVersionOut:
    return schemas.TemplateVersionOut(
        **_summary(version),
        preheader=version.preheader,
        source=version.source,
        source_text=version.source_text,
        html=version.html,
        body_text=version.body_text,
        fields=[schemas.MergeField(**one) for one in version.fields],
    )


def _field(field: Field) -> schemas.MergeField:
    return schemas.MergeField(name=field.name, has_default=field.has_default, line=field.line)


def _findings(findings: Iterable[Finding]) -> list[schemas.TemplateFinding]:
    return [
        schemas.TemplateFinding(
            severity=one.severity.value,
            code=one.code,
            message=one.message,
            advice=one.advice,
            line=one.line,
        )
        for one in findings
    ]
