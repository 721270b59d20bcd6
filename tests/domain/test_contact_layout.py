"""How files of contacts are laid out: what is guessed, and what may be said."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain import contact_layout, text_encoding
from maild.domain.contact import AttributeKind
from maild.domain.contact_layout import ATTRIBUTE, Column, Layout
from maild.domain.csv_table import UnreadableFile


def guess(text: str, **kinds: AttributeKind) -> Layout:
    delimiter, _ = contact_layout.guess_delimiter(text)
    return contact_layout.guess(text, encoding="utf-8", delimiter=delimiter, kinds=kinds)


def uses(layout: Layout) -> list[str | None]:
    return [
        column.use if column.use != ATTRIBUTE else f"{column.name}:{column.kind}"
        for column in layout.columns
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    text = "email,full name,city\nann@x.example,Ann,Rome\n".replace(",", delimiter)
    layout = guess(text)
    assert layout.delimiter == delimiter
    assert uses(layout) == ["email", "name", "city:text"]


def test_a_delimiter_inside_of_cells_is_none() -> None:
    text = 'email;note\nann@x.example;"a, b, c"\nbob@x.example;d, e\n'
    assert guess(text).delimiter == ";"


@pytest.mark.parametrize(
    ("text", "has_header", "expected"),
    [
        ("email\nann@x.example\n", True, ["email"]),
        ("ann@x.example\nbob@x.example\n", False, ["email"]),
        ("Ann,ann@x.example\nBob,bob@x.example\n", False, [None, "email"]),
        ("wer,wo\nann@x.example,Rome\n", True, ["email", "wo:text"]),
        ("Mail,E-Mail\nx,ann@x.example\n", True, ["mail:text", "email"]),
        ("email,email\na@x.example,b\n", True, ["email", "email_2:text"]),
        ("email,Größe (cm)\na@x.example,180\n", True, ["email", "grosse_cm:number"]),
        ("email,2nd\na@x.example,z\n", True, ["email", "column_2nd:text"]),
        ("email,\na@x.example,y\n", True, ["email", None]),
        ("email,status\na@x.example,z\n", True, ["email", "status_2:text"]),
        ("email,optin_time,optin_ip\na@x.example,2020-01-01,::1\n", True,
         ["email", "consent_at", "consent_proof"]),
        ("nobody,here\nx,z\n", True, ["nobody:text", "here:text"]),
    ],
)  # fmt: skip
def test_columns_are_guessed(text: str, has_header: bool, expected: list[str]) -> None:
    layout = guess(text)
    assert (layout.has_header, uses(layout)) == (has_header, expected)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "-3"], "number"),
        (["01234", "99999"], "text"),
        (["+49 30"], "text"),
        (["+4930"], "text"),
        (["1234567890123456"], "text"),
        (["yes", "No"], "boolean"),
        (["2026-01-31", "2026-02-28"], "date"),
        (["2026-01-31", "soon"], "text"),
        (["", ""], "text"),
        (["1", ""], "number"),
    ],
)
def test_kinds_are_guessed(cells: list[str], kind: str) -> None:
    text = "email,value\n" + "".join(f"a@x.example,{cell}\n" for cell in cells)
    assert guess(text).attributes == {"value": AttributeKind(kind)}


def test_an_attribute_that_is_known_keeps_its_kind() -> None:
    assert guess("email,age\na@x.example,old\n", age=AttributeKind.NUMBER).attributes == {
        "age": AttributeKind.NUMBER
    }


@pytest.mark.parametrize("text", ["", "\n\n", ",,\n", "\ufeff"])
def test_an_empty_file_is_told(text: str) -> None:
    with pytest.raises(UnreadableFile, match="empty"):
        contact_layout.guess_delimiter(text.removeprefix("\ufeff"))


def test_too_many_columns_are_told() -> None:
    with pytest.raises(UnreadableFile, match="more than 100"):
        contact_layout.guess_delimiter("email" + ",x" * 100 + "\n")


GOOD = Layout(",", "utf-8", True, (Column("email"), Column(ATTRIBUTE, "age", AttributeKind.NUMBER)))


@pytest.mark.parametrize(
    ("columns", "where"),
    [
        ([Column("email"), Column("email")], "columns"),
        ([Column("name"), Column(None)], "columns"),
        ([Column("email"), Column("shoes")], "columns.1.use"),
        ([Column("email"), Column(ATTRIBUTE)], "columns.1.name"),
        ([Column("email"), Column(ATTRIBUTE, "Age", AttributeKind.TEXT)], "columns.1.name"),
        ([Column("email"), Column(ATTRIBUTE, "email", AttributeKind.TEXT)], "columns.1.name"),
        ([Column("email"), Column(ATTRIBUTE, "going", AttributeKind.TEXT)], "columns.1.name"),
        ([Column("email"), Column(ATTRIBUTE, "age")], "columns.1.kind"),
        ([Column("email"), Column(ATTRIBUTE, "old", AttributeKind.TEXT)], "columns.1.kind"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(columns: list[Column], where: str) -> None:
    layout = replace(GOOD, columns=tuple(columns))
    kinds = {"old": AttributeKind.NUMBER, "going": None}
    assert [name for name, _ in contact_layout.check(layout, kinds)] == [where]


def test_two_columns_are_not_one_attribute() -> None:
    layout = replace(GOOD, columns=(*GOOD.columns, GOOD.columns[1]))
    assert [name for name, _ in contact_layout.check(layout, {})] == ["columns.2.name"]


@pytest.mark.parametrize("fields", [{"delimiter": "x"}, {"encoding": "rot13"}])
def test_a_reading_that_nobody_knows_is_told(fields: dict[str, str]) -> None:
    assert [name for name, _ in contact_layout.check(replace(GOOD, **fields), {})] == list(fields)


def test_a_layout_is_kept_as_it_is() -> None:
    assert contact_layout.parse(GOOD.as_json()) == GOOD


def test_a_sample_is_as_wide_as_there_are_columns() -> None:
    names, rows = contact_layout.sample("a,b\n1\n2,3,4\n\n5,6\n", GOOD, count=2)
    assert (names, rows) == (["a", "b"], [["1", ""], ["2", "3"]])


@given(st.text(max_size=300))
def test_whatever_it_is_it_has_a_layout_or_is_refused(text: str) -> None:
    try:
        delimiter, width = contact_layout.guess_delimiter(text)
    except UnreadableFile:
        return
    layout = contact_layout.guess(text, encoding="utf-8", delimiter=delimiter, kinds={})
    assert len(layout.columns) == width
    found = {name for name, _ in contact_layout.check(layout, {})}
    assert found <= {"columns"}


# Encodings


def test_utf16_is_found_with_and_without_its_mark() -> None:
    text = "email,name\nann@x.example,Ann\n" * 20
    assert text_encoding.find_utf16(text.encode("utf-16")) == "utf-16"
    assert text_encoding.find_utf16(text.encode("utf-16-le")) == "utf-16-le"
    assert text_encoding.find_utf16(text.encode("utf-16-be")) == "utf-16-be"
    assert text_encoding.find_utf16(text.encode()) is None


@pytest.mark.parametrize(
    ("lines", "encoding"),
    [
        ([b"a", b"b"], "utf-8"),
        (["ä".encode()] * 3, "utf-8"),
        ([b"\xe4"], "cp1252"),
        (["ä".encode()] * 30 + [b"\xe4"], "utf-8"),
        (["ä".encode()] * 3 + [b"\xe4"], "cp1252"),
    ],
)
def test_the_encoding_is_found(lines: list[bytes], encoding: str) -> None:
    sniffer = text_encoding.Sniffer()
    for line in lines:
        sniffer.feed(line + b"\n")
    assert sniffer.encoding == encoding


@pytest.mark.parametrize(
    "head",
    [b"PK\x03\x04rest", b"\xd0\xcf\x11\xe0", b"\x1f\x8b\x08", b"%PDF-1.7", bytes(range(32)) * 9],
)
def test_what_is_no_text_is_refused(head: bytes) -> None:
    with pytest.raises(UnreadableFile):
        text_encoding.refuse_binary(head)


def test_a_single_zero_makes_no_binary_file() -> None:
    text_encoding.refuse_binary(b"email\nann\0@x.example\n" + b"x" * 1_000)
