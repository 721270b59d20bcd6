"""`make screenshots`: a picture of every page, wide, narrow and dark, and an index to look through.

Run beside `make run` that `make demo` has filled. Somebody new signs up for the pictures of first
steps and of what is shown once; they and their workspace are removed again. The rest is only read.
"""

import html
import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from maild import clock, config, db
from maild.domain.states import Status
from maild.errors import MaildError
from maild.models import Person, Workspace
from maild.services import people, people_mail, processes
from tools import chromium
from tools.demo import cast, stack
from tools.demo.stack import Found, Http, Refused

FOLDER = Path(__file__).resolve().parents[1] / "screenshots"
TIMEOUT_MS = 10_000
VARIANTS = {
    "wide": ((1440, 900), "light"),
    "narrow": ((360, 740), "light"),
    "dark": ((1440, 900), "dark"),
}

NEW_EMAIL, NEW_PASSWORD = "screenshots@maild.test", "a lamp in every window"
NEW_WORKSPACE = "Screenshots"

PUBLIC = {
    "home": "/",
    "log-in": "/login",
    "sign-up": "/signup",
    "forgotten": "/reset",
    "link-that-is-gone": "/reset/" + "x" * 43,
    "unsubscribe-unknown": "/u/nothing",
    "not-found-outside": "/nothing",
}
MAIL = {
    "dashboard": "/dashboard",
    **{
        f"onboarding-{step}": f"/ui/onboarding/{step}"
        for step in ("workspace", "provider", "domain", "policy", "test-message", "webhook")
    },
    "overview": "/ui",
    "logs": "/ui/logs",
    "suppressions": "/ui/suppressions",
    "suppressions-import": "/ui/suppressions/import",
    "unsubscribes": "/ui/unsubscribes",
}
SETTINGS = {
    name: f"/ui/settings/{name}"
    for name in ("profile", "security", "workspace", "members", "invitations", "api-keys", "audit")
}
OTHERS = {
    "logs-failed": "/ui/logs?status=failed&range=24h",
    "logs-nothing": "/ui/logs?q=nothing-like-it",
    "logs-error": "/ui/logs?to_email=ann",
    "dead-letters": "/ui/webhooks",
    "reports": "/ui/webhooks?state=any",
    "providers": "/ui/providers",
    "provider-new": "/ui/providers/new?preset=ses",
    "provider-environment": "/ui/providers/0",
    "freezes": "/ui/freezes",
    "freezes-ended": "/ui/freezes?state=ended",
    "freeze-new": "/ui/freezes/new",
    "contacts": "/ui/audience",
    "contact-new": "/ui/audience/contacts/new",
    "attributes": "/ui/audience/attributes",
    "lists": "/ui/audience/lists",
    "contact-imports": "/ui/audience/imports",
    "segments": "/ui/audience/segments",
    "segment-new": "/ui/audience/segments/new",
    "topics": "/ui/audience/topics",
    "templates": "/ui/templates",
    "template-new": "/ui/templates/new",
    "campaigns": "/ui/campaigns",
    "campaign-new": "/ui/campaigns/new",
    "campaign-settings": "/ui/campaigns/settings",
    "retention": "/ui/settings/retention",
    "restore": "/ui/restore",
    "audit-nothing": "/ui/settings/audit?action=member.removed",
    "audit-checked": "/ui/settings/audit/check",
    "new-workspace": "/workspaces/new",
    "not-found": "/ui/nothing",
    "styleguide": "/ui/styleguide",
    "styleguide-drawer": "/ui/styleguide/drawer",
}
NEWCOMERS = (
    "dashboard",
    "onboarding-provider",
    "overview",
    "logs",
    "members",
    "invitations",
    "api-keys",
    "audit",
)


