"""/v1/contacts/imports: a file is sent, looked at, imported, and taken back."""

import csv
import io

import pytest

from maild.models import Contact, ContactFile, Job
from maild.services import contact_files, job_kinds, job_steps

PATH = "/v1/contacts/imports"
CSV = "email,name,Shoe size\r\nann@example.org,Ann,42\r\nANN@example.org,,\r\nnobody,,\r\n"
COLUMNS = [
    {"use": "email"}, {"use": "name"}, {"use": "attribute", "name": "shoes", "kind": "number"},
]  # fmt: skip

assert job_kinds.ALL


@pytest.fixture
def send(api):
    """Send a file; its answer."""

    def post(data=CSV, **fields):
        response = api(
            "POST", PATH, data=data, headers={"Content-Type": "text/csv"}, query={"name": "a.csv"},
            **fields,
        )  # fmt: skip
        assert response.status_code == 201, response.text
        return response.get_json()

    return post


def test_a_file_comes_with_its_layout(send):
    answer = send()
    assert (answer["name"], answer["delimiter"], answer["encoding"]) == ("a.csv", ",", "utf-8")
    assert answer["size_bytes"] == len(CSV)
    assert answer["columns"] == [
        {"use": "email", "name": None, "kind": None, "header": "email"},
        {"use": "name", "name": None, "kind": None, "header": "name"},
        {"use": "attribute", "name": "shoe_size", "kind": "number", "header": "Shoe size"},
    ]
    assert answer["sample"][0] == ["ann@example.org", "Ann", "42"]
    assert (answer["check"], answer["foreseen"], answer["job"]) == (None, None, None)
    assert Job.select().count() == 0


def test_the_whole_way(api, send):
    import_id = send()["id"]
    body = {"id": import_id, "columns": COLUMNS, "audience_name": "Fair", "topics": ["News"],
            "consent": {"at": "2026-01-31T09:30:00Z", "source": "the fair"}}  # fmt: skip
    answer = api("POST", f"{PATH}/configure", json=body).get_json()
    assert answer["check"]["status"] == "queued"
    assert answer["foreseen"] is None
    job_steps.drain()
    answer = api("GET", f"{PATH}/{import_id}").get_json()
    assert answer["foreseen"] == {
        "rows": 3, "new": 1, "updated": 0, "unchanged": 0, "duplicate": 1, "rejected": 1,
        "reasons": {"invalid_address": 1},
    }  # fmt: skip
    assert Contact.select().count() == 0
    seen = answer["check"]["id"]
    answer = api("POST", f"{PATH}/start", json={"id": import_id, "check_job_id": seen}).get_json()
    assert (answer["job"]["status"], answer["options"]["audience_name"]) == ("queued", None)
    job_steps.drain()
    [one] = api("GET", PATH).get_json()["imports"]
    assert (one["job"]["status"], one["counts"], one["joined"]) == ("done", one["foreseen"], 1)
    ann = Contact.get()
    assert (ann.attributes, ann.topics, ann.consent_source) == ({"shoes": 42}, ["news"], "the fair")
    response = api("GET", f"{PATH}/{import_id}/rejected")
    [row] = csv.DictReader(io.StringIO(response.text))
    assert (row["line"], row["reason"], row["email"]) == ("4", "invalid_address", "nobody")
    answer = api("POST", f"{PATH}/undo", json={"id": import_id, "reason": "wrong"}).get_json()
    assert answer["undo"]["status"] == "queued"
    job_steps.drain()
    assert Contact.select().count() == 0


def test_it_is_read_in_another_way(api, send):
    answer = send("email;name\nann@x.example;Жанна\n".encode("cp1251"))
    assert answer["encoding"] == "cp1252"
    body = {"id": answer["id"], "encoding": "cp1251"}
    assert api("POST", f"{PATH}/configure", json=body).get_json()["sample"] == [
        ["ann@x.example", "Жанна"]
    ]


def test_a_step_too_early_or_too_late_is_a_conflict(api, refused, send):
    import_id = send()["id"]
    refused(api("POST", f"{PATH}/start", json={"id": import_id}), 409, "conflict")
    undo = {"id": import_id, "reason": "x"}
    refused(api("POST", f"{PATH}/undo", json=undo), 409, "conflict")
    api("POST", f"{PATH}/configure", json={"id": import_id})
    job_steps.drain()
    assert api("POST", f"{PATH}/start", json={"id": import_id}).status_code == 200
    refused(api("POST", f"{PATH}/start", json={"id": import_id}), 409, "conflict")
    refused(api("POST", f"{PATH}/configure", json={"id": import_id}), 409, "conflict")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 422),
        (b"\n\n", 422),
        (b"PK\x03\x04", 422),
        (bytes(range(256)), 422),
        (b"\xff\xfe", 422),
        (b"email\n" + "\ud800@x.example\n".encode("utf-8", "surrogatepass"), 201),
        ("email\n\U0001f600@x.example\n".encode(), 201),
    ],
)
def test_whatever_is_sent_is_taken_or_refused_with_words(api, data, status):
    response = api("POST", PATH, data=data, headers={"Content-Type": "text/csv"})
    assert response.status_code == status
    if status == 422:
        assert response.get_json()["errors"][0]["field"] == "file"


