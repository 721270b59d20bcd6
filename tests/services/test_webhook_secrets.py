"""Secrets of webhook endpoints: kept encrypted, two of a kind while one takes the other's place."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from maild import clock, db
from maild.config import Settings
from maild.db import database
from maild.domain.actor import Actor
from maild.errors import DecryptionError, InvalidFields, NotFound
from maild.models import AuditEntry, WebhookEndpoint, WebhookSecret
from maild.services import webhook_endpoints, webhook_secrets
from maild.transports.webhooks.base import Keys
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")

BY = Actor("admin key", ip="192.0.2.1", request_id="r1")
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-events"


@pytest.fixture
def endpoint(database: None) -> WebhookEndpoint:
    return make()


def make(
    provider: str = "mailgun", workspace_id: int = WORKSPACE_A, **fields: object
) -> WebhookEndpoint:
    values: dict[str, object] = {"smtp_account": "default", **fields}
    return webhook_endpoints.add(workspace_id, provider=provider, by=BY, **values)  # type: ignore[arg-type]


def add(
    endpoint: WebhookEndpoint, value: str, kind: str = "signing", **fields: int
) -> WebhookSecret:
    return webhook_secrets.add(
        endpoint.workspace_id, endpoint.id, kind=kind, value=value, by=BY, **fields
    )


def remove(endpoint: WebhookEndpoint, secret: WebhookSecret) -> None:
    webhook_secrets.remove(endpoint.workspace_id, endpoint.id, secret_id=secret.id, by=BY)


def keys(endpoint: WebhookEndpoint) -> Keys:
    return webhook_endpoints.keys_of(endpoint)


def seconds_left(secret: WebhookSecret) -> float | None:
    expires_at = WebhookSecret.get_by_id(secret.id).expires_at
    return None if expires_at is None else (expires_at - clock.now()).total_seconds()


def end(secret: WebhookSecret) -> None:
    WebhookSecret.update(expires_at=clock.now() - timedelta(seconds=1)).where(
        WebhookSecret.id == secret.id
    ).execute()


def test_a_new_endpoint_may_bring_its_secrets() -> None:
    row = make(signing_secret=" key-1 \n", basic_auth=("maild", " pass:word "))
    assert keys(row) == Keys(signing=("key-1",), basic_auth=("maild: pass:word ",))


def test_the_keys_hold_the_topic_and_the_tolerance(use_settings: Callable[..., Settings]) -> None:
    row = make("ses", topic_arn=TOPIC)
    assert keys(row) == Keys(topic_arn=TOPIC, max_skew_seconds=300)


def test_a_secret_is_only_ever_ciphertext(endpoint: WebhookEndpoint) -> None:
    add(endpoint, "hunter2")
    assert b"hunter2" not in bytes(WebhookSecret.get().value_encrypted)
    for table in ("webhook_secrets", "webhook_endpoints", "audit_entries"):
        assert "hunter2" not in str(
            database.execute_sql(f"SELECT t::text FROM {table} t").fetchall()
        )


def test_a_secret_opens_in_its_own_row_only(endpoint: WebhookEndpoint) -> None:
    one, other = add(endpoint, "one"), add(endpoint, "other")
    moved = WebhookSecret.get_by_id(one.id).value_encrypted
    WebhookSecret.update(value_encrypted=moved).where(WebhookSecret.id == other.id).execute()
    with pytest.raises(DecryptionError, match="another place"):
        keys(endpoint)


def test_the_one_before_stays_valid_for_a_time(endpoint: WebhookEndpoint) -> None:
    old = add(endpoint, "old")
    assert seconds_left(old) is None
    new = add(endpoint, "new", old_valid_seconds=600)
    assert keys(endpoint).signing == ("new", "old")
    assert seconds_left(new) is None
    assert 590 < (seconds_left(old) or 0) <= 600
    end(old)
    assert keys(endpoint).signing == ("new",)


def test_a_day_is_the_usual_time(endpoint: WebhookEndpoint) -> None:
    old = add(endpoint, "old")
    add(endpoint, "new")
    assert 86_390 < (seconds_left(old) or 0) <= 86_400


def test_with_no_time_all_that_were_before_end_at_once(endpoint: WebhookEndpoint) -> None:
    add(endpoint, "one")
    add(endpoint, "two")
    add(endpoint, "three", old_valid_seconds=0)
    assert keys(endpoint).signing == ("three",)


def test_two_of_a_kind_are_valid_at_most(endpoint: WebhookEndpoint) -> None:
    for value in ("one", "two", "three", "four"):
        add(endpoint, value)
    assert keys(endpoint).signing == ("four", "three")


def test_a_kind_does_not_touch_the_other(endpoint: WebhookEndpoint) -> None:
    add(endpoint, "u:p", "basic_auth")
    add(endpoint, "key", old_valid_seconds=0)
    assert keys(endpoint) == Keys(signing=("key",), basic_auth=("u:p",))
    add(endpoint, "u:q", "basic_auth")
    assert keys(endpoint) == Keys(signing=("key",), basic_auth=("u:q", "u:p"))


def test_an_endpoint_does_not_touch_another(endpoint: WebhookEndpoint) -> None:
    other = make()
    add(endpoint, "one")
    add(other, "two", old_valid_seconds=0)
    assert (keys(endpoint).signing, keys(other).signing) == (("one",), ("two",))


def test_a_secret_that_is_saved_twice_is_one(endpoint: WebhookEndpoint) -> None:
    add(endpoint, "old")
    first = add(endpoint, "new")
    again = add(endpoint, " new\n")
    assert first.id == again.id
    assert keys(endpoint).signing == ("new", "old")
    add(endpoint, "new", old_valid_seconds=0)
    assert keys(endpoint).signing == ("new",)


def test_a_time_that_was_set_is_never_made_longer(endpoint: WebhookEndpoint) -> None:
    old = add(endpoint, "old")
    add(endpoint, "new", old_valid_seconds=60)
    add(endpoint, "new", old_valid_seconds=86_400)
    assert 0 < (seconds_left(old) or 0) <= 60


def test_the_old_one_can_be_taken_again(endpoint: WebhookEndpoint) -> None:
    add(endpoint, "old")
    add(endpoint, "new")
    add(endpoint, "old")
    assert keys(endpoint).signing == ("old", "new")
    assert WebhookSecret.select().where(WebhookSecret.expires_at.is_null()).count() == 1


def test_one_that_no_key_opens_can_be_replaced(
    endpoint: WebhookEndpoint, use_settings: Callable[..., Settings]
) -> None:
    add(endpoint, "lost")
    use_settings(encryption_key=b"x" * 32, encryption_keys_old=())
    with pytest.raises(DecryptionError):
        keys(endpoint)
    add(endpoint, "new", old_valid_seconds=0)
    assert keys(endpoint).signing == ("new",)


def test_removing_the_old_one_ends_the_rotation(endpoint: WebhookEndpoint) -> None:
    old = add(endpoint, "old")
    add(endpoint, "new")
    remove(endpoint, old)
    assert keys(endpoint).signing == ("new",)


def test_removing_the_new_one_undoes_the_rotation(endpoint: WebhookEndpoint) -> None:
    old = add(endpoint, "old")
    new = add(endpoint, "new")
    remove(endpoint, new)
    assert keys(endpoint).signing == ("old",)
    assert seconds_left(old) is None


def test_one_that_has_ended_does_not_come_back(endpoint: WebhookEndpoint) -> None:
    old = add(endpoint, "old")
    new = add(endpoint, "new")
    end(old)
    remove(endpoint, new)
    assert keys(endpoint).signing == ()


def test_what_is_not_there_cannot_be_removed(endpoint: WebhookEndpoint) -> None:
    secret, other = add(endpoint, "one"), make()
    for workspace_id, endpoint_id, secret_id in (
        (WORKSPACE_B, endpoint.id, secret.id),
        (WORKSPACE_A, other.id, secret.id),
        (WORKSPACE_A, endpoint.id, secret.id + 1000),
        (WORKSPACE_A, endpoint.id + 1000, secret.id),
    ):
        with pytest.raises(NotFound):
            webhook_secrets.remove(workspace_id, endpoint_id, secret_id=secret_id, by=BY)
    with pytest.raises(NotFound):
        webhook_secrets.add(WORKSPACE_B, endpoint.id, kind="signing", value="x", by=BY)
    assert keys(endpoint).signing == ("one",)


@pytest.mark.parametrize(
    ("provider", "fields", "named"),
    [
        ("mailgun", {"kind": "password"}, ["kind"]),
        ("mailgun", {"value": ""}, ["value"]),
        ("mailgun", {"value": "  "}, ["value"]),
        ("mailgun", {"value": "a\nb"}, ["value"]),
        ("mailgun", {"value": "a\0b"}, ["value"]),
        ("mailgun", {"value": "\ud800"}, ["value"]),
        ("mailgun", {"value": "x" * 4097}, ["value"]),
        ("mailgun", {"old_valid_seconds": -1}, ["old_valid_seconds"]),
        ("mailgun", {"old_valid_seconds": 604_801}, ["old_valid_seconds"]),
        ("mailgun", {"kind": "basic_auth", "value": "user"}, ["value"]),
        ("mailgun", {"kind": "basic_auth", "value": ":password"}, ["value"]),
        ("mailgun", {"kind": "basic_auth", "value": "u:p\r"}, ["value"]),
        ("sendgrid", {}, ["value"]),
        ("postal", {}, ["value"]),
        ("resend", {}, ["value"]),
        ("postmark", {}, ["kind"]),
        ("brevo", {}, ["kind"]),
        ("dsn", {}, ["kind"]),
        ("ses", {}, ["kind"]),
        ("postmark", {"value": "", "old_valid_seconds": -1},
         ["kind", "value", "old_valid_seconds"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    provider: str, fields: dict[str, object], named: list[str]
) -> None:
    row = make(provider, topic_arn=TOPIC if provider == "ses" else None)
    values: dict[str, object] = {"kind": "signing", "value": "hunter2", **fields}
    with pytest.raises(InvalidFields) as caught:
        webhook_secrets.add(WORKSPACE_A, row.id, by=BY, **values)  # type: ignore[arg-type]
    assert [error.field for error in caught.value.errors] == named
    assert "hunter2" not in str(caught.value.errors)
    assert not WebhookSecret.select().exists()


@pytest.mark.parametrize("provider", ["sendgrid", "postal", "resend"])
def test_a_new_endpoint_takes_no_secret_that_cannot_work(provider: str) -> None:
    with pytest.raises(InvalidFields, match=r"shows|installation") as caught:
        make(provider, signing_secret="hunter2")
    assert [error.field for error in caught.value.errors] == ["signing_secret"]
    assert "hunter2" not in str(caught.value.errors)
    assert not WebhookEndpoint.select().exists()


def test_what_the_provider_shows_is_taken() -> None:
    row = make("resend", signing_secret=" whsec_c2VjcmV0\n")
    add(row, "whsec_bmV4dA==\n")
    assert keys(row).signing == ("whsec_bmV4dA==", "whsec_c2VjcmV0")


def test_a_provider_that_may_sign_takes_a_secret() -> None:
    row = make("mailtrap")
    add(row, "key")
    assert keys(row).signing == ("key",)


def test_the_longest_secret_is_taken(endpoint: WebhookEndpoint) -> None:
    add(endpoint, "ü" * 4096)
    assert keys(endpoint).signing == ("ü" * 4096,)


def test_two_who_rotate_at_once_leave_two(endpoint: WebhookEndpoint) -> None:
    def work(number: int) -> None:
        with db.connection():
            add(endpoint, f"key {number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys(endpoint).signing) == 2
    assert WebhookSecret.select().where(WebhookSecret.expires_at.is_null()).count() == 1


def test_the_audit_log_tells_ids_only(endpoint: WebhookEndpoint) -> None:
    old = add(endpoint, "hunter1")
    new = add(endpoint, "hunter2", old_valid_seconds=60)
    remove(endpoint, new)
    told = [
        (entry.action, entry.before, entry.after)
        for entry in AuditEntry.select().order_by(AuditEntry.seq)
        if entry.action.startswith("webhook_secret.")
    ]
    assert told == [
        (
            "webhook_secret.added",
            {"kind": "signing", "valid": []},
            {"kind": "signing", "id": old.id, "still_valid": [], "old_valid_seconds": 86_400},
        ),
        (
            "webhook_secret.added",
            {"kind": "signing", "valid": [old.id]},
            {"kind": "signing", "id": new.id, "still_valid": [old.id], "old_valid_seconds": 60},
        ),
        (
            "webhook_secret.removed",
            {"kind": "signing", "id": new.id},
            {"kind": "signing", "valid": [old.id]},
        ),
    ]


def test_the_valid_ones_of_many_endpoints_are_found_at_once(endpoint: WebhookEndpoint) -> None:
    other, bare = make(), make()
    ended, one = add(endpoint, "ended"), add(endpoint, "one")
    end(ended)
    first, second = add(other, "first"), add(other, "second")
    found = webhook_secrets.find_valid([endpoint, other, bare])
    assert {key: [row.id for row in rows] for key, rows in found.items()} == {
        endpoint.id: [one.id],
        other.id: [second.id, first.id],
        bare.id: [],
    }


def test_one_that_is_lost_opens_nothing_and_can_be_replaced(endpoint: WebhookEndpoint) -> None:
    add(endpoint, "lost")
    WebhookSecret.update(value_encrypted=None).execute()
    with pytest.raises(DecryptionError, match="is not there"):
        keys(endpoint)
    add(endpoint, "lost", old_valid_seconds=0)
    assert keys(endpoint).signing == ("lost",)
