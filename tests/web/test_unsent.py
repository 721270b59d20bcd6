"""What was typed into a form that an error kept from its view, on the error's page."""

import pytest
from bs4 import BeautifulSoup
from wtforms import PasswordField

from maild.domain.role import Role
from maild.errors import InvalidFields, RateLimited, Unavailable
from maild.models import Member, Session, SmtpAccount, Workspace
from maild.web import unsent
from maild.web.forms import Form
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.web.conftest import HTMX

PATH = "/ui/settings/workspace"
OURS = {"Origin": "http://127.0.0.1:8080"}
AWAY = Unavailable("The database cannot be reached.")
TYPED = 'Paper "boats"\r\n<b>& more</b>'


def fail_with(error):
    def fail(*args, **kwargs):
        raise error

    return fail


@pytest.fixture
def broken(monkeypatch):
    """Let what renames workspaces raise what is given, or what is named."""

    def break_with(error, name="maild.services.workspace_changes.rename"):
        monkeypatch.setattr(name, fail_with(error))

    return break_with


@pytest.fixture
def send(client):
    """Send the form of the workspace's name as its page would, but for what is given."""

    def send(path=PATH, *, headers=(), token=None, workspace_id=WORKSPACE_A, **fields):
        form = {"csrf_token": token or token_of(client), "workspace_id": workspace_id}
        form |= fields or {"name": TYPED}
        return client.post(path, data=form, headers=dict(headers))

    return send


def token_of(client, path="/ui/settings/profile"):
    return soup_of(client.get(path)).select_one("[name=csrf_token]")["value"]


def soup_of(response):
    return BeautifulSoup(response.text, "html.parser")


def texts_of(soup):
    return [text.text.removeprefix("\n").replace("\r", "") for text in soup.select("textarea")]


def press(client, soup):
    """Send it again, as the page does."""
    form = soup.select_one("#unsent form")
    fields = [(one["name"], one["value"]) for one in form.select("[name]")]
    return client.post(form["action"], data=dict(fields))


def rename_of(workspace_id=WORKSPACE_A):
    return Workspace.get_by_id(workspace_id).name


@pytest.mark.parametrize("error", [AWAY, RateLimited("Too often.")])
def test_what_could_not_be_done_is_sent_again_by_one_click(client, send, monkeypatch, error):
    with monkeypatch.context() as patched:
        patched.setattr("maild.services.workspace_changes.rename", fail_with(error))
        response = send(f"{PATH}?a=1", name="Paper boats", mark="", part="a b")
    assert response.status_code == error.status
    soup = soup_of(response)
    form = soup.select_one("#unsent form")
    assert form["action"] == f"{PATH}?a=1"
    fields = {one["name"]: one["value"] for one in form.select("[name]")}
    assert len(fields.pop("csrf_token")) > 40
    assert fields == {
        "workspace_id": str(WORKSPACE_A), "name": "Paper boats", "mark": "", "part": "a b",
    }  # fmt: skip
    assert texts_of(soup) == ["Paper boats", "a b"]
    assert [label.text for label in soup.select("#unsent label")] == ["Name", "Part"]
    assert press(client, soup).status_code == 303
    assert rename_of() == "Paper boats"


def test_it_is_kept_while_nobody_can_tell_who_asks(client, send, monkeypatch):
    token = token_of(client)
    with monkeypatch.context() as patched:
        patched.setattr("maild.services.sessions.find", fail_with(AWAY))
        response = send(name="Paper boats", token=token)
    assert response.status_code == 503
    soup = soup_of(response)
    assert not soup.select(".rail")
    assert press(client, soup).status_code == 303
    assert rename_of() == "Paper boats"


def test_what_is_typed_stays_what_it_is(send, broken):
    broken(AWAY)
    soup, plain = soup_of(send()), TYPED.replace("\r", "")
    assert soup.select_one("#unsent form [name=name]")["value"].replace("\r", "") == plain
    assert texts_of(soup) == [plain]
    assert not soup.select("#unsent b")


def test_a_form_of_another_workspace_can_be_sent_after_switching_back(client, send, admin_a):
    Member.insert(workspace=WORKSPACE_B, person=admin_a.id, role=Role.ADMIN).execute()
    before = rename_of(WORKSPACE_B)
    token = token_of(client)
    client.post("/workspaces/switch", data={"csrf_token": token, "to": WORKSPACE_B})
    response = send(name="Paper boats")
    assert response.status_code == 409
    soup = soup_of(response)
    assert "switched back" in soup.select_one("#unsent").text
    assert press(client, soup).status_code == 409
    client.post("/workspaces/switch", data={"csrf_token": token, "to": WORKSPACE_A})
    assert press(client, soup).status_code == 303
    assert (rename_of(), rename_of(WORKSPACE_B)) == ("Paper boats", before)


def test_after_the_session_has_ended_it_can_be_read_and_no_more(client, send):
    token = token_of(client)
    Session.delete().execute()
    response = send(name="Paper boats", token=token)
    assert response.status_code == 401
    soup = soup_of(response)
    assert texts_of(soup) == ["Paper boats"]
    assert not soup.select("#unsent form")
    assert soup.select_one("#unsent a")["href"] == "/login"


