"""Rollouts under load: a migration, then restarts of everything, one process after the other.

`python -m tests.crash.rolling` rolls out a next release, `python -m tests.crash.upgrade` this one
over the previous one, and back again. In charge of the traffic meanwhile, and of these long forms.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.crash import releases
from tests.crash.__main__ import drain
from tests.crash.fleet import Findings, Fleet, deployed, judge
from tests.crash.rig import ROOT, wait_until
from tests.crash.traffic import Traffic

CLIENTS = 6
ROUNDS_MIN = 2
"""There and back."""


class Flow:
    """Traffic through a fleet, and what is found when it is over."""

    def __init__(self, fleet: Fleet, *, seed: int, per_second: float) -> None:
        self.fleet = fleet
        self.traffic = Traffic(
            list(fleet.webs), [1], seed=seed, clients=CLIENTS, per_second=per_second
        )
        self.findings = Findings()

    def go_on(self, count: int) -> None:
        """Wait until so many more messages are accepted, or a request has failed."""
        before = len(self.traffic.accepted)
        wait_until(
            lambda: len(self.traffic.accepted) >= before + count or self.traffic.failures,
            "traffic flows",
        )
        assert not self.traffic.failures, self.traffic.failures

    def finish(self) -> None:
        """Wait until all is sent and all reports are applied, and judge."""
        self.traffic.stop()
        stuck = drain(self.fleet.rig)
        unread = (
            "SELECT (SELECT count(*) FROM webhook_payloads WHERE status = 'received')"
            " + (SELECT count(*) FROM provider_events WHERE status = 'received')"
        )
        wait_until(lambda: self.fleet.rig.query(unread) == [(0,)], "every report is applied")
        self.findings = judge(self.fleet, self.traffic)
        self.findings.violations += stuck

    def check(self) -> None:
        """Raises AssertionError with what was found wrong."""
        assert not self.findings.violations, "\n".join(self.findings.violations[:20])
        assert not self.traffic.failure_count


@contextlib.contextmanager
def flowing(fleet: Fleet, *, seed: int = 1, per_second: float = 15.0) -> Iterator[Flow]:
    """Traffic for the length of a `with` block, which is judged at its end."""
    flow = Flow(fleet, seed=seed, per_second=per_second)
    flow.traffic.start()
    try:
        yield flow
    except BaseException:
        flow.traffic.stop()
        raise
    flow.finish()


def main(name: str, doc: str, *, is_upgrade: bool, argv: Sequence[str] | None = None) -> int:
    """Returns the exit code. `is_upgrade`: from the previous release to this one and back; else
    from this one to a next one.
    """
    parser = argparse.ArgumentParser(prog=f"python -m tests.crash.{name}", description=doc)
    parser.add_argument("--seconds", type=float, default=60.0, help="at least, and two rounds")
    parser.add_argument("--rate", type=float, default=60.0, help="messages a second")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave nothing behind
    with tempfile.TemporaryDirectory(prefix="maild-release-") as folder:
        try:
            if is_upgrade:
                trees = [releases.write_previous(Path(folder)), ROOT]
            else:
                trees = [ROOT, releases.write_next(Path(folder))]
        except releases.HistoryMissing as error:
            print(error, file=sys.stderr)
            return 1
        figures, violations = run(
            trees, seconds=given.seconds, per_second=given.rate, seed=given.seed
        )
    for label, value in figures.items():
        print(f"{label:<44}{value:>10}")
    for violation in violations[:30]:
        print(f"VIOLATION {violation[:600]}")
    return 1 if violations else 0


def run(
    trees: Sequence[Path], *, seconds: float, per_second: float, seed: int
) -> tuple[dict[str, object], list[str]]:
    """Migrate from the first release to the second, and restart everything as the one and the other
    in turn, for so long; the figures, and what was wrong.
    """
    begun_at = time.monotonic()
    rounds = 0
    with (
        deployed(trees[0]) as fleet,
        flowing(fleet, seed=seed, per_second=per_second) as flow,
    ):
        flow.go_on(100)
        applied = fleet.migrate(trees[1])
        print("applied", ", ".join(applied) or "nothing", flush=True)
        while rounds < ROUNDS_MIN or time.monotonic() - begun_at < seconds:
            rounds += 1
            fleet.roll(trees[rounds % 2])
            flow.go_on(100)
            print(f"round {rounds}: {len(flow.traffic.accepted)} accepted", flush=True)
    away = {
        f"seconds of {name}, at most": round(max(took), 1)
        for name, took in sorted(fleet.seconds.items())
    }
    figures = {
        **flow.findings.figures,
        "restarts": rounds * len(fleet.parts),
        **away,
        "seconds": round(time.monotonic() - begun_at),
        "violations": len(flow.findings.violations),
    }
    return figures, flow.findings.violations
