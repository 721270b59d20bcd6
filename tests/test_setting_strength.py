"""Weak secrets: what people make up is found, and what a generator makes is let pass."""

import base64
import random

import pytest

from maild.setting_strength import effective_chars, is_placeholder, key_weakness, weakness

MADE_UP = [
    "s" * 40, "abcdefghijklmnopqrstuvwxyz", "0123456789" * 4, "password" * 4,
    "change-me-admin-key-please",
    "qwertyuiopasdfghjklzxcvbnm", "MyCompany-Production-Key-2024!", "aBcD1234aBcD1234aBcD1234",
    "3f3f3f3f3f3f3f3f3f3f3f3f", "admin-key-that-is-long-enough", "test-admin-key-0123456789abcdef",
    "PostgresPassword1234567890", "correct horse battery staple",
]  # fmt: skip


@pytest.mark.parametrize("text", MADE_UP)
def test_what_is_made_up_is_weak(text):
    assert weakness(text, min_chars=24) is not None
    assert text not in str(weakness(text, min_chars=24))


@pytest.mark.parametrize(
    "text",
    [
        "PASSWORD", "changeme", "change-me", "ChangeMe123", "example", "<password>", "[secret]",
        "your-secret-here", "my_super_secret_key", "xxxxxxxx", "****", "...", "${DB_PASSWORD}",
        "postgres", "maild", "admin123", "todo",
    ],
)  # fmt: skip
def test_what_stands_in_examples_is_a_placeholder(text):
    assert is_placeholder(text)
    assert weakness(text, min_chars=1) == "is a placeholder"


def test_what_a_generator_makes_is_strong():
    dice = random.Random(7)
    for _ in range(2_000):
        raw = dice.randbytes(32)
        assert weakness(base64.b64encode(raw).decode(), min_chars=24) is None
        assert weakness(raw.hex(), min_chars=24) is None
        assert weakness(raw[:12].hex(), min_chars=24) is None
        assert weakness(base64.urlsafe_b64encode(raw[:18]).decode(), min_chars=24) is None
        assert key_weakness(raw) is None


def test_six_words_of_a_passphrase_are_strong():
    assert weakness("paper-canal-otter-lantern-quilt-bishop-x", min_chars=24) is None


def test_a_short_one_is_told_how_long_it_should_be():
    assert weakness("hR7WkoY2ZbLsd9Uq", min_chars=24) == "is too short: at least 24 characters"


@pytest.mark.parametrize(
    "key",
    [
        bytes(32), b"\xff" * 32, bytes(range(32)), bytes(range(0, 256, 8)), bytes(range(16)) * 2,
        b"correct horse battery staple 32!", b"0123456789abcdef0123456789abcdef",
        b"\x00\xff" * 16,
    ],
)  # fmt: skip
def test_a_key_of_text_or_a_pattern_is_weak(key):
    assert len(key) == 32
    assert key_weakness(key) is not None


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("k7Q", 3), ("aaaa", 1), ("4321", 1), ("k7Qzk7Qz", 5), ("Password1", 3)],
)
def test_runs_repeats_and_words_count_as_one_or_two(text, count):
    assert effective_chars(text) == count
