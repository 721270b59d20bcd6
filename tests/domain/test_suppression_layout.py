"""How a file of suppressions is laid out: what is guessed, and what is no table at all."""

import pytest

from maild.domain import suppression_layout
from maild.domain.suppression_layout import Layout, UnreadableFile


@pytest.mark.parametrize(
    ("text", "columns", "has_header", "delimiter"),
    [
        ("email,reason\nann@example.org,x", ("email", "reason"), True, ","),
        ("\ufeffEmail;Reason\r\nann@example.org;x", ("email", "reason"), True, ";"),
        ("ann@example.org\nbob@example.org", ("email",), False, ","),
        ("1,ann@example.org,x\n2,bob@example.org,y", (None, "email", None), False, ","),
        ("id\tRecipient\tError\n1\tann@x.org\t550 no", (None, "email", "reason"), True, "\t"),
        ("wer,warum\nann@example.org,x", ("email", None), True, ","),
        ("wer,warum\nann,x", (None, None), True, ","),
        ("email,type,expires\na@b.c,complaint,", ("email", "class", "expires_at"), True, ","),
        ("email,address\na@b.c,Main Street", ("email", None), True, ","),
        ('"email, or so",warum\na@b.c,x', ("email", None), True, ","),
        ('\n\n , \n"ann@example.org"\r"bob@example.org"', ("email",), False, ","),
    ],
)
def test_it_guesses(text, columns, has_header, delimiter):
    assert suppression_layout.guess(text) == Layout(delimiter, has_header, columns)


def test_what_is_stored_of_a_layout_is_the_same_one():
    layout = Layout(";", True, ("email", None, "reason"))
    assert suppression_layout.parse(layout.as_json()) == layout


def test_a_sample_has_as_many_cells_as_there_are_columns():
    text = "email,reason\na@b.c\n\nb@b.c,x,more\nc@b.c,y\n"
    layout = Layout(",", True, ("email", "reason"))
    names, rows = suppression_layout.sample(text, layout, count=2)
    assert names == ["email", "reason"]
    assert rows == [["a@b.c", ""], ["b@b.c", "x"]]


def test_lines_that_cannot_be_read_do_not_hide_the_others():
    text = 'a@b.c,x\nb@b.c,"y"z\nc@b.c,z\n'
    names, rows = suppression_layout.sample(text, Layout(",", False, ("email", None)), count=5)
    assert names == []
    assert [row[0] for row in rows] == ["a@b.c", "c@b.c"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"PK\x03\x04\x14\x00", "is a spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is a spreadsheet"),
        ("a@b.c\nj\xf6rg@b.c".encode("latin-1"), "line 2 has letters that are not UTF-8"),
        (b"a@b.c\n\x00\x00", "line 2 has a zero byte"),
        (b"\xff\xfea", "begins as UTF-16"),
    ],
)
def test_what_is_no_text_is_refused_with_a_way_out(data, told):
    with pytest.raises(UnreadableFile, match=told):
        suppression_layout.decode(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_usual_encodings_are_read(encoding):
    assert suppression_layout.decode("jörg@example.org".encode(encoding)) == "jörg@example.org"


@pytest.mark.parametrize("text", ["", "\ufeff", "\n\n", " ; ;\r\n,,"])
def test_an_empty_file_is_none(text):
    with pytest.raises(UnreadableFile, match="must not be empty"):
        suppression_layout.guess(text)


def test_a_line_of_very_many_cells_is_no_table_of_addresses():
    with pytest.raises(UnreadableFile, match="more than 50 columns"):
        suppression_layout.guess("a," * 60)


def test_a_file_of_nothing_but_broken_lines_is_given_up():
    text = 'a@b.c,"y"z\n' * 1_000 + "d@b.c,x\n"
    assert suppression_layout.sample(text, Layout(",", False, ("email", None)), count=5) == ([], [])
