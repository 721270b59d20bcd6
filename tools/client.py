"""`python -m tools.client`: write the part of the Python client that follows from the contract.

It lies in clients/python/maild_client: `shapes` has the types and `api` the operations, with a
module for each chapter (tag) of the OpenAPI document. It is kept in the repository, so that the
client can be installed and read without this; `--check` says whether it is current.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from maild import config
from maild.api import openapi
from tools.client_chapters import render

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "clients" / "python" / "maild_client"
WRITTEN = ("api", "shapes")
"""The folders that hold nothing else."""


def files() -> dict[str, str]:
    """The text of each module, by its path: of an instance that has nothing but defaults."""
    config.install(config.load({"MAILD_HOME": "/nonexistent"}))
    return {name: _format(name, text) for name, text in render(openapi.document()).items()}


def stale() -> list[str]:
    """The paths of the modules that are not as the document wants them."""
    wanted, there = files(), {name: path.read_text("utf-8") for name, path in _present().items()}
    return sorted(name for name in wanted.keys() | there if wanted.get(name) != there.get(name))


def _present() -> dict[str, Path]:
    paths = [path for folder in WRITTEN for path in (PACKAGE / folder).glob("*.py")]
    return {str(path.relative_to(PACKAGE)): path for path in paths}


def _format(name: str, text: str) -> str:
    """In the style of the house: what is here to be read is formatted like everything else."""
    ruff = str(Path(sys.executable).parent / "ruff")
    as_file = ["--stdin-filename", str(PACKAGE / name), "-"]
    for words in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        command = [ruff, *words, *as_file]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        text = done.stdout
    return text


def main() -> int:
    """Returns the exit code: with `--check` 1 where something is stale."""
    parser = argparse.ArgumentParser(prog="python -m tools.client")
    parser.add_argument("--check", action="store_true", help="write nothing, and say what would be")
    if parser.parse_args().check:
        names = stale()
        print("\n".join(f"stale: {name}" for name in names) or "The client is current.")
        return 1 if names else 0
    wanted = files()
    for name, path in _present().items():
        if name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = PACKAGE / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"Wrote {len(wanted)} modules to {PACKAGE.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
