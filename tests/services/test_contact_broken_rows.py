"""A file with a hundred kinds of broken rows, each with the reason that it must be refused for; and
files in every encoding and with every kind of line end.
"""

import csv
import io
from collections import Counter

import pytest

from maild.domain import contact_layout
from maild.domain.actor import Actor
from maild.domain.states import Stream
from maild.errors import InvalidFields, PayloadTooLarge
from maild.models import Contact, ContactFile, ContactFileChunk, ContactRejection
from maild.services import (
    contact_files,
    contact_imports,
    contact_rejections,
    suppressions,
    unsubscribes,
)
from maild.services.contact_import_rows import Options
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.test_contact_imports import (
    contact,
    emails,
    import_all,
    look,
    receive,
    some,
)

pytestmark = pytest.mark.usefixtures("database")

ADA = Actor("ada@a.example")
HEADER = "email,name,age,vip,born,topics,consent_at,consent_source,consent_proof,note\n"
ADDRESS, VALUE = "invalid_address", "invalid_value"
LONG = "x" * 1_001


def of(email: str = "ok@x.example", **cells: str) -> str:
    names = HEADER.strip().split(",")
    return ",".join({"email": email, **cells}.get(name, "") for name in names)


BROKEN: tuple[tuple[str, str], ...] = (
    # No address
    (of("", name="Ann"), "missing_address"),
    (of("   ", name="Ann"), "missing_address"),
    (of('""', name="Ann"), "missing_address"),
    (of("\u3000", name="Ann"), "missing_address"),
    (",,,,,,,,,only a note", "missing_address"),
    # No valid address
    (of("ann"), ADDRESS),
    (of("ann@"), ADDRESS),
    (of("@x.example"), ADDRESS),
    (of("ann@@x.example"), ADDRESS),
    (of("ann@x@x.example"), ADDRESS),
    (of("ann x@x.example"), ADDRESS),
    (of("ann@x example"), ADDRESS),
    (of("ann@x..example"), ADDRESS),
    (of("ann@.example"), ADDRESS),
    (of("ann@x.example."), ADDRESS),
    (of("ann@-x.example"), ADDRESS),
    (of("ann@x-.example"), ADDRESS),
    (of("ann@x_y.example"), ADDRESS),
    (of("ann@exa mple.com"), ADDRESS),
    (of(".ann@x.example"), ADDRESS),
    (of("ann.@x.example"), ADDRESS),
    (of("an..n@x.example"), ADDRESS),
    (of("a" * 65 + "@x.example"), ADDRESS),
    (of("a@" + "x" * 64 + ".example"), ADDRESS),
    (of("a@" + "x." * 130 + "example"), ADDRESS),
    (of("ann@[127.0.0.1]"), ADDRESS),
    (of("ann(comment)@x.example"), ADDRESS),
    (of("<ann@x.example>"), ADDRESS),
    (of("Ann <ann@x.example>"), ADDRESS),
    (of("mailto:ann@x.example"), ADDRESS),
    (of('"ann@x.example;bob@x.example"'), ADDRESS),
    (of('"ann@x.example, bob@x.example"'), ADDRESS),
    (of('"ann\n@x.example"'), ADDRESS),
    (of('"ann@x.example\nBcc: bob@x.example"'), ADDRESS),
    (of("ann\u200b@x.example"), ADDRESS),
    (of("ann\u202e@x.example"), ADDRESS),
    (of("ann\u00a0@x.example"), ADDRESS),
    (of("ann\x07@x.example"), ADDRESS),
    (of("ann\x7f@x.example"), ADDRESS),
    (of("ann@\U0001f600.example"), ADDRESS),
    (of("ann,x@x.example".replace(",", "\\")), ADDRESS),
    (of("n/a"), ADDRESS),
    (of("-"), ADDRESS),
    (of("#REF!"), ADDRESS),
    (of("=1+1"), ADDRESS),
    (of("123456"), ADDRESS),
    (of("ann at x.example"), ADDRESS),
    # Values of the wrong kind
    (of(age="old"), VALUE),
    (of(age="1 000"), VALUE),
    (of(age="1e5"), VALUE),
    (of(age="NaN"), VALUE),
    (of(age="inf"), VALUE),
    (of(age="0x1f"), VALUE),
    (of(age="--3"), VALUE),
    (of(age="3.5.1"), VALUE),
    (of(age='"3,5"'), VALUE),
    (of(age="1" * 16), VALUE),
    (of(age="true"), VALUE),
    (of(vip="maybe"), VALUE),
    (of(vip="2"), VALUE),
    (of(vip="ja"), VALUE),
    (of(vip="x"), VALUE),
    (of(born="31.01.1990"), VALUE),
    (of(born="1990-13-01"), VALUE),
    (of(born="1990-02-30"), VALUE),
    (of(born="1990-1-1"), VALUE),
    (of(born="19900101"), VALUE),
    (of(born="yesterday"), VALUE),
    (of(born="0000-01-01"), VALUE),
    (of(consent_at="soon"), VALUE),
    (of(consent_at="31.01.2026"), VALUE),
    (of(consent_at="2999-01-01"), VALUE),
    (of(consent_at="2026-01-01T25:00:00Z"), VALUE),
    (of(consent_at="1700000000"), VALUE),
    # Values that are too long, or too many
    (of(name="x" * 201), VALUE),
    (of(note=LONG), VALUE),
    (of(consent_at="2026-01-01", consent_source="x" * 501), VALUE),
    (of(consent_at="2026-01-01", consent_proof="x" * 501), VALUE),
    (of(topics="x" * 101), VALUE),
    (of(topics=";".join(map(str, range(51)))), VALUE),
    # Rows that are none
    (of() + ",surplus", "too_many_cells"),
    (of() + ",,,,surplus", "too_many_cells"),
    (of() * 3, "too_many_cells"),
    (of(name='"Ann"x'), "unreadable"),
    (of(name='"Ann'), "unreadable"),
    (of(name='"'), "unreadable"),
    (of(name='"Ann""'), "unreadable"),
    (of(name="An\0n"), "unreadable"),
    (of("an\0n@x.example"), "unreadable"),
    (of(note="x" * 70_000), "unreadable"),
    (of(name="\ufffd"), "unreadable"),
    (of(note='"' + "a\n" * 101 + '"'), "unreadable"),
    # Addresses that are nobody's
    (of("info@x.example"), "role_address"),
    (of("No-Reply@x.example"), "role_address"),
    (of("postmaster@x.example"), "role_address"),
    (of("sales+autumn@x.example"), "role_address"),
    (of("friends-request@x.example"), "role_address"),
    (of("ann@mailinator.com"), "disposable_domain"),
    (of("ann@MAILINATOR.com"), "disposable_domain"),
    (of("ann@mail.mailinator.com"), "disposable_domain"),
    # Who must not be mailed
    (of("gone@x.example"), "suppressed"),
    (of("GONE@X.example"), "suppressed"),
    (of("gone-marketing@x.example"), "suppressed"),
    (of("left@x.example"), "unsubscribed"),
    (of("Left@x.example"), "unsubscribed"),
    (of("left-marketing@x.example"), "unsubscribed"),
)


