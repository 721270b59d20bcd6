"""What a submitted message may hold: the rules that accept applies, in words for the sender. Pure.

Each function returns complaints instead of raising, so that a sender sees all of them at once.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from maild.domain.suppression import TOPIC_MAX_CHARS, normalise_topic

SUBJECT_MAX_CHARS = 998
LINE_MAX_OCTETS = 998  # RFC 5322 2.1.1
HEADERS_MAX = 100
RECIPIENTS_MAX = 50
TAGS_MAX = 50
TAG_MAX_CHARS = 100
METADATA_MAX_OCTETS = 32_768
NAME_MAX_CHARS = 256
FILENAME_MAX_CHARS = 255
ACCOUNT_MAX_CHARS = 64
CONTENT_TYPE_MAX_CHARS = 255
SCHEDULE_MAX_DAYS = 366
EXPIRES_MAX_DAYS = SCHEDULE_MAX_DAYS + 30

_HEADER_NAME = re.compile(
    r"[!-9;-~]{1,76}"
)  # RFC 5322 3.6.8 ftext, short enough to leave room for a value
_LINE_BREAK = re.compile(r"[\r\n\x00\x0b\x0c\x85\u2028\u2029]")
_CONTENT_TYPE = re.compile(  # RFC 6838 4.2, with parameters as RFC 2045 5.1 writes them
    r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}"
    r"(?:; ?[A-Za-z0-9!#$&^_.+-]+=(?:[A-Za-z0-9!#$&^_.+-]+|\"[ !#-\[\]-~]*\"))*"
)
_CONTENT_ID = re.compile(r"[A-Za-z0-9._+@-]{1,200}")

RESERVED_HEADERS = frozenset(
    {
        "bcc",
        "cc",
        "date",
        "dkim-signature",
        "from",
        "message-id",
        "mime-version",
        "received",
        "reply-to",
        "return-path",
        "sender",
        "subject",
        "to",
    }
)
"""Headers that maild or the servers on the way write. `content-`, `resent-` and `arc-` are
theirs as well.
"""
_RESERVED_PREFIXES = ("content-", "resent-", "arc-", "x-maild-")

UNSUBSCRIBE_HEADERS = frozenset({"list-unsubscribe", "list-unsubscribe-post"})
"""Headers that maild writes in marketing mail."""

Complaint = tuple[str, str]
"""A field's path and what is wrong with it."""


def check_line(field: str, text: str, *, max_chars: int) -> Iterator[Complaint]:
    """A text that goes into one header line: no line break, no NUL, not too long."""
    if _LINE_BREAK.search(text):
        yield field, "must not contain a line break or NUL"
    if len(text) > max_chars:
        yield field, f"is longer than {max_chars} characters"
    yield from check_storable(field, text)


def check_storable(field: str, value: Any) -> Iterator[Complaint]:
    """Nothing inside that PostgreSQL or UTF-8 cannot hold: NUL, a lone surrogate, a number that is
    none (JSON parsers take NaN, and 1e999 for infinity).
    """
    if isinstance(value, str):
        if "\x00" in value:
            yield field, "must not contain NUL characters"
        if not _is_encodable(value):
            yield field, "contains half of a surrogate pair, which is not valid Unicode"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield field, "must be a finite number"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from check_storable(field, key)
            yield from check_storable(f"{field}.{key}", inner)
    elif isinstance(value, Sequence):
        for index, inner in enumerate(value):
            yield from check_storable(f"{field}.{index}", inner)


def check_headers(headers: Sequence[tuple[str, str]]) -> Iterator[Complaint]:
    """The sender's own headers: known syntax, none of ours, no way to smuggle in another line."""
    if len(headers) > HEADERS_MAX:
        yield "headers", f"has more than {HEADERS_MAX} entries"
    for name, value in headers:
        field = f"headers.{name}"
        if not _HEADER_NAME.fullmatch(name):
            yield "headers", f"{name!r} is not a header name"
        elif name.lower() in RESERVED_HEADERS or name.lower().startswith(_RESERVED_PREFIXES):
            yield field, "is written by maild and cannot be set"
        yield from check_line(field, value, max_chars=LINE_MAX_OCTETS - len(name) - 2)


def check_marketing_headers(headers: Sequence[tuple[str, str]]) -> Iterator[Complaint]:
    """What `check_headers` lets pass and marketing mail must not have: a way to leave that is not
    maild's, which stops the mail. There is one of each field (RFC 8058 3.1).
    """
    for name, _ in headers:
        if name.lower() in UNSUBSCRIBE_HEADERS:
            message = "is written by maild in marketing mail, with a link of its own"
            yield f"headers.{name}", message


def check_topic(field: str, topic: str) -> Iterator[Complaint]:
    """What an opt-out may be about: a short single-line name, in normal form or not."""
    normal = normalise_topic(topic)
    if not normal:
        yield field, "must not be empty"
    yield from check_line(field, normal, max_chars=TOPIC_MAX_CHARS)


def check_recipients(count: int) -> Iterator[Complaint]:
    """The To and all that get a copy, together."""
    if count > RECIPIENTS_MAX:
        yield "cc", f"cc and bcc name more than {RECIPIENTS_MAX - 1} further recipients"


def check_tags(tags: Sequence[str]) -> Iterator[Complaint]:
    """Short single-line labels."""
    if len(tags) > TAGS_MAX:
        yield "tags", f"has more than {TAGS_MAX} entries"
    for index, tag in enumerate(tags):
        field = f"tags.{index}"
        if not tag.strip():
            yield field, "must not be empty"
        yield from check_line(field, tag, max_chars=TAG_MAX_CHARS)


def check_attachment(
    field: str, *, filename: str, content_type: str, content_id: str | None
) -> Iterator[Complaint]:
    """An attachment's name, type and id; its bytes may be anything."""
    if not filename.strip():
        yield f"{field}.filename", "must not be empty"
    yield from check_line(f"{field}.filename", filename, max_chars=FILENAME_MAX_CHARS)
    if len(content_type) > CONTENT_TYPE_MAX_CHARS or not _CONTENT_TYPE.fullmatch(content_type):
        yield f"{field}.content_type", "must be a media type such as application/pdf"
    if content_id is not None and not _CONTENT_ID.fullmatch(content_id):
        yield f"{field}.content_id", "must be 1 to 200 letters, digits and any of . _ - + @"


def check_times(
    *, scheduled_at: datetime | None, expires_at: datetime | None, now: datetime
) -> Iterator[Complaint]:
    """Not further ahead than anybody plans, and its lifetime not over before it begins."""
    if scheduled_at and scheduled_at > now + timedelta(days=SCHEDULE_MAX_DAYS):
        yield "scheduled_at", f"is more than {SCHEDULE_MAX_DAYS} days ahead"
    if expires_at is None:
        return
    if expires_at <= now:
        yield "expires_at", "must be in the future"
    elif scheduled_at and expires_at <= scheduled_at:
        yield "expires_at", "must be later than scheduled_at"
    elif expires_at > now + timedelta(days=EXPIRES_MAX_DAYS):
        yield "expires_at", f"is more than {EXPIRES_MAX_DAYS} days ahead"


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
