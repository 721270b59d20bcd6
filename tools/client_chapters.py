"""From the operations of an OpenAPI document to the methods of a client, as source text."""

import keyword
import re
from collections import defaultdict

from tools.client_shapes import Schema, Shapes, chapter_of, names_in, sentence

_WRITTEN = "Written by `python -m tools.client`: do not edit."
_JSON = "application/json"


def render(document: Schema) -> dict[str, str]:
    """Each module by its path in the package: `shapes/` has types, `api/` has methods."""
    shapes = Shapes(document)
    titles: dict[str, str] = {}
    methods: defaultdict[str, list[Method]] = defaultdict(list)
    for path, found in document["paths"].items():
        if path.startswith("/v1/"):
            for verb, operation in found.items():
                module = chapter_of(operation)
                titles[module] = operation["tags"][0]
                methods[module].append(Method(shapes, verb.upper(), path, operation))
    named = {module: _write(ones) for module, ones in methods.items()}
    used = shapes.closure({name for _, names in named.values() for name in names})
    texts = {}
    for module, title in titles.items():
        text, names = named[module]
        doc = f'    """Operations of the chapter {title}."""\n'
        body = f"class {class_name(module)}(Transport):\n{doc}{text}"
        texts[f"api/{module}.py"] = _module(f"{title}.", body, shapes.imports("", names))
    for module in sorted({shapes.home[name] for name in used}):
        own = [name for name in shapes.of_module(module) if name in used]
        names = {name for one in own for name in names_in(shapes.schemas[one])}
        title = titles.get(module, "What several chapters share")
        body = "\n\n".join(shapes.write(name) for name in own)
        texts[f"shapes/{module}.py"] = _module(
            f"Shapes: {title}.", body, shapes.imports(module, names)
        )
    texts["api/__init__.py"] = _package(sorted(titles))
    texts["shapes/__init__.py"] = f'"""What requests and answers are made of. {_WRITTEN}"""\n'
    return texts


def _write(methods: list["Method"]) -> tuple[str, set[str]]:
    """The methods of a chapter, and the shapes that they speak of."""
    text = "".join(f"\n{method.write()}" for method in methods)
    return text, {name for method in methods for name in method.names}


def _module(title: str, body: str, imports: dict[str, list[str]]) -> str:
    """A module with what its body needs, and no more."""
    head = [f'"""{title} {_WRITTEN}"""\n\nfrom __future__ import annotations\n']
    if "dt." in body:
        head.append("import datetime as dt")
    if "Iterator[" in body:
        head.append("from collections.abc import Iterator")
    for module, known in (
        ("typing", ("Any", "Literal", "NotRequired", "TypeAlias", "TypedDict")),
        ("maild_client.transport", ("UNSET", "Transport", "Unset", "path_segment")),
    ):
        words = [word for word in known if re.search(rf"\b{word}\b", body)]
        if words:
            head.append(f"from {module} import {', '.join(words)}")
    for home, names in sorted(imports.items()):
        head.append(f"from maild_client.shapes.{home} import {', '.join(names)}")
    return "\n".join(head) + f"\n\n\n{body}"


def class_name(module: str) -> str:
    return "".join(word.capitalize() for word in module.split("_")) + "Operations"


def argument(name: str) -> str:
    """A parameter's name in Python: that of the contract, or as near as can be."""
    plain = re.sub(r"\W", "_", name).lower()
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def _package(modules: list[str]) -> str:
    lines = [f"from maild_client.api.{one} import {class_name(one)}\n" for one in modules]
    bases = "".join(f"    {class_name(one)},\n" for one in modules)
    return (
        f'"""Every operation of /v1. {_WRITTEN}"""\n\n'
        + "".join(lines)
        + f'\n\nclass Operations(\n{bases}):\n    """All chapters together."""\n'
    )


