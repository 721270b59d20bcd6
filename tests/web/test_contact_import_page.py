"""/ui/audience/imports: a file comes in, is looked at, mended, imported and taken back."""

import csv
import io

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import Actor
from maild.models import Audience, AudienceMember, Contact, ContactFile, Job
from maild.services import audiences, contact_files, contacts, job_kinds, job_steps, jobs
from maild.services.contact_fields import ContactFields
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements

PATH = "/ui/audience/imports"
LIST = b"email,Shoe size\nann@example.org,42\nnonsense,x\nANN@example.org,43\nbob@example.org,44\n"
CONFIGURED = {
    "use-0": "email", "use-1": "attribute", "name-1": "shoes", "kind-1": "number",
    "has_header": "yes", "audience_name": "Fair", "topics": "News; offers",
    "consent_at": "2026-01-31 09:30", "consent_source": "the fair", "updates": "yes",
    "leaves_out_roles": "yes",
}  # fmt: skip

assert job_kinds.ALL


def multipart(**parts):
    """The body of a form with files, (content, name) each; and its type."""
    body = b""
    for name, value in parts.items():
        content, file = value if isinstance(value, tuple) else (str(value).encode(), None)
        more = "" if file is None else f'; filename="{file}"'
        body += f'--xx\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
        body += content + b"\r\n"
    return body + b"--xx--\r\n", "multipart/form-data; boundary=xx"


@pytest.fixture
def send(client):
    """Send a file as the form does; returns the answer."""

    def upload(data=LIST, name="list.csv", *, by=client):
        token = soup_of(by, "/reset").select_one("[name=csrf_token]")["value"]
        body, kind = multipart(csrf_token=token, workspace_id=WORKSPACE_A, file=(data, name))
        return by.post(PATH, data=body, content_type=kind)

    return upload


@pytest.fixture
def sent(send):
    """The path of a file that was sent, and its row."""

    def make(data=LIST, name="list.csv"):
        response = send(data, name)
        assert response.status_code == 303, response.text
        row = ContactFile.select().order_by(ContactFile.id.desc()).get()
        assert response.location == f"{PATH}/{row.id}"
        return response.location, row

    return make


@pytest.fixture
def looked(client, post, sent):
    """The path of a file that was looked at as CONFIGURED."""

    def make(data=LIST, **fields):
        path, _ = sent(data)
        response = post(client, path, **{**CONFIGURED, **fields})
        assert response.status_code == 303, response.text
        job_steps.drain()
        return path

    return make


@pytest.fixture
def imported(client, post, looked):
    """The path of a file that was imported."""

    def make():
        path = looked()
        start(post, client, path)
        job_steps.drain()
        return path

    return make


def soup_of(client, path):
    return BeautifulSoup(client.get(path).text, "html.parser")


def start(post, client, path):
    field = soup_of(client, path).select_one("[name=check_job_id]")
    return post(client, f"{path}/start", check_job_id=field["value"] if field else "1")


def figures(soup, where="#import"):
    return {one.dt.text: one.dd.text.strip() for one in soup.select(f"{where} .figures > div")}


def words(soup):
    return " ".join(soup.text.split())


def test_the_form_says_what_a_file_may_be(page):
    soup = page(PATH)
    assert soup.select_one("form[enctype='multipart/form-data'] input[type=file]")
    assert "1,000,000 rows and 256 MB" in words(soup)
    assert "No file yet" in soup.text


def test_what_was_sent_is_laid_out_and_nothing_happens_yet(client, sent):
    path, _ = sent()
    soup = soup_of(client, path)
    chosen = [select.select_one("[selected]") for select in soup.select("[name^=use-]")]
    assert [one["value"] for one in chosen] == ["email", "attribute"]
    assert soup.select_one("[name=name-1]")["value"] == "shoe_size"
    assert soup.select_one("[name=kind-1] [selected]")["value"] == "text"
    assert len(soup.select(".mapping tbody tr")) == 4
    assert Contact.select().count() == Job.select().count() == 0
    assert not soup.select("[name=check_job_id]")


