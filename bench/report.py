"""What came of it: medians over the repetitions, as a table, as Markdown and as JSON."""

import json
import platform
import statistics
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]


@dataclass(slots=True)
class Row:
    """One figure of one section, over the repetitions."""

    section: str
    figure: str
    unit: str
    goal: str | None
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(slots=True)
class Report:
    """All rows, and the sections that failed with the reason."""

    machine: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, section: str, name: str, value: float, unit: str, goal: str | None) -> None:
        for row in self.rows:
            if (row.section, row.figure) == (section, name):
                row.values.append(value)
                return
        self.rows.append(Row(section, name, unit, goal, [value]))

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Raises ValueError for what is no report."""
        data = json.loads(text)
        rows = [Row(**row) for row in data["rows"]]
        return cls(data["machine"], rows, data["failures"])

    def as_text(self) -> str:
        """A table for a terminal."""
        cells = [("section", "figure", "median", "spread", "goal"), *map(_cells, self.rows)]
        widths = [max(len(row[place]) for row in cells) for place in range(5)]
        lines = [
            "  ".join(
                cell.rjust(width) if place == 2 else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        lines.insert(1, "-" * len(lines[0]))
        return "\n".join([*lines, "", *_failed(self), _machine(self.machine)])

    def as_markdown(self) -> str:
        """The same for docs/benchmarks.md."""
        lines = [
            "| section | figure | median | spread | goal |",
            "| --- | --- | ---: | --- | --- |",
        ]
        lines += [f"| {' | '.join(_cells(row))} |" for row in self.rows]
        return "\n".join([*lines, "", *_failed(self), _machine(self.machine)])


def machine(*, sink: str) -> dict[str, Any]:
    """What the figures depend on."""
    commit = subprocess.run(
        ["git", "-c", "safe.directory=*", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sink": sink,
        "commit": commit.stdout.strip() or "unknown",
    }


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    spread = f"{_number(min(row.values))} – {_number(max(row.values))}"
    if len(row.values) == 1:
        spread = "one run"
    value = f"{_number(row.median)} {row.unit}"
    return row.section, row.figure, value, spread, row.goal or ""


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _failed(report: Report) -> list[str]:
    return [f"{section} failed: {why}\n" for section, why in report.failures.items()]


def _machine(machine: dict[str, Any]) -> str:
    return (
        f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, "
        f"Python {machine['python']}, sink: {machine['sink']}, commit {machine['commit']}."
    )
