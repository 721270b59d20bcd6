"""POST /v1/messages/validate: what would become of a message, and why."""

from datetime import UTC, datetime, timedelta

import pytest
import redis

from maild.domain.actor import SYSTEM
from maild.domain.freeze import FreezeKind
from maild.domain.states import Stream
from maild.models import IdempotencyKey, LimitTally, Message
from maild.services import api_keys, freezes, policies, suppressions, unsubscribes
from tests.api.conftest import MESSAGE
from tests.conftest import WORKSPACE_A, WORKSPACE_B

CHECKS = [
    "from_domain", "recipient_domain", "suppression", "unsubscribe", "freeze", "workspace_limit",
    "domain_limit", "provider",
]  # fmt: skip


@pytest.fixture
def ask(api):
    """Call to ask of a good message, with fields on top; returns the response."""

    def validate(*, key="operator", headers=None, **fields):
        body = {k: v for k, v in {**MESSAGE, **fields}.items() if v is not ...}
        return api("POST", "/v1/messages/validate", json=body, key=key, headers=headers)

    return validate


@pytest.fixture
def verdict(ask):
    """Call to ask of a message to one; returns the verdict, the checks, and when it could go."""

    def validate(**fields):
        response = ask(**fields)
        assert response.status_code == 200, response.get_data(as_text=True)
        answer = response.get_json()
        [one] = answer["recipients"]
        assert one["decision"]["verdict"] == answer["verdict"]
        return answer, {check["check"]: check for check in one["decision"]["checks"]}

    return validate


def policy(**changes):
    policies.save(WORKSPACE_A, changes=changes, by=SYSTEM)


def freeze(kind=FreezeKind.WORKSPACE, target=None, *, hours=1):
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)
    return freezes.start(
        WORKSPACE_A, kind=kind, target=target, reason="look", expires_at=end, by=SYSTEM
    )


def test_what_nothing_stops_passes(ask):
    policy(rate_limit_workspace_per_hour=10, rate_limit_domain_per_hour=5)
    answer = ask().get_json()
    assert (answer["workspace_id"], answer["verdict"], answer["code"]) == (1, "pass", None)
    [one] = answer["recipients"]
    assert one["to_email"] == "ann@example.org"
    assert abs(datetime.fromisoformat(one["send_at"]) - datetime.now(UTC)) < timedelta(minutes=5)
    decision = one["decision"]
    assert (decision["at"], decision["stage"], decision["attempt_no"]) == (None, "accept", None)
    assert (decision["policy_version"], decision["verdict"]) == (1, "pass")
    assert decision["checks"] == [
        {"check": "from_domain", "verdict": "pass", "value": "example.com"},
        {"check": "recipient_domain", "verdict": "pass", "value": "example.org"},
        {"check": "suppression", "verdict": "pass"},
        {"check": "unsubscribe", "verdict": "pass"},
        {"check": "freeze", "verdict": "pass"},
        {"check": "workspace_limit", "verdict": "pass", "value": 1, "limit": 10},
        {"check": "domain_limit", "verdict": "pass", "value": 1, "limit": 5},
        {
            "check": "provider",
            "verdict": "pass",
            "smtp_account": "default",
            "route": "first_choice",
        },
    ]


def test_a_scheduled_message_passes_at_its_time(verdict):
    at = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    answer, _ = verdict(scheduled_at=at.isoformat())
    assert answer["verdict"] == "pass"
    assert datetime.fromisoformat(answer["recipients"][0]["send_at"]) == at


# wait


def test_over_a_limit_that_defers_it_waits_until_there_is_room(api, verdict):
    policy(rate_limit_workspace_per_hour=1, on_limit="defer")
    api.submit()
    answer, checks = verdict()
    assert (answer["verdict"], answer["code"]) == ("wait", None)
    said = checks["workspace_limit"]
    assert (said["verdict"], said["limit"], said["value"]) == ("wait", 1, 1)
    assert answer["recipients"][0]["send_at"] == said["free_at"]
    assert api.submit().get_json()["next_attempt_at"] == said["free_at"], "as it then does"


def test_frozen_mail_waits_until_the_freeze_ends(api, verdict):
    frozen = freeze()
    answer, checks = verdict()
    assert (answer["verdict"], answer["code"]) == ("wait", None)
    until = frozen.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert checks["freeze"] == {
        "check": "freeze",
        "verdict": "wait",
        "freeze_id": frozen.id,
        "kind": "workspace",
        "reason": "look",
        "until": until,
    }
    assert list(checks)[-1] == "provider", "what comes after it is looked at"
    assert answer["recipients"][0]["send_at"] == until
    assert api.submit().get_json()["status"] == "queued"


