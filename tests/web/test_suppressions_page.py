"""/ui/suppressions: who must not be mailed and why, adding, ending, taking that back, exporting."""

import csv
import datetime as dt
import io

import pytest
from bs4 import BeautifulSoup

from maild import clock
from maild.domain.actor import SYSTEM, Actor
from maild.domain.states import Status, Stream
from maild.domain.suppression import SuppressionClass
from maild.models import AuditEntry, Message, Suppression
from maild.services import suppressions, unsubscribes
from maild.services.suppressions import Bounced
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.web.conftest import HTMX

PATH = "/ui/suppressions"
ADA = Actor("ada@a.example")


@pytest.fixture
def suppress(database):
    def make(email="ann@example.org", *, workspace_id=WORKSPACE_A, **fields):
        values = {"reason": "they asked", "source": "console", "by": ADA, **fields}
        return suppressions.add(workspace_id, email, **values)

    return make


@pytest.fixture
def stopped(accept, suppress):
    """A suppression, and messages that it has stopped."""

    def make(count=2, **fields):
        row = suppress(**fields)
        messages = [accept(to_email=row.email, subject=f"Mail {n}") for n in range(count)]
        Message.update(status=Status.SUPPRESSED, suppression=row.id, next_attempt_at=None).where(
            Message.id << [message.id for message in messages]
        ).execute()
        return row, messages

    return make


def audited():
    query = AuditEntry.select().where(AuditEntry.workspace == WORKSPACE_A)
    return [entry.action for entry in query.order_by(AuditEntry.seq)]


def soup_of(client, path=PATH):
    return BeautifulSoup(client.get(path).text, "html.parser")


def toast_of(client):
    return " ".join(soup_of(client).select_one("#toasts .toast").text.split())


def undo(client):
    form = soup_of(client).select_one("#toasts form")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    return client.post(form["action"], data=fields)


def addresses(soup):
    return [row.text for row in soup.select("#list tbody th a")]


def reload(row):
    return Suppression.get_by_id(row.id)


# The list


def test_an_empty_list_says_what_to_do(page):
    soup = page(PATH)
    assert "No suppressions yet" in soup.text
    assert soup.select_one(f"#list a[href='{PATH}/import']")


def test_it_lists_the_newest_first_with_where_each_comes_from(page, accept, suppress):
    message = accept(to_email="bob@example.org", subject="Your receipt")
    suppressions.add_many(
        [Bounced(WORKSPACE_A, "bob@example.org", message.id, "550 5.1.1 no such user")]
    )
    suppressions.add_many(
        [
            Bounced(
                WORKSPACE_A,
                "eve@example.org",
                None,
                "reported as complained by sendgrid: abuse",
                SuppressionClass.COMPLAINT,
            )
        ],
        source="provider_event",
    )
    suppress("joe@example.org", stream=Stream.MARKETING, reason="on the phone")
    soup = page(PATH)
    assert addresses(soup) == ["joe@example.org", "eve@example.org", "bob@example.org"]
    joe, eve, bob = (" ".join(row.text.split()) for row in soup.select("#list tbody tr"))
    assert "marketing mail only" in joe
    assert "Added by ada@a.example: “on the phone”" in joe
    assert "Complaint reported by SendGrid: “abuse”" in eve
    assert "the recipient's server said: “550 5.1.1 no such user”" in bob
    assert "Your receipt" in bob
    assert soup.select_one(f"a[href='/ui/messages/{message.id}']")


