"""What opens and closes around a page: menus, dialogs, the drawer, toasts; and the keys."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

GUIDE = "/ui/styleguide"


@pytest.fixture
def tab(open_context):
    """With the real clock, by which things slide and fade."""
    return open_context().new_page()


def is_open(menu):
    return menu.get_attribute("open") is not None


def test_it_closes_a_menu_by_escape_by_a_click_elsewhere_and_by_leaving_it(tab):
    tab.goto(GUIDE)
    menu, button = tab.locator("#switcher"), tab.locator("#switcher > summary")
    button.click()
    assert is_open(menu)
    tab.keyboard.press("Escape")
    assert not is_open(menu)
    expect(button).to_be_focused()
    button.click()
    tab.mouse.click(1000, 700)
    assert not is_open(menu)
    button.click()
    tab.locator("#person-menu > summary").click()
    assert not is_open(menu)
    assert is_open(tab.locator("#person-menu"))
    tab.locator(".topbar .theme-switch button").first.focus()
    assert not is_open(tab.locator("#person-menu"))


def test_it_asks_in_a_dialog_and_returns_to_the_button(tab):
    tab.goto(GUIDE)
    button, dialog = tab.locator("#reason-sample > summary"), tab.locator("#reason-sample dialog")
    button.click()
    assert dialog.evaluate("one => one.matches(':modal')")
    expect(tab.locator("#reason")).to_be_focused()
    tab.keyboard.type("g d")  # words, not keys
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.locator("#reason")).to_have_value("g d")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    button.click()
    tab.mouse.click(20, 400)
    expect(dialog).to_be_hidden()
    button.click()
    dialog.get_by_role("button", name="Suppress").click()
    expect(tab.locator("#toasts .toast")).to_contain_text("Nothing was changed")


def test_it_opens_the_drawer_and_returns_to_where_it_was(tab):
    tab.goto(GUIDE)
    link = tab.locator("#open-drawer")
    link.click()
    expect(tab.locator("#drawer-title")).to_be_focused()
    tab.keyboard.press("Escape")
    expect(tab.locator(".drawer")).to_have_count(0)
    expect(link).to_be_focused()
    link.click()
    tab.locator(".drawer").get_by_role("button", name="Close").click()
    expect(link).to_be_focused()
    expect(tab).to_have_url(re.compile(f"{GUIDE}$"))
    with tab.context.expect_page() as opened:
        link.click(modifiers=["Control"])
    expect(opened.value).to_have_url(re.compile("/drawer$"))
    expect(tab.locator(".drawer")).to_have_count(0)


def test_a_toast_goes_by_itself_unless_it_can_be_undone(tab):
    tab.clock.install()
    tab.goto(GUIDE)
    toast = tab.locator("#toasts .toast")
    tab.get_by_role("button", name="Toast: ok").click()
    expect(toast).to_contain_text("revoked")
    toast.hover()
    tab.clock.run_for(20_000)
    expect(toast).to_be_visible()
    tab.mouse.move(20, 400)
    tab.clock.run_for(11_000)
    expect(toast).to_have_count(0)
    tab.get_by_role("button", name="Toast: undo").click()
    expect(toast).to_contain_text("not suppressed")
    tab.clock.run_for(60_000)
    toast.get_by_role("button", name="Undo").click()
    expect(toast).to_contain_text("on their way")
    toast.get_by_role("button", name="Dismiss").click()
    expect(toast).to_have_count(0)


def test_it_sends_a_form_once(tab):
    tab.goto(GUIDE)
    sent = []
    tab.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    tab.route("**/toast", lambda route: route.fulfill(status=204))  # the page stays
    button = tab.get_by_role("button", name="Toast: ok")
    button.evaluate("one => { one.click(); one.click(); }")
    tab.wait_for_function("document.querySelector('form[aria-busy]')")
    assert len(sent) == 1


def test_it_shows_a_password_that_is_typed(tab):
    tab.goto(GUIDE)
    button = tab.locator("[data-reveal=password]")
    button.click()
    expect(tab.locator("#password")).to_have_attribute("type", "text")
    expect(button).to_have_text("Hide")
    expect(button).to_have_accessible_name("Hide the password")
    button.click()
    expect(tab.locator("#password")).to_have_attribute("type", "password")
    expect(button).to_have_accessible_name("Show the password")


@pytest.mark.proves("console-keyboard")
def test_two_keys_go_to_a_page(tab):
    tab.goto(GUIDE)
    for key, path in (
        ("d", "/dashboard"),
        ("l", "/ui/logs"),
        ("s", "/ui/settings/"),
        ("o", "/ui$"),
    ):
        tab.keyboard.press("g")
        tab.keyboard.press(key)
        expect(tab).to_have_url(re.compile(path))
    tab.keyboard.press("l")
    tab.keyboard.press("?")
    expect(tab.locator("#help")).to_be_visible()
    expect(tab).to_have_url(re.compile("/ui$"))


def test_single_keys_can_be_switched_off_and_on_again(tab):
    tab.goto(GUIDE)
    tab.keyboard.press("?")
    box = tab.get_by_label("Single keys do something")
    expect(box).to_be_checked()
    box.uncheck()
    tab.keyboard.press("Escape")
    expect(tab.locator("#help")).to_be_hidden()
    for _ in range(2):  # the second time on a page that was opened since
        for key in ("?", "/", "g", "l"):
            tab.keyboard.press(key)
        expect(tab.locator("#help")).to_be_hidden()
        expect(tab.locator("#q")).not_to_be_focused()
        expect(tab.locator(".search > kbd")).to_be_hidden()
        tab.goto(GUIDE)
    tab.set_viewport_size({"width": 360, "height": 740})
    tab.locator("#person-menu > summary").click()
    tab.get_by_role("button", name="Keyboard shortcuts").click()
    expect(box).not_to_be_checked()
    box.check()
    tab.keyboard.press("Escape")
    tab.locator("#person-menu > summary").press("Escape")
    tab.keyboard.press("/")
    expect(tab.locator("#q")).to_be_focused()


@pytest.mark.proves("console-no-script")
def test_everything_can_be_reached_without_scripts(open_context):
    context = open_context(java_script_enabled=False, viewport={"width": 360, "height": 740})
    tab = context.new_page()
    tab.goto(GUIDE)
    tab.locator("#pages-menu > summary").click()
    expect(tab.locator("#pages-menu").get_by_role("link", name="Logs")).to_be_visible()
    tab.locator("#reason-sample > summary").click()
    tab.get_by_label("Reason").fill("They asked for it.")
    tab.locator("#reason-sample").get_by_role("button", name="Suppress").click()
    expect(tab.locator("#toasts")).to_contain_text("Nothing was changed")
    tab.locator("#open-drawer").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Password reset for Ann")
    tab.locator("#person-menu > summary").click()
    tab.get_by_role("button", name="Log out").click()
    expect(tab.locator(".way-in").get_by_role("link", name="Log in")).to_be_visible()


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1440), pytest.param("dark", 360, marks=pytest.mark.long)]
)
def test_every_component_is_accessible_and_has_room(open_context, scheme, width):
    tab = open_context(color_scheme=scheme, viewport={"width": width, "height": 740}).new_page()
    tab.goto(GUIDE)
    for is_unfolded in (False, True):
        if is_unfolded:
            tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        options = {"rules": {"target-size": {"enabled": not is_unfolded}}}  # menus cover each other
        results = Axe().run(tab, options=options)
        assert results.violations_count == 0, results.generate_report()
        root = "document.documentElement"
        assert tab.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0, is_unfolded


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_a_dialog_a_menu_and_the_drawer_are_accessible(open_context, scheme):
    tab = open_context(color_scheme=scheme, reduced_motion="reduce").new_page()
    tab.goto(GUIDE)
    for opener in ("#switcher > summary", "#open-drawer", "#reason-sample > summary"):
        tab.locator(opener).click()
        tab.wait_for_load_state("networkidle")
        results = Axe().run(tab)
        assert results.violations_count == 0, (opener, results.generate_report())
