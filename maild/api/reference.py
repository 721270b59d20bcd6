"""The reference of /v1 as its page shows it, made from the OpenAPI document and from nothing else.

In charge of words and links; what it looks like is in `templates/reference`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from maild.api import openapi_tags, samples
from maild.api.reference_words import markdown, shown, type_of
from maild.api.samples import Call

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Field:
    """A line of a table: a parameter, a header, or a field of an object."""

    name: str
    type: Markup
    is_required: bool
    text: Markup
    place: str = ""
    is_deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation says; `codes` are those of errors."""

    status: str
    text: Markup
    codes: tuple[str, ...] = ()
    type: Markup | str = ""
    media_types: tuple[str, ...] = ()
    example: str = ""
    headers: tuple[str, ...] = ()
    is_shared: bool = False
    """It is the same wherever it is answered."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A route."""

    id: str
    method: str
    path: str
    summary: str
    text: Markup
    is_deprecated: bool
    needs_key: bool
    parameters: list[Field]
    body_type: Markup | str
    body: list[Field]
    body_example: str
    curl: str
    python: str
    success: Answer
    errors: list[Answer]

    @property
    def words(self) -> str:
        """What a search looks through."""
        return f"{self.method} {self.path} {self.summary} {self.id.replace('_', ' ')}".lower()


@dataclass(frozen=True, slots=True)
class Chapter:
    """The operations about one thing."""

    name: str
    anchor: str
    text: Markup
    operations: list[Operation]
    shapes: list["Shape"]
    """All that its operations are made of."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An object, or the values of an enum, by its name."""

    name: str
    text: Markup
    type: Markup | str
    fields: list[Field]


@dataclass(frozen=True, slots=True)
class Reference:
    """Everything that the page shows."""

    title: str
    version: str
    server: str
    key_header: str
    text: Markup
    chapters: list[Chapter]
    notice: Operation
    notice_chapter: str
    headers: list[Field]
    errors: list[Answer]


def read(document: dict[str, Any]) -> Reference:
    """The document, as the page shows it."""
    reader = _Reader(document)
    [notice] = document["webhooks"]["notification"].values()
    return Reference(
        title=document["info"]["title"],
        version=document["info"]["version"],
        server=document["servers"][0]["url"],
        key_header=reader.key_header,
        text=markdown(document["info"]["description"]),
        chapters=list(reader.chapters()),
        notice=reader.operation("POST", "the channel's URL", notice),
        notice_chapter=notice["tags"][0],
        errors=list(reader.errors()),
        headers=[
            Field(name, type_of(one["schema"]), False, markdown(one["description"]))
            for name, one in document["components"]["headers"].items()
        ],
    )


