"""A trial: its figures, its samples, and what it counts from when."""

import dataclasses

from maild.domain.policy import Check, OnLimit, Policy, StreamRules
from maild.domain.policy_trial import DECISIVE, DomainFigures, Outcome, Row, Trial

DUE = 1_700_000_100.0
RULES = StreamRules(max_attempts=9, lifetime_seconds=172_800, unknown_outcome="hold")
POLICY = Policy(
    version=1,
    rate_limit_workspace_per_hour=3,
    rate_limit_domain_per_hour=2,
    on_limit=OnLimit.REJECT,
    blocked_recipient_domains=("blocked.example",),
    allowed_from_domains=("example.com",),
    transactional=RULES,
    marketing=dataclasses.replace(RULES, lifetime_seconds=3_600),
    soft_bounce_threshold=5,
)


def row(to_domain="a.example", *, id_="m", stream="transactional", **fields):
    values = {"due_at": DUE, "is_suppressed": False, "from_domain": "example.com", **fields}
    return Row(id_, stream=stream, to_domain=to_domain, **values)


def look_at(trial, *rows):
    for one in rows:
        trial.look_at(one)
    return trial


MIXED = (
    row(from_domain="other.example"),
    row("blocked.example"),
    row(is_suppressed=True),
    row(), row(),
    row(),  # the domain's limit
    row("b.example"),
    row("b.example"),  # the workspace's
    row(),  # both
)  # fmt: skip


def test_each_message_is_counted_once_by_what_decided():
    figures = look_at(Trial(POLICY), *MIXED).figures()
    assert (figures.passed, figures.deferred) == (3, 0)
    assert (figures.rejected, figures.suppressed, figures.total) == (5, 1, 9)
    assert list(figures.by_check) == list(DECISIVE)
    assert figures.by_check == {
        Check.FROM_DOMAIN: 1,
        Check.RECIPIENT_DOMAIN: 1,
        Check.WORKSPACE_LIMIT: 1,
        Check.DOMAIN_LIMIT: 2,
    }


def test_what_waits_is_deferred_unless_it_would_be_too_late():
    policy = dataclasses.replace(POLICY, on_limit=OnLimit.DEFER, rate_limit_workspace_per_hour=None)
    trial = look_at(Trial(policy), row(), row(), row(), row(stream="marketing"))
    figures = trial.figures()
    assert (figures.passed, figures.deferred, figures.rejected) == (2, 1, 1)
    assert figures.by_check[Check.DOMAIN_LIMIT] == 2


def test_it_counts_from_the_start_and_remembers_the_limits():
    trial = look_at(Trial(POLICY, samples_max=5), row(), row())
    trial.start_counting()
    assert trial.figures().total == 0
    assert (trial.samples, trial.most_stopped(9)) == ([], [])
    figures = look_at(trial, row()).figures()
    assert (figures.passed, figures.rejected) == (0, 1)


def test_the_first_of_each_kind_are_samples():
    rows = [row(id_=str(number)) for number in range(5)]
    trial = look_at(Trial(POLICY, samples_max=1), *rows, row("blocked.example", id_="blocked"))
    assert [(s.row.id, s.outcome, s.check) for s in trial.samples] == [
        ("0", Outcome.PASSED, None),
        ("2", Outcome.REJECTED, Check.DOMAIN_LIMIT),
        ("blocked", Outcome.REJECTED, Check.RECIPIENT_DOMAIN),
    ]
    assert look_at(Trial(POLICY), *rows).samples == []


def test_a_sample_of_a_refusal_says_when_there_would_have_been_room():
    trial = look_at(Trial(POLICY, samples_max=1), row(), row(), row())
    [_, refused] = trial.samples
    assert refused.evidence == {"value": 2, "limit": 2, "free_at": "2023-11-14T23:20:00Z"}
    assert refused.deferred_until is None
    # Asking took nothing: the place is still free for the other domain.
    assert look_at(trial, row("b.example")).figures().passed == 3


def test_the_domains_with_the_most_are_named_first():
    trial = look_at(
        Trial(dataclasses.replace(POLICY, rate_limit_workspace_per_hour=None)),
        *[row("b.example")] * 4, *[row("a.example")] * 4, *[row("c.example")] * 5,
        *[row("d.example")] * 2, row("blocked.example"),
    )  # fmt: skip
    assert trial.most_stopped(3) == [
        DomainFigures("c.example", 0, 3),
        DomainFigures("a.example", 0, 2),
        DomainFigures("b.example", 0, 2),
    ]
    assert len(trial.most_stopped(9)) == 4
