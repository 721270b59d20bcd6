"""Changing the encryption key: everything opens before, meanwhile and after, and only in its
place.
"""

import itertools
import random
import subprocess
import sys
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Callable

import pytest

from maild import clock, config, db, models
from maild.config import Settings, child_environment
from maild.domain.actor import SYSTEM
from maild.errors import DecryptionError
from maild.models import (
    AuditEntry,
    LinkKey,
    SmtpAccount,
    WebhookEndpoint,
    WebhookSecret,
    Workspace,
)
from maild.services import (
    key_rotation,
    secrets,
    smtp_accounts,
    webhook_endpoints,
    webhook_secrets,
)
from maild.services.key_rotation import SOURCES, Summary
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")

UseSettings = Callable[..., Settings]

KEY_1, KEY_2, KEY_3 = (bytes([number]) * 32 for number in (1, 2, 3))


@pytest.fixture(autouse=True)
def first_key(use_settings: UseSettings) -> None:
    use_settings(encryption_key=KEY_1, encryption_keys_old=())


def save(name: str, password: str | None, *, workspace_id: int = WORKSPACE_A) -> SmtpAccount:
    account = NewSmtpAccount(
        name=name,
        host="smtp.example.com",
        port=587,
        from_email="shop@example.com",
        username="user" if password else None,
        password=password,
    )
    return smtp_accounts.save(workspace_id, account, by=SYSTEM)


def add_link_key(text: str, *, workspace_id: int = WORKSPACE_A) -> LinkKey:
    row: LinkKey = LinkKey.create(workspace=workspace_id, secret_encrypted=b"")
    row.secret_encrypted = secrets.encrypt(text, place=place(row))
    row.save()
    return row


def add_endpoint(secret: str, *, workspace_id: int = WORKSPACE_A) -> WebhookEndpoint:
    """Two secrets: its token, and the one that it is given."""
    return webhook_endpoints.add(
        workspace_id,
        provider="mailgun",
        smtp_account="default",
        signing_secret=secret,
        by=SYSTEM,
    )


def place(row: SmtpAccount | LinkKey | WebhookEndpoint | WebhookSecret) -> str:
    table = row._meta.table_name  # type: ignore[attr-defined]
    return secrets.place_of(row.workspace_id, table, row.id, SOURCES[table].field)


def password(row: SmtpAccount) -> str | None:
    return smtp_accounts.get_server(row.id).password


def link_secret(row: LinkKey, key: bytes | None = None) -> str:
    stored = LinkKey.get_by_id(row.id)
    return secrets.decrypt(stored.secret_encrypted, place=place(row), key=key)


def blobs() -> dict[str, bytes]:
    found = {
        f"account {row.id}": row.password_encrypted
        for row in SmtpAccount.select().where(SmtpAccount.password_encrypted.is_null(False))
    }
    found |= {f"link key {row.id}": row.secret_encrypted for row in LinkKey.select()}
    found |= {f"endpoint {row.id}": row.token_encrypted for row in WebhookEndpoint.select()}
    found |= {f"webhook secret {row.id}": row.value_encrypted for row in WebhookSecret.select()}
    return {name: bytes(blob) for name, blob in found.items()}


def keys_used() -> set[bytes]:
    heads = {secrets.head_of(key): key for key in (KEY_1, KEY_2, KEY_3)}
    return {heads[blob[: secrets.HEAD_BYTES]] for blob in blobs().values()}


def rotate(reported: list[int] | None = None) -> Summary:
    reported = [] if reported is None else reported
    return key_rotation.rotate(report=reported.append)


def test_every_secret_is_under_the_current_key_afterwards(use_settings: UseSettings) -> None:
    one, two = save("one", "pässword"), save("one", "other", workspace_id=WORKSPACE_B)
    save("without", None)
    link_key = add_link_key("link secret")
    use_settings(encryption_key=KEY_2, encryption_keys_old=(KEY_1,))
    summary = rotate()
    assert summary == Summary(Counter({"smtp_accounts": 2, "link_keys": 1}), (), 0)
    assert summary.is_complete
    use_settings(encryption_keys_old=())
    assert (password(one), password(two), link_secret(link_key)) == (
        "pässword",
        "other",
        "link secret",
    )
    assert keys_used() == {KEY_2}