def test_a_cause_that_is_no_longer_kept_is_no_link(page):
    missing = "0190c7f0-0000-7000-8000-000000000001"
    suppressions.add_many([Bounced(WORKSPACE_A, "bob@example.org", missing, "550 no")])
    soup = page(PATH)
    assert "no longer kept" in soup.text
    assert not soup.select("a[href*='/ui/messages/']")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("address=ANN@example.org", {"ann@example.org"}),
        ("address=an", {"ann@example.org", "anna@example.com"}),
        ("address=@example.com", {"anna@example.com"}),
        ("domain=Example.ORG", {"ann@example.org", "bob@example.org"}),
        ("class=complaint", {"bob@example.org"}),
        ("source=smtp_reply", {"anna@example.com"}),
        ("stream=marketing", {"bob@example.org"}),
        ("stream=all", {"ann@example.org", "anna@example.com"}),
        ("state=removed", {"bob@example.org"}),
        ("state=in_force", {"ann@example.org", "anna@example.com"}),
        ("range=1h", {"ann@example.org", "anna@example.com", "bob@example.org"}),
        ("until=2020-01-01T00:00", set()),
        ("address=ann%25", set()),
    ],
)
def test_it_finds_what_the_address_asks_for(page, suppress, query, found):
    suppress("ann@example.org")
    suppress("anna@example.com", source="smtp_reply", by=SYSTEM)
    suppress("bob@example.org", class_=SuppressionClass.COMPLAINT, stream=Stream.MARKETING)
    suppressions.remove(WORKSPACE_A, "bob@example.org", reason="x", stream=Stream.MARKETING, by=ADA)
    assert set(addresses(page(f"{PATH}?{query}"))) == found


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("class=x", "class"),
        ("state=x", "state"),
        ("source=x", "source"),
        ("stream=x", "stream"),
        ("domain=not a domain", "domain"),
        ("address=@not a domain", "address"),
        ("since=x", "since"),
        ("range=x", "range"),
        ("address=a&address=b", "address"),
        ("address=" + "a" * 400, "address"),
        ("address=a%00b", "address"),
    ],
)
def test_a_filter_that_makes_no_sense_is_told_at_its_field(page, partial, suppress, query, name):
    suppress()
    soup = page(f"{PATH}?{query}", status=422)
    assert soup.select_one(f"#{name}-error").text
    assert not addresses(soup)
    assert partial(f"{PATH}?{query}", status=422).select_one(f"#{name}-error").text


def test_a_part_of_the_page_is_enough_for_htmx(client, partial, suppress):
    suppress()
    soup = partial(PATH)
    assert addresses(soup) == ["ann@example.org"]
    assert not soup.select("html, #filters")
    assert "HX-Request" in client.get(PATH, headers=HTMX).headers["Vary"]


def test_it_goes_on_page_by_page_with_its_filter(page, suppress, monkeypatch):
    monkeypatch.setattr("maild.web.suppressions.PAGE_ROWS", 2)
    for n in range(5):
        suppress(f"user{n}@example.org")
    suppress("other@example.com")
    path, seen = f"{PATH}?domain=example.org", []
    while path:
        soup = page(path)
        seen += addresses(soup)
        older = soup.select_one(".pager [rel=next]")
        path = older and older["href"]
    assert seen == [f"user{n}@example.org" for n in (4, 3, 2, 1, 0)]


def test_a_page_mark_that_nobody_gave_out_is_refused(client):
    assert client.get(f"{PATH}?older_than=x").status_code == 400


def test_it_asks_the_database_as_often_for_many_as_for_one(client, accept, suppress):
    def look():
        assert client.get(PATH).status_code == 200

    suppress("first@example.org", message_id=accept().id)
    look()
    few = count_statements(look)
    for n in range(20):
        suppress(f"user{n}@example.org", message_id=accept().id)
    assert count_statements(look) == few <= 16


def test_what_is_in_it_is_text(client, suppress):
    suppress(reason='"><script>alert(1)</script>')
    assert "<script>alert" not in client.get(PATH).text


def test_a_viewer_sees_why_nothing_can_be_changed(sign_in, viewer_a, suppress):
    row = suppress()
    client = sign_in(viewer_a)
    assert "Only an admin" in soup_of(client).text
    soup = soup_of(client, f"{PATH}/{row.id}")
    assert "Only an admin" in soup.text
    assert not soup.select("form[action*=remove], a[href*=remove]")


