"""GET /v1/freezes."""

from datetime import UTC, datetime, timedelta

import pytest

from maild.domain.freeze import FreezeKind
from maild.models import Freeze
from maild.services import freezes


def start(target, workspace_id=1):
    return freezes.start(
        workspace_id,
        kind=FreezeKind.RECIPIENT_DOMAIN,
        target=target,
        reason="they ask us to slow down",
        expires_at=datetime.now(UTC) + timedelta(hours=2),
    )


def listed(api, **query):
    response = api("GET", "/v1/freezes", query=query, key="operator")
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()


def targets(answer):
    return [freeze["target"] for freeze in answer["freezes"]]


def test_it_lists_what_is_in_force(api, accept):
    start("example.org")
    freezes.lift(start("example.net"))
    start("theirs.example", workspace_id=2)
    accept(to_email="ann@example.org")
    answer = listed(api)
    assert (answer["workspace_id"], answer["count"], answer["next_cursor"]) == (1, 1, None)
    [freeze] = answer["freezes"]
    assert freeze["target"] == "example.org"
    assert freeze["reason"] == "they ask us to slow down"
    assert freeze["waiting"] == {"count": 1, "is_more": False}
    assert freeze["drain_estimate_seconds"] is None
    assert freeze["drain_note"]


def test_it_lists_what_is_over_too(api):
    for name in ("a", "b", "c"):
        start(f"{name}.example")
    lifted, ended, _ = Freeze.select().order_by(Freeze.id)
    freezes.lift(lifted)
    past = datetime.now(UTC) - timedelta(seconds=1)
    Freeze.update(expires_at=past).where(Freeze.id == ended.id).execute()
    assert targets(listed(api, state="in_force")) == ["c.example"]
    answer = listed(api, state="ended")
    assert targets(answer) == ["b.example", "a.example"]
    assert {freeze["state"] for freeze in answer["freezes"]} == {"ended"}
    assert targets(listed(api, state="all")) == ["c.example", "b.example", "a.example"]


def test_it_goes_on_after_a_page(api):
    for number in range(5):
        start(f"{number}.example")
    seen, query = [], {"limit": "2"}
    while True:
        answer = listed(api, **query)
        seen += targets(answer)
        if answer["next_cursor"] is None:
            break
        query["cursor"] = answer["next_cursor"]
    assert seen == [f"{number}.example" for number in (4, 3, 2, 1, 0)]


def test_a_cursor_of_another_workspace_shows_nothing_of_it(api):
    start("ours.example")
    for number in range(3):
        start(f"{number}.example", workspace_id=2)
    cursor = listed(api, workspace_id="2", limit="1")["next_cursor"]
    assert targets(listed(api, cursor=cursor)) == ["ours.example"]


@pytest.mark.parametrize(
    "query",
    [
        {"state": "over"},
        {"limit": "0"},
        {"limit": "101"},
        {"cursor": "nonsense"},
        {"cursor": "AAAA"},
        {"kind": "workspace"},
    ],
)
def test_it_refuses_a_bad_query(api, refused, database, query):
    refused(api("GET", "/v1/freezes", query=query), 400, "invalid_request", *query)


def test_the_list_of_accounts_says_frozen(api, database):
    freeze = freezes.start(
        1,
        kind=FreezeKind.SMTP_ACCOUNT,
        target="default",
        reason="its reputation",
        expires_at=datetime.now(UTC) + timedelta(hours=2),
    )
    [account] = api("GET", "/v1/smtp-accounts/list").get_json()["accounts"]
    assert account["health"] == "frozen"
    assert account["freeze"].pop("expires_at").endswith("Z")
    assert account["freeze"] == {"id": freeze.id, "reason": "its reputation"}
    [theirs] = api("GET", "/v1/smtp-accounts/list", query={"workspace_id": 2}).get_json()[
        "accounts"
    ]
    assert (theirs["health"], theirs["freeze"]) == ("healthy", None)
