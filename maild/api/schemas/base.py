"""What the shapes of all nouns share: strict inputs, times, texts, and the shape of an error."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
)

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


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
WorkspaceId = Annotated[
    StrictInt,
    Field(
        ge=1,
        le=2**31 - 1,
        description="Leave it out with a workspace's own key; with an instance key it is 1 unless"
        " given.",
    ),
]
LIMIT_MAX = 200


class Input(BaseModel):
    """A JSON body: no unknown fields, so that a misspelt one is an error and not a surprise."""

    model_config = ConfigDict(extra="forbid")

    missing_is_400: ClassVar[bool] = False
    """Whether a missing required field is answered 400, as for sending, or 422."""
    needed_without: ClassVar[Mapping[str, str]] = {}
    """Fields that are required unless another one is given, by that one's name."""


class Query(BaseModel):
    """A query string: texts are turned into what the fields say; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class WorkspaceQuery(Query):
    workspace_id: int | None = Field(
        None,
        ge=1,
        le=2**31 - 1,
        description="Leave it out with a workspace's own key; with an instance key it is 1 unless"
        " given.",
    )


class StepOut(BaseModel):
    """One step of trying an SMTP account."""

    stage: str
    ok: bool
    text: str = Field(description="The server's words, or maild's.")
    ms: float


class Problem(BaseModel):
    """RFC 9457, with maild's additions."""

    left_out: ClassVar[frozenset[str]] = frozenset({"errors", "steps"})

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    error: str
    errors: list[dict[str, str]] | None = None
    steps: list[StepOut] | None = Field(
        None, description="With `smtp_validation_failed`: the steps, the failed one last."
    )
