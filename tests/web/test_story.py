"""The words of a message's story, which need no page."""

from datetime import UTC, datetime

import pytest

from maild.domain.states import EventType, Status
from maild.models import Attempt, Event, Message
from maild.web import story

NOW = datetime(2026, 1, 31, tzinfo=UTC)
DATA = {"smtp_account": "eu", "to": "us", "reason": "421 busy", "tries": 10, "faults": 9}


def tell(kind: EventType, **data: object) -> story.Entry:
    [entry] = story.tell([], [Event(type=kind.value, data=data, created_at=NOW)])
    return entry


@pytest.mark.parametrize("kind", list(EventType))
def test_every_kind_of_event_has_words(kind: EventType) -> None:
    entry = tell(kind, **DATA, new_message_id="0198", old_message_id="0197")
    assert entry.words != kind.value
    assert "{" not in entry.words
    assert "?" not in entry.words


def test_what_the_words_say_is_not_told_twice() -> None:
    entry = tell(EventType.FAILED_OVER, **DATA)
    assert entry.words == "Mail goes through “us” instead of “eu”"
    assert dict(entry.details) == {"reason": "421 busy", "tries": 10, "faults": 9}


def test_words_survive_an_event_that_lacks_its_data() -> None:
    assert tell(EventType.FAILED_OVER).words == "Mail goes through “?” instead of “?”"


def test_words_in_an_event_are_no_template() -> None:
    assert "{evil}" in tell(EventType.PAUSED, smtp_account="{evil}").words


def test_a_release_by_a_worker_and_by_a_person_are_told_apart() -> None:
    assert tell(EventType.RELEASED, attempt_no=1).words.startswith("Given back")
    assert tell(EventType.RELEASED, by="me").words.startswith("Released")


@pytest.mark.parametrize(
    ("excused_count", "by_provider", "expected"),
    [
        (0, 0, []),
        (1, 1, ["1 attempt not counted, because the provider was at fault"]),
        (3, 3, ["3 attempts not counted, because the provider was at fault"]),
        (2, 0, ["2 attempts not counted, because a person retried it"]),
        (
            3,
            2,
            [
                "2 attempts not counted, because the provider was at fault",
                "1 attempt not counted, because a person retried it",
            ],
        ),
    ],
)
def test_it_says_why_attempts_do_not_count(
    excused_count: int, by_provider: int, expected: list[str]
) -> None:
    message = Message(excused_count=excused_count)
    attempts = [Attempt(is_excused=number < by_provider) for number in range(4)]
    assert story.excuse(message, attempts) == expected


def test_a_held_message_says_why() -> None:
    message = Message(status=Status.HELD, hold_reason="wrong price")
    explanation = story.explain(message, [], max_attempts=9, now=NOW)
    assert explanation.meaning == "It is kept back on purpose: wrong price"


def test_attempts_that_do_not_count_are_not_counted() -> None:
    message = Message(
        status=Status.QUEUED,
        attempt_count=5,
        excused_count=3,
        last_error="421 busy",
        next_attempt_at=NOW,
    )
    explanation = story.explain(message, [], max_attempts=9, now=NOW)
    assert explanation.next.startswith("Attempt 3 of 9 is due")
