"""API keys: made once, found by their hash, revoked for good; and when they were used last."""

import hashlib
import re
import threading
from datetime import timedelta
from ipaddress import ip_address

import peewee
import pytest

from maild import clock, db
from maild.config import Settings
from maild.db import database
from maild.domain.actor import Actor
from maild.domain.role import Role
from maild.errors import InvalidFields, NotFound
from maild.models import ApiKey, AuditEntry
from maild.services import api_key_uses, api_keys, audit, tokens
from maild.services.api_keys import NewApiKey, State
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.conftest import wait_until

pytestmark = pytest.mark.usefixtures("database")

BY = Actor("admin key", ip="192.0.2.1", request_id="r1")


def make(workspace_id: int = WORKSPACE_A, **fields: object) -> tuple[ApiKey, str]:
    values: dict[str, object] = {"name": "billing", "role": "sender", **fields}
    return api_keys.create(workspace_id, NewApiKey(**values), by=BY)  # type: ignore[arg-type]


def reload(row: ApiKey) -> ApiKey:
    found: ApiKey = ApiKey.get_by_id(row.id)
    return found


def test_a_key_is_kept_as_its_hash_and_its_beginning() -> None:
    row, key = make()
    assert re.fullmatch(r"mk_[A-Za-z0-9_-]{43}", key)
    stored = ApiKey.select().where(ApiKey.id == row.id).dicts().get()
    assert bytes(stored.pop("key_hash")) == hashlib.sha256(key.encode()).digest()
    assert stored["prefix"] == key[:11]
    assert key not in repr(stored)


def test_every_key_is_another_one() -> None:
    assert len({make()[1] for _ in range(20)}) == 20


def test_a_key_is_found_with_what_a_request_needs() -> None:
    row, key = make(role="operator", allowed_networks=["192.0.2.0/24"])
    known = api_keys.find_in_force(key)
    assert known is not None
    assert (known.id, known.workspace_id, known.role) == (row.id, WORKSPACE_A, Role.OPERATOR)
    assert str(known) == f"key {key[:11]} (billing)"


@pytest.mark.parametrize(
    "presented",
    ["", "mk_", "mk_" + "a" * 43, "mk_" + "a" * 42, "mk_" + "a" * 9000, "mk_\0", "mk_ü" + "a" * 42],
)
def test_what_is_no_key_is_not_found(presented: str) -> None:
    make()
    assert api_keys.find_in_force(presented) is None


def test_only_the_whole_key_is_found() -> None:
    _, key = make()
    for presented in (key[:-1], key + "a", key.swapcase(), key[:11], f" {key}", key[:-1] + "\n"):
        assert api_keys.find_in_force(presented) is None


def test_an_expired_key_is_not_found() -> None:
    row, key = make(expires_at=clock.now() + timedelta(days=1))
    assert api_keys.find_in_force(key) is not None
    assert api_keys.state_of(row) is State.ACTIVE
    ApiKey.update(expires_at=peewee.fn.now()).execute()
    assert api_keys.find_in_force(key) is None
    assert api_keys.state_of(reload(row)) is State.EXPIRED


def test_revoking_holds_at_once_for_every_connection() -> None:
    row, key = make()
    found: list[object] = []

    def ask() -> None:
        found.append(api_keys.find_in_force(key))

    def ask_elsewhere() -> None:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()

    ask_elsewhere()
    revoked, was_in_use = api_keys.revoke(WORKSPACE_A, key_id=row.id, by=BY, reason="leaked")
    ask_elsewhere()
    assert found[0] is not None
    assert found[1] is None
    assert was_in_use
    assert (api_keys.state_of(revoked), revoked.revoked_by) == (State.REVOKED, "admin key")


def test_revoking_twice_changes_nothing_more() -> None:
    row, _ = make()
    first, _ = api_keys.revoke(WORKSPACE_A, key_id=row.id, by=BY, reason="leaked")
    second, was_in_use = api_keys.revoke(WORKSPACE_A, key_id=row.id, by=Actor("somebody else"))
    assert not was_in_use
    assert (second.revoked_at, second.revoked_by) == (first.revoked_at, "admin key")
    assert AuditEntry.select().where(AuditEntry.action == "api_key.revoked").count() == 1


def test_a_key_of_another_workspace_is_not_there() -> None:
    row, key = make()
    with pytest.raises(NotFound):
        api_keys.revoke(WORKSPACE_B, key_id=row.id, by=BY)
    assert api_keys.find_in_force(key) is not None
    assert api_keys.list_page(WORKSPACE_B).keys == []


def test_making_and_revoking_are_audited_without_the_key() -> None:
    expires_at = clock.now() + timedelta(days=1)
    row, key = make(expires_at=expires_at, allowed_networks=["192.0.2.1"])
    api_keys.revoke(WORKSPACE_A, key_id=row.id, by=BY, reason="leaked")
    revoked, created = audit.list_page(WORKSPACE_A).entries
    assert (created.action, created.actor, created.actor_ip) == (
        "api_key.created", "admin key", "192.0.2.1",
    )  # fmt: skip
    assert created.target == revoked.target == f"key {key[:11]} (billing)"
    assert created.after == {
        "id": row.id,
        "role": "sender",
        "expires_at": expires_at.isoformat(),
        "allowed_networks": ["192.0.2.1/32"],
        "requests_per_minute": None,
    }
    assert (revoked.action, revoked.reason) == ("api_key.revoked", "leaked")
    for entry in (created, revoked):
        texts = repr(entry.__data__)
        assert key not in texts
        assert key[12:] not in texts
        assert tokens.hash_of(key).hex() not in texts


