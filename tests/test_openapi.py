"""GET /v1/openapi.json: it describes what is there, wholly, and nothing else."""

import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from maild.api import openapi, openapi_tags, schemas
from maild.api.endpoint import ENDPOINTS

PAGES = "/v1/docs"  # for people
DOCUMENTED = ("/v1", "/u/", "/preferences/", "/opt-in/", "/healthz", "/readyz")
IN_HEADERS = {"X-Request-ID"}


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


def declared(document):
    """The operations of /v1 that are answered in JSON, which is all but one."""
    names = {e.name: e for e in ENDPOINTS}
    for path, method, operation in operations(document):
        if operation["operationId"] in names:
            yield path, method, operation, names[operation["operationId"]]


def resolve(document, ref):
    node = document
    assert ref.startswith("#/"), ref
    for part in ref[2:].split("/"):
        node = node[part]
    return node


def follow(document, node):
    return resolve(document, node["$ref"]) if "$ref" in node else node


def test_it_needs_no_key_and_no_database(settings, document):
    assert document == openapi.document()


def test_it_is_valid_openapi_31(document):
    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_it_is_kept_by_caches_until_it_changes(client):
    first = client.get("/v1/openapi.json")
    assert "public" in first.headers["Cache-Control"]
    again = client.get("/v1/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.proves("api-openapi")
def test_it_describes_every_route_of_v1_and_no_other(app, document):
    routed = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(DOCUMENTED) and not rule.rule.startswith(PAGES)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(path, method) for path, method, _ in operations(document)} == routed
    assert {o["operationId"] for *_, o, _ in declared(document)} == {e.name for e in ENDPOINTS}


def test_it_names_the_configured_headers(client, use_settings):
    use_settings(api_key_header="X-Mail-Key")
    document = client.get("/v1/openapi.json").get_json()
    assert document["components"]["securitySchemes"]["apiKey"]["name"] == "X-Mail-Key"


def test_it_tells_who_it_is(document, settings):
    assert {"title", "version", "summary", "description", "license"} <= set(document["info"])
    assert document["info"]["license"]["identifier"] == "AGPL-3.0-only"
    assert [server["url"] for server in document["servers"]] == [settings.public_url]
    assert document["security"] == [{"apiKey": []}, {"bearer": []}]
    assert set(document["components"]["securitySchemes"]) == {"apiKey", "bearer"}
    assert set(document["webhooks"]) == {"notification"}


def test_every_reference_resolves(document):
    refs = {(path, node["$ref"]) for path, node in walk(document) if "$ref" in node}
    assert refs
    for path, ref in refs:
        assert resolve(document, ref), path


def test_no_component_is_left_over(document):
    used = {node["$ref"] for _, node in walk(document) if "$ref" in node}
    there = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses", "headers")
        for name in document["components"][kind]
    }
    # Nothing is deprecated at the moment; these are for when something is.
    there -= {f"#/components/headers/{name}" for name in ("Deprecation", "Sunset", "Link")} - used
    assert there == used


def test_no_schema_has_the_name_of_a_module(document):
    assert [name for name in document["components"]["schemas"] if not name.isalnum()] == []


def test_every_operation_is_whole(document):
    ids = [operation["operationId"] for *_, operation in operations(document)]
    assert len(ids) == len(set(ids))
    tags = [tag.name for tag in openapi_tags.TAGS]
    assert [tag["name"] for tag in document["tags"]] == tags
    assert all(tag["description"] for tag in document["tags"])
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", operation["operationId"]), where
        assert operation["summary"], where
        assert operation["description"], where
        assert len(operation["tags"]) == 1, where
        assert operation["tags"][0] in tags, where
        names = [(p["in"], p["name"]) for p in operation["parameters"]]
        assert len(names) == len(set(names)), where
        for parameter in operation["parameters"]:
            assert {"name", "in", "required", "schema"} <= set(parameter), where
            assert parameter["description"], f"{where} {parameter['name']}"
        placed = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert placed == set(re.findall(r"{(\w+)}", path)), where
        assert ("requestBody" in operation) == (method != "get"), where
        answers = {code: follow(document, one) for code, one in operation["responses"].items()}
        assert any(code.startswith("2") for code in answers), where
        for code, answer in answers.items():
            assert answer["description"], f"{where} {code}"
            if code != "304":
                assert answer["content"], f"{where} {code}"
                assert set(answer["headers"]) >= IN_HEADERS, f"{where} {code}"


