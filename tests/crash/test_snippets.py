"""The Python in the documents about the API does what it is shown for, on the whole product."""

import re
from pathlib import Path

import pytest

from tests.conftest import ADMIN_KEY
from tests.crash.conftest import Stack

pytestmark = pytest.mark.crash

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "clients/python/README.md", "docs/api.md")
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(document: str) -> list[tuple[int, str]]:
    """Each piece of Python, with the line on which it begins; in a document that has recipes, of
    those.
    """
    text = (ROOT / document).read_text(encoding="utf-8")
    start = max(0, text.find("\n## Recipes\n"))
    return [(text[: m.start(1)].count("\n"), m[1]) for m in _BLOCK.finditer(text, start)]


def test_every_document_that_shows_python_is_known() -> None:
    """What is not about maild's API is run where it belongs."""
    shown = {
        str(path.relative_to(ROOT))
        for folder in ("docs", "clients", "deploy")
        for path in (ROOT / folder).rglob("*.md")
        if _BLOCK.search(path.read_text(encoding="utf-8"))
    }
    assert shown - set(DOCUMENTS) <= {"docs/operations.md"}


@pytest.mark.long
@pytest.mark.proves("api-recipes")
def test_the_python_in_the_documents_works(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAILD_URL", f"http://{stack.web}")
    monkeypatch.setenv("MAILD_API_KEY", ADMIN_KEY)
    for document in DOCUMENTS:
        names: dict[str, object] = {}  # one document goes on with what its earlier pieces made
        found = blocks(document)
        assert found, document
        for line, source in found:
            here = source.replace("http://127.0.0.1:8080", f"http://{stack.web}")
            here = here.replace("change-me-operator", ADMIN_KEY)
            exec(compile("\n" * line + here, str(ROOT / document), "exec"), names)
        if client := names.get("maild"):
            client.close()  # type: ignore[attr-defined]
    said = capsys.readouterr().out
    assert "\nto_email is not a single, valid e-mail address" in said
    assert "('nobody', 'Nobody') invalid_fields" in said
    assert "\ncancelled\n" in said
    assert "\nsent\n1 250" in said
    assert "suppression stop" in said
    assert "not mailed since" in said
    assert "\nfailed\n" in said
    assert "RequestLimit(per_minute=600, remaining=599" in said
