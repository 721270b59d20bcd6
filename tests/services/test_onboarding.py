"""How far a workspace is on its way."""

import dataclasses
import functools

import pytest

from maild import clock, config
from maild.domain.actor import SYSTEM, Actor
from maild.domain.role import Role
from maild.domain.states import Status
from maild.errors import NotFound
from maild.models import ApiKey, Domain, Invitation, Message, ProviderEvent
from maild.services import (
    api_keys,
    onboarding,
    onboarding_facts,
    policies,
    policy_reviews,
    smtp_accounts,
)
from maild.services.api_keys import NewApiKey
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.helpers import ago
from tests.services.reporting import about, report

pytestmark = pytest.mark.usefixtures("database")

EXTRAS = ["api_key_created", "colleague_invited", "provider_failover_ready"]


def extras(workspace_id=WORKSPACE_A):
    return onboarding.list_extras(onboarding_facts.find(workspace_id))


def done(workspace_id=WORKSPACE_A):
    """What the API lists, and what is good to have."""
    steps = [*onboarding.find_checklist(workspace_id).steps, *extras(workspace_id)]
    return {step.id for step in steps if step.is_done}


def make_key(role=Role.SENDER, **fields):
    row, _ = api_keys.create(WORKSPACE_A, NewApiKey(name="app", role=role, **fields), by=SYSTEM)
    return row


def save(name, *, workspace_id=WORKSPACE_A):
    new = NewSmtpAccount(name=name, host="127.0.0.1", port=2525, from_email="shop@example.com")
    smtp_accounts.save(workspace_id, new, by=SYSTEM)


def check_domain(name="a.example", *, workspace_id=WORKSPACE_A, checked_at=None, is_ready=True):
    Domain.create(
        workspace=workspace_id,
        name=name,
        created_by="ann@a.example",
        checked_at=checked_at or clock.now(),
        is_ready=is_ready,
        results={},
        good={},
        drift={},
    )


def items(workspace_id=WORKSPACE_A):
    return {step.id: step for step in onboarding.find_checklist(workspace_id).steps}


def invite(**fields):
    values = {
        "workspace": WORKSPACE_A,
        "email": "cleo@example.org",
        "role": Role.VIEWER,
        "token_hash": b"x" * 32,
        "created_by": "ann@a.example",
        "expires_at": ago(days=-7),
    }
    Invitation.create(**{**values, **fields})


def test_a_new_workspace_has_all_of_it_before_it(make_person):
    make_person("ann@a.example")
    assert tuple(items()) == onboarding.CHECKLIST
    assert [step.id for step in extras()] == EXTRAS
    assert done() == set()


@pytest.mark.parametrize("role", [Role.SENDER, Role.OPERATOR, Role.ADMIN])
def test_a_key_that_may_send_is_a_step(role):
    make_key(role)
    assert done() == {"api_key_created"}


def test_a_key_that_may_not_or_does_not_work_any_more_is_none():
    make_key(Role.VIEWER)
    ApiKey.update(expires_at=ago(seconds=1)).where(ApiKey.id == make_key().id).execute()
    api_keys.revoke(WORKSPACE_A, key_id=make_key().id, by=SYSTEM)
    assert done() == set()


def test_an_account_is_saved_and_then_active():
    save("main")
    assert done() == {"smtp_account_configured"}
    smtp_accounts.activate(WORKSPACE_A, name="main", by=SYSTEM)
    assert done() == {"smtp_account_configured", "active_smtp_provider_selected"}
    save("second")
    assert "provider_failover_ready" in done()
    smtp_accounts.pause(WORKSPACE_A, name="second", reason="moving", by=SYSTEM)
    assert "provider_failover_ready" not in done()


def test_fail_over_is_nothing_to_have_where_it_is_off(use_settings):
    rules = dataclasses.replace(config.current().auto_failover, enabled=False)
    use_settings(auto_failover=rules)
    assert [step.id for step in extras()] == EXTRAS[:2]


@pytest.mark.parametrize("status", list(Status))
def test_a_message_counts_once_a_provider_has_taken_it(accept, status):
    held = {"hold_reason": "x"} if status is Status.HELD else {}
    if status is Status.SENDING:
        held["worker_id"] = "00000000-0000-0000-0000-000000000001"
    message = accept()
    Message.delete().where(Message.id == message.id).execute()
    values = {**message.__data__, "status": status, **held}
    if status is not Status.QUEUED:
        values["next_attempt_at"] = None
    Message.insert(**values).execute()
    taken = {Status.SENT, Status.DELIVERED, Status.COMPLAINED}
    assert ("message_flow_verified" in done()) == (status in taken)


def test_reports_count_once_one_was_applied(sent):
    report(b"{}")
    assert ProviderEvent.get().status == "dead_letter"
    assert "webhook_flow_verified" not in done()
    report(about(sent(), "delivered"))
    assert "webhook_flow_verified" in done()


