"""POST /v1/freezes."""

from datetime import UTC, datetime, timedelta

import pytest

from maild.models import AuditEntry, Freeze


def ahead(**spans):
    return (datetime.now(UTC) + timedelta(**spans)).isoformat()


def start(api, *, key="operator", **fields):
    body = {"kind": "workspace", "reason": "stolen list", "expires_at": ahead(hours=2), **fields}
    body = {name: value for name, value in body.items() if value is not ...}
    return api("POST", "/v1/freezes", json=body, key=key)


def test_it_starts_a_freeze(api, accept):
    accept()
    response = start(api)
    assert response.status_code == 201
    answer = response.get_json()
    [row] = Freeze.select()
    note = answer.pop("drain_note")
    assert answer.pop("created_at").endswith("Z")
    assert answer.pop("expires_at").endswith("Z")
    assert answer == {
        "workspace_id": 1,
        "id": row.id,
        "kind": "workspace",
        "target": None,
        "state": "in_force",
        "reason": "stolen list",
        "created_by": "operator key",
        "lifted_at": None,
        "lifted_by": None,
        "lift_reason": None,
        "waiting": {"count": 1, "is_more": False},
        "drain_estimate_seconds": None,
    }
    assert "nobody knows how fast" in note
    [entry] = AuditEntry.select()
    assert (entry.actor, entry.actor_ip, entry.action) == (
        "operator key",
        "127.0.0.1",
        "freeze.started",
    )
    assert entry.request_id == response.headers["X-Request-ID"]


def test_it_shows_the_target_in_normal_form(api):
    answer = start(api, kind="recipient_domain", target="BÜCHER.Example").get_json()
    assert (answer["kind"], answer["target"]) == ("recipient_domain", "bücher.example")
    assert answer["waiting"] == {"count": 0, "is_more": False}
    assert answer["drain_estimate_seconds"] == 0


def test_the_same_twice_is_a_conflict(api, refused):
    first = start(api, kind="stream", target="marketing").get_json()
    document = refused(start(api, kind="stream", target="marketing"), 409, "conflict")
    assert f"the freeze {first['id']}" in document["detail"]
    assert start(api, kind="stream", target="marketing", workspace_id=2).status_code == 201


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"kind": "everything"}, "kind"),
        ({"kind": ...}, "kind"),
        ({"kind": "stream"}, "target"),
        ({"kind": "stream", "target": 7}, "target"),
        ({"kind": "stream", "target": "urgent"}, "target"),
        ({"target": "marketing"}, "target"),
        ({"kind": "api_key", "target": "mk_1"}, "target"),
        ({"kind": "from_email", "target": "nobody"}, "target"),
        ({"kind": "recipient_domain", "target": "a@example.com"}, "target"),
        ({"kind": "recipient_domain", "target": "a\0.example"}, "target"),
        ({"reason": ...}, "reason"),
        ({"reason": ""}, "reason"),
        ({"reason": "a\nb"}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"expires_at": ...}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"until": "tomorrow"}, "until"),
    ],
)
def test_it_refuses_what_is_wrong(api, refused, fields, named):
    refused(start(api, **fields), 422, "invalid_fields", named)
    assert Freeze.select().count() == 0
    assert AuditEntry.select().count() == 0


@pytest.mark.parametrize(("kind", "target"), [("smtp_account", "theirs"), ("api_key", "1")])
def test_it_answers_404_for_a_target_that_the_workspace_does_not_have(api, refused, kind, target):
    refused(start(api, kind=kind, target=target), 404, "not_found")
    assert Freeze.select().count() == 0
