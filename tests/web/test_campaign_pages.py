"""/ui/campaigns/<id>: sending one, one that goes on, its recipients and report; who may what."""

# ruff: noqa: F811 - fixtures are imported

from datetime import timedelta

import pytest

from maild import clock
from maild.domain.actor import Actor
from maild.domain.campaign import CampaignStatus, Variant
from maild.models import AuditEntry, Campaign, CampaignRecipient
from maild.services import (
    campaign_ledger,
    campaign_settings,
    campaigns,
    suppressions,
)
from maild.web import campaign_reports
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.campaigning import (
    again,
    make_campaign,
    make_contacts,
    messages_of,
    rows_of,
    send_some,
    step_until,
)
from tests.web.campaign_pages import (  # noqa: F401 - fixtures among them
    BY,
    PATH,
    begun,
    draft,
    follow,
    htmx,
    people,
    sending,
    soup_of,
    squeeze,
    template,
    toasts,
    typed,
    url,
)
from tests.web.conftest import HTMX

# --- Sending ----------------------------------------------------------------------------------


def test_the_page_before_tells_in_numbers_what_will_happen(page, draft):
    suppressions.add(WORKSPACE_A, "ann2@example.net", reason="r", source="console", by=BY)
    told = squeeze(page(url(draft, "/send")).select_one("#now"))
    assert "3 contacts, 1 of them cannot be mailed now; it begins at once" in told


def test_a_draft_is_sent_now(client, post, draft):
    follow(post(client, url(draft, "/schedule"), version=str(draft.version), begins="now"))
    row = again(draft)
    assert row.status is CampaignStatus.SCHEDULED
    assert step_until(row, CampaignStatus.SENDING).audience_count == 3


def test_what_has_a_time_waits_for_it_and_comes_off_the_schedule(client, post, typed, draft):
    fields = {
        **typed, "begins": "at", "send_at": "2026-12-20T09:30", "time_zone": "Europe/Vienna",
        "version": str(draft.version),
    }  # fmt: skip
    follow(post(client, url(draft, "/edit"), **fields))
    before = soup_of(client.get(url(draft, "/send")))
    assert "20 December 2026 at 09:30 in Europe/Vienna (UTC+01:00)" in squeeze(before)
    version = before.select_one("[name=version]")["value"]
    follow(post(client, url(draft, "/schedule"), version=version, begins="at"))
    page = soup_of(client.get(url(draft)))
    assert "It begins on 20 December 2026" in squeeze(page)
    version = str(again(draft).version)
    follow(post(client, url(draft, "/unschedule"), version=version))
    assert again(draft).status is CampaignStatus.DRAFT


def test_what_stops_it_is_told_and_nothing_is_scheduled(client, post, draft):
    campaigns.change(WORKSPACE_A, draft.id, {"template_id": None}, by=BY)
    page = soup_of(client.get(url(draft, "/send")))
    assert page.select_one("#schedule[aria-disabled]")
    version = str(again(draft).version)
    answer = post(client, url(draft, "/schedule"), version=version, begins="now")
    assert "It cannot be sent" in squeeze(soup_of(answer, 409))


def test_an_old_page_schedules_nothing(client, post, draft):
    campaigns.change(WORKSPACE_A, draft.id, {"name": "Theirs"}, by=BY)
    answer = post(client, url(draft, "/schedule"), version=str(draft.version), begins="now")
    assert "Somebody has changed" in squeeze(soup_of(answer, 409))
    assert post(client, url(draft, "/schedule"), version="x", begins="now").status_code == 409
    assert again(draft).status is CampaignStatus.DRAFT


def test_a_second_person_approves(client, post, draft, operator_a, sign_in):
    campaign_settings.save(WORKSPACE_A, needs_second_person=True, by=BY)
    page = soup_of(client.get(url(draft, "/send")))
    assert "second person" in squeeze(page.select_one("#schedule-reason"))
    follow(post(client, url(draft, "/submit"), version=str(draft.version)))
    page = soup_of(client.get(url(draft)))
    assert "somebody else has to approve" in page.select_one("#approve-reason").text
    version = str(again(draft).version)
    assert post(client, url(draft, "/approve"), version=version).status_code == 409
    other = sign_in(operator_a)
    assert "Approve it" in other.get(url(draft, "/send")).text
    follow(post(other, url(draft, "/approve"), version=version))
    assert again(draft).status is CampaignStatus.SCHEDULED


def test_what_was_submitted_is_sent_back(client, post, draft):
    follow(post(client, url(draft, "/submit"), version=str(draft.version)))
    version = str(again(draft).version)
    follow(post(client, url(draft, "/send-back"), version=version, reason="A typo"))
    assert again(draft).status is CampaignStatus.DRAFT
    assert "A typo" in client.get(url(draft)).text


