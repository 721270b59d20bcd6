"""The page behind the links in mail: it shows who leaves what, and changes nothing unless asked."""

import io
import logging
import re

import pytest

from maild.domain.actor import Actor
from maild.domain.states import Stream
from maild.models import AuditEntry, Event, Message, Unsubscribe
from maild.services import failed_tries, unsubscribe_links, unsubscribes
from maild.services.unsubscribe_links import Link
from tests.conftest import WORKSPACE_A, WORKSPACE_B

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
ADDRESS = "ann@example.org"


@pytest.fixture
def path_of(client):
    """The path of a link."""

    def make(message_id, *, workspace_id=WORKSPACE_A, email=ADDRESS, topic="news"):
        unsubscribe_links.load(workspace_id)
        url = unsubscribe_links.make_url(Link(workspace_id, message_id, email, topic))
        return url[url.index("/u/") :]

    return make


@pytest.fixture
def message(accept):
    return accept(stream="marketing", to_email=ADDRESS, from_email="letters@shop.example")


@pytest.fixture
def path(path_of, message):
    return path_of(message.id)


@pytest.fixture
def bare_path(path_of, message):
    """The path of a link without a topic."""
    return path_of(message.id, topic=None)


@pytest.fixture
def api_unsubscribe(database):
    def add(**fields):
        unsubscribes.add(WORKSPACE_A, ADDRESS, source="api", by=Actor("operator key"), **fields)

    return add


def in_force():
    rows = Unsubscribe.select().where(Unsubscribe.removed_at.is_null()).order_by(Unsubscribe.id)
    return [(row.email, row.stream, row.topic, row.source) for row in rows]


def everything():
    """All that a request could have written."""
    models = (Unsubscribe, AuditEntry, Event, Message)
    return [model.select().count() for model in models], in_force()


def buttons(soup):
    return {
        button["value"]: button.get_text(strip=True) for button in soup.select(".choices button")
    }


# Looking


def test_it_says_whose_mail_it_is_and_what_stops(page, path):
    soup = page(path)
    text = soup.select_one("main").get_text(" ", strip=True)
    assert soup.h1.get_text(strip=True) == "Unsubscribe"
    for word in (ADDRESS, "“news”", "letters@shop.example", "receipts"):
        assert word in text
    assert list(buttons(soup)) == ["topic", "all"]
    assert "news" in buttons(soup)["topic"]


def test_it_offers_one_button_where_there_is_no_topic(page, bare_path):
    soup = page(bare_path)
    assert buttons(soup) == {"all": "Unsubscribe"}


def test_it_needs_no_script(page, path):
    [form] = page(path).select("main form")
    assert form["method"] == "post"
    assert "action" not in form.attrs  # the same address, whatever a proxy calls it


def test_it_needs_no_message(page, path):
    Message.delete().execute()
    assert ADDRESS in page(path).text


def test_it_escapes_what_others_wrote(page, path_of, message):
    soup = page(path_of(message.id, topic="<script>alert(1)</script>"))
    assert not soup.select("main script")
    assert "<script>alert(1)</script>" in soup.select_one("main").get_text()


