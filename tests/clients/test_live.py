"""The Python client against a server that is one: real requests, answers, limits and breaks."""

import datetime as dt
from collections import deque

import pytest

from maild.models import Message, Suppression
from maild_client import (
    ApiError,
    BlockedRecipientDomain,
    Client,
    Conflict,
    Forbidden,
    IdempotencyConflict,
    InvalidRequest,
    NoAnswer,
    NotFound,
    RateLimited,
    Retries,
    Unauthenticated,
)
from maild_client.shapes.messages import MessageIn, MessageOut

MAIL: MessageIn = {
    "from_email": "shop@example.com",
    "to_email": "ann@example.org",
    "subject": "Hello",
    "body_text": "Hello Ann.",
}


def many(count: int) -> list[MessageIn]:
    return [{**MAIL, "to_email": f"n{number}@example.org"} for number in range(count)]


def test_it_submits_reads_and_follows_a_message(connect, make_key):
    maild = connect(make_key("operator"))
    message: MessageOut = maild.submit_message(
        **MAIL,
        tags=["order"],
        metadata={"order": 1234},
        scheduled_at=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
    )
    assert (message["status"], message["tags"]) == ("queued", ["order"])
    read = maild.get_message(message["id"], include="body,decision")
    assert read["body"]["body_text"] == "Hello Ann."
    timeline = maild.get_message_timeline(message_id=message["id"])
    assert timeline["events"][0]["type"] == "message.accepted"
    assert maild.validate_message(**MAIL)["verdict"] == "pass"
    done = maild.cancel_messages(message_ids=[message["id"]])
    assert [one["status"] for one in done["outcomes"]] == ["cancelled"]


@pytest.mark.proves("api-client")
def test_a_submission_whose_answer_was_lost_is_made_again_and_there_is_one_message(
    connect, make_key, cutter
):
    way = cutter(cuts=2)
    maild = connect(make_key(), addr=way.addr)
    message = maild.submit_message(**MAIL)
    assert way.connections == 3
    assert [str(row.id) for row in Message.select()] == [message["id"]]


def test_what_may_not_be_made_twice_is_not_made_again(connect, cutter):
    way = cutter(cuts=1)
    maild = connect(addr=way.addr)
    with pytest.raises(NoAnswer) as raised:
        maild.add_suppression(email="ann@example.org", reason="asked by phone")
    assert raised.value.was_sent
    assert way.connections == 1
    assert Suppression.select().count() == 1  # it was done all the same: nobody can know


def test_a_read_whose_answer_was_lost_is_made_again(connect, make_key, cutter):
    way = cutter(cuts=1)
    assert connect(make_key("viewer"), addr=way.addr).list_messages()["count"] == 0


def test_a_server_that_is_not_there_is_told(connect, make_key, web):
    gone = Client("http://127.0.0.1:1", "k", retries=Retries(count=1))
    with gone, pytest.raises(NoAnswer) as raised:
        gone.submit_message(**MAIL)
    assert not raised.value.was_sent


def test_any_number_of_messages_go_in_batches_and_come_back_in_pages(connect, make_key):
    maild = connect(make_key("operator"))
    messages = many(750)
    messages[600]["to_email"] = "nobody"
    results = list(maild.submit_all(messages, idempotency_key="letter-7"))
    assert [one["index"] for one in results] == list(range(750))
    [wrong] = [one for one in results if "error" in one]
    assert (wrong["index"], wrong["code"]) == (600, "invalid_fields")
    again = list(maild.submit_all(messages, idempotency_key="letter-7"))
    assert [one.get("id") for one in again] == [one.get("id") for one in results]
    rows = list(maild.iter_messages(limit=200, from_email="shop@example.com"))
    assert len(rows) == len({row["id"] for row in rows}) == 749
    newest = [row["to_email"] for row in rows[:2]]
    assert set(newest) <= {f"n{number}@example.org" for number in range(500, 750)}


def test_each_kind_of_refusal_is_an_exception_of_its_own(connect, make_key):
    maild, sender = connect(make_key("operator")), connect(make_key("sender"))
    with pytest.raises(Unauthenticated):
        connect(f"mk_{'x' * 43}").list_messages()
    with pytest.raises(Forbidden):
        sender.list_api_keys()
    with pytest.raises(NotFound):
        maild.get_message("00000000-0000-7000-8000-000000000000")
    with pytest.raises(BlockedRecipientDomain):
        sender.submit_message(**{**MAIL, "to_email": "x@mailinator.com"})
    with pytest.raises(InvalidRequest) as raised:
        sender.submit_message(**{**MAIL, "to_email": "nobody", "reply_to": "nobody"})
    assert (raised.value.status, raised.value.code) == (422, "invalid_fields")
    assert {problem.field for problem in raised.value.errors} == {"to_email", "reply_to"}
    assert raised.value.request_id
    sender.submit_message(**MAIL, idempotency_key="order-1")
    with pytest.raises(IdempotencyConflict) as conflict:
        sender.submit_message(**{**MAIL, "subject": "Another"}, idempotency_key="order-1")
    assert isinstance(conflict.value, Conflict)
    assert isinstance(conflict.value, ApiError)


def test_suppressions_unsubscribes_and_files(connect):
    admin = connect()
    admin.add_suppression(email="ann@example.org", reason="asked by phone")
    assert admin.submit_message(**MAIL)["status"] == "suppressed"
    [row] = admin.iter_suppressions()
    assert row["email"] == "ann@example.org"
    assert "ann@example.org" in admin.export_suppressions()
    admin.remove_suppression(email="ann@example.org", reason="asked to be back")
    assert admin.list_suppressions()["count"] == 0
    admin.add_unsubscribe(email="ann@example.org", topic="news")
    assert admin.list_unsubscribes()["unsubscribes"][0]["topic"] == "news"


def test_webhook_endpoints_and_keys(connect):
    admin = connect()
    added = admin.add_webhook_endpoint(provider="postmark", smtp_account="default")
    assert added["url"].startswith("http")
    assert admin.list_webhook_endpoints()["count"] == 1
    token = added["url"].rpartition("/")[2]
    report = b'{"RecordType": "Delivery", "Recipient": "ann@example.org"}'
    assert admin.report_provider_events("postmark", token, content=report)["status"] == "accepted"
    assert admin.delete_webhook_endpoint(id=added["id"])["id"] == added["id"]
    made = admin.create_api_key(name="shop", role="sender", requests_per_minute=100)
    with connect(made["key"]) as shop:
        shop.submit_message(**MAIL)
        assert shop.request_limit.per_minute == 100
    assert admin.revoke_api_key(id=made["id"])["status"] == "revoked"


def test_a_client_of_an_instance_key_acts_on_its_workspace(connect):
    maild = connect(workspace_id=2)
    assert maild.submit_message(**MAIL)["workspace_id"] == 2
    assert maild.submit_message(**MAIL, workspace_id=1)["workspace_id"] == 1
    assert maild.list_messages()["count"] == 1
    [result] = maild.submit_all([MAIL])
    assert maild.get_message(result["id"])["workspace_id"] == 2


def test_a_limit_of_requests_is_waited_for(connect, make_key):
    key = make_key("viewer", requests_per_minute=60)
    hasty = connect(key, retries=Retries(count=0))
    with pytest.raises(RateLimited) as raised:
        deque((hasty.list_messages() for _ in range(500)), maxlen=0)
    assert raised.value.retry_after == 1
    assert connect(key).list_messages()["count"] == 0
