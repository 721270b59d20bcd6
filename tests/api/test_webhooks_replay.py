"""POST /v1/webhooks/replay."""

import pytest

from maild.models import Suppression
from maild.transports.webhooks import generic
from tests.services.reporting import report

PATH = "/v1/webhooks/replay"
UNKNOWN = {"type": "returned_to_sender", "email": "ann@example.org"}


@pytest.fixture
def dead(database, monkeypatch):
    """The id of a dead letter that today's code can read."""
    [event] = report(UNKNOWN)
    meaning = generic._MEANINGS["hardbounce"]
    monkeypatch.setitem(generic._MEANINGS, "returnedtosender", meaning)
    return event.id


def test_a_dry_run_tells_what_would_happen(api, dead):
    response = api("POST", PATH, key="operator", json={"event_ids": [dead], "dry_run": True})
    assert response.status_code == 200
    answer = response.get_json()
    [outcome] = answer.pop("outcomes")
    assert answer == {
        "workspace_id": 1,
        "requested": 1,
        "replayed": 1,
        "failed": 0,
        "skipped": 0,
        "duplicate": 0,
        "waiting": 0,
        "replay_source": "ids",
        "dry_run": True,
        "effects": {"suppressions_added": 1, "unreadable": 0},
    }
    assert (outcome["event_id"], outcome["status"], outcome["error"]) == (
        str(dead), "replayed", None,
    )  # fmt: skip
    assert outcome["effects"][0]["suppressed_email"] == "ann@example.org"
    assert not Suppression.select().exists()


@pytest.mark.parametrize("as_text", [False, True])
def test_a_replay_does_it(api, dead, as_text):
    ids = [str(dead) if as_text else dead]
    answer = api("POST", PATH, json={"event_ids": ids}).get_json()
    assert (answer["replayed"], answer["dry_run"]) == (1, False)
    assert Suppression.get().email == "ann@example.org"
    again = api("POST", PATH, json={"event_ids": ids}).get_json()
    assert (again["replayed"], again["skipped"]) == (0, 1)


def test_the_newest_are_replayed_by_a_limit(api, dead):
    answer = api("POST", PATH, json={"limit": 10}).get_json()
    assert (answer["replay_source"], answer["requested"], answer["replayed"]) == ("latest", 1, 1)


def test_it_tells_what_is_not_there(api, database):
    answer = api("POST", PATH, json={"event_ids": ["12345", "x"]}).get_json()
    assert (answer["failed"], answer["replayed"]) == (2, 0)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"event_ids": []}, {"event_ids": [1], "limit": 1}, {"event_ids": "1"}, {"limit": 0},
        {"limit": "1"}, {"event_ids": [1], "dry_run": "yes"}, {"event_ids": [True]},
        {"event_ids": [-1]}, {"event_ids": [1] * 501}, {"all": True},
    ],
)  # fmt: skip
def test_it_refuses_what_it_does_not_understand(api, refused, body):
    refused(api("POST", PATH, json=body), 422, "invalid_fields")
