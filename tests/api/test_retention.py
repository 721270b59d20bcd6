"""/v1/workspaces/retention: reading and changing for how long what is kept."""

from maild.db import database as db
from maild.domain.retention import Choice
from maild.services import retention, retention_pruner
from tests.conftest import WORKSPACE_A

PATH = "/v1/workspaces/retention"


def age_all(days):
    db.execute_sql(
        "UPDATE messages SET status = 'cancelled', next_attempt_at = NULL,"
        " created_at = now() - %s * interval '1 day', updated_at = now() - %s * interval '1 day'",
        (days, days),
    )


def test_it_tells_what_is_in_force_and_to_the_instance_the_size(api):
    answer = api("GET", PATH, key="operator").get_json()
    assert answer["in_force"] == answer["default"] == {
        "bodies_days": 30, "messages_days": 90, "webhooks_days": 30, "audit_days": 400,
    }  # fmt: skip
    assert (answer["version"], answer["bodies_days"], answer["updated_at"]) == (0, None, None)
    assert answer["database"]["bytes"] > 0


def test_a_change_is_looked_at_first_and_then_made(api, accept):
    accept()
    age_all(10)
    body = {"version": 0, "bodies_days": 5}
    tried = api("POST", PATH, json={**body, "dry_run": True}).get_json()
    assert {one["subject"]: one["count"] for one in tried["going"]} == {
        "bodies": 1, "messages": 0, "webhooks": 0, "audit": 0,
    }  # fmt: skip
    assert (tried["dry_run"], tried["retention"]["version"]) == (True, 0)
    made = api("POST", PATH, json=body).get_json()
    assert (made["retention"]["version"], made["retention"]["bodies_days"]) == (1, 5)
    assert retention.get(WORKSPACE_A).choice == Choice(bodies=5)


def test_what_is_wrong_is_named_and_a_stale_version_is_a_conflict(api, refused):
    document = refused(
        api("POST", PATH, json={"version": 0, "audit_days": 3}), 422, "invalid_fields"
    )
    assert document["errors"][0]["field"] == "audit_days"
    document = refused(
        api("POST", PATH, json={"version": 0, "messages_days": 20}), 422, "invalid_fields"
    )
    assert {one["field"] for one in document["errors"]} == {"bodies_days", "webhooks_days"}
    refused(api("POST", PATH, json={"version": 3, "bodies_days": 3}), 409, "conflict")
    assert retention.get(WORKSPACE_A).version == 0


def test_content_that_was_removed_is_null_with_the_date(api, accept):
    message = accept()
    age_all(40)
    retention_pruner.prune(seconds=5, rest=lambda seconds: None)
    answer = api("GET", f"/v1/messages/{message.id}", query={"include": "body,events"}).get_json()
    assert answer["body_text"] is None
    assert answer["body_pruned_at"] is not None
    assert answer["body"]["body_html"] is None
    assert answer["events"], "what happened stays"
    body = {"message_ids": [str(message.id)]}
    [outcome] = api("POST", "/v1/messages/resend", json=body).get_json()["outcomes"]
    assert "its content was removed on" in outcome["error"]
