"""What a preview is filled in with."""

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.contact import AttributeKind
from maild.models import Contact
from maild.services import contact_attributes, template_samples
from tests.conftest import WORKSPACE_A, WORKSPACE_B


def test_every_attribute_and_every_field_has_a_value(database):
    for kind in AttributeKind:
        contact_attributes.declare(WORKSPACE_A, f"a_{kind.value}", kind, by=SYSTEM)
    attributes = contact_attributes.list_all(WORKSPACE_A)
    sample = template_samples.sample(
        attributes,
        ["contact.first_name", "contact.a_number", "data.order.number", "data.order", "other.x"],
    )
    assert sample["contact"] == {
        "email": "ann@example.com",
        "name": "Ann Example",
        "a_text": "…",
        "a_number": 42,
        "a_boolean": True,
        "a_date": "2026-01-31",
        "first_name": "Ann",
    }
    assert sample["data"] == {"order": {"number": "number"}}


def test_a_field_below_one_that_has_a_value_is_left(database):
    sample = template_samples.sample([], ["data.order", "data.order.number", "data"])
    assert sample["data"] == {"order": "order"}


@pytest.fixture
def people(database):
    for workspace_id, email in (
        (WORKSPACE_A, "ann@example.org"),
        (WORKSPACE_A, "anton@example.org"),
        (WORKSPACE_A, "bea@example.org"),
        (WORKSPACE_B, "anna@b.example"),
    ):
        Contact.create(workspace_id=workspace_id, email=email, created_by="x")


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (" AN", ["ann@example.org", "anton@example.org"]),
        ("ann@", ["ann@example.org"]),
        ("", []),
        ("  ", []),
        ("%", []),
        ("a\0", []),
        ("\ud800", []),
        ("z" * 10_000, []),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_contacts_are_found_by_the_beginning_of_their_address(people, typed, found):
    assert template_samples.suggest(WORKSPACE_A, typed) == found


def test_suggestions_are_bounded(database):
    rows = [
        {"workspace_id": WORKSPACE_A, "email": f"a{n}@example.org", "created_by": "x"}
        for n in range(30)
    ]
    Contact.insert_many(rows).execute()
    found = template_samples.suggest(WORKSPACE_A, "a")
    assert len(found) == template_samples.SUGGESTED_MAX
