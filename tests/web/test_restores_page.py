"""/ui/restore: what is missing after a restore, what waits, and what a person decides about it."""

from datetime import timedelta
from urllib.parse import parse_qsl

import pytest
from bs4 import BeautifulSoup

from maild import clock
from maild.domain.actor import Actor
from maild.domain.campaign import CampaignStatus
from maild.domain.states import Status
from maild.models import AuditEntry, Campaign, Freeze, Job, Message
from maild.services import campaign_states, job_steps, restore_marks
from tests.conftest import WORKSPACE_A
from tests.services.campaigning import make_campaign, make_contacts, step_until
from tests.services.restoring import make_safe, of_a

PATH = "/ui/restore"


@pytest.fixture
def restored(accept):
    """Two messages that waited when the backup was taken."""
    made = [accept(to_email=f"{name}@example.org", subject=name) for name in ("ann", "bob")]
    try:
        make_safe()
    finally:
        if restore_marks.find() is not None:
            restore_marks.remove()
    return made


@pytest.fixture
def client(restored, operator_a, sign_in):
    """Signed in after the restore, which ends all sessions."""
    return sign_in(operator_a)


def words_of(tag):
    return " ".join(" ".join(tag.stripped_strings).split())


def fields_of(form):
    skipped = {"csrf_token", "workspace_id"}
    return {
        one["name"]: one.get("value", "")
        for one in form.select("input[name]")
        if one["name"] not in skipped
    }


def status_of(message):
    return Message.get_by_id(message.id).status


def test_it_tells_what_is_missing_what_waits_and_the_order_of_things(page):
    soup = page(PATH)
    titles = [words_of(h2) for h2 in soup.select(".restore > .card > h2")]
    assert [title[0] for title in titles] == ["1", "2", "3", "4"]
    [row] = soup.select("[aria-labelledby=held-title] tbody tr")
    assert words_of(row.select_one("th")) == "held"
    assert "2 in the hour before" in words_of(row)
    assert "2 messages wait" in words_of(soup.select_one("[aria-labelledby=held-title]"))
    assert soup.select_one(f"form[action='/ui/freezes/{of_a().freeze_id}/lift']")
    assert "Lift the freeze first" in words_of(soup.select_one("[aria-labelledby=done-title]"))


@pytest.fixture
def in_doubt(database):
    """A campaign that was paused when the backup was taken, and one that waited for its time."""
    make_contacts(2)
    paused = step_until(make_campaign(), CampaignStatus.SENDING)
    campaign_states.pause(WORKSPACE_A, paused.id, reason="a typo", by=Actor("ann"))
    template = {"template": paused.template_id, "template_version": 1}
    later = make_campaign(**template, starts_at=clock.now() + timedelta(hours=1))
    return paused, later


def test_the_plan_counts_the_campaigns_that_may_have_been_sent(in_doubt, page):
    row = page(PATH).select_one("#campaigns")
    assert words_of(row.select_one("th")) == "What 2 campaigns have sent"
    assert "1 is paused, and 1 is a draft" in words_of(row)
    links = [one["href"] for one in row.select("a")]
    assert links == ["/ui/campaigns?status=paused", "/ui/campaigns?status=draft"]


def test_without_a_campaign_in_doubt_the_plan_tells_of_none(page):
    assert page(PATH).select_one("#campaigns") is None


def test_a_campaign_in_doubt_says_so_before_it_is_sent(in_doubt, page):
    paused, draft = in_doubt
    doubt = "some of this may have been sent since, and would be sent again"
    path = f"/ui/campaigns/{draft.id}"
    for shown in (page(path), page(f"{path}/send")):
        [told] = shown.select(".alert.warn")
        assert words_of(told.select_one(".alert-title")) == "It may have been sent already"
        assert doubt in words_of(told)
    dialog = words_of(page(f"/ui/campaigns/{paused.id}").select_one("#resume"))
    assert doubt in dialog
    assert "It was paused before, by ann: a typo" in dialog


def test_the_fault_of_a_step_is_no_doubt(in_doubt, page):
    _, draft = in_doubt
    path = f"/ui/campaigns/{draft.id}"
    Campaign.update(fault="The template is gone.", fault_count=1).execute()
    told = words_of(page(path).select_one(".alert.warn .alert-title"))
    assert told == "Its latest step was not done"
    assert "The template is gone." not in page(f"{path}/send").select_one("main").text


