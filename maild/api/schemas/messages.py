"""Messages: submitting, reading, searching, following."""

import base64
import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    Base64Encoder,
    BaseModel,
    ConfigDict,
    EncodedBytes,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    WrapValidator,
)

from maild.api.schemas.base import (
    Input,
    Query,
    SearchText,
    Timestamp,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.domain import submission
from maild.domain.states import AttemptStatus, Status, Stream

LIMIT_MAX = 200
BATCH_MAX = 500


class _StrictBase64(Base64Encoder):
    """Base64 that refuses what is not in the alphabet, where Python's would skip it and go on."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        try:  # many tools wrap lines (RFC 2045 6.8); nothing else may stand between
            return base64.b64decode(b"".join(data.split()), validate=True)
        except ValueError:
            raise ValueError("must be base64 (RFC 4648 4)") from None


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
    expires_at: Timestamp | None = Field(
        None,
        description="Not sent after this time. Without it the stream's lifetime decides, from"
        " when the message may be sent.",
    )


def _keep_going(
    value: Any, handler: ModelWrapValidatorHandler[MessageIn]
) -> MessageIn | ValidationError:
    """One bad entry does not spoil the rest: what is wrong with it stands in its place."""
    try:
        return handler(value)
    except ValidationError as error:
        return error


class BatchIn(Input):
    workspace_id: WorkspaceId | None = Field(None, description="Of all entries; 1 unless given.")
    messages: list[Annotated[MessageIn, WrapValidator(_keep_going)]] = Field(
        min_length=1,
        max_length=BATCH_MAX,
        description="Each as for a message of its own; one bad entry does not spoil the rest.",
    )


class BatchAccepted(BaseModel):
    index: int
    id: uuid.UUID
    status: Status


class FieldProblem(BaseModel):
    field: str
    message: str


class BatchRejected(BaseModel):
    index: int
    error: str
    code: str
    errors: list[FieldProblem]


class BatchOut(BaseModel):
    workspace_id: int
    accepted: int
    rejected: int
    results: list[BatchAccepted | BatchRejected]


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
    excused_count: int = Field(
        description="How many of the attempts do not count against the message."
    )
    next_attempt_at: datetime | None
    scheduled_at: datetime | None
    expires_at: datetime
    hold_reason: str | None = Field(description="Why it is held.")
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
    excused: bool = Field(description="Not the message's doing: it does not count against it.")
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
