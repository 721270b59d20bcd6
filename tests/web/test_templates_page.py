"""/ui/templates: the list, the composer with its preview, drafts, names, archiving."""

import json

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import Actor
from maild.domain.template import Source, TemplateFormat
from maild.models import AuditEntry, Contact, Template, TemplateDraft, TemplateVersion
from maild.services import template_drafts, template_previews, templates
from maild.web.template_starts import STARTS
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.web.conftest import HTMX

PATH = "/ui/templates"
ADA = Actor("ada@a.example")
HTML = (
    '<!doctype html><html lang="en"><head><title>Hi</title></head>'
    '<body><p>Hello {{ contact.first_name | default: "there" }}</p>'
    '<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>'
)
TYPED = {
    "name": "Welcome",
    "subject": "Hello",
    "preheader": "",
    "format": "html",
    "source": HTML,
    "source_text": "",
    "version": "0",
    "contact": "",
    "sample": "{}",
}


@pytest.fixture
def make(database):
    """Call to save a template, and again with its row to save its next version."""

    def save(row=None, *, name="Welcome", workspace_id=WORKSPACE_A, by=ADA, **fields):
        values = {"subject": "Hello", "format": TemplateFormat.HTML, "source": HTML}
        source = Source(**{**values, **fields})
        if row is None:
            return templates.create(workspace_id, name=name, source=source, by=by).template
        return templates.save(
            workspace_id, row.id, source=source, version=row.version, by=by
        ).template

    return save


@pytest.fixture
def contact(database):
    def store(email="bea@example.org", *, workspace_id=WORKSPACE_A, **attributes):
        return Contact.create(
            workspace_id=workspace_id, email=email, attributes=attributes, created_by="x"
        )

    return store


def soup_of(client, path=PATH):
    response = client.get(path, follow_redirects=True)
    assert response.status_code == 200, response.text
    return BeautifulSoup(response.text, "html.parser")


def toast_of(client):
    return " ".join(soup_of(client).select_one("#toasts .toast").text.split())


def undo(client):
    form = soup_of(client).select_one("#toasts form")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    return client.post(form["action"], data=fields)


def audited():
    query = AuditEntry.select().where(AuditEntry.workspace == WORKSPACE_A)
    return [entry.action for entry in query.order_by(AuditEntry.seq)]


def version_of(row):
    return Template.get_by_id(row.id).version


def typed_in(soup):
    """What the composer's fields hold."""
    return {
        "subject": soup.select_one("#subject")["value"],
        "source": soup.select_one("#source").text.replace("\r\n", "\n").removeprefix("\n"),
    }


# The list


def test_an_empty_list_offers_three_starts_and_an_empty_page(page):
    soup = page(PATH)
    assert "No templates yet" in soup.select_one("#list").text
    links = [link["href"] for link in soup.select(".start a.button")]
    assert links == [f"{PATH}/new?start={key}" for key in STARTS]


def test_it_lists_what_there_is(page, make):
    row = make(name="Welcome", subject="Good morning")
    soup = page(PATH)
    cells = soup.select_one("#list tbody tr")
    assert cells.select_one("th a")["href"] == f"{PATH}/{row.id}"
    assert all(word in cells.text for word in ("Welcome", "Good morning", "HTML", "ada@a.example"))


def test_it_finds_a_part_of_the_name_also_for_htmx(client, make):
    make(name="Welcome")
    make(name="News 50% off")
    for headers in ({}, HTMX):
        found = client.get(f"{PATH}?name=50%25 OFF", headers=headers)
        assert "News 50% off" in found.text
        assert "Welcome" not in BeautifulSoup(found.text, "html.parser").select_one("#list").text
    assert client.get(f"{PATH}?name=x", headers=HTMX).text.lstrip().startswith("<section")
    assert "No template of this name" in client.get(f"{PATH}?name=%00nothing").text


def test_archived_ones_are_behind_a_switch(page, make):
    row = make(name="Old one")
    templates.archive(WORKSPACE_A, row.id, by=ADA)
    assert "Old one" not in page(PATH).text
    assert "Old one" in page(f"{PATH}?archived=1").text
    templates.bring_back(WORKSPACE_A, row.id, by=ADA)
    assert "Nothing is archived" in page(f"{PATH}?archived=1").text


