"""/ui/freezes: what stands still, starting one from any page, extending and lifting."""

import datetime as dt

import pytest
from bs4 import BeautifulSoup

from maild import clock
from maild.domain.freeze import FreezeKind
from maild.domain.role import Role
from maild.domain.states import Status
from maild.models import AuditEntry, Freeze, Message
from maild.services import freezes
from maild.web import freezes as pages
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.freezing import BY, K, ahead, hold, make_key, start
from tests.services.helpers import ago, at_once, set_end
from tests.services.test_freezes import make_account

PATH = "/ui/freezes"
HTMX = {"HX-Request": "true"}


def soup_of(client, path=PATH, *, status=200, **query):
    response = client.get(path, query_string=query)
    assert response.status_code == status, response.text
    return BeautifulSoup(response.text, "html.parser")


def words_of(tag):
    return " ".join(" ".join(tag.stripped_strings).split())


def toast_of(client):
    return words_of(soup_of(client, "/ui/settings/members").select_one("#toasts .toast"))


def undo(client):
    form = soup_of(client, "/ui/settings/members").select_one("#toasts form")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    return client.post(form["action"], data=fields)


def path_of(freeze, action):
    return f"{PATH}/{freeze.id}/{action}"


def one(freeze):
    return Freeze.get_by_id(freeze.id)


def audited():
    return [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]


def begin(client, post, **fields):
    return post(client, PATH, **{"what": "workspace", "reason": "why", "lasts": "30m", **fields})


# The list


def test_where_nothing_is_frozen_it_says_what_a_freeze_is(client):
    assert "A freeze lets some mail stand still" in words_of(soup_of(client).select_one(".empty"))
    assert "No freeze has ended" in words_of(soup_of(client, state="ended").select_one(".empty"))


def test_it_tells_what_stands_still_why_and_how_much_waits(client, accept):
    freeze = start(K.STREAM, "marketing", reason="the host <melts>")
    hold(freeze, accept, count=2)
    text = words_of(soup_of(client).select_one(".freeze"))
    assert "Marketing mail" in text
    assert "“ the host <melts> ”" in text
    assert f"by {BY.name}" in text
    assert "2 messages wait" in text
    assert "so nobody knows how fast it is" in text


def test_it_names_the_api_key_that_is_frozen(client):
    start(K.API_KEY, str(make_key()))
    assert "Mail of the API key “billing”" in soup_of(client).text


def test_the_lift_tells_what_would_go_out(client, accept):
    hold(start(), accept)
    dialog = words_of(soup_of(client).select_one("dialog[aria-labelledby^=lift-]"))
    assert "All mail : 1 message waits. They go out right away" in dialog


def test_what_has_ended_is_a_list_of_its_own(client):
    lifted, expired = start(K.STREAM, "marketing"), start(K.STREAM, "transactional")
    freezes.lift(lifted, reason="all is well", by=BY)
    set_end(expired, ago(seconds=5))
    start()
    soup = soup_of(client, state="ended")
    rows = [words_of(row) for row in soup.select("tbody tr")]
    assert len(rows) == 2
    assert "Transactional mail" in rows[0]
    assert "Its time was over" in rows[0]
    assert f"Lifted by {BY.name}: “all is well”" in rows[1]


def test_it_goes_through_pages(client, monkeypatch):
    monkeypatch.setattr(pages, "PAGE_ROWS", 2)
    for number in range(3):
        freezes.lift(start(K.FROM_EMAIL, f"a{number}@x.example"), reason="r", by=BY)
    soup = soup_of(client, state="ended")
    assert len(soup.select("tbody tr")) == 2
    older = BeautifulSoup(client.get(soup.select_one("[rel=next]")["href"]).text, "html.parser")
    assert len(older.select("tbody tr")) == 1
    assert older.select("[rel=next]") == []