@pytest.mark.proves("feedback-one-click")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Purpose": "prefetch", "Sec-Purpose": "prefetch;prerender"},
        {"User-Agent": "Mozilla/5.0 (compatible; LinkScanner/1.0)"},
        {"X-Moz": "prefetch", "Range": "bytes=0-100"},
        {"HX-Request": "true"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_only_a_post_changes_anything(client, path, method, headers):
    before = everything()
    for query in ("", "?action=all", "?List-Unsubscribe=One-Click"):
        client.open(path + query, method=method, headers=headers, data={"action": "all"})
    assert everything() == before


def test_head_is_get_without_a_body(client, path):
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_other_methods_are_refused(client, path):
    response = client.put(path)
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


# Pressing a button


def press(client, path, action, *, status=200):
    response = client.post(path, data={"action": action})
    assert response.status_code == status, response.text
    return response.text


def test_the_topic_stops(client, page, path):
    text = press(client, path, "topic")
    assert "You are unsubscribed" in text
    assert "“news”" in text
    assert in_force() == [(ADDRESS, Stream.MARKETING, "news", "page")]
    soup = page(path)
    assert soup.h1.get_text(strip=True) == "You are unsubscribed already"
    assert list(buttons(soup)) == ["all", "again"]


@pytest.mark.parametrize("which", ["path", "bare_path"])
def test_everything_stops(client, page, request, which):
    path = request.getfixturevalue(which)
    assert "newsletters and offers" in press(client, path, "all")
    assert in_force() == [(ADDRESS, Stream.MARKETING, None, "page")]
    soup = page(path)
    assert soup.h1.get_text(strip=True) == "You are unsubscribed already"
    assert list(buttons(soup)) == ["again"]


def test_pressing_twice_is_pressing_once(client, path):
    press(client, path, "topic")
    assert "You are unsubscribed" in press(client, path, "topic")
    assert len(in_force()) == 1
    assert AuditEntry.select().count() == 1


def test_subscribing_again_undoes_it(client, path):
    press(client, path, "topic")
    press(client, path, "all")
    text = press(client, path, "again")
    assert "You are subscribed again" in text
    assert 'value="topic"' in text
    assert in_force() == []


def test_subscribing_again_undoes_one_click_too(client, path):
    client.post(path, data=ONE_CLICK)
    press(client, path, "again")
    assert in_force() == []


def test_what_was_not_done_by_a_link_stays(client, page, path, api_unsubscribe):
    api_unsubscribe(stream=Stream.MARKETING)
    soup = page(path)
    assert "ask the sender" in soup.text
    assert buttons(soup) == {}
    assert "You are still unsubscribed" in press(client, path, "again")
    assert len(in_force()) == 1


def test_it_promises_no_important_mail_where_none_comes(page, path, api_unsubscribe):
    assert "receipts" in page(path).text
    api_unsubscribe()
    assert "receipts" not in page(path).text


def test_what_the_person_did_is_on_record_without_where_they_are(client, path, message):
    client.post(
        path,
        data={"action": "topic"},
        headers={"X-Request-ID": "r42", "X-Forwarded-For": "192.0.2.99"},
        environ_overrides={"REMOTE_ADDR": "192.0.2.77"},
    )
    entry = AuditEntry.get()
    assert (entry.actor, entry.action, entry.request_id) == (
        "the recipient",
        "unsubscribe.added",
        "r42",
    )
    assert entry.after == {"stream": "marketing", "topic": "news", "source": "page"}
    row, event = Unsubscribe.get(), Event.get(Event.type == "message.unsubscribed")
    assert (row.message_id, event.message_id) == (message.id, message.id)
    for model in (Unsubscribe, AuditEntry, Event):
        for stored in model.select().dicts():
            assert "192.0.2" not in repr(stored)


# One click: RFC 8058


def one_click(client, path, **kwargs):
    response = client.post(path, **{"data": ONE_CLICK, **kwargs})
    assert response.status_code == 200, response.text
    return response


@pytest.mark.proves("deliver-unsubscribe-headers")
def test_one_click_stops_the_topic(client, path):
    """RFC 8058 8.1: the request as the RFC shows it."""
    response = client.post(
        path,
        data=b"List-Unsubscribe=One-Click",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "26"},
    )
    assert response.status_code == 200
    assert len(response.data) < 100
    assert in_force() == [(ADDRESS, Stream.MARKETING, "news", "one_click")]


def test_one_click_without_a_topic_stops_all_of_marketing(client, bare_path):
    one_click(client, bare_path)
    assert in_force() == [(ADDRESS, Stream.MARKETING, None, "one_click")]