def test_a_policy_of_its_own_is_a_step():
    policies.save(WORKSPACE_A, changes={"soft_bounce_threshold": 4}, by=SYSTEM)
    assert done() == {"workspace_policy_reviewed"}


def test_the_policy_that_holds_is_reviewed_and_a_later_one_was_saved_by_somebody():
    policy_reviews.mark(WORKSPACE_A, version=0, by=Actor("ann@a.example"))
    item = items()["workspace_policy_reviewed"]
    assert item.is_done
    assert (item.evidence["version"], item.evidence["by"]) == (0, "ann@a.example")
    policies.save(WORKSPACE_A, changes={"soft_bounce_threshold": 4}, by=Actor("olaf@a.example"))
    item = items()["workspace_policy_reviewed"]
    assert (item.evidence["version"], item.evidence["by"]) == (1, "olaf@a.example")
    assert "Version 1 was saved by olaf@a.example" in item.evidence["summary"]


def test_a_domain_counts_once_it_was_checked_whatever_came_of_it():
    assert not items()["domain_readiness_checked"].is_done
    check_domain(is_ready=False)
    item = items()["domain_readiness_checked"]
    assert (item.is_done, item.evidence["domain"]) == (True, "a.example")
    assert "is not ready yet; checked" in item.evidence["summary"]
    assert "/ui/domains" in item.action
    results = {"spf": {"state": "ok"}, "dkim": {"state": "bad"}, "dmarc": {"state": "bad"}}
    Domain.update(results=results).execute()
    evidence = items()["domain_readiness_checked"].evidence
    assert evidence["lacking"] == ["dkim", "dmarc"]
    assert "is not ready yet: DKIM and DMARC are not in order; checked" in evidence["summary"]


def test_the_checklist_has_its_seven_items_with_evidence(sent, make_person):
    before = items()
    assert tuple(before) == onboarding.CHECKLIST
    assert all(not item.is_done and item.action for item in before.values())
    assert all(item.evidence["summary"] for item in before.values())
    save("main")
    save("second")
    smtp_accounts.activate(WORKSPACE_A, name="second", by=SYSTEM)
    message = sent()
    report(about(message, "delivered"))
    found = items()
    assert found["smtp_account_configured"].evidence == {
        "summary": "2 SMTP accounts saved: second, main.",
        "account_count": 2,
        "accounts": ["second", "main"],
    }
    assert found["active_smtp_provider_selected"].evidence["smtp_account"] == "second"
    assert found["provider_failover_ready"].evidence["usable_account_count"] == 2
    evidence = found["message_flow_verified"].evidence
    assert (evidence["message_id"], evidence["status"]) == (str(message.id), "delivered")
    evidence = found["webhook_flow_verified"].evidence
    assert (evidence["message_id"], evidence["event_type"]) == (str(message.id), "delivered")
    assert [item.id for item in found.values() if not item.is_done] == [
        "workspace_policy_reviewed",
        "domain_readiness_checked",
    ]


def test_the_checklist_has_fail_over_also_where_it_is_off(use_settings):
    rules = dataclasses.replace(config.current().auto_failover, enabled=False)
    use_settings(auto_failover=rules)
    save("main")
    save("second")
    item = items()["provider_failover_ready"]
    assert (item.is_done, item.evidence["is_failover_enabled"]) == (False, False)
    assert "AUTO_FAILOVER_ENABLED" in item.action


def test_there_is_no_checklist_of_no_workspace():
    with pytest.raises(NotFound):
        onboarding.find_checklist(999)


def test_a_colleague_is_one_who_is_invited_or_there(make_person):
    make_person("ann@a.example")
    assert done() == set()
    invite()
    assert done() == {"colleague_invited"}
    Invitation.update(revoked_at=clock.now()).execute()
    assert done() == set()
    make_person("olaf@a.example", Role.OPERATOR)
    assert done() == {"colleague_invited"}


def test_nothing_of_another_workspace_counts(accept, make_person):
    save("main", workspace_id=WORKSPACE_B)
    smtp_accounts.activate(WORKSPACE_B, name="main", by=SYSTEM)
    policies.save(WORKSPACE_B, changes={"soft_bounce_threshold": 4}, by=SYSTEM)
    check_domain("b.example", workspace_id=WORKSPACE_B)
    for email in ("bob@b.example", "bea@b.example"):
        make_person(email, workspace_id=WORKSPACE_B)
    assert done() == set()
    assert len(done(WORKSPACE_B)) == 5


def test_it_is_one_question():
    ask = functools.partial(onboarding_facts.find, WORKSPACE_A)
    assert count_statements(ask) == 2, "one tells the planner to use indexes"
