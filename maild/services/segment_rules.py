"""The rules of segments, read for a workspace: with its attributes, and its lists by their names.

Lists and attributes come and go. Rules that name one which is gone stay as they are: they are told
with what is wrong with them, and ask for nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from maild import clock
from maild.domain import segment, segment_reading, segment_words
from maild.domain.contact import AttributeKind
from maild.domain.segment import Node
from maild.domain.segment_reading import Reading
from maild.domain.submission import Complaint
from maild.errors import Conflict, FieldError, InvalidFields, summarise
from maild.models import Audience
from maild.services import contact_attributes, segment_sql
from maild.services.segment_sql import Condition

Attributes = Mapping[str, AttributeKind]


@dataclass(frozen=True, slots=True)
class Rules:
    """What some JSON asks for: `problems` keep it from being asked, and `sentence` tells it, where
    it is a tree at all.
    """

    tree: Node | None
    sentence: str
    problems: tuple[Complaint, ...]

    def require(self) -> Node:
        """The tree of rules that a caller has just given. Raises InvalidFields with all that is
        wrong with them.
        """
        if self.problems or self.tree is None:
            errors = [FieldError(field, message) for field, message in self.problems]
            raise InvalidFields(summarise(errors), errors=errors)
        return self.tree

    def condition(self, *, today: date | None = None, is_for_all: bool = False) -> Condition:
        """What asks the database for the contacts that they apply to, of whatever workspace, on a
        day, which is today's in UTC unless it is given; see `segment_sql.write`. Raises Conflict
        where something that they name is gone.
        """
        if self.problems or self.tree is None:
            path, message = self.problems[0]
            raise Conflict(
                f"The rules of the segment do not hold any more: {path}: {message}. Mend them"
                " first."
            )
        today = today or clock.now().date()
        return segment_sql.write(self.tree, today=today, is_for_all=is_for_all)


def read(workspace_id: int, data: Any) -> Rules:
    """The rules that some JSON, as JSON parsers give it, means in a workspace."""
    return read_all(workspace_id, [data])[0]


def read_all(workspace_id: int, several: Sequence[Any]) -> list[Rules]:
    """The same for several, in two statements."""
    kinds = find_attributes(workspace_id)
    readings = [segment_reading.read(data, kinds) for data in several]
    ids = {
        list_id
        for reading in readings
        if reading.tree is not None
        for list_id in segment.list_ids(reading.tree)
    }
    names = _find_lists(workspace_id, ids)
    return [_finish(reading, names) for reading in readings]


def find_attributes(workspace_id: int) -> dict[str, AttributeKind]:
    """The kinds of a workspace's attributes, by their names."""
    kinds = contact_attributes.find_kinds(workspace_id)
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _finish(reading: Reading, names: Mapping[int, str]) -> Rules:
    if reading.tree is None:
        return Rules(None, "", reading.problems)
    lost = segment_reading.unknown_lists(segment.to_json(reading.tree), names)
    sentence = segment_words.tell(reading.tree, names)
    return Rules(reading.tree, sentence, (*reading.problems, *lost))


def _find_lists(workspace_id: int, ids: set[int]) -> dict[int, str]:
    if not ids:
        return {}
    query = Audience.select(Audience.id, Audience.name).where(
        Audience.workspace == workspace_id, Audience.id << ids, Audience.removed_at.is_null()
    )
    return {row.id: row.name for row in query}
