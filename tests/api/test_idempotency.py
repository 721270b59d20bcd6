"""Idempotency-Key: the same request twice is one message, and one answer."""

import http.client
import json
import threading
from datetime import UTC, datetime, timedelta

import peewee
import pytest
import time_machine

from maild.domain.actor import SYSTEM
from maild.domain.states import Status
from maild.models import Event, IdempotencyKey, Message, MessageAttachment, MessageBody
from maild.services import acceptance, policies, suppressions
from tests.api.conftest import MESSAGE, attachment
from tests.api.serving import Deafened, all_at_once, new_workspace
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.crash.rig import wait_until

REPLAYED = "Idempotent-Replayed"


def submit(api, key="k1", *, caller="operator", **fields):
    body = {k: v for k, v in {**MESSAGE, **fields}.items() if v is not ...}
    return api("POST", "/v1/messages", json=body, key=caller, headers={"Idempotency-Key": key})


def submit_batch(api, key, *entries):
    body = {"messages": [{**MESSAGE, **entry} for entry in entries]}
    response = api("POST", "/v1/messages/batch", json=body, headers={"Idempotency-Key": key})
    assert response.status_code == 200
    return response


def first_and_again(api, key="k1", **fields):
    """Submit twice; both are accepted, and the second says that it is a replay."""
    first, again = submit(api, key, **fields), submit(api, key, **fields)
    assert (first.status_code, again.status_code) == (201, 201)
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    return first.get_json(), again.get_json()


@pytest.mark.proves("accept-replay")
def test_the_same_request_gives_the_first_answer_again(api, stored):
    first, again = first_and_again(
        api,
        tags=["a"],
        metadata={"n": 1.5, "z": [None, {"ü": True}]},
        stream="marketing",
        topic="News",
        scheduled_at="2027-01-01T00:00:00Z",
    )
    assert again == first
    assert stored()["Message"] == stored()["MessageBody"] == stored()["Event"] == 1


def test_without_a_key_the_same_request_is_another_message(api, stored):
    assert api.submit().get_json()["id"] != api.submit().get_json()["id"]
    assert stored()["Message"] == 2


@pytest.mark.proves("accept-replay")
def test_the_answer_stays_whatever_became_of_the_message(api, inbox, deliver):
    first = submit(api).get_json()
    assert deliver() == 1
    assert Message.get_by_id(first["id"]).status is Status.SENT
    assert submit(api).get_json() == first
    Message.update(status=Status.DELIVERED, last_error="x", metadata={"other": 1}).execute()
    MessageBody.update(body_text="another").execute()
    assert submit(api).get_json() == first
    assert deliver() == 0
    assert len(inbox.messages()) == 1


def test_the_answer_stays_after_it_was_cancelled(api):
    first = submit(api).get_json()
    api("POST", "/v1/messages/cancel", json={"message_ids": [first["id"]]})
    assert submit(api).get_json() == first
    assert api("GET", f"/v1/messages/{first['id']}").get_json()["status"] == "cancelled"


def test_what_was_stopped_stays_stopped_for_those_who_ask_again(api):
    suppressions.add(WORKSPACE_A, MESSAGE["to_email"], reason="asked", source="test")
    first = submit(api).get_json()
    assert (first["status"], first["next_attempt_at"]) == ("suppressed", None)
    suppressions.remove(WORKSPACE_A, MESSAGE["to_email"], reason="asked", by=SYSTEM)
    assert submit(api).get_json() == first
    assert Message.select().count() == 1


def test_a_new_policy_changes_no_earlier_answer(api):
    first = submit(api).get_json()
    policies.save(
        WORKSPACE_A,
        changes={"blocked_recipient_domains": ["example.org"], "rate_limit_workspace_per_hour": 0},
        by=SYSTEM,
    )
    assert submit(api).get_json() == first
    assert submit(api, "k2").status_code == 422


