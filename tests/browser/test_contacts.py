"""The audience in a browser: finding contacts while typing, lists, and erasing."""

import re

import pytest
from playwright.sync_api import expect

from maild.domain.actor import SYSTEM
from maild.models import AudienceMember, Contact
from maild.services import audiences, contacts, suppressions
from maild.services.contact_fields import ContactFields
from tests.conftest import WORKSPACE_A

pytestmark = pytest.mark.browser

PATH = "/ui/audience"


@pytest.fixture
def people(database):
    for name in ("ann", "anna", "bob"):
        contacts.upsert(WORKSPACE_A, f"{name}@example.org", ContactFields(), by=SYSTEM)
    return audiences.create(WORKSPACE_A, name="Staff", by=SYSTEM)


def links(tab):
    return tab.locator("#list tbody th a")


def test_typing_finds_and_what_is_found_is_put_on_a_list_and_off_again(open_context, people):
    tab = open_context().new_page()
    tab.goto(PATH)
    expect(links(tab)).to_have_count(3)
    tab.get_by_label("Address", exact=True).press_sequentially("ann")
    expect(links(tab)).to_have_text(["anna@example.org", "ann@example.org"])
    expect(tab).to_have_url(re.compile(r"address=ann"))
    tab.get_by_label("Choose all contacts on this page").check()
    tab.get_by_label("Choose anna@example.org").uncheck()
    tab.locator("#chosen-list").select_option("Staff")
    tab.get_by_role("button", name="Put on it").click()
    expect(tab.locator("#toasts")).to_contain_text("1 contact put on “Staff”.")
    expect(links(tab)).to_have_count(2)
    assert AudienceMember.select().count() == 1
    tab.get_by_role("button", name="Undo").click()
    expect(tab.locator("#toasts")).to_contain_text("taken off")
    assert AudienceMember.select().count() == 0


def test_pasted_addresses_come_onto_a_list_and_one_contact_is_erased(open_context, people):
    row = suppressions.add(WORKSPACE_A, "new@example.org", reason="r", source="api")
    tab = open_context().new_page()
    tab.goto(f"{PATH}/lists/{people.id}")
    tab.get_by_role("link", name="Add addresses").first.click()
    tab.get_by_role("textbox", name="Addresses").fill("new@example.org\nann@example.org\nnobody")
    tab.get_by_role("button", name="Add them").click()
    expect(tab.locator("h1")).to_have_text("2 added, 0 known already, 1 refused")
    expect(tab.locator("tbody tr").first).to_contain_text("suppressed")
    tab.get_by_role("link", name="new@example.org").click()
    expect(tab.locator("#standing")).to_contain_text("suppressed by hand, all mail")
    tab.locator("#delete summary").click()
    tab.get_by_role("button", name="Delete for good").click()
    expect(tab.locator("#toasts")).to_contain_text("is no contact any more")
    assert sorted(row.email for row in Contact.select()) == [
        "ann@example.org", "anna@example.org", "bob@example.org",
    ]  # fmt: skip
    assert suppressions.get(WORKSPACE_A, row.id).removed_at is None
