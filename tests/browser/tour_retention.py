"""A tour of the retention page: as it is, what would go, what is wrong, and for who may not."""

import pytest

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.retention import Choice
from maild.models import Workspace
from maild.services import conservation, retention
from tests.browser import hard_rows
from tests.browser.guide import posted, tour
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/ui/settings/retention"


@pytest.fixture
def archivist(admin, accept):
    """The admin of the only workspace, whose database grows and gets full."""
    Workspace.delete().where(Workspace.id == WORKSPACE_B).execute()
    retention.save(WORKSPACE_A, Choice(messages=2_000), version=0, by=Actor(hard_rows.LONG_ADDRESS))
    accept()
    conservation.check()
    database.execute_sql("DELETE FROM disk_samples")
    database.execute_sql(
        "INSERT INTO disk_samples (day, part, bytes) SELECT current_date - 3, part, 0"
        " FROM unnest(ARRAY['content', 'messages', 'webhooks', 'audit', 'other']) AS part"
    )
    fields = {"version": "1", "workspace_id": WORKSPACE_A}
    return tour(
        admin,
        PATH,
        posted(PATH, 200, messages_days="7", bodies_days="1", webhooks_days="1", **fields),
        posted(PATH, 422, bodies_days="a hundred", audit_days="1", **fields),
        posted(PATH, 409, bodies_days="7", seen="1", version="0", workspace_id=WORKSPACE_A),
    )
