"""The preference centre behind the links in mail: whoever looks changes nothing, whoever saves gets
what they chose.
"""

import logging

import pytest

from maild.domain.actor import Actor
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass
from maild.models import AuditEntry, Contact, Event, Message, Unsubscribe
from maild.services import (
    failed_tries,
    suppressions,
    topics,
    unsubscribe_links,
    unsubscribes,
)
from maild.services.topics import NewTopic
from maild.services.unsubscribe_links import Link
from tests.conftest import WORKSPACE_A, WORKSPACE_B

ADDRESS = "ann@example.org"
OLAF = Actor("olaf@a.example")


@pytest.fixture
def path_of(anonymous):
    """The path of a link."""

    def make(message_id, *, workspace_id=WORKSPACE_A, topic="news"):
        unsubscribe_links.load(workspace_id)
        link = Link(workspace_id, message_id, ADDRESS, topic)
        url = unsubscribe_links.make_preferences_url(link)
        return url[url.index("/preferences/") :]

    return make


@pytest.fixture
def message(accept):
    return accept(stream="marketing", to_email=ADDRESS)


@pytest.fixture
def path(path_of, message):
    topics.save(WORKSPACE_A, NewTopic("news", "Our newsletter", "Once a month."), by=OLAF)
    topics.save(WORKSPACE_A, NewTopic("offers", "Offers"), by=OLAF)
    return path_of(message.id)


@pytest.fixture
def bare_path(path_of, message):
    """Of a workspace without topics."""
    return path_of(message.id, topic=None)


def everything():
    """All that a request could have written."""
    models = (Unsubscribe, AuditEntry, Event, Message)
    contacts = list(Contact.select(Contact.topics, Contact.version).tuples())
    return [model.select().count() for model in models], in_force(), contacts


def in_force():
    rows = Unsubscribe.select().where(Unsubscribe.removed_at.is_null()).order_by(Unsubscribe.id)
    return [(row.stream, row.topic, row.source) for row in rows]


def boxes(soup):
    """What is ticked, and what cannot be."""
    return {
        box["value"]: "locked" if box.has_attr("disabled") else box.has_attr("checked")
        for box in soup.select("[name=topic]")
    }


def buttons(soup):
    return [button["value"] for button in soup.select("main form button")]


def save(client, path, *chosen, action="save", status=200):
    response = client.post(path, data={"topic": list(chosen), "action": action})
    assert response.status_code == status, response.text
    return " ".join(response.text.split())


def opt_out(topic=None, *, source="api", stream=Stream.MARKETING):
    unsubscribes.add(WORKSPACE_A, ADDRESS, topic=topic, stream=stream, source=source, by=OLAF)


# Looking


def test_it_says_whose_mail_it_is_and_what_there_is(page, path):
    soup = page(path)
    assert soup.h1.get_text() == "Your mail from Default"
    text = soup.select_one("main").get_text(" ", strip=True)
    for word in (ADDRESS, "Our newsletter", "Once a month.", "Offers", "receipts"):
        assert word in text
    assert boxes(soup) == {"news": True, "offers": True}
    assert buttons(soup) == ["save", "nothing"]


def test_every_box_has_a_label_and_no_script_is_needed(page, path):
    soup = page(path)
    [form] = soup.select("main form")
    assert form["method"] == "post"
    assert "action" not in form.attrs  # the same address, whatever a proxy calls it
    for box in form.select("input"):
        assert soup.select_one(f"label[for={box['id']}]").get_text(strip=True)


def test_the_unsubscribe_page_leads_there(page, path):
    [link] = page(path.replace("/preferences/", "/u/")).select("main a")
    assert link["href"] == path


def test_without_topics_there_is_everything_or_nothing(page, bare_path):
    soup = page(bare_path)
    assert buttons(soup) == ["nothing"]
    assert not soup.select("fieldset")
    opt_out(source="page")
    assert buttons(page(bare_path)) == ["again"]


