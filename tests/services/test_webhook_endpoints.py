"""Webhook endpoints: made with a token, found by its hash, counted, told apart by how they do."""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from maild import clock, db
from maild.config import Settings
from maild.db import database
from maild.domain import webhook_setup
from maild.domain.actor import Actor
from maild.errors import Conflict, DecryptionError, InvalidFields, NotFound
from maild.models import (
    AuditEntry,
    WebhookEndpoint,
    WebhookPayload,
    WebhookSecret,
    WebhookTally,
)
from maild.models.webhook_endpoint import GENERIC_ENDPOINT_ID
from maild.services import smtp_accounts, webhook_endpoints, webhook_secrets
from maild.services.smtp_account_fields import NewSmtpAccount
from maild.services.webhook_endpoints import Counts, State
from maild.transports import webhooks
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")

BY = Actor("admin key", ip="192.0.2.1", request_id="r1")
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-events"
SECRET = "hunter2-signing"


@pytest.fixture(autouse=True)
def no_tallies(database: None) -> Iterator[None]:
    """They belong to no workspace, and outlive it."""
    WebhookTally.delete().execute()
    yield
    WebhookTally.delete().execute()


def add(
    provider: str = "postmark", workspace_id: int = WORKSPACE_A, **fields: object
) -> WebhookEndpoint:
    values: dict[str, object] = {"smtp_account": "default", **fields}
    return webhook_endpoints.add(workspace_id, provider=provider, by=BY, **values)  # type: ignore[arg-type]


def save_account(name: str, workspace_id: int = WORKSPACE_A) -> None:
    account = NewSmtpAccount(name, "smtp.example.com", 587, "shop@example.com")
    smtp_accounts.save(workspace_id, account, by=BY)


def reload(row: WebhookEndpoint) -> WebhookEndpoint:
    found: WebhookEndpoint = WebhookEndpoint.get_by_id(row.id)
    return found


def token_of(row: WebhookEndpoint) -> str:
    return webhook_endpoints.url_of(row).rpartition("/")[2]


def state(row: WebhookEndpoint) -> State:
    row = reload(row)
    return webhook_endpoints.state_of(row, webhook_secrets.find_valid([row])[row.id])


# -- adding ---------------------------------------------------------------------------------------


def test_a_token_is_kept_as_its_hash_and_as_ciphertext() -> None:
    row = add()
    token = token_of(row)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    stored = reload(row)
    assert bytes(stored.token_hash) == hashlib.sha256(token.encode()).digest()
    assert token.encode() not in bytes(stored.token_encrypted)
    assert token not in repr(WebhookEndpoint.select().dicts().get())


def test_every_token_is_another_one() -> None:
    assert len({token_of(add()) for _ in range(10)}) == 10


@pytest.mark.parametrize(
    ("provider", "path"),
    [("postmark", "providers/postmark"), ("sendgrid", "providers/sendgrid"), ("dsn", "dsn")],
)
def test_the_address_is_below_the_public_one(
    use_settings: Callable[..., Settings], provider: str, path: str
) -> None:
    use_settings(public_url="https://mail.example.com")
    url = webhook_endpoints.url_of(add(provider))
    assert re.fullmatch(rf"https://mail\.example\.com/v1/webhooks/{path}/[A-Za-z0-9_-]{{43}}", url)


def test_every_provider_can_be_added() -> None:
    for provider in webhook_endpoints.provider_words():
        row = add(provider, topic_arn=TOPIC if provider == "ses" else None)
        assert webhook_endpoints.title_of(provider) not in {"", provider}
        assert webhook_endpoints.list_all(WORKSPACE_A)[-1] == row


