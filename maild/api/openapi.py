"""GET /v1/openapi.json: OpenAPI 3.1, generated from the declarations of the endpoints."""

import re
from typing import Any

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from maild import __version__, config
from maild.api import schemas
from maild.api.auth import words
from maild.api.endpoint import ENDPOINTS, Endpoint

blueprint = Blueprint("openapi", __name__)

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"<(\w+)>")


@blueprint.get("/v1/openapi.json")
def openapi() -> Response:
    """The contract of /v1. Public: it holds nothing of any workspace."""
    return jsonify(document())


def document() -> dict[str, Any]:
    """The OpenAPI document as plain data."""
    models: set[type[BaseModel]] = {schemas.Problem}
    for e in ENDPOINTS:
        models |= {model for model in (e.body, e.answer) if isinstance(model, type)}
    ordered = sorted(models, key=lambda model: model.__name__)
    inputs = {e.body for e in ENDPOINTS if isinstance(e.body, type)}
    _, definitions = models_json_schema(
        [(m, "validation" if m in inputs else "serialization") for m in ordered],
        ref_template=_REF,
    )
    paths: dict[str, dict[str, Any]] = {}
    for e in ENDPOINTS:
        paths.setdefault(_PARAMETER.sub(r"{\1}", e.path), {})[e.method.lower()] = _operation(e)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "maild",
            "version": __version__,
            "description": "A control plane for outbound email.",
            "license": {"name": "AGPL-3.0", "identifier": "AGPL-3.0-only"},
        },
        "security": [{"apiKey": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": config.current().api_key_header,
                },
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(e: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": e.summary,
        "description": f"For the role {words(e.allow)}." if e.allow else "Asks for no API key.",
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _PARAMETER.findall(e.path)
        ],
        "responses": {
            str(e.status): {
                "description": "Done.",
                "content": _content(e.answer) | (_content(e.also) if e.also else {}),
            },
            "default": {
                "description": "What was wrong.",
                "content": {"application/problem+json": {"schema": _ref(schemas.Problem)}},
            },
        },
    }
    if e.allow is None:
        operation["security"] = []
    if e.query is not None:
        properties = e.query.model_json_schema(by_alias=True)
        required = properties.get("required", [])
        definitions = properties.get("$defs", {})
        operation["parameters"] += [
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "schema": _inlined(schema, definitions),
            }
            for name, schema in properties["properties"].items()
        ]
    if e.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(e.body)}
    return operation


def _content(answer: type[BaseModel] | str) -> dict[str, Any]:
    if isinstance(answer, str):
        return {answer: {"schema": {"type": "string"}}}
    return {"application/json": {"schema": _ref(answer)}}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """A query parameter's schema without references: its enums stand where they are used."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return definitions[schema["$ref"].rpartition("/")[2]]
        return {key: _inlined(value, definitions) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    return schema
