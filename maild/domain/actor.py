"""Who does something: what the audit log, events and rows keep of it. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` is what people read: `admin key`, `key mk_1a2b3c4d (billing)`, `the recipient`.

    `ip` and `request_id` are of the request that asked for it, where there was one.
    """

    name: str
    ip: str | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        return self.name


SYSTEM = Actor("maild")
"""maild itself: what a worker or the scheduler does without being asked."""
RECIPIENT = Actor("the recipient")
"""The person whom a message was for, known by a link that only they have."""
COMMAND_LINE = Actor("command line")