def test_a_draft_is_deleted_and_a_campaign_copied(client, post, draft):
    where = follow(post(client, url(draft, "/copy")))
    copy = Campaign.get(Campaign.name == "Spring (copy)")
    assert where == url(copy, "/edit")
    assert follow(post(client, url(draft, "/delete"), version=str(draft.version))) == PATH
    assert Campaign.get_or_none(Campaign.id == draft.id) is None


# --- A campaign that goes on ------------------------------------------------------------------


def test_its_page_adds_up_and_looks_again(client, partial, sending):
    send_some(messages_of(sending)[:1], "delivered")
    page = soup_of(client.get(url(sending)))
    assert "2 + 0 + 1 + 0 + 0 + 0 + 0 + 0 = 3, all of its audience" in squeeze(
        page.select_one("#sum")
    )
    live = page.select_one("#live")
    assert live["hx-trigger"] == "every 2s"
    assert client.get(live["hx-get"], headers=HTMX).status_code == 204
    send_some(messages_of(sending)[1:2], "sent")
    part = partial(live["hx-get"])
    assert "1 + 1 + 1" in squeeze(part.select_one("#sum"))
    assert part.select_one("#campaign-actions") is None


def test_the_larger_the_ledger_the_less_often_it_is_counted(client, sending):
    def trigger():
        return soup_of(client.get(url(sending))).select_one("#live")["hx-trigger"]

    Campaign.update(audience_count=1_000_000).execute()
    assert trigger() == "every 20s"
    Campaign.update(audience_count=2_000_000_000).execute()
    assert trigger() == "every 60s"


def test_a_ledger_that_cannot_be_counted_in_time(client, sending, monkeypatch):
    live = soup_of(client.get(url(sending))).select_one("#live")
    send_some(messages_of(sending)[:1], "sent")
    slow = campaign_ledger._FIGURES.replace("WHERE c.id", "WHERE pg_sleep(9) IS NOT NULL AND c.id")
    monkeypatch.setattr(campaign_ledger, "_FIGURES", slow)
    monkeypatch.setattr(campaign_ledger, "COUNT_TIMEOUT_MS", 50)
    assert client.get(live["hx-get"], headers=HTMX).status_code == 204
    answer = client.get(url(sending))
    assert answer.status_code == 503
    assert "could not be counted in time" in answer.text


def test_a_report_does_without_what_takes_too_long(page, sending, monkeypatch):
    slow = campaign_ledger._BY_DOMAIN.replace("WHERE r.", "WHERE pg_sleep(9) IS NOT NULL AND r.")
    monkeypatch.setattr(campaign_ledger, "_BY_DOMAIN", slow)
    monkeypatch.setattr(campaign_ledger, "COUNT_TIMEOUT_MS", 100)
    report = page(url(sending, "/report"))
    assert "3 contacts in its audience" in squeeze(report)
    assert "Not counted in time" in squeeze(report)


def test_a_report_tells_the_most_frequent_reasons_alone(page, sending, monkeypatch):
    monkeypatch.setattr(campaign_reports, "REASONS_MAX", 1)
    for row, reason in zip(rows_of(sending), ("bad", "bad", "worse"), strict=True):
        CampaignRecipient.update(status="failed", reason=reason).where(
            CampaignRecipient.id == row.id
        ).execute()
    told = [squeeze(one) for one in page(url(sending, "/report")).select(".reasons li")]
    assert told == ["2 bad", "1 for other reasons"]


def test_each_figure_leads_to_the_list_behind_it(page, sending):
    send_some(messages_of(sending)[:1], "delivered")
    links = {a["href"]: a.text for a in page(url(sending)).select(".figures a")}
    for status, count in (("queued", 2), ("delivered", 1), ("failed", 0)):
        where = url(sending, f"/recipients?status={status}")
        assert links[where] == str(count)
        assert len(page(where).select("tbody tr")) == count


@pytest.mark.parametrize("with_htmx", [False, True])
def test_pause_resume_and_cancel(client, post, partial, sending, with_htmx):
    def act(verb, **fields):
        if not with_htmx:
            assert follow(post(client, url(sending, verb), **fields)) == url(sending)
            return
        answer = htmx(client, post, url(sending, verb), **fields)
        assert answer.headers["HX-Redirect"] == url(sending)

    live = soup_of(client.get(url(sending))).select_one("#live")["hx-get"]
    act("/pause", reason="A typo")
    part = partial(live)
    assert "paused" in part.select_one("#campaign-news").text
    assert part.select_one("#campaign-actions #resume")
    assert "3 messages are held" in toasts(client)
    assert "A typo" in client.get(url(sending)).text
    act("/resume")
    assert again(sending).status is CampaignStatus.SENDING
    act("/cancel")
    assert again(sending).status is CampaignStatus.CANCELLED
    assert "3 messages are withdrawn" in toasts(client)
    CampaignRecipient.update(status="queued").where(
        CampaignRecipient.campaign == sending.id
    ).execute()
    assert "The queued ones are being withdrawn." in client.get(url(sending)).text
    act("/pause")
    assert again(sending).status is CampaignStatus.CANCELLED


