"""Keys in the DNS that no verifier takes, and the words that say why."""

import base64

import pytest

from maild.domain import dkim_record

RSA_OID = bytes.fromhex("2a864886f70d010101")
EC_OID = bytes.fromhex("2a8648ce3d0201")
SEQUENCE, INTEGER, BIT_STRING, OID = 0x30, 0x02, 0x03, 0x06


def der(tag, *parts):
    """A DER value, its length in two bytes where it is long (X.690 8.1.3)."""
    body = b"".join(parts)
    length = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
    return bytes([tag]) + length + body


def rsa_key(bits):
    """RSAPublicKey (RFC 8017 A.1.1): nobody knows its private half."""
    modulus = (1 << (bits - 1)) + 1
    return der(SEQUENCE, der(INTEGER, modulus.to_bytes(bits // 8, "big")), der(INTEGER, b"\x03"))


def wrapped(oid, key):
    """SubjectPublicKeyInfo (RFC 5280 4.1.2.7)."""
    return der(SEQUENCE, der(SEQUENCE, der(OID, oid)), der(BIT_STRING, b"\x00", key))


def record(raw):
    return f"v=DKIM1; k=rsa; p={base64.b64encode(raw).decode()}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", "no list of tags"),
        ("v=DKIM1; p=AAAA; p=BBBB", "no list of tags"),
        ("v=DKIM1; =x; p=AAAA", "no list of tags"),
        ("v=DKIM2; p=AAAA", "version is not DKIM1"),
        ("v=DKIM1; k=rsa", "p= is missing"),
        ("v=DKIM1; s=tlsrpt; p=AAAA", "not for e-mail"),
        ("v=DKIM1; h=sha1; p=AAAA", "does not allow SHA-256"),
        ("v=DKIM1; p=", "was revoked"),
        ("v=DKIM1; p=A", "not valid Base64"),
        ("v=DKIM1; k=ed25519; p=AAAA", "has 32 bytes"),
        ("v=DKIM1; k=dsa; p=AAAA", "k=dsa"),
        (record(rsa_key(768)), "RSA key of 768 bits is too short"),
        (record(b""), "was revoked"),
        (record(b"\x00\x00\x00"), "no RSA key"),
        (record(rsa_key(1024)[:-1]), "no RSA key"),
        (record(rsa_key(1024) + b"\x00"), "no RSA key"),
        (record(wrapped(EC_OID, rsa_key(1024))), "no RSA key"),
        (record(b"\x30\x80\x00\x00"), "no RSA key"),  # DER has no endless lengths (X.690 10.1)
        (record(b"\x30\x85\x00\x00\x00\x00\x01\x00"), "no RSA key"),
        (record(b"\x30"), "no RSA key"),
    ],
)
def test_a_key_that_no_verifier_takes_says_why(text, words):
    key = dkim_record.parse(text)
    assert words in str(key.problem)
    assert key.is_revoked is (words == "was revoked")


@pytest.mark.parametrize("raw", [rsa_key(1024), wrapped(RSA_OID, rsa_key(1024))])
def test_a_key_is_measured_with_its_wrapper_and_without(raw):
    assert dkim_record.parse(record(raw)) == dkim_record.Key("rsa", bits=1024)


def test_a_short_key_is_told_with_its_size():
    assert dkim_record.parse(record(rsa_key(512))).bits == 512


def test_flags_and_services_are_lists():
    text = record(rsa_key(2048))
    assert dkim_record.parse(f"{text}; t=s : y; s=other:email; h=sha1 : SHA256").is_test
    assert not dkim_record.parse(f"{text}; t=s").is_test
