"""The examples of the reference: each of them works as it stands, and its answer is as the document
says, to the last field.
"""

import copy
import dataclasses
import json

import jsonschema
import pytest

from maild import config
from maild.api import openapi
from maild.api.endpoint import ENDPOINTS
from maild.api.examples import Example, find
from tests.api import campaign_seeds, reporting, template_seeds
from tests.api.seeds import DOMAIN, SEEDS, Places, World
from tests.dns_zones import publish

assert campaign_seeds  # it adds its own
assert template_seeds

NAMES = sorted(e.name for e in ENDPOINTS)
BY_NAME = {e.name: e for e in ENDPOINTS}


@pytest.fixture
def world(client, accept, put, deliver, dns_server, use_settings, inbox):
    """Everything that examples need: a zone, reports switched on, an inbox."""
    publish(dns_server, DOMAIN)
    webhooks = dataclasses.replace(
        config.current().webhooks, enabled=True, signing_secret=reporting.SECRET
    )
    use_settings(dns_resolvers=(dns_server.addr,), dns_timeout_seconds=1, webhooks=webhooks)
    return World(client, accept, put, deliver)


@pytest.fixture(scope="module")
def strict():
    """The schemas of the document, where an answer may hold no field that is not in them."""
    components = copy.deepcopy(openapi.build(ENDPOINTS, key_header="X", public_url="http://m"))[
        "components"
    ]
    for schema in components["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return components


def check(strict, reference, value):
    schema = {**reference, "components": strict}
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(value)


def operation_of(name):
    document = openapi.build([BY_NAME[name]], key_header="X", public_url="http://m")
    [(_, methods)] = [
        (path, methods) for path, methods in document["paths"].items()
        if any(one["operationId"] == name for one in methods.values())
    ]  # fmt: skip
    return next(one for one in methods.values() if one["operationId"] == name)


def send(world, name, example, places):
    """The example's request, with the ids that are there in their places."""
    e = BY_NAME[name]
    path = e.path
    for parameter, value in {**example.path, **places.path}.items():
        path = path.replace(f"<{parameter}>", str(value))
    headers = {**example.headers, **places.headers}
    if e.allow is not None:
        headers[config.current().api_key_header] = config.current().admin_api_key
    body = example.body
    if isinstance(body, dict):
        body = body | {key: value for key, value in places.body.items() if key in body}
    data = body if isinstance(body, str) else json.dumps(body)
    if body is not None and not isinstance(body, str):
        headers["Content-Type"] = "application/json"
    if name == "report_events":
        headers |= reporting.sign(data.encode())
    return world.client.open(
        path,
        method=e.method,
        query_string={**example.query, **places.query},
        headers=headers,
        data=None if body is None else data,
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_example_works(world, strict, name):
    example = find(name)
    assert example is not None, f"write an example for {name} in maild/api/examples"
    places = SEEDS[name](world) if name in SEEDS else None
    response = send(world, name, example, places or Places())
    assert response.status_code == BY_NAME[name].status, response.text
    success = operation_of(name)["responses"][str(BY_NAME[name].status)]
    assert response.mimetype in success["content"]
    if response.mimetype == "application/json":
        check(strict, success["content"]["application/json"]["schema"], response.get_json())


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_as_the_document_says(strict, name):
    operation, example = operation_of(name), find(name) or Example()
    [told] = [
        one for one in operation["responses"][str(BY_NAME[name].status)]["content"].values()
        if one["schema"].get("format") != "binary"
    ]  # fmt: skip
    check(strict, told["schema"], told["example"])
    for parameter in operation["parameters"]:
        if "example" in parameter:
            check(strict, parameter["schema"], parameter["example"])
    if "requestBody" in operation:
        body = next(iter(operation["requestBody"]["content"].values()))
        check(strict, body["schema"], body["example"])
    named = {p["name"] for p in operation["parameters"]}
    assert {*example.path, *example.query, *example.headers} <= named
