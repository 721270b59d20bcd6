"""A person's own way: signing up, logging in and out, the password, the second factor, sessions."""

import re

import pyotp
import pytest
from playwright.sync_api import expect

from maild import clock
from maild.services import second_factors
from tests.conftest import PASSWORD

pytestmark = pytest.mark.browser

NEW = "eleven green bottles"


@pytest.fixture
def stranger(open_context):
    """A tab of somebody who is not signed in."""
    return open_context(person=None).new_page()


def log_in(tab, email, password=PASSWORD):
    tab.goto("/login")
    tab.get_by_label("E-mail address").fill(email)
    tab.get_by_label("Password", exact=True).fill(password)
    tab.get_by_role("button", name="Log in").click()


def log_out(tab):
    tab.locator("#person-menu > summary").click()
    tab.get_by_role("button", name="Log out").click()
    expect(tab).to_have_url(re.compile(r":\d+/$"))


def make_code(secret, steps=0):
    """What the app shows now, or so many steps later: a code is taken once."""
    return pyotp.TOTP(secret).at(clock.now(), counter_offset=steps)


def test_somebody_signs_up_and_confirms_their_address(stranger, mailed_path):
    stranger.goto("/")
    stranger.locator(".way-in").get_by_role("link", name="Sign up").click()
    expect(stranger.get_by_label("Your name")).to_be_focused()
    stranger.keyboard.type("Carla Díaz")
    stranger.get_by_label("E-mail address").fill("Carla@Example.org")
    stranger.get_by_label("Password", exact=True).fill(PASSWORD)
    stranger.get_by_label("Name of your workspace").fill("Paper boats")
    stranger.keyboard.press("Enter")
    expect(stranger).to_have_url(re.compile("/ui/onboarding/workspace$"))
    expect(stranger.get_by_role("heading", level=1)).to_contain_text("Paper boats")
    expect(stranger.locator("#switcher > summary")).to_contain_text("Paper boats")
    banner = stranger.locator(".banner")
    expect(banner).to_contain_text("sent a link to carla@example.org")
    stranger.goto(mailed_path())
    expect(stranger.get_by_text("carla@example.org")).to_be_visible()
    stranger.get_by_role("button", name="Confirm").click()
    expect(stranger.locator("#toasts")).to_contain_text("carla@example.org is confirmed")
    expect(stranger).to_have_url(re.compile("/ui/onboarding/provider$"))
    expect(banner).to_have_count(0)


def test_a_form_that_comes_back_goes_on_where_it_is_wrong(stranger, forgive):
    stranger.goto("/signup")
    stranger.get_by_label("Your name").fill("Carla")
    stranger.get_by_label("E-mail address").fill("carla@example.org")
    stranger.get_by_label("Password", exact=True).fill("short")
    stranger.get_by_label("Name of your workspace").fill("Paper boats")
    stranger.keyboard.press("Enter")
    expect(stranger.locator("#password-error")).to_contain_text("10")
    expect(stranger.get_by_label("Password", exact=True)).to_be_focused()
    expect(stranger.get_by_label("Name of your workspace")).to_have_value("Paper boats")
    forgive(422)


def test_it_logs_out_and_in_and_keeps_what_was_typed(open_context, forgive):
    tab = open_context().new_page()
    tab.goto("/ui/logs?status=failed")
    log_out(tab)
    tab.goto("/ui/logs?status=failed")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Log in")
    tab.get_by_label("E-mail address").fill("ann@a.example")
    tab.get_by_label("Password", exact=True).fill("not it")
    tab.get_by_label("Stay logged in").check()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("alert")).to_contain_text("is not right")
    expect(tab.get_by_label("E-mail address")).to_have_value("ann@a.example")
    expect(tab.get_by_label("Stay logged in")).to_be_checked()
    expect(tab.get_by_label("Password", exact=True)).to_be_focused()
    tab.keyboard.type(PASSWORD)
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile(r"/ui/logs\?status=failed$"))
    forgive(422)


