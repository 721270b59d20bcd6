"""`python -m bench [SECTION [COUNT]]...`: measure, print one table, and keep the figures as JSON.

python -m bench                        everything but the long sections, three times
python -m bench --long                 with 200,000 messages and a million rows as well
python -m bench drain                  one section
python -m bench drain 50000 --repeat 1
python -m bench console --keep         the pages over 5,000,000 messages, which stay
python -m bench console --only "log q" those of its cases that have this in their names
python -m bench --markdown             the table as docs/benchmarks.md has it
python -m bench --from FILE --markdown the same from an earlier run
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import console
from bench import stack as stacks
from bench.report import ROOT, Report, machine
from bench.sections import SECTIONS
from bench.stack import Stack

RESULTS = ROOT / "bench" / "results"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 1 where a section failed."""
    options = _parse(argv)
    if options.report is not None:
        report = Report.from_json(options.report.read_text(encoding="utf-8"))
        print(report.as_markdown() if options.markdown else report.as_text())
        return 0
    console.settings = console.Settings(
        keep_in=RESULTS / "library" if options.keep else None, only=options.only, results=RESULTS
    )
    # So that SIGTERM unwinds the `with` blocks, which end what they started, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    report = Report(machine(sink="smtp-sink" if stacks.find_postfix("smtp-sink") else "our own"))
    try:
        _run(report, _plan(options.sections, is_long=options.long), repeat=options.repeat)
    except KeyboardInterrupt:
        print("stopped; what follows is what was measured until then", file=sys.stderr)
    if report.rows or report.failures:
        _keep(report)
        print(report.as_markdown() if options.markdown else report.as_text())
    return 1 if report.failures else 0


def _run(report: Report, plan: list[tuple[str, int]], *, repeat: int) -> None:
    with stacks.running() as stack:
        for name, count in plan:
            title = name.removesuffix("-long").removesuffix("-million")
            section = f"{title} {count:,}" if count else title
            for turn in range(repeat):
                if section in report.failures:
                    break
                _say(f"{section} ({turn + 1} of {repeat}) ...")
                _run_once(report, stack, section, name, count)


def _run_once(report: Report, stack: Stack, section: str, name: str, count: int) -> None:
    begun_at = time.monotonic()
    try:
        stack.clear()
        figures = list(SECTIONS[name].run(stack, count))
    except Exception as error:
        # The others shall go on, whatever this one ran into.
        report.failures[section] = f"{type(error).__name__}: {error}".strip()
        stack.db.rollback()
        _say(f"  failed: {report.failures[section]}")
        return
    for figure in figures:
        report.add(section, figure.name, figure.value, figure.unit, figure.goal)
    first = figures[0]
    seconds = time.monotonic() - begun_at
    _say(f"  {first.name}: {first.value:,.0f} {first.unit} (took {seconds:.0f} s)")


def _plan(words: list[str], *, is_long: bool) -> list[tuple[str, int]]:
    """The sections with their counts; all of them where none is named."""
    if not words:
        return [
            (name, section.count)
            for name, section in SECTIONS.items()
            if is_long or not section.is_long
        ]
    plan: list[tuple[str, int]] = []
    for word in words:
        if word in SECTIONS:
            plan.append((word, SECTIONS[word].count))
        elif word.isdecimal() and plan:
            plan[-1] = (plan[-1][0], int(word))
        else:
            sys.exit(f"bench: there is no section {word!r}; known are {', '.join(SECTIONS)}")
    return plan


def _keep(report: Report) -> None:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
    path.write_text(report.to_json(), encoding="utf-8")
    _say(f"kept as {path.relative_to(ROOT)}\n")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION [COUNT]", help=", ".join(SECTIONS))
    parser.add_argument("--long", action="store_true", help="the long sections as well")
    parser.add_argument("--repeat", type=int, default=3, metavar="N")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--keep", action="store_true", help="keep the tables of `console`")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases of `console`")
    parser.add_argument("--from", dest="report", type=Path, metavar="FILE", help="an earlier run")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
