"""A tour of segments: rules of every kind, deep groups, long names, what is gone, what is wrong."""

import pytest

from maild.domain.actor import Actor
from maild.domain.contact import AttributeKind
from maild.domain.role import Role
from maild.services import (
    audiences,
    contact_attributes,
    contacts,
    segments,
    suppressions,
)
from maild.services.contact_fields import ContactFields
from tests.browser import hard_rows
from tests.browser.guide import posted, tour
from tests.conftest import WORKSPACE_A

PATH = "/ui/audience/segments"
BY = Actor(hard_rows.LONG_ADDRESS)
EVERYBODY = {"field": "email", "op": "contains", "value": "@"}


@pytest.fixture
def first_surveyor(admin):
    """The admin of a workspace that has no segments yet."""
    return tour(admin, PATH, f"{PATH}/new")


@pytest.fixture
def surveyor(admin):
    """The admin, among segments that are hard to show."""
    for kind in AttributeKind:
        contact_attributes.declare(WORKSPACE_A, f"a_{kind.value}", kind, by=BY)
    contact_attributes.declare(WORKSPACE_A, "a" + "_long" * 12, AttributeKind.TEXT, by=BY)
    for number in range(12):
        save(f"person{number}@example.org", name=f"{number}" * 100)
    hard = save(hard_rows.LONG_ADDRESS)
    suppressions.add(WORKSPACE_A, hard.email, reason="r", source="api", by=BY)
    long_list = audiences.create(WORKSPACE_A, name="l" * 100, by=BY)
    gone = audiences.create(WORKSPACE_A, name="Gone", by=BY)
    all_kinds = make("Of every kind", {"any": list(of_every_kind(long_list.id))})
    deep = make("d" * 100, nested(5))
    full = make("Everybody", EVERYBODY)
    broken = make("Broken", {"field": "list", "op": "in", "value": gone.id})
    audiences.delete(WORKSPACE_A, gone.id, by=BY)
    here = {"workspace_id": str(WORKSPACE_A)}
    wrong = {
        "mode:g": "none", "field:g.0": "attributes.a_number", "op:g.0": "between",
        "value:g.0": "x" * 300, "field:g.1": "created_at", "op:g.1": "before", "value:g.1": "x",
        "mode:g.2": "any", "field:g.3": "email", "op:g.3": "is_one_of", **here,
    }  # fmt: skip
    return tour(
        admin,
        PATH,
        f"{PATH}/{full.id}",
        f"{PATH}/{all_kinds.id}",
        f"{PATH}/{all_kinds.id}/edit",
        f"{PATH}/{deep.id}",
        f"{PATH}/{deep.id}/edit",
        f"{PATH}/{broken.id}",
        f"{PATH}/{broken.id}/edit",
        f"{PATH}/new",
        posted(f"{PATH}/new", 422, name="n" * 300, act="save", **wrong),
        posted(f"{PATH}/new", 200, name="n", act="rule:g.2", **wrong),
        posted(
            f"{PATH}/{full.id}/edit", 409, name="Mine", act="save", version="9",
            **{"field:g.0": "name", "op:g.0": "is_set"}, **here,
        ),
    )  # fmt: skip


@pytest.fixture
def bystander(make_person):
    """A viewer, who changes no segment."""
    save("plain@example.org")
    row = make("Everybody else", EVERYBODY)
    return tour(make_person("vicky@a.example", Role.VIEWER), PATH, f"{PATH}/{row.id}")


def of_every_kind(list_id):
    for name, op, *value in (
        ("email", "begins_with", "w" * 200),
        ("email_domain", "is_one_of", ["a.example", "b.example"]),
        ("name", "is_not_set"),
        ("status", "is_not", "pending"),
        ("created_at", "between", ["2026-01-01", "2026-12-31"]),
        ("consent.source", "contains", "form"),
        ("consent.at", "anniversary_in_next_days", 30),
        ("topics", "has", "news"),
        ("list", "not_in", list_id),
        ("attributes.a_text", "equals", "x"),
        ("attributes.a_number", "between", [1, 2.5]),
        ("attributes.a_boolean", "is_false"),
        ("attributes.a_date", "in_next_days", 7),
        ("attributes.a" + "_long" * 12, "is_set"),
    ):
        yield {"field": name, "op": op, **({"value": value[0]} if value else {})}


def nested(depth):
    """Groups of all four ways inside each other."""
    inside = EVERYBODY
    for number in range(depth):
        join = "any" if number % 2 else "all"
        inside = {join: [inside, {"field": "name", "op": "is_set"}]}
        inside = {"not": inside} if number > 1 else inside
    return inside


def make(name, rules):
    return segments.create(WORKSPACE_A, name=name, rules=rules, by=BY).segment


def save(email, **fields):
    return contacts.upsert(WORKSPACE_A, email, ContactFields(**fields), by=BY).contact
