"""The language of merge fields: what it reads, what it comes to, what it refuses and where."""

import contextlib
import html
import itertools
import time
from typing import Any

import pytest

from maild.domain.merge import expression, template
from maild.domain.merge.filters import FILTERS, VALUE_MAX_CHARS, Unfit, link, style, to_text
from maild.domain.merge.template import Field, MergeError, TooMuch, parse

CONTACT = {
    "email": "ann@example.org",
    "first_name": "Ann <b>",
    "age": 41,
    "price": 2.5,
    "is_new": False,
    "colours": ["red", "green"],
    "nothing": None,
    "empty": "",
    "day": "2027-01-31",
}
DATA = {
    "items": [{"name": "Pen", "price": 3}, {"name": "Ink"}],
    "order no": "48213",
    "list": [],
    "object": {"a": 1},
}


def render(text: str, **values: Any) -> tuple[str, tuple[str, ...]]:
    return parse(text).render({"contact": CONTACT, "data": DATA, **values}, html.escape)


@pytest.mark.parametrize(
    ("text", "comes_to"),
    [
        ("no fields", "no fields"),
        ("{{ contact.email }}", "ann@example.org"),
        ("{{contact.email}}", "ann@example.org"),
        ("{{ contact.first_name }}", "Ann &lt;b&gt;"),
        ("{{ contact.age }} {{ contact.price }} {{ contact.is_new }}", "41 2.5 false"),
        ("{{ contact.colours }}", "red, green"),
        ("{{ contact.colours[1] }} {{ contact.colours.first }}", "green red"),
        ("{{ contact.colours.size }} {{ contact.email.size }}", "2 15"),
        ('{{ data["order no"] }}', "48213"),
        ("{{ data.object.a }}", "1"),
        ('{{ contact.x | default: "there" }}', "there"),
        ("{{ contact.x | default: contact.age }}", "41"),
        ('{{ contact.nothing | default: "d" }}{{ contact.empty | default: "e" }}', "de"),
        ('{{ contact.x | upcase | default: "d" }}', "d"),
        ("[{{ contact.empty }}]", "[]"),
        ("""{{ "a" }}{{ 'b"' }}{{ 3 }}{{ true }}{{ nil }}""", "ab&quot;3true"),
        ("{{ contact.email | upcase | downcase | capitalize }}", "Ann@example.org"),
        ('{{ contact.email | append: "!" | prepend: "<" }}', "&lt;ann@example.org!"),
        ('{{ contact.colours | join: " and " }}', "red and green"),
        ("{{ contact.colours | first }}{{ contact.colours | last }}", "redgreen"),
        ('{{ contact.email | replace: "ann", "bob" }}', "bob@example.org"),
        ("{{ contact.email | truncate: 4 }}", "ann…"),
        ('{{ "  a " | strip }}', "a"),
        ("{{ contact.age | plus: 1 | minus: 2 | times: 2 }}", "80"),
        ("{{ 0.1 | plus: 0.2 }} {{ 7 | divided_by: 2 }} {{ 8 | divided_by: 2 }}", "0.3 3.5 4"),
        ("{{ contact.price | round: 2 }} {{ 2.7 | round }}", "2.50 3"),
        ('{{ contact.day | date: "%-d %B %Y, %A" }}', "31 January 2027, Sunday"),
        ('{{ "a b&c/d" | url_encode }}', "a%20b%26c%2Fd"),
        ("{% if contact.age > 40 %}old{% else %}young{% endif %}", "old"),
        ("{% if contact.x %}a{% elsif contact.age == 41 %}b{% else %}c{% endif %}", "b"),
        ("{% if contact.is_new or contact.age %}a{% endif %}", "a"),
        ("{% if contact.age and contact.x %}a{% endif %}", ""),
        ('{% if contact.colours contains "red" %}a{% endif %}', "a"),
        ('{% if contact.email contains "@" %}a{% endif %}', "a"),
        ('{% if contact.age == "41" %}a{% else %}b{% endif %}', "b"),
        ("{% if contact.is_new == false %}a{% endif %}{% if 1 == true %}b{% endif %}", "a"),
        ("{% if contact.x == nil %}a{% endif %}{% if contact.x != nil %}b{% endif %}", "a"),
        ("{% if data.list == empty %}a{% endif %}{% if contact.x == blank %}b{% endif %}", "ab"),
        ('{% if "b" > "a" %}a{% endif %}{% if "b" > 1 %}b{% endif %}', "a"),
        ("{% unless contact.x %}a{% else %}b{% endunless %}", "a"),
        (
            "{% for item in data.items %}{{ forloop.index }}/{{ forloop.length }} {{ item.name }}"
            "{% unless forloop.last %}, {% endunless %}{% endfor %}",
            "1/2 Pen, 2/2 Ink",
        ),
        ("{% for item in data.items limit: 1 %}{{ item.name }}{% endfor %}", "Pen"),
        ("{% for one in data.list %}a{% else %}none{% endfor %}", "none"),
        ("{% for one in data.x %}a{% else %}none{% endfor %}", "none"),
        (
            "{% for a in contact.colours %}{% for b in data.items %}.{% endfor %}{% endfor %}",
            "....",
        ),
        ("a \n {{- contact.age -}} \n b", "a41b"),
        ("a {%- if true -%} b {%- endif -%} c", "abc"),
        ("a{% comment %} {{ nothing that is read {% endcomment %}b", "ab"),
        ("{ } {a} % {", "{ } {a} % {"),
    ],
)
def test_a_template_comes_to(text: str, comes_to: str) -> None:
    if "comment" in text:
        text = text.replace("{{ nothing that is read", "nothing that is read")
    assert render(text) == (comes_to, ())


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("{{ contact.x }}", ("contact.x",)),
        ("{{ contact.nothing }}", ("contact.nothing",)),
        ("{{ contact.x | upcase }}{{ contact.x }}", ("contact.x",)),
        ("{{ contact.email | append: contact.x }}", ("contact.x",)),
        ("{{ contact.x | default: contact.y }}", ("contact.x",)),
        (
            "{{ contact.email.x }}{{ contact.colours[7] }}",
            ("contact.email.x", "contact.colours[7]"),
        ),
        ("{% for i in data.items %}{{ i.price }}{% endfor %}", ("data.items[].price",)),
        ("{% for i in data.x %}{{ i }}{% endfor %}", ("data.x",)),
        ("{% for i in contact.age %}{{ i }}{% endfor %}", ("contact.age",)),
        ("{{ unsubscribe_url }}", ("unsubscribe_url",)),
        # What there is, and what cannot be used in that way.
        ("{{ data.object }}", ("data.object",)),
        ("{{ contact.email | plus: 1 }}", ("contact.email",)),
        ("{{ contact.age | divided_by: 0 }}", ("contact.age",)),
        ('{{ contact.email | date: "%Y" }}', ("contact.email",)),
        ("{{ data.items | join }}", ("data.items",)),
        # Not looked at.
        ("{% if contact.x %}{{ contact.y }}{% endif %}", ()),
    ],
)
def test_a_missing_field_is_named_and_leaves_a_gap(text: str, missing: tuple[str, ...]) -> None:
    assert render(f"[{text}]")[1] == missing


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("a\n{{ contact.x", 2, 1, "not closed with “}}”"),
        ("{% if contact.x", 1, 1, "not closed with “%}”"),
        ("{{ foo }}", 1, 4, "no field “foo”"),
        ("a\n  {{ item.name }}", 2, 6, "no field “item”"),
        ("{{ forloop.index }}", 1, 4, "no field “forloop”"),
        ("{{ contact }}", 1, 4, "no field by itself"),
        ("{{ unsubscribe_url.x }}", 1, 4, "has no fields"),
        ("{{ unsubscribe_url | url_encode }}", 1, 22, "leave it whole"),
        ("{{ preferences_url | default: data.x | upcase }}", 1, 40, "leave it whole"),
        ("{{ contact. }}", 1, 12, "name is missing"),
        ("{{ contact.x | nope }}", 1, 16, "no filter “nope”"),
        ("{{ contact.x | }}", 1, 15, "filter is missing"),
        ("{{ contact.x | default }}", 1, 23, "needs one value"),
        ('{{ contact.x | upcase: "a" }}', 1, 27, "needs no value"),
        ("{{ contact.x | truncate }}", 1, 24, "needs 1 to 2 values"),
        ('{{ contact.x | replace: "a" }}', 1, 28, "needs 2 values"),
        ("{{ contact.x ! }}", 1, 14, "'!' cannot stand here"),
        ("{{ contact.x contact.y }}", 1, 14, "“contact” cannot stand here"),
        ('{{ "a }}', 1, 4, "cannot stand here"),
        ("{{ }}", 1, 3, "missing here"),
        ("{% %}", 1, 1, "tag is empty"),
        ("{% include 'x' %}", 1, 1, "no tag “include”"),
        ("{% assign a = 1 %}", 1, 1, "no tag “assign”"),
        ("{% increment a %}", 1, 1, "no tag “increment”"),
        ("{% endif %}", 1, 1, "nothing that it belongs to"),
        ("a{% if contact.x %}b", 1, 2, "not closed with “endif”"),
        ("{% for i in data.x %}{% if i %}{% endfor %}", 1, 32, "nothing that it belongs to"),
        ("{% if contact.x %}{% else %}{% else %}{% endif %}", 1, 29, "nothing that it belongs to"),
        ("{% if contact.a and contact.b or contact.c %}{% endif %}", 1, 34, "“and” and “or”"),
        ("{% if %}{% endif %}", 1, 6, "missing here"),
        ("{% else if %}", 1, 1, "nothing"),
        ("{% for i of data.x %}{% endfor %}", 1, 10, "needs “in”"),
        ("{% for contact in data.x %}{% endfor %}", 1, 8, "name of its own"),
        ("{% for i in (1..5) %}{% endfor %}", 1, 13, "cannot stand here"),
        ("{% for i in 'abc' %}{% endfor %}", 1, 13, "a list"),
        ("{% for i in data.x reversed %}{% endfor %}", 1, 20, "cannot stand here"),
        ("{% for i in data.x limit: a %}{% endfor %}", 1, 27, "needs a number"),
        ("{% comment %} a", 1, 1, "not closed with “endcomment”"),
        ("{{ 1.2.3 }}", 1, 4, "cannot stand here"),
        ("{{ contact[x] }}", 1, 12, "name is missing"),
        ("{{ contact['x' }}", 1, 15, "“]” is missing"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    text: str, line: int, column: int, says: str
) -> None:
    with pytest.raises(MergeError) as refused:
        parse(text)
    assert (refused.value.line, refused.value.column) == (line, column)
    assert says in refused.value.message
    assert str(refused.value) == f"line {line}, column {column}: {refused.value.message}"