def test_the_answer_comes_again_after_the_message_has_expired(api, refused):
    now = datetime.now(UTC)
    end = (now + timedelta(minutes=30)).isoformat()
    first = submit(api, expires_at=end).get_json()
    with time_machine.travel(now + timedelta(hours=1), tick=False):
        again = submit(api, expires_at=end)
        assert (again.status_code, again.get_json()) == (201, first)
        assert submit(api, expires_at=end, subject="x").status_code == 409
        refused(submit(api, "k2", expires_at=end), 422, "invalid_fields", "expires_at")
        both = submit(api, "k2", expires_at=end, reply_to="nobody")
        refused(both, 422, "invalid_fields", "expires_at", "reply_to")
    assert IdempotencyKey.select().count() == 1


@pytest.mark.proves("I8")
def test_another_request_under_the_same_key_is_a_conflict(api, refused, stored):
    first = submit(api)
    before = stored()
    for fields in (
        {"subject": "Another"},
        {"body_text": "Hello Bob."},
        {"to_email": "bob@example.org"},
        {"tags": ["x"]},
        {"tags": []},  # said, where it was left out
        {"body_html": "<p></p>"},
        {"metadata": {"n": 1}},
        {"cc": ["bob@example.org"]},
        {"workspace_id": WORKSPACE_A},
        {"attachments": [attachment()]},
    ):
        response = submit(api, **fields)
        document = refused(response, 409, "idempotency_conflict")
        assert "Use a new key" in document["detail"]
        assert REPLAYED not in response.headers
    assert stored() == before
    assert submit(api).get_json() == first.get_json()


def test_the_order_of_the_fields_and_white_space_make_no_other_request(api, stored):
    body = {**MESSAGE, "metadata": {"a": 1, "b": {"c": 2, "d": 3}}, "headers": {"X-A": "1"}}
    turned = {name: body[name] for name in reversed(body)}
    turned["metadata"] = {"b": {"d": 3, "c": 2}, "a": 1}
    headers = {"Idempotency-Key": "k1"}
    first, again = (
        api("POST", "/v1/messages", data=json.dumps(one, indent=indent), headers=headers)
        for one, indent in ((body, None), (turned, 4))
    )
    assert again.get_json() == first.get_json()
    assert again.headers[REPLAYED] == "true"
    assert stored()["Message"] == 1


def test_another_workspaces_key_is_another_key(api, operator_a, admin_b):
    ids = {
        submit(api, caller=operator_a).get_json()["id"],
        submit(api, caller=admin_b).get_json()["id"],
    }
    assert len(ids) == 2
    in_b = submit(api, caller=admin_b, subject="Another")
    assert in_b.status_code == 409
    assert {m.workspace_id for m in Message.select()} == {WORKSPACE_A, WORKSPACE_B}


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        ({"to_email": "nobody"}, 422),
        ({"subject": ...}, 400),
        ({"to_email": "x@mailinator.com"}, 422),
        ({"surplus": 1}, 422),
        ({"workspace_id": 999}, 404),
    ],
)
def test_a_refusal_uses_up_no_key(api, bad, status):
    assert submit(api, **bad).status_code == status
    assert IdempotencyKey.select().count() == 0
    response = submit(api)
    assert (response.status_code, response.headers.get(REPLAYED)) == (201, None)


def test_a_limit_uses_up_no_key(api):
    policies.save(WORKSPACE_A, changes={"rate_limit_workspace_per_hour": 0}, by=SYSTEM)
    assert submit(api).status_code == 429
    policies.save(WORKSPACE_A, changes={"rate_limit_workspace_per_hour": 1}, by=SYSTEM)
    first, again = first_and_again(api)
    assert again == first, "and a replay takes up no room"


def test_a_key_is_free_again_after_a_day(api):
    first = submit(api).get_json()
    age(hours=23, minutes=59)
    assert submit(api).get_json()["id"] == first["id"]
    age(hours=24, seconds=1)
    second = submit(api, subject="Another")
    assert (second.status_code, second.headers.get(REPLAYED)) == (201, None)
    assert second.get_json()["id"] != first["id"]
    assert submit(api, subject="Another").get_json() == second.get_json()
    assert submit(api).status_code == 409, "the key is the second message's now"


