"""Messages: submitting, reading, searching, following."""

import base64
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    Base64Encoder,
    BaseModel,
    ConfigDict,
    EncodedBytes,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    WrapValidator,
    model_serializer,
)

from maild.api.schemas.base import (
    Input,
    SearchText,
    Timestamp,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.api.schemas.templates import MergeData, TemplateRef
from maild.domain import submission
from maild.domain.policy import Check, Verdict
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
    filename: str = Field(description="As the recipient sees it.")
    content_type: str = Field("application/octet-stream", description="A media type.")
    content_base64: Annotated[bytes, EncodedBytes(encoder=_StrictBase64)] = Field(
        description="The content."
    )
    content_id: str | None = Field(
        None, description="Makes it an inline part that the HTML shows as `cid:...`."
    )


class MessageIn(Input):
    missing_is_400 = True
    needed_without: ClassVar[Mapping[str, str]] = {"subject": "template"}

    from_email: str = Field(
        description="One address. Its domain must be one that the policy allows."
    )
    to_email: str = Field(description="One address.")
    subject: str = Field(
        "", description="998 characters at most. Required, but for a message with `template`."
    )
    body_text: str | None = Field(None, description="body_text or body_html is required.")
    body_html: str | None = Field(None, description="body_text or body_html is required.")
    template: TemplateRef | None = Field(
        None,
        description="A template, by its number or its name: subject and bodies come from it, and"
        " must be left out.",
    )
    data: MergeData | None = None
    workspace_id: WorkspaceId | None = Field(None, description="1 unless given.")
    from_name: str | None = Field(None, description="256 characters at most.")
    reply_to: str | None = Field(None, description="One address.")
    cc: list[str] = Field(
        default_factory=list,
        max_length=submission.RECIPIENTS_MAX,
        description="Each gets a message of its own, with its own checks and state.",
    )
    bcc: list[str] = Field(
        default_factory=list,
        max_length=submission.RECIPIENTS_MAX,
        description="As cc, and nobody sees them. 50 recipients together at most.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        max_length=submission.HEADERS_MAX,
        description="Headers of your own. Those that maild or other servers write are refused.",
    )
    attachments: list[AttachmentIn] = Field(
        default_factory=list, max_length=100, description="The whole request has 10 MB at most."
    )
    stream: Stream = Field(Stream.TRANSACTIONAL, description="`transactional` goes first.")
    topic: str | None = Field(
        None, description="What it is about, as recipients may unsubscribe from it. Without case."
    )
    tags: list[str] = Field(
        default_factory=list,
        max_length=submission.TAGS_MAX,
        description="100 characters each at most.",
    )
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
    smtp_account: str | None = Field(
        None,
        description="The name of the SMTP account that it must go through; `default` is that of"
        " the environment. It takes no other, and waits while that one is out of use.",
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
    related_ids: list[uuid.UUID] = Field(description="The messages of its cc and bcc.")


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
    topic: str | None
    tags: list[str]
    metadata: dict[str, Any]
    submission_id: uuid.UUID = Field(
        description="The id of the To's message, for each recipient of one submission."
    )
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
    pinned_smtp_account: str | None = Field(
        description="The one SMTP account that it may go through, as its sender asked."
    )
    message_id_header: str
    created_at: datetime
    updated_at: datetime


class MessageOut(MessageSummary):
    """A message with its text."""

    body_text: str | None
    body_pruned_at: datetime | None = Field(
        None,
        description="When its content was removed, for it was old; its texts are null since then.",
    )
    related_ids: list[uuid.UUID] = Field(
        description="The other messages of its submission: its To, cc and bcc."
    )


class CheckOut(BaseModel):
    """One check of a decision. What else it was made from stands beside these: `value` and `limit`,
    the id of a suppression, ...
    """

    model_config = ConfigDict(extra="allow")

    check: Check
    verdict: Verdict


class DecisionOut(BaseModel):
    """Why a message was let through, or was not."""

    at: datetime | None = Field(description="Null: it was only asked for.")
    stage: Literal["accept", "send"]
    attempt_no: int | None = Field(description="At `send`: which attempt it was for.")
    policy_version: int | None = Field(description="0: the defaults of the instance.")
    verdict: Verdict
    checks: list[CheckOut] = Field(description="In their order; the last one decided.")


class AttachmentOut(BaseModel):
    filename: str
    content_type: str
    size_bytes: int


class BodyOut(BaseModel):
    """What a message says, as it was submitted."""

    from_name: str | None
    reply_to: str | None
    cc: list[str] = Field(description="As all recipients see it.")
    headers: list[list[str]]
    body_text: str | None
    body_html: str | None
    attachments: list[AttachmentOut]


class MessageDetail(MessageOut):
    """A message, with what `include` asks for."""

    left_out: ClassVar[frozenset[str]] = frozenset({"body", "decision", "events"})

    body: BodyOut | None = Field(None, description="With `include=body`.")
    decision: list[DecisionOut] | None = Field(None, description="With `include=decision`.")
    events: list["EventOut"] | None = Field(None, description="With `include=events`.")

    @model_serializer(mode="wrap")
    def _leave_out(self, write):
        """What was not asked for is not there."""
        written = write(self)
        for name in self.left_out - self.model_fields_set:
            del written[name]
        return written


class MessageQuery(WorkspaceQuery):
    include: SearchText | None = Field(
        None, description="With commas between: `body`, `decision`, `events`."
    )


class RecipientDecision(BaseModel):
    to_email: str
    decision: DecisionOut
    send_at: datetime | None = Field(
        description="When it could go out as things stand; null: not at all."
    )


class ValidateOut(BaseModel):
    """What would become of the message; nothing was stored."""

    workspace_id: int
    verdict: Verdict = Field(
        description="`pass`: sent at once or as scheduled; `wait`: later; `stop`: accepted and not"
        " sent; `reject`: refused. Of several recipients the worst, for a submission is accepted"
        " as a whole."
    )
    code: str | None = Field(description="With `reject`: the code of the error.")
    recipients: list[RecipientDecision] = Field(description="The To first, then cc and bcc.")


class LogQuery(WorkspaceQuery):
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")
    since: Timestamp | None = Field(None, alias="from", description="From this time on.")
    until: Timestamp | None = Field(None, alias="to", description="Before this time.")
    status: Status | None = Field(None, description="Where the message stands.")
    stream: Stream | None = Field(None, description="Of which stream it is.")
    to_email: SearchText | None = Field(None, description="The whole address.")
    from_email: SearchText | None = Field(None, description="The whole address.")
    subject: SearchText | None = Field(
        None, description="Words, or their beginnings, all of which the subject has; without case."
    )
    q: SearchText | None = Field(
        None,
        description="The same, each in the subject or in an address: `order 48213`, `ann@`.",
    )
    tag: SearchText | None = Field(None, description="One of its tags, exactly.")
    smtp_account: SearchText | None = Field(
        None, description="The account of its latest attempt, by name."
    )
    error_class: SearchText | None = Field(
        None, description="The class of its latest error, exactly."
    )


class LogPage(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    workspace_id: int
    since: datetime | None = Field(alias="from")
    until: datetime | None = Field(alias="to")
    count: int = Field(description="Messages on this page.")
    messages: list[MessageSummary]
    next_cursor: str | None


class TimelineQuery(WorkspaceQuery):
    message_id: str = Field(description="The id of the message.")


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
    decision: list[DecisionOut] = Field(
        description="Why it was accepted, and why each attempt was made, or none was."
    )