@pytest.mark.parametrize(
    ("headers", "is_shown"),
    [
        (OURS, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site", **OURS}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_a_form_without_its_token_is_never_one_click_away(client, headers, is_shown):
    form = {"workspace_id": WORKSPACE_A, "name": "Paper boats"}
    response = client.post(PATH, data=form, headers=headers)
    assert response.status_code == 400
    soup = soup_of(response)
    assert texts_of(soup) == (["Paper boats"] if is_shown else [])
    assert not soup.select("#unsent form")
    assert ("Paper boats" in response.text) == is_shown


def test_nor_is_one_that_a_page_from_elsewhere_sent_while_something_was_away(client, broken):
    """Who it was cannot be told before the token is looked at."""
    broken(AWAY, "maild.services.sessions.find")
    form = {"workspace_id": WORKSPACE_A, "name": "Paper boats"}
    for headers in ({}, {"Origin": "https://evil.example"}, OURS):
        response = client.post(PATH, data=form, headers=headers)
        assert response.status_code == 503
        assert not soup_of(response).select("#unsent form")


def test_the_page_for_a_stranger_begins_no_session(anonymous):
    """It would take the place of the session that somebody has there."""
    form = {"workspace_id": WORKSPACE_A, "name": "Paper boats"}
    for headers in ({"Origin": "https://evil.example"}, OURS):
        response = anonymous.post(PATH, data=form, headers=headers)
        assert response.status_code == 401
        assert "Set-Cookie" not in response.headers


def test_what_may_have_been_done_is_not_done_again_by_one_click(send, broken):
    broken(RuntimeError("after the commit, perhaps"))
    response = send(name="Paper boats")
    assert response.status_code == 500
    soup = soup_of(response)
    assert texts_of(soup) == ["Paper boats"]
    assert not soup.select("#unsent form")


def test_passwords_are_not_kept_and_what_lacks_them_is_not_sent_again(send, broken):
    broken(AWAY, "maild.services.smtp_accounts.add")
    account = {"name": "main", "host": "smtp.example.com", "port": "587", "security": "auto"}
    account |= {"from_email": "shop@example.com", "max_connections": "4", "priority": "1"}
    response = send("/ui/providers/new", **account, username="shop", password="hunter2-secret")
    assert response.status_code == 503, response.text
    soup = soup_of(response)
    assert "hunter2" not in response.text
    assert "smtp.example.com" in texts_of(soup)
    assert "Passwords and files are not kept" in soup.select_one("#unsent").text
    assert not soup.select("#unsent form")
    assert SmtpAccount.select().where(SmtpAccount.name == "main").count() == 0


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/ui/settings/security/password", "maild.services.people.change_password"),
        ("/ui/settings/api-keys", "maild.web.api_keys._read_lines"),
        ("/login", "maild.services.people.authenticate"),
        ("/reset/a-token", "maild.services.mailed_links.open_reset"),
    ],
)
def test_of_what_is_about_passwords_and_keys_nothing_is_kept(send, broken, path, name):
    broken(AWAY, name)
    response = send(path, headers=OURS, name="Paper boats", email="ann@a.example", new="hunter2")
    assert response.status_code == 503
    assert not soup_of(response).select("#unsent")
    assert "hunter2" not in response.text


def test_every_password_of_a_form_is_known_as_a_secret():
    """A form with another one has its name added to SECRET_FIELDS, or its pages left out."""
    forms, found = [Form], set()
    while forms:
        form = forms.pop()
        forms += form.__subclasses__()
        noun = form.__module__.removeprefix("maild.web.")
        if not form.__module__.startswith("maild.web.") or noun in unsent.SECRET_BLUEPRINTS:
            continue
        for name in dir(form):
            if getattr(getattr(form, name), "field_class", None) is PasswordField:
                found.add(name)
    assert found
    assert found <= unsent.SECRET_FIELDS


def test_what_is_left_out_is_there(app):
    assert app.blueprints.keys() >= unsent.SECRET_BLUEPRINTS
    assert app.view_functions.keys() >= unsent.SECRET_ENDPOINTS


def test_what_is_too_large_is_not_kept_and_that_is_said(send, broken):
    broken(AWAY, "maild.services.templates.create")
    source = {"name": "Big", "subject": "s", "format": "html", "source": "x" * 1_100_000}
    for response, status in (
        (send("/ui/templates/new", headers=OURS, **source), 503),
        (send(headers=OURS, name="x" * 11_000_000), 413),
    ):
        assert response.status_code == status
        assert "too large to be kept" in soup_of(response).select_one("#unsent").text
        assert len(response.text) < 50_000


@pytest.mark.parametrize(
    ("kind", "count", "says"),
    [
        ("application/x-www-form-urlencoded", 11_000_000, "A form may have up to 10 MB here."),
        ("multipart/form-data; boundary=xx", 600_000, "texts of a form may have up to 500.0 kB"),
        ("multipart/form-data; boundary=xx", 11_000_000, "A form may have up to 10 MB here."),
    ],
)
def test_what_is_too_large_is_told_the_limit_that_it_has_reached(client, kind, count, says):
    body = "name=" + "x" * count
    if "boundary" in kind:
        name = 'Content-Disposition: form-data; name="name"'
        body = f"--xx\r\n{name}\r\n\r\n{'x' * count}\r\n--xx--\r\n"
    response = client.post(PATH, data=body.encode(), content_type=kind)
    assert response.status_code == 413
    soup = soup_of(response)
    assert soup.h1.text == "The form is too large"
    assert says in soup.text


def test_htmx_is_told_in_words_and_leaves_the_page_as_it_is(send, broken):
    broken(AWAY)
    response = send(headers=HTMX, name="Paper boats")
    assert (response.status_code, response.mimetype) == (503, "text/plain")
    assert response.text == AWAY.detail


def test_htmx_puts_no_error_in_the_place_of_a_form(send, broken, monkeypatch):
    """What is 422 it shows where the form is."""
    monkeypatch.setattr("maild.web.workspaces.InvalidFields", KeyError)
    broken(InvalidFields("name: is taken"))
    response = send(headers=HTMX, name="Paper boats")
    assert (response.status_code, response.text) == (400, "name: is taken")
