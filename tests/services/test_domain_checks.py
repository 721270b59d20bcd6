"""Sending domains against a real DNS server: what is found, what drifts, what is only silent."""

import dataclasses
import threading
from datetime import timedelta

import pytest

from maild import clock, config
from maild.domain import dkim
from maild.domain.actor import SYSTEM, Actor
from maild.domain.dkim import Algorithm
from maild.domain.dns_finding import CheckName
from maild.domain.domain_report import Subject
from maild.domain.incident import IncidentKind, IncidentStatus, Severity
from maild.errors import Conflict, InvalidFields, NotFound, RateLimited, Unavailable
from maild.models import AuditEntry, Domain, Incident, IncidentSignal
from maild.services import dkim_keys, domain_check_loop, domain_checks, domain_rules, domains
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.dns_zones import KEY, publish

NAME = "shop.example"
ADMIN = Actor("ann@example.com")

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def zone(dns_server, use_settings):
    """A DNS server in which NAME has all that it should have."""
    use_settings(dns_resolvers=(dns_server.addr,), dns_timeout_seconds=1)
    publish(dns_server, NAME)
    return dns_server


def add(**fields):
    row = domains.add(WORKSPACE_A, NAME, by=ADMIN, **{"dkim_selector": "s1", **fields})
    return check(row)


def check(row):
    Domain.update(due_at=clock.now()).where(Domain.id == row.id).execute()
    assert domain_check_loop.drain() == 1
    return domains.get(row.workspace_id, row.id)


def check_twice(row):
    """What has drifted is told after two looks running."""
    return check(check(row))


def states(row):
    return {name: one["state"] for name, one in row.results.items()}


def incident():
    return Incident.select().order_by(Incident.id.desc()).first()


def told():
    """What the newest signal says of each check."""
    return IncidentSignal.select().order_by(IncidentSignal.id.desc()).first().detail["checks"]


def is_active():
    return IncidentSignal.select().where(IncidentSignal.is_active).count()


def test_it_finds_a_domain_ready(zone):
    row = add()
    assert states(row) == {"spf": "ok", "dkim": "ok", "dmarc": "ok", "mx": "ok"}
    assert row.is_ready
    assert row.due_at > clock.now() + timedelta(hours=20), "it is looked at daily"
    assert domain_check_loop.drain() == 0


def test_it_says_what_to_paste_for_what_is_missing(zone):
    zone.remove(f"_dmarc.{NAME}")
    row = add()
    assert row.is_ready is False
    assert row.results["dmarc"]["state"] == "bad"
    [paste] = row.results["dmarc"]["paste"]
    assert (paste["name"], paste["type"]) == (f"_dmarc.{NAME}", "TXT")
    assert paste["value"].startswith("v=DMARC1; p=none")
    assert Incident.select().count() == 0, "what never was in order has not drifted"


def test_it_opens_an_incident_of_drift_and_closes_it(zone):
    row = add()
    zone.txt(f"s1._domainkey.{NAME}", "v=DKIM1; p=")
    row = check_twice(row)
    assert row.drift["dkim"]["was"] == [KEY]
    opened = incident()
    assert (opened.kind, opened.severity) == (IncidentKind.DOMAIN, Severity.MAJOR)
    assert NAME in opened.title
    check(row)
    assert Incident.select().count() == 1, "it is the same one for as long as it lasts"
    assert is_active() == 1
    zone.txt(f"s1._domainkey.{NAME}", KEY)
    row = check(row)
    assert row.drift == {}
    assert is_active() == 0


def test_one_wrong_answer_opens_no_incident_and_is_looked_at_again_soon(zone):
    row = add()
    zone.remove(f"_dmarc.{NAME}")
    row = check(row)
    assert row.drift["dmarc"]["is_confirmed"] is False
    assert Incident.select().count() == 0
    assert row.due_at < clock.now() + timedelta(minutes=12)
    since = row.drift["dmarc"]["since"]
    zone.fail(f"_dmarc.{NAME}")  # a silence between the two is no second look
    row = check(row)
    assert Incident.select().count() == 0
    zone.remove(f"_dmarc.{NAME}")
    publish(zone, NAME)
    row = check(row)
    assert (row.drift, Incident.select().count()) == ({}, 0)
    zone.remove(f"_dmarc.{NAME}")
    row = check_twice(row)
    assert row.drift["dmarc"]["since"] > since
    assert is_active() == 1
    assert row.due_at > clock.now() + timedelta(minutes=45), "it is told: there is no hurry"


