"""POST /v1/messages."""

import base64
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from maild.api.endpoint import MAX_BODY_BYTES
from maild.models import Event, Message, MessageAttachment, MessageBody
from tests.api.conftest import attachment, file_with

FIELDS = {
    "id", "workspace_id", "from_email", "to_email", "subject", "body_text", "status", "stream",
    "tags", "metadata", "attempt_count", "next_attempt_at", "scheduled_at", "last_error",
    "error_class", "smtp_account", "message_id_header", "created_at", "updated_at",
}  # fmt: skip


def test_it_accepts_a_message(api):
    response = api.submit()
    assert response.status_code == 201
    assert response.content_type == "application/json"
    answer = response.get_json()
    assert set(answer) >= FIELDS
    assert uuid.UUID(answer["id"]).version == 7
    assert answer["message_id_header"] == f"<{answer['id']}@example.com>"
    del answer["message_id_header"]
    message_id = answer.pop("id")
    expires_at = datetime.fromisoformat(answer.pop("expires_at"))
    assert expires_at == datetime.fromisoformat(answer["created_at"]) + timedelta(days=2)
    times = {name: answer.pop(name) for name in ("created_at", "updated_at", "next_attempt_at")}
    for value in times.values():
        assert value.endswith("Z")
        assert abs(datetime.fromisoformat(value) - datetime.now(UTC)) < timedelta(minutes=5)
    assert answer == {
        "workspace_id": 1,
        "from_email": "shop@example.com",
        "to_email": "ann@example.org",
        "subject": "Hello",
        "body_text": "Hello Ann.",
        "body_pruned_at": None,
        "status": "queued",
        "stream": "transactional",
        "topic": None,
        "submission_id": message_id,
        "related_ids": [],
        "tags": [],
        "metadata": {},
        "attempt_count": 0,
        "excused_count": 0,
        "hold_reason": None,
        "scheduled_at": None,
        "last_error": None,
        "error_class": None,
        "smtp_account": None,
        "pinned_smtp_account": None,
    }


@pytest.mark.proves("accept-fields")
def test_it_stores_every_field(api):
    response = api.submit(
        body_html="<p>Hello</p>",
        workspace_id=2,
        from_name='Ann "Zoë" O\'Neil',
        reply_to="help@example.com",
        headers={"X-Campaign": "spring", "List-Id": "<news.example.com>"},
        attachments=[
            attachment(filename="a.pdf", content_type="application/pdf"),
            attachment(filename="b.png", content_type="image/png", content_id="logo@shop"),
        ],
        stream="marketing",
        tags=["welcome", "café"],
        metadata={"order": 7, "nested": {"list": [1, 2.5, None, True, "ü"]}},
    )
    assert response.status_code == 201
    answer = response.get_json()
    assert (answer["workspace_id"], answer["stream"]) == (2, "marketing")
    assert answer["tags"] == ["welcome", "café"]
    assert answer["metadata"] == {"order": 7, "nested": {"list": [1, 2.5, None, True, "ü"]}}
    message = Message.get_by_id(answer["id"])
    assert (message.workspace_id, message.metadata) == (2, answer["metadata"])
    body = MessageBody.get_by_id(answer["id"])
    assert body.from_name == 'Ann "Zoë" O\'Neil'
    assert body.reply_to == "help@example.com"
    assert body.headers == [["X-Campaign", "spring"], ["List-Id", "<news.example.com>"]]
    assert (body.body_text, body.body_html) == ("Hello Ann.", "<p>Hello</p>")
    files = MessageAttachment.select().order_by(MessageAttachment.position)
    assert [
        (f.position, f.filename, f.content_type, f.content_id, bytes(f.content)) for f in files
    ] == [
        (0, "a.pdf", "application/pdf", None, b"abc"),
        (1, "b.png", "image/png", "logo@shop", b"abc"),
    ]
    assert [(e.type, e.workspace_id) for e in Event.select()] == [("message.accepted", 2)]


def test_it_accepts_html_alone(api):
    answer = api.submit(body_text=..., body_html="<p>Hi</p>")
    assert answer.status_code == 201
    assert answer.get_json()["body_text"] is None


def test_it_takes_null_for_any_optional_field(api):
    names = ("body_html", "workspace_id", "from_name", "reply_to", "scheduled_at")
    assert api.submit(**dict.fromkeys(names)).status_code == 201


@pytest.mark.proves("I14", "accept-durable")
def test_it_accepts_while_redis_is_away(api, redis_away, stored):
    for _ in range(3):
        assert api.submit().status_code == 201
    assert stored()["Message"] == 3


