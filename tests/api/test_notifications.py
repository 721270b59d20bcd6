"""/v1/notification-channels and /v1/notifications."""

# ruff: noqa: F401, F811 - the server is a fixture of `noticing`

import copy
import json

import jsonschema
import pytest

from maild.api import openapi
from maild.models import NotificationChannel
from maild.services import notification_channels, notification_loop
from tests.services.noticing import add_channel, hook, open_incident

CHANNELS, TOLD = "/v1/notification-channels", "/v1/notifications"
WEBHOOK = {"name": "Pager", "kind": "webhook", "target": "https://hooks.example.com/T0/secretpart"}


def test_it_adds_lists_and_deletes(api):
    added = api("POST", CHANNELS, key="admin", json=WEBHOOK)
    assert added.status_code == 201
    answer = added.get_json()
    assert answer["signing_secret"].startswith("whsec_")
    assert answer["target"] == "https://hooks.example.com/…part"
    assert answer["occasions"] == ["opened", "escalated", "resolved", "reopened"]
    listed = api("GET", CHANNELS, key="admin")
    assert "secretpart" not in listed.text
    assert "signing_secret" not in listed.text
    [channel] = listed.get_json()["channels"]
    assert (channel["name"], channel["min_severity"]) == ("Pager", "major")
    gone = api("DELETE", CHANNELS, key="admin", json={"id": channel["id"]})
    assert gone.get_json() == {"workspace_id": 1, "id": channel["id"], "status": "deleted"}
    assert NotificationChannel.select().count() == 0


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"target": "https://10.0.0.1/"}, "target"),
        ({"target": "https://h.example/\r\nX: y"}, "target"),
        ({"target": "https://h.example/\0"}, "target"),
        ({"kind": "email", "target": "ann@a.example\0"}, "target"),
        ({"kind": "email", "target": "a" * 5_000}, "target"),
        ({"kind": "pigeon"}, "kind"),
        ({"occasions": []}, "occasions"),
        ({"name": "a\nb"}, "name"),
        ({"min_severity": "bad"}, "min_severity"),
    ],
)
def test_it_refuses_bad_fields(api, refused, database, fields, named):
    refused(api("POST", CHANNELS, key="admin", json={**WEBHOOK, **fields}), 422, *[
        "invalid_fields", named,
    ])  # fmt: skip


def test_a_second_of_a_name_and_too_many_are_refused(api, refused, database, monkeypatch):
    add_channel("https://hooks.example.com/x")
    refused(api("POST", CHANNELS, key="admin", json=WEBHOOK), 409, "conflict")
    monkeypatch.setattr(notification_channels, "CHANNELS_MAX", 1)
    body = {**WEBHOOK, "name": "Other"}
    refused(api("POST", CHANNELS, key="admin", json=body), 409, "conflict")


def test_a_test_is_sent_and_its_outcome_listed(api, hook, database):
    row, _ = add_channel(hook.url)
    queued = api("POST", f"{CHANNELS}/test", key="admin", json={"id": row.id})
    assert queued.status_code == 202
    assert (queued.get_json()["occasion"], queued.get_json()["status"]) == ("test", "waiting")
    incident = open_incident()
    while notification_loop.drain():
        pass
    page = api("GET", TOLD, key="admin", query={"limit": 1}).get_json()
    [told] = page["notifications"]
    assert (told["incident_id"], told["status"], told["code"]) == (incident.id, "sent", 200)
    older = api("GET", TOLD, key="admin", query={"cursor": page["next_cursor"]}).get_json()
    assert [one["occasion"] for one in older["notifications"]] == ["test"]
    assert older["next_cursor"] is None


def test_readers_read_and_only_admins_change(api, refused, viewer_a, operator_a):
    row, _ = add_channel("https://hooks.example.com/x")
    assert api("GET", CHANNELS, key=viewer_a).status_code == 200
    assert api("GET", TOLD, key=viewer_a).status_code == 200
    refused(api("POST", CHANNELS, key=operator_a, json=WEBHOOK), 403, "forbidden")
    refused(api("DELETE", CHANNELS, key=operator_a, json={"id": row.id}), 403, "forbidden")
    refused(api("POST", f"{CHANNELS}/test", key=operator_a, json={"id": row.id}), 403, "forbidden")


def test_what_a_webhook_is_sent_is_as_the_document_says(database, hook):
    components = copy.deepcopy(openapi.document()["components"])
    for name in ("Notice", "NoticeData"):
        components["schemas"][name]["additionalProperties"] = False
    add_channel(hook.url)
    open_incident(smtp_account="main", recipient_domain="google")
    notification_loop.drain()
    [(_, headers, body)] = hook.requests
    schema = {"$ref": "#/components/schemas/Notice", "components": components}
    jsonschema.Draft202012Validator(schema).validate(json.loads(body))
    operation = openapi.document()["webhooks"]["notification"]["post"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert names <= {name.lower() for name in headers}
