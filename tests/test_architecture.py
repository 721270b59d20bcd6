"""Rules of the house that a reader of the sources can check; import-linter
checks who imports whom.
"""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "maild").rglob("*.py"))
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*") if path.is_file())
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))

_CLOCK_CALLS = {"now", "utcnow", "today"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@functools.cache
def uses(path: Path) -> tuple[tuple[int, str], ...]:
    """(line, dotted name) of every attribute and imported name in a module."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            found.append((node.lineno, ast.unparse(node)))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found += ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
    return tuple(found)


def test_there_is_something_to_check():
    assert len(MODULES) > 30
    assert TEMPLATES
    assert len(REQUIREMENTS) >= 3


def test_only_config_reads_the_environment():
    found = [
        f"{named(path)}:{line} {name}"
        for path in MODULES
        for line, name in uses(path)
        if re.fullmatch(r"os\.(environb?|getenvb?|putenv|unsetenv)", name)
    ]
    assert found
    assert [place for place in found if not place.startswith("maild/config.py:")] == []


def test_only_clock_asks_for_the_time_of_day():
    found = [
        f"{named(path)}:{line} {name}"
        for path in MODULES
        for line, name in uses(path)
        if re.fullmatch(rf"(datetime\.)?(datetime|date)\.({'|'.join(_CLOCK_CALLS)})", name)
    ]
    assert found
    assert [place for place in found if not place.startswith("maild/clock.py:")] == []


def test_the_peer_of_a_connection_is_looked_at_in_two_places():
    """Anywhere else it would be the proxy, taken for the caller."""
    found = {
        named(path)
        for path in MODULES
        for _, name in uses(path)
        if name.rpartition(".")[2] in {"remote_addr", "access_route"}
    }
    assert found == {"maild/api/auth.py", "maild/web/access.py"}


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_says_what_it_is_in_charge_of(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "has no docstring"


def only_passes_on(path):
    """Whether all that a module has is names of others: as long as there are names."""
    body = ast.parse(path.read_text(encoding="utf-8")).body[1:]
    return path.name == "__init__.py" and all(
        isinstance(one, ast.ImportFrom) or ast.unparse(one).startswith("__all__ = ") for one in body
    )


@pytest.mark.parametrize("path", [path for path in MODULES if not only_passes_on(path)], ids=named)
def test_a_module_is_not_too_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500, "past 500 it is two files"


@pytest.mark.proves("security-csp")
@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("an inline script", r"<script(?![^>]*\ssrc=)[^>]*>"),
        ("a script that has a body", r"<script[^>]*>\s*[^<\s]"),
        ("an inline style", r"<style\b|<[^>]*\sstyle\s*="),
        ("an event handler", r"<[^>]*\son[a-z]+\s*="),
        ("an inline handler of htmx", r"\shx-on\b"),
        ("a script as a link", r"javascript:"),
        ("another host", r"""(?:src|href)\s*=\s*["']?(?:https?:)?//[^"'{]+\.(?:js|css)"""),
        # Our own icons are the one exception.
        ("text that is not escaped", r"(?<!{{ shapes\[name\] )\|\s*safe\b|autoescape\s+false"),
    ],
)  # fmt: skip
def test_a_template_holds_nothing_that_the_csp_forbids(what, pattern):
    found = [
        f"{named(path)}: {what}: {match[0]!r}"
        for path in TEMPLATES
        for match in re.finditer(pattern, path.read_text(encoding="utf-8"), re.IGNORECASE)
    ]
    assert found == []


@pytest.mark.proves("security-pinned")
@pytest.mark.parametrize("path", REQUIREMENTS, ids=named)
def test_every_requirement_is_pinned_with_hashes(path):
    lines = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    pins = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert pins
    for pin in pins:
        assert re.fullmatch(
            r"[A-Za-z0-9._-]+(\[[a-z0-9,_-]+\])?==[A-Za-z0-9.!+-]+(\s*;[^#]*?)?"
            r"(\s+--hash=sha256:[0-9a-f]{64})+\s*",
            pin,
        ), pin[:100]


@pytest.mark.parametrize("path", REQUIREMENTS, ids=named)
def test_no_requirement_says_where_to_download(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"\S*://\S*|--(?:extra-)?index-url|--find-links|--trusted-host", text) == []
