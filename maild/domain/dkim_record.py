"""DKIM key records: what a public key in the DNS is worth (RFC 6376 3.6.1, RFC 8301, RFC 8463).
Pure.
"""

import base64
import binascii
from dataclasses import dataclass

RSA_BITS_MIN = 1024
"""RFC 8301 3.2: verifiers ignore what is shorter."""
RSA_BITS_GOOD = 2048
"""RFC 8301 3.2: signers should have as many."""
ED25519_BYTES = 32  # RFC 8463 4.2

_RSA_OID = bytes.fromhex("2a864886f70d010101")  # 1.2.840.113549.1.1.1, RFC 8017 A.1
_SEQUENCE, _INTEGER, _BIT_STRING, _OID = 0x30, 0x02, 0x03, 0x06


@dataclass(frozen=True, slots=True)
class Key:
    """`problem` says why no verifier takes it. `bits` is None for a revoked or unreadable key."""

    key_type: str
    bits: int | None = None
    is_revoked: bool = False
    is_test: bool = False
    """t=y: failures are to be ignored, and so may be what it proves."""
    problem: str | None = None


def parse_tags(text: str) -> dict[str, str] | None:
    """The tags of a list, whose white space means nothing (RFC 6376 3.2); None where a name stands
    twice or a tag has no `=`.
    """
    tags: dict[str, str] = {}
    for part in text.rstrip().removesuffix(";").split(";"):
        name, sign, value = part.partition("=")
        name = name.strip()
        if not sign or not name or name in tags:
            return None
        tags[name] = value.strip()
    return tags


def parse(text: str) -> Key:
    """The key of a record."""
    tags = parse_tags(text)
    if tags is None:
        return Key("rsa", problem="It is no list of tags such as v=DKIM1; k=rsa; p=…")
    key_type = tags.get("k", "rsa").lower()
    value = "".join(tags.get("p", "").split())
    if problem := _find_problem(tags):
        return Key(key_type, problem=problem)
    if not value:
        return Key(key_type, is_revoked=True, problem="The key was revoked: p= is empty.")
    is_test = "y" in [flag.strip() for flag in tags.get("t", "").split(":")]
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return Key(key_type, is_test=is_test, problem="Its p= is not valid Base64.")
    return _measure(key_type, raw, is_test=is_test)


def _find_problem(tags: dict[str, str]) -> str | None:
    """What is wrong besides the key itself."""
    services = [service.strip() for service in tags.get("s", "*").split(":")]
    hashes = [one.strip().lower() for one in tags.get("h", "sha256").split(":")]
    if tags.get("v", "DKIM1") != "DKIM1":
        return "Its version is not DKIM1."
    if "p" not in tags:
        return "It has no key: p= is missing."
    if not {"*", "email"} & set(services):
        return "Its s= says that it is not for e-mail."
    if "sha256" not in hashes:
        return "Its h= does not allow SHA-256."  # RFC 8301 3.1: rsa-sha1 is not to be used
    return None


def _measure(key_type: str, raw: bytes, *, is_test: bool) -> Key:
    if key_type == "ed25519":
        if len(raw) != ED25519_BYTES:
            return Key(key_type, problem="An Ed25519 key has 32 bytes, and this has not.")
        return Key(key_type, bits=8 * len(raw), is_test=is_test)
    if key_type != "rsa":
        return Key(key_type, problem=f"No verifier knows the key type k={key_type[:40]}.")
    bits = _rsa_bits(raw)
    if bits is None:
        return Key(key_type, problem="Its p= is no RSA key: it may have been cut off.")
    if bits < RSA_BITS_MIN:
        problem = f"An RSA key of {bits} bits is too short: receivers ignore it."
        return Key(key_type, bits=bits, is_test=is_test, problem=problem)
    return Key(key_type, bits=bits, is_test=is_test)


def _rsa_bits(raw: bytes) -> int | None:
    """The size of an RSA key, as SubjectPublicKeyInfo (RFC 5280 4.1.2.7) or as RSAPublicKey (RFC
    8017 A.1.1), which RFC 6376 both allows.
    """
    try:
        body, rest = _read(raw, _SEQUENCE)
        if rest:
            return None
        if body[:1] == bytes([_SEQUENCE]):
            algorithm, after = _read(body, _SEQUENCE)
            oid, _ = _read(algorithm, _OID)
            if oid != _RSA_OID:
                return None
            bit_string, _ = _read(after, _BIT_STRING)
            body, _ = _read(bit_string[1:], _SEQUENCE)
        modulus, after = _read(body, _INTEGER)
        _read(after, _INTEGER)
    except (ValueError, IndexError):
        return None
    return int.from_bytes(modulus, "big").bit_length()


def _read(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The contents of a DER value and what follows it. Raises ValueError, IndexError."""
    if data[0] != tag:
        raise ValueError("another type")
    length, start = data[1], 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("a length that no key has")
        length, start = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if len(data) < start + length:
        raise ValueError("cut off")
    return data[start : start + length], data[start + length :]
