"""Files as rows: quotes, line ends, lines that are too long, and parts that can be read alone."""

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain import contact_csv
from maild.domain.contact_csv import GARBLED, TOO_LONG, Cutter, read_rows, split_lines


def read(text: str, delimiter: str = ",", width: int = 2) -> list[tuple[int, int, object]]:
    return [
        (row.place, row.line_count, row.problem or row.cells)
        for row in read_rows(split_lines(text), delimiter, width=width)
    ]


def cut(data: bytes, *, block: int = 64, width: int = 2) -> list[contact_csv.Part]:
    cutter = Cutter(",", width=width)
    parts = []
    for at in range(0, len(data), block):
        parts += cutter.feed(data[at : at + block])
    return [*parts, *cutter.finish()]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_csv, "CHUNK_BYTES", 60)
    monkeypatch.setattr(contact_csv, "CHUNK_LINES", 5)
    monkeypatch.setattr(contact_csv, "_MARGIN_BYTES", 200)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_ends_a_line(end: str) -> None:
    text = end.join(["a,b", "c,d", ""])
    assert read(text) == [(0, 1, ["a", "b"]), (1, 1, ["c", "d"])]


def test_only_line_ends_end_a_line() -> None:
    assert read("a\u2028b,c\x0bd\x85\n") == [(0, 1, ["a\u2028b", "c\x0bd\x85"])]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('"a,b",c\n', [(0, 1, ["a,b", "c"])]),
        ('"a\nb",c\nd,e\n', [(0, 2, ["a\nb", "c"]), (2, 1, ["d", "e"])]),
        ('a,"b\r\nc\r\nd"\r\ne,f', [(0, 3, ["a", "b\r\nc\r\nd"]), (3, 1, ["e", "f"])]),
        ('a,"say ""hi"""\n', [(0, 1, ["a", 'say "hi"'])]),
        ('a,5" pipe\nb,c\n', [(0, 1, ["a", '5" pipe']), (1, 1, ["b", "c"])]),
        ('a,"b"c\nd,e\n', [(0, 1, GARBLED), (1, 1, ["d", "e"])]),
        ('a,"b\nd,e\n', [(0, 1, GARBLED), (1, 1, ["d", "e"])]),
        ('a,"', [(0, 1, GARBLED)]),
        ("\n\n", [(0, 1, []), (1, 1, [])]),
        ("", []),
    ],
)
def test_quotes(text: str, rows: list[object]) -> None:
    assert read(text) == rows


def test_a_quote_that_nobody_closes_swallows_no_row() -> None:
    text = "".join(f"user{n}@example.org,x\n" for n in range(300))
    rows = read('a@example.org,"oops\n' + text)
    assert rows[0] == (0, 1, GARBLED)
    assert [one[2] for one in rows[1:]] == [[f"user{n}@example.org", "x"] for n in range(300)]


def test_a_quote_that_another_one_closes_swallows_no_row_either() -> None:
    text = 'a@x.example,"oops\nb@x.example,fine\nc@x.example,"\nd@x.example,y\n'
    found = [one[2] for one in read(text)]
    assert found == [GARBLED, ["b@x.example", "fine"], GARBLED, ["d@x.example", "y"]]


def test_an_address_in_a_cell_of_several_lines_is_no_row() -> None:
    text = 'a@x.example,"write to\nb@x.example\nor call"\n'
    assert len(read(text)) == 1
    text = '"Ann\nMiller",x,ann@x.example\n'
    assert read(text, width=3)[0][2] == ["Ann\nMiller", "x", "ann@x.example"]


def test_what_is_too_long_is_told_and_the_rest_is_read() -> None:
    long = "x" * (contact_csv.ROW_MAX_CHARS + 1)
    assert [one[2] for one in read(f"a,b\n{long},c\nd,e\n")] == [["a", "b"], TOO_LONG, ["d", "e"]]
    many = '"' + "x\n" * (contact_csv.ROW_MAX_LINES + 1) + '",b\n'
    assert read(many)[0][2] == GARBLED


def test_quotes_that_nobody_closes_are_not_looked_for_line_after_line() -> None:
    """Each of these lines opens a cell, whether or not the one before has left one open."""
    text = '",x","\n' * 20_000
    started = time.process_time()
    assert [one[2] for one in read(text)] == [GARBLED] * 20_000
    assert time.process_time() - started < 20


@pytest.mark.usefixtures("small")
def test_parts_end_where_rows_do_and_are_the_whole_file() -> None:
    data = b'a,"b\nc\nd"\n' * 50 + b"e,f\r\n" * 50
    parts = cut(data)
    assert b"".join(part.content for part in parts) == data
    assert len(parts) > 10
    for part in parts:
        assert part.content.count(b"\n") == part.line_count
        assert part.content.startswith((b'a,"b', b"e,f"))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("block", [1, 7, 64, 5_000])
def test_parts_do_not_depend_on_how_the_file_comes(block: int) -> None:
    data = b'a,"b\nc"\r\n' * 70 + b"e,f\r" * 70
    assert cut(data, block=block) == cut(data, block=13)


def test_of_a_line_without_end_only_the_beginning_is_kept() -> None:
    data = b"a,b\n" + b"x" * 10_000_000 + b"\nc,d\n"
    parts = cut(data, block=65_536)
    kept = b"".join(part.content for part in parts)
    assert len(kept) < 1_000_000
    assert kept.startswith(b"a,b\nxxx")
    assert kept.endswith(b"x\nc,d\n")
    found = [one[2] for one in read(kept.decode())]
    assert found == [["a", "b"], TOO_LONG, ["c", "d"]]


cells = st.text(st.sampled_from('ab,;"\n\r @é'), max_size=8)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), max_size=12))
def test_what_the_csv_module_writes_is_read_again(rows: list[list[str]]) -> None:
    # A blank at a cell's beginning may be a mistake of whoever wrote the file: it is dropped.
    rows = [[cell.replace(" ", "").replace("@", "") for cell in row] for row in rows]
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    assert [one[2] for one in read(text.getvalue())] == rows


@given(st.text(st.sampled_from('ab,"\n\r@ \0é'), max_size=60))
def test_every_line_is_of_exactly_one_row(text: str) -> None:
    lines = split_lines(text)
    at = 0
    for row in read_rows(lines, ",", width=2):
        assert row.place == at
        at += row.line_count
    assert at == len(lines)
    assert "".join(lines) == text
