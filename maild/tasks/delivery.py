"""The doorbell of delivery."""

from maild import log, queue
from maild.errors import Unavailable
from maild.services import outcomes, sending, workers
from maild.services.messages import DELIVER

logger = log.get(__name__)


@queue.task(DELIVER)
def deliver() -> None:
    """Send what is due. While the database is away, the sweep goes on trying."""
    try:
        sending.deliver_due(workers.current(), outcomes.recorder())
    except Unavailable as error:
        logger.warning("delivery.database_away", detail=error.detail)
