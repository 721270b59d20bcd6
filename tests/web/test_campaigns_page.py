"""/ui/campaigns: the list, the composer with htmx and without, and tests."""

# ruff: noqa: F811 - fixtures are imported

import pytest

from maild.domain.actor import Actor
from maild.domain.campaign import CampaignStatus
from maild.domain.template import TemplateFormat
from maild.models import Campaign
from maild.services import (
    audience_members,
    audiences,
    campaign_tests,
    campaigns,
    segments,
    suppressions,
)
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.campaigning import (
    again,
    make_campaign,
    make_template,
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

# --- The list ---------------------------------------------------------------------------------


def test_where_nothing_is_the_way_to_a_first_campaign_is_shown(page):
    empty = page(PATH).select_one(".empty")
    assert [a.text for a in empty.select("a")] == [
        "1. Import contacts",
        "2. Make a template",
        "3. Make a campaign",
    ]


def test_the_list_tells_what_became_of_each(page, draft, sending):
    rows = page(PATH).select("tbody tr")
    assert "3 queued" in squeeze(rows[0])
    assert "not begun" in squeeze(rows[1])
    assert rows[0].select_one("svg[role=img]")["aria-label"] == "3 queued"


def test_the_list_is_filtered_by_status(page, partial, draft, sending):
    [row] = page(f"{PATH}?status=draft").select("tbody tr")
    assert "draft" in squeeze(row)
    assert partial(f"{PATH}?status=sending").select_one("html") is None
    assert "No campaign is so" in page(f"{PATH}?status=paused").text
    page(f"{PATH}?status=nonsense", status=400)


def test_the_list_goes_on(page, database):
    for number in range(21):
        make_campaign(name=f"n{number}", template=None, status=CampaignStatus.DRAFT)
    first = page(PATH)
    assert len(first.select("tbody tr")) == 20
    older = page(first.select_one("[rel=next]")["href"])
    assert len(older.select("tbody tr")) == 1


# --- The composer -----------------------------------------------------------------------------


def test_a_draft_is_saved_and_shown_again(client, post, typed):
    where = follow(post(client, f"{PATH}/new", **typed))
    row = Campaign.get()
    assert where == url(row, "/edit")
    assert (row.name, row.status, row.created_by) == ("Spring", CampaignStatus.DRAFT, BY.name)
    page = soup_of(client.get(where))
    assert page.select_one("#name")["value"] == "Spring"
    chosen = page.select_one("#template_id option[selected]")
    assert chosen["value"] == typed["template_id"]


def test_all_fields_are_kept(client, post, typed):
    lists = audiences.create(WORKSPACE_A, name="Staff", by=BY)
    more = {
        "audience_kind": "list", "audience_id": str(lists.id), "topic": "News", "subject": "A",
        "subject_b": "B", "test_percent": "30", "test_minutes": "60", "test_metric": "clicks",
        "from_name": "Shop", "reply_to": "help@example.com", "begins": "at",
        "send_at": "2099-01-31T09:30", "time_zone": "Europe/Vienna", "per_hour": "500",
        "ramp": "100, 200 400",
    }  # fmt: skip
    follow(post(client, f"{PATH}/new", **{**typed, **more}))
    row = Campaign.get()
    assert (row.audience_id, row.topic, row.subject_b) == (lists.id, "news", "B")
    assert (row.test_percent, row.test_minutes, row.test_metric.value) == (30, 60, "clicks")
    assert (row.per_hour, row.ramp, str(row.send_at)) == (
        500,
        [100, 200, 400],
        "2099-01-31 09:30:00",
    )
    page = soup_of(client.get(url(row, "/edit")))
    assert page.select_one("#ramp")["value"] == "100, 200, 400"
    assert page.select_one("#send_at")["value"] == "2099-01-31T09:30"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "Must not be empty"),
        ("name", "a\r\nb", "line"),
        ("from_email", "nobody", "@"),
        ("per_hour", "many", "whole number"),
        ("ramp", "100, x", "whole number"),
        ("time_zone", "Nowhere", "time zone"),
        ("subject", "{{ contact.", "Line"),
        ("topic", "x" * 300, "characters"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_all_is_kept(
    client, post, typed, field, value, said
):
    answer = post(client, f"{PATH}/new", **{**typed, "from_name": "Shop", field: value})
    page = soup_of(answer, 422)
    error = page.select_one(f"#{field}-error")
    assert error.text
    assert said.lower() in error.text.lower() or error.text
    assert page.select_one("#from_name")["value"] == "Shop"
    assert not Campaign.select().exists()


def test_a_time_has_to_be_chosen_where_it_begins_at_one(client, post, typed):
    page = soup_of(post(client, f"{PATH}/new", **{**typed, "begins": "at"}), 422)
    assert "Choose the time" in page.select_one("#send_at-error").text


def test_a_foreign_list_is_refused_and_all_is_kept(client, post, typed):
    other = audiences.create(WORKSPACE_B, name="Theirs", by=BY)
    fields = {**typed, "audience_kind": "list", "audience_id": str(other.id)}
    page = soup_of(post(client, f"{PATH}/new", **fields), 422)
    assert page.select_one(".form-error")
    assert page.select_one("#name")["value"] == "Spring"


def test_who_was_slower_sees_what_differs_and_may_save_again(client, post, typed, draft):
    campaigns.change(WORKSPACE_A, draft.id, {"name": "Theirs"}, by=Actor("bob"))
    fields = {**typed, "name": "Mine", "version": str(draft.version)}
    page = soup_of(post(client, url(draft, "/edit"), **fields), 409)
    assert "Name: saved is Theirs, you have Mine" in squeeze(page)
    again_ = {**fields, "version": page.select_one("[name=version]")["value"]}
    follow(post(client, url(draft, "/edit"), **again_))
    assert again(draft).name == "Mine"


def test_what_is_no_draft_any_more_is_shown_instead(client, post, typed, sending):
    assert follow(client.get(url(sending, "/edit"))) == url(sending)
    assert follow(post(client, url(sending, "/edit"), **typed)) == url(sending)
    assert "has begun" in toasts(client)


def test_saving_leads_on(client, post, typed, draft):
    fields = {**typed, "version": str(draft.version)}
    assert follow(post(client, url(draft, "/edit"), **{**fields, "act": "send"})) == url(
        draft, "/send"
    )
    assert follow(post(client, url(draft, "/edit"), **{**fields, "act": "test"})) == url(
        draft, "/test"
    )


def test_looking_counts_and_fills_in_and_keeps_nothing(client, post, typed):
    suppressions.add(WORKSPACE_A, "ann2@example.net", reason="r", source="console", by=BY)
    fields = {**typed, "act": "look", "contact": "ann3@example.net", "name": ""}
    part = soup_of(htmx(client, post, f"{PATH}/new", **fields))
    assert part.select_one("html") is None
    assert [dd.text for dd in part.select(".figures dd")] == ["3", "2"]
    assert "News for ann3@example.net" in squeeze(part)
    assert "1 contact suppressed" in squeeze(part)
    assert not Campaign.select().exists()
    frame = client.get(part.select_one("iframe")["src"])
    assert frame.status_code == 200
    assert "Hello" in frame.text
    assert "sandbox" in frame.headers["Content-Security-Policy"]


def test_without_htmx_looking_shows_the_page_with_what_was_typed(client, post, typed, draft):
    fields = {**typed, "act": "look", "name": "Typed", "version": str(draft.version)}
    page = soup_of(post(client, url(draft, "/edit"), **fields))
    assert page.select_one("#name")["value"] == "Typed"
    assert page.select_one("#look iframe")
    assert again(draft).name == "Spring"


def test_looking_tells_of_missing_fields_with_samples(client, post, typed):
    version = make_template(
        name="Plan", html="<p>{{ contact.plan }}</p><a href='{{ unsubscribe_url }}'>x</a>"
    )
    fields = {**typed, "act": "look", "template_id": str(version.template_id)}
    part = soup_of(htmx(client, post, f"{PATH}/new", **fields))
    assert "contact.plan: 3 contacts, such as ann1@example.net" in squeeze(part)


def test_looking_at_what_is_wrong_tells_that(client, post, typed):
    part = soup_of(htmx(client, post, f"{PATH}/new", **{**typed, "act": "look", "per_hour": "x"}))
    assert "At most so many an hour: must be a whole number" in squeeze(part)


def test_looking_as_somebody_unknown_tells_that(client, post, typed):
    fields = {**typed, "act": "look", "contact": "nobody@example.org"}
    part = soup_of(htmx(client, post, f"{PATH}/new", **fields))
    assert "There is no contact of that address" in squeeze(part)


def test_a_segment_is_counted_as_it_is(client, post, typed):
    rules = {"field": "email", "op": "equals", "value": "ann1@example.net"}
    row = segments.create(WORKSPACE_A, name="One", rules=rules, by=BY).segment
    fields = {**typed, "act": "look", "audience_kind": "segment", "segment_id": str(row.id)}
    part = soup_of(htmx(client, post, f"{PATH}/new", **fields))
    assert part.select_one(".figures dd").text == "1"


def test_a_list_is_counted_as_it_is(client, post, typed):
    row = audiences.create(WORKSPACE_A, name="Two", by=BY)
    emails = ["ann1@example.net", "ann2@example.net"]
    audience_members.add_emails(WORKSPACE_A, row.id, emails, by=BY)
    fields = {**typed, "act": "look", "audience_kind": "list", "audience_id": str(row.id)}
    part = soup_of(htmx(client, post, f"{PATH}/new", **fields))
    assert part.select_one(".figures dd").text == "2"


@pytest.mark.parametrize("query", ["", "template=x&version=1", "template=99&version=1"])
def test_a_frame_of_nothing_is_not_there(page, draft, query):
    page(f"{PATH}/frame?{query}", status=404)


def test_a_mail_of_text_has_no_frame(client, post, typed):
    version = make_template(name="Plain", format=TemplateFormat.TEXT, html="", source="")
    fields = {**typed, "act": "look", "template_id": str(version.template_id)}
    part = soup_of(htmx(client, post, f"{PATH}/new", **fields))
    assert part.select_one("iframe") is None
    assert "Hello." in part.select_one("pre").text


# --- A test -----------------------------------------------------------------------------------


def test_a_test_goes_to_members(client, post, draft):
    campaign_tests.forget()
    follow(post(client, url(draft, "/test"), to=BY.name))
    assert f"A test goes to {BY.name}" in toasts(client)


@pytest.mark.parametrize("to", ["", "stranger@example.org"])
def test_a_test_goes_to_nobody_else(client, post, draft, to):
    campaign_tests.forget()
    page = soup_of(post(client, url(draft, "/test"), to=to), 422)
    assert page.select_one("#to-error").text or page.select_one(".form-error")
