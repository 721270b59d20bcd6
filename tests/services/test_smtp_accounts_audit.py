"""What the audit log tells of changes to SMTP accounts, and that no credential is in it."""

import threading

import pytest

from maild import db
from maild.db import database
from maild.domain.actor import Actor
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import AuditEntry
from maild.services import audit, smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")

BY = Actor("key mk_1a2b3c4d (ops)", ip="192.0.2.1", request_id="r1")
USER, PASSWORD, OTHER_PASSWORD = "user-4711-token", "hunter2-secret", "hunter3-secret"


def save(name: str = "postal", **fields: object) -> None:
    values: dict[str, object] = {
        "host": "smtp.example.com",
        "port": 587,
        "from_email": "shop@example.com",
        "username": USER,
        "password": PASSWORD,
        **fields,
    }
    smtp_accounts.save(WORKSPACE_A, NewSmtpAccount(name=name, **values), by=BY)  # type: ignore[arg-type]


def entries() -> list[AuditEntry]:
    """All of workspace A's, oldest first."""
    return audit.list_page(WORKSPACE_A).entries[::-1]


def test_saving_tells_what_it_was_and_what_it_is() -> None:
    save()
    save(
        host="other.example.com",
        password=OTHER_PASSWORD,
        max_per_second=2.5,
        return_path="bounces@example.com",
    )
    save(username=None, password=None)
    first, second, third = entries()
    assert {e.action for e in (first, second, third)} == {"smtp_account.saved"}
    assert (first.target, first.actor, first.actor_ip) == (
        "SMTP account postal", "key mk_1a2b3c4d (ops)", "192.0.2.1",
    )  # fmt: skip
    assert first.before is None
    assert first.after == {
        "host": "smtp.example.com",
        "port": 587,
        "security": "auto",
        "from_email": "shop@example.com",
        "max_connections": 10,
        "max_per_second": None,
        "priority": 100,
        "return_path": None,
        "username": "set",
        "password": "set",
    }
    assert second.before == first.after
    assert second.after == {
        **first.after,
        "host": "other.example.com",
        "max_per_second": 2.5,
        "return_path": "bounces@example.com",
        "username": "changed",
        "password": "changed",
    }
    assert (third.after["username"], third.after["password"]) == (None, None)


def test_no_credential_is_ever_in_it() -> None:
    save()
    save(password=OTHER_PASSWORD)
    smtp_accounts.delete(WORKSPACE_A, name="postal", by=BY)
    rows = database.execute_sql("SELECT t::text FROM audit_entries t").fetchall()
    assert len(rows) == 3
    for secret in (USER, PASSWORD, OTHER_PASSWORD):
        assert secret not in str(rows)


def test_each_change_is_told_once_in_order() -> None:
    save("one")
    save("two")
    smtp_accounts.activate(WORKSPACE_A, name="one", by=BY)
    smtp_accounts.activate(WORKSPACE_A, name="one", by=BY)
    smtp_accounts.activate(WORKSPACE_A, name="two", by=BY)
    smtp_accounts.pause(WORKSPACE_A, name="one", reason="bounces", by=BY)
    smtp_accounts.pause(WORKSPACE_A, name="one", reason="once more", by=BY)
    smtp_accounts.resume(WORKSPACE_A, name="one", by=BY)
    smtp_accounts.resume(WORKSPACE_A, name="one", by=BY)
    smtp_accounts.activate(WORKSPACE_A, name="default", by=BY)
    smtp_accounts.activate(WORKSPACE_A, name="default", by=BY)
    smtp_accounts.delete(WORKSPACE_A, name="one", by=BY)
    told = [(e.action.removeprefix("smtp_account."), e.target, e.reason) for e in entries()]
    assert told[2:] == [
        ("activated", "SMTP account one", None),
        ("activated", "SMTP account two", None),
        ("paused", "SMTP account one", "bounces"),
        ("resumed", "SMTP account one", None),
        ("activated", "SMTP account default", None),
        ("deleted", "SMTP account one", None),
    ]
    activated = [e for e in entries() if e.action == "smtp_account.activated"]
    assert [(e.before, e.after) for e in activated] == [
        ({"active": "default"}, {"active": "one"}),
        ({"active": "one"}, {"active": "two"}),
        ({"active": "two"}, {"active": "default"}),
    ]
    assert entries()[-1].before["host"] == "smtp.example.com"
    assert audit.verify(WORKSPACE_A).problem is None


def test_what_is_refused_is_not_told() -> None:
    save()
    smtp_accounts.activate(WORKSPACE_A, name="postal", by=BY)
    with pytest.raises(Conflict):
        smtp_accounts.delete(WORKSPACE_A, name="postal", by=BY)
    with pytest.raises(InvalidFields):
        save(port=0)
    with pytest.raises(InvalidFields):
        smtp_accounts.pause(WORKSPACE_A, name="postal", reason="", by=BY)
    for act in (smtp_accounts.activate, smtp_accounts.resume, smtp_accounts.delete):
        with pytest.raises(NotFound):
            act(WORKSPACE_B, name="postal", by=BY)
    assert len(entries()) == 2
    assert audit.verify(WORKSPACE_B).head.seq == 0


def test_two_who_activate_at_once_leave_one_active_and_a_chain() -> None:
    names = [f"n{number}" for number in range(4)]
    for name in names:
        save(name)

    def activate(name: str) -> None:
        with db.connection():
            smtp_accounts.activate(WORKSPACE_A, name=name, by=BY)

    threads = [threading.Thread(target=activate, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    activated = [e for e in entries() if e.action == "smtp_account.activated"]
    assert [e.before["active"] for e in activated] == [
        "default", *(e.after["active"] for e in activated[:-1]),
    ]  # fmt: skip
    [active] = [a.name for a in smtp_accounts.list_all(WORKSPACE_A) if a.is_active]
    assert activated[-1].after["active"] == active