# One


def test_one_tells_its_history_and_what_it_has_stopped(page, stopped, suppress):
    suppressions.add(WORKSPACE_A, "ann@example.org", reason="first", source="console", by=ADA)
    suppressions.remove(WORKSPACE_A, "ann@example.org", reason="a mistake", by=ADA)
    row, messages = stopped()
    unsubscribes.add(WORKSPACE_A, "ann@example.org", topic="news", source="api", by=ADA)
    soup = page(f"{PATH}/{row.id}")
    text = " ".join(soup.text.split())
    assert "What it has stopped: 2 messages" in text
    assert "a mistake" in text
    assert "unsubscribed from “news”" in text
    assert len(soup.select("#held-back tbody tr")) == 2
    assert soup.select_one(f"#held-back a[href='/ui/messages/{messages[0].id}']")
    assert not soup.select("#held-back input[type=checkbox]")  # copies would be stopped as well


def test_what_it_has_stopped_goes_on_page_by_page(page, stopped, monkeypatch):
    monkeypatch.setattr("maild.web.held.look.__kwdefaults__", {"limit": 2, "older_than": None})
    row, _ = stopped(5)
    path, seen = f"{PATH}/{row.id}", []
    while path:
        soup = page(path)
        seen += [link.text for link in soup.select("#held-back tbody th a")]
        older = soup.select_one("#held-back [rel=next]")
        path = older and older["href"]
    assert seen == [f"Mail {n}" for n in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("path", ["", "/remove"])
def test_one_of_another_workspace_is_not_found(client, suppress, path):
    row = suppress(workspace_id=WORKSPACE_B)
    assert client.get(f"{PATH}/{row.id}{path}").status_code == 404
    assert client.get(f"{PATH}/999999{path}").status_code == 404
    assert client.get(f"{PATH}/99999999999999999999{path}").status_code == 404


# Adding


ADDING = {"class": "manual", "stream": "", "expires": "never", "reason": "they asked"}


def test_it_adds_one_and_takes_it_back(client, post):
    response = post(client, f"{PATH}/add", emails=" Ann@example.org ", **ADDING)
    row = Suppression.get()
    assert (response.status_code, response.location) == (303, f"{PATH}/{row.id}")
    assert (row.email, row.source, row.created_by) == (
        "ann@example.org",
        "console",
        "ann@a.example",
    )
    assert undo(client).status_code == 303
    assert reload(row).removed_at is not None
    assert audited() == ["suppression.added", "suppression.removed"]


def test_a_complaint_that_was_added_by_mistake_is_taken_back_as_well(client, post):
    post(client, f"{PATH}/add", emails="ann@example.org", **{**ADDING, "class": "complaint"})
    assert undo(client).status_code == 303
    assert Suppression.get().removed_at is not None


def test_what_was_known_is_not_taken_back(client, post, suppress):
    row = suppress()
    post(client, f"{PATH}/add", emails="ann@example.org", **ADDING)
    soup = soup_of(client)
    assert "was suppressed already" in soup.select_one("#toasts").text
    assert not soup.select("#toasts form")
    assert reload(row).reason == "they asked"


def test_of_several_each_is_told(client, post, suppress):
    suppress("known@example.org")
    response = post(
        client,
        f"{PATH}/add",
        emails="new@example.org\n\nknown@example.org\nnonsense\n",
        **{**ADDING, "stream": "marketing", "expires": "30"},
    )
    assert response.status_code == 200
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.h1.text == "2 added, 0 known already, 1 refused"  # for marketing it is another one
    row = Suppression.get(Suppression.email == "new@example.org")
    assert row.stream is Stream.MARKETING
    assert dt.timedelta(days=29) < row.expires_at - clock.now() < dt.timedelta(days=31)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"emails": ""}, "Must not be empty."),
        ({"emails": "nonsense"}, "valid e-mail address"),
        ({"emails": "a@b.example", "reason": " "}, "Must not be empty."),
        ({"emails": "a@b.example", "reason": "x" * 501}, "500"),
        ({"emails": "a@b.example", "class": "soft_bounce"}, "one of those in the list"),
        ({"emails": "a@b.example", "stream": "x"}, "one of those in the list"),
        ({"emails": "a@b.example", "expires": "x"}, "one of those in the list"),
        ({"emails": "\n".join(f"u{n}@b.example" for n in range(101))}, "import a file for more"),
    ],
)
def test_what_cannot_be_added_is_told_and_kept(client, post, fields, told):
    response = post(client, f"{PATH}/add", **{**ADDING, **fields})
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert told in soup.select_one("main").text
    assert soup.select_one("#emails").text.split() == fields["emails"].split()
    assert Suppression.select().count() == 0


