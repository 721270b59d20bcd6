"""An upgrade from the previous release, and the way back, while mail flows.

The previous release's code runs, the migrations of this one are applied under it, and it goes on;
then processes are restarted as this release, one after the other, and then as the previous one
again, on the new schema: what a rollback is. Here one of each kind is, so that both releases work
side by side; `python -m tests.crash.upgrade` is the long form, for all of them.
"""

from pathlib import Path

import pytest

from tests.crash import releases
from tests.crash.fleet import deployed
from tests.crash.rig import ROOT
from tests.crash.rollouts import flowing

pytestmark = pytest.mark.crash


@pytest.mark.long
@pytest.mark.proves("run-upgrade")
def test_an_upgrade_from_the_previous_release_and_back(tmp_path: Path) -> None:
    previous = releases.find_previous(tmp_path)
    pending = releases.list_migrations(ROOT) - releases.list_migrations(previous)
    with deployed(previous) as fleet, flowing(fleet) as flow:
        flow.go_on(20)
        assert set(fleet.migrate(ROOT)) == pending
        flow.go_on(20)
        one_of_each = fleet.parts[:3]
        for part in one_of_each:
            fleet.restart(part, ROOT)
        flow.go_on(30)
        for part in one_of_each:
            fleet.restart(part, previous)
        flow.go_on(20)
    flow.check()


def test_a_history_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = tmp_path / "previous_release"
    unknown.write_text("0" * 40)
    monkeypatch.setattr(releases, "PREVIOUS", unknown)
    with pytest.raises(releases.HistoryMissing, match="use a full clone"):
        releases.write_previous(tmp_path / "previous")
