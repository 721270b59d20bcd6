"""The console's manners: filters, keys, colours, copying, and doing without scripts."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_it_filters_without_a_reload_and_keeps_the_filter_in_the_url(tab, settled, fail_message):
    settled(subject="Fine")
    fail_message(settled(subject="Broken"))
    tab.goto("/ui/logs")
    tab.evaluate("window.isSamePage = true")
    tab.get_by_label("Status").select_option("failed")
    expect(tab.locator("tr.message")).to_have_count(1)
    expect(tab).to_have_url(re.compile(r"/ui/logs\?status=failed$"))
    assert tab.evaluate("window.isSamePage")
    tab.get_by_role("link", name="Clear filters").click()
    expect(tab.locator("tr.message")).to_have_count(2)
    tab.go_back()
    expect(tab.locator("tr.message")).to_have_count(1)
    expect(tab.get_by_label("Status")).to_have_value("failed")


def test_it_searches_while_one_types(tab, settled):
    settled(subject="Parcel")
    settled(subject="Invoice")
    tab.goto("/ui/logs")
    tab.keyboard.press("/")
    tab.keyboard.type("invo")
    tab.clock.run_for(400)
    expect(tab.locator("tr.message")).to_have_count(1)
    expect(tab.get_by_label("Search messages")).to_be_focused()
    expect(tab).to_have_url(re.compile(r"/ui/logs\?q=invo$"))


def test_it_says_what_is_wrong_and_takes_it_back(tab, settled, complaints):
    settled()
    tab.goto("/ui/logs")
    tab.get_by_text("More filters").click()
    field = tab.get_by_label("Recipient")
    field.fill("ann")
    field.blur()
    expect(tab.locator("#to_email-error")).to_contain_text("whole address")
    field.fill("ann@example.org")
    field.blur()
    expect(tab.locator("#to_email-error")).to_be_empty()
    expect(tab.locator("tr.message")).to_have_count(1)
    complaints.clear()  # the browser tells of the 422 as well


def test_it_searches_from_every_page(tab, settled):
    message = settled(subject="Parcel")
    tab.goto(f"/ui/messages/{message.id}")
    tab.keyboard.press("/")
    tab.keyboard.type("parc")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile(r"/ui/logs\?q=parc$"))
    expect(tab.get_by_role("link", name="Parcel")).to_be_visible()


@pytest.mark.proves("console-keyboard")
def test_it_is_driven_by_keys(tab, settled):
    newest_last = [settled(subject=f"Message {number}") for number in range(3)]
    tab.goto("/ui/logs")
    for key in "jjjk":
        tab.keyboard.press(key)
    expect(tab.get_by_role("link", name="Message 1")).to_be_focused()
    tab.keyboard.press("o")
    expect(tab.locator("#drawer-title")).to_have_text("Message 1")
    tab.get_by_role("link", name="Open the page").click()
    expect(tab).to_have_url(re.compile(str(newest_last[1].id)))
    tab.keyboard.press("?")
    expect(tab.get_by_role("dialog")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("dialog")).to_be_hidden()


def test_it_opens_a_message_by_a_click_anywhere_in_its_row(tab, settled):
    message = settled()
    tab.goto("/ui")
    cell = tab.locator(f"#message-{message.id} .col-attempts")
    cell.scroll_into_view_if_needed()
    box = cell.bounding_box()
    tab.mouse.click(box["x"] + 5, box["y"] + 5)
    expect(tab.locator("#drawer #facts")).to_contain_text(str(message.id))


def test_it_remembers_the_colours(tab):
    tab.goto("/ui")
    tab.get_by_role("button", name="Dark").click()
    tab.goto("/")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    expect(tab.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    tab.get_by_role("button", name="As the system").click()
    tab.reload()
    assert tab.evaluate("document.documentElement.dataset.theme") is None
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_it_copies_on_a_click(open_context, settled):
    message = settled()
    tab = open_context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    tab.goto(f"/ui/messages/{message.id}")
    tab.get_by_role("button", name="Copy message id").click()
    expect(tab.locator("#toasts")).to_have_text("Copied")
    assert tab.evaluate("navigator.clipboard.readText()") == str(message.id)


@pytest.mark.parametrize("width", [360, 1440])
def test_a_toast_that_stays_hides_nothing_at_the_end_of_a_page(open_context, width):
    tab = open_context(viewport={"width": width, "height": 600}).new_page()
    tab.goto("/ui/onboarding/policy")
    tab.get_by_role("button", name="Skip for now").click()
    expect(tab).to_have_url(re.compile("/test-message$"))
    toast = tab.locator("#toasts .toast")
    expect(toast.get_by_role("button", name="Undo")).to_be_visible()
    tab.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(toast).to_be_in_viewport(ratio=1)
    for foot in tab.locator("#wizard-foot :is(a, button)").all():
        foot.click(trial=True)  # it is not covered
        assert not overlap(foot.bounding_box(), toast.bounding_box())
    if width == 360:  # it comes first there, and hides nothing at the beginning either
        tab.evaluate("scrollTo(0, 0)")
        assert not overlap(tab.locator("h1").bounding_box(), toast.bounding_box())


def overlap(one, other):
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "width"), ("y", "height"))
    )


def test_it_tells_the_story_as_it_happens(tab, settled, fail_message):
    message = settled()
    tab.goto(f"/ui/messages/{message.id}")
    expect(tab.locator(".state .badge")).to_have_text("queued")
    fail_message(message)
    tab.clock.run_for(2_100)
    expect(tab.locator(".state .badge")).to_have_text("failed")
    expect(tab.locator(".state")).to_contain_text("550 5.1.1")


@pytest.mark.proves("console-no-script")
def test_it_works_without_scripts(open_context, settled, fail_message):
    for number in range(55):
        settled(subject=f"Message {number}")
    fail_message(settled(subject="Broken"))
    tab = open_context(java_script_enabled=False).new_page()
    tab.goto("/ui/logs")
    expect(tab.locator("tr.message")).to_have_count(50)
    for gone in (".theme-switch", "[data-live-toggle]", "#live-state span"):
        expect(tab.locator(gone).first).to_be_hidden()
    tab.get_by_role("link", name="Older").click()
    expect(tab.locator("tr.message")).to_have_count(6)
    tab.get_by_role("link", name="Newer").click()
    expect(tab.locator("tr.message")).to_have_count(50)
    tab.get_by_label("Status").select_option("failed")
    tab.get_by_role("button", name="Apply").click()
    expect(tab.locator("tr.message")).to_have_count(1)
    tab.get_by_label("Search messages").fill("nothing like it")
    tab.keyboard.press("Enter")
    expect(tab.get_by_text("No message matches")).to_be_visible()


def test_it_lets_the_html_of_a_message_do_nothing(open_context, base_url, settled, complaints):
    message = settled(
        body_html="<p id=hello>Hello</p><script>top.document.title = 'taken'</script>"
        f"<img src='{base_url}/static/icon.svg?pixel'>"
    )
    tab = open_context().new_page()
    loaded = []
    tab.on("response", lambda response: loaded.append(response.url))
    tab.goto(f"/ui/messages/{message.id}")
    expect(tab.frame_locator("iframe").locator("#hello")).to_have_text("Hello")
    assert "taken" not in tab.title()
    assert not any("pixel" in url for url in loaded)
    complaints.clear()  # the browser tells of what it has refused


def test_it_opens_a_message_by_a_click_on_its_time_too(tab, settled):
    message = settled()
    tab.goto("/ui/logs")
    tab.locator(f"#message-{message.id} time").click()
    expect(tab.locator("#drawer #facts")).to_contain_text(str(message.id))