def test_pruning_forgets_the_keys_of_yesterday_only(api):
    submit(api, "old")
    age(hours=24, seconds=1)
    submit(api, "new")
    acceptance.prune()
    assert [row.key for row in IdempotencyKey.select()] == ["new"]


def age(**span):
    """As if all keys had been used so long ago."""
    interval = " ".join(f"{n} {unit}" for unit, n in span.items())
    then = peewee.fn.now() - peewee.SQL("%s::interval", (interval,))
    IdempotencyKey.update(created_at=then).execute()


@pytest.mark.parametrize("key", ["k", "k" * 256, "a b/c:d=e,f;\"'%\\~", "1", "null"])
def test_any_printable_ascii_will_do(api, key):
    first, again = first_and_again(api, key)
    assert again == first


@pytest.mark.parametrize(
    "key",
    ["", "k" * 257, "a\tb", "a\x00b", "a\x7fb", "a\x1bb", "🎈", "é", "ключ", "a\u2028b"],
)
def test_it_refuses_what_is_no_key(api, refused, stored, key):
    on_the_wire = key.encode().decode("latin-1")
    for path, body in (
        ("/v1/messages", MESSAGE),
        ("/v1/messages/batch", {"messages": [MESSAGE]}),
    ):
        response = api("POST", path, json=body, headers={"Idempotency-Key": on_the_wire})
        document = refused(response, 400, "invalid_request", "Idempotency-Key")
        assert "1 to 256 printable ASCII characters" in document["detail"]
    assert stored()["Message"] == 0


def test_it_works_with_copies(api):
    first, again = first_and_again(
        api, cc=["bob@example.org", "Bob@example.org"], bcc=["eve@example.net"]
    )
    assert again == first
    assert len(first["related_ids"]) == 2
    assert Message.select().count() == 3
    assert submit(api, cc=["bob@example.org"], bcc=["eve@example.net"]).status_code == 409


def test_it_works_with_copies_of_which_one_was_stopped(api):
    suppressions.add(WORKSPACE_A, "bob@example.org", reason="asked", source="test")
    first, again = first_and_again(api, cc=["bob@example.org"])
    assert again == first
    statuses = {m.to_email: m.status for m in Message.select()}
    assert statuses == {"ann@example.org": "queued", "bob@example.org": "suppressed"}


def test_it_works_with_attachments(api):
    first, again = first_and_again(api, attachments=[attachment(), attachment(filename="b")])
    assert again == first
    assert MessageAttachment.select().count() == 2
    other = submit(api, attachments=[attachment(), attachment(filename="b", content_base64="eA==")])
    assert other.status_code == 409


def test_it_works_with_large_messages(api):
    text = "x" * 200_000
    first, again = first_and_again(api, body_text=text)
    assert again == first
    assert Message.select().count() == 1
    assert submit(api, body_text=text + "x").status_code == 409


def test_it_works_while_redis_is_away(api, redis_away):
    first, again = first_and_again(api)
    assert again == first


# Batches


def test_each_entry_of_a_batch_is_remembered_by_itself(api):
    first = submit_batch(api, "k1", {}, {"to_email": "bob@example.org", "cc": ["eve@example.org"]})
    again = submit_batch(api, "k1", {}, {"to_email": "bob@example.org", "cc": ["eve@example.org"]})
    assert again.get_json() == first.get_json()
    assert (first.headers.get(REPLAYED), again.headers[REPLAYED]) == (None, "true")
    assert Message.select().count() == 3
    changed = submit_batch(api, "k1", {}, {"to_email": "eve@example.org"}, {"subject": "New"})
    kept, conflict, new = changed.get_json()["results"]
    assert kept == first.get_json()["results"][0]
    assert conflict["code"] == "idempotency_conflict"
    assert new["status"] == "queued"
    assert changed.headers.get(REPLAYED) is None
    assert Message.select().count() == 4


