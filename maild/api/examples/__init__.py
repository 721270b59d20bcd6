"""The examples of the reference: for each operation a request and its answer, in JSON files by
chapter.

A file is an object: the operation's id, and of it `path`, `query`, `headers`, `body` as they are
sent, and `answer` as maild gives it (a text where it is no JSON). A test sends every one of them.
"""

import json
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Example:
    """A request that works, and what it is answered."""

    path: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    answer: Any = None


@cache
def all_of_them() -> dict[str, Example]:
    """Every example, by the id of its operation."""
    found: dict[str, Example] = {}
    for file in sorted(resources.files(__name__).iterdir(), key=lambda one: one.name):
        if file.name.endswith(".json"):
            for name, parts in json.loads(file.read_text(encoding="utf-8")).items():
                if name in found:
                    raise ValueError(f"{file.name}: there is an example of {name} already")
                found[name] = Example(**parts)
    return found


def find(name: str) -> Example | None:
    """The example of an operation, if there is one."""
    return all_of_them().get(name)
