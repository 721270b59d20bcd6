"""/ui/templates/<id>/versions: the list, one as it is sent, what differs, bringing one back."""

import pytest
from bs4 import BeautifulSoup

from maild.services import templates
from tests.conftest import WORKSPACE_A
from tests.web.test_templates_page import (  # noqa: F401 - fixtures
    ADA,
    HTML,
    PATH,
    audited,
    contact,
    make,
    soup_of,
    toast_of,
    undo,
    version_of,
)


@pytest.fixture
def row(make):  # noqa: F811 - the fixture
    """A template with three versions."""
    made = make(subject="One")
    made = make(made, subject="Two", source=HTML.replace("Hello", "Hello,\nand welcome"))
    return make(made, subject="Three")


def test_they_are_listed_newest_first(page, row):
    soup = page(f"{PATH}/{row.id}/versions")
    rows = soup.select("tbody tr")
    assert [one.select_one("th a").text for one in rows] == ["Version 3", "Version 2", "Version 1"]
    assert "in use" in rows[0].text
    assert not rows[0].select(".row-actions a"), "it is used already"
    assert rows[1].select_one(".row-actions a")["href"].endswith("/versions/2/restore")


def test_they_are_paged(page, row, monkeypatch):
    monkeypatch.setattr(templates.list_versions, "__kwdefaults__", {"limit": 2, "older_than": None})
    soup = page(f"{PATH}/{row.id}/versions")
    soup = page(soup.select_one(".pager [rel=next]")["href"])
    assert [one.text for one in soup.select("tbody th a")] == ["Version 1"]


def test_one_is_shown_as_it_was_sent_and_with_what_it_changed(page, client, row):
    soup = page(f"{PATH}/{row.id}/versions/2")
    assert "Two" in soup.select_one(".inbox-line").text
    assert [one.text for one in soup.select(".diff .added .line")] != []
    assert "Subject" in soup.select_one(".change").text
    framed = client.get(soup.select_one("iframe.mail")["src"])
    assert "and welcome" in framed.text
    assert framed.headers["Content-Security-Policy"].endswith("sandbox")
    assert not page(f"{PATH}/{row.id}/versions/1").select(".change"), "nothing was before it"


def test_it_is_compared_with_any_other(page, row):
    soup = page(f"{PATH}/{row.id}/versions/3?against=1")
    assert [one.select_one("h3").text for one in soup.select(".change")] == ["Subject"]
    for odd in ("0", "9", "3", "x", "²", "9" * 30):
        answer = page(f"{PATH}/{row.id}/versions/3?against={odd}", status=404)
        assert "no " in answer.text.lower()


def test_it_is_filled_in_as_a_contact(page, client, row, contact):  # noqa: F811 - the fixture
    contact(first_name="Bea")
    soup = page(f"{PATH}/{row.id}/versions/3?contact=bea@example.org&pictures=1")
    framed = client.get(soup.select_one("iframe.mail")["src"])
    assert "Hello Bea" in framed.text
    assert "img-src data: http: https:" in framed.headers["Content-Security-Policy"]
    soup = page(f"{PATH}/{row.id}/versions/3?contact=nobody@example.org", status=422)
    assert "no contact of this address" in soup.select_one("#contact-error").text
    page(f"{PATH}/{row.id}/versions/3/frame?contact=nobody@example.org", status=404)


def test_one_comes_back_in_two_clicks_and_that_can_be_undone(page, client, post, row):
    soup = page(f"{PATH}/{row.id}/versions/1/restore")
    assert "One" in soup.select_one(".change").text
    assert version_of(row) == 3, "asking changes nothing"
    latest = soup.select_one("main form [name=latest]")["value"]
    answer = post(client, f"{PATH}/{row.id}/versions/1/restore", latest=latest)
    assert answer.status_code == 303
    assert templates.get_version(WORKSPACE_A, row.id)[1].subject == "One"
    undo(client)
    assert templates.get_version(WORKSPACE_A, row.id)[1].subject == "Three"
    assert version_of(row) == 5
    assert audited()[-2:] == ["template.restored"] * 2


def test_it_comes_not_back_over_what_nobody_has_seen(client, post, row, make):  # noqa: F811
    make(row, subject="Four")
    answer = post(client, f"{PATH}/{row.id}/versions/1/restore", latest="3")
    assert answer.status_code == 409
    soup = BeautifulSoup(answer.text, "html.parser")
    assert soup.select_one(".form-error").text.strip()
    assert soup.select_one("main form [name=latest]")["value"] == "4"
    for odd in ("", "x", "9" * 30):
        assert post(client, f"{PATH}/{row.id}/versions/1/restore", latest=odd).status_code == 200
    assert version_of(row) == 4


def test_the_latest_needs_not_come_back(client, row):
    assert client.get(f"{PATH}/{row.id}/versions/3/restore").status_code == 303
    assert "used already" in toast_of(client)


def test_what_says_the_same_makes_no_version(client, post, make):  # noqa: F811 - the fixture
    row = make(subject="One")
    row = make(row, subject="Two")
    row = make(row, subject="One")
    post(client, f"{PATH}/{row.id}/versions/1/restore", latest="3")
    assert version_of(row) == 3
    assert "Nothing was saved" in toast_of(client)


def test_a_text_that_is_too_long_is_not_compared(page, make):  # noqa: F811 - the fixture
    row = make(source="x\n" * 5_000)
    make(row, source="y\n" * 5_000)
    assert (
        "Too long to be compared" in page(f"{PATH}/{row.id}/versions/2").select_one(".change").text
    )


def test_a_viewer_sees_them_all(sign_in, viewer_a, row):
    viewer = sign_in(viewer_a)
    for path in ("versions", "versions/2", "versions/2/frame", "api", "test"):
        assert viewer.get(f"{PATH}/{row.id}/{path}").status_code == 200, path
    assert viewer.get(f"{PATH}/{row.id}/versions/1/restore").status_code == 403
    assert "You are a viewer here" in soup_of(viewer, f"{PATH}/{row.id}/versions").text


def test_what_is_archived_cannot_come_back_by_a_version(client, post, row):
    templates.archive(WORKSPACE_A, row.id, by=ADA)
    assert post(client, f"{PATH}/{row.id}/versions/1/restore", latest="3").status_code == 409
    assert version_of(row) == 3
