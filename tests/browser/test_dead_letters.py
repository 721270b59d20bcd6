"""Dead letters as an operator meets them: a report that nobody can read, tried, replayed, or let
be; also beside another operator, and without scripts.
"""

import dataclasses
import json
import re

import pytest
from playwright.sync_api import expect

from maild import config
from maild.domain.provider_event import ReportStatus
from maild.domain.role import Role
from maild.models import ProviderEvent
from maild.services import report_loop
from maild.transports.webhooks import generic
from tests.api.reporting import EVENTS, SECRET, sign
from tests.conftest import WORKSPACE_A

pytestmark = pytest.mark.browser

UNKNOWN = {"type": "returned_to_sender", "email": "ann@example.org", "event_id": "1"}


@pytest.fixture
def send_report(app, use_settings):
    """Call with an event to have it come in by the webhook, signed as its sender does."""
    webhooks = dataclasses.replace(config.current().webhooks, enabled=True, signing_secret=SECRET)
    use_settings(webhooks=webhooks)

    def send(event):
        body = json.dumps({"workspace_id": WORKSPACE_A, **event}).encode()
        response = app.test_client().post(
            EVENTS, data=body, content_type="application/json", headers=sign(body)
        )
        assert response.status_code == 202, response.text
        report_loop.drain()
        return ProviderEvent.select().order_by(ProviderEvent.id.desc()).get()

    return send


@pytest.fixture
def mended(monkeypatch):
    """Call, and the parser knows the new kind of event: a hard bounce."""

    def mend():
        meaning = generic._MEANINGS["hardbounce"]
        monkeypatch.setitem(generic._MEANINGS, "returnedtosender", meaning)

    return mend


def test_a_report_that_nobody_knows_is_tried_and_replayed_from_the_drawer(
    tab, send_report, mended, settled
):
    settled()
    event = send_report(UNKNOWN)
    tab.goto("/ui/webhooks")
    row = tab.locator("#letters tbody tr")
    expect(row).to_contain_text("'returned_to_sender' is not known")
    tab.keyboard.press("j")
    tab.keyboard.press("o")
    expect(tab.locator("#drawer-title")).to_have_text(f"Dead letter {event.id}")
    drawer = tab.locator("#drawer")
    expect(drawer.locator("pre")).to_contain_text('"email": "ann@example.org"')
    drawer.get_by_role("link", name="What would a replay do?").click()
    expect(drawer.locator("#trial")).to_contain_text("it would fail again")
    mended()
    drawer.get_by_role("link", name="What would a replay do?").click()
    expect(drawer.locator("#trial")).to_contain_text("ann@example.org is suppressed as hard bounce")
    assert ProviderEvent.get_by_id(event.id).status is ReportStatus.DEAD_LETTER
    drawer.get_by_role("button", name="Replay", exact=True).click()
    expect(tab.locator("#toasts")).to_contain_text("Replayed. ann@example.org is suppressed")
    expect(tab).to_have_url(re.compile("/ui/webhooks$"))
    expect(tab.locator("#letters")).to_contain_text("good news")
    assert ProviderEvent.get_by_id(event.id).status is ReportStatus.REPLAYED


def test_it_is_dismissed_with_a_reason_and_taken_back(tab, send_report):
    event = send_report(UNKNOWN)
    tab.goto(f"/ui/webhooks/{event.id}")
    tab.locator("#dismiss-letter > summary").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("a test of the sender's")
    dialog.get_by_role("button", name="Dismiss").click()
    expect(tab.locator("main")).to_contain_text("somebody has let it be")
    tab.get_by_role("button", name="Undo").click()
    expect(tab.locator("#toasts")).to_contain_text("It is a dead letter again")
    expect(tab.locator("h1")).to_have_text(f"Dead letter {event.id}")


def test_of_two_operators_the_second_is_told(tab, open_context, make_person, send_report, mended):
    event = send_report(UNKNOWN)
    mended()
    olaf = make_person("olaf@a.example", Role.OPERATOR)
    other = open_context(person=olaf).new_page()
    for one in (tab, other):
        one.goto(f"/ui/webhooks/{event.id}")
    for one in (tab, other):
        one.get_by_role("button", name="Replay", exact=True).click()
    expect(other.locator("#toasts")).to_contain_text("Somebody else was quicker")
    expect(other.locator("main")).to_contain_text("a replay has applied it")


def test_the_list_looks_again_but_not_while_somebody_chooses(tab, send_report):
    send_report(UNKNOWN)
    tab.goto("/ui/webhooks")
    box = tab.get_by_role("checkbox")
    box.check()
    send_report({**UNKNOWN, "event_id": "2"})
    tab.clock.run_for(6_000)
    expect(box).to_have_count(1)
    expect(box).to_be_checked()
    box.uncheck()
    tab.clock.run_for(6_000)
    expect(tab.locator("#letters tbody tr")).to_have_count(2)


def test_all_about_an_address_is_found_by_typing_it(tab, send_report, complaints):
    send_report({"type": "spam", "email": "ann@example.org"})
    send_report({"type": "spam", "email": "bob@example.org"})
    tab.goto("/ui/webhooks?state=any")
    field = tab.get_by_label("About the address")
    field.fill("ann")
    field.blur()
    expect(tab.locator("#email-error")).to_contain_text("whole address")
    field.fill("Ann@example.org")
    field.blur()
    expect(tab.locator("#letters tbody tr")).to_have_count(1)
    expect(tab).to_have_url(re.compile(r"state=any&email=Ann%40example.org$"))
    expect(tab.locator("#letters tbody")).to_contain_text("suppressed after a complaint")
    complaints.clear()  # the browser tells of the 422 as well


@pytest.mark.long
def test_it_works_without_scripts(open_context, send_report, mended):
    event = send_report(UNKNOWN)
    mended()
    tab = open_context(java_script_enabled=False).new_page()
    tab.goto("/ui/webhooks")
    tab.get_by_label("About the address").fill("ann@example.org")
    tab.get_by_role("button", name="Apply").click()
    tab.locator("#letters a.row-link").click()
    expect(tab.locator("h1")).to_have_text(f"Dead letter {event.id}")
    tab.get_by_role("link", name="What would a replay do?").click()
    expect(tab.locator("#trial")).to_contain_text("it would be applied")
    tab.get_by_role("button", name="Replay", exact=True).click()
    expect(tab.locator("main")).to_contain_text("a replay has applied it")
    assert ProviderEvent.get_by_id(event.id).status is ReportStatus.REPLAYED


def test_news_leave_the_focus_on_what_has_no_id_as_well(tab, send_report):
    send_report(UNKNOWN)
    tab.goto("/ui/webhooks")
    rows, button = tab.locator("#letters tbody tr"), tab.locator("[form=matching-letters]").last
    expect(rows).to_have_count(1)
    assert button.get_attribute("id") is None
    button.focus()
    send_report({**UNKNOWN, "event_id": "2"})
    tab.clock.run_for(5_100)
    expect(rows).to_have_count(2)
    expect(button).to_be_focused()
