"""The moves of a message."""

import pytest

from maild.domain.states import (
    MOVES,
    PRIORITY,
    UNFINISHED,
    EventType,
    Status,
    Stream,
    can_move,
)

S = Status
FOUND_SENT = {S.SENT, S.DELIVERED, S.BOUNCED, S.COMPLAINED}


def reachable(start, *, without=frozenset()):
    seen, todo = {start}, [start]
    while todo:
        for status in MOVES[todo.pop()] - seen - without:
            seen.add(status)
            todo.append(status)
    return seen


def test_every_status_has_its_moves():
    assert set(MOVES) == set(Status)


def test_staying_is_no_move():
    assert not any(can_move(status, status) for status in Status)


def test_every_status_can_be_reached_from_queued():
    assert reachable(S.QUEUED) == set(Status)


def test_nothing_is_sent_that_nobody_holds():
    assert [old for old in Status if can_move(old, S.SENDING)] == [S.QUEUED]
    without_sending = reachable(S.QUEUED, without={S.SENDING})
    assert without_sending.isdisjoint({S.UNKNOWN})


def test_what_waits_may_turn_out_to_have_been_sent():
    """A provider may report on an attempt whose outcome was unknown, or that was made since the
    backup that a restore brought back.
    """
    assert MOVES[S.QUEUED] > FOUND_SENT
    assert MOVES[S.HELD] > FOUND_SENT


@pytest.mark.parametrize("status", [S.SUPPRESSED, S.CANCELLED, S.EXPIRED, S.COMPLAINED])
def test_these_are_the_end(status):
    assert MOVES[status] == set()


def test_what_was_sent_is_never_sent_again():
    for status in (S.SENT, S.DELIVERED, S.BOUNCED):
        assert reachable(status) <= {S.SENT, S.DELIVERED, S.BOUNCED, S.COMPLAINED}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (S.DELIVERED, S.BOUNCED),  # a late bounce beats delivered
        (S.SENDING, S.QUEUED),  # deferred
        (S.FAILED, S.QUEUED),  # a person retries
        (S.UNKNOWN, S.QUEUED),
        (S.UNKNOWN, S.DELIVERED),  # the provider tells how it ended
        (S.HELD, S.QUEUED),
    ],
)
def test_it_allows(old, new):
    assert can_move(old, new)


@pytest.mark.proves("deliver-states")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (S.BOUNCED, S.DELIVERED),
        (S.SENT, S.QUEUED),
        (S.FAILED, S.SENT),
        (S.SUPPRESSED, S.QUEUED),
        (S.QUEUED, S.UNKNOWN),
        (S.HELD, S.SENDING),
        (S.UNKNOWN, S.FAILED),
    ],
)
def test_it_refuses(old, new):
    assert not can_move(old, new)


def test_the_console_keeps_watching_what_maild_still_has_to_do():
    moved_by_maild = {S.QUEUED, S.SENDING, S.HELD}
    assert moved_by_maild == UNFINISHED


def test_words_are_the_words_of_the_contract():
    assert {status.value for status in Status} == {
        "queued", "sending", "sent", "delivered", "bounced", "complained", "failed", "suppressed",
        "cancelled", "expired", "held", "unknown",
    }  # fmt: skip
    kinds = {"message", "provider", "freeze", "policy", "conservation", "deployment", "maild"}
    assert {event.value.partition(".")[0] for event in EventType} == kinds


def test_a_held_message_can_be_let_go_or_end():
    assert MOVES[S.HELD] - FOUND_SENT == {S.QUEUED, S.CANCELLED, S.EXPIRED, S.SUPPRESSED}


def test_what_is_on_its_way_is_never_cancelled_or_expired():
    """A worker has it: only its outcome, or what it knows was not offered, may move it."""
    assert MOVES[S.SENDING] == {S.QUEUED, S.SENT, S.FAILED, S.UNKNOWN, S.SUPPRESSED}


def test_transactional_mail_goes_first():
    assert set(PRIORITY) == set(Stream)
    assert PRIORITY[Stream.TRANSACTIONAL] < PRIORITY[Stream.MARKETING]
