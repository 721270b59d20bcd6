"""The doorbell of campaigns."""

from maild import queue
from maild.services import campaign_loop
from maild.services.campaign_states import HINT


@queue.task(HINT)
def step_campaigns() -> None:
    """Somebody has moved a campaign: wake the loop that takes its steps."""
    campaign_loop.loop.wake()
