"""Shapes: Segments. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from maild_client.shapes.shared import ContactOut, ContactStatus


class SegmentAll(TypedDict):
    """All of these apply."""

    all: list[SegmentTree]


class SegmentAnniversaryRule(TypedDict):
    """From today up to so many days ahead, whatever the year."""

    field: str
    op: Literal["anniversary_in_next_days"]
    value: int


class SegmentAny(TypedDict):
    """At least one of these applies."""

    any: list[SegmentTree]


class SegmentDayRule(TypedDict):
    """A day, in UTC."""

    field: str
    op: Literal["equals", "before", "after"]
    value: str


class SegmentDaysRule(TypedDict):
    """From the first day to the second, in UTC."""

    field: str
    op: Literal["between"]
    value: list[str]


class SegmentFlagRule(TypedDict):
    """An attribute that is true or false."""

    field: str
    op: Literal["is_true", "is_false"]


class SegmentKnownRule(TypedDict):
    """Whether something is known at all."""

    field: str
    op: Literal["is_set", "is_not_set"]


class SegmentLastDaysRule(TypedDict):
    """From so many days ago up to today, in UTC; 0 is today."""

    field: str
    op: Literal["in_last_days"]
    value: int


class SegmentListRule(TypedDict):
    """Whether they are on a list, by its number."""

    field: Literal["list"]
    op: Literal["in", "not_in"]
    value: int


class SegmentMemberPage(TypedDict):
    workspace_id: int
    count: int
    contacts: list[ContactOut]
    next_cursor: str | None
    segment_id: int


class SegmentNextDaysRule(TypedDict):
    """From today up to so many days ahead, in UTC; 0 is today."""

    field: str
    op: Literal["in_next_days"]
    value: int


SegmentNot = TypedDict(
    "SegmentNot",
    {
        "not": "SegmentTree",
    },
)


class SegmentNumberRule(TypedDict):
    """An attribute that is a number."""

    field: str
    op: Literal["equals", "is_not", "greater_than", "less_than"]
    value: float


class SegmentNumbersRule(TypedDict):
    """An attribute that is a number, from the first to the second."""

    field: str
    op: Literal["between"]
    value: list[float]


class SegmentOut(TypedDict):
    id: int
    workspace_id: int
    name: str
    rules: SegmentTree
    sentence: str
    problems: list[SegmentProblem]
    version: int
    created_by: str
    created_at: str
    updated_by: str
    updated_at: str


class SegmentPage(TypedDict):
    workspace_id: int
    count: int
    segments: list[SegmentOut]
    next_cursor: str | None


class SegmentPreviewOut(TypedDict):
    """Whom the rules mean at this moment."""

    workspace_id: int
    rules: SegmentTree
    sentence: str
    count: int
    mailable_count: int
    sample: list[ContactOut]


class SegmentProblem(TypedDict):
    field: str
    message: str


class SegmentRemoved(TypedDict):
    id: int
    workspace_id: int
    name: str
    rules: SegmentTree
    sentence: str
    problems: list[SegmentProblem]
    version: int
    created_by: str
    created_at: str
    updated_by: str
    updated_at: str
    status: Literal["deleted"]


class SegmentStatusRule(TypedDict):
    """Whether the address is confirmed."""

    field: Literal["status"]
    op: Literal["equals", "is_not"]
    value: ContactStatus


class SegmentTextRule(TypedDict):
    """A text, compared without regard to case."""

    field: str
    op: Literal["equals", "is_not", "contains", "begins_with"]
    value: str


class SegmentTextsRule(TypedDict):
    """One of several texts, compared without regard to case."""

    field: str
    op: Literal["is_one_of"]
    value: list[str]


class SegmentTopicRule(TypedDict):
    """Whether they asked for a topic. Who has left it since is known to unsubscribes."""

    field: Literal["topics"]
    op: Literal["has", "has_not"]
    value: str


SegmentTree: TypeAlias = "SegmentAll | SegmentAny | SegmentNot | SegmentTextRule | SegmentTextsRule | SegmentNumberRule | SegmentNumbersRule | SegmentFlagRule | SegmentDayRule | SegmentDaysRule | SegmentLastDaysRule | SegmentNextDaysRule | SegmentAnniversaryRule | SegmentKnownRule | SegmentStatusRule | SegmentTopicRule | SegmentListRule"
