"""GET /v1/billing/metering: how much happened on each day."""

from datetime import UTC, datetime, timedelta

import pytest

from maild import clock
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.counting import add_rollup, add_tally

PATH = "/v1/billing/metering"
MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


def read(api, *, key="operator", **query):
    response = api("GET", PATH, key=key, query=query)
    assert response.status_code == 200, response.get_json(force=True)
    return response.get_json()


def test_it_meters_each_day(api):
    add_rollup(datetime(2026, 3, 1, 0, 0, tzinfo=UTC), 1)
    add_rollup(datetime(2026, 3, 31, 23, 59, tzinfo=UTC), 2)
    add_rollup(datetime(2026, 3, 31, 23, 0, tzinfo=UTC), 4, kind="accepted")
    add_rollup(datetime(2026, 4, 1, 0, 0, tzinfo=UTC), 8)
    answer = read(api, **MARCH)
    assert {name: answer[name] for name in ("workspace_id", "from", "to")} == {
        "workspace_id": WORKSPACE_A, **MARCH,
    }  # fmt: skip
    assert [day["day"] for day in answer["days"]] == [f"2026-03-{n:02}" for n in range(1, 32)]
    assert answer["days"][0] == {
        "day": "2026-03-01", "accepted": 0, "sent": 1, "failed": 0, "suppressed": 0, "deferred": 0,
        "delivered": 0, "bounced": 0, "complained": 0, "expired": 0, "cancelled": 0, "held": 0,
        "unknown": 0,
    }  # fmt: skip
    last = answer["days"][-1]
    assert (last["sent"], last["accepted"]) == (2, 4)
    assert (answer["totals"]["sent"], answer["totals"]["accepted"]) == (3, 4)


def test_it_counts_what_is_accepted_at_once(api):
    api.submit()
    answer = read(api)
    assert answer["days"][-1]["accepted"] == answer["totals"]["accepted"] == 1


def test_it_is_about_this_month_unless_told(api):
    today = clock.now().date()
    answer = read(api)
    assert (answer["from"], answer["to"]) == (f"{today:%Y-%m}-01", f"{today}")
    earlier = f"{today - timedelta(days=3)}"
    assert len(read(api, **{"from": earlier})["days"]) == 4


def test_a_time_means_its_day_in_utc(api):
    answer = read(api, **{"from": "2026-03-01T23:30:00-02:00", "to": "2026-03-03T00:00:00Z"})
    assert (answer["from"], answer["to"]) == ("2026-03-02", "2026-03-03")


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
    assert read(api)["totals"]["sent"] == 5


def test_a_workspace_that_is_not_there_is_not_found(api, refused):
    refused(api("GET", PATH, query={"workspace_id": 999}), 404, "not_found")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"from": "March"}, "from"),
        ({"from": "2026-02-30"}, "from"),
        ({"to": "5"}, "to"),
        ({"to": "2026-01-01T00:00:00"}, "to"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "to"),
        ({"from": "2024-01-01", "to": "2026-01-01"}, "from"),
        ({"from": "9999-12-31", "to": "9999-12-31"}, "to"),
        ({"from": "0001-01-01"}, "from"),
        ({"day": "2026-01-01"}, "day"),
    ],
)
def test_it_refuses_bad_questions(api, refused, query, named):
    refused(api("GET", PATH, query=query), 400, "invalid_request", named)


def test_it_is_only_ever_read(api, refused):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        refused(api(method, PATH), 405, "method_not_allowed")