# Removing


def test_before_it_is_removed_it_shows_what_that_held_back(page, stopped):
    row, _ = stopped(12)
    soup = page(f"{PATH}/{row.id}/remove")
    assert "It has held back 12 messages so far" in " ".join(soup.text.split())
    assert len(soup.select("tbody tr")) == 10
    assert not soup.select("[name=sure]")


def test_it_is_removed_with_a_reason_and_that_is_taken_back(client, post, suppress):
    row = suppress()
    response = post(client, f"{PATH}/{row.id}/remove", reason="they came back")
    assert (response.status_code, response.location) == (303, f"{PATH}/{row.id}")
    gone = reload(row)
    assert (gone.removed_by, gone.removal_reason) == ("ann@a.example", "they came back")
    assert undo(client).status_code == 303
    assert reload(row).removed_at is None
    assert reload(row).reason == "they asked"
    assert audited()[-2:] == ["suppression.removed", "suppression.restored"]


def test_a_removal_is_not_taken_back_for_ever(client, post, suppress):
    row = suppress()
    post(client, f"{PATH}/{row.id}/remove", reason="they came back")
    long_ago = clock.now() - dt.timedelta(minutes=suppressions.RESTORE_MINUTES, seconds=5)
    Suppression.update(removed_at=long_ago).where(Suppression.id == row.id).execute()
    undo(client)
    assert "cannot be taken back any more" in toast_of(client)
    assert reload(row).removed_at is not None


def test_a_removal_is_not_taken_back_where_the_address_is_suppressed_anew(client, post, suppress):
    row = suppress()
    post(client, f"{PATH}/{row.id}/remove", reason="they came back")
    suppress(reason="again")
    undo(client)
    assert "suppressed anew since" in toast_of(client)
    assert reload(row).removed_at is not None


def test_of_two_who_remove_one_the_second_is_told(client, post, sign_in, make_person, suppress):
    row = suppress()
    other = sign_in(make_person("carl@a.example"))
    post(client, f"{PATH}/{row.id}/remove", reason="mine")
    response = post(other, f"{PATH}/{row.id}/remove", reason="yours")
    assert response.status_code == 303
    assert "not in force any more" in toast_of(other)
    assert reload(row).removal_reason == "mine"


def test_what_was_added_after_it_is_not_removed_in_its_place(client, post, suppress):
    row = suppress()
    suppressions.remove(WORKSPACE_A, row.email, reason="x", by=ADA)
    newer = suppress(reason="again")
    post(client, f"{PATH}/{row.id}/remove", reason="late")
    assert reload(newer).removed_at is None


def test_nothing_is_removed_without_a_reason(client, post, suppress):
    row = suppress()
    response = post(client, f"{PATH}/{row.id}/remove", reason=" ")
    assert response.status_code == 422
    assert "Must not be empty." in response.text
    assert reload(row).removed_at is None


