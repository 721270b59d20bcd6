"""Rules that every template keeps."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("layouts", "pages", "partials", "macros", "errors")
TEMPLATES = [path for name in OURS for path in sorted((ROOT / "templates" / name).glob("*.html"))]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_it_has_no_inline_script_style_or_handler(path):
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|\sjs:", text)
    # What is written out as JSON is data; all else might be run.
    assert not re.search(r"""hx-vals(?!='\{"\w+": "\w+"\}')""", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_it_begins_with_what_it_is(path):
    assert path.read_text().startswith("{# ")


@pytest.mark.parametrize("path", sorted((ROOT / "static/css").glob("*.css")), ids=lambda p: p.name)
def test_it_loads_nothing_from_elsewhere(path):
    assert not re.search(r"url\(|@import|https?:", path.read_text())


def test_it_has_no_dead_link_in_the_rail(page, client):
    links = [link["href"] for link in page("/ui").select(".rail a")]
    assert len(links) > 5
    for link in links:
        assert client.get(link, follow_redirects=True).status_code == 200
