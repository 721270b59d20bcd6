"""GET /v1/docs: the reference, to read; the same for everybody, and nobody's."""

import ast
import os
import re
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup

from maild.api import openapi, openapi_tags, reference, reference_words
from maild.api.endpoint import ENDPOINTS
from tests.conftest import OPERATOR_KEY

PATHS = ["/v1/docs", *(f"/v1/docs/{tag.anchor}" for tag in openapi_tags.TAGS)]


@pytest.fixture
def pages(client):
    """Every page, by its path."""
    return {path: parse(client.get(path)) for path in PATHS}


def parse(response):
    return BeautifulSoup(response.data, "html.parser")


def ids(page, name=True):
    return [one["id"] for one in page.find_all(name, id=True)]


def test_it_needs_no_key_and_is_kept_by_caches(client):
    for path in PATHS:
        first = client.get(path)
        assert first.status_code == 200, path
        assert first.mimetype == "text/html"
        assert first.headers["Cache-Control"] == "public, max-age=300"
        assert "Set-Cookie" not in first.headers
        again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")


def test_it_has_the_console_s_policy_and_nothing_inline(client):
    response = client.get("/v1/docs/messages")
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    page = parse(response)
    assert page.find_all("script", src=False) == []
    assert page.find_all("style") == []
    assert page.find_all(style=True) == []
    sources = [one.get("src") or one.get("href") for one in page.find_all(["script", "link"])]
    assert all(one.startswith("/static/") for one in sources)


def test_it_shows_every_operation_once(pages):
    shown = [one for page in pages.values() for one in ids(page, "article")]
    assert len(shown) == len(set(shown))
    assert set(shown) >= {e.name for e in ENDPOINTS}
    assert {"unsubscribe_by_link", "receive_notification"} <= set(shown)


def test_every_link_leads_somewhere(client, pages):
    there = {path: set(ids(page)) for path, page in pages.items()}
    for path, page in pages.items():
        for link in [one["href"] for one in page.find_all("a")]:
            target, _, anchor = link.partition("#")
            target = target or path
            if target in there:
                assert not anchor or anchor in there[target], (path, link)
            else:
                assert target in {"/", "/v1/openapi.json"}, (path, link)


def test_an_unknown_chapter_is_not_found(client):
    response = client.get("/v1/docs/nothing")
    assert response.status_code == 404
    assert response.content_type == "application/problem+json"


def test_every_python_sample_is_python(pages):
    samples = [
        one.text
        for page in pages.values()
        for one in page.find_all("pre", attrs={"aria-label": re.compile("^Python")})
    ]
    assert len(samples) >= len(ENDPOINTS)
    for sample in samples:
        ast.parse(sample)


def test_it_tells_types_in_words_and_escapes_what_it_is_told():
    assert reference_words.markdown("a `<b>` & c\n\n- one\n- `two`") == (
        "<p>a <code>&lt;b&gt;</code> &amp; c</p><ul><li>one</li><li><code>two</code></li></ul>"
    )
    told = {
        "integer from 1": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
        "integer 1 to 200 (default 50)": {
            "type": "integer", "minimum": 1, "maximum": 200, "default": 50,
        },
        "list of string": {"type": "array", "items": {"type": "string"}},
        "date-time or null": {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
        },
        '<a href="#schema-X">X</a>': {"$ref": "#/components/schemas/X"},
        "<code>a</code>, <code>&lt;</code>": {"enum": ["a", "<"]},
    }  # fmt: skip
    for words, schema in told.items():
        assert reference_words.type_of(schema) == words


def test_samples_run_as_they_stand(serve, use_settings):
    """Against a real process: what is copied works."""
    [web] = serve()
    use_settings(public_url=f"http://{web.addr}")
    chapters = reference.read(openapi.document()).chapters
    [submit, *_] = chapters[0].operations
    key = {**os.environ, "MAILD_API_KEY": OPERATOR_KEY}
    for command in (["sh", "-c", submit.curl], [sys.executable, "-c", submit.python]):
        done = subprocess.run(command, env=key, capture_output=True, text=True, check=True)
        assert re.search(r"""['"]status['"]: ?['"]queued""", done.stdout), done.stderr
