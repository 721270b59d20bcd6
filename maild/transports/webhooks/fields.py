"""Reads the fields of what providers send, where any of them may be missing or of another type.

Nothing here raises for a value: what is not what it should be is None or empty, so that one odd
optional field never costs an event. Forms are read as of
https://url.spec.whatwg.org/#application/x-www-form-urlencoded and RFC 7578 (multipart/form-data).
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from maild.transports.webhooks.base import Request, UnreadablePayload, loads

MAX_FORM_FIELDS = 1000
BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
PART_NAME = re.compile(rb';\s*name="([^"\r\n]*)"', re.IGNORECASE)
PART_FILE = re.compile(rb";\s*filename\*?=", re.IGNORECASE)
# Python's own reader takes no space before the offset.
SPACE_BEFORE_OFFSET = re.compile(r"\s+(?=[+-]\d\d:?\d\d$|UTC$|Z$)")
STATUS_CODE = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])", re.ASCII)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def text(value: object) -> str | None:
    """A scalar as text; None for what is empty, missing, or a container.

    NUL and half a surrogate pair, which JSON can spell and no database takes, become U+FFFD.
    """
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value) or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        try:
            return str(value)
        except ValueError:  # more digits than Python cares to write
            return None
    return None


def texts(value: object) -> tuple[str, ...]:
    """A list of scalars, or one scalar, as texts without the empty ones."""
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(found for each in values if (found := text(each)) is not None)


def mapping(value: object) -> dict[str, Any]:
    """The value where it is a JSON object, else {}."""
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> list[dict[str, Any]]:
    """The JSON objects in a list; [] where it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def spelled_json(value: object) -> Any:
    """What a text spells in JSON, or the value itself where it is no text; None for nonsense."""
    if not isinstance(value, str):
        return value
    try:
        return loads(value)
    except (ValueError, RecursionError):
        return None


def integer(value: object) -> int | None:
    """A whole number, also spelled as text; None for anything else."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def number(value: object) -> float | None:
    """A finite number, also spelled as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def unix_time(value: object) -> datetime | None:
    """The time of seconds since 1970, given as a number or as text."""
    seconds = number(value)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def iso_time(value: object) -> datetime | None:
    """An ISO 8601 time in UTC; one without an offset is taken as UTC."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    plain = SPACE_BEFORE_OFFSET.sub("", value.strip()).replace("UTC", "Z")
    try:
        found = datetime.fromisoformat(plain)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def clean_metadata(
    given: Mapping[Any, Any], *, without: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The fields of `given` as metadata: by text keys, except those in `without`."""
    return {
        key: value for name, value in given.items() if name not in without and (key := text(name))
    }


def json_mapping(value: object) -> dict[str, Any]:
    """The JSON object that a text spells, or that the value is already; else {}."""
    return mapping(spelled_json(value))


def json_texts(value: object) -> tuple[str, ...]:
    """As `texts`, also of a JSON list that is spelled as text; other text stands for itself."""
    spelled = spelled_json(value)
    return texts(spelled if isinstance(spelled, list) else value)


def spares_address(status: object) -> bool:
    """Whether an enhanced status code (RFC 3463) says that something else than the address is at
    fault: it passes (4), the mailbox is full or the message too long (x.2.2, x.2.3), or it is about
    the mail system, the protocol, the content, or policy (x.3, x.5, x.6, x.7).
    """
    found = STATUS_CODE.search(text(status) or "")
    if found is None:
        return False
    kind, subject, detail = found.groups()
    return kind == "4" or subject in "3567" or (subject, detail) in {("2", "2"), ("2", "3")}


def form(request: Request) -> dict[str, str]:
    """The text fields of a form, urlencoded or multipart; the last of a name counts.

    Raises UnreadablePayload for another type of body, or a form out of all proportion.
    """
    return {name: values[-1] for name, values in form_lists(request).items()}


def form_lists(request: Request) -> dict[str, list[str]]:
    """As `form`, with all values of a name in their order."""
    kind = request.content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        pairs = _urlencoded(request.body)
    elif kind == "multipart/form-data":
        pairs = _multipart(request)
    else:
        raise UnreadablePayload("not a form: the type is neither urlencoded nor multipart")
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError as error:
        raise UnreadablePayload(f"not a form: {error}") from None


def _multipart(request: Request) -> list[tuple[str, str]]:
    found = BOUNDARY.search(request.content_type)
    if found is None:
        raise UnreadablePayload("not a form: multipart without a boundary")
    boundary = (found[1] or found[2]).encode("utf-8", "replace")
    # A delimiter starts a line, so the body gets the line break that the first one may lack.
    parts = (b"\r\n" + request.body).split(b"\r\n--" + boundary, MAX_FORM_FIELDS + 1)
    if len(parts) < 2:
        raise UnreadablePayload("not a form: the boundary is not in the body")
    if len(parts) > MAX_FORM_FIELDS + 1:
        raise UnreadablePayload(f"not a form: more than {MAX_FORM_FIELDS} fields")
    pairs = []
    for part in parts[1:]:
        if part.startswith(b"--"):  # the end of the form
            break
        head, _, value = part.partition(b"\r\n\r\n")
        name = PART_NAME.search(head)
        if name and not PART_FILE.search(head):
            pairs.append((name[1].decode("utf-8", "replace"), value.decode("utf-8", "replace")))
    return pairs
