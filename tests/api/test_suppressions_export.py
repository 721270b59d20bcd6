"""GET /v1/suppressions/export."""

import csv
import io
import uuid

import pytest

from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass
from maild.models import Suppression
from maild.services import suppressions

PATH = "/v1/suppressions/export"


def add(email, *, workspace_id=1, **fields):
    values = {"reason": "r", "source": "api", **fields}
    return suppressions.add(workspace_id, email, **values)


def rows(response):
    assert response.status_code == 200, response.get_data(as_text=True)
    return list(csv.DictReader(io.StringIO(response.get_data(as_text=True), newline="")))


def test_it_gives_all_as_a_file(api):
    message_id = uuid.uuid4()
    add(
        "jörg@müller.example",
        reason='550 "no", never',
        class_=SuppressionClass.HARD_BOUNCE,
        stream=Stream.MARKETING,
        message_id=message_id,
    )
    add("bob@example.org")
    add("eve@example.org", workspace_id=2)
    response = api("GET", PATH, key="operator")
    assert response.mimetype == "text/csv"
    assert response.mimetype_params["charset"] == "utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="suppressions.csv"'
    assert response.is_streamed
    first, second = rows(response)
    assert first.pop("id")
    assert first.pop("created_at")
    assert first == {
        "email": "jörg@müller.example",
        "reason": '550 "no", never',
        "class": "hard_bounce",
        "stream": "marketing",
        "expires_at": "",
        "source": "api",
        "created_by": "maild",
        "message_id": str(message_id),
        "state": "in_force",
    }
    assert (second["email"], second["stream"]) == ("bob@example.org", "")


def test_an_empty_one_has_its_header(api):
    response = api("GET", PATH)
    assert rows(response) == []
    assert response.get_data(as_text=True).startswith("email,reason,class,stream,expires_at,")


@pytest.mark.parametrize("reason", ["=1+1", "+1+1", "-1+1", "@A1", "|x", "＝1", " =1"])
def test_no_cell_is_a_formula(api, reason):
    add("=ann@example.org", reason=reason, source="@x")
    [row] = rows(api("GET", PATH))
    for name in ("email", "reason", "source"):
        assert row[name].startswith("'"), row


def test_what_it_gives_an_import_takes(api):
    add("=ann@example.org", reason="=1|2", stream=Stream.MARKETING)
    add("'+bob@example.org", reason='a, "b"', class_=SuppressionClass.COMPLAINT)
    file = api("GET", PATH).get_data(as_text=True)
    before = list(Suppression.select().order_by(Suppression.id))
    answer = api("POST", "/v1/suppressions/import", json={"csv": file}).get_json()
    assert (answer["rows"], answer["existing"]) == (2, 2)
    body = {"csv": file, "workspace_id": 2}
    answer = api("POST", "/v1/suppressions/import", json=body).get_json()
    assert (answer["rows"], answer["imported"]) == (2, 2)
    after = Suppression.select().where(Suppression.workspace == 2).order_by(Suppression.id.desc())

    def facts(some):
        return {(s.email, s.reason, s.class_, s.stream) for s in some}

    assert facts(after) == facts(before)


def test_it_filters(api):
    add("ann@example.org")
    add("bob@example.org", source="import")
    api("DELETE", "/v1/suppressions", json={"email": "ann@example.org", "reason": "r"})
    assert [row["email"] for row in rows(api("GET", PATH))] == ["bob@example.org"]
    assert len(rows(api("GET", PATH, query={"state": "all"}))) == 2
    assert rows(api("GET", PATH, query={"state": "all", "source": "x"})) == []


def test_many_come_in_portions(api, monkeypatch):
    for n in range(30):
        add(f"user{n}@example.org")
    monkeypatch.setattr("maild.services.suppression_exports.PORTION_CHARS", 200)
    monkeypatch.setattr("maild.services.suppression_lists.EXPORT_BATCH", 7)
    response = api("GET", PATH)
    assert len(rows(response)) == 30
    assert len({row["id"] for row in rows(response)}) == 30


@pytest.mark.parametrize(
    ("query", "field"),
    [({"state": "gone"}, "state"), ({"limit": "5"}, "limit"), ({"stream": "fax"}, "stream")],
)
def test_it_ignores_no_bad_value(api, refused, query, field):
    refused(api("GET", PATH, query=query), 400, "invalid_request", field)


def test_it_is_described_as_a_file(client):
    document = client.get("/v1/openapi.json").get_json()
    content = document["paths"][PATH]["get"]["responses"]["200"]["content"]
    assert content.keys() == {"text/csv"}
    assert content["text/csv"]["schema"] == {"type": "string"}
