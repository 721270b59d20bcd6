"""Files of suppressions: columns, lines, and what is wrong with them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain import suppression_csv
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass
from maild.domain.suppression_csv import BadLine, Line, Reader, UnreadableFile
from maild.domain.suppression_layout import Layout

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def read(text: str) -> list[Line | BadLine]:
    return list(Reader(text))


def cells(text: str) -> list[dict[str, str]]:
    lines = read(text)
    assert all(isinstance(line, Line) for line in lines), lines
    return [line.cells for line in lines if isinstance(line, Line)]


ANN_BOB = [{"email": "ann@example.org"}, {"email": "bob@example.org"}]


@pytest.mark.parametrize(
    "text",
    [
        "ann@example.org\nbob@example.org",
        "ann@example.org\nbob@example.org\n",
        "ann@example.org\r\nbob@example.org\r\n",
        "ann@example.org\rbob@example.org\r",
        "\ufeffann@example.org\nbob@example.org\n",
        "email\nann@example.org\nbob@example.org",
        "\ufeffEmail\r\nann@example.org\r\nbob@example.org\r\n",
        '"E-Mail"\n"ann@example.org"\n"bob@example.org"',
        "\n\nemail\n\nann@example.org\n\n \n,,\nbob@example.org\n\n",
        " ann@example.org \n\tbob@example.org\t",
        "email address;name\nann@example.org;Ann\nbob@example.org;Bob",
        "name\temail\nAnn\tann@example.org\nBob\tbob@example.org",
        'id,email_address\n1,ann@example.org\n2, "bob@example.org"',
        "email,reason\nann@example.org\nbob@example.org,",
    ],
)
def test_it_reads_files_of_many_kinds(text: str) -> None:
    assert cells(text) == ANN_BOB


def test_it_finds_columns_by_their_names() -> None:
    text = "Class;EMAIL;why;Reason;Stream;expires_at\nmanual;a@x.org;?;no;marketing;2027-01-01\n"
    reader = Reader(text)
    assert reader.ignored_columns == ["why"]
    [line] = reader
    assert line == Line(
        2,
        {
            "class": "manual",
            "email": "a@x.org",
            "reason": "no",
            "stream": "marketing",
            "expires_at": "2027-01-01",
        },
    )


def test_without_names_the_columns_have_an_order() -> None:
    assert cells("a@x.org,they asked,complaint,marketing,2027-01-01T00:00:00Z") == [
        {
            "email": "a@x.org",
            "reason": "they asked",
            "class": "complaint",
            "stream": "marketing",
            "expires_at": "2027-01-01T00:00:00Z",
        }
    ]


def test_a_cell_may_hold_the_delimiter_a_quote_and_a_line_break() -> None:
    text = 'email,reason\na@x.org,"no, ""never""\r\nagain"\nb@x.org,x\n'
    assert cells(text) == [
        {"email": "a@x.org", "reason": 'no, "never"\r\nagain'},
        {"email": "b@x.org", "reason": "x"},
    ]


def test_it_takes_back_what_protects_from_formulas() -> None:
    text = "email,reason\n'+ann@x.org,'=1+1\nbob@x.org,it's\n'joe@x.org,\n"
    assert cells(text) == [
        {"email": "+ann@x.org", "reason": "=1+1"},
        {"email": "bob@x.org", "reason": "it's"},
        {"email": "'joe@x.org"},
    ]


def test_a_bad_line_is_told_by_its_number_and_the_others_go_on() -> None:
    lines = read('\nemail,reason\n\n,x\na@x.org,"b"c\nb@x.org,1,2\n"c@x.org","d"\n')
    assert [line.number for line in lines] == [4, 5, 6, 7]
    assert [type(line) for line in lines] == [BadLine, BadLine, BadLine, Line]
    errors = [line.error for line in lines if isinstance(line, BadLine)]
    assert errors[0] == "email: is missing"
    assert "cannot be read" in errors[1]
    assert errors[2] == "has more than 2 cells"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must not be empty"),
        ("\ufeff\r\n ,, \n", "must not be empty"),
        ("name,phone\nAnn,1\n", "neither an address nor a column"),
        ("Ann\nann@example.org\n", "neither an address nor a column"),
        ("email,email\na@x.org,b@x.org", "two columns email"),
        ('a@x.org\n"b@x.org\nc@x.org\n', "line 2: a quote is opened"),
        ('a@x.org\n"b@x.org\nc@x.org"\n', "line 2: a quote is opened"),
        ('a@x.org\n"b@x.org\n"c@x.org\n', "line 2: a quote is opened"),
        ('email,reason\na@x.org,"b\nc@x.org,d', "line 2: a quote is opened"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_whole(text: str, words: str) -> None:
    """Above all where a quote would swallow lines, whose addresses nobody would miss."""
    with pytest.raises(UnreadableFile, match=words):
        read(text)


@given(st.text("a@,;\"'\r\n\t =\x00\ufeff"))
def test_no_text_breaks_it(text: str) -> None:
    try:
        lines = read(text)
    except UnreadableFile:
        return
    assert [line.number for line in lines] == sorted({line.number for line in lines})


def test_it_reads_classes_and_streams_in_any_case() -> None:
    assert suppression_csv.parse_class("Hard_Bounce") is SuppressionClass.HARD_BOUNCE
    assert suppression_csv.parse_stream("Marketing") is Stream.MARKETING
    assert suppression_csv.parse_stream("ALL") is None


@pytest.mark.parametrize("text", ["2026-01-01T00:00:01Z", "2026-01-01T01:00:01+01:00"])
def test_it_reads_an_end(text: str) -> None:
    assert suppression_csv.parse_end(text, now=NOW) == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["tomorrow", "2027-01-01", "2027-01-01T00:00:00", "2026-01-01T00:00:00Z", "1767225600",
     "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", ""],
)  # fmt: skip
def test_it_refuses_any_other_end(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        suppression_csv.parse_end(text, now=NOW)


def test_a_layout_without_addresses_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="no column is the address"):
        Reader("a@x.org,b\n", Layout(",", False, ("reason", None)))
