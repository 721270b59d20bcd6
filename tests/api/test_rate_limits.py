"""Hourly limits over HTTP: 429 and its headers, and that they hold whatever happens at once."""

import contextlib
import http.client
import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from maild.domain.actor import SYSTEM
from maild.domain.limits import WORKSPACE
from maild.local import home as homes
from maild.local import valkey
from maild.models import LimitTally, Message
from maild.services import policies, suppressions
from tests.api.conftest import MESSAGE
from tests.api.serving import all_at_once, new_workspace
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.crash.rig import wait_until

HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def limit(*, workspace=None, domain=None, on_limit="reject", workspace_id=WORKSPACE_A):
    changes = {
        "rate_limit_workspace_per_hour": workspace,
        "rate_limit_domain_per_hour": domain,
        "on_limit": on_limit,
    }
    policies.save(workspace_id, changes=changes, by=SYSTEM)


def told(response):
    """What the headers say of the tightest limit: its size and what is left of it."""
    size, remaining, reset = (int(response.headers[name]) for name in HEADERS)
    assert 0 < reset <= 65 * 60
    return size, remaining


def batch(api, *entries, **fields):
    body = {"messages": [{**MESSAGE, **entry} for entry in entries], **fields}
    return api("POST", "/v1/messages/batch", json=body)


@pytest.mark.proves("decide-limits")
def test_over_the_limit_is_429_with_the_time_to_come_again(api, refused, stored):
    limit(workspace=2)
    assert [told(api.submit()) for _ in range(2)] == [(2, 1), (2, 0)]
    before = stored()
    response = api.submit()
    document = refused(response, 429, "rate_limited")
    assert "limited to 2 messages an hour" in document["detail"]
    assert "There is room from 20" in document["detail"]
    assert told(response) == (2, 0)
    assert 55 * 60 < int(response.headers["Retry-After"]) <= 65 * 60 + 1
    assert stored() == before


def test_a_domains_limit_is_told_where_it_is_the_tightest(api, refused):
    limit(workspace=10, domain=2)
    assert told(api.submit()) == (2, 1)
    assert told(api.submit(to_email="ann@example.net")) == (2, 1)
    assert told(api.submit()) == (2, 0)
    document = refused(api.submit(), 429, "rate_limited")
    assert "to example.org" in document["detail"]
    for number in range(6):
        api.submit(to_email=f"ann@d{number}.example")
    assert told(api.submit(to_email="ann@d9.example")) == (10, 0)


def test_the_headers_count_every_recipient(api):
    limit(workspace=10)
    response = api.submit(cc=["bob@example.org"], bcc=["eve@example.org", "dan@example.org"])
    assert told(response) == (10, 6)


def test_there_are_no_headers_where_nothing_was_counted(api):
    limit(workspace=10)
    suppressions.add(WORKSPACE_A, MESSAGE["to_email"], reason="asked", source="test")
    assert not set(HEADERS) & set(api.submit().headers.keys())
    limit()
    assert not set(HEADERS) & set(api.submit(to_email="bob@example.org").headers.keys())


def test_a_limit_of_0_has_a_time_to_come_again_too(api, refused):
    limit(workspace=0)
    response = api.submit()
    refused(response, 429, "rate_limited")
    assert told(response) == (0, 0)
    assert int(response.headers["Retry-After"]) > 55 * 60


def test_deferring_is_201_with_the_time_in_the_answer(api):
    limit(workspace=1, on_limit="defer")
    api.submit()
    response = api.submit()
    assert (response.status_code, told(response)) == (201, (1, 0))
    answer = response.get_json()
    assert answer["status"] == "queued"
    assert answer["next_attempt_at"] > answer["created_at"]
    read = api("GET", f"/v1/messages/{answer['id']}?include=decision").get_json()
    assert read["next_attempt_at"] == answer["next_attempt_at"]
    [decision] = read["decision"]
    assert decision["verdict"] == "wait"
    [check] = [c for c in decision["checks"] if c["check"] == "workspace_limit"]
    assert (check["verdict"], check["limit"]) == ("wait", 1)
    assert check["free_at"] == answer["next_attempt_at"]


