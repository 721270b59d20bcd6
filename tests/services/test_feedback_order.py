"""The order of reports does not matter, nor how they are batched: I10 on the database."""

from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maild.models import Event, Message, Suppression, Unsubscribe
from maild.services import report_loop, workers
from tests.services.helpers import LOST, Accept, end, take_one
from tests.services.reporting import about, send_all, status_of, store, suppressed

KINDS = ("sent", "deferred", "delivered", "hard_bounce", "complained", "unsubscribed")
ORDERS = list(permutations(KINDS))


@pytest.mark.proves("I10")
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    order=st.sampled_from(ORDERS),
    repeated=st.lists(st.sampled_from(KINDS), max_size=3),
    batches=st.lists(st.integers(1, 6), min_size=6, max_size=6),
)
def test_every_order_ends_in_the_same_state(accept: Accept, order, repeated, batches):
    for model in (Suppression, Unsubscribe, Message):
        model.delete().execute()
    message = accept()
    send_all(workers.enter())
    waiting = [about(message, kind) for kind in (*order, *repeated)]
    for size in batches:
        if waiting:
            store(*waiting[:size])
        waiting = waiting[size:]
        report_loop.drain()
    assert status_of(message) == "complained"
    assert suppressed() == {"ann@example.org": "complaint"}
    [unsubscribe] = Unsubscribe.select()
    assert (unsubscribe.email, unsubscribe.stream) == ("ann@example.org", None)
    told = Event.select().where(
        Event.message == message.id,
        Event.type << ["message.delivered", "message.bounced", "message.complained",
                       "message.reported"],
    )  # fmt: skip
    # Each report stands on the timeline once, as a move or beside it.
    assert sorted(event.data["type"] for event in told) == sorted(
        ["sent", "deferred", "delivered", "bounced", "complained", "unsubscribed"]
    )


@pytest.mark.proves("I10")
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(["sent", "delivered", "hard_bounce"]))
def test_an_unknown_outcome_ends_in_the_same_state_too(accept: Accept, order):
    for model in (Suppression, Message):
        model.delete().execute()
    message = accept()
    end(take_one(workers.enter()), LOST)
    for kind in order:
        store(about(message, kind))
        report_loop.drain()
    assert status_of(message) == "bounced"
