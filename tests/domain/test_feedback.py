"""What follows from a provider event."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.feedback import PROGRESS, Consequence, advance, judge, read_response
from maild.domain.provider_event import ProviderEvent, ProviderEventType, RejectReason
from maild.domain.smtp_reply import ErrorClass
from maild.domain.states import MOVES, Status
from maild.domain.suppression import SuppressionClass

T = ProviderEventType


def event(kind: ProviderEventType, **fields) -> ProviderEvent:
    return ProviderEvent(event_type=kind, recipient="ann@example.org", **fields)


def bounce(response: str | None = None, *, is_hard: bool | None = None, **fields) -> Consequence:
    return judge(event(T.BOUNCED, mta_response=response, is_hard=is_hard, **fields))


ALL_SIX = (T.SENT, T.DEFERRED, T.DELIVERED, T.BOUNCED, T.COMPLAINED, T.UNSUBSCRIBED)


@pytest.mark.parametrize("start", [Status.SENT, Status.UNKNOWN, Status.DELIVERED])
def test_every_order_of_reports_ends_in_the_same_state(start):
    ends = set()
    for order in permutations(ALL_SIX):
        status = start
        for kind in order:
            target = judge(event(kind)).target
            status = (advance(status, target) if target else None) or status
        ends.add(status)
    assert ends == {Status.COMPLAINED}


@given(st.lists(st.sampled_from(sorted(T)), max_size=8), st.randoms())
def test_any_reports_in_any_order_end_in_the_same_state(kinds, random):
    def end(order):
        status = Status.SENT
        for kind in order:
            target = judge(event(kind)).target
            status = (advance(status, target) if target else None) or status
        return status

    shuffled = list(kinds)
    random.shuffle(shuffled)
    assert end(kinds) == end(shuffled)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("target", PROGRESS)
def test_it_only_moves_where_the_states_allow_it(status, target):
    new = advance(status, target)
    assert new is None or new in MOVES[status]


@pytest.mark.parametrize("kind", [T.UNKNOWN, T.SUBSCRIBED, T.AUTORESPONDED])
def test_nothing_follows_from_these(kind):
    assert judge(event(kind)) == Consequence()


@pytest.mark.parametrize(
    "response",
    [
        "smtp; 550 5.1.1 <ann@example.org>... User unknown",
        "550 5.1.1 The account does not exist",
        "550-5.1.1 The email account that you tried to reach\n550 5.1.1 does not exist",
        "host mx.example.org said: 550 5.1.1 No such user",
        None,
        "",
        "something that nobody has ever said",
        "550 Something that nobody has ever said",
    ],
)
def test_a_hard_bounce_suppresses(response):
    assert bounce(response, is_hard=True).suppression is SuppressionClass.HARD_BOUNCE


@pytest.mark.parametrize(
    ("response", "description"),
    [
        ("552 5.2.2 Mailbox full", None),
        ("550 5.7.1 Message rejected as spam", None),
        ("421 4.7.0 Too many connections", None),
        ("550 5.7.1 Service unavailable; client host blocked using example", None),
        (None, "The recipient's mailbox is full"),
        ("Message size exceeds the limit", None),
    ],
)
def test_a_hard_bounce_with_another_cause_does_not(response, description):
    assert bounce(response, is_hard=True, description=description).suppression is None


@pytest.mark.parametrize("is_hard", [False, None])
def test_a_bounce_without_words_does_not_suppress_unless_it_is_hard(is_hard):
    found = bounce(is_hard=is_hard)
    assert (found.suppression, found.is_soft_bounce) == (None, True)


def test_the_servers_words_decide_where_the_provider_does_not_say():
    assert bounce("550 5.1.1 User unknown").suppression is SuppressionClass.HARD_BOUNCE
    assert bounce("550 5.1.1 User unknown", is_hard=False).suppression is None


def test_maild_believes_its_own_reading_of_a_bounce_mail():
    told = event(T.BOUNCED, mta_response="552 5.2.2 Mailbox full", is_hard=True)
    assert judge(told, is_read_by_maild=True).suppression is SuppressionClass.HARD_BOUNCE
    unsure = event(T.BOUNCED, mta_response="550 5.1.1 User unknown", is_hard=None)
    assert judge(unsure, is_read_by_maild=True).suppression is None


@pytest.mark.parametrize(
    ("response", "reason", "counts"),
    [
        ("452 4.2.2 Mailbox full", None, True),
        ("550 5.2.1 Mailbox disabled", None, True),
        ("451 4.4.1 Connection timed out", None, True),
        ("550 5.7.1 Message rejected as spam", None, False),
        ("550 5.7.1 Your IP has a poor reputation", None, False),
        (None, RejectReason.BLOCKED, False),
        (None, RejectReason.SPAM, False),
        (None, RejectReason.TIMED_OUT, True),
        (None, None, True),
    ],
)
def test_only_the_mailboxs_trouble_counts_as_a_soft_bounce(response, reason, counts):
    assert bounce(response, is_hard=False, reject_reason=reason).is_soft_bounce is counts


@pytest.mark.parametrize("kind", [T.REJECTED, T.FAILED, T.DEFERRED])
def test_what_never_left_the_provider_says_nothing_of_the_address(kind):
    found = judge(event(kind, is_hard=True, mta_response="550 5.1.1 User unknown"))
    assert not found.needs_address


@pytest.mark.parametrize("kind", [T.DELIVERED, T.OPENED, T.CLICKED])
def test_what_arrives_ends_a_row_of_soft_bounces(kind):
    assert judge(event(kind)).is_delivery


@pytest.mark.parametrize(
    ("text", "error_class"),
    [
        ("smtp; 550 5.1.1 User unknown", ErrorClass.INVALID_RECIPIENT),
        ("X-Postfix; 550 5.1.1 User unknown", ErrorClass.INVALID_RECIPIENT),
        ("4.2.2 The mailbox is full", ErrorClass.MAILBOX_FULL),
        ("5.1.1", ErrorClass.INVALID_RECIPIENT),
        ("sent (250 2.0.0 OK)", None),
        ("no code at all", None),
        ("", None),
        (None, None),
    ],
)
def test_it_reads_a_servers_words_as_providers_pass_them_on(text, error_class):
    verdict = read_response(text)
    assert (verdict and verdict.error_class) == error_class


@given(st.text(max_size=300))
def test_no_words_are_too_strange(text):
    read_response(text)
    bounce(text, is_hard=True)
