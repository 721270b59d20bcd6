"""The release gate: what it lets pass, and what it must not."""

import re
import sys

import pytest

from tools.gate import __main__ as gate
from tools.gate import coverage, dependencies, mutants
from tools.gate.dependencies import Finding
from tools.gate.stages import ROOT, Stage, list_stages

PASSES = Stage("one", "a thing", (sys.executable, "-c", "print('well')"), 1)
FAILS = Stage("two", "another", (sys.executable, "-c", "print('ill'); raise SystemExit(3)"), 1)
NEVER_ENDS = Stage("three", "a third", (sys.executable, "-c", "import time; time.sleep(99)"), 0)


@pytest.fixture(autouse=True)
def gate_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "FOLDER", tmp_path / "gate")
    monkeypatch.setattr(gate, "look_at_tree", lambda: ("c0ffee", True))
    return tmp_path / "gate"


def use(monkeypatch, *stages):
    monkeypatch.setattr(gate, "list_stages", lambda **_: stages)


@pytest.mark.proves("run-gate")
def test_a_stage_that_fails_fails_all_and_keeps_none_from_being_tried(monkeypatch, gate_folder):
    use(monkeypatch, FAILS, PASSES)
    assert gate.main([]) == 1
    report = (gate_folder / "report.md").read_text()
    assert "1 of 2 stages passed" in report
    assert "| two | another | FAILED: exit code 3 |" in report
    assert "| one | a thing | passed |" in report
    assert (gate_folder / "two.txt").read_text() == "ill\n"


def test_it_passes_where_every_stage_does(monkeypatch, gate_folder, capfd):
    use(monkeypatch, PASSES)
    assert gate.main([]) == 0
    assert "commit `c0ffee`" in (gate_folder / "report.md").read_text().lower()
    assert "well" in capfd.readouterr().out


def test_the_report_does_not_tell_where_the_tree_lay(monkeypatch, gate_folder):
    where = (sys.executable, "-c", "import os; print('in', os.getcwd())")
    use(monkeypatch, Stage("where", "a place", where, 1))
    assert gate.main([]) == 0
    report = (gate_folder / "report.md").read_text()
    assert "in ." in report
    assert str(ROOT) not in report


def test_a_stage_that_does_not_end_is_ended_and_has_failed(monkeypatch, gate_folder):
    use(monkeypatch, NEVER_ENDS)
    assert gate.main([]) == 1
    assert "not done after 0 min" in (gate_folder / "report.md").read_text()


def test_only_what_is_asked_for_is_run(monkeypatch, gate_folder):
    use(monkeypatch, FAILS, PASSES)
    assert gate.main(["--only", "one"]) == 0
    with pytest.raises(SystemExit):
        gate.main(["--only", "nothing"])


def test_what_has_passed_on_this_commit_is_not_run_again(monkeypatch, gate_folder, tmp_path):
    counts = tmp_path / "counted"
    program = f"open({str(counts)!r}, 'a').write('x')"
    counted = Stage("one", "a thing", (sys.executable, "-c", program), 1)
    use(monkeypatch, counted, FAILS)
    assert gate.main([]) == 1
    mended = Stage("two", "another", PASSES.command, 1)
    use(monkeypatch, counted, mended)
    assert gate.main(["--resume"]) == 0
    assert counts.read_text() == "x"
    assert "2 of 2 stages passed" in (gate_folder / "report.md").read_text()
    monkeypatch.setattr(gate, "look_at_tree", lambda: ("decaf", True))
    assert gate.main(["--resume"]) == 0
    assert counts.read_text() == "xx", "of another commit it says nothing"
    assert gate.main([]) == 0
    assert counts.read_text() == "xxx"
    monkeypatch.setattr(gate, "look_at_tree", lambda: ("decaf", False))
    assert gate.main(["--resume", "--allow-changes"]) == 0
    assert counts.read_text() == "xxxx", "nor of a tree that has changes"


def test_what_is_not_committed_is_no_release(monkeypatch, gate_folder):
    use(monkeypatch, PASSES)
    monkeypatch.setattr(gate, "look_at_tree", lambda: ("c0ffee", False))
    assert gate.main([]) == 1
    assert not (gate_folder / "report.md").exists()
    assert gate.main(["--allow-changes"]) == 0


def test_every_stage_has_a_name_of_its_own_and_says_what_it_proves(tmp_path):
    stages = list_stages(folder=tmp_path, workers=2, kills=1, examples=1)
    assert len({stage.name for stage in stages}) == len(stages)
    assert all(stage.proves and stage.minutes for stage in stages)


