"""GET /dashboard"""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import SYSTEM, Actor
from maild.domain.freeze import FreezeKind
from maild.domain.role import Role
from maild.domain.states import EventType, Status
from maild.models import ConservationCheck, Domain, Event, Invitation, Member, Person, Workspace
from maild.services import (
    api_keys,
    audit,
    onboarding,
    onboarding_facts,
    onboarding_steps,
    policies,
    smtp_accounts,
)
from maild.services.api_keys import NewApiKey
from maild.services.handovers import LISTED_MAX
from maild.services.onboarding_steps import StepId
from maild.services.smtp_account_fields import NewSmtpAccount
from maild.web import audit_words, dashboard
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.freezing import ahead, hold, start
from tests.services.helpers import ago
from tests.services.reporting import about, report

SERVICES = Path(__file__).resolve().parents[2] / "maild/services"
OLAF = Actor("olaf@a.example")


@pytest.fixture
def also_in_b(admin_a):
    """A's admin is a viewer of B too."""
    Member.insert(workspace=WORKSPACE_B, person=admin_a.id, role=Role.VIEWER).execute()
    return admin_a


def text(element):
    return re.sub(r"\s+", " ", element.text).strip()


def cards(soup):
    """Each workspace's card, by its name."""
    return {text(card.h3): card for card in soup.select(".glance")}


def figures(card):
    return [text(one) for one in card.select(".glance-figures a, .glance-figures button")]


def news(soup):
    """The lines, by the heading of their group."""
    return {
        text(heading): [text(line.div) for line in heading.find_next("ul").select("li")]
        for heading in soup.select("#news h3")
    }


def steps(soup):
    return {text(li.select_one(".checklist-title")): li for li in soup.select(".checklist li")}


def did(action, *, target="x", by=OLAF, workspace_id=WORKSPACE_A):
    audit.record(workspace_id, by, action=action, target=target)


def save(name, *, active=False):
    new = NewSmtpAccount(name=name, host="127.0.0.1", port=2525, from_email="shop@example.com")
    smtp_accounts.save(WORKSPACE_A, new, by=SYSTEM)
    if active:
        smtp_accounts.activate(WORKSPACE_A, name=name, by=SYSTEM)


def set_up(sent_message):
    """All that a workspace needs."""
    api_keys.create(WORKSPACE_A, NewApiKey(name="app", role=Role.SENDER), by=SYSTEM)
    save("main", active=True)
    policies.save(WORKSPACE_A, changes={"soft_bounce_threshold": 4}, by=SYSTEM)
    report(about(sent_message, "delivered"))
    Domain.create(
        workspace=WORKSPACE_A,
        name="a.example",
        created_by="ann@a.example",
        checked_at=ago(seconds=1),
        is_ready=True,
        results={},
        good={},
        drift={},
    )


@pytest.fixture
def sent(accept, move):
    message = accept()
    move(message, Status.SENT)
    return message


def test_it_greets_the_person(page):
    soup = page("/dashboard")
    assert text(soup.h1) == "Hello, Ann"
    assert "Nothing needs you." in soup.text
    assert soup.select_one(".page-head a")["href"] == "/workspaces/new"


def test_it_shows_each_workspace_with_the_role_in_it(page, also_in_b):
    found = cards(page("/dashboard"))
    assert list(found) == ["Default", "Other"]
    assert text(found["Default"].select_one(".glance-end .note")) == "admin · shown in the console"
    assert text(found["Other"].select_one(".glance-end .note")) == "viewer"
    assert "current" in found["Default"]["class"]
    assert "current" not in found["Other"]["class"]
    assert text(found["Default"].select_one(".badge")) == "quiet"
    assert "No message yet" in found["Default"].text


def test_it_shows_the_figures_that_matter(page, accept, move):
    for status in (Status.UNKNOWN, Status.UNKNOWN, Status.FAILED):
        move(accept(), status)
    report(b"{}")
    start()
    accept()
    soup = page("/dashboard")
    card = cards(soup)["Default"]
    assert text(card.select_one(".badge")) == "needs you"
    told = figures(card)
    assert [re.sub(r"for .* s", "for N s", one) for one in told] == [
        "2 unknown outcomes of Default",
        "1 dead letter of Default",
        "1 freeze in force of Default",
        "1 message due, the oldest for N s of Default",
        "1 message failed in the last hour of Default",
    ]
    assert "Latest message" in card.text
    assert "Your workspace needs you." in soup.text


def test_what_needs_somebody_comes_first(page, also_in_b, accept, move):
    move(accept(workspace_id=WORKSPACE_B), Status.UNKNOWN)
    soup = page("/dashboard")
    assert list(cards(soup)) == ["Other", "Default"]
    assert "1 of your 2 workspaces needs you." in soup.text


