"""What tests of services share: SMTP accounts, a server that is not there, and patience."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest

from maild import config
from maild.config import Settings
from maild.domain.actor import SYSTEM
from maild.models import Message, SmtpAccount
from maild.services import smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, Inbox, free_ports
from tests.services.helpers import reload
from tests.services.reporting import send_all

MakeAccount = Callable[..., SmtpAccount]

PATIENCE_SECONDS = 30.0
"""Far more than anything needs, so that a slow machine fails nothing."""


def wait_until(condition: Callable[[], Any]) -> None:
    """Return as soon as `condition()` is true; fails after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def unreachable(database: None, use_settings: Callable[..., Settings]) -> int:
    """The environment's account leads to a port where nobody listens; returns the port."""
    [port] = free_ports(1)
    smtp = dataclasses.replace(config.current().smtp, host="127.0.0.1", port=port, security="none")
    use_settings(smtp=smtp)
    return port


@pytest.fixture
def account(inbox: Inbox, database: None) -> MakeAccount:
    """Save an SMTP account of workspace A that leads to the inbox; any field may be given."""

    def make(name: str, *, active: bool = False, **fields: Any) -> SmtpAccount:
        values = {
            "host": inbox.smtp.host,
            "port": inbox.smtp.port,
            "from_email": "shop@example.com",
            "security": "none",
            **fields,
        }
        saved = smtp_accounts.save(WORKSPACE_A, NewSmtpAccount(name=name, **values), by=SYSTEM)
        if active:
            smtp_accounts.activate(WORKSPACE_A, name=name, by=SYSTEM)
        return saved

    return make


@pytest.fixture
def sent(accept: Callable[..., Message], lease: Lease) -> Callable[..., Message]:
    """Make a message that its provider has accepted; any field may be given."""

    def make(**fields: Any) -> Message:
        message = accept(**fields)
        send_all(lease)
        return reload(message)

    return make
