"""/ui/unsubscribes: who left what, how, from which message, and who came back."""

import csv
import io

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import RECIPIENT, Actor
from maild.domain.states import Status, Stream
from maild.models import AuditEntry, Message, Unsubscribe
from maild.services import resending, unsubscribes
from maild.services.unsubscribe_links import Link
from maild.services.unsubscribes import Left
from maild.web import held
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements

PATH = "/ui/unsubscribes"
ADA = Actor("ada@a.example")


@pytest.fixture
def leave(database):
    def make(email="ann@example.org", *, workspace_id=WORKSPACE_A, **fields):
        values = {"stream": Stream.MARKETING, "source": "console", "by": ADA, **fields}
        return unsubscribes.add(workspace_id, email, **values)

    return make


@pytest.fixture
def click(accept):
    """Leave by the link of a message; returns the message."""

    def make(source="one_click", **fields):
        message = accept(stream="marketing", topic="news", subject="Our news", **fields)
        link = Link(WORKSPACE_A, message.id, message.to_email, "news")
        unsubscribes.leave(link, everything=False, source=source, by=RECIPIENT)
        return message

    return make


def soup_of(client, path=PATH):
    return BeautifulSoup(client.get(path).text, "html.parser")


def toast_of(client):
    return " ".join(soup_of(client).select_one("#toasts .toast").text.split())


def undo(client):
    form = soup_of(client).select_one("#toasts form")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    return client.post(form["action"], data=fields)


def rows_of(soup):
    return [" ".join(row.text.split()) for row in soup.select("#list tbody tr")]


def addresses(soup):
    return [row.text for row in soup.select("#list tbody th a")]


def reload(row):
    return Unsubscribe.get_by_id(row.id)


def audited():
    query = AuditEntry.select().where(AuditEntry.workspace == WORKSPACE_A)
    return [entry.action for entry in query.order_by(AuditEntry.seq)]


def test_an_empty_list_says_how_it_fills(page):
    assert "Nobody has unsubscribed yet" in page(PATH).text


def test_it_says_who_left_what_how_and_from_which_message(page, click, leave):
    message = click(to_email="ann@example.org")
    click(source="page", to_email="bob@example.org")
    unsubscribes.add_reported(
        [Left(WORKSPACE_A, "eve@example.org", None, "reported as unsubscribed by ses", None)],
        source="provider_event",
    )
    leave("joe@example.org", reason="on the phone", topic="offers")
    soup = page(PATH)
    joe, eve, bob, ann = rows_of(soup)
    assert "topic “news”" in ann
    assert "One click in their mail program" in ann
    assert "Our news" in ann
    assert soup.select_one(f"a[href='/ui/messages/{message.id}']").text == "Our news"
    assert "On the page behind the link" in bob
    assert "all mail" in eve
    assert "Reported by Amazon SES" in eve
    assert "Added by ada@a.example: “on the phone”" in joe


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("address=ANN@example.org", {"ann@example.org"}),
        ("address=b", {"bob@example.com"}),
        ("domain=example.org", {"ann@example.org", "eve@example.org"}),
        ("topic=NEWS", {"bob@example.com"}),
        ("source=link", {"bob@example.com"}),
        ("source=one_click", {"bob@example.com"}),
        ("source=page", set()),
        ("state=in_force", {"ann@example.org", "bob@example.com"}),
        ("state=removed", {"eve@example.org"}),
        ("range=1h&state=removed", {"eve@example.org"}),
        ("since=2090-01-01T00:00", set()),
    ],
)
def test_it_finds_what_the_address_asks_for(page, click, leave, query, found):
    leave("ann@example.org")
    click(to_email="bob@example.com")
    leave("eve@example.org")
    unsubscribes.remove(
        WORKSPACE_A, "eve@example.org", stream=Stream.MARKETING, reason="asked", by=ADA
    )
    assert set(addresses(page(f"{PATH}?{query}"))) == found


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("state=x", "state"),
        ("source=x", "source"),
        ("domain=x y", "domain"),
        ("until=x", "until"),
        ("topic=" + "x" * 200, "topic"),
    ],
)
def test_a_filter_that_makes_no_sense_is_told_at_its_field(page, partial, query, name):
    assert page(f"{PATH}?{query}", status=422).select_one(f"#{name}-error").text
    assert partial(f"{PATH}?{query}", status=422).select_one(f"#{name}-error").text


