"""Checks of SMTP accounts, by real servers: each step is written down as it ends, and what a server
says and offers; with one that works, and with all that can be wrong.
"""

# ruff: noqa: F401, F811 - the servers are fixtures of the transports' tests

import asyncio
import ssl
import threading
from datetime import timedelta

import peewee
import pytest

from maild import clock, db
from maild.domain.actor import Actor
from maild.errors import Conflict, NotFound
from maild.models import AuditEntry, ProviderCheck, SmtpAccount
from maild.models.smtp_account import ENVIRONMENT
from maild.services import check_loop, provider_checks, smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount
from maild.transports import smtp_session
from tests.conftest import WORKSPACE_A, WORKSPACE_B, free_ports
from tests.services.conftest import wait_until
from tests.transports.conftest import authenticator, certificates, play, smtpd

pytestmark = pytest.mark.usefixtures("database")

ANN = Actor("ann@a.example")


@pytest.fixture
def save():
    def make(name="main", *, workspace_id=WORKSPACE_A, **fields):
        values = {"host": "127.0.0.1", "port": 2525, "from_email": "shop@example.com"}
        account = NewSmtpAccount(name=name, **{**values, "security": "none", **fields})
        return smtp_accounts.save(workspace_id, account, by=ANN)

    return make


@pytest.fixture
def trusted(certificates, tmp_path, monkeypatch):
    """Have this machine trust the certificate of the tests' servers."""
    [der] = certificates.client.get_ca_certs(binary_form=True)
    path = tmp_path / "trusted.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(der))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    smtp_session._default_context.cache_clear()
    yield
    smtp_session._default_context.cache_clear()


def check(row):
    """Have an account checked, and return what came of it."""
    provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    assert check_loop.drain() == 1
    return provider_checks.find_latest(WORKSPACE_A, row.id)


def stages(found):
    return [(step["stage"], step["ok"]) for step in found.steps]


def test_a_check_waits_until_somebody_takes_it(save):
    row = save()
    found = provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    assert (found.started_at, found.finished_at, found.is_valid) == (None, None, None)
    assert found.created_by == "ann@a.example"
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).get()
    assert (entry.action, entry.target) == ("smtp_account.checked", "SMTP account main")


def test_it_tells_each_step_with_tls_and_what_the_server_offers(
    save,
    smtpd,
    certificates,
    authenticator,
    trusted,
):
    server = smtpd(
        tls_context=certificates.server, authenticator=authenticator, auth_require_tls=True
    )
    fields = {"username": "ann", "password": "sécret"}
    row = save(host="localhost", port=server.port, security="starttls", **fields)
    found = check(row)
    assert found.is_valid
    assert stages(found) == [
        (stage, True)
        for stage in ("dns", "connect", "banner", "ehlo", "tls", "ehlo", "auth", "quit")
    ]
    assert all(step["ms"] >= 0 for step in found.steps)
    assert found.finished_at >= found.started_at
    certificate = found.result["certificate"]
    assert (certificate["subject"], certificate["names"]) == ("localhost", ["localhost"])
    assert certificate["valid_until"][:4].isdecimal()
    assert found.result["tls"][0].startswith("TLSv1.")
    assert found.result["auth"] in {"PLAIN", "LOGIN"}
    assert any(line.startswith("AUTH") for line in found.result["capabilities"])
    assert server.envelopes == []
    told = str(found.steps) + str(found.result)
    assert "sécret" not in told


def test_a_certificate_that_nobody_vouches_for_fails_where_it_is_seen(
    save,
    smtpd,
    certificates,
):
    server = smtpd(tls_context=certificates.server)
    found = check(save(host="localhost", port=server.port, security="starttls"))
    assert found.is_valid is False
    assert stages(found)[-1] == ("tls", False)
    assert "self-signed certificate" in found.steps[-1]["text"]
    assert found.result["error_class"] == "tls"


def test_a_wrong_password_fails_at_the_sign_in_and_is_not_told(
    save,
    smtpd,
    authenticator,
):
    server = smtpd(authenticator=authenticator, auth_require_tls=False)
    fields = {"username": "ann", "password": "not this one"}
    found = check(save(port=server.port, **fields))
    assert stages(found)[-1] == ("auth", False)
    assert found.result["error_class"] == "auth"
    assert "not this one" not in str(found.steps) + str(found.result)


def test_nobody_listens(save):
    [port] = free_ports(1)
    found = check(save(port=port))
    assert stages(found) == [("dns", True), ("connect", False)]
    assert "refused" in found.steps[-1]["text"]


