"""HTML in its tokens: where browsers cut it, and what would lead a compiler too deep."""

import pytest

from maild.domain.html_tokens import (
    ATTRIBUTES_MAX,
    DEPTH_MAX,
    FORMATTING_MAX,
    TAGS_MAX,
    BadHtml,
    check_shape,
    tokens,
)


def cut(text: str) -> list[tuple[str, str]]:
    found = list(tokens(text))
    assert "".join(text[one.at : one.end] for one in found) == text
    return [(one.kind, text[one.at : one.end]) for one in found]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a < b", [("text", "a < b")]),
        ("a<b>c</b>", [("text", "a"), ("start", "<b>"), ("text", "c"), ("end", "</b>")]),
        ('<p a="x>y">z', [("start", '<p a="x>y">'), ("text", "z")]),
        ('<p a"b><i>', [("start", '<p a"b>'), ("start", "<i>")]),
        ("<!--><b>", [("comment", "<!-->"), ("start", "<b>")]),
        ("<!---><b>", [("comment", "<!--->"), ("start", "<b>")]),
        ("<!-- <b> --!>c", [("comment", "<!-- <b> --!>"), ("text", "c")]),
        ("<!doctype html>a", [("other", "<!doctype html>"), ("text", "a")]),
        ("<?xml x?>a", [("other", "<?xml x?>"), ("text", "a")]),
        ("</ b>a", [("other", "</ b>"), ("text", "a")]),
        (
            "<style>a<b{}</style >c",
            [("start", "<style>"), ("raw", "a<b{}"), ("end", "</style >"), ("text", "c")],
        ),
        (
            "<title>a<b></styl></title>",
            [("start", "<title>"), ("raw", "a<b></styl>"), ("end", "</title>")],
        ),
    ],
)
def test_a_text_is_cut_as_browsers_do(text: str, pieces: list[tuple[str, str]]) -> None:
    assert cut(text) == pieces


def test_attributes_are_read_with_their_places() -> None:
    text = """<A HREF = 'x&amp;y' b=c/d e f="" a=1 a=2/>"""
    [tag] = tokens(text)
    assert tag.name == "a"
    assert tag.values == {"href": "x&y", "b": "c/d", "e": "", "f": "", "a": "1"}
    assert not tag.is_closed
    assert [text[one.at : one.at + len(one.raw)] for one in tag.attributes] == [
        one.raw for one in tag.attributes
    ]
    assert next(tokens("<br />")).is_closed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a<b", "not closed with >"),
        ('a<b c="d>', "no closing quote"),
        ("<!-- a", "not closed with -->"),
        ("<!doctype", "not closed with >"),
        ("<style>a", "<style> is not closed"),
        ("<p" + " a" * (ATTRIBUTES_MAX + 1) + ">", "too many attributes"),
    ],
)
def test_what_has_no_end_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadHtml, match=says):
        list(tokens(text))


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * (DEPTH_MAX + 1),
        "<div></x>" * (DEPTH_MAX + 1),
        "<div></div" + " a='</div>'>" + "<div><!-- </div> --></span>" * (DEPTH_MAX + 1),
        "<table><tr><td></div>" * (DEPTH_MAX + 1),
        "<div><style></div></style>" * (DEPTH_MAX + 1),
        "".join(f"<b id={n}>" for n in range(FORMATTING_MAX + 1)),
        "<br>" * 10 + "<p>" * (TAGS_MAX + 1),
    ],
)
def test_what_leads_too_deep_is_refused(text: str) -> None:
    with pytest.raises(BadHtml):
        check_shape(list(tokens(text)))


@pytest.mark.parametrize(
    "text",
    [
        "<p>a" * 1_000,
        "<ul>" + "<li>a" * 1_000 + "</ul>",
        "<div>a</div>" * 5_000,
        "<table>" + "<tr><td>a<td>b" * 1_000 + "</table>",
        "<br><img>" * 1_000,
        "<!--[if mso]><table><tr><td><![endif]-->" * 1_000,
    ],
)
def test_what_is_long_and_not_deep_is_taken(text: str) -> None:
    check_shape(list(tokens(text)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<a><b></a></b>", "closed first"),
        ("<a>", "<a> is not closed"),
        ("</a>", "closes nothing"),
        ("<p>a<p>b", "<p> is not closed"),
        ("<a>" * (DEPTH_MAX + 1), "nested"),
    ],
)
def test_xml_has_to_be_balanced(text: str, says: str) -> None:
    with pytest.raises(BadHtml, match=says):
        check_shape(list(tokens(text)), is_xml=True)
    check_shape(list(tokens("<a><b/><br></a>")), is_xml=True)
