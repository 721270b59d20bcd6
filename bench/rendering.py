"""What is measured in the section `templates`: mails compiled, and filled in for recipients.

In charge of the two mails and of the clock: the processor's time of this thread, so that others who
are busy do not count. Nothing of the stack is needed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from maild.domain.template import Source, TemplateFormat
from maild.services import template_rendering, template_sources

COMPILED = 50
"""As often each mail is compiled."""
PARAGRAPH = (
    "<p>{{ data.greeting }}, here is what is new with {{ contact.plan | upcase }} this month: we"
    " have made it quicker, and written down how. {% if contact.is_new %}Welcome!{% endif %}</p>"
)
LETTER = Source(
    subject='Hello {{ contact.first_name | default: "there" }}',
    format=TemplateFormat.HTML,
    source="<html lang='en'><head><title>News</title><style>p { color: #333; margin: 0 0 16px }"
    " @media (max-width: 400px) { p { margin: 0 0 8px } }</style></head><body>"
    f"{PARAGRAPH * 3}<a href='{{{{ unsubscribe_url }}}}'>Unsubscribe</a></body></html>",
)
NEWSLETTER = Source(
    subject=LETTER.subject,
    format=TemplateFormat.MJML,
    source="<mjml lang='en'><mj-head><mj-title>News</mj-title></mj-head><mj-body>"
    + "<mj-section><mj-column><mj-image src='https://example.com/a.png' alt='' />"
    f"<mj-text>{PARAGRAPH}</mj-text><mj-button href='https://example.com/'>Read on</mj-button>"
    "</mj-column></mj-section>"
    * 8
    + "<mj-section><mj-column><mj-text><a href='{{ unsubscribe_url }}'>Unsubscribe</a></mj-text>"
    "</mj-column></mj-section></mj-body></mjml>",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one mail: characters of HTML, milliseconds to compile, microseconds to fill in."""

    chars: int
    compile_ms: float
    render_us: float


def measure(source: Source, count: int) -> Measured:
    """Compile a mail, and fill it in for so many recipients, each with a name of their own."""
    compiled = template_sources.compile_source(source)
    compile_seconds = _seconds(lambda number: template_sources.compile_source(source), COMPILED)

    def render(number: int) -> None:
        contact = {"first_name": f"Ann {number}", "plan": "pro", "is_new": number % 2 == 0}
        values = template_rendering.make_values(contact=contact, data={"greeting": "Hello & hi"})
        rendered = template_rendering.render(
            subject=source.subject, html=compiled.html, text=compiled.text, values=values
        )
        assert not rendered.missing

    return Measured(len(compiled.html), 1e3 * compile_seconds, 1e6 * _seconds(render, count))


def _seconds(act: Callable[[int], object], count: int) -> float:
    """On average, after one that does not count."""
    act(0)
    begun_at = time.thread_time()
    for number in range(count):
        act(number)
    return (time.thread_time() - begun_at) / count
