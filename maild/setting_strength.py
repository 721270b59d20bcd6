"""How hard a secret is to guess, as far as its text tells. Standard library only: it runs at every
start in production.

A text is measured in effective characters: a run such as `aaaa`, `1234` or `qwerty`, a part that
stood before, and a word that everybody tries count as one or two. It finds what people make up, and
lets pass what a generator makes: 24 hexadecimal digits have 24 of them, give or take two.
"""

import re
from itertools import pairwise

HOW_TO_MAKE_ONE = "make one: openssl rand -base64 32"
HOW_TO_MAKE_A_PASSWORD = "make one that needs no quoting: openssl rand -hex 32"
EFFECTIVE_SHARE = 2 / 3
"""Of the characters that a secret must have at least: so many must be effective ones."""
PLAIN_LETTERS_MIN = 40
"""A secret of letters in one case is made of words: so many characters are six of them."""
DISTINCT_BYTES_MIN = 20
"""Of 32 random bytes some 30 differ; fewer than 20 come once in 10^11 times."""

_REPEAT_MIN = 4
_WORD_COST = 2
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop", "1234567890")
# Longer ones first: each is taken out of the text before the next is looked for.
_WORDS = re.compile(
    "placeholder|development|production|passphrase|administrator|encryption|correcthorse|password"
    "|passw0rd|p4ssw0rd|p@ssw0rd|changeit|changeme|change-me|change_me|iloveyou|postgres|operator"
    "|insecure|internal|welcome|example|webhook|company|default|private|letmein|monkey|dragon"
    "|replace|insert|master|public|secret|server|sample|valkey|qwerty|admin|guest|maild|redis|smtp"
    "|staging|token|dummy|please|testing|hunter2|19[5-9][0-9]|20[0-4][0-9]"
)
_PLACEHOLDER = re.compile(
    r"[<\[{$].*[>\]}]|x{3,}|\*{3,}|\.{3,}"
    r"|((your|my|the|very|super|top|some|pass|passwd|password|pw|secret|key|token|value|changeme"
    r"|change[-_ ]?(me|it|this)|example|placeholder|todo|replace[-_ ]?me|insert|here|please"
    r"|default|admin|root|test|postgres|redis|valkey|maild|smtp|guest|user|none|null)[-_ ]?){1,6}"
    r"[0-9!]{0,4}",
    re.IGNORECASE,
)


def is_placeholder(text: str) -> bool:
    """Whether a text is none at all: what stands in examples, or what everybody tries first."""
    return bool(_PLACEHOLDER.fullmatch(text.strip()))


def weakness(text: str, *, min_chars: int) -> str | None:
    """What makes a secret weak, as the end of a sentence that does not repeat it; None: nothing."""
    if is_placeholder(text):
        return "is a placeholder"
    if len(text) < min_chars:
        return f"is too short: at least {min_chars} characters"
    is_plain = not re.search(r"[0-9]", text) and (text == text.lower() or text == text.upper())
    if effective_chars(text) < min_chars * EFFECTIVE_SHARE or (
        is_plain and len(text) < min(PLAIN_LETTERS_MIN, 2 * min_chars)
    ):
        return "is easy to guess: it is made of words, runs or repeats"
    return None


def key_weakness(key: bytes) -> str | None:
    """The same of a binary key."""
    if all(0x20 <= byte <= 0x7E for byte in key):
        return "is text, and not random bytes"
    steps = [(after - before) % 256 for before, after in pairwise(key)]
    if len(set(key)) < DISTINCT_BYTES_MIN or len(set(steps)) < DISTINCT_BYTES_MIN // 2:
        return "is not random: its bytes repeat or follow each other"
    return None


def effective_chars(text: str) -> int:
    """The characters of a text that are none of a word, a run, or a repeat of what was before."""
    lower = text.lower()
    word_count = len(_WORDS.findall(lower))
    rest = _WORDS.sub("\0", lower)
    count, place = word_count * _WORD_COST, 0
    while place < len(rest):
        if rest[place] == "\0":
            place += 1
            continue
        length = max(_run(rest, place), _repeat(rest, place))
        count += 1
        place += length if length >= _REPEAT_MIN else 1
    return count


def _run(text: str, start: int) -> int:
    """How long what begins at `start` goes on in steps of -1, 0 or 1, or along a keyboard's row."""
    longest = 1
    for step in (-1, 0, 1):
        end = start + 1
        while end < len(text) and ord(text[end]) - ord(text[end - 1]) == step:
            end += 1
        longest = max(longest, end - start)
    for row in _ROWS:
        for keys in (row, row[::-1]):
            end = start + 1
            while end < len(text) and text[start : end + 1] in keys:
                end += 1
            longest = max(longest, end - start)
    return longest


def _repeat(text: str, start: int) -> int:
    """How long what begins at `start` is the same as something before it."""
    length = 0
    while start + length < len(text) and text[start : start + length + 1] in text[:start]:
        length += 1
    return length