def main() -> int:
    """Returns the exit code: 0, or 1 after saying what is missing."""
    try:
        found = stack.find()
        path = chromium.find()
        if path is None:
            raise Refused(chromium.MISSING)
        processes.start(found.settings, name="screenshots", pool_size=2)
        processes.require_schema()
        with db.connection():
            if people.authenticate(cast.ADMIN, cast.PASSWORD) is None:
                raise Refused(f"{cast.ADMIN} cannot log in here. Run `make demo` first.")
        album = Album(FOLDER)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=chromium.ARGUMENTS)
            take_all(browser, found, album)
            browser.close()
        album.write_index()
    except (Refused, MaildError, PlaywrightError) as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1
    print(f"{len(album.names)} pages: {FOLDER / 'index.html'}")
    return 0


@dataclass
class Album:
    """The folder of the pictures."""

    folder: Path
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    def take(self, tab: Page, name: str, *, is_whole: bool = True) -> None:
        """Take a page as it is now, in all variants; or what of it the window shows."""
        name = f"{len(self.names) + 1:02}-{name}"
        tab.evaluate(_LOAD_FRAMES)
        for variant, ((width, height), colours) in VARIANTS.items():
            tab.set_viewport_size({"width": width, "height": height})
            tab.emulate_media(color_scheme="dark" if colours == "dark" else "light")
            if is_whole:
                # A window as high as the page: what is outside of it, frames do not draw.
                whole = tab.evaluate("document.documentElement.scrollHeight")
                tab.set_viewport_size({"width": width, "height": max(height, whole)})
            path = self.folder / f"{name}-{variant}.png"
            tab.screenshot(path=path, animations="disabled")
        self.names.append(name)
        print(name, flush=True)

    def write_index(self) -> None:
        """All of them on one page; a click shows one in its full size."""
        rows = "\n".join(
            f"<h2>{html.escape(name)}</h2>\n<p>"
            + "".join(
                f'<a href="{name}-{variant}.png">'
                f'<img src="{name}-{variant}.png" alt="{variant}" loading="lazy"></a>'
                for variant in VARIANTS
            )
            + "</p>"
            for name in self.names
        )
        (self.folder / "index.html").write_text(_INDEX.format(rows=rows), encoding="utf-8")


