"""DKIM keys from their making to their end, with a real DNS beside them."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from maild import clock, config
from maild.config import Settings
from maild.db import database as db
from maild.domain import dkim
from maild.domain.actor import Actor
from maild.domain.dkim import Algorithm, KeyState, RecordState
from maild.domain.dns_answer import Answer
from maild.domain.incident import IncidentKind
from maild.errors import Conflict, DecryptionError, InvalidFields, NotFound
from maild.models import AuditEntry, DkimKey, IncidentSignal
from maild.services import (
    dkim_checks,
    dkim_keys,
    dkim_signers,
    domains,
    key_rotation,
    secrets,
    workspaces,
)
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.dns_server import DnsServer, dns_server  # noqa: F401 - a fixture

ANN = Actor("ann@example.org")
ED25519 = (Algorithm.ED25519,)

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def zone(dns_server: DnsServer, use_settings: Callable[..., Settings]) -> DnsServer:  # noqa: F811
    use_settings(dns_resolvers=(dns_server.addr,), dns_timeout_seconds=1)
    return dns_server


def prepare(domain: str = "example.com", workspace_id: int = WORKSPACE_A) -> DkimKey:
    [key] = dkim_keys.prepare(workspace_id, domain, algorithms=ED25519, by=ANN)
    return key


def activate(key: DkimKey) -> DkimKey:
    return dkim_keys.activate(WORKSPACE_A, key.id, insist=True, by=ANN)


def publish(zone: DnsServer, key: DkimKey, value: str | None = None) -> None:
    name = dkim.record_name(key.selector, key.domain)
    zone.txt(name, value or dkim.record_value(key.algorithm, key.public_key))


def now(key: DkimKey) -> DkimKey:
    return dkim_keys.get(key.workspace_id, key.id)


def look() -> None:
    """As the scheduler does when every key's turn has come."""
    db.execute_sql("UPDATE dkim_keys SET next_check_at = now()")
    dkim_checks.check_due()


def actions() -> list[str]:
    return [e.action for e in AuditEntry.select().order_by(AuditEntry.seq)]


def test_a_made_key_is_kept_as_ciphertext_that_belongs_to_its_place() -> None:
    rsa, ed25519 = dkim_keys.prepare(
        WORKSPACE_A, "Bücher.example", algorithms=tuple(Algorithm), by=ANN
    )
    assert {rsa.domain, ed25519.domain} == {"xn--bcher-kva.example"}
    assert rsa.selector != ed25519.selector
    assert rsa.state is KeyState.PREPARED
    for key in (rsa, ed25519):
        assert b"PRIVATE" not in bytes(key.private_key_encrypted)
        place = dkim_signers.place_of(WORKSPACE_A, key.id)
        assert "BEGIN PRIVATE KEY" in secrets.decrypt(key.private_key_encrypted, place=place)
    assert actions() == ["dkim_key.prepared", "dkim_key.prepared"]


@pytest.mark.parametrize("domain", ["", "no domain", "a@example.com", "-x.example", "x" * 300])
def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(InvalidFields):
        prepare(domain)


def test_one_key_of_an_algorithm_waits_at_a_time() -> None:
    prepare()
    with pytest.raises(Conflict, match="waits for its record"):
        prepare()
    prepare("other.example")
    prepare(workspace_id=WORKSPACE_B)


def test_keys_in_use_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dkim_keys, "LIVE_KEYS_MAX", 1)
    key = prepare()
    with pytest.raises(Conflict, match="at most"):
        prepare("other.example")
    dkim_keys.retire(WORKSPACE_A, key.id, by=ANN)
    prepare("other.example")


def test_a_key_signs_when_its_record_is_seen_and_not_before(zone: DnsServer) -> None:
    key = prepare()
    look()
    assert (now(key).state, now(key).record_state) == (KeyState.PREPARED, RecordState.MISSING)
    publish(zone, key, "v=DKIM1; k=ed25519; p=AAAA")
    look()
    assert (now(key).state, now(key).record_state) == (KeyState.PREPARED, RecordState.DIFFERENT)
    assert "p=AAAA" in now(key).record_found
    publish(zone, key)
    look()
    assert (now(key).state, now(key).record_state) == (KeyState.ACTIVE, RecordState.PUBLISHED)
    assert now(key).seen_at is not None
    assert actions() == ["dkim_key.prepared", "dkim_key.activated"]


def test_a_person_has_it_looked_up_at_once_or_insists(zone: DnsServer) -> None:
    key = prepare()
    with pytest.raises(Conflict, match="does not show"):
        dkim_checks.activate(WORKSPACE_A, key.id, by=ANN)
    assert dkim_checks.activate(WORKSPACE_A, key.id, insist=True, by=ANN).state is KeyState.ACTIVE
    second = dkim_keys.rotate(WORKSPACE_A, key.id, by=ANN)[0]
    publish(zone, second)
    assert dkim_checks.activate(WORKSPACE_A, second.id, by=ANN).state is KeyState.ACTIVE
    assert AuditEntry.select().where(AuditEntry.actor == ANN.name).count() == 4


