"""Mail whose sender named its SMTP account goes through that one, or waits for it."""

import dataclasses
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from maild import config
from maild.db import database as db
from maild.domain.actor import SYSTEM
from maild.domain.breaker import State
from maild.domain.freeze import FreezeKind
from maild.domain.policy import Route
from maild.domain.states import Status
from maild.errors import Conflict, InvalidFields
from maild.models import Attempt, Breaker, Message, SmtpAccount
from maild.services import (
    freeze_backlogs,
    freezes,
    interventions,
    outcomes,
    providers,
    sending,
    smtp_accounts,
    timeline,
)
from maild.services.providers import Fault
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B, Inbox, free_ports
from tests.services.conftest import MakeAccount, wait_until
from tests.services.helpers import ago, at_once, fill, make_due, reload, working

Accept = Callable[..., Message]
Deliver = Callable[[], int]
UseSettings = Callable[..., object]
Stop = Callable[[SmtpAccount], Callable[[], object]]


def are_sent(*made: Message) -> bool:
    return {reload(m).status for m in made} == {Status.SENT}


def ways_of(made: list[Message]) -> set[tuple[str, str | None]]:
    """The account and the route of all attempts of these."""
    attempts = Attempt.select().where(Attempt.message << [m.id for m in made])
    return {(a.smtp_account_name, a.route) for a in attempts}


def without_fail_over(use_settings: UseSettings) -> None:
    use_settings(auto_failover=dataclasses.replace(config.current().auto_failover, enabled=False))


# What stops an account, each returning how it is let go again.


def pause(account: SmtpAccount) -> Callable[[], object]:
    smtp_accounts.pause(WORKSPACE_A, name=account.name, reason="maintenance", by=SYSTEM)
    return lambda: smtp_accounts.resume(WORKSPACE_A, name=account.name, by=SYSTEM)