def test_it_goes_on_page_by_page(page, leave, monkeypatch):
    monkeypatch.setattr("maild.web.unsubscribes.PAGE_ROWS", 2)
    for n in range(5):
        leave(f"user{n}@example.org")
    path, seen = PATH, []
    while path:
        soup = page(path)
        seen += addresses(soup)
        older = soup.select_one(".pager [rel=next]")
        path = older and older["href"]
    assert seen == [f"user{n}@example.org" for n in (4, 3, 2, 1, 0)]


def test_it_asks_the_database_as_often_for_many_as_for_one(client, click):
    def look():
        assert client.get(PATH).status_code == 200

    click(to_email="first@example.org")
    look()
    few = count_statements(look)
    for n in range(20):
        click(to_email=f"user{n}@example.org")
    assert count_statements(look) == few <= 16


def test_it_offers_the_topics_that_people_have_left(page, leave):
    for topic in ("news", "offers", None, "news"):
        leave(f"{topic}@example.org", topic=topic)
    leave("other@example.org", topic="secret", workspace_id=WORKSPACE_B)
    options = [one["value"] for one in page(PATH).select("#topic-list option")]
    assert options == ["news", "offers"]


# One


def test_one_tells_what_it_has_stopped_since(page, accept, click):
    click(to_email="ann@example.org")
    row = Unsubscribe.get()
    message = accept(to_email="ann@example.org", subject="More news", stream="marketing")
    Message.update(status=Status.SUPPRESSED, unsubscribe=row.id, next_attempt_at=None).where(
        Message.id == message.id
    ).execute()
    soup = page(f"{PATH}/{row.id}")
    text = " ".join(soup.text.split())
    assert "What it has stopped: 1 message" in text
    assert "More news" in soup.select_one("#held-back").text
    assert "Our news" in soup.select_one(".facts").text


@pytest.mark.parametrize("path", ["", "/remove"])
def test_one_of_another_workspace_is_not_found(client, leave, path):
    row = leave(workspace_id=WORKSPACE_B)
    assert client.get(f"{PATH}/{row.id}{path}").status_code == 404


# Recording


ADDING = {"email": "ann@example.org", "topic": "", "stream": "marketing", "reason": "on the phone"}


def test_one_is_recorded_and_taken_back(client, post):
    response = post(client, f"{PATH}/add", **{**ADDING, "topic": " News "})
    row = Unsubscribe.get()
    assert (response.status_code, response.location) == (303, f"{PATH}/{row.id}")
    assert (row.topic, row.stream, row.source) == ("news", Stream.MARKETING, "console")
    assert row.created_by == "ann@a.example"
    undo(client)
    assert reload(row).removed_at is not None
    assert audited() == ["unsubscribe.added", "unsubscribe.removed"]


def test_of_all_mail_is_of_both_streams(client, post):
    post(client, f"{PATH}/add", **{**ADDING, "stream": "both"})
    assert Unsubscribe.get().stream is None


def test_an_operator_records_and_is_offered_no_undo_that_would_be_refused(
    sign_in, operator_a, post
):
    client = sign_in(operator_a)
    assert post(client, f"{PATH}/add", **ADDING).status_code == 303
    assert not soup_of(client).select("#toasts form")


def test_what_was_known_is_not_taken_back(client, post, leave):
    leave()
    post(client, f"{PATH}/add", **ADDING)
    soup = soup_of(client)
    assert "already" in soup.select_one("#toasts").text
    assert not soup.select("#toasts form")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"email": ""}, "valid e-mail address"),
        ({"email": "x"}, "valid e-mail address"),
        ({"reason": ""}, "Must not be empty."),
        ({"topic": "x" * 101}, "100"),
        ({"stream": "x"}, "one of those in the list"),
    ],
)
def test_what_cannot_be_recorded_is_told_and_kept(client, post, fields, told):
    response = post(client, f"{PATH}/add", **{**ADDING, **fields})
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert told in soup.select_one("main").text
    assert soup.select_one("#email")["value"] == {**ADDING, **fields}["email"]
    assert Unsubscribe.select().count() == 0


# Coming back


