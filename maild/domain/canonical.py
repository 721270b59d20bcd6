"""The one way to write a JSON document as bytes, and the hash over it. Pure.

As RFC 8785 has it: the members of every object sorted by name, no space between tokens, UTF-8, and
no character escaped but those that JSON wants escaped (`"`, `\\`, and the controls below U+0020).
It differs in two points. Names are sorted by their code points, which is another order only for
names outside of the basic plane. A number stays as Python's `json` writes it: a whole one as its
digits, any other as the shortest text that reads back as the same double (`repr`), so `1.0` and not
`1`. Whoever reads the file with Python's `json` and writes it with

    json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

has the same bytes.
"""

import hashlib
import json
from typing import Any

HASH_NAME = "sha256"
"""The member of a document that holds its hash."""


def to_bytes(document: Any) -> bytes:
    """Plain JSON in its one form. Raises ValueError for what JSON has no form for: NaN, infinity, a
    lone half of a surrogate pair.
    """
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(document: dict[str, Any]) -> str:
    """SHA-256, in hex, over all members of the document but that which holds it."""
    rest = {name: value for name, value in document.items() if name != HASH_NAME}
    return hashlib.sha256(to_bytes(rest)).hexdigest()


def seal(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its hash."""
    return {**document, HASH_NAME: digest(document)}
