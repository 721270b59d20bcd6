"""GET /v1/analytics/summary: how much happened, step by step and by SMTP account."""

from datetime import timedelta

import pytest

from maild import clock
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.counting import add_rollup, add_tally

PATH = "/v1/analytics/summary"
KINDS = [
    "accepted", "sent", "failed", "suppressed", "deferred", "delivered", "bounced", "complained",
    "expired", "cancelled", "held", "unknown",
]  # fmt: skip


def read(api, *, key="operator", **query):
    response = api("GET", PATH, key=key, query={k.rstrip("_"): v for k, v in query.items()})
    assert response.status_code == 200, response.get_json(force=True)
    return response.get_json()


def test_it_tells_what_happened(api):
    api.submit()
    now = clock.now()
    add_tally(now, 3)
    add_tally(now, 1, kind="failed")
    add_rollup(now, 4, kind="deferred", smtp_account="postmark", stream="marketing")
    answer = read(api)
    assert (answer["workspace_id"], answer["span"]) == (WORKSPACE_A, "24h")
    zero = dict.fromkeys(KINDS, 0)
    assert answer["totals"] == {**zero, "accepted": 1, "sent": 3, "failed": 1, "deferred": 4}
    assert (answer["success_rate"], answer["deferral_rate"]) == (0.75, 0.5)
    assert answer["streams"]["marketing"] == {**zero, "deferred": 4}
    assert answer["accounts"] == [
        {**zero, "sent": 3, "failed": 1, "smtp_account": "ses", "share": 1.0,
         "success_rate": 0.75, "deferral_rate": 0.0},
        {**zero, "deferred": 4, "smtp_account": "postmark", "share": 0.0,
         "success_rate": None, "deferral_rate": 1.0},
    ]  # fmt: skip
    assert (answer["step_seconds"], len(answer["series"])) == (600, 144)
    assert answer["series"][0]["at"] == answer["from"]
    assert sum(step["sent"] for step in answer["series"][-2:]) == 3


def test_it_tells_what_waits(api):
    api.submit()
    add_tally(clock.now(), 30)
    queue = read(api)["queue"]
    assert (queue["due"], queue["later"], queue["sending"]) == (1, 0, 0)
    assert queue["oldest_due_seconds"] >= 0
    assert queue["sent_per_second"] > 0
    assert 0 < queue["drain_seconds"] <= 60


def test_of_nothing_there_is_no_rate(api):
    answer = read(api)
    assert set(answer["totals"].values()) == {0}
    assert (answer["success_rate"], answer["deferral_rate"]) == (None, None)
    assert answer["accounts"] == []
    queue = answer["queue"]
    assert (queue["drain_seconds"], queue["oldest_due_seconds"]) == (0, None)


@pytest.mark.parametrize(
    ("span", "step_seconds", "count"), [("1h", 60, 60), ("24h", 600, 144), ("7d", 3600, 168)]
)
def test_it_looks_back_as_far_as_asked(api, span, step_seconds, count):
    answer = read(api, span=span)
    assert (answer["span"], answer["step_seconds"]) == (span, step_seconds)
    assert len(answer["series"]) == count


def test_it_tells_of_any_time(api):
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    add_rollup(now - timedelta(days=100), 1)
    add_rollup(now - timedelta(days=99, hours=23), 2)
    add_rollup(now - timedelta(days=99, hours=22), 4)
    since, until = now - timedelta(days=100), now - timedelta(days=99, hours=22)
    answer = read(api, from_=text(since), to=text(until))
    assert (answer["span"], answer["step_seconds"], len(answer["series"])) == (None, 60, 120)
    assert answer["totals"]["sent"] == 3
    assert (answer["from"], answer["to"]) == (text(since), text(until))


def test_either_end_may_be_left_out(api):
    now = clock.now()
    week = read(api, from_=text(now - timedelta(days=7)))
    assert (week["step_seconds"], len(week["series"])) == (3600, 169)
    past = read(api, to="2026-01-02T00:00:00Z")
    assert (past["from"], past["to"]) == ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")


def text(at):
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("role", ["admin_a", "operator_a", "viewer_a"])
def test_who_may_read_reads_it(api, request, role):
    assert read(api, key=request.getfixturevalue(role))["workspace_id"] == WORKSPACE_A


def test_a_sender_does_not(api, refused, sender_key_a):
    refused(api("GET", PATH, key=sender_key_a), 403, "forbidden")


def test_nobody_reads_it_without_a_key(api, refused):
    refused(api("GET", PATH, key=None), 401, "unauthenticated")


def test_each_workspace_has_its_own(api, admin_b):
    add_tally(clock.now(), 5)
    answer = read(api, key=admin_b)
    assert (answer["workspace_id"], answer["totals"]["sent"]) == (WORKSPACE_B, 0)
    assert read(api, workspace_id=WORKSPACE_A)["totals"]["sent"] == 5


def test_a_workspace_that_is_not_there_is_not_found(api, refused):
    refused(api("GET", PATH, query={"workspace_id": 999}), 404, "not_found")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"span": "30d"}, "span"),
        ({"span": "24h", "from": "2026-01-01T00:00:00Z"}, "span"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-01-01"}, "to"),
        ({"to": "0001-01-01T00:00:00Z"}, "to"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T00:00:00Z"}, "to"),
        ({"from": "2020-01-02T00:00:00Z", "to": "2026-01-02T00:00:00Z"}, "from"),
        ({"workspace_id": "x"}, "workspace_id"),
        ({"limit": "5"}, "limit"),
    ],
)
def test_it_refuses_bad_questions(api, refused, query, named):
    refused(api("GET", PATH, query=query), 400, "invalid_request", named)


def test_it_is_only_ever_read(api, refused):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        refused(api(method, PATH), 405, "method_not_allowed")