def test_a_look_tells_what_would_happen_and_how_far_it_is(client, post, partial, sent):
    path, _ = sent()
    assert post(client, path, **CONFIGURED).location == path
    soup = soup_of(client, path)
    assert soup.select_one("#import progress")
    poll = soup.select_one("#import")["hx-get"]
    assert client.get(poll, headers={"HX-Request": "true"}).status_code == 204
    job_steps.drain()
    done = partial(poll)
    assert "hx-get" not in done.select_one("#import").attrs
    assert figures(done) == {
        "Rows": "4", "New": "2", "Changed": "0", "Unchanged": "0", "Twice in the file": "1",
        "Refused": "1",
    }  # fmt: skip
    assert "Import 2 contacts" in words(done)
    assert "valid e-mail address" in done.select_one("#rejected tbody tr").text
    assert Contact.select().count() == Audience.select().count() == 0
    assert soup_of(client, path).select_one("#audience_name")["value"] == "Fair"


def test_it_is_imported_and_tells_so(client, post, partial, looked):
    path = looked()
    assert start(post, client, path).location == path
    soup = soup_of(client, path)
    assert soup.select_one("#import progress")["max"] == "4"
    assert not soup.select(".mapping")
    poll = soup.select_one("#import")["hx-get"]
    job_steps.drain()
    done = partial(poll)
    assert "The import is done" in done.text
    assert figures(done)["New"] == "2"
    assert "2 joined the list" in words(done)
    assert client.get(done.select_one("#import p a[href*='/lists/']")["href"]).status_code == 200
    ann = contacts.find_by_email(WORKSPACE_A, "ann@example.org")
    assert (ann.attributes, ann.topics, ann.consent_source, ann.created_by) == (
        {"shoes": 42}, ["news", "offers"], "the fair", "ann@a.example",
    )  # fmt: skip
    assert Audience.get().name == "Fair"
    soup = soup_of(client, PATH)
    assert "done" in soup.select_one("tbody tr").text


def test_it_is_taken_back(client, post, imported):
    path = imported()
    assert post(client, f"{path}/undo", reason="wrong file").location == path
    assert soup_of(client, path).select_one("#import progress")
    job_steps.drain()
    soup = soup_of(client, path)
    assert "The import was taken back" in soup.text
    assert Contact.select().count() == AudienceMember.select().count() == 0
    assert not soup.select("form[action$='/undo']")
    assert "taken back" in soup_of(client, PATH).select_one("tbody tr").text
    page = soup_of(client, f"/ui/jobs/{Job.select().order_by(Job.id.desc()).get().id}")
    assert "Take an import of contacts back" in page.h1.text


def test_taking_back_asks_for_a_reason_and_keeps_what_was_typed(client, post, imported):
    path = imported()
    response = post(client, f"{path}/undo", reason="x" * 501)
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert "longer than 500" in soup.select_one("#reason-error").text
    assert soup.select_one("#reason")["value"] == "x" * 501
    assert soup.select_one("details[open] form[action$='/undo']")


def test_the_job_leads_to_its_file(client, imported):
    path = imported()
    job = Job.get(Job.kind == "contacts.import")
    assert soup_of(client, f"/ui/jobs/{job.id}").select_one(f"a[href='{path}']")


