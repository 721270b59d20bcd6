"""What a release has to pass, in the order in which it is tried: the quick and telling first."""

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable


@dataclass(frozen=True, slots=True)
class Stage:
    """One program: it has passed where it ends with 0 within `minutes`."""

    name: str
    proves: str
    command: tuple[str, ...]
    minutes: int


def list_stages(*, folder: Path, workers: int, kills: int, examples: int) -> tuple[Stage, ...]:
    """All stages. `folder` is where they may leave files, `workers` how many tests run at once,
    `kills` and `examples` how long the crash run and the fuzzing take.
    """
    coverage = (
        "--cov",
        "--cov-config=pyproject.toml",
        f"--cov-report=json:{folder / 'coverage.json'}",
        "--cov-report=",
    )
    return (
        Stage("lint", "format, style, types, layers, bandit", ("make", "lint"), 10),
        Stage(
            "dependencies",
            "no pinned dependency has a known vulnerability, and each was looked up",
            (PYTHON, "-m", "tools.gate.dependencies"),
            5,
        ),
        Stage(
            "qa matrix",
            "every promised behaviour has a test",
            (PYTHON, "-m", "tools.qa_matrix", "--check"),
            2,
        ),
        Stage(
            "tests",
            "every test, those of the browser in all widths and colours among them",
            (f"{Path(PYTHON).parent / 'pytest'}", "-q", "-n", f"{workers}", *coverage),
            120,
        ),
        Stage(
            "coverage",
            "95 % of the branches of domain and of services",
            (PYTHON, "-m", "tools.gate.coverage", f"{folder / 'coverage.json'}"),
            1,
        ),
        Stage(
            "mutants",
            "the tests notice faults put into the policy, the states, the ladder and the limits",
            (PYTHON, "-m", "tools.gate.mutants", f"{folder / 'mutants'}"),
            40,
        ),
        Stage(
            "fuzz",
            "no request that the OpenAPI allows or forbids is answered otherwise than it says",
            (PYTHON, "-m", "tests.fuzz", "--examples", f"{examples}", "--seed", "1"),
            20,
        ),
        Stage(
            "rolling restart",
            "web and workers restart under load with a migration in the middle",
            (PYTHON, "-m", "tests.crash.rolling", "--seconds", "60"),
            10,
        ),
        Stage(
            "upgrade",
            "the previous release is upgraded, and rolled back, with live traffic",
            (PYTHON, "-m", "tests.crash.upgrade", "--seconds", "60"),
            10,
        ),
        Stage(
            "crash",
            "nothing lost and nothing doubled beyond its bound while everything is killed",
            (PYTHON, "-m", "tests.crash", "--kills", f"{kills}", "--seed", "9"),
            40,
        ),
    )
