"""What an admin does in the settings: members, invitations, keys, the audit log; by mouse, by
keyboard, and without scripts.
"""

import re

import pytest
from playwright.sync_api import expect

from maild.domain.actor import SYSTEM
from maild.domain.role import Role
from maild.models import Invitation, Member
from maild.services import invitations
from tests.conftest import PASSWORD, WORKSPACE_A

pytestmark = pytest.mark.browser

KEY = re.compile(r"\bmk_[\w-]{43}\b")


@pytest.fixture
def olaf(make_person):
    """An operator beside the admin."""
    return make_person("olaf@a.example", Role.OPERATOR)


def role_of(person):
    row = Member.get_or_none(Member.person == person.id)
    return row and row.role


def row_of(tab, text):
    return tab.get_by_role("row").filter(has_text=text)


def invite(tab, email, role):
    tab.goto("/ui/settings/invitations")
    tab.get_by_label("E-mail address").fill(email)
    tab.get_by_role("radio", name=role).check()
    tab.get_by_role("button", name="Send the invitation").click()


def change_role(tab, email, role):
    row = row_of(tab, email)
    row.locator("summary", has_text="Role").click()
    row.get_by_role("combobox", name="Role").select_option(role)
    row.get_by_role("button", name="Save").click()


def try_key(tab, key):
    """What the API says to the key."""
    return tab.request.get("/v1/messages/logs", headers={"X-API-Key": key}).status


def test_a_change_of_a_role_is_undone_in_its_toast(open_context, olaf):
    tab = open_context().new_page()
    tab.goto("/ui/settings/members")
    change_role(tab, "olaf@", "viewer")
    toast = tab.locator("#toasts .toast")
    expect(toast).to_contain_text("Olaf was operator, and is viewer now")
    assert role_of(olaf) is Role.VIEWER
    toast.get_by_role("button", name="Undo").click()
    expect(toast).to_contain_text("Olaf was viewer, and is operator now")
    assert role_of(olaf) is Role.OPERATOR


def test_a_removal_is_asked_for_and_undone_with_the_keyboard_alone(open_context, olaf):
    tab = open_context().new_page()
    tab.goto("/ui/settings/members")
    button, dialog = row_of(tab, "olaf@").locator("summary").last, tab.get_by_role("dialog")
    button.focus()
    tab.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    for _ in range(8):  # round and round, and never out of it
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.matches('dialog:modal *, body')")
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(row_of(tab, "olaf@").locator("details[open]")).to_have_count(0)
    expect(button).to_be_focused()
    tab.keyboard.press("Enter")
    dialog.get_by_role("button", name="Remove").focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("#toasts")).to_contain_text("Olaf is a member no more")
    assert role_of(olaf) is None
    tab.locator("#toasts").get_by_role("button", name="Undo").focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("#toasts")).to_contain_text("Olaf is a member again")
    assert role_of(olaf) is Role.OPERATOR


def test_a_revoked_invitation_is_restored_in_its_toast(open_context):
    invitations.make(WORKSPACE_A, email="carl@a.example", role=Role.VIEWER, by=SYSTEM)
    tab = open_context().new_page()
    tab.goto("/ui/settings/invitations")
    tab.get_by_role("button", name="Revoke the invitation of carl@a.example").click()
    toast = tab.locator("#toasts .toast")
    expect(toast).to_contain_text("The invitation of carl@a.example is revoked")
    expect(row_of(tab, "carl@")).to_have_count(0)
    toast.get_by_role("button", name="Undo").click()
    expect(row_of(tab, "carl@")).to_be_visible()
    assert Invitation.get().revoked_at is None


def test_a_new_key_is_copied_works_and_is_revoked(open_context):
    tab = open_context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    tab.goto("/ui/settings/api-keys")
    tab.get_by_text("Make a key").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Name").fill("shop backend")
    dialog.get_by_role("radio", name="viewer").check()
    dialog.get_by_role("button", name="Make the key").click()
    tab.get_by_role("button", name="Copy the API key").click()
    expect(tab.locator("#toasts")).to_have_text("Copied")
    key = tab.evaluate("navigator.clipboard.readText()")
    assert KEY.fullmatch(key)
    assert try_key(tab, key) == 200
    tab.get_by_role("link", name="I have kept the key").click()
    assert key not in tab.content()
    row_of(tab, "shop backend").locator("summary.danger").click()
    tab.get_by_role("dialog").get_by_label("Reason").fill("It leaked.")
    tab.keyboard.press("Enter")
    expect(tab.locator("#toasts")).to_contain_text("“shop backend” is revoked")
    expect(row_of(tab, "shop backend")).to_contain_text("revoked")
    assert try_key(tab, key) == 401


