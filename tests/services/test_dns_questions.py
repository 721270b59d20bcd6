"""How far the DNS is asked for one judgement: rounds, questions and time have an end."""

import asyncio

import pytest

from maild.domain.dns_answer import Answer, Kind, Outcome
from maild.services import dns_questions
from maild.transports import dns

pytestmark = pytest.mark.usefixtures("settings")


@pytest.fixture
def asked(monkeypatch):
    """The questions of each round; every name is there."""
    rounds = []

    async def ask(wanted, *, by):
        rounds.append([one.name for one in wanted])
        return {one: Answer(Outcome.FOUND, ("192.0.2.1",)) for one in wanted}

    monkeypatch.setattr(dns, "ask", ask)
    return rounds


def follow(book):
    """How long a chain of names is, of which each leads to the next, as far as it is known."""
    count = 0
    while book.look_up(f"n{count}.example", Kind.A).is_known:
        count += 1
    return count, book.look_up(f"n{count}.example", Kind.A).outcome


def test_it_asks_until_nothing_is_wanted(asked):
    def judge(book):
        names = ("a.example", "b.example")
        return [book.look_up(name, Kind.A).outcome for name in names]

    assert asyncio.run(dns_questions.settle(judge)) == [Outcome.FOUND] * 2
    assert asked == [["a.example", "b.example"]]


def test_a_chain_ends_after_so_many_rounds_as_if_nobody_answered(asked):
    count, outcome = asyncio.run(dns_questions.settle(follow))
    assert count == len(asked) == dns_questions.ROUNDS_MAX
    assert outcome is Outcome.TIMEOUT


def test_what_is_beyond_the_number_of_questions_is_not_asked(asked, monkeypatch):
    monkeypatch.setattr(dns_questions, "QUESTIONS_MAX", 2)

    def judge(book):
        return [book.look_up(f"n{number}.example", Kind.A).outcome for number in range(3)]

    assert asyncio.run(dns_questions.settle(judge)) == [
        Outcome.FOUND,
        Outcome.FOUND,
        Outcome.TIMEOUT,
    ]
    assert asked == [["n0.example", "n1.example"]]


def test_time_is_up_for_all_that_is_left(monkeypatch):
    async def never(wanted, *, by):
        await asyncio.Event().wait()

    monkeypatch.setattr(dns, "ask", never)
    monkeypatch.setattr(dns_questions, "SECONDS_MAX", 0.01)
    assert asyncio.run(dns_questions.settle(follow)) == (0, Outcome.TIMEOUT)
