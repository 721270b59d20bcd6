"""/ui/settings/audit: who did what."""

import datetime as dt

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import SYSTEM, Actor
from maild.domain.role import Role
from maild.models import AuditEntry
from maild.services import audit, members
from maild.web import audit as pages
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements

PATH = "/ui/settings/audit"
ANN = Actor("ann@a.example", ip="192.0.2.7", request_id="0123456789abcdef")


def write(action="policy.changed", target="policy 2", *, workspace_id=WORKSPACE_A, by=ANN, **told):
    audit.record(workspace_id, by, action=action, target=target, **told)


def rows_of(client, **query):
    response = client.get(PATH, query_string=query)
    assert response.status_code == 200, response.text
    return BeautifulSoup(response.text, "html.parser").select("tbody tr")


def actions_in(client, **query):
    return [row.select_one("a.mono").text for row in rows_of(client, **query)]


def words_of(tag):
    return " ".join(" ".join(tag.stripped_strings).split())


def test_an_entry_tells_who_did_what_when_and_why(client):
    write(
        before={"version": 1, "on_limit": "reject", "same": 1},
        after={"version": 2, "on_limit": "defer", "same": 1},
        reason="Too many <refusals>",
    )
    [row] = rows_of(client)
    when, who, what = row.select("td")
    assert "just now" in when.text
    assert "UTC" in when.select_one(".note").text
    assert words_of(who) == "ann@a.example from 192.0.2.7"
    told = words_of(what)
    assert told.startswith("Changed the policy: version 2 policy.changed")
    assert "version was 1 → now 2" in told
    assert "on limit was reject → now defer" in told
    assert "same" not in told.partition("Reason")[0]
    assert "Too many <refusals>" in told
    assert "Entry 1, request 0123456789abcdef" in told
    entry = AuditEntry.get()
    assert bytes(entry.hash).hex() in what.select_one("pre").text
    assert '"same": 1' in what.select_one("pre").text


def test_what_one_does_to_oneself_is_said_once(client):
    write("member.left", ANN.name)
    [row] = rows_of(client)
    assert "Left the workspace member.left" in words_of(row)


def test_an_action_that_is_not_known_is_said_as_it_is_stored(client):
    write("moon.landed", "moon 1")
    [row] = rows_of(client)
    assert "Did “moon.landed”: moon 1" in words_of(row)


def test_a_long_change_is_cut_and_there_as_it_is_stored(client):
    after = {f"field_{number}": number for number in range(pages.DIFFERENCES_MAX + 3)}
    write(after=after)
    [row] = rows_of(client)
    assert len(row.select("dl div")) == pages.DIFFERENCES_MAX + 1
    assert "and 3 more, below" in words_of(row)
    assert f'"field_{pages.DIFFERENCES_MAX + 2}"' in row.select_one("pre").text


def test_what_is_told_is_text(client):
    bad = '"><script>alert(1)</script>'
    write("policy.changed", bad, by=Actor(bad), before={bad: bad}, after={bad: "x"}, reason=bad)
    assert "<script>alert" not in client.get(PATH).text


def test_the_newest_comes_first_in_pages(client):
    for number in range(pages.PAGE_ROWS + 2):
        write(after={"n": number})
    soup = BeautifulSoup(client.get(f"{PATH}?action=policy.changed").text, "html.parser")
    assert len(soup.select("tbody tr")) == pages.PAGE_ROWS
    older = soup.select_one(".pager [rel=next]")["href"]
    assert "action=policy.changed" in older
    soup = BeautifulSoup(client.get(older).text, "html.parser")
    assert ["Entry 2," in words_of(row) for row in soup.select("tbody tr")] == [True, False]
    assert soup.select(".pager") == []
    newest = soup.find("a", string="Newest entries")["href"]
    assert newest == f"{PATH}?action=policy.changed"


def test_a_page_is_as_many_statements_as_a_row(client):
    def look():
        assert client.get(PATH).status_code == 200

    write()
    look()
    few = count_statements(look)
    for _ in range(20):
        write(before={"a": 1}, after={"a": 2})
    assert count_statements(look) == few


def test_it_filters_by_what_was_done_and_by_whom(client):
    write("api_key.created", "key mk_1 (x)")
    write("api_key.created", "key mk_2 (x)", by=SYSTEM)
    write("member.left", "x")
    assert actions_in(client, action="member.left") == ["member.left"]
    assert len(actions_in(client, actor="ann@a.example")) == 2
    assert len(actions_in(client, actor=" maild ", action="api_key.created")) == 1
    assert actions_in(client, actor="nobody") == []


