"""DKIM: what of a message is signed, how the signature is written, and a key's record.

RFC 6376 for signatures, RFC 8463 for Ed25519, RFC 8301 for what is strong enough. Pure: what turns
octets into a signature is handed in, so that keys stay with whoever keeps them. In charge neither
of keys (`services/dkim_keys`), nor of which of them signs (`services/dkim_signers`).

Both canonicalisations are relaxed: relays fold headers anew and touch white space. There is no
`l=`: it lets anybody add to a signed message. There is no `x=`: mail may wait for days in the
queues behind maild, and a signature that ended meanwhile would leave it with none.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum

from maild.domain.dkim_canon import canonical_body, canonical_field, collect_fields
from maild.domain.dkim_record import parse_tags

LINE_MAX_CHARS = 76
STRING_MAX_OCTETS = 255
"""Of one string in a TXT record (RFC 1035 3.3.14)."""


class Algorithm(StrEnum):
    """The `a=` of a signature."""

    RSA = "rsa-sha256"
    """With 2,048 bits (RFC 8301 3.2). Every receiver verifies it."""
    ED25519 = "ed25519-sha256"
    """RFC 8463. Short and quick; several large receivers do not verify it yet."""


class KeyState(StrEnum):
    """How far a key is on its way."""

    PREPARED = "prepared"
    """Made; its record is to be published. It signs nothing yet."""
    ACTIVE = "active"
    """It signs."""
    RETIRING = "retiring"
    """It signs nothing any more; mail that it signed is under way, so its record must stay."""
    RETIRED = "retired"
    """It is over: its record may be removed, and its private half is gone."""


class RecordState(StrEnum):
    """What the DNS said of a key's record."""

    UNCHECKED = "unchecked"
    PUBLISHED = "published"
    """It is there, as it must be."""
    MISSING = "missing"
    DIFFERENT = "different"
    """Something else stands there, or more than one record."""
    REVOKED = "revoked"
    """An empty `p=`: whoever publishes it says that the key is void (RFC 6376 3.6.1)."""
    UNKNOWN = "unknown"
    """The DNS gave no answer; that says nothing about the record."""


# RFC 6376 5.4.1, and what RFC 8058 4 demands: the fields by which people leave must be covered.
SIGNED = (
    "From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "In-Reply-To", "References",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "List-Unsubscribe",
    "List-Unsubscribe-Post", "Feedback-ID",
)  # fmt: skip
OVERSIGNED = frozenset({"From", "To", "Cc", "Subject", "Date"})
"""Named once more than they stand there, so that another one, put in later, breaks the signature
(RFC 6376 8.15). None of them may stand twice, and nobody on the way has a reason to add one.
"""
_SIGNED_NAMES = {name.lower().encode(): name for name in SIGNED}

# A relay that writes a field itself breaks every signature that covers it.
# https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-manual.html
REWRITTEN: dict[str, Set[str]] = {"ses": frozenset({"Date", "Message-ID"})}
"""By the name of a provider's preset: the fields that it replaces, which are left unsigned."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that is ready to sign. `sign` takes what is to be signed, and returns the signature:
    RSASSA-PKCS1-v1_5 with SHA-256 of it, or PureEdDSA of its SHA-256 (RFC 8463 3).
    """

    domain: str
    selector: str
    algorithm: Algorithm
    sign: Callable[[bytes], bytes]


def sign(
    message: bytes, signers: Sequence[Signer], *, at: int, unsigned: Set[str] = frozenset()
) -> bytes:
    """The message with one signature for each signer on top.

    `message` has CRLF line ends only, as it goes over the wire but for dot-stuffing; `at` are the
    seconds since 1970 of its `t=`. Fields named in `unsigned` are left out.
    """
    head, _, body = message.partition(b"\r\n\r\n")
    digest = b64encode(hashlib.sha256(canonical_body(body)).digest()).decode()
    names, fields = _choose_fields(head, unsigned)
    return b"".join([_signature(one, at, names, digest, fields) for one in signers]) + message


