"""Policies: versions that are never changed, one of them in force."""

import dataclasses

import pytest

from maild.domain.actor import Actor
from maild.domain.policy import OnLimit
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import AuditEntry, Event, PolicyVersion
from maild.services import policies
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import at_once

pytestmark = pytest.mark.usefixtures("database")

ANN = Actor("admin key", ip="192.0.2.1", request_id="r1")


def save(workspace_id=WORKSPACE_A, *, version=None, reason=None, by=ANN, **changes):
    return policies.save(workspace_id, changes=changes, version=version, reason=reason, by=by)


def roll_back(version, *, reason=None):
    return policies.roll_back(WORKSPACE_A, version=version, reason=reason, by=ANN)


def stored():
    """Everything that a save can have written."""
    return (
        PolicyVersion.select().count(),
        AuditEntry.select().count(),
        Event.select().where(Event.type == "policy.changed").count(),
    )


def test_without_one_of_its_own_a_workspace_goes_by_the_instances_defaults(use_settings):
    use_settings(rate_limit_workspace_per_hour=77, blocked_recipient_domains=("b.de", "a.de"))
    version = policies.get_in_force(WORKSPACE_A)
    assert version.rules == policies.get(WORKSPACE_A) == policies.default()
    assert version.rules.version == 0
    assert version.rules.rate_limit_workspace_per_hour == 77
    assert version.rules.blocked_recipient_domains == ("a.de", "b.de")
    assert (version.created_at, version.created_by, version.reason) == (None, None, None)


def test_a_save_changes_what_it_names_and_keeps_the_rest():
    before = policies.get(WORKSPACE_A)
    saved = save(on_limit="defer", marketing={"max_attempts": 3}, reason="fewer refusals")
    expected = dataclasses.replace(
        before,
        version=1,
        on_limit=OnLimit.DEFER,
        marketing=dataclasses.replace(before.marketing, max_attempts=3),
    )
    assert saved.is_new
    assert saved.in_force.rules == policies.get(WORKSPACE_A) == expected
    assert (saved.in_force.created_by, saved.in_force.reason) == ("admin key", "fewer refusals")
    save(rate_limit_domain_per_hour=None)
    assert policies.get(WORKSPACE_A) == dataclasses.replace(
        expected, version=2, rate_limit_domain_per_hour=None
    )


def test_what_is_stored_reads_as_it_was_written():
    saved = save(
        rate_limit_workspace_per_hour=0,
        rate_limit_domain_per_hour=None,
        blocked_recipient_domains=["*.xn--bcher-kva.example"],
        allowed_from_domains=["example.com"],
        transactional={"unknown_outcome": "retry"},
        soft_bounce_threshold=7,
    )
    policies.forget()
    assert policies.known(WORKSPACE_A, 1) == saved.in_force.rules
    assert policies.get_in_force(WORKSPACE_A) == saved.in_force


def queries(caplog, verb):
    caplog.clear()
    with caplog.at_level("DEBUG", "peewee"):
        verb()
    return len(caplog.records)


def test_of_each_workspace_only_the_newest_version_is_kept_in_memory(caplog):
    saved = [save(soft_bounce_threshold=n).in_force.rules for n in range(6, 11)]
    other = save(WORKSPACE_B, on_limit="defer").in_force.rules
    for version in (2, 1, 5, 3, 4):
        assert policies.known(WORKSPACE_A, version) == saved[version - 1]
    assert policies.known(WORKSPACE_B, 1) == other
    assert queries(caplog, lambda: policies.known(WORKSPACE_A, 5)) == 0
    assert queries(caplog, lambda: policies.known(WORKSPACE_B, 1)) == 0
    assert queries(caplog, lambda: policies.known(WORKSPACE_A, 4)) == 1
    assert queries(caplog, lambda: policies.known(WORKSPACE_A, 5)) == 0


def test_it_keeps_versions_of_so_many_workspaces(caplog, monkeypatch):
    monkeypatch.setattr(policies, "KNOWN_MAX", 1)
    for workspace_id in (WORKSPACE_A, WORKSPACE_B):
        save(workspace_id, on_limit="defer")
        policies.known(workspace_id, 1)
    assert queries(caplog, lambda: policies.known(WORKSPACE_B, 1)) == 0
    assert queries(caplog, lambda: policies.known(WORKSPACE_A, 1)) == 1


def test_a_version_once_saved_keeps_its_rules_whatever_the_environment_says_later(use_settings):
    before = save(on_limit="defer").in_force.rules
    use_settings(rate_limit_workspace_per_hour=1)
    assert policies.default().rate_limit_workspace_per_hour == 1
    assert policies.get(WORKSPACE_A) == before