_LOAD_FRAMES = """async () => {
    for (const frame of document.querySelectorAll("iframe[loading=lazy]")) {
        frame.loading = "eager";
        await new Promise((done) => { frame.onload = done; frame.src = frame.src; });
    }
}"""
_INDEX = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>maild: every page</title>
<style>
body {{ margin: 2rem; font: 14px system-ui, sans-serif; background: #eee; }}
p {{ display: flex; gap: 1rem; align-items: start; }}
img {{ max-width: 100%; box-shadow: 0 1px 4px #0004; }}
a:nth-child(2) {{ flex: 0 0 18%; }}
</style>
{rows}
</html>
"""


def take_all(browser: Browser, found: Found, album: Album) -> None:
    """Every page, by who sees it. Raises Refused, PlaywrightError."""
    site = Site(browser, found, album)
    with site.tab() as tab:
        site.take(tab, PUBLIC)
        _take_refusals(site, tab)
    for email, _, role in cast.PEOPLE:
        with site.tab() as tab:
            site.log_in(tab, email, cast.PASSWORD)
            if role == "admin":
                site.take(tab, MAIL | SETTINGS | OTHERS)
                _take_messages(site, tab)
                _take_provider(site, tab)
                _take_campaigns(site, tab)
                _take_open(site, tab)
            else:
                site.take(tab, {"dashboard": "/dashboard", **SETTINGS}, suffix=f"-{role}")
    with site.somebody_new() as tab:
        _take_newcomer(site, tab)


@dataclass(frozen=True)
class Site:
    """The running maild, as browsers see it."""

    browser: Browser
    found: Found
    album: Album

    @contextmanager
    def tab(self) -> Iterator[Page]:
        """A tab in which nobody is signed in."""
        url = f"http://{self.found.web}"
        with self.browser.new_context(base_url=url, reduced_motion="reduce") as context:
            context.set_default_timeout(TIMEOUT_MS)
            yield context.new_page()

    def take(self, tab: Page, paths: dict[str, str], *, suffix: str = "") -> None:
        for name, path in paths.items():
            tab.goto(path)
            self.album.take(tab, name + suffix)

    def log_in(self, tab: Page, email: str, password: str) -> None:
        tab.goto("/login")
        tab.get_by_label("E-mail address").fill(email)
        tab.get_by_label("Password", exact=True).fill(password)
        tab.get_by_role("button", name="Log in").click()

    @contextmanager
    def somebody_new(self) -> Iterator[Page]:
        """A tab of somebody who has just signed up, and is forgotten afterwards."""
        _forget()
        with self.tab() as tab:
            tab.goto("/signup")
            tab.get_by_label("Your name").fill("Nora Newcomer")
            tab.get_by_label("E-mail address").fill(NEW_EMAIL)
            tab.get_by_label("Password", exact=True).fill(NEW_PASSWORD)
            tab.get_by_label("Name of your workspace").fill(NEW_WORKSPACE)
            tab.get_by_role("button", name="Sign up").click()
            tab.wait_for_url("**/ui/onboarding/workspace")
            try:
                yield tab
            finally:
                _forget()

    def find_mailed_path(self, to_email: str, start: str, *, tries: int = 1) -> str | None:
        """The path of a link in the newest mail to this address, if the inbox has one."""
        for _ in range(tries):
            for one in self._ask_inbox("messages?limit=5000")["messages"]:
                if to_email in [to["Address"] for to in one["To"]]:
                    text = self._ask_inbox(f"message/{one['ID']}")["Text"]
                    if match := re.search(re.escape(people_mail.link(start)) + r"(\S+)", text):
                        return start + match[1]
            time.sleep(0.5)
        return None

    def _ask_inbox(self, path: str) -> dict[str, Any]:
        http = Http(config.load_local().inbox_web_addr, key_header="X-None")
        _, body = http.send("GET", f"/api/v1/{path}", None, {})
        http.close()
        answer: dict[str, Any] = json.loads(body)
        return answer


def _forget() -> None:
    with db.connection():
        names = Workspace.select(Workspace.id).where(Workspace.name == NEW_WORKSPACE)
        Workspace.delete().where(Workspace.id.in_(names)).execute()
        Person.delete().where(Person.email == NEW_EMAIL).execute()


def _take_refusals(site: Site, tab: Page) -> None:
    """Forms that come back, and links in mail."""
    tab.goto("/login")
    site.log_in(tab, cast.ADMIN, "not it")
    tab.get_by_role("alert").wait_for()
    site.album.take(tab, "log-in-refused")
    tab.goto("/signup")
    tab.get_by_label("Your name").fill("Nora")
    tab.get_by_label("E-mail address").fill(cast.ADMIN)
    tab.get_by_label("Password", exact=True).fill("short")
    tab.get_by_label("Name of your workspace").fill("x")
    tab.get_by_role("button", name="Sign up").click()
    tab.locator("[aria-invalid]").first.wait_for()
    site.album.take(tab, "sign-up-refused")
    if path := site.find_mailed_path(cast.OPEN_INVITATION, "/invitations/"):
        site.take(tab, {"invitation": path})


def _take_messages(site: Site, tab: Page) -> None:
    """A message of each status that there is."""
    for status in Status:
        tab.goto(f"/ui/logs?status={status}")
        link = tab.locator("a.row-link").first
        if link.count():
            tab.goto(link.get_attribute("href") or "")
            site.album.take(tab, f"message-{status}")


def _take_provider(site: Site, tab: Page) -> None:
    """The pages of the SMTP account that mail takes first, and of a webhook endpoint of it."""
    tab.goto("/ui/providers")
    tab.locator(".provider-card h2 a").first.click()
    links = tab.get_by_label("Pages of this account").get_by_role("link").all()
    paths = {link.inner_text(): link.get_attribute("href") or "" for link in links}
    site.take(tab, {f"provider-{name.lower().replace(' ', '-')}": paths[name] for name in paths})
    tab.goto(paths["Webhooks"])
    endpoint = tab.locator("tbody th a").first
    if endpoint.count():
        endpoint.click()
        site.album.take(tab, "webhook-endpoint")


def _take_campaigns(site: Site, tab: Page) -> None:
    """What belongs to the first contact, segment, template and campaign of their lists."""
    for name, path, others in (
        ("contact", "/ui/audience", ("edit",)),
        ("segment", "/ui/audience/segments", ("edit",)),
        ("template", "/ui/templates", ("versions", "test", "api")),
        ("campaign", "/ui/campaigns", ("edit", "send", "test")),
        ("campaign-begun", "/ui/campaigns?status=sending", ("report", "recipients")),
        ("campaign-over", "/ui/campaigns?status=finished", ("report", "recipients")),
    ):
        tab.goto(path)
        link = tab.locator("tbody th a").first
        if link.count():
            own = link.get_attribute("href") or ""
            pages = {f"{name}-{other}": f"{own}/{other}" for other in others}
            site.take(tab, {name: own, **pages})


def _take_open(site: Site, tab: Page) -> None:
    """What opens over a page."""
    opened: dict[str, tuple[str, Callable[[], None]]] = {
        "help": ("/ui", lambda: tab.keyboard.press("?")),
        "switcher": ("/ui", tab.locator("#switcher > summary").click),
        "person-menu": ("/ui", tab.locator("#person-menu > summary").click),
        "leave": ("/ui/settings/workspace", tab.locator("#leave > summary").click),
        "make-key": ("/ui/settings/api-keys", tab.locator("#make-key > summary").click),
        "remove": ("/ui/settings/members", tab.locator(".opens > .danger").first.click),
        "drawer": ("/ui/styleguide", tab.locator("#open-drawer").click),
    }
    for name, (path, act) in opened.items():
        tab.set_viewport_size({"width": 1440, "height": 900})
        tab.goto(path)
        act()
        site.album.take(tab, f"open-{name}", is_whole=False)
    tab.goto("/ui")
    tab.set_viewport_size({"width": 360, "height": 740})
    tab.locator("#pages-menu > summary").click()
    site.album.take(tab, "open-pages-menu", is_whole=False)


def _take_newcomer(site: Site, tab: Page) -> None:
    """The first steps, empty pages, and what is shown once."""
    every = MAIL | SETTINGS
    site.take(tab, {f"new-{name}": every[name] for name in NEWCOMERS})
    if path := site.find_mailed_path(NEW_EMAIL, "/confirm/", tries=20):
        site.take(tab, {"confirm": path})
        tab.get_by_role("button", name="Confirm").click()
        tab.wait_for_url("**/ui/onboarding/**")
        site.album.take(tab, "confirmed")
        _take_key(site, tab)
        _take_second_factor(site, tab)


def _take_key(site: Site, tab: Page) -> None:
    tab.goto(SETTINGS["api-keys"])
    tab.locator("#make-key > summary").click()
    tab.get_by_role("dialog").get_by_label("Name").fill("shop backend")
    tab.get_by_role("dialog").locator("button[type=submit]").click()
    tab.locator(".secret").wait_for()
    site.album.take(tab, "api-key-made")


def _take_second_factor(site: Site, tab: Page) -> None:
    site.take(tab, {"second-factor": "/ui/settings/security/second-factor"})
    [secret] = re.findall(r"\b[A-Z2-7]{32}\b", tab.locator("main").inner_text())
    tab.get_by_label("Code that the app shows").fill(pyotp.TOTP(secret).at(clock.now()))
    tab.get_by_label("Your password").fill(NEW_PASSWORD)
    tab.get_by_role("button", name="Turn it on").click()
    tab.locator(".secret").wait_for()
    site.album.take(tab, "recovery-codes")
    site.take(tab, {"security-with-factor": "/ui/settings/security"})
    with site.tab() as other:
        site.log_in(other, NEW_EMAIL, NEW_PASSWORD)
        other.get_by_label("Code").wait_for()
        site.album.take(other, "log-in-code")


if __name__ == "__main__":
    sys.exit(main())
