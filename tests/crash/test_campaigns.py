"""I12: a campaign reaches everybody once, while workers, Valkey and the web server are killed."""

import pytest

from tests.crash import campaigns
from tests.crash.rig import running

pytestmark = [pytest.mark.crash, pytest.mark.long]

STRIKES = [campaigns.kill_worker, campaigns.kill_valkey, campaigns.kill_web]


@pytest.mark.proves("I12")
def test_a_campaign_reaches_everybody_once_whatever_is_killed() -> None:
    """The short form of `python -m tests.crash.campaigns`, which says more."""
    with running(schedulers=1) as rig:
        outcome = campaigns.run(rig, contacts=3_000, seed=20260101, strikes=STRIKES * 2, leavers=6)
    assert not outcome.violations, "\n".join(outcome.violations[:20])
