"""A recipient of a campaign gets one message, and the database sees to it.

Not in a transaction, so that accepting goes on meanwhile; begun anew after a step that failed, it
comes to the same.
"""

atomic = False


def up(migrator, db):
    db.execute_sql("SET lock_timeout = '10min'")
    db.execute_sql("DROP INDEX CONCURRENTLY IF EXISTS messages_of_recipient")
    db.execute_sql(
        "CREATE UNIQUE INDEX CONCURRENTLY messages_of_recipient ON messages (recipient_id)"
        " WHERE recipient_id IS NOT NULL"
    )


def down(migrator, db):
    db.execute_sql("DROP INDEX messages_of_recipient")