@pytest.mark.parametrize(
    ("fields", "complaints"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "  "}, ["name"]),
        ({"name": "a\nb"}, ["name"]),
        ({"name": "a\0b"}, ["name"]),
        ({"name": "a\u2028b"}, ["name"]),
        ({"name": "x" * 65}, ["name"]),
        ({"name": "\ud800"}, ["name"]),
        ({"role": "owner"}, ["role"]),
        ({"role": ""}, ["role"]),
        ({"role": "ADMIN"}, ["role"]),
        ({"expires_at": clock.now() - timedelta(seconds=1)}, ["expires_at"]),
        ({"allowed_networks": []}, ["allowed_networks"]),
        ({"allowed_networks": ["192.0.2.1"] * 101}, ["allowed_networks"]),
        ({"allowed_networks": ["192.0.2.1", "x"]}, ["allowed_networks.1"]),
        ({"allowed_networks": ["192.0.2.1/24", ""]}, ["allowed_networks.0", "allowed_networks.1"]),
        ({"name": "", "role": "x", "allowed_networks": ["x"]},
         ["name", "role", "allowed_networks.0"]),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_field_and_nothing_is_made(
    fields: dict[str, object], complaints: list[str]
) -> None:
    with pytest.raises(InvalidFields) as caught:
        make(**fields)
    assert [error.field for error in caught.value.errors] == complaints
    assert ApiKey.select().count() == AuditEntry.select().count() == 0


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "a\0b", "x" * 501])
def test_a_bad_reason_revokes_nothing(reason: str) -> None:
    row, key = make()
    with pytest.raises(InvalidFields):
        api_keys.revoke(WORKSPACE_A, key_id=row.id, by=BY, reason=reason)
    assert api_keys.find_in_force(key) is not None


def test_an_unknown_workspace_gets_no_key() -> None:
    with pytest.raises(NotFound):
        make(workspace_id=99)
    with pytest.raises(NotFound):
        api_keys.list_page(99)


@pytest.mark.parametrize(
    ("networks", "address", "is_allowed"),
    [
        (None, "198.51.100.1", True),
        (None, None, True),
        (["192.0.2.0/24"], "192.0.2.255", True),
        (["192.0.2.0/24"], "192.0.3.0", False),
        (["192.0.2.0/24"], None, False),
        (["192.0.2.0/24", "2001:db8::/32"], "2001:db8:1::1", True),
        (["::/0"], "192.0.2.1", False),
        (["0.0.0.0/0"], "192.0.2.1", True),
        (["::ffff:192.0.2.0/120"], "192.0.2.1", True),
    ],
)
def test_a_list_of_networks_allows_what_lies_in_one(
    networks: list[str] | None, address: str | None, is_allowed: bool
) -> None:
    _, key = make(allowed_networks=networks)
    known = api_keys.find_in_force(key)
    assert known is not None
    assert known.allows(ip_address(address) if address else None) is is_allowed


def test_the_list_has_pages_newest_first_with_all_states() -> None:
    rows = [make(name=f"n{number}")[0] for number in range(5)]
    make(WORKSPACE_B)
    api_keys.revoke(WORKSPACE_A, key_id=rows[2].id, by=BY)
    seen, older = [], None
    while True:
        page = api_keys.list_page(WORKSPACE_A, limit=2, older_than=older)
        seen += page.keys
        older = page.older
        if older is None:
            break
    assert [row.id for row in seen] == [row.id for row in reversed(rows)]
    assert [api_keys.state_of(row) for row in seen].count(State.REVOKED) == 1


def test_use_is_written_once_a_minute() -> None:
    row, key = make()
    api_keys.find_in_force(key)
    assert reload(row).last_used_at is None  # no request waits for it
    api_key_uses.write()
    first = reload(row).last_used_at
    assert first is not None
    api_keys.find_in_force(key)
    api_key_uses.note(row.id)  # as another process would that has not seen it yet
    api_key_uses.write()
    assert reload(row).last_used_at == first
    ApiKey.update(last_used_at=first - timedelta(seconds=61)).execute()
    api_keys.find_in_force(key)
    api_key_uses.write()
    assert reload(row).last_used_at >= first


def test_a_key_that_does_not_work_is_not_used() -> None:
    row, key = make()
    api_keys.revoke(WORKSPACE_A, key_id=row.id, by=BY)
    api_keys.find_in_force(key)
    api_key_uses.write()
    assert reload(row).last_used_at is None


def test_writing_use_waits_for_nobody_who_holds_the_key() -> None:
    row, key = make()
    api_keys.find_in_force(key)

    def write_elsewhere() -> None:
        thread = threading.Thread(target=api_key_uses.write)
        thread.start()
        thread.join(timeout=30)
        assert not thread.is_alive()

    with database.atomic():
        ApiKey.update(name="other").where(ApiKey.id == row.id).execute()
        write_elsewhere()
    assert reload(row).last_used_at is None
    api_keys.find_in_force(key)
    write_elsewhere()
    assert reload(row).last_used_at is not None


def test_use_that_cannot_be_written_fails_nothing(settings: Settings) -> None:
    _, key = make()
    api_keys.find_in_force(key)
    database.close_all()
    db.init("postgresql://maild@127.0.0.1:1/maild", pool_size=2, application="test")
    try:
        api_key_uses.write()
    finally:
        database.close_all()
        db.init(settings.postgres_dsn, pool_size=settings.postgres_pool_size, application="test")


def test_a_thread_writes_what_is_noted() -> None:
    row, key = make()
    stop = api_key_uses.start()
    try:
        api_keys.find_in_force(key)
        wait_until(lambda: reload(row).last_used_at is not None)
    finally:
        stop()
