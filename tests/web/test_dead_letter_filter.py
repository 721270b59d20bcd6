"""The filter bar of dead letters: what the URL means, and what is wrong with it."""

import pytest
from werkzeug.datastructures import MultiDict

from maild import clock
from maild.domain.provider_event import ProviderEventType
from maild.services.dead_letter_lists import Filter, State
from maild.web import dead_letter_filter


def read(*pairs):
    return dead_letter_filter.read(MultiDict(pairs), now=clock.now())


def test_without_a_word_it_asks_for_dead_letters():
    form = read()
    assert (form.filter_, form.errors, form.is_set) == (Filter(state=State.DEAD_LETTER), {}, False)
    assert form.query() == ""


def test_each_field_means_what_it_says():
    form = read(("state", "any"), ("email", "Ann@Example.ORG"), ("provider", "ses"),
                ("event_type", "bounced"), ("endpoint_id", "7"), ("range", "1h"))  # fmt: skip
    assert form.errors == {}
    assert form.has_details
    filter_ = form.filter_
    assert filter_.state is None
    assert filter_.emails == ("Ann@example.org", "ann@example.org")
    assert (filter_.provider, filter_.endpoint_id) == ("ses", 7)
    assert filter_.event_type is ProviderEventType.BOUNCED
    assert 3590 < (clock.now() - filter_.since).total_seconds() < 3610


@pytest.mark.parametrize("state", list(State))
def test_every_state_can_be_asked_for(state):
    assert read(("state", state.value)).filter_.state is state


def test_what_no_address_can_be_is_looked_for_as_it_was_written():
    assert read(("email", "ann@@x")).filter_.emails == ("ann@@x",)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("state", "dead", "must be one of dead_letter, "),
        ("email", "ann", "must be a whole address"),
        ("email", "a\x00@b.example", "must"),
        ("email", "a" * 400 + "@b.example", "320"),
        ("provider", "nobody", "must be one of "),
        ("event_type", "exploded", "must be one of "),
        ("endpoint_id", "x", "must be the number of a webhook endpoint"),
        ("endpoint_id", "-1", "must be the number"),
        ("endpoint_id", "٣", "must be the number"),
        ("endpoint_id", "9" * 30, "must be the number"),
        ("range", "1y", "must be one of"),
        ("since", "x", "must be a time in UTC"),
    ],
)
def test_a_value_that_makes_no_sense_is_an_error_and_never_ignored(name, value, complaint):
    form = read((name, value))
    assert list(form.errors) == [name]
    assert complaint in form.errors[name]
    assert form.values[name] == value


def test_a_field_twice_is_an_error():
    assert read(("state", "any"), ("state", "any")).errors == {"state": "is given more than once"}


def test_the_query_asks_for_the_same_again():
    form = read(("state", "any"), ("email", "ann@example.org"))
    assert form.query(older_than="x") == "state=any&email=ann%40example.org&older_than=x"