def test_many_are_folded_away_but_for_those_that_need_somebody(client, page, admin_a, accept, move):
    for n in range(20):
        row = Workspace.create(name=f"Team {n:02}")
        Member.insert(workspace=row.id, person=admin_a.id, role=Role.VIEWER).execute()
    move(accept(workspace_id=row.id), Status.UNKNOWN)
    soup = page("/dashboard")
    folded = soup.select_one("details.glances-more")
    assert text(folded.summary) == "12 more workspaces, of which none needs you"
    shown = [name for name, card in cards(soup).items() if folded not in card.parents]
    assert len(shown) == dashboard.CARDS_MAX
    assert shown[0] == "Team 19"
    assert "Default" in shown
    assert len(cards(soup)) == 21


def test_a_way_into_another_workspace_is_a_form(client, page, post, also_in_b, accept, move):
    move(accept(workspace_id=WORKSPACE_B), Status.UNKNOWN)
    soup = page("/dashboard")
    for words, where in (
        ("1 unknown outcome of Other", "/ui/logs?status=unknown"),
        ("Look of Other", "/ui/logs?status=unknown"),
        ("Open of Other", "/ui"),
    ):
        button = next(b for b in soup.select("main button") if text(b) == words)
        form = soup.find("form", id=button["form"])
        assert (form["method"], form["action"]) == ("post", "/workspaces/switch")
        fields = {one["name"]: one["value"] for one in form.select("input")}
        response = client.post(form["action"], data={**fields, button["name"]: button["value"]})
        assert (response.status_code, response.location) == (303, where)
    assert text(page("/ui").select_one(".switcher-name")) == "Other"
    assert list(cards(page("/dashboard"))) == ["Other", "Default"]
    assert "current" in cards(page("/dashboard"))["Other"]["class"]


def test_with_one_workspace_it_is_a_link(page, accept, move):
    move(accept(), Status.UNKNOWN)
    soup = page("/dashboard")
    assert [link["href"] for link in soup.select(".glance a")] == [
        "/ui/logs?status=unknown",
        "/ui",
    ]
    assert soup.select_one("#news .news a")["href"] == "/ui/logs?status=unknown"
    assert not soup.select("main form")


def test_it_says_when_nothing_happened(page):
    soup = page("/dashboard")
    assert text(soup.select_one("#news h2")) == "In the last 24 hours"
    assert "Nothing happened that needs you." in soup.text


def test_it_tells_what_happened_since_the_last_visit(page, admin_a, accept, move):
    Person.update(last_visit_at=ago(hours=9)).where(Person.id == admin_a.id).execute()
    for _ in range(3):
        move(accept(), Status.UNKNOWN)
    report(b"{}")
    freeze = start(FreezeKind.STREAM, "marketing", expires_at=ahead(hours=3), by=OLAF)
    hold(freeze, accept, count=2)
    start(expires_at=ahead(days=3), by=OLAF, reason="moving")
    for reason in ("a", "b"):
        data = {"smtp_account": "main", "reason": f"refused {reason}"}
        Event.create(workspace=WORKSPACE_A, type=EventType.BREAKER_OPENED.value, data=data)
    did("policy.changed", target="policy 2")
    for n in range(3):
        did("suppression.added", target=f"suppression:a{n}@example.org")
    soup = page("/dashboard")
    assert text(soup.select_one("#news h2")) == "Since your last visit"
    assert text(soup.select_one("#news header .note")) == "9 h ago"
    found = news(soup)
    assert list(found) == ["Mail", "Freezes", "Providers", "Who changed what"]
    unknown, dead = found["Mail"]
    assert unknown.startswith("3 messages whose outcome is unknown")
    assert dead.startswith("1 dead letter")
    ending, began = found["Freezes"]
    assert ending.startswith("The freeze of marketing mail ends in 2 h")
    assert ending.endswith("It holds 2 messages. olaf@a.example started it: a test")
    assert began.startswith("A freeze began: all mail stands still")
    assert began.endswith("By olaf@a.example. Reason: moving")
    [broken] = found["Providers"]
    assert broken.startswith("“main” is out of use for a while: too many tries failed")
    assert broken.endswith("2 times, this is the latest. Reason: refused b")
    suppressed, changed = found["Who changed what"]
    assert suppressed.startswith(
        "olaf@a.example suppressed an address: a2@example.org, and 2 more like it"
    )
    assert changed.startswith("olaf@a.example changed the policy: version 2")


def test_it_says_that_a_trouble_is_over(page):
    for kind in (EventType.BREAKER_OPENED, EventType.BREAKER_CLOSED):
        Event.create(workspace=WORKSPACE_A, type=kind.value, data={"smtp_account": "main"})
    assert news(page("/dashboard"))["Providers"][0].startswith(
        "“main” was out of use, and works again"
    )