def test_a_forgotten_password_is_changed_by_the_mailed_link(
    open_context, stranger, mailed_path, forgive
):
    elsewhere = open_context().new_page()
    stranger.goto("/login")
    stranger.get_by_role("link", name="Forgotten").click()
    stranger.get_by_label("E-mail address").fill("ann@a.example")
    stranger.get_by_role("button", name="Mail me the link").click()
    expect(stranger.get_by_role("heading", level=1)).to_have_text("Look into your mail")
    path = mailed_path()
    stranger.goto(path)
    stranger.get_by_label("New password", exact=True).fill(NEW)
    stranger.get_by_role("button", name="Change the password").click()
    expect(stranger.locator("#toasts")).to_contain_text("Log in with it")
    expect(stranger.get_by_label("Password", exact=True)).to_be_focused()  # the address is there
    stranger.keyboard.type(NEW)
    stranger.keyboard.press("Enter")
    expect(stranger).to_have_url(re.compile("/dashboard$"))
    elsewhere.goto("/dashboard")
    expect(elsewhere).to_have_url(re.compile("/login"))
    elsewhere.goto(path)
    expect(elsewhere.locator("main")).to_contain_text("The link does not work")
    forgive(404)


def test_a_second_factor_is_set_up_and_asked_for(open_context, forgive):
    tab = open_context().new_page()
    tab.goto("/ui/settings/security")
    tab.get_by_role("link", name="Set it up").click()
    expect(tab.get_by_role("img", name="QR code")).to_be_visible()
    secret = re.search(r"\b[A-Z2-7]{32}\b", tab.locator("main").inner_text())[0]
    tab.get_by_label("Code that the app shows").fill(make_code(secret))
    tab.get_by_label("Your password").fill(PASSWORD)
    tab.get_by_role("button", name="Turn it on").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    codes = tab.locator(".secret pre").inner_text().split()
    assert len(codes) == second_factors.RECOVERY_CODES
    log_out(tab)
    log_in(tab, "ann@a.example")
    expect(tab.get_by_label("Code")).to_be_focused()
    tab.keyboard.type("000000")
    tab.keyboard.press("Enter")
    expect(tab.locator("#code-error")).to_contain_text("not the code")
    tab.get_by_label("Code").fill(make_code(secret, steps=1))
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile("/dashboard$"))
    log_out(tab)
    log_in(tab, "ann@a.example")
    tab.get_by_label("Code").fill(codes[3].upper())
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile("/dashboard$"))
    tab.goto("/ui/settings/security")
    expect(tab.locator("main")).to_contain_text("9 of 10 recovery codes are left")
    forgive(422)


def test_a_session_that_is_ended_elsewhere_goes_to_the_log_in_by_itself(open_context, tab):
    tab.goto("/ui/logs?status=failed")
    here = open_context().new_page()
    here.goto("/ui/settings/security")
    here.get_by_role("button", name="End the session").click()
    expect(here.locator("#toasts")).to_contain_text("has ended")
    expect(here.get_by_role("button", name="End the session")).to_have_count(0)
    tab.clock.run_for(2_100)
    expect(tab.get_by_role("heading", level=1)).to_have_text("Log in")
    expect(tab).to_have_url(re.compile(r"/login\?next=.*logs"))


@pytest.mark.long
def test_it_all_works_without_scripts(open_context, mailed_path):
    tab = open_context(person=None, java_script_enabled=False).new_page()
    tab.goto("/signup")
    tab.get_by_label("Your name").fill("Carla")
    tab.get_by_label("E-mail address").fill("carla@example.org")
    tab.get_by_label("Password", exact=True).fill(PASSWORD)
    tab.get_by_label("Name of your workspace").fill("Paper boats")
    tab.get_by_role("button", name="Sign up").click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text("Set up")
    tab.get_by_role("button", name="Skip for now").click()
    expect(tab.get_by_text("Workspace put off")).to_be_visible()
    tab.goto(mailed_path())
    tab.get_by_role("button", name="Confirm").click()
    expect(tab.locator("#toasts")).to_contain_text("is confirmed")
    log_out(tab)
    log_in(tab, "carla@example.org")
    expect(tab.get_by_role("heading", level=1)).to_contain_text("Carla")
