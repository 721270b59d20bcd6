"""Requests a minute: of an API key, and of who does not show who they are."""

import dataclasses
import time
from collections.abc import Iterator

import pytest
import redis

from maild import allowances, config
from maild.config import Settings
from maild.models import ApiKey, WebhookTally
from maild.services import failed_tries, intake
from tests.api.conftest import MESSAGE
from tests.api.reporting import endpoint, path_of

LOGS = "/v1/messages/logs"


FEW = 3
"""Failures a minute: of so few one comes back in twenty seconds, however slow the machine is."""


@pytest.fixture(autouse=True)
def counting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing was counted before, little may be failed, and other tests find nothing counted."""
    monkeypatch.setattr(failed_tries, "PER_MINUTE", FEW)
    monkeypatch.setattr(intake, "REFUSALS_PER_MINUTE", FEW)
    failed_tries._familiar.clear()
    forget(settings)
    yield
    forget(settings)


def forget(settings: Settings) -> None:
    allowances.init(settings.redis_url)
    with redis.Redis.from_url(settings.redis_url) as client:
        for name in client.keys("maild:allowance:*"):
            client.delete(name)


@pytest.fixture
def from_address(client):
    """Call to say where requests come from."""

    def change(remote: str) -> None:
        client.environ_base["REMOTE_ADDR"] = remote

    return change


def test_every_answer_tells_how_the_limit_stands(api, sender_key_a):
    first = api("POST", "/v1/messages", json=MESSAGE, key=sender_key_a)
    assert first.status_code == 201
    assert first.headers["RateLimit-Policy"] == '"key";q=6000;w=60'
    assert first.headers["RateLimit"] == '"key";r=5999;t=1'
    refused = api("GET", "/v1/api-keys", key=sender_key_a)
    assert refused.status_code == 403
    assert refused.headers["RateLimit"] == '"key";r=5998;t=1'


@pytest.mark.proves("api-limits")
def test_one_request_too_many_is_429_and_changes_nothing(api, refused, stored, make_key):
    key = make_key("sender", requests_per_minute=3)
    assert [api.submit(key=key).status_code for _ in range(3)] == [201] * 3
    before = stored()
    response = api.submit(key=key)
    document = refused(response, 429, "rate_limited")
    assert document["title"] == "Too many requests"
    assert "more than 3 requests a minute" in document["detail"]
    assert 1 <= int(response.headers["Retry-After"]) <= 20
    assert response.headers["RateLimit-Policy"] == '"key";q=3;w=60'
    assert response.headers["RateLimit"].startswith('"key";r=0;t=')
    assert stored() == before


def test_each_key_has_its_own(api, make_key):
    one, other = (make_key("viewer", requests_per_minute=1) for _ in range(2))
    assert [api("GET", LOGS, key=one).status_code for _ in range(2)] == [200, 429]
    assert api("GET", LOGS, key=other).status_code == 200


def test_a_batch_is_one_request(api, make_key):
    key = make_key("sender", requests_per_minute=1)
    answer = api("POST", "/v1/messages/batch", key=key, json={"messages": [MESSAGE] * 20})
    assert answer.get_json()["accepted"] == 20


@pytest.mark.proves("api-limits")
def test_a_process_that_starts_finds_what_others_have_counted(api, make_key, settings):
    key = make_key("viewer", requests_per_minute=2)
    statuses = []
    for _ in range(3):
        allowances.init(settings.redis_url)
        statuses.append(api("GET", LOGS, key=key).status_code)
    assert statuses == [200, 200, 429]


def test_the_instances_limit_holds_for_keys_without_one(api, make_key, use_settings):
    use_settings(api_requests_per_minute=1)
    key = make_key("viewer")
    assert [api("GET", LOGS, key=key).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(("instance", "own"), [(0, None), (1, 0)])
def test_0_is_no_limit(api, make_key, use_settings, instance, own):
    key = make_key("viewer", requests_per_minute=None)
    ApiKey.update(requests_per_minute=own).execute()
    use_settings(api_requests_per_minute=instance)
    answers = [api("GET", LOGS, key=key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert "RateLimit" not in answers[0].headers


def test_an_instance_key_has_no_limit(api, use_settings):
    use_settings(api_requests_per_minute=1)
    answers = [api("GET", LOGS, key="operator") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert "RateLimit-Policy" not in answers[0].headers


def test_without_redis_mail_is_accepted_and_a_limit_still_holds(api, make_key, settings):
    key = make_key("sender", requests_per_minute=2)
    allowances.init("redis://127.0.0.1:1/0")
    try:
        statuses = [api.submit(key=key).status_code for _ in range(3)]
    finally:
        allowances.init(settings.redis_url)
    assert statuses == [201, 201, 429]


def test_an_address_that_keeps_failing_is_told_to_wait(api, refused, from_address, monkeypatch):
    from_address("198.51.100.1")
    unknown = f"mk_{'x' * 43}"
    statuses = {api("GET", LOGS, key=unknown).status_code for _ in range(FEW)}
    assert statuses == {401}
    response = api("GET", LOGS, key=None)
    refused(response, 429, "rate_limited")
    assert 1 <= int(response.headers["Retry-After"]) <= 20
    # The database is not asked about one key after the other.
    monkeypatch.setattr("maild.services.api_keys.find_in_force", pytest.fail)
    refused(api("GET", LOGS, key=unknown), 429, "rate_limited")
    from_address("198.51.100.2")
    assert api("GET", LOGS, key=None).status_code == 401


@pytest.mark.proves("api-floods")
def test_a_key_that_works_goes_on_beside_one_that_fails(api, make_key, from_address):
    from_address("198.51.100.3")
    key = make_key("viewer")
    assert api("GET", LOGS, key=key).status_code == 200
    for _ in range(FEW + 1):
        last = api("GET", LOGS, key="nonsense")
    assert last.status_code == 429
    assert api("GET", LOGS, key=key).status_code == 200
    assert api("GET", LOGS, key="operator").status_code == 200


def test_a_household_is_one_and_this_machine_is_none(api, from_address):
    for number in range(FEW + 1):
        from_address(f"2001:db8:1:7::{number:x}")
        last = api("GET", LOGS, key=None)
    assert last.status_code == 429
    from_address("127.0.0.1")
    statuses = [api("GET", LOGS, key=None).status_code for _ in range(FEW + 1)]
    assert set(statuses) == {401}


@pytest.mark.proves("api-floods")
def test_a_flood_of_unsigned_reports_writes_few_rows_and_is_429(api, refused, from_address):
    from_address("198.51.100.4")
    row = endpoint("mailersend", signing_secret="the-secret")
    tries = FEW + 5

    def post():
        headers = {"Content-Type": "application/json"}
        return api("POST", path_of(row), key=None, data=b"{}", headers=headers)

    answers = [post() for _ in range(tries)]
    assert {answer.status_code for answer in answers} == {401, 429}
    response = post()
    refused(response, 429, "rate_limited")
    assert response.headers["Retry-After"]
    assert WebhookTally.get().refused_count == FEW
    from_address("198.51.100.5")  # somebody else still learns what is wrong
    assert post().status_code == 401
    assert WebhookTally.get().refused_count == FEW


def test_a_provider_goes_on_beside_who_fails_at_its_address(api, from_address):
    from_address("198.51.100.6")
    row = endpoint("postmark")

    def post(path: str) -> int:
        headers = {"Content-Type": "application/json"}
        return api("POST", path, key=None, data=b"{}", headers=headers).status_code

    assert post(path_of(row)) == 202
    wrong = f"/v1/webhooks/providers/postmark/{'x' * 43}"
    statuses = [post(wrong) for _ in range(FEW + 2)]
    assert statuses[0] == 404
    assert statuses[-1] == 429
    assert post(path_of(row)) == 202


def test_reports_in_mailds_own_format_are_bounded_too(api, refused, from_address, use_settings):
    use_settings(
        webhooks=dataclasses.replace(
            config.current().webhooks, enabled=True, signing_secret="s" * 32
        )
    )
    from_address("198.51.100.7")
    headers = {"X-Webhook-Timestamp": str(int(time.time())), "X-Webhook-Signature": "v1=00"}
    for _ in range(FEW + 1):
        last = api("POST", "/v1/webhooks/events", key=None, data=b"{}", headers=headers)
    refused(last, 429, "rate_limited")
    assert WebhookTally.get().refused_count == FEW