def test_the_secrets_of_webhook_endpoints_are_among_them(use_settings: UseSettings) -> None:
    one = add_endpoint("hunter2")
    two = add_endpoint("hunter3", workspace_id=WORKSPACE_B)
    webhook_secrets.add(WORKSPACE_A, one.id, kind="basic_auth", value="user:password", by=SYSTEM)
    urls = [webhook_endpoints.url_of(row) for row in (one, two)]
    # As between the two statements that make a row.
    WebhookSecret.create(workspace=WORKSPACE_A, endpoint=one, kind="signing", created_by="a test",
                         expires_at=clock.now())  # fmt: skip
    use_settings(encryption_key=KEY_2, encryption_keys_old=(KEY_1,))
    summary = rotate()
    assert summary == Summary(Counter({"webhook_secrets": 3, "webhook_endpoints": 2}), (), 0)
    use_settings(encryption_keys_old=())
    one, two = WebhookEndpoint.select().order_by(WebhookEndpoint.id)
    assert [webhook_endpoints.url_of(row) for row in (one, two)] == urls
    assert webhook_endpoints.keys_of(one).basic_auth == ("user:password",)
    assert webhook_endpoints.keys_of(one).signing == ("hunter2",)
    assert webhook_endpoints.keys_of(two).signing == ("hunter3",)


def test_a_webhook_secret_that_no_key_opens_is_named_with_its_endpoint(
    use_settings: UseSettings,
) -> None:
    row = add_endpoint("gone")
    secret = WebhookSecret.get()
    use_settings(encryption_key=KEY_2)
    summary = rotate()
    assert [bad.name for bad in summary.unopened] == [
        f"webhook endpoint {row.id}",
        f"webhook secret {secret.id} of webhook endpoint {row.id}",
    ]


def test_several_old_keys_are_replaced_at_once(use_settings: UseSettings) -> None:
    one = save("one", "first")
    use_settings(encryption_key=KEY_2, encryption_keys_old=(KEY_1,))
    two = save("two", "second")
    use_settings(encryption_key=KEY_3, encryption_keys_old=(KEY_2, KEY_1))
    assert rotate().changed.total() == 2
    use_settings(encryption_keys_old=())
    assert (password(one), password(two)) == ("first", "second")


def test_what_is_under_the_current_key_is_left_alone(use_settings: UseSettings) -> None:
    save("one", "first")
    use_settings(encryption_key=KEY_2, encryption_keys_old=(KEY_1,))
    save("two", "second")
    rotate()
    before = blobs()
    reported: list[int] = []
    assert rotate(reported) == Summary(Counter(), (), 0)
    assert (blobs(), reported) == (before, [])


def test_it_looks_at_more_than_a_batch(
    use_settings: UseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_rotation, "BATCH", 3)
    for workspace_id, number in itertools.product((WORKSPACE_A, WORKSPACE_B), range(5)):
        save(f"account {number}", f"password {number}", workspace_id=workspace_id)
        add_link_key(f"secret {number}", workspace_id=workspace_id)
    use_settings(encryption_key=KEY_2, encryption_keys_old=(KEY_1,))
    reported: list[int] = []
    summary = rotate(reported)
    assert summary.changed == Counter({"smtp_accounts": 10, "link_keys": 10})
    assert reported[-1] == 20
    assert reported == sorted(reported)
    assert keys_used() == {KEY_2}


def test_one_that_no_key_opens_is_named_and_stops_nothing(
    use_settings: UseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_rotation, "BATCH", 1)
    lost = save("lost", "gone")
    use_settings(encryption_key=KEY_2)
    save("held", "kept")
    damaged = save("damaged", "x", workspace_id=WORKSPACE_B)
    add_link_key("kept", workspace_id=WORKSPACE_B)
    SmtpAccount.update(password_encrypted=secrets.head_of(KEY_2) + b"damaged").where(
        SmtpAccount.id == damaged.id
    ).execute()
    use_settings(encryption_key=KEY_3, encryption_keys_old=(KEY_2,))
    before = blobs()
    summary = rotate()
    assert [(bad.workspace_id, bad.name) for bad in summary.unopened] == [
        (WORKSPACE_A, "SMTP account lost"),
        (WORKSPACE_B, "SMTP account damaged"),
    ]
    assert "does not have now" in summary.unopened[0].reason
    assert summary.changed == Counter({"smtp_accounts": 1, "link_keys": 1})
    assert summary.needs_old_count == 1
    assert not summary.is_complete
    for row in (lost, damaged):
        assert blobs()[f"account {row.id}"] == before[f"account {row.id}"]


