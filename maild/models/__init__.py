"""The tables. One model a file: columns, indexes, constraints, tiny properties; no verbs."""

from maild.models.api_key import ApiKey
from maild.models.attempt import Attempt
from maild.models.event import Event
from maild.models.message import Message
from maild.models.message_body import MessageAttachment, MessageBody
from maild.models.smtp_account import SmtpAccount
from maild.models.worker import Worker
from maild.models.workspace import Workspace

ALL = (
    Workspace,
    Worker,
    SmtpAccount,
    ApiKey,
    Message,
    MessageBody,
    MessageAttachment,
    Attempt,
    Event,
)
"""Every model, in an order in which the tables can be created."""

__all__ = [
    "ALL",
    "ApiKey",
    "Attempt",
    "Event",
    "Message",
    "MessageAttachment",
    "MessageBody",
    "SmtpAccount",
    "Worker",
    "Workspace",
]
