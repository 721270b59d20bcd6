"""API keys may have a limit of requests a minute of their own."""

COLUMN = """
ALTER TABLE api_keys ADD COLUMN requests_per_minute integer
    CONSTRAINT api_keys_requests_per_minute CHECK (requests_per_minute >= 0);
"""

BACK = "ALTER TABLE api_keys DROP COLUMN requests_per_minute"


def up(migrator, db):
    db.execute_sql(COLUMN)


def down(migrator, db):
    db.execute_sql(BACK)