def freeze(account: SmtpAccount) -> Callable[[], object]:
    started = freezes.start(
        WORKSPACE_A,
        kind=FreezeKind.SMTP_ACCOUNT,
        target=account.name,
        reason="its reputation",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    return lambda: freezes.lift(started)


def trip(account: SmtpAccount) -> Callable[[], object]:
    """Its breaker opens; then its wait is over, and a canary may try."""
    with db.atomic():
        providers.add_counts({(account.id, uuid.uuid4()): [9, 9]})
    providers.judge([Fault(uuid.uuid4(), account.id, account.name, WORKSPACE_A, "connection", "-")])
    assert Breaker.get_by_id(account.id).state is State.OPEN
    return lambda: Breaker.update(retry_at=ago(seconds=1)).execute()


@pytest.mark.parametrize("has_fail_over", [True, False])
def test_it_goes_through_its_account_while_the_first_choice_is_well(
    has_fail_over: bool,
    accept: Accept,
    deliver: Deliver,
    inbox: Inbox,
    account: MakeAccount,
    use_settings: UseSettings,
) -> None:
    account("primary", active=True)
    account("second")
    if not has_fail_over:
        without_fail_over(use_settings)
    pinned = [accept(smtp_account="second") for _ in range(20)]
    first = [accept(smtp_account="primary") for _ in range(5)]
    free = [accept() for _ in range(20)]
    assert deliver() == 45
    assert ways_of(pinned) == {("second", Route.PINNED)}
    assert ways_of(first) == {("primary", Route.PINNED)}
    assert ways_of(free) == {("primary", Route.FIRST_CHOICE)}
    assert {reload(m).smtp_account_name for m in pinned} == {"second"}
    assert len(inbox.messages()) == 45


def test_the_environments_account_can_be_asked_for_where_another_is_active(
    accept: Accept, deliver: Deliver, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True)
    pinned, free = accept(smtp_account="default"), accept()
    deliver()
    assert ways_of([pinned]) == {("default", Route.PINNED)}
    assert ways_of([free]) == {("primary", Route.FIRST_CHOICE)}


@pytest.mark.parametrize("is_active", [False, True])
@pytest.mark.parametrize("stop", [pause, freeze, trip])
def test_it_waits_for_its_account_while_other_mail_flows_and_goes_when_that_is_back(
    stop: Stop,
    is_active: bool,
    accept: Accept,
    lease: Lease,
    inbox: Inbox,
    account: MakeAccount,
) -> None:
    """Whether or not it is the first choice of the other mail."""
    account("primary", active=not is_active)
    second = account("second", active=is_active)
    let_go = stop(second)
    pinned = [accept(smtp_account="second") for _ in range(3)]
    free = [accept() for _ in range(3)]
    with working(lease):
        wait_until(lambda: are_sent(*free))
        more = accept()
        sending.wake()
        wait_until(lambda: are_sent(more))
        for message in pinned:
            waiting = reload(message)
            assert (waiting.status, waiting.attempt_count) == (Status.QUEUED, 0)
            assert len(timeline.list_events(message)) == 1, "nothing but its acceptance"
        let_go()
        sending.wake()
        wait_until(lambda: are_sent(*pinned))
    assert {name for name, _ in ways_of([*free, more])} == {"primary"}
    assert ways_of(pinned) == {("second", Route.PINNED)}


@pytest.mark.parametrize("name", ["default", "second"])
def test_a_freeze_of_its_account_stops_it_in_its_own_workspace_alone(
    name: str, accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True)
    account("second")
    frozen = freezes.start(
        WORKSPACE_A,
        kind=FreezeKind.SMTP_ACCOUNT,
        target=name,
        reason="r",
        expires_at=ago(hours=-1),
    )
    pinned, free = accept(smtp_account=name), accept()
    other = accept(workspace_id=WORKSPACE_B, smtp_account="default")
    with working(lease):
        wait_until(lambda: are_sent(free, other))
        assert (reload(pinned).status, reload(pinned).attempt_count) == (Status.QUEUED, 0)
        freezes.lift(frozen)
        wait_until(lambda: are_sent(pinned))
    assert ways_of([pinned]) == {(name, Route.PINNED)}


def test_what_is_ready_for_an_account_that_is_paused_goes_back_and_waits(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True)
    second = account("second", max_connections=1)
    first = accept(smtp_account="second", to_email="slow+3@example.org")
    with working(lease):
        wait_until(lambda: reload(first).status is Status.SENDING)
        rest = [accept(smtp_account="second") for _ in range(3)]
        sending.wake()
        wait_until(lambda: Message.select().where(Message.status == Status.SENDING).count() > 1)
        let_go = pause(second)
        wait_until(
            lambda: (
                {(reload(m).status, reload(m).attempt_count) for m in rest[1:]}
                == {(Status.QUEUED, 0)}
            )
        )
        let_go()
        sending.wake()
        wait_until(lambda: are_sent(first, *rest))
    assert {name for name, _ in ways_of([first, *rest])} == {"second"}


def test_faults_of_its_account_move_it_to_no_other(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    """Where any account will do, two faults are enough for the next one."""
    account("primary", active=True)
    account("standby")
    pinned = accept(smtp_account="primary", to_email="drop-before-dot+1@example.org")
    free = accept(to_email="drop-before-dot+2@example.org")
    with working(lease):
        for message in (pinned, free):
            wait_until(lambda m=message: _is_tried_again(m, faults=5))
    assert {name for name, _ in ways_of([free])} == {"primary", "standby"}
    assert ways_of([pinned]) == {("primary", Route.PINNED)}
    after = reload(pinned)
    assert after.attempt_count == after.excused_count >= 5, "its provider's doing, not its own"


def _is_tried_again(message: Message, *, faults: int) -> bool:
    """Have it due at once; whether it has met with so many faults."""
    make_due(message)
    sending.wake()
    return bool(reload(message).path_fault_count >= faults)


def test_an_account_that_pinned_mail_alone_uses_is_tried_again_and_trusted_again(
    accept: Accept,
    lease: Lease,
    inbox: Inbox,
    account: MakeAccount,
    use_settings: UseSettings,
) -> None:
    without_fail_over(use_settings)
    account("primary", active=True)
    second = account("second")
    trip(second)()
    made = [accept(smtp_account="second") for _ in range(20)]
    with working(lease):
        wait_until(lambda: are_sent(*made))
    assert Breaker.get_by_id(second.id).state is State.CLOSED
    assert ways_of(made) == {("second", Route.PINNED)}


def test_a_canary_of_pinned_mail_that_fails_opens_its_breaker_for_longer(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True)
    second = account("second", port=free_ports(1)[0])
    trip(second)()
    pinned, free = accept(smtp_account="second"), accept()
    with working(lease):
        wait_until(lambda: Breaker.get_by_id(second.id).open_count == 2)
        wait_until(lambda: are_sent(free))
    assert (reload(pinned).status, reload(pinned).attempt_count) == (Status.QUEUED, 0)


def test_it_keeps_to_what_its_server_asks_for_though_other_mail_could_go_elsewhere(
    accept: Accept, deliver: Deliver, account: MakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[uuid.UUID, bool] = {}
    decide = outcomes.decide

    def listen(claim: object, outcome: object, **more: bool) -> object:
        told[claim.message_id] = more["has_other_path"]  # type: ignore[attr-defined]
        return decide(claim, outcome, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(outcomes, "decide", listen)
    account("primary", active=True)
    account("second")
    pinned = [accept(smtp_account=name) for name in ("primary", "second") for _ in range(3)]
    free = [accept() for _ in range(3)]
    deliver()
    assert told == {**{m.id: False for m in pinned}, **{m.id: True for m in free}}


def test_a_ways_account_is_that_alone(account: MakeAccount, use_settings: UseSettings) -> None:
    account("primary", active=True)
    account("second")
    wishes = [
        (WORKSPACE_A, ""), (WORKSPACE_A, "second"), (WORKSPACE_A, "default"), (WORKSPACE_A, "gone"),
        (WORKSPACE_B, ""), (WORKSPACE_B, "default"), (WORKSPACE_B, "second"),
    ]  # fmt: skip

    def names() -> list[list[str]]:
        ways = providers.list_ways(wishes)
        return [[c.account.name for c in ways[wish]] for wish in wishes]

    pinned = [["second"], ["default"], [], ["default"], ["default"], []]
    assert names() == [["primary", "second"], *pinned]
    without_fail_over(use_settings)
    assert names() == [["primary"], *pinned]


def test_a_retry_goes_through_the_same_account(
    accept: Accept, deliver: Deliver, inbox: Inbox, account: MakeAccount, use_settings: UseSettings
) -> None:
    use_settings(max_attempts=1)
    account("primary", active=True)
    account("second")
    message = accept(smtp_account="second", to_email="tempfail@example.org")
    deliver()
    assert reload(message).status is Status.FAILED
    interventions.retry(WORKSPACE_A, message_ids=[str(message.id)], by=SYSTEM)
    deliver()
    assert len(timeline.list_attempts(message)) == 2
    assert ways_of([message]) == {("second", Route.PINNED)}


# An account that goes away


def test_what_is_pinned_to_an_account_that_is_gone_waits(
    accept: Accept, deliver: Deliver, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True)
    account("second")
    held = accept(smtp_account="second")
    interventions.hold(WORKSPACE_A, [str(held.id)], reason="r", by=SYSTEM)
    smtp_accounts.delete(WORKSPACE_A, name="second", by=SYSTEM)
    interventions.release(WORKSPACE_A, [str(held.id)], by=SYSTEM)
    free = accept()
    assert deliver() == 1
    assert are_sent(free)
    assert (reload(held).status, reload(held).attempt_count) == (Status.QUEUED, 0)
    account("second")
    assert deliver() == 1
    assert ways_of([held]) == {("second", Route.PINNED)}


def test_no_message_is_accepted_for_an_account_that_is_deleted_meanwhile(
    accept: Accept, account: MakeAccount
) -> None:
    """Whoever comes first: the other is refused."""
    refused: list[Exception] = []

    def submit() -> None:
        try:
            accept(smtp_account="second")
        except InvalidFields as error:
            refused.append(error)

    def delete() -> None:
        try:
            smtp_accounts.delete(WORKSPACE_A, name="second", by=SYSTEM)
        except Conflict as error:
            refused.append(error)

    for _ in range(10):
        account("second")
        refused.clear()
        at_once(submit, delete)
        assert len(refused) == 1
        is_there = SmtpAccount.select().where(SmtpAccount.name == "second").exists()
        waiting = Message.select().where(Message.status == Status.QUEUED).count()
        assert (waiting > 0) == is_there
        Message.update(status=Status.CANCELLED, next_attempt_at=None).execute()


# What waits behind a freeze


def test_the_backlog_of_a_frozen_account_is_what_must_go_through_it(account: MakeAccount) -> None:
    account("primary", active=True)
    second = account("second", max_per_second=2.0)
    fill(6, account="second")
    fill(4, account="default")
    fill(20)
    starts = {}
    for name in ("second", "default", "primary"):
        starts[name] = freezes.start(
            WORKSPACE_A,
            kind=FreezeKind.SMTP_ACCOUNT,
            target=name,
            reason="r",
            expires_at=ago(hours=-1),
        )
        found = freeze_backlogs.measure(WORKSPACE_A, list(starts.values()))
    counts = {name: found[frozen.id].count for name, frozen in starts.items()}
    # The last freeze leaves other mail no account at all.
    assert counts == {"second": 26, "default": 4, "primary": 20}
    freezes.lift(starts["primary"])
    backlog = freeze_backlogs.measure(WORKSPACE_A, [starts["second"]])[starts["second"].id]
    assert (backlog.count, backlog.drain_seconds) == (6, 3)
    assert f"“{second.name}”" in backlog.drain_note


def test_the_backlog_of_other_freezes_has_pinned_mail_too(account: MakeAccount) -> None:
    account("primary", active=True)
    account("second")
    fill(6, account="second")
    fill(20)
    whole = freezes.start(
        WORKSPACE_A, kind=FreezeKind.WORKSPACE, reason="r", expires_at=ago(hours=-1)
    )
    assert freeze_backlogs.measure(WORKSPACE_A, [whole])[whole.id].count == 26