def test_it_filters_by_time(client):
    write("member.left", "x")
    at = AuditEntry.get().at
    soon = (at + dt.timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M")
    early = (at - dt.timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M")
    assert actions_in(client, since=early, until=soon) == ["member.left"]
    assert actions_in(client, since=soon) == []
    assert actions_in(client, until=early) == []


def test_a_filter_says_what_it_asks_for_and_how_to_be_rid_of_it(client, page):
    write("member.left", "x")
    soup = page(f"{PATH}?action=member.left&actor=nobody")
    assert soup.select_one("#action [selected]")["value"] == "member.left"
    assert soup.select_one("#actor")["value"] == "nobody"
    assert "No entry matches" in soup.text
    assert soup.find("a", string="Clear filters")["href"] == PATH


def test_an_entry_leads_to_those_like_it(client):
    write("member.left", "x")
    write("api_key.created", "key")
    links = [a["href"] for a in rows_of(client)[0].select("a")]
    assert links == [f"{PATH}?actor=ann%40a.example", f"{PATH}?action=api_key.created"]
    assert actions_in(client, action="api_key.created") == ["api_key.created"]


def test_an_action_of_another_version_can_be_asked_for(client, page):
    write("moon.landed", "moon 1")
    assert actions_in(client, action="moon.landed") == ["moon.landed"]
    soup = page(f"{PATH}?action=moon.landed")
    assert soup.select_one("#action [selected]")["value"] == "moon.landed"


def test_it_suggests_the_members(page, operator_a, admin_b):
    values = [option["value"] for option in page(PATH).select("#actor-list option")]
    assert values == ["ann@a.example", "olaf@a.example"]


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("action=x", "action", "as entries name it"),
        ("action=member.left&action=member.left", "action", "more than once"),
        ("action=%00", "action", "NUL"),
        ("actor=a%00b", "actor", "NUL"),
        ("actor=a%0Ab", "actor", "line break"),
        ("actor=" + "x" * 321, "actor", "longer than 320"),
        ("actor=a&actor=b", "actor", "more than once"),
        ("since=yesterday", "since", "a time in UTC"),
        ("until=0001-01-01", "until", "before 1970"),
        ("since=2026-01-02&until=2026-01-01", "until", "later than the beginning"),
        ("since=2026-01-01&since=2026-01-02", "since", "more than once"),
    ],
)
def test_it_says_what_is_wrong_with_a_filter_and_keeps_the_rest(page, query, field, words):
    write("member.left", "x")
    soup = page(f"{PATH}?{query}", status=422)
    assert words in soup.select_one(f"#{field}-error").text
    assert soup.select("tbody") == []
    assert "The filter cannot be used" in soup.text
    if query.startswith("since=yesterday"):
        assert soup.select_one("#since")["value"] == "yesterday"


@pytest.mark.parametrize("mark", ["x", "1", "-1", "AAAA", "é"])
def test_a_mark_that_maild_did_not_give_out_is_refused(client, mark):
    assert client.get(PATH, query_string={"older_than": mark}).status_code == 400


def test_it_says_so_where_nothing_happened_yet(page):
    assert "No entries yet" in page(PATH).text


def test_only_the_log_of_the_workspace_is_read(client, sign_in, admin_b):
    write(reason="of A")
    write(workspace_id=WORKSPACE_B, target="policy 3", reason="of B")
    write(workspace_id=0, target="policy 4", reason="of maild")
    text = client.get(f"{PATH}?workspace_id={WORKSPACE_B}").text
    assert "of A" in text
    assert "of B" not in text
    assert "of maild" not in text
    other = sign_in(admin_b)
    assert "of A" not in other.get(PATH).text


def test_it_tells_what_its_own_pages_do(client, post, operator_a):
    post(client, "/ui/settings/members/role", person=operator_a.id, role="viewer")
    [row] = rows_of(client)
    told = words_of(row)
    assert "ann@a.example from 127.0.0.1" in told
    assert "Changed a member's role: olaf@a.example" in told
    assert "role was operator → now viewer" in told
    assert members.list_all(WORKSPACE_A)[1].role is Role.VIEWER


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_only_admins_read_it(sign_in, make_person, role):
    write(reason="quiet please")
    response = sign_in(make_person("otto@a.example", role)).get(PATH)
    assert response.status_code == 403
    assert "quiet please" not in response.text


@pytest.mark.parametrize("role", [Role.ADMIN, Role.OPERATOR, Role.VIEWER])
def test_the_way_to_it_is_there_for_all_and_says_who_may(sign_in, make_person, role):
    client = sign_in(make_person("otto@a.example", role))
    soup = BeautifulSoup(client.get("/ui/settings/members").text, "html.parser")
    [link] = [one for one in soup.select(".subnav a") if one["href"] == PATH]
    words = "Audit log" if role is Role.ADMIN else "Audit log admins only"
    assert words_of(link) == words
    told = client.get(PATH)
    assert ("This needs the role admin" in told.text) == (role is not Role.ADMIN)


def test_who_is_not_signed_in_sees_nothing(anonymous):
    response = anonymous.get(PATH)
    assert (response.status_code, response.location) == (303, f"/login?next={PATH}")


def test_it_is_only_read(client, post):
    assert post(client, PATH).status_code == 405
