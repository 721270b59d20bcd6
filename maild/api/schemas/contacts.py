"""Contacts and their attributes."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Field,
    ModelWrapValidatorHandler,
    StrictBool,
    StrictInt,
    ValidationError,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from maild.api.schemas.base import (
    LIMIT_MAX,
    Input,
    SearchText,
    Timestamp,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.api.schemas.messages import FieldProblem
from maild.domain.contact import ATTRIBUTES_MAX, TOPICS_MAX, AttributeKind, ContactStatus
from maild.domain.states import Stream
from maild.services.contact_standings import BarKind, StandingState
from maild.services.contacts import BATCH_MAX, ContactOutcome

CONTACT_ID_MAX = 2**63 - 1
ContactId = Annotated[StrictInt, Field(ge=1, le=CONTACT_ID_MAX)]
Value = Annotated[
    Any,
    WithJsonSchema({"anyOf": [{"type": one} for one in ("string", "number", "boolean", "null")]}),
]
Attributes = Annotated[
    dict[str, Value],
    Field(
        description="By their names: texts, numbers, `true` or `false`, and days such as"
        " `2027-01-31`."
    ),
]


class ConsentIn(Input):
    source: str = Field(description="Where they said so: `form`, `contract`, ...")
    at: Timestamp = Field(description="When they did.")
    proof: str | None = Field(
        None, description="What shows it: the address of the form, the number of the contract."
    )


class ContactFieldsIn(Input):
    email: str = Field(description="The address: one address is one contact.")
    name: str | None = Field(None, description="200 characters at most. Null takes it away.")
    attributes: dict[str, Value] = Field(
        default_factory=dict,
        max_length=ATTRIBUTES_MAX,
        description="Joined with those that are there, one by one; null takes one away. A name that"
        " is new is declared, with the kind of its first value.",
    )
    topics: list[str] | None = Field(
        None,
        max_length=TOPICS_MAX,
        description="What they asked to hear of, in the place of what is there.",
    )
    consent: ConsentIn | None = Field(
        None, description="Kept where it is newer than the one that is known."
    )


class ContactIn(ContactFieldsIn):
    double_opt_in: StrictBool = Field(
        False,
        description="Have the owner of the address confirm it: a new contact is `pending`, and is"
        " asked by mail. So is one that is known, where it is pending still, or has left by a"
        " link. See `confirmation` in the answer.",
    )
    workspace_id: WorkspaceId | None = None


def _keep_going(
    value: Any, handler: ModelWrapValidatorHandler[ContactFieldsIn]
) -> ContactFieldsIn | ValidationError:
    """One bad entry does not spoil the rest: what is wrong with it stands in its place."""
    try:
        return handler(value)
    except ValidationError as error:
        return error


class ContactBatchIn(Input):
    workspace_id: WorkspaceId | None = None
    contacts: list[Annotated[ContactFieldsIn, WrapValidator(_keep_going)]] = Field(
        min_length=1,
        max_length=BATCH_MAX,
        description="Each as for a contact alone; one bad entry does not spoil the rest.",
    )


class ConsentOut(BaseModel):
    source: str
    at: datetime
    proof: str | None


class BarOut(BaseModel):
    """A suppression or an unsubscribe that is in force."""

    kind: BarKind
    id: int
    stream: Stream | None = Field(description="Null: all streams.")
    topic: str | None = Field(description="Null: all topics.")
    since: datetime


class StandingOut(BaseModel):
    """How they stand at this moment, as suppressions and unsubscribes have it."""

    state: StandingState
    can_be_mailed: bool = Field(
        description="Whether a campaign may mail them, about none of `left_topics`."
    )
    suppressed: bool
    unsubscribed: bool = Field(description="From all marketing, or from all mail.")
    left_topics: list[str]
    because: list[BarOut] = Field(description="Everything that is in force about the address.")


class ContactOut(BaseModel):
    id: int
    workspace_id: int
    email: str = Field(description="In lower case, with its domain in Unicode.")
    name: str | None
    attributes: Attributes
    topics: list[str]
    status: ContactStatus = Field(description="`pending` until the address is confirmed.")
    consent: ConsentOut | None
    standing: StandingOut
    version: int = Field(description="Grows with each change.")
    created_by: str
    created_at: datetime
    updated_at: datetime


class MembershipOut(BaseModel):
    """A list that a contact is on."""

    id: int
    name: str


class ContactDetail(ContactOut):
    audiences: list[MembershipOut]


class ConfirmationOut(BaseModel):
    """Whether they were asked to confirm their address by this request."""

    asked: bool
    message_id: uuid.UUID | None = Field(description="The mail that asks.")
    detail: str | None = Field(description="Why they were not asked.")


class ContactSaved(ContactOut):
    outcome: ContactOutcome
    confirmation: ConfirmationOut | None = Field(
        None, description="Where `double_opt_in` asked for it."
    )


class ContactFilter(WorkspaceQuery):
    email_start: SearchText | None = Field(None, description="The beginning of the address.")
    domain: SearchText | None = Field(None, description="The whole domain of the address.")
    audience_id: int | None = Field(
        None, ge=1, le=2**31 - 1, description="The list that they are on."
    )
    topic: SearchText | None = Field(None, description="A topic that they asked for.")
    status: ContactStatus | None = Field(None, description="Both unless given.")
    standing: StandingState | None = Field(None, description="How they stand.")


class ContactQuery(ContactFilter):
    email: SearchText | None = Field(None, description="The whole address, in any form.")
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class ContactPage(BaseModel):
    workspace_id: int
    count: int = Field(description="Contacts on this page.")
    contacts: list[ContactOut]
    next_cursor: str | None


class ContactBatchSaved(BaseModel):
    index: int
    id: int
    email: str
    outcome: ContactOutcome


class ContactBatchRejected(BaseModel):
    index: int
    error: str
    code: str
    errors: list[FieldProblem]


class ContactBatchOut(BaseModel):
    workspace_id: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    results: list[ContactBatchSaved | ContactBatchRejected]


class ContactRemoval(Input):
    """By one of the two."""

    id: ContactId | None = Field(None, description="The contact's.")
    email: str | None = Field(None, description="The whole address, in any form.")
    workspace_id: WorkspaceId | None = None

    @model_validator(mode="after")
    def _one(self) -> "ContactRemoval":
        if (self.id is None) == (self.email is None):
            raise ValueError("give either id or email")
        return self


class ContactRemoved(BaseModel):
    workspace_id: int
    id: int
    email: str
    status: Literal["deleted"] = "deleted"


class AttributeIn(Input):
    name: str = Field(
        description="Lower-case letters, digits and `_`, and a letter first: `first_name`."
    )
    kind: AttributeKind = Field(description="Of which kind its values are, for good.")
    workspace_id: WorkspaceId | None = None


class AttributeOut(BaseModel):
    name: str
    kind: AttributeKind
    created_by: str
    created_at: datetime


class AttributeSaved(AttributeOut):
    workspace_id: int


class AttributeList(BaseModel):
    workspace_id: int
    count: int
    attributes: list[AttributeOut]


class AttributeName(Input):
    name: str = Field(description="The attribute's.")
    workspace_id: WorkspaceId | None = None


class AttributeRemoved(BaseModel):
    workspace_id: int
    name: str
    status: Literal["deleting"] = "deleting"
    job_id: int = Field(description="The job that takes its values away.")