@pytest.mark.parametrize(
    ("fields", "where", "told"),
    [
        ({"use-1": "email"}, ".form-error", "more than one of them is email"),
        ({"use-0": ""}, ".form-error", "which column has the addresses"),
        ({"name-1": "Shoe Size"}, ".form-error", "Column 2"),
        ({"name-1": ""}, ".form-error", "Column 2: is needed"),
        ({"kind-1": "colour"}, ".form-error", "choose a kind"),
        ({"use-1": "colour"}, ".form-error", "must be one of"),
        ({"audience_name": "x" * 101}, "#audience_name-error", "longer than 100"),
        ({"audience_id": "99"}, "#audience_name-error", "choose one"),
        ({"audience_id": "99", "audience_name": ""}, "#audience_id-error", "no list"),
        ({"audience_id": "9" * 10, "audience_name": ""}, "#audience_id-error", "no list"),
        ({"topics": "x" * 101}, "#topics-error", "longer than"),
        ({"consent_at": "yesterday"}, "#consent_at-error", "such as"),
        ({"consent_at": "2999-01-01"}, "#consent_at-error", "future"),
        ({"consent_at": ""}, "#consent_at-error", "is needed"),
        ({"consent_source": "a\nb"}, "#consent_source-error", "line break"),
        ({"consent_proof": "x" * 501}, "#consent_proof-error", "longer than 500"),
    ],
)
def test_what_makes_no_sense_comes_back_as_it_was_typed(client, post, sent, fields, where, told):
    path, row = sent()
    response = post(client, path, **{**CONFIGURED, **fields})
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert told in soup.select_one(where).text
    expected = {**CONFIGURED, **fields}
    assert soup.select_one("#topics")["value"] == expected["topics"]
    assert soup.select_one("[name=name-1]")["value"] == expected["name-1"]
    assert not soup.select_one("#leaves_out_disposable").has_attr("checked")
    assert Job.select().count() == 0
    assert ContactFile.get_by_id(row.id).layout == row.layout


def test_a_list_is_chosen(client, post, sent):
    audience = audiences.create(WORKSPACE_A, name="Fair", by=Actor("x"))
    path, _ = sent()
    assert f'value="{audience.id}"' in str(soup_of(client, path).select_one("#audience_id"))
    fields = {**CONFIGURED, "audience_name": "", "audience_id": str(audience.id)}
    assert post(client, path, **fields).status_code == 303
    job_steps.drain()
    start(post, client, path)
    job_steps.drain()
    assert AudienceMember.select().count() == 2


def test_it_is_read_in_another_way(client, post, sent):
    data = "email;name\nann@x.example;Жанна\n".encode("cp1251")
    path, row = sent(data)
    assert row.layout["encoding"] == "cp1252"
    assert "Жанна" not in client.get(path).text
    assert post(client, f"{path}/read", encoding="cp1251", delimiter="semicolon").location == path
    assert "Жанна" in client.get(path).text
    for fields in ({"encoding": "rot13", "delimiter": "tab"}, {"encoding": "utf-8"}):
        assert post(client, f"{path}/read", **fields).status_code == 303
    assert ContactFile.get_by_id(row.id).layout["encoding"] == "cp1251"


def test_pressed_twice_it_starts_once(client, post, looked):
    path = looked()
    seen = soup_of(client, path).select_one("[name=check_job_id]")["value"]
    for _ in range(2):
        assert post(client, f"{path}/start", check_job_id=seen).status_code == 303
    assert Job.select().where(Job.kind == "contacts.import").count() == 1
    assert "was started already" in soup_of(client, path).select_one("#toasts").text


@pytest.mark.parametrize("seen", ["", "0", "x", "9" * 30, "²"])
def test_what_was_not_looked_at_does_not_start(client, post, looked, seen):
    path = looked()
    assert post(client, f"{path}/start", check_job_id=seen).status_code == 303
    assert Job.select().where(Job.kind == "contacts.import").count() == 0


def test_a_job_that_was_stopped_says_how_far_it_came(client, post, looked):
    path = looked()
    start(post, client, path)
    jobs.cancel(WORKSPACE_A, Job.get(Job.kind == "contacts.import").id, by=Actor("carl@x.example"))
    soup = soup_of(client, path)
    assert "It is not complete: 0 of 4" in words(soup)
    assert "carl@x.example" in soup.text


def test_a_job_that_is_forgotten_does_not_break_the_page(client, imported):
    path = imported()
    Job.delete().execute()
    assert "no longer kept" in soup_of(client, path).text


