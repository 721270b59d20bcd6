"""The shapes of /v1: what requests may hold and what answers do. OpenAPI is generated from these.

Types only. What a value must be beyond its type (an address, a header name, a size) is decided by
the services, for every way in.
"""

import base64
import re
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Base64Encoder,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    EncodedBytes,
    Field,
    StrictInt,
)

from maild.domain import submission
from maild.domain.states import AttemptStatus, Status, Stream

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


class _StrictBase64(Base64Encoder):
    """Base64 that refuses what is not in the alphabet, where Python's would skip it and go on."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        try:  # many tools wrap lines (RFC 2045 6.8); nothing else may stand between
            return base64.b64decode(b"".join(data.split()), validate=True)
        except ValueError:
            raise ValueError("must be base64 (RFC 4648 4)") from None


def _check_time_text(value: Any) -> Any:
    """Pydantic would take a number too, and guess whether it means seconds or milliseconds."""
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be a time such as 2026-01-31T09:30:00Z")
    return value


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie in the years 1 to 9999 in UTC") from None


def _refuse_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain NUL characters")
    return value


Timestamp = Annotated[AwareDatetime, BeforeValidator(_check_time_text), AfterValidator(_to_utc)]
SearchText = Annotated[str, Field(min_length=1), AfterValidator(_refuse_nul)]
WorkspaceId = Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]
LIMIT_MAX = 200


class Input(BaseModel):
    """A JSON body: no unknown fields, so that a misspelt one is an error and not a surprise."""

    model_config = ConfigDict(extra="forbid")

    missing_is_400: ClassVar[bool] = False
    """Whether a missing required field is answered 400, as for sending, or 422."""


class Query(BaseModel):
    """A query string: texts are turned into what the fields say; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class AttachmentIn(Input):
    filename: str
    content_type: str = "application/octet-stream"
    content_base64: Annotated[bytes, EncodedBytes(encoder=_StrictBase64)]
    content_id: str | None = Field(
        None, description="Makes it an inline part that the HTML shows as `cid:...`."
    )


class MessageIn(Input):
    missing_is_400 = True

    from_email: str
    to_email: str
    subject: str
    body_text: str | None = Field(None, description="body_text or body_html is required.")
    body_html: str | None = None
    workspace_id: WorkspaceId | None = Field(None, description="1 unless given.")
    from_name: str | None = None
    reply_to: str | None = None
    headers: dict[str, str] = Field(default_factory=dict, max_length=submission.HEADERS_MAX)
    attachments: list[AttachmentIn] = Field(default_factory=list, max_length=100)
    stream: Stream = Stream.TRANSACTIONAL
    tags: list[str] = Field(default_factory=list, max_length=submission.TAGS_MAX)
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="Yours; echoed in answers and events."
    )
    scheduled_at: Timestamp | None = Field(
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
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")
    since: Timestamp | None = Field(None, alias="from", description="From this time on.")
    until: Timestamp | None = Field(None, alias="to", description="Before this time.")
    status: Status | None = None
    stream: Stream | None = None
    to_email: SearchText | None = Field(None, description="The whole address.")
    from_email: SearchText | None = Field(None, description="The whole address.")
    subject: SearchText | None = Field(None, description="Anywhere in the subject, without case.")
    q: SearchText | None = Field(
        None, description="Anywhere in the subject or an address, without case."
    )
    tag: SearchText | None = None
    smtp_account: SearchText | None = None
    error_class: SearchText | None = None


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
    name: SearchText = Field(description="`default` is the account of the environment.")
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
