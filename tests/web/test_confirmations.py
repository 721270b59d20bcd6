"""The page of a double opt-in: looking changes nothing, the button makes a contact active."""

import re
from datetime import timedelta

import pytest
import time_machine

from maild import clock
from maild.domain.actor import Actor
from maild.domain.contact import ContactStatus
from maild.domain.states import Stream
from maild.models import AuditEntry, Contact, Event, Message, MessageBody, Unsubscribe
from maild.services import (
    confirmation_links,
    confirmations,
    failed_tries,
    suppressions,
    topics,
    unsubscribe_links,
    unsubscribes,
)
from maild.services.topics import NewTopic
from tests.conftest import WORKSPACE_A, WORKSPACE_B

ADDRESS = "ann@example.org"
OLAF = Actor("olaf@a.example")


@pytest.fixture
def path_for(anonymous):
    """The path of the link that a new contact of a workspace is mailed."""

    def make(workspace_id=WORKSPACE_A):
        row = Contact.create(
            workspace_id=workspace_id,
            email=ADDRESS,
            topics=["news"],
            status=ContactStatus.PENDING,
            created_by="x",
        )
        contact = Contact.get_by_id(row.id)
        message = confirmations.ask(workspace_id, contact, by=OLAF).message
        text = MessageBody.get(MessageBody.message == message.id).body_text
        return re.search(confirmation_links.PATH + r"\S+", text)[0]

    return make


@pytest.fixture
def path(path_for):
    topics.save(WORKSPACE_A, NewTopic("news", "Our newsletter"), by=OLAF)
    return path_for()


def everything():
    """All that a request could have written."""
    models = (Unsubscribe, AuditEntry, Event, Message)
    contacts = list(Contact.select(Contact.status, Contact.version).tuples())
    return [model.select().count() for model in models], contacts


def press(client, path, *, status=200, **data):
    response = client.post(path, data={"action": "confirm", **data})
    assert response.status_code == status, response.text
    return " ".join(response.text.split())


def status():
    return Contact.get(Contact.workspace_id == WORKSPACE_A).status


def test_it_says_who_asks_whom_for_what(page, path):
    soup = page(path)
    assert soup.h1.get_text(strip=True) == "Do you want this mail?"
    text = soup.select_one("main").get_text(" ", strip=True)
    for word in ("Default", ADDRESS, "Our newsletter", "If it was not you"):
        assert word in text
    [form] = soup.select("main form")
    assert form["method"] == "post"
    assert [button.get_text(strip=True) for button in form.select("button")] == [
        "Yes, I want this mail"
    ]


@pytest.mark.parametrize("headers", [{}, {"Purpose": "prefetch"}, {"HX-Request": "true"}])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_only_a_post_changes_anything(anonymous, path, method, headers):
    before = everything()
    for query in ("", "?action=confirm"):
        anonymous.open(path + query, method=method, headers=headers, data={"action": "confirm"})
    assert everything() == before


