"""The decision about a message: the order of the checks, what each says, and who wins."""

import dataclasses
import random
import time

import pytest

from maild.domain.limits import WORKSPACE, Ledger, slot_of
from maild.domain.policy import (
    Check,
    Facts,
    OnLimit,
    Policy,
    StreamRules,
    Verdict,
    evaluate,
    find_place,
    find_wider,
    matching,
)
from maild.domain.states import Stream

DUE = 1_700_000_100.0  # the beginning of a slot
DAY = 86_400.0
RULES = StreamRules(max_attempts=9, lifetime_seconds=172_800, unknown_outcome="hold")
OPEN = Policy(
    version=3,
    rate_limit_workspace_per_hour=None,
    rate_limit_domain_per_hour=None,
    on_limit=OnLimit.REJECT,
    blocked_recipient_domains=(),
    allowed_from_domains=(),
    transactional=RULES,
    marketing=dataclasses.replace(RULES, max_attempts=2),
    soft_bounce_threshold=5,
)
FACTS = Facts(Stream.TRANSACTIONAL, "example.com", "example.org", DUE, DUE + 2 * DAY)
SUPPRESSION = {"id": 7, "reason": "complained"}
UNSUBSCRIBE = {"id": 8}
FREEZE = {"id": 9}
PROVIDER = {"name": "main", "route": "first_choice"}

C, V = Check, Verdict
PASSED_CHECKS = [C.FROM_DOMAIN, C.RECIPIENT_DOMAIN, C.SUPPRESSION, C.UNSUBSCRIBE, C.FREEZE]


def policy(**fields):
    return dataclasses.replace(OPEN, **fields)


def facts(**fields):
    return dataclasses.replace(FACTS, **fields)


def full(limit=2, *, scope=WORKSPACE):
    """A ledger in which this limit has no room at DUE."""
    return Ledger([(scope, slot_of(DUE), limit)])


def test_what_nothing_stops_passes():
    decision = evaluate(OPEN, FACTS, Ledger())
    assert (decision.policy_version, decision.verdict, decision.due_at) == (3, V.PASS, DUE)
    assert [c.check for c in decision.checks] == PASSED_CHECKS
    assert {c.verdict for c in decision.checks} == {V.PASS}
    assert decision.tightest is None


@pytest.mark.proves("decide-order")
def test_the_checks_come_in_this_order():
    strict = policy(rate_limit_workspace_per_hour=9, rate_limit_domain_per_hour=5)
    decision = evaluate(strict, facts(provider=PROVIDER), Ledger())
    assert [c.check for c in decision.checks] == [
        *PASSED_CHECKS, C.WORKSPACE_LIMIT, C.DOMAIN_LIMIT, C.PROVIDER,
    ]  # fmt: skip
    assert decision.checks[-1].evidence == PROVIDER


@pytest.mark.parametrize(
    ("rules", "given", "check", "verdict", "evidence"),
    [
        (
            {"allowed_from_domains": ("example.net",)}, {},
            C.FROM_DOMAIN, V.REJECT, {"value": "example.com"},
        ),
        (
            {"blocked_recipient_domains": ("example.org",)}, {},
            C.RECIPIENT_DOMAIN, V.REJECT, {"value": "example.org", "entry": "example.org"},
        ),
        ({}, {"suppression": SUPPRESSION}, C.SUPPRESSION, V.STOP, SUPPRESSION),
        ({}, {"unsubscribe": UNSUBSCRIBE}, C.UNSUBSCRIBE, V.STOP, UNSUBSCRIBE),
        ({}, {"freeze": FREEZE}, C.FREEZE, V.WAIT, FREEZE),
        (
            {"rate_limit_workspace_per_hour": 0}, {},
            C.WORKSPACE_LIMIT, V.REJECT, {"value": 0, "limit": 0},
        ),
        (
            {"rate_limit_domain_per_hour": 0}, {},
            C.DOMAIN_LIMIT, V.REJECT, {"value": 0, "limit": 0},
        ),
    ],
)  # fmt: skip
def test_each_check_decides_alone(rules, given, check, verdict, evidence):
    decision = evaluate(policy(**rules), facts(**given), Ledger())
    assert decision.verdict is verdict
    assert (decision.last.check, decision.last.verdict) == (check, verdict)
    assert decision.last.evidence == evidence
    assert (decision.policy_version, decision.due_at) == (OPEN.version, DUE)