def test_it_needs_consent_and_a_reason(client, post, page, click):
    click()
    row = Unsubscribe.get()
    path = f"{PATH}/{row.id}/remove"
    assert "This needs their consent" in page(path).text
    unsure = post(client, path, reason="signed up again")
    assert unsure.status_code == 422
    assert "signed up again" in unsure.text
    assert post(client, path, reason=" ", sure="yes").status_code == 422
    assert reload(row).removed_at is None
    assert post(client, path, reason="signed up again", sure="yes").location == f"{PATH}/{row.id}"
    assert reload(row).removal_reason == "signed up again"
    undo(client)
    assert reload(row).removed_at is None
    assert reload(row).source == "one_click"
    assert audited()[-2:] == ["unsubscribe.removed", "unsubscribe.restored"]


def test_of_two_who_take_one_back_the_second_is_told(client, post, sign_in, make_person, leave):
    row = leave()
    other = sign_in(make_person("carl@a.example"))
    fields = {"reason": "asked", "sure": "yes"}
    post(client, f"{PATH}/{row.id}/remove", **fields)
    post(other, f"{PATH}/{row.id}/remove", **fields)
    assert "not in force any more" in toast_of(other)
    assert reload(row).removed_by == "ann@a.example"


def test_who_left_anew_is_not_taken_back_by_an_old_page(client, post, leave):
    row = leave()
    post(client, f"{PATH}/{row.id}/remove", reason="asked", sure="yes")
    newer = leave()
    post(client, f"{PATH}/{row.id}/remove", reason="asked", sure="yes")
    assert reload(newer).removed_at is None
    post(client, f"{PATH}/{row.id}/restore")
    assert reload(row).removed_at is not None
    assert "unsubscribed anew since" in toast_of(client)


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_only_an_admin_takes_one_back(make_person, sign_in, post, leave, role):
    row = leave()
    client = sign_in(make_person("low@a.example", role))
    for what in ("remove", "restore"):
        assert post(client, f"{PATH}/{row.id}/{what}", sure="yes").status_code == 403
    assert post(client, f"{PATH}/add", **ADDING).status_code == (303 if role == "operator" else 403)
    assert reload(row).removed_at is None


def test_copies_are_sent_once_they_came_back(client, post, accept, leave):
    row = leave()
    message = accept(to_email=row.email, stream="marketing")
    Message.update(status=Status.SUPPRESSED, unsubscribe=row.id, next_attempt_at=None).where(
        Message.id == message.id
    ).execute()
    post(client, f"{PATH}/{row.id}/resend", which="newest")
    assert "still in force" in toast_of(client)
    post(client, f"{PATH}/{row.id}/remove", reason="asked", sure="yes")
    post(client, f"{PATH}/{row.id}/resend", which="newest")
    toasts = soup_of(client).select_one("#toasts").text
    assert "1 copy is accepted" in " ".join(toasts.split())
    assert Message.select().where(Message.status == Status.QUEUED).count() == 1


def test_pressed_again_it_goes_on_with_those_that_have_no_copy(
    client, post, accept, leave, monkeypatch
):
    monkeypatch.setattr(resending, "IDS_MAX", 1)
    monkeypatch.setattr(held, "PAGES_MAX", 3)
    row = leave()
    ids = [accept(to_email=row.email, stream="marketing").id for _ in range(2)]
    Message.update(status=Status.SUPPRESSED, unsubscribe=row.id, next_attempt_at=None).where(
        Message.id << ids
    ).execute()
    post(client, f"{PATH}/{row.id}/remove", reason="asked", sure="yes")
    for count in (1, 2):
        post(client, f"{PATH}/{row.id}/resend", which="newest")
        assert Message.select().where(Message.status == Status.QUEUED).count() == count
    post(client, f"{PATH}/{row.id}/resend", which="newest")
    assert "None of the newest 3 is without a copy" in soup_of(client).select_one("#toasts").text


def test_it_exports_what_the_filter_finds_and_keeps_who_took_it(client, post, click, leave):
    message = click(to_email="ann@example.org")
    leave("bob@example.com")
    leave("secret@example.org", workspace_id=WORKSPACE_B)
    response = post(client, f"{PATH}/export", domain="example.org")
    [row] = csv.DictReader(io.StringIO(response.text))
    assert (row["email"], row["topic"], row["source"]) == ("ann@example.org", "news", "one_click")
    assert row["message_id"] == str(message.id)
    entry = AuditEntry.get(AuditEntry.action == "unsubscribes.exported")
    assert entry.after == {"filter": "domain=example.org"}
