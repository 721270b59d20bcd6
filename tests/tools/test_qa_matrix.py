"""The QA matrix: complete, of tests that are there, and as it is in docs/."""

import ast

import pytest

from tools import qa_matrix
from tools.qa_matrix import Chapter, Promise, QaError

CHAPTERS = (Chapter("Mail", (Promise("I1", "Nothing is lost."), Promise("late", "None."))),)


def test_the_matrix_in_docs_is_complete_and_new(capsys):
    assert qa_matrix.main(["--check"]) == 0, capsys.readouterr().out


def test_marks_are_found_on_tests_and_files():
    tree = ast.parse(
        "import pytest\n"
        "pytestmark = [pytest.mark.crash, pytest.mark.proves('I1')]\n"
        "@pytest.mark.proves('I2', 'I3')\n"
        "def test_it(): ...\n"
        "@pytest.mark.browser\n"
        "def test_other(): ...\n"
        "@pytest.mark.proves('I4')\n"
        "def helper(): ...\n"
    )
    assert list(qa_matrix.find_marks(tree)) == [("", "I1"), ("test_it", "I2"), ("test_it", "I3")]


def test_every_promise_has_a_row_with_its_tests():
    text = qa_matrix.write_matrix(CHAPTERS, {"I1": ["tests/a.py::test_it"], "late": ["tests/b.py"]})
    assert "| I1 | Nothing is lost. | `tests/a.py::test_it` |" in text


@pytest.mark.parametrize(
    ("proofs", "words"),
    [
        ({"I1": ["tests/a.py"]}, "No test proves:\n  late"),
        ({"I1": ["a"], "late": ["a"], "typo": ["a"]}, "does not promise: typo"),
    ],
)
def test_a_promise_without_a_proof_and_a_proof_without_a_promise_are_refused(proofs, words):
    with pytest.raises(QaError, match=words):
        qa_matrix.write_matrix(CHAPTERS, proofs)


def test_nothing_is_promised_twice():
    with pytest.raises(QaError, match="twice"):
        qa_matrix.read_promises("[One]\nI1 = 'a'\n[Two]\nI1 = 'b'\n")