def test_what_drifts_later_joins_the_incident_after_a_second_look(zone):
    row = add()
    zone.remove(f"s1._domainkey.{NAME}")
    row = check_twice(row)
    zone.remove(f"_dmarc.{NAME}")
    row = check(row)
    assert [one["check"] for one in told()] == ["dkim"]
    check(row)
    assert [one["check"] for one in told()] == ["dkim", "dmarc"]


def test_a_weaker_record_that_changed_is_drift(zone):
    row = add()
    zone.txt(NAME, "v=spf1 include:other.example ?all")
    zone.txt("other.example", "v=spf1 -all")
    row = check_twice(row)
    assert row.results["spf"]["state"] == "warn"
    assert set(row.drift) == {"spf"}
    assert incident().severity is Severity.MINOR


def test_silence_is_unknown_and_no_drift_until_it_has_lasted(zone):
    row = add()
    zone.fail(f"s1._domainkey.{NAME}")
    row = check(row)
    assert row.results["dkim"]["state"] == "unknown"
    assert row.is_ready, "as the last check found that could tell"
    assert row.drift == {}
    assert Incident.select().count() == 0
    assert row.due_at < clock.now() + timedelta(hours=1), "it is looked at again soon"
    Domain.update(unknown_since_at=clock.now() - timedelta(hours=25)).execute()
    row = check(row)
    assert incident().status is IncidentStatus.OPEN
    zone.remove(f"s1._domainkey.{NAME}")
    zone.txt(f"s1._domainkey.{NAME}", KEY)
    row = check(row)
    assert row.unknown_since_at is None
    assert is_active() == 0


def test_a_server_that_never_answers_is_waited_for_once(zone):
    zone.silence(f"s1._domainkey.{NAME}")
    started = clock.now()
    row = add()
    assert "in time" in row.results["dkim"]["summary"]
    assert clock.now() - started < timedelta(seconds=8)


def test_accepting_what_is_there_ends_the_drift(zone):
    row = add()
    zone.txt(NAME, "v=spf1 ?all")
    row = check_twice(row)
    assert row.drift
    row = domains.accept(WORKSPACE_A, row.id, by=ADMIN)
    assert is_active() == 0
    row = check(row)
    assert row.drift == {}
    assert row.good["spf"]["records"] == ["v=spf1 ?all"]


def test_mail_that_maild_signs_in_the_name_of_the_domain_above_is_signed(zone):
    [key] = dkim_keys.prepare(WORKSPACE_A, NAME, algorithms=[Algorithm.ED25519], by=ADMIN)
    dkim_keys.activate(WORKSPACE_A, key.id, insist=True, by=ADMIN)
    below = f"news.{NAME}"
    row = check(domains.add(WORKSPACE_A, below, by=ADMIN))
    assert row.results["dkim"]["state"] == "bad"
    value = dkim.record_value(key.algorithm, key.public_key)
    zone.txt(dkim.record_name(key.selector, NAME), value)
    row = check(row)
    assert row.results["dkim"]["state"] == "ok"
    assert row.results["dkim"]["name"] == dkim.record_name(key.selector, NAME)
    assert "adkim=s" in row.results["dkim"]["meaning"][0]


def test_another_selector_ends_the_drift_of_the_one_before(zone):
    row = add()
    zone.txt(f"s1._domainkey.{NAME}", "v=DKIM1; p=")
    row = check_twice(row)
    assert is_active() == 1
    zone.txt(f"s2._domainkey.{NAME}", KEY)
    row = domains.select_key(WORKSPACE_A, row.id, dkim_selector="s2", by=ADMIN)
    row = check(row)
    assert (row.is_ready, row.drift) == (True, {})
    assert is_active() == 0


def test_one_workspace_does_not_keep_all_others_from_asking(zone):
    zone.silence("silent.example")
    silent = Subject("silent.example", "s1")
    ends, ready = [], threading.Barrier(domain_checks.SHARE_MAX + 1)

    def wait():
        ready.wait()
        ends.append(domain_checks.inspect(WORKSPACE_A, silent))

    threads = [threading.Thread(target=wait) for _ in range(domain_checks.SHARE_MAX)]
    for thread in threads:
        thread.start()
    ready.wait()
    while domain_checks._waiting[WORKSPACE_A] < domain_checks.SHARE_MAX:
        pass
    with pytest.raises(RateLimited, match="being checked at the moment"):
        domain_checks.inspect(WORKSPACE_A, silent)
    assert domain_checks.inspect(WORKSPACE_B, Subject(NAME, "s1")).is_ready
    for thread in threads:
        thread.join()
    assert len(ends) == domain_checks.SHARE_MAX
    assert not domain_checks._waiting


