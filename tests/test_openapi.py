"""GET /v1/openapi.json: it describes what is there, and nothing else."""

import re

import pytest

from maild.api import openapi, schemas
from maild.api.endpoint import ENDPOINTS

NOT_DESCRIBED = {"/v1/openapi.json"}  # the description itself, for readers without a key


@pytest.fixture
def document(client):
    response = client.get("/v1/openapi.json")
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    return response.get_json()


def walk(node, path="#"):
    """Every object inside, with its place."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from walk(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, f"{path}/{index}")


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolve(document, ref):
    node = document
    assert ref.startswith("#/"), ref
    for part in ref[2:].split("/"):
        node = node[part]
    return node


def test_it_needs_no_key_and_no_database(settings, document):
    assert document == openapi.document()


def test_it_describes_every_route_of_v1_and_no_other(app, document):
    routed = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/v1") and rule.rule not in NOT_DESCRIBED
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(path, method) for path, method, _ in operations(document)} == routed
    assert len(routed) == len(ENDPOINTS)


def test_it_is_openapi_31(document):
    assert document["openapi"].startswith("3.1.")
    assert {"title", "version", "license"} <= set(document["info"])
    assert set(document) <= {
        "openapi", "info", "jsonSchemaDialect", "servers", "paths", "webhooks", "components",
        "security", "tags", "externalDocs",
    }  # fmt: skip
    schemes = document["components"]["securitySchemes"]
    assert {name for need in document["security"] for name in need} == set(schemes)
    assert schemes["apiKey"]["name"] == "X-API-Key"


def test_it_names_the_configured_header(client, use_settings):
    use_settings(api_key_header="X-Mail-Key")
    document = client.get("/v1/openapi.json").get_json()
    assert document["components"]["securitySchemes"]["apiKey"]["name"] == "X-Mail-Key"


def test_every_reference_resolves(document):
    refs = {(path, node["$ref"]) for path, node in walk(document) if "$ref" in node}
    assert refs
    for path, ref in refs:
        assert resolve(document, ref), path


def test_no_schema_is_left_over(document):
    used = {node["$ref"].rpartition("/")[2] for _, node in walk(document) if "$ref" in node}
    assert set(document["components"]["schemas"]) == used


def test_every_operation_is_whole(document):
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        names = [(p["in"], p["name"]) for p in operation["parameters"]]
        assert len(names) == len(set(names)), where
        assert all({"name", "in", "required", "schema"} <= set(p) for p in operation["parameters"])
        placed = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert placed == set(re.findall(r"{(\w+)}", path)), where
        assert all(p["required"] for p in operation["parameters"] if p["in"] == "path")
        assert any(code.startswith("2") for code in operation["responses"]), where
        assert all(answer["description"] for answer in operation["responses"].values()), where
        assert ("requestBody" in operation) == (method != "get"), where


def test_every_operation_answers_errors_as_problems(document):
    for path, method, operation in operations(document):
        content = operation["responses"]["default"]["content"]
        assert set(content) == {"application/problem+json"}, (method, path)
        schema = resolve(document, content["application/problem+json"]["schema"]["$ref"])
        assert schema["type"] == "object"
    required = {"type", "title", "status", "detail", "code", "request_id", "error"}
    problem = document["components"]["schemas"]["Problem"]
    assert required <= set(problem["required"])
    assert set(problem["properties"]) == required | {"errors", "steps"}


def test_a_message_needs_what_the_contract_says(document):
    schema = document["components"]["schemas"]["MessageIn"]
    assert schema["required"] == ["from_email", "to_email", "subject"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["scheduled_at"]["anyOf"][0] == {
        "type": "string",
        "format": "date-time",
    }
    attachment = document["components"]["schemas"]["AttachmentIn"]["properties"]
    assert attachment["content_base64"]["format"] == "base64"


def test_an_answer_holds_what_the_schema_says(submit, document):
    schema = document["components"]["schemas"]["MessageOut"]
    answer = submit()
    assert set(answer) == set(schema["properties"]) == set(schema["required"])


@pytest.fixture
def submit(client, settings):
    """Submit a message; returns the answer."""
    body = {
        "from_email": "shop@example.com",
        "to_email": "ann@example.org",
        "subject": "Hello",
        "body_text": "Hello Ann.",
    }
    headers = {settings.api_key_header: settings.admin_api_key}
    return lambda: client.post("/v1/messages", json=body, headers=headers).get_json()


def test_the_log_has_its_parameters(document):
    parameters = document["paths"]["/v1/messages/logs"]["get"]["parameters"]
    assert {p["name"] for p in parameters} >= {
        "workspace_id", "limit", "cursor", "from", "to", "status", "to_email", "from_email",
        "subject",        "q", "stream", "tag", "smtp_account", "error_class",
    }  # fmt: skip
    assert not any(p["required"] for p in parameters)
    limit = next(p["schema"] for p in parameters if p["name"] == "limit")
    assert (limit["minimum"], limit["maximum"]) == (1, schemas.LIMIT_MAX)


def test_it_answers_405_to_a_wrong_method(client):
    response = client.post("/v1/openapi.json")
    assert response.status_code == 405
    assert response.content_type == "application/problem+json"
