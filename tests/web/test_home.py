"""GET /"""

import pytest
from bs4 import BeautifulSoup


@pytest.fixture
def front(anonymous):
    """The page, as somebody sees it who is not signed in."""

    def get():
        return BeautifulSoup(anonymous.get("/").text, "html.parser")

    return get


def links(soup):
    return [link["href"] for link in soup.select("a[href^='/']")]


def test_it_says_what_maild_is_and_offers_the_ways_in(front, use_settings):
    use_settings(signup_mode="open")
    soup = front()
    assert "Outbound email" in soup.h1.text
    assert {"/signup", "/login"} <= set(links(soup))
    assert "/dashboard" not in links(soup)


@pytest.mark.parametrize(("mode", "is_told"), [("invite", True), ("closed", False)])
def test_it_offers_no_sign_up_where_there_is_none(front, use_settings, mode, is_told):
    use_settings(signup_mode=mode)
    soup = front()
    assert "/signup" not in links(soup)
    assert "/login" in links(soup)
    assert ("invitation" in soup.text) is is_told


def test_it_leads_to_the_dashboard_who_is_signed_in(page):
    soup = page("/")
    assert soup.find("a", string="Go to your dashboard")["href"] == "/dashboard"
    assert not {"/signup", "/login"} & set(links(soup))


@pytest.mark.parametrize("mode", ["open", "invite", "closed"])
def test_it_offers_no_page_that_does_not_exist(front, anonymous, use_settings, mode):
    use_settings(signup_mode=mode)
    for link in links(front()):
        assert anonymous.get(link).status_code == 200, link