def test_messages_that_are_not_there_come_first(page, accept, move):
    move(accept(), Status.UNKNOWN)
    Event.create(workspace=WORKSPACE_A, type=EventType.CONSERVATION_BROKEN.value, data={})
    ConservationCheck.create(workspace=WORKSPACE_A, accepted_count=3, by_status={}, difference=2)
    soup = page("/dashboard")
    assert figures(cards(soup)["Default"])[0] == "2 accepted messages missing of Default"
    found = news(soup)
    assert list(found) == ["Mail"]
    assert found["Mail"][0].startswith("There are not as many messages as were accepted")


def test_it_says_that_it_goes_back_a_week_at_most(page, admin_a):
    Person.update(last_visit_at=ago(days=30)).where(Person.id == admin_a.id).execute()
    head = text(page("/dashboard").select_one("#news header"))
    assert head == "Since your last visit It was longer ago: these are the last 7 days"


def test_each_line_names_its_workspace_where_there_are_several(page, also_in_b, accept, move):
    move(accept(), Status.UNKNOWN)
    move(accept(workspace_id=WORKSPACE_B), Status.UNKNOWN)
    Event.create(
        workspace=None, type=EventType.BREAKER_OPENED.value, data={"smtp_account": "default"}
    )
    soup = page("/dashboard")
    assert {line.split(" · ")[1].split(" The provider")[0] for line in news(soup)["Mail"]} == {
        "Default",
        "Other",
    }
    [line] = soup.select("#news h3")[1].find_next("ul").select("li")
    assert text(line.div).endswith("all of this maild")
    assert not line.select("button, a"), "there is nowhere to go"


def test_it_says_that_there_may_be_more(page):
    for n in range(LISTED_MAX + 1):
        did(f"test.{n}")
    soup = page("/dashboard")
    assert len(news(soup)["Who changed what"]) == LISTED_MAX
    assert "There may be more" in soup.select_one("#news").text


def test_it_shows_nothing_of_workspaces_of_others(page, accept, move):
    Workspace.update(name="Secret of B").where(Workspace.id == WORKSPACE_B).execute()
    move(accept(workspace_id=WORKSPACE_B), Status.UNKNOWN)
    start(workspace_id=WORKSPACE_B, reason="Secret of B")
    did("api_key.created", target="Secret of B", workspace_id=WORKSPACE_B)
    report(b"{}", workspace_id=WORKSPACE_B)
    soup = page("/dashboard")
    assert "Secret of B" not in soup.text
    assert list(cards(soup)) == ["Default"]
    assert "Nothing happened that needs you." in soup.text


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_only_admins_see_what_the_audit_log_alone_tells(sign_in, make_person, role):
    did("api_key.created", target="key mk_secret")
    policies.save(WORKSPACE_A, changes={"soft_bounce_threshold": 4}, by=OLAF)
    client = sign_in(make_person("vera@a.example", role))
    soup = BeautifulSoup(client.get("/dashboard").text, "html.parser")
    assert "mk_secret" not in soup.text
    [line] = news(soup)["Who changed what"]
    assert line.startswith("The policy was changed")
    assert line.endswith("By olaf@a.example.")


def test_what_people_have_written_is_only_text(page, admin_a):
    evil = "<script>alert(1)</script>"
    Workspace.update(name=evil).where(Workspace.id == WORKSPACE_A).execute()
    Person.update(name=evil).where(Person.id == admin_a.id).execute()
    start(reason=evil, by=Actor(evil))
    did("policy.changed", target=evil, by=Actor(evil))
    soup = page("/dashboard")
    assert evil in soup.text
    assert "alert(1)" not in "".join(script.text for script in soup.select("script"))


def test_it_counts_and_orders_the_steps_as_the_wizard_does(page):
    save("main")
    soup, wizard = page("/dashboard"), page("/ui/onboarding/provider")
    assert text(soup.select_one("#set-up h2")) == "Set up “Default”"
    assert text(soup.select_one(".progress-words")) == text(wizard.select_one(".progress-words"))
    assert text(soup.select_one(".progress-words")).startswith("Steps done1 of 6")
    found = steps(soup)
    assert list(found) == [
        "Workspace (Done)",
        "Provider (Next)",
        "Domain (To do)",
        "Policy (To do)",
        "Test message (To do)",
        "Webhook (To do)",
    ]
    assert not found["Workspace (Done)"].select(".note, a")
    following = found["Provider (Next)"]
    assert (following["aria-current"], following.a["href"]) == ("step", "/ui/onboarding/provider")
    assert "primary" in following.a["class"]
    assert found["Webhook (To do)"].a["href"] == "/ui/onboarding/webhook"


