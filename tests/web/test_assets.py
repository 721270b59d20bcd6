"""Static files."""

import pytest

from maild.web import assets


def test_it_serves_every_file_that_a_page_names_for_a_year(page, client):
    soup = page("/ui/logs")
    addresses = [tag["src"] for tag in soup.select("script")]
    addresses += [tag["href"] for tag in soup.select("link[href]")]
    assert len(addresses) >= 9
    for address in addresses:
        with client.get(address) as response:
            assert response.status_code == 200, address
            assert "immutable" in response.headers["Cache-Control"], address


@pytest.mark.parametrize("name", ["css/base.css", "vendor/htmx.min.js"])
def test_under_another_version_than_it_has_it_is_not_kept(client, name):
    """As in an upgrade, when old pages are answered with new files and new pages with old ones."""
    with client.get(f"/static/{name}?v=0123456789ab") as response:
        assert response.status_code == 200
        assert "immutable" not in response.headers.get("Cache-Control", "")


def test_it_serves_htmx_out_of_its_package(client):
    with client.get("/static/vendor/htmx.min.js") as response:
        assert response.mimetype == "text/javascript"
        assert b"htmx" in response.data
        assert "immutable" not in response.headers.get("Cache-Control", "")


@pytest.mark.parametrize("path", ["/static/../maild/config.py", "/static/nothing.css?v=1"])
def test_it_serves_nothing_else(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert "immutable" not in response.headers.get("Cache-Control", "")


def test_a_page_reads_none_of_the_files_that_it_names(client, monkeypatch):
    before = client.get("/ui/logs").text
    monkeypatch.setattr(assets, "_path", lambda name: pytest.fail(f"{name} was looked at"))
    assert client.get("/ui/logs").text.count("?v=") == before.count("?v=") > 30
