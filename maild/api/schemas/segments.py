"""Segments, and the rules that they are made of.

The shapes of rules are there for the document. What programs send is read by
`domain/segment_reading`, which says what is wrong with it, and where, better than a list of all
shapes that it does not have.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, RootModel, StrictInt
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from maild.api.schemas.base import LIMIT_MAX, Input, SearchText, WorkspaceId, WorkspaceQuery
from maild.api.schemas.contacts import ContactOut, ContactPage
from maild.domain.contact import ContactStatus
from maild.domain.segment import DAYS_MAX, RULES_MAX, TEXT_MAX_CHARS, TEXTS_MAX, YEAR_DAYS
from maild.domain.suppression import TOPIC_MAX_CHARS

_OWN = r"attributes\.[a-z][a-z0-9_]{0,62}"
_NUMBER_MAX = 10**15
OwnField = Annotated[str, Field(pattern=f"^{_OWN}$")]
TextField = Annotated[str, Field(pattern=rf"^(email|email_domain|name|consent\.source|{_OWN})$")]
DayField = Annotated[str, Field(pattern=rf"^(created_at|consent\.at|{_OWN})$")]
KnownField = Annotated[str, Field(pattern=rf"^(name|consent\.source|consent\.at|{_OWN})$")]
Text = Annotated[str, Field(min_length=1, max_length=TEXT_MAX_CHARS, pattern=r"\S")]
Number = Annotated[float, Field(ge=-_NUMBER_MAX, le=_NUMBER_MAX)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SegmentTextRule(_Shape):
    """A text, compared without regard to case."""

    field: TextField
    op: Literal["equals", "is_not", "contains", "begins_with"]
    value: Text


class SegmentTextsRule(_Shape):
    """One of several texts, compared without regard to case."""

    field: TextField
    op: Literal["is_one_of"]
    value: Annotated[list[Text], Field(min_length=1, max_length=TEXTS_MAX)]


class SegmentNumberRule(_Shape):
    """An attribute that is a number."""

    field: OwnField
    op: Literal["equals", "is_not", "greater_than", "less_than"]
    value: Number


class SegmentNumbersRule(_Shape):
    """An attribute that is a number, from the first to the second."""

    field: OwnField
    op: Literal["between"]
    value: Annotated[list[Number], Field(min_length=2, max_length=2)]


class SegmentFlagRule(_Shape):
    """An attribute that is true or false."""

    field: OwnField
    op: Literal["is_true", "is_false"]


class SegmentDayRule(_Shape):
    """A day, in UTC."""

    field: DayField
    op: Literal["equals", "before", "after"]
    value: date


class SegmentDaysRule(_Shape):
    """From the first day to the second, in UTC."""

    field: DayField
    op: Literal["between"]
    value: Annotated[list[date], Field(min_length=2, max_length=2)]


class SegmentLastDaysRule(_Shape):
    """From so many days ago up to today, in UTC; 0 is today."""

    field: DayField
    op: Literal["in_last_days"]
    value: Annotated[int, Field(ge=0, le=DAYS_MAX)]


class SegmentNextDaysRule(_Shape):
    """From today up to so many days ahead, in UTC; 0 is today."""

    field: OwnField
    op: Literal["in_next_days"]
    value: Annotated[int, Field(ge=0, le=DAYS_MAX)]


class SegmentAnniversaryRule(_Shape):
    """From today up to so many days ahead, whatever the year."""

    field: DayField
    op: Literal["anniversary_in_next_days"]
    value: Annotated[int, Field(ge=0, le=YEAR_DAYS)]


class SegmentKnownRule(_Shape):
    """Whether something is known at all."""

    field: KnownField
    op: Literal["is_set", "is_not_set"]


class SegmentStatusRule(_Shape):
    """Whether the address is confirmed."""

    field: Literal["status"]
    op: Literal["equals", "is_not"]
    value: ContactStatus


class SegmentTopicRule(_Shape):
    """Whether they asked for a topic. Who has left it since is known to unsubscribes."""

    field: Literal["topics"]
    op: Literal["has", "has_not"]
    value: Annotated[str, Field(min_length=1, max_length=TOPIC_MAX_CHARS, pattern=r"\S")]


class SegmentListRule(_Shape):
    """Whether they are on a list, by its number."""

    field: Literal["list"]
    op: Literal["in", "not_in"]
    value: Annotated[int, Field(ge=1, le=2**31 - 1)]


class SegmentAll(_Shape):
    """All of these apply."""

    all: Annotated[list["SegmentTree"], Field(min_length=1, max_length=RULES_MAX)]


class SegmentAny(_Shape):
    """At least one of these applies."""

    any: Annotated[list["SegmentTree"], Field(min_length=1, max_length=RULES_MAX)]


class SegmentNot(_Shape):
    """This does not apply."""

    not_: Annotated["SegmentTree", Field(alias="not")]


class SegmentTree(
    RootModel[
        SegmentAll
        | SegmentAny
        | SegmentNot
        | SegmentTextRule
        | SegmentTextsRule
        | SegmentNumberRule
        | SegmentNumbersRule
        | SegmentFlagRule
        | SegmentDayRule
        | SegmentDaysRule
        | SegmentLastDaysRule
        | SegmentNextDaysRule
        | SegmentAnniversaryRule
        | SegmentKnownRule
        | SegmentStatusRule
        | SegmentTopicRule
        | SegmentListRule
    ]
):
    """A rule, or a group of them: 5 groups deep and 50 rules at most. What can be asked of an
    attribute depends on its kind. A rule about what is not known of a contact does not apply to
    them, and its negation does.
    """


SegmentAll.model_rebuild()
SegmentAny.model_rebuild()
SegmentNot.model_rebuild()


class _AsTree:
    """JSON of any shape, which the document tells to be a SegmentTree."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.any_schema()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(SegmentTree.__pydantic_core_schema__)


