"""Templates: mails with gaps in them, their versions, and what one comes to."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    WithJsonSchema,
    model_validator,
)

from maild.api.schemas.base import LIMIT_MAX, Input, SearchText, WorkspaceId, WorkspaceQuery
from maild.domain.template import TemplateFormat

TemplateId = Annotated[
    StrictInt, Field(ge=1, le=2**31 - 1, description="The number of the template.")
]
VersionNo = Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]


def _check_reference(value: Any) -> int | str:
    """One complaint, where a union would have one for each of its types."""
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**31:
        return value
    raise ValueError("must be the number or the name of a template")


TemplateRef = Annotated[
    StrictInt | str,
    PlainValidator(_check_reference),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
                {"type": "string", "minLength": 1},
            ]
        }
    ),
    Field(description="Its number, or its name in whatever case."),
]
MergeData = Annotated[
    dict[str, Any], Field(description="What `data.` names in it, as JSON: 32 KB at most.")
]


class TemplateSourceIn(Input):
    """A template as it is written."""

    subject: str = Field(description="With merge fields; one line.")
    preheader: str = Field("", description="What mail programs show beside the subject.")
    format: TemplateFormat = Field(
        TemplateFormat.HTML,
        description="What `source` is written in; `text`: the mail has no HTML part.",
    )
    source: str = Field("", description="HTML or MJML: 1 MB at most.")
    source_text: str = Field(
        "", description="The text part. Left out or empty, it is made of the HTML."
    )


class TemplateIn(TemplateSourceIn):
    name: str = Field(description="100 characters at most; a workspace has it once.")
    note: str | None = Field(None, description="What is to be said of it: 500 characters at most.")
    workspace_id: WorkspaceId | None = None


class TemplateSave(TemplateSourceIn):
    template_id: TemplateId
    version: VersionNo = Field(description="The version that was edited.")
    note: str | None = Field(None, description="What has changed: 500 characters at most.")
    workspace_id: WorkspaceId | None = None


class TemplateRestore(Input):
    template_id: TemplateId
    restored_version: VersionNo = Field(description="What it shall be again.")
    version: VersionNo = Field(description="The latest version that you know of.")
    workspace_id: WorkspaceId | None = None


class TemplateRename(Input):
    template_id: TemplateId
    name: str = Field(description="100 characters at most; a workspace has it once.")
    workspace_id: WorkspaceId | None = None


class TemplateChoice(Input):
    template_id: TemplateId
    workspace_id: WorkspaceId | None = None


class TemplateOut(BaseModel):
    id: int
    workspace_id: int
    name: str
    version: int = Field(description="The latest one, which is used.")
    created_by: str
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = Field(description="Since when it is out of use.")


class TemplateListed(TemplateOut):
    subject: str
    format: TemplateFormat
    saved_by: str = Field(description="Who saved the latest version.")


class TemplateQuery(WorkspaceQuery):
    q: SearchText | None = Field(None, description="A part of the name, in whatever case.")
    archived: bool = Field(False, description="Those that are out of use, instead of the others.")
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class TemplatePage(BaseModel):
    workspace_id: int
    count: int = Field(description="Templates on this page.")
    templates: list[TemplateListed]
    next_cursor: str | None


class MergeField(BaseModel):
    """A field that a template names."""

    name: str = Field(description="`contact.first_name`, `data.items[].price`, ...")
    has_default: bool = Field(description="Whether the mail is whole without it.")
    line: int = Field(description="Where it stands first.")


class TemplateFinding(BaseModel):
    """Something to be told about a template."""

    severity: Literal["stop", "warn", "hint"] = Field(
        description="`stop`: the mail is broken or dangerous; `warn`; `hint`."
    )
    code: str
    message: str
    advice: str
    line: int | None = Field(description="Of the source, where it is in one line.")


class TemplateVersionSummary(BaseModel):
    version: int
    subject: str
    format: TemplateFormat
    note: str | None
    created_by: str
    created_at: datetime


class TemplateVersionQuery(WorkspaceQuery):
    version: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Which version; the latest unless given."
    )


class TemplateVersionsQuery(WorkspaceQuery):
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class TemplateVersionPage(BaseModel):
    workspace_id: int
    template: TemplateOut
    count: int = Field(description="Versions on this page.")
    versions: list[TemplateVersionSummary]
    next_cursor: str | None


class TemplateVersionOut(TemplateVersionSummary):
    """A version, whole."""

    preheader: str
    source: str
    source_text: str
    html: str = Field(description="What the source comes to, before its gaps are filled.")
    body_text: str = Field(description="The text part, before its gaps are filled.")
    fields: list[MergeField]


class TemplateDetail(BaseModel):
    """A template with one of its versions."""

    template: TemplateOut
    shown: TemplateVersionOut


class TemplateSaved(TemplateDetail):
    is_new: bool = Field(description="False: nothing was changed, so there is no new version.")
    findings: list[TemplateFinding] = Field(description="Gravest first.")


class TemplateArchived(TemplateOut):
    status: Literal["archived"] = "archived"


class TemplateInUse(TemplateOut):
    status: Literal["in_use"] = "in_use"


class TemplatePreviewIn(Input):
    """Either `template`, or a source as for saving one."""

    template: TemplateRef | None = Field(
        None, description="A stored template: its number, or its name in whatever case."
    )
    version: VersionNo | None = Field(None, description="Which version of it; else the latest.")
    subject: str = Field("", description="As for saving a template, and so are the next four.")
    preheader: str = Field("", description="What mail programs show beside the subject.")
    format: TemplateFormat = Field(TemplateFormat.HTML, description="Of `source`.")
    source: str = Field("", description="HTML or MJML: 1 MB at most.")
    source_text: str = Field("", description="The text part; empty: it is made of the HTML.")
    contact_email: str | None = Field(
        None, description="The address of a contact: it is filled in as theirs would be."
    )
    contact: dict[str, Any] | None = Field(
        None, description="What `contact.` names, instead of a contact's own: 32 KB at most."
    )
    data: MergeData = Field(default_factory=dict)
    marketing: StrictBool = Field(
        True, description="False: as transactional mail, which has no links to unsubscribe."
    )
    from_email: str | None = Field(None, description="With it the sender is checked too.")
    workspace_id: WorkspaceId | None = None

    @model_validator(mode="after")
    def _check_one(self) -> "TemplatePreviewIn":
        named = {"subject", "preheader", "format", "source", "source_text"} & self.model_fields_set
        if self.template is not None and named:
            raise ValueError(f"give template or {sorted(named)[0]}, not both")
        if self.template is None and self.version is not None:
            raise ValueError("version is that of a template: name one")
        if self.contact is not None and self.contact_email is not None:
            raise ValueError("give contact or contact_email, not both")
        return self


class TemplatePreviewOut(BaseModel):
    """A mail as its recipient would get it."""

    workspace_id: int
    subject: str
    html: str | None = Field(description="Null: it has no HTML part.")
    text: str
    missing: list[str] = Field(
        description="Merge fields without a value and without a default. With one of them a"
        " message is refused."
    )
    fields: list[MergeField]
    findings: list[TemplateFinding] = Field(description="Gravest first.")
