"""The loop that takes the steps of campaigns: one thread of a worker. Its hint is
`campaign_states.HINT`.

Several workers do it at once, each with another campaign. A step that is under way when a worker
stops is finished.
"""

from maild.services import campaign_steps
from maild.services.loops import Loop

loop = Loop("campaigns", campaign_steps.drain, rest_seconds=campaign_steps.rest_seconds)