def test_a_password_that_is_saved_meanwhile_wins(
    use_settings: UseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = save("ours", "old password")
    use_settings(encryption_key=KEY_2, encryption_keys_old=(KEY_1,))
    encrypt = secrets.encrypt

    def while_it_works(text: str, *, place: str, key: bytes | None = None) -> bytes:
        blob = encrypt(text, place=place, key=key)
        if text == "old password":  # read, and not yet written
            with_old_key = encrypt("new password", place=place, key=KEY_1)
            SmtpAccount.update(password_encrypted=with_old_key).where(
                SmtpAccount.id == row.id
            ).execute()
        return blob

    monkeypatch.setattr(secrets, "encrypt", while_it_works)
    summary = rotate()
    assert (summary.changed.total(), summary.needs_old_count) == (0, 1)
    assert password(row) == "new password"
    assert not AuditEntry.select().where(AuditEntry.action == "secrets.rotated").exists()
    assert rotate().is_complete
    assert password(row) == "new password"


def test_an_account_that_is_deleted_meanwhile_stays_deleted(
    use_settings: UseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("ours", "password")
    use_settings(encryption_key=KEY_2, encryption_keys_old=(KEY_1,))
    encrypt = secrets.encrypt

    def while_it_works(text: str, *, place: str, key: bytes | None = None) -> bytes:
        Workspace.delete_by_id(WORKSPACE_A)
        return encrypt(text, place=place, key=key)

    monkeypatch.setattr(secrets, "encrypt", while_it_works)
    assert rotate() == Summary(Counter(), (), 0)


def test_the_audit_log_of_each_workspace_tells_how_many(use_settings: UseSettings) -> None:
    save("one", "hunter2")
    save("two", "hunter2")
    add_link_key("hunter2")
    use_settings(encryption_key=KEY_2, encryption_keys_old=(KEY_1,))
    save("theirs", "new already", workspace_id=WORKSPACE_B)
    rotate()
    rotate()
    [entry] = AuditEntry.select().where(AuditEntry.action == "secrets.rotated")
    assert (entry.workspace_id, entry.actor, entry.before) == (WORKSPACE_A, "command line", None)
    assert entry.after == {"smtp_accounts": 2, "link_keys": 1}


@pytest.mark.proves("I23")
@pytest.mark.parametrize("is_rotated", [False, True])
def test_a_ciphertext_opens_in_its_own_place_only(
    use_settings: UseSettings, is_rotated: bool
) -> None:
    for workspace_id in (WORKSPACE_A, WORKSPACE_B):
        for name in ("one", "two"):
            save(name, "password", workspace_id=workspace_id)
        add_link_key("secret", workspace_id=workspace_id)
        add_endpoint("secret", workspace_id=workspace_id)
    if is_rotated:
        use_settings(encryption_key=KEY_2, encryption_keys_old=(KEY_1,))
        rotate()
    models_ = (SmtpAccount, LinkKey, WebhookEndpoint, WebhookSecret)
    rows = [row for model in models_ for row in model.select()]
    assert len({row.id for row in rows if isinstance(row, LinkKey)}) == 2
    swaps = list(itertools.permutations(rows, 2))
    assert len(swaps) == 90
    for source, target in swaps:
        blob = getattr(source, f"{SOURCES[source._meta.table_name].field}_encrypted")
        assert secrets.decrypt(blob, place=place(source))
        with pytest.raises(DecryptionError, match="another place"):
            secrets.decrypt(blob, place=place(target))


@pytest.mark.proves("security-encryption")
def test_workers_that_read_meanwhile_never_fail(
    use_settings: UseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_rotation, "BATCH", 5)
    rows = [save(f"account {number}", f"password {number}") for number in range(40)]
    is_over = threading.Event()
    faults: list[BaseException] = []
    reads = Counter[str]()

    def read() -> None:
        try:
            with db.connection():
                while not is_over.is_set() or not reads:
                    row = random.choice(rows)
                    assert password(row) == f"password {row.name.split()[1]}"
                    reads["done"] += 1
        except BaseException as error:
            faults.append(error)

    use_settings(encryption_key=KEY_2, encryption_keys_old=(KEY_1,))
    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for current, old in ((KEY_2, KEY_1), (KEY_3, KEY_2), (KEY_1, KEY_3)):
            # The one before, too: a reader may have its blob in hand from before the last rotation.
            others = tuple({KEY_1, KEY_2, KEY_3} - {current, old})
            use_settings(encryption_key=current, encryption_keys_old=(old, *others))
            assert rotate().changed.total() == len(rows)
    finally:
        is_over.set()
        for reader in readers:
            reader.join()
    assert faults == []
    assert reads["done"]


@pytest.mark.proves("security-encryption")
def test_every_encrypted_column_is_rotated() -> None:
    columns = {
        (model._meta.table_name, column)
        for model in models.ALL
        for column in model._meta.columns
        if column.endswith("_encrypted")
    }
    assert columns == {(table, f"{source.field}_encrypted") for table, source in SOURCES.items()}


# The command


def command(stack: Settings, key: bytes, *old: bytes) -> tuple[list[str], dict[str, str]]:
    environ = child_environment(
        MAILD_HOME="/nonexistent",
        POSTGRES_DSN=stack.postgres_dsn,
        REDIS_URL=stack.redis_url,
        ENCRYPTION_KEY_BASE64=b64encode(key).decode(),
        ENCRYPTION_KEYS_OLD=",".join(b64encode(each).decode() for each in old),
    )
    return [sys.executable, "-m", "maild", "keys", "rotate"], environ


def run(stack: Settings, key: bytes, *old: bytes) -> subprocess.CompletedProcess[str]:
    arguments, environ = command(stack, key, *old)
    return subprocess.run(
        arguments, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_command_says_what_it_did(settings: Settings) -> None:
    save("one", "first")
    add_link_key("second")
    done = run(settings, KEY_2, KEY_1)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "2 re-encrypted ..."
    assert lines[1:] == [
        "Re-encrypted with the current key: 2 (DKIM keys: 0, link keys: 1,"
        " notification channel secrets: 0, second factors: 0, SMTP accounts: 1,"
        " webhook endpoints: 0, webhook secrets: 0).",
        "Nothing needs ENCRYPTION_KEYS_OLD any more: drop it.",
    ]
    again = run(settings, KEY_2)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith("Re-encrypted with the current key: 0 ")


def test_the_command_names_what_does_not_open(settings: Settings) -> None:
    save("lost", "gone")
    save("held", "kept", workspace_id=WORKSPACE_B)
    SmtpAccount.update(
        password_encrypted=secrets.encrypt("gone", place="somewhere else", key=KEY_3)
    ).where(SmtpAccount.name == "lost").execute()
    done = run(settings, KEY_2, KEY_1)
    assert done.returncode == 1
    assert "Not opened: workspace 1, SMTP account lost. " in done.stderr
    assert "Traceback" not in done.stderr
    assert "Re-encrypted with the current key: 1 " in done.stdout
    for shown in (done.stdout, done.stderr):
        assert "gone" not in shown
        assert b64encode(KEY_1).decode() not in shown


@pytest.mark.proves("I23")
@pytest.mark.crash
@pytest.mark.long
def test_killed_ten_times_it_leaves_every_secret_with_one_key(
    settings: Settings, use_settings: UseSettings
) -> None:
    chance = random.Random()
    expected = _fill(chance)
    keys = [KEY_1]
    half_done = 0
    for _ in range(10):
        keys.append(chance.randbytes(32))
        arguments, environ = command(settings, keys[-1], *keys[:-1])
        with subprocess.Popen(
            arguments, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(30)):
                process.stdout.readline()
            process.kill()
        held = {secrets.head_of(key): key for key in keys}
        used = Counter(held[blob[: secrets.HEAD_BYTES]] for blob in blobs().values())
        half_done += 0 < used[keys[-1]] < used.total()
        assert _opened_by(keys) == expected
    assert half_done  # some kill came in the middle

    done = run(settings, keys[-1], *keys[:-1])
    assert done.returncode == 0, done.stderr
    assert "drop it" in done.stdout
    assert _opened_by(keys[-1:]) == expected
    use_settings(encryption_key=keys[-1])
    assert run(settings, keys[-1]).returncode == 0
    # Each change is told once: who was killed in between has told nothing, and changed nothing.
    told = AuditEntry.select().where(AuditEntry.action == "secrets.rotated")
    assert all(sum(entry.after.values()) for entry in told)


def _fill(chance: random.Random) -> dict[str, str]:
    """Some hundred secrets in forty workspaces; what each of them says."""
    Workspace.insert_many([{"id": number, "name": "W"} for number in range(100, 140)]).execute()
    expected = {}
    for workspace_id in range(100, 140):
        for number in range(chance.randrange(4, 10)):
            text = chance.randbytes(12).hex()
            row = save(f"account {number}", text, workspace_id=workspace_id)
            expected[f"account {row.id}"] = text
        text = chance.randbytes(12).hex()
        link_key = add_link_key(text, workspace_id=workspace_id)
        expected[f"link key {link_key.id}"] = text
        text = chance.randbytes(12).hex()
        endpoint = add_endpoint(text, workspace_id=workspace_id)
        expected[f"endpoint {endpoint.id}"] = webhook_endpoints.url_of(endpoint).rpartition("/")[2]
        expected[f"webhook secret {WebhookSecret.get(endpoint=endpoint).id}"] = text
    assert config.current().encryption_key == KEY_1
    return expected


def _opened_by(keys: list[bytes]) -> dict[str, str]:
    """What every secret says; fails unless exactly one of the keys opens it."""
    found = {}
    rows = [(f"account {row.id}", row, row.password_encrypted) for row in SmtpAccount.select()]
    rows += [(f"link key {row.id}", row, row.secret_encrypted) for row in LinkKey.select()]
    rows += [(f"endpoint {e.id}", e, e.token_encrypted) for e in WebhookEndpoint.select()]
    rows += [(f"webhook secret {s.id}", s, s.value_encrypted) for s in WebhookSecret.select()]
    for name, row, blob in rows:
        texts = []
        for key in keys:
            try:
                texts.append(secrets.decrypt(blob, place=place(row), key=key))
            except DecryptionError:
                continue
        [found[name]] = texts
    return found
