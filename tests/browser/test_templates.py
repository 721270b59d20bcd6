"""Templates as somebody writes them: the preview that follows the typing, as a contact, a test that
arrives, a version that comes back; and HTML that means harm, which does nothing.
"""

import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from maild import db
from maild.domain.actor import Actor
from maild.domain.template import Source, TemplateFormat
from maild.models import Contact, Template
from maild.services import template_drafts, template_sources, templates
from tests.conftest import WORKSPACE_A
from tests.services.conftest import wait_until

pytestmark = pytest.mark.browser

PATH = "/ui/templates"
BOB = Actor("bob@a.example")
MJML = (
    '<mjml lang="en"><mj-head><mj-title>Hi</mj-title></mj-head><mj-body><mj-section><mj-column>'
    '<mj-text>Good morning {{ contact.name | default: "there" }}</mj-text>'
    '<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>'
    "</mj-column></mj-section></mj-body></mjml>"
)
LETTER = "<p>Hello {{ contact.first_name }}</p><p>{% comment %} {% endcomment %}</p>"
HOSTILE = """<!doctype html><html><head>
<base href="https://evil.example/">
<meta http-equiv="refresh" content="0;url=/login">
<link rel="stylesheet" href="/static/css/base.css">
<script>parent.document.title = "owned"; top.location = "/login"</script>
</head><body onload="top.location='/login'">
<p id="words">Words</p>
<svg onload="top.location='/login'">
<a href="javascript:top.location='/login'"><text y="20">S</text></a></svg>
<img src="x" onerror="top.location='/login'"><img src="http://127.0.0.1:PORT/spy.png" alt="spy">
<iframe src="/login"></iframe><object data="/login"></object><embed src="/login">
<form action="/login" method="get"><button id="send">Send</button></form>
<a id="script" href="javascript:top.location='/login'">Run</a>
<a id="top" href="/login" target="_top">Go</a>
<style>@import url("http://127.0.0.1:PORT/spy.css"); #words { color: rgb(1, 2, 3) }</style>
</body></html>"""
MEANT = re.compile("Content Security Policy|sandbox|sandboxed|Blocked|htmx:|Refused|violates")
"""What the browser says where it does not let a mail do something."""


def save(name="Welcome", row=None, **fields):
    values = {"subject": "Hello", "format": TemplateFormat.HTML, "source": LETTER, **fields}
    source = Source(**values)
    if row is None:
        return templates.create(WORKSPACE_A, name=name, source=source, by=BOB).template
    return templates.save(WORKSPACE_A, row.id, source=source, version=row.version, by=BOB).template


def mail(tab):
    """What is in the frame."""
    return tab.frame_locator("iframe.mail:last-of-type").locator("body")