def test_what_is_good_to_have_stands_apart(page):
    api_keys.create(WORKSPACE_A, NewApiKey(name="app", role=Role.SENDER), by=SYSTEM)
    found = [text(li) for li in page("/dashboard").select(".set-up-extras li")]
    assert found[0] == "Make an API key done"
    assert "Invite a colleague" in found[1]
    assert "Have a second SMTP account" in found[2]


def test_what_was_put_off_is_folded_away(page):
    for step in StepId:
        onboarding_steps.skip(WORKSPACE_A, step, by=OLAF)
    soup = page("/dashboard")
    summary = text(soup.select_one("details#set-up").summary)
    assert summary == "What is left of setting up “Default” was put off"
    assert steps(soup)["Policy, put off (To do)"].a["href"] == "/ui/onboarding/policy"


def test_it_shows_the_steps_of_the_workspace_that_the_console_shows(sign_in, also_in_b):
    save("main", active=True)
    client = sign_in(also_in_b, workspace_id=WORKSPACE_B)
    soup = BeautifulSoup(client.get("/dashboard").text, "html.parser")
    assert text(soup.select_one("#set-up h2")) == "Set up “Other”"
    assert not any("(Done)" in title for title in steps(soup))


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_who_is_no_admin_is_told_who_can_take_the_steps(sign_in, make_person, role):
    client = sign_in(make_person("vera@a.example", role))
    soup = BeautifulSoup(client.get("/dashboard").text, "html.parser")
    assert "need an admin of this workspace" in soup.select_one("#set-up").text
    assert not soup.select(".checklist code")
    assert len(soup.select(".checklist a")) == 6, "the wizard says what each may do"
    assert not soup.select(".set-up-extras a")


def test_once_it_is_set_up_what_is_optional_is_folded_away(page, sent):
    set_up(sent)
    soup = page("/dashboard")
    details = soup.select_one("details#set-up")
    assert text(details.summary) == "“Default” is set up; what is left is optional"
    assert all("(Done)" in title for title in steps(soup))


def test_once_all_is_done_it_is_one_line(page, sent):
    set_up(sent)
    save("second")
    Invitation.create(
        workspace=WORKSPACE_A,
        email="cleo@example.org",
        role=Role.VIEWER,
        token_hash=b"x" * 32,
        created_by="ann@a.example",
        expires_at=ago(days=-7),
    )
    soup = page("/dashboard")
    assert text(soup.select_one(".set-up")) == "“Default” is set up."
    assert not soup.select(".checklist")


def test_every_extra_has_a_way(app, page):
    ids = {one.id for one in onboarding.list_extras(onboarding_facts.find(WORKSPACE_A))}
    assert ids == set(dashboard.WAYS)
    with app.test_request_context():
        urls = {way.url for way in dashboard.WAYS.values()}
    for url in urls:
        page(url)


def test_it_says_what_to_do_to_who_belongs_to_no_workspace(sign_in, make_person):
    client = sign_in(make_person("nobody@example.com", None))
    response = client.get("/dashboard")
    assert response.status_code == 200
    soup = BeautifulSoup(response.text, "html.parser")
    assert "You belong to no workspace" in soup.text
    assert "invite nobody@example.com" in soup.text
    assert soup.select_one("main a.button")["href"] == "/workspaces/new"


def test_it_asks_a_stranger_to_log_in(anonymous):
    response = anonymous.get("/dashboard")
    target = urlsplit(response.location)
    assert (response.status_code, target.path) == (303, "/login")
    assert parse_qs(target.query) == {"next": ["/dashboard"]}


def test_it_takes_nothing_but_a_look(client, post):
    assert post(client, "/dashboard").status_code == 405


def test_it_says_that_the_database_is_away(client, postgres_away):
    assert client.get("/dashboard").status_code == 503


def test_many_workspaces_are_as_many_statements_as_one(client, admin_a, accept, move):
    def look():
        assert client.get("/dashboard").status_code == 200

    look()
    few = count_statements(look)
    for n in range(19):
        row = Workspace.create(name=f"Team {n}")
        Member.insert(workspace=row.id, person=admin_a.id, role=Role.ADMIN).execute()
        move(accept(workspace_id=row.id), Status.UNKNOWN)
        start(workspace_id=row.id)
        did("policy.changed", workspace_id=row.id)
    assert count_statements(look) == few


def test_everything_that_is_audited_has_words():
    sources = "".join(path.read_text() for path in SERVICES.glob("*.py"))
    found = set(re.findall(r'action="([a-z_]+\.[a-z_]+)"', sources))
    assert len(found) > 30
    assert found - set(audit_words.ACTIONS) == set()


def test_what_is_not_known_is_said_as_it_is_stored():
    assert audit_words.tell("ann", "x.done", "y") == "ann did “x.done”: y"
    assert audit_words.tell("ann", "messages.held", "messages") == "ann held messages"
    assert audit_words.tell("ann", "member.left", "ann") == "ann left the workspace"
