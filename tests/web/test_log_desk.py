"""The log as a place to work: filters as chips, choosing, a file, and the drawer."""

import csv
import io
import json
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup

from maild import clock
from maild.domain import bundle_check
from maild.domain.actor import SYSTEM
from maild.domain.mime import Attachment
from maild.domain.states import Status, Stream
from maild.models import AuditEntry, Message
from maild.services import webhook_endpoints
from maild.web.messages import REPORT_SOON
from tests.counting import count_statements

HTMX = {"HX-Request": "true"}


def soup_of(response):
    return BeautifulSoup(response.text, "html.parser")


def test_each_filter_in_use_is_a_chip_that_takes_it_away(page):
    soup = page("/ui/logs?status=failed&range=24h&q=parcel&since=2026-01-01T10:00")
    chips = {" ".join(chip.text.split()): chip["href"] for chip in soup.select(".chip")}
    assert list(chips) == [
        "Search: parcel (take this filter away)",
        "Status: failed (take this filter away)",
        "Time: Last 24 hours (take this filter away)",
        "Since: 2026-01-01 10:00 UTC (take this filter away)",
    ]
    assert chips["Status: failed (take this filter away)"] == (
        "/ui/logs?q=parcel&range=24h&since=2026-01-01T10%3A00"
    )
    assert not page("/ui/logs").select(".chip")


def test_the_chips_come_with_the_list_for_htmx(partial):
    assert partial("/ui/logs?tag=x").select_one("#log .chip")


def test_the_words_of_the_subject_are_a_filter(page, accept, age):
    one, other = accept(subject="Your red parcel"), accept(subject="Your blue parcel")
    age(one, other)
    rows = page("/ui/logs?subject=red+parcel").select("tr.message")
    assert [row["id"] for row in rows] == [f"message-{one.id}"]


def test_messages_can_be_chosen_and_sent_on_to_be_looked_at(client, page, accept, age):
    message = accept()
    age(message)
    soup = page("/ui/logs?status=queued")
    form = soup.select_one("#chosen")
    box = soup.select_one("tr.message input[name=id]")
    assert (box["value"], box["form"]) == (str(message.id), "chosen")
    fields = {field["name"]: field.get("value", "") for field in form.select("input")}
    assert fields["query"] == "status=queued"
    assert [button["value"] for button in form.select("button[name=action]")] == [
        "retry", "cancel", "hold", "release", "suppress",
    ]  # fmt: skip
    for selection, more in (("ids", {"id": str(message.id)}), ("matching", {})):
        data = {**fields, "selection": selection, "action": "hold", **more}
        answer = client.post(form["action"], data=data)
        assert answer.status_code == 200
        assert "Hold 1 message" in answer.text


def test_a_viewer_chooses_none_and_an_operator_suppresses_none(
    sign_in, viewer_a, operator_a, accept, age
):
    age(accept())
    soup = soup_of(sign_in(viewer_a).get("/ui/logs"))
    assert not soup.select("#chosen, tr.message input[name=id]")
    assert "You are a viewer here" in soup.select_one(".choose").text
    soup = soup_of(sign_in(operator_a).get("/ui/logs"))
    assert soup.select("tr.message input[name=id]")
    assert "suppress" not in [b.get("value") for b in soup.select("#chosen button[name=action]")]
    assert "Only an admin" in soup.select_one("#chosen").text


def test_new_rows_of_the_live_end_can_be_chosen_too(page, partial, accept, age):
    url = page("/ui/logs").select_one("#live")["hx-get"]
    age(accept(), seconds=1)
    assert partial(url).select("tr.message input[name=id]")


# The file


def test_it_exports_what_the_filter_finds(client, post, accept):
    accept(subject="Other", stream=Stream.MARKETING)
    message = accept(subject="=1+1")
    answer = post(client, "/ui/logs/export", query="stream=transactional")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/csv")
    assert 'filename="messages-2' in answer.headers["Content-Disposition"]
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert (row["id"], row["subject"]) == (str(message.id), "'=1+1")
    entry = AuditEntry.get()
    assert (entry.action, entry.after) == ("messages.exported", {"filter": "stream=transactional"})


def test_the_form_says_how_many_at_most_and_what_is_kept(page):
    form = page("/ui/logs?tag=x").select_one("#export-log form")
    assert form.select_one("[name=query]")["value"] == "tag=x"
    assert "100,000 at most" in form.text
    assert "audit log" in form.text


def test_a_filter_that_cannot_be_used_is_no_file(client, post):
    answer = post(client, "/ui/logs/export", query="status=bogus")
    assert answer.status_code == 422
    assert not AuditEntry.select().count()


def test_a_viewer_may_export(sign_in, viewer_a, post, accept):
    accept()
    assert post(sign_in(viewer_a), "/ui/logs/export", query="").status_code == 200


# The drawer, and what belongs to a message


