"""A pasted list of domains: read line by line."""

import pytest

from maild.domain.domain_list import Covered, Repeated, Wrong, read


def parse(typed):
    if "!" in typed:
        raise ValueError("is no domain")
    return typed.lower()


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", ()),
        ("# nothing but a comment", ()),
        ("a.example", ("a.example",)),
        ("B.example\r\na.example\n\n", ("b.example", "a.example")),
        ("a.example, b.example;c.example\td.example", tuple(f"{n}.example" for n in "abcd")),
        ("a.example # b.example, bad!\nc.example#d", ("a.example", "c.example")),
        (" , ;\n,", ()),
    ],
)
def test_entries_stand_in_the_order_of_the_list_without_comments(text, entries):
    assert read(text, parse) == type(read("", parse))(entries, (), (), ())


def test_what_is_wrong_is_told_with_its_line_and_the_rest_is_read():
    found = read("a.example\n\nbad! b.example\nworse!", parse)
    assert found.entries == ("a.example", "b.example")
    assert found.wrong == (Wrong(3, "bad!", "is no domain"), Wrong(4, "worse!", "is no domain"))


def test_what_is_said_twice_is_told_with_the_line_of_the_first():
    found = read("a.example\nb.example\nA.example a.example", parse)
    assert found.entries == ("a.example", "b.example")
    assert found.repeated == (Repeated(3, "a.example", 1), Repeated(3, "a.example", 1))


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("*.x.example\na.x.example", [(2, "a.x.example", "*.x.example")]),
        ("a.b.x.example\n*.x.example", [(1, "a.b.x.example", "*.x.example")]),
        ("*.a.x.example\n*.x.example", [(1, "*.a.x.example", "*.x.example")]),
        ("a.b.example\n*.b.example *.example", [
            (1, "a.b.example", "*.b.example"), (2, "*.b.example", "*.example")
        ]),
        ("x.example\n*.x.example", []),
        ("x.example\na.x.example", []),
        ("ax.example\n*.x.example", []),
    ],
)  # fmt: skip
def test_what_a_wider_entry_has_in_it_is_told(text, covered):
    assert list(read(text, parse).covered) == [Covered(*one) for one in covered]