def test_rotation_overlaps_and_the_old_key_retires_by_itself(zone: DnsServer) -> None:
    old = activate(prepare())
    [new] = dkim_keys.rotate(WORKSPACE_A, old.id, by=ANN)
    assert now(old).state is KeyState.ACTIVE
    publish(zone, new)
    look()
    assert (now(old).state, now(new).state) == (KeyState.RETIRING, KeyState.ACTIVE)
    assert 6 < (now(old).retire_at - now(old).retiring_at).days + 1 <= 8
    look()
    assert now(old).private_key_encrypted is not None
    db.execute_sql("UPDATE dkim_keys SET retire_at = now() WHERE id = %s", (old.id,))
    look()
    assert now(old).state is KeyState.RETIRED
    assert now(old).private_key_encrypted is None
    assert now(new).state is KeyState.ACTIVE


def test_a_retiring_key_may_sign_again_and_a_retired_one_may_not() -> None:
    old = activate(prepare())
    new = activate(dkim_keys.rotate(WORKSPACE_A, old.id, by=ANN)[0])
    assert activate(old).state is KeyState.ACTIVE
    assert now(new).state is KeyState.RETIRING
    dkim_keys.retire(WORKSPACE_A, new.id, at_once=True, by=ANN)
    with pytest.raises(Conflict, match="gone"):
        activate(new)
    assert dkim_keys.retire(WORKSPACE_A, new.id, by=ANN).state is KeyState.RETIRED


def test_a_request_to_stop_that_comes_twice_leaves_the_private_half() -> None:
    key = activate(prepare())
    for _ in range(2):
        assert dkim_keys.retire(WORKSPACE_A, key.id, by=ANN).state is KeyState.RETIRING
    assert now(key).private_key_encrypted is not None
    assert actions().count("dkim_key.stopped") == 1
    assert activate(key).state is KeyState.ACTIVE


def test_a_key_that_signs_again_just_then_is_not_retired(monkeypatch: pytest.MonkeyPatch) -> None:
    key = activate(prepare())
    dkim_keys.retire(WORKSPACE_A, key.id, by=ANN)
    db.execute_sql("UPDATE dkim_keys SET retire_at = now()")
    take_turns = workspaces.take_turns

    def be_late(workspace_id: int) -> None:
        monkeypatch.setattr(workspaces, "take_turns", take_turns)
        activate(key)
        take_turns(workspace_id)

    monkeypatch.setattr(workspaces, "take_turns", be_late)
    assert dkim_keys.retire_due() == 0
    assert now(key).state is KeyState.ACTIVE


def test_no_answer_of_the_dns_says_nothing(zone: DnsServer) -> None:
    key = prepare()
    name = dkim.record_name(key.selector, key.domain)
    zone.fail(name)
    look()
    assert (now(key).state, now(key).record_state) == (KeyState.PREPARED, RecordState.UNKNOWN)
    assert "SERVFAIL" in now(key).record_found
    zone.remove(name)
    publish(zone, key)
    look()
    zone.fail(name)
    look()
    assert (now(key).state, now(key).record_state) == (KeyState.ACTIVE, RecordState.PUBLISHED)


def is_told() -> bool:
    return bool(
        IncidentSignal.select()
        .where(IncidentSignal.kind == IncidentKind.DOMAIN, IncidentSignal.is_active)
        .count()
    )


@pytest.mark.parametrize("end", ["stopped", "retired", "replaced"])
def test_the_incident_of_a_record_ends_with_the_signing(zone: DnsServer, end: str) -> None:
    key = activate(prepare())
    look()
    look()
    assert is_told()
    if end == "replaced":
        activate(dkim_keys.rotate(WORKSPACE_A, key.id, by=ANN)[0])
    else:
        dkim_keys.retire(WORKSPACE_A, key.id, at_once=end == "retired", by=ANN)
    assert not is_told()


