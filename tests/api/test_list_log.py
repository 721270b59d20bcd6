"""GET /v1/messages/logs."""

import base64
import struct
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from maild.domain.cursor import Cursor
from maild.domain.states import Status, Stream
from maild.models import Message

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SUMMARY_FIELDS = {
    "id", "workspace_id", "from_email", "to_email", "subject", "status", "stream", "tags",
    "metadata", "attempt_count", "next_attempt_at", "scheduled_at", "last_error", "error_class",
    "smtp_account", "message_id_header", "created_at", "updated_at",
}  # fmt: skip


def log(api, **query):
    names = {"since": "from", "until": "to"}
    query = {names.get(name, name): value for name, value in query.items()}
    return api("GET", "/v1/messages/logs", query=query)


def found(api, **query):
    """The subjects of one page."""
    response = log(api, **query)
    assert response.status_code == 200, response.text
    return [message["subject"] for message in response.get_json()["messages"]]


def change(message, **fields):
    Message.update(**fields).where(Message.id == message.id).execute()


def test_it_lists_the_newest_first(api, accept):
    for subject in ("one", "two", "three"):
        accept(subject=subject)
    response = log(api)
    assert response.status_code == 200
    answer = response.get_json()
    assert set(answer) >= {"workspace_id", "from", "to", "count", "messages", "next_cursor"}
    assert [m["subject"] for m in answer["messages"]] == ["three", "two", "one"]
    assert all(set(m) >= SUMMARY_FIELDS for m in answer["messages"])
    del answer["messages"]
    assert answer == {"workspace_id": 1, "from": None, "to": None, "count": 3, "next_cursor": None}


def test_it_is_empty_at_first(api):
    answer = log(api).get_json()
    assert (answer["count"], answer["messages"], answer["next_cursor"]) == (0, [], None)


def test_it_shows_no_other_workspace(api, accept):
    accept(subject="ours")
    accept(subject="theirs", workspace_id=2)
    assert found(api) == ["ours"]
    assert found(api, workspace_id=2) == ["theirs"]
    assert found(api, q="theirs") == []


@pytest.fixture
def two(accept):
    """Two messages that differ in everything."""
    first = accept(
        subject="Your receipt 100%",
        from_email="shop@example.com",
        to_email="ann@example.org",
        tags=("receipt", "vip"),
        stream=Stream.TRANSACTIONAL,
    )
    second = accept(
        subject="Spring_news",
        from_email="news@example.net",
        to_email="bob@example.edu",
        tags=("news",),
        stream=Stream.MARKETING,
    )
    change(
        first,
        status=Status.FAILED,
        next_attempt_at=None,
        smtp_account_name="ses",
        error_class="policy",
        created_at=NOON,
    )
    change(second, smtp_account_name="postmark", created_at=NOON + timedelta(hours=1))
    return first, second


@pytest.mark.parametrize(
    "query",
    [
        {"status": "failed"}, {"stream": "transactional"}, {"to_email": "ann@example.org"},
        {"to_email": "ann@EXAMPLE.org"}, {"to_email": " ann@example.org "},
        {"from_email": "shop@example.com"}, {"subject": "receipt"}, {"subject": "RECEIPT"},
        {"subject": "100%"}, {"q": "receipt"}, {"q": "ANN@"}, {"q": "example.com"}, {"q": "%"},
        {"tag": "vip"}, {"smtp_account": "ses"}, {"error_class": "policy"},
        {"until": "2026-05-04T12:00:00.000001Z"}, {"until": "2026-05-04T14:30:00+02:00"},
        {"since": "2026-05-04T12:00:00Z", "until": "2026-05-04T13:00:00Z"},
        {"status": "failed", "stream": "transactional", "q": "receipt", "tag": "receipt"},
    ],
    ids=str,
)  # fmt: skip
def test_it_filters(api, two, query):
    assert found(api, **query) == ["Your receipt 100%"]


@pytest.mark.parametrize(
    "query",
    [
        {"status": "sent"}, {"to_email": "nn@example.org"}, {"to_email": "Ann@example.org"},
        {"subject": "ann@"}, {"subject": "___"}, {"subject": "\\"}, {"q": "1%0"}, {"q": "' OR 1=1"},
        {"tag": "recei"}, {"tag": "vip,receipt"}, {"tag": "{vip}"}, {"smtp_account": "SES"},
        {"error_class": "%"}, {"status": "failed", "stream": "marketing"},
        {"since": "2026-05-04T13:00:00.000001Z"}, {"until": "2026-05-04T12:00:00Z"},
        {"since": "2099-01-01T00:00:00Z"}, {"until": "0001-01-01T00:00:00Z"},
    ],
    ids=str,
)  # fmt: skip
def test_it_finds_nothing_else(api, two, query):
    assert found(api, **query) == []


def test_it_takes_wildcards_for_what_they_are(api, two):
    assert found(api, subject="_") == ["Spring_news"]


