"""`make crash`: a long run. Kill what can be killed while mail flows, then count.

    python -m tests.crash --kills 200 --seed 7
    python -m tests.crash --reports 60           what providers report, for so many seconds

Prints its table, and exits with 1 where an invariant was broken; the processes' logs are kept then.
The same seed strikes in the same order; what that hits depends on the machine's mood as well.
"""

import argparse
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.crash import faults, points, reports
from tests.crash.audit import Report, audit, expire_endless
from tests.crash.desk import Desk
from tests.crash.load import Load
from tests.crash.rig import Rig, running

WORKSPACES = 3
STALLED_SECONDS = 150.0
"""Without any message moving for so long, it will not drain any more."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=60.0, help="messages a second")
    parser.add_argument("--no-points", action="store_true", help="the random part only")
    parser.add_argument("--reports", type=float, metavar="SECONDS", help="reports only; 500/s")
    given = parser.parse_args(argv)
    if given.reports is not None:
        return reports.main(["--seconds", str(given.reports), "--seed", str(given.seed)])
    print(f"crash: seed {given.seed}, {given.kills} kills", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave nothing behind
    began_at = time.monotonic()
    with running(workers=given.workers) as rig:
        killer, hits, report = run(
            rig,
            kills=given.kills,
            seed=given.seed,
            per_second=given.rate,
            with_points=not given.no_points,
        )
        print_table(report, killer.counts, hits, time.monotonic() - began_at)
        if report.violations:
            kept = Path(f"/tmp/maild-crash-{given.seed}")
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(rig.home / "logs", kept)
            print(f"\nThe logs are kept in {kept}.")
    return 1 if report.violations else 0


def run(
    rig: Rig, *, kills: int, seed: int, per_second: float, with_points: bool
) -> tuple[faults.Killer, Counter[str], Report]:
    """The whole run: the points one by one, kills at random under load, drain, audit."""
    workspace_ids = [1] + [rig.add_workspace(f"W{n}") for n in range(1, WORKSPACES)]
    hits: Counter[str] = Counter()
    misses = hit_points(rig, hits) if with_points else []
    desk = Desk(rig)
    load = Load(rig.web_addr, workspace_ids, seed=seed, clients=4, per_second=per_second)
    killer = faults.Killer(rig, desk, workspace_ids, seed=seed)
    load.start()
    try:
        for number in range(1, kills + 1):
            killer.pause(0.1, 1.5)
            kind = killer.strike()
            print(f"{number:4} {kind}", flush=True)
    finally:
        load.stop()
    rig.restart_all()
    stuck = drain(rig)
    differences = desk.differences()
    desk.close()
    report = audit(
        rig,
        load.acknowledged,
        refused=load.refused_count,
        stops=killer.stops,
        differences=differences,
    )
    report.violations += misses + stuck
    return killer, hits, report


def hit_points(rig: Rig, hits: Counter[str]) -> list[str]:
    """Every named fault point once; returns what came out wrong."""
    wrong: list[str] = []
    for strike in points.STRIKES:
        rig.restart_all()
        rig.wait_whole_shares()
        try:
            staged = strike(rig)
            points.check(rig, staged)
        except AssertionError as error:
            wrong.append(f"fault point of {strike.__name__}: {error}")
        else:
            hits.update(one.point for one in staged)
            print(f"   . {', '.join(sorted({one.point for one in staged}))}", flush=True)
    return wrong


def drain(rig: Rig) -> list[str]:
    """Wait until every message has come to its end; returns those that never will."""
    before: list[object] = []
    moved_at = time.monotonic()
    while True:
        expire_endless(rig)
        counts = rig.query(
            "SELECT status, count(*), sum(attempt_count) FROM messages"
            " WHERE status IN ('queued', 'sending', 'held') GROUP BY 1 ORDER BY 1"
        )
        if not counts:
            return []
        if counts != before:
            before, moved_at = counts, time.monotonic()
        if time.monotonic() - moved_at > STALLED_SECONDS:
            rows = rig.query(
                "SELECT m.id, m.status, m.to_email, m.attempt_count, m.next_attempt_at - now(),"
                " w.pid, w.seen_at - now() FROM messages m LEFT JOIN workers w"
                " ON w.id = m.worker_id WHERE m.status IN ('queued', 'sending', 'held') LIMIT 20"
            )
            return [f"I1: never ends: {row}" for row in rows]
        time.sleep(0.25)


def print_table(report: Report, counts: Counter[str], hits: Counter[str], seconds: float) -> None:
    """The figures, and what is wrong."""
    figures = {
        "accepted (201)": report.accepted,
        "refused or broken off": report.refused,
        **{f"  {status}": count for status, count in sorted(report.by_status.items())},
        "lost": report.lost,
        "phantom": report.phantoms,
        "copies at the provider": report.copies,
        "duplicates": report.duplicates,
        "  of streams that hold": report.duplicates_of_held,
        "  their bound (attempts `unknown`)": report.bound,
        "duplicates ordered by drop-after-dot@": report.ordered_duplicates,
        "unknown by hold": report.unknown_by_hold,
        "stopped by a suppression or an unsubscribe": report.stopped,
        "begun within 0.5 s of a stop": report.in_flight_late,
        "begun later than that": report.late,
        "  cannot be told": report.untold,
        "kills": sum(counts.values()),
        **{f"  {kind}": count for kind, count in counts.items()},
        "fault points hit": sum(hits.values()),
        **{f"  {point}": count for point, count in hits.items()},
        "seconds": round(seconds),
        "violations": len(report.violations),
    }
    print()
    for name, value in figures.items():
        print(f"{name:<44}{value:>8}")
    for note in report.notes:
        print(f"note {note[:300]}")
    for violation in report.violations[:30]:
        print(f"VIOLATION {violation}")


if __name__ == "__main__":
    sys.exit(main())
