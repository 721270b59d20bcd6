"""Whether a pinned dependency has a known vulnerability, or was withdrawn.

    python -m tools.gate.dependencies

Asks with pip-audit, which passes over what its source does not know: that is not a pass. What it
could not look up is looked up in the index's own page of the project, which tells of the newest
release alone; a pin behind that stays unknown. Ends with 1 where anything is known to be
vulnerable, or is not known to be well. Tools that are not shipped may be waived, with a reason, in
pyproject.toml: `[tool.maild.unexamined]`.

The source has to prove itself: it must know of the vulnerabilities of a package that has had some
for years.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
from pip._internal.models.index import PyPI  # the index has no other name that is ours to use

from tools.gate.stages import ROOT

SHIPPED = ("base", "local", "tracing")
ALL = (*SHIPPED, "dev")
VULNERABLE_FOR_YEARS = "pycrypto"
"""Its last release is of 2013, and its vulnerabilities are on record since 2017."""
TIMEOUT_SECONDS = 30.0
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one pin. `version` is the one that it is known of; None: of none."""

    version: str | None
    vulnerabilities: tuple[str, ...] = ()
    is_yanked: bool = False


def main() -> int:
    """Returns the exit code."""
    pins = read_pins(ALL)
    shipped = read_pins(SHIPPED)
    waived = read_waivers()
    found = ask_pip_audit(pins)
    left = sorted(pins.keys() - found.keys())
    with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=True) as client:
        if not ask_index(client, VULNERABLE_FOR_YEARS).vulnerabilities:
            print(f"The source knows nothing of {VULNERABLE_FOR_YEARS}: it is not to be trusted.")
            return 1
        with ThreadPoolExecutor(8) as threads:
            found |= zip(left, threads.map(lambda name: ask_index(client, name), left), strict=True)
    problems, notes = judge(pins, found, shipped=shipped.keys(), waived=waived)
    print(f"{len(pins)} pins: pip-audit knew {len(found) - len(left)}; the index told the rest")
    for line in (*notes, *problems):
        print(line)
    return 1 if problems else 0


def read_pins(names: tuple[str, ...]) -> dict[str, str]:
    """The pinned versions of `requirements/<name>.txt`."""
    pins: dict[str, str] = {}
    for name in names:
        pins |= _PIN.findall((ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8"))
    return pins


def read_waivers() -> dict[str, str]:
    """Names of tools that need not be known to be well, and why."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    waivers: dict[str, str] = project["tool"]["maild"]["unexamined"]
    return waivers


def ask_pip_audit(pins: Mapping[str, str]) -> dict[str, Finding]:
    """What pip-audit finds of those that it could look up."""
    lines = "".join(f"{name}=={version}\n" for name, version in pins.items())
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner=off",
         "--format=json", "--requirement", "/dev/stdin"],
        input=lines, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    try:
        answer = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"pip-audit gave no answer:\n{done.stderr[-2000:]}")
        return {}
    return {
        one["name"]: Finding(one["version"], tuple(v["id"] for v in one["vulns"]))
        for one in answer
        if "skip_reason" not in one
    }


def ask_index(client: httpx.Client, name: str) -> Finding:
    """What the index says of the project's newest release."""
    try:
        page: dict[str, Any] = client.get(f"{PyPI.pypi_url}/{name}/json").raise_for_status().json()
        return Finding(
            page["info"]["version"],
            tuple(one["id"] for one in page["vulnerabilities"] if not one.get("withdrawn")),
            bool(page["info"].get("yanked")),
        )
    except (httpx.HTTPError, ValueError, KeyError) as error:
        print(f"{name}: the index does not tell: {type(error).__name__}")
        return Finding(None)


def judge(
    pins: Mapping[str, str],
    found: Mapping[str, Finding],
    *,
    shipped: Collection[str],
    waived: Mapping[str, str],
) -> tuple[list[str], list[str]]:
    """The problems, and the notes on what a person has waived."""
    problems, notes = [], []
    for name, version in sorted(pins.items()):
        finding = found[name]
        if finding.version == version:
            if finding.vulnerabilities:
                problems.append(
                    f"{name} {version} is vulnerable: {', '.join(finding.vulnerabilities)}"
                )
            if finding.is_yanked:
                problems.append(f"{name} {version} was withdrawn by its makers")
            continue
        behind = (
            f", {finding.version} is there: make lock LOCK_ARGS=--upgrade"
            if finding.version
            else ""
        )
        unknown = f"{name} {version} could not be looked up{behind}"
        if name in waived and name not in shipped:
            notes.append(f"{unknown}. Waived: {waived[name]}")
        else:
            problems.append(unknown)
    problems += [
        f"{name} is waived in pyproject.toml, and need not be"
        for name in sorted(waived)
        if name not in pins or name in shipped or found[name].version == pins[name]
    ]
    return problems, notes


if __name__ == "__main__":
    sys.exit(main())
