"""Who gets to see what: nobody who is not signed in, and a member what their role allows."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from maild.config import Addr
from maild.models import Member, Person, Session
from maild.services import sessions
from tests.conftest import OPERATOR_KEY, WORKSPACE_A, WORKSPACE_B
from tests.web.conftest import HTMX

PATHS = (
    "/dashboard",
    "/ui",
    "/ui/logs",
    "/ui/logs/tail",
    "/ui/messages/0190b0c8-5f6e-7000-8000-000000000000",
    "/ui/settings",
    "/ui/settings/profile",
    "/ui/settings/security",
    "/ui/settings/workspace",
    "/workspaces/new",
)


@pytest.mark.parametrize("path", PATHS)
def test_it_asks_a_stranger_to_log_in_and_remembers_where_they_wanted_to_go(anonymous, path):
    response = anonymous.get(f"{path}?a=b%26c")
    assert response.status_code == 303
    target = urlsplit(response.location)
    assert target.path == "/login"
    assert parse_qs(target.query) == {"next": [f"{path}?a=b%26c"]}


def test_it_leads_a_poll_of_an_ended_session_to_the_log_in(anonymous):
    headers = {**HTMX, "HX-Current-URL": "http://127.0.0.1:8080/ui/logs?status=failed"}
    response = anonymous.get("/ui/logs/tail?after=x", headers=headers)
    assert response.status_code == 200
    assert response.headers["HX-Redirect"] == "/login?next=/ui/logs?status%3Dfailed"


def test_it_changes_nothing_for_a_stranger_and_says_so(anonymous, post, admin_a):
    response = post(anonymous, "/ui/settings/profile", name="Mallory")
    assert response.status_code == 401
    assert "Nothing was changed" in response.text
    assert Person.get().name == "Ann"


@pytest.mark.parametrize(
    "cookie", ["", "x", "eyJfdXNlcl9pZCI6IjEifQ.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb"]
)
def test_it_believes_no_cookie_that_it_has_not_made(anonymous, admin_a, cookie):
    anonymous.set_cookie("maild", cookie)
    assert anonymous.get("/ui").status_code == 303


def test_it_believes_no_token_that_is_not_stored(app, anonymous, admin_a):
    signer = app.session_interface.get_signing_serializer(app)
    for token in ("1", str(admin_a.id), "A" * 43, "A" * 10_000, "\x00", 7, None, ["a"]):
        anonymous.set_cookie("maild", signer.dumps({"_user_id": token, "_fresh": True}))
        assert anonymous.get("/ui").status_code == 303, token


def test_it_is_over_as_soon_as_the_session_is_ended(client, admin_a):
    assert client.get("/ui").status_code == 200
    sessions.end_all(admin_a.id)
    assert client.get("/ui").status_code == 303


def test_it_shows_what_every_member_may_read(sign_in, viewer_a):
    client = sign_in(viewer_a)
    for path in ("/dashboard", "/ui", "/ui/logs", "/ui/settings/workspace"):
        assert client.get(path).status_code == 200, path


def test_it_sends_who_belongs_to_no_workspace_to_the_dashboard(sign_in, make_person):
    client = sign_in(make_person("nobody@example.com", None))
    for path in ("/ui", "/ui/logs", "/ui/settings/workspace"):
        assert client.get(path).location == "/dashboard", path
    for path in ("/dashboard", "/ui/settings/profile", "/ui/settings/security"):
        assert client.get(path).status_code == 200, path


def test_it_is_over_with_a_workspace_as_soon_as_one_is_removed(client, admin_a):
    Member.delete().where(Member.person == admin_a.id).execute()
    assert client.get("/ui").location == "/dashboard"


def test_it_refuses_a_form_that_was_made_for_another_workspace(client, post, admin_a, make_person):
    Member.insert(workspace=WORKSPACE_B, person=admin_a.id, role="admin").execute()
    sessions.switch(Session.get().id, person_id=admin_a.id, workspace_id=WORKSPACE_B)
    response = post(client, "/ui/settings/workspace", workspace_id=WORKSPACE_A, name="New")
    assert response.status_code == 409
    assert "Nothing was changed" in response.text
    response = post(client, "/ui/settings/workspace", workspace_id=None, name="New")
    assert response.status_code == 409


def test_it_reloads_a_page_whose_session_shows_another_workspace_by_now(client):
    response = client.get("/ui/logs/tail", headers={**HTMX, "X-Workspace": "2"})
    assert response.headers["HX-Refresh"] == "true"
    assert response.data == b""


def test_it_tells_htmx_for_which_workspace_a_page_was_made(page):
    headers = json.loads(page("/ui").body["hx-headers"])
    assert headers["X-Workspace"] == "1"
    assert headers["X-CSRFToken"]


@pytest.mark.parametrize("path", ["/ui", "/login", "/signup", "/reset", "/"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io", ""]
)
def test_a_development_copy_is_closed_to_other_host_names(client, path, host):
    """Whoever comes may sign up there: a page whose name resolves to this machine must not."""
    response = client.get(path, headers={"Host": host})
    assert response.status_code == 403
    assert "answers only to the names" in response.text


@pytest.mark.parametrize("host", ["evil.example", "maild.example:8080"])
def test_the_api_of_development_answers_to_local_names_only(client, host):
    """Its keys are known to everybody: a page that is bound to this machine must not use them."""
    response = client.get("/v1/messages/logs", headers={"Host": host, "X-API-Key": OPERATOR_KEY})
    assert response.status_code == 403
    assert response.get_json()["code"] == "forbidden"


def test_it_answers_to_any_name_where_it_listens_to_others(client, use_settings):
    use_settings(addr=Addr("0.0.0.0", 8080))
    headers = {"Host": "maild.example", "X-API-Key": OPERATOR_KEY}
    assert client.get("/v1/messages/logs", headers=headers).status_code == 200
    assert client.get("/login", headers={"Host": "maild.example"}).status_code == 200


def test_it_is_open_in_production_to_who_is_signed_in(anonymous, client, use_settings):
    use_settings(env="production")
    assert client.get("/ui").status_code == 200
    assert anonymous.get("/ui").status_code == 303