SegmentRules = Annotated[Any, _AsTree]
SegmentId = Annotated[
    StrictInt, Field(ge=1, le=2**31 - 1, description="The number of the segment.")
]
Name = Annotated[str, Field(description="100 characters at most; a workspace has it once.")]
RULES = "Who belongs to it."


class SegmentIn(Input):
    name: Name
    rules: SegmentRules = Field(description=RULES)
    workspace_id: WorkspaceId | None = None


class SegmentChange(Input):
    """What is left out stays."""

    segment_id: SegmentId
    name: Name | None = None
    rules: SegmentRules = Field(None, description=RULES)
    version: StrictInt | None = Field(
        None, ge=1, le=2**31 - 1, description="The one that you have seen: 409 where it is not."
    )
    workspace_id: WorkspaceId | None = None


class SegmentRef(Input):
    segment_id: SegmentId
    workspace_id: WorkspaceId | None = None


class SegmentPreviewIn(Input):
    rules: SegmentRules = Field(description="Whom to look for.")
    workspace_id: WorkspaceId | None = None


class SegmentProblem(BaseModel):
    field: str = Field(description="Where in the rules: `rules.all.0.value`.")
    message: str


class SegmentOut(BaseModel):
    id: int
    workspace_id: int
    name: str
    rules: SegmentRules
    sentence: str = Field(description="The rules in words.")
    problems: list[SegmentProblem] = Field(
        description="What keeps the rules from being looked up: a list or an attribute that they"
        " name was deleted."
    )
    version: int = Field(description="Grows with each change.")
    created_by: str
    created_at: datetime
    updated_by: str
    updated_at: datetime


class SegmentQuery(WorkspaceQuery):
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class SegmentPage(BaseModel):
    workspace_id: int
    count: int = Field(description="Segments on this page.")
    segments: list[SegmentOut]
    next_cursor: str | None


class SegmentRemoved(SegmentOut):
    status: Literal["deleted"] = "deleted"


class SegmentPreviewOut(BaseModel):
    """Whom the rules mean at this moment."""

    workspace_id: int
    rules: SegmentRules
    sentence: str = Field(description="The rules in words.")
    count: int = Field(description="Contacts whom they mean.")
    mailable_count: int = Field(
        description="How many of those a campaign may mail: they are confirmed, not suppressed, and"
        " have not left all mail or all marketing."
    )
    sample: list[ContactOut] = Field(description="The newest ten.")


class SegmentMembersQuery(SegmentQuery):
    segment_id: int = Field(ge=1, le=2**31 - 1, description="The number of the segment.")


class SegmentMemberPage(ContactPage):
    segment_id: int