def test_what_passes_says_what_was_looked_at():
    evidence = {c.check: (c.verdict, c.evidence) for c in evaluate(
        OPEN, facts(provider=PROVIDER), Ledger()
    ).checks}  # fmt: skip
    assert evidence[C.FROM_DOMAIN] == (V.PASS, {"value": "example.com"})
    assert evidence[C.RECIPIENT_DOMAIN] == (V.PASS, {"value": "example.org"})
    assert evidence[C.PROVIDER] == (V.PASS, PROVIDER)


WRONG = {
    C.FROM_DOMAIN: ({"allowed_from_domains": ("example.net",)}, {}),
    C.RECIPIENT_DOMAIN: ({"blocked_recipient_domains": ("*.org", "example.org")}, {}),
    C.SUPPRESSION: ({}, {"suppression": SUPPRESSION}),
    C.UNSUBSCRIBE: ({}, {"unsubscribe": UNSUBSCRIBE}),
    C.WORKSPACE_LIMIT: ({"rate_limit_workspace_per_hour": 2}, {}),
}
"""What makes each of these checks end a decision, in the order in which they come."""


@pytest.mark.proves("decide-order")
@pytest.mark.parametrize("first", range(len(WRONG)))
def test_the_first_that_does_not_let_it_through_ends_the_decision(first):
    rules, given = {}, {}
    for more_rules, more_given in list(WRONG.values())[first:]:
        rules |= more_rules
        given |= more_given
    decision = evaluate(policy(**rules), facts(**given), full())
    check = list(WRONG)[first]
    assert decision.checks[-1].check is decision.last.check is check
    assert {c.verdict for c in decision.checks[:-1]} <= {V.PASS}


@pytest.mark.parametrize("check", [C.FROM_DOMAIN, C.RECIPIENT_DOMAIN, C.SUPPRESSION, C.UNSUBSCRIBE])
def test_what_is_stopped_uses_up_no_limit(check):
    rules, given = WRONG[check]
    ledger = Ledger()
    strict = policy(rate_limit_workspace_per_hour=9, rate_limit_domain_per_hour=9, **rules)
    assert evaluate(strict, facts(**given), ledger).usage == ()
    assert ledger.usage(WORKSPACE, DUE, limit=9).used == 0
    assert ledger.usage("example.org", DUE, limit=9).used == 0


def test_a_frozen_message_is_counted_and_goes_on_to_the_limits():
    ledger = Ledger()
    decision = evaluate(policy(rate_limit_workspace_per_hour=1), facts(freeze=FREEZE), ledger)
    assert (decision.verdict, decision.last.check) == (V.WAIT, C.FREEZE)
    assert ledger.usage(WORKSPACE, DUE, limit=1).used == 1
    refused = evaluate(policy(rate_limit_workspace_per_hour=1), facts(freeze=FREEZE), ledger)
    assert (refused.verdict, refused.last.check) == (V.REJECT, C.WORKSPACE_LIMIT)


LIMIT_CASES = [
    # workspace limit, domain limit, which are full, the check that decides
    (2, None, {WORKSPACE}, C.WORKSPACE_LIMIT),
    (2, 2, {WORKSPACE}, C.WORKSPACE_LIMIT),
    (2, 2, {"example.org"}, C.DOMAIN_LIMIT),
    (None, 2, {"example.org"}, C.DOMAIN_LIMIT),
    (2, 2, {WORKSPACE, "example.org"}, C.DOMAIN_LIMIT),
]


