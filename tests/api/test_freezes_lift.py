"""DELETE /v1/freezes."""

from datetime import UTC, datetime, timedelta

import pytest

from maild.domain.states import Status
from maild.models import AuditEntry, Freeze, Message
from maild.services import freezes


@pytest.fixture
def freeze(database):
    expires_at = datetime.now(UTC) + timedelta(hours=2)
    return freezes.start(1, reason="stolen list", expires_at=expires_at)


def lift(api, **fields):
    return api("DELETE", "/v1/freezes", json={"reason": "mended", **fields}, key="operator")


def test_it_ends_a_freeze_and_lets_go_what_it_held(api, freeze, put, statuses):
    message_id = put("held")
    Message.update(freeze=freeze.id).where(Message.id == message_id).execute()
    response = lift(api, id=freeze.id)
    assert response.status_code == 200
    answer = response.get_json()
    assert answer["lifted_at"].endswith("Z")
    assert (answer["state"], answer["lifted_by"], answer["lift_reason"]) == (
        "ended",
        "operator key",
        "mended",
    )
    assert answer["waiting"] == {"count": 0, "is_more": False}
    assert statuses(message_id) == [Status.QUEUED]


def test_lifting_twice_answers_the_same(api, freeze):
    first = lift(api, id=freeze.id)
    second = lift(api, id=freeze.id, reason="once more")
    assert (second.status_code, second.get_json()) == (200, first.get_json())
    actions = [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]
    assert actions == ["freeze.started", "freeze.lifted"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": None}, "id"),
        ({"id": "1"}, "id"),
        ({"reason": None}, "reason"),
        ({"reason": ""}, "reason"),
        ({"reason": "a\rb"}, "reason"),
        ({"kind": "workspace"}, "kind"),
    ],
)
def test_it_refuses_what_is_wrong(api, refused, freeze, fields, named):
    refused(lift(api, **{"id": freeze.id, **fields}), 422, "invalid_fields", named)
    assert Freeze.get_by_id(freeze.id).lifted_at is None


def test_another_workspaces_is_not_found(api, refused, freeze):
    refused(lift(api, id=freeze.id, workspace_id=2), 404, "not_found")
    refused(lift(api, id=freeze.id + 1), 404, "not_found")
    assert Freeze.get_by_id(freeze.id).lifted_at is None
