"""A frozen SMTP account: its workspace's mail takes the next one, or waits; nobody else's does."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from maild.db import database as db
from maild.domain.actor import SYSTEM
from maild.domain.breaker import State
from maild.domain.freeze import FreezeKind
from maild.domain.states import Status
from maild.models import Breaker, Freeze, Message, SmtpAccount
from maild.services import account_health, freezes, providers, smtp_accounts
from maild.services.account_health import Word
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B, Inbox
from tests.services.conftest import MakeAccount, wait_until
from tests.services.helpers import ago, reload, set_end, start_freeze, working

Accept = Callable[..., Message]
SOMEBODY = uuid.uuid4()


def freeze(name: str, workspace_id: int = WORKSPACE_A) -> Freeze:
    return freezes.start(
        workspace_id,
        kind=FreezeKind.SMTP_ACCOUNT,
        target=name,
        reason="its reputation",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )


def route(workspace_id: int = WORKSPACE_A) -> list[tuple[str, bool, bool]]:
    """Each account of the route, whether nothing may go through it, and whether a freeze alone is
    why.
    """
    return [
        (c.account.name, c.is_paused, c.is_frozen)
        for c in providers.list_routes([WORKSPACE_A, WORKSPACE_B])[workspace_id]
    ]


def words(workspace_id: int = WORKSPACE_A) -> dict[str, Word]:
    return {h.account.name: h.word for h in account_health.list_all(workspace_id)}


def test_a_frozen_account_counts_as_paused(account: MakeAccount) -> None:
    account("primary", active=True)
    account("standby")
    frozen = freeze("primary")
    assert route() == [("primary", True, True), ("standby", False, False)]
    smtp_accounts.pause(WORKSPACE_A, name="primary", reason="maintenance", by=SYSTEM)
    assert route()[0] == ("primary", True, False), "the end of the freeze would not help"
    smtp_accounts.resume(WORKSPACE_A, name="primary", by=SYSTEM)
    freezes.lift(frozen)
    assert route()[0] == ("primary", False, False)


def test_the_environments_account_is_frozen_for_one_workspace(account: MakeAccount) -> None:
    account("standby")
    freeze("default")
    assert route() == [("default", True, True), ("standby", False, False)]
    assert route(WORKSPACE_B) == [("default", False, False)]
    assert words()["default"] is Word.FROZEN
    assert words(WORKSPACE_B)["default"] is Word.HEALTHY


@pytest.mark.parametrize("what", ["another kind", "lifted", "ended", "another workspace's"])
def test_what_does_not_stop_an_account_leaves_it_alone(what: str, account: MakeAccount) -> None:
    account("marketing", active=True)
    if what == "another kind":  # with the same target
        freezes.start(
            WORKSPACE_A,
            kind=FreezeKind.STREAM,
            target="marketing",
            reason="r",
            expires_at=ago(hours=-1),
        )
        start_freeze(WORKSPACE_A)
    elif what == "another workspace's":
        SmtpAccount.update(workspace=WORKSPACE_B).execute()
        theirs = freeze("marketing", WORKSPACE_B)
        SmtpAccount.update(workspace=WORKSPACE_A).execute()
        assert theirs.workspace_id == WORKSPACE_B
    else:
        over = freeze("marketing")
        freezes.lift(over) if what == "lifted" else set_end(over, ago(seconds=1))
    assert route() == [("marketing", False, False)]
    assert words()["marketing"] is Word.HEALTHY
    [row] = SmtpAccount.select()
    assert providers.list_blocked([row.id], SOMEBODY) == set()


def test_what_is_ready_for_a_frozen_account_is_called_back(account: MakeAccount) -> None:
    """Not for the shared one: that is one workspace's affair, and for the last check."""
    primary, standby = account("primary", active=True), account("standby")
    freeze("primary")
    freeze("default")
    everything = [0, primary.id, standby.id]
    assert providers.list_blocked(everything, SOMEBODY) == {primary.id}
    smtp_accounts.pause(WORKSPACE_A, name="standby", reason="maintenance", by=SYSTEM)
    assert providers.list_blocked(everything, SOMEBODY) == {primary.id, standby.id}


def test_mail_takes_the_next_account(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True)
    account("standby")
    freeze("primary")
    message = accept()
    with working(lease):
        wait_until(lambda: reload(message).status is Status.SENT)
    assert reload(message).smtp_account_name == "standby"


@pytest.mark.parametrize("name", ["primary", "default"])
def test_mail_waits_where_there_is_no_other_and_goes_out_after_the_lift(
    name: str, accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    if name == "primary":
        account("primary", active=True)
    frozen = freeze(name)
    message, other = accept(), accept(workspace_id=WORKSPACE_B)
    with working(lease):
        wait_until(lambda: reload(other).status is Status.SENT)
        waiting = reload(message)
        assert (waiting.status, waiting.attempt_count) == (Status.QUEUED, 0)
        freezes.lift(frozen)
        wait_until(lambda: reload(message).status is Status.SENT)
    assert reload(message).smtp_account_name == name
    assert len(inbox.messages()) == 2


def test_its_health_says_why_and_until_when(account: MakeAccount) -> None:
    primary = account("primary", active=True)
    frozen = freeze("primary")
    Breaker.create(account_id=primary.id, state=State.OPEN)
    default, found = account_health.list_all(WORKSPACE_A)
    assert (default.word, default.freeze) == (Word.HEALTHY, None)
    assert found.word is Word.FROZEN
    assert found.freeze is not None
    assert (found.freeze.reason, found.freeze.expires_at) == (frozen.reason, frozen.expires_at)
    smtp_accounts.pause(WORKSPACE_A, name="primary", reason="maintenance", by=SYSTEM)
    assert words()["primary"] is Word.PAUSED


def test_the_list_of_routes_looks_freezes_up_by_their_workspace(account: MakeAccount) -> None:
    """Every worker asks once a second, however many freezes there were."""
    db.execute_sql(
        """
        INSERT INTO freezes (workspace_id, kind, target, reason, expires_at, lifted_at, created_by)
        SELECT %s, 'recipient_domain', 'x' || n || '.example', 'r', now(), now(), 'a test'
        FROM generate_series(1, 5000) AS n
        """,
        (WORKSPACE_A,),
    )
    account("primary", active=True)
    freeze("primary")
    db.execute_sql("ANALYZE freezes")
    values = {"workspaces": [WORKSPACE_A], "environment": "default", "marked": ["mailgun"]}
    [(found,)] = db.execute_sql(f"EXPLAIN (FORMAT JSON) {providers._ROUTES}", values).fetchall()
    plan = found if isinstance(found, str) else json.dumps(found)
    assert "freezes_in_force" in plan