def test_a_form_in_a_dialog_comes_back_open_with_what_was_typed(open_context, forgive):
    tab = open_context().new_page()
    tab.goto("/ui/settings/api-keys")
    tab.get_by_text("Make a key").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Name").fill("shop backend")
    dialog.get_by_label("Only from these addresses").fill("192.0.2.0/24\nnowhere")
    dialog.get_by_role("button", name="Make the key").click()
    expect(dialog.locator("#networks-error")).to_contain_text("Line 2")
    assert dialog.evaluate("one => one.matches(':modal')")
    expect(dialog.get_by_label("Name")).to_have_value("shop backend")
    expect(dialog.get_by_label("Only from these addresses")).to_be_focused()
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    forgive(422)


def test_the_audit_log_is_filtered_and_checked(open_context, olaf):
    tab = open_context().new_page()
    tab.goto("/ui/settings/members")
    change_role(tab, "olaf@", "viewer")
    tab.goto("/ui/settings/audit")
    entries = tab.get_by_label("Entries").locator("tbody tr")
    expect(entries).to_have_count(1)
    expect(entries).to_contain_text("olaf@a.example")
    tab.get_by_label("Who").fill("nobody@a.example")
    tab.get_by_role("button", name="Apply").click()
    expect(tab.get_by_text("No entry matches")).to_be_visible()
    tab.get_by_role("link", name="Show all entries").click()
    tab.get_by_label("What", exact=True).select_option("member.role_changed")
    tab.get_by_role("button", name="Apply").click()
    expect(tab).to_have_url(re.compile("action=member.role_changed"))
    expect(entries).to_have_count(1)
    tab.evaluate("window.isSamePage = true")
    tab.locator("#chain form").get_by_role("button").click()
    expect(tab.locator("#chain")).to_contain_text("The log is as it was written")
    assert tab.evaluate("window.isSamePage")


@pytest.mark.long
@pytest.mark.proves("console-no-script")
def test_it_all_works_without_scripts(open_context, olaf, mailed_path):
    tab = open_context(java_script_enabled=False).new_page()
    invite(tab, "carl@a.example", "operator")
    expect(tab.locator("#toasts")).to_contain_text("on its way to carl@a.example")
    carl = open_context(person=None, java_script_enabled=False).new_page()
    carl.goto(mailed_path())
    carl.get_by_label("Your name").fill("Carl")
    carl.get_by_label("Password", exact=True).fill(PASSWORD)
    carl.get_by_role("button", name="Join").click()
    expect(carl.locator("#toasts")).to_contain_text("Welcome to “Default”")

    invite(tab, "dora@a.example", "viewer")
    tab.get_by_role("button", name="Revoke the invitation of dora@a.example").click()
    expect(tab.locator("#toasts")).to_contain_text("is revoked")

    tab.goto("/ui/settings/members")
    change_role(tab, "olaf@", "viewer")
    expect(tab.locator("#toasts")).to_contain_text("is viewer now")
    row = row_of(tab, "carl@")
    row.locator("summary", has_text="Remove").click()
    row.get_by_role("button", name="Remove").click()
    expect(tab.locator("#toasts")).to_contain_text("Carl is a member no more")

    tab.goto("/ui/settings/api-keys")
    tab.get_by_text("Make a key").click()
    tab.get_by_label("Name").fill("shop backend")
    tab.get_by_role("button", name="Make the key").click()
    key = KEY.search(tab.locator(".secret").inner_text())[0]
    tab.get_by_role("link", name="I have kept the key").click()
    row = row_of(tab, "shop backend")
    row.locator("summary.danger").click()
    row.get_by_role("button", name="Revoke it").click()
    expect(tab.locator("#toasts")).to_contain_text("“shop backend” is revoked")
    assert try_key(tab, key) == 401

    tab.goto("/ui/settings/audit")
    tab.get_by_label("What", exact=True).select_option("api_key.revoked")
    tab.get_by_role("button", name="Apply").click()
    entries = tab.get_by_label("Entries").locator("tbody tr")
    expect(entries).to_have_count(1)
    expect(entries).to_contain_text("shop backend")
    tab.locator("#chain form").get_by_role("button").click()
    expect(tab.locator("#chain")).to_contain_text("The log is as it was written")
