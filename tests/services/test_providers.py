"""Providers: the breaker, fail-over and fail-back, pauses; told by the path's faults alone."""

import dataclasses
import socket
import threading
import uuid
from collections.abc import Callable
from typing import BinaryIO

import pytest

from maild import config
from maild.db import database as db
from maild.domain.actor import SYSTEM
from maild.domain.breaker import CANARY_MESSAGES, State
from maild.domain.states import EventType, Status
from maild.models import AccountTally, Breaker, Event, Message, SmtpAccount
from maild.services import (
    account_health,
    providers,
    sending,
    smtp_accounts,
    timeline,
    workers,
)
from maild.services.providers import Account, Fault
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B, Inbox, free_ports
from tests.services.conftest import MakeAccount, wait_until
from tests.services.helpers import reload, working

Accept = Callable[..., Message]
UseSettings = Callable[..., object]


def told(account: SmtpAccount | None = None) -> list[str]:
    """The kinds of the provider events so far."""
    query = Event.select().where(Event.message.is_null()).order_by(Event.id)
    return [e.type for e in query if account is None or e.data["smtp_account"] == account.name]


def fault(account: SmtpAccount) -> Fault:
    return Fault(uuid.uuid4(), account.id, account.name, WORKSPACE_A, "connection", "refused")


def add_faults(account: SmtpAccount, count: int, *, good: int = 0) -> None:
    """So many faults, and tries that worked, in this moment."""
    with db.atomic():
        providers.add_counts({(account.id, uuid.uuid4()): [count + good, count]})
    providers.judge([fault(account)])


def make_due(account: SmtpAccount) -> None:
    """The wait of its breaker is over."""
    db.execute_sql(
        "UPDATE breakers SET retry_at = now(), canary_until = now() WHERE account_id = %s",
        (account.id,),
    )


def as_path(account: SmtpAccount) -> Account:
    [found] = [
        c.account
        for c in providers.list_routes([WORKSPACE_A])[WORKSPACE_A]
        if c.account.id == account.id
    ]
    return found


def pass_all(account: SmtpAccount, worker_id: uuid.UUID) -> None:
    """As many messages of the canary as it takes have passed."""
    for _ in range(CANARY_MESSAGES):
        providers.report_canary(as_path(account), worker_id, fault=None)


def route(workspace_id: int = WORKSPACE_A) -> list[tuple[str, str]]:
    return [
        (c.account.name, "paused" if c.is_paused else c.state.value)
        for c in providers.list_routes([workspace_id])[workspace_id]
    ]


