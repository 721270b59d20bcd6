"""The soak: an hour of heavy traffic, in which everything that is periodic happens all the time.

    python -m tests.crash.soak --minutes 60 --rate 120 --report soak.txt

Messages are submitted, read, reported on, deferred, refused and suppressed; jobs run, a person
reads the console, the provider has a bad moment every few minutes and incidents come and go. A day
of what is kept lasts some seconds (`soak_launch.py`), so all that is written is pruned meanwhile.
What is measured must stay flat (`soak_verdict.py`), and nothing may be lost or doubled. Exits with
1 where that is not so.
"""

import argparse
import contextlib
import signal
import sys
import threading
import time
import urllib.error
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from tests.crash.audit import complaints
from tests.crash.rig import ADMIN_KEY, Rig, message, running, wait_until
from tests.crash.soak_samples import Samples
from tests.crash.soak_verdict import TOLD, Verdict, judge
from tests.crash.traffic import SETTINGS, Traffic
from tests.crash.visitor import Visitor

SAMPLE_SECONDS = 15.0
CLIENTS = 16
POOL = 200
"""Addresses that are reported as dead, and so end as suppressed."""
BAD_MOMENT_SECONDS = (240.0, 3.0)
"""How often the provider puts everything off, and for how long."""
SMALL_MIB = 1.0
JOB_SECONDS = 60.0
JOB_MESSAGES = 200
PAGE_SECONDS = 2.0
PAGES = ("/dashboard", "/ui/logs", "/ui/incidents", "/ui/jobs", "/ui/providers", "/ui/suppressions")
CANCEL = """
INSERT INTO jobs (workspace_id, kind, params, reason, created_by, status, total_count, breakdown)
VALUES (%s, 'messages.cancel', jsonb_build_object('filter', jsonb_build_object(
    'until', %s::text), 'words', 'all messages'), 'a soak', 'a soak', 'queued', %s, '{}')
"""
OPEN = "SELECT count(*) FROM messages WHERE status IN ('queued', 'sending', 'held')"


def recipients(dice: Random, suffix: str) -> str:
    place = dice.random()
    if place < 0.02:
        return f"pool-{dice.randrange(POOL)}@example.org"
    for order, share in (("permfail", 0.02), ("tempfail", 0.02), ("greylist", 0.03)):
        place -= share
        if place < 0.02:
            return f"{order}+n{suffix}@example.org"
    return f"person-{suffix}@example.org"


class Surroundings:
    """What happens beside the traffic, until it is stopped: pages, jobs, bad moments."""

    def __init__(self, rig: Rig, visitor: Visitor, jobs_workspace: int) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._rig, self._visitor, self._jobs_workspace = rig, visitor, jobs_workspace
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(seconds, action))
            for seconds, action in (
                (PAGE_SECONDS, self._read_page),
                (BAD_MOMENT_SECONDS[0], self._have_a_bad_moment),
            )
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, seconds: float, action: Callable[[], None]) -> None:
        while not self._stopping.wait(seconds):
            action()

    def _read_page(self) -> None:
        path = PAGES[self.counts["pages"] % len(PAGES)]
        self.counts["pages"] += 1
        try:
            self._visitor.open(path)
        except (urllib.error.URLError, OSError) as error:
            self.faults.append(f"page {path}: {error}")

    def _have_a_bad_moment(self) -> None:
        self.counts["bad moments of the provider"] += 1
        self._rig.sink.set_mode("defer")
        self._stopping.wait(BAD_MOMENT_SECONDS[1])
        self._rig.sink.set_mode("ok")

    def start_job(self) -> None:
        """Schedule messages for later, and have a job cancel them. From the thread of the rig."""
        later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
        number = self.counts["jobs"]
        self.counts["jobs"] += 1
        bodies = [
            message(f"later-{number}-{n}@example.org", scheduled_at=later)
            for n in range(JOB_MESSAGES)
        ]
        body = {"messages": bodies, "workspace_id": self._jobs_workspace}
        status, answer = self._rig.call("POST", "/v1/messages/batch", body)
        if status != 200 or answer["rejected"]:
            self.faults.append(f"batch: {status} {str(answer)[:300]}")
        until = datetime.now(UTC).isoformat()
        self._rig.query(CANCEL, self._jobs_workspace, until, JOB_MESSAGES)


