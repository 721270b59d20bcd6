"""How the reference says things: descriptions with their little Markdown, and types in a few words.

Everything that comes out is escaped.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup, escape

_INT_MAX = 2**31 - 1
_CODE = re.compile(r"`([^`]+)`")


def markdown(text: str) -> Markup:
    """Paragraphs, lists and `code`."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()) if text.strip() else ():
        lines = block.split("\n")
        if all(line.startswith("- ") for line in lines):
            items = Markup("").join(Markup("<li>{}</li>").format(_inline(i[2:])) for i in lines)
            blocks.append(Markup("<ul>{}</ul>").format(items))
        else:
            blocks.append(Markup("<p>{}</p>").format(_inline(" ".join(lines))))
    return Markup("").join(blocks)


def type_of(schema: dict[str, Any]) -> Markup:
    """What a value is, with a link to what has a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return Markup(" or ").join(type_of(one) for one in options)
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if values:
        return Markup(", ").join(Markup("<code>{}</code>").format(value) for value in values)
    return _plain(schema)


def shown(example: Any) -> str:
    """An example, as it is written."""
    if example is None or isinstance(example, str):
        return example or ""
    return json.dumps(example, indent=2, ensure_ascii=False)


def _plain(schema: dict[str, Any]) -> Markup:
    kind = schema.get("type", "anything")
    if kind == "array":
        return Markup("list of {}").format(type_of(schema.get("items", {})))
    values = schema.get("additionalProperties")
    if kind == "object" and isinstance(values, dict):
        return Markup("object of {}").format(type_of(values))
    word = " or ".join(kind) if isinstance(kind, list) else str(kind)
    return escape(" ".join([schema.get("format", word), *_limits(schema)]))


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if high == _INT_MAX:  # what a column holds: nobody comes near it
        high = None
    if low is not None and high is not None:
        yield f"{low:,} to {high:,}"
    elif low is not None:
        yield f"from {low:,}"
    elif high is not None:
        yield f"to {high:,}"
    if "maxLength" in schema:
        yield f"of {schema['maxLength']:,} characters at most"
    if schema.get("default") is not None:
        yield f"(default {json.dumps(schema['default'])})"


def _inline(text: str) -> Markup:
    parts = _CODE.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
        for index, part in enumerate(parts)
    )