def test_the_account_is_one_of_the_workspace_or_the_environments() -> None:
    save_account("ours")
    save_account("theirs", WORKSPACE_B)
    assert add(smtp_account="ours").smtp_account_name == "ours"
    assert add(smtp_account="default").smtp_account_name == "default"
    for name in ("theirs", "nobody"):
        with pytest.raises(InvalidFields) as caught:
            add(smtp_account=name)
        assert [error.field for error in caught.value.errors] == ["smtp_account"]
    assert WebhookEndpoint.select().count() == 2


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"provider": "smoke-signals"}, ["provider"]),
        ({"provider": ""}, ["provider"]),
        ({"provider": "generic"}, ["provider"]),
        ({"provider": "ses"}, ["topic_arn"]),
        ({"provider": "postmark", "topic_arn": TOPIC}, ["topic_arn"]),
        ({"provider": "dsn", "topic_arn": TOPIC}, ["topic_arn"]),
        ({"provider": "ses", "topic_arn": TOPIC, "signing_secret": SECRET}, ["signing_secret"]),
        ({"provider": "postmark", "signing_secret": SECRET}, ["signing_secret"]),
        ({"provider": "dsn", "signing_secret": SECRET}, ["signing_secret"]),
        ({"provider": "mailgun", "signing_secret": ""}, ["signing_secret"]),
        ({"provider": "mailgun", "signing_secret": " \n"}, ["signing_secret"]),
        ({"provider": "mailgun", "signing_secret": "a\nb"}, ["signing_secret"]),
        ({"provider": "mailgun", "signing_secret": "a\0b"}, ["signing_secret"]),
        ({"provider": "mailgun", "signing_secret": "x" * 4097}, ["signing_secret"]),
        ({"provider": "postmark", "basic_auth": ("", "password")}, ["basic_auth"]),
        ({"provider": "postmark", "basic_auth": ("a:b", "password")}, ["basic_auth.username"]),
        ({"provider": "postmark", "basic_auth": ("user", "a\rb")}, ["basic_auth"]),
        ({"provider": "ses", "signing_secret": "", "basic_auth": ("", "")},
         ["topic_arn", "signing_secret", "basic_auth"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(fields: dict[str, object], named: list[str]) -> None:
    with pytest.raises(InvalidFields) as caught:
        add(**fields)  # type: ignore[arg-type]
    assert [error.field for error in caught.value.errors] == named
    assert not WebhookEndpoint.select().exists()
    assert not AuditEntry.select().exists()


@pytest.mark.parametrize(
    "arn",
    [
        TOPIC,
        "arn:aws-cn:sns:cn-north-1:123456789012:a",
        "arn:aws-us-gov:sns:us-gov-west-1:123456789012:A_b-9",
        "arn:aws:sns:ap-southeast-2:123456789012:" + "x" * 256,
    ],
)
def test_a_topic_is_taken(arn: str) -> None:
    assert add("ses", topic_arn=arn).topic_arn == arn


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "arn:aws:sqs:eu-west-1:123456789012:queue",
        "arn:aws:sns:eu-west-1:12345678901:short",
        "arn:aws:sns:eu-west-1:١٢٣٤٥٦٧٨٩٠١٢:digits",
        "arn:aws:sns:eu-west-1:123456789012:",
        "arn:aws:sns:eu-west-1:123456789012:a.fifo",
        "arn:aws:sns:eu-west-1:123456789012:a:11111111-2222-3333-4444-555555555555",
        "arn:aws:sns::123456789012:a",
        "arn:aws:sns:evil.example/:123456789012:a",
        "arn:aws-evil:sns:eu-west-1:123456789012:a",
        TOPIC + "\n",
        " " + TOPIC,
        "arn:aws:sns:eu-west-1:123456789012:" + "x" * 257,
    ],
)
def test_what_is_no_topic_is_refused(arn: str) -> None:
    with pytest.raises(InvalidFields, match="topic_arn"):
        add("ses", topic_arn=arn)


