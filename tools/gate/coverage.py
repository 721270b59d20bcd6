"""Whether the tests reach enough of the code that decides: of `maild.domain` and `maild.services`.

    python -m tools.gate.coverage coverage.json

Reads what `coverage json` wrote of a run with branches. Ends with 1 where a package falls short.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FLOOR_PERCENT = 95.0
PACKAGES = ("maild/domain/", "maild/services/")
WORST_COUNT = 15


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    (path,) = sys.argv[1:] if argv is None else argv
    files = json.loads(Path(path).read_text(encoding="utf-8"))["files"]
    shares = [measure(files, package) for package in PACKAGES]
    for package, share in zip(PACKAGES, shares, strict=True):
        print(f"{package:<16} {share:6.2f} % of its branches")
    if min(shares) >= FLOOR_PERCENT:
        return 0
    print(f"Wanted are {FLOOR_PERCENT:g} %. Most is missing in:")
    missing = Counter({path: len(one["missing_branches"]) for path, one in files.items()})
    for path, count in missing.most_common(WORST_COUNT):
        print(f"{count:>5}  {path}")
    return 1


def measure(files: Mapping[str, Any], package: str) -> float:
    """The share of the package's branches that was taken, in percent. Raises ValueError where there
    is none: then something else was measured.
    """
    sums: Counter[str] = Counter()
    for path, one in files.items():
        if path.startswith(package):
            sums.update(
                covered=one["summary"]["covered_branches"], all=one["summary"]["num_branches"]
            )
    if not sums["all"]:
        raise ValueError(f"no branch of {package} was measured")
    return 100 * sums["covered"] / sums["all"]


if __name__ == "__main__":
    sys.exit(main())
