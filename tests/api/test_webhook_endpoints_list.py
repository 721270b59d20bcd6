"""GET /v1/webhooks/endpoints: where providers report to, and how that goes."""

import peewee
import pytest

from maild.domain.actor import SYSTEM
from maild.models import WebhookEndpoint, WebhookTally
from maild.services import webhook_endpoints
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/v1/webhooks/endpoints"


def make(provider="postmark", workspace_id=WORKSPACE_A, **fields):
    values = {"smtp_account": "default", **fields}
    return webhook_endpoints.add(workspace_id, provider=provider, by=SYSTEM, **values)


def fetch(api, *, key="admin", **query):
    response = api("GET", PATH, key=key, query=query)
    assert response.status_code == 200
    return response.get_json()


def test_it_lists_all_the_oldest_first(api):
    first, second = make("mailgun", signing_secret="hunter2"), make("dsn")
    page = fetch(api)
    assert (page["workspace_id"], page["count"]) == (WORKSPACE_A, 2)
    assert [row["id"] for row in page["endpoints"]] == [first.id, second.id]
    row = page["endpoints"][0]
    [secret] = row.pop("secrets")
    assert (secret["kind"], secret["expires_at"]) == ("signing", None)
    assert row.pop("created_at").endswith("Z")
    assert row.pop("setup") == webhook_endpoints.setup_of(first, [])
    assert row == {
        "id": first.id,
        "workspace_id": WORKSPACE_A,
        "provider": "mailgun",
        "title": "Mailgun",
        "smtp_account": "default",
        "topic_arn": None,
        "url": webhook_endpoints.url_of(first),
        "state": "waiting",
        "created_by": "maild",
        "received_last_24_hours": 0,
        "refused_last_24_hours": 0,
        "last_event_at": None,
        "last_refused_at": None,
        "last_refusal": None,
        "silent_since": None,
        "refusing_since": None,
    }
    assert page["endpoints"][1]["title"] == "Bounce mails"


def test_it_tells_what_came_in_and_what_was_refused(api):
    row, _ = make(), make()
    WebhookTally.insert(endpoint_id=row.id, slot_at=peewee.fn.now(), received_count=7).execute()
    webhook_endpoints.refused(row.id, "basic authentication is missing or wrong")
    told, other = fetch(api)["endpoints"]
    assert (told["received_last_24_hours"], told["refused_last_24_hours"]) == (7, 1)
    assert told["last_refusal"] == "basic authentication is missing or wrong"
    assert told["last_refused_at"].endswith("Z")
    assert (other["received_last_24_hours"], other["last_refusal"]) == (0, None)


@pytest.mark.parametrize(
    ("field", "state"),
    [("last_event_at", "receiving"), ("silent_since", "silent"), ("refusing_since", "refusing")],
)
def test_it_tells_the_state(api, field, state):
    make()
    WebhookEndpoint.update({field: peewee.fn.now()}).execute()
    [told] = fetch(api)["endpoints"]
    assert told["state"] == state
    assert told[field].endswith("Z")


def test_only_admins_are_told_the_address_and_what_to_do_with_it(
    api, admin_a, operator_a, viewer_a
):
    token = webhook_endpoints.url_of(make()).rpartition("/")[2]
    for key in ("admin", admin_a):
        told = fetch(api, key=key)["endpoints"][0]
        assert told["url"].endswith(token)
        assert any(told["url"] in step for step in told["setup"])
    for key in ("operator", operator_a, viewer_a):
        page = fetch(api, key=key)
        [told] = page["endpoints"]
        assert (told["url"], told["setup"]) == (None, None)
        assert token not in str(page)


def test_what_to_do_follows_the_secrets_that_are_there(api):
    make(basic_auth=("maild", "hunter3"))
    setup = " ".join(fetch(api)["endpoints"][0]["setup"])
    assert "This endpoint wants basic authentication" in setup
    assert "hunter3" not in setup


def test_it_tells_no_secret(api):
    make("mailgun", signing_secret="hunter2", basic_auth=("maild", "hunter3"))
    text = str(fetch(api))
    assert "hunter" not in text
    assert "hash" not in text
    assert "encrypted" not in text


def test_an_address_that_no_key_opens_is_null(api, use_settings):
    make()
    use_settings(encryption_key=b"x" * 32, encryption_keys_old=())
    [told] = fetch(api)["endpoints"]
    assert (told["url"], told["setup"]) == (None, None)


def test_it_asks_the_database_no_more_for_many(api, monkeypatch):
    def count_queries():
        seen = []
        execute_sql = peewee.Database.execute_sql
        with monkeypatch.context() as patch:
            patch.setattr(
                peewee.Database,
                "execute_sql",
                lambda self, sql, *rest: seen.append(sql) or execute_sql(self, sql, *rest),
            )
            fetch(api)
        return len(seen)

    make()
    few = count_queries()
    for _ in range(10):
        make("mailgun", signing_secret="hunter2")
    assert count_queries() == few


def test_it_shows_a_workspace_its_own_ones_only(api, admin_b):
    make()
    theirs = make(workspace_id=WORKSPACE_B)
    page = fetch(api, key=admin_b)
    assert [row["id"] for row in page["endpoints"]] == [theirs.id]


def test_an_empty_list_is_an_answer(api):
    assert fetch(api) == {"workspace_id": WORKSPACE_A, "count": 0, "endpoints": []}


def test_senders_and_strangers_see_nothing(api, refused, sender_key_a):
    refused(api("GET", PATH, key=sender_key_a), 403, "forbidden")
    refused(api("GET", PATH, key=None), 401, "unauthenticated")


def test_it_refuses_bad_questions(api, refused):
    refused(api("GET", PATH, query={"provider": "ses"}), 400, "invalid_request", "provider")
