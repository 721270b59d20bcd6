"""How something of /v1 is taken out of use: announced with dates, in the document and in answers.

An operation is marked with `endpoint(..., deprecated=...)`, a field of a request with
`Annotated[..., Deprecated(...)]`. Whoever calls the one or uses the other is told in the head of
the answer; the OpenAPI document has `deprecated: true`. What it means for callers is in
docs/api.md.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema

WORDS = "x-deprecation"
"""Where the schema of a field says so; its description has it as well."""
POLICY = "/v1/docs#versions"
"""Where a caller reads what the fields mean."""


@dataclass(frozen=True, slots=True)
class Deprecated:
    """Not to be used any more from `since` on, and gone after `sunset`; both begin at 0:00 UTC.
    `instead` says what to use, as the end of a sentence: "use `from`".
    """

    since: date
    sunset: date
    instead: str

    def __post_init__(self) -> None:
        if self.sunset <= self.since:
            raise ValueError("the sunset must be later than the deprecation")

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "deprecated": True, WORDS: str(self)}

    def __str__(self) -> str:
        return f"Deprecated since {self.since}, gone after {self.sunset}: {self.instead}."


def headers(marks: Collection[Deprecated]) -> dict[str, str]:
    """The fields of an answer that these marks are for: the earliest dates count."""
    if not marks:
        return {}
    since, sunset = min(mark.since for mark in marks), min(mark.sunset for mark in marks)
    return {
        "Deprecation": f"@{int(_midnight(since).timestamp())}",  # RFC 9745 2.1
        "Sunset": format_datetime(_midnight(sunset), usegmt=True),  # RFC 8594 3
        "Link": f'<{POLICY}>; rel="deprecation"',  # RFC 9745 3
    }


def marks_of(model: type[BaseModel] | None) -> dict[str, Deprecated]:
    """The marked fields of a shape, by their names in Python."""
    fields = model.model_fields.items() if model is not None else ()
    return {name: mark for name, info in fields for mark in _marks(info.metadata)}


def used(marked: dict[str, Deprecated], given: BaseModel | None) -> list[Deprecated]:
    """The marks of the fields that a request has given."""
    if not marked or given is None:
        return []
    return [mark for name, mark in marked.items() if name in given.model_fields_set]


def _marks(metadata: Iterable[Any]) -> list[Deprecated]:
    return [one for one in metadata if isinstance(one, Deprecated)]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
