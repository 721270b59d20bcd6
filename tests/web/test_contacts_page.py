"""/ui/audience: contacts, their attributes, and lists of them."""

import csv
import io

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import SYSTEM
from maild.domain.contact import AttributeKind, ContactStatus
from maild.models import AudienceMember, AuditEntry, Contact, Job, Suppression
from maild.services import (
    audience_members,
    audiences,
    contact_attributes,
    contacts,
    suppressions,
    unsubscribes,
)
from maild.services.contact_fields import ContactFields
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.web.conftest import HTMX

PATH = "/ui/audience"
NEW = f"{PATH}/contacts/new"
SELECTED = f"{PATH}/contacts/selected"
LISTS = f"{PATH}/lists"
ATTRIBUTES = f"{PATH}/attributes"


@pytest.fixture
def make(database):
    def make_one(who="ann", *, workspace_id=WORKSPACE_A, **fields):
        email = who if "@" in who else f"{who}@example.org"
        return contacts.upsert(workspace_id, email, ContactFields(**fields), by=SYSTEM).contact

    return make_one


@pytest.fixture
def staff(database):
    return audiences.create(WORKSPACE_A, name="Staff", by=SYSTEM)


def one(contact, what=""):
    return f"{PATH}/contacts/{contact.id}{what}"


def of(row, what=""):
    return f"{LISTS}/{row.id}{what}"


def soup_of(client, path=PATH):
    return BeautifulSoup(client.get(path).text, "html.parser")


def addresses(soup):
    return [link.text for link in soup.select("#list tbody th a")]


def toast_of(client, path=PATH):
    return " ".join(soup_of(client, path).select_one("#toasts .toast").text.split())


def undo(client, path=PATH):
    form = soup_of(client, path).select_one("#toasts form")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    return client.post(form["action"], data=fields)


def members(row):
    query = AudienceMember.select().where(AudienceMember.audience_id == row.id)
    return sorted(member.contact_id for member in query)


def test_an_empty_page_says_how_it_fills(page):
    soup = page(PATH)
    assert "No contacts yet" in soup.text
    tabs = [link.text for link in soup.select("nav.tabs a")]
    assert tabs[:2] == ["Contacts", "Lists"]
    assert "No lists yet" in page(LISTS).text
    assert "No attributes yet" in page(ATTRIBUTES).text


def test_it_lists_contacts_with_how_they_stand_and_why(page, make):
    make(name="ann")
    make("bob")
    make("eve", topics=["news"])
    row = suppressions.add(WORKSPACE_A, "bob@example.org", reason="r", source="api")
    unsubscribes.add(WORKSPACE_A, "eve@example.org", topic="news", source="api", by=SYSTEM)
    soup = page(PATH)
    eve, bob, ann = (" ".join(tr.text.split()) for tr in soup.select("#list tbody tr"))
    assert "can be mailed" in ann
    assert "suppressed by hand, all mail" in bob
    assert f"/ui/suppressions/{row.id}" in str(soup)
    assert "can be mailed" in eve
    assert "unsubscribed from topic “news”" in eve


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("address=ANN@example.org", ["ann"]),
        ("address=an", ["anna", "ann"]),
        ("address=@other.example", ["bob"]),
        ("domain=other.example", ["bob"]),
        ("topic=News", ["ann"]),
        ("standing=suppressed", ["anna"]),
        ("standing=open", ["bob", "ann"]),
        ("status=pending", []),
        ("address=zz", []),
    ],
)
def test_the_filter_is_in_the_url_and_answers_htmx_with_the_list(client, make, query, names):
    make(topics=["news"])
    make("anna")
    make("bob@other.example")
    suppressions.add(WORKSPACE_A, "anna@example.org", reason="r", source="api")
    for headers in ({}, HTMX):
        response = client.get(f"{PATH}?{query}", headers=headers)
        soup = BeautifulSoup(response.text, "html.parser")
        assert [text.partition("@")[0] for text in addresses(soup)] == names
        assert (soup.find("html") is None) is bool(headers)
        if not names:
            assert "No contact matches" in soup.text


@pytest.mark.parametrize(
    "query",
    [
        "standing=x", "status=x", "audience=x", "audience=999", "audience=99999999999999",
        "domain=a b",
        "topic=" + "x" * 101, "address=a%00", "address=a&address=b",
    ],
)  # fmt: skip
def test_a_bad_filter_is_422_with_the_words_at_the_field(client, query):
    response = client.get(f"{PATH}?{query}")
    assert response.status_code == 422
    assert "The filter cannot be used" in response.text