@pytest.fixture
def spy():
    """A port on which somebody waits for whoever loads a picture."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def bea(database):
    return Contact.create(
        workspace_id=WORKSPACE_A,
        email="bea@example.org",
        name="Bea",
        created_by="x",
    )


def test_a_newsletter_is_composed_seen_sent_to_oneself_and_read(
    open_context, bea, inbox, complaints, request
):
    tab = open_context().new_page()
    tab.goto(PATH)
    tab.locator(".start", has_text="A newsletter").get_by_role("link").click()
    expect(mail(tab)).to_contain_text("this is what is new")
    tab.get_by_label("Name", exact=True).fill("News of May")
    tab.get_by_label("Source", exact=True).fill(MJML)
    expect(mail(tab)).to_contain_text("Good morning Ann")
    expect(tab.locator("iframe.mail")).to_have_count(1)
    subject = tab.get_by_label("Subject", exact=True)
    subject.fill("News for ")
    tab.get_by_text("Merge fields", exact=True).click()
    tab.get_by_role("button", name="contact.name", exact=True).click()
    expect(subject).to_have_value('News for {{ contact.name | default: "" }}')
    expect(tab.locator(".inbox-line")).to_contain_text("News for Ann Example")

    tab.get_by_text("What it is filled in with", exact=True).click()
    contact = tab.get_by_role("combobox", name="Contact")
    contact.press_sequentially("bea")
    expect(tab.locator("#contact-list option")).to_have_count(1)
    contact.fill("bea@example.org")
    contact.blur()
    expect(mail(tab)).to_contain_text("Good morning Bea")

    tab.get_by_role("button", name="Save version 1").click()
    expect(tab.locator("#toasts")).to_contain_text("“News of May” is saved.")
    tab.get_by_role("button", name="Send a test…").click()
    expect(tab.locator("h2#test-title")).to_be_visible()
    tab.get_by_role("button", name="Send it").click()
    expect(tab.get_by_role("link", name="The message with its timeline")).to_be_visible()
    deliver = request.getfixturevalue("deliver")  # not before: its lease would be over by now
    with ThreadPoolExecutor(1) as pool:  # Playwright has the event loop of this thread
        wait_until(lambda: pool.submit(_deliver, deliver).result())
    arrived = inbox.only()
    assert arrived["Subject"] == "News for Ann Example"
    assert arrived["List-Unsubscribe"]
    assert "Good morning Ann" in arrived.get_body(("html",)).get_content()
    assert "Good morning Ann" in arrived.get_body(("plain",)).get_content()
    assert "maild.invalid" not in arrived.as_string()
    complaints[:] = [text for text in complaints if not MEANT.search(text)]


def _deliver(deliver):
    with db.connection():
        return deliver()


def test_it_is_looked_at_wide_on_a_phone_in_the_dark_as_text_and_as_html(open_context):
    row = save(
        source="<style>@media (prefers-color-scheme: dark) {p {color: red}}</style><p>Hi</p>"
    )
    tab = open_context(color_scheme="no-override").new_page()
    tab.goto(f"{PATH}/{row.id}")
    frame = tab.locator("iframe.mail")
    wide = frame.bounding_box()["width"]
    tab.get_by_text("Phone", exact=True).click()
    assert frame.bounding_box()["width"] == 375 < wide
    tab.get_by_text("Dark", exact=True).click()
    assert frame.evaluate("one => getComputedStyle(one).colorScheme") == "dark"
    expect(tab.locator(".in-dark")).to_be_visible()
    tab.get_by_text("Text", exact=True).last.click()
    expect(tab.locator(".view-text pre")).to_be_visible()
    expect(frame).to_be_hidden()
    tab.get_by_text("HTML", exact=True).last.click()
    expect(tab.locator(".view-output pre")).to_contain_text("prefers-color-scheme")
    tab.get_by_label("Format").select_option("text")
    expect(tab.locator(".source-field")).to_be_hidden()


def test_what_is_wrong_is_told_while_typing_and_the_last_preview_stays(open_context):
    row = save()
    tab = open_context().new_page()
    tab.goto(f"{PATH}/{row.id}")
    source = tab.get_by_label("Source", exact=True)
    source.fill("<p>Servus</p>")
    expect(mail(tab)).to_contain_text("Servus")
    source.fill("<p>Servus {{ contact.</p>")
    expect(tab.locator("#source-error")).not_to_be_empty()
    expect(tab.locator("#preview-state")).to_contain_text("mend what is marked")
    expect(mail(tab)).to_contain_text("Servus")
    source.fill("<p>Servus again</p>")
    expect(mail(tab)).to_contain_text("Servus again")
    expect(tab.locator("#source-error")).to_be_empty()
    expect(source).to_be_focused()


def test_of_previews_that_overtake_each_other_the_last_one_is_shown(
    open_context, monkeypatch, complaints
):
    row = save()
    tab = open_context().new_page()
    tab.goto(f"{PATH}/{row.id}")
    compile_source = template_sources.compile_source
    is_under_way, may_go_on = threading.Event(), threading.Event()

    def slow_once(source):
        monkeypatch.setattr(template_sources, "compile_source", compile_source)
        is_under_way.set()
        may_go_on.wait(20)
        return compile_source(source)

    monkeypatch.setattr(template_sources, "compile_source", slow_once)
    source = tab.get_by_label("Source", exact=True)
    source.fill("<p>First</p>")
    assert is_under_way.wait(20)
    source.fill("<p>Second</p>")
    expect(mail(tab)).to_contain_text("Second")
    may_go_on.set()
    expect(mail(tab)).to_contain_text("Second")
    # What htmx says of a request that it has dropped.
    assert set(complaints) <= {"htmx:afterRequest", "htmx:sendAbort"}
    complaints.clear()


def test_a_version_comes_back(open_context):
    row = save(subject="First")
    save(row=row, subject="Second")
    tab = open_context().new_page()
    tab.goto(f"{PATH}/{row.id}")
    tab.get_by_role("link", name="Versions").click()
    tab.get_by_role("link", name="Bring back… version 1").click()
    expect(tab.locator(".change")).to_contain_text("Second")
    tab.get_by_role("button", name="Bring it back").click()
    expect(tab.locator("#toasts")).to_contain_text("Version 1 is back, as version 3.")
    expect(tab.get_by_label("Subject", exact=True)).to_have_value("First")
    tab.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(tab.get_by_label("Subject", exact=True)).to_have_value("Second")
    assert Template.get().version == 4


def test_what_is_typed_is_there_after_the_window_was_closed(open_context):
    row = save()
    context = open_context()
    tab = context.new_page()
    tab.goto(f"{PATH}/{row.id}")
    with tab.expect_response(re.compile("/preview$")):
        tab.get_by_label("Subject", exact=True).fill("Not saved")
    expect(tab.locator(".inbox-line")).to_contain_text("Not saved")
    tab.close()
    tab = context.new_page()
    tab.goto(f"{PATH}/{row.id}")
    expect(tab.get_by_label("Subject", exact=True)).to_have_value("Not saved")
    tab.get_by_role("button", name="Give them up").click()
    expect(tab.get_by_label("Subject", exact=True)).to_have_value("Hello")


@pytest.mark.parametrize("has_scripts", [True, False])
def test_two_who_save_at_once_lose_nothing(open_context, forgive, has_scripts):
    row = save()
    tab = open_context(java_script_enabled=has_scripts).new_page()
    tab.goto(f"{PATH}/{row.id}")
    tab.get_by_label("Subject", exact=True).fill("Mine")
    save(row=row, subject="Theirs")
    tab.get_by_role("button", name="Save version 2").click()
    expect(tab.locator(".change")).to_contain_text("Theirs")
    expect(tab.get_by_label("Subject", exact=True)).to_have_value("Mine")
    tab.get_by_role("button", name="Save version 3").click()
    expect(tab.locator("#toasts")).to_contain_text("Version 3 is saved")
    forgive(409)


@pytest.mark.long
def test_without_javascript_it_is_previewed_by_a_button(open_context):
    row = save()
    tab = open_context(java_script_enabled=False).new_page()
    tab.goto(f"{PATH}/{row.id}")
    tab.get_by_label("Source", exact=True).fill("<p>Servus</p>")
    tab.get_by_role("button", name="Preview").click()
    expect(mail(tab)).to_contain_text("Servus")
    tab.get_by_role("button", name="Save version 2").click()
    expect(tab.locator("#toasts")).to_contain_text("Version 2 is saved")


@pytest.mark.proves("security-csp")
def test_a_hostile_mail_does_nothing(open_context, complaints, admin, spy):
    row = save()
    # Most of it is refused where it is typed: this is what the frame does should it get there.
    typed = {"subject": "Hello", "format": "html", "source": LETTER}
    template_drafts.keep(
        WORKSPACE_A,
        admin.id,
        template_id=row.id,
        version=1,
        typed=typed,
        html=HOSTILE.replace("PORT", str(spy.getsockname()[1])),
    )
    context = open_context()
    answered = []
    context.on("response", lambda response: answered.append(response.url))
    tab = context.new_page()
    tab.goto(f"{PATH}/{row.id}")
    shown = tab.frame_locator("iframe.mail")
    expect(shown.locator("#words")).to_have_css("color", "rgb(1, 2, 3)")
    for name in ("#script", "#top", "#send"):
        shown.locator(name).click()
        expect(shown.locator("#words")).to_be_visible()
    assert tab.url.endswith(f"{PATH}/{row.id}")
    assert "Welcome" in tab.title()
    assert [url for url in answered if re.search(r"/login|spy|evil", url)] == []
    with pytest.raises(BlockingIOError):
        spy.accept()  # nobody has knocked
    complaints[:] = [text for text in complaints if not MEANT.search(text)]