def test_other_workspaces_keep_theirs():
    save(on_limit="defer")
    assert policies.get(WORKSPACE_B) == policies.default()
    saved = save(WORKSPACE_B, soft_bounce_threshold=9)
    assert saved.in_force.rules.version == 1
    assert policies.get(WORKSPACE_A).on_limit is OnLimit.DEFER


@pytest.mark.parametrize("version", [0, None])
def test_a_save_may_name_the_version_that_it_starts_from(version):
    assert save(version=version, on_limit="defer").in_force.rules.version == 1


def test_a_save_from_another_version_is_refused_with_what_is_in_force():
    with pytest.raises(Conflict, match=r"Version 0 .*defaults of the instance.*, not 1"):
        save(version=1, on_limit="defer")
    save(on_limit="defer")
    before = stored()
    with pytest.raises(Conflict, match=r"Version 1 .*saved by admin key at 2\d+-.*Z\), not 0"):
        save(version=0, on_limit="reject")
    assert stored() == before


def test_of_two_saves_from_the_same_version_one_is_refused():
    outcomes = []

    def attempt(threshold):
        try:
            outcomes.append(save(version=0, soft_bounce_threshold=threshold).is_new)
        except Conflict:
            outcomes.append("refused")

    at_once(lambda: attempt(8), lambda: attempt(9))
    assert sorted(outcomes, key=str) == [True, "refused"]
    assert stored() == (1, 1, 1)


def test_of_two_saves_that_name_no_version_the_second_goes_on_top():
    at_once(lambda: save(soft_bounce_threshold=8), lambda: save(on_limit="defer"))
    rules = policies.get(WORKSPACE_A)
    assert (rules.version, rules.soft_bounce_threshold) == (2, 8)
    assert rules.on_limit is OnLimit.DEFER
    assert stored() == (2, 2, 2)


def test_a_save_that_changes_nothing_writes_nothing():
    saved = save(on_limit="defer", blocked_recipient_domains=["b.example", "a.example"])
    before = stored()
    again = save(
        on_limit="defer", blocked_recipient_domains=["A.example", "b.example", "b.example"]
    )
    assert not again.is_new
    assert again.in_force == saved.in_force
    assert save().is_new is False
    assert stored() == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"on_limit": "wait"}, "on_limit"),
        ({"reason": " "}, "reason"),
        ({"reason": "two\nlines"}, "reason"),
        ({"reason": "x" * 501}, "reason"),
    ],
)
def test_it_refuses_what_is_wrong_and_writes_nothing(changes, field):
    with pytest.raises(InvalidFields) as caught:
        save(**{"soft_bounce_threshold": 9, **changes})
    assert [error.field for error in caught.value.errors] == [field]
    assert stored() == (0, 0, 0)


def test_it_knows_the_workspaces_that_there_are():
    for verb in (
        lambda: save(999, on_limit="defer"),
        lambda: policies.roll_back(999, version=0, by=ANN),
        lambda: policies.get_in_force(999),
        lambda: policies.list_page(999),
    ):
        with pytest.raises(NotFound, match="workspace 999"):
            verb()


def test_a_save_is_audited_with_what_it_changed_and_nothing_else():
    save(
        rate_limit_workspace_per_hour=None,
        blocked_recipient_domains=["a.example"],
        marketing={"max_attempts": 3},
        reason="spring sale",
    )
    [entry] = AuditEntry.select()
    assert (entry.action, entry.target, entry.actor) == ("policy.changed", "policy 1", "admin key")
    assert (entry.actor_ip, entry.request_id, entry.reason) == ("192.0.2.1", "r1", "spring sale")
    assert entry.before == {
        "version": 0,
        "rate_limit_workspace_per_hour": 100_000_000,
        "marketing.max_attempts": 9,
    }
    assert entry.after == {
        "version": 1,
        "rate_limit_workspace_per_hour": None,
        "blocked_recipient_domains": {
            "added": ["a.example"], "added_count": 1,
            "removed": ["mailinator.com", "tempmail.com"], "removed_count": 2,
        },
        "marketing.max_attempts": 3,
    }  # fmt: skip


