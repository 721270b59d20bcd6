"""What a filter bar has typed into it: the same for every list with filters in its URL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import urlencode

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class FilterForm(Generic[F]):
    """What was typed, what it means, and what is wrong with it.

    `values` has every field, with an empty text for one that is not set; `filter_` is meaningful
    only without `errors`.
    """

    values: Mapping[str, str]
    filter_: F
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_set(self) -> bool:
        """Whether anything is asked for."""
        return any(self.values.values())

    def query(self, **more: str) -> str:
        """The query string that asks for the same, and for `more`, which goes before."""
        asked = {**self.values, **more}
        return urlencode({name: text for name, text in asked.items() if text})