def test_the_same_entry_twice_in_a_batch_is_two_messages(api):
    first = submit_batch(api, "k1", {}, {}).get_json()
    assert len({result["id"] for result in first["results"]}) == 2
    assert submit_batch(api, "k1", {}, {}).get_json() == first


def test_a_batch_that_half_failed_completes(api):
    policies.save(WORKSPACE_A, changes={"rate_limit_workspace_per_hour": 2}, by=SYSTEM)
    entries = [{"to_email": f"a{n}@example.org"} for n in range(4)]
    first = submit_batch(api, "k1", *entries).get_json()
    assert [r.get("code") for r in first["results"]] == [None, None, *["rate_limited"] * 2]
    policies.save(WORKSPACE_A, changes={"rate_limit_workspace_per_hour": 10}, by=SYSTEM)
    again = submit_batch(api, "k1", *entries).get_json()
    assert (again["accepted"], again["results"][:2]) == (4, first["results"][:2])
    assert submit_batch(api, "k1", *entries).get_json() == again
    assert Message.select().count() == 4


def test_a_batch_and_a_message_of_its_own_share_no_key(api):
    alone = submit(api).get_json()["id"]
    [in_batch] = submit_batch(api, "k1", {}).get_json()["results"]
    assert in_batch["id"] != alone


# Many at once, and a process that dies


@pytest.mark.proves("I8")
def test_fifty_at_once_on_two_processes_are_one_message(serve, inbox, deliver):
    webs = serve(2)
    workspace_id = new_workspace()

    def submit(number):
        return webs[number % 2].submit(workspace_id, key="once", cc=["bob@example.org"])

    answers = all_at_once(50, submit)
    assert {answer.status for answer in answers} == {201}
    assert all(answer.json == answers[0].json for answer in answers)
    assert sum(REPLAYED.lower() not in answer.headers for answer in answers) == 1
    assert Message.select().count() == 2
    assert Event.select().count() == 2
    while deliver():
        pass
    received = [message["To"][0]["Address"] for message in inbox.messages()]
    assert received == ["ann@example.org"] * 2, "a copy each for two recipients, with one To"


def test_fifty_at_once_with_two_bodies_are_one_message_and_conflicts(serve):
    webs = serve(2)
    workspace_id = new_workspace()

    def submit(number):
        return webs[number % 2].submit(workspace_id, key="once", subject=f"Number {number % 3}")

    answers = all_at_once(48, submit)
    good = [answer for answer in answers if answer.status == 201]
    bad = [answer for answer in answers if answer.status == 409]
    assert (len(good), len(bad)) == (16, 32)
    assert all(answer.json == good[0].json for answer in good)
    assert {answer.json["code"] for answer in bad} == {"idempotency_conflict"}
    [message] = Message.select()
    assert str(message.id) == good[0].json["id"]


@pytest.mark.proves("I8")
@pytest.mark.crash
def test_a_process_killed_between_the_commit_and_the_answer(serve, settings, inbox, deliver):
    """The client tries again, as it must: one message, whose id it is told."""
    line = Deafened(settings.postgres_dsn)
    [web] = serve(POSTGRES_DSN=line.dsn)
    [other] = serve()
    workspace_id = new_workspace()
    line.deafen()
    broken = []

    def submit():
        try:
            web.submit(workspace_id, key="once")
        except (OSError, http.client.HTTPException) as error:
            broken.append(error)

    client = threading.Thread(target=submit)
    client.start()
    wait_until(lambda: Message.select().count() == 1, "it is committed")
    assert client.is_alive(), "and not answered"
    web.kill()
    client.join()
    line.close()
    assert len(broken) == 1
    again = other.submit(workspace_id, key="once")
    assert (again.status, again.headers[REPLAYED.lower()]) == (201, "true")
    [message] = Message.select()
    assert again.json["id"] == str(message.id)
    assert deliver() == 1
    assert len(inbox.messages()) == 1