def test_no_button_is_taken_for_the_one_that_cancels(client, sending):
    page = soup_of(client.get(url(sending)))
    said = {
        name: [squeeze(one) for one in page.select(f"#{name} .actions button")]
        for name in ("cancel", "pause")
    }
    assert said == {"cancel": ["Cancel the campaign", "Keep it"], "pause": ["Pause it", "Cancel"]}


def test_a_reason_of_two_lines_pauses_nothing(client, post, sending):
    follow(post(client, url(sending, "/pause"), reason="a\r\nb"))
    assert again(sending).status is CampaignStatus.SENDING


def test_a_test_that_is_paused_is_not_decided_by_the_clock(client, begun):
    Campaign.update(decide_at=clock.now(), paused_from="sending", status="paused").where(
        Campaign.id == begun.id
    ).execute()
    told = squeeze(soup_of(client.get(url(begun))).main)
    assert "It is decided 1 h after the campaign goes on" in told


def test_the_wait_for_a_test_is_part_of_what_is_left(client, begun):
    assert "About 60 minutes are left." in squeeze(soup_of(client.get(url(begun))).main)
    decide_at = clock.now() + timedelta(minutes=20)
    Campaign.update(decide_at=decide_at, per_hour=60).where(Campaign.id == begun.id).execute()
    minutes = 20 + campaign_ledger.figures(again(begun)).waiting_count
    told = squeeze(soup_of(client.get(url(begun))).main)
    assert f"About {minutes} minutes are left." in told


def test_a_subject_is_chosen(client, post, begun):
    page = soup_of(client.get(url(begun)))
    assert page.select_one("#winner-b")
    follow(post(client, url(begun, "/winner"), winner="b"))
    assert again(begun).winner is Variant.B
    page = soup_of(client.get(url(begun)))
    assert "Subject B it is" in squeeze(page.select_one("#test"))
    assert page.select_one("#winner-a") is None
    assert post(client, url(begun, "/winner"), winner="c").status_code == 400


def test_the_timeline_tells_who_did_what(client, post, draft):
    campaigns.change(WORKSPACE_A, draft.id, {"name": "Summer"}, by=Actor("bob"))
    page = soup_of(client.get(url(draft)))
    steps = [squeeze(li) for li in page.select(".campaign-steps > li")]
    assert steps[0].startswith("bob changed a campaign")
    assert "name: Spring → Summer" in steps[0]
    assert steps[1].startswith("ann@a.example made a campaign")


# --- Recipients and the report ----------------------------------------------------------------


def did(row, **deeds):
    CampaignRecipient.update(**deeds).where(CampaignRecipient.id == row).execute()


def test_recipients_are_filtered_and_lead_to_message_and_contact(page, partial, sending):
    first = CampaignRecipient.select().order_by(CampaignRecipient.id).first()
    did(first.id, status="failed", reason="contact_deleted", opened_at=first.updated_at)
    where = url(sending, "/recipients")
    assert len(page(where).select("tbody tr")) == 3
    for query in ("status=failed", "reason=contact_deleted", "did=opened"):
        [row] = partial(f"{where}?{query}").select("tbody tr")
        assert "contact deleted" in squeeze(row)
    links = [a["href"] for a in row.select("a")]
    assert links == [
        f"/ui/audience/contacts/{first.contact_id}",
        f"/ui/messages/{first.message_id}",
    ]


@pytest.mark.parametrize("query", ["status=x", "variant=c", "did=danced", "reason=%00"])
def test_a_filter_that_makes_no_sense_is_told(page, sending, query):
    assert "The filter cannot be used" in page(url(sending, f"/recipients?{query}")).text


def test_recipients_go_on(page, database):
    make_contacts(60)
    row = step_until(make_campaign(), CampaignStatus.SENDING)
    first = page(url(row, "/recipients"))
    assert len(first.select("tbody tr")) == 50
    assert len(page(first.select_one("[rel=next]")["href"]).select("tbody tr")) == 10
    page(url(row, "/recipients?after=x"), status=400)


def test_recipients_are_exported_and_that_is_audited(client, post, sending):
    answer = post(client, url(sending, "/recipients/export"), status="queued")
    assert answer.headers["Content-Disposition"].endswith(f'"campaign-{sending.id}.csv"')
    assert len(answer.text.splitlines()) == 4
    entry = AuditEntry.get(AuditEntry.action == "campaign.recipients_exported")
    assert entry.after == {"filter": "status=queued"}
    assert post(client, url(sending, "/recipients/export"), status="x").status_code == 422


