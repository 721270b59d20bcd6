"""SMTP accounts: saved encrypted, replaced by name, one active, paused and deleted; and their
health.
"""

import dataclasses
import uuid
from datetime import timedelta

import pytest

from maild import clock, config
from maild.domain.actor import SYSTEM
from maild.domain.breaker import State
from maild.domain.states import EventType
from maild.errors import Conflict, DecryptionError, InvalidFields, NotFound
from maild.models import AccountTally, Breaker, Event, SmtpAccount
from maild.services import account_health, smtp_accounts
from maild.services.account_health import Word
from maild.services.smtp_account_fields import NewSmtpAccount
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
    row = smtp_accounts.save(WORKSPACE_A, new(), by=SYSTEM)
    stored = SmtpAccount.get_by_id(row.id)
    assert b"hunter2" not in bytes(stored.password_encrypted)
    server = smtp_accounts.get_server(row.id)
    assert (server.username, server.password) == ("user", "hunter2")
    assert "hunter2" not in repr(server)


def test_a_ciphertext_moved_to_another_account_does_not_open() -> None:
    one = smtp_accounts.save(WORKSPACE_A, new("one"), by=SYSTEM)
    two = smtp_accounts.save(WORKSPACE_B, new("one", password="other"), by=SYSTEM)
    SmtpAccount.update(password_encrypted=one.password_encrypted).where(
        SmtpAccount.id == two.id
    ).execute()
    with pytest.raises(DecryptionError):
        smtp_accounts.get_server(two.id)


def test_saving_the_same_name_replaces_it_and_forgets_old_credentials() -> None:
    first = smtp_accounts.save(WORKSPACE_A, new(), by=SYSTEM)
    second = smtp_accounts.save(
        WORKSPACE_A, new(host="other.example.com", username=None, password=None), by=SYSTEM
    )
    assert second.id == first.id
    server = smtp_accounts.get_server(first.id)
    assert (server.host, server.username, server.password) == ("other.example.com", None, None)


def test_replacing_the_active_account_leaves_it_active() -> None:
    smtp_accounts.save(WORKSPACE_A, new(), by=SYSTEM)
    smtp_accounts.activate(WORKSPACE_A, name="postal", by=SYSTEM)
    smtp_accounts.save(WORKSPACE_A, new(host="other.example.com"), by=SYSTEM)
    [row] = smtp_accounts.list_all(WORKSPACE_A)
    assert row.is_active


def test_activating_one_deactivates_the_other_and_no_other_workspaces() -> None:
    for workspace in (WORKSPACE_A, WORKSPACE_B):
        smtp_accounts.save(workspace, new("one"), by=SYSTEM)
        smtp_accounts.save(workspace, new("two"), by=SYSTEM)
        smtp_accounts.activate(workspace, name="one", by=SYSTEM)
    smtp_accounts.activate(WORKSPACE_A, name="two", by=SYSTEM)
    active = {
        workspace: [a.name for a in smtp_accounts.list_all(workspace) if a.is_active]
        for workspace in (WORKSPACE_A, WORKSPACE_B)
    }
    assert active == {WORKSPACE_A: ["two"], WORKSPACE_B: ["one"]}


def test_another_workspaces_account_is_not_found() -> None:
    smtp_accounts.save(WORKSPACE_B, new(), by=SYSTEM)
    with pytest.raises(NotFound):
        smtp_accounts.activate(WORKSPACE_A, name="postal", by=SYSTEM)


def test_an_unknown_workspace_is_not_found() -> None:
    with pytest.raises(NotFound, match="workspace 99"):
        smtp_accounts.save(99, new(), by=SYSTEM)


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
        ("max_connections", 0),
        ("max_connections", 1_001),
        ("max_per_second", 0.0),
        ("max_per_second", float("nan")),
        ("priority", -1),
        ("priority", 1_001),
        ("security", "ssl"),
        ("from_email", "not an address"),
        ("return_path", "not an address"),
        ("return_path", "größe@example.com"),
        ("return_path", f"{'a' * 38}@example.com"),
        ("return_path", f"{'a' * 37}@{'.'.join(['b' * 63] * 3)}.example"),
        ("username", "a\r\nb"),
        ("password", "a\0b"),
        ("password", None),
        ("username", None),
    ],
)
def test_it_refuses_what_cannot_work(field: str, value: object) -> None:
    with pytest.raises(InvalidFields) as caught:
        smtp_accounts.save(WORKSPACE_A, new(**{field: value}), by=SYSTEM)
    named = {error.field for error in caught.value.errors}
    assert field in named or named == {"password"}
    assert SmtpAccount.select().count() == 0


