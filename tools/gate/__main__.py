"""`make verify-full`: everything that a release has to pass, one stage after the other.

    python -m tools.gate
    python -m tools.gate --only fuzz --only crash
    python -m tools.gate --resume

A stage that fails does not keep the others from being tried. With `--resume` those are not run
again that have passed on this very commit: one that a busy machine has spoiled costs minutes, not
hours, and the report says when each has passed. The report and each stage's output lie in `gate/`.
Ends with 1 where any stage failed, or the tree has changes that are not committed, and
`--allow-changes` does not say that this is meant.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tools.gate.stages import ROOT, Stage, list_stages

FOLDER = ROOT / "gate"
PASSED = "passed.json"
"""In the folder: what has passed, and on which commit."""
TAIL_LINES = 12
"""So much of a stage's output stands in the report."""
KILL_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Result:
    """How a stage ended, and when it began. `code` None: it was given up after its minutes."""

    stage: Stage
    code: int | None
    seconds: float
    tail: str
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def verdict(self) -> str:
        if self.code is None:
            return f"FAILED: not done after {self.stage.minutes} min"
        return "passed" if self.code == 0 else f"FAILED: exit code {self.code}"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="make verify-full", description=__doc__)
    parser.add_argument("--only", action="append", metavar="STAGE", help="may be given again")
    parser.add_argument("--resume", action="store_true", help="what has not passed on this commit")
    parser.add_argument("--allow-changes", action="store_true")
    parser.add_argument("--workers", type=int, default=2, help="tests at once")
    parser.add_argument("--kills", type=int, default=200, help="of the crash run")
    parser.add_argument("--examples", type=int, default=20, help="of the fuzzing, an operation")
    given = parser.parse_args(argv)
    stages = list_stages(
        folder=FOLDER, workers=given.workers, kills=given.kills, examples=given.examples
    )
    chosen = [one for one in stages if given.only is None or one.name in given.only]
    if unknown := set(given.only or ()) - {one.name for one in stages}:
        parser.error(f"no such stage: {', '.join(unknown)}; there are {[s.name for s in stages]}")
    commit, is_clean = look_at_tree()
    if not is_clean and not given.allow_changes:
        print("The tree has changes that are not committed; commit them, or say --allow-changes.")
        return 1
    earlier = read_passed(stages, commit) if given.resume and is_clean else {}
    if not earlier:
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave no stage behind
    results = []
    for stage in chosen:
        print(f"== {stage.name}: {stage.proves}", flush=True)
        result = earlier.get(stage.name) or run(stage)
        print(f"   {result.verdict} ({result.seconds:.0f} s)\n", flush=True)
        results.append(result)
        if is_clean:
            earlier |= {stage.name: result} if result.code == 0 else {}
            write_passed(earlier.values(), commit)
    report = write_report(results, commit=commit, is_clean=is_clean)
    (FOLDER / "report.md").write_text(report, encoding="utf-8")
    print(report)
    return 0 if all(result.code == 0 for result in results) else 1


def read_passed(stages: Sequence[Stage], commit: str) -> dict[str, Result]:
    """What has passed on this commit before, by the name of its stage."""
    try:
        kept = json.loads((FOLDER / PASSED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {
        stage.name: Result(
            stage, 0, one["seconds"], one["tail"], datetime.fromisoformat(one["began_at"])
        )
        for stage in stages
        if kept["commit"] == commit and (one := kept["stages"].get(stage.name))
    }


def write_passed(results: Iterable[Result], commit: str) -> None:
    kept = {
        one.stage.name: {
            "seconds": one.seconds,
            "tail": one.tail,
            "began_at": one.began_at.isoformat(),
        }
        for one in results
    }
    text = json.dumps({"commit": commit, "stages": kept}, indent=2)
    (FOLDER / PASSED).write_text(text, encoding="utf-8")


def run(stage: Stage) -> Result:
    """Run it to its end, its output into a file of its own; what it has started ends with it."""
    path = FOLDER / f"{stage.name.replace(' ', '-')}.txt"
    began_at, started = datetime.now(UTC), time.monotonic()
    with path.open("wb") as output:
        process = subprocess.Popen(
            stage.command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "CI": "true"},
        )
        try:
            code: int | None = process.wait(stage.minutes * 60)
        except subprocess.TimeoutExpired:
            code = None
            end(process)
        except BaseException:
            end(process)
            raise
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    tail = "\n".join(lines[-TAIL_LINES:])
    return Result(stage, code, time.monotonic() - started, tail, began_at)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End it and all of its session, first with a word."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(KILL_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def look_at_tree() -> tuple[str, bool]:
    """The commit, and whether the tree is just that."""
    commit = git("rev-parse", "HEAD")
    return commit, not git("status", "--porcelain")


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write_report(results: Sequence[Result], *, commit: str, is_clean: bool) -> str:
    """The report, in Markdown: the table, and the end of each stage's output. It is kept, and does
    not tell where on its machine the tree lay.
    """
    passed = sum(result.code == 0 for result in results)
    minutes = sum(result.seconds for result in results) / 60
    lines = [
        "# The release gate",
        "",
        f"- Commit `{commit}`{'' if is_clean else ', and changes that are not committed'}",
        f"- {min(one.began_at for one in results):%Y-%m-%d}, {minutes:.0f} minutes",
        f"- Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}"
        f" {platform.machine()}",
        f"- **{passed} of {len(results)} stages passed**",
        "",
        "| stage | proves | verdict | began, UTC | seconds |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {one.stage.name} | {one.stage.proves} | {one.verdict} |"
            f" {one.began_at:%d %H:%M} | {one.seconds:.0f} |"
            for one in results
        ),
        "",
    ]
    for one in results:
        lines += [f"## {one.stage.name}", "", "```text", one.tail, "```", ""]
    return "\n".join(lines).replace(str(ROOT), ".")


if __name__ == "__main__":
    sys.exit(main())
