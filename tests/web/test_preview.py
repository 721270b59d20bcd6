"""GET /ui/messages/<id>/preview: the sender's HTML, able to do nothing."""

import pytest

HTML = "<style>p{color:red}</style><p onclick='x()'>Hello</p><script>alert(1)</script>"


def test_it_gives_the_html_as_it_is(client, accept):
    response = client.get(f"/ui/messages/{accept(body_html=HTML).id}/preview")
    assert response.status_code == 200
    assert response.text == HTML
    assert response.content_type == "text/html; charset=utf-8"


@pytest.mark.proves("security-csp")
def test_it_lets_the_html_do_nothing(client, accept):
    response = client.get(f"/ui/messages/{accept(body_html=HTML).id}/preview")
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "frame-ancestors 'self'" in policy
    assert not any(directive.startswith("script-src") for directive in policy)
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_it_stands_in_a_sandboxed_frame(page, accept):
    message = accept(body_html=HTML)
    frame = page(f"/ui/messages/{message.id}").iframe
    assert frame.has_attr("sandbox")
    assert not frame["sandbox"], "nothing is allowed"
    assert frame["src"] == f"/ui/messages/{message.id}/preview"


def test_it_is_not_found_where_there_is_no_html(page, accept):
    message = accept()
    assert "no HTML part" in page(f"/ui/messages/{message.id}/preview", status=404).text
    assert page(f"/ui/messages/{message.id}").iframe is None
