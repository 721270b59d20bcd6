"""POST /v1/suppressions."""

import pytest

from maild.models import AuditEntry, Suppression
from tests.services.helpers import take

PATH = "/v1/suppressions"


def test_it_suppresses_an_address(api):
    response = api("POST", PATH, json={"email": "Ann@Example.org", "reason": "she asked"})
    assert response.status_code == 201
    answer = response.get_json()
    row = Suppression.get()
    assert answer.pop("created_at")
    assert answer == {
        "id": row.id,
        "workspace_id": 1,
        "email": "ann@example.org",
        "reason": "she asked",
        "status": "suppressed",
        "class": "manual",
        "stream": None,
        "source": "api",
        "message_id": None,
        "created_by": "admin key",
        "expires_at": None,
        "state": "in_force",
        "removed_at": None,
        "removed_by": None,
        "removal_reason": None,
    }
    entry = AuditEntry.get()
    assert (entry.actor, entry.actor_ip) == ("admin key", "127.0.0.1")


def test_it_takes_all_that_can_be_said(api):
    body = {
        "email": "ann@example.org",
        "reason": "on leave",
        "class": "complaint",
        "stream": "marketing",
        "expires_at": "2090-01-01T00:00:00Z",
        "workspace_id": 2,
    }
    answer = api("POST", PATH, json=body).get_json()
    assert body.items() <= answer.items()


def test_it_answers_with_the_one_that_is_there(api):
    first = api("POST", PATH, json={"email": "ann@example.org", "reason": "a"}).get_json()
    second = api("POST", PATH, json={"email": "ANN@example.org", "reason": "b"})
    assert second.status_code == 201
    assert second.get_json() == first
    assert Suppression.select().count() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": None}, "email"),
        ({"email": "ann"}, "email"),
        ({"email": 7}, "email"),
        ({"email": "a@example.org\nb@example.org"}, "email"),
        ({"reason": None}, "reason"),
        ({"reason": " "}, "reason"),
        ({"reason": "a\r\nb"}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"class": "rubbish"}, "class"),
        ({"class_": "manual"}, "class_"),
        ({"stream": "fax"}, "stream"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2090-01-01"}, "expires_at"),
        ({"expires_at": 1}, "expires_at"),
        ({"until": "x"}, "until"),
    ],
)
def test_it_names_what_it_does_not_take(api, refused, changes, field):
    body = {"email": "ann@example.org", "reason": "r", **changes}
    refused(api("POST", PATH, json=body), 422, "invalid_fields", field)
    assert Suppression.select().count() == AuditEntry.select().count() == 0


@pytest.mark.proves("decide-suppressed")
def test_mail_to_it_stays_here(api, accept, lease):
    accept()
    api("POST", PATH, json={"email": "ann@example.org", "reason": "r"})
    assert take(lease) == []
