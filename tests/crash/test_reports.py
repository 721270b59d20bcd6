"""I9, I10: providers report as fast as they can while workers are killed and Valkey forgets."""

import pytest

from tests.crash import reports
from tests.crash.rig import running

pytestmark = [pytest.mark.crash, pytest.mark.long]


@pytest.mark.proves("I9")
def test_what_is_reported_is_never_lost_and_applied_once() -> None:
    """The short form of `python -m tests.crash.reports`, which says more."""
    with running(schedulers=1, **reports.SETTINGS) as rig:
        outcome = reports.run(
            rig,
            messages=380,
            seed=20260101,
            strikes=[reports.kill_one, reports.flush, reports.kill_all],
        )
    assert not outcome.violations, "\n".join(outcome.violations[:20])
