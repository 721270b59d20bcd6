"""The doorbell of delivery."""

from maild import queue
from maild.services import outcomes, sending, workers
from maild.services.messages import DELIVER


@queue.task(DELIVER)
def deliver() -> None:
    """Send what is due."""
    sending.deliver_due(workers.current(), outcomes.recorder())
