"""Test mails: what a template looks like in somebody's own mailbox. They go the way of all mail, to
people of the workspace alone.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.states import Stream
from maild.errors import FieldError, InvalidFields, MaildError, summarise
from maild.models import Message
from maild.services import addresses, audit, members, messages
from maild.services.submissions import NewMessage

TAG = "template-test"
"""By which a test is known among other mail."""
RECIPIENTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Mail:
    """What is sent, filled in already. One of both bodies may be empty."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it for one recipient: the message, or why it was not accepted."""

    email: str
    message: Message | None
    problem: str | None = None


def send(
    workspace_id: int,
    mail: Mail,
    *,
    name: str,
    from_email: str,
    to: Sequence[str],
    stream: Stream,
    by: Actor,
) -> list[Outcome]:
    """Send a test of the template `name` to each of these addresses, as a message of its own.
    Policy, suppressions, limits and freezes hold for it as for any other.

    Raises InvalidFields: `to` names nobody, too many, or somebody who does not belong to the
    workspace; or the mail itself cannot be sent.
    """
    recipients = check_recipients(workspace_id, to)
    news = [
        NewMessage(
            from_email=from_email,
            to_email=email,
            subject=mail.subject,
            body_html=mail.html or None,
            body_text=mail.text or None,
            stream=stream,
            tags=(TAG,),
        )
        for email in recipients
    ]
    with database.atomic():
        settled = messages.accept_many(workspace_id, news)
        outcomes = [
            Outcome(email, None, one.detail) if isinstance(one, MaildError) else Outcome(email, one)
            for email, one in zip(recipients, settled, strict=True)
        ]
        sent = [one for one in outcomes if one.message is not None]
        if sent:
            audit.record(
                workspace_id,
                by,
                action="template.tested",
                target=f"template {name}",
                after={"to": [one.email for one in sent], "stream": stream.value},
            )
    return outcomes


def list_sent(workspace_id: int, message_ids: Sequence[uuid.UUID]) -> list[Message]:
    """Those of these messages that are tests of the workspace, by recipient."""
    query = Message.select().where(
        Message.workspace == workspace_id,
        Message.id.in_(list(message_ids)[:RECIPIENTS_MAX]),
        Message.tags.contains(TAG),
    )
    return list(query.order_by(Message.to_email))


def check_recipients(workspace_id: int, to: Sequence[str]) -> list[str]:
    """The addresses, each once, as the workspace's people have them. Raises InvalidFields."""
    known = {one.email.lower(): one.email for one in members.list_all(workspace_id)}
    found: dict[str, str] = {}
    problems: list[FieldError] = []
    for typed in to:
        try:
            email = addresses.parse(typed).text.lower()
        except ValueError as error:
            problems.append(FieldError("to", f"“{typed[:200]}” {error}"))
            continue
        if email not in known:
            problems.append(
                FieldError("to", f"{email} does not belong to anybody in this workspace")
            )
            continue
        found[email] = known[email]
    if not to:
        problems.append(FieldError("to", "name at least one address"))
    if len(to) > RECIPIENTS_MAX:
        problems = [FieldError("to", f"{RECIPIENTS_MAX} addresses at most")]
    if problems:
        raise InvalidFields(summarise(problems), errors=problems)
    return list(found.values())