def test_it_asks_the_database_as_often_for_many_as_for_one(client, accept):
    hold(start(K.FROM_EMAIL, "a@x.example"), accept)
    soup_of(client)
    few = count_statements(lambda: soup_of(client))
    for number in range(8):
        hold(start(K.FROM_EMAIL, f"a{number}@x.example"), accept)
    assert count_statements(lambda: soup_of(client)) == few


# Starting


@pytest.mark.parametrize(
    ("fields", "kind", "target"),
    [
        ({"what": "workspace"}, K.WORKSPACE, None),
        ({"what": "stream:marketing"}, K.STREAM, "marketing"),
        ({"what": "smtp_account:default"}, K.SMTP_ACCOUNT, "default"),
        ({"what": "from_email", "target": " Shop@X.example "}, K.FROM_EMAIL, "shop@x.example"),
        ({"what": "recipient_domain", "target": "X.example"}, K.RECIPIENT_DOMAIN, "x.example"),
        ({"what": "workspace", "target": "left over"}, K.WORKSPACE, None),
    ],
)
def test_it_starts_what_the_service_supports(client, post, fields, kind, target):
    response = begin(client, post, back="/ui/logs?status=failed", **fields)
    assert (response.status_code, response.location) == (303, "/ui/logs?status=failed")
    freeze = Freeze.get()
    assert (freeze.kind, freeze.target, freeze.reason) == (kind, target, "why")
    assert freeze.created_by == "ann@a.example"
    assert 29 <= (freeze.expires_at - clock.now()).total_seconds() / 60 <= 30
    assert "stands still until" in toast_of(client)
    assert audited() == ["freeze.started"]


def test_accounts_and_keys_are_offered_by_name(client):
    make_account("ses")
    key_id = make_key()
    values = [option["value"] for option in soup_of(client, f"{PATH}/new").select("#what option")]
    assert "smtp_account:ses" in values
    assert f"api_key:{key_id}" in values
    assert "smtp_account:default" in values


@pytest.mark.parametrize(("lasts", "minutes"), [("2h", 120), ("8h", 480), ("24h", 1440)])
def test_it_lasts_as_long_as_was_said(client, post, lasts, minutes):
    begin(client, post, lasts=lasts)
    assert round((Freeze.get().expires_at - clock.now()).total_seconds() / 60) == minutes


def test_it_lasts_until_a_time_in_utc(client, post):
    until = (clock.now() + dt.timedelta(days=2)).replace(second=0, microsecond=0)
    begin(client, post, lasts="until", until=f"{until:%Y-%m-%dT%H:%M}")
    assert Freeze.get().expires_at == until


def test_a_start_is_taken_back_by_its_toast(client, post):
    begin(client, post, back="/ui/logs")
    assert undo(client).location == "/ui/logs"
    assert Freeze.get().lift_reason == pages.UNDONE
    assert audited() == ["freeze.started", "freeze.lifted"]


def test_what_is_held_by_a_start_goes_out_when_it_is_taken_back(client, post, accept):
    begin(client, post)
    [message] = hold(Freeze.get(), accept)
    undo(client)
    assert Message.get_by_id(message.id).status is Status.QUEUED


@pytest.mark.parametrize(
    ("fields", "field", "complaint"),
    [
        ({"reason": ""}, "reason", "Must not be empty"),
        ({"reason": "x" * 501}, "reason", "500"),
        ({"what": "moon"}, "what", "Choose one of these"),
        ({"what": ""}, "what", "Choose one of these"),
        ({"what": "stream:x"}, "what", "Must be transactional or marketing"),
        ({"what": "stream:"}, "what", "Is missing"),
        ({"what": "smtp_account:nobody"}, "what", "There is no SMTP account named 'nobody'"),
        ({"what": "api_key:7"}, "what", "There is no API key 7"),
        ({"what": "api_key:x"}, "what", "whole number"),
        ({"what": "from_email", "target": "x"}, "target", ""),
        ({"what": "recipient_domain", "target": ""}, "target", "Is missing"),
        ({"lasts": "1y"}, "lasts", "Choose one of these"),
        ({"lasts": "until", "until": ""}, "until", "Is needed"),
        ({"lasts": "until", "until": "soon"}, "until", "Must be a time in UTC"),
        ({"lasts": "until", "until": "2001-01-01T00:00"}, "until", "Must be in the future"),
        ({"lasts": "until", "until": "2999-01-01T00:00"}, "until", "30 days"),
        ({"lasts": "until", "until": "0001-01-01T00:00+23:00"}, "until", "Must be a time in UTC"),
    ],
)
def test_it_tells_at_the_field_what_is_wrong_and_keeps_what_was_typed(
    client, post, fields, field, complaint
):
    response = begin(client, post, back="/ui/logs", **fields)
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    error = soup.select_one(f"#{field}-error").text
    assert error
    assert complaint in error
    assert soup.select_one("[name=back]")["value"] == "/ui/logs"
    for name in ("target", "until", "reason"):
        if name in fields:
            assert soup.select_one(f"main #{name}")["value"] == fields[name]
    assert not Freeze.select().exists()
    assert audited() == []


