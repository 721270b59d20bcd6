"""Every page: accessible in light and dark, never wider than the screen, quiet in the browser's
log, and there without JavaScript. Each is looked at as somebody sees it: by kind of visitor, with
rows that are hard to show. A short run sees each sight once; the rest is `long`.
"""

import contextlib
import re

import pytest
from playwright.sync_api import expect
from werkzeug.exceptions import NotFound

from tests.browser.guide import find_violations, look, unfold
from tests.browser.tour_audience import (  # noqa: F401 - fixtures
    first_registrar,
    onlooker,
    registrar,
)
from tests.browser.tour_campaigns import (  # noqa: F401 - fixtures
    campaigner,
    first_campaigner,
    spectator,
)
from tests.browser.tour_contact_imports import (  # noqa: F401 - fixtures
    first_importer,
    importer,
)
from tests.browser.tour_domains import landlord  # noqa: F401 - a fixture
from tests.browser.tour_incidents import dispatcher  # noqa: F401 - a fixture
from tests.browser.tour_notifications import town_crier  # noqa: F401 - a fixture
from tests.browser.tour_onboarding import (  # noqa: F401 - fixtures
    newborn,
    settler,
    starter,
)
from tests.browser.tour_policy import lawgiver  # noqa: F401 - a fixture
from tests.browser.tour_preferences import (  # noqa: F401 - fixtures
    librarian,
    patron,
    recipient,
)
from tests.browser.tour_reference import integrator  # noqa: F401 - a fixture
from tests.browser.tour_restore import survivor  # noqa: F401 - a fixture
from tests.browser.tour_retention import archivist  # noqa: F401 - a fixture
from tests.browser.tour_segments import (  # noqa: F401 - fixtures
    bystander,
    first_surveyor,
    surveyor,
)
from tests.browser.tour_signing import signer  # noqa: F401 - a fixture
from tests.browser.tour_templates import blank_page, scribe  # noqa: F401 - fixtures
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

OUTER_WIDTHS = (360, 1440)  # the last is the width in which the next one is looked at
INNER_WIDTHS = (720, 1000, 1440)
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
    "metrics.metrics": "text for Prometheus",
    "static": "files",
    "htmx": "a file",
    "settings.index": "leads on to the profile",
    "suppression_imports.rejected": "a file",
    "contact_imports.rejected": "a file",
    "webhook_endpoints.of_active": "leads on to those of an account",
    "styleguide.index": "looked at in test_shell.py",
    "styleguide.drawer": "a part of it",
    "templates.start_frame": "the frame of a mail's HTML",
    "templates.draft_frame": "the frame of a mail's HTML",
    "template_versions.frame": "the frame of a mail's HTML",
    "templates.suggest": "a fragment",
    "segments.counts": "a fragment",
    "campaigns.frame": "the frame of a mail's HTML",
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
    "integrator",
    "newcomer",
    "beginner",
    "reader",
    "clerk",
    "master",
    "postmaster",
    "warden",
    "list_keeper",
    "first_registrar",
    "registrar",
    "onlooker",
    "first_surveyor",
    "surveyor",
    "bystander",
    "first_importer",
    "importer",
    "first_campaigner",
    "campaigner",
    "spectator",
    "foreman",
    "starter",
    "newborn",
    "settler",
    "signer",
    "landlord",
    "blank_page",
    "scribe",
    "librarian",
    "patron",
    "recipient",
    "survivor",
    "archivist",  # who is alone: the other workspace goes
    "lawgiver",  # whose policy stops the mail of those before
)


SHORT_RUN = {"beginner", "campaigner"}
"""The tours that are taken in a short run; in a long run all of them are."""
TOUR_OF_AXE = "beginner"
"""The one that axe takes in a short run."""


@pytest.fixture
def guided(request):
    return request.getfixturevalue(request.param)


@pytest.mark.proves("console-accessible")
@pytest.mark.parametrize(
    "guided",
    [pytest.param(name, marks=[] if name in SHORT_RUN else [pytest.mark.long]) for name in TOURS],
    indirect=True,
)
def test_it_answers_quietly_and_is_never_wider_than_the_screen(open_context, guided, complaints):
    tab = open_context(person=guided.person).new_page()
    for sight in guided.sights:
        look(tab, sight)
        unfold(tab)
        check_width(tab, sight, OUTER_WIDTHS)
    forgive_what_was_meant(complaints, guided)


@pytest.mark.proves("console-accessible")
@pytest.mark.parametrize(
    "guided",
    [pytest.param(name, marks=[pytest.mark.long] if name != TOUR_OF_AXE else []) for name in TOURS],
    indirect=True,
)
def test_it_is_accessible_in_light_and_dark(open_context, guided, complaints):
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
        check_width(tab, sight, INNER_WIDTHS)
    forgive_what_was_meant(complaints, guided)


@pytest.mark.long
@pytest.mark.parametrize("guided", TOURS, indirect=True)
def test_it_is_there_without_javascript(open_context, guided, complaints):
    """What has an address of its own. That forms work is tried over HTTP, where no script runs."""
    tab = open_context(person=guided.person, java_script_enabled=False).new_page()
    for sight in guided.sights:
        if sight.act is None:
            look(tab, sight)
            assert tab.locator("h1").count() == 1, sight
            assert tab.locator("h1").inner_text().strip(), sight
            check_width(tab, sight, OUTER_WIDTHS)
    forgive_what_was_meant(complaints, guided)


def check_width(tab, sight, widths):
    """Fails where the page is wider than a window of one of these widths."""
    root = "document.documentElement"
    for width in widths:
        tab.set_viewport_size({"width": width, "height": 740})
        assert tab.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0, (sight, width)


def forgive_what_was_meant(complaints, guided):
    """Drop what the browser says of answers that were meant to be errors."""
    statuses = {sight.status for sight in guided.sights} - {200}
    meant = [f"status of {status}" for status in statuses]
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


@pytest.mark.proves("console-accessible")
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
