"""Sources: HTML, MJML and text, compiled with their merge fields whole, and never fetched for."""

import http.server
import itertools
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maild.domain.template import SOURCE_MAX_BYTES, Source, TemplateFormat
from maild.errors import InvalidFields
from maild.services import template_rendering
from maild.services.template_sources import Compiled, compile_source

MJML = """<mjml lang='en'>
<mj-head><mj-title>t</mj-title>{head}</mj-head><mj-body>{body}</mj-body>
</mjml>"""
IN_COLUMN = "<mj-section><mj-column>{}</mj-column></mj-section>"


def html(source: str, **fields: str) -> Compiled:
    return compile_source(Source("s", TemplateFormat.HTML, source, **fields))


def mjml(body: str, head: str = "", **fields: str) -> Compiled:
    source = MJML.format(head=head, body=body)
    return compile_source(Source("s", TemplateFormat.MJML, source, **fields))


def why_not(source: Source) -> list[tuple[str, str]]:
    with pytest.raises(InvalidFields) as refused:
        compile_source(source)
    return [(error.field, error.message) for error in refused.value.errors]


def test_styles_go_into_the_tags_and_what_cannot_stays() -> None:
    page = html(
        "<html><head><style>p { color: red } p:hover { color: blue }"
        " @media (max-width: 400px) { p { color: green !important } }</style></head>"
        "<body><p class='a'>x</p></body></html>"
    ).html
    assert '<p class="a" style="color: red;">x</p>' in page
    assert "p:hover { color: blue; }" in page
    assert "@media (max-width: 400px) { p { color: green !important } }" in page


def test_merge_tags_go_through_whole() -> None:
    source = (
        '<html><head><title>{{ contact.a | default: "<b> & \'" }}</title>'
        "<style>p { color: {{ data.colour }}; width: {{ data.width }}px }</style></head><body>"
        '<p>a &amp; {{ contact.b | default: "x" }} &nbsp;</p>'
        "<table>{% for row in data.rows %}<tr><td>{{ row.name }}</td></tr>{% endfor %}</table>"
        '<a href="https://example.com/?a={{ data.a | url_encode }}&b={% if data.b %}1{% endif %}">'
        "l</a><a href='{{ data.url | default: \"https://example.com\" }}'>m</a>"
        '<i style="width:{{ data.width }}%">n</i><!-- {{ data.c }} --></body></html>'
    )
    page = html(source).html
    for whole in (
        '<title>{{ contact.a | default: "<b> & \'" }}</title>',
        "color: {{ data.colour | style }};",
        "width: {{ data.width | style }}px",
        'a &amp; {{ contact.b | default: "x" }} &nbsp;',
        "<table><tbody>{% for row in data.rows %}<tr><td>{{ row.name }}</td></tr>{% endfor %}",
        '?a={{ data.a | url_encode }}&amp;b={% if data.b %}1{% endif %}"',
        'href="{{ data.url | default: "https://example.com" | link }}"',
        'style="width:{{ data.width | style }}%"',
        "<!-- {{ data.c }} -->",
    ):
        assert whole in page


def test_data_cannot_leave_its_place() -> None:
    compiled = html(
        '<p style="color:{{ data.x }}">{{ data.x }}</p><a href="{{ data.x }}">a</a>'
        '<img alt="{{ data.x }}" src="https://example.com/a.png">'
    )
    bad = "javascript:\"'><script>alert(1)</script>;} body{x:url(y)}"
    values = template_rendering.make_values(data={"x": bad})
    rendered = template_rendering.render(
        subject="s", html=compiled.html, text=compiled.text, values=values
    )
    page = rendered.html or ""
    assert "<script" not in page
    assert 'href="#"' in page
    assert "url(" not in page.split("</p>")[0].split(">")[0]
    assert page.count('"') == compiled.html.count('"')
    assert bad in rendered.text
    assert "(javascript" not in rendered.text


@given(st.text(), st.text())
@settings(max_examples=50, deadline=None)
def test_whatever_the_data_holds_it_is_text(value: str, other: str) -> None:
    values = template_rendering.make_values(data={"a": value, "b": other})
    rendered = template_rendering.render(
        subject="{{ data.a }}{{ data.b }}",
        html='<p title="{{ data.a }}">{{ data.b }}</p>',
        text="{{ data.a }}",
        values=values,
    )
    page = rendered.html or ""
    assert page.count("<") == 2
    assert page.count(">") == 2
    assert page.count('"') == 2
    assert not set(rendered.subject) & set("\r\n\0\v\f\x85\u2028\u2029")
    rendered.subject.encode()