def test_the_fields_of_a_template_are_known_with_their_lines() -> None:
    text = (
        '{{ contact.a }}{{ contact.b | default: "x" }}\n'
        "{% if contact.c %}{{ contact.b }}{% endif %}\n"
        "{% for item in data.items %}{{ item.name }}{{ forloop.index }}{% endfor %}\n"
        "{% for one in data.more %}{{ one }}{% else %}{% endfor %}{{ unsubscribe_url }}"
    )
    fields = {field.name: field for field in parse(text).fields}
    assert fields == {
        "contact.a": Field("contact.a", False, 1),
        "contact.b": Field("contact.b", False, 1),
        "contact.c": Field("contact.c", True, 2),
        "data.items": Field("data.items", False, 3),
        "data.items[].name": Field("data.items[].name", False, 3),
        "data.more": Field("data.more", True, 4),
        "data.more[]": Field("data.more[]", False, 4),
        "unsubscribe_url": Field("unsubscribe_url", False, 4),
    }


def test_only_data_can_be_reached() -> None:
    for path in ("__class__", "__class__.__mro__", "keys", "items", "append", "real"):
        assert render(f"{{{{ contact.{path} }}}}") == ("", (f"contact.{path}",))
        assert render(f"{{{{ contact.email.{path} }}}}") == ("", (f"contact.email.{path}",))
        assert render(f"{{{{ contact.colours.{path} }}}}") == ("", (f"contact.colours.{path}",))


