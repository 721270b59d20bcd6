"""The builder of segments as somebody uses it: clicking, with whom the rules mean beside it."""

import re

import pytest
from playwright.sync_api import expect

from maild.domain.actor import SYSTEM
from maild.models import Segment
from maild.services import audience_members, audiences, contacts
from maild.services.contact_fields import ContactFields
from tests.browser.guide import find_violations
from tests.conftest import WORKSPACE_A

pytestmark = pytest.mark.browser

PEOPLE = {
    "ann": ("pro", "DE"), "bob": ("pro", "AT"), "carl": ("pro", "FR"), "dora": ("free", "DE"),
    "emil": ("pro", "DE"),
}  # fmt: skip


@pytest.fixture
def people(database):
    for name, (plan, country) in PEOPLE.items():
        fields = ContactFields(attributes={"plan": plan, "country": country})
        contacts.upsert(WORKSPACE_A, f"{name}@example.org", fields, by=SYSTEM)
    staff = audiences.create(WORKSPACE_A, name="Staff", by=SYSTEM)
    audience_members.add_emails(WORKSPACE_A, staff.id, ["emil@example.org"], by=SYSTEM)


@pytest.fixture
def desk(tab, complaints):
    """A tab that may say that it has given up a request for a newer one."""
    yield tab
    assert set(complaints) <= {"htmx:afterRequest", "htmx:sendAbort"}
    complaints.clear()


def count_of(tab):
    return tab.locator("#segment-count")


def choose(tab, number, field):
    tab.get_by_label(f"What rule {number} is about").select_option(label=field)
    expect(tab.get_by_label(f"Condition of rule {number}")).to_be_visible()


def fill(tab, number, value):
    """Type a value, and let the time go by that the page waits for more."""
    tab.get_by_label(f"Value of rule {number}", exact=True).fill(value)
    tab.clock.run_for(500)


def test_a_segment_is_built_by_clicking_and_counts_itself(desk, people):
    desk.goto("/ui/audience/segments")
    desk.get_by_role("link", name="Make a segment").click()
    expect(desk.locator("#preview")).to_contain_text("Complete the rules")
    choose(desk, "1", "plan")
    fill(desk, "1", "pro")
    expect(count_of(desk)).to_have_text("4")
    desk.get_by_role("button", name="Add group").click()
    desk.get_by_role("group", name="Rule 2.1").wait_for()
    expect(desk.locator("#mode-g-1")).to_have_value("any")
    choose(desk, "2.1", "country")
    fill(desk, "2.1", "DE")
    expect(count_of(desk)).to_have_text("2")
    desk.get_by_role("group", name="Group 1.2").get_by_role("button", name="Add rule").click()
    choose(desk, "2.2", "country")
    fill(desk, "2.2", "AT")
    expect(count_of(desk)).to_have_text("3")
    desk.locator("#rule-g").click()
    choose(desk, "3", "Lists")
    desk.get_by_label("Condition of rule 3").select_option(label="not in")
    desk.get_by_label("Value of rule 3").select_option(label="Staff")  # faster than the answer
    desk.clock.run_for(500)
    expect(count_of(desk)).to_have_text("2")
    expect(desk.locator("#preview .segment-sentence")).to_have_text(
        "plan is pro and (country is DE or country is AT) and not in list Staff"
    )
    expect(desk.locator(".segment-sample")).to_contain_text("ann@example.org")
    assert find_violations(desk, "main") is None
    desk.get_by_label("Name", exact=True).fill("Customers nearby")
    desk.get_by_role("button", name="Save the segment").click()
    expect(desk).to_have_url(re.compile(r"/ui/audience/segments/\d+$"))
    expect(desk.locator(".lede")).to_contain_text("not in list Staff")
    expect(desk.locator("tbody th a")).to_have_text(["bob@example.org", "ann@example.org"])
    desk.goto("/ui/audience/segments")
    expect(desk.locator("td.num")).to_have_text("2")
    [row] = Segment.select()
    assert row.name == "Customers nearby"


def test_a_rule_that_is_taken_away_counts_no_more(desk, people):
    desk.goto("/ui/audience/segments/new")
    choose(desk, "1", "plan")
    fill(desk, "1", "pro")
    desk.locator("#rule-g").click()
    choose(desk, "2", "country")
    fill(desk, "2", "DE")
    expect(count_of(desk)).to_have_text("2")
    desk.get_by_role("button", name="Remove rule 2").click()
    expect(count_of(desk)).to_have_text("4")
    expect(desk.get_by_label("Value of rule 1", exact=True)).to_have_value("pro")


def test_enter_looks_and_saves_nothing(desk, people):
    desk.goto("/ui/audience/segments/new")
    choose(desk, "1", "plan")
    desk.get_by_label("Name", exact=True).fill("Too early")
    value = desk.get_by_label("Value of rule 1", exact=True)
    value.fill("free")
    value.press("Enter")
    expect(count_of(desk)).to_have_text("1")
    expect(value).to_be_focused()
    assert Segment.select().count() == 0


def test_the_field_that_was_chosen_keeps_the_focus(desk, people):
    desk.goto("/ui/audience/segments/new")
    field = desk.get_by_label("What rule 1 is about")
    field.focus()
    choose(desk, "1", "plan")
    expect(field).to_be_focused()


def test_the_json_that_somebody_looks_at_stays_unfolded(desk, people):
    desk.goto("/ui/audience/segments/new")
    choose(desk, "1", "plan")
    fill(desk, "1", "pro")
    desk.locator("#rules-json summary").click()
    fill(desk, "1", "free")
    expect(count_of(desk)).to_have_text("1")
    expect(desk.locator("#rules-json pre")).to_contain_text('"value": "free"')
    expect(desk.locator("#rules-json pre")).to_be_visible()


def test_what_is_typed_while_the_answer_is_on_its_way_stays(desk, people):
    desk.goto("/ui/audience/segments/new")
    choose(desk, "1", "plan")
    waiting = []

    def keep_the_first(route):
        if waiting:
            route.continue_()
        else:
            waiting.append(route)

    desk.route("**/segments/new", keep_the_first)
    desk.get_by_label("Condition of rule 1").select_option(label="begins with")
    value = desk.get_by_label("Value of rule 1", exact=True)
    value.fill("fr")
    waiting[0].continue_()
    expect(desk.locator("#op-g-0 option[selected]")).to_have_text("begins with")
    expect(value).to_have_value("fr")
    desk.clock.run_for(500)
    expect(count_of(desk)).to_have_text("1")
