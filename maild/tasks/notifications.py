"""The doorbell of notifications."""

from maild import queue
from maild.services import notification_loop
from maild.services.notifications import HINT


@queue.task(HINT)
def send_notifications() -> None:
    """Something is to be told: wake the loop that tells it."""
    notification_loop.loop.wake()
