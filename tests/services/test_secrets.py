"""Encryption at rest: opens with the right key in the right place, and nowhere else."""

import pytest

from maild import config
from maild.errors import DecryptionError
from maild.services import secrets

KEY = bytes(range(32))
PLACE = "1/smtp_accounts/7/password"


@pytest.mark.parametrize("text", ["", "hunter2", "pässwörd ✓", "x" * 10_000])
def test_it_opens_what_it_closed(text: str) -> None:
    blob = secrets.encrypt(text, key=KEY, place=PLACE)
    assert secrets.decrypt(blob, key=KEY, place=PLACE) == text
    assert not text or text.encode() not in blob


def test_the_same_text_never_looks_the_same() -> None:
    blobs = {secrets.encrypt("x", key=KEY, place=PLACE) for _ in range(50)}
    assert len(blobs) == 50


@pytest.mark.proves("I23")
@pytest.mark.parametrize("place", ["2/smtp_accounts/7/password", "1/smtp_accounts/8/password", ""])
def test_it_does_not_open_in_another_place(place: str) -> None:
    blob = secrets.encrypt("hunter2", key=KEY, place=PLACE)
    with pytest.raises(DecryptionError, match="another place"):
        secrets.decrypt(blob, key=KEY, place=place)


def test_it_names_a_missing_key() -> None:
    blob = secrets.encrypt("hunter2", key=KEY, place=PLACE)
    with pytest.raises(DecryptionError, match="does not have now"):
        secrets.decrypt(blob, key=bytes(32), place=PLACE)


def test_it_encrypts_with_the_current_key_and_opens_with_every_held_one(use_settings):
    old, older = bytes([1]) * 32, bytes([2]) * 32
    blobs = [secrets.encrypt("hunter2", key=key, place=PLACE) for key in (older, old, KEY)]
    use_settings(encryption_key=KEY, encryption_keys_old=(old, older))
    for blob in (*blobs, secrets.encrypt("hunter2", place=PLACE)):
        assert secrets.decrypt(blob, place=PLACE) == "hunter2"
    use_settings(encryption_keys_old=())
    assert secrets.decrypt(secrets.encrypt("hunter2", place=PLACE), key=KEY, place=PLACE)
    for blob in blobs[:2]:
        with pytest.raises(DecryptionError, match="does not have now"):
            secrets.decrypt(blob, place=PLACE)
    assert secrets.held_keys() == (config.current().encryption_key,)


@pytest.mark.proves("security-encryption")
def test_it_notices_every_changed_byte() -> None:
    blob = secrets.encrypt("hunter2", key=KEY, place=PLACE)
    for position in range(len(blob)):
        damaged = bytearray(blob)
        damaged[position] ^= 1
        with pytest.raises(DecryptionError):
            secrets.decrypt(bytes(damaged), key=KEY, place=PLACE)


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x01abcd", b"short" * 3])
def test_it_refuses_what_is_no_blob(blob: bytes) -> None:
    with pytest.raises(DecryptionError):
        secrets.decrypt(blob, key=KEY, place=PLACE)
