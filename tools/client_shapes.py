"""From the schemas of an OpenAPI document to Python types, as source text."""

import json
import keyword
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

Schema = dict[str, Any]

LINE_MAX = 84
"""Of a docstring inside a class."""

_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}

_HOLDING = {"array": "list[{}]", "object": "dict[str, {}]"}


def names_in(node: object) -> Iterator[str]:
    """The components that a piece of the document refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str) and "/schemas/" in node["$ref"]:
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from names_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from names_in(value)


class Shapes:
    """The component schemas of a document: whose each is, and how it is written."""

    def __init__(self, document: Schema) -> None:
        self.schemas: dict[str, Schema] = document["components"]["schemas"]
        used: defaultdict[str, set[str]] = defaultdict(set)
        asked: set[str] = set()
        told: set[str] = set()
        for methods in _paths(document).values():
            for operation in methods.values():
                inputs = self.closure(names_in(operation.get("requestBody")))
                inputs |= self.closure(names_in(operation["parameters"]))
                outputs = self.closure(names_in(operation["responses"]))
                asked |= inputs
                told |= outputs
                for name in inputs | outputs:
                    used[name].add(chapter_of(operation))
        self.inputs = asked - told
        """What is only ever sent: times may be `datetime` there."""
        self.home = {
            name: next(iter(chapters)) if len(chapters) == 1 else SHARED
            for name, chapters in used.items()
        }

    def closure(self, names: Iterable[str]) -> set[str]:
        """These, and all that they are made of."""
        found: set[str] = set()
        left = set(names)
        while left:
            name = left.pop()
            found.add(name)
            left |= set(names_in(self.schemas[name])) - found
        return found

    def imports(self, module: str, names: set[str]) -> dict[str, list[str]]:
        """What a module takes from which other one."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for name in sorted(names):
            if self.home[name] != module:
                found[self.home[name]].append(name)
        return dict(found)

    def of_module(self, module: str) -> list[str]:
        return sorted(name for name, home in self.home.items() if home == module)

    def write(self, name: str) -> str:
        """The source of a component's type."""
        schema = self.schemas[name]
        is_input = name in self.inputs
        if "properties" not in schema:
            text = self.type_of(schema, is_input=is_input)
            return f"{name}: TypeAlias = {_quoted(text) if [*names_in(schema)] else text}\n"
        required = set(schema.get("required", ()))
        fields = {
            key: self.type_of(value, is_input=is_input)
            for key, value in schema["properties"].items()
        }
        told = {
            key: text if key in required else f"NotRequired[{text}]" for key, text in fields.items()
        }
        if any(not key.isidentifier() or keyword.iskeyword(key) for key in told):
            lines = [f"        {json.dumps(key)}: {_quoted(text)}," for key, text in told.items()]
            inside = "\n".join(lines)
            return f'{name} = TypedDict(\n    "{name}",\n    {{\n{inside}\n    }},\n)\n'
        lines = [f"    {key}: {text}" for key, text in told.items()] or ["    pass"]
        description = sentence(schema.get("description", ""))
        head = f"class {name}(TypedDict):\n"
        if description:
            head += f'    """{description}"""\n\n'
        return head + "\n".join(lines) + "\n"

    def type_of(self, schema: Schema, *, is_input: bool) -> str:
        """A schema as the text of a type."""
        if "$ref" in schema:
            return str(schema["$ref"].rpartition("/")[2])
        if "const" in schema or "enum" in schema:
            return _literal(schema.get("enum", [schema.get("const")]))
        kind = schema.get("type")
        options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        if isinstance(kind, list):
            options = [{**schema, "type": one} for one in kind]
        if options:
            return _union(self.type_of(one, is_input=is_input) for one in options)
        inside = schema.get("items" if kind == "array" else "additionalProperties")
        value = self.type_of(inside, is_input=is_input) if isinstance(inside, dict) else "Any"
        if kind in _HOLDING:
            return _HOLDING[kind].format(value)
        is_time = kind == "string" and schema.get("format") == "date-time"
        return "str | dt.datetime" if is_time and is_input else _PLAIN.get(str(kind), "Any")


SHARED = "shared"


def _paths(document: Schema) -> Schema:
    return {path: found for path, found in document["paths"].items() if path.startswith("/v1/")}


def chapter_of(operation: Schema) -> str:
    """The name of the module that an operation goes to."""
    return re.sub(r"\W+", "_", operation["tags"][0].lower())


def sentence(text: str) -> str:
    """The first paragraph of a description, on one line that fits."""
    first = " ".join(text.partition("\n\n")[0].split())
    first = first.replace("\\", "\\\\").replace('"""', "'''")
    if len(first) > LINE_MAX:
        first = first[: LINE_MAX - 4].rpartition(" ")[0].rstrip(",;:(`") + " ..."
    return f"{first} " if first.endswith('"') else first


def _literal(values: list[object]) -> str:
    told = ", ".join(json.dumps(one) for one in values if one is not None)
    return f"Literal[{told}]" + (" | None" if None in values else "")


def _union(texts: Iterator[str]) -> str:
    """One or the other; None comes last."""
    parts: dict[str, None] = {}
    for text in texts:
        parts |= dict.fromkeys([text] if "[" in text else text.split(" | "))
    if "Any" in parts:
        return "Any"
    return " | ".join(sorted(parts, key=lambda one: one == "None"))


def _quoted(text: str) -> str:
    """A type where Python would look names up at once."""
    return json.dumps(text) if '"' not in text else f"'{text}'"