def _choose_fields(head: bytes, unsigned: Set[str]) -> tuple[list[str], bytes]:
    """The names for `h=`, and the canonical fields in that order: of several of a name the last
    comes first (RFC 6376 5.4.2).
    """
    found = collect_fields(head, _SIGNED_NAMES)
    names: list[str] = []
    fields: list[bytes] = []
    for name in SIGNED:
        if name in unsigned:
            continue
        values = found.get(name, [])
        fields += reversed(values)
        names += [name] * (len(values) + (name in OVERSIGNED))
    return names, b"".join(fields)


def _signature(signer: Signer, at: int, names: Sequence[str], digest: str, fields: bytes) -> bytes:
    """One whole DKIM-Signature field (RFC 6376 3.5), its CRLF included."""
    fields_named = [f"h={names[0]}", *(f":{name}" for name in names[1:])]
    fields_named[-1] += ";"
    unsigned = _fold(
        [
            "DKIM-Signature: v=1;",
            f"a={signer.algorithm.value};",
            "c=relaxed/relaxed;",
            f"d={signer.domain};",
            f"s={signer.selector};",
            f"t={at};",
            *fields_named,
            f"bh={digest};",
            "b=",
        ]
    ).encode()
    # RFC 6376 3.7: itself comes last, with an empty b=, and without its CRLF.
    signed = fields + canonical_field(unsigned).removesuffix(b"\r\n")
    value = b64encode(signer.sign(signed))
    room = LINE_MAX_CHARS - (len(unsigned) - unsigned.rfind(b"\n") - 1)
    first, rest = value[:room], value[room:]
    lines = [rest[n : n + LINE_MAX_CHARS - 1] for n in range(0, len(rest), LINE_MAX_CHARS - 1)]
    return unsigned + b"\r\n ".join([first, *lines]) + b"\r\n"


def _fold(tags: Sequence[str]) -> str:
    """The tags one after the other; between two of them a line may end."""
    lines = [tags[0]]
    for tag in tags[1:]:
        space = "" if tag[0] == ":" else " "
        if len(lines[-1]) + len(space) + len(tag) <= LINE_MAX_CHARS:
            lines[-1] += space + tag
        else:
            lines.append(" " + tag)
    return "\r\n".join(lines)


def list_parents(domain: str) -> list[str]:
    """The domain itself and those above it, whose keys may sign for it: DMARC takes a signature
    of the organisational domain for aligned (RFC 7489 3.1.1). No top-level domain is among them.
    """
    labels = domain.split(".")
    return [".".join(labels[n:]) for n in range(max(1, len(labels) - 1))]


# The record of a key


def record_name(selector: str, domain: str) -> str:
    """Where a key's record stands (RFC 6376 3.6.2.1)."""
    return f"{selector}._domainkey.{domain}"


def record_value(algorithm: Algorithm, public_key: str) -> str:
    """What a key's record says (RFC 6376 3.6.1, RFC 8463 4)."""
    return f"v=DKIM1; k={_key_type(algorithm)}; p={public_key}"


def zone_value(value: str) -> str:
    """The value as zone files and some forms want it: strings in quotes, none of them too long."""
    parts = [value[at : at + STRING_MAX_OCTETS] for at in range(0, len(value), STRING_MAX_OCTETS)]
    return " ".join(f'"{part}"' for part in parts)


def compare(records: Sequence[str], algorithm: Algorithm, public_key: str) -> RecordState:
    """What TXT records, each with its strings joined, say of a key."""
    if not records:
        return RecordState.MISSING
    if len(records) > 1:
        return RecordState.DIFFERENT  # RFC 6376 3.6.2.2: what a verifier takes then is undefined
    tags = parse_tags(records[0])
    if tags is None or tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
        return RecordState.DIFFERENT
    found = "".join(tags["p"].split())
    if not found:
        return RecordState.REVOKED
    is_same = found == public_key and tags.get("k", "rsa") == _key_type(algorithm)
    hashes = [name.strip() for name in tags.get("h", "sha256").split(":")]
    return RecordState.PUBLISHED if is_same and "sha256" in hashes else RecordState.DIFFERENT


def _key_type(algorithm: Algorithm) -> str:
    return algorithm.value.partition("-")[0]