def test_a_domain_that_stays_silent_is_looked_at_less_often(zone):
    zone.fail(f"s1._domainkey.{NAME}")
    row = add()
    assert row.due_at < clock.now() + timedelta(minutes=20)
    Domain.update(unknown_since_at=clock.now() - timedelta(hours=4)).execute()
    assert check(row).due_at > clock.now() + timedelta(minutes=45)


def test_a_removed_domain_leaves_no_incident_behind(zone):
    row = add()
    zone.remove(NAME)
    check_twice(row)
    assert is_active() == 1
    domains.remove(WORKSPACE_A, row.id, by=ADMIN)
    assert is_active() == 0
    with pytest.raises(NotFound):
        domains.get(WORKSPACE_A, row.id)
    actions = [one.action for one in AuditEntry.select().order_by(AuditEntry.seq)]
    assert actions == ["domain.added", "domain.removed"]


def test_what_was_found_for_another_selector_is_dropped(zone):
    row = add()
    domains.ask_again(WORKSPACE_A, row.id)
    [claimed] = domain_checks.claim(8)
    report = domain_checks.inspect(WORKSPACE_A, claimed.subject)
    domains.select_key(WORKSPACE_A, row.id, dkim_selector="s2", by=ADMIN)
    domain_checks.save(claimed, report)
    row = domains.get(WORKSPACE_A, row.id)
    assert row.due_at <= clock.now(), "it waits for its own check"
    assert states(check(row))["dkim"] == "bad"


def test_without_a_selector_those_of_the_provider_are_tried(zone, use_settings):
    subject = domain_checks.prepare(WORKSPACE_A, NAME, dkim_selector=None)
    assert domain_checks.inspect(WORKSPACE_A, subject).find(CheckName.DKIM).state.value == "bad"


def test_history_has_one_row_for_as_long_as_nothing_changes(zone):
    row = add()
    check(row)
    zone.txt(f"_dmarc.{NAME}", "v=DMARC1; p=reject; rua=mailto:d@shop.example")
    row = check(row)
    newest, first = domains.list_history(row)
    assert first.last_checked_at > first.checked_at
    assert newest.records["dmarc"] != first.records["dmarc"]


def test_it_suggests_domains_that_mail_comes_from(accept):
    accept(from_email="a@shop.example")
    accept(from_email="b@shop.example")
    accept(from_email="c@other.example")
    domains.add(WORKSPACE_A, "other.example", by=ADMIN)
    assert domains.suggest(WORKSPACE_A) == [("shop.example", 2)]
    assert domains.suggest(WORKSPACE_B) == []


@pytest.mark.parametrize(
    ("name", "selector", "field"),
    [
        ("localhost", None, "domain"),
        ("a@example.org", None, "domain"),
        ("x" * 300 + ".org", None, "domain"),
        ("exa mple.org", None, "domain"),
        ("example.org\r\nX: y", None, "domain"),
        ("example..org", None, "domain"),
        ("", None, "domain"),
        ("example.org", "a b", "dkim_selector"),
        ("example.org", "x" * 64, "dkim_selector"),
        ("example.org", "-", "dkim_selector"),
    ],
)
def test_bad_names_are_told(name, selector, field):
    with pytest.raises(InvalidFields) as caught:
        domains.add(WORKSPACE_A, name, dkim_selector=selector, by=ADMIN)
    assert [one.field for one in caught.value.errors] == [field]


def test_names_are_kept_in_one_form_and_once():
    row = domains.add(WORKSPACE_A, " XN--BCHER-KVA.Example. ", by=ADMIN)
    assert row.name == "bücher.example"
    with pytest.raises(Conflict):
        domains.add(WORKSPACE_A, "Bücher.example", by=ADMIN)
    assert domains.find(WORKSPACE_A, "bücher.EXAMPLE").id == row.id
    with pytest.raises(NotFound):
        domains.find(WORKSPACE_B, "bücher.example")
    with pytest.raises(NotFound):
        domains.select_key(WORKSPACE_B, row.id, dkim_selector="x", by=SYSTEM)
    subject = domain_checks.prepare(WORKSPACE_A, "bücher.example", dkim_selector=None)
    assert subject.name == "xn--bcher-kva.example"