class _Reader:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.key_header: str = document["components"]["securitySchemes"]["apiKey"]["name"]

    def chapters(self) -> Iterator[Chapter]:
        found: dict[str, list[tuple[Operation, Any]]] = {}
        for path, methods in self.document["paths"].items():
            for method in sorted(methods, key=_METHODS.index):
                one = methods[method]
                operation = self.operation(method.upper(), path, one)
                found.setdefault(one["tags"][0], []).append((operation, one))
        sent = {one["tags"][0]: one for one in self.document["webhooks"]["notification"].values()}
        for tag in openapi_tags.TAGS:
            if tag.name in found:
                operations = [operation for operation, _ in found[tag.name]]
                nodes = [[one for _, one in found[tag.name]], sent.get(tag.name)]
                text = markdown(tag.description)
                yield Chapter(tag.name, tag.anchor, text, operations, list(self._shapes(nodes)))

    def operation(self, method: str, path: str, one: dict[str, Any]) -> Operation:
        status = _success_of(one)
        _, body = _body_of(one)
        call = self._call(method, path, one)
        return Operation(
            id=one["operationId"],
            method=method,
            path=path,
            summary=one["summary"],
            text=markdown(one["description"]),
            is_deprecated=one.get("deprecated", False),
            needs_key="security" not in one,
            parameters=[self._parameter(p) for p in one["parameters"]],
            body_type=type_of(body["schema"]) if body else "",
            body=self.fields(body["schema"]) if body else [],
            body_example=shown(body.get("example")),
            curl=samples.curl(call),
            python=samples.python(call),
            success=self._answer(status, one["responses"][status]),
            errors=[
                self._answer(code, answer)
                for code, answer in one["responses"].items()
                if code[0] in "45"
            ],
        )

    def _shapes(self, node: Any) -> Iterator[Shape]:
        """What has a name of all that is in there, by name."""
        for name in sorted(self._names(node, set())):
            schema = self.document["components"]["schemas"][name]
            is_object = "properties" in schema
            yield Shape(
                name,
                markdown(schema.get("description", "")),
                "" if is_object else type_of(schema),
                self.fields(schema) if is_object else [],
            )

    def _names(self, node: Any, found: set[str]) -> set[str]:
        if isinstance(node, list):
            for item in node:
                self._names(item, found)
        elif isinstance(node, dict):
            reference = node.get("$ref", "")
            name = reference.rpartition("/")[2]
            if isinstance(reference, str) and reference and name not in found:
                if "/schemas/" in reference:
                    found.add(name)
                self._names(self._follow(node), found)
            for value in node.values():
                self._names(value, found)
        return found

    def errors(self) -> Iterator[Answer]:
        """Those that many operations share."""
        for one in self.document["components"]["responses"].values():
            [example, *_] = one["content"]["application/problem+json"]["examples"].values()
            yield self._answer(str(example["value"]["status"]), one)

    def fields(self, schema: dict[str, Any]) -> list[Field]:
        """The fields of an object; none of anything else."""
        schema = self._follow(schema)
        required = schema.get("required", [])
        return [
            Field(
                name,
                type_of(one),
                name in required,
                markdown(one.get("description", "")),
                is_deprecated=one.get("deprecated", False),
            )
            for name, one in schema.get("properties", {}).items()
        ]

    def _follow(self, node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in node:
            return node
        found: Any = self.document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return dict(found)

    def _parameter(self, one: dict[str, Any]) -> Field:
        return Field(
            one["name"],
            type_of(one["schema"]),
            one["required"],
            markdown(one["description"]),
            place=one["in"],
            is_deprecated=one.get("deprecated", False),
        )

    def _answer(self, status: str, node: dict[str, Any]) -> Answer:
        answer = self._follow(node)
        content = answer.get("content", {})
        first: dict[str, Any] = next(iter(content.values()), {})
        return Answer(
            status,
            markdown(answer["description"]),
            codes=tuple(first.get("examples", ())),
            type=type_of(first["schema"]) if first else "",
            media_types=tuple(content),
            example=shown(first.get("example")),
            headers=tuple(answer.get("headers", ())),
            is_shared="$ref" in node,
        )

    def _call(self, method: str, path: str, one: dict[str, Any]) -> Call:
        status = _success_of(one)
        media_type, content = _body_of(one)
        body = content.get("example")
        given = {(p["in"], p["name"]): p["example"] for p in one["parameters"] if "example" in p}
        for (place, name), value in given.items():
            if place == "path":
                path = path.replace(f"{{{name}}}", str(value))
        if media_type == "application/x-www-form-urlencoded" and isinstance(body, dict):
            body = "&".join(f"{name}={value}" for name, value in body.items())
        content = self._follow(one["responses"][status]).get("content", {})
        return Call(
            method=method,
            url=self.document["servers"][0]["url"] + path,
            key_header=None if "security" in one else self.key_header,
            query={name: value for (place, name), value in given.items() if place == "query"},
            headers={name: value for (place, name), value in given.items() if place == "header"},
            body=body,
            media_type=media_type,
            answer_type=next(iter(content), ""),
        )


def _success_of(one: dict[str, Any]) -> str:
    return next(code for code in one["responses"] if code.startswith("2"))


def _body_of(one: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The media type of a request, and what is said of it: the first, where there are several."""
    content = one.get("requestBody", {}).get("content", {})
    return next(iter(content.items()), ("", {}))