@pytest.mark.proves("decide-freeze")
@pytest.mark.parametrize(
    ("kind", "target", "fields"),
    [
        (FreezeKind.STREAM, "marketing", {"stream": "marketing"}),
        (FreezeKind.FROM_EMAIL, "shop@example.com", {"from_email": "Shop@Example.com"}),
        (FreezeKind.RECIPIENT_DOMAIN, "bücher.example", {"to_email": "a@xn--bcher-kva.example"}),
    ],
)
def test_a_freeze_stops_what_it_names_and_no_other(verdict, kind, target, fields):
    freeze(kind, target)
    answer, checks = verdict(**fields)
    assert (answer["verdict"], checks["freeze"]["kind"]) == ("wait", kind)
    assert verdict()[0]["verdict"] == ("wait" if kind is FreezeKind.FROM_EMAIL else "pass")
    assert verdict(from_email="other@example.com")[0]["verdict"] == "pass"


def test_a_freeze_of_a_key_stops_what_comes_with_it(verdict, make_key):
    key, other = make_key("sender", name="one"), make_key("sender", name="two")
    frozen = next(row for row in api_keys.list_page(WORKSPACE_A).keys if row.name == "one")
    freeze(FreezeKind.API_KEY, str(frozen.id))
    assert verdict(key=key)[0]["verdict"] == "wait"
    assert verdict(key=other)[0]["verdict"] == "pass"
    assert verdict()[0]["verdict"] == "pass"


# stop


@pytest.mark.proves("decide-suppressed")
def test_a_suppressed_recipient_is_not_mailed(api, verdict):
    row = suppressions.add(WORKSPACE_A, "ANN@example.org", reason="complained", source="test")
    answer, checks = verdict()
    assert (answer["verdict"], answer["code"]) == ("stop", None)
    assert answer["recipients"][0]["send_at"] is None
    assert checks["suppression"] == {
        "check": "suppression",
        "verdict": "stop",
        "suppression_id": row.id,
        "class": "manual",
        "reason": "complained",
    }
    assert list(checks) == CHECKS[:3], "nothing more is looked at"
    assert api.submit().get_json()["status"] == "suppressed"


def test_a_suppression_of_one_stream_stops_that_one(verdict):
    suppressions.add(WORKSPACE_A, "ann@example.org", reason="r", source="test", stream="marketing")
    assert verdict(stream="marketing")[0]["verdict"] == "stop"
    assert verdict()[0]["verdict"] == "pass"


@pytest.mark.parametrize(
    ("said", "message", "stops"),
    [
        ({}, {}, True),
        ({}, {"stream": "marketing", "topic": "news"}, True),
        ({"topic": "news"}, {"stream": "marketing", "topic": " NEWS "}, True),
        ({"topic": "news"}, {"stream": "marketing", "topic": "offers"}, False),
        ({"topic": "news"}, {"stream": "marketing"}, False),
        ({"stream": Stream.MARKETING}, {"stream": "marketing"}, True),
        ({"stream": Stream.MARKETING}, {"stream": "transactional"}, False),
        ({"stream": Stream.MARKETING, "topic": "news"}, {"topic": "news"}, False),
    ],
)
def test_an_unsubscribe_stops_what_it_is_about(verdict, said, message, stops):
    row = unsubscribes.add(WORKSPACE_A, "ann@example.org", source="api", by=SYSTEM, **said)
    answer, checks = verdict(**message)
    assert answer["verdict"] == ("stop" if stops else "pass")
    if stops:
        topic = {"topic": said["topic"]} if "topic" in said else {}
        assert checks["unsubscribe"] == {
            "check": "unsubscribe",
            "verdict": "stop",
            "unsubscribe_id": row.id,
            **topic,
        }
        assert list(checks) == CHECKS[:4]


def test_a_suppression_comes_before_an_unsubscribe_and_both_before_a_freeze(verdict):
    freeze()
    unsubscribes.add(WORKSPACE_A, "ann@example.org", source="api", by=SYSTEM)
    assert verdict()[1]["unsubscribe"]["verdict"] == "stop"
    suppressions.add(WORKSPACE_A, "ann@example.org", reason="r", source="test")
    assert list(verdict()[1]) == CHECKS[:3]


# reject


def test_a_from_domain_that_is_not_allowed_is_refused(api, verdict, refused):
    policy(allowed_from_domains=["example.net"], blocked_recipient_domains=["example.org"])
    suppressions.add(WORKSPACE_A, "ann@example.org", reason="r", source="test")
    answer, checks = verdict()
    assert (answer["verdict"], answer["code"]) == ("reject", "forbidden_from_domain")
    assert checks == {
        "from_domain": {"check": "from_domain", "verdict": "reject", "value": "example.com"}
    }
    assert answer["recipients"][0]["send_at"] is None
    refused(api.submit(), 422, answer["code"], "from_email")


def test_a_blocked_domain_is_refused(api, verdict, refused):
    policy(blocked_recipient_domains=["*.example.org"])
    suppressions.add(WORKSPACE_A, "ann@mail.example.org", reason="r", source="test")
    answer, checks = verdict(to_email="ann@mail.example.org")
    assert (answer["verdict"], answer["code"]) == ("reject", "blocked_recipient_domain")
    assert checks["recipient_domain"] == {
        "check": "recipient_domain",
        "verdict": "reject",
        "value": "mail.example.org",
        "entry": "*.example.org",
    }
    assert list(checks) == CHECKS[:2]
    refused(api.submit(to_email="ann@mail.example.org"), 422, answer["code"], "to_email")


