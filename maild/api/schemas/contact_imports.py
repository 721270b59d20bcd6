"""Imports of contacts: files, what their columns are, and what became of their rows."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt

from maild.api.schemas.base import (
    Input,
    SearchText,
    Timestamp,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.domain.contact import AttributeKind
from maild.domain.contact_layout import COLUMNS_MAX
from maild.domain.job import JobStatus

ImportId = Annotated[StrictInt, Field(ge=1, le=2**31 - 1, description="The import's.")]
Use = Annotated[
    Literal["email", "name", "attribute", "topics", "consent_at", "consent_source", "consent_proof"]
    | None,
    Field(description="What the column is; null: it is left out."),
]
Delimiter = Literal[",", ";", "\t", "|"]
Encoding = Literal["utf-8", "cp1252", "iso8859-15", "cp1250", "cp1251", "cp1253", "cp1254"]


class ImportFileQuery(WorkspaceQuery):
    name: SearchText | None = Field(None, description="What the file is called.")


class ImportColumn(Input):
    use: Use
    name: str | None = Field(None, description="The attribute's, for `use: attribute`.")
    kind: AttributeKind | None = Field(None, description="The attribute's, for `use: attribute`.")


class ImportColumnOut(BaseModel):
    use: Use
    name: str | None
    kind: AttributeKind | None
    header: str | None = Field(description="As the file calls it; null without a header.")


class ImportConsent(Input):
    at: Timestamp = Field(description="When they consented.")
    source: str | None = Field(None, description="Where; `import` unless given.")
    proof: str | None = Field(None, description="What proves it.")


class ImportConfigure(Input):
    id: ImportId
    encoding: Encoding | None = Field(None, description="As was found, unless given.")
    delimiter: Delimiter | None = Field(None, description="As was found, unless given.")
    has_header: StrictBool | None = Field(
        None, description="Whether the first row has the names of the columns; as was found,"
        " unless given.",
    )  # fmt: skip
    columns: Annotated[list[ImportColumn], Field(max_length=COLUMNS_MAX)] | None = Field(
        None, description="What each column is, in order; as was guessed, unless given."
    )
    audience_id: Annotated[StrictInt, Field(ge=1, le=2**31 - 1)] | None = Field(
        None, description="The list that the contacts join."
    )
    audience_name: str | None = Field(None, description="A new list that they join.")
    topics: list[str] = Field(default_factory=list, description="Added to those that a row names.")
    consent: ImportConsent | None = Field(None, description="Of rows that name none.")
    update_known: StrictBool = Field(
        True, description="Whether contacts that are known take over what the file says."
    )
    leave_out_roles: StrictBool = Field(
        True, description="Refuse addresses of functions, such as `info@`."
    )
    leave_out_disposable: StrictBool = Field(True, description="Refuse throw-away addresses.")
    workspace_id: WorkspaceId | None = None


class ImportStart(Input):
    id: ImportId
    check_job_id: Annotated[StrictInt, Field(ge=1, le=2**31 - 1)] | None = Field(
        None, description="The look that you have seen; refused where there was another since."
    )
    workspace_id: WorkspaceId | None = None


class ImportUndo(Input):
    id: ImportId
    reason: str = Field(description="500 characters at most.")
    workspace_id: WorkspaceId | None = None


class ImportCounts(BaseModel):
    """`rows` = `new` + `updated` + `unchanged` + `duplicate` + `rejected`, and `rejected` is the
    sum of `reasons`.
    """

    rows: int = Field(description="With something on them, but for the header.")
    new: int
    updated: int = Field(description="Known, and changed by the row.")
    unchanged: int = Field(description="Known, and nothing new.")
    duplicate: int = Field(description="An earlier row of the file has the address.")
    rejected: int
    reasons: dict[str, int] = Field(description="How many were refused for which reason.")


class ImportJob(BaseModel):
    id: int
    status: JobStatus
    handled_count: int
    total_count: int | None = Field(description="Of a look a guess, until it has ended.")
    error: str | None


class ImportOptions(BaseModel):
    audience_id: int | None
    audience_name: str | None
    topics: list[str]
    consent_at: datetime | None
    consent_source: str | None
    consent_proof: str | None
    update_known: bool
    leave_out_roles: bool
    leave_out_disposable: bool


class ImportOut(BaseModel):
    id: int
    workspace_id: int
    name: str
    size_bytes: int
    line_count: int
    created_by: str
    created_at: datetime
    encoding: str
    delimiter: str
    has_header: bool
    columns: list[ImportColumnOut]
    options: ImportOptions
    check: ImportJob | None = Field(description="The job that looks at the file, or has.")
    foreseen: ImportCounts | None = Field(
        description="What an import would do; null until a look has ended."
    )
    job: ImportJob | None = Field(description="The job that imports the file, or has.")
    counts: ImportCounts | None = Field(description="What the import has done until now.")
    joined: int = Field(description="How many of the rows' contacts are new on the list.")
    undo: ImportJob | None = Field(description="The job that takes the import back, or has.")


class ImportDetails(ImportOut):
    sample: list[list[str]] = Field(description="The cells of the first rows.")


class ImportPage(BaseModel):
    workspace_id: int
    count: int = Field(description="Imports in this list.")
    imports: list[ImportOut]