@pytest.mark.proves("I13")
def test_a_hundred_kinds_of_broken_rows() -> None:
    assert len(BROKEN) > 100
    for email, stream in (("gone@x.example", None), ("gone-marketing@x.example", "marketing")):
        suppressions.add(
            WORKSPACE_A, email, reason="x", source="api", stream=stream and Stream(stream), by=ADA
        )
    for email, stream in (("left@x.example", None), ("left-marketing@x.example", "marketing")):
        unsubscribes.opt_out(
            WORKSPACE_A, email, stream=stream and Stream(stream), source="api", by=ADA
        )
    good = [f"good{n}@x.example" for n in range(len(BROKEN) + 1)]
    sample = of(good[0], age="3", vip="yes", born="1990-01-31", note="a")
    text, wanted, line = HEADER + sample + "\n", {}, 3
    for number, (row, reason) in enumerate(BROKEN, start=1):
        wanted[line] = (row, reason)
        line += row.count("\n") + 1
        text += f"{row}\n{of(good[number], note='fine')}\n"
        line += 1
    stand = import_all(text)
    # A row of too many lines is told on each of them: none of them can be part of another.
    [(first, _)] = [(at, row) for at, (row, _) in wanted.items() if row.count("\n") > 100]
    found = {
        row.line: row.reason for row in ContactRejection.select()
        if not first < row.line <= first + 101
    }  # fmt: skip
    expected = {line: reason for line, (_, reason) in wanted.items()}
    assert {line: found.get(line) for line in expected} == expected
    assert set(found) == set(expected)
    # What is good is not spoilt by its neighbours.
    assert emails() == set(good)
    assert some(stand, "new") == [len(good)]
    counts = Counter(row.reason for row in ContactRejection.select())
    assert {reason: (stand.counts or {})[reason] for reason in counts} == counts


