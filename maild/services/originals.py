"""A message as it goes over the wire: its header fields, and all of it as a file.

Made for a server that offers no extensions; one that takes 8bit text gets the same text in fewer
bytes. Two things are left out: the mark by which one provider's reports name the message, and the
token of the link by which its recipient unsubscribes, for whoever has that can use it.
"""

import uuid

from maild import config
from maild.domain.mime import build
from maild.domain.states import Stream
from maild.errors import NotFound
from maild.models import Message, MessageAttachment, MessageBody
from maild.services import claims, mail, mail_links, policies, unsubscribe_links
from maild.services.claims import Claim, Content
from maild.services.paths import Parcel

_NOBODY = uuid.UUID(int=0)
HIDDEN_TOKEN = "not-shown"
"""Stands where the link to unsubscribe has its token."""


def get_head(
    message: Message, body: MessageBody, attachments: list[MessageAttachment]
) -> str | None:
    """The header fields in their order, one a line or folded; None where it cannot be put into
    mail, or was removed. The attachments need not have their bytes: the head tells nothing of them.
    """
    if body.pruned_at is not None:
        return None
    content = Content(
        body.from_name,
        body.reply_to,
        body.headers,
        body.body_text,
        body.body_html,
        len(attachments),
        body.visible_to,
        body.visible_cc,
    )
    files = [(one.filename, one.content_type, b"", one.content_id) for one in attachments]
    try:
        whole = write(message, content, files)
    except ValueError:
        return None
    return whole.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").replace("\r\n", "\n")


def get_raw(message: Message) -> bytes:
    """The whole message, as a mail program reads it (RFC 5322).

    Raises NotFound where its content is not kept any more, or cannot be put into mail.
    """
    content_id = message.submission_id or message.id
    content = claims.load_content(content_id)
    if content is None:
        raise NotFound("The content of this message is no longer kept.")
    files = claims.load_attachments([content_id]).get(content_id, [])
    try:
        return write(message, content, files)
    except ValueError as error:
        raise NotFound(f"This message cannot be written as mail: {error}.") from error


def write(
    message: Message, content: Content, files: list[tuple[str, str, bytes, str | None]]
) -> bytes:
    """A message with this content as a mail. Raises ValueError where it cannot be put into one."""
    parcel = Parcel(_claim(message), content, files, 0.0)
    is_marketing = message.stream is Stream.MARKETING
    links = mail_links.hidden(HIDDEN_TOKEN) if is_marketing else None
    composed = mail.compose(parcel, way_out=_way_out(message), links=links)
    return build(composed, utf8_headers=composed.needs_utf8_headers)


def _way_out(message: Message) -> tuple[tuple[str, str], ...]:
    if message.stream is not Stream.MARKETING:
        return ()
    url = f"{config.current().public_url}{unsubscribe_links.PATH}{HIDDEN_TOKEN}"
    return (
        ("List-Unsubscribe", f"<{url}>"),
        ("List-Unsubscribe-Post", "=".join(unsubscribe_links.ONE_CLICK)),
    )


def _claim(message: Message) -> Claim:
    """As if a worker held it."""
    dated_at = max(message.created_at, message.scheduled_at or message.created_at)
    return Claim(
        worker_id=_NOBODY,
        message_id=message.id,
        workspace_id=message.workspace_id,
        attempt_no=message.attempt_count,
        excused_count=message.excused_count,
        path_fault_count=message.path_fault_count,
        stream=message.stream,
        from_email=message.from_email,
        to_email=message.to_email,
        subject=message.subject,
        size_bytes=message.size_bytes,
        dated_at_epoch=dated_at.timestamp(),
        seconds_left=0.0,
        submission_id=message.submission_id,
        topic=message.topic,
        policy_version=message.policy_version,
        rules=policies.default().stream(message.stream),
        account_id=0,
        account_name=message.smtp_account_name or "",
    )
