"""`make demo` beside `make run`: it still fits the API, and what it moves into the past is in order
there.
"""

import subprocess
import sys

import psycopg2
import pytest

from tests.crash.audit import MISCOUNTED
from tests.crash.conftest import Stack
from tests.crash.rig import ROOT

pytestmark = [pytest.mark.crash, pytest.mark.long]

DISORDER = {
    "an attempt before its message": """
        SELECT FROM attempts a JOIN messages m ON m.id = a.message_id
        WHERE a.started_at < m.created_at OR a.finished_at < a.started_at""",
    "an attempt before the one before": """
        SELECT FROM attempts a JOIN attempts b USING (message_id)
        WHERE a.attempt_no < b.attempt_no AND b.started_at < a.finished_at""",
    "a fact before its message": """
        SELECT FROM events e JOIN messages m ON m.id = e.message_id
        WHERE e.created_at < m.created_at""",
    "a timeline that goes back": """
        SELECT FROM (SELECT created_at, lag(created_at)
            OVER (PARTITION BY workspace_id, message_id ORDER BY id) AS before FROM events) AS e
        WHERE created_at < before""",
    "a list of reports that goes back": """
        SELECT FROM (SELECT created_at, lag(created_at)
            OVER (PARTITION BY workspace_id ORDER BY id) AS before FROM provider_events) AS p
        WHERE created_at < before""",
    # Its campaign is still going out.
    "the future": """
        SELECT FROM messages WHERE created_at > clock_timestamp() OR updated_at > clock_timestamp()
        UNION ALL SELECT FROM events WHERE created_at > clock_timestamp()
        UNION ALL SELECT FROM attempts WHERE finished_at > clock_timestamp()""",
    "a change before the beginning": "SELECT FROM messages WHERE updated_at < created_at",
    "unfinished mail that is over": """
        SELECT FROM messages WHERE status IN ('queued', 'held') AND expires_at < now()""",
    "something counted in another minute": MISCOUNTED,
}


def test_a_day_is_told_in_order(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo", "--hurry"],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "spread over the last 24.0 hours" in done.stdout
    assert "demo@maild.test" in done.stdout
    lines = (stack.home / "stack.env").read_text().splitlines()
    database = psycopg2.connect(dict(line.split("=", 1) for line in lines)["POSTGRES_DSN"])
    with database, database.cursor() as cursor:
        found = {}
        for what, statement in DISORDER.items():
            cursor.execute(statement)
            found[what] = cursor.rowcount
        assert found == dict.fromkeys(DISORDER, 0)
        cursor.execute(
            "SELECT DISTINCT m.status FROM messages m JOIN workspaces w ON w.id = m.workspace_id"
            " WHERE w.name = 'Demo shop'"
        )
        statuses = {status for (status,) in cursor.fetchall()}
    database.close()
    assert {"delivered", "failed", "held", "suppressed", "cancelled"} <= statuses
