"""What the tests of the providers' pages share."""

import uuid

from bs4 import BeautifulSoup

from maild import clock
from maild.domain.actor import SYSTEM
from maild.models import AccountTally, AuditEntry, SmtpAccount
from maild.services import smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import WORKSPACE_A
from tests.services.helpers import ago

PATH = "/ui/providers"
PASSWORD = "hunter2-of-the-provider"


def save(name="main", *, workspace_id=WORKSPACE_A, active=False, **fields):
    """An account, saved as a program does."""
    values = {"host": "smtp.example.com", "port": 587, "from_email": "shop@example.com"}
    account = NewSmtpAccount(name=name, **{**values, **fields})
    row = smtp_accounts.save(workspace_id, account, by=SYSTEM)
    SmtpAccount.update(created_at=ago(days=30)).where(SmtpAccount.id == row.id).execute()
    if active:
        smtp_accounts.activate(workspace_id, name=name, by=SYSTEM)
    return row


def tally(account_id, tries, faults=0):
    AccountTally.insert(
        account_id=account_id,
        slot_at=clock.now(),
        worker_id=uuid.uuid4(),
        try_count=tries,
        fault_count=faults,
    ).execute()


def stored(row):
    return SmtpAccount.get_or_none(SmtpAccount.id == row.id)


def audited(but=("smtp_account.saved", "smtp_account.activated")):
    query = AuditEntry.select().where(AuditEntry.workspace == WORKSPACE_A)
    return [e.action for e in query.order_by(AuditEntry.seq) if e.action not in but]


def soup_of(response):
    return BeautifulSoup(response.text, "html.parser")


def words_of(element):
    """Its text, with single spaces."""
    return " ".join(element.text.split())


def toast_of(client):
    return words_of(soup_of(client.get(PATH)).select_one("#toasts .toast"))


def undo(client):
    """Send the undo of the newest toast."""
    form = soup_of(client.get(PATH)).select_one("#toasts form")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    return client.post(form["action"], data=fields)
