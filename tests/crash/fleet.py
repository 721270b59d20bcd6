"""A fleet: what a deployment runs, so that a part can be restarted while the others work.

In charge of restarting its processes one after the other, with the code of any release, of applying
a release's migrations under them, and of what must be true of the traffic afterwards.
"""

import contextlib
import http.client
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from maild.config import Addr
from maild.local.run import web_command
from tests.crash.audit import audit
from tests.crash.load import Acknowledged
from tests.crash.rig import ROOT, Part, Rig, call, free_port, running, wait_until
from tests.crash.traffic import SETTINGS, Traffic


@dataclass(slots=True)
class Findings:
    """The figures of a rollout, and what was wrong."""

    figures: dict[str, object] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


class Fleet:
    """Two web instances, two workers and a scheduler, which may run different releases."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.seconds: dict[str, list[float]] = {}
        """How long each process was away, by its name, and how long each migration took."""
        second = Addr("127.0.0.1", free_port())
        command = web_command(second, processes=1)
        self.webs = {
            rig.web_addr: rig.web,
            second: rig.start_part("web-b", command, APP_ADDR=str(second)),
        }
        for addr in self.webs:
            wait_until(lambda addr=addr: _answers(addr), f"the web instance on {addr} answers")

    @property
    def parts(self) -> list[Part]:
        """In the order in which they are restarted."""
        first, second = self.webs.values()
        worker, other_worker = self.rig.workers
        return [first, worker, *self.rig.schedulers, second, other_worker]

    def roll(self, tree: Path) -> None:
        """Restart each process with the code in `tree`, the next one when the one before works."""
        for part in self.parts:
            self.restart(part, tree)

    def restart(self, part: Part, tree: Path) -> None:
        """Stop it as a deployment does, start it with the code in `tree`, wait until it works."""
        begun_at = time.monotonic()
        ready_before = self.rig.log_text(part.name).count("scheduler.ready")
        code = part.terminate()
        assert code == 0, f"{part.name} ended with {code}: {self.rig.log_text(part.name)[-2000:]}"
        part.tree = tree
        part.start()
        if part in self.rig.workers:
            alive = lambda: part.pid in {pid for _, pid in self.rig.live_workers()}  # noqa: E731
            wait_until(alive, f"{part.name} works")
        elif part in self.rig.schedulers:
            wait_until(
                lambda: self.rig.log_text(part.name).count("scheduler.ready") > ready_before,
                f"{part.name} is ready",
            )
        else:
            [addr] = [addr for addr, web in self.webs.items() if web is part]
            wait_until(lambda: _answers(addr), f"{part.name} answers")
        self._note(part.name, begun_at)

    def migrate(self, tree: Path) -> list[str]:
        """Apply the migrations of the code in `tree` under the running fleet; their names."""
        name = f"migrate-{len(self.seconds.get('migrate', ()))}"
        begun_at = time.monotonic()
        part = self.rig.start_part(name, self.rig.maild("migrate"), tree=tree)
        code = part.wait_end()
        self._note("migrate", begun_at)
        assert code == 0, self.rig.log_text(name)
        return re.findall(r"^applied (\S+)$", self.rig.log_text(name), re.MULTILINE)

    def _note(self, name: str, begun_at: float) -> None:
        self.seconds.setdefault(name, []).append(time.monotonic() - begun_at)


@contextlib.contextmanager
def deployed(tree: Path = ROOT, **settings: str) -> Iterator[Fleet]:
    """A fleet of the code in `tree`, with the schema that this code has."""
    # A machine that is busy with other things makes no process lose its lease.
    given = {**SETTINGS, "LEASE_DURATION": "20s", **settings}
    with running(schedulers=1, web_processes=1, tree=tree, **given) as rig:
        yield Fleet(rig)


def judge(fleet: Fleet, traffic: Traffic) -> Findings:
    """What must be true when everything has drained: nobody was refused, nothing is lost or there
    twice.
    """
    rig, findings = fleet.rig, Findings()
    found = findings.violations
    found += [f"request failed: {text}" for text in traffic.failures]
    report = audit(
        rig,
        [Acknowledged(one, 1, to_email) for one, to_email in traffic.accepted.items()],
    )
    found += report.violations
    if report.lost or report.duplicates or report.ordered_duplicates:
        found.append(f"{report.lost} lost, {report.duplicates} twice on the wire")
    known: dict[str, int] = Counter(row[0] for row in rig.query("SELECT to_email FROM messages"))
    for to_email in traffic.accepted.values():
        if known.pop(to_email, 0) != 1:
            found.append(f"accepted twice, or not at all: {to_email}")
    if known:
        found.append(f"accepted, and nobody was told: {list(known)[:5]}")
    found += _check_reports(rig, traffic)
    findings.figures = {
        "messages accepted": len(traffic.accepted),
        "reports accepted": len(traffic.reported),
        "answers": sum(traffic.answers.values()),
        "failed requests": traffic.failure_count,
        "asked again after a broken connection": sum(traffic.broken.values()),
        "  answered from the first time": traffic.replayed_count,
        "lost": report.lost,
        "sent twice": report.duplicates,
    }
    return findings


def _check_reports(rig: Rig, traffic: Traffic) -> list[str]:
    """Each report that was answered 202 was applied, once."""
    rows: dict[str, Counter[str]] = {}
    for event_id, status in rig.query(
        "SELECT report->'metadata'->>'marker', status FROM provider_events"
    ):
        rows.setdefault(event_id, Counter())[status] += 1
    wrong = []
    for event_id in traffic.reported:
        statuses = rows.get(event_id, Counter())
        if statuses["applied"] != 1 or statuses.keys() - {"applied", "duplicate"}:
            wrong.append(f"I9: report {event_id} is {dict(statuses)}")
    return wrong[:10]


def _answers(addr: Addr) -> bool:
    try:
        return call(addr, "GET", "/healthz", None, {})[0] == 200
    except (OSError, http.client.HTTPException, ValueError):
        return False
