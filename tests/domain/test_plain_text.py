"""The text part that is made of HTML: what a person reads of it."""

import pytest

from maild.domain.plain_text import of_html


def text_of(page: str) -> str:
    return of_html(page, lambda comment: comment[4:-3] if "KEEP" in comment else "")


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("a  b\n c", "a b c"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<h1>A</h1>b", "A\n\nb"),
        ("a<b>b</b>c <i>d</i> e", "abc d e"),
        ("&lt;b&gt; &amp; &nbsp;&eacute;", "<b> & \xa0é"),
        ('<a href="https://x.example/?a=1&amp;b">words</a>.', "words (https://x.example/?a=1&b)."),
        ('<a href="https://x.example">https://x.example</a>', "https://x.example"),
        ('<a href="mailto:a@b.example">write</a>', "write (a@b.example)"),
        ('<a href="mailto:a@b.example">a@b.example</a>', "a@b.example"),
        ('<a href="#x">a</a><a name="y">b</a>', "ab"),
        ('<a href=" java\nscript:x">a</a>', "a"),
        ('<a href="https://x.example"><img src="y"></a>', "https://x.example"),
        ('<a href="https://x.example"><img src="y" alt="Shop"></a>', "Shop (https://x.example)"),
        ("<ul><li>a<li>b</ul>c", "- a\n- b\n\nc"),
        ("<ol><li>a</li><li>b<ul><li>c</li></ul></li></ol>", "1. a\n2. b\n  - c"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ('<table role="presentation"><tr><td>a<td>b</table>', "a\n\nb"),
        ("a<hr>b", "a\n\n---\n\nb"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<head><title>t</title><style>s{}</style></head>a", "a"),
        ('<div style="color:red; DISPLAY : none">a<div>b</div></div>c', "c"),
        ("<p hidden>a</p>b", "b"),
        ("<!-- a -->b", "b"),
        ("a&shy;b&zwnj;c", "abc"),
        ("<p>a</p><!--KEEP1--><p>b</p><!--KEEP2--><p>c</p>", "aKEEP1\n\nbKEEP2\n\nc"),
        ("", ""),
    ],
)
def test_a_page_reads_so(page: str, text: str) -> None:
    assert text_of(page) == text
