"""An import of contacts whose workers are killed in the middle: another goes on, every row is
imported and counted once, and nobody is subscribed again.
"""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.crash.rig import ADMIN_KEY, Rig, running, wait_until

pytestmark = [pytest.mark.crash, pytest.mark.long]

ROWS = 60_000
"""Some parts of a file, of about a second each."""
BARRED = 40
"""Every so manieth address must not be mailed."""
BAR = """
INSERT INTO suppressions (workspace_id, email, reason, source, class, created_by)
SELECT %s, 'user' || n || '@example.org', 'a test', 'api', 'manual', 'a test'
FROM generate_series(0, %s, %s) n
"""


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running(schedulers=1) as started:
        yield started


def ask(rig: Rig, method: str, path: str, body: bytes | dict[str, Any] | None = None) -> Any:
    """Ask the API; the answer."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    kind = "application/json" if isinstance(body, dict) else "text/csv"
    headers = {"X-API-Key": ADMIN_KEY, "Content-Type": kind}
    connection = http.client.HTTPConnection(rig.web_addr.host, rig.web_addr.port, timeout=90)
    try:
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    assert response.status < 300, text
    return json.loads(text)


def send(rig: Rig, workspace_id: int) -> int:
    rows = "".join(f"user{n}@example.org,User {n},{n}\n" for n in range(ROWS))
    data = f"email,name,age\n{rows}".encode()
    path = f"/v1/contacts/imports?name=x.csv&workspace_id={workspace_id}"
    return int(ask(rig, "POST", path, data)["id"])


def state(rig: Rig, job_id: int) -> tuple[str, int]:
    [(status, handled)] = rig.query(
        "SELECT status, done_count + skipped_count + failed_count FROM jobs WHERE id = %s", job_id
    )
    return status, handled


def kill_in_the_middle(rig: Rig, job_id: int) -> None:
    """Kill all workers after a part of the job, and start others."""
    wait_until(lambda: state(rig, job_id)[1] > 0, "the job has done a part")
    for worker in rig.workers:
        worker.kill()
    assert state(rig, job_id)[0] == "running"
    rig.restart_all()


@pytest.mark.proves("I13")
@pytest.mark.proves("I7")
def test_killed_workers_import_every_row_once_and_bring_nobody_back(rig: Rig) -> None:
    workspace_id = rig.add_workspace("many")
    rig.query(BAR, workspace_id, ROWS - 1, BARRED)
    barred = rig.query("SELECT * FROM suppressions WHERE workspace_id = %s", workspace_id)
    import_id, own = send(rig, workspace_id), {"workspace_id": workspace_id}
    path = f"/v1/contacts/imports/{import_id}?workspace_id={workspace_id}"
    asked = {"id": import_id, "audience_name": "everybody", **own}
    check = ask(rig, "POST", "/v1/contacts/imports/configure", asked)["check"]["id"]
    kill_in_the_middle(rig, check)
    wait_until(lambda: state(rig, check)[0] == "done", "the look is done")
    foreseen = ask(rig, "GET", path)["foreseen"]
    started = ask(rig, "POST", "/v1/contacts/imports/start", {"id": import_id, **own})
    job_id = started["job"]["id"]
    kill_in_the_middle(rig, job_id)
    # What a step has done and what it has counted are in the database together, or neither is.
    _, handled = state(rig, job_id)
    assert handled < ROWS
    wait_until(lambda: state(rig, job_id) == ("done", ROWS), "the import is done")
    counts = ask(rig, "GET", path)["counts"]
    assert counts == foreseen
    assert counts["rows"] == counts["new"] + counts["rejected"] == ROWS
    assert counts["rejected"] == counts["reasons"]["suppressed"] == len(barred)
    [(contacts, members, noted)] = rig.query(
        "SELECT (SELECT count(*) FROM contacts WHERE workspace_id = %s),"
        " (SELECT count(*) FROM audience_members m JOIN contacts c ON c.id = m.contact_id"
        " WHERE c.workspace_id = %s),"
        " (SELECT sum(cardinality(contact_ids)) FROM contact_import_parts WHERE job_id = %s)",
        workspace_id, workspace_id, job_id,
    )  # fmt: skip
    assert contacts == members == noted == ROWS - len(barred)
    assert rig.query("SELECT * FROM suppressions WHERE workspace_id = %s", workspace_id) == barred
    undo_it(rig, workspace_id, import_id)


def undo_it(rig: Rig, workspace_id: int, import_id: int) -> None:
    """Taking it back, with a kill in the middle, leaves nothing."""
    asked = {"id": import_id, "reason": "a test", "workspace_id": workspace_id}
    undo_id = ask(rig, "POST", "/v1/contacts/imports/undo", asked)["undo"]["id"]
    kill_in_the_middle(rig, undo_id)
    wait_until(lambda: state(rig, undo_id)[0] == "done", "it is taken back")
    [(left,)] = rig.query("SELECT count(*) FROM contacts WHERE workspace_id = %s", workspace_id)
    assert left == 0