def test_one_click_comes_as_multipart_too(client, path):
    """RFC 8058 8.2."""
    body = (
        "-----FormBoundaryjWmhtjORrn\r\n"
        'Content-Disposition: form-data; name="List-Unsubscribe"\r\n\r\n'
        "One-Click\r\n"
        "-----FormBoundaryjWmhtjORrn--\r\n"
    )
    kind = "multipart/form-data; boundary=---FormBoundaryjWmhtjORrn"
    one_click(client, path, data=body, content_type=kind)
    assert [row[3] for row in in_force()] == ["one_click"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"List-Unsubscribe=One-Click", None),
        (b"List-Unsubscribe=One-Click", "text/plain"),
        (b"List-Unsubscribe=One-Click", "APPLICATION/X-WWW-FORM-URLENCODED; charset=utf-8"),
        (b"List-Unsubscribe=One-Click\r\n", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=One%2DClick&", "application/x-www-form-urlencoded"),
        (b"utm=x&List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
    ],
)
def test_one_click_is_taken_from_any_client(client, path, data, kind):
    one_click(client, path, data=data, content_type=kind)
    assert len(in_force()) == 1


@pytest.mark.proves("feedback-one-click")
def test_one_click_needs_nobody_and_nothing(client, path, use_settings):
    """RFC 8058 3.2: no cookies, no authorization; from anywhere, and none are given back."""
    use_settings(env="production", public_url="https://mail.example.com")
    response = one_click(
        client,
        path,
        headers={
            "Host": "mail.example.com",
            "Origin": "https://elsewhere.example",
            "Sec-Fetch-Site": "cross-site",
            "X-Forwarded-For": "192.0.2.1",
            "Via": "1.1 proxy",
        },
        environ_overrides={"REMOTE_ADDR": "198.51.100.9"},
    )
    assert "Set-Cookie" not in response.headers
    assert "Location" not in response.headers
    assert len(in_force()) == 1


@pytest.mark.proves("feedback-one-click")
def test_one_click_often_is_once(client, path):
    first = one_click(client, path)
    for _ in range(3):
        assert one_click(client, path).data == first.data
    assert len(in_force()) == 1
    assert AuditEntry.select().count() == 1


def test_one_click_works_when_the_message_is_gone(client, path):
    Message.delete().execute()
    one_click(client, path)
    assert len(in_force()) == 1


