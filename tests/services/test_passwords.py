"""Passwords: which are good enough, and how they are kept."""

import importlib.util
import sys
import threading
import unicodedata

import argon2
import pytest

from maild.services import passwords
from maild.services.passwords import MAX_CHARS, MIN_CHARS
from tests.services.peopling import short

pytestmark = pytest.mark.proves("security-passwords")


GOOD = "a quiet river at dawn"
ABOUT = ("annabel.smithson@bakery.example", "Annabel Smithson")


def fresh_module():
    """The module as a process of maild loads it, without what the tests put in."""
    spec = importlib.util.find_spec("maild.services.passwords")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_hash_is_argon2id_with_the_parameters_of_rfc_9106():
    hasher = fresh_module().hasher
    assert hasher.hash(b"x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert (hasher.salt_len, hasher.hash_len) == (16, 32)


def test_every_hash_has_a_salt_of_its_own():
    assert len({passwords.make_hash(GOOD) for _ in range(10)}) == 10


def test_the_right_password_is_right_and_no_other():
    stored = passwords.make_hash(GOOD)
    assert passwords.is_right(GOOD, stored)
    for other in ("", GOOD[:-1], GOOD + " ", " " + GOOD, GOOD.upper(), GOOD + "\0", stored):
        assert not passwords.is_right(other, stored), other


@pytest.mark.parametrize("password", ["nobody's password", "", GOOD])
def test_without_a_hash_every_password_is_wrong(password):
    assert not passwords.is_right(password, None)


@pytest.mark.parametrize("stored", ["", "x", "$argon2id$", "$2b$12$" + "a" * 53, GOOD])
def test_what_is_no_hash_fits_nothing(stored):
    assert not passwords.is_right(GOOD, stored)


def test_a_hash_of_other_parameters_is_outdated():
    assert not passwords.is_outdated(passwords.make_hash(GOOD))
    older = argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(GOOD)
    assert passwords.is_outdated(older)
    assert passwords.is_right(GOOD, older)


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "x9#kQ2!vLp",
        "🐢🐇🐎🐘🦉🐙🦀🐝🐞🦋",
        "пароль у синего моря",
        "青い空と白い雲と赤い花と",
        "river\0dawn\0quiet",
        "  spaces around it  ",
        "q8Zr!" + "".join(chr(0x3041 + n * n % 83) for n in range(MAX_CHARS - 5)),
    ],
)
def test_a_good_password_is_taken_as_it_is(password):
    assert passwords.find_fault(password, about=ABOUT) is None
    assert passwords.is_right(password, passwords.make_hash(password))


@pytest.mark.parametrize(
    "password", ["", "x", "x9#kQ2!vL", "🐢🐇🐎🐘🦉🐙🦀🐝🐞", "é" * 9, "e\u0301" * 9, " " * 9]
)
def test_fewer_characters_than_ten_are_too_few(password):
    assert passwords.find_fault(password) == f"needs {MIN_CHARS} characters or more"


@pytest.mark.parametrize(
    "password", ["xQ9 " * 51, "é" * 201, "long " * 2_048, "a" * 100_000], ids=short
)
def test_what_is_too_long_is_refused_without_a_hash(password, monkeypatch):
    monkeypatch.setattr(passwords, "hasher", None)
    assert passwords.find_fault(password) == f"is longer than {MAX_CHARS} characters"
    assert not passwords.is_right(password, "a hash")


@pytest.mark.parametrize(
    "password",
    [
        "1234567890", "0987654321", "password123", "Password2026!", "passwordpassword",
        "qwertyuiop", "qwertzuiop123", "letmeinplease", "iloveyou12345", "P@ssw0rd2026",
        "aaaaaaaaaaaa", "abcabcabcabc", "a" * 200, " " * 12, "\0" * 12, "😀" * 12,
        "01.01.1990", "19900101199", "ｐａｓｓｗｏｒｄ１２３", "maildmaild", "Maild 2026",
    ], ids=short)  # fmt: skip
def test_what_is_guessed_first_is_refused_with_a_reason(password):
    fault = passwords.find_fault(password)
    assert fault is not None
    assert fault.startswith("is too easy to guess")
    assert not fault.endswith(".")
    assert password not in fault


@pytest.mark.parametrize(
    "password",
    [
        "annabel.smithson@bakery.example",
        "ANNABEL.SMITHSON@bakery.example",
        "annabel.smithson",
        "Annabel Smithson",
        "annabelsmithson",
        "AnnabelSmithson1987",
        "smithson.annabel!",
        "smithson1987",
        "bakery.example",
        "Annabel-Bakery-1",
        "４Annabel Smithson",
    ],
)
def test_the_name_and_address_of_its_owner_are_no_password(password):
    fault = passwords.find_fault(password, about=ABOUT)
    assert fault is not None
    assert fault.startswith("is too easy to guess")
    assert passwords.find_fault(f"{password} crosses a quiet river", about=ABOUT) is None


def test_somebody_elses_name_is_left_to_be_judged():
    assert passwords.find_fault("xqzwkliv-vbnmrtok", about=ABOUT) is None
    assert passwords.find_fault("xqzwkliv-vbnmrtok", about=("vbnmrtok.xqzwkliv@a.example",))


def test_short_names_do_not_stand_in_the_way():
    assert passwords.find_fault(GOOD, about=("a@at.dawn.example", "A R")) is None


@pytest.fixture
def eager_threads():
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_many_judged_at_once_are_each_judged_by_their_own_name():
    """zxcvbn keeps the names in a global."""
    names = ["xqzwkliv", "vbnmrtok", "jhgkwqzx", "pzxvwkmb"]
    wrong: list[str] = []
    start = threading.Barrier(len(names))

    def judge(name: str) -> None:
        start.wait(10)
        for _ in range(25):
            if passwords.find_fault(name[::-1] + "11", about=(name,)) is None:
                wrong.append(name)

    threads = [threading.Thread(target=judge, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("crème brûlée at noon", unicodedata.normalize("NFD", "crème brûlée at noon")),
        ("ｃｒｅｍｅ ｂｒｕｌｅｅ", "creme brulee"),
        ("Å ngström river", "\u212b ngström river"),
    ],
)
def test_a_password_is_one_in_every_form_that_a_keyboard_gives_it(one, other):
    assert one != other
    assert passwords.is_right(other, passwords.make_hash(one))
    assert passwords.is_right(one, passwords.make_hash(other))


def test_nothing_behind_a_nul_is_cut_off():
    stored = passwords.make_hash("quiet\0river at dawn")
    assert not passwords.is_right("quiet\0", stored)
    assert not passwords.is_right("quiet\0river at dusk", stored)


def test_half_of_a_surrogate_pair_is_no_error():
    assert not passwords.is_right("\ud800" + GOOD, passwords.make_hash(GOOD))
    assert passwords.find_fault("\ud800" * 12)


def test_more_at_once_than_are_hashed_at_once_all_come_through():
    hashes: list[str] = []
    threads = [
        threading.Thread(target=lambda: hashes.append(passwords.make_hash(GOOD)))
        for _ in range(3 * passwords.AT_ONCE_MAX)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(passwords.is_right(GOOD, one) for one in hashes)
    assert len(hashes) == len(threads)
