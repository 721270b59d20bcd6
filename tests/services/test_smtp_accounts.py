"""SMTP accounts: saved encrypted, replaced by name, one active."""

import pytest

from maild import config
from maild.errors import DecryptionError, InvalidFields, NotFound
from maild.models import SmtpAccount
from maild.services import smtp_accounts
from maild.services.smtp_accounts import NewSmtpAccount
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")


def new(name: str = "postal", **fields: object) -> NewSmtpAccount:
    values: dict[str, object] = {
        "host": "smtp.example.com",
        "port": 587,
        "from_email": "shop@example.com",
        "username": "user",
        "password": "hunter2",
    }
    return NewSmtpAccount(name=name, **{**values, **fields})  # type: ignore[arg-type]


def test_the_password_is_stored_encrypted_and_opens_for_sending() -> None:
    row = smtp_accounts.save(WORKSPACE_A, new())
    stored = SmtpAccount.get_by_id(row.id)
    assert b"hunter2" not in bytes(stored.password_encrypted)
    server = smtp_accounts.get_server(row.id)
    assert (server.username, server.password) == ("user", "hunter2")
    assert "hunter2" not in repr(server)


def test_a_ciphertext_moved_to_another_account_does_not_open() -> None:
    one = smtp_accounts.save(WORKSPACE_A, new("one"))
    two = smtp_accounts.save(WORKSPACE_B, new("one", password="other"))
    SmtpAccount.update(password_encrypted=one.password_encrypted).where(
        SmtpAccount.id == two.id
    ).execute()
    with pytest.raises(DecryptionError):
        smtp_accounts.get_server(two.id)


def test_saving_the_same_name_replaces_it_and_forgets_old_credentials() -> None:
    first = smtp_accounts.save(WORKSPACE_A, new())
    second = smtp_accounts.save(
        WORKSPACE_A, new(host="other.example.com", username=None, password=None)
    )
    assert second.id == first.id
    server = smtp_accounts.get_server(first.id)
    assert (server.host, server.username, server.password) == ("other.example.com", None, None)


def test_replacing_the_active_account_leaves_it_active() -> None:
    smtp_accounts.save(WORKSPACE_A, new())
    smtp_accounts.activate(WORKSPACE_A, name="postal")
    smtp_accounts.save(WORKSPACE_A, new(host="other.example.com"))
    [row] = smtp_accounts.list_all(WORKSPACE_A)
    assert row.is_active


def test_activating_one_deactivates_the_other_and_no_other_workspaces() -> None:
    for workspace in (WORKSPACE_A, WORKSPACE_B):
        smtp_accounts.save(workspace, new("one"))
        smtp_accounts.save(workspace, new("two"))
        smtp_accounts.activate(workspace, name="one")
    smtp_accounts.activate(WORKSPACE_A, name="two")
    active = {
        workspace: [a.name for a in smtp_accounts.list_all(workspace) if a.is_active]
        for workspace in (WORKSPACE_A, WORKSPACE_B)
    }
    assert active == {WORKSPACE_A: ["two"], WORKSPACE_B: ["one"]}


def test_another_workspaces_account_is_not_found() -> None:
    smtp_accounts.save(WORKSPACE_B, new())
    with pytest.raises(NotFound):
        smtp_accounts.activate(WORKSPACE_A, name="postal")


def test_an_unknown_workspace_is_not_found() -> None:
    with pytest.raises(NotFound, match="workspace 99"):
        smtp_accounts.save(99, new())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a\nb"),
        ("name", "x" * 65),
        ("name", "default"),
        ("host", ""),
        ("host", "smtp.example.com 25"),
        ("host", "user@host"),
        ("host", "smtp.example.com\r\nX"),
        ("host", "bücher.example"),
        ("port", 0),
        ("port", 65_536),
        ("security", "ssl"),
        ("from_email", "not an address"),
        ("username", "a\r\nb"),
        ("password", "a\0b"),
        ("password", None),
        ("username", None),
    ],
)
def test_it_refuses_what_cannot_work(field: str, value: object) -> None:
    with pytest.raises(InvalidFields) as caught:
        smtp_accounts.save(WORKSPACE_A, new(**{field: value}))
    named = {error.field for error in caught.value.errors}
    assert field in named or named == {"password"}
    assert SmtpAccount.select().count() == 0


def test_without_one_the_environments_account_is_used() -> None:
    server = smtp_accounts.get_server(None)
    assert (server.host, server.port) == (config.current().smtp.host, config.current().smtp.port)
