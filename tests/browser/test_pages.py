"""Every page: accessible in light and dark, never wider than the screen, and quiet in the browser's
log. Each is looked at as somebody sees it: by kind of visitor, with rows that are hard to show.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import pyotp
import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Page, expect
from werkzeug.exceptions import NotFound

from maild import clock, config
from maild.domain.actor import SYSTEM
from maild.domain.role import Role
from maild.models import MessageBody, Person
from maild.services import invitations, mailed_links, second_factors, unsubscribe_links
from maild.services.unsubscribe_links import Link
from maild.web import throttle
from tests.browser import hard_rows
from tests.conftest import PASSWORD, WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.browser

NEW_ADDRESS = "c" + hard_rows.LONG_ADDRESS[1:]
WIDTHS = (360, 720, 1000, 1440)  # the last is the width in which the next one is looked at
NO_PAGES = {
    "logs.tail": "a fragment",
    "messages.preview": "the frame of a message's HTML",
    "messages.text": "plain text",
    "static": "files",
    "htmx": "a file",
    "settings.index": "leads on to the profile",
    "styleguide.index": "looked at in test_shell.py",
    "styleguide.drawer": "a part of it",
}
"""What takes GET, and is nothing that a person looks at; beside the API, which is JSON."""
COLOURS = ["color-contrast", "link-in-text-block"]
"""What of axe's rules may come out otherwise in the dark."""
JSON = {"api", "health", "openapi"}


@dataclass(frozen=True)
class Sight:
    """Something to look at: a path, or what is there after `act`, and the status that is meant."""

    path: str
    act: Callable[[Page], None] | None = None
    status: int = 200


@dataclass(frozen=True)
class Tour:
    """A visitor (None: a stranger), and what they see."""

    person: Person | None
    sights: tuple[Sight, ...]


def tour(person, *sights):
    return Tour(person, tuple(Sight(one) if isinstance(one, str) else one for one in sights))


def path_of(url):
    return url.removeprefix(config.current().public_url)


def invite(email):
    made = invitations.make(1, email=email, role=Role.VIEWER, by=SYSTEM)
    return path_of(made.url)


def send(tab, path, times=1, **fields):
    """Send a form with the token of the page, as if the page had it; and before it the same in the
    background, so that it is sent so many times.
    """
    with tab.expect_navigation():
        tab.evaluate(
            """async ([path, fields, again]) => {
                const form = document.createElement("form");
                Object.assign(form, {method: "post", action: path});
                fields.csrf_token = document.querySelector("[name=csrf_token]").value;
                for (const [name, value] of Object.entries(fields)) {
                    form.append(Object.assign(document.createElement("textarea"), {name, value}));
                }
                const body = new URLSearchParams(fields);
                for (let n = 0; n < again; n++) await fetch(path, {method: "post", body});
                document.body.append(form);
                form.submit();
            }""",
            [path, fields, times - 1],
        )


def posted(path, status, *, by=None, **fields):
    """What comes back when these fields are sent, by a page at another path where it is told."""
    return Sight(by or path, lambda tab: send(tab, path, **fields), status)


@pytest.fixture
def throttled(monkeypatch):
    """Call to count from now on how often somebody tries."""

    def count():
        monkeypatch.setattr(throttle.limiter, "enabled", True)

    yield count
    throttle.limiter.reset()


@pytest.fixture
def stranger(admin, make_person, settled, throttled):
    """Before the log-in."""
    make_person("has-an-account@a.example", None)
    factor = make_person("factor@a.example", None)
    second_factors.begin(factor.id)
    Person.update(totp_enabled_at=clock.now()).where(Person.id == factor.id).execute()
    unsubscribe_links.load(1)
    link = Link(1, settled().id, hard_rows.LONG_ADDRESS, "t" * 100)
    reset = path_of(mailed_links.make_reset_url(admin))

    def come_to_code(tab):
        send(tab, "/login", email="factor@a.example", password=PASSWORD)
        expect(tab).to_have_url(re.compile("/login/code$"))

    def come_to_limit(tab):
        throttled()
        send(tab, "/reset", times=6, email="limited@a.example")

    return tour(
        None,
        "/",
        "/login",
        posted("/login", 422, email="ann@a.example", password="x"),
        Sight("/login", come_to_code),
        "/signup",
        posted("/signup", 422, email=hard_rows.LONG_ADDRESS),
        "/reset",
        posted("/reset", 200, email=hard_rows.LONG_ADDRESS),
        reset,
        posted(reset, 422, new="short"),
        Sight("/reset/" + "x" * 43, status=404),
        invite("new@a.example"),
        invite(hard_rows.LONG_ADDRESS),
        invite("has-an-account@a.example"),
        path_of(unsubscribe_links.make_url(link)),
        Sight("/u/nothing", status=404),
        Sight("/nothing", status=404),
        Sight("/reset", come_to_limit, 429),
    )


@pytest.fixture
def refused(use_settings):
    """Where nobody new is taken."""
    path = invite("new@a.example")
    use_settings(signup_mode="closed")
    return tour(None, "/", "/login", Sight("/signup", status=403), path)


