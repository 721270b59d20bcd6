"""The documents are true where a program can tell: links, names, lists and tables fit the code."""

import re
import subprocess
from pathlib import Path

import pytest

from maild import config
from maild.domain.states import MOVES, AttemptStatus, EventType, Status

ROOT = Path(__file__).resolve().parents[1]
LOCAL_ONLY = frozenset(
    {"MAILD_HOME", "INBOX_SMTP_ADDR", "INBOX_WEB_ADDR", "WEB_PROCESSES", "WORKER_PROCESSES"}
)

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def list_files() -> list[Path]:
    """Every file of the repository: what git tracks, and what it would."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"]
    done = subprocess.run(
        [*command, "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    paths = (ROOT / name for name in done.stdout.split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """The names by which a document's headings are linked to."""
    headings = (heading.lower() for heading in _HEADING.findall(_FENCE.sub("", text)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def rows(text: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = (line.strip() for line in _FENCE.sub("", text).splitlines())
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in lines
        if line.startswith("| ")
    ]


def code(cell: str) -> str | None:
    """What a cell has in backquotes, first of all."""
    match = re.match(r"`([^`]+)`", cell)
    return match[1] if match else None


def test_relative_links_lead_somewhere() -> None:
    broken = []
    for document in [path for path in list_files() if path.suffix == ".md"]:
        for link in _LINK.findall(_FENCE.sub("", document.read_text(encoding="utf-8"))):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (document.parent / name).resolve() if name else document
            is_there = target.exists() and target.is_relative_to(ROOT)
            if not is_there or (anchor and anchor not in anchors(target.read_text("utf-8"))):
                broken.append(f"{document.relative_to(ROOT)}: {link}")
    assert broken == []


def test_the_readme_names_the_two_commands_that_matter() -> None:
    readme = read("README.md")
    assert "make run" in readme
    assert "make test" in readme


@pytest.mark.parametrize("kind", [Status, AttemptStatus, EventType])
def test_states_name_every_value(
    kind: type[Status] | type[AttemptStatus] | type[EventType],
) -> None:
    explained = {code(row[0]) for row in rows(read("docs/states.md"))}
    assert {member.value for member in kind} - explained == set()


@pytest.mark.proves("run-docs")
def test_states_list_exactly_the_moves_that_exist() -> None:
    of_messages, _, _ = read("docs/states.md").partition("# States of a campaign")
    listed = {(code(row[0]), code(row[1])) for row in rows(of_messages)}
    listed = {(old, new) for old, new in listed if new is not None}
    assert listed == {(old.value, new.value) for old, news in MOVES.items() for new in news}


def setting_rows() -> dict[str, str]:
    """Each setting of the documentation with its default's cell."""
    table = rows(read("docs/configuration.md"))
    return {name: row[1] for row in table if (name := code(row[0]))}


@pytest.mark.proves("run-docs")
def test_configuration_has_every_setting_and_no_other() -> None:
    assert set(setting_rows()) == set(config.setting_names()) | LOCAL_ONLY


def test_configuration_tells_the_defaults() -> None:
    told = {name: default for name, cell in setting_rows().items() if (default := code(cell))}
    home = told.pop("MAILD_HOME")
    nothing = {"MAILD_HOME": "/nonexistent"}
    assert config.load({**told, **nothing}) == config.load(nothing)
    assert config.load_local({}).home.name == home
    local = {name: told[name] for name in LOCAL_ONLY & set(told)}
    assert config.load_local(local) == config.load_local({})


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs/decisions"
    decisions = {path.name for path in folder.glob("*.md")} - {"README.md"}
    assert set(_LINK.findall(read("docs/decisions/README.md"))) == decisions


def test_every_cited_rfc_is_listed_as_a_standard() -> None:
    sources = [path for path in list_files() if path.is_relative_to(ROOT / "maild")]
    cited = {
        number
        for path in sources
        if path.suffix == ".py"
        for number in re.findall(r"RFC ?(\d+)", path.read_text(encoding="utf-8"))
    }
    table = [row for row in rows(read("docs/standards.md")) if row[0].isdecimal()]
    assert cited - {row[0] for row in table} == set()
    assert {row[2] for row in table} == {"yes", "partial", "no"}


def test_standards_name_files_that_exist() -> None:
    """A file without a folder lies in the folder before it."""
    missing = []
    for row in rows(read("docs/standards.md")):
        folder = ROOT
        for name in re.findall(r"`([\w./-]+\.py)`", row[-1]):
            path = ROOT / name if "/" in name else folder / name
            folder = path.parent
            if not path.is_file():
                missing.append(f"RFC {row[0]}: {name}")
    assert missing == []


@pytest.mark.proves("run-docs")
def test_files_named_in_the_documents_exist() -> None:
    missing = []
    for document in [path for path in list_files() if path.suffix == ".md"]:
        for name in re.findall(
            r"`((?:maild|migrations|tests|templates|docs)/[\w./-]+\.\w+)\b",
            document.read_text(encoding="utf-8"),
        ):
            if "NNNN" not in name and not (ROOT / name).exists():
                missing.append(f"{document.relative_to(ROOT)}: {name}")
    assert missing == []


def test_no_file_names_a_package_registry() -> None:
    """Whoever installs maild chooses where packages come from; a host in a file would choose for
    them.
    """
    hosts = [
        ".".join(("pypi", "org")),
        "python" + "hosted",
        "npm" + "js",
        ".".join(("deb", "debian", "org")),
        ".".join(("security", "debian", "org")),
        ".".join(("ftp", "debian", "org")),
        ".".join(("archive", "ubuntu", "com")),
    ]
    found = []
    for path in list_files():
        text = path.read_bytes().decode("utf-8", "replace").lower()
        found += [f"{path.relative_to(ROOT)}: {host}" for host in hosts if host in text]
    assert found == []