def test_the_same_twice_is_refused_with_the_way_to_the_first(client, post):
    begin(client, post)
    response = begin(client, post, reason="mine")
    assert response.status_code == 409
    soup = BeautifulSoup(response.text, "html.parser")
    assert "This is frozen already" in soup.select_one(".form-error").text
    assert soup.select_one(f"main form a[href='{PATH}']")
    assert soup.select_one("main #reason")["value"] == "mine"
    assert Freeze.select().count() == 1


def test_two_who_start_the_same_at_once_make_one(client, post, sign_in, operator_a):
    browsers, answers = [client, sign_in(operator_a)], []
    at_once(*[lambda one=one: answers.append(begin(one, post).status_code) for one in browsers])
    assert sorted(answers) == [303, 409]
    assert Freeze.select().count() == 1


def test_the_form_shows_what_it_would_hold(client, accept):
    accept(stream="marketing")
    accept()
    assert "Right now 2 messages wait that it would hold" in soup_of(client, f"{PATH}/new").text
    text = soup_of(client, f"{PATH}/preview", what="stream:marketing").text
    assert "Right now 1 message waits that it would hold" in text
    text = soup_of(client, f"{PATH}/preview", what="smtp_account:default").text
    assert "Right now 2 messages wait that would stay there" in text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"what": "from_email"}, "Say which one"),
        ({"what": "from_email", "target": "x"}, "It "),
        ({"what": "recipient_domain", "target": "no one"}, "must be a domain"),
        ({"what": "smtp_account:nobody"}, "There is no SMTP account"),
        ({"what": "moon"}, "choose one"),
        ({}, "choose one"),
    ],
)
def test_what_cannot_be_told_is_said_in_words(client, query, text):
    assert text.lower() in soup_of(client, f"{PATH}/preview", **query).text.lower()


def test_without_htmx_the_form_is_a_page_that_can_be_asked_what_it_would_hold(client, accept):
    accept(stream="marketing")
    soup = soup_of(client, f"{PATH}/new", what="stream:marketing", reason="typed", lasts="2h")
    assert "Right now 1 message waits" in soup.text
    assert soup.select_one("main #reason")["value"] == "typed"
    assert soup.select_one("#lasts [selected]")["value"] == "2h"
    assert soup.select_one("#what [selected]")["value"] == "stream:marketing"
    button = soup.select_one("[formmethod=get]")
    assert button["formaction"] == f"{PATH}/new"


def test_htmx_gets_the_form_as_a_dialog_that_leads_back(client):
    headers = {**HTMX, "HX-Current-URL": "http://localhost/ui/logs?status=failed"}
    response = client.get(f"{PATH}/new", headers=headers)
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.select_one("dialog#freeze-dialog form")["action"] == PATH
    assert soup.select_one("[name=back]")["value"] == "/ui/logs?status=failed"
    assert soup.select("html") == []


