"""DKIM signatures against an independent verifier, dkimpy; and the records of keys."""

import base64
import hashlib

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dkim.canonicalization import Relaxed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maild.domain import dkim
from maild.domain.dkim import Algorithm, RecordState, Signer
from maild.domain.dkim_canon import canonical_body, canonical_field
from tests.dkim_checks import signatures, verdicts

DOMAIN = "example.org"
_rsa = generate_private_key(public_exponent=65537, key_size=2048)
_ed25519 = Ed25519PrivateKey.generate()
RSA = Signer(
    DOMAIN, "one", Algorithm.RSA, lambda data: _rsa.sign(data, PKCS1v15(), hashes.SHA256())
)
ED25519 = Signer(
    DOMAIN, "two", Algorithm.ED25519, lambda data: _ed25519.sign(hashlib.sha256(data).digest())
)
PUBLIC = {
    RSA: base64.b64encode(
        _rsa.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode(),
    ED25519: base64.b64encode(_ed25519.public_key().public_bytes_raw()).decode(),
}
RECORDS = {
    dkim.record_name(signer.selector, DOMAIN): dkim.record_value(signer.algorithm, public)
    for signer, public in PUBLIC.items()
}
MESSAGE = (
    b"Date: Sat, 28 Nov 2026 10:00:00 +0000\r\n"
    b"From: Shop <shop@example.org>\r\n"
    b"To: ann@example.net\r\n"
    b"Subject: a long one that is\r\n folded,\r\n\tand folded again\r\n"
    b"X-Own: not signed\r\n"
    b"List-Unsubscribe: <https://example.org/u/abc>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n"
    b"\r\n"
    b"Hello  Ann,\t \r\n.\r\n..dots\r\n\r\nbye \r\n\r\n\r\n"
)


def signed(message: bytes = MESSAGE, *signers: Signer, unsigned: frozenset[str] = frozenset()):  # type: ignore[no-untyped-def]
    return dkim.sign(message, signers or (RSA, ED25519), at=1_700_000_000, unsigned=unsigned)


def test_both_signatures_hold_for_an_independent_verifier() -> None:
    message = signed()
    assert message.endswith(MESSAGE)
    assert verdicts(message, RECORDS) == [True, True]
    assert [tags["a"] for tags in signatures(message)] == ["rsa-sha256", "ed25519-sha256"]
    assert all(len(line) <= 78 for line in message.split(b"\r\n"))


def test_there_is_neither_a_length_nor_an_end() -> None:
    for tags in signatures(signed()):
        assert tags.keys() == {"v", "a", "c", "d", "s", "t", "h", "bh", "b"}
        assert tags["c"] == "relaxed/relaxed"
        assert tags["t"] == "1700000000"


@pytest.mark.parametrize(
    "changed",
    [
        MESSAGE.replace(b"abc>", b"abd>"),
        MESSAGE.replace(b"List-Unsubscribe: <https://example.org/u/abc>\r\n", b""),
        MESSAGE.replace(b"=One-Click", b"=One-Clock"),
        MESSAGE.replace(b"bye", b"Bye"),
        MESSAGE + b"more\r\n",
        b"From: Somebody <else@example.com>\r\n" + MESSAGE,
        b"Subject: another\r\n" + MESSAGE,
        b"Cc: everybody@example.com\r\n" + MESSAGE,
        MESSAGE.replace(b"X-Own", b"From: eve@example.com\r\nX-Own"),
    ],
)
def test_what_is_changed_on_the_way_breaks_it(changed: bytes) -> None:
    own = signed().removesuffix(MESSAGE)
    assert verdicts(own + changed, RECORDS) == [False, False]


@pytest.mark.parametrize(
    "changed",
    [
        MESSAGE.replace(b"\r\n folded,\r\n\tand", b" folded,\r\n and"),
        MESSAGE.replace(b"X-Own: not signed\r\n", b""),
        b"Received: from a by b\r\n" + MESSAGE,
        MESSAGE + b"\r\n\r\n",
        MESSAGE.replace(b"Ann,\t ", b"Ann,"),
        MESSAGE.replace(b"Subject:", b"SUBJECT:"),
    ],
)
def test_what_relays_may_do_keeps_it(changed: bytes) -> None:
    own = signed().removesuffix(MESSAGE)
    assert verdicts(own + changed, RECORDS) == [True, True]


def test_fields_that_a_provider_writes_anew_are_left_out() -> None:
    message = signed(MESSAGE, RSA, unsigned=frozenset({"Date", "Message-ID"}))
    [tags] = signatures(message)
    assert "Date" not in tags["h"].split(":")
    assert "From" in tags["h"].split(":")
    assert verdicts(message.replace(b"10:00:00", b"11:22:33"), RECORDS) == [True]


def test_the_same_message_is_signed_alike_each_time() -> None:
    assert signed() == signed()


WSP = st.text(" \t", max_size=3)


def lines(without: str) -> st.SearchStrategy[str]:
    chunk = st.text(st.characters(codec="utf-8", exclude_characters=without), max_size=20)
    return st.builds("".join, st.lists(st.one_of(WSP, chunk), max_size=4))


BODY = st.lists(lines("\r\n\0"), max_size=8).map("\r\n".join).map(str.encode)
NAME = st.sampled_from(["Subject", "To", "X-Other", "Reply-To", "List-Unsubscribe", "Feedback-ID"])
# At the end of a value the other implementation takes VT and FF for white space, against RFC 6376
# 3.4.2 and RFC 5234 B.1. No field is written with them as they are: `mime_headers` encodes them.
VALUE = st.lists(lines("\r\n\0\v\f"), min_size=1, max_size=3).map(
    lambda values: "\r\n ".join(f"x{value}" for value in values).encode()
)
slowly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@slowly
@given(body=BODY, name=NAME, value=VALUE)
def test_canonical_forms_are_those_of_an_independent_implementation(
    body: bytes, name: str, value: bytes
) -> None:
    whole = body if body.endswith(b"\r\n") else body + b"\r\n"
    expected = Relaxed.canonicalize_body(whole)
    assert canonical_body(body) == (expected if expected != b"\r\n" else b"")
    [(own_name, own_value)] = Relaxed.canonicalize_headers(
        [(name.encode(), b" " + value + b"\r\n")]
    )
    assert canonical_field(name.encode() + b": " + value) == own_name + b":" + own_value


@slowly
@given(body=BODY, fields=st.lists(st.tuples(NAME, VALUE), max_size=5))
def test_whatever_is_signed_verifies(body: bytes, fields: list[tuple[str, bytes]]) -> None:
    own = b"".join(b"%s: %s\r\n" % (name.encode(), value) for name, value in fields)
    message = b"From: a@example.org\r\n" + own + b"\r\n" + body + b"\r\n"
    assert verdicts(signed(message), RECORDS) == [True, True]


def test_the_keys_of_the_domains_above_may_sign() -> None:
    assert dkim.list_parents("a.b.example.org") == ["a.b.example.org", "b.example.org", DOMAIN]
    assert dkim.list_parents(DOMAIN) == [DOMAIN]
    assert dkim.list_parents("localhost") == ["localhost"]


KEY = PUBLIC[RSA]
SPLIT = " ".join(KEY[n : n + 60] for n in range(0, len(KEY), 60))


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], RecordState.MISSING),
        (["GOOD"], RecordState.PUBLISHED),
        (["v=DKIM1;k=rsa;p=SPLIT;"], RecordState.PUBLISHED),
        (["p=KEY"], RecordState.PUBLISHED),
        (["v=DKIM1; t=y; h=sha1:sha256; k=rsa; p=KEY"], RecordState.PUBLISHED),
        (["v=DKIM1; h=sha1; p=KEY"], RecordState.DIFFERENT),
        (["v=DKIM1; k=ed25519; p=KEY"], RecordState.DIFFERENT),
        (["v=DKIM1; k=rsa; p=AAAA"], RecordState.DIFFERENT),
        (["v=DKIM1; k=rsa; p="], RecordState.REVOKED),
        (["v=DKIM1; k=rsa"], RecordState.DIFFERENT),
        (["v=spf1 -all"], RecordState.DIFFERENT),
        (["nonsense"], RecordState.DIFFERENT),
        (["GOOD", "v=DKIM1; p="], RecordState.DIFFERENT),
    ],
)
def test_a_record_is_compared_with_the_key(records: list[str], expected: RecordState) -> None:
    good = dkim.record_value(Algorithm.RSA, KEY)
    told = [
        record.replace("GOOD", good).replace("SPLIT", SPLIT).replace("KEY", KEY)
        for record in records
    ]
    assert dkim.compare(told, Algorithm.RSA, KEY) is expected


def test_a_long_record_is_split_for_zone_files() -> None:
    value = dkim.record_value(Algorithm.RSA, KEY)
    strings = dkim.zone_value(value).strip('"').split('" "')
    assert "".join(strings) == value
    assert [len(string) <= 255 for string in strings] == [True, True]
    assert dkimpy.dnsplug  # the verifier that these tests lean on is there
