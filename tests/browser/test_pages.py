"""Every page: accessible in light and dark, never wider than the screen, and quiet in the browser's
log. Each is looked at as somebody sees it: by kind of visitor, with rows that are hard to show.
"""

import contextlib
import re

import pytest
from playwright.sync_api import expect
from werkzeug.exceptions import NotFound

from tests.browser.guide import find_violations, look, unfold
from tests.browser.tour_domains import landlord  # noqa: F401 - a fixture
from tests.browser.tour_incidents import dispatcher  # noqa: F401 - a fixture
from tests.browser.tour_notifications import town_crier  # noqa: F401 - a fixture
from tests.browser.tour_onboarding import (  # noqa: F401 - fixtures
    newborn,
    settler,
    starter,
)
from tests.browser.tour_policy import lawgiver  # noqa: F401 - a fixture
from tests.browser.tour_signing import signer  # noqa: F401 - a fixture
from tests.browser.tours import (  # noqa: F401 - fixtures
    beginner,
    clerk,
    foreman,
    list_keeper,
    master,
    newcomer,
    postmaster,
    reader,
    refused,
    stranger,
    throttled,
    warden,
)

pytestmark = pytest.mark.browser

WIDTHS = (360, 720, 1000, 1440)  # the last is the width in which the next one is looked at
NO_PAGES = {
    "logs.tail": "a fragment",
    "dead_letters.payload": "a file",
    "freezes.bar": "a fragment",
    "freezes.preview": "a fragment",
    "incidents.bundle": "a file",
    "messages.raw": "a file",
    "messages.bundle": "a file",
    "messages.preview": "the frame of a message's HTML",
    "messages.text": "plain text",
    "static": "files",
    "htmx": "a file",
    "settings.index": "leads on to the profile",
    "suppression_imports.rejected": "a file",
    "webhook_endpoints.of_active": "leads on to those of an account",
    "styleguide.index": "looked at in test_shell.py",
    "styleguide.drawer": "a part of it",
}
"""What takes GET, and is nothing that a person looks at; beside the API, which is JSON."""
COLOURS = ["color-contrast", "link-in-text-block"]
"""What of axe's rules may come out otherwise in the dark."""
JSON = {"api", "health", "openapi"}


TOURS = (
    "dispatcher",
    "town_crier",
    "stranger",
    "refused",
    "newcomer",
    "beginner",
    "reader",
    "clerk",
    "master",
    "postmaster",
    "warden",
    "list_keeper",
    "foreman",
    "starter",
    "newborn",
    "settler",
    "signer",
    "landlord",
    "lawgiver",  # whose policy stops the mail of those before
)


@pytest.fixture
def guided(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("guided", TOURS, indirect=True)
def test_it_is_accessible_and_never_wider_than_the_screen(open_context, guided, complaints):
    tab = open_context(person=guided.person).new_page()
    known = set()
    for sight in guided.sights:
        look(tab, sight)
        for dialog in list_dialogs(tab, known):
            tab.locator(f"#{dialog} > summary").click()
            assert find_violations(tab, "dialog:modal") is None, (sight, dialog)
            tab.keyboard.press("Escape")
        unfold(tab)
        assert find_violations(tab) is None, sight
        if sight.status != 422:  # what comes back from a form has its colours
            tab.emulate_media(color_scheme="dark")
            assert find_violations(tab, rules=COLOURS) is None, sight
            tab.emulate_media(color_scheme="light")
        for width in WIDTHS:
            tab.set_viewport_size({"width": width, "height": 740})
            root = "document.documentElement"
            overflow = tab.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
            assert overflow <= 0, (sight, width)
    statuses = {sight.status for sight in guided.sights} - {200}
    meant = [f"status of {status}" for status in statuses]  # the browser complains of those, too
    complaints[:] = [text for text in complaints if not any(one in text for one in meant)]


def list_dialogs(tab, known):
    """Ids of dialogs of the page, one of each kind that is not known yet: those in the rows of a
    list differ by a number.
    """
    for one in tab.eval_on_selector_all("details.opens", "all => all.map(one => one.id)"):
        kind = re.sub(r"\d+", "", one)
        if kind not in known and tab.locator(f"#{one} > summary").is_visible():
            known.add(kind)
            yield one


def test_what_opens_from_the_bars_has_no_violation(open_context):
    tab = open_context().new_page()
    tab.goto("/ui/styleguide")
    tab.keyboard.press("?")
    assert find_violations(tab, "dialog:modal") is None
    tab.keyboard.press("Escape")
    tab.locator("#open-drawer").click()
    expect(tab.locator("#drawer-title")).to_be_focused()
    assert find_violations(tab) is None
    tab.keyboard.press("Escape")
    tab.get_by_role("button", name="Toast: undo").click()
    expect(tab.locator("#toasts .toast")).to_be_visible()
    tab.set_viewport_size({"width": 360, "height": 740})
    tab.locator("#pages-menu > summary").click()
    assert find_violations(tab) is None


def test_no_page_is_left_out(app, request):
    """Add a page that fails here to one of the tours, as whoever sees most of it."""
    adapter = app.url_map.bind("127.0.0.1")
    seen = {"sign_in.code"}  # it has no path of its own: it is where a password leads to
    for name in TOURS:
        for sight in request.getfixturevalue(name).sights:
            with contextlib.suppress(NotFound):
                seen.add(adapter.match(sight.path.partition("?")[0], method="GET")[0])
    pages = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "GET" in rule.methods and rule.endpoint.partition(".")[0] not in JSON
    }
    assert seen == pages - NO_PAGES.keys()