# What is none of it


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", b"List-Unsubscribe", b"List-Unsubscribe=", b"List-Unsubscribe=Two-Clicks",
        b"list-unsubscribe=One-Click", b'{"List-Unsubscribe": "One-Click"}', b"action=",
        b"action=everything", b"action=topic&action=all", b"action=All", b"\xff\xfe=\x00",
        b"&".join([b"a=b"] * 100), b"List-Unsubscribe=One-Click&action=nothing",
    ],
)  # fmt: skip
def test_any_other_body_is_refused(client, path, data):
    response = client.post(path, data=data, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 400
    assert "Nothing was changed" in " ".join(response.text.split())
    assert in_force() == []


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_broken_form_is_refused(client, path, kind):
    response = client.post(path, data=b"List-Unsubscribe=One-Click", content_type=kind)
    assert response.status_code == 400
    assert in_force() == []


LARGE = b"List-Unsubscribe=One-Click&x=" + b"y" * 10_000


@pytest.mark.parametrize(
    "body",
    [
        {"data": LARGE, "content_type": "application/x-www-form-urlencoded"},
        {"data": {**ONE_CLICK, "x": "y" * 10_000}, "content_type": "multipart/form-data"},
        {
            "input_stream": io.BytesIO(LARGE),  # without a length
            "environ_overrides": {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
        },
    ],
    ids=["urlencoded", "multipart", "chunked"],
)
def test_a_large_body_is_refused(client, path, body):
    response = client.post(path, **body)
    assert response.status_code == 413
    assert "Nothing was changed" in response.text
    assert in_force() == []


def wrong_paths(path, other):
    token = path.removeprefix("/u/")
    return [
        "/u/x", "/u/" + "A" * 900, "/u/" + "A" * 5000, "/u/%00", "/u/ü", "/u/a/b", path + "/",
        path + "A", path[:-1], "/u/" + token.swapcase(), "/u/" + token[:7] + other[10:],
        "/u/" + other[3:10] + token[7:],
    ]  # fmt: skip


def test_every_wrong_link_is_answered_alike(client, path, path_of, message):
    other = path_of(message.id, workspace_id=WORKSPACE_B)
    answers = set()
    for wrong in wrong_paths(path, other):
        for response in (
            client.get(wrong),
            client.post(wrong, data=ONE_CLICK),
            client.post(wrong, data={"action": "all"}),
            client.post(wrong, data={"action": "nonsense"}),
        ):
            assert response.status_code == 404, wrong
            headers = {k: v for k, v in response.headers.items() if k != "X-Request-ID"}
            answers.add((response.data, tuple(sorted(headers.items()))))
    assert len(answers) == 1
    assert b"This link does not work" in answers.pop()[0]
    assert in_force() == []


def test_a_link_of_a_workspace_changes_no_other(client, path_of, message):
    client.post(path_of(message.id, workspace_id=WORKSPACE_B), data=ONE_CLICK)
    assert {row.workspace_id for row in Unsubscribe.select()} == {WORKSPACE_B}
    assert not Event.select().where(Event.type == "message.unsubscribed").exists()


# Manners


@pytest.mark.parametrize("action", ["topic", "nonsense", None])
@pytest.mark.parametrize("wrong", [False, True])
def test_it_leaves_no_trace_elsewhere(client, path, action, wrong):
    address = path + "A" * wrong
    response = client.post(address, data={"action": action}) if action else client.get(address)
    headers = response.headers
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "noindex" in headers["X-Robots-Tag"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Set-Cookie" not in headers
    assert "Location" not in headers


def test_it_is_open_in_production_and_through_proxies(client, path, use_settings):
    use_settings(env="production", public_url="https://mail.example.com")
    response = client.get(
        path,
        headers={"Host": "mail.example.com", "X-Forwarded-For": "192.0.2.1", "Via": "1.1 proxy"},
        environ_overrides={"REMOTE_ADDR": "198.51.100.9"},
    )
    assert response.status_code == 200


def test_the_address_is_not_in_the_url(path):
    assert re.fullmatch(r"/u/[A-Za-z0-9_-]+", path)


def test_logs_have_neither_the_address_nor_the_link(client, path, caplog):
    caplog.set_level(logging.DEBUG)
    client.get(path)
    client.post(path, data=ONE_CLICK)
    client.post(path, data={"action": "all"})
    client.post(path, data={"action": "nonsense"})
    text = caplog.text
    assert "unsubscribe.by_link" in text
    assert ADDRESS not in text
    assert path.removeprefix("/u/") not in text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_it_asks_to_come_again_while_the_database_is_away(client, path, postgres_away, method):
    response = client.open(path, method=method, data=ONE_CLICK if method == "POST" else None)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert response.headers["Cache-Control"] == "no-store"
    assert client.open("/u/nonsense", method=method).status_code == 503


def test_who_follows_links_that_are_none_is_told_to_wait(client, path, monkeypatch):
    monkeypatch.setattr(failed_tries, "PER_MINUTE", 3)
    client.environ_base["REMOTE_ADDR"] = "198.51.100.31"
    for _ in range(4):
        last = client.post("/u/nonsense", data=ONE_CLICK)
    assert last.status_code == 429
    assert 1 <= int(last.headers["Retry-After"]) <= 20
    # Mail programs come from few addresses: a link that is one is never refused.
    assert client.post(path, data=ONE_CLICK).status_code == 200
    assert len(in_force()) == 1
