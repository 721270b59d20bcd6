"""POST /v1/messages/batch."""

import json

import pytest

from maild.api.endpoint import MAX_BODY_BYTES
from maild.models import AcceptedTally, Message
from maild.services import messages
from tests.api.conftest import MESSAGE, attachment


def submit(api, *entries, key="operator", **fields):
    return api("POST", "/v1/messages/batch", json={"messages": entries, **fields}, key=key)


def entry(**fields):
    return {k: v for k, v in {**MESSAGE, **fields}.items() if v is not ...}


def test_it_accepts_each_message(api):
    response = submit(
        api,
        entry(),
        entry(to_email="bob@example.org", attachments=[attachment()], stream="marketing"),
    )
    assert response.status_code == 200
    answer = response.get_json()
    assert (answer["workspace_id"], answer["accepted"], answer["rejected"]) == (1, 2, 0)
    first, second = answer["results"]
    assert set(first) == {"index", "id", "status", "related_ids"}
    assert [r["index"] for r in (first, second)] == [0, 1]
    assert {r["status"] for r in (first, second)} == {"queued"}
    read = api("GET", f"/v1/messages/{second['id']}").get_json()
    assert (read["to_email"], read["stream"]) == ("bob@example.org", "marketing")


@pytest.mark.proves("accept-batch")
def test_one_bad_entry_does_not_spoil_the_rest(api):
    answer = submit(
        api,
        entry(),
        entry(to_email="nobody"),
        entry(subject=...),
        entry(surplus=1, tags="x"),
        entry(to_email="x@mailinator.com"),
        "not an object",
        None,
        entry(attachments=[attachment(content_base64="?")]),
        entry(body_text=..., body_html=...),
        entry(to_email="bob@example.org"),
    ).get_json()
    assert (answer["accepted"], answer["rejected"]) == (2, 8)
    results = answer["results"]
    assert [r["index"] for r in results] == list(range(10))
    assert ["id" in r for r in results] == [True, *[False] * 8, True]
    bad = results[1:9]
    assert all(set(r) == {"index", "error", "code", "errors"} for r in bad)
    assert [r["code"] for r in bad] == [
        "invalid_fields", "invalid_request", "invalid_fields", "blocked_recipient_domain",
        "invalid_fields", "invalid_fields", "invalid_fields", "invalid_request",
    ]  # fmt: skip
    named = [{e["field"] for e in r["errors"]} for r in bad]
    assert named == [
        {"to_email"}, {"subject"}, {"surplus", "tags"}, {"to_email"}, {"body"}, {"body"},
        {"attachments.0.content_base64"}, {"body_text"},
    ]  # fmt: skip
    assert bad[0]["error"].startswith("to_email: is not a single, valid e-mail address")
    stored = Message.select().order_by(Message.to_email)
    assert [m.to_email for m in stored] == ["ann@example.org", "bob@example.org"]


def test_all_of_one_batch_are_of_one_workspace(api):
    entries = [entry(), entry(workspace_id=2), entry(workspace_id=1)]
    answer = submit(api, *entries, workspace_id=2).get_json()
    assert [r.get("status") for r in answer["results"]] == ["queued", "queued", None]
    assert answer["results"][2]["errors"] == [
        {"field": "workspace_id", "message": "must be the batch's, 2"}
    ]
    assert {m.workspace_id for m in Message.select()} == {2}


def test_it_takes_five_hundred(api):
    answer = submit(api, *[entry(to_email=f"a{n}@example.org") for n in range(500)]).get_json()
    assert answer["accepted"] == len({r["id"] for r in answer["results"]}) == 500
    assert Message.select().count() == 500
    assert sum(row.accepted_count for row in AcceptedTally.select()) == 500


@pytest.mark.parametrize("count", [0, 501])
def test_it_refuses_no_entry_and_too_many(api, refused, stored, count):
    response = submit(api, *[entry() for _ in range(count)])
    refused(response, 422, "invalid_fields", "messages")
    assert stored()["Message"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "messages"), ({"messages": {}}, "messages"), ({"messages": None}, "messages"),
     ({"messages": [entry()], "surplus": 1}, "surplus"), ([], "body")],
)  # fmt: skip
def test_it_refuses_what_is_no_batch(api, refused, stored, body, field):
    refused(api("POST", "/v1/messages/batch", json=body), 422, "invalid_fields", field)
    assert stored()["Message"] == 0


def test_an_entry_with_a_thousand_mistakes_is_told_of_a_few(api):
    answer = submit(api, entry(tags=[1] * 50), entry(**{f"x{n}": 1 for n in range(5000)}))
    first, second = answer.get_json()["results"]
    assert len(first["errors"]) == 10
    assert second["error"] == "The body has 5000 mistakes, too many to list."


def test_it_refuses_a_body_that_is_too_large(api, refused):
    data = json.dumps({"messages": [entry(body_text="x" * MAX_BODY_BYTES)]})
    refused(api("POST", "/v1/messages/batch", data=data), 413, "payload_too_large")


def test_it_accepts_while_redis_is_away(api, redis_away):
    assert submit(api, entry()).get_json()["accepted"] == 1


def test_copies_that_make_too_much_of_little_are_refused_whole(api, refused, stored, monkeypatch):
    before = stored()
    monkeypatch.setattr(messages, "RECIPIENTS_AT_ONCE_MAX", 5)
    copies = [f"c{n}@example.org" for n in range(2)]
    response = submit(api, entry(cc=copies), entry(cc=copies))
    assert "6 recipients" in refused(response, 422, "invalid_fields", "messages")["detail"]
    monkeypatch.setattr(messages, "ROWS_BYTES_MAX", 500)
    response = submit(api, entry(cc=copies, metadata={"note": "x" * 300}))
    assert "too much together" in refused(response, 422, "invalid_fields", "messages")["detail"]
    assert stored() == before
    assert submit(api, entry(metadata={"note": "x" * 600})).status_code == 200, "no copies"