def test_every_operation_has_examples(document):
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        if "requestBody" in operation:
            assert any("example" in one for one in operation["requestBody"]["content"].values())
        for code, answer in operation["responses"].items():
            if code.startswith("2"):
                assert any("example" in one for one in answer["content"].values()), where
        for parameter in operation["parameters"]:
            if parameter["required"]:
                assert "example" in parameter, f"{where} {parameter['name']}"


def test_every_operation_tells_its_errors(document):
    for path, method, operation, e in declared(document):
        where = f"{method} {path}"
        errors = {code for code in operation["responses"] if code[0] in "45"}
        if e.allow is not None:
            assert errors >= {"400", "401", "403", "404", "429", "503"}, where
            assert "security" not in operation, where
        else:
            assert operation["security"] == [], where
            assert errors >= {"404", "429", "503"}, where
        if e.body is not None:
            assert "413" in errors, where
        if isinstance(e.body, type):
            assert "422" in errors, where
        for code in errors:
            answer = follow(document, operation["responses"][code])
            assert set(answer["content"]) == {"application/problem+json"}, where
            assert ("Retry-After" in answer["headers"]) == (code in {"429", "503"}), where
            assert ("WWW-Authenticate" in answer["headers"]) == (code == "401"), where
            told = answer["content"]["application/problem+json"]["examples"]
            for name, example in told.items():
                assert example["value"]["code"] == name, where
                assert str(example["value"]["status"]) == code, where
        codes = {
            name
            for code in errors
            for name in follow(document, operation["responses"][code])["content"][
                "application/problem+json"
            ]["examples"]
        }
        assert {kind.code for kind in e.raises} <= codes, where


def test_every_field_of_a_request_is_explained(document):
    bodies = {e.body for e in ENDPOINTS if isinstance(e.body, type)}
    for model in sorted(bodies, key=lambda one: one.__name__):
        for name, schema in document["components"]["schemas"][model.__name__]["properties"].items():
            assert schema.get("description"), f"{model.__name__}.{name}"


def test_the_values_of_enums_are_explained(document):
    told = document["components"]["schemas"]["Status"]
    assert len(told["x-enum-descriptions"]) == len(told["enum"])
    assert all(f"- `{value}`: " in told["description"] for value in told["enum"])
    parameters = document["paths"]["/v1/messages/logs"]["get"]["parameters"]
    status = next(one for one in parameters if one["name"] == "status")
    assert "- `held`: " in status["description"]


def test_a_problem_is_what_errors_are(document):
    required = {"type", "title", "status", "detail", "code", "request_id", "error"}
    problem = document["components"]["schemas"]["Problem"]
    assert set(problem["required"]) == required
    assert set(problem["properties"]) == required | {"errors", "steps"}


def test_a_message_needs_what_the_contract_says(document):
    schema = document["components"]["schemas"]["MessageIn"]
    assert schema["required"] == ["from_email", "to_email"]  # a subject, but with a template
    assert schema["additionalProperties"] is False
    assert schema["properties"]["scheduled_at"]["anyOf"][0] == {
        "type": "string",
        "format": "date-time",
    }
    attachment = document["components"]["schemas"]["AttachmentIn"]["properties"]
    assert attachment["content_base64"]["format"] == "base64"


def test_submitting_takes_an_idempotency_key_and_tells_of_limits(document):
    for path in ("/v1/messages", "/v1/messages/batch"):
        operation = document["paths"][path]["post"]
        assert "Idempotency-Key" in [one["name"] for one in operation["parameters"]]
        [success] = [one for code, one in operation["responses"].items() if code[0] == "2"]
        assert {"Idempotent-Replayed", "RateLimit-Remaining", "RateLimit"} <= set(
            success["headers"]
        )


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