@pytest.mark.parametrize("path", ["/dashboard", "/ui", "/ui/logs", "/ui/settings/members", PATH])
def test_one_can_be_started_from_any_page(client, path):
    link = soup_of(client, path).select_one("#freeze-open")
    assert link["href"] == link["hx-get"] == f"{PATH}/new"


# Extending


def test_it_lasts_longer_counted_from_its_present_end(client, post):
    freeze = start()
    response = post(client, path_of(freeze, "extend"), lasts="2h", reason="not yet")
    assert (response.status_code, response.location) == (303, PATH)
    assert one(freeze).expires_at - freeze.expires_at == dt.timedelta(hours=2)
    assert "stands still until" in toast_of(client)
    assert audited() == ["freeze.started", "freeze.extended"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"lasts": "2h", "reason": ""}, "extend-reason"),
        ({"lasts": "x", "reason": "r"}, "extend-lasts"),
        ({"lasts": "until", "until": "2001-01-01T00:00", "reason": "r"}, "extend-until"),
    ],
)
def test_an_extension_that_cannot_be_is_told_in_its_dialog(client, post, fields, field):
    freeze = start()
    response = post(client, path_of(freeze, "extend"), **fields)
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.select_one(f"#{field}-{freeze.id}-error").text
    assert soup.select_one(f"#extend-{freeze.id}").has_attr("open")
    assert not soup.select_one(f"#lift-{freeze.id}").has_attr("open")
    assert one(freeze).expires_at == freeze.expires_at


def test_an_end_before_the_present_one_is_refused(client, post):
    freeze = start(expires_at=ahead(days=3))
    until = f"{ahead(hours=2):%Y-%m-%dT%H:%M}"
    response = post(client, path_of(freeze, "extend"), lasts="until", until=until, reason="r")
    assert "to end a freeze sooner, lift it" in response.text


def test_what_is_over_is_not_extended_and_the_second_is_told(client, post):
    freeze = start()
    freezes.lift(freeze, reason="r", by=BY)
    post(client, path_of(freeze, "extend"), lasts="2h", reason="r")
    assert "The freeze is over" in toast_of(client)


# Lifting


def test_a_lift_lets_go_what_was_held_and_can_be_taken_back(client, post, accept):
    freeze = start(K.RECIPIENT_DOMAIN, "x.example", reason="as it was")
    [message] = hold(freeze, accept)
    response = post(client, path_of(freeze, "lift"), reason="all is well")
    assert (response.status_code, response.location) == (303, PATH)
    assert Message.get_by_id(message.id).status is Status.QUEUED
    assert one(freeze).lift_reason == "all is well"
    assert "may go out again" in toast_of(client)


@pytest.mark.parametrize(
    ("kind", "target"),
    [(K.WORKSPACE, None), (K.STREAM, "marketing"), (K.SMTP_ACCOUNT, "default"),
     (K.FROM_EMAIL, "a@x.example"), (K.RECIPIENT_DOMAIN, "x.example")],
)  # fmt: skip
def test_the_toast_of_a_lift_freezes_the_same_again(client, post, kind, target):
    freeze = start(kind, target, reason="as it was")
    post(client, path_of(freeze, "lift"), reason="too soon")
    assert undo(client).status_code == 303
    again = Freeze.select().order_by(Freeze.id.desc()).get()
    assert again.id != freeze.id
    assert (again.kind, again.target, again.reason) == (kind, target, "as it was")
    assert again.expires_at == freeze.expires_at


@pytest.mark.parametrize("reason", ["", " ", "x" * 501])
def test_a_lift_needs_a_reason(client, post, reason):
    freeze = start()
    response = post(client, path_of(freeze, "lift"), reason=reason)
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.select_one(f"#lift-reason-{freeze.id}-error").text
    assert soup.select_one(f"#lift-{freeze.id}").has_attr("open")
    assert one(freeze).lifted_at is None


def test_a_form_that_came_back_has_its_freeze_on_the_page(client, post, monkeypatch):
    monkeypatch.setattr(pages, "PAGE_ROWS", 1)
    oldest = start(K.STREAM, "marketing")
    start()
    response = post(client, path_of(oldest, "lift"), reason="")
    assert f'id="lift-{oldest.id}" open' in response.text


