"""The sandbox as a workspace's provider: one click there, one click gone."""

import threading
import time
import uuid
from datetime import timedelta

import pytest

from maild import clock, db
from maild.config import Addr, Sandbox
from maild.db import database
from maild.domain.actor import SYSTEM
from maild.domain.states import Status
from maild.errors import Conflict, InvalidFields, NotFound, QueuedInSandbox
from maild.local import inbox_reports
from maild.models import Message, SmtpAccount, WebhookEndpoint
from maild.services import (
    interventions,
    providers,
    rehearsals,
    sandboxes,
    smtp_accounts,
    webhook_endpoints,
)
from maild.services.smtp_account_fields import NewSmtpAccount
from maild.transports.webhooks import maild as own_format
from maild.transports.webhooks.base import Request
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")

ADDR = Addr("127.0.0.1", 1025)


@pytest.fixture(autouse=True)
def sandbox(use_settings):
    use_settings(sandbox=Sandbox(ADDR, "http://127.0.0.1:8025"))


def save(name, **fields):
    values = {"host": "127.0.0.1", "port": 2525, "from_email": "shop@example.com"}
    new = NewSmtpAccount(name=name, **{**values, **fields})
    return smtp_accounts.save(WORKSPACE_A, new, by=SYSTEM)


def test_it_is_an_active_account_whose_sign_in_says_where_to_report():
    row = sandboxes.add(WORKSPACE_A, by=SYSTEM)
    assert (row.name, row.host, row.port, row.is_active) == ("sandbox", "127.0.0.1", 1025, True)
    [endpoint] = webhook_endpoints.list_all(WORKSPACE_A)
    assert (endpoint.provider, endpoint.smtp_account_name) == ("maild", "sandbox")
    login = inbox_reports.find_login(row.username, smtp_accounts.server_of(row).password)
    assert webhook_endpoints.url_of(endpoint).endswith(f"/providers/maild/{login.token}")
    headers = own_format.sign(b"[]", secret=login.secret, timestamp=int(time.time()))
    told = {name.lower(): value for name, value in headers.items()}
    request = Request(body=b"[]", headers=told, received_at=clock.now())
    own_format.verify(request, webhook_endpoints.keys_of(endpoint))


def test_a_second_click_changes_nothing_but_who_carries_the_mail():
    first = sandboxes.add(WORKSPACE_A, by=SYSTEM)
    smtp_accounts.activate(WORKSPACE_A, name="default", by=SYSTEM)
    second = sandboxes.add(WORKSPACE_A, by=SYSTEM)
    assert (second.id, second.is_active) == (first.id, True)
    assert WebhookEndpoint.select().count() == 1
    assert second.password_encrypted == first.password_encrypted


def test_without_it_mail_takes_the_account_that_stands_by_first():
    save("second", priority=20)
    save("first", priority=10)
    sandboxes.add(WORKSPACE_A, by=SYSTEM)
    assert sandboxes.remove(WORKSPACE_A, by=SYSTEM) == "first"
    assert {row.name: row.is_active for row in SmtpAccount.select()} == {
        "first": True,
        "second": False,
    }
    assert WebhookEndpoint.select().count() == 0
    with pytest.raises(NotFound):
        sandboxes.remove(WORKSPACE_A, by=SYSTEM)


def test_alone_it_leaves_the_mail_to_the_environments_account():
    sandboxes.add(WORKSPACE_A, by=SYSTEM)
    assert sandboxes.remove(WORKSPACE_A, by=SYSTEM) == "default"


def test_what_must_go_through_it_keeps_it_there(accept):
    sandboxes.add(WORKSPACE_A, by=SYSTEM)
    accept(smtp_account="sandbox")
    with pytest.raises(Conflict, match="must go through the sandbox"):
        sandboxes.remove(WORKSPACE_A, by=SYSTEM)
    assert sandboxes.find(WORKSPACE_A).is_active


def leave(way):
    """Each way in which mail of the sandbox would take another path."""
    if way == "remove":
        sandboxes.remove(WORKSPACE_A, by=SYSTEM)
    elif way == "activate another":
        smtp_accounts.activate(WORKSPACE_A, name="main", by=SYSTEM)
    elif way == "activate the environment's":
        smtp_accounts.activate(WORKSPACE_A, name="default", by=SYSTEM)
    elif way == "save it elsewhere":
        save("sandbox", port=2526, username="sandbox", password="x")
    else:
        row = sandboxes.find(WORKSPACE_A)
        new = NewSmtpAccount(
            name="sandbox",
            host=row.host,
            port=2526,
            from_email="a@example.com",
            username="x",
            password="x",
        )
        version = smtp_accounts.version_of(row)
        smtp_accounts.change(WORKSPACE_A, row.id, new, version=version, by=SYSTEM)