def test_of_a_batch_as_many_are_accepted_as_there_is_room_for(api):
    limit(workspace=100)
    response = batch(api, *({"to_email": f"a{n}@example.org"} for n in range(500)))
    answer = response.get_json()
    assert (response.status_code, answer["accepted"], answer["rejected"]) == (200, 100, 400)
    assert [r.get("status") for r in answer["results"][:100]] == ["queued"] * 100
    assert {r["code"] for r in answer["results"][100:]} == {"rate_limited"}
    assert told(response) == (100, 0)
    assert Message.select().count() == 100


def test_a_batch_tells_of_the_tightest_limit(api):
    limit(workspace=10, domain=3)
    assert told(batch(api, {}, {}, {"to_email": "ann@example.net"})) == (3, 1)


def test_the_limit_is_the_workspaces_whatever_the_key(api, make_key, admin_b):
    limit(workspace=1)
    limit(workspace=1, workspace_id=WORKSPACE_B)
    keys = [make_key("sender", name=name) for name in ("one", "two")]
    assert [api.submit(key=key).status_code for key in keys] == [201, 429]
    response = api.submit(key=admin_b)
    assert (response.status_code, told(response)) == (201, (1, 0))


# Many at once, and what breaks meanwhile


@pytest.mark.proves("I18")
def test_forty_at_once_on_two_processes_never_pass_the_limit(serve):
    """I18."""
    webs = serve(2)
    workspace_id = new_workspace()
    limit(workspace=25, workspace_id=workspace_id)
    answers = all_at_once(40, lambda number: webs[number % 2].submit(workspace_id))
    assert Counter(answer.status for answer in answers) == {201: 25, 429: 15}
    assert Message.select().count() == 25
    remaining = [int(a.headers["ratelimit-remaining"]) for a in answers if a.status == 201]
    assert sorted(remaining) == list(range(25)), "each was told of its own place"


def test_a_new_policy_is_in_force_for_the_next_message_in_every_process(serve):
    webs = serve(2)
    workspace_id = new_workspace()
    for number in range(1, 6):
        limit(workspace=number, workspace_id=workspace_id)
        statuses = [web.submit(workspace_id).status for web in webs]
        assert statuses == [201, 429], number
        webs.reverse()


@pytest.mark.proves("I18")
@pytest.mark.crash
def test_the_limit_holds_while_redis_and_a_process_die(serve):
    """I18: Redis is flushed, killed and back again, a web process is killed and started anew; the
    clients go on, with their keys, until each request is answered.
    """
    answers = {}

    def go_on(webs, workspace_id, number):
        for key in (f"{number}-{n}" for n in range(10)):
            for web in itertools.cycle(webs):
                with contextlib.suppress(OSError, http.client.HTTPException):
                    answers[key] = web.submit(workspace_id, key=key)
                    break

    with homes.temporary() as home, contextlib.ExitStack() as redis_runs:
        url = redis_runs.enter_context(valkey.running(home))
        webs = serve(2, REDIS_URL=url)
        workspace_id = new_workspace()
        limit(workspace=150, workspace_id=workspace_id)
        with ThreadPoolExecutor(40) as pool:
            clients = [pool.submit(go_on, webs, workspace_id, number) for number in range(40)]
            wait_until(lambda: len(answers) > 20, "mail is accepted")
            with redis.Redis.from_url(url) as client:
                client.flushall()
            wait_until(lambda: len(answers) > 40, "mail is accepted")
            webs[0].kill()
            redis_runs.close()
            redis_runs.enter_context(valkey.running(home))
            webs[0].start()
        for client in clients:
            client.result()
        accepted = [answer.json["id"] for answer in answers.values() if answer.status == 201]
        assert Counter(a.status for a in answers.values()) == {201: 150, 429: 250}
        assert {str(m.id) for m in Message.select()} == set(accepted)
        assert len(accepted) == 150
        assert [web.submit(workspace_id).status for web in webs] == [429, 429]
    counted = LimitTally.select().where(LimitTally.domain == WORKSPACE)
    assert sum(row.message_count for row in counted) == 150