class Method:
    """One operation as a method; `names` are the shapes that it speaks of."""

    def __init__(self, shapes: Shapes, verb: str, path: str, operation: Schema) -> None:
        self._shapes = shapes
        self._verb, self._path, self._operation = verb, path, operation
        self._content: Schema = operation.get("requestBody", {}).get("content", {})
        self._answers = next(
            answer["content"] for status, answer in sorted(operation["responses"].items())
            if status.startswith("2")
        )  # fmt: skip
        self.names: set[str] = set(names_in(self._answers.get(_JSON)))
        self._is_public = operation.get("security") == []
        self._is_raw = bool(self._content) and (self._is_public or _JSON not in self._content)

    def write(self) -> str:
        text = self._method(str(self._operation["operationId"]), self._returns(), self._body())
        return text + self._pages()

    def _in(self, place: str) -> list[Schema]:
        return [one for one in self._operation["parameters"] if one["in"] == place]

    def _fields(self) -> dict[str, tuple[Schema, bool]]:
        """The fields of the body, with whether each is required."""
        if self._is_public or _JSON not in self._content:
            return {}
        schema = self._content[_JSON]["schema"]
        if "$ref" in schema:
            schema = self._shapes.schemas[schema["$ref"].rpartition("/")[2]]
        required = set(schema.get("required", ()))
        self.names |= set(names_in(schema["properties"]))
        return {name: (one, name in required) for name, one in schema["properties"].items()}

    def _arguments(self, *, without: str = "") -> list[str]:
        """The parameters as they are declared, the required ones first."""
        placed = [
            f"{argument(one['name'])}: {self._type(one['schema'])}" for one in self._in("path")
        ]
        must, may = [], []
        for name, (schema, is_required) in self._fields().items():
            if is_required:
                must.append(f"{argument(name)}: {self._type(schema)}")
            else:
                kind = self._type(schema)
                ending = " | None" if kind.endswith(" | None") else ""
                kind = f"{kind.removesuffix(' | None')} | Unset{ending}"
                may.append(f"{argument(name)}: {kind} = UNSET")
        for one in self._in("query"):
            if one["name"] == without:
                continue
            text = f"{argument(one['name'])}: {self._type(one['schema'])}"
            if one["required"]:
                must.append(text)
            else:
                may.append(f"{text.removesuffix(' | None')} | None = None")
        if self._is_raw:
            kinds = list(self._content)
            must.append("content: bytes")
            may.append(f'content_type: str = "{kinds[0]}"')
        may += [f"{argument(one['name'])}: str | None = None" for one in self._in("header")]
        if self._is_raw and self._is_public and not self._in("header"):
            may.append("headers: dict[str, str] | None = None")
        named = [*must, *may]
        return ["self", *placed, *(["*", *named] if named else [])]

    def _type(self, schema: Schema) -> str:
        self.names |= set(names_in(schema))
        return self._shapes.type_of(schema, is_input=True)

    def _method(self, name: str, returns: str, body: str) -> str:
        lines = [f"    def {name}(\n"]
        lines += [f"        {one},\n" for one in self._arguments()]
        lines.append(f"    ) -> {returns}:\n{self._docstring()}{body}")
        return "".join(lines)

    def _docstring(self) -> str:
        operation = self._operation
        told = operation["summary"].rstrip(".")
        lines = [f'        """{sentence(f"{told}.")}', "", f"        {self._verb} {self._path}."]
        if operation.get("deprecated"):
            lines += ["", "        Deprecated: it will be gone."]
        return "\n".join([*lines, '        """\n'])

    def _returns(self) -> str:
        kinds = []
        for media_type, content in self._answers.items():
            if media_type == _JSON:
                kinds.append(self._shapes.type_of(content["schema"], is_input=False))
            else:
                kinds.append("str" if media_type.startswith("text/") else "bytes")
        return " | ".join(dict.fromkeys(kinds))

    def _body(self) -> str:
        path = self._path_text()
        if self._is_raw and not self._is_public:
            query = [f'"{one["name"]}": {argument(one["name"])}' for one in self._in("query")]
            return (
                f"        answer: {self._returns()} = self._take(\n            {path},\n"
                "            content=content,\n            content_type=content_type,\n"
                f"            headers={{}},\n            {_mapping('query', query)},\n        )\n"
                "        return answer\n"
            )
        if self._is_raw:
            told = [f'"{one["name"]}": {argument(one["name"])}' for one in self._in("header")]
            headers = "{" + ", ".join(told) + "}" if told else "headers or {}"
            return (
                f"        answer: {self._returns()} = self._take(\n            {path},\n"
                "            content=content,\n            content_type=content_type,\n"
                f"            headers={headers},\n        )\n        return answer\n"
            )
        given = [path]
        query = [f'"{one["name"]}": {argument(one["name"])}' for one in self._in("query")]
        fields = [f'"{name}": {argument(name)}' for name in self._fields()]
        given += [_mapping("query", query)] if query else []
        given += [_mapping("body", fields)] if fields else []
        if any(one["name"] == "Idempotency-Key" for one in self._in("header")):
            given += ["idempotency_key=idempotency_key", "is_idempotent=True"]
        inside = "".join(f"            {one},\n" for one in [f'"{self._verb}"', *given])
        if _JSON not in self._answers:
            ending = ".decode()" if self._returns() == "str" else ""
            return f"        return self._raw(\n{inside}        ){ending}\n"
        if len(self._answers) > 1:  # which of them, the query says
            return (
                f"        answer: {self._returns()} = self._either(\n{inside}        )\n"
                "        return answer\n"
            )
        return (
            f"        answer: {self._returns()} = self._json(\n{inside}        )\n"
            "        return answer\n"
        )

    def _path_text(self) -> str:
        if "{" not in self._path:
            return f'"{self._path}"'
        inside = re.sub(r"{(\w+)}", lambda m: f"{{path_segment({argument(m[1])})}}", self._path)
        return f'f"{inside}"'

    def _pages(self) -> str:
        """A second method, which goes through all pages of a list."""
        name = str(self._operation["operationId"])
        if not any(one["name"] == "cursor" for one in self._in("query")) or _JSON not in (
            self._answers
        ):
            return ""
        schema = self._answers[_JSON]["schema"]
        page = self._shapes.schemas[schema["$ref"].rpartition("/")[2]]["properties"]
        rows = [key for key, one in page.items() if one.get("type") == "array"]
        if "next_cursor" not in page or len(rows) != 1:
            return ""
        self.names |= set(names_in(page[rows[0]]))
        row = self._shapes.type_of(page[rows[0]]["items"], is_input=False)
        declared = "".join(f"        {one},\n" for one in self._arguments(without="cursor"))
        passed = "".join(
            f"                {argument(one['name'])}={argument(one['name'])},\n"
            for one in [*self._in("path"), *self._in("query")]
        )
        return (
            f"\n    def {iterator_name(name)}(\n{declared}    ) -> Iterator[{row}]:\n"
            f'        """All rows of `{name}`, page by page as they are asked for."""\n'
            "        cursor: str | None = None\n        while True:\n"
            f"            page = self.{name}(\n{passed}            )\n"
            f'            yield from page["{rows[0]}"]\n'
            '            cursor = page["next_cursor"]\n'
            "            if cursor is None:\n                return\n"
        )


def iterator_name(operation_id: str) -> str:
    return f"iter_{operation_id.removeprefix('list_').removeprefix('get_')}"


def _mapping(name: str, entries: list[str]) -> str:
    inside = "".join(f"                {one},\n" for one in entries)
    return f"{name}={{\n{inside}            }}"
