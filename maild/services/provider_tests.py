"""Test messages: one that a person sends to see whether an SMTP account works, by the way that all
mail takes, and through that account alone.
"""

from maild import clock, config
from maild.db import database
from maild.domain.actor import Actor
from maild.models import Message
from maild.models.smtp_account import ENVIRONMENT
from maild.services import audit, messages, smtp_accounts, workspaces
from maild.services.submissions import NewMessage

TAG = "maild-test"
"""By which a test is known among other mail."""


def send(
    workspace_id: int, account_id: int, *, to_email: str, from_email: str | None = None, by: Actor
) -> Message:
    """Accept a test message that goes through this account; ENVIRONMENT is that of the environment.
    The policy, suppressions and freezes hold for it as for any other. It comes from the account's
    own address, unless another is named.

    Raises NotFound, and as `messages.submit`.
    """
    name = smtp_accounts.name_of(workspace_id, account_id)
    new = NewMessage(
        from_email=from_email or sender_of(workspace_id, account_id),
        to_email=to_email,
        subject=f"Test of “{name}”",
        body_text=_text(workspace_id, name, by),
        tags=(TAG,),
        smtp_account=name,
    )
    with database.atomic():
        message = messages.submit(workspace_id, new).messages[0]
        audit.record(
            workspace_id,
            by,
            action="smtp_account.tested",
            target=f"SMTP account {name}",
            after={"to_email": message.to_email, "message_id": str(message.id)},
        )
    return message


def sender_of(workspace_id: int, account_id: int) -> str:
    """The address that tests of an account come from. Raises NotFound."""
    if account_id == ENVIRONMENT:
        return config.current().smtp.from_email
    return str(smtp_accounts.get(workspace_id, account_id).from_email)


def _text(workspace_id: int, name: str, by: Actor) -> str:
    return (
        f"This is a test of the SMTP account “{name}” of the workspace"
        f" “{workspaces.get(workspace_id).name}”.\n\n"
        f"{by.name} asked for it, {clock.now():%Y-%m-%d %H:%M} UTC. That you read it means that"
        " mail goes out through this account and arrives.\n"
    )
