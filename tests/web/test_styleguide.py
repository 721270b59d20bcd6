"""GET /ui/styleguide: every component, and the rules that all of them keep."""

import re
from collections import Counter

import pytest


@pytest.fixture
def soup(page):
    return page("/ui/styleguide")


def test_it_shows_every_macro(soup):
    for part in (
        ".badge", ".verdict-word", ".field-hint", ".form-error", ".locked", ".choice", ".password",
        ".card", ".alert", ".empty", ".table", ".pager", ".crumbs", ".tabs", ".checklist",
        "progress", ".figures", ".chart", ".sparkline", ".opens", ".menu", ".toast", ".secret",
        ".copy",
    ):  # fmt: skip
        assert soup.select_one(f"#main {part}"), part


def test_it_links_its_parts(soup):
    for link in soup.select(".guide > .tabs a"):
        assert soup.select_one(link["href"]), link


def test_no_id_is_given_twice(soup):
    ids = Counter(one["id"] for one in soup.select("[id]"))
    assert [name for name, count in ids.items() if count > 1] == []


def test_what_names_another_element_names_one_that_is_there(soup):
    ids = {one["id"] for one in soup.select("[id]")}
    for attribute in ("for", "aria-describedby", "aria-labelledby", "data-reveal", "data-dialog"):
        for one in soup.select(f"[{attribute}]"):
            assert set(one[attribute].split()) <= ids, one


def test_every_field_has_a_label_and_a_place_for_its_error(soup):
    for field in soup.select("form .field :is(input, select, textarea)"):
        assert soup.select(f"label[for='{field['id']}']"), field
        if field.get("type") not in {"checkbox", "radio"}:
            assert f"{field['id']}-error" in field["aria-describedby"], field


def test_a_field_that_is_wrong_says_so(soup):
    field = soup.select_one("#bad-email")
    assert field["aria-invalid"] == "true"
    assert "ann@example.org" in soup.select_one("#bad-email-error").text
    assert soup.select_one("#email").get("aria-invalid") is None


def test_a_locked_button_can_be_reached_and_says_why(soup):
    button = soup.select_one(".locked button")
    assert button["aria-disabled"] == "true"
    assert not button.has_attr("disabled")
    assert "Only an admin" in soup.select_one(f"#{button['aria-describedby']}").text


def test_the_button_that_shows_a_password_says_what_it_does(soup):
    button = soup.select_one("[data-reveal]")
    assert (button.text, button["aria-label"]) == ("Show", "Show the password")
    assert not button.has_attr("aria-pressed")  # its name changes, and so would say it twice


def test_every_form_that_changes_something_has_its_token(soup):
    for form in soup.select("form[method=post]"):
        assert form.select("[name=csrf_token]"), form


def test_every_dialog_can_be_reached_without_a_script(soup):
    for dialog in soup.select("#main dialog"):
        assert dialog.has_attr("open")
        assert dialog.parent.name == "details"
        assert dialog.parent.summary


def test_a_chart_says_in_words_and_in_a_table_what_it_shows(soup):
    chart = soup.select_one(".chart")
    assert "sent" in chart.select_one("[role=img]")["aria-label"]
    assert len(chart.select("tbody tr")) == len(chart.select(".column"))
    assert not re.search(r"nan|inf", " ".join(str(one) for one in chart.select("rect")))


def test_it_opens_the_drawer_beside_the_page_and_as_a_page(page, partial):
    drawer = partial("/ui/styleguide/drawer").aside
    assert drawer.select_one(f"#{drawer['aria-labelledby']}")
    assert page("/ui/styleguide/drawer").select_one("main h1").text == "Password reset for Ann"


@pytest.mark.parametrize("kind", ["ok", "bad", "info", "undo", "nothing"])
def test_it_says_something_and_comes_back(client, post, kind):
    answer = post(client, "/ui/styleguide/toast", kind=kind)
    assert answer.status_code == 303
    assert answer.location == "/ui/styleguide#overlays"


@pytest.mark.parametrize("path", ["/ui/styleguide", "/ui/styleguide/drawer"])
def test_it_is_not_there_in_production(page, use_settings, path):
    use_settings(env="production")
    page(path, status=404)
