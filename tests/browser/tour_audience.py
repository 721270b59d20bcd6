"""A tour of the audience: contacts that stand in every way, with long names and many attributes,
lists of them, and all of it while it is empty.
"""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from maild import clock
from maild.domain.actor import Actor
from maild.domain.contact import AttributeKind, ContactStatus
from maild.domain.role import Role
from maild.services import (
    audience_members,
    audiences,
    contact_attributes,
    contacts,
    suppressions,
    unsubscribes,
)
from maild.services.contact_fields import Consent, ContactFields
from tests.browser import hard_rows
from tests.browser.guide import Sight, posted, tour
from tests.conftest import WORKSPACE_A

PATH = "/ui/audience"
BY = Actor(hard_rows.LONG_ADDRESS)


@pytest.fixture
def first_registrar(admin):
    """The admin of a workspace that has nobody to mail yet."""
    return tour(admin, PATH, f"{PATH}/lists", f"{PATH}/attributes", f"{PATH}/contacts/new")


@pytest.fixture
def registrar(admin, settled):
    """The admin, among contacts and lists that are hard to show."""
    for kind in AttributeKind:
        contact_attributes.declare(WORKSPACE_A, f"a_{kind.value}", kind, by=BY)
    long_name = contact_attributes.declare(
        WORKSPACE_A, "a" + "_long" * 12, AttributeKind.TEXT, by=BY
    )[0]
    hard = save(
        hard_rows.LONG_ADDRESS,
        name="n" * 200,
        attributes={
            "a_text": "t" * 1_000, "a_number": -1e15, "a_boolean": True, "a_date": "1990-02-28",
            long_name.name: "x",
        },
        topics=["t" * 100, *(f"topic {n}" for n in range(20))],
        consent=Consent("s" * 500, clock.now() - timedelta(days=40), "p" * 500),
    )  # fmt: skip
    suppressions.add(WORKSPACE_A, hard.email, reason="r", source="api", by=BY)
    for topic in ("news", "l" * 100):
        unsubscribes.add(WORKSPACE_A, hard.email, topic=topic, source="api", by=BY)
    settled(to_email=hard.email, subject="s" * 300)
    left, pending, plain = (
        save("left@example.org"),
        save("pending@example.org", status=ContactStatus.PENDING),
        save("plain@example.org"),
    )
    unsubscribes.add(WORKSPACE_A, left.email, source="api", by=BY)
    full = audiences.create(WORKSPACE_A, name="n" * 100, description="d" * 500, by=BY)
    empty = audiences.create(WORKSPACE_A, name="Empty", by=BY)
    audience_members.add(WORKSPACE_A, full.id, [hard.id, left.id, pending.id, plain.id], by=BY)
    here = {"workspace_id": str(WORKSPACE_A)}
    one, list_ = f"{PATH}/contacts", f"{PATH}/lists/{full.id}"
    several = "\n".join(["new@example.org", hard.email, "n" * 200, left.email])
    return tour(
        admin,
        PATH,
        f"{PATH}?standing=suppressed&audience={full.id}&status=active&domain=example.org",
        f"{PATH}?address=nobody",
        Sight(f"{PATH}?standing=x&domain=a+b&audience=999", status=422),
        Sight(PATH, choose_all),
        f"{one}/{hard.id}",
        f"{one}/{pending.id}",
        f"{one}/{plain.id}",
        Sight(f"{one}/{plain.id}", ask_before_deleting),
        f"{one}/{hard.id}/edit",
        posted(f"{one}/{hard.id}/edit", 422, name="n" * 300, version="1", **here),
        posted(f"{one}/{hard.id}/edit", 409, name="x", version="99", **here),
        f"{one}/new",
        posted(f"{one}/new", 422, email="x", consent_at="x", **{"attribute.a_number": "x"}, **here),
        posted(f"{one}/new", 409, email=plain.email, **here),
        posted(
            f"{one}/selected", 200, by=PATH, ids=f"{hard.id},{plain.id}", action="delete", **here
        ),
        f"{PATH}/lists",
        posted(f"{PATH}/lists", 422, name="", **here),
        posted(f"{PATH}/lists", 409, name="empty", **here),
        list_,
        f"{list_}?address=nobody",
        f"{PATH}/lists/{empty.id}",
        posted(list_, 422, name="", **here),
        f"{list_}/add",
        posted(f"{list_}/add", 422, emails="", **here),
        posted(f"{list_}/add", 200, emails=several, **here),
        f"{PATH}/attributes",
        posted(f"{PATH}/attributes", 422, name="Not a name", kind="text", **here),
        f"{PATH}/attributes/{long_name.id}/delete",
    )


@pytest.fixture
def onlooker(make_person):
    """A viewer, who changes nothing of the audience."""
    plain = save("plain@example.org")
    staff = audiences.create(WORKSPACE_A, name="Staff", by=BY)
    viewer = make_person("victor@a.example", Role.VIEWER)
    return tour(
        viewer,
        PATH,
        f"{PATH}/contacts/{plain.id}",
        f"{PATH}/lists",
        f"{PATH}/lists/{staff.id}",
        f"{PATH}/attributes",
    )


def save(email, **fields):
    return contacts.upsert(WORKSPACE_A, email, ContactFields(**fields), by=BY).contact


def choose_all(tab):
    tab.locator("[data-choose-contacts]").check()
    expect(tab.locator("#list tbody input:checked")).to_have_count(4)


def ask_before_deleting(tab):
    tab.locator("#delete summary").click()
    expect(tab.locator("#delete dialog")).to_be_visible()
