"""The story of one message: its attempts and its events, in order."""

import peewee

from maild.domain.states import UNFINISHED, AttemptStatus, Status
from maild.models import Attempt, Event, Message
from maild.models.smtp_account import DEFAULT_ACCOUNT

EVENTS_MAX = 1_000
PROVIDER_EVENTS_MAX = 50
"""What happened to providers in a message's lifetime is told so often at most, the latest."""


def list_attempts(message: Message) -> list[Attempt]:
    """Every try of the message, first to last.

    The one that is under way is told by the message itself, and comes unsaved: attempts are
    written when they end.
    """
    attempts = list(
        Attempt.select().where(Attempt.message == message.id).order_by(Attempt.attempt_no)
    )
    is_told = bool(attempts) and attempts[-1].attempt_no >= message.attempt_count
    if message.status is Status.SENDING and not is_told:
        attempts.append(
            Attempt(
                message=message.id,
                attempt_no=message.attempt_count,
                status=AttemptStatus.STARTED,
                worker_id=message.worker_id,
                smtp_account_name=message.smtp_account_name or "",
                started_at=message.updated_at,
                is_excused=False,
            )
        )
    return attempts


def list_events(message: Message) -> list[Event]:
    """Every fact about the message, oldest first, and among them what happened to the providers
    of its workspace and of the instance meanwhile.
    """
    own = Event.select().where(Event.message == message.id).order_by(Event.id).limit(EVENTS_MAX)
    events = [*own, *_list_provider_events(message)]
    return sorted(events, key=lambda event: (event.created_at, event.id))


def _list_provider_events(message: Message) -> list[Event]:
    is_over = message.status not in UNFINISHED
    until = message.updated_at if is_over else peewee.fn.now()
    found = []
    # One after the other: an index serves each of the two, and neither serves both.
    owners = [Event.workspace == message.workspace_id]
    if message.smtp_account_name in (None, DEFAULT_ACCOUNT):  # the instance's account
        owners.append(Event.workspace.is_null())
    for owner in owners:
        found += list(
            Event.select()
            .where(
                owner,
                Event.message.is_null(),
                Event.type.startswith("provider."),
                Event.created_at.between(message.created_at, until),
            )
            .order_by(Event.id.desc())
            .limit(PROVIDER_EVENTS_MAX)
        )
    return sorted(found, key=lambda event: event.id)[-PROVIDER_EVENTS_MAX:]