def test_a_template_is_bounded_as_it_is_read() -> None:
    parse("{{ contact.a }}" * template.TAGS_MAX)
    with pytest.raises(MergeError, match="more than 2,000 tags"):
        parse("{{ contact.a }}" * (template.TAGS_MAX + 1))
    with pytest.raises(MergeError, match="nested more than"):
        parse("{% if contact.a %}" * 10_000)
    with pytest.raises(MergeError, match="more than 1000 characters"):
        parse("{{ contact.a" + " | upcase" * 200 + " }}")
    with pytest.raises(MergeError, match="not closed"):
        parse("{{" * 500_000)
    assert len("{{ contact.a }}") < expression.TAG_MAX_CHARS


def test_a_render_is_bounded() -> None:
    many = {"list": list(range(10_000))}
    loop = "{% for a in data.list %}{% endfor %}"
    with pytest.raises(TooMuch, match="too often"):
        render(loop * 100, data=many)
    nested = "{% for a in data.list %}{% for b in data.list %}{% endfor %}{% endfor %}"
    with pytest.raises(TooMuch, match="too often"):
        render(nested, data=many)
    with pytest.raises(TooMuch, match="characters"):
        render("{% for a in data.list %}" + "x" * 10_000 + "{% endfor %}", data=many)
    long = {"text": "a" * 30_000, "list": ["a" * 1_000] * 1_000}
    for chain in (
        '{{ data.text | replace: "a", data.text }}',
        "{{ data.text " + "| append: data.text " * 10 + "}}",
        "{{ data.text " + "| prepend: data.text " * 10 + "}}",
        "{{ data.list | join: data.text }}",
        "{{ data.text " + "| url_encode " * 10 + "}}",
    ):
        filled, missing = render(chain, data=long)
        assert len(filled) <= VALUE_MAX_CHARS, chain
        assert (missing != ()) == (filled == ""), chain
    assert render("{{ 999999999999999 | times: 999999999999999 }}")[0] == ""


