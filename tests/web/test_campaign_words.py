"""What the console says of a campaign: when it begins."""

from datetime import timedelta

import pytest

from maild import clock
from maild.domain.campaign import CampaignStatus
from maild.models import Campaign
from maild.web import campaign_words


@pytest.mark.parametrize(
    ("status", "hours", "has_begun", "words"),
    [
        (CampaignStatus.SCHEDULED, 1, False, "begins on "),
        (CampaignStatus.SCHEDULED, -1, False, "is due, and begins in a moment"),
        (CampaignStatus.SENDING, -1, True, "began on "),
        (CampaignStatus.CANCELLED, -1, False, "was to begin on "),
    ],
)
def test_it_has_begun_only_once_it_has(status, hours, has_begun, words):
    at = clock.now() + timedelta(hours=hours)
    row = Campaign(
        status=status, starts_at=at, time_zone="UTC", started_at=at if has_begun else None
    )
    assert campaign_words.begins(row).startswith(words)
