"""When troubles make an incident, how bad it is, and what is said of it."""

import pytest

from maild.domain.incident import IncidentKind as K
from maild.domain.incident import Severity
from maild.domain.incident_advice import advise, title_of
from maild.domain.incident_rules import Volume, is_burst, is_of_path, seen_min, severity
from maild.domain.reply_classes import ErrorClass


@pytest.mark.parametrize(
    ("kind", "error_class", "volume", "expected"),
    [
        (K.DELIVERY, "policy", Volume(1, 0, 1), False),
        (K.DELIVERY, "policy", Volume(9, 0, 9), False),
        (K.DELIVERY, "policy", Volume(10, 0, 100), True),
        (K.DELIVERY, "policy", Volume(10, 0, 1_000), False),  # a hundredth of the mail
        (K.DELIVERY, "policy", Volume(10, 1_430, 100), False),  # no more than always
        (K.DELIVERY, "policy", Volume(31, 1_430, 100), True),
        (K.DELIVERY, "invalid_recipient", Volume(19, 0, 19), False),
        (K.DELIVERY, "invalid_recipient", Volume(20, 0, 200), True),
        (K.DELIVERY, "invalid_recipient", Volume(20, 0, 201), False),
        (K.PROVIDER, "auth", Volume(5, 0, 100), True),
        (K.PROVIDER, "auth", Volume(4, 0, 4), False),
        (K.UNKNOWN_OUTCOMES, "connection", Volume(5), True),
        (K.DELIVERY, "unknown", Volume(5, 0, 50, is_wide=True), True),
    ],
)
def test_a_burst(kind: K, error_class: str, volume: Volume, expected: bool) -> None:
    assert is_burst(kind, error_class, volume) is expected


@pytest.mark.parametrize(
    ("kind", "error_class", "volume", "expected"),
    [
        (K.PROVIDER, "auth", Volume(1), True),
        (K.UNKNOWN_OUTCOMES, None, Volume(1), True),
        (K.DELIVERY, "unknown", Volume(5, 0, 500, is_wide=True), True),
        (K.DELIVERY, "unknown", Volume(5, 0, 500), False),
        (K.DELIVERY, "unknown", Volume(400, 0, 500), True),
        (K.DELIVERY, "greylisted", Volume(100, 0, 500, is_wide=True), False),
        (K.DELIVERY, "greylisted", Volume(300, 0, 500, is_wide=True), True),
        (K.DELIVERY, "mailbox_full", Volume(500, 0, 500, is_wide=True), False),
        (K.DELIVERY, "spam_content", Volume(500, 0, 500, is_wide=True), False),
        (K.DEAD_LETTERS, None, Volume(500, is_wide=True), False),
    ],
)
def test_whose_trouble(kind: K, error_class: str | None, volume: Volume, expected: bool) -> None:
    assert is_of_path(kind, error_class, volume) is expected


@pytest.mark.parametrize(
    ("kind", "count", "has_path", "expected"),
    [
        (K.CONSERVATION, 0, True, Severity.CRITICAL),
        (K.PROVIDER, 1, False, Severity.CRITICAL),
        (K.PROVIDER, 1, True, Severity.MAJOR),
        (K.DELIVERY, 99, False, Severity.MINOR),
        (K.DELIVERY, 100, True, Severity.MAJOR),
        (K.DELIVERY, 10_000, True, Severity.CRITICAL),
        (K.DEAD_LETTERS, 0, True, Severity.MINOR),
    ],
)
def test_how_bad(kind: K, count: int, has_path: bool, expected: Severity) -> None:
    assert severity(kind, message_count=count, has_path=has_path) is expected


@pytest.mark.parametrize("kind", list(K))
@pytest.mark.parametrize("error_class", [*ErrorClass, None])
def test_there_is_something_to_say_of_everything(kind: K, error_class: str | None) -> None:
    advice = advise(kind, [error_class])
    assert advice.likely_cause.endswith(".")
    assert advice.suggested_action.endswith(".")
    title = title_of(
        kind, error_class=error_class, smtp_account="primary", recipient_domain="google"
    )
    assert "primary" in title


def test_the_most_telling_class_gives_the_advice() -> None:
    assert advise(K.PROVIDER, ["unknown", "auth"]) == advise(K.PROVIDER, ["auth"])


@pytest.mark.parametrize(
    ("kind", "error_class", "expected"),
    [
        (K.DELIVERY, "invalid_recipient", 20),
        (K.DELIVERY, "policy", 10),
        (K.DELIVERY, None, 10),
        (K.PROVIDER, "auth", 5),
        (K.UNKNOWN_OUTCOMES, None, 5),
    ],
)
def test_what_was_resolved_comes_back_as_it_came(kind, error_class, expected):
    assert seen_min(kind, error_class) == expected
