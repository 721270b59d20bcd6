"""POST /v1/freezes/extend."""

from datetime import UTC, datetime, timedelta

import pytest

from maild.models import Freeze
from maild.services import freezes


def ahead(**spans):
    return datetime.now(UTC) + timedelta(**spans)


@pytest.fixture
def freeze(database):
    return freezes.start(1, reason="stolen list", expires_at=ahead(hours=2))


def extend(api, **fields):
    body = {"reason": "not mended yet", "expires_at": ahead(days=2).isoformat(), **fields}
    return api("POST", "/v1/freezes/extend", json=body, key="operator")


def test_it_lets_a_freeze_last_longer(api, freeze):
    response = extend(api, id=freeze.id)
    assert response.status_code == 200
    answer = response.get_json()
    assert (answer["id"], answer["state"], answer["reason"]) == (
        freeze.id,
        "in_force",
        "stolen list",
    )
    assert datetime.fromisoformat(answer["expires_at"]) > freeze.expires_at


def test_it_does_not_make_it_shorter(api, refused, freeze):
    sooner = ahead(hours=1).isoformat()
    document = refused(
        extend(api, id=freeze.id, expires_at=sooner), 422, "invalid_fields", "expires_at"
    )
    assert "lift it" in document["detail"]


def test_it_does_not_revive_what_is_over(api, refused, freeze):
    freezes.lift(freeze)
    refused(extend(api, id=freeze.id), 409, "conflict")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": 0}, "id"),
        ({"id": "1"}, "id"),
        ({"id": 2**31}, "id"),
        ({"reason": None}, "reason"),
        ({"reason": " "}, "reason"),
        ({"expires_at": None}, "expires_at"),
        ({"expires_at": "9999-01-01T00:00:00Z"}, "expires_at"),
        ({"kind": "workspace"}, "kind"),
    ],
)
def test_it_refuses_what_is_wrong(api, refused, freeze, fields, named):
    refused(extend(api, **{"id": freeze.id, **fields}), 422, "invalid_fields", named)
    assert Freeze.get_by_id(freeze.id).expires_at == freeze.expires_at


def test_another_workspaces_is_not_found(api, refused, freeze):
    refused(extend(api, id=freeze.id, workspace_id=2), 404, "not_found")
    refused(extend(api, id=freeze.id + 1), 404, "not_found")
    assert Freeze.get_by_id(freeze.id).expires_at == freeze.expires_at