def test_it_needs_no_particular_content_type(api):
    data = (
        b'{"from_email":"a@example.com","to_email":"b@example.org","subject":"s","body_text":"t"}'
    )
    for content_type in ("application/json; charset=utf-8", "text/plain"):
        response = api("POST", "/v1/messages", data=data, headers={"Content-Type": content_type})
        assert response.status_code == 201


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("ann@EXAMPLE.org", "ann@example.org"),
        ("Ann@example.org", "Ann@example.org"),
        ("ann+tag@sub.example.org", "ann+tag@sub.example.org"),
        ("ann@bücher.example", "ann@bücher.example"),
        ("ann@xn--bcher-kva.example", "ann@bücher.example"),
        ("用户@例え.jp", "用户@例え.jp"),
        ("يوسف@مثال.إختبار", "يوسف@مثال.إختبار"),
        ("😀@example.org", "😀@example.org"),
        ("cafe\u0301@example.org", "caf\u00e9@example.org"),
        ("ann@example\u3002org", "ann@example.org"),
        ("o'neil!#$%&*+-/=?^_`{|}~@example.org", "o'neil!#$%&*+-/=?^_`{|}~@example.org"),
    ],
)
def test_it_keeps_an_address_in_its_normal_form(api, text, kept):
    response = api.submit(to_email=text)
    assert response.status_code == 201, response.text
    assert response.get_json()["to_email"] == kept


def test_the_message_id_of_an_internationalised_sender_is_ascii(api):
    answer = api.submit(from_email="shop@straße.example").get_json()
    assert answer["from_email"] == "shop@straße.example"
    assert answer["message_id_header"] == f"<{answer['id']}@xn--strae-oqa.example>"


@pytest.mark.parametrize(
    "text",
    ["🎉 Änderung", "مرحبا بالعالم", "=?utf-8?q?raw?=", "  padded  ", "tab\there", "x" * 998],
)
def test_it_takes_any_single_line_as_subject(api, text):
    response = api.submit(subject=text, from_name=text[:200])
    assert response.status_code == 201
    assert response.get_json()["subject"] == text


def test_it_takes_the_last_of_duplicate_keys(api, stored):
    response = api.submit_raw('"to_email": "bob@example.org"')
    assert (response.status_code, response.get_json()["to_email"]) == (201, "bob@example.org")
    assert stored()["Message"] == 1


@pytest.mark.parametrize(
    "value", [0, -0.0, 1e-300, 1e22, 2**53 + 1, -(2**64), 10**100, "9" * 300, [[[]]], {"": None}]
)
def test_it_echoes_metadata_as_it_was(api, value):
    created = api.submit(metadata={"value": value}).get_json()
    assert created["metadata"] == {"value": value}
    assert api("GET", f"/v1/messages/{created['id']}").get_json()["metadata"] == {"value": value}


def test_it_stores_ints_as_long_as_python_reads_them(api):
    response = api.submit_raw(f'"metadata": {{"n": {"9" * 4000}}}')
    assert response.status_code == 201
    assert api("GET", f"/v1/messages/{response.get_json()['id']}").status_code == 200


@pytest.mark.proves("accept-schedule")
def test_it_schedules(api):
    at = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)
    text = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    local = (at + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S+02:00")
    for given in (text, local, text.lower()):
        answer = api.submit(scheduled_at=given).get_json()
        assert answer["status"] == "queued"
        assert answer["scheduled_at"] == text, given
        assert answer["next_attempt_at"] == text
        again = api("GET", f"/v1/messages/{answer['id']}").get_json()
        assert again["scheduled_at"] == text


def test_it_sends_at_once_what_was_scheduled_for_the_past(api):
    answer = api.submit(scheduled_at="2020-01-01T00:00:00Z").get_json()
    assert answer["scheduled_at"] == "2020-01-01T00:00:00Z"
    assert answer["next_attempt_at"] == answer["created_at"]


@pytest.mark.parametrize(
    ("content_base64", "content"),
    [
        ("YWJj", b"abc"),
        ("", b""),
        ("/+8=", b"\xff\xef"),
        ("YWJj\r\nYWJj\n", b"abcabc"),
        (base64.encodebytes(bytes(range(256))).decode(), bytes(range(256))),
    ],
)
def test_it_decodes_attachments(api, content_base64, content):
    response = api.submit(**file_with(content_base64=content_base64))
    assert response.status_code == 201
    [row] = MessageAttachment.select()
    assert bytes(row.content) == content


@pytest.mark.parametrize(
    "filename", ["../../etc/passwd", "C:\\a.txt", "تقرير.pdf", "🎉.png", 'a"b;c.txt']
)
def test_it_takes_any_single_line_as_file_name(api, filename):
    assert api.submit(**file_with(filename=filename)).status_code == 201
    assert MessageAttachment.get().filename == filename


@pytest.mark.parametrize(
    "content_type",
    ["text/calendar; method=REQUEST", 'text/plain; charset="utf-8"', "message/rfc822", "a/b+c"],
)
def test_it_takes_a_media_type_with_parameters(api, content_type):
    assert api.submit(**file_with(content_type=content_type)).status_code == 201


def test_it_accepts_a_body_of_10_mb(api, stored):
    start = b'{"from_email":"a@example.com","to_email":"b@example.org","subject":"s","body_text":"'
    data = start + b"x" * (MAX_BODY_BYTES - len(start) - 2) + b'"}'
    assert api("POST", "/v1/messages", data=data).status_code == 201
    assert stored()["MessageBody"] == 1


def test_it_keeps_to_the_lifetime_that_the_sender_gives(api):
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    answer = api.submit(expires_at=expires_at.isoformat()).get_json()
    assert datetime.fromisoformat(answer["expires_at"]) == expires_at
    read = api("GET", f"/v1/messages/{answer['id']}").get_json()
    assert read == answer