def test_nobody_floods_the_dns():
    for _ in range(domain_checks.PER_MINUTE_MAX):
        domain_checks.count_call(WORKSPACE_A)
    with pytest.raises(RateLimited) as caught:
        domain_checks.count_call(WORKSPACE_A)
    assert 1 <= caught.value.retry_after_seconds <= 60
    domain_checks.count_call(WORKSPACE_B)


def test_the_same_selector_again_changes_nothing_but_has_it_checked(zone):
    row = add()
    same = domains.select_key(WORKSPACE_A, row.id, dkim_selector="s1", by=ADMIN)
    assert same.good == row.good
    assert same.due_at <= clock.now()
    assert [entry.action for entry in AuditEntry.select()] == ["domain.added"]


def test_a_workspace_has_so_many_domains_at_most(monkeypatch):
    monkeypatch.setattr(domains, "DOMAINS_MAX", 1)
    domains.add(WORKSPACE_A, "a.example", by=ADMIN)
    with pytest.raises(Conflict, match="1 domains already"):
        domains.add(WORKSPACE_A, "b.example", by=ADMIN)
    assert domains.add(WORKSPACE_B, "b.example", by=ADMIN)


def test_calls_of_a_minute_ago_are_forgotten(monkeypatch):
    now = 1_000.0
    monkeypatch.setattr(domain_checks.time, "monotonic", lambda: now)
    for _ in range(domain_checks.PER_MINUTE_MAX):
        domain_checks.count_call(WORKSPACE_A)
        now += 1.0
    domain_checks.count_call(WORKSPACE_B)
    now = 1_060.5
    domain_checks.count_call(WORKSPACE_A)  # the first of them was a minute ago
    now = 1_000.0 + domain_checks.PER_MINUTE_MAX
    with pytest.raises(RateLimited):
        domain_checks.count_call(WORKSPACE_A)
    now += 3_600.0
    domain_checks.count_call(WORKSPACE_A)
    assert list(domain_checks._recent) == [WORKSPACE_A]


def test_while_too_many_are_checked_whoever_waits_is_sent_away(monkeypatch):
    monkeypatch.setattr(domain_checks, "_turns", threading.Semaphore(0))
    subject = domain_checks.prepare(WORKSPACE_A, NAME, dkim_selector=None)
    with pytest.raises(Unavailable, match="at the moment"):
        domain_checks.inspect(WORKSPACE_A, subject)


def test_a_check_of_a_domain_that_is_not_there_is_not_begun():
    row = domains.add(WORKSPACE_A, NAME, by=ADMIN)
    domains.remove(WORKSPACE_A, row.id, by=ADMIN)
    with pytest.raises(NotFound):
        domain_checks.take(WORKSPACE_A, NAME)


def test_the_active_account_is_the_way_and_none_stands_before_it(account):
    account("spare")
    names = lambda: [route.name for route in domain_checks._routes(WORKSPACE_A)]  # noqa: E731
    assert names() == ["default", "spare"]
    account("main", active=True)
    assert names() == ["main", "spare"]


def test_a_mistake_of_our_own_is_heard_and_loses_no_domain(monkeypatch):
    row = domains.add(WORKSPACE_A, NAME, by=ADMIN)

    async def stumble(one):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(domain_checks, "carry_out", stumble)
        with pytest.raises(ZeroDivisionError):
            domain_check_loop.drain()
    assert domains.get(WORKSPACE_A, row.id).checked_at is None
    assert domain_check_loop.drain(lambda: True) == 0, "whoever is to stop begins nothing"


@pytest.mark.parametrize(
    ("security", "is_active", "said"),
    [
        ("none", False, "“default” may send in the clear"),
        ("auto", False, "“default” may send in the clear"),
        ("starttls", False, "insists on it"),
        ("none", True, "“main” may send in the clear"),
    ],
)
def test_mail_in_the_clear_is_named_by_the_account_that_carries_it(
    account, use_settings, security, is_active, said
):
    use_settings(smtp=dataclasses.replace(config.current().smtp, security=security))
    if is_active:
        account("main", active=True)
    row = domains.add(WORKSPACE_A, NAME, by=ADMIN)
    rules = domain_rules.list_rules(row)
    [told] = [rule.text for rule in rules if rule.title.startswith("TLS")]
    assert said in told
    assert ("“default”" in told) is (security in {"none", "auto"} and not is_active)
