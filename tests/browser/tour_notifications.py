"""A tour of the notifications: none, channels of all kinds, what was told, and a secret."""

import pytest
from playwright.sync_api import expect

from maild.domain.actor import Actor
from maild.domain.notification import NotificationStatus
from maild.models import Notification, NotificationChannel
from maild.services import notification_channels
from maild.services.notification_channels import NewChannel
from tests.browser import hard_rows
from tests.browser.guide import Sight, posted, tour
from tests.conftest import WORKSPACE_A

PATH = "/ui/settings/notifications"


@pytest.fixture
def town_crier(admin):
    """The admin, among channels with long names that fail with long words."""
    by = Actor(hard_rows.LONG_ADDRESS)
    ids = []
    for number, kind in enumerate(("webhook", "slack")):
        url = f"https://{'label.' * 20}{kind}.example.com/T0/B0/secret"
        new = NewChannel(name=f"{'channel' * 10} {number}", kind=kind, target=url)
        row, _ = notification_channels.add(WORKSPACE_A, new, by=by)
        notification_channels.test(WORKSPACE_A, row.id, by=by)
        ids.append(row.id)
    told = "It answered 500: " + "out-of-order" * 20
    Notification.update(
        status=NotificationStatus.FAILED, outcome=told, settled_at=Notification.created_at
    ).execute()
    NotificationChannel.update(
        failing_since=NotificationChannel.created_at, last_error=told
    ).execute()
    return tour(
        admin,
        PATH,
        Sight(PATH, see_the_form),
        *(f"{PATH}/{channel_id}" for channel_id in ids),
        posted(PATH, 422, name="", kind="webhook", url="x", workspace_id=WORKSPACE_A),
        posted(f"{PATH}/{ids[0]}/secret", 200, by=PATH, workspace_id=WORKSPACE_A),
    )


def see_the_form(tab):
    tab.locator("#add-channel > summary").click()
    expect(tab.get_by_label("Address on the web")).to_be_visible()
