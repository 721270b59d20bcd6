"""The scoring program counts right, and says what is missing."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "tools/score.py"


@pytest.fixture(scope="module")
def score():
    spec = importlib.util.spec_from_file_location("maild_tools_score", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def write(folder, *rows):
    path = folder / "bounces/smtp_replies.jsonl"
    path.parent.mkdir()
    lines = (json.dumps({"reply": reply, "hard": hard}) for reply, hard in rows)
    path.write_text("\n".join(lines), encoding="utf-8")


def test_it_reaches_the_aims(score, tmp_path, capsys):
    write(tmp_path, ("550 5.1.1 User unknown", True), ("550 5.7.1 Spam", False))
    assert score.main([str(tmp_path)]) == 0
    assert "all          caught   1 of   1 hard (100.0%)" in capsys.readouterr().out


def test_it_shows_what_it_gets_wrong(score, tmp_path, capsys):
    write(tmp_path, ("550 Spam", True), ("550 5.1.1 User unknown", False), ("nonsense", False))
    assert score.main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "caught   0 of   1 hard (  0.0%), wrongly suppressed   1 of   2 (50.0%)" in out
    assert "  missed " in out
    assert "  wrong " in out


@pytest.mark.parametrize("arguments", [[], [""], ["/nonexistent"]])
def test_it_says_what_is_missing(score, arguments, capsys):
    assert score.main(arguments) == 2
    assert "make score CORPORA=" in capsys.readouterr().err
