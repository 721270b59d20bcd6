"""The doorbell of delivery."""

from maild import queue
from maild.services import sending
from maild.services.messages import DELIVER


@queue.task(DELIVER)
def deliver() -> None:
    """There is work: wake the engine."""
    sending.wake()
