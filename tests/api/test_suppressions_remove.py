"""DELETE /v1/suppressions."""

import pytest

from maild.domain.states import Status, Stream
from maild.models import AuditEntry, Message
from maild.services import suppressions
from tests.services.helpers import is_suppressed

PATH = "/v1/suppressions"


def add(email="ann@example.org", **fields):
    return suppressions.add(1, email, reason="no such user", source="test", **fields)


def test_it_removes_one_and_what_it_held_back_can_be_sent(api, accept, statuses):
    row = add()
    message = accept()
    Message.update(status=Status.SUPPRESSED, next_attempt_at=None, suppression=row.id).where(
        Message.id == message.id
    ).execute()
    response = api("DELETE", PATH, json={"email": "Ann@example.org", "reason": "it works"})
    assert response.status_code == 200
    answer = response.get_json()
    expected = {
        "id": row.id,
        "workspace_id": 1,
        "email": "ann@example.org",
        "status": "removed",
        "state": "removed",
        "reason": "no such user",
        "removed_by": "admin key",
        "removal_reason": "it works",
        "blocked_count": 1,
        "has_more_blocked": False,
        "blocked_ids": [str(message.id)],
        "remaining": [],
    }
    assert expected.items() <= answer.items()
    assert answer["removed_at"] is not None
    entry = AuditEntry.get()
    assert (entry.action, entry.before["reason"]) == ("suppression.removed", "no such user")

    resent = api("POST", "/v1/messages/resend", json={"message_ids": answer["blocked_ids"]})
    [outcome] = resent.get_json()["outcomes"]
    assert statuses(str(message.id), outcome["new_message_id"]) == ["suppressed", "queued"]


def test_it_tells_what_remains(api):
    add()
    add(stream=Stream.MARKETING)
    answer = api("DELETE", PATH, json={"email": "ann@example.org", "reason": "r"}).get_json()
    assert [row["stream"] for row in answer["remaining"]] == ["marketing"]
    body = {"email": "ann@example.org", "stream": "marketing", "reason": "r"}
    assert api("DELETE", PATH, json=body).get_json()["remaining"] == []


def test_it_finds_nothing_where_none_is_in_force(api, refused):
    body = {"email": "ann@example.org", "reason": "r"}
    refused(api("DELETE", PATH, json=body), 404, "not_found")
    add()
    refused(api("DELETE", PATH, json={**body, "workspace_id": 2}), 404, "not_found")
    refused(api("DELETE", PATH, json={**body, "stream": "marketing"}), 404, "not_found")
    assert api("DELETE", PATH, json=body).status_code == 200
    refused(api("DELETE", PATH, json=body), 404, "not_found")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "ann"}, "email"),
        ({"reason": None}, "reason"),
        ({"reason": ""}, "reason"),
        ({"reason": "a\nb"}, "reason"),
        ({"stream": "fax"}, "stream"),
        ({"id": 1}, "id"),
    ],
)
def test_it_names_what_it_does_not_take(api, refused, changes, field):
    add()
    body = {"email": "ann@example.org", "reason": "r", **changes}
    refused(api("DELETE", PATH, json=body), 422, "invalid_fields", field)
    assert is_suppressed(1, "ann@example.org", Stream.MARKETING)