def test_what_no_link_undoes_is_said_and_cannot_be_ticked(page, path):
    opt_out("news")
    soup = page(path)
    assert boxes(soup) == {"news": "locked", "offers": True}
    assert "only the sender can take that back" in soup.text
    opt_out()
    soup = page(path)
    assert boxes(soup) == {"news": "locked", "offers": "locked"}
    assert buttons(soup) == []
    assert "ask the sender" in soup.text


@pytest.mark.parametrize(
    ("class_", "words"),
    [
        (SuppressionClass.COMPLAINT, "reported as spam"),
        (SuppressionClass.HARD_BOUNCE, "came back"),
        (SuppressionClass.SOFT_BOUNCE, "came back several times"),
        (SuppressionClass.MANUAL, "the sender has stopped it"),
    ],
)
def test_what_stops_all_of_it_is_said(page, path, class_, words):
    suppressions.add(WORKSPACE_A, ADDRESS, reason="secret words", source="api", class_=class_)
    text = page(path).select_one("main").get_text(" ", strip=True)
    assert words in text
    assert "A link cannot undo that" in text
    assert "secret words" not in text
    assert "receipts" not in text


def test_it_escapes_what_others_wrote(page, path):
    topics.save(WORKSPACE_A, NewTopic("<script>", "<b>x</b>", "<img src=x>"), by=OLAF)
    soup = page(path)
    assert not soup.select("main script, main b, main img")
    assert "<script>" in boxes(soup)


@pytest.mark.parametrize("headers", [{}, {"Purpose": "prefetch"}, {"HX-Request": "true"}])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_only_a_post_changes_anything(anonymous, path, method, headers):
    before = everything()
    for query in ("", "?action=nothing", "?action=save"):
        anonymous.open(path + query, method=method, headers=headers, data={"action": "nothing"})
    assert everything() == before