WAYS = (
    "remove", "activate another", "activate the environment's", "save it elsewhere", "change it",
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_nobody_leaves_it_while_its_mail_waits(accept, way):
    save("main")
    sandboxes.add(WORKSPACE_A, by=SYSTEM)
    later, now, kept = accept(scheduled_at=clock.now() + timedelta(hours=1)), accept(), accept()
    interventions.hold(WORKSPACE_A, [str(kept.id)], reason="for later", by=SYSTEM)
    claimed = {"status": Status.SENDING, "worker_id": uuid.uuid4(), "next_attempt_at": None}
    Message.update(claimed).where(Message.id == now.id).execute()
    before = sandboxes.find(WORKSPACE_A)
    with pytest.raises(QueuedInSandbox, match="2 messages of the sandbox are queued") as caught:
        leave(way)
    assert "real people" in caught.value.detail
    row = sandboxes.find(WORKSPACE_A)
    assert (row.is_active, row.port, row.updated_at) == (True, before.port, before.updated_at)
    assert WebhookEndpoint.select().count() == 1
    Message.update(status=Status.SENT, worker_id=None).where(Message.id == now.id).execute()
    with pytest.raises(QueuedInSandbox, match="1 message of the sandbox is queued"):
        leave(way)
    interventions.cancel(WORKSPACE_A, [str(later.id)], by=SYSTEM)
    leave(way)
    row = sandboxes.find(WORKSPACE_A)
    assert row is None or not row.is_active


def test_mail_that_goes_elsewhere_anyway_keeps_nobody_there(accept):
    save("main")
    sandboxes.add(WORKSPACE_A, by=SYSTEM)
    accept(smtp_account="main")
    accept(smtp_account="sandbox")
    smtp_accounts.activate(WORKSPACE_A, name="main", by=SYSTEM)
    accept()
    with pytest.raises(QueuedInSandbox, match="1 message of the sandbox"):
        leave("save it elsewhere")


def test_of_very_much_mail_it_is_told_how_far_it_was_counted():
    assert rehearsals.explain(1_000).startswith("1,000+ messages of the sandbox are")
    assert rehearsals.explain(999).startswith("999 messages")


def test_mail_that_is_being_accepted_is_waited_for(accept):
    save("main")
    sandboxes.add(WORKSPACE_A, by=SYSTEM)
    began, ends = threading.Event(), []

    def go():
        with db.connection():
            began.set()
            try:
                leave("activate another")
            except QueuedInSandbox as error:
                ends.append(error)

    thread = threading.Thread(target=go)
    with database.atomic():
        accept()
        thread.start()
        began.wait()
        wait_for_a_lock()
    thread.join()
    assert len(ends) == 1


def wait_for_a_lock():
    """Until somebody waits for a row that this transaction has locked."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    until = time.monotonic() + 5
    while not database.execute_sql(waiting).fetchone()[0]:
        assert time.monotonic() < until, "nobody waits"


def test_another_account_of_that_name_is_left_alone():
    save("sandbox")
    with pytest.raises(InvalidFields, match="Another account is called “sandbox”"):
        sandboxes.add(WORKSPACE_A, by=SYSTEM)
    assert sandboxes.find(WORKSPACE_A) is None
    assert WebhookEndpoint.select().count() == 0


def test_it_is_said_where_workspaces_may_not_go_there(use_settings):
    use_settings(allowed_private_networks=())
    with pytest.raises(InvalidFields, match="ALLOWED_PRIVATE_NETWORKS"):
        sandboxes.add(WORKSPACE_A, by=SYSTEM)


def test_where_there_is_none_there_is_none(use_settings):
    use_settings(sandbox=None)
    assert not sandboxes.is_offered()
    with pytest.raises(NotFound):
        sandboxes.add(WORKSPACE_A, by=SYSTEM)


def test_it_is_of_one_workspace():
    sandboxes.add(WORKSPACE_A, by=SYSTEM)
    assert sandboxes.find(WORKSPACE_B) is None
    with pytest.raises(NotFound):
        sandboxes.remove(WORKSPACE_B, by=SYSTEM)


def route():
    [names] = providers.list_routes([WORKSPACE_A]).values()
    return [candidate.account.name for candidate in names]


def test_no_mail_falls_over_to_it_nor_from_it_to_people():
    save("main")
    save("second")
    sandboxes.add(WORKSPACE_A, by=SYSTEM)
    assert route() == ["sandbox"]
    smtp_accounts.activate(WORKSPACE_A, name="main", by=SYSTEM)
    assert route() == ["main", "second"]


def test_an_account_that_is_pointed_elsewhere_is_the_sandbox_no_more():
    row = sandboxes.add(WORKSPACE_A, by=SYSTEM)
    save("sandbox", max_connections=3, port=row.port, username="sandbox", password="x")
    assert sandboxes.find(WORKSPACE_A).id == row.id
    save("sandbox", port=2526, username="sandbox", password="x")
    assert sandboxes.find(WORKSPACE_A) is None


def test_one_that_carries_no_mail_leaves_it_where_it_is():
    sandboxes.add(WORKSPACE_A, by=SYSTEM)
    smtp_accounts.activate(WORKSPACE_A, name="default", by=SYSTEM)
    save("main", priority=20)
    save("spare", priority=10)
    smtp_accounts.activate(WORKSPACE_A, name="main", by=SYSTEM)
    assert sandboxes.remove(WORKSPACE_A, by=SYSTEM) == "main"
    assert {row.name: row.is_active for row in SmtpAccount.select()} == {
        "main": True,
        "spare": False,
    }