@pytest.mark.proves("decide-limits")
@pytest.mark.parametrize("on_limit", OnLimit)
@pytest.mark.parametrize(("workspace", "domain", "scopes", "check"), LIMIT_CASES)
def test_a_full_limit_refuses_or_defers(on_limit, workspace, domain, scopes, check):
    ledger = Ledger((scope, slot_of(DUE), 2) for scope in scopes)
    strict = policy(
        rate_limit_workspace_per_hour=workspace,
        rate_limit_domain_per_hour=domain,
        on_limit=on_limit,
    )
    decision = evaluate(strict, FACTS, ledger)
    assert decision.verdict is (V.REJECT if on_limit is OnLimit.REJECT else V.WAIT)
    assert decision.last.check is check
    assert decision.last.evidence == {"value": 2, "limit": 2, "free_at": "2023-11-14T23:20:00Z"}
    assert (decision.policy_version, decision.due_at) == (OPEN.version, DUE + 13 * 300)
    counted = ledger.usage("example.org", decision.due_at, limit=2).used
    assert counted == (0 if on_limit is OnLimit.REJECT or domain is None else 1)


def test_a_limit_that_has_room_says_so_beside_one_that_has_none():
    strict = policy(rate_limit_workspace_per_hour=9, rate_limit_domain_per_hour=2)
    ledger = Ledger([(WORKSPACE, slot_of(DUE), 2), ("example.org", slot_of(DUE), 2)])
    decision = evaluate(strict, FACTS, ledger)
    workspace, domain = decision.checks[-2:]
    assert (workspace.verdict, workspace.evidence) == (V.PASS, {"value": 2, "limit": 9})
    assert domain.verdict is V.REJECT
    assert decision.tightest.limit == 2
    assert [usage.remaining for usage in decision.usage] == [7, 0]


def test_usage_counts_the_message_itself():
    decision = evaluate(policy(rate_limit_workspace_per_hour=3), FACTS, full(1))
    assert (decision.usage[0].used, decision.usage[0].remaining) == (2, 1)
    assert decision.last.evidence == {"value": 2, "limit": 3}


def test_what_would_be_deferred_beyond_its_lifetime_is_refused():
    strict = policy(rate_limit_workspace_per_hour=2, on_limit=OnLimit.DEFER)
    free_at = DUE + 13 * 300
    for expires_at, verdict in ((free_at, V.REJECT), (free_at + 1, V.WAIT), (DUE + 1, V.REJECT)):
        decision = evaluate(strict, facts(expires_at=expires_at), full())
        assert decision.verdict is verdict
        assert decision.last.check is C.WORKSPACE_LIMIT


@pytest.mark.parametrize("on_limit", OnLimit)
def test_a_limit_of_nothing_lets_nothing_out(on_limit):
    strict = policy(rate_limit_workspace_per_hour=0, on_limit=on_limit)
    decision = evaluate(strict, FACTS, Ledger())
    assert decision.verdict is V.REJECT
    assert "free_at" not in decision.last.evidence
    assert decision.due_at == DUE


def test_no_limit_is_to_blame_for_a_message_that_is_late():
    strict = policy(rate_limit_workspace_per_hour=2)
    assert evaluate(strict, facts(expires_at=DUE - 1), Ledger()).verdict is V.PASS


def test_a_place_is_free_by_all_limits():
    """The workspace has room in an hour, the domain only later, when the workspace has none."""
    slot = slot_of(DUE)
    ledger = Ledger([(WORKSPACE, slot, 2), ("example.org", slot + 3, 2), (WORKSPACE, slot + 16, 2)])
    strict = policy(
        rate_limit_workspace_per_hour=2, rate_limit_domain_per_hour=2, on_limit=OnLimit.DEFER
    )
    found = find_place(strict, ledger, strict.limits_for("example.org"), DUE, DUE + 2 * DAY)
    assert found.at == (slot + 16 + 13) * 300
    assert found.full == (C.WORKSPACE_LIMIT, C.DOMAIN_LIMIT)


def test_a_place_at_its_own_time_is_that_time():
    strict = policy(rate_limit_workspace_per_hour=2)
    found = find_place(strict, Ledger(), strict.limits_for("example.org"), DUE + 1, DUE + DAY)
    assert found == (DUE + 1, (), V.PASS)