@dataclass(slots=True)
class Outcome:
    """The figures, the verdicts, and what was found wrong."""

    figures: dict[str, str] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=120.0, help="messages a second")
    parser.add_argument("--warm-up", type=float, help="minutes; 15, or a third of a short run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the result there too")
    given = parser.parse_args(argv)
    warm_up = 60 * (min(15.0, given.minutes / 3) if given.warm_up is None else given.warm_up)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave nothing behind
    settings = {
        **SETTINGS,
        "LEASE_DURATION": "20s",
        "SIGNUP_MODE": "open",
        "ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8",
        "RETENTION_BODIES": "1d",
        "RETENTION_MESSAGES": "7d",
        "RETENTION_WEBHOOKS": "1d",
        "INCIDENT_QUIET": "60s",
    }
    with running(program="tests.crash.soak_launch", **settings) as rig:
        outcome = run(rig, minutes=given.minutes, per_second=given.rate, seed=given.seed,
                      warm_up=warm_up)  # fmt: skip
    text = "\n".join(tell(outcome, warm_up=warm_up))
    print(text)
    if given.report is not None:
        given.report.write_text(text + "\n")
    return 1 if outcome.violations else 0


def run(rig: Rig, *, minutes: float, per_second: float, seed: int, warm_up: float) -> Outcome:
    """All of it: traffic and samples for so long, drain, count, judge."""
    visitor = Visitor(rig, "Soak")
    set_up_account(rig, visitor.workspace_id)
    jobs_workspace = rig.add_workspace("Jobs")
    traffic = Traffic(
        [rig.web_addr],
        [1, visitor.workspace_id],
        seed=seed,
        clients=CLIENTS,
        per_second=per_second,
        recipients=recipients,
    )
    surroundings, samples = Surroundings(rig, visitor, jobs_workspace), Samples(rig)
    last_job_at = 0.0
    traffic.start()
    surroundings.start()
    try:
        while samples.seconds < 60 * minutes:
            time.sleep(SAMPLE_SECONDS)
            if samples.seconds - last_job_at >= JOB_SECONDS:
                last_job_at = samples.seconds
                surroundings.start_job()
            print(samples.take(traffic.take_latencies()), flush=True)
    finally:
        traffic.stop()
        surroundings.stop()
    seconds, used = samples.seconds, samples.cpu_seconds()
    wait_until(lambda: rig.query(OPEN) == [(0,)], "every message has come to its end")
    outcome = count(rig, traffic, surroundings, seconds=seconds)
    outcome.figures |= {
        f"CPU seconds of {kind}": f"{number:,.0f}" for kind, number in sorted(used.items())
    }
    outcome.verdicts = judge(samples.series, warm_up=warm_up)
    outcome.violations += [
        f"{one.name} grew by {one.growth:.1f}; {one.allowed:.1f} is allowed"
        for one in outcome.verdicts
        if not one.is_flat
    ]
    return outcome


def set_up_account(rig: Rig, workspace_id: int) -> None:
    """An SMTP account of its own, which leads to the sink."""
    body = {
        "workspace_id": workspace_id,
        "name": "own",
        "host": rig.sink.addr.host,
        "port": rig.sink.addr.port,
        "from_email": "shop@example.com",
        "security": "none",
        "username": "shop",
        "password": "secret",
    }
    status, answer = rig.call("POST", "/v1/smtp-accounts", body, key=ADMIN_KEY)
    assert status == 201, answer
    body = {"workspace_id": workspace_id, "name": "own"}
    status, answer = rig.call("POST", "/v1/smtp-accounts/activate", body, key=ADMIN_KEY)
    assert status == 200, answer


