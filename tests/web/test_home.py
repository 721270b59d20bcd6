"""GET /"""


def test_it_says_what_maild_is_and_leads_into_the_console(page):
    soup = page("/")
    assert "Outbound email" in soup.h1.text
    assert soup.find("a", string="Open the console")["href"] == "/ui"


def test_it_offers_no_page_that_does_not_exist(page, client):
    for link in page("/").select("a[href^='/']"):
        assert client.get(link["href"]).status_code == 200, link


def test_it_says_why_the_console_is_closed(page, use_settings):
    use_settings(env="production")
    soup = page("/")
    assert not soup.select("a[href='/ui']")
    assert "needs sign-in" in soup.text