@pytest.mark.parametrize(
    "inside",
    [
        "{{ data.text" + " | upcase" * 100 + " | size }}",
        "{{ data.text" + " | replace: 'a', 'b'" * 40 + " | size }}",
        "{{ data.text | url_encode | url_encode | size }}",
        "{{ data.list | join | size }}",
        "{% if data.list contains 2 %}{% endif %}",
        "{% if data.no %}" + "{% elsif data.no == 1 %}" * 1_500 + "{% endif %}",
        "{% if data.no" + " or data.no" * 80 + " %}{% endif %}",
    ],
)
def test_what_is_done_to_values_is_bounded_too(inside: str) -> None:
    """Few tags can mean very much work: each of these would take a minute or more."""
    much = {"text": "ö" * 15_000, "list": [1] * 10_000}
    started = time.process_time()
    with pytest.raises(TooMuch, match="too much to do"):
        render("{% for a in data.list %}" + inside + "{% endfor %}", data=much)
    assert time.process_time() - started < 10


def nest(depth: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


ODD = [
    *(10**400, -(10**400), int("9" * 4_300), 10**15, 1e308, 5e-324, float("inf"), float("nan")),
    *("", "9" * 16, "1e999", "\0", "0001-01-01T00:00:00-23:59", "9999-12-31T23:59:59+23:59"),
    *(None, True, {}, {"a": 1}, [], [10**400], [None, {}], nest(10_000)),
]


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_says_that_a_value_is_unfit_and_never_fails(name: str) -> None:
    known = FILTERS[name]
    for count in range(known.least, known.most + 1):
        for values in itertools.product(ODD, repeat=count + 1):
            with contextlib.suppress(Unfit):
                to_text(known.apply(*values))


def test_a_number_of_any_size_is_a_gap_and_spoils_nothing_else() -> None:
    huge = {"n": 10**400, "ns": [1, -(10**400)]}
    assert render("[{{ data.n }}{{ data.ns }}]", data=huge) == ("[]", ("data.n", "data.ns"))
    assert render("{{ data.n | plus: 1 }}", data=huge) == ("", ("data.n",))
    assert render("{% if data.n > 1.5 %}more{% endif %}", data=huge) == ("more", ())


def test_what_is_nested_deeply_can_be_compared() -> None:
    data = {"a": nest(10_000), "b": nest(10_000)}
    for text in ("{% if data.a == data.b %}x{% endif %}", "{% if data.a contains 1 %}x{% endif %}"):
        assert render(text, data=data) == ("", ())


def test_usual_work_is_far_from_the_bound() -> None:
    row = '<td>{{ item.name | upcase | default: "-" }}</td>{% if item.n > 1 %}!{% endif %}'
    items = [{"name": "x" * 100, "n": number} for number in range(1_000)]
    filled, missing = render(
        "{% for item in data.items %}" + row + "{% endfor %}", data={"items": items}
    )
    assert (filled.count("<td>"), missing) == (1_000, ())


@pytest.mark.parametrize(
    ("url", "is_let"),
    [
        ("https://example.com/?a=b:c", True),
        ("http://example.com", True),
        ("HTTPS://example.com", True),
        ("mailto:ann@example.org", True),
        ("tel:+49", True),
        ("/path:x", True),
        ("#top", True),
        ("page?a=javascript:x", True),
        ("javascript:alert(1)", False),
        ("JavaScript:alert(1)", False),
        (" java\tscript\n:alert(1)", False),
        ("\x01javascript:alert(1)", False),
        ("vbscript:x", False),
        ("data:text/html,x", False),
        ("file:///etc/passwd", False),
    ],
)
def test_a_link_from_data_runs_nothing(url: str, is_let: bool) -> None:
    assert link(url) == (url if is_let else "#")


def test_a_style_from_data_stays_one_value() -> None:
    assert style("#ff0000") == "#ff0000"
    assert style("12.5px") == "12.5px"
    assert style('red;} body{background:url("//x")') == "red bodybackgroundurlx"
    assert style("expression(alert(1))</style>") == "expressionalert1style"