def test_a_complaint_is_removed_only_by_who_is_sure(client, post, page, suppress):
    row = suppress(class_=SuppressionClass.COMPLAINT)
    assert "They complained" in page(f"{PATH}/{row.id}/remove").text
    response = post(client, f"{PATH}/{row.id}/remove", reason="they called us")
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.select_one("#reason")["value"] == "they called us"
    assert reload(row).removed_at is None
    post(client, f"{PATH}/{row.id}/remove", reason="they called us", sure="yes")
    assert reload(row).removed_at is not None


def test_what_is_over_asks_for_no_removal(client, suppress):
    row = suppress()
    suppressions.remove(WORKSPACE_A, row.email, reason="x", by=ADA)
    assert client.get(f"{PATH}/{row.id}/remove").location == f"{PATH}/{row.id}"


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_only_an_admin_adds_and_removes(make_person, sign_in, post, suppress, role):
    row = suppress()
    client = sign_in(make_person("low@a.example", role))
    for path in (f"{PATH}/add", f"{PATH}/{row.id}/remove", f"{PATH}/{row.id}/restore"):
        assert post(client, path, reason="x", emails="x@y.example").status_code == 403
    assert client.get(f"{PATH}/add").status_code == 403
    assert reload(row).removed_at is None


# Copies of what was held back


def test_copies_are_sent_once_it_is_over(client, post, page, stopped):
    row, messages = stopped()
    post(client, f"{PATH}/{row.id}/resend", id=str(messages[0].id))
    assert "still in force" in toast_of(client)
    suppressions.remove(WORKSPACE_A, row.email, reason="x", by=ADA)
    post(client, f"{PATH}/{row.id}/resend", id=str(messages[0].id))
    assert "1 copy is accepted" in toast_of(client)
    soup = page(f"{PATH}/{row.id}")
    assert len(soup.select("#held-back [type=checkbox]")) == 1
    assert "was sent" in soup.select_one("#held-back").text
    post(client, f"{PATH}/{row.id}/resend", id=str(messages[0].id))
    assert "0 copies" in toast_of(client)
    post(client, f"{PATH}/{row.id}/resend", which="newest")
    assert "1 copy is accepted" in toast_of(client)
    assert Message.select().where(Message.status == Status.QUEUED).count() == 2


def test_nothing_but_what_it_has_stopped_is_copied(client, post, accept, stopped):
    row, _ = stopped()
    suppressions.remove(WORKSPACE_A, row.email, reason="x", by=ADA)
    other = accept(to_email="bob@example.org")
    Message.update(status=Status.CANCELLED, next_attempt_at=None).where(
        Message.id == other.id
    ).execute()
    before = Message.select().count()
    for ids in ([str(other.id)], ["nonsense"], []):
        assert post(client, f"{PATH}/{row.id}/resend", id=ids).status_code == 303
        assert Message.select().count() == before


# The file


def export(client, post, **filters):
    response = post(client, f"{PATH}/export", **filters)
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.text)))


def test_it_exports_what_the_filter_finds_and_keeps_who_took_it(client, post, suppress):
    suppress("ann@example.org", reason="=1+1")
    suppress("bob@example.com")
    rows = export(client, post, domain="example.org")
    assert [row["email"] for row in rows] == ["ann@example.org"]
    assert rows[0]["reason"] == "'=1+1"  # no formula
    entry = AuditEntry.get(AuditEntry.action == "suppressions.exported")
    assert entry.after == {"filter": "domain=example.org"}
    assert entry.actor == "ann@a.example"


def test_a_viewer_exports_as_well(sign_in, viewer_a, post, suppress):
    suppress()
    suppress(workspace_id=WORKSPACE_B, email="secret@example.org")
    assert [row["email"] for row in export(sign_in(viewer_a), post)] == ["ann@example.org"]


def test_a_filter_that_makes_no_sense_exports_nothing(client, post):
    assert post(client, f"{PATH}/export", domain="x y").status_code == 422
