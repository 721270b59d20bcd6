"""What is to be said of a template: tag by tag, and as a whole."""

import pytest

from maild.domain import template_checks
from maild.domain.html_tokens import BadHtml, tokens
from maild.domain.merge.template import Field, parse
from maild.domain.source_findings import FINDINGS_MAX, LINKS_MAX, find, is_private_host, refuse
from maild.domain.template import Severity, Source, TemplateFormat

GOOD = '<html lang="en"><head><title>t</title></head><body>{}</body></html>'


def found_in(body: str) -> dict[str, Severity]:
    page = GOOD.format(body)
    found = find(page, list(tokens(page)), line_of=lambda at: 1, is_mjml=False)
    return {one.code: one.severity for one in found}


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ("<p>a</p>", set()),
        ('<a href="https://example.com/a">a</a>', set()),
        ('<a href="mailto:a@example.com">a</a><a href="tel:1">b</a>', set()),
        ('<a name="top">a</a><a href="#top">b</a>', set()),
        ('<a href="mrg0x1q/x">a</a>', set()),
        ('<img src="https://example.com/a.png" alt="">', set()),
        ('<img src="cid:logo" alt="Logo">', set()),
        ("<form></form>", {"form"}),
        ("<input>", {"form"}),
        ('<p onclick="x">', {"event_handler"}),
        ('<meta http-equiv="Refresh" content="0;url=x">', {"refresh"}),
        ('<link rel="stylesheet" href="https://example.com/a.css">', {"remote_style"}),
        ('<img src="https://example.com/a.png">', {"image_without_alt"}),
        ('<img alt="">', set()),
        ('<img src="" alt="">', {"image_without_src"}),
        ('<img src="http://example.com/a.png" alt="">', {"image_by_http"}),
        ('<img src="data:image/png;base64,AA" alt="">', {"image_in_data"}),
        ('<img src="http://10.0.0.1/a.png" alt="">', {"private_host"}),
        ('<td background="javascript:x">', {"dangerous_link"}),
        ("<a>a</a>", {"empty_link"}),
        ('<a href="">a</a>', {"empty_link"}),
        ('<a href="#">a</a>', {"empty_link"}),
        ('<a href="example.com/a">a</a>', {"link_without_scheme"}),
        ('<a href="/a">a</a>', {"link_without_scheme"}),
        ('<a href="https:">a</a>', {"link_without_scheme"}),
        ('<a href="http://example.com">a</a>', {"link_by_http"}),
        ('<a href="https://localhost:8080/a">a</a>', {"private_host"}),
        ('<a href="https://intranet/a">a</a>', {"private_host"}),
        ('<a href="https://192.168.1.1">a</a>', {"private_host"}),
        ('<a href="https://[::1]/">a</a>', {"private_host"}),
        ('<a href=" Java\nScript:x">a</a>', {"dangerous_link"}),
        ('<a href="data:text/html,x">a</a>', {"dangerous_link"}),
        ('<a href="https://evil.example">www.bank.example</a>', {"link_names_other_host"}),
        ('<a href="https://evil.example">https://bank.example/a</a>', {"link_names_other_host"}),
        ('<a href="https://www.bank.example">bank.example</a>', set()),
        ('<a href="https://[bad">a</a>', {"link_without_scheme"}),
    ],
)
def test_a_tag_is_told_of(body: str, codes: set[str]) -> None:
    assert set(found_in(body)) == codes


def test_a_page_says_what_it_is_and_in_which_language() -> None:
    assert {
        one.code for one in find("<p>", list(tokens("<p>")), line_of=lambda at: 1, is_mjml=False)
    } == {"no_title", "no_language"}


def test_findings_are_bounded_and_have_their_lines() -> None:
    page = GOOD.format("<input>\n" * 1_000)
    found = find(
        page, list(tokens(page)), line_of=lambda at: page.count("\n", 0, at) + 1, is_mjml=False
    )
    assert [one.line for one in found] == list(range(1, FINDINGS_MAX + 1))
    many = '<a href="https://example.com">a</a>' * (LINKS_MAX + 1)
    assert found_in(many) == {"many_links": Severity.WARN}


