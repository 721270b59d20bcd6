"""The tours of the console: who looks at what, and the rows that are hard to show. Each is a
fixture that `test_pages` asks for by its name.
"""

import dataclasses
import re

import pyotp
import pytest
from playwright.sync_api import expect

from maild import clock
from maild.domain.actor import Actor
from maild.domain.role import Role
from maild.models import Message, MessageBody, Person
from maild.services import (
    interventions,
    mailed_links,
    saved_views,
    second_factors,
    unsubscribe_links,
)
from maild.services.unsubscribe_links import Link
from maild.web import throttle
from tests.browser import hard_jobs, hard_letters, hard_providers, hard_rows, hard_suppressions
from tests.browser.guide import Sight, find_violations, invite, path_of, posted, send, tour
from tests.conftest import PASSWORD, WORKSPACE_A, WORKSPACE_B

NEW_ADDRESS = "c" + hard_rows.LONG_ADDRESS[1:]


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
        "/ui?span=7d",
        "/ui/logs",
        "/ui/logs?status=failed&tag=x&range=7d",
        "/ui/logs/views?status=failed",
        Sight("/ui/logs", open_drawer),
        *(f"/ui/messages/{message.id}" for message in messages),
        "/ui/webhooks",
        "/ui/freezes",
        "/ui/suppressions",
        "/ui/suppressions/import",
        "/ui/unsubscribes",
        "/ui/settings/workspace",
        "/ui/settings/members",
        "/ui/settings/invitations",
        "/ui/settings/api-keys",
        Sight("/ui/settings/audit", status=403),
        Sight("/ui/nothing", status=404),
    )


def open_drawer(tab):
    tab.locator("a.row-link").first.click()
    expect(tab.locator("#drawer-title")).to_be_visible()


@pytest.fixture
def clerk(admin, settled, fail_message):
    """The admin, at work in the log, with views that have hard names."""
    settled(subject="word " * 60, to_email="a-very-long-local-part@" + "sub." * 20 + "example.com")
    by, query = Actor(hard_rows.LONG_ADDRESS), "status=failed&q=" + "w" * 300
    view, _ = saved_views.save(WORKSPACE_A, name="v" * 60, query=query, by=by)
    saved_views.save(WORKSPACE_A, name="Receipts", query="tag=receipt", by=by)
    failed, unknown, held = (settled(subject=word) for word in ("Failed", "Unknown", "Held"))
    fail_message(failed)
    Message.update(status="sending", worker_id=unknown.id, next_attempt_at=None).where(
        Message.id == unknown.id
    ).execute()
    Message.update(status="unknown", worker_id=None).where(Message.id == unknown.id).execute()
    interventions.hold(WORKSPACE_A, [str(held.id)], by=by, reason="r" * 300)
    here = str(WORKSPACE_A)
    paths = {message: f"/ui/messages/{message.id}" for message in (failed, unknown, held)}
    views = "/ui/logs/views"
    return tour(
        admin,
        "/ui/logs",
        "/ui/logs?tag=x&range=7d&subject=" + "s" * 100,
        Sight("/ui/logs", choose_a_row),
        Sight("/ui/logs", open_drawer),
        *paths.values(),
        posted(
            f"{paths[held]}/hold", 409, by=paths[held], reason="x", seen_status="queued",
            workspace_id=here,
        ),
        posted(
            f"{paths[held]}/cancel", 422, by=paths[held], seen_status="held",
            seen_at=Message.get_by_id(held.id).updated_at.isoformat(), workspace_id=here,
        ),
        views,
        f"{views}?tag=y",
        posted(views, 409, by=f"{views}?tag=y", name="receipts", query="tag=y", workspace_id=here),
        posted(f"{views}/{view.id}/rename", 409, by=views, name="receipts", workspace_id=here),
    )  # fmt: skip


def choose_a_row(tab):
    tab.locator("#log-rows input[name=id]").first.check()