def test_a_file_larger_than_bodies_may_be_is_taken(api, send):
    data = b"email\n" + b"".join(b"user%07d@example.org,\n" % n for n in range(460_000))
    assert len(data) > 10 * 1024 * 1024
    assert send(data)["line_count"] == 460_001
    refusal = api("POST", "/v1/contacts", data=data, headers={"Content-Type": "application/json"})
    assert refusal.status_code == 413


def test_a_file_that_is_too_large_is_refused(api, refused, monkeypatch):
    monkeypatch.setattr(contact_files, "MAX_BYTES", 100)
    data = b"email\n" + b"ann@example.org\n" * 20
    document = refused(
        api("POST", PATH, data=data, headers={"Content-Type": "text/csv"}),
        413,
        "payload_too_large",
    )
    assert "Split it" in document["detail"]
    assert api("GET", PATH).get_json()["count"] == 0


def test_a_form_with_a_file_is_refused_with_what_to_do(api, refused):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    document = refused(api("POST", PATH, data=b"--x--", headers=headers), 400, "invalid_request")
    assert "the file itself" in document["detail"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"columns": [{"use": "email"}]}, "columns"),
        ({"columns": [{"use": "email"}, {"use": "x"}, {"use": None}]}, "columns.1.use"),
        ({"columns": [{"use": "email"}, {"use": "email"}, {"use": None}]}, "columns"),
        ({"columns": "email"}, "columns"),
        ({"columns": [{"use": "email"}] * 101}, "columns"),
        ({"delimiter": "::"}, "delimiter"),
        ({"encoding": "rot13"}, "encoding"),
        ({"has_header": "yes"}, "has_header"),
        ({"audience_id": 0}, "audience_id"),
        ({"audience_id": 99}, "audience_id"),
        ({"audience_name": "a\r\nb\0"}, "audience_name"),
        ({"topics": ["\ud800"]}, "body"),
        ({"topics": ["x" * 101]}, "topics"),
        ({"topics": "news"}, "topics"),
        ({"consent": {"at": "2999-01-01T00:00:00Z"}}, "consent_at"),
        ({"consent": {"source": "x"}}, "consent.at"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_field(api, send, fields, name):
    import_id = send()["id"]
    response = api("POST", f"{PATH}/configure", json={"id": import_id, **fields})
    assert response.status_code in {400, 422}
    errors = response.get_json().get("errors", [{"field": "body"}])
    assert errors[0]["field"].startswith(name.split(".")[0])
    assert Job.select().count() == 0


@pytest.mark.parametrize("import_id", ["0", "999", str(2**31), str(2**70)])
def test_a_file_that_is_not_there_is_not_found(api, refused, import_id):
    for path in (f"{PATH}/{import_id}", f"{PATH}/{import_id}/rejected"):
        refused(api("GET", path), 404, "not_found")


def test_another_workspace_finds_nothing(api, refused, send, admin_b):
    import_id = send()["id"]
    assert api("GET", PATH, key=admin_b).get_json()["imports"] == []
    for path in (f"{PATH}/{import_id}", f"{PATH}/{import_id}/rejected"):
        refused(api("GET", path, key=admin_b), 404, "not_found")
    for verb, more in (("configure", {}), ("start", {}), ("undo", {"reason": "x"})):
        body = {"id": import_id, **more}
        refused(api("POST", f"{PATH}/{verb}", json=body, key=admin_b), 404, "not_found")
    assert ContactFile.get().check_job_id is None


def test_a_viewer_looks_on(api, refused, send, viewer_a):
    import_id = send()["id"]
    assert api("GET", f"{PATH}/{import_id}", key=viewer_a).status_code == 200
    refused(
        api("POST", PATH, data=CSV, headers={"Content-Type": "text/csv"}, key=viewer_a),
        403,
        "forbidden",
    )
    for verb, more in (("configure", {}), ("start", {}), ("undo", {"reason": "x"})):
        body = {"id": import_id, **more}
        refused(api("POST", f"{PATH}/{verb}", json=body, key=viewer_a), 403, "forbidden")
