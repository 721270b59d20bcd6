"""Sources: from what a person writes (HTML, MJML or text) to what is filled in and sent.

    HTML: shape checked -> tags protected -> styles put into the tags -> preheader -> tags back
    MJML: shape checked -> tags protected -> HTML of it -> preheader -> tags back

Compiling asks nobody and fetches nothing: no style sheet, no included file. A source that would
keep the compilers busy, or lead them too deep, is refused before they see it.
"""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import css_inline
import mjml

from maild.domain import css_shape, mjml_shape, plain_text, source_findings, submission
from maild.domain import template as limits
from maild.domain.html_tokens import BadHtml, Token, check_shape, tokens
from maild.domain.merge.protect import Protected, protect
from maild.domain.merge.template import Field, MergeError, place_of, split
from maild.domain.template import Finding, Source, TemplateFormat
from maild.errors import FieldError, InvalidFields, summarise
from maild.services import merge_fields

HIDDEN = (
    "display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;"
    "overflow:hidden;mso-hide:all"
)
PADDING = "\u034f\u200c\u00a0" * 80
"""Fills the line beside the subject, so that a preheader is not followed by the mail's first words:
signs that take no room, and spaces that are not taken together.
"""

_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_POSITION = re.compile(r" at position (\d+):\d+")
_INLINER = css_inline.CSSInliner(
    keep_style_tags=True,  # what cannot be in a tag: media queries, :hover
    remove_inlined_selectors=True,
    keep_at_rules=True,
    load_remote_stylesheets=False,
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a source comes to, ready to be filled in: `html` is empty for mail of text alone.
    `fields` are the merge fields of all of it; `findings` what its tags are to be told of.
    """

    html: str
    text: str
    fields: tuple[Field, ...]
    findings: tuple[Finding, ...]


def compile_source(source: Source) -> Compiled:
    """Compile a source. Raises InvalidFields: `errors` name the field (`subject`, `preheader`,
    `source`, `source_text`) and say in which line.
    """
    problems = [FieldError(field, message) for field, message in _complaints(source)]
    fields: dict[str, Field] = {}
    for name in ("subject", "preheader", "source", "source_text"):
        try:
            for field in merge_fields.parse(getattr(source, name)):
                known = fields.get(field.name, field)
                has_default = known.has_default and field.has_default
                fields[field.name] = Field(field.name, has_default, known.line)
        except MergeError as error:
            problems.append(FieldError(name, str(error)))
    if problems:
        raise _invalid(problems)
    if source.format is TemplateFormat.TEXT:
        return Compiled("", source.source_text, tuple(fields.values()), ())
    try:
        compiled = _compile_html(source)
        merge_fields.parse(compiled.html)
        merge_fields.parse(compiled.text)
    except BadHtml as error:
        line, column = place_of(source.source, error.at)
        message = f"line {line}, column {column}: {error.message}"
        raise _invalid([FieldError("source", message)]) from None
    except MergeError as error:
        message = f"its merge fields do not fit together where they end up: {error.message}"
        raise _invalid([FieldError("source", message)]) from None
    return Compiled(compiled.html, compiled.text, tuple(fields.values()), compiled.findings)


def field_of(stored: dict[str, Any]) -> Field:
    """A field as a version keeps it."""
    return Field(stored["name"], stored["has_default"], stored["line"])


def _complaints(source: Source) -> Iterator[submission.Complaint]:
    for name, most in (
        ("subject", limits.SUBJECT_MAX_CHARS),
        ("preheader", limits.PREHEADER_MAX_CHARS),
    ):
        yield from submission.check_line(name, getattr(source, name), max_chars=most)
    if not source.subject.strip():
        yield "subject", "is required and must not be empty"
    is_text = source.format is TemplateFormat.TEXT
    for name in ("source", "source_text"):
        text = getattr(source, name)
        if len(text.encode(errors="replace")) > limits.SOURCE_MAX_BYTES:
            yield name, f"is larger than {limits.SOURCE_MAX_BYTES:,} bytes"
        yield from submission.check_storable(name, text)
    if is_text and source.source.strip():
        yield "source", "must be empty where the format is text: it is for HTML and MJML"
    needed = "source_text" if is_text else "source"
    if not getattr(source, needed).strip():
        yield needed, "is required and must not be empty"


def _compile_html(source: Source) -> Compiled:
    """Raises BadHtml, at an index of the source, and MergeError."""
    is_mjml = source.format is TemplateFormat.MJML
    protected = protect(source.source, is_mjml=is_mjml)
    try:
        return _compile_protected(source, protected, is_mjml=is_mjml)
    except BadHtml as error:
        raise BadHtml(error.message, protected.in_source(error.at)) from None


def _compile_protected(source: Source, protected: Protected, *, is_mjml: bool) -> Compiled:
    """Raises BadHtml, at an index of the protected text."""
    read = list(tokens(protected.text))
    source_findings.refuse(read)
    check_shape(read, is_xml=is_mjml)
    page = _from_mjml(protected.text, read) if is_mjml else _from_html(protected.text, read)
    if len(page) > limits.HTML_MAX_CHARS:
        raise BadHtml(f"it comes to more than {limits.HTML_MAX_CHARS:,} characters of HTML", 0)
    if lost := protected.find_lost(page):
        at = max(protected.text.find(lost[0]), 0)
        raise BadHtml("the merge field is lost here: move it into a text or a value", at)
    text = source.source_text
    if not text.strip():
        text = protected.restore_text(plain_text.of_html(page, protected.restore_comment))
    whole = _add_preheader(protected.restore(page), source.preheader)
    findings = source_findings.find(
        protected.text,
        read,
        line_of=lambda at: place_of(source.source, protected.in_source(at))[0],
        is_mjml=is_mjml,
    )
    return Compiled(whole, text, (), tuple(findings))


def _from_html(text: str, read: list[Token]) -> str:
    css_shape.check(text, read)
    whole = _with_bodies(text, read)
    return _safely(lambda: _INLINER.inline(whole))


def _with_bodies(text: str, read: list[Token]) -> str:
    """With the `tbody` of each table whose rows follow it at once. A browser puts it in, and what
    stands before the first row, such as the beginning of a loop, would be left outside.
    """
    parts, done = [], 0
    for place, token in enumerate(read):
        if token.kind != "start" or token.name != "table":
            continue
        following = (
            one
            for one in islice(read, place + 1, None)
            if one.kind != "comment" and text[one.at : one.end].strip()
        )
        first = next(following, None)
        if first is not None and first.kind == "start" and first.name == "tr":
            parts += [text[done : token.end], "<tbody>"]
            done = token.end
    return "".join([*parts, text[done:]])


def _from_mjml(text: str, read: list[Token]) -> str:
    mjml_shape.check(text, read)
    # Without fonts: else each mail loads them from a host that its writer has not named.
    page = _safely(lambda: mjml.mjml2html(text, fonts={}), text)
    made = list(tokens(page))
    try:
        check_shape(made)
    except BadHtml as error:  # it is of the page, which has lines of its own
        raise BadHtml(f"in the HTML that it comes to {error.message}", 0) from None
    sheets = mjml_shape.find_inline_styles(text, read)
    if not sheets:
        return page
    css = "\n".join(sheets)
    css_shape.check_sheet(css, made, at=0)
    inliner = css_inline.CSSInliner(
        inline_style_tags=False,
        keep_style_tags=True,
        load_remote_stylesheets=False,
        extra_css=css,
    )
    return _safely(lambda: inliner.inline(page))


def _safely(make: Callable[[], str], text: str = "") -> str:
    """What a compiler makes. Raises BadHtml where it does not. A panic of Rust is no Exception."""
    try:
        return make()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        match = _POSITION.search(str(error))
        at = len(text.encode()[: int(match[1])].decode(errors="ignore")) if match else 0
        told = _POSITION.sub("", str(error)).replace(" in root template", "")
        raise BadHtml(f"it cannot be compiled: {told[:200]}", at) from None


def _add_preheader(page: str, preheader: str) -> str:
    if not preheader.strip():
        return page
    pieces = (
        html.escape(one.whole, quote=False) if one.kind == "text" else one.whole
        for one in split(preheader)
    )
    hidden = f'<div style="{HIDDEN}">{"".join(pieces)}{PADDING}</div>'
    body = _BODY.search(page)
    at = body.end() if body else 0
    return page[:at] + hidden + page[at:]


def _invalid(problems: list[FieldError]) -> InvalidFields:
    return InvalidFields(summarise(problems), errors=problems)
