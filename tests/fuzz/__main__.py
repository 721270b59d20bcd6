"""A long run of the fuzzer over the whole API, against the product as it runs.

    python -m tests.fuzz --examples 20 --seed 7

Prints how often each operation was asked and what it answered, and what was wrong. Exits with 1
where something was, or where an operation was never asked. The same seed asks the same.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from tests.fuzz import passes, server


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=20, help="of each operation and pass")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave nothing behind
    print(f"fuzz: seed {given.seed}, {given.examples} examples", flush=True)
    began_at = time.monotonic()
    with server.running() as running:
        ways = server.long(running, examples=given.examples)
        report = passes.run(running.url, ways, seed=given.seed)
    print("\n".join(report.lines()))
    print(f"{time.monotonic() - began_at:.0f} seconds")
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
