"""How something is taken out of use: told in answers, in the document and in the changelog."""

from datetime import date
from pathlib import Path
from typing import Annotated

import pytest
from flask import Blueprint, Flask
from pydantic import BaseModel, Field

from maild.api import deprecation, endpoint, openapi
from maild.api.auth import ADMINS
from maild.api.deprecation import Deprecated
from maild.api.schemas import Input, Query

ROUTE = Deprecated(date(2027, 1, 1), date(2028, 1, 1), "use `POST /v1/messages`")
FIELD = Deprecated(date(2027, 6, 1), date(2027, 12, 1), "use `to_email`")
TOLD = {
    "Deprecation": "@1798761600",
    "Sunset": "Sat, 01 Jan 2028 00:00:00 GMT",
    "Link": '</v1/docs#versions>; rel="deprecation"',
}


class OldIn(Input):
    to: Annotated[str | None, Field(description="The recipient."), FIELD] = None
    to_email: str | None = None


class OldQuery(Query):
    to: Annotated[str | None, Field(description="The recipient."), FIELD] = None


class Done(BaseModel):
    ok: bool = True


@pytest.fixture
def declare(monkeypatch, database, settings):
    """Call with what `endpoint` takes to declare a route; returns a call of it, and what the
    document says of the operation.
    """

    def make(**more):
        blueprint = Blueprint("old", __name__)
        monkeypatch.setattr(endpoint, "blueprint", blueprint)
        monkeypatch.setattr(endpoint, "ENDPOINTS", [])

        @endpoint.endpoint(
            "POST", "/v1/messages/old", summary="Old", allow=ADMINS, answer=Done, **more
        )
        def submit_old(caller, body=None, query=None):
            """What there was once."""
            return Done()

        app = Flask(__name__)
        app.register_blueprint(blueprint)
        written = openapi.build(endpoint.ENDPOINTS, key_header="X", public_url="http://m")
        headers = {settings.api_key_header: settings.admin_api_key}

        def call(path="/v1/messages/old", **body):
            return app.test_client().post(path, json=body, headers=headers)

        return call, written

    return make


def test_a_route_that_goes_is_told_with_every_answer(declare):
    call, written = declare(deprecated=ROUTE)
    response = call()
    assert response.status_code == 200
    assert {name: response.headers.get(name) for name in TOLD} == TOLD
    operation = written["paths"]["/v1/messages/old"]["post"]
    assert operation["deprecated"] is True
    assert "gone after 2028-01-01: use `POST /v1/messages`." in operation["description"]
    assert set(TOLD) <= set(operation["responses"]["200"]["headers"])


def test_a_field_that_goes_is_told_to_those_who_use_it(declare):
    call, written = declare(body=OldIn)
    assert "Deprecation" not in call(to_email="ann@example.org").headers
    assert call(to="ann@example.org").headers["Deprecation"] == "@1811808000"
    field = written["components"]["schemas"]["OldIn"]["properties"]["to"]
    assert field["deprecated"] is True
    assert "use `to_email`" in field["description"]


def test_a_parameter_that_goes_is_told_to_those_who_use_it(declare):
    call, written = declare(query=OldQuery)
    assert "Sunset" not in call().headers
    used = call("/v1/messages/old?to=ann@example.org")
    assert used.headers["Sunset"] == "Wed, 01 Dec 2027 00:00:00 GMT"
    [parameter] = written["paths"]["/v1/messages/old"]["post"]["parameters"]
    assert parameter["deprecated"] is True


def test_of_several_the_earliest_dates_count(declare):
    call, _ = declare(body=OldIn, deprecated=ROUTE)
    headers = call(to="ann@example.org").headers
    assert headers["Deprecation"] == TOLD["Deprecation"]
    assert headers["Sunset"] == "Wed, 01 Dec 2027 00:00:00 GMT"


def test_a_sunset_is_later_than_the_deprecation():
    with pytest.raises(ValueError, match="later"):
        Deprecated(date(2027, 1, 1), date(2027, 1, 1), "use another")


def find_unannounced(endpoints, changelog):
    """What is deprecated and not in the changelog: operations, and fields of requests."""
    marked = [e.name for e in endpoints if e.deprecated]
    for e in endpoints:
        for model in (e.body, e.query):
            if isinstance(model, type):
                marked += [f"{model.__name__}.{name}" for name in deprecation.marks_of(model)]
    return [name for name in marked if f"Deprecated: `{name}`" not in changelog]


def test_the_changelog_announces_what_goes(declare):
    changelog = Path(__file__).parents[2].joinpath("CHANGELOG.md").read_text(encoding="utf-8")
    assert find_unannounced(endpoint.ENDPOINTS, changelog) == []
    declare(body=OldIn, deprecated=ROUTE)
    assert find_unannounced(endpoint.ENDPOINTS, changelog) == ["submit_old", "OldIn.to"]
    told = "Deprecated: `submit_old`, until 2028. Deprecated: `OldIn.to`, until 2027-12-01."
    assert find_unannounced(endpoint.ENDPOINTS, told) == []
