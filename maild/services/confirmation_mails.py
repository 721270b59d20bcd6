"""The mail that asks whether a contact wants to be one: its sender and its words, of a workspace.

Until an admin writes one, it has words of maild's, and comes from the SMTP account in use. The
words say where the link goes, and nothing of whom they are for: whoever signs up with somebody
else's address could write to them in it.
"""

import re
from typing import Any, NamedTuple

import peewee

from maild import config
from maild.db import database
from maild.domain import submission
from maild.domain.actor import Actor
from maild.errors import Conflict, FieldError, InvalidFields, summarise
from maild.models import ConfirmationMail, SmtpAccount
from maild.services import addresses, audit, workspaces

SUBJECT_MAX_CHARS = 200
NAME_MAX_CHARS = submission.NAME_MAX_CHARS
TEXT_MAX_CHARS = 10_000
LINK = "{{ link }}"

DEFAULT_SUBJECT = "Please confirm your address"
DEFAULT_TEXT = """\
Hello,

somebody, most likely you, asked for our mail to this address. To get it, please confirm that you
want it. The link works for seven days:

{{ link }}

If that was not you, there is nothing to do: without your confirmation we send you nothing.
"""

_LINK = re.compile(r"\{\{\s*link\s*\}\}")
_OTHER = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


class Words(NamedTuple):
    """The mail as it is now. `version` 0: nobody has written one yet."""

    from_email: str
    from_name: str | None
    subject: str
    body_text: str
    version: int


def get(workspace_id: int) -> Words:
    """The mail of a workspace. Raises NotFound (the workspace)."""
    row: ConfirmationMail | None = ConfirmationMail.get_or_none(
        ConfirmationMail.workspace == workspace_id
    )
    if row is not None:
        return _words(row)
    workspaces.require(workspace_id)
    sender = _find_sender(workspace_id)
    return Words(sender, None, DEFAULT_SUBJECT, DEFAULT_TEXT, 0)


def save(workspace_id: int, words: Words, *, by: Actor) -> Words:
    """Write the mail; `words.version` is of the one that was read. Raises InvalidFields, Conflict
    (somebody else has changed it since), NotFound (the workspace).
    """
    values = check(words)
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row: ConfirmationMail | None = ConfirmationMail.get_or_none(
            ConfirmationMail.workspace == workspace_id
        )
        if (row.version if row else 0) != words.version:
            who = f"{row.updated_by} has" if row else "Somebody has"
            raise Conflict(f"{who} changed this mail meanwhile. Nothing was saved.")
        before = _words(row) if row else None
        saved: ConfirmationMail = (
            ConfirmationMail.insert(workspace=workspace_id, version=1, updated_by=by.name, **values)
            .on_conflict(
                conflict_target=[ConfirmationMail.workspace],
                update={
                    **values,
                    "version": ConfirmationMail.version + 1,
                    "updated_by": by.name,
                    "updated_at": peewee.fn.now(),
                },
            )
            .returning(ConfirmationMail)
            .execute()[0]
        )
        after = _words(saved)
        audit.record(
            workspace_id,
            by,
            action="confirmation_mail.changed",
            target="confirmation mail",
            before=before and _facts(before),
            after=_facts(after),
        )
    return after


def check(words: Words) -> dict[str, Any]:
    """The fields in normal form. Raises InvalidFields."""
    complaints: list[submission.Complaint] = []
    from_email = words.from_email.strip()
    try:
        from_email = addresses.parse(from_email).text
    except ValueError as error:
        complaints.append(("from_email", str(error) if from_email else "must not be empty"))
    from_name = (words.from_name or "").strip()
    complaints += submission.check_line("from_name", from_name, max_chars=NAME_MAX_CHARS)
    subject = words.subject.strip()
    if not subject:
        complaints.append(("subject", "must not be empty"))
    complaints += submission.check_line("subject", subject, max_chars=SUBJECT_MAX_CHARS)
    body = words.body_text.replace("\r\n", "\n").strip() + "\n"
    complaints += submission.check_storable("body_text", body)
    if len(body) > TEXT_MAX_CHARS:
        complaints.append(("body_text", f"is longer than {TEXT_MAX_CHARS:,} characters"))
    if len(_LINK.findall(body)) != 1:
        complaints.append(("body_text", f"must have {LINK} once, where the link goes"))
    elif other := _OTHER.search(_LINK.sub("", body)):
        complaints.append(("body_text", f"knows no other field than {LINK}: {other[0][:40]}"))
    if complaints:
        errors = [FieldError(name, message) for name, message in complaints]
        raise InvalidFields(summarise(errors), errors=errors)
    return {
        "from_email": from_email,
        "from_name": from_name or None,
        "subject": subject,
        "body_text": body,
    }


def render(body_text: str, *, url: str) -> str:
    """The text with the link in its place."""
    return _LINK.sub(lambda _: url, body_text)


def _find_sender(workspace_id: int) -> str:
    """The address of the SMTP account in use; the environment's where there is none."""
    row: SmtpAccount | None = (
        SmtpAccount.select(SmtpAccount.from_email)
        .where(SmtpAccount.workspace == workspace_id, SmtpAccount.is_active)
        .first()
    )
    return str(row.from_email) if row else config.current().smtp.from_email


def _words(row: ConfirmationMail) -> Words:
    return Words(row.from_email, row.from_name, row.subject, row.body_text, row.version)


def _facts(words: Words) -> dict[str, Any]:
    return {name: value for name, value in words._asdict().items() if name != "version"}