def test_htmx_gets_the_drawer_and_a_poll_the_story(page, partial, accept, age):
    message = accept(subject="Parcel", body_text="Hello Ann.")
    age(message)
    link = page("/ui/logs").select_one("a.row-link")
    assert link["href"] == link["hx-get"] == f"/ui/messages/{message.id}"
    assert (link["hx-target"], link["hx-swap"]) == ("#drawer", "innerHTML")
    soup = partial(link["hx-get"])
    [drawer] = soup.find_all(recursive=False)
    assert drawer["class"] == ["drawer"]
    assert soup.select_one("#drawer-title").text == "Parcel"
    for part in ("#story", "#facts", "#content", ".why", ".timeline", "#act-hold"):
        assert soup.select_one(part), part
    assert soup.select_one(f'a[href="/ui/messages/{message.id}"]').text == "Open the page"


def test_whoever_acts_in_the_drawer_goes_on_where_it_lies(client, accept):
    message = accept()
    headers = {**HTMX, "HX-Current-URL": "http://localhost/ui/logs?status=queued"}
    soup = soup_of(client.get(f"/ui/messages/{message.id}", headers=headers))
    assert soup.select_one("#act-hold [name=back]")["value"] == "/ui/logs?status=queued"


def test_what_was_sent_waits_for_its_report_for_a_while(page, client, accept, move):
    message = accept()
    move(message, Status.SENT)
    story = page(f"/ui/messages/{message.id}").select_one("#story")
    assert story["hx-trigger"] == "every 2s"
    type(message).update(updated_at=clock.now() - REPORT_SOON).execute()
    story = page(f"/ui/messages/{message.id}").select_one("#story")
    assert story["hx-trigger"] == "every 10s"
    assert client.get(story["hx-get"], headers=HTMX).status_code == 204
    move_on = {"status": Status.DELIVERED}
    type(message).update(**move_on).where(type(message).id == message.id).execute()
    type(message).update(updated_at="2030-01-01").where(type(message).id == message.id).execute()
    answer = client.get(story["hx-get"], headers=HTMX)
    assert "delivered" in answer.text
    assert not soup_of(answer).select_one("#story").has_attr("hx-get")


def test_after_an_hour_it_waits_only_where_a_provider_reports(page, client, accept, move):
    message, now = accept(), clock.now()
    move(message, Status.SENT)
    Message.update(updated_at=now - timedelta(hours=2), smtp_account_name="default").execute()
    path = f"/ui/messages/{message.id}"
    assert not page(path).select_one("#story").has_attr("hx-get")
    webhook_endpoints.add(1, provider="dsn", smtp_account="default", by=SYSTEM)
    story = page(path).select_one("#story")
    assert story["hx-trigger"] == "every 60s"
    assert client.get(story["hx-get"], headers=HTMX).status_code == 204
    Message.update(updated_at=now - timedelta(hours=7)).execute()
    assert not page(path).select_one("#story").has_attr("hx-get")


def test_what_was_sent_long_ago_does_not(page, accept, move):
    message = accept()
    move(message, Status.SENT)
    type(message).update(updated_at="2020-01-01").execute()
    assert not page(f"/ui/messages/{message.id}").select_one("#story").has_attr("hx-get")


def test_it_shows_the_header_fields_as_on_the_wire(page, accept):
    message = accept(subject="Grüße", attachments=(Attachment("a.txt", "text/plain", b"x"),))
    head = page(f"/ui/messages/{message.id}").select_one("pre.wire").text
    assert "Subject: =?utf-8?" in head
    assert f"Message-ID: {message.message_id_header}" in head
    assert "Content-Type: multipart/mixed" in head


def test_the_raw_mail_is_a_file(client, accept):
    message = accept(subject="Parcel")
    answer = client.get(f"/ui/messages/{message.id}/raw")
    assert answer.mimetype == "message/rfc822"
    assert f'"message-{message.id}.eml"' in answer.headers["Content-Disposition"]
    assert b"Subject: Parcel\r\n" in answer.data


def test_the_bundle_is_a_file(client, accept):
    message = accept()
    answer = client.get(f"/ui/messages/{message.id}/bundle")
    assert answer.mimetype == "application/json"
    assert f'"message-{message.id}.json"' in answer.headers["Content-Disposition"]
    assert json.loads(answer.text)["message"]["id"] == str(message.id)


def test_the_bundle_is_a_zip_file_for_people(client, page, accept):
    message = accept()
    links = [a["href"] for a in page(f"/ui/messages/{message.id}").select(".downloads a")]
    answer = client.get(links[-1])
    assert answer.mimetype == "application/zip"
    assert f'"message-{message.id}.zip"' in answer.headers["Content-Disposition"]
    assert bundle_check.check(answer.data).is_genuine


@pytest.mark.parametrize(
    ("path", "most"), [("/ui/logs", 10), ("/ui/logs?status=queued", 10), ("tail", 8), ("page", 16)]
)
def test_it_asks_so_often_at_most(client, page, accept, age, path, most):
    messages = [accept() for _ in range(30)]
    if path == "tail":
        path = page("/ui/logs").select_one("#live")["hx-get"]
    elif path == "page":
        path = f"/ui/messages/{messages[0].id}"
    age(*messages)
    client.get(path)
    assert count_statements(lambda: client.get(path)) <= most