def test_a_brief_look_does_not_say_when_there_would_be_room():
    strict = policy(rate_limit_workspace_per_hour=2)
    limits = strict.limits_for("example.org")
    found = find_place(strict, full(), limits, DUE, DUE + DAY, is_brief=True)
    assert found == (None, (C.WORKSPACE_LIMIT,), V.REJECT)
    assert find_place(strict, full(), limits, DUE, DUE + DAY).at is not None


def test_when_there_is_room_is_told_in_utc(monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        decision = evaluate(policy(rate_limit_workspace_per_hour=2), FACTS, full())
    finally:
        monkeypatch.undo()
        time.tzset()
    assert decision.last.evidence["free_at"] == "2023-11-14T23:20:00Z"


@pytest.mark.parametrize("seed", range(20))
def test_a_deferred_message_takes_the_earliest_slot_that_all_limits_allow(seed):
    chance = random.Random(seed)
    strict = policy(
        rate_limit_workspace_per_hour=4, rate_limit_domain_per_hour=2, on_limit=OnLimit.DEFER
    )
    ledger, placed = Ledger(), []

    def fits(domain, slot):
        """By counting every window anew."""
        for limit, among in (
            (4, [s for _, s in placed]),
            (2, [s for to, s in placed if to == domain]),
        ):
            for end in range(slot, slot + 13):
                if sum(1 for s in among if end - 12 <= s <= end) >= limit:
                    return False
        return True

    for _ in range(60):
        domain = chance.choice(("a.example", "b.example", "c.example"))
        due_at = DUE + chance.uniform(0, 4 * 3600)
        decision = evaluate(
            strict, facts(to_domain=domain, due_at=due_at, expires_at=DUE + 9 * DAY), ledger
        )
        slot = slot_of(due_at)
        while not fits(domain, slot):
            slot += 1
        assert decision.due_at == max(due_at, slot * 300)
        placed.append((domain, slot))


def test_each_stream_has_its_rules():
    assert OPEN.stream(Stream.TRANSACTIONAL).max_attempts == 9
    assert OPEN.stream(Stream.MARKETING).max_attempts == 2


@pytest.mark.parametrize(
    ("domain", "entries", "entry"),
    [
        ("example.org", ["example.org"], "example.org"),
        ("example.org", ["*.example.org"], None),
        ("mail.example.org", ["example.org"], None),
        ("mail.example.org", ["*.example.org"], "*.example.org"),
        ("a.b.example.org", ["*.example.org"], "*.example.org"),
        ("badexample.org", ["*.example.org", "example.org"], None),
        ("mail.example.org", ["*.org", "*.example.org"], "*.example.org"),
        ("mail.example.org", ["*.example.org", "mail.example.org"], "mail.example.org"),
        ("example.org", ["*.org"], "*.org"),
        ("bücher.example", ["bücher.example"], "bücher.example"),
        ("mail.bücher.example", ["*.bücher.example"], "*.bücher.example"),
        ("localhost", ["*.localhost", "localhost.example"], None),
        ("example.org", [], None),
        ("", ["example.org"], None),
    ],
)
def test_matching_finds_the_entry(domain, entries, entry):
    for form in (entries, tuple(entries), frozenset(entries), entries[::-1]):
        assert matching(domain, form) == entry


def test_a_wider_entry_holds_a_narrower_one():
    """Below `*.example.org` is `*.mail.example.org`, and not itself."""
    assert find_wider("*.mail.example.org", ["*.example.org"]) == "*.example.org"
    assert find_wider("*.example.org", ["*.example.org"]) is None
    assert find_wider("*.example.org", ["*.org"]) == "*.org"


def test_any_sender_is_allowed_where_none_is_named():
    assert OPEN.allows_sender("anything.example")
    named = policy(allowed_from_domains=("example.com", "*.example.com"))
    assert named.allows_sender("example.com")
    assert named.allows_sender("mail.example.com")
    assert not named.allows_sender("example.org")