def test_the_report_has_rates_with_counts_and_reasons(page, sending):
    messages = messages_of(sending)
    send_some(messages[:2], "delivered")
    send_some(messages[2:], "failed")
    row = CampaignRecipient.get(CampaignRecipient.message_id == messages[0].id)
    did(row.id, opened_at=row.updated_at)
    told = page(url(sending, "/report"))
    figures = [" ".join(one.stripped_strings) for one in told.select(".figures > div")]
    assert "Delivered 2 100 % of what went out" in figures
    assert "Opened 1 50.0 % of those reached" in figures
    assert "programs that load none are missed" in squeeze(told)
    assert "example.net" in squeeze(told.select_one("[aria-labelledby=domains-title]"))
    assert "failed" in squeeze(told.select_one("[aria-labelledby=reasons-title]"))


def test_the_report_tells_of_both_subjects(page, begun):
    told = squeeze(page(url(begun, "/report")).select_one("[aria-labelledby=parts-title]"))
    assert "A: First" in told
    assert "B: Second" in told
    assert "The others" in told


def test_a_draft_has_nothing_to_report(page, draft):
    assert "Nothing to tell yet" in page(url(draft, "/report")).text
    assert "Nobody yet" in page(url(draft, "/recipients")).text


def test_a_contacts_page_lists_its_campaigns(page, sending):
    row = CampaignRecipient.get()
    [campaign] = page(f"/ui/audience/contacts/{row.contact_id}").select(
        "[aria-labelledby=campaigns-title] tbody tr"
    )
    assert campaign.select_one("a")["href"] == url(sending)
    assert "queued" in squeeze(campaign)


# --- Settings, and who may what ---------------------------------------------------------------


def test_an_admin_asks_for_a_second_person(client, post):
    follow(post(client, f"{PATH}/settings", version="0", needs_second_person="yes"))
    assert campaign_settings.get(WORKSPACE_A).needs_second_person
    answer = post(client, f"{PATH}/settings", version="0")
    assert "Somebody has changed" in squeeze(soup_of(answer, 409))


def test_an_operator_sees_the_settings_locked(operator_a, sign_in, post):
    other = sign_in(operator_a)
    page = soup_of(other.get(f"{PATH}/settings"))
    assert page.select_one("#save-settings[aria-disabled]")
    assert post(other, f"{PATH}/settings", needs_second_person="yes").status_code == 403


VERBS = (
    "schedule", "submit", "approve", "send-back", "unschedule", "pause", "resume", "cancel",
    "winner", "copy", "delete", "edit", "test",
)  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_a_viewer_does_nothing(viewer_a, sign_in, post, draft, verb):
    viewer = sign_in(viewer_a)
    assert post(viewer, url(draft, f"/{verb}"), winner="a").status_code == 403
    assert again(draft).version == draft.version


def test_a_viewer_sees_all_and_why_it_is_locked(viewer_a, sign_in, draft, sending):
    viewer = sign_in(viewer_a)
    for path in (PATH, url(draft), url(draft, "/send"), url(draft, "/test"), url(sending)):
        page = soup_of(viewer.get(path))
        assert page.select_one("[aria-disabled]"), path
    assert viewer.get(url(sending, "/report")).status_code == 200
    assert viewer.get(f"{PATH}/new").status_code == 403


@pytest.mark.parametrize("verb", VERBS)
def test_nobody_touches_what_is_of_another_workspace(admin_b, sign_in, post, draft, verb):
    other = sign_in(admin_b)
    answer = post(other, url(draft, f"/{verb}"), workspace_id=WORKSPACE_B, winner="a", to="x")
    assert answer.status_code == 404
    assert again(draft).version == draft.version


@pytest.mark.parametrize("rest", ["", "/edit", "/send", "/test", "/report", "/recipients"])
def test_what_is_not_there_is_not_found(client, draft, rest):
    assert client.get(f"{PATH}/{2**31}{rest}").status_code == 404
    assert client.get(f"{PATH}/{2**31 - 1}{rest}").status_code == 404


def test_without_the_token_nothing_happens(client, draft):
    assert (
        client.post(
            url(draft, "/schedule"), data={"begins": "now", "workspace_id": str(WORKSPACE_A)}
        ).status_code
        == 400
    )
    assert again(draft).status is CampaignStatus.DRAFT


def test_who_is_not_signed_in_is_asked_to(anonymous, draft):
    assert follow(anonymous.get(url(draft), follow_redirects=False)).startswith("/login")
