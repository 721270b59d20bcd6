"""GET /v1/analytics/export.csv: the same as a file."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from maild import clock
from tests.conftest import WORKSPACE_B
from tests.services.counting import add_rollup, add_tally

PATH = "/v1/analytics/export.csv"
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
MARCH = {"from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}


def rows(response):
    assert response.status_code == 200, response.get_data(as_text=True)
    return list(csv.DictReader(io.StringIO(response.get_data(as_text=True), newline="")))


def test_it_gives_a_file(api):
    add_rollup(AT, 3)
    add_rollup(AT + timedelta(minutes=5), 4, kind="failed")
    add_rollup(AT + timedelta(days=2), 5, smtp_account="", kind="accepted", stream="marketing")
    response = api("GET", PATH, query=MARCH)
    assert response.mimetype == "text/csv"
    assert response.mimetype_params["charset"] == "utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="analytics.csv"'
    assert response.is_streamed
    first, second = rows(response)
    assert first == {
        "at": "2026-03-01T12:00:00Z", "stream": "transactional", "smtp_account": "ses",
        "accepted": "0", "sent": "3", "failed": "4", "suppressed": "0", "deferred": "0",
        "delivered": "0", "bounced": "0", "complained": "0", "expired": "0", "cancelled": "0",
        "held": "0", "unknown": "0",
    }  # fmt: skip
    assert (second["at"], second["stream"]) == ("2026-03-03T12:00:00Z", "marketing")
    assert (second["smtp_account"], second["accepted"]) == ("", "5")


def test_an_empty_one_has_its_header(api):
    response = api("GET", PATH)
    assert rows(response) == []
    assert response.get_data(as_text=True).startswith("at,stream,smtp_account,accepted,sent,")


def test_it_is_about_the_last_seven_days_unless_told(api):
    now = clock.now()
    add_tally(now, 1)
    add_rollup(now - timedelta(days=6, hours=23), 2)
    add_rollup(now - timedelta(days=8), 4)
    assert [row["sent"] for row in rows(api("GET", PATH))] == ["2", "1"]


@pytest.mark.parametrize(
    ("step", "at"), [("minute", "T12:30:00Z"), ("hour", "T12:00:00Z"), ("day", "T00:00:00Z")]
)
def test_a_line_is_about_the_step_that_is_asked_for(api, step, at):
    yesterday = clock.now() - timedelta(days=1)
    add_rollup(yesterday.replace(hour=12, minute=30), 3)
    [row] = rows(api("GET", PATH, query={"step": step}))
    assert row["at"] == f"{yesterday:%Y-%m-%d}{at}"


def test_what_is_old_is_told_by_the_hour(api):
    add_rollup(AT, 3)
    [row] = rows(api("GET", PATH, query={**MARCH, "step": "minute"}))
    assert row["at"] == "2026-03-01T12:00:00Z"


@pytest.mark.proves("security-csv")
@pytest.mark.parametrize("name", ["=1+1", "+1+1", "@A1", "|x", "＝1", "-cmd"])
def test_no_cell_is_a_formula(api, name):
    add_rollup(AT, 3, smtp_account=name)
    [row] = rows(api("GET", PATH, query=MARCH))
    assert row["smtp_account"].startswith("'"), row


def test_many_come_in_portions(api, monkeypatch):
    for days in range(30):
        add_rollup(AT + timedelta(days=days), days + 1)
    monkeypatch.setattr("maild.api.analytics.PORTION_CHARS", 200)
    found = [int(row["sent"]) for row in rows(api("GET", PATH, query=MARCH))]
    assert found == list(range(1, 31))


@pytest.mark.parametrize("role", ["admin_a", "operator_a", "viewer_a"])
def test_who_may_read_reads_it(api, request, role):
    assert rows(api("GET", PATH, key=request.getfixturevalue(role))) == []


def test_a_sender_does_not(api, refused, sender_key_a):
    refused(api("GET", PATH, key=sender_key_a), 403, "forbidden")


def test_nobody_reads_it_without_a_key(api, refused):
    refused(api("GET", PATH, key=None), 401, "unauthenticated")


def test_each_workspace_has_its_own(api, admin_b):
    add_rollup(AT, 3)
    assert rows(api("GET", PATH, key=admin_b, query=MARCH)) == []
    add_rollup(AT, 4, workspace=WORKSPACE_B)
    assert [row["sent"] for row in rows(api("GET", PATH, key=admin_b, query=MARCH))] == ["4"]


def test_a_workspace_that_is_not_there_is_not_found(api, refused):
    refused(api("GET", PATH, query={"workspace_id": 999}), 404, "not_found")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"step": "second"}, "step"),
        ({"from": "yesterday"}, "from"),
        ({"to": "0001-01-01T00:00:00Z"}, "to"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "to"),
        ({"from": "2020-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from"),
        ({"span": "1h"}, "span"),
    ],
)
def test_it_refuses_bad_questions(api, refused, query, named):
    refused(api("GET", PATH, query=query), 400, "invalid_request", named)


def test_it_is_only_ever_read(api, refused):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        refused(api(method, PATH), 405, "method_not_allowed")


def test_it_is_described_as_a_file(client):
    document = client.get("/v1/openapi.json").get_json()
    content = document["paths"][PATH]["get"]["responses"]["200"]["content"]
    assert content.keys() == {"text/csv"}
    assert content["text/csv"]["schema"] == {"type": "string"}