def test_head_is_get_without_a_body(anonymous, path):
    head, get = anonymous.head(path), anonymous.get(path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_a_yes_makes_the_contact_active(anonymous, page, path):
    text = press(anonymous, path)
    assert "Thank you" in text
    assert "may write to you about" in text
    assert status() is ContactStatus.ACTIVE
    assert Contact.get().consent_source == "double_opt_in"
    soup = page(path)
    assert soup.h1.get_text(strip=True) == "You have confirmed this already"
    assert not soup.select("main form")


def test_twice_is_once(anonymous, path):
    press(anonymous, path)
    before = everything()
    assert "Thank you" in press(anonymous, path)
    assert everything() == before


def test_where_they_are_is_kept_roughly(anonymous, path):
    anonymous.environ_base["REMOTE_ADDR"] = "198.51.100.77"
    press(anonymous, path)
    assert Contact.get().consent_proof.endswith("from 198.51.100.0/24")
    entry = AuditEntry.get(AuditEntry.action == "contact.confirmed")
    assert (entry.actor, entry.actor_ip) == ("the recipient", None)


def test_who_has_left_since_is_told_so(anonymous, page, path):
    press(anonymous, path)
    unsubscribes.add(WORKSPACE_A, ADDRESS, stream=Stream.MARKETING, source="page", by=Actor("x"))
    assert "has unsubscribed since then" in " ".join(page(path).text.split())
    assert "has unsubscribed since then" in press(anonymous, path)


@pytest.mark.proves("I7")
def test_what_no_link_undoes_is_said(anonymous, path):
    suppressions.add(WORKSPACE_A, ADDRESS, reason="secret words", source="api")
    text = press(anonymous, path)
    assert "a link cannot undo that" in text
    assert "secret words" not in text
    assert status() is ContactStatus.ACTIVE


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"action=", b"action=yes", b"action=confirm&action=confirm", b"\xff\xfe=\x00",
     b"List-Unsubscribe=One-Click", b"&".join([b"action=confirm"] * 100)],
)  # fmt: skip
def test_any_other_body_is_refused(anonymous, path, data):
    before = everything()
    response = anonymous.post(path, data=data, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 400
    assert "Nothing was changed" in " ".join(response.text.split())
    assert everything() == before


def test_a_large_body_is_refused(anonymous, path):
    press(anonymous, path, status=413, x="y" * 10_000)
    assert status() is ContactStatus.PENDING


def test_every_wrong_link_is_answered_alike(anonymous, path, path_for, accept):
    token, other = (one.removeprefix("/opt-in/") for one in (path, path_for(WORKSPACE_B)))
    unsubscribe_links.load(WORKSPACE_A)
    link = unsubscribe_links.Link(WORKSPACE_A, accept().id, ADDRESS, None)
    answers = set()

    def collect(wrong):
        for response in (
            anonymous.get(f"/opt-in/{wrong}"),
            anonymous.post(f"/opt-in/{wrong}", data={"action": "confirm"}),
            anonymous.post(f"/opt-in/{wrong}", data={"action": "nonsense"}),
        ):
            assert response.status_code == 404, wrong
            headers = {k: v for k, v in response.headers.items() if k != "X-Request-ID"}
            answers.add((response.data, tuple(sorted(headers.items()))))

    for wrong in (
        "x", "A" * 900, "A" * 5000, "%00", "ü", "a/b", token + "/", token + "A", token[:-1],
        token.swapcase(), token[:7] + other[7:],
        unsubscribe_links.make_url(link).rpartition("/")[2],
    ):  # fmt: skip
        collect(wrong)
    with time_machine.travel(clock.now() + timedelta(days=8), tick=False):
        collect(token)
    Contact.delete().where(Contact.workspace_id == WORKSPACE_A).execute()
    collect(token)
    assert len(answers) == 1
    text = " ".join(answers.pop()[0].decode().split())
    assert "works for seven days" in text
    assert Contact.get().status is ContactStatus.PENDING


def test_a_link_of_a_workspace_confirms_nobody_of_another(anonymous, path, path_for):
    press(anonymous, path_for(WORKSPACE_B))
    assert status() is ContactStatus.PENDING


def test_who_tries_too_often_has_to_wait(anonymous, path, monkeypatch):
    monkeypatch.setattr(failed_tries, "PER_MINUTE", 3)
    anonymous.environ_base["REMOTE_ADDR"] = "198.51.100.34"
    statuses = [anonymous.get("/opt-in/wrong").status_code for _ in range(6)]
    assert (statuses[0], statuses[-1]) == (404, 429)
    assert anonymous.get(path).status_code == 200


@pytest.mark.parametrize("action", ["confirm", "nonsense", None])
@pytest.mark.parametrize("wrong", [False, True])
def test_it_leaves_no_trace_elsewhere(anonymous, path, action, wrong):
    address = path + "A" * wrong
    get = anonymous.get
    response = anonymous.post(address, data={"action": action}) if action else get(address)
    headers = response.headers
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "noindex" in headers["X-Robots-Tag"]
    assert "Set-Cookie" not in headers
    assert "Location" not in headers
