"""/ui/suppressions/import: a file comes in, is looked at, mended, imported, and told of."""

import csv
import io

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import Actor
from maild.models import Job, Suppression, SuppressionFile
from maild.services import job_kinds, job_steps, jobs, suppression_files
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements, list_statements

PATH = "/ui/suppressions/import"
LIST = b"email,weather\nann@example.org,they asked\nnonsense,x\nANN@example.org,again\n"

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

    def upload(data=LIST, name="list.csv", *, by=client, path=PATH):
        token = soup_of(by, "/reset").select_one("[name=csrf_token]")["value"]
        body, kind = multipart(csrf_token=token, workspace_id=WORKSPACE_A, file=(data, name))
        return by.post(path, data=body, content_type=kind)

    return upload


@pytest.fixture
def sent(send):
    """The path of a file that was sent, and its row."""

    def make(data=LIST, name="list.csv"):
        response = send(data, name)
        assert response.status_code == 303, response.text
        row = SuppressionFile.select().order_by(SuppressionFile.id.desc()).get()
        assert response.location == f"{PATH}/{row.id}"
        return response.location, row

    return make


def soup_of(client, path):
    return BeautifulSoup(client.get(path).text, "html.parser")


def figures(soup, where):
    return {one.dt.text: one.dd.text.strip() for one in soup.select(f"{where} .figures > div")}


def words(soup):
    return " ".join(soup.text.split())


def test_the_form_says_what_a_file_may_be(page):
    soup = page(PATH)
    assert soup.select_one("form[enctype='multipart/form-data'] input[type=file]")
    assert "200,000 lines and 32 MB" in words(soup)


def test_a_file_is_looked_at_before_anything_happens(client, sent):
    path, _ = sent()
    soup = soup_of(client, path)
    assert figures(soup, "#outlook") == {
        "Lines": "3", "New": "1", "Known": "0", "Twice in the file": "1", "Refused": "1",
    }  # fmt: skip
    assert "A dry run" in soup.text
    assert "valid e-mail address" in soup.select_one("#rejected tbody tr").text
    chosen = [select.select_one("[selected]") for select in soup.select(".mapping select")]
    assert [one and one["value"] for one in chosen] == ["email", None]
    assert len(soup.select(".mapping tbody tr")) == 3
    assert Suppression.select().count() == 0


def test_its_columns_are_changed_and_it_is_looked_at_again(client, post, sent):
    path, _ = sent()
    fields = {"column-0": "email", "column-1": "reason", "has_header": "yes",
              "default_reason": "imported", "class": "complaint"}  # fmt: skip
    assert post(client, path, **fields).location == path
    post(client, f"{path}/start")
    job_steps.drain()
    row = Suppression.get()
    assert (row.email, row.reason, row.class_.value) == (
        "ann@example.org", "they asked", "complaint",
    )  # fmt: skip


def test_columns_that_make_no_sense_come_back_as_they_were_chosen(client, post, sent):
    path, row = sent()
    fields = {"column-0": "email", "column-1": "email", "has_header": "yes",
              "default_reason": "my reason", "class": "manual"}  # fmt: skip
    response = post(client, path, **fields)
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert "email more than once" in soup.select_one(".form-error").text
    chosen = [one["value"] for one in soup.select(".mapping [selected]")]
    assert chosen == ["email", "email"]
    assert soup.select_one("#default_reason")["value"] == "my reason"
    assert SuppressionFile.get_by_id(row.id).layout == row.layout


def test_it_is_imported_and_tells_how_far_it_is(client, post, partial, sent):
    path, _ = sent()
    assert post(client, f"{path}/start").location == path
    soup = soup_of(client, path)
    assert soup.select_one("#job progress")["max"] == "1"
    poll = soup.select_one("#job")["hx-get"]
    assert client.get(poll, headers={"HX-Request": "true"}).status_code == 204
    job_steps.drain()
    done = partial(poll)
    assert "The import is done" in done.text
    assert "hx-get" not in done.select_one("#job").attrs
    assert figures(done, "#job")["Suppressed now"] == "1"
    assert done.select_one(f"a[href='/ui/jobs/{Job.get().id}']")
    assert Suppression.get().created_by == "ann@a.example"