@pytest.mark.parametrize(
    ("link", "of_a", "of_b"),
    [
        ("{{ data.a }}{{ data.b }}", True, True),
        ("{% if data.n %}https://x.example/{% else %}{{ data.a }}{% endif %}", True, None),
        ("{% if data.n %}{{ data.a }}{% endif %}{{ data.b }}", True, True),
        ("{% if data.n %}/a{% endif %}{{ data.a }}", True, None),
        ("{% if data.n %}/a{% elsif data.m %}/b{% endif %}{{ data.a }}", True, None),
        ("{% if data.n %}/a{% else %}/b{% endif %}{{ data.a }}", False, None),
        ("{% for one in data.l %}/x{{ data.a }}{% endfor %}{{ data.b }}", False, True),
        ("https://x.example/{% if data.n %}{{ data.a }}{% endif %}?{{ data.b }}", False, False),
        ("{% comment %}no{% endcomment %} {{ data.a }}", True, None),
    ],
)
def test_whatever_a_link_may_begin_with_runs_nothing(
    link: str, of_a: bool, of_b: bool | None
) -> None:
    compiled = html(f'<a href="{link}">x</a>')
    assert ("{{ data.a | link }}" in compiled.html) == of_a
    assert ("{{ data.b | link }}" in compiled.html) == bool(of_b)


def test_mjml_becomes_html_with_its_tags_whole() -> None:
    compiled = mjml(
        "{% if contact.a %}"
        + IN_COLUMN.format(
            "<mj-text color='{{ data.colour }}'>Hi {{ contact.b | default: \"you\" }},<br>"
            "{% if data.x %}a &amp; b{% endif %}</mj-text>"
            "<mj-button href='{{ data.url }}'>Go</mj-button>"
        )
        + "{% endif %}",
        head="<mj-preview>{{ contact.c }}</mj-preview>",
    )
    for whole in (
        '<html lang="en"',
        "{% if contact.a %}",
        "color:{{ data.colour | style }};",
        'Hi {{ contact.b | default: "you" }},',
        "{% if data.x %}a &amp; b{% endif %}",
        'href="{{ data.url | link }}"',
        "{{ contact.c }}</div>",
    ):
        assert whole in compiled.html
    assert "googleapis" not in compiled.html
    assert compiled.text == (
        '{% if contact.a %}Hi {{ contact.b | default: "you" }},{% if data.x %}\na & b{% endif %}'
        "\n\nGo ({{ data.url | link }}){% endif %}"
    )
    assert {field.name for field in compiled.fields} == {
        "contact.a",
        "contact.b",
        "contact.c",
        "data.colour",
        "data.url",
        "data.x",
    }


def test_mjml_styles_are_put_into_the_tags_where_asked() -> None:
    body = IN_COLUMN.format("<mj-text><p class='a'>x</p><p class='b'>y</p></mj-text>")
    head = "<mj-style inline='inline'>.a {color:red}</mj-style>"
    head += "<mj-style>.b {color:blue}</mj-style>"
    page = mjml(body, head=head).html
    assert '<p class="a" style="color: red;">x</p>' in page
    assert '<p class="b">y</p>' in page


def test_a_preheader_is_hidden_before_everything_else() -> None:
    compiled = html("<body><p>a</p></body>", preheader="Now <new> & {{ contact.a }}")
    assert '<body><div style="display:none' in compiled.html
    assert "Now &lt;new&gt; &amp; {{ contact.a }}\u034f\u200c\u00a0" in compiled.html
    assert compiled.text == "a"
    assert [field.name for field in compiled.fields] == ["contact.a"]


def test_a_text_of_ones_own_is_kept() -> None:
    assert html("<p>a</p>", source_text="b {{ data.x }}").text == "b {{ data.x }}"
    text = compile_source(Source("s", TemplateFormat.TEXT, "", "Hi {{ data.x }}"))
    assert (text.html, text.text) == ("", "Hi {{ data.x }}")