def test_the_refused_rows_are_given_out_with_their_cells() -> None:
    text = 'email,name\n=cmd|\' /C calc\'!A0,Ann\nnonsense,"Bo\nb"\ninfo@x.example,+1\n"x,y\n'
    row = receive(text)
    look(row)
    written = "".join(contact_rejections.write(WORKSPACE_A, row.id))
    rows = list(csv.reader(io.StringIO(written)))
    assert rows[0] == ["line", "reason", "problem", "email", "name"]
    assert [one[:2] for one in rows[1:]] == [
        ["2", "invalid_address"], ["3", "invalid_address"], ["5", "role_address"],
        ["6", "unreadable"],
    ]  # fmt: skip
    assert rows[1][3].startswith("'=cmd\\|")
    assert rows[2][3:] == ["nonsense", "Bo\nb"]
    assert rows[3][3:] == ["info@x.example", "'+1"]
    assert rows[4][3:] == ['"x,y']


def test_cells_that_were_made_safe_for_a_spreadsheet_are_read_as_they_were() -> None:
    import_all("email,name\n'+ann@x.example,'=Ann\n")
    assert contact("+ann@x.example").name == "=Ann"


# Encodings and line ends

TEXT = "email,name\nann@x.example,Jörg Müller\nbob@bücher.example,Zoë\n"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("cp1252"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace("\n", "\r\n").encode("utf-16"),
        TEXT.replace("\n", "\n\n \n,\n").encode(),
        TEXT.rstrip("\n").encode(),
    ],
    ids=["utf-8", "bom", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "crlf", "cr",
         "utf-16-crlf", "blank lines", "no end"],
)  # fmt: skip
def test_files_of_many_kinds(data: bytes) -> None:
    assert some(import_all(data), "rows", "new", "rejected") == [2, 2, 0]
    assert contact("ann@x.example").name == "Jörg Müller"
    assert contact("bob@bücher.example").name == "Zoë"


def test_letters_that_do_not_fit_late_in_the_file_change_how_all_of_it_is_read() -> None:
    rows = "".join(f"user{n:05}@x.example,User\n" for n in range(9_000))
    data = ("email,name\n" + rows + "ann@x.example,Jörg\n").encode("cp1252")
    assert len(data) > 64 * 1024
    row = receive(data)
    assert row.layout["encoding"] == "cp1252"


def test_one_broken_letter_in_a_file_of_good_ones_is_one_broken_row() -> None:
    rows = "".join(f"user{n}@x.example,Jörg\n" for n in range(20))
    stand = import_all(("email,name\n" + rows).encode() + b"ann@x.example,J\xf6rg\n")
    assert some(stand, "new", "unreadable") == [20, 1]