def test_it_is_paged(page, make, monkeypatch):
    monkeypatch.setattr("maild.web.templates.PAGE_ROWS", 1)
    make(name="One")
    make(name="Two")
    soup = page(PATH)
    assert soup.select_one("#list tbody th").text.strip() == "Two"
    older = soup.select_one(".pager [rel=next]")["href"]
    assert page(older).select_one("#list tbody th").text.strip() == "One"
    assert "Start again" in page(f"{PATH}?older_than=zzz", status=400).text


# A new one


@pytest.mark.parametrize("key", STARTS)
def test_a_start_fills_the_composer(page, key):
    soup = page(f"{PATH}/new?start={key}")
    assert soup.select_one("#subject")["value"] == STARTS[key].subject
    assert json.loads(soup.select_one("#sample").text)["contact"]["email"]


@pytest.mark.parametrize("key", [key for key in STARTS if key != "empty"])
def test_a_start_is_whole_and_passes_every_check(page, client, post, key):
    soup = page(f"{PATH}/new?start={key}")
    assert soup.select(".findings li") == [], soup.select_one(".findings").text
    assert not soup.select(".missing")
    start = STARTS[key]
    answer = post(
        client,
        f"{PATH}/new",
        name=start.name,
        subject=start.subject,
        preheader=start.preheader,
        format=start.format.value,
        source=start.source,
        source_text=start.source_text,
    )
    assert answer.status_code == 303, answer.text
    version = TemplateVersion.get()
    assert version.source == start.source, "a form's line ends are made plain"
    assert client.get(f"{PATH}/starts/{key}/frame").status_code == 200


@pytest.mark.parametrize("has_way_out", [True, False])
def test_the_letter_of_an_account_goes_as_mail_of_both_streams(database, has_way_out):
    start = STARTS["letter"]
    source = Source(start.subject, start.format, start.source, preheader=start.preheader)
    mail = template_previews.of_source(WORKSPACE_A, source, has_way_out=has_way_out).rendered
    assert not mail.missing
    assert ("Unsubscribe" in mail.html) is has_way_out


def test_without_a_start_it_asks_for_one(page):
    assert "Where shall it start?" in page(f"{PATH}/new?start=zebra").text
    assert page(f"{PATH}/starts/zebra/frame", status=404)
    assert page(f"{PATH}/starts/empty/frame", status=404)


