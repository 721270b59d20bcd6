"""The mails of a bundle: as `originals` writes them, without what would let their reader act as
somebody else, and no longer than a bundle has room for.
"""

import base64
import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from maild.domain.redaction import Redactor
from maild.domain.states import Stream
from maild.models import Message
from maild.services import claims, messages, originals
from maild.services.claims import Content

MAIL_MAX_BYTES = 1024 * 1024
"""Of the mail of a message's bundle. A larger one comes without its attachments' bytes, and is cut
where even that is too long.
"""
SAMPLE_MAX_BYTES = 128 * 1024
"""Of a mail in an incident's bundle. A larger one is not put in."""

NOT_KEPT = "The content is no longer kept."
NO_MAIL = "This message cannot be written as mail."
TOO_LARGE = "Left out, for it is large. The message's own bundle has it."

_Files = Sequence[tuple[Any, ...]]


def of_one(message: Message, *, redactor: Redactor) -> dict[str, Any]:
    """The mail of a message, MAIL_MAX_BYTES of it at most."""
    content_id = message.submission_id or message.id
    content = claims.load_content(content_id)
    has_files = message.size_bytes <= MAIL_MAX_BYTES
    files: _Files = []
    if content is not None and content.attachment_count:
        if has_files:
            files = claims.load_attachments([content_id]).get(content_id, [])
        else:
            files = [
                (one.filename, one.content_type, b"", one.content_id)
                for one in messages.list_attachments(message)
            ]
    return _mail(message, content, files, redactor, has_files=has_files)


def of_sample(sample: Sequence[Message], *, redactor: Redactor) -> dict[uuid.UUID, Any]:
    """The mails of several messages by their ids, with two statements."""
    small = [one for one in sample if one.size_bytes <= SAMPLE_MAX_BYTES]
    content_ids = list({one.submission_id or one.id for one in small})
    contents = claims.load_contents(content_ids)
    with_files = [id_ for id_, content in contents.items() if content.attachment_count]
    files = claims.load_attachments(with_files)
    found: dict[uuid.UUID, Any] = {one.id: _nothing(TOO_LARGE) for one in sample}
    for one in small:
        content_id = one.submission_id or one.id
        found[one.id] = _mail(
            one, contents.get(content_id), files.get(content_id, []), redactor, has_files=True
        )
    return found


def _mail(
    message: Message, content: Content | None, files: _Files, redactor: Redactor, *, has_files: bool
) -> dict[str, Any]:
    if content is None:
        return _nothing(NOT_KEPT)
    own = Redactor(redactor.known)
    try:
        named = Message(**{**message.__data__, "subject": own.text(message.subject)})
        whole = originals.write(named, _redacted(content, own), list(files))
    except ValueError:
        return _nothing(NO_MAIL)
    if message.stream is Stream.MARKETING:
        own.removed.add("unsubscribe_tokens")  # as `originals` writes it
    redactor.removed |= own.removed
    is_cut = len(whole) > MAIL_MAX_BYTES
    raw = whole[: whole.rfind(b"\r\n", 0, MAIL_MAX_BYTES) + 2] if is_cut else whole
    try:
        told = {"encoding": "utf-8", "content": raw.decode()}
    except UnicodeDecodeError:
        told = {"encoding": "base64", "content": base64.b64encode(raw).decode()}
    return {
        **told,
        "size_bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "is_cut": is_cut,
        "has_attachments_left_out": not has_files and content.attachment_count > 0,
        "removed": sorted(own.removed),
        "why_not": None,
    }


def _nothing(why: str) -> dict[str, Any]:
    return {
        "encoding": "utf-8",
        "content": None,
        "size_bytes": None,
        "sha256": None,
        "is_cut": False,
        "has_attachments_left_out": False,
        "removed": [],
        "why_not": why,
    }


def _redacted(content: Content, redactor: Redactor) -> Content:
    """Before it is encoded: nothing is found in quoted-printable."""
    return replace(
        content,
        headers=[[name, redactor.text(value)] for name, value in content.headers],
        body_text=redactor.text(content.body_text) if content.body_text else content.body_text,
        body_html=redactor.text(content.body_html) if content.body_html else content.body_html,
    )