def test_a_cell_may_go_over_lines() -> None:
    import_all('email,note\n"ann@x.example","one\ntwo"\nbob@x.example,three\n')
    assert contact("ann@x.example").attributes == {"note": "one\ntwo"}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "must not be empty"),
        (b"\n\r\n ,,\n", "must not be empty"),
        (b"PK\x03\x04" + b"x" * 99, "spreadsheet"),
        (b"\x1f\x8b\x08" + b"x" * 99, "archive"),
        (bytes(range(256)) * 50, "not a text file"),
        (b"email" + b",x" * 200 + b"\n", "more than 100 columns"),
    ],
)
def test_what_is_no_such_file_is_not_kept(data: bytes, told: str) -> None:
    with pytest.raises(InvalidFields, match=told):
        receive(data)
    assert ContactFile.select().count() == 0


def test_a_single_line_of_ten_megabytes_is_one_refused_row() -> None:
    data = b"email,note\nann@x.example," + b"x" * 10_000_000 + b"\nbob@x.example,fine\n"
    stand = import_all(data)
    assert some(stand, "rows", "new", "unreadable") == [2, 1, 1]
    assert stand.file.size_bytes == len(data)
    kept = sum(len(bytes(chunk.content)) for chunk in ContactFileChunk.select())
    assert kept < 1_000_000


def test_a_file_that_is_nothing_but_one_long_line_is_told() -> None:
    row = receive(b"x" * 3_000_000)
    stand = look_or_refuse(row)
    assert not stand


def look_or_refuse(row: ContactFile) -> bool:
    """Whether anything of it could be imported."""
    try:
        return look(row).can_start
    except InvalidFields:
        return False


def test_a_file_that_is_too_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_files, "MAX_BYTES", 1_000)
    with pytest.raises(PayloadTooLarge):
        receive(b"email\n" + b"ann@x.example\n" * 100)
    assert contact_files.list_newest(WORKSPACE_A) == []
    contact_files.prune()
    assert ContactFile.select().count() == ContactFileChunk.select().count() == 0


def test_an_upload_that_breaks_off_leaves_nothing() -> None:
    def broken():
        yield b"email\n" + b"ann@x.example\n" * 9_000
        raise OSError("the client went away")

    with pytest.raises(OSError, match="went away"):
        contact_files.receive(WORKSPACE_A, broken(), name="x", by=ADA)
    assert contact_files.list_newest(WORKSPACE_A) == []
    contact_files.prune()
    assert ContactFile.select().count() == 0


# How many are kept


def test_of_too_many_files_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_files, "FILES_MAX", 2)
    other = contact_files.receive(WORKSPACE_B, [b"email\nx@x.example\n"], name="b", by=ADA)
    rows = [receive("email\nann@x.example\n") for _ in range(3)]
    assert [row.id for row in contact_files.list_newest(WORKSPACE_A)] == [rows[2].id, rows[1].id]
    contact_files.prune()
    assert {row.id for row in ContactFile.select()} == {rows[1].id, rows[2].id, other.id}


def test_of_too_many_octets_the_oldest_go_but_not_what_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = receive("email\n" + "ann@x.example\n" * 10)
    second = receive("email\n" + "ann@x.example\n" * 10)
    look_later(first)
    monkeypatch.setattr(contact_files, "TOTAL_MAX_BYTES", 100)
    third = receive("email\nann@x.example\n")
    kept = [row.id for row in contact_files.list_newest(WORKSPACE_A)]
    assert kept == [third.id, first.id]
    assert second.id not in kept


def look_later(row: ContactFile) -> None:
    """A job that reads the file waits."""
    layout = contact_layout.parse(row.layout)
    contact_imports.configure(WORKSPACE_A, row.id, layout=layout, options=Options(), by=ADA)


def test_a_file_goes_after_some_days_with_all_that_belongs_to_it() -> None:
    row = receive("email\nnonsense\nann@x.example\n")
    look(row)
    contact_files.prune()
    assert ContactFile.select().count() == 1
    ContactFile.update(created_at="2020-01-01").execute()
    contact_files.prune()
    for model in (ContactFile, ContactFileChunk, ContactRejection):
        assert model.select().count() == 0
    assert Contact.select().count() == 0
