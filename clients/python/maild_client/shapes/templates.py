"""Shapes: Templates. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict


class MergeField(TypedDict):
    """A field that a template names."""

    name: str
    has_default: bool
    line: int


class TemplateArchived(TypedDict):
    id: int
    workspace_id: int
    name: str
    version: int
    created_by: str
    created_at: str
    updated_at: str
    archived_at: str | None
    status: Literal["archived"]


class TemplateDetail(TypedDict):
    """A template with one of its versions."""

    template: TemplateOut
    shown: TemplateVersionOut


class TemplateFinding(TypedDict):
    """Something to be told about a template."""

    severity: Literal["stop", "warn", "hint"]
    code: str
    message: str
    advice: str
    line: int | None


TemplateFormat: TypeAlias = Literal["html", "mjml", "text"]


class TemplateInUse(TypedDict):
    id: int
    workspace_id: int
    name: str
    version: int
    created_by: str
    created_at: str
    updated_at: str
    archived_at: str | None
    status: Literal["in_use"]


class TemplateListed(TypedDict):
    id: int
    workspace_id: int
    name: str
    version: int
    created_by: str
    created_at: str
    updated_at: str
    archived_at: str | None
    subject: str
    format: TemplateFormat
    saved_by: str


class TemplateOut(TypedDict):
    id: int
    workspace_id: int
    name: str
    version: int
    created_by: str
    created_at: str
    updated_at: str
    archived_at: str | None


class TemplatePage(TypedDict):
    workspace_id: int
    count: int
    templates: list[TemplateListed]
    next_cursor: str | None


class TemplatePreviewOut(TypedDict):
    """A mail as its recipient would get it."""

    workspace_id: int
    subject: str
    html: str | None
    text: str
    missing: list[str]
    fields: list[MergeField]
    findings: list[TemplateFinding]


class TemplateSaved(TypedDict):
    template: TemplateOut
    shown: TemplateVersionOut
    is_new: bool
    findings: list[TemplateFinding]


class TemplateVersionOut(TypedDict):
    """A version, whole."""

    version: int
    subject: str
    format: TemplateFormat
    note: str | None
    created_by: str
    created_at: str
    preheader: str
    source: str
    source_text: str
    html: str
    body_text: str
    fields: list[MergeField]


class TemplateVersionPage(TypedDict):
    workspace_id: int
    template: TemplateOut
    count: int
    versions: list[TemplateVersionSummary]
    next_cursor: str | None


class TemplateVersionSummary(TypedDict):
    version: int
    subject: str
    format: TemplateFormat
    note: str | None
    created_by: str
    created_at: str
