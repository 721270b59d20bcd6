"""The watch: what makes an incident and what does not, what is one, and how it ends."""

import uuid
from collections.abc import Callable

import pytest

from maild.db import database as pool
from maild.domain.actor import Actor
from maild.domain.incident import IncidentKind, IncidentStatus, Severity
from maild.models import Breaker, Incident, IncidentSignal, Message
from maild.services import (
    incident_signals,
    incident_watch,
    incidents,
    smtp_accounts,
)
from maild.services.smtp_account_fields import NewSmtpAccount
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A
from tests.services.helpers import ACCEPTED, LOST, NO_SUCH_USER, PATH_FAULT, says
from tests.services.troubling import (
    DOWN,
    entries,
    look,
    make_trouble,
    pass_time,
    unresolved,
)

Accept = Callable[..., Message]
BY = Actor("operator@maild.test")
BLOCKED = says("Your domain is not allowed to send here", code=550)


def make_account(name: str = "primary", *, is_active: bool = True) -> int:
    account = NewSmtpAccount(name, "smtp.example.com", 587, "shop@example.com")
    saved = smtp_accounts.save(WORKSPACE_A, account, by=BY)
    if is_active:
        smtp_accounts.activate(WORKSPACE_A, name=name, by=BY)
    return int(saved.id)


def set_breaker(account_id: int, state: str, error_class: str = "auth") -> None:
    Breaker.delete().execute()
    Breaker.insert(
        account_id=account_id, state=state, error_class=error_class, reason="535 go away"
    ).execute()


# What makes one


def test_a_few_troubles_page_nobody(accept: Accept, lease: Lease) -> None:
    make_trouble(accept, lease, 4)
    make_trouble(accept, lease, 9, BLOCKED, domains=["gmail.com"])
    make_trouble(accept, lease, 100, ACCEPTED)
    assert look() == []
    assert IncidentSignal.select().count() == 2


@pytest.mark.proves("explain-incident")
def test_what_some_servers_say_is_one_incident_with_its_figures(
    accept: Accept, lease: Lease
) -> None:
    make_trouble(accept, lease, 50, ACCEPTED)
    made = make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com", "googlemail.com"])
    [incident] = look()
    assert (incident.kind, incident.severity) == (IncidentKind.DELIVERY, Severity.MINOR)
    assert (incident.smtp_account, incident.recipient_domain) == ("primary", "google")
    assert (incident.message_count, incident.recipient_count) == (12, 12)
    assert "Gmail" in incident.title
    found = incidents.find_of_message(WORKSPACE_A, made[0].id)
    assert found is not None
    assert found.id == incident.id


def test_an_incident_is_kept_up_to_date_in_place(accept: Accept, lease: Lease) -> None:
    make_trouble(accept, lease, 50, ACCEPTED)
    make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com"])
    [first] = look()
    make_trouble(accept, lease, 5, BLOCKED, domains=["gmail.com"])  # to five of the same people
    [incident] = look()
    assert incident.id == first.id
    assert (incident.message_count, incident.recipient_count) == (17, 12)
    assert incident.last_seen_at > first.last_seen_at
    assert entries(incident) == ["opened"]


def test_recipients_that_do_not_exist_need_a_tenth_of_the_mail(
    accept: Accept, lease: Lease
) -> None:
    make_trouble(accept, lease, 250, ACCEPTED)
    make_trouble(accept, lease, 22, NO_SUCH_USER, domains=["gmail.com"])
    assert look() == []
    make_trouble(accept, lease, 20, NO_SUCH_USER, domains=["gmail.com"], first=22)
    [incident] = look()
    assert incident.kind is IncidentKind.DELIVERY


def test_what_is_usual_makes_none_and_three_times_that_does(accept: Accept, lease: Lease) -> None:
    make_trouble(accept, lease, 100, ACCEPTED)
    make_trouble(accept, lease, 9, BLOCKED, domains=["gmail.com"])
    look()
    signal = IncidentSignal.get()
    # Nine in each ten minutes of the day before.
    pool.execute_sql(
        "INSERT INTO incident_tallies SELECT %s, at, 9 FROM generate_series("
        "date_bin('10 minutes', now() - interval '23 hours', 'epoch'),"
        " now() - interval '15 minutes', '10 minutes') AS at",
        (signal.id,),
    )
    make_trouble(accept, lease, 9, BLOCKED, domains=["gmail.com"])
    assert look() == []
    make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com"])
    assert len(look()) == 1


def test_lost_contact_is_an_incident_of_its_own(accept: Accept, lease: Lease) -> None:
    make_trouble(accept, lease, 50, ACCEPTED)
    make_trouble(accept, lease, 5, LOST)
    [incident] = look()
    assert incident.kind is IncidentKind.UNKNOWN_OUTCOMES
    assert incident.severity is Severity.MAJOR


