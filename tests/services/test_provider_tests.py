"""Test messages: real ones, by the way of all mail, through one account alone."""

import pytest

from maild.domain.actor import Actor
from maild.domain.states import Status
from maild.errors import BlockedRecipientDomain, InvalidFields, InvalidRequest, NotFound
from maild.models import AuditEntry, Message
from maild.models.smtp_account import ENVIRONMENT
from maild.services import policies, provider_tests, smtp_accounts, suppressions
from maild.services.provider_tests import TAG
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import reload

pytestmark = pytest.mark.usefixtures("database")

ANN = Actor("ann@a.example")


def send(account_id, to_email="ann@a.example", *, workspace_id=WORKSPACE_A):
    return provider_tests.send(workspace_id, account_id, to_email=to_email, by=ANN)


def test_it_goes_through_the_account_and_arrives(account, inbox, deliver):
    account("main", active=True)
    second = account("second", from_email="second@example.com")
    message = send(second.id)
    assert (message.pinned_account, message.tags) == ("second", [TAG])
    deliver()
    message = reload(message)
    assert (message.status, message.smtp_account_name) == (Status.SENT, "second")
    arrived = inbox.only()
    assert arrived["To"] == "ann@a.example"
    assert arrived["From"] == "second@example.com"
    assert "“second”" in arrived["Subject"]
    assert "ann@a.example asked for it" in arrived.get_content()


def test_it_is_in_the_audit_log(account):
    message = send(account("main").id)
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).get()
    assert (entry.action, entry.target) == ("smtp_account.tested", "SMTP account main")
    assert entry.after == {"to_email": "ann@a.example", "message_id": str(message.id)}


def test_the_environments_account_can_be_tested(inbox, deliver):
    message = send(ENVIRONMENT)
    deliver()
    assert reload(message).status is Status.SENT
    assert "“default”" in inbox.only()["Subject"]


def test_a_paused_account_keeps_it_waiting(account, deliver):
    row = account("main")
    smtp_accounts.pause(WORKSPACE_A, name="main", reason="r", by=ANN)
    message = send(row.id)
    deliver()
    assert reload(message).status is Status.QUEUED


def test_who_must_not_be_mailed_is_not(account, deliver):
    row = account("main")
    suppressions.add(WORKSPACE_A, email="ann@a.example", reason="r", source="test", by=ANN)
    message = send(row.id)
    deliver()
    assert reload(message).status is Status.SUPPRESSED


@pytest.mark.parametrize("address", ["", "nobody", "a b@example.com", "x@" + "y" * 300])
def test_what_is_no_address_is_refused_and_nothing_is_stored(account, address):
    row = account("main")
    before = AuditEntry.select().count()
    with pytest.raises((InvalidFields, InvalidRequest)):
        send(row.id, address)
    assert Message.select().count() == 0
    assert AuditEntry.select().count() == before


def test_the_policy_holds_for_it(account):
    row = account("main")
    changes = {"blocked_recipient_domains": ["a.example"]}
    policies.save(WORKSPACE_A, changes=changes, by=ANN)
    with pytest.raises(BlockedRecipientDomain):
        send(row.id)


def test_another_workspaces_account_is_not_there(account):
    row = account("main")
    with pytest.raises(NotFound):
        send(row.id, workspace_id=WORKSPACE_B)
    assert Message.select().count() == 0