def test_the_same_file_once_more_is_recognised(client, imported, sent):
    imported()
    path, _ = sent()
    assert "The same file once more" in soup_of(client, path).text


def test_refused_rows_are_downloaded(client, imported):
    response = client.get(f"{imported()}/rejected.csv")
    assert response.headers["Content-Type"].startswith("text/csv")
    [row] = csv.DictReader(io.StringIO(response.text))
    assert (row["line"], row["reason"], row["email"]) == ("3", "invalid_address", "nonsense")


@pytest.mark.parametrize(
    ("data", "told"),
    [(b"", "must not be empty"), (b"PK\x03\x04", "save it as CSV"), (bytes(99), "not a text")],
)
def test_what_is_no_such_file_is_told(send, data, told):
    response = send(data, "list.xlsx")
    assert response.status_code == 422
    error = BeautifulSoup(response.text, "html.parser").select_one(".form-error").text
    assert told in error
    assert "“list.xlsx”" in error


def test_without_a_file_it_asks_for_one(client, post, send):
    for response in (send(name=""), post(client, PATH), post(client, PATH, file="text")):
        assert response.status_code == 422
        assert "Choose a file" in response.text


def test_more_than_an_ordinary_form_may_have_is_taken(send):
    data = b"email\n" + b"".join(b"user%07d@example.org,\n" % n for n in range(460_000))
    assert len(data) > 10 * 1024 * 1024
    assert send(data).status_code == 303
    row = ContactFile.get()
    assert (row.line_count, row.size_bytes) == (460_001, len(data))
    assert row.chunk_count > 20


def test_a_file_that_is_too_large_has_a_page_that_says_what_to_do(client, send, monkeypatch):
    monkeypatch.setattr(contact_files, "MAX_BYTES", 1_000)
    response = send(b"email\n" + b"ann@example.org\n" * 200)
    assert response.status_code == 413
    assert "Split it" in response.text


def test_a_name_with_a_path_or_markup_is_only_a_name(client, sent):
    path, row = sent(name="lists/<b>x.csv")
    assert row.name == "<b>x.csv"
    assert "<b>x" not in client.get(path).text


def test_a_file_of_another_workspace_is_not_found(sent, sign_in, admin_b, post):
    path, row = sent()
    other = sign_in(admin_b)
    for one in (path, f"{path}/rejected.csv"):
        assert other.get(one).status_code == 404
    for one in (path, f"{path}/read", f"{path}/start", f"{path}/undo"):
        assert post(other, one, workspace_id=WORKSPACE_B).status_code == 404
    assert ContactFile.get_by_id(row.id).check_job_id is None
    assert row.name not in other.get(PATH).text


def test_an_operator_may_and_a_viewer_looks_on(sign_in, operator_a, viewer_a, post, looked, send):
    path = looked()
    assert send(by=sign_in(operator_a)).status_code == 303
    low = sign_in(viewer_a)
    assert send(by=low).status_code == 403
    for one in (path, f"{path}/read", f"{path}/start", f"{path}/undo"):
        assert post(low, one).status_code == 403
    assert Job.select().where(Job.kind == "contacts.import").count() == 0
    soup = soup_of(low, path)
    assert "You are a viewer here" in soup.text
    assert not soup.select("main form")
    assert not soup_of(low, PATH).select("main form")


def test_it_asks_the_database_as_often_for_many_files_as_for_one(client, looked):
    def look():
        assert client.get(PATH).status_code == 200

    looked()
    look()
    few = count_statements(look)
    for number in range(5):
        looked(audience_name=f"Fair {number}")
    assert count_statements(look) == few <= 16


def test_who_is_known_is_told(client, post, looked):
    contacts.upsert(WORKSPACE_A, "ann@example.org", ContactFields(name="Ann"), by=Actor("x"))
    assert figures(soup_of(client, looked()))["Changed"] == "1"