def test_the_bar_of_every_page_leads_there_and_tells_no_end(page):
    bar = page("/ui/settings/members").select_one("#freeze-bar")
    assert "until somebody lifts it" in words_of(bar)
    assert bar.select_one("a")["href"] == PATH
    freezes = words_of(page("/ui/freezes").select_one(".freeze"))
    assert "When somebody lifts it" in freezes
    assert "Extend" not in freezes


def test_the_overview_reminds_until_somebody_is_done_with_it(client, page, post):
    assert "restored from a backup" in words_of(page("/ui"))
    restore = of_a()
    lifted = post(client, f"/ui/freezes/{restore.freeze_id}/lift", reason="back", back=PATH)
    assert lifted.headers["Location"] == PATH
    assert "What the restore holds stays held." in words_of(page(PATH).select_one("#toasts"))
    assert "restored from a backup" in words_of(page("/ui"))
    assert post(client, f"{PATH}/{restore.id}/settle").status_code == 303
    assert "restored from a backup" not in words_of(page("/ui"))
    assert "was done with it" in words_of(page(PATH))
    assert "restore.settled" in {entry.action for entry in AuditEntry.select()}


def test_to_be_done_with_it_waits_for_the_freeze(client, page, post):
    post(client, f"{PATH}/{of_a().id}/settle")
    assert "Lift the freeze first" in words_of(page(PATH).select_one("#toasts"))
    assert of_a().settled_at is None


def test_all_are_released_only_by_a_typed_word(client, page, post, restored):
    post(client, f"/ui/freezes/{of_a().freeze_id}/lift", reason="back")
    form = page(PATH).select_one("form:has(input[value=release])")
    asked = post(client, form["action"], **fields_of(form))
    soup = BeautifulSoup(asked.text, "html.parser")
    assert "what was sent then arrives twice" in words_of(soup)
    start = soup.select_one("form[action='/ui/bulk/start']")
    fields = {**fields_of(start), "reason": "The provider has none of them."}
    refused = post(client, "/ui/bulk/start", **{**fields, "word": "release"})
    assert refused.status_code == 422
    assert "The provider has none of them." in refused.text
    assert Job.select().count() == 0
    assert post(client, "/ui/bulk/start", **{**fields, "word": "RELEASE"}).status_code == 303
    job_steps.drain()
    assert {status_of(one) for one in restored} == {Status.QUEUED}
    assert "Nothing waits any more" in words_of(page(PATH))


def test_those_that_were_looked_at_one_by_one_need_no_word_and_all_are_cancelled_without(
    client, page, post, restored
):
    post(client, f"/ui/freezes/{of_a().freeze_id}/lift", reason="back")
    chosen = {"noun": "messages", "action": "release", "selection": "ids"}
    asked = post(client, "/ui/bulk", **chosen, id=str(restored[0].id))
    assert "what was sent then arrives twice" in asked.text
    assert 'name="word"' not in asked.text
    form = page(PATH).select_one("form:has(input[value=cancel])")
    soup = BeautifulSoup(post(client, form["action"], **fields_of(form)).text, "html.parser")
    fields = fields_of(soup.select_one("form[action='/ui/bulk/start']"))
    fields["reason"] = "They were sent."
    assert post(client, "/ui/bulk/start", **fields).status_code == 303
    job_steps.drain()
    assert {status_of(one) for one in restored} == {Status.CANCELLED}


def test_the_log_shows_just_what_the_restore_holds(page, accept):
    accept(subject="of today")
    link = page(PATH).select_one("[aria-labelledby=held-title] tbody a")["href"]
    asked = dict(parse_qsl(link.partition("?")[2]))
    assert asked == {"restore": str(of_a().id), "status": "held", "stream": "transactional"}
    soup = page(link)
    assert "of today" not in soup.text
    assert soup.select_one("input[type=hidden][name=restore]")["value"] == asked["restore"]
    assert "restore" in words_of(soup.select_one("#log")).lower()


def test_who_may_only_look_sees_the_plan_without_buttons(restored, viewer_a, sign_in):
    soup = BeautifulSoup(sign_in(viewer_a).get(PATH).text, "html.parser")
    assert soup.select("main form") == []
    assert "for operators and admins" in words_of(soup)


def test_a_workspace_that_was_never_restored_is_told_so(admin_a, sign_in):
    soup = BeautifulSoup(sign_in(admin_a).get(PATH).text, "html.parser")
    assert "never restored" in words_of(soup.select_one("main"))
    assert Freeze.select().count() == 0