def test_it_saves_a_new_template(client, post):
    answer = post(client, f"{PATH}/new", **TYPED)
    row = Template.get()
    assert answer.status_code == 303
    assert answer.location == f"{PATH}/{row.id}"
    assert (row.name, row.version) == ("Welcome", 1)
    assert "“Welcome” is saved." in toast_of(client)
    assert audited() == ["template.created"]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", "", "name"),
        ("name", "7", "name"),
        ("subject", "", "subject"),
        ("subject", "{{ contact.", "subject"),
        ("source", "{% if %}", "source"),
        ("source", "x" * 1_000_001, "source"),
        ("source_text", "{{ }}", "source_text"),
        ("note", "x" * 501, "note"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_wrong_is_told_at_its_field_and_nothing_is_lost(client, post, field, value, told):
    answer = post(client, f"{PATH}/new", **{**TYPED, field: value})
    soup = BeautifulSoup(answer.text, "html.parser")
    assert answer.status_code == 422
    assert soup.select_one(f"#{told}-error").text.strip()
    assert Template.select().count() == 0
    assert typed_in(soup)["source"] == (value if field == "source" else HTML)
    assert TemplateDraft.get().typed["source"] == (value if field == "source" else HTML)


def test_a_name_that_is_taken_is_told(client, post, make):
    make(name="welcome")
    answer = post(client, f"{PATH}/new", **TYPED)
    assert answer.status_code == 422
    assert "already" in BeautifulSoup(answer.text, "html.parser").select_one("#name-error").text


@pytest.mark.parametrize("value", ["a\0b", "\ud800".encode("utf-8", "surrogatepass"), "🙂" * 50])
def test_odd_letters_break_nothing(client, post, value):
    for field in ("name", "subject", "source", "note", "sample", "contact"):
        answer = post(client, f"{PATH}/new", **{**TYPED, "name": f"N {field}", field: value})
        assert answer.status_code in (303, 422), field
        answer = post(client, f"{PATH}/new/preview", **{**TYPED, field: value})
        assert answer.status_code in (200, 422), field


# The composer


def test_it_shows_what_is_saved_filled_in(page, make):
    row = make(subject='Hi {{ contact.name | default: "you" }}')
    soup = page(f"{PATH}/{row.id}")
    assert typed_in(soup) == {"subject": 'Hi {{ contact.name | default: "you" }}', "source": HTML}
    assert "Hi Ann Example" in soup.select_one(".inbox-line").text
    frame = soup.select_one("iframe.mail")
    assert frame["src"] == f"{PATH}/{row.id}/versions/1/frame"
    assert not frame["sandbox"], "nothing is allowed"
    assert "Hello" in soup.select_one(".view-text pre").text


def test_the_preview_follows_what_is_typed(client, post, make):
    row = make()
    typed = {**TYPED, "version": "1", "source": HTML.replace("Hello", "Servus")}
    page = client.get("/reset")
    token = BeautifulSoup(page.text, "html.parser").select_one("[name=csrf_token]")["value"]
    form = {**typed, "csrf_token": token, "workspace_id": WORKSPACE_A}
    answer = client.post(f"{PATH}/{row.id}/preview", data=form, headers=HTMX)
    assert answer.status_code == 200
    soup = BeautifulSoup(answer.text, "html.parser")
    assert "Servus" in soup.select_one(".view-text pre").text
    frame = soup.select_one("[hx-swap-oob='beforeend:#mail-frame'] iframe")
    framed = client.get(frame["src"])
    assert "Servus" in framed.text
    assert version_of(row) == 1, "nothing is saved"
    shown = soup.select_one("[name=shown]")["value"]
    again = client.post(f"{PATH}/{row.id}/preview", data={**form, "shown": shown}, headers=HTMX)
    assert "<iframe" not in again.text, "the frame shows it already"
    wrong = {**form, "source": "{% if %}"}
    answer = client.post(f"{PATH}/{row.id}/preview", data=wrong, headers=HTMX)
    assert answer.headers["HX-Reswap"] == "none"
    soup = BeautifulSoup(answer.text, "html.parser")
    assert soup.select_one("#source-error").text.strip()
    assert "mend what is marked" in soup.select_one("#preview-state").text
    assert "Servus" in client.get(frame["src"]).text, "what was shown last stays"


def test_the_preview_works_without_htmx(client, post, make):
    row = make()
    typed = {**TYPED, "version": "1", "source": HTML.replace("Hello", "Servus")}
    answer = post(client, f"{PATH}/{row.id}/preview", **typed)
    soup = BeautifulSoup(answer.text, "html.parser")
    assert answer.status_code == 200
    assert "Servus" in typed_in(soup)["source"]
    assert "Servus" in client.get(soup.select_one("iframe.mail")["src"]).text
    answer = post(client, f"{PATH}/{row.id}/preview", **{**typed, "source": "{% if %}"})
    assert answer.status_code == 422


def test_a_preview_is_filled_in_as_a_contact(client, post, make, contact):
    row = make()
    contact(first_name="Bea<b>")
    contact("other@b.example", workspace_id=WORKSPACE_B)
    typed = {**TYPED, "version": "1"}
    answer = post(client, f"{PATH}/{row.id}/preview", **{**typed, "contact": "BEA@example.org"})
    soup = BeautifulSoup(answer.text, "html.parser")
    assert "bea@example.org" in soup.select_one(".inbox-line").text
    framed = client.get(soup.select_one("iframe.mail")["src"]).text
    assert "Hello Bea&lt;b&gt;" in framed
    for unknown in ("other@b.example", "nobody", "x" * 500):
        answer = post(client, f"{PATH}/{row.id}/preview", **{**typed, "contact": unknown})
        assert answer.status_code == 422
        soup = BeautifulSoup(answer.text, "html.parser")
        assert "no contact of this address" in soup.select_one("#contact-error").text


def test_fields_without_a_value_are_named(client, post, make):
    row = make()
    source = HTML.replace("Hello", "{{ data.order }} {{ contact.shoe_size }}")
    typed = {**TYPED, "version": "1", "source": source, "sample": '{"data": {"order": "7"}}'}
    answer = post(client, f"{PATH}/{row.id}/preview", **typed)
    soup = BeautifulSoup(answer.text, "html.parser")
    assert [one.text for one in soup.select(".missing li")] == ["contact.shoe_size"]
    assert "7" in soup.select_one(".view-text pre").text


@pytest.mark.parametrize(
    "data",
    ["{", "[]", "7", "NaN", '{"a": NaN}', '{"a": 1e999}', "[" * 5_000, "1" * 10_000, '{"data": 7}'],
    ids=lambda value: value[:12],
)
def test_sample_data_that_is_none_is_told(client, post, make, data):
    row = make()
    answer = post(client, f"{PATH}/{row.id}/preview", **{**TYPED, "version": "1", "sample": data})
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        soup = BeautifulSoup(answer.text, "html.parser")
        assert soup.select_one("#sample-error").text.strip()


@pytest.mark.parametrize("value", [r"\ud800", r"\u0000"])
def test_sample_data_that_no_page_can_show_is_told(client, post, value):
    """It is kept with the draft: else its writer would have no page to mend it on."""
    typed = {**TYPED, "source": "<p>{{ data.a }}</p>", "sample": f'{{"data": {{"a": "{value}"}}}}'}
    answer = post(client, f"{PATH}/new/preview", **typed)
    assert answer.status_code == 422
    soup = BeautifulSoup(answer.text, "html.parser")
    assert soup.select_one("#sample-error").text.strip()
    assert value in soup_of(client, f"{PATH}/new?draft=1").select_one("#sample").text


def test_contacts_are_suggested_by_the_beginning_of_their_address(client, contact):
    contact("bea@example.org")
    contact("ben@b.example", workspace_id=WORKSPACE_B)
    found = client.get(f"{PATH}/contacts?contact=BE", headers=HTMX)
    assert "bea@example.org" in found.text
    assert "ben@b.example" not in found.text
    for odd in ("", "%", "%00", "\U0010ffff"):
        assert "option" not in client.get(f"{PATH}/contacts", query_string={"contact": odd}).text


def test_pictures_are_loaded_only_when_asked(client, post, make):
    row = make()
    typed = {**TYPED, "version": "1"}
    without = post(client, f"{PATH}/{row.id}/preview", **typed)
    policy = policy_of(client, without)
    assert "img-src data:;" in policy
    asked = post(client, f"{PATH}/{row.id}/preview", **{**typed, "pictures": "y"})
    policy = policy_of(client, asked)
    assert "img-src data: http: https:;" in policy
    for policy in (policy_of(client, without), policy_of(client, asked)):
        assert "default-src 'none'" in policy
        assert policy.endswith("sandbox")
        assert "script-src" not in policy


def policy_of(client, answer):
    frame = BeautifulSoup(answer.text, "html.parser").select_one("iframe.mail")
    return client.get(frame["src"]).headers["Content-Security-Policy"]


# Saving


def test_saving_makes_a_version_and_can_be_undone(client, post, make):
    row = make()
    typed = {**TYPED, "version": "1", "subject": "Hello again", "note": "friendlier"}
    answer = post(client, f"{PATH}/{row.id}", **typed)
    assert answer.status_code == 303
    latest = templates.get_version(WORKSPACE_A, row.id)[1]
    assert (latest.version, latest.subject, latest.note) == (2, "Hello again", "friendlier")
    assert latest.created_by == "ann@a.example"
    assert undo(client).status_code == 303
    latest = templates.get_version(WORKSPACE_A, row.id)[1]
    assert (latest.version, latest.subject) == (3, "Hello")
    assert audited() == ["template.created", "template.saved", "template.restored"]


def test_saving_what_is_there_already_makes_no_version(client, post, make):
    row = make()
    post(client, f"{PATH}/{row.id}", **{**TYPED, "version": "1"})
    assert version_of(row) == 1
    assert "Nothing was saved" in toast_of(client)


def test_who_was_slower_sees_what_the_other_changed_and_keeps_theirs(client, post, make):
    row = make()
    make(row, subject="Theirs")
    mine = {**TYPED, "version": "1", "subject": "Mine"}
    answer = post(client, f"{PATH}/{row.id}", **mine)
    assert answer.status_code == 409
    soup = BeautifulSoup(answer.text, "html.parser")
    assert "Theirs" in soup.select_one(".change").text
    assert typed_in(soup)["subject"] == "Mine"
    assert version_of(row) == 2
    mine["version"] = soup.select_one("#composer [name=version]")["value"]
    assert post(client, f"{PATH}/{row.id}", **mine).status_code == 303
    assert templates.get_version(WORKSPACE_A, row.id)[1].subject == "Mine"


def test_a_save_that_fails_loses_nothing(client, post, make):
    row = make()
    typed = {**TYPED, "version": "1", "source": HTML + "{% if %}", "subject": "Not yet"}
    answer = post(client, f"{PATH}/{row.id}", **typed)
    assert answer.status_code == 422
    assert typed_in(BeautifulSoup(answer.text, "html.parser"))["subject"] == "Not yet"
    soup = soup_of(client, f"{PATH}/{row.id}")
    assert typed_in(soup)["subject"] == "Not yet", "it is there again"
    assert "not saved yet" in soup.text
    assert version_of(row) == 1


def test_nothing_is_saved_into_an_archived_one(client, post, make):
    row = make()
    templates.archive(WORKSPACE_A, row.id, by=ADA)
    answer = post(client, f"{PATH}/{row.id}", **{**TYPED, "version": "1", "subject": "x"})
    assert answer.status_code == 409
    assert version_of(row) == 1


@pytest.mark.parametrize("version", ["", "x", "-1", "9" * 30, "²"])
def test_a_version_that_is_none_saves_nothing(client, post, make, version):
    row = make()
    answer = post(client, f"{PATH}/{row.id}", **{**TYPED, "version": version, "subject": "x"})
    assert answer.status_code == 409
    assert version_of(row) == 1


# Drafts


def test_what_was_typed_is_there_again_and_can_be_given_up(client, post, make, sign_in, operator_a):
    row = make()
    post(client, f"{PATH}/{row.id}/preview", **{**TYPED, "version": "1", "subject": "Typed"})
    assert typed_in(soup_of(client, f"{PATH}/{row.id}"))["subject"] == "Typed"
    other = sign_in(operator_a)
    assert typed_in(soup_of(other, f"{PATH}/{row.id}"))["subject"] == "Hello", "nobody else's"
    draft = TemplateDraft.get()
    assert other.get(f"{PATH}/drafts/{draft.id}/frame").status_code == 404
    assert client.get(f"{PATH}/drafts/{draft.id}/frame").status_code == 200
    assert post(client, f"{PATH}/{row.id}/drop").status_code == 303
    assert typed_in(soup_of(client, f"{PATH}/{row.id}"))["subject"] == "Hello"


def test_a_draft_of_a_new_one_is_offered(client, post):
    post(client, f"{PATH}/new/preview", **{**TYPED, "subject": "Typed"})
    assert "not saved yet" in soup_of(client).text
    soup = soup_of(client, f"{PATH}/new?draft=1")
    assert typed_in(soup)["subject"] == "Typed"
    assert post(client, f"{PATH}/new/drop").status_code == 303
    assert "not saved yet" not in soup_of(client).text
    assert "Where shall it start?" in soup_of(client, f"{PATH}/new?draft=1").text


def test_a_draft_goes_when_it_is_saved(client, post, make):
    row = make()
    typed = {**TYPED, "version": "1", "subject": "Typed"}
    post(client, f"{PATH}/{row.id}/preview", **typed)
    post(client, f"{PATH}/{row.id}", **typed)
    assert TemplateDraft.select().count() == 0


def test_a_draft_of_an_older_version_says_so(client, post, make):
    row = make()
    post(client, f"{PATH}/{row.id}/preview", **{**TYPED, "version": "1", "subject": "Typed"})
    make(row, subject="Theirs")
    assert "version 2 was saved since" in soup_of(client, f"{PATH}/{row.id}").text


# Names, archiving


def test_it_is_renamed_and_that_can_be_undone(client, post, make):
    row = make()
    assert post(client, f"{PATH}/{row.id}/rename", name="Greeting").status_code == 303
    assert Template.get_by_id(row.id).name == "Greeting"
    undo(client)
    assert Template.get_by_id(row.id).name == "Welcome"
    make(name="Taken")
    for name in ("", "taken", "x" * 101, "a\r\nb"):
        answer = post(client, f"{PATH}/{row.id}/rename", name=name)
        assert answer.status_code in (409, 422), name
        soup = BeautifulSoup(answer.text, "html.parser")
        assert soup.select_one("#rename")["open"] == ""
        assert soup.select_one("#new-name-error").text.strip()


def test_it_is_archived_and_brought_back(client, post, make):
    row = make()
    answer = post(client, f"{PATH}/{row.id}/archive")
    assert (answer.status_code, answer.location) == (303, PATH)
    assert Template.get_by_id(row.id).archived_at is not None
    assert undo(client).status_code == 303
    assert Template.get_by_id(row.id).archived_at is None
    post(client, f"{PATH}/{row.id}/archive")
    assert "It is archived" in soup_of(client, f"{PATH}/{row.id}").text
    make(name="Welcome")
    post(client, f"{PATH}/{row.id}/unarchive")
    assert "already" in toast_of(client)
    assert Template.get_by_id(row.id).archived_at is not None


# By API


def test_it_shows_how_programs_send_it(page, make):
    row = make(source=HTML.replace("Hello", "{{ data.order.number }}"))
    soup = page(f"{PATH}/{row.id}/api")
    code = soup.select_one("[data-sample=python]").text
    assert '"template": "Welcome"' in code
    assert '"data": {"order": {"number": "number"}}' in code
    assert "data.order.number" in soup.select_one("table").text


# Who may


def test_a_viewer_reads_and_changes_nothing(sign_in, viewer_a, post, make):
    row, viewer = make(), sign_in(viewer_a)
    answer = viewer.get(f"{PATH}/{row.id}")
    assert (answer.status_code, answer.location) == (303, f"{PATH}/{row.id}/versions/1")
    assert "You are a viewer here" in viewer.get(PATH).text
    for path in ("new", "new/preview", "new/drop", *(f"{row.id}/{verb}" for verb in VERBS)):
        assert post(viewer, f"{PATH}/{path}".rstrip("/"), **TYPED).status_code == 403, path
    for path in ("new", "contacts", "drafts/1/frame"):
        assert viewer.get(f"{PATH}/{path}").status_code == 403, path
    assert TemplateDraft.select().count() == 0


VERBS = ("", "preview", "drop", "rename", "archive", "unarchive", "versions/1/restore", "test")


def test_another_workspace_finds_nothing(sign_in, admin_a, admin_b, post, make):
    row, other = make(), sign_in(admin_b)
    draft_id = template_drafts.keep(
        WORKSPACE_A, admin_a.id, template_id=row.id, version=1, typed={}, html="x"
    )
    for path in ("", "/versions", "/versions/1", "/versions/1/frame", "/test", "/api"):
        assert other.get(f"{PATH}/{row.id}{path}").status_code == 404, path
    for verb in VERBS:
        answer = post(
            other, f"{PATH}/{row.id}/{verb}".rstrip("/"), workspace_id=WORKSPACE_B, **TYPED
        )
        assert answer.status_code == 404, verb
    assert other.get(f"{PATH}/drafts/{draft_id}/frame").status_code == 404
    assert "Welcome" not in other.get(PATH).text


def test_who_is_not_signed_in_is_asked_to(anonymous, make):
    row = make()
    for path in ("", f"/{row.id}", "/new", f"/{row.id}/versions/1/frame"):
        assert anonymous.get(f"{PATH}{path}").location.startswith("/login"), path


def test_a_form_without_its_token_changes_nothing(client, make):
    row = make()
    for verb in VERBS:
        form = {**TYPED, "workspace_id": WORKSPACE_A}
        answer = client.post(f"{PATH}/{row.id}/{verb}".rstrip("/"), data=form)
        assert answer.status_code == 400, verb
    assert audited() == ["template.created"]


@pytest.mark.parametrize("path", ["0", "99999999999", "9" * 40])
def test_what_is_not_there_is_not_found(client, path):
    assert client.get(f"{PATH}/{path}").status_code == 404
    assert client.get(f"{PATH}/{path}/versions").status_code == 404
    assert client.get(f"{PATH}/drafts/{path}/frame").status_code == 404


def test_more_templates_cost_no_more_statements(client, make):
    make(name="One")
    client.get(PATH)  # a first visit may cost one more
    few = count_statements(lambda: client.get(PATH))
    for number in range(5):
        make(name=f"More {number}")
    assert count_statements(lambda: client.get(PATH)) == few