def test_a_key_that_is_stopped_during_the_look_opens_no_incident(
    zone: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = activate(prepare())
    look()
    ask = dkim_checks._ask

    def ask_slowly(names: Sequence[str]) -> list[Answer]:
        answers = ask(names)
        dkim_keys.retire(WORKSPACE_A, key.id, by=ANN)
        return answers

    monkeypatch.setattr(dkim_checks, "_ask", ask_slowly)
    look()
    assert not is_told()


def test_keys_of_domains_that_are_not_in_the_list_are_known() -> None:
    activate(prepare("bücher.example"))
    prepare("waits.example")
    dkim_keys.retire(WORKSPACE_A, activate(prepare("stopped.example")).id, by=ANN)
    prepare("other.example", WORKSPACE_B)
    assert dkim_keys.list_unlisted(WORKSPACE_A) == ["bücher.example", "waits.example"]
    domains.add(WORKSPACE_A, "Bücher.example", by=ANN)
    assert dkim_keys.list_unlisted(WORKSPACE_A) == ["waits.example"]


def test_a_record_that_is_gone_twice_is_an_incident_until_it_is_back(zone: DnsServer) -> None:
    key = prepare()
    publish(zone, key)
    look()
    zone.remove(dkim.record_name(key.selector, key.domain))
    look()
    assert not is_told()
    look()
    assert is_told()
    assert now(key).state is KeyState.ACTIVE
    publish(zone, key)
    look()
    assert not is_told()


def test_a_key_that_waits_for_weeks_is_looked_up_less_often(zone: DnsServer) -> None:
    key = prepare()
    look()
    assert now(key).next_check_at < clock.now() + timedelta(minutes=6)
    db.execute_sql("UPDATE dkim_keys SET created_at = now() - interval '8 days'")
    look()
    assert now(key).next_check_at > clock.now() + timedelta(minutes=50)
    publish(zone, key)
    look()
    assert now(key).state is KeyState.ACTIVE


def test_each_key_is_looked_up_in_its_turn(zone: DnsServer) -> None:
    prepare()
    assert (dkim_checks.check_due(), dkim_checks.check_due()) == (1, 0)


def test_a_new_encryption_key_takes_the_private_halves_along(
    use_settings: Callable[..., Settings],
) -> None:
    key = activate(prepare())
    old = bytes(now(key).private_key_encrypted)
    use_settings(encryption_key=b"n" * 32, encryption_keys_old=(config.current().encryption_key,))
    assert key_rotation.rotate(report=lambda count: None).changed["dkim_keys"] == 1
    use_settings(encryption_keys_old=())
    assert bytes(now(key).private_key_encrypted) != old
    dkim_signers.forget()
    dkim_signers.load(WORKSPACE_A)
    assert dkim_signers.find(WORKSPACE_A, "example.com")[0].sign(b"x")


def test_a_private_half_does_not_open_in_another_place() -> None:
    key, other = activate(prepare()), activate(prepare("other.example"))
    DkimKey.update(private_key_encrypted=now(other).private_key_encrypted).where(
        DkimKey.id == key.id
    ).execute()
    dkim_signers.load(WORKSPACE_A)
    with pytest.raises(DecryptionError, match=key.selector):
        dkim_signers.find(WORKSPACE_A, "example.com")


@pytest.mark.parametrize("kept", ["-----BEGIN nonsense", "", "of the other algorithm"])
def test_a_private_half_that_is_no_such_key_stops_its_domain_and_no_other(kept: str) -> None:
    key = activate(prepare())
    if kept.startswith("of"):
        DkimKey.update(algorithm=Algorithm.RSA).where(DkimKey.id == key.id).execute()
    else:
        place = dkim_signers.place_of(WORKSPACE_A, key.id)
        DkimKey.update(private_key_encrypted=secrets.encrypt(kept, place=place)).execute()
    activate(prepare("other.example"))
    dkim_signers.forget()
    dkim_signers.load(WORKSPACE_A)
    assert dkim_signers.find(WORKSPACE_A, "other.example")
    with pytest.raises(DecryptionError, match=f"{key.selector} cannot be opened.+not sent uns"):
        dkim_signers.find(WORKSPACE_A, "example.com")


def test_another_workspaces_key_is_not_there() -> None:
    key = prepare()
    for verb in (dkim_keys.get, dkim_keys.activate, dkim_keys.retire):
        with pytest.raises(NotFound):
            verb(WORKSPACE_B, key.id)
    with pytest.raises(NotFound):
        dkim_keys.rotate(WORKSPACE_B, key.id, by=ANN)
    assert dkim_keys.list_page(WORKSPACE_B).keys == []
    assert dkim_keys.list_of_domain(WORKSPACE_B, "example.com") == []


def test_a_list_goes_on_after_its_last_key() -> None:
    keys = [prepare(f"{name}.example") for name in ("a", "b", "c")]
    page = dkim_keys.list_page(WORKSPACE_A, limit=2)
    rest = dkim_keys.list_page(WORKSPACE_A, limit=2, before=page.older)
    assert [k.id for k in page.keys + rest.keys] == [k.id for k in reversed(keys)]
    assert rest.older is None


def test_a_key_has_an_algorithm() -> None:
    with pytest.raises(InvalidFields, match="at least one"):
        dkim_keys.prepare(WORKSPACE_A, "example.com", algorithms=(), by=ANN)


def test_a_key_that_signs_is_not_switched_on_twice() -> None:
    key = activate(prepare())
    before = actions()
    assert activate(key).activated_at == key.activated_at
    assert actions() == before


def test_a_key_that_cannot_be_opened_is_told_to_the_log_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = activate(prepare())
    DkimKey.update(private_key_encrypted=b"noise").where(DkimKey.id == key.id).execute()
    for _ in range(3):
        dkim_signers._known.clear()
        dkim_signers.load(WORKSPACE_A)
    assert [r.msg["event"] for r in caplog.records if isinstance(r.msg, dict)].count(
        "dkim_key.unopened"
    ) == 1