def test_who_looks_how_far_it_is_does_not_read_the_file(client, post, partial, sent):
    path, _ = sent()
    whole = list_statements(lambda: client.get(path))
    assert any('"content"' in sql for sql in whole)
    post(client, f"{path}/start")
    poll = soup_of(client, path).select_one("#job")["hx-get"]
    quiet = {"HX-Request": "true"}
    for look in (
        lambda: client.get(poll, headers=quiet),
        lambda: partial(path),
        lambda: client.get(path),
    ):
        seen = list_statements(look)
        assert any('"suppression_files"' in sql for sql in seen)
        assert not any('"content"' in sql for sql in seen)


def test_an_import_that_was_undone_says_so(client, post, sent):
    path, _ = sent()
    post(client, f"{path}/start")
    job_steps.drain()
    undoing = jobs.undo(WORKSPACE_A, Job.get().id, reason="wrong file", by=Actor("me"))
    assert f"Job {undoing.id} takes this import back" in words(soup_of(client, path))
    job_steps.drain()
    assert Suppression.get().removal_reason == "the import was undone: wrong file"


def test_pressed_twice_it_starts_once(client, post, sent):
    path, _ = sent()
    for _ in range(2):
        assert post(client, f"{path}/start").status_code == 303
    assert Job.select().count() == 1
    assert "was started already" in soup_of(client, path).select_one("#toasts").text


def test_a_job_that_was_stopped_says_how_far_it_came(client, post, sent, admin_a):
    path, _ = sent()
    post(client, f"{path}/start")
    jobs.cancel(WORKSPACE_A, Job.get().id, by=Actor("carl@a.example"))
    soup = soup_of(client, path)
    assert "It is not complete: 0 of 1" in words(soup)
    assert "carl@a.example" in soup.select_one("#job").text


def test_a_job_that_is_forgotten_does_not_break_the_page(client, post, sent):
    path, _ = sent()
    post(client, f"{path}/start")
    Job.delete().execute()
    assert "no longer kept" in soup_of(client, path).select_one("#job").text


def test_refused_lines_are_downloaded(client, sent):
    path, _ = sent()
    response = client.get(f"{path}/rejected.csv")
    assert response.headers["Content-Type"].startswith("text/csv")
    [row] = csv.DictReader(io.StringIO(response.text))
    assert (row["line"], row["email"], row["weather"]) == ("3", "nonsense", "x")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "must not be empty"),
        (b"PK\x03\x04", "save it as CSV"),
        ("email\nj\xf6rg@example.org".encode("latin-1"), "not UTF-8"),
        (b"a\x00b", "zero byte"),
    ],
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


def test_a_file_that_is_too_large_has_a_page_that_says_what_to_do(send):
    response = send(b"x" * (suppression_files.MAX_BYTES + 100_000))
    assert response.status_code == 413
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.h1.text == "The file is too large"
    assert "up to 32 MB" in soup.text
    assert "split it" in soup.text


def test_more_than_an_ordinary_form_may_have_is_taken_here_and_nowhere_else(send):
    data = b"email\n" + b"".join(b"user%07d@example.org,\n" % n for n in range(450_000))
    assert len(data) > 10 * 1024 * 1024
    assert send(data).status_code == 303
    row = SuppressionFile.get()
    assert "more than 200,000 lines" in suppression_files.outlook_of(row).problem
    assert send(data, path="/ui/suppressions/export").status_code == 413


def test_a_name_with_a_path_or_markup_is_only_a_name(client, sent):
    path, row = sent(name="lists/<b>x.csv")
    assert row.name == "<b>x.csv"
    assert "<b>x" not in client.get(path).text


def test_a_file_of_another_workspace_is_not_found(sent, sign_in, admin_b, post):
    path, row = sent()
    other = sign_in(admin_b)
    for one in (path, f"{path}/rejected.csv"):
        assert other.get(one).status_code == 404
    for one in (path, f"{path}/start"):
        assert post(other, one, workspace_id=WORKSPACE_B).status_code == 404
    assert SuppressionFile.get_by_id(row.id).job_id is None


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_only_an_admin_imports(make_person, sign_in, post, send, sent, role):
    path, _ = sent()
    low = sign_in(make_person("low@a.example", role))
    assert send(by=low).status_code == 403
    assert post(low, path).status_code == 403
    assert post(low, f"{path}/start").status_code == 403
    assert Job.select().count() == 0
    soup = soup_of(low, path)
    assert "Only an admin" in soup.text
    assert not soup.select("main form")
    assert not soup_of(low, PATH).select("main form")


def test_it_asks_the_database_as_often_for_many_files_as_for_one(client, sent):
    def look():
        assert client.get(PATH).status_code == 200

    sent()
    look()
    few = count_statements(look)
    for _ in range(6):
        sent()
    assert count_statements(look) == few <= 16