def test_pages_follow_each_other(client, make, monkeypatch):
    monkeypatch.setattr("maild.web.contact_parts.PAGE_ROWS", 2)
    for n in range(3):
        make(f"u{n}")
    soup = soup_of(client)
    assert addresses(soup) == ["u2@example.org", "u1@example.org"]
    older = soup.select_one(".pager a")["href"]
    assert addresses(soup_of(client, older)) == ["u0@example.org"]
    assert client.get(f"{PATH}?older_than=x").status_code == 400


def test_a_contact_is_made_with_its_attributes(client, post):
    for name, kind in (
        ("plan", "text"),
        ("seats", "number"),
        ("is_vip", "boolean"),
        ("born", "date"),
    ):
        contact_attributes.declare(WORKSPACE_A, name, AttributeKind(kind), by=SYSTEM)
    assert "attribute.born" in client.get(NEW).text
    response = post(
        client, NEW,
        **{
            "email": " Ann@Example.org ", "name": "Ann", "topics": "News, offers,",
            "attribute.plan": "pro", "attribute.seats": "3", "attribute.is_vip": "yes",
            "attribute.born": "", "consent_source": "fair", "consent_at": "2026-01-31T09:30",
            "consent_proof": "card 7",
        },
    )  # fmt: skip
    assert response.status_code == 303
    row = Contact.get()
    assert (row.email, row.name, row.topics) == ("ann@example.org", "Ann", ["news", "offers"])
    assert row.attributes == {"plan": "pro", "seats": 3, "is_vip": True}
    assert (row.consent_source, row.consent_at.isoformat()) == ("fair", "2026-01-31T09:30:00+00:00")
    text = client.get(response.headers["Location"]).text
    assert all(words in text for words in ("card 7", "pro", "is a contact now"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"email": ""}, "valid e-mail address"),
        ({"email": "a@x.org", "attribute.seats": "many"}, "Must be a number such as 12"),
        ({"email": "a@x.org", "name": "x" * 201}, "longer than 200"),
        ({"email": "a@x.org", "topics": "x" * 101}, "longer than 100"),
        ({"email": "a@x.org", "consent_at": "2026-01-31T09:30"}, "Say where they did"),
        ({"email": "a@x.org", "consent_source": "f", "consent_at": "soon"}, "Must be a time"),
        ({"email": "a@x.org", "consent_source": "f", "consent_at": "2999-01-01T00:00"}, "future"),
        (
            {
                "email": "a@x.org",
                "consent_source": "f",
                "consent_at": "0001-01-01T00:00+14:00",  # before the year 1, in UTC
            },
            "Must be a time",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_what_was_typed_stays(client, post, fields, words):
    contact_attributes.declare(WORKSPACE_A, "seats", AttributeKind.NUMBER, by=SYSTEM)
    response = post(client, NEW, **{"name": "Typed", **fields})
    assert response.status_code == 422
    assert words in response.text
    for value in fields.values():
        assert value in response.text
    assert Contact.select().count() == 0


def test_a_known_address_is_not_made_again(client, post, make):
    ann = make()
    response = post(client, NEW, email="ANN@example.org", name="Other")
    assert response.status_code == 409
    assert one(ann) in response.text
    assert Contact.get().name is None


def test_a_contact_is_changed_unless_somebody_was_quicker(client, post, make):
    ann = make(name="Ann", attributes={"plan": "pro"})
    form = soup_of(client, one(ann, "/edit"))
    assert form.select_one("[name='attribute.plan']")["value"] == "pro"
    fields = {"version": 1, "name": "Anna", "attribute.plan": ""}
    assert post(client, one(ann, "/edit"), **fields).status_code == 303
    assert Contact.get().attributes == {}
    stale = post(client, one(ann, "/edit"), **{**fields, "name": "Mine"})
    assert stale.status_code == 409
    soup = BeautifulSoup(stale.text, "html.parser")
    assert soup.select_one("[name=name]")["value"] == "Mine"
    assert soup.select_one("[name=version]")["value"] == "2"
    assert Contact.get().name == "Anna"
    wrong = post(client, one(ann, "/edit"), version=2, name="a\nb")
    assert wrong.status_code == 422


def test_a_contacts_page_says_why_they_cannot_be_mailed(client, make, staff, accept):
    ann = make(name="Ann", topics=["news"])
    audience_members.add(WORKSPACE_A, staff.id, [ann.id], by=SYSTEM)
    row = suppressions.add(WORKSPACE_A, "ann@example.org", reason="r", source="api")
    message = accept(to_email="ann@example.org", subject="Our news")
    soup = soup_of(client, one(ann))
    standing = " ".join(soup.select_one("#standing").text.split())
    assert "No campaign mails them, because the address is: suppressed by hand" in standing
    assert soup.select_one(f"#standing a[href='/ui/suppressions/{row.id}']")
    assert soup.select_one(f"#lists a[href='{of(staff)}']")
    assert str(message.id) in str(soup)


def test_a_pending_contact_can_be_asked_again(client, make):
    ann = make(status=ContactStatus.PENDING)
    assert "not confirmed" in client.get(one(ann)).text


def test_a_contact_is_erased(client, post, make):
    ann = make(name="Ann")
    suppressions.add(WORKSPACE_A, "ann@example.org", reason="r", source="api")
    assert "erased" in client.get(one(ann)).text
    assert post(client, one(ann, "/delete")).status_code == 303
    assert Contact.select().count() == 0
    assert Suppression.get().removed_at is None
    assert client.get(one(ann)).status_code == 404


def test_chosen_contacts_are_put_on_a_list_and_taken_off_again(client, post, make, staff):
    ids = [make(f"u{n}").id for n in range(3)]
    response = post(client, SELECTED, id=ids[:2], action="add", audience_id=staff.id, back=PATH)
    assert response.status_code == 303
    assert members(staff) == ids[:2]
    undo(client)
    assert members(staff) == []
    post(client, SELECTED, id=ids, action="add", audience_id=staff.id)
    assert "3 contacts put on “Staff”." in toast_of(client)
    post(client, SELECTED, id=ids[0], action="remove", audience_id=staff.id, back=of(staff))
    assert members(staff) == ids[1:]
    undo(client)
    assert members(staff) == ids


def test_nothing_chosen_changes_nothing(client, post, make, staff):
    ann = make()
    for fields in (
        {"action": "add", "audience_id": staff.id},
        {"action": "add", "id": ann.id},
        {"action": "add", "id": ann.id, "audience_id": "x"},
        {"action": "add", "id": "x", "audience_id": staff.id},
        {"action": "add", "id": ann.id, "audience_id": 2**40},
        {"action": "delete"},
    ):
        response = post(client, SELECTED, back="https://elsewhere.example/", **fields)
        assert (response.status_code, response.headers["Location"]) == (303, PATH)
    assert post(client, SELECTED, id=ann.id, action="x").status_code == 422
    assert members(staff) == []


def test_several_are_deleted_after_a_look_at_who_they_are(client, post, make):
    ids = [make(f"u{n}").id for n in range(3)]
    asked = post(client, SELECTED, id=ids[:2], action="delete", back=PATH)
    assert asked.status_code == 200
    assert "u0@example.org" in asked.text
    assert "u2@example.org" not in asked.text
    assert Contact.select().count() == 3
    form = BeautifulSoup(asked.text, "html.parser").select_one("main form")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    done = client.post(form["action"], data={**fields, "action": "erase"})
    assert done.status_code == 303
    assert [row.id for row in Contact.select()] == ids[2:]


def test_a_list_is_made_named_deleted_and_brought_back(client, post, make):
    made = post(client, LISTS, name="Staff", description="Ours")
    assert made.status_code == 303
    path = made.headers["Location"]
    assert "Nobody is on this list yet" in client.get(path).text
    assert post(client, LISTS, name="staff").status_code == 409
    assert post(client, LISTS, name=" ").status_code == 422
    assert post(client, path, name="Crew", description="Ours").status_code == 303
    assert "Crew" in client.get(LISTS).text
    undo_name = post(client, path, name="", description="")
    assert undo_name.status_code == 422
    assert post(client, f"{path}/delete").status_code == 303
    assert "No lists yet" in client.get(LISTS).text
    assert client.get(path).status_code == 404
    assert post(client, f"{path}/restore").headers["Location"] == path
    assert client.get(path).status_code == 200
    post(client, f"{path}/delete")
    assert undo(client, LISTS).headers["Location"] == path
    assert client.get(path).status_code == 200


def test_pasted_addresses_are_told_line_by_line(client, post, make, staff):
    make("known")
    suppressions.add(WORKSPACE_A, "stopped@example.org", reason="r", source="api")
    typed = (
        "known@example.org\r\n\r\n new@example.org \nnobody\nstopped@example.org\nNEW@example.org"
    )
    response = post(client, of(staff, "/add"), emails=typed)
    assert response.status_code == 200
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.select_one("h1").text == "3 added, 1 known already, 1 refused"
    told = [" ".join(row.text.split()) for row in soup.select("tbody tr")]
    assert [text.split()[0] for text in told] == [
        "known@example.org", "new@example.org", "nobody", "stopped@example.org", "new@example.org",
    ]  # fmt: skip
    assert "a new contact" in told[1]
    assert "suppressed" in told[3]
    assert Suppression.get().removed_at is None
    for wrong in ("", " \n ", "\n".join(f"u{n}@example.org" for n in range(1_001))):
        assert post(client, of(staff, "/add"), emails=wrong).status_code == 422
    assert "a1@example.org" in post(client, of(staff, "/add"), emails="a1@example.org").text


def test_a_thousand_long_addresses_fit_into_the_form(client, post, staff):
    typed = "\n".join(f"{'a' * 50}{n}@{'long.' * 30}example" for n in range(1_000))
    response = post(client, of(staff, "/add"), emails=typed)
    assert "1,000 added" in response.text


def test_a_list_is_filtered_and_exported(client, post, make, staff):
    ann, _ = make(name="=1+1", attributes={"plan": "pro"}), make("bob")
    audience_members.add(WORKSPACE_A, staff.id, [ann.id], by=SYSTEM)
    assert addresses(soup_of(client, of(staff))) == ["ann@example.org"]
    assert addresses(soup_of(client, f"{of(staff)}?address=bob")) == []
    response = post(client, f"{PATH}/contacts/export", audience=staff.id)
    [row] = csv.DictReader(io.StringIO(response.text))
    assert (row["email"], row["attributes.plan"]) == ("ann@example.org", "pro")
    assert post(client, f"{PATH}/contacts/export", audience=999).status_code == 422
    assert AuditEntry.select().where(AuditEntry.action == "contacts.exported").count() == 1


def test_attributes_are_declared_and_deleted_by_a_job(client, post, make):
    assert post(client, ATTRIBUTES, name="plan", kind="text").status_code == 303
    for fields, status in (
        ({"name": "Plan", "kind": "text"}, 422),
        ({"name": "plan", "kind": "colour"}, 422),
        ({"name": "plan", "kind": "number"}, 409),
        ({"name": "plan", "kind": "text"}, 303),
    ):
        assert post(client, ATTRIBUTES, **fields).status_code == status
    make(attributes={"plan": "pro"})
    row = contact_attributes.get(WORKSPACE_A, "plan")
    path = f"{ATTRIBUTES}/{row.id}/delete"
    assert "1 contact has" in client.get(path).text
    done = post(client, path)
    assert done.headers["Location"] == f"/ui/jobs/{Job.get().id}"
    assert "Delete an attribute of contacts" in client.get(done.headers["Location"]).text
    assert client.get(path).status_code == 404


def test_a_viewer_sees_everything_and_changes_nothing(viewer_a, sign_in, post, make, staff):
    ann, browser = make(), sign_in(viewer_a)
    for path in (PATH, one(ann), LISTS, of(staff), ATTRIBUTES):
        response = browser.get(path)
        assert response.status_code == 200
        assert "You are a viewer here" in response.text
    for path in (NEW, one(ann, "/edit"), of(staff, "/add")):
        assert browser.get(path).status_code == 403
    changing = [one(ann, "/edit"), one(ann, "/delete"), of(staff), of(staff, "/delete")]
    changing += [of(staff, "/restore"), of(staff, "/add"), NEW, SELECTED, LISTS, ATTRIBUTES]
    for path in changing:
        assert post(browser, path, id=ann.id, action="erase").status_code == 403
    assert Contact.select().count() == 1
    assert post(browser, f"{PATH}/contacts/export").status_code == 200


def test_an_operator_may_do_all_of_it(operator_a, sign_in, post, make, staff):
    browser = sign_in(operator_a)
    assert post(browser, NEW, email="ann@example.org").status_code == 303
    assert post(browser, of(staff, "/delete")).status_code == 303
    assert post(browser, one(Contact.get(), "/delete")).status_code == 303


def test_strangers_log_in_first_and_other_workspaces_find_nothing(
    anonymous, admin_b, sign_in, post, make, staff
):
    ann = make()
    for path in (PATH, one(ann), of(staff), ATTRIBUTES):
        assert anonymous.get(path).status_code == 303
    browser = sign_in(admin_b)
    for path in (
        one(ann),
        one(ann, "/edit"),
        of(staff),
        of(staff, "/add"),
        f"{PATH}/contacts/{10**30}",
    ):
        assert browser.get(path).status_code == 404
    for path in (one(ann, "/edit"), one(ann, "/delete"), of(staff), of(staff, "/delete")):
        assert post(browser, path, workspace_id=WORKSPACE_B, name="x").status_code == 404
    fields = {"id": ann.id, "audience_id": staff.id, "action": "erase"}
    post(browser, SELECTED, workspace_id=WORKSPACE_B, **fields)
    assert Contact.select().count() == 1


def test_a_form_without_a_token_does_nothing(client, make):
    ann = make()
    response = client.post(one(ann, "/delete"), data={"workspace_id": str(WORKSPACE_A)})
    assert response.status_code == 400
    assert Contact.select().count() == 1
