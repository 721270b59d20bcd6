"""A server's certificate, as far as people want to know it: whose it is, who says so, for which
names and until when. Whether it holds is for the handshake to say (`smtp_wire`).
"""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

NAMES_MAX = 20
"""A certificate of a large provider has hundreds."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that was verified. `names` are NAMES_MAX at most, of `name_count`."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    name_count: int
    valid_until: datetime


def certificate_of(found: Mapping[str, Any] | None) -> Certificate | None:
    """What `ssl.SSLSocket.getpeercert` tells; None where nobody was asked for a certificate."""
    if not found:
        return None
    names = [str(value) for kind, value in found.get("subjectAltName", ()) if kind != "DirName"]
    return Certificate(
        subject=_name(found.get("subject", ())),
        issuer=_name(found.get("issuer", ())),
        names=tuple(names[:NAMES_MAX]),
        name_count=len(names),
        valid_until=datetime.fromtimestamp(ssl.cert_time_to_seconds(found["notAfter"]), UTC),
    )


def _name(parts: Iterable[Iterable[tuple[str, str]]]) -> str:
    """`R11, Let's Encrypt`: the common name, and the organisation where there is one."""
    known = {key: value for part in parts for key, value in part}
    shown = [known[key] for key in ("commonName", "organizationName") if known.get(key)]
    return ", ".join(dict.fromkeys(shown)) or "without a name"