@pytest.mark.proves("I17")
def test_mail_goes_through_the_standby_while_the_first_choice_cannot_be_reached(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    primary = account("primary", port=free_ports(1)[0], active=True)
    standby = account("standby", priority=10)
    account("last", priority=20)
    made = [accept(subject=str(number)) for number in range(30)]
    with working(lease):
        wait_until(lambda: {reload(m).status for m in made} == {Status.SENT})

    assert {reload(m).smtp_account_name for m in made} == {"standby"}
    assert {reload(m).attempt_count for m in made} == {1}, "dialling in vain is no attempt"
    assert told(primary) == [EventType.BREAKER_OPENED, EventType.FAILED_OVER]
    assert told(standby) == []
    [event] = Event.select().where(Event.type == EventType.FAILED_OVER)
    assert event.data["to"] == "standby"
    [event] = Event.select().where(Event.type == EventType.BREAKER_OPENED)
    assert event.data["error_class"] == "connection"
    assert event.data["faults"] >= 5


@pytest.mark.proves("deliver-failover")
def test_it_goes_back_by_itself_after_a_trickle_has_passed(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    primary = account("primary", active=True)
    account("standby")
    add_faults(primary, 5)
    assert Breaker.get_by_id(primary.id).state is State.OPEN
    make_due(primary)
    made = [accept(subject=str(number)) for number in range(40)]
    with working(lease):
        wait_until(lambda: {reload(m).status for m in made} == {Status.SENT})
        # While mail trickles through the first choice, the standby takes the rest.
        while Breaker.get_by_id(primary.id).state is not State.CLOSED:
            one = accept()
            sending.wake()
            wait_until(lambda one=one: reload(one).status is Status.SENT)
    after = accept()
    assert route()[0] == ("primary", "closed")
    assert told(primary) == [
        EventType.BREAKER_OPENED,
        EventType.FAILED_OVER,
        EventType.BREAKER_HALF_OPENED,
        EventType.BREAKER_CLOSED,
        EventType.FAILED_BACK,
    ]
    assert reload(after).status is Status.QUEUED


def test_a_canary_that_fails_opens_the_breaker_for_longer(
    accept: Accept, lease: Lease, account: MakeAccount
) -> None:
    primary = account("primary", port=free_ports(1)[0], active=True)
    add_faults(primary, 5)
    make_due(primary)
    accept()
    with working(lease):
        wait_until(lambda: Breaker.get_by_id(primary.id).open_count == 2)
    breaker = Breaker.get_by_id(primary.id)
    assert breaker.state is State.OPEN
    assert (breaker.retry_at - breaker.opened_at).total_seconds() > 15
    assert told(primary)[-2:] == [EventType.BREAKER_HALF_OPENED, EventType.BREAKER_OPENED]


def test_one_worker_at_a_time_is_the_canary(database: None, account: MakeAccount) -> None:
    primary = account("primary", active=True)
    add_faults(primary, 5)
    first, second = uuid.uuid4(), uuid.uuid4()
    assert not providers.start_canary(as_path(primary), first), "its wait is not over"
    make_due(primary)
    assert providers.start_canary(as_path(primary), first)
    assert not providers.start_canary(as_path(primary), second)
    pass_all(primary, second)
    assert Breaker.get_by_id(primary.id).state is State.HALF_OPEN, "not its to end"
    make_due(primary)
    assert providers.start_canary(as_path(primary), second), "the first has not come back"
    pass_all(primary, second)
    assert Breaker.get_by_id(primary.id).state is State.CLOSED


@pytest.mark.proves("deliver-recipients-no-breaker")
def test_a_hundred_bad_recipients_open_nothing(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    primary = account("primary", active=True)
    account("standby")
    made = [accept(to_email=f"permfail+{n}@example.org") for n in range(100)]
    with working(lease):
        wait_until(lambda: {reload(m).status for m in made} == {Status.FAILED})
    assert {reload(m).smtp_account_name for m in made} == {"primary"}
    assert Breaker.get_or_none(Breaker.account_id == primary.id) is None
    assert told() == []
    assert sum(t.fault_count for t in AccountTally.select()) == 0


def test_throttling_slows_down_and_costs_no_attempts(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    primary = account("primary", active=True)
    made = [accept(to_email=f"busy-421+{n}@example.org") for n in range(6)]
    with working(lease):
        wait_until(lambda: EventType.BREAKER_OPENED in told(primary))
    assert EventType.SLOWED in told(primary)
    for message in made:
        after = reload(message)
        assert after.status is Status.QUEUED
        assert after.attempt_count == after.excused_count


def test_one_message_that_makes_the_server_hang_up_opens_nothing(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    """It is excused each time, and counts against the provider only once."""
    primary = account("primary", active=True)
    message = accept(to_email="drop-before-dot@example.org")

    def again(attempts: int) -> None:
        db.execute_sql(
            "UPDATE messages SET next_attempt_at = now() WHERE id = %s AND status = 'queued'",
            (message.id,),
        )
        sending.wake()
        wait_until(
            lambda: (
                reload(message).excused_count == attempts
                and reload(message).status is Status.QUEUED
            )
        )

    with working(lease):
        for attempts in range(1, 9):
            again(attempts)
    assert Breaker.get_by_id(primary.id).state is State.CLOSED
    assert sum(t.fault_count for t in AccountTally.select()) == 1


def test_a_few_messages_do_not_wait_for_a_breaker_to_take_the_standby(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    """The first choice has no time for anybody; two tries are enough for one message."""
    with BusyServer() as busy:
        account("primary", port=busy.port, active=True)
        account("standby")
        message = accept()
        with working(lease):
            wait_until(lambda: reload(message).status is Status.SENT)
    assert reload(message).smtp_account_name == "standby"
    assert [a.smtp_account_name for a in timeline.list_attempts(message)] == [
        "primary",
        "primary",
        "standby",
    ]


def test_contact_lost_after_the_dot_counts_against_the_provider(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    """It may have taken the message; the path failed all the same."""
    primary = account("primary", active=True)
    made = [accept(to_email=f"drop-after-dot+{n}@example.org") for n in range(6)]
    with working(lease):
        wait_until(lambda: EventType.BREAKER_OPENED in told(primary))
    assert {reload(m).status for m in made} <= {Status.UNKNOWN, Status.QUEUED}


def test_a_provider_that_takes_few_connections_is_not_blamed(
    accept: Accept, lease: Lease, account: MakeAccount
) -> None:
    """It refuses the third connection: it serves over two."""
    with BusyServer(connections=2) as server:
        primary = account("primary", port=server.port, active=True, max_connections=10)
        made = [accept(subject=str(n)) for n in range(40)]
        with working(lease):
            wait_until(lambda: {reload(m).status for m in made} == {Status.SENT})
    assert told(primary) == []
    # Where the first two take their time, a third is dialled before they stand, and counted.
    breaker = Breaker.get_or_none(Breaker.account_id == primary.id)
    assert breaker is None or breaker.state is State.CLOSED


def test_what_the_instances_account_says_of_one_workspace_is_not_told_to_another(
    accept: Accept, lease: Lease, inbox: Inbox
) -> None:
    for n in range(6):
        accept(to_email=f"busy-421+{n}@secret-customer.example")
    with working(lease):
        wait_until(lambda: EventType.BREAKER_OPENED in told())
    told_to_all = str([e.data for e in Event.select().where(Event.message.is_null())])
    assert "secret-customer" not in told_to_all
    assert "Service not available" not in told_to_all
    assert "421 4.3.2" in told_to_all
    health = account_health.list_all(WORKSPACE_B)[0]
    assert (health.try_count, health.fault_count) == (None, None)
    assert health.breaker.reason is not None
    assert "Service" not in health.breaker.reason


def test_a_small_account_is_served_while_a_large_one_uses_every_connection(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount, use_settings: UseSettings
) -> None:
    """The worker may hold four connections, and all of them wait for slow mail of another."""
    use_settings(worker_connections=4)
    account("slow", active=True, max_connections=50)
    for n in range(30):
        accept(to_email=f"slow+1-{n}@example.org")
    with working(lease):
        wait_until(lambda: Message.select().where(Message.status == Status.SENDING).count() >= 4)
        single = accept(workspace_id=WORKSPACE_B)
        sending.wake()
        wait_until(lambda: reload(single).status is Status.SENT)
        assert Message.select().where(Message.status == Status.SENT).count() < 31


class BusyServer:
    """An SMTP server that answers 421 to MAIL; or, given a number, serves so many connections at
    once and refuses any other.
    """

    def __init__(self, *, connections: int | None = None) -> None:
        self._limit = threading.Semaphore(connections or 0)
        self._refuses_mail = connections is None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "BusyServer":
        self._threads.append(threading.Thread(target=self._listen))
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            if self._refuses_mail:
                self._talk(connection, lines)
            elif self._limit.acquire(blocking=False):
                try:
                    self._talk(connection, lines)
                finally:
                    self._limit.release()
            else:
                connection.sendall(b"421 4.7.0 Too many connections\r\n")

    def _talk(self, connection: socket.socket, lines: BinaryIO) -> None:
        connection.sendall(b"220 here\r\n")
        is_content = False
        for line in lines:
            if is_content:
                is_content = line != b".\r\n"
                if is_content:
                    continue
                answer = b"250 ok"
            elif line.startswith(b"MAIL") and self._refuses_mail:
                connection.sendall(b"421 4.3.2 busy\r\n")
                return
            elif line == b"DATA\r\n":
                is_content, answer = True, b"354 go ahead"
            else:
                answer = b"250 ok"
            connection.sendall(answer + b"\r\n")


@pytest.mark.parametrize(
    ("faults", "good", "opens"),
    [(4, 0, False), (5, 0, True), (5, 5, True), (5, 6, False), (50, 51, False)],
)
def test_it_takes_five_faults_and_half_of_all_tries(
    faults: int, good: int, opens: bool, account: MakeAccount
) -> None:
    primary = account("primary", active=True)
    add_faults(primary, faults, good=good)
    is_open = Breaker.get_by_id(primary.id).state is State.OPEN
    assert is_open == opens


def test_faults_before_it_closed_do_not_open_it_again(account: MakeAccount) -> None:
    primary = account("primary", active=True)
    add_faults(primary, 9)
    make_due(primary)
    worker_id = uuid.uuid4()
    providers.start_canary(as_path(primary), worker_id)
    pass_all(primary, worker_id)
    add_faults(primary, 1)
    assert Breaker.get_by_id(primary.id).state is State.CLOSED


def test_two_workers_that_see_the_faults_tell_it_once(account: MakeAccount) -> None:
    primary = account("primary", active=True)
    add_faults(primary, 9)
    providers.judge([fault(primary)])
    assert told(primary).count(EventType.BREAKER_OPENED) == 1


def test_the_route_is_the_active_account_and_then_the_others_by_priority(
    account: MakeAccount,
) -> None:
    account("b", priority=5)
    account("c", priority=1)
    assert route() == [("default", "closed"), ("c", "closed"), ("b", "closed")]
    smtp_accounts.activate(WORKSPACE_A, name="b", by=SYSTEM)
    assert route() == [("b", "closed"), ("c", "closed")]
    assert route(WORKSPACE_B) == [("default", "closed")], "never another workspace's"


def test_without_fail_over_there_is_the_first_choice_only(
    accept: Accept, account: MakeAccount, use_settings: Callable[..., object]
) -> None:
    account("primary", active=True)
    account("standby")
    use_settings(auto_failover=dataclasses.replace(config.current().auto_failover, enabled=False))
    assert route() == [("primary", "closed")]


def test_a_paused_account_is_passed_over(
    accept: Accept, lease: Lease, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True)
    account("standby")
    smtp_accounts.pause(WORKSPACE_A, name="primary", reason="maintenance", by=SYSTEM)
    message = accept()
    with working(lease):
        wait_until(lambda: reload(message).status is Status.SENT)
    assert reload(message).smtp_account_name == "standby"


def test_the_trouble_of_the_environments_account_belongs_to_no_workspace(
    accept: Accept, lease: Lease, unreachable: int
) -> None:
    message = accept()
    with working(lease):
        wait_until(lambda: EventType.BREAKER_OPENED in told())
    [event] = Event.select().where(Event.type == EventType.BREAKER_OPENED)
    assert event.workspace_id is None
    assert event.data["smtp_account"] == "default"
    assert reload(message).attempt_count == 0


def test_old_counts_are_forgotten(account: MakeAccount) -> None:
    primary = account("primary", active=True)
    add_faults(primary, 1)
    db.execute_sql("UPDATE account_tallies SET slot_at = now() - interval '2 days'")
    add_faults(primary, 1)
    assert providers.prune_tallies() == 1


def test_connections_are_shared_by_the_workers(database: None, lease: Lease) -> None:
    other = Lease(uuid.uuid4(), lease.seconds)
    workers._insert(other.worker_id)
    for each in (lease, other):
        workers.renew(each)
    assert sorted([lease.share(5), other.share(5)]) == [2, 3]
    assert sorted([lease.share(1), other.share(1)]) == [0, 1]
