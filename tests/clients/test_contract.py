"""The Python client has every operation of the contract, under its names, and is current."""

import inspect
import tomllib
from pathlib import Path

import pytest

import maild
from maild.api import openapi
from maild_client import Client
from tools import client as tool
from tools.client_chapters import argument

ROOT = Path(__file__).resolve().parents[2]
ADDED = {"content", "content_type", "headers"}
"""What a method takes beside the parameters of an operation that takes no JSON of maild's own."""


@pytest.fixture
def operations(settings):
    found = {}
    for path, methods in openapi.document()["paths"].items():
        if path.startswith("/v1/"):
            found |= {one["operationId"]: one for one in methods.values()}
    return found


def takes_file(operation):
    """Whether the body is no JSON."""
    return "application/json" not in operation.get("requestBody", {}).get(
        "content", {"application/json"}
    )


def fields(operation):
    """The names of the body's fields."""
    if operation.get("security") == [] or "requestBody" not in operation or takes_file(operation):
        return set()
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    name = schema["$ref"].rpartition("/")[2]
    return set(openapi.document()["components"]["schemas"][name]["properties"])


def test_it_is_what_the_contract_says(settings):
    assert tool.stale() == [], "run: python -m tools.client"


@pytest.mark.proves("api-client")
def test_every_operation_is_a_method_and_every_method_an_operation(operations):
    methods = {name for name, _ in inspect.getmembers(Client, inspect.isfunction)}
    own = {"close", "from_environment", "submit_all"}
    iterators = {name for name in methods if name.startswith("iter_")}
    assert {name for name in methods if name[0] != "_"} - own - iterators == set(operations)
    assert len(iterators) > 10


def test_every_parameter_has_the_name_of_the_contract(operations):
    for name, operation in operations.items():
        known = {one["name"] for one in operation["parameters"]} | fields(operation)
        taken = set(inspect.signature(getattr(Client, name)).parameters) - {"self"}
        if operation.get("security") == [] or takes_file(operation):
            taken -= ADDED
        assert taken == {argument(one) for one in known}, name


def test_every_list_that_comes_in_pages_can_be_gone_through(operations):
    paged = {
        name
        for name, operation in operations.items()
        if name.startswith("list_") and any(p["name"] == "cursor" for p in operation["parameters"])
    }
    assert {f"iter_{name.removeprefix('list_')}" for name in paged} <= set(dir(Client))


def test_it_has_the_version_of_the_api():
    project = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())["project"]
    assert project["version"] == maild.__version__
    assert project["dependencies"] == ["httpx>=0.27,<1"]