@pytest.mark.parametrize("name", ["script", "SVG", "iframe", "object", "base", "math", "template"])
def test_what_no_mail_program_shows_is_refused(name: str) -> None:
    with pytest.raises(BadHtml, match="cannot be in a mail"):
        refuse(list(tokens(f"<p></p><{name} x></{name}>")))


def test_hosts_of_an_own_network_are_known() -> None:
    for host in ("localhost", "a.local", "printer", "127.0.0.1", "10.1.2.3", "fe80::1", "::1"):
        assert is_private_host(host), host
    for host in ("example.com", "8.8.8.8", "2606:4700::1111"):
        assert not is_private_host(host), host


def check(
    *,
    subject: str = "A subject",
    html: str = "",
    text: str = "Some words {{ unsubscribe_url }}",
    source_text: str = "x",
    preheader: str = "p",
    attributes: tuple[str, ...] | None = ("first_name",),
) -> dict[str, Severity]:
    source = Source(
        subject=subject,
        format=TemplateFormat.HTML if html else TemplateFormat.TEXT,
        source=html,
        source_text=source_text,
        preheader=preheader,
    )
    fields: list[Field] = []
    for part in (subject, html, text):
        fields += parse(part).fields
    found = template_checks.check(
        source, html=html, text=text, fields=fields, attributes=attributes
    )
    ranks = [list(Severity).index(one.severity) for one in found]
    assert ranks == sorted(ranks)
    return {one.code: one.severity for one in found}


def test_a_good_template_is_told_nothing() -> None:
    assert check() == {}
    page = "<p>Some words</p>{{ unsubscribe_url }}"
    assert check(html=page) == {}


@pytest.mark.parametrize(
    ("given", "code", "severity"),
    [
        ({"subject": "a" * 71}, "long_subject", Severity.HINT),
        ({"subject": "a" * 151}, "long_subject", Severity.WARN),
        ({"subject": "BUY OUR THINGS"}, "subject_in_capitals", Severity.WARN),
        ({"subject": "Look!!"}, "subject_shouts", Severity.HINT),
        ({"html": "{{ unsubscribe_url }}", "preheader": ""}, "no_preheader", Severity.HINT),
        ({"html": "{{ unsubscribe_url }}" + "a" * 90_000}, "large", Severity.HINT),
        ({"html": "{{ unsubscribe_url }}" + "a" * 110_000}, "clipped", Severity.WARN),
        ({"html": "{{ unsubscribe_url }}", "text": " "}, "no_text", Severity.WARN),
        ({"html": "<img>{{ unsubscribe_url }}"}, "images_only", Severity.WARN),
        ({"subject": "You are a winner"}, "spam_words", Severity.HINT),
        ({"subject": "{{ contact.frist_name }}"}, "unknown_field", Severity.STOP),
        ({"subject": "{{ contact.x | default: 'a' }}"}, "unknown_field", Severity.WARN),
        ({"subject": "{{ contact.first_name }}"}, "no_default", Severity.WARN),
        ({"subject": "{{ contact.name }}"}, "no_default", Severity.WARN),
        ({"subject": "{{ data.x }}"}, "needs_data", Severity.HINT),
        ({"text": "words"}, "no_unsubscribe_link", Severity.WARN),
        (
            {"html": "{{ unsubscribe_url }}", "text": "words"},
            "no_unsubscribe_link_in_text",
            Severity.HINT,
        ),
    ],
)
def test_a_template_is_told(given: dict[str, str], code: str, severity: Severity) -> None:
    assert check(**given).get(code) == severity  # type: ignore[arg-type]


def test_what_contacts_have_anyway_needs_no_default() -> None:
    assert check(subject="{{ contact.email }}") == {}
    assert check(subject="{{ contact.x }}", attributes=None) == {"no_default": Severity.WARN}
