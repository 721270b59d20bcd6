"""A tour of templates: the list, where to start, the composer with and without faults, versions, a
test that was sent, by the API, what is archived.
"""

import pytest
from playwright.sync_api import expect

from maild.domain.actor import Actor
from maild.domain.states import Stream
from maild.domain.template import Source, TemplateFormat
from maild.services import template_drafts, template_tests, templates
from maild.web.template_starts import STARTS
from tests.browser import hard_rows
from tests.browser.guide import Sight, send, tour
from tests.conftest import WORKSPACE_A

PATH = "/ui/templates"


@pytest.fixture
def scribe(admin, settled):
    """The admin, among templates with long names, long subjects and faults."""
    by = Actor(hard_rows.LONG_ADDRESS)
    settled()

    def save(name, row=None, **fields):
        values = {"subject": "Hello", "format": TemplateFormat.HTML, "source": "<p>Hello</p>"}
        source = Source(**{**values, **fields})
        if row is None:
            return templates.create(WORKSPACE_A, name=name, source=source, by=by).template
        return templates.save(
            WORKSPACE_A, row.id, source=source, version=row.version, note="n" * 300, by=by
        ).template

    newsletter = STARTS["newsletter"]
    long = save("n" * 100, subject="s" * 900, source="<p>" + "word " * 2_000 + "w" * 900 + "</p>")
    long = save("", long, subject="{{ contact." + "f" * 30 + " }}", source="<p>x</p>\n" * 300)
    good = save(
        "A newsletter",
        subject=newsletter.subject,
        preheader=newsletter.preheader,
        format=newsletter.format,
        source=newsletter.source,
    )
    text = save("Text", format=TemplateFormat.TEXT, source="", source_text="Hello\n" + "w" * 900)
    old = save("Archived")
    templates.archive(WORKSPACE_A, old.id, by=by)
    [sent] = template_tests.send(
        WORKSPACE_A,
        template_tests.Mail("s" * 300, "<p>Hello</p>", "Hello"),
        name="x",
        from_email="a@example.com",
        to=[admin.email],
        stream=Stream.TRANSACTIONAL,
        by=by,
    )
    template_drafts.keep(
        WORKSPACE_A, admin.id, template_id=None, version=0, typed={"name": "Draft"}, html=""
    )
    here = f"{PATH}/{good.id}"
    return tour(
        admin,
        PATH,
        f"{PATH}?name=zebra",
        f"{PATH}?archived=1",
        f"{PATH}/new",
        f"{PATH}/new?start=letter",
        f"{PATH}/new?start=text",
        f"{PATH}/new?start=empty",
        f"{PATH}/new?draft=1",
        here,
        Sight(here, see_a_preview),
        here,  # with a draft
        Sight(here, see_what_is_wrong),
        Sight(here, collide, 409),
        f"{PATH}/{long.id}",
        f"{PATH}/{text.id}",
        f"{PATH}/{long.id}/versions",
        f"{PATH}/{long.id}/versions/2",
        f"{PATH}/{long.id}/versions/1/restore",
        f"{PATH}/{old.id}/versions/1",
        f"{here}/versions/1",
        Sight(f"{here}/versions/1?contact=nobody@example.org", status=422),
        f"{here}/test",
        f"{here}/test?sent={sent.message.id}",
        Sight(f"{here}/test", send_to_a_stranger, 422),
        f"{here}/api",
        Sight(here, rename_to_nothing, 422),
    )


@pytest.fixture
def blank_page(admin):
    """The admin, before there is a template."""
    return tour(admin, PATH, f"{PATH}?archived=1", f"{PATH}/new")


def see_a_preview(tab):
    tab.get_by_label("Subject", exact=True).fill("{{ contact.nothing }} 100% FREE!!!")
    expect(tab.locator(".missing li")).to_have_count(1)


def see_what_is_wrong(tab):
    tab.get_by_label("Subject", exact=True).fill("{{ contact.")
    expect(tab.locator("#subject-error")).not_to_be_empty()


def collide(tab):
    tab.get_by_label("Subject", exact=True).fill("Mine")
    expect(tab.locator(".inbox-line")).to_contain_text("Mine")
    tab.evaluate("document.querySelector('#composer [name=version]').value = '0'")
    with tab.expect_navigation():
        tab.locator(".composer-save button.primary").click()


def send_to_a_stranger(tab):
    path = tab.evaluate("location.pathname")
    send(tab, path, to="stranger@example.org", workspace_id=WORKSPACE_A, stream="transactional")


def rename_to_nothing(tab):
    path = tab.evaluate("location.pathname")
    send(tab, f"{path}/rename", name="", workspace_id=WORKSPACE_A)