def test_a_workspace_has_so_many_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_endpoints, "ENDPOINTS_MAX", 3)
    rows = [add() for _ in range(3)]
    with pytest.raises(Conflict, match="Delete one"):
        add()
    add(workspace_id=WORKSPACE_B)
    webhook_endpoints.delete(WORKSPACE_A, rows[0].id, by=BY)
    add()


def test_two_who_add_at_once_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_endpoints, "ENDPOINTS_MAX", 3)
    refused = []

    def work() -> None:
        with db.connection():
            try:
                add()
            except Conflict:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (WebhookEndpoint.select().count(), len(refused)) == (3, 3)


def test_an_unknown_workspace_is_not_found() -> None:
    for act in (
        lambda: add(workspace_id=99),
        lambda: webhook_endpoints.list_all(99),
        lambda: webhook_endpoints.get(99, 1),
        lambda: webhook_endpoints.delete(99, 1, by=BY),
    ):
        with pytest.raises(NotFound):
            act()


def test_the_audit_log_tells_of_it_without_a_secret() -> None:
    row = add("mailgun", signing_secret=SECRET, basic_auth=("maild", "hunter3"))
    webhook_endpoints.delete(WORKSPACE_A, row.id, by=BY)
    added, deleted = AuditEntry.select().order_by(AuditEntry.seq)
    told = {"id": row.id, "provider": "mailgun", "smtp_account": "default", "topic_arn": None}
    assert (added.action, added.target) == (
        "webhook_endpoint.added", f"webhook endpoint {row.id} (mailgun)",
    )  # fmt: skip
    assert added.after == {**told, "signing": "set", "basic_auth": "set"}
    assert (deleted.action, deleted.before) == ("webhook_endpoint.deleted", told)
    rows = database.execute_sql("SELECT t::text FROM audit_entries t").fetchall()
    for secret in (SECRET, "hunter3", token_of(row)):
        assert secret not in str(rows)


# -- finding, deleting ----------------------------------------------------------------------------


def test_an_endpoint_is_found_by_its_token() -> None:
    ours, theirs = add(), add(workspace_id=WORKSPACE_B)
    for row in (ours, theirs):
        found = webhook_endpoints.find_by_token(token_of(row))
        assert found is not None
        assert (found.id, found.workspace_id) == (row.id, row.workspace_id)


def test_only_the_whole_token_is_found() -> None:
    token = token_of(add())
    for presented in (
        "",
        token[:-1],
        token + "a",
        token + "\n",
        token.swapcase(),
        "x" * 9000,
        "\0",
    ):
        assert webhook_endpoints.find_by_token(presented) is None


def test_another_workspaces_endpoint_is_not_found() -> None:
    row = add()
    with pytest.raises(NotFound) as foreign:
        webhook_endpoints.get(WORKSPACE_B, row.id)
    with pytest.raises(NotFound) as absent:
        webhook_endpoints.get(WORKSPACE_B, row.id + 1000)
    assert foreign.value.detail == absent.value.detail
    with pytest.raises(NotFound):
        webhook_endpoints.delete(WORKSPACE_B, row.id, by=BY)
    assert webhook_endpoints.get(WORKSPACE_A, row.id) == row
    assert webhook_endpoints.list_all(WORKSPACE_B) == []


def test_a_deleted_endpoint_is_gone_and_what_came_through_it_stays() -> None:
    row = add("mailgun", signing_secret=SECRET)
    token = token_of(row)
    WebhookPayload.insert(
        workspace=WORKSPACE_A,
        endpoint_id=row.id,
        provider="mailgun",
        smtp_account_name="default",
        content_type="application/json",
        headers={},
        body=b"{}",
        status="received",
        next_attempt_at=clock.now(),
    ).execute()
    webhook_endpoints.delete(WORKSPACE_A, row.id, by=BY)
    assert webhook_endpoints.find_by_token(token) is None
    assert not WebhookSecret.select().exists()
    [payload] = WebhookPayload.select()
    assert (payload.endpoint_id, payload.provider) == (row.id, "mailgun")
    with pytest.raises(NotFound):
        webhook_endpoints.delete(WORKSPACE_A, row.id, by=BY)