def test_head_is_get_without_a_body(anonymous, path):
    head, get = anonymous.head(path), anonymous.get(path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


# Saving


def test_what_is_ticked_stays_and_the_rest_stops(anonymous, page, path):
    Contact.create(workspace_id=WORKSPACE_A, email=ADDRESS, topics=[], created_by="x")
    assert "Your choice is saved" in save(anonymous, path, "offers")
    assert in_force() == [(Stream.MARKETING, "news", "preferences")]
    assert Contact.get().topics == ["offers"]
    assert boxes(page(path)) == {"news": False, "offers": True}
    save(anonymous, path, "offers", "news")
    assert in_force() == []


def test_everything_stops_with_one_button(anonymous, page, path):
    assert "you get no more newsletters and offers" in save(
        anonymous, path, "news", action="nothing"
    )
    assert in_force() == [(Stream.MARKETING, None, "preferences")]
    soup = page(path)
    assert (boxes(soup), buttons(soup)) == ({"news": False, "offers": False}, ["save"])


def test_who_is_out_and_ticks_nothing_is_told_so(anonymous, path):
    save(anonymous, path, action="nothing")
    assert "have chosen none" in save(anonymous, path)
    assert len(in_force()) == 1


def test_who_leaves_every_topic_is_told_what_may_still_come(anonymous, path):
    assert "You have left every topic here" in save(anonymous, path)
    assert len(in_force()) == 2


def test_one_comes_back_without_topics(anonymous, bare_path):
    save(anonymous, bare_path, action="nothing")
    assert "you get newsletters and offers again" in save(anonymous, bare_path, action="again")
    assert in_force() == []


@pytest.mark.proves("I7")
def test_no_button_undoes_what_no_link_did(anonymous, path):
    opt_out()
    opt_out("news")
    suppressions.add(WORKSPACE_A, ADDRESS, reason="x", source="api")
    before = everything()
    for action in ("save", "again"):
        save(anonymous, path, "news", "offers", action=action)
    assert everything() == before


def test_saving_twice_is_saving_once(anonymous, path):
    save(anonymous, path, "offers")
    before = everything()
    save(anonymous, path, "offers")
    assert everything() == before


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", b"action=", b"action=all", b"action=save&action=nothing", b"topic=news",
        b"List-Unsubscribe=One-Click", b"\xff\xfe=\x00", b"&".join([b"topic=b"] * 300),
        b'{"action": "nothing"}',
    ],
)  # fmt: skip
def test_any_other_body_is_refused(anonymous, path, data):
    before = everything()
    response = anonymous.post(path, data=data, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 400
    assert "Nothing was changed" in " ".join(response.text.split())
    assert everything() == before


@pytest.mark.parametrize("odd", ["\0", "\ud800", "🦓", "x" * 5_000, "a\r\nb", "'; DROP TABLE x"])
def test_odd_topics_are_no_topics(anonymous, path, odd):
    data = b"action=save&topic=news&topic=offers&topic=" + odd.encode(errors="surrogatepass")
    response = anonymous.post(path, data=data, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 200
    assert in_force() == []


def test_a_large_body_is_refused(anonymous, path):
    response = anonymous.post(path, data={"action": "nothing", "x": "y" * 200_000})
    assert response.status_code == 413
    assert in_force() == []


# What is no link


def test_every_wrong_link_is_answered_alike(anonymous, path, path_of, message):
    token = path.removeprefix("/preferences/")
    other = path_of(message.id, workspace_id=WORKSPACE_B).removeprefix("/preferences/")
    answers = set()
    for wrong in (
        "x", "A" * 900, "A" * 5000, "%00", "ü", "a/b", token + "/", token + "A", token[:-1],
        token.swapcase(), token[:7] + other[7:],
    ):  # fmt: skip
        for response in (
            anonymous.get(f"/preferences/{wrong}"),
            anonymous.post(f"/preferences/{wrong}", data={"action": "nothing"}),
            anonymous.post(f"/preferences/{wrong}", data={"action": "nonsense"}),
        ):
            assert response.status_code == 404, wrong
            headers = {k: v for k, v in response.headers.items() if k != "X-Request-ID"}
            answers.add((response.data, tuple(sorted(headers.items()))))
    assert len(answers) == 1
    assert in_force() == []


def test_a_link_of_a_workspace_shows_and_changes_no_other(page, anonymous, path, path_of, message):
    theirs = path_of(message.id, workspace_id=WORKSPACE_B)
    soup = page(theirs)
    assert (soup.h1.get_text(), boxes(soup)) == ("Your mail from Other", {"news": True})
    save(anonymous, theirs, action="nothing")
    assert {row.workspace_id for row in Unsubscribe.select()} == {WORKSPACE_B}


def test_who_tries_too_often_has_to_wait(anonymous, path, monkeypatch):
    monkeypatch.setattr(failed_tries, "PER_MINUTE", 3)
    where = {"environ_overrides": {"REMOTE_ADDR": "198.51.100.33"}}
    statuses = [anonymous.get("/preferences/wrong", **where).status_code for _ in range(6)]
    assert statuses[0] == 404
    assert statuses[-1] == 429
    assert anonymous.get(path, **where).status_code == 200


# Manners


@pytest.mark.parametrize("action", ["save", "nonsense", None])
@pytest.mark.parametrize("wrong", [False, True])
def test_it_leaves_no_trace_elsewhere(anonymous, path, action, wrong):
    address = path + "A" * wrong
    get = anonymous.get
    response = anonymous.post(address, data={"action": action}) if action else get(address)
    headers = response.headers
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "noindex" in headers["X-Robots-Tag"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Set-Cookie" not in headers
    assert "Location" not in headers


def test_it_is_open_in_production_and_through_proxies(anonymous, path, use_settings):
    use_settings(env="production", public_url="https://mail.example.com")
    for method in ("GET", "POST"):
        response = anonymous.open(
            path,
            method=method,
            data={"action": "nothing"} if method == "POST" else None,
            headers={"Host": "mail.example.com", "Via": "1.1 proxy"},
            environ_overrides={"REMOTE_ADDR": "198.51.100.9"},
        )
        assert response.status_code == 200


def test_logs_have_neither_the_address_nor_the_link(anonymous, path, caplog):
    caplog.set_level(logging.DEBUG)
    anonymous.get(path)
    save(anonymous, path, "news")
    assert ADDRESS not in caplog.text
    assert path.removeprefix("/preferences/") not in caplog.text
