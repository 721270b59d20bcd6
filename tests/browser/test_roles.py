"""Who may do what, and in which workspace: what is out of reach, and other tabs after a switch."""

import re

import pytest
from playwright.sync_api import expect

from maild.domain.role import Role
from maild.models import Member, Workspace
from tests.conftest import PASSWORD, WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.browser

FORGE = """async ([path, fields]) => {
    const token = document.querySelector("[name=csrf_token]").value;
    const body = new URLSearchParams({csrf_token: token, ...fields});
    return (await fetch(path, {method: "POST", body})).status;
}"""
"""Send what the page does not offer, with its own token."""


@pytest.fixture
def both(admin):
    """The admin belongs to both workspaces."""
    Member.insert(workspace=WORKSPACE_B, person=admin.id, role=Role.VIEWER).execute()


def switch(tab, name):
    tab.locator("#switcher > summary").click()
    tab.locator("#switcher").get_by_role("button", name=name).click()
    expect(tab.locator("#switcher .switcher-name")).to_have_text(name)


def test_a_viewer_is_told_what_they_may_not_do_and_cannot_do_it(open_context, make_person, forgive):
    viewer = make_person("vera@a.example", Role.VIEWER)
    tab = open_context(person=viewer).new_page()
    tab.goto("/ui/settings/workspace")
    button = tab.get_by_role("button", name="Save")
    expect(button).to_be_disabled()
    expect(button).to_have_accessible_description("Only an admin of this workspace can do this.")
    button.focus()
    expect(button).to_be_focused()  # the keyboard gets to the reason
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("textbox", name="Name")).to_be_disabled()
    fields = {"name": "Taken over", "workspace_id": str(WORKSPACE_A)}
    assert tab.evaluate(FORGE, ["/ui/settings/workspace", fields]) == 403
    assert Workspace.get_by_id(WORKSPACE_A).name == "Default"
    forgive(403)


def test_somebody_who_is_invited_joins_in_the_role_that_was_meant(
    open_context, mailed_path, forgive
):
    tab = open_context().new_page()
    tab.goto("/ui/settings/members")
    tab.get_by_role("link", name="Invite somebody").click()
    tab.get_by_label("E-mail address").fill("carl@a.example")
    tab.get_by_role("radio", name="viewer").check()
    tab.get_by_role("button", name="Send the invitation").click()
    expect(tab.locator("#toasts")).to_contain_text("on its way to carl@a.example")
    expect(tab.get_by_role("row").filter(has_text="carl@a.example")).to_contain_text("viewer")
    carl = open_context(person=None).new_page()
    carl.goto(mailed_path())
    expect(carl.locator("main")).to_contain_text("carl@a.example to this workspace as viewer")
    carl.get_by_label("Your name").fill("Carl")
    carl.get_by_label("Password", exact=True).fill(PASSWORD)
    carl.get_by_role("button", name="Join").click()
    expect(carl.locator("#toasts")).to_contain_text("Welcome to “Default”")
    carl.goto("/ui/settings/invitations")
    button = carl.get_by_role("button", name="Send the invitation")
    expect(button).to_be_disabled()
    expect(button).to_have_accessible_description("Only an admin of this workspace can do this.")
    fields = {"email": "mallory@a.example", "role": "admin", "workspace_id": str(WORKSPACE_A)}
    assert carl.evaluate(FORGE, ["/ui/settings/invitations", fields]) == 403
    tab.goto("/ui/settings/members")
    expect(tab.get_by_role("row").filter(has_text="carl@a.example")).to_contain_text("viewer")
    forgive(403)


def test_after_a_switch_no_other_tab_acts_on_the_workspace_before(
    open_context, both, settled, forgive
):
    settled(subject="Of the first")
    settled(subject="Of the second", workspace_id=WORKSPACE_B)
    context = open_context()
    form, live, here = (context.new_page() for _ in range(3))
    live.clock.install()
    form.goto("/ui/settings/workspace")
    live.goto("/ui/logs")
    expect(live.get_by_role("link", name="Of the first")).to_be_visible()
    here.goto("/ui/logs")
    switch(here, "Other")
    live.clock.run_for(2_100)
    expect(live.get_by_role("link", name="Of the second")).to_be_visible()
    expect(live.get_by_role("link", name="Of the first")).to_have_count(0)
    expect(live.locator("#switcher .switcher-name")).to_have_text("Other")
    form.get_by_role("textbox", name="Name").fill("Meant for the first")
    form.get_by_role("button", name="Save").click()
    expect(form.locator("main")).to_contain_text("Nothing was changed")
    expect(form.locator(".error-status")).to_have_text("409")
    assert {row.name for row in Workspace.select()} == {"maild", "Default", "Other"}
    form.go_back()
    form.reload()
    expect(form.get_by_role("textbox", name="Name")).to_have_value("Other")
    forgive(409)


def test_a_new_workspace_is_shown_at_once_and_left_again(open_context, both):
    tab = open_context().new_page()
    tab.goto("/dashboard")
    tab.locator("#switcher > summary").click()
    tab.get_by_role("link", name="New workspace").last.click()
    expect(tab.get_by_role("textbox", name="Name")).to_be_focused()
    tab.keyboard.type("Paper boats")
    tab.keyboard.press("Enter")
    expect(tab.locator("#switcher .switcher-name")).to_have_text("Paper boats")
    switch(tab, "Other")
    tab.goto("/ui/settings/workspace")
    tab.get_by_text("Leave the workspace").click()
    tab.get_by_role("dialog").get_by_role("button", name="Leave").click()
    expect(tab.locator("#toasts")).to_contain_text("You have left “Other”")
    expect(tab).to_have_url(re.compile("/dashboard$"))
    tab.locator("#switcher > summary").click()
    expect(tab.locator("#switcher").get_by_role("button")).to_have_count(2)
