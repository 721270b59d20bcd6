"""What a request's body says is taken by its word: 0 is not false, and "5" is no number."""

import typing

import pytest
from pydantic import BaseModel, Strict

from maild.api.endpoint import ENDPOINTS

LAX = (bool, int, float)
BODIES = sorted({e.body for e in ENDPOINTS if isinstance(e.body, type)}, key=lambda b: b.__name__)


def find_lax(annotation, metadata, path):
    """The places of plain types that pydantic would convert other values to."""
    if any(isinstance(one, Strict) for one in metadata):
        return
    if annotation in LAX:
        yield path
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            yield from find_lax(info.annotation, info.metadata, f"{path}.{name}")
    elif typing.get_origin(annotation) is typing.Annotated:
        inner, *more = typing.get_args(annotation)
        yield from find_lax(inner, more, path)
    else:
        for one in typing.get_args(annotation):
            yield from find_lax(one, (), path)


@pytest.mark.parametrize("body", BODIES)
def test_no_field_of_a_body_takes_another_type_for_its_own(body):
    assert list(find_lax(body, (), body.__name__)) == []


def test_zero_is_not_false(api, refused):
    for body in ({"id": 1, "at_once": 0}, {"id": 1, "at_once": "no"}):
        response = api("POST", "/v1/domains/dkim-keys/retire", json=body)
        refused(response, 422, "invalid_fields", "at_once")
    response = api("POST", "/v1/domains/dkim-keys/activate", json={"id": 1, "insist": 1})
    refused(response, 422, "invalid_fields", "insist")