@pytest.fixture
def newcomer(make_person):
    """Somebody whose address is not confirmed yet, and who belongs to no workspace."""
    person = make_person(NEW_ADDRESS, None, is_verified=False, name=hard_rows.LONG_NAME)
    mailed_links.send_confirmation(person)
    text = MessageBody.get(MessageBody.body_text.contains(mailed_links.CONFIRM_PATH)).body_text
    [confirm] = [path_of(word) for word in text.split() if mailed_links.CONFIRM_PATH in word]
    return tour(
        person,
        "/",
        "/dashboard",
        "/workspaces/new",
        "/ui/settings/profile",
        "/ui/settings/security",
        Sight("/ui/settings/security/second-factor", status=409),
        confirm,
        invite(NEW_ADDRESS),
        invite("somebody-else@a.example"),
        Sight("/nothing", status=404),
    )


@pytest.fixture
def reader(admin, make_person, settled, fail_message):
    """A viewer, in a workspace that is full, looking at its mail."""
    messages = hard_rows.make_messages(settled, fail_message)
    viewer = make_person("vera@a.example", Role.VIEWER)
    return tour(
        viewer,
        "/dashboard",
        "/ui",
        "/ui/logs",
        "/ui/logs?status=failed&tag=x&range=7d",
        *(f"/ui/messages/{message.id}" for message in messages),
        "/ui/settings/workspace",
        "/ui/settings/members",
        "/ui/settings/invitations",
        "/ui/settings/api-keys",
        Sight("/ui/settings/audit", status=403),
        Sight("/ui/nothing", status=404),
    )


@pytest.fixture
def beginner(make_person):
    """The admin of a workspace in which nothing has happened, whose address is not confirmed."""
    person = make_person("bob@b.example", workspace_id=WORKSPACE_B, is_verified=False)
    return tour(
        person,
        "/dashboard",
        "/ui",
        "/ui/logs",
        "/ui/settings/members",
        "/ui/settings/invitations",
        "/ui/settings/api-keys",
        "/ui/settings/audit",
    )


@pytest.fixture
def master(admin, make_person):
    """The admin, in the settings of a workspace that is full, and of many other workspaces."""
    hard_rows.make_people(admin)
    hard_rows.make_workspaces(admin, 10)

    def turn_second_factor_on(tab):
        secret = re.search(r"\b[A-Z2-7]{32}\b", tab.locator("main").inner_text())[0]
        tab.get_by_label("Code that the app shows").fill(pyotp.TOTP(secret).at(clock.now()))
        tab.get_by_label("Your password").fill(PASSWORD)
        with tab.expect_navigation():
            tab.get_by_role("button", name="Turn it on").click()

    here = str(WORKSPACE_A)
    return tour(
        admin,
        "/dashboard",
        "/ui",
        "/workspaces/new",
        "/ui/settings/profile",
        posted("/ui/settings/profile/email", 422, by="/ui/settings/profile", email="x"),
        "/ui/settings/security",
        "/ui/settings/security/second-factor",
        Sight("/ui/settings/security/second-factor", turn_second_factor_on),
        "/ui/settings/security",
        "/ui/settings/workspace",
        posted("/ui/settings/workspace", 409, name="x", workspace_id=str(WORKSPACE_B)),
        "/ui/settings/members",
        "/ui/settings/invitations",
        posted("/ui/settings/invitations", 422, email="x", role="viewer", workspace_id=here),
        "/ui/settings/api-keys",
        posted("/ui/settings/api-keys", 422, networks="x\ny", workspace_id=here),
        posted(
            "/ui/settings/api-keys",
            200,
            name="k" * 64,
            role="sender",
            expires="30",
            networks="\n".join(f"2001:db8:{part}::/48" for part in range(9)),
            workspace_id=here,
        ),
        "/ui/settings/audit",
        "/ui/settings/audit?action=no.such",
        Sight("/ui/settings/audit?since=x&actor=" + "y" * 400, status=422),
        "/ui/settings/audit/check",
        Sight("/ui/settings/audit/check?kept=x", status=422),
    )


TOURS = ("stranger", "refused", "newcomer", "beginner", "reader", "master")


@pytest.fixture
def guided(request):
    return request.getfixturevalue(request.param)


def look(tab, sight):
    """Come to a sight, and be sure that it is what was meant."""
    statuses = []

    def note(response):
        if response.request.is_navigation_request() and response.frame == tab.main_frame:
            statuses.append(response.status)

    tab.on("response", note)
    tab.goto(sight.path)
    if sight.act:
        sight.act(tab)
    tab.remove_listener("response", note)
    assert statuses[-1] == sight.status, (sight, statuses)


def unfold(tab):
    """Show what is folded: menus, dialogs in the page, details."""
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")


def find_violations(tab, where="html", rules=None):
    """What axe has to say of a part of the page, by all of its rules or by these."""
    if not tab.evaluate("'axe' in window"):
        tab.evaluate(AXE_SCRIPT)
    options = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = rules
    run = "([where, options]) => axe.run(where, options).then(({violations}) => ({violations}))"
    found = tab.evaluate(run, [where, options])
    return AxeResults(found).generate_report() if found["violations"] else None


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
