"""What a tour of pages is made of: what to look at, and as whom."""

from collections.abc import Callable
from dataclasses import dataclass

from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Page

from maild import config
from maild.domain.actor import SYSTEM
from maild.domain.role import Role
from maild.models import Person
from maild.services import invitations

# What turns for ever, as a spinner does, is not waited for.
AT_REST = """
    () => Promise.allSettled(
        document.getAnimations()
            .filter((one) => Number.isFinite(one.effect.getComputedTiming().endTime))
            .map((one) => one.finished)
    )
"""


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


def find_violations(tab, where="html", rules=None):
    """What axe has to say of a part of the page, by all of its rules or by these.

    It looks when what moves or fades in has arrived: a colour on its way has no contrast to judge.
    """
    tab.evaluate(AT_REST)
    if not tab.evaluate("'axe' in window"):
        tab.evaluate(AXE_SCRIPT)
    options = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = rules
    run = "([where, options]) => axe.run(where, options).then(({violations}) => ({violations}))"
    found = tab.evaluate(run, [where, options])
    return AxeResults(found).generate_report() if found["violations"] else None


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
