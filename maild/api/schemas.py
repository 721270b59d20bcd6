"""The shapes of /v1: what requests may hold and what answers do. OpenAPI is generated from these.

Types only. What a value must be beyond its type (an address, a header name, a size) is decided by
the services, for every way in.
"""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Base64Bytes, BaseModel, ConfigDict, Field, StrictInt

from maild.domain.states import AttemptStatus, Status, Stream

WorkspaceId = Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]
LIMIT_MAX = 200


class Input(BaseModel):
    """A JSON body: no unknown fields, so that a misspelt one is an error and not a surprise."""

    model_config = ConfigDict(extra="forbid")


class Query(BaseModel):
    """A query string: texts are turned into what the fields say; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class AttachmentIn(Input):
    filename: str
    content_type: str = "application/octet-stream"
    content_base64: Base64Bytes
    content_id: str | None = Field(
        None, description="Makes it an inline part that the HTML shows as `cid:...`."
    )


class MessageIn(Input):
    from_email: str
    to_email: str
    subject: str
    body_text: str | None = Field(None, description="body_text or body_html is required.")
    body_html: str | None = None
    workspace_id: WorkspaceId | None = Field(None, description="1 unless given.")
    from_name: str | None = None
    reply_to: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    attachments: list[AttachmentIn] = Field(default_factory=list, max_length=100)
    stream: Stream = Stream.TRANSACTIONAL
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="Yours; echoed in answers and events."
    )
    scheduled_at: AwareDatetime | None = Field(
        None, description="Not sent before this time (RFC 3339, with a zone)."
    )


class MessageSummary(BaseModel):
    """A message without its content, as in the log."""

    id: uuid.UUID
    workspace_id: int
    from_email: str
    to_email: str
    subject: str
    status: Status
    stream: Stream
    tags: list[str]
    metadata: dict[str, Any]
    attempt_count: int
    next_attempt_at: datetime | None
    scheduled_at: datetime | None
    last_error: str | None
    error_class: str | None
    smtp_account: str | None = Field(description="The SMTP account of the latest attempt.")
    message_id_header: str
    created_at: datetime
    updated_at: datetime


class MessageOut(MessageSummary):
    """A message with its text."""

    body_text: str | None


class LogQuery(Query):
    workspace_id: int | None = Field(None, ge=1, le=2**31 - 1)
    limit: int = Field(50, ge=1, le=LIMIT_MAX)
    cursor: str | None = Field(None, description="`next_cursor` of the page before.")
    since: AwareDatetime | None = Field(None, alias="from", description="From this time on.")
    until: AwareDatetime | None = Field(None, alias="to", description="Before this time.")
    status: Status | None = None
    stream: Stream | None = None
    to_email: str | None = Field(None, description="The whole address.")
    from_email: str | None = Field(None, description="The whole address.")
    subject: str | None = Field(None, description="Anywhere in the subject, without case.")
    q: str | None = Field(None, description="Anywhere in the subject or an address, without case.")
    tag: str | None = None
    smtp_account: str | None = None
    error_class: str | None = None


class LogPage(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    workspace_id: int
    since: datetime | None = Field(alias="from")
    until: datetime | None = Field(alias="to")
    count: int = Field(description="Messages on this page.")
    messages: list[MessageSummary]
    next_cursor: str | None


class WorkspaceQuery(Query):
    workspace_id: int | None = Field(None, ge=1, le=2**31 - 1)


class TimelineQuery(WorkspaceQuery):
    message_id: str


class AttemptOut(BaseModel):
    attempt_no: int
    status: AttemptStatus
    smtp_account: str
    remote: str | None = Field(description="The host and port that were dialled.")
    started_at: datetime
    finished_at: datetime | None
    duration_ms: int | None
    success: bool
    stage: str | None = Field(description="The step of the SMTP dialogue that decided.")
    smtp_code: int | None
    enhanced_code: str | None
    response: str | None
    error_class: str | None
    timings: dict[str, float] | None = Field(description="Milliseconds per step.")


class EventOut(BaseModel):
    id: int
    type: str
    data: dict[str, Any]
    created_at: datetime


class TimelineOut(BaseModel):
    message: MessageOut
    attempts: list[AttemptOut]
    events: list[EventOut]


class SmtpAccountIn(Input):
    name: str
    host: str
    port: StrictInt
    from_email: str
    username: str | None = None
    password: str | None = Field(None, description="Kept encrypted; never comes back.")
    security: Literal["auto", "starttls", "tls", "none"] = "auto"
    workspace_id: WorkspaceId | None = None


class SmtpAccountOut(BaseModel):
    workspace_id: int
    name: str
    host: str
    port: int
    username: str | None
    from_email: str
    security: str
    active: bool
    created_at: datetime
    updated_at: datetime


class SmtpAccountSaved(SmtpAccountOut):
    status: Literal["saved_encrypted"] = "saved_encrypted"


class SmtpAccountList(BaseModel):
    workspace_id: int
    count: int
    accounts: list[SmtpAccountOut]


class SmtpAccountName(Input):
    name: str
    workspace_id: WorkspaceId | None = None


class SmtpAccountActivated(BaseModel):
    workspace_id: int
    name: str
    status: Literal["active"] = "active"


class Problem(BaseModel):
    """RFC 9457, with maild's additions."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    error: str
    errors: list[dict[str, str]] | None = None
