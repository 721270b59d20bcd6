"""Whether the tests notice faults: mutmut puts one after the other into the code that decides, and
runs the tests of that code.

    python -m tools.gate.mutants FOLDER

Works on a copy of what git has, in FOLDER. Ends with 1 where too many faults go unnoticed, or so
few were tried that the result says nothing.
"""

import json
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tools.gate.stages import ROOT

FLOOR_PERCENT = 95.0
LEAST_COUNT = 200
"""So many faults there are to put in, at least."""
SUBJECTS = ("policy", "states", "retry", "limits")
"""Modules of `maild.domain`, each with its tests in `tests/domain/test_<name>.py`."""
NOTICED = frozenset({"killed", "timeout", "segfault", "suspicious", "caught by type check"})


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    (folder,) = sys.argv[1:] if argv is None else argv
    tree = Path(folder).absolute()
    copy_project(tree)
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    subprocess.run([mutmut, "run", "--max-children", "2"], cwd=tree, check=True, stdout=sys.stderr)
    listed = subprocess.run(
        [mutmut, "results", "--all", "true"], cwd=tree, check=True, capture_output=True, text=True
    )
    verdicts = read_verdicts(listed.stdout)
    counts = Counter(verdicts.values())
    noticed = sum(counts[name] for name in NOTICED)
    share = 100 * noticed / max(len(verdicts), 1)
    print(f"{noticed} of {len(verdicts)} faults were noticed: {share:.1f} %")
    for name, verdict in sorted(verdicts.items()):
        if verdict not in NOTICED:
            print(f"  {verdict}: {name}")
    if len(verdicts) < LEAST_COUNT:
        print(f"Fewer than {LEAST_COUNT} faults were tried: this says nothing.")
        return 1
    return 0 if share >= FLOOR_PERCENT else 1


def copy_project(tree: Path) -> None:
    """What git has of the working tree, with the settings of mutmut."""
    shutil.rmtree(tree, ignore_errors=True)
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in names:
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    path = tree / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\n{settings()}", encoding="utf-8")
    tomllib.loads(path.read_text(encoding="utf-8"))


def settings() -> str:
    """The table `[tool.mutmut]`."""
    values = {
        "source_paths": ["maild"],
        "only_mutate": [f"maild/domain/{name}.py" for name in SUBJECTS],
        "pytest_add_cli_args_test_selection": [f"tests/domain/test_{name}.py" for name in SUBJECTS],
        # One fault after the other in forks of one process: nothing is to be run beside it.
        "pytest_add_cli_args": ["-q", "-p", "no:randomly", "-p", "no:xdist", "-W", "ignore"],
        # Many faults of the limits never end: five times what their tests take is enough.
        "timeout_multiplier": 5.0,
        "also_copy": ["maild", "migrations", "templates", "static", "app.py"],
    }
    return "\n".join(
        ["[tool.mutmut]", *(f"{name} = {json.dumps(value)}" for name, value in values.items()), ""]
    )


def read_verdicts(text: str) -> dict[str, str]:
    """The verdict on each mutant, from lines such as `maild.domain.policy.x__mutmut_1: killed`."""
    lines = (line.strip().partition(": ") for line in text.splitlines() if "__mutmut_" in line)
    return {name: verdict for name, _, verdict in lines}


if __name__ == "__main__":
    sys.exit(main())
