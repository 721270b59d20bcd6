"""Filling in: for HTML, for text, for a header; and templates that are read once."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maild.services import merge_fields
from maild.services.merge_fields import Escape, MergeError, parse, render

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=True) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_a_value_is_escaped_for_where_it_goes() -> None:
    values = {"data": {"x": "<b>&\"'\r\nBcc: a"}}
    assert render("{{ data.x }}", values, escape=Escape.HTML).text == (
        "&lt;b&gt;&amp;&quot;&#x27;\r\nBcc: a"
    )
    assert render("{{ data.x }}", values, escape=Escape.TEXT).text == "<b>&\"'\r\nBcc: a"
    assert render(" {{ data.x }} ", values, escape=Escape.HEADER).text == "<b>&\"' Bcc: a"


@given(JSON)
@settings(max_examples=100, deadline=None)
def test_no_data_breaks_a_header_or_fails(value: object) -> None:
    text = "a {{ data.x }}{% for i in data.x %}{{ i }}{% else %}{% endfor %}{{ data.x | upcase }} b"
    filled = render(text, {"data": {"x": value}}, escape=Escape.HEADER)
    assert len(filled.text.splitlines()) == 1
    assert filled.text.isprintable() or not set(filled.text) & set("\r\n\0")
    filled.text.encode()
    page = render(text, {"data": {"x": value}}, escape=Escape.HTML)
    assert not set(page.text) & set("<>\"'")


@given(st.text(alphabet="{}%| .:\"'abcdefi0123contactdefault-<>=[],\n", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    refused: MergeError | None = None
    try:
        render(text, {}, escape=Escape.TEXT)
    except MergeError as error:
        refused = error
    if refused is not None:
        assert 1 <= refused.line <= text.count("\n") + 1
        assert refused.column >= 1


def test_a_template_is_read_once_and_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse("{{ data.once }}") is parse("{{ data.once }}")
    monkeypatch.setattr(merge_fields, "KNOWN_MAX_CHARS", 100)
    for number in range(50):
        parse(f"{{{{ data.n{number} }}}}")
        assert sum(map(len, merge_fields._known)) <= 100


def test_many_threads_may_fill_in_at_once() -> None:
    texts: list[str] = []

    def fill(name: str) -> None:
        for number in range(50):
            values = {"data": {"name": name}}
            texts.append(render(f"{number} {{{{ data.name }}}}", values, escape=Escape.TEXT).text)

    threads = [threading.Thread(target=fill, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts) == sorted(f"{n} {name}" for n in range(50) for name in "abcd")
