"""The red bar above every page while some mail of the workspace stands still."""

import pytest
from bs4 import BeautifulSoup

from maild.domain.role import Role
from maild.models import Member
from maild.services import freezes
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.freezing import BY, K, hold, start

HTMX = {"HX-Request": "true"}
PAGES = ("/dashboard", "/ui", "/ui/logs", "/ui/webhooks", "/ui/freezes", "/ui/settings/profile",
         "/ui/settings/members", "/ui/settings/api-keys", "/ui/nothing")  # fmt: skip


def soup_of(client, path="/ui/settings/members"):
    return BeautifulSoup(client.get(path).text, "html.parser")


def bar_of(client, path="/ui/settings/members"):
    return soup_of(client, path).select_one("#freeze-bar")


def words_of(tag):
    return " ".join(" ".join(tag.stripped_strings).split())


def poll(client, url, *, workspace_id=WORKSPACE_A, **headers):
    headers = {**HTMX, "X-Workspace": str(workspace_id), **headers}
    return client.get(url, headers=headers)


@pytest.mark.parametrize("path", PAGES)
def test_it_stands_first_on_every_page(client, path):
    start(reason="the host <melts>")
    notices = soup_of(client, path).select_one(".notices")
    bar = notices.find(["section", "div"])
    assert bar["id"] == "freeze-bar"
    text = words_of(bar)
    assert "Frozen: all mail" in text
    assert "the host <melts>" in text
    assert BY.name in text
    assert bar.select_one("a")["href"] == "/ui/freezes"


@pytest.mark.parametrize("path", PAGES)
def test_where_nothing_is_frozen_it_is_hidden_and_asks_again(client, path):
    bar = bar_of(client, path)
    assert bar.has_attr("hidden")
    assert words_of(bar) == ""
    assert bar["hx-trigger"] == "every 30s"


def test_it_tells_the_widest_and_how_many_more(client, accept):
    start(K.RECIPIENT_DOMAIN, "x.example")
    start(K.STREAM, "transactional")
    hold(start(), accept, count=2)
    text = words_of(bar_of(client))
    assert "Frozen: all mail" in text
    assert "2 messages are held" in text
    assert "And 2 more" in text


def test_of_a_frozen_account_it_does_not_say_that_nothing_is_held(client):
    start(K.SMTP_ACCOUNT, "default")
    text = words_of(bar_of(client))
    assert "mail through “default”" in text
    assert "held" not in text


def test_it_costs_one_statement_a_page_and_none_without_a_workspace(client, make_person, sign_in):
    member = sign_in(make_person("m@a.example", Role.VIEWER))
    loner = sign_in(make_person("l@a.example", None))

    def statements(browser):
        return count_statements(lambda: browser.get("/ui/settings/profile"))

    for browser in (member, loner):
        statements(browser)
    before = {browser: statements(browser) for browser in (member, loner)}
    for number in range(3):
        start(K.FROM_EMAIL, f"a{number}@x.example")
    assert statements(member) == before[member]
    assert bar_of(loner, "/ui/settings/profile") is None
    seen = []
    count_statements(lambda: seen.append(loner.get("/ui/settings/profile").text))
    assert "freeze-bar" not in seen[0]
    assert before[member] - before[loner] == 1


def test_a_page_that_stays_open_hears_of_it_and_says_it_once(client):
    bar = bar_of(client)
    assert poll(client, bar["hx-get"]).status_code == 204
    freeze = start(reason="the host melts")
    response = poll(client, bar["hx-get"])
    assert response.status_code == 200
    soup = BeautifulSoup(response.text, "html.parser")
    assert "Frozen: all mail" in words_of(soup.select_one("section#freeze-bar"))
    news = soup.select_one("#freeze-news")
    assert news["hx-swap-oob"] == "innerHTML"
    assert "Frozen: all mail, until" in news.text
    assert "Reason: the host melts." in news.text
    shown = soup.select_one("#freeze-bar")["hx-get"]
    assert poll(client, shown).status_code == 204
    freezes.lift(freeze, reason="r", by=BY)
    soup = BeautifulSoup(poll(client, shown).text, "html.parser")
    assert soup.select_one("#freeze-bar").has_attr("hidden")
    assert soup.select_one("#freeze-news").text == "Nothing is frozen any more."


def test_what_is_held_meanwhile_is_shown_and_not_said(client, accept):
    freeze = start()
    shown = bar_of(client)["hx-get"]
    hold(freeze, accept)
    soup = BeautifulSoup(poll(client, shown).text, "html.parser")
    assert "1 message is held" in words_of(soup.select_one("#freeze-bar"))
    assert soup.select("#freeze-news") == []


def test_the_place_where_it_is_said_is_there_from_the_start(client):
    news = soup_of(client).select_one("#freeze-news")
    assert (news["role"], news.text) == ("status", "")


def test_another_workspaces_freezes_are_not_told(client, admin_b, sign_in):
    start(workspace_id=WORKSPACE_B, reason="of B alone")
    assert bar_of(client).has_attr("hidden")
    response = poll(client, "/ui/freezes/bar?seen=x&told=x")
    assert "of B alone" not in response.text
    assert "of B alone" in bar_of(sign_in(admin_b)).text


def test_it_takes_no_page_away_from_whoever_types_in_it(client, anonymous, admin_a, post):
    """A log-out or another workspace in another tab: everything else that polls would leave."""
    start()
    assert poll(anonymous, "/ui/freezes/bar?seen=x").status_code == 204
    Member.insert(workspace=WORKSPACE_B, person=admin_a.id, role=Role.VIEWER).execute()
    assert post(client, "/workspaces/switch", to=WORKSPACE_B).status_code == 303
    response = poll(client, "/ui/freezes/bar?seen=x", workspace_id=WORKSPACE_A)
    assert (response.status_code, response.text) == (204, "")
    assert "HX-Refresh" not in response.headers


def test_who_belongs_to_no_workspace_is_told_nothing(make_person, sign_in):
    start()
    loner = sign_in(make_person("l@a.example", None))
    assert loner.get("/ui/freezes/bar", headers=HTMX).status_code == 204


def test_a_viewer_is_led_there_without_being_promised_anything(sign_in, viewer_a):
    start()
    assert bar_of(sign_in(viewer_a)).select_one("a").text == "Show it"


def test_all_that_somebody_wrote_in_it_is_text(client):
    bad = "<script>alert(1)</script>"
    start(K.FROM_EMAIL, "a@x.example", reason=bad)
    assert bad not in client.get("/ui").text
    assert bad not in poll(client, "/ui/freezes/bar?seen=x&told=x").text