def test_many_reasons_of_one_class_are_not_many_incidents(accept: Accept, lease: Lease) -> None:
    domains = [f"{name}.example" for name in ("one", "two", "three", "four", "five", "six")]
    make_trouble(accept, lease, 400, ACCEPTED)
    for number, domain in enumerate(domains):
        words = "no " * (number + 1) + "mail from you " + domain.partition(".")[0]
        make_trouble(accept, lease, 12, says(words, code=550), domains=[domain])
    assert len(look()) == 3


# One account, one incident


@pytest.mark.proves("explain-incident")
def test_all_that_ails_an_account_is_one_incident(accept: Accept, lease: Lease) -> None:
    account_id = make_account()
    make_account("standby", is_active=False)
    make_trouble(accept, lease, 30, ACCEPTED)
    make_trouble(accept, lease, 15, DOWN)  # 451 to everybody
    [incident] = look()
    assert incident.kind is IncidentKind.PROVIDER
    assert (incident.smtp_account, incident.recipient_domain) == ("primary", None)
    assert incident.severity is Severity.MAJOR
    make_trouble(accept, lease, 2, PATH_FAULT)
    set_breaker(account_id, "open")
    [same] = look()
    assert same.id == incident.id
    assert entries(same) == ["opened", "signal_joined", "signal_joined"]
    assert same.message_count == 17
    # Recipients that do not exist are another matter.
    make_trouble(accept, lease, 25, NO_SUCH_USER, domains=["gmail.com"])
    kinds = {one.kind for one in look()}
    assert kinds == {IncidentKind.PROVIDER, IncidentKind.DELIVERY}


def test_where_all_mail_goes_to_one_domain_it_is_the_accounts_too(
    accept: Accept, lease: Lease
) -> None:
    make_trouble(accept, lease, 12, DOWN, domains=["corp.example"])
    [incident] = look()
    assert incident.kind is IncidentKind.PROVIDER


def test_an_incident_of_some_recipients_becomes_the_accounts_when_all_are_told(
    accept: Accept, lease: Lease
) -> None:
    make_trouble(accept, lease, 30, ACCEPTED)
    make_trouble(accept, lease, 12, DOWN, domains=["gmail.com"])
    [incident] = look()
    assert incident.kind is IncidentKind.DELIVERY
    make_trouble(accept, lease, 6, DOWN, domains=["hotmail.com", "yahoo.com"])
    [same] = look()
    assert (same.id, same.kind, same.recipient_domain) == (
        incident.id,
        IncidentKind.PROVIDER,
        None,
    )
    assert same.message_count == 18


def test_a_breaker_that_opens_is_an_incident_at_once(database: None) -> None:
    account_id = make_account()
    assert look() == []
    set_breaker(account_id, "open")
    [incident] = look()
    assert incident.title == "“primary” went out of use: it does not accept our sign-in"
    assert incident.severity is Severity.CRITICAL  # nothing else can carry the mail


def test_the_environments_breaker_concerns_who_sends_through_it(accept: Accept) -> None:
    set_breaker(0, "open")
    assert look() == []
    accept()
    [incident] = look()
    assert incident.smtp_account == "default"


def test_no_way_left_makes_it_critical_unless_a_person_said_otherwise(
    accept: Accept, lease: Lease
) -> None:
    first, second = make_account(), make_account("standby", is_active=False)
    set_breaker(first, "open")
    [incident] = look()
    assert incident.severity is Severity.MAJOR
    Breaker.insert(account_id=second, state="open").execute()
    worse = look()[0]
    assert worse.severity is Severity.CRITICAL
    assert "escalated" in entries(worse)
    incidents.set_severity(WORKSPACE_A, worse.id, severity=Severity.MINOR, by=BY)
    assert look()[0].severity is Severity.MINOR


# How it ends, and comes back


def test_it_closes_itself_when_all_is_quiet(accept: Accept, lease: Lease) -> None:
    make_trouble(accept, lease, 12, DOWN)
    [incident] = look()
    pass_time(10)
    assert look() != []  # what was put off has got nowhere yet
    pass_time(6)
    assert look() == []
    closed = incidents.get(WORKSPACE_A, incident.id)
    assert closed.resolved_by == "maild"
    assert "quiet for 15 minutes" in (closed.cause or "")


def test_it_closes_sooner_when_its_messages_are_well(accept: Accept, lease: Lease) -> None:
    make_trouble(accept, lease, 12, DOWN)
    [incident] = look()
    pool.execute_sql(
        "UPDATE messages SET status = 'sending', worker_id = %s, next_attempt_at = NULL;"
        " UPDATE messages SET status = 'sent', worker_id = NULL, error_class = NULL",
        (uuid.UUID(int=1),),
    )
    pass_time(1)
    assert look() != []
    pass_time(1.5)
    assert look() == []
    assert incidents.get(WORKSPACE_A, incident.id).cause == incident_watch.ALL_WELL


def test_it_stays_while_a_breaker_is_not_closed(database: None) -> None:
    account_id = make_account()
    set_breaker(account_id, "open")
    look()
    pass_time(60)
    assert len(look()) == 1
    set_breaker(account_id, "closed")
    look()
    assert len(unresolved()) == 1
    pass_time(3)
    assert look() == []