def test_the_endpoints_of_a_deleted_account_go_with_it() -> None:
    save_account("ours")
    save_account("ours", WORKSPACE_B)
    gone = [add(smtp_account="ours"), add("dsn", smtp_account="ours")]
    kept = [add(), add(smtp_account="ours", workspace_id=WORKSPACE_B)]
    smtp_accounts.delete(WORKSPACE_A, name="ours", by=BY)
    left = {row.id for row in WebhookEndpoint.select()}
    assert left == {row.id for row in kept}
    assert not left & {row.id for row in gone}
    entry = AuditEntry.get(AuditEntry.action == "smtp_account.deleted")
    assert entry.before["webhook_endpoints"] == 2


def test_an_address_that_no_key_opens_costs_no_list(use_settings: Callable[..., Settings]) -> None:
    row = add()
    assert webhook_endpoints.find_url(row) == webhook_endpoints.url_of(row)
    use_settings(encryption_key=b"x" * 32, encryption_keys_old=())
    assert webhook_endpoints.find_url(row) is None
    with pytest.raises(DecryptionError):
        webhook_endpoints.url_of(row)


# -- how they do ----------------------------------------------------------------------------------


def test_what_is_refused_is_counted_by_the_hour() -> None:
    row, other = add(), add()
    for number in range(3):
        webhook_endpoints.refused(row.id, f"reason {number}")
    [tally] = WebhookTally.select()
    assert (tally.endpoint_id, tally.refused_count, tally.received_count) == (row.id, 3, 0)
    assert (tally.slot_at.minute, tally.slot_at.second, tally.slot_at.microsecond) == (0, 0, 0)
    stored = reload(row)
    assert stored.last_refusal == "reason 2"
    assert stored.last_refused_at is not None
    assert stored.last_event_at is None
    assert reload(other).last_refusal is None
    assert webhook_endpoints.counts_of([row, other]) == {row.id: Counts(0, 3), other.id: Counts()}


def test_maild_own_format_has_a_counter_only() -> None:
    row = add()
    webhook_endpoints.refused(GENERIC_ENDPOINT_ID, "no signature")
    webhook_endpoints.refused(GENERIC_ENDPOINT_ID, "no signature")
    assert WebhookTally.get().refused_count == 2
    assert reload(row).last_refusal is None


def test_any_reason_can_be_kept() -> None:
    row = add()
    webhook_endpoints.refused(row.id, "\0\ud800" + "x" * 10_000)
    kept = reload(row).last_refusal
    assert kept is not None
    assert kept.startswith("\N{REPLACEMENT CHARACTER}" * 2 + "xx")
    assert len(kept) == 500


def test_many_who_refuse_at_once_lose_no_count() -> None:
    row = add()

    def work() -> None:
        with db.connection():
            for _ in range(20):
                webhook_endpoints.refused(row.id, "r")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert webhook_endpoints.counts_of([row])[row.id].refused == 80


def test_the_counts_are_of_the_last_day() -> None:
    row = add()
    webhook_endpoints.refused(row.id, "r")
    for hours, received in ((2, 5), (23, 7), (25, 100), (48, 1000)):
        WebhookTally.insert(
            endpoint_id=row.id,
            slot_at=clock.now() - timedelta(hours=hours),
            received_count=received,
        ).execute()
    assert webhook_endpoints.counts_of([row]) == {row.id: Counts(12, 1)}
    assert webhook_endpoints.counts_of([]) == {}


