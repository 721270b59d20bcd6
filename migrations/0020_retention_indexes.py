"""What the pruner finds what is old by, and the check of the contents that were there before 0017.

Each step lets everybody read and write meanwhile, so none is in a transaction with another. Begun
anew after a step that failed, it comes to the same.
"""

atomic = False

INDEXES = {
    "webhook_payloads_by_workspace": "webhook_payloads (workspace_id, id)",
    "jobs_by_end": "jobs (workspace_id, finished_at) WHERE finished_at IS NOT NULL",
    "notifications_by_end": "notifications (workspace_id, settled_at) WHERE settled_at IS NOT NULL",
    "incidents_by_end": "incidents (workspace_id, resolved_at) WHERE resolved_at IS NOT NULL",
}
VALIDATE = "ALTER TABLE message_bodies VALIDATE CONSTRAINT message_bodies_not_empty"

BACK = """
DROP INDEX webhook_payloads_by_workspace, jobs_by_end, notifications_by_end, incidents_by_end;
CREATE INDEX webhook_payloads_by_workspace ON webhook_payloads (workspace_id);
CREATE INDEX jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL;
ALTER TABLE message_bodies
    DROP CONSTRAINT message_bodies_not_empty,
    ADD CONSTRAINT message_bodies_not_empty CHECK (
        body_text IS NOT NULL OR body_html IS NOT NULL OR pruned_at IS NOT NULL) NOT VALID;
"""


def up(migrator, db):
    # Nobody queues behind what waits here; it may wait for transactions that last.
    db.execute_sql("SET lock_timeout = '10min'")
    for name, what in INDEXES.items():
        db.execute_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}_new")
        db.execute_sql(f"CREATE INDEX CONCURRENTLY {name}_new ON {what}")
        db.execute_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        db.execute_sql(f"ALTER INDEX {name}_new RENAME TO {name}")
    db.execute_sql(VALIDATE)


def down(migrator, db):
    db.execute_sql(BACK)