def count(rig: Rig, traffic: Traffic, surroundings: Surroundings, *, seconds: float) -> Outcome:
    """Compare what was answered with what the provider has. PostgreSQL has forgotten most of it."""
    # All but what maild writes to the person who reads the console.
    copies = Counter(line[1] for line in rig.sink.lines() if line[2].endswith("@example.org"))
    lost: list[uuid.UUID] = []
    doubled: list[uuid.UUID] = []
    for message_id, to_email in traffic.accepted.items():
        number = copies.pop(message_id, 0)
        if number == 0 and to_email.startswith(("person", "greylist")):
            lost.append(message_id)
        if number > (0 if to_email.startswith(("permfail", "tempfail")) else 1):
            doubled.append(message_id)
    strangers = list(copies)
    violations = [
        *(f"request failed: {text}" for text in traffic.failures),
        *(f"connection broken: {text}" for text in traffic.broken),
        *surroundings.faults[:10],
        *(f"log: {line}" for line in complaints(rig)),
    ]
    if lost or doubled or strangers:
        violations.append(
            f"{len(lost)} lost ({lost[:3]}), {len(doubled)} doubled ({doubled[:3]}),"
            f" {len(strangers)} that nobody submitted ({strangers[:3]})"
        )
    orders = Counter(to.partition("+")[0].partition("-")[0] for to in traffic.accepted.values())
    [(suppressed,)] = rig.query("SELECT count(*) FROM suppressions")
    pruned = dict(rig.query("SELECT rule, sum(pruned_count) FROM retention_progress GROUP BY 1"))
    return Outcome(
        figures={
            "minutes": f"{seconds / 60:,.0f}",
            "messages accepted": f"{len(traffic.accepted):,}",
            "  a second": f"{len(traffic.accepted) / seconds:,.0f}",
            **{f"  to {order}": f"{number:,}" for order, number in sorted(orders.items())},
            "reports accepted": f"{len(traffic.reported):,}",
            "requests answered": f"{traffic.answers.total():,}",
            "requests failed": f"{traffic.failure_count:,}",
            **{name: f"{number:,}" for name, number in surroundings.counts.items()},
            "suppressed addresses": f"{suppressed:,}",
            **{f"pruned by the rule {rule}": f"{n:,}" for rule, n in sorted(pruned.items())},
            "lost": f"{len(lost):,}",
            "doubled": f"{len(doubled):,}",
        },
        violations=violations,
    )


def tell(outcome: Outcome, *, warm_up: float) -> list[str]:
    """The lines of the report."""
    lines = [f"{name:<44}{value:>14}" for name, value in outcome.figures.items()]
    lines += [
        "",
        f"After a warm-up of {warm_up / 60:.0f} minutes (medians at its end and at the last):",
    ]
    lines.append(f"{'':<34}{'begin':>10}{'end':>10}{'most':>10}{'growth':>10}{'allowed':>10}")
    small = 0
    for one in outcome.verdicts:
        if one.is_flat and one.name.startswith("table") and one.highest < SMALL_MIB:
            small += 1
            continue
        figures = (one.level, one.last, one.highest, one.growth, one.allowed)
        cells = "".join(f"{value:>10.1f}" for value in figures)
        word = "told" if one.name in TOLD else "flat" if one.is_flat else "GROWS"
        lines.append(f"{one.name:<34}{cells}  {word}")
    lines.append(f"{small} tables that never reached {SMALL_MIB:.0f} MiB, all of them flat")
    lines += ["", *(f"VIOLATION {text[:500]}" for text in outcome.violations)]
    lines.append("Not fit." if outcome.violations else "All flat, nothing lost, nothing doubled.")
    return lines


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