def test_of_two_who_lift_the_second_is_told(client, post, sign_in, operator_a):
    freeze = start()
    post(sign_in(operator_a), path_of(freeze, "lift"), reason="mine")
    post(client, path_of(freeze, "lift"), reason="late")
    assert "It was over already. Lifted by olaf@a.example: “mine”" in toast_of(client)
    assert one(freeze).lift_reason == "mine"


def test_two_lifts_at_the_same_moment_are_one(client, post, sign_in, operator_a):
    freeze = start()
    browsers = [client, sign_in(operator_a)]
    at_once(*[lambda b=b: post(b, path_of(freeze, "lift"), reason="r") for b in browsers])
    toasts = sorted(toast_of(browser).split(":")[0].split(".")[0] for browser in browsers)
    assert toasts == ["It was over already", "Lifted"]
    assert audited() == ["freeze.started", "freeze.lifted"]


# Who may


def test_a_viewer_sees_everything_and_changes_nothing(sign_in, post, viewer_a):
    freeze = start()
    client = sign_in(viewer_a)
    soup = soup_of(client)
    assert len(soup.select(".freeze")) == 1
    assert soup.select("main form[method=post]") == []
    assert soup.select("#freeze-open") == []
    control = soup.select_one(".topbar [aria-describedby=freeze-reason]")
    assert control["aria-disabled"] == "true"
    assert "You are a viewer here" in soup.select_one("#freeze-reason").text
    for path in ("new", "preview"):
        assert client.get(f"{PATH}/{path}").status_code == 403
    assert begin(client, post).status_code == 403
    for action in ("extend", "lift"):
        assert post(client, path_of(freeze, action), reason="r", lasts="2h").status_code == 403
    assert (one(freeze).lifted_at, one(freeze).expires_at) == (None, freeze.expires_at)


def test_an_operator_may(sign_in, post, operator_a):
    client = sign_in(operator_a)
    assert begin(client, post).status_code == 303
    freeze = Freeze.get()
    assert post(client, path_of(freeze, "extend"), lasts="2h", reason="r").status_code == 303
    assert post(client, path_of(freeze, "lift"), reason="r").status_code == 303
    assert freeze.kind is FreezeKind.WORKSPACE


def test_freezes_of_another_workspace_are_out_of_reach(client, post, make_person, sign_in):
    freeze = start(workspace_id=WORKSPACE_B)
    assert soup_of(client).select(".freeze, #freeze-bar.banner") == []
    for action in ("extend", "lift"):
        assert post(client, path_of(freeze, action), reason="r", lasts="2h").status_code == 404
    theirs = sign_in(make_person("bob@b.example", Role.ADMIN, workspace_id=WORKSPACE_B))
    assert post(theirs, path_of(freeze, "lift"), reason="r").status_code == 409  # a page of A
    assert one(freeze).lifted_at is None
    assert begin(theirs, post, workspace_id=WORKSPACE_A).status_code == 409
    assert Freeze.select().count() == 1


@pytest.mark.parametrize("number", ["0", "99999", "9" * 20])
def test_a_number_that_is_none_is_not_there(client, post, number):
    for action in ("extend", "lift"):
        response = post(client, f"{PATH}/{number}/{action}", reason="r", lasts="2h")
        assert response.status_code == 404


def test_who_is_not_signed_in_does_nothing(anonymous, post):
    freeze = start()
    for path in (PATH, f"{PATH}/new", f"{PATH}/preview"):
        assert anonymous.get(path).location == f"/login?next={path}"
    assert begin(anonymous, post).status_code == 401
    assert post(anonymous, path_of(freeze, "lift"), reason="r").status_code == 401
    assert one(freeze).lifted_at is None


def test_it_answers_no_other_method(client):
    freeze = start()
    assert client.get(path_of(freeze, "lift")).status_code == 405
    assert client.put(PATH).status_code in (400, 405)