def test_of_long_lists_the_audit_log_tells_what_was_changed_in_short():
    domains = [f"{n:04}.example" for n in range(1_000)]
    save(allowed_from_domains=domains)
    save(allowed_from_domains=["new.example", *domains[:500]])
    save(allowed_from_domains=["new.example", "newer.example", *domains[:500]])
    entries = list(AuditEntry.select().order_by(AuditEntry.seq))
    assert [entry.before for entry in entries] == [{"version": n} for n in range(3)]
    told = [entry.after["allowed_from_domains"] for entry in entries]
    assert told == [
        {"added": domains[:100], "added_count": 1_000, "removed": [], "removed_count": 0},
        {
            "added": ["new.example"], "added_count": 1,
            "removed": domains[500:600], "removed_count": 500,
        },
        {"added": ["newer.example"], "added_count": 1, "removed": [], "removed_count": 0},
    ]  # fmt: skip


def test_a_save_is_told_as_an_event_of_the_workspace():
    save(on_limit="defer", reason="spring sale")
    [event] = Event.select().where(Event.type == "policy.changed")
    assert (event.workspace_id, event.message_id) == (WORKSPACE_A, None)
    assert event.data == {
        "version": 1, "fields": ["on_limit"], "by": "admin key", "reason": "spring sale",
    }  # fmt: skip


def test_a_rollback_writes_a_new_version_with_the_old_rules():
    first = save(on_limit="defer", soft_bounce_threshold=8).in_force
    save(on_limit="reject", blocked_recipient_domains=["a.example"])
    saved = roll_back(1, reason="too strict")
    assert saved.in_force.rules == dataclasses.replace(first.rules, version=3)
    assert (saved.in_force.restored_version, saved.in_force.reason) == (1, "too strict")
    assert policies.get(WORKSPACE_A) == saved.in_force.rules
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).first()
    assert entry.before == {"version": 2, "on_limit": "reject"}
    assert entry.after == {
        "version": 3, "restored_version": 1, "on_limit": "defer",
        "blocked_recipient_domains": {
            "added": ["mailinator.com", "tempmail.com"], "added_count": 2,
            "removed": ["a.example"], "removed_count": 1,
        },
    }  # fmt: skip


def test_a_rollback_to_0_brings_back_what_the_defaults_are_now(use_settings):
    save(on_limit="defer")
    use_settings(rate_limit_workspace_per_hour=12)
    saved = roll_back(0)
    assert saved.in_force.rules == dataclasses.replace(policies.default(), version=2)
    assert saved.in_force.restored_version == 0


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_rollback_to_what_is_in_force_writes_nothing(version):
    save(on_limit="defer")
    save(on_limit="reject")
    save(on_limit="defer")
    if version == 0:
        save(on_limit="reject")
    before = stored()
    assert not roll_back(version).is_new
    assert stored() == before


@pytest.mark.parametrize("version", [2, 2**40, -1])
def test_a_rollback_needs_a_version_that_is_there(version):
    save(on_limit="defer")
    save(WORKSPACE_B, on_limit="defer")
    save(WORKSPACE_B, on_limit="reject")
    before = stored()
    with pytest.raises(NotFound, match=f"no version {version}"):
        roll_back(version)
    assert stored() == before


def test_versions_are_listed_newest_first_with_what_each_changed():
    for threshold in range(6, 11):
        save(soft_bounce_threshold=threshold)
    save(WORKSPACE_B, on_limit="defer")
    first = policies.list_page(WORKSPACE_A, limit=2)
    second = policies.list_page(WORKSPACE_A, limit=2, older_than=first.older)
    last = policies.list_page(WORKSPACE_A, limit=2, older_than=second.older)
    pages = (first, second, last)
    assert [page.older for page in pages] == [4, 2, None]
    listed = [pair for page in pages for pair in page.versions]
    assert [version.rules.version for version, _ in listed] == [5, 4, 3, 2, 1]
    assert [
        [(change.field, change.before, change.after) for change in changes] for _, changes in listed
    ] == [[("soft_bounce_threshold", n - 1, n)] for n in range(10, 5, -1)]


def test_without_a_version_the_list_is_empty():
    assert policies.list_page(WORKSPACE_A) == policies.Page([], None)


def test_a_rollback_may_name_the_version_that_it_was_made_for():
    save(on_limit="defer")
    save(on_limit="reject")
    before = stored()
    with pytest.raises(Conflict, match=r"Version 2 .*, not 1"):
        policies.roll_back(WORKSPACE_A, version=0, in_force=1, by=ANN)
    assert stored() == before
    saved = policies.roll_back(WORKSPACE_A, version=1, in_force=2, by=ANN)
    assert saved.in_force.rules.on_limit is OnLimit.DEFER
