"""The schemas of the OpenAPI document: pydantic's, made plainer, with what the code's comments say.

In charge of shapes alone; `openapi.py` puts them where they are used.
"""

import ast
import inspect
import json
from collections.abc import Mapping
from enum import Enum
from functools import cache
from textwrap import dedent
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import (
    CoreRef,
    DefsRef,
    GenerateJsonSchema,
    JsonSchemaMode,
    models_json_schema,
)
from pydantic_core import core_schema

from maild.api import deprecation

REF = "#/components/schemas/{model}"
MEANINGS = "x-enum-descriptions"
"""What each value of an enum means, in their order; the description has it as well."""

_NAMES = {
    "maild__domain__breaker__State": "BreakerState",
    "maild__services__api_keys__State": "ApiKeyState",
    "maild__services__dead_letters__OutcomeStatus": "ReplayStatus",
    "maild__services__dead_letters__Source": "ReplaySource",
    "maild__services__interventions__OutcomeStatus": "InterventionStatus",
    "maild__services__interventions__Source": "RetrySource",
    "maild__services__resending__OutcomeStatus": "ResendStatus",
    "maild__services__unsubscribe_lists__State": "UnsubscribeState",
    "maild__services__webhook_endpoints__State": "WebhookEndpointState",
}
"""Where two modules have a class of the same name: what each is called outside."""
_SAME = frozenset({"SegmentTree", "SegmentAll", "SegmentAny", "SegmentNot"})
"""What is made of itself, and is the same in requests and in answers: it has one name."""


class _Generator(GenerateJsonSchema):
    """No titles of fields, which say what their names say; values of enums with their meaning."""

    def get_defs_ref(self, core_mode_ref: tuple[CoreRef, JsonSchemaMode]) -> DefsRef:
        core_ref, mode = core_mode_ref
        name = core_ref.partition(":")[0].rpartition(".")[2]
        return super().get_defs_ref((core_ref, "validation" if name in _SAME else mode))

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        """An answer has all of its fields, but for those of which its shape says that they may be
        left out.
        """
        written = super().model_schema(schema)
        if self.mode == "serialization" and "properties" in written:
            left_out: frozenset[str] = getattr(schema["cls"], "left_out", frozenset())
            written["required"] = [name for name in written["properties"] if name not in left_out]
        return written

    def enum_schema(self, schema: core_schema.EnumSchema) -> dict[str, Any]:
        """With what its values mean, which `_explain` moves into the description."""
        meanings = _meanings(schema["cls"])
        told = [meanings.get(member.name, "") for member in schema["members"]]
        return {**super().enum_schema(schema), **({MEANINGS: told} if any(told) else {})}

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        """What a value means is said of the field, not of the half of it that is not null."""
        written = super().nullable_schema(schema)
        inner = written.get("anyOf", [{}])[0]
        if "$ref" not in inner and "description" in inner:
            written["description"] = inner.pop("description")
        return written


def components(
    inputs: set[type[BaseModel]], outputs: set[type[BaseModel]]
) -> tuple[Mapping[Any, Any], dict[str, Any]]:
    """The schemas of all shapes and of what they are made of, by name; and how each is referred to,
    by the shape and its mode.
    """
    asked: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "validation") for model in sorted(inputs, key=_name)),
        *((model, "serialization") for model in sorted(outputs, key=_name)),
    ]
    refs, definitions = models_json_schema(asked, ref_template=REF, schema_generator=_Generator)
    return refs, _renamed(_explain(definitions["$defs"]))


def _renamed(definitions: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(definitions)
    for long, short in _NAMES.items():
        text = text.replace(f'"{long}"', f'"{short}"').replace(f'/{long}"', f'/{short}"')
    renamed: dict[str, Any] = json.loads(text)
    return dict(sorted(renamed.items()))


def _explain(node: Any) -> Any:
    """The same, with the meanings of enums and the ends of fields in their descriptions."""
    if isinstance(node, list):
        return [_explain(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _explain(value) for key, value in node.items()}
    if "enum" in node and MEANINGS in node:
        pairs = zip(node["enum"], node[MEANINGS], strict=True)
        lines = [f"- `{value}`: {text}" for value, text in pairs if text]
        told = [node["description"], "", *lines] if "description" in node else lines
        node["description"] = "\n".join(told)
    if isinstance(node.get(deprecation.WORDS), str):
        told = [node["description"]] if "description" in node else []
        node["description"] = "\n\n".join([*told, node[deprecation.WORDS]])
    return node


def parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    """The parameters of a query string. Each schema is whole: its enums stand where they are."""
    whole = query.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = whole.get("$defs", {})
    required = whole.get("required", [])
    written = []
    for name, schema in whole.get("properties", {}).items():
        plain = _explain(_without_null(_inlined(schema, definitions)))
        description = plain.pop("description", "")
        parameter = {"name": name, "in": "query", "required": name in required}
        if plain.pop("deprecated", False):
            parameter["deprecated"] = True
        written.append({**parameter, "description": description, "schema": plain})
    return written


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query string knows no null: what is not given is left out."""
    if schema.get("default", ...) is None:
        del schema["default"]
    options = [one for one in schema.pop("anyOf", []) if one != {"type": "null"}]
    if len(options) > 1:
        schema["anyOf"] = options
    elif options:
        schema = {**options[0], **schema}
    return schema


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            found = dict(definitions[schema["$ref"].rpartition("/")[2]])
            found.pop("title", None)
            return {**found, **rest}
        return {key: _inlined(value, definitions) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    return schema


@cache
def _meanings(kind: type[Enum]) -> dict[str, str]:
    """What is written below the members of an enum, by their names."""
    [body] = ast.parse(dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for member, after in zip(body.body, body.body[1:], strict=False):
        if not isinstance(member, ast.Assign) or not isinstance(member.targets[0], ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[member.targets[0].id] = " ".join(str(after.value.value).split())
    return found
