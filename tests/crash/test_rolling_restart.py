"""A deployment is rolled out under load, with migrations in its middle, and nobody notices.

Clients keep their connections, submit with idempotency keys, read and report; they ask again only
where a connection broke. `python -m tests.crash.rolling` is the long form.
"""

from pathlib import Path

import pytest

from tests.crash import releases
from tests.crash.fleet import deployed
from tests.crash.rig import ROOT
from tests.crash.rollouts import flowing

pytestmark = [pytest.mark.crash, pytest.mark.long]


@pytest.mark.proves("run-rolling-restart", "I21")
def test_a_rolling_restart_with_migrations_in_the_middle(tmp_path: Path) -> None:
    following = releases.write_next(tmp_path)
    with deployed() as fleet, flowing(fleet) as flow:
        flow.go_on(20)
        applied = fleet.migrate(following)
        assert [name.partition("_next_")[2] for name in applied] == list(releases.NEXT_TABLES)
        flow.go_on(20)
        fleet.roll(following)
        flow.go_on(20)
    flow.check()
    assert ROOT not in {part.tree for part in fleet.parts}
