"""The security headers of every page."""

import pytest


@pytest.mark.proves("security-csp")
@pytest.mark.parametrize("path", ["/", "/ui", "/ui/logs", "/nothing", "/static/css/base.css"])
def test_it_sends_a_strict_policy(client, path):
    with client.get(path) as response:
        headers = response.headers
    policy = dict(
        directive.split(" ", 1) for directive in headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/ui", "/ui/logs", "/ui/nothing"])
def test_it_keeps_the_console_out_of_caches(client, path):
    assert client.get(path).headers["Cache-Control"] == "no-store"
