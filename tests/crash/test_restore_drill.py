"""The restore drill: yesterday's backup comes back into a fresh cluster, and nothing is sent twice
without a person's word. With real processes, and a Redis that still knows the newer world.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from maild.local import home as homes
from maild.local import postgres
from maild.local.run import web_command
from tests.crash.rig import ADMIN_KEY, ROOT, Rig, running, wait_until

pytestmark = [pytest.mark.crash, pytest.mark.long]


def maild(rig: Rig, *words: str) -> Any:
    """What a command prints with --json; fails unless it exits with 0."""
    done = subprocess.run(
        [*rig.maild(*words), "--json"],
        cwd=ROOT,
        env=rig.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def call(rig: Rig, method: str, path: str, **body: Any) -> None:
    status, answer = rig.call(method, path, body, key=ADMIN_KEY)
    assert status in {200, 201}, answer


def suppress(rig: Rig, email: str) -> None:
    call(rig, "POST", "/v1/suppressions", email=email, reason="asked")


def start_all(rig: Rig, name: str) -> None:
    rig.web = rig.start_part(f"web-{name}", web_command(rig.web_addr, processes=1))
    rig.workers = [rig.start_part(f"worker-{name}", rig.maild("worker"))]
    rig.schedulers = [rig.start_part(f"scheduler-{name}", rig.maild("scheduler"))]
    rig.wait_ready()


def test_nothing_of_a_restored_queue_is_sent_without_a_persons_word(tmp_path: Path) -> None:
    with running(workers=1, schedulers=1, web_processes=1) as rig:
        early = [rig.submit(f"early{n}@example.org") for n in range(3)]
        for message_id in early:
            rig.wait_status(message_id, "sent")
        [worker] = rig.workers
        assert worker.terminate() == 0
        waiting = [rig.submit(f"waiting{n}@example.org") for n in range(4)]
        made = maild(rig, "backup", "--to", str(tmp_path))
        assert made["messages"] == {"queued": 4, "sent": 3}

        # The world goes on after the backup.
        worker.start()
        for message_id in waiting:
            rig.wait_status(message_id, "sent")
        late = rig.submit("late@example.org")
        rig.wait_status(late, "sent")
        suppress(rig, "late@example.org")
        delivered = sorted(line[1] for line in rig.sink.lines())
        assert delivered == sorted([*early, *waiting, late])

        # The disaster: every process and the cluster. Redis is as it was.
        for part in (rig.web, *rig.workers, *rig.schedulers):
            part.kill()
        rig.crash_postgres()
        with homes.temporary() as fresh, postgres.running(fresh) as dsn:
            rig.dsn, rig._connection = dsn, None
            rig.env["POSTGRES_DSN"] = dsn
            told = maild(rig, "restore", made["path"], "--yes")
            held = {one["workspace_id"]: one["held_count"] for one in told["workspaces"]}
            assert held[1] == 4
            assert {rig.status(one) for one in waiting} == {"held"}
            start_all(rig, "restored")

            # New mail is accepted, and a worker holds it: so it has looked at all that is due.
            new = rig.submit("new@example.org")
            missed = rig.submit("late@example.org")  # whose suppression is lost
            rig.wait_status(new, "held")
            rig.wait_status(missed, "held")
            wait_until(
                lambda: rig.query("SELECT 1 FROM conservation_checks"), "the scheduler has counted"
            )
            assert sorted(line[1] for line in rig.sink.lines()) == delivered

            # A person lifts the freeze: new mail goes, what the restore holds does not.
            suppress(rig, "late@example.org")
            [(freeze_id,)] = rig.query("SELECT id FROM freezes WHERE workspace_id = 1")
            call(rig, "DELETE", "/v1/freezes", id=freeze_id, reason="suppressions are back")
            rig.wait_status(new, "sent")
            rig.wait_status(missed, "suppressed")
            assert {rig.status(one) for one in waiting} == {"held"}

            # And releases one: exactly that goes.
            why = "the provider's log has nothing of it"
            call(rig, "POST", "/v1/messages/release", message_ids=[str(waiting[2])], reason=why)
            rig.wait_status(waiting[2], "sent")
            marker = rig.submit("marker@example.org")
            rig.wait_status(marker, "sent")
            added = sorted(line[1] for line in rig.sink.lines())
            assert added == sorted([*delivered, new, waiting[2], marker])
            for part in (rig.web, *rig.workers, *rig.schedulers):
                part.kill()
