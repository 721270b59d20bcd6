"""Passwords: which are good enough, and their hashes.

Argon2id with the parameters of RFC 9106 4 (second recommended option: 64 MiB, three passes). What
makes a good one follows OWASP ASVS 5.0 6.2 (length, not among the common ones, no rules about kinds
of characters, no changing every so often), with one that is short but hard to guess let pass.
"""

import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from maild.errors import Unavailable

MIN_CHARS = 10
MAX_CHARS = 200
GUESSABLE_MAX = 2
"""Of zxcvbn's scores 0 to 4: up to here it is found in fewer than 10^8 guesses."""
JUDGED_CHARS = 24
"""Judging takes longer with every character, up to a quarter of a second here, and nobody guesses
the first 24 of a good one.
"""
OWN_MIN_CHARS = 6
"""So much has to be left of a password without the words that are known of its owner."""
SERVICE = "maild"
AT_ONCE_MAX = 4
"""So many hashes a process makes at a time, of 64 MiB each."""
WAIT_SECONDS = 2

hasher = argon2.PasswordHasher()
_turns = threading.BoundedSemaphore(AT_ONCE_MAX)
_judging = threading.Lock()
"""zxcvbn keeps what is known of an owner in a global: two at once would mix them up."""
_WORD_MIN_CHARS = 3
_nobodys: list[str] = []
"""The hash of a password that nobody has, once it was needed."""


def find_fault(password: str, *, about: Sequence[str] = ()) -> str | None:
    """Why the password is not good enough, as the end of a sentence; None where it is.

    `about` is what others know of its owner, such as the address: it makes no password.
    """
    if len(password) > MAX_CHARS:
        return f"is longer than {MAX_CHARS} characters"
    password = _normal(password)
    if len(password) < MIN_CHARS:
        return f"needs {MIN_CHARS} characters or more"
    known = _words((*about, SERVICE))
    if _left_without(known, password) < OWN_MIN_CHARS:
        return "is too easy to guess: it is little more than your name, your address or “maild”"
    # Late: its lists of words are only of use where somebody chooses a password.
    from zxcvbn import zxcvbn

    with _one_of(_judging):
        result = zxcvbn(password[:JUDGED_CHARS], user_inputs=known)
    if result["score"] > GUESSABLE_MAX:
        return None
    feedback = result["feedback"]
    hints = [feedback["warning"].rstrip("."), *(s.rstrip(".") for s in feedback["suggestions"])]
    return ". ".join(["is too easy to guess", *(hint for hint in hints if hint)])


def make_hash(password: str) -> str:
    """The hash, with its parameters and salt."""
    with _one_of(_turns):
        return hasher.hash(_bytes(password))


def is_right(password: str, password_hash: str | None) -> bool:
    """Whether the password is the one. Without a hash it takes as long, and is wrong: the time
    tells nobody whether there is such a person.
    """
    if len(password) > MAX_CHARS:
        return False
    known = password_hash or _nobody()
    with _one_of(_turns):
        try:
            hasher.verify(known, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False
    return password_hash is not None


@contextmanager
def _one_of(turns: "threading.Lock | threading.Semaphore") -> Iterator[None]:
    """Wait for one's turn, but not for long: who waits keeps a thread from everything else. Raises
    Unavailable.
    """
    if not turns.acquire(timeout=WAIT_SECONDS):
        raise Unavailable(
            "Too many passwords are being checked at this moment. Try again.",
            retry_after_seconds=WAIT_SECONDS,
        )
    try:
        yield
    finally:
        turns.release()


def is_outdated(password_hash: str) -> bool:
    """Whether a hash was made with other parameters than those of today."""
    return hasher.check_needs_rehash(password_hash)


def _normal(password: str) -> str:
    """One form for what looks alike: keyboards and systems differ in how they write an é.

    NIST SP 800-63B 3.1.1.2 asks for it, with NFKC or NFKD, before the hash.
    """
    return unicodedata.normalize("NFKC", password)


def _bytes(password: str) -> bytes:
    return _normal(password).encode(errors="surrogatepass")


def _words(about: Iterable[str]) -> list[str]:
    """The texts and the words in them, the longest first."""
    found = {part for text in about for part in (text, *re.split(r"[\W_]+", text))}
    return sorted((_normal(word).lower() for word in found if word), key=len, reverse=True)


def _left_without(words: Sequence[str], password: str) -> int:
    """How many characters there are besides these words."""
    left = password.lower()
    for word in words:
        if len(word) >= _WORD_MIN_CHARS:
            left = left.replace(word, "")
    return len(left)


def _nobody() -> str:
    if not _nobodys:
        _nobodys.append(make_hash("nobody's password"))
    return _nobodys[0]