def test_it_says_which_range_it_used_in_utc(api, two):
    answer = log(api, since="2026-05-04T14:00:00+02:00", until="2026-05-05t00:00:00z").get_json()
    assert (answer["from"], answer["to"]) == ("2026-05-04T12:00:00Z", "2026-05-05T00:00:00Z")
    assert answer["count"] == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("status", value) for value in ("", "SENT", "done", "sent,failed", "null")),
        *(("stream", value) for value in ("", "bulk")),
        *(("limit", value) for value in ("", "0", "-1", "201", "ten", "1.5", "1e2", "9" * 99)),
        *((name, value) for name in ("from", "to") for value in (
            "", "yesterday", "2026-05-04", "2026-05-04T12:00:00", "2026-13-01T00:00:00Z",
            "1777896000",
            "2026-05-04T12:00:00 02:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
        )),
        *((name, value) for name in ("to_email", "from_email") for value in (
            "", "ann", "ann@", "*@*", "a@x.org,b@x.org", "\0",
        )),
        *((name, value) for name in ("subject", "q", "tag", "smtp_account", "error_class")
          for value in ("", "  ", "a\0b")),
        ("Status", "sent"), ("offset", "10"), ("page", "2"), ("since", "2026-05-04T12:00:00Z"),
    ],
)  # fmt: skip
def test_it_answers_400_for_a_bad_value(api, refused, name, value):
    response = api("GET", "/v1/messages/logs", query={name: value})
    refused(response, 400, "invalid_request", name)


@pytest.mark.parametrize("name", ["status", "limit", "cursor", "q", "workspace_id", "nonsense"])
def test_it_refuses_a_repeated_parameter(api, refused, name):
    response = api("GET", "/v1/messages/logs", query=[(name, "1"), (name, "1")])
    refused(response, 400, "invalid_request", name)


@pytest.mark.proves("explain-log")
@pytest.mark.parametrize("limit", [1, 7, 50, 119, 120, 121, 200])
def test_it_pages_without_a_gap_or_a_double(api, accept, limit):
    ids = [str(accept(subject=f"{n}").id) for n in range(120)]
    # Forty share each of three times, so that the id has to decide within a page and across two.
    for hour, start in enumerate(range(0, 120, 40)):
        same = [uuid.UUID(text) for text in ids[start : start + 40]]
        at = NOON + timedelta(hours=hour)
        Message.update(created_at=at).where(Message.id << same).execute()
    accept(workspace_id=2)

    seen, cursor, pages = [], None, 0
    while True:
        query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        answer = log(api, **query).get_json()
        assert answer["count"] == len(answer["messages"]) <= limit
        seen += [(m["created_at"], m["id"]) for m in answer["messages"]]
        pages += 1
        cursor = answer["next_cursor"]
        if cursor is None:
            break
        assert answer["count"] == limit
    assert [id_ for _, id_ in sorted(seen)] == sorted(ids, key=lambda i: (ids.index(i) // 40, i))
    assert seen == sorted(seen, reverse=True)
    assert pages == -(-120 // limit)


@pytest.mark.proves("explain-log")
def test_it_keeps_its_place_while_mail_comes_in(api, accept):
    for n in range(4):
        accept(subject=f"{n}")
    first = log(api, limit=2).get_json()
    accept(subject="new")
    assert found(api, limit=2, cursor=first["next_cursor"]) == ["1", "0"]


def test_it_pages_through_a_filter(api, accept):
    for n in range(6):
        accept(subject=f"{n}", tags=("even",) if n % 2 == 0 else ("odd",))
    first = log(api, limit=2, tag="even").get_json()
    assert [m["subject"] for m in first["messages"]] == ["4", "2"]
    assert found(api, limit=2, tag="even", cursor=first["next_cursor"]) == ["0"]


def test_a_cursor_shows_nothing_of_another_workspace(api, accept):
    theirs = [accept(workspace_id=2, subject=f"{n}") for n in range(3)]
    accept(subject="ours")
    cursor = Cursor(theirs[2].created_at, theirs[2].id)
    assert found(api, cursor=str(cursor)) == []


GOOD = str(Cursor(NOON, uuid.UUID(int=2**127 + 5)))


@pytest.mark.parametrize(
    "cursor",
    [
        "", " ", "abc", "!", "\0", "ü", "null", GOOD[:-1], GOOD + "A", GOOD + GOOD, GOOD + "=",
        GOOD[:8] + " " + GOOD[8:], GOOD[:8] + "\n" + GOOD[8:], "A" * 9000,
        base64.urlsafe_b64encode(struct.pack(">q16s", 2**63 - 1, b"x" * 16)).decode(),
        base64.urlsafe_b64encode(struct.pack(">q16s", -(2**63), b"x" * 16)).decode(),
        base64.b64encode(b"\xfb\xff" * 12).decode(),
    ],
)  # fmt: skip
def test_it_refuses_a_cursor_that_it_did_not_give(api, refused, cursor):
    refused(log(api, cursor=cursor), 400, "invalid_request", "cursor")


@pytest.mark.parametrize("at", [datetime.min, datetime.max])
def test_it_survives_a_cursor_from_the_ends_of_time(api, accept, at):
    accept(subject="one")
    cursor = Cursor(at.replace(tzinfo=UTC), uuid.UUID(int=0))
    assert found(api, cursor=str(cursor)) == ([] if at == datetime.min else ["one"])