@pytest.mark.parametrize(
    ("source", "field", "says"),
    [
        (Source("", TemplateFormat.HTML, "a"), "subject", "required"),
        (Source("a\r\nBcc: x", TemplateFormat.HTML, "a"), "subject", "line break"),
        (Source("{{ x }}", TemplateFormat.HTML, "a"), "subject", "no field “x”"),
        (Source("a" * 2_001, TemplateFormat.HTML, "a"), "subject", "longer"),
        (Source("a", TemplateFormat.HTML, "a", preheader="a\nb"), "preheader", "line break"),
        (Source("a", TemplateFormat.HTML, " "), "source", "required"),
        (Source("a", TemplateFormat.TEXT, "a", "b"), "source", "must be empty"),
        (Source("a", TemplateFormat.TEXT, "", ""), "source_text", "required"),
        (Source("a", TemplateFormat.HTML, "a\0"), "source", "NUL"),
        (Source("a", TemplateFormat.HTML, "a\ud800"), "source", "surrogate"),
        (Source("a", TemplateFormat.HTML, "é" * SOURCE_MAX_BYTES), "source", "larger"),
        (Source("a", TemplateFormat.HTML, "a\n{{ x"), "source", "line 2, column 1: “{{”"),
        (Source("a", TemplateFormat.HTML, "a", "{% if contact.x %}"), "source_text", "line 1"),
        (
            Source("a", TemplateFormat.HTML, "{{ contact.aaaaaaaaaa }}\n<p"),
            "source",
            "line 2, column 1: the tag <p is not closed",
        ),
        (
            Source("a", TemplateFormat.HTML, "\n<p {% if data.a %}b{% endif %}>"),
            "source",
            "line 2, column 4: a merge field can stand within the quotes",
        ),
        (Source("a", TemplateFormat.HTML, "<p{{ data.a }}>"), "source", "name of a tag"),
        (Source("a", TemplateFormat.HTML, "<p>x</{{ data.a }}>"), "source", "this tag"),
        (Source("a", TemplateFormat.HTML, "<p>\n<script>x</script>"), "source", "line 2"),
        (Source("a", TemplateFormat.HTML, "<div>" * 1_000), "source", "nested"),
        (Source("a", TemplateFormat.HTML, "<p>" * 100_000), "source", "more than 20,000 tags"),
        (Source("a", TemplateFormat.MJML, "hello"), "source", "begins with <mjml>"),
        (Source("a", TemplateFormat.MJML, "<mjml></mjml>"), "source", "<mj-body> is missing"),
        (Source("a", TemplateFormat.MJML, "<mjml>\n<mj-body>"), "source", "line 2, column 1"),
        (
            Source("a", TemplateFormat.MJML, "<mjml><mj-body><mj-foo/></mj-body></mjml>"),
            "source",
            "there is no <mj-foo>",
        ),
        (
            Source(
                "a",
                TemplateFormat.MJML,
                "<mjml><mj-body><mj-include path='/etc/passwd'/></mj-body></mjml>",
            ),
            "source",
            "nothing is fetched",
        ),
        (
            Source("a", TemplateFormat.MJML, "<mjml><mj-body>\n1 < 2</mj-body></mjml>"),
            "source",
            "line 2, column 3: a “<”",
        ),
        (
            Source("a", TemplateFormat.MJML, "<mjml><mj-body width=1></mj-body></mjml>"),
            "source",
            "needs a value in quotes",
        ),
        (
            Source("a", TemplateFormat.MJML, MJML.format(head="", body="<mj-spacer />" * 3_000)),
            "source",
            "more than 2,000 tags of MJML",
        ),
        (
            Source(
                "a", TemplateFormat.MJML, MJML.format(head="", body="<mj-carousel-image />" * 31)
            ),
            "source",
            "more than 30 images in carousels",
        ),
        (
            Source("a", TemplateFormat.MJML, "<mjml>" + "<mj-body>" * 1_000),
            "source",
            "nested",
        ),
    ],
    ids=itertools.count(),
)
def test_what_does_not_compile_is_refused_with_its_line(
    source: Source, field: str, says: str
) -> None:
    [(named, message)] = why_not(source)
    assert named == field
    assert says in message


@pytest.mark.parametrize(
    "style",
    [
        "a{b:c}" * 6_000,
        "".join(f"p{{a{n}:1}}" for n in range(300)),
        "p{color:" + "x" * 100_000 + "}",
        "p{color:red}" * 4_900,
    ],
    ids=["selectors", "properties", "growth", "matches"],
)
def test_styles_that_would_keep_a_processor_busy_are_refused(style: str) -> None:
    page = f"<style>{style}</style>" + "<p>x</p>" * 5_000
    [(_, message)] = why_not(Source("s", TemplateFormat.HTML, page))
    assert "too many styles" in message
    many = '<p style="' + "color:red;" * 300 + '">'
    [(_, message)] = why_not(Source("s", TemplateFormat.HTML, many))
    assert "more than 200 properties" in message


class _Noting(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[tuple[str, list[str]]]:
    """A web server, and the paths that it was asked for."""
    handler = type("Noting", (_Noting,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler.asked
        server.shutdown()
        thread.join()


def test_nothing_is_fetched(web: tuple[str, list[str]]) -> None:
    url, asked = web
    page = (
        f"<link rel=stylesheet href='{url}/a.css'><link rel=stylesheet href='pyproject.toml'>"
        f"<style>@import url({url}/b.css); p {{ background: url({url}/c.png) }}</style>"
        f"<p>a</p><img alt='' src='{url}/d.png'>"
    )
    found = html(page)
    assert "remote_style" in {one.code for one in found.findings}
    assert "maild" not in found.html
    body = IN_COLUMN.format(f"<mj-image src='{url}/e.png' alt='' />")
    mjml(body, head=f"<mj-font name='x' href='{url}/f.css' />")
    assert asked == []


def test_the_same_line_is_told_for_html_and_for_its_fields() -> None:
    found = html("{{ contact.long_name }}\n{% if data.a %}\n<form></form>{% endif %}").findings
    assert [(one.code, one.line) for one in found if one.line] == [("form", 3)]
