"""The QA matrix: every promised behaviour, with the tests that prove it.

    python -m tools.qa_matrix           writes docs/qa-matrix.md
    python -m tools.qa_matrix --check   ends with 1 where a promise has no test, or the file is old

The promises stand in `docs/promises.toml`. A test says which it proves:
`@pytest.mark.proves("I6", "one-click")`, or a whole file with `pytestmark`. A name that is no
promise is an error.
"""

import argparse
import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROMISES = ROOT / "docs/promises.toml"
MATRIX = ROOT / "docs/qa-matrix.md"
TESTS = ROOT / "tests"
MARKER = "proves"


class QaError(Exception):
    """The promises and the tests do not fit together."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What maild promises; `name` is what tests call it by."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Chapter:
    title: str
    promises: tuple[Promise, ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.qa_matrix", description=__doc__)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args(argv)
    try:
        chapters = read_promises(PROMISES.read_text(encoding="utf-8"))
        proofs = collect_proofs(TESTS, root=ROOT)
        text = write_matrix(chapters, proofs)
    except QaError as error:
        print(error)
        return 1
    if not given.check:
        MATRIX.write_text(text, encoding="utf-8")
    elif not MATRIX.is_file() or MATRIX.read_text(encoding="utf-8") != text:
        print("docs/qa-matrix.md is old: python -m tools.qa_matrix")
        return 1
    count = sum(len(chapter.promises) for chapter in chapters)
    tests = {test for found in proofs.values() for test in found}
    print(f"{count} promises, each with a test; {len(tests)} tests prove them")
    return 0


def read_promises(text: str) -> tuple[Chapter, ...]:
    """The chapters. Raises QaError where a name stands twice."""
    chapters = tuple(
        Chapter(title, tuple(Promise(name, words) for name, words in promises.items()))
        for title, promises in tomllib.loads(text).items()
    )
    seen: set[str] = set()
    for chapter in chapters:
        for promise in chapter.promises:
            if promise.name in seen:
                raise QaError(f"{promise.name} is promised twice")
            seen.add(promise.name)
    return chapters


def collect_proofs(folder: Path, *, root: Path) -> dict[str, tuple[str, ...]]:
    """By the name of each promise, the tests that say that they prove it, as pytest takes them."""
    proofs: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for test, name in find_marks(tree):
            place = path.relative_to(root).as_posix()
            proofs.setdefault(name, []).append(f"{place}::{test}" if test else place)
    return {name: tuple(tests) for name, tests in proofs.items()}


def find_marks(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(test, promise) of a file; test is empty for `pytestmark`, which is of all tests in it."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for decorator in node.decorator_list:
                yield from ((node.name, name) for name in read_mark(decorator))
        elif isinstance(node, ast.Assign) and is_pytestmark(node):
            values = node.value.elts if isinstance(node.value, ast.List) else [node.value]
            for value in values:
                yield from (("", name) for name in read_mark(value))


def is_pytestmark(node: ast.Assign) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "pytestmark" for one in node.targets)


def read_mark(node: ast.expr) -> list[str]:
    """The names in `pytest.mark.proves(...)`; none where it is something else."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return []
    if node.func.attr != MARKER:
        return []
    return [str(ast.literal_eval(one)) for one in node.args]


def write_matrix(chapters: Sequence[Chapter], proofs: Mapping[str, Sequence[str]]) -> str:
    """docs/qa-matrix.md. Raises QaError where a promise has no proof, or a proof no promise."""
    names = [promise.name for chapter in chapters for promise in chapter.promises]
    if empty := [name for name in names if name not in proofs]:
        raise QaError("No test proves:\n" + "\n".join(f"  {name}" for name in empty))
    if unknown := proofs.keys() - set(names):
        raise QaError("Tests prove what docs/promises.toml does not promise: " + ", ".join(unknown))
    lines = [
        "# QA matrix",
        "",
        "Every behaviour that maild promises, and the tests that prove it. Made by",
        "`python -m tools.qa_matrix` from [promises.toml](promises.toml) and the marks of tests;",
        "not to be edited.",
        "",
    ]
    for chapter in chapters:
        lines += [f"## {chapter.title}", "", "| promise | | proved by |", "| --- | --- | --- |"]
        for promise in chapter.promises:
            tests = "<br>".join(f"`{test}`" for test in proofs[promise.name])
            lines.append(f"| {promise.name} | {promise.text} | {tests} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