def test_a_host_that_leads_into_a_private_network_is_not_dialled(save, use_settings):
    row = save(port=free_ports(1)[0])
    use_settings(allowed_private_networks=())
    found = check(row)
    assert stages(found) == [("dns", False)]
    assert "it must be public" in found.steps[0]["text"]


def test_the_environments_account_can_be_checked(inbox):
    provider_checks.start(WORKSPACE_A, ENVIRONMENT, by=ANN)
    assert check_loop.drain() == 1
    assert provider_checks.find_latest(WORKSPACE_A, ENVIRONMENT).is_valid
    assert provider_checks.find_latest(WORKSPACE_B, ENVIRONMENT) is None
    assert provider_checks.latest_of_each(WORKSPACE_A).keys() == {ENVIRONMENT}


def test_a_password_that_no_key_opens_is_said(save):
    row = save(username="ann", password="secret")
    SmtpAccount.update(password_encrypted=b"x" * 40).where(SmtpAccount.id == row.id).execute()
    found = check(row)
    assert found.is_valid is False
    assert found.steps == []
    assert found.result["problem"]


def test_steps_are_seen_while_the_check_is_under_way(save, play):
    goes_on = threading.Event()

    def script(peer):
        peer.say("220 slow.example.com ESMTP")
        peer.expect("EHLO")
        assert goes_on.wait(30)
        peer.say("250 slow.example.com")
        peer.part()

    row = save(port=play(script))
    provider_checks.start(WORKSPACE_A, row.id, by=ANN)

    def drain():
        with db.connection():
            check_loop.drain()

    worker = threading.Thread(target=drain)
    worker.start()

    def now():
        return provider_checks.find_latest(WORKSPACE_A, row.id)

    wait_until(lambda: [s["stage"] for s in now().steps] == ["dns", "connect", "banner"])
    assert (now().finished_at, now().is_valid) == (None, None)
    goes_on.set()
    worker.join(30)
    assert now().is_valid


def test_a_server_that_never_answers_is_given_up(save, play, monkeypatch):
    monkeypatch.setattr(provider_checks, "SECONDS_MAX", 0.3)
    row = save(port=play(lambda peer: peer.wait_until_closed()))
    found = check(row)
    assert stages(found) == [("dns", True), ("connect", True)]
    assert "took longer" in found.result["problem"]


def test_one_that_breaks_is_over_and_leaves_the_others_alone(save, smtpd, monkeypatch, caplog):
    genuine, [port] = provider_checks.probe, free_ports(1)

    async def probe(server, **rest):
        report = await genuine(server, **rest)
        if server.port == port:
            raise RuntimeError("a mistake of ours")
        return report

    monkeypatch.setattr(provider_checks, "probe", probe)
    broken, good = save("broken", port=port), save("good", port=smtpd().port)
    for row in (broken, good):
        provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    assert check_loop.drain() == 2
    assert provider_checks.find_latest(WORKSPACE_A, good.id).is_valid
    found = provider_checks.find_latest(WORKSPACE_A, broken.id)
    assert (found.is_valid, found.result) == (False, {"problem": provider_checks.BROKEN})
    assert stages(found) == [("dns", True), ("connect", False)]
    assert "a mistake of ours" in caplog.text


def test_a_database_that_is_away_ends_no_check(save, monkeypatch):
    async def probe(server, **rest):
        raise peewee.OperationalError("server closed the connection")

    monkeypatch.setattr(provider_checks, "probe", probe)
    row = save()
    provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    with pytest.raises(peewee.OperationalError):
        check_loop.drain()
    assert provider_checks.find_latest(WORKSPACE_A, row.id).finished_at is None


def test_one_under_way_is_not_begun_twice(save):
    row, other = save(), save("other")
    first = provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    assert provider_checks.start(WORKSPACE_A, row.id, by=ANN).id == first.id
    assert provider_checks.start(WORKSPACE_A, other.id, by=ANN).id != first.id
    assert ProviderCheck.select().count() == 2


def test_a_workspace_has_a_few_under_way_at_once(save):
    rows = [save(f"n{number}") for number in range(provider_checks.OPEN_MAX + 1)]
    for row in rows[:-1]:
        provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    with pytest.raises(Conflict, match="under way"):
        provider_checks.start(WORKSPACE_A, rows[-1].id, by=ANN)
    theirs = save(workspace_id=WORKSPACE_B)
    assert provider_checks.start(WORKSPACE_B, theirs.id, by=ANN).id


def test_many_go_on_at_the_same_time(save, play):
    all_there = threading.Barrier(2, timeout=30)

    def script(peer):
        all_there.wait()  # in vain, if one waited for the other
        peer.greet()
        peer.part()

    rows = [save("one", port=play(script)), save("two", port=play(script))]
    for row in rows:
        provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    assert check_loop.drain() == 2
    assert all(provider_checks.find_latest(WORKSPACE_A, row.id).is_valid for row in rows)


