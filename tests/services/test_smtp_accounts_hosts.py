"""Where the SMTP accounts of workspaces may lead to: said when one is saved, and kept at every
dial.
"""

import socket
from collections.abc import Callable
from ipaddress import ip_network

import pytest

from maild import config
from maild.domain.actor import SYSTEM
from maild.domain.breaker import State
from maild.domain.states import Status
from maild.errors import InvalidFields, SmtpValidationFailed
from maild.models import Breaker, Message, SmtpAccount
from maild.services import account_health, messages, sending, smtp_accounts
from maild.services.recorder import Recorder
from maild.services.smtp_account_fields import NewSmtpAccount
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, Inbox
from tests.services.conftest import MakeAccount

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.proves("security-ssrf")]

UseSettings = Callable[..., object]


@pytest.fixture
def strict(use_settings: UseSettings) -> Callable[[], object]:
    """Call it to allow public addresses only, as production does."""
    return lambda: use_settings(allowed_private_networks=())


def save(host: str) -> SmtpAccount:
    account = NewSmtpAccount("ours", host, 25, "shop@example.com")
    return smtp_accounts.save(WORKSPACE_A, account, by=SYSTEM)


def complaint(host: str) -> str:
    with pytest.raises(InvalidFields) as caught:
        save(host)
    [error] = caught.value.errors
    assert error.field == "host"
    assert SmtpAccount.select().count() == 0
    return error.message


@pytest.mark.parametrize(
    ("host", "what"),
    [
        ("127.0.0.1", "a loopback address"),
        ("10.1.2.3", "a private address"),
        ("169.254.169.254", "a link-local address"),
        ("0.0.0.0", "an unspecified address"),
        ("::1", "a loopback address"),
        ("::ffff:192.168.0.1", "a private address"),
        ("64:ff9b::7f00:1", "a loopback address"),
        ("fe80::1%eth0", "a link-local address"),
        ("127.1", "a loopback address"),
        ("0x7f.1", "a loopback address"),
        ("2130706433", "a loopback address"),
        ("127.0.0.1.", "a loopback address"),
        ("localhost", "this machine"),
        ("LocalHost.", "this machine"),
        ("mail.localhost", "this machine"),
    ],
)
def test_an_address_that_is_not_public_is_refused_with_what_to_do(
    strict: Callable[[], object], host: str, what: str
) -> None:
    strict()
    message = complaint(host)
    assert message.startswith(f"is {what}, and must be public.")
    assert "ALLOWED_PRIVATE_NETWORKS" in message


def test_an_allowed_network_is_taken(use_settings: UseSettings) -> None:
    use_settings(allowed_private_networks=(ip_network("10.1.0.0/16"),))
    assert save("10.1.2.3").host == "10.1.2.3"
    with pytest.raises(InvalidFields):
        save("10.2.2.3")


@pytest.mark.parametrize("host", ["smtp.example.com", "8.8.8.8", "2606:4700::1111"])
def test_names_and_public_addresses_are_taken(strict: Callable[[], object], host: str) -> None:
    strict()
    assert save(host).host == host


@pytest.mark.parametrize("host", ["8.526344", "134744072", "8.8.8.8.", "0x8.0x8.0x8.0x8"])
def test_an_address_is_written_as_one(host: str) -> None:
    assert complaint(host).startswith("must be written as an IP address is: 8.8.")


def test_the_brackets_of_an_address_are_not_part_of_it() -> None:
    assert complaint("[::1]") == "must be a host name or an IP address"


def test_the_guard_is_for_the_accounts_of_workspaces_only(use_settings: UseSettings) -> None:
    use_settings(allowed_private_networks=(ip_network("10.1.0.0/16"),))
    guard = smtp_accounts.server_of(save("smtp.example.com")).guard
    assert guard is not None
    assert guard.allowed == (ip_network("10.1.0.0/16"),)
    assert smtp_accounts.default_server().guard is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_one_that_was_saved_before_is_not_dialled_any_more(
    account: MakeAccount, inbox: Inbox, strict: Callable[[], object], host: str
) -> None:
    account("ours", host=host)
    assert account_health.validate(WORKSPACE_A, name="ours").valid
    strict()
    with pytest.raises(SmtpValidationFailed) as caught:
        account_health.validate(WORKSPACE_A, name="ours")
    assert caught.value.detail.startswith(f"dns: {host} leads to no address that an account may")
    [step] = caught.value.extensions["steps"]  # type: ignore[misc]
    assert (step["stage"], step["ok"]) == ("dns", False)


def test_a_name_that_leads_to_this_machine_is_not_dialled(
    account: MakeAccount, strict: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def inside(host: str, *arguments: object, **options: object) -> object:
        return look_up("127.0.0.1" if host == "mx.example.com" else host, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", inside)
    account("ours", host="mx.example.com")
    assert account_health.validate(WORKSPACE_A, name="ours").valid
    strict()
    with pytest.raises(SmtpValidationFailed, match=r"^dns: mx\.example\.com leads to no") as caught:
        account_health.validate(WORKSPACE_A, name="ours")
    assert "127.0.0.1" not in str(caught.value.extensions)


def test_the_account_of_the_environment_may_be_anywhere(
    inbox: Inbox, strict: Callable[[], object]
) -> None:
    strict()
    assert inbox.smtp.host == "127.0.0.1"
    assert account_health.validate(WORKSPACE_A, name="default").valid


def test_mail_waits_and_the_breaker_says_why(
    account: MakeAccount,
    accept: Callable[..., Message],
    lease: Lease,
    inbox: Inbox,
    strict: Callable[[], object],
) -> None:
    ours = account("ours", active=True)
    strict()
    message = accept()
    for _ in range(config.current().auto_failover.min_faults):
        sending.deliver_due(lease, Recorder())
    breaker = Breaker.get(Breaker.account_id == ours.id)
    assert (breaker.state, breaker.error_class) == (State.OPEN, "dns")
    assert "127.0.0.1 leads to no address that an account may use" in breaker.reason
    assert messages.get(WORKSPACE_A, message.id).status == Status.QUEUED
    assert inbox.messages() == []