def told() -> list[tuple[int | None, str, dict[str, object]]]:
    rows = Event.select().order_by(Event.id)
    return [(event.workspace_id, event.type, event.data) for event in rows]


def test_a_pause_and_its_end_are_each_told_once() -> None:
    smtp_accounts.save(WORKSPACE_A, new(), by=SYSTEM)
    smtp_accounts.save(WORKSPACE_B, new(), by=SYSTEM)
    for reason in ("too many bounces", "another reason"):
        row = smtp_accounts.pause(WORKSPACE_A, name="postal", reason=reason, by=SYSTEM)
        assert row.paused_at is not None
        assert row.pause_reason == "too many bounces"
    for _ in range(2):
        row = smtp_accounts.resume(WORKSPACE_A, name="postal", by=SYSTEM)
        assert (row.paused_at, row.pause_reason) == (None, None)
    assert told() == [
        (
            WORKSPACE_A,
            EventType.PAUSED.value,
            {"smtp_account": "postal", "by": "maild", "reason": "too many bounces"},
        ),
        (WORKSPACE_A, EventType.RESUMED.value, {"smtp_account": "postal", "by": "maild"}),
    ]
    assert smtp_accounts.find(WORKSPACE_B, name="postal").paused_at is None


def test_the_account_of_the_environment_cannot_be_paused() -> None:
    with pytest.raises(InvalidFields, match="environment"):
        smtp_accounts.pause(WORKSPACE_A, name="default", reason="r", by=SYSTEM)


def test_deleting_forgets_what_is_known_of_its_health() -> None:
    gone, kept = (smtp_accounts.save(WORKSPACE_A, new(name), by=SYSTEM) for name in ("one", "two"))
    for row in (gone, kept):
        Breaker.insert(account_id=row.id, state=State.CLOSED).execute()
        AccountTally.insert(
            account_id=row.id,
            slot_at=clock.now(),
            worker_id=uuid.uuid4(),
            try_count=1,
            fault_count=0,
        ).execute()
    smtp_accounts.delete(WORKSPACE_A, name="one", by=SYSTEM)
    assert [row.name for row in smtp_accounts.list_all(WORKSPACE_A)] == ["two"]
    assert [row.account_id for row in Breaker.select()] == [kept.id]
    assert [row.account_id for row in AccountTally.select()] == [kept.id]
    with pytest.raises(NotFound):
        smtp_accounts.get_server(gone.id)


def test_the_active_account_is_deleted_only_after_another_took_over() -> None:
    smtp_accounts.save(WORKSPACE_A, new(), by=SYSTEM)
    smtp_accounts.activate(WORKSPACE_A, name="postal", by=SYSTEM)
    with pytest.raises(Conflict, match="Activate another account first"):
        smtp_accounts.delete(WORKSPACE_A, name="postal", by=SYSTEM)
    smtp_accounts.activate(WORKSPACE_A, name="default", by=SYSTEM)
    smtp_accounts.delete(WORKSPACE_A, name="postal", by=SYSTEM)
    assert SmtpAccount.select().count() == 0


def test_what_was_mended_is_tried_at_once() -> None:
    row = smtp_accounts.save(WORKSPACE_A, new(), by=SYSTEM)
    later = clock.now() + timedelta(minutes=5)
    Breaker.insert(account_id=row.id, state=State.OPEN, retry_at=later).execute()
    smtp_accounts.save(WORKSPACE_A, new(password="right"), by=SYSTEM)
    assert Breaker.get_by_id(row.id).retry_at < later


@pytest.fixture
def saved() -> SmtpAccount:
    return smtp_accounts.save(WORKSPACE_A, new(), by=SYSTEM)


def word(saved: SmtpAccount) -> Word:
    environment, own = account_health.list_all(WORKSPACE_A)
    assert environment.account.name == "default"
    assert own.account == saved
    return own.word


def test_an_account_of_which_nothing_is_known_is_healthy(saved: SmtpAccount) -> None:
    assert word(saved) is Word.HEALTHY


