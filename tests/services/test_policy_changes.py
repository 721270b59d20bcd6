"""What a change of a policy may say, and what is told to be different."""

import dataclasses

import pytest

from maild.domain.policy import OnLimit, Policy, StreamRules
from maild.errors import InvalidFields
from maild.services import policy_changes
from maild.services.policy_changes import Change

POLICY = Policy(
    version=4,
    rate_limit_workspace_per_hour=400,
    rate_limit_domain_per_hour=None,
    on_limit=OnLimit.REJECT,
    blocked_recipient_domains=("example.net",),
    allowed_from_domains=(),
    transactional=StreamRules(9, 172_800, "hold"),
    marketing=StreamRules(9, 345_600, "hold"),
    soft_bounce_threshold=5,
)


def change(changes):
    return policy_changes.apply(POLICY, policy_changes.check(changes))


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, {}),
        ({"rate_limit_workspace_per_hour": None}, {"rate_limit_workspace_per_hour": None}),
        ({"rate_limit_workspace_per_hour": 0}, {"rate_limit_workspace_per_hour": 0}),
        ({"rate_limit_domain_per_hour": 100_000_000}, {"rate_limit_domain_per_hour": 100_000_000}),
        ({"on_limit": "defer"}, {"on_limit": OnLimit.DEFER}),
        ({"blocked_recipient_domains": []}, {"blocked_recipient_domains": ()}),
        (
            {"blocked_recipient_domains": ["Example.ORG", " example.org ", "*.Example.org"]},
            {"blocked_recipient_domains": ("*.example.org", "example.org")},
        ),
        (
            {"allowed_from_domains": ["xn--bcher-kva.example", "BÜCHER.example", "*.Bücher.de"]},
            {"allowed_from_domains": ("*.bücher.de", "bücher.example")},
        ),
        ({"soft_bounce_threshold": 1}, {"soft_bounce_threshold": 1}),
        ({"soft_bounce_threshold": 100}, {"soft_bounce_threshold": 100}),
        ({"marketing": {}}, {}),
        (
            {"marketing": {"max_attempts": 1}, "transactional": {"lifetime_seconds": 60}},
            {
                "marketing": StreamRules(1, 345_600, "hold"),
                "transactional": StreamRules(9, 60, "hold"),
            },
        ),
        (
            {"marketing": {
                "max_attempts": 100, "lifetime_seconds": 2_592_000, "unknown_outcome": "retry"
            }},
            {"marketing": StreamRules(100, 2_592_000, "retry")},
        ),
    ],
)  # fmt: skip
def test_what_is_left_out_stays_as_it_is(changes, fields):
    assert change(changes) == dataclasses.replace(POLICY, **fields)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"rate_limit_workspace_per_hour": -1}, "rate_limit_workspace_per_hour"),
        ({"rate_limit_workspace_per_hour": 100_000_001}, "rate_limit_workspace_per_hour"),
        ({"rate_limit_domain_per_hour": 1.5}, "rate_limit_domain_per_hour"),
        ({"rate_limit_domain_per_hour": True}, "rate_limit_domain_per_hour"),
        ({"rate_limit_domain_per_hour": "5"}, "rate_limit_domain_per_hour"),
        ({"on_limit": "wait"}, "on_limit"),
        ({"on_limit": None}, "on_limit"),
        ({"on_limit": []}, "on_limit"),
        ({"blocked_recipient_domains": None}, "blocked_recipient_domains"),
        ({"blocked_recipient_domains": "example.org"}, "blocked_recipient_domains"),
        ({"blocked_recipient_domains": ["example.org", "a b"]}, "blocked_recipient_domains.1"),
        ({"blocked_recipient_domains": [""]}, "blocked_recipient_domains.0"),
        ({"blocked_recipient_domains": [None]}, "blocked_recipient_domains.0"),
        ({"blocked_recipient_domains": ["*"]}, "blocked_recipient_domains.0"),
        ({"blocked_recipient_domains": ["*.*.org"]}, "blocked_recipient_domains.0"),
        ({"blocked_recipient_domains": ["me@example.org"]}, "blocked_recipient_domains.0"),
        ({"blocked_recipient_domains": ["exa\nmple.org"]}, "blocked_recipient_domains.0"),
        ({"blocked_recipient_domains": ["a.example\0"]}, "blocked_recipient_domains.0"),
        ({"allowed_from_domains": [f"{'a' * 300}.example"]}, "allowed_from_domains.0"),
        ({"allowed_from_domains": ["a.example"] * 10_001}, "allowed_from_domains"),
        ({"soft_bounce_threshold": 0}, "soft_bounce_threshold"),
        ({"soft_bounce_threshold": 101}, "soft_bounce_threshold"),
        ({"soft_bounce_threshold": None}, "soft_bounce_threshold"),
        ({"marketing": None}, "marketing"),
        ({"marketing": []}, "marketing"),
        ({"marketing": {"max_attempts": 0}}, "marketing.max_attempts"),
        ({"marketing": {"max_attempts": 101}}, "marketing.max_attempts"),
        ({"marketing": {"lifetime_seconds": 59}}, "marketing.lifetime_seconds"),
        ({"marketing": {"lifetime_seconds": 2_592_001}}, "marketing.lifetime_seconds"),
        ({"transactional": {"unknown_outcome": "give_up"}}, "transactional.unknown_outcome"),
        ({"transactional": {"attempts": 3}}, "transactional.attempts"),
        ({"version": 3}, "version"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_it_names_the_field_that_is_wrong(changes, field):
    with pytest.raises(InvalidFields) as caught:
        policy_changes.check(changes)
    assert [error.field for error in caught.value.errors] == [field]


def test_it_complains_of_everything_at_once_and_says_where():
    wrong = {
        "on_limit": "wait",
        "blocked_recipient_domains": ["a.example", "?", "b.example", "!"],
        "marketing": {"max_attempts": 0},
    }
    with pytest.raises(InvalidFields) as caught:
        policy_changes.check(wrong, within="policy.")
    assert [error.field for error in caught.value.errors] == [
        "policy.on_limit",
        "policy.blocked_recipient_domains.1",
        "policy.blocked_recipient_domains.3",
        "policy.marketing.max_attempts",
    ]


def test_ten_thousand_domains_are_taken():
    domains = [f"d{number}.example" for number in range(10_000)]
    assert len(change({"blocked_recipient_domains": domains}).blocked_recipient_domains) == 10_000


def test_nothing_is_different_between_a_policy_and_itself():
    assert policy_changes.compare(POLICY, dataclasses.replace(POLICY, version=9)) == []
    assert policy_changes.compare(POLICY, change({"on_limit": "reject", "marketing": {}})) == []


def test_it_tells_what_is_different_field_by_field():
    after = change(
        {
            "marketing": {"max_attempts": 3},
            "rate_limit_workspace_per_hour": None,
            "blocked_recipient_domains": ["example.net", "b.example", "a.example"],
        }
    )
    changes = policy_changes.compare(POLICY, after)
    assert changes == [
        Change("rate_limit_workspace_per_hour", 400, None),
        Change(
            "blocked_recipient_domains",
            ("example.net",),
            ("a.example", "b.example", "example.net"),
        ),
        Change("marketing.max_attempts", 9, 3),
    ]
    assert (changes[1].added, changes[1].removed) == (["a.example", "b.example"], [])
    [back] = [c for c in policy_changes.compare(after, POLICY) if "blocked" in c.field]
    assert (back.added, back.removed) == ([], ["a.example", "b.example"])


def test_a_policy_is_taken_apart_and_put_together_again():
    flat = policy_changes.flatten(POLICY)
    assert flat["marketing.lifetime_seconds"] == 345_600
    other = dataclasses.replace(
        POLICY, on_limit=OnLimit.DEFER, marketing=StreamRules(1, 60, "retry")
    )
    assert policy_changes.apply(other, policy_changes.check(policy_changes.nest(flat))) == POLICY
