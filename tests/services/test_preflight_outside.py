"""What is said of servers outside before a start, by what they answer."""

import asyncio
import dataclasses
import socket
from datetime import timedelta
from ipaddress import ip_network

import pytest

from maild import clock
from maild.domain.actor import COMMAND_LINE
from maild.models import SmtpAccount
from maild.services import preflight_outside, smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount
from maild.transports import https_probe
from maild.transports.smtp_certificate import Certificate
from tests.conftest import WORKSPACE_A, WORKSPACE_B

CERTIFICATE = Certificate("mail.example", "CA", ("mail.example",), 1, clock.now())


def lasting(days):
    """A certificate that holds for so many days more."""
    until = clock.now() + timedelta(days=days, hours=1)
    return dataclasses.replace(CERTIFICATE, valid_until=until)


@pytest.fixture
def public(use_settings, monkeypatch):
    """Call with what a look at https://mail.example finds: the findings by their names."""

    def look(answer, **settings):
        use_settings(public_url="https://mail.example/maild", **settings)
        place = (socket.AF_INET, ("8.8.4.4", 443))
        asked = []

        def probe(host, port, address, *, path):
            asked.append((host, port, address, path))
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(preflight_outside, "look_up", lambda *_, guard: [place])
        monkeypatch.setattr(https_probe, "probe", probe)
        found = {one.name: one for one in preflight_outside.look_at_public_url()}
        assert asked == [("mail.example", 443, place, f"/maild{preflight_outside.HEALTH_PATH}")]
        return found

    return look


@pytest.mark.parametrize(
    ("answer", "level", "words"),
    [
        ((lasting(90), 200), "ok", "holds for 90 days"),
        ((lasting(3), 200), "warn", "holds for 3 days"),
        ((lasting(90), 502), "warn", "answers 502"),
        ((lasting(90), 0), "warn", "answers nothing that is HTTP"),
        ((None, 200), "ok", "it answers"),
        (https_probe.NotTrusted("it has expired"), "warn", "does not hold: it has expired"),
        (https_probe.NotReached("refused"), "warn", "nothing answers at mail.example:443"),
    ],
)
def test_what_the_proxy_shows_is_judged(public, answer, level, words):
    found = public(answer)
    assert found["PUBLIC_URL: DNS"].level.value == "ok"
    assert found["PUBLIC_URL: DNS"].found == "mail.example is 8.8.4.4"
    tls = found["PUBLIC_URL: TLS"]
    assert (tls.level.value, words in tls.found) == (level, True), tls.found


def test_the_proxies_that_are_trusted_are_named(public):
    answer = (lasting(90), 200)
    assert public(answer)["TRUSTED_PROXIES"].level.value == "warn"
    trusted = (ip_network("10.0.0.0/24"), ip_network("192.0.2.1/32"))
    found = public(answer, trusted_proxies=trusted)["TRUSTED_PROXIES"]
    assert (found.level.value, found.found) == ("ok", "10.0.0.0/24, 192.0.2.1/32")


def test_without_https_nothing_is_said_of_certificates(use_settings, monkeypatch):
    use_settings(public_url="http://mail.example")
    place = (socket.AF_INET, ("8.8.4.4", 80))
    monkeypatch.setattr(preflight_outside, "look_up", lambda *_, guard: [place])
    [found] = preflight_outside.look_at_public_url()
    assert (found.name, found.level.value) == ("PUBLIC_URL: DNS", "ok")


def add_account(workspace_id, inbox, name="main"):
    account = NewSmtpAccount(
        name=name, host=inbox.smtp.host, port=inbox.smtp.port, security="none",
        from_email="a@example.com",
    )  # fmt: skip
    smtp_accounts.save(workspace_id, account, by=COMMAND_LINE)
    smtp_accounts.activate(workspace_id, name=name, by=COMMAND_LINE)


def look_at_accounts():
    return {one.name: one for one in preflight_outside.look_at_accounts()}


def test_of_many_accounts_the_rest_is_said_to_be_skipped(database, inbox, monkeypatch):
    monkeypatch.setattr(preflight_outside, "ACCOUNTS_MAX", 1)
    for workspace_id in (WORKSPACE_A, WORKSPACE_B):
        add_account(workspace_id, inbox)
    found = look_at_accounts()
    assert found["SMTP: workspace 1, main"].level.value == "ok"
    assert "in the clear" in found["SMTP: workspace 1, main"].found
    assert "more than 1" in found["SMTP: accounts of workspaces"].found
    assert len(found) == 2


def test_a_password_that_does_not_open_hides_no_other_account(database, inbox):
    add_account(WORKSPACE_A, inbox)
    add_account(WORKSPACE_B, inbox)
    SmtpAccount.update(password_encrypted=b"noise", username="u").where(
        SmtpAccount.workspace == WORKSPACE_A
    ).execute()
    found = look_at_accounts()
    assert found["SMTP: workspace 1, main"].level.value == "fail"
    assert "ENCRYPTION_KEYS_OLD" in found["SMTP: workspace 1, main"].mend
    assert found["SMTP: workspace 2, main"].level.value == "ok"


def test_a_server_that_never_answers_is_waited_for_a_while(database, inbox, monkeypatch):
    async def never(server, *, timeouts):
        await asyncio.Event().wait()

    monkeypatch.setattr(preflight_outside, "probe", never)
    monkeypatch.setattr(preflight_outside, "PROBE_SECONDS", 0.01)
    add_account(WORKSPACE_A, inbox)
    found = look_at_accounts()["SMTP: workspace 1, main"]
    assert (found.level.value, "took longer" in found.found) == ("warn", True)


@pytest.mark.parametrize(("days", "level"), [(2, "warn"), (90, "ok")])
def test_a_certificate_of_an_smtp_server_is_judged(database, inbox, monkeypatch, days, level):
    add_account(WORKSPACE_A, inbox)
    really = preflight_outside.probe

    async def probe(server, *, timeouts):
        report = await really(server, timeouts=timeouts)
        return dataclasses.replace(report, certificate=lasting(days), tls=("TLSv1.3",))

    monkeypatch.setattr(preflight_outside, "probe", probe)
    assert look_at_accounts()["SMTP: workspace 1, main"].level.value == level