@pytest.mark.parametrize("field", ["last_fault_at", "slowed_at"])
@pytest.mark.parametrize(("minutes", "expected"), [(9, Word.DEGRADED), (11, Word.HEALTHY)])
def test_a_fault_or_throttling_degrades_it_for_ten_minutes(
    saved: SmtpAccount, field: str, minutes: int, expected: Word
) -> None:
    at = clock.now() - timedelta(minutes=minutes)
    Breaker.insert(account_id=saved.id, state=State.CLOSED, **{field: at}).execute()
    assert word(saved) is expected


@pytest.mark.parametrize("state", [State.OPEN, State.HALF_OPEN])
def test_its_breaker_tells_more_than_its_faults(saved: SmtpAccount, state: State) -> None:
    Breaker.insert(account_id=saved.id, state=state, last_fault_at=clock.now()).execute()
    assert word(saved) == state.value
    smtp_accounts.pause(WORKSPACE_A, name="postal", reason="r", by=SYSTEM)
    assert word(saved) is Word.PAUSED


def test_counts_are_of_the_last_hour(saved: SmtpAccount) -> None:
    for minutes, tries, faults in ((1, 10, 0), (30, 5, 2), (61, 100, 100)):
        AccountTally.insert(
            account_id=saved.id,
            slot_at=clock.now() - timedelta(minutes=minutes),
            worker_id=uuid.uuid4(),
            try_count=tries,
            fault_count=faults,
        ).execute()
    _, own = account_health.list_all(WORKSPACE_A)
    assert (own.try_count, own.fault_count, own.word) == (15, 2, Word.HEALTHY)


def test_the_account_of_the_environment_is_active_without_another(saved: SmtpAccount) -> None:
    def active() -> list[str]:
        found = account_health.list_all(WORKSPACE_A)
        return [health.account.name for health in found if health.account.is_active]

    assert active() == ["default"]
    smtp_accounts.activate(WORKSPACE_A, name="postal", by=SYSTEM)
    assert active() == ["postal"]


def test_an_unknown_workspace_has_no_accounts() -> None:
    with pytest.raises(NotFound):
        account_health.list_all(99)


@pytest.mark.parametrize("account_id", [None, 0])
def test_without_one_the_environments_account_is_used(account_id: int | None) -> None:
    server = smtp_accounts.get_server(account_id)
    assert (server.host, server.port) == (config.current().smtp.host, config.current().smtp.port)


def test_a_workspace_has_so_many_accounts_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_accounts, "ACCOUNTS_MAX", 2)
    for name in ("a", "b"):
        smtp_accounts.save(WORKSPACE_A, new(name=name), by=SYSTEM)
    with pytest.raises(Conflict, match="2 SMTP accounts"):
        smtp_accounts.save(WORKSPACE_A, new(name="c"), by=SYSTEM)
    smtp_accounts.save(WORKSPACE_A, new(name="b", port=2525), by=SYSTEM)
    smtp_accounts.save(WORKSPACE_B, new(name="c"), by=SYSTEM)


def test_a_reason_to_resume_is_one_line() -> None:
    smtp_accounts.save(WORKSPACE_A, new(), by=SYSTEM)
    smtp_accounts.pause(WORKSPACE_A, name="postal", reason="too slow", by=SYSTEM)
    with pytest.raises(InvalidFields):
        smtp_accounts.resume(WORKSPACE_A, name="postal", reason="a\nb", by=SYSTEM)
    assert smtp_accounts.find(WORKSPACE_A, name="postal").pause_reason == "too slow"
    resumed = smtp_accounts.resume(WORKSPACE_A, name="postal", reason="mended", by=SYSTEM)
    assert resumed.paused_at is None


def test_the_health_of_another_workspaces_account_is_not_there() -> None:
    foreign = smtp_accounts.save(WORKSPACE_B, new(), by=SYSTEM)
    with pytest.raises(NotFound):
        account_health.get(WORKSPACE_A, foreign.id)
    assert account_health.get(WORKSPACE_B, foreign.id).account.name == "postal"


def test_the_environments_account_is_checked_by_a_dial(inbox, use_settings) -> None:
    smtp = config.current().smtp
    there = dataclasses.replace(
        smtp, host=inbox.smtp.host, port=inbox.smtp.port, security="none", username=None
    )
    use_settings(smtp=there)
    check = account_health.check_default()
    assert (check.name, check.is_ok) == ("smtp", True)
    assert f"{inbox.smtp.host}:{inbox.smtp.port}" in check.detail


def test_an_environments_account_that_is_away_says_at_which_step(unreachable: int) -> None:
    check = account_health.check_default()
    assert not check.is_ok
    assert "refused" in check.detail.lower()