def test_a_return_reopens_it(accept: Accept, lease: Lease) -> None:
    make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com"])
    make_trouble(accept, lease, 12, ACCEPTED)
    [incident] = look()
    incidents.resolve(WORKSPACE_A, incident.id, cause="They had blocked us.", by=BY)
    make_trouble(accept, lease, 3, BLOCKED, domains=["gmail.com"])
    assert look() == []  # stragglers
    make_trouble(accept, lease, 9, BLOCKED, domains=["gmail.com"])
    [back] = look()
    assert (back.id, back.reopen_count) == (incident.id, 1)
    assert entries(back) == ["opened", "resolved", "reopened"]
    assert back.message_count == 24


def test_what_comes_back_to_all_mail_is_the_accounts(accept: Accept, lease: Lease) -> None:
    make_trouble(accept, lease, 50, ACCEPTED)
    make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com"])
    [first] = look()
    assert first.kind is IncidentKind.DELIVERY
    incidents.resolve(WORKSPACE_A, first.id, cause="They had blocked us.", by=BY)
    make_trouble(accept, lease, 300, BLOCKED, domains=["gmail.com"])
    [back] = look()
    assert (back.id, back.kind, back.recipient_domain) == (first.id, IncidentKind.PROVIDER, None)
    assert "primary" in back.title


def test_long_after_it_is_another_one(accept: Accept, lease: Lease) -> None:
    make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com"])
    make_trouble(accept, lease, 12, ACCEPTED)
    [incident] = look()
    incidents.resolve(WORKSPACE_A, incident.id, cause="They had blocked us.", by=BY)
    pass_time(8 * 24 * 60)
    make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com"])
    [other] = look()
    assert other.id != incident.id
    assert other.message_count == 12


def test_a_person_who_resolves_it_is_not_contradicted_while_nothing_changes(
    database: None,
) -> None:
    account_id = make_account()
    set_breaker(account_id, "open")
    [incident] = look()
    incidents.resolve(WORKSPACE_A, incident.id, cause="We know.", by=BY)
    assert look() == []
    set_breaker(account_id, "closed")
    look()
    set_breaker(account_id, "open")
    assert [one.id for one in look()] == [incident.id]


def test_what_comes_of_a_merged_one_belongs_to_the_other(accept: Accept, lease: Lease) -> None:
    make_trouble(accept, lease, 60, ACCEPTED)
    make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com"])
    make_trouble(
        accept,
        lease,
        12,
        says("We do not take mail from you, by policy", code=550),
        domains=["yahoo.com"],
    )
    one, two = look()
    incidents.merge(WORKSPACE_A, two.id, into_id=one.id, by=BY)
    make_trouble(
        accept,
        lease,
        6,
        says("We do not take mail from you, by policy", code=550),
        domains=["yahoo.com"],
    )
    [left] = look()
    assert (left.id, left.message_count) == (one.id, 30)


# States that others look after


def test_a_state_is_raised_cleared_and_raised_again(database: None) -> None:
    def raise_it(severity: Severity = Severity.MINOR) -> Incident | None:
        return incident_signals.raise_state(
            WORKSPACE_A,
            kind=IncidentKind.DOMAIN,
            key="spf shop.example",
            title="The SPF record of shop.example is gone",
            severity=severity,
            detail={"was": "v=spf1 -all"},
        )

    first = raise_it()
    assert first is not None
    worse = raise_it(Severity.MAJOR)
    assert worse is not None
    assert (worse.id, worse.severity) == (first.id, Severity.MAJOR)
    other = incident_signals.raise_state(
        WORKSPACE_A,
        kind=IncidentKind.DOMAIN,
        key="spf shop.example",
        title="The SPF record of shop.example is wrong",
        severity=Severity.MAJOR,
        detail={},
    )
    assert other is not None
    assert (other.id, other.title) == (first.id, "The SPF record of shop.example is wrong")
    pass_time(60)
    assert len(look()) == 1  # the watch leaves it alone
    incident_signals.clear_state(WORKSPACE_A, kind=IncidentKind.DOMAIN, key="spf shop.example")
    pass_time(3)
    assert look() == []
    back = raise_it()
    assert back is not None
    assert (back.id, back.status) == (first.id, IncidentStatus.OPEN)


def test_missing_messages_and_silent_providers_are_incidents(accept: Accept) -> None:
    pool.execute_sql(
        "INSERT INTO conservation_checks (workspace_id, accepted_count, by_status, difference,"
        " broken_since, checked_at) VALUES (%s, 2, '{}', 1, now(), now())",
        (WORKSPACE_A,),
    )
    pool.execute_sql(
        "INSERT INTO webhook_endpoints (workspace_id, provider, smtp_account_name, token_hash,"
        " created_by, silent_since) VALUES (%s, 'ses', 'primary', %s, 'x', now())",
        (WORKSPACE_A, b"h" * 32),
    )
    found = {one.kind: one for one in look()}
    assert set(found) == {IncidentKind.CONSERVATION, IncidentKind.SILENT_PROVIDER}
    assert found[IncidentKind.CONSERVATION].severity is Severity.CRITICAL