@pytest.mark.parametrize(
    ("provider", "fields", "expected"),
    [
        ("postmark", {}, State.WAITING),
        ("dsn", {}, State.WAITING),
        ("mailtrap", {}, State.WAITING),
        ("ses", {"topic_arn": TOPIC}, State.WAITING),
        ("mailgun", {}, State.NEEDS_SECRET),
        ("mailgun", {"signing_secret": SECRET}, State.WAITING),
        ("mailgun", {"basic_auth": ("u", "p")}, State.WAITING),
    ],
)
def test_a_new_endpoint_waits_or_needs_a_secret(
    provider: str, fields: dict[str, object], expected: State
) -> None:
    assert state(add(provider, **fields)) is expected


def test_a_topic_that_is_missing_is_a_secret_that_is_missing() -> None:
    row = add("ses", topic_arn=TOPIC)
    WebhookEndpoint.update(topic_arn=None).execute()
    assert state(row) is State.NEEDS_SECRET


def test_the_state_says_what_matters_most() -> None:
    row = add("mailgun", signing_secret=SECRET)
    for field, expected in (
        ("last_event_at", State.RECEIVING),
        ("silent_since", State.SILENT),
        ("refusing_since", State.REFUSING),
    ):
        WebhookEndpoint.update(**{field: clock.now()}).execute()
        assert state(row) is expected
    WebhookSecret.delete().execute()
    assert state(row) is State.NEEDS_SECRET


def test_old_tallies_and_ended_secrets_are_pruned() -> None:
    row = add("mailgun", signing_secret=SECRET)
    for days in (1, 29, 31):
        WebhookTally.insert(
            endpoint_id=row.id, slot_at=clock.now() - timedelta(days=days)
        ).execute()
    for hours in (-1, 23, 25):
        WebhookSecret.insert(
            workspace=WORKSPACE_A,
            endpoint=row.id,
            kind="signing",
            expires_at=clock.now() - timedelta(hours=hours),
            created_by="a test",
        ).execute()
    webhook_endpoints.prune()
    assert WebhookTally.select().count() == 2
    assert WebhookSecret.select().count() == 3
    webhook_endpoints.prune()
    assert WebhookSecret.select().where(WebhookSecret.expires_at.is_null()).count() == 1


# -- what to do at the provider -------------------------------------------------------------------


def test_every_provider_has_its_steps_with_the_address() -> None:
    assert set(webhook_setup.STEPS) == set(webhook_endpoints.provider_words())
    for provider in webhook_endpoints.provider_words():
        row = add(provider, topic_arn=TOPIC if provider == "ses" else None)
        steps = webhook_endpoints.setup_of(row, [])
        url = webhook_endpoints.url_of(row)
        assert any(url in step for step in steps), provider
        assert not re.search(r"[{}]", " ".join(steps)), provider
        module = webhooks.PROVIDERS.get(provider)
        tells_of_secret = "/v1/webhooks/endpoints/secrets, kind signing" in " ".join(steps)
        assert tells_of_secret == bool(module and module.SECRET_IS), provider
        is_advised = "signs nothing" in " ".join(steps)
        assert is_advised == bool(module and not module.SIGNS), provider


def test_the_steps_say_where_basic_authentication_goes() -> None:
    for provider in webhook_endpoints.provider_words():
        row = add(
            provider,
            topic_arn=TOPIC if provider == "ses" else None,
            basic_auth=("maild", "hunter3"),
        )
        steps = " ".join(webhook_endpoints.setup_of(row, webhook_secrets.find_valid([row])[row.id]))
        assert "basic auth" in steps.lower(), provider
        assert "hunter3" not in steps


def test_a_topic_stands_in_the_steps() -> None:
    steps = webhook_endpoints.setup_of(add("ses", topic_arn=TOPIC), [])
    assert TOPIC in steps[0]


def test_a_provider_of_a_later_version_is_told_of_too() -> None:
    row = add()
    WebhookEndpoint.update(provider="pigeon").execute()
    row = reload(row)
    assert webhook_endpoints.title_of("pigeon") == "pigeon"
    assert state(row) is State.WAITING
    assert webhook_endpoints.url_of(row) in webhook_endpoints.setup_of(row, [])[0]