def test_what_a_dead_worker_left_is_taken_from_the_beginning(save, smtpd):
    row = save(port=smtpd().port)
    found = provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    [claimed] = provider_checks.claim(5)
    assert claimed.id == found.id
    assert provider_checks.claim(5) == []
    ProviderCheck.update(
        claimed_until=clock.now() - timedelta(seconds=1), steps=[{"stage": "dns"}]
    ).execute()
    assert check_loop.drain() == 1
    assert provider_checks.find_latest(WORKSPACE_A, row.id).is_valid


def test_one_that_two_workers_did_has_the_outcome_of_the_first(save, smtpd):
    row = save(port=smtpd().port)
    provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    [claimed] = provider_checks.claim(1)
    asyncio.run(provider_checks.carry_out(claimed))
    first = provider_checks.find_latest(WORKSPACE_A, row.id)
    SmtpAccount.update(port=free_ports(1)[0]).where(SmtpAccount.id == row.id).execute()
    asyncio.run(provider_checks.carry_out(claimed))
    assert provider_checks.find_latest(WORKSPACE_A, row.id).steps == first.steps


def test_an_account_that_is_deleted_meanwhile_takes_its_checks_along(save):
    row = save()
    provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    [claimed] = provider_checks.claim(1)
    smtp_accounts.delete(WORKSPACE_A, name="main", by=ANN)
    asyncio.run(provider_checks.carry_out(claimed))
    assert ProviderCheck.select().count() == 0


@pytest.mark.parametrize("account_id", [-1, 99_999, 2**40])
def test_there_is_no_such_account(account_id):
    with pytest.raises(NotFound):
        provider_checks.start(WORKSPACE_A, account_id, by=ANN)


def test_another_workspaces_account_is_not_checked(save):
    row = save(workspace_id=WORKSPACE_B)
    with pytest.raises(NotFound):
        provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    assert provider_checks.find_latest(WORKSPACE_A, row.id) is None


def test_the_latest_of_each_account_are_kept(save):
    row, other = save(), save("other")
    fields = {"workspace": WORKSPACE_A, "created_by": "x", "steps": [], "result": {}}
    done = {"finished_at": clock.now(), "is_valid": True}
    for number in range(provider_checks.KEPT + 3):
        last = ProviderCheck.create(smtp_account=row.id, **fields, **done)
        assert number >= 0
    ProviderCheck.create(smtp_account=other.id, **fields, **done)
    provider_checks.prune()
    kept = provider_checks.list_latest(WORKSPACE_A, row.id, limit=100)
    assert len(kept) == provider_checks.KEPT
    assert kept[0].id == last.id
    assert provider_checks.find_latest(WORKSPACE_A, other.id) is not None


def test_one_that_no_worker_takes_is_given_up_with_words(save):
    row = save()
    found = provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    provider_checks.prune()
    assert provider_checks.find_latest(WORKSPACE_A, row.id).finished_at is None
    old = clock.now() - timedelta(seconds=provider_checks.WAIT_SECONDS_MAX + 1)
    ProviderCheck.update(created_at=old).where(ProviderCheck.id == found.id).execute()
    provider_checks.prune()
    given_up = provider_checks.find_latest(WORKSPACE_A, row.id)
    assert given_up.is_valid is False
    assert given_up.result == {"problem": provider_checks.NO_WORKER}
    assert check_loop.drain() == 0


def test_the_loop_takes_what_comes_until_it_is_stopped(save, smtpd):
    row, stopping = save(port=smtpd().port), threading.Event()
    loop = threading.Thread(target=lambda: check_loop.loop.work(stopping))
    loop.start()
    provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    check_loop.loop.wake()
    wait_until(lambda: provider_checks.find_latest(WORKSPACE_A, row.id).is_valid)
    stopping.set()
    check_loop.loop.wake()
    loop.join(30)
    assert not loop.is_alive()


def test_whoever_is_to_stop_drops_what_is_under_way_for_another(save, monkeypatch):
    row = save()
    provider_checks.start(WORKSPACE_A, row.id, by=ANN)
    ends, stops = [], iter([False, True])

    async def never(one):
        try:
            await asyncio.Event().wait()
        finally:
            ends.append(one.id)

    monkeypatch.setattr(provider_checks, "carry_out", never)
    monkeypatch.setattr(check_loop, "LOOK_SECONDS", 0.01)
    assert check_loop.drain(lambda: next(stops)) == 1
    assert len(ends) == 1
    assert provider_checks.find_latest(WORKSPACE_A, row.id).finished_at is None
