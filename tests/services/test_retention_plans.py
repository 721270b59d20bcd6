"""What the pruner's statements read: indexes, never the whole of a large table."""

from collections.abc import Callable

import pytest

from maild import clock
from maild.db import database as db
from maild.models import Message
from maild.services import retention_walks
from tests.conftest import WORKSPACE_A
from tests.services.test_retention_pruner import age, age_payloads, prune

Accept = Callable[..., Message]

LARGE = (
    "messages", "message_bodies", "message_attachments", "events", "attempts", "log_blocks",
    "webhook_payloads", "provider_events", "incidents", "jobs", "job_items", "notifications",
    "audit_entries",
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize("walk", [retention_walks.BODIES, retention_walks.MESSAGES])
def test_walking_reads_the_index_and_not_the_table(
    walk: retention_walks.Walk, accept: Accept
) -> None:
    values = {
        "workspace": WORKSPACE_A, "horizon": clock.now(), "after_at": "-infinity",
        "after_ref": None, "batch": 1_000,
    }  # fmt: skip
    with db.atomic() as transaction:
        fill(accept())
        with retention_walks.by_index():
            plan = db.execute_sql(f"EXPLAIN {walk.ahead}", values).fetchall()
        transaction.rollback()
    db.execute_sql("ANALYZE messages")
    text = "\n".join(line for (line,) in plan)
    assert "messages_by_time" in text
    assert "Sort" not in text


def fill(message: Message) -> None:
    """So many copies of a message that the planner expects to find one at once."""
    columns = [field.column_name for field in Message._meta.sorted_fields]
    others = ", ".join(f'"{name}"' for name in columns if name != "id")
    db.execute_sql(
        f"INSERT INTO messages (id, {others}) SELECT gen_random_uuid(), {others}"
        " FROM messages, generate_series(1, 5000) WHERE id = %s",
        (message.id,),
    )
    db.execute_sql("ANALYZE messages")


def count_whole_reads() -> dict[str, int]:
    """How often this connection has read the whole of a table; it tells the server of that later,
    so what counts is the difference.
    """
    rows = db.execute_sql(
        "SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE relname = ANY(%s)",
        (list(LARGE),),
    ).fetchall()
    return dict(rows)


def test_no_round_reads_the_whole_of_a_table(accept: Accept) -> None:
    """Not even to find that nothing is old: it looks all day."""
    age(accept(), 100)
    age_payloads(100)
    young = accept()
    with db.atomic() as transaction:
        fill(young)
        # What foreign keys ask was planned by earlier tests, for tables with nothing in them.
        db.execute_sql("DISCARD PLANS")
        before = count_whole_reads()
        assert prune()["messages"] == 1
        assert prune() == {}
        assert count_whole_reads() == before
        transaction.rollback()
    db.execute_sql("ANALYZE messages")  # or later tests would be planned for what is gone