@pytest.mark.parametrize("name", ["workspace", "domain"])
def test_over_a_limit_that_rejects_it_is_refused(api, verdict, refused, name):
    policy(**{f"rate_limit_{name}_per_hour": 1}, on_limit="reject")
    api.submit()
    answer, checks = verdict()
    assert (answer["verdict"], answer["code"]) == ("reject", "rate_limited")
    said = checks[f"{name}_limit"]
    assert (said["verdict"], said["value"], said["limit"]) == ("reject", 1, 1)
    assert said["free_at"] > datetime.now(UTC).isoformat()
    assert "provider" not in checks
    assert answer["recipients"][0]["send_at"] is None
    refused(api.submit(), 429, answer["code"])


def test_what_would_not_fit_before_its_end_is_refused(api, verdict):
    policy(rate_limit_workspace_per_hour=1, on_limit="defer")
    api.submit()
    end = (datetime.now(UTC) + timedelta(minutes=20)).isoformat()
    answer, checks = verdict(expires_at=end)
    assert (answer["verdict"], answer["code"]) == ("reject", "rate_limited")
    assert "free_at" not in checks["workspace_limit"]


# Several recipients


def test_each_recipient_has_a_decision_and_the_worst_is_told(ask):
    suppressions.add(WORKSPACE_A, "bob@example.org", reason="r", source="test")
    freeze(FreezeKind.RECIPIENT_DOMAIN, "example.net")
    copies = {"cc": ["bob@example.org", "ann@example.net"], "bcc": ["eve@example.org"]}
    answer = ask(**copies).get_json()
    assert [(one["to_email"], one["decision"]["verdict"]) for one in answer["recipients"]] == [
        ("ann@example.org", "pass"),
        ("bob@example.org", "stop"),
        ("ann@example.net", "wait"),
        ("eve@example.org", "pass"),
    ]
    assert answer["verdict"] == "stop"
    copies["bcc"] = ["x@mailinator.com"]
    answer = ask(**copies).get_json()
    assert (answer["verdict"], answer["code"]) == ("reject", "blocked_recipient_domain")
    assert ask(cc=["ann@example.net"]).get_json()["verdict"] == "wait"


def test_the_recipients_of_one_submission_count_together(ask):
    policy(rate_limit_workspace_per_hour=2)
    answer = ask(cc=["bob@example.org", "eve@example.org"]).get_json()
    assert [one["decision"]["verdict"] for one in answer["recipients"]] == ["pass"] * 2 + ["reject"]
    assert answer["code"] == "rate_limited"


# It only asks


@pytest.mark.proves("accept-validate")
def test_nothing_is_stored_counted_or_rung(api, ask, stored, settings):
    policy(rate_limit_workspace_per_hour=1)
    before = stored()
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushall()
        for _ in range(3):
            response = ask(cc=["bob@mailinator.com"], headers={"Idempotency-Key": "k1"})
            assert response.status_code == 200
            assert ask().get_json()["verdict"] == "pass"
        assert stored() == before
        assert (LimitTally.select().count(), IdempotencyKey.select().count()) == (0, 0)
        assert client.dbsize() == 0
        assert api.submit().status_code == 201
        assert client.dbsize() > 0


@pytest.mark.parametrize(
    "bad",
    [
        {"subject": ...},
        {"to_email": "nobody"},
        {"cc": ["ann@example.org", "nobody"]},
        {"surplus": 1},
        {"tags": "x"},
        {"body_text": ...},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"scheduled_at": "2999-01-01T00:00:00Z"},
        {"stream": "other"},
        {"topic": " "},
        {"workspace_id": 999},
    ],
)
def test_a_bad_field_is_answered_as_when_submitting(api, ask, refused, bad):
    response = ask(key="admin", **bad)
    document = refused(response, response.status_code, response.get_json(force=True)["code"])
    submitted = api.submit(**bad)
    assert response.status_code == submitted.status_code >= 400
    other = submitted.get_json(force=True)
    assert {**document, "request_id": ""} == {**other, "request_id": ""}


def test_another_workspaces_facts_play_no_part(ask, admin_b):
    policies.save(WORKSPACE_B, changes={"rate_limit_workspace_per_hour": 0}, by=SYSTEM)
    suppressions.add(WORKSPACE_B, "ann@example.org", reason="r", source="test")
    assert ask().get_json()["verdict"] == "pass"
    answer = ask(key=admin_b).get_json()
    assert (answer["workspace_id"], answer["verdict"]) == (WORKSPACE_B, "stop")


def test_a_sender_may_ask(ask, sender_key_a):
    assert ask(key=sender_key_a).status_code == 200
    assert Message.select().count() == 0