@pytest.fixture
def beginner(make_person):
    """The admin of a workspace in which nothing has happened, whose address is not confirmed."""
    person = make_person("bob@b.example", workspace_id=WORKSPACE_B, is_verified=False)
    return tour(
        person,
        "/dashboard",
        "/ui",
        "/ui/logs",
        "/ui/webhooks",
        "/ui/jobs",
        "/ui/freezes",
        "/ui/freezes?state=ended",
        "/ui/suppressions",
        "/ui/unsubscribes",
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


@pytest.fixture
def postmaster(admin):
    """The admin, among SMTP accounts in every state."""
    hard = hard_providers.make()
    broken, here = f"/ui/providers/{hard.broken}", {"workspace_id": str(WORKSPACE_A)}
    return tour(
        admin,
        "/ui/providers",
        broken,
        f"{broken}?span=7d",
        posted(f"{broken}/pause", 422, by=broken, **here),
        f"{broken}/check",
        f"/ui/providers/{hard.standby}/check",
        f"{broken}/test",
        posted(f"{broken}/test", 422, to_email="x", **here),
        f"{broken}/webhooks",
        posted(f"{broken}/webhooks", 422, provider="ses", signing_secret="x", **here),
        f"/ui/providers/webhooks/{hard.needs_secret}",
        posted(
            f"/ui/providers/webhooks/{hard.needs_secret}/secrets",
            422,
            by=f"/ui/providers/webhooks/{hard.needs_secret}",
            kind="basic_auth",
            **here,
        ),
        f"/ui/providers/webhooks/{hard.refusing}",
        f"{broken}/edit",
        posted(
            f"{broken}/edit",
            409,
            host="x" * 200,
            port="1",
            security="tls",
            max_connections="1",
            priority="1",
            **here,
        ),
        "/ui/providers/new?preset=ses",
        posted("/ui/providers/new", 422, **here),
        "/ui/providers/0",
        "/ui/providers/0/edit",
    )


@pytest.fixture
def warden(admin):
    """The admin, among dead letters and freezes in every state."""
    hard, here = hard_letters.make(), {"workspace_id": str(WORKSPACE_A)}
    letter, freeze = f"/ui/webhooks/{hard.unreadable}", f"/ui/freezes/{hard.freeze}"

    def open_form(tab):
        tab.locator("#freeze-open").click()
        expect(tab.get_by_role("dialog").get_by_label("Reason")).to_be_focused()
        assert find_violations(tab, "dialog:modal") is None
        tab.keyboard.press("Escape")

    def open_drawer(tab):
        tab.locator("#letters a.row-link").first.click()
        expect(tab.locator("#drawer-title")).to_be_focused()
        assert find_violations(tab, "#drawer") is None
        tab.keyboard.press("Escape")

    return tour(
        admin,
        Sight("/ui/webhooks", open_drawer),
        "/ui/webhooks?state=any&event_type=complained",
        "/ui/webhooks?state=replayed&range=15m",
        Sight("/ui/webhooks?state=x&email=x&endpoint_id=x&since=x", status=422),
        letter,
        f"{letter}/trial",
        posted(f"{letter}/dismiss", 422, by=letter, **here),
        f"/ui/webhooks/{hard.applied}",
        Sight("/ui/freezes", open_form),
        "/ui/freezes?state=ended",
        "/ui/freezes/new?what=from_email&lasts=until",
        posted("/ui/freezes", 422, what="from_email", target="x" * 200, lasts="until", **here),
        posted("/ui/freezes", 409, what="stream:marketing", reason="r", lasts="30m", **here),
        posted(f"{freeze}/extend", 422, by="/ui/freezes", lasts="until", until="x", **here),
        posted(f"{freeze}/lift", 422, by="/ui/freezes", **here),
    )


@pytest.fixture
def list_keeper(admin, settled):
    """The admin, among suppressions and unsubscribes that are hard to show, and files of them."""
    hard = hard_suppressions.make(settled)
    lists, files, left = "/ui/suppressions", "/ui/suppressions/import", "/ui/unsubscribes"
    here = {"workspace_id": str(WORKSPACE_A)}
    adding = {"class": "manual", "stream": "", "expires": "never", "reason": "x" * 300, **here}
    several = "\n".join(["new@example.org", hard_rows.LONG_ADDRESS, "n" * 200])
    wide, complaint = f"{files}/{hard.wide_file}", f"{lists}/{hard.complaint}/remove"
    came_back = f"{left}/{hard.unsubscribe}/remove"
    return tour(
        admin,
        lists,
        f"{lists}?state=removed&domain=example.org",
        f"{lists}?address=nobody",
        Sight(f"{lists}?class=x&since=x", status=422),
        f"{lists}/{hard.complaint}",
        f"{lists}/{hard.removed}",
        complaint,
        posted(complaint, 422, reason="x", **here),
        f"{lists}/add",
        posted(f"{lists}/add", 200, emails=several, **adding),
        posted(f"{lists}/add", 422, emails="x", **{**adding, "reason": ""}),
        files,
        posted(files, 422, **here),
        wide,
        posted(wide, 422, **here),
        f"{files}/{hard.nameless_file}",
        f"{files}/{hard.open_file}",
        f"{files}/{hard.stopped_file}",
        left,
        f"{left}?topic=nothing",
        Sight(f"{left}?state=x", status=422),
        f"{left}/{hard.unsubscribe}",
        f"{left}/{hard.came_back}",
        came_back,
        posted(came_back, 422, reason="x", **here),
        f"{left}/add",
        posted(f"{left}/add", 422, email="x", **here),
    )


@pytest.fixture
def foreman(admin):
    """The admin, among jobs in every state, and about to start more."""
    hard = hard_jobs.make()
    suppressed = f"/ui/jobs/{hard.suppressed}"
    here = {"workspace_id": str(WORKSPACE_A)}
    messages = {"noun": "messages", "selection": "matching", "query": "", **here}
    letters = {**messages, "noun": "dead_letters"}
    return tour(
        admin,
        "/ui/jobs",
        *(f"/ui/jobs/{job_id}" for job_id in dataclasses.astuple(hard)),
        posted(f"{suppressed}/undo", 422, by=suppressed, **here),
        posted("/ui/bulk", 200, by="/ui/jobs", action="retry", **messages),
        posted("/ui/bulk", 200, by="/ui/jobs", action="suppress", **messages),
        posted("/ui/bulk", 200, by="/ui/jobs", action="replay", **letters),
        posted("/ui/bulk/start", 422, by="/ui/jobs", action="retry", **messages),
        posted("/ui/bulk", 400, by="/ui/jobs", action="x", **messages),
    )
