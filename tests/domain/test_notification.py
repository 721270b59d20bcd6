"""What a notification says of an incident."""

import pytest

from maild.domain.notification import Occasion, facts, headline, more, retry_in

WHOLE = {
    "title": "Logins fail", "workspace": "Shop", "severity": "major", "message_count": 120,
    "recipient_count": 118, "smtp_account": "eu", "recipient_domain": "example.org",
    "likely_cause": "The password was changed.", "cause": "It was changed.",
}  # fmt: skip


def test_it_tells_all_that_is_known_in_one_order():
    assert facts(WHOLE) == [
        ("Workspace", "Shop"),
        ("Severity", "major"),
        ("Messages", "120, to 118 recipients"),
        ("Provider", "eu"),
        ("Recipients at", "example.org"),
        ("Likely cause", "The password was changed."),
        ("Cause", "It was changed."),
    ]


def test_what_is_not_known_is_not_told():
    empty = {**dict.fromkeys(WHOLE), "workspace": "Shop", "message_count": 0}
    assert facts(empty) == facts({"workspace": "Shop"}) == [("Workspace", "Shop")]
    assert ("Messages", "3, to 0 recipients") in facts({"workspace": "Shop", "message_count": 3})


def test_its_headline_says_what_happened():
    said = [headline(occasion, WHOLE) for occasion in Occasion]
    assert all(one.endswith(": Logins fail") for one in said)
    assert len(set(said)) == len(said)


@pytest.mark.parametrize(
    ("count", "words"), [(None, None), (0, None), (1, "1 other notification"), (7, "7 other")]
)
def test_it_counts_those_that_it_stands_for(count, words):
    told = more({"more_count": count})
    assert (told is None) if words is None else (f"And {words}" in str(told))


def test_a_servers_wish_to_wait_is_heard_within_bounds():
    assert retry_in(1) == 10
    assert retry_in(1, asked_seconds=60) == 60
    assert retry_in(3, asked_seconds=60) == 120
    assert retry_in(1, asked_seconds=10**9) == 21_600
    assert (retry_in(10), retry_in(11)) == (28_800, None)
