"""What a request to submit asks for, as services take it. The routes are in `messages`."""

import hashlib
import json

from maild.api import schemas
from maild.api.errors import bad_field
from maild.domain.mime import Attachment
from maild.services.submissions import NewMessage
from maild.services.templated_messages import Order


def hash_of(body: schemas.MessageIn) -> bytes:
    """The same for the same request, in whatever order its fields stand."""
    asked = body.model_dump(mode="json", exclude_unset=True)
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def find_order(body: schemas.MessageIn) -> Order | None:
    """What a message with a template asks for; None: it has texts of its own."""
    if body.template is None:
        if body.data is not None:
            raise bad_field("data", "is what a template is filled in with: name a template")
        return None
    return Order(new_message(body), body.template, body.data or {})


def new_message(body: schemas.MessageIn) -> NewMessage:
    return NewMessage(
        from_email=body.from_email,
        to_email=body.to_email,
        subject=body.subject,
        body_text=body.body_text,
        body_html=body.body_html,
        from_name=body.from_name,
        reply_to=body.reply_to,
        cc=tuple(body.cc),
        bcc=tuple(body.bcc),
        headers=tuple(body.headers.items()),
        attachments=tuple(
            Attachment(a.filename, a.content_type, a.content_base64, a.content_id)
            for a in body.attachments
        ),
        stream=body.stream,
        topic=body.topic,
        tags=tuple(body.tags),
        metadata=body.metadata,
        scheduled_at=body.scheduled_at,
        expires_at=body.expires_at,
        smtp_account=body.smtp_account,
    )
