"""The states of a campaign: the table of moves, and the database's trigger beside it."""

import re
from pathlib import Path

import pytest

from maild.domain.campaign import MOVES, OVER, RUNNING, CampaignStatus, can_move

MIGRATION = Path(__file__).parents[2] / "migrations" / "0023_campaigns.py"


def test_the_database_allows_the_same_moves() -> None:
    allowed = set(re.findall(r"'(\w+)>(\w+)'", MIGRATION.read_text()))
    assert allowed == {(old.value, new.value) for old, news in MOVES.items() for new in news}


@pytest.mark.parametrize("status", list(CampaignStatus))
def test_what_is_over_stays_so(status: CampaignStatus) -> None:
    assert (not MOVES[status]) == (status in OVER)
    assert not can_move(status, status)


@pytest.mark.parametrize("status", sorted(RUNNING))
def test_what_runs_can_be_stopped(status: CampaignStatus) -> None:
    assert can_move(status, CampaignStatus.CANCELLED)
    assert status is CampaignStatus.PAUSED or can_move(status, CampaignStatus.PAUSED)
