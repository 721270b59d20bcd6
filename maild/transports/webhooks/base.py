"""What every provider's module shares: the request, the keys, and the two ways to refuse.

A module is one provider. It has

* `TITLE`: the provider's name as people write it;
* `SIGNS`: whether the provider signs its requests, so that an endpoint without any secret refuses
  all of them. The others are told by the token in the URL, and by basic authentication where the
  workspace wants it;
* `SECRET_IS`: what the signing secret is and where the provider shows it, for people; empty for one
  that does not sign;
* `KEPT_HEADERS`: which headers, in lower case, `parse` needs; they are stored with the body;
* `verify(request, keys)`: raises BadSignature unless the request is the provider's;
* `parse(request)`: pure; every event in the payload, in its order. Raises UnreadablePayload;
* `check_secret(secret)`, which it may leave out: raises ValueError for a signing secret that fits
  no signature whatever, with what it must be, for people; the text holds nothing of the secret.

Secrets are compared in constant time, and every secret of a rotation is tried.
"""

import base64
import hmac
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


class BadSignature(Exception):
    """The request is not shown to be the provider's. The text is for the operator, not for the
    sender of the request, and holds no secret.
    """


class UnreadablePayload(ValueError):
    """The body is not what this provider sends, as far as this version knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A webhook request as it came in."""

    body: bytes
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By their names in lower case."""
    url: str = ""
    """The address that the provider was given, which Mandrill signs."""
    received_at: datetime
    """Aware; what signed times are compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What an endpoint knows about its provider: all secrets that are valid now."""

    signing: tuple[str, ...] = ()
    basic_auth: tuple[str, ...] = ()
    """`user:password` each."""
    topic_arn: str | None = None
    """Amazon SNS: the one topic that this endpoint hears."""
    max_skew_seconds: int = 300


def same(one: str | bytes, other: str | bytes) -> bool:
    """Whether two secrets are equal, in constant time."""
    first = one.encode() if isinstance(one, str) else one
    second = other.encode() if isinstance(other, str) else other
    return hmac.compare_digest(first, second)


def any_same(given: str | bytes, valid: Iterable[str | bytes]) -> bool:
    """Whether `given` is one of `valid`; every one is compared."""
    fits = [same(given, each) for each in valid]
    return any(fits)


def check_basic_auth(request: Request, keys: Keys) -> None:
    """Raises BadSignature where basic authentication is wanted and not given rightly (RFC 7617)."""
    if not keys.basic_auth:
        return
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        given = (
            base64.b64decode(encoded.strip(), validate=True) if scheme.lower() == "basic" else b""
        )
    except ValueError:  # binascii.Error, or a header that is not ASCII
        given = b""
    if not any_same(given, keys.basic_auth):
        raise BadSignature("basic authentication is missing or wrong")


def require_a_secret(keys: Keys) -> None:
    """Raises BadSignature for the endpoint of a provider that signs while no secret is set at all.

    Basic authentication alone will do: a workspace may prefer it to the provider's signature.
    """
    if not keys.signing and not keys.basic_auth:
        raise BadSignature("no secret is set")


def check_fresh(timestamp: float, request: Request, keys: Keys) -> None:
    """Raises BadSignature for a signed time that is further from now than allowed."""
    if not abs(request.received_at.timestamp() - timestamp) <= keys.max_skew_seconds:
        raise BadSignature(f"the signed time is more than {keys.max_skew_seconds} seconds off")


def load_json(body: bytes) -> Any:
    """The JSON in a body. Raises UnreadablePayload, also for a number that JSON cannot hold."""
    if not body.strip():
        raise UnreadablePayload("the body is empty")
    try:
        return loads(body)
    except RecursionError:
        raise UnreadablePayload("the JSON is nested too deep") from None
    except ValueError as error:
        raise UnreadablePayload(f"not JSON: {error}") from None


def loads(written: bytes | str) -> Any:
    """As `json.loads`. Raises ValueError also for NaN and the like, which are no JSON."""
    return json.loads(written, parse_constant=_finite, parse_float=_finite)


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(f"{written[:20]} is no number")
    return number


def load_records(body: bytes) -> list[dict[str, Any]]:
    """The JSON objects in a body that is one object or an array of them.

    Raises UnreadablePayload for anything else, also for one element that is no object: what cannot
    be read is then kept whole, and no part of it is passed over.
    """
    payload = load_json(body)
    records = payload if isinstance(payload, list) else [payload]
    for record in records:
        if not isinstance(record, dict):
            raise UnreadablePayload("neither a JSON object nor an array of JSON objects")
    return records
