"""/ui/logs/views: saving what the log shows under a name, and what one can do with it."""

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import Actor
from maild.models import SavedView
from maild.services import saved_views

OLAF = Actor("olaf@a.example")
VIEWS = "/ui/logs/views"


@pytest.fixture
def view(database):
    return saved_views.save(1, name="Failures", query="status=failed", by=OLAF)[0]


def soup_of(response):
    return BeautifulSoup(response.text, "html.parser")


def undo(client, path):
    """Press the undo of the toast on the next page."""
    form = soup_of(client.get(path)).select_one("#toasts form")
    fields = {field["name"]: field.get("value", "") for field in form.select("input[name]")}
    return client.post(form["action"], data=fields)


def ways(soup):
    return {a.text.strip(): a for a in soup.select(".views-list a")}


def test_the_log_offers_the_views_and_tells_which_is_open(page, view):
    found = ways(page("/ui/logs?status=failed"))
    assert list(found)[:2] == ["All messages", "Failed, last 24 hours"]
    assert found["Failures"]["href"] == "/ui/logs?status=failed"
    assert [name for name, a in found.items() if a.has_attr("aria-current")] == ["Failures"]
    assert ways(page("/ui/logs"))["All messages"]["aria-current"] == "page"


def test_every_built_in_view_can_be_opened(page):
    for name, a in ways(page("/ui/logs")).items():
        soup = page(a["href"])
        assert ways(soup)[name]["aria-current"] == "page"


def test_only_a_filter_that_has_no_name_yet_is_offered_to_be_saved(page, view):
    assert not page("/ui/logs").select("#save-view")
    assert not page("/ui/logs?status=failed").select("#save-view")
    form = page("/ui/logs?status=failed&tag=x").select_one("#save-view form")
    assert form.select_one("[name=query]")["value"] == "status=failed&tag=x"
    assert not page("/ui/logs?status=bogus", status=422).select("#save-view")


def test_it_saves_and_opens_it_and_undo_removes_it(client, post):
    answer = post(client, VIEWS, name="Mine", query="tag=x&status=failed")
    assert (answer.status_code, answer.location) == (303, "/ui/logs?status=failed&tag=x")
    view = SavedView.get()
    assert (view.name, view.query, view.created_by) == (
        "Mine", "status=failed&tag=x", "ann@a.example",
    )  # fmt: skip
    assert undo(client, "/ui/logs").status_code == 303
    assert saved_views.list_all(1) == []


def test_a_name_that_is_taken_is_told_with_who_has_it_and_keeps_what_was_typed(client, post, view):
    answer = post(client, VIEWS, name="failures", query="tag=x")
    assert answer.status_code == 409
    soup = soup_of(answer)
    assert "saved by olaf@a.example" in soup.select_one("[role=alert]").text
    assert soup.select_one("#name")["value"] == "failures"
    assert soup.select_one("[name=query]")["value"] == "tag=x"
    assert SavedView.get().query == "status=failed"


def test_it_is_replaced_on_request_and_undo_brings_the_old_one_back(client, post, view):
    answer = post(client, VIEWS, name="Failures", query="tag=x", replace="y")
    assert answer.status_code == 303
    assert SavedView.get().query == "tag=x"
    undo(client, "/ui/logs")
    assert SavedView.get().query == "status=failed"


def test_a_name_is_wanted(client, post):
    answer = post(client, VIEWS, name=" ", query="tag=x")
    assert answer.status_code == 422
    assert "Must not be empty" in soup_of(answer).select_one("#name-error").text


@pytest.mark.parametrize("query", ["", "status=bogus", "colour=red"])
def test_what_is_no_filter_is_not_saved(client, post, query):
    assert post(client, VIEWS, name="x", query=query).status_code == 400
    assert not SavedView.select().count()


def test_it_is_renamed_with_a_way_back(client, post, view):
    answer = post(client, f"{VIEWS}/{view.id}/rename", name="Broken")
    assert (answer.status_code, answer.location) == (303, VIEWS)
    assert SavedView.get().name == "Broken"
    undo(client, VIEWS)
    assert SavedView.get().name == "Failures"


@pytest.mark.parametrize(("name", "status"), [("", 422), ("other", 409)])
def test_a_new_name_that_cannot_be_taken_is_told_beside_it(client, post, view, name, status):
    saved_views.save(1, name="Other", query="tag=x", by=OLAF)
    answer = post(client, f"{VIEWS}/{view.id}/rename", name=name)
    assert answer.status_code == status
    soup = soup_of(answer)
    assert soup.select_one(f"#rename-{view.id}").has_attr("open")
    assert soup.select_one(f"#name-{view.id}")["value"] == name
    assert soup.select_one(f"#name-{view.id}-error").text.strip()


def test_it_is_removed_with_a_way_back(client, post, view):
    assert post(client, f"{VIEWS}/{view.id}/remove").status_code == 303
    assert "No saved views" in client.get(VIEWS).text
    form_page = post(client, f"{VIEWS}/{view.id}/restore")
    assert form_page.status_code == 303
    assert [one.id for one in saved_views.list_all(1)] == [view.id]


def test_one_whose_filter_cannot_be_used_any_more_is_told_so(page, view):
    SavedView.update(query="status=gone").execute()
    assert "cannot be used any more" in page(VIEWS).text
    page("/ui/logs")


def test_a_viewer_opens_them_and_changes_none(sign_in, viewer_a, post, view):
    browser = sign_in(viewer_a)
    soup = soup_of(browser.get("/ui/logs?status=failed"))
    assert "Failures" in ways(soup)
    assert "You are a viewer here" in soup_of(browser.get("/ui/logs?tag=x")).text
    assert not soup_of(browser.get(f"{VIEWS}?tag=x")).select("main form")
    for path in (VIEWS, *(f"{VIEWS}/{view.id}/{act}" for act in ("rename", "remove", "restore"))):
        assert post(browser, path, name="x", query="tag=x").status_code == 403
    assert SavedView.get().name == "Failures"


def test_an_operator_may(sign_in, operator_a, post):
    assert post(sign_in(operator_a), VIEWS, name="x", query="tag=x").status_code == 303


def test_another_workspaces_view_is_not_there(sign_in, admin_b, post, view):
    browser = sign_in(admin_b)
    assert "Failures" not in browser.get("/ui/logs").text
    for act in ("rename", "remove", "restore"):
        answer = post(browser, f"{VIEWS}/{view.id}/{act}", workspace_id=2, name="x")
        assert answer.status_code == 404
