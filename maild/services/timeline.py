"""The story of one message: its attempts and its events, in order."""

from maild.models import Attempt, Event, Message

EVENTS_MAX = 1_000


def list_attempts(message: Message) -> list[Attempt]:
    """Every try of the message, first to last."""
    return list(Attempt.select().where(Attempt.message == message.id).order_by(Attempt.attempt_no))


def list_events(message: Message) -> list[Event]:
    """Every fact about the message, oldest first."""
    query = Event.select().where(Event.message == message.id).order_by(Event.id)
    return list(query.limit(EVENTS_MAX))