def test_what_is_long_is_left_out_by_make_test_and_by_nothing_else(tmp_path):
    [tests] = [
        stage
        for stage in list_stages(folder=tmp_path, workers=2, kills=1, examples=1)
        if stage.name == "tests"
    ]
    assert "-m" not in tests.command
    recipes = re.findall(
        r"^(test[a-z-]*):.*\n\t@\$\(BIN\)/pytest (.*)$",
        (ROOT / "Makefile").read_text(),
        re.MULTILINE,
    )
    assert {name: re.findall(r"-m (\"[^\"]+\"|\S+)", words) for name, words in recipes} == {
        "test": ['"not long"'],
        "test-long": ["long"],
        "test-all": [],
    }
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert [line.split()[-3:-1] for line in lines if re.match(r"(exec )?make ", line)] == [
        ["make", "verify"],
    ]


# Coverage


def file(covered, count):
    return {
        "summary": {"covered_branches": covered, "num_branches": count},
        "missing_branches": [[1, 2]] * (count - covered),
    }


def test_coverage_is_of_all_branches_of_a_package():
    files = {"maild/domain/a.py": file(9, 10), "maild/domain/b.py": file(10, 10)}
    assert coverage.measure(files, "maild/domain/") == 95
    with pytest.raises(ValueError, match="no branch"):
        coverage.measure(files, "maild/services/")


@pytest.mark.parametrize(("covered", "code"), [(95, 0), (94, 1)])
def test_too_little_coverage_fails_and_says_where(tmp_path, capsys, covered, code):
    path = tmp_path / "coverage.json"
    text = {
        "maild/domain/policy.py": file(100, 100),
        "maild/services/claims.py": file(covered, 100),
    }
    path.write_text(coverage.json.dumps({"files": text}))
    assert coverage.main([str(path)]) == code
    assert ("maild/services/claims.py" in capsys.readouterr().out) is bool(code)


# Dependencies


@pytest.mark.proves("run-gate")
@pytest.mark.parametrize(
    ("finding", "problem"),
    [
        (Finding("1.0"), None),
        (Finding("1.0", ("CVE-1",)), "flask 1.0 is vulnerable: CVE-1"),
        (Finding("1.0", is_yanked=True), "flask 1.0 was withdrawn by its makers"),
        (Finding("1.1"), "flask 1.0 could not be looked up, 1.1 is there"),
        (Finding("1.1", ("CVE-1",)), "flask 1.0 could not be looked up"),
        (Finding(None), "flask 1.0 could not be looked up"),
    ],
)
def test_only_what_was_looked_up_and_found_well_passes(finding, problem):
    problems, notes = dependencies.judge(
        {"flask": "1.0"}, {"flask": finding}, shipped={"flask"}, waived={}
    )
    assert notes == []
    if problem is None:
        assert problems == []
    else:
        (only,) = problems
        assert only.startswith(problem)


def test_a_tool_may_be_waived_and_what_is_shipped_may_not():
    found = {"flask": Finding("1.1"), "ruff": Finding("1.1")}
    problems, notes = dependencies.judge(
        {"flask": "1.0", "ruff": "1.0"},
        found,
        shipped={"flask"},
        waived={"flask": "no", "ruff": "held back"},
    )
    assert [note for note in notes if "Waived: held back" in note] == notes
    assert len(notes) == 1
    assert any(one.startswith("flask 1.0 could not") for one in problems)
    assert any(one.startswith("flask is waived") for one in problems)
    assert not any("ruff" in one for one in problems)


def test_a_waiver_that_nothing_needs_any_more_is_a_problem():
    problems, _ = dependencies.judge(
        {"ruff": "1.0"}, {"ruff": Finding("1.0")}, shipped=(), waived={"ruff": "old"}
    )
    assert problems == ["ruff is waived in pyproject.toml, and need not be"]


def test_every_pin_is_read():
    pins = dependencies.read_pins(dependencies.ALL)
    assert pins.keys() > {"flask", "peewee", "aiosmtpd", "opentelemetry-sdk", "pytest"}
    assert dependencies.read_pins(("base",)).keys().isdisjoint({"aiosmtpd", "pytest"})


# Mutants


def test_verdicts_are_read_line_by_line():
    text = "    maild.domain.policy.x_f__mutmut_1: killed\n    a.b__mutmut_2: no tests\n\n12 left\n"
    assert mutants.read_verdicts(text) == {
        "maild.domain.policy.x_f__mutmut_1": "killed",
        "a.b__mutmut_2": "no tests",
    }


def test_what_mutants_are_made_of_is_there():
    for name in mutants.SUBJECTS:
        assert (mutants.ROOT / f"maild/domain/{name}.py").is_file()
        assert (mutants.ROOT / f"tests/domain/test_{name}.py").is_file()
