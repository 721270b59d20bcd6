"""/ui/webhooks: what providers have reported, dead letters first."""

import json

import peewee
import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import Actor
from maild.domain.provider_event import ReportStatus
from maild.domain.role import Role
from maild.models import AuditEntry, ProviderEvent, WebhookPayload
from maild.services import dead_letter_lists, dead_letters, message_log, provider_events
from maild.transports.webhooks import generic
from maild.web import dead_letters as pages
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.helpers import at_once
from tests.services.reporting import about, report, send_all, status_of, suppressed

PATH = "/ui/webhooks"
EVE = Actor("Eve")
UNKNOWN = {"type": "returned_to_sender", "email": "ann@example.org", "event_id": "1"}
SPAM = {"type": "spam", "email": "ann@example.org"}


@pytest.fixture
def mended(monkeypatch):
    """Call, and the parser knows the new kind of event: a hard bounce."""

    def mend() -> None:
        meaning = generic._MEANINGS["hardbounce"]
        monkeypatch.setitem(generic._MEANINGS, "returnedtosender", meaning)

    return mend


def soup_of(client, path=PATH, **query):
    response = client.get(path, query_string=query)
    assert response.status_code == 200, response.text
    return BeautifulSoup(response.text, "html.parser")


def words_of(tag):
    return " ".join(" ".join(tag.stripped_strings).split())


def rows_of(client, **query):
    return [words_of(row) for row in soup_of(client, **query).select("#letters tbody tr")]


def toast_of(client):
    return words_of(soup_of(client, "/ui/settings/members").select_one("#toasts .toast"))


def one(event):
    return ProviderEvent.get_by_id(event.id)


def path_of(event, *more):
    return "/".join((PATH, str(event.id), *more))


# The list


def test_no_dead_letter_is_good_news_and_says_what_one_is(client):
    text = words_of(soup_of(client).select_one("#letters .empty"))
    assert "good news" in text
    assert "neither read nor apply" in text


def test_it_lists_dead_letters_with_what_matters(client):
    report(SPAM, UNKNOWN)
    [row] = rows_of(client)
    assert "dead letter" in row
    assert "not readable" in row
    assert "maild's own format" in row
    assert "ann@example.org" in row
    assert "'returned_to_sender' is not known" in row


def test_all_that_was_reported_about_an_address_is_one_click_away(client):
    report(SPAM, UNKNOWN, {**SPAM, "email": "bob@example.org"})
    link = soup_of(client).select_one("#letters tbody a.above")
    rows = BeautifulSoup(client.get(link["href"]).text, "html.parser").select("#letters tbody tr")
    assert sorted(words_of(row).split()[0] for row in rows) == ["applied", "dead"]
    [applied] = [words_of(row) for row in rows if "applied" in row.text]
    assert "suppressed after a complaint" in applied


def test_it_goes_through_pages(client, monkeypatch):
    monkeypatch.setattr(pages, "PAGE_ROWS", 2)
    report(*({**UNKNOWN, "event_id": str(n)} for n in range(3)))
    soup = soup_of(client)
    assert len(soup.select("#letters tbody tr")) == 2
    older = BeautifulSoup(client.get(soup.select_one("[rel=next]")["href"]).text, "html.parser")
    assert len(older.select("#letters tbody tr")) == 1
    assert older.select("[rel=next]") == []
    assert older.select_one("#letters").get("hx-get") is None  # only the newest page looks again


def test_a_value_that_makes_no_sense_is_told_at_its_field(client):
    report(UNKNOWN)
    response = client.get(f"{PATH}?state=dead&email=x")
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert "must be one of" in soup.select_one("#state-error").text
    assert "whole address" in soup.select_one("#email-error").text
    assert soup.select_one("#email")["value"] == "x"
    assert soup.select("#letters tbody tr") == []


def test_a_page_mark_that_maild_did_not_give_out_is_refused(client):
    assert client.get(f"{PATH}?older_than=x").status_code == 400


def test_a_search_that_takes_too_long_says_what_to_do(client, monkeypatch):
    report(UNKNOWN)
    monkeypatch.setattr(message_log, "SEARCH_TIMEOUT_MS", 1)
    quick = dead_letter_lists.conditions
    slowly = peewee.SQL("pg_sleep(2) IS NOT NULL")
    monkeypatch.setattr(dead_letter_lists, "conditions", lambda *asked: [*quick(*asked), slowly])
    text = words_of(soup_of(client).select_one("#letters"))
    assert "This search was cut off" in text
    assert "Narrow it" in text


def test_it_looks_again_and_hears_when_nothing_is_new(client):
    report(UNKNOWN)
    poll = soup_of(client).select_one("#letters")["hx-get"]
    assert client.get(poll, headers={"HX-Request": "true"}).status_code == 204
    report({**UNKNOWN, "event_id": "2"})
    response = client.get(poll, headers={"HX-Request": "true"})
    assert response.status_code == 200
    partial = BeautifulSoup(response.text, "html.parser")
    assert len(partial.select("#letters tbody tr")) == 2
    assert partial.select("html") == []


def test_a_page_is_as_many_statements_as_a_row(client):
    report(UNKNOWN)
    soup_of(client)
    few = count_statements(lambda: soup_of(client))
    report(*({**UNKNOWN, "event_id": str(n)} for n in range(2, 20)))
    assert count_statements(lambda: soup_of(client)) == few
    assert few <= 11  # who is there, the search in its transaction, endpoints, the bar


def test_several_are_chosen_for_a_preview_by_number_or_by_the_filter(client):
    dead, _ = report(UNKNOWN, SPAM)
    soup = soup_of(client, state="any", email="ann@example.org")
    [box] = soup.select("[name=id]")  # what is applied already is not to be replayed
    assert (box["value"], box["form"]) == (str(dead.id), "chosen-letters")
    forms = {
        name: {field["name"]: field["value"] for field in soup.select(f"#{name} input")}
        for name in ("chosen-letters", "matching-letters")
    }
    assert forms["chosen-letters"]["selection"] == "ids"
    assert forms["matching-letters"]["selection"] == "matching"
    assert forms["matching-letters"]["query"] == "state=any&email=ann%40example.org"
    for name, fields in forms.items():
        assert fields["noun"] == "dead_letters"
        buttons = soup.select(f"button[form={name}][name=action]")
        assert [button["value"] for button in buttons] == ["replay", "dismiss"]


# One of them


def test_its_page_tells_why_and_shows_what_came(client):
    [event] = report(UNKNOWN)
    soup = soup_of(client, path_of(event))
    text = words_of(soup.select_one("main"))
    assert "It could not be read, so nothing was done" in text
    assert "a word that maild does not know" in text
    assert "'returned_to_sender' is not known" in text
    assert soup.select_one("pre").text == json.dumps(UNKNOWN, indent=2)
    assert client.get(path_of(event, "payload")).data == json.dumps(UNKNOWN).encode()


def test_htmx_gets_it_as_a_drawer_whose_buttons_lead_back_to_the_list(client):
    [event] = report(UNKNOWN)
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://localhost{PATH}?range=24h"}
    response = client.get(path_of(event), headers=headers)
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.select("aside.drawer #drawer-title")
    assert soup.select("html") == []
    assert {field["value"] for field in soup.select("[name=back]")} == {f"{PATH}?range=24h"}


def test_all_that_a_stranger_wrote_is_text(client):
    bad = '<script>alert(1)</script>"><img src=x>'
    events = report({"type": bad, "email": f"{bad}@x.example"}, bad.encode(), b"<b>\0\xff")
    WebhookPayload.update(content_type=bad, headers={bad: bad}).execute()
    for path in (PATH, *(path_of(event) for event in events)):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "<img" not in text
    response = client.get(path_of(events[1], "payload"))
    assert response.content_type == "text/plain; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"].startswith("attachment")


def test_a_long_payload_is_shown_in_part_and_saved_as_a_whole(client, monkeypatch):
    monkeypatch.setattr(dead_letter_lists, "SHOWN_MAX_BYTES", 20)
    body = b'{"type": "' + b"x" * 90_000
    [event] = report(body)
    soup = soup_of(client, path_of(event))
    assert soup.select_one("pre").text == body[:20].decode()
    assert "The first 20 B of it" in soup.text
    assert client.get(path_of(event, "payload")).data == body


@pytest.mark.parametrize(
    ("content_type", "body", "shown"),
    [
        ("application/json", '{"a":{"b":[1]}}', '{\n  "a": {\n    "b": [\n      1\n    ]\n  }\n}'),
        ("text/plain", '{"Message":"{\\"a\\":1}"}', '{\n  "Message": {\n    "a": 1\n  }\n}'),
        ("application/x-www-form-urlencoded", "a=1&b=%7B%22c%22%3A2%7D", 'a: 1\nb: {\n  "c": 2\n}'),
        ("message/rfc822", "Subject: x\n\nHello", "Subject: x\n\nHello"),
        ("application/json", '{"cut": ', '{"cut": '),
        ("application/json", '{"a":' * 5000 + "1" + "}" * 5000, None),
        ("application/json", "42", "42"),
    ],
)
def test_a_payload_is_indented_where_that_can_be(client, content_type, body, shown):
    [event] = report(b"nonsense")
    WebhookPayload.update(content_type=content_type, body=body.encode()).execute()
    assert soup_of(client, path_of(event)).select_one("pre").text == (shown or body)


def test_headers_that_were_kept_are_shown(client):
    [event] = report(b"nonsense")
    WebhookPayload.update(headers={"x-kept": "kept value"}).execute()
    assert "kept value" in soup_of(client, path_of(event)).text


@pytest.mark.parametrize("number", ["0", "999999", "9" * 18, "9" * 30])
def test_a_number_that_is_none_is_not_there(client, post, number):
    for more in ("", "/trial", "/payload"):
        assert client.get(f"{PATH}/{number}{more}").status_code == 404
    for action in ("replay", "dismiss", "restore"):
        assert post(client, f"{PATH}/{number}/{action}", reason="r").status_code == 404


# What a replay would do


def test_a_trial_tells_what_a_replay_would_do_and_changes_nothing(client, accept, lease, mended):
    message = accept()
    send_all(lease)
    [event] = report(about(message, "returned_to_sender"))
    mended()
    before = one(event).__data__
    soup = soup_of(client, path_of(event, "trial"))
    text = words_of(soup.select_one("#trial"))
    assert "it would be applied" in text
    assert "Its message would go from sent to bounced" in text
    assert "ann@example.org is suppressed as hard bounce" in text
    assert "nothing has changed" in text
    assert soup.select_one("#trial a")["href"] == f"/ui/messages/{message.id}"
    assert (one(event).__data__, status_of(message), suppressed()) == (before, "sent", {})
    assert not AuditEntry.select().exists()


def test_a_trial_of_what_still_cannot_be_read_says_so(client):
    [event] = report(UNKNOWN)
    text = words_of(soup_of(client, path_of(event, "trial")).select_one("#trial"))
    assert "it would fail again" in text
    assert one(event).attempt_count == 1


def test_htmx_gets_the_trial_alone(client):
    [event] = report(UNKNOWN)
    response = client.get(path_of(event, "trial"), headers={"HX-Request": "true"})
    soup = BeautifulSoup(response.text, "html.parser")
    assert [tag["id"] for tag in soup.find_all(id=True) if tag.parent == soup] == ["trial"]


# Replaying


def test_a_replay_applies_it_and_says_what_it_did(client, post, accept, lease, mended):
    message = accept()
    send_all(lease)
    [event] = report(about(message, "returned_to_sender"))
    mended()
    response = post(client, path_of(event, "replay"), seen="dead_letter")
    assert (response.status_code, response.location) == (303, path_of(event))
    assert (status_of(message), one(event).status) == ("bounced", ReportStatus.REPLAYED)
    toast = toast_of(client)
    assert "Replayed" in toast
    assert "Its message went from sent to bounced" in toast
    entry = AuditEntry.get()
    assert (entry.actor, entry.action) == ("ann@a.example", "provider_events.replayed")
    page = soup_of(client, path_of(event))
    assert "a replay has applied it" in page.text
    assert page.select("main form") == []


def test_a_replay_in_vain_says_why(client, post):
    [event] = report(UNKNOWN)
    assert post(client, path_of(event, "replay"), seen="dead_letter").status_code == 303
    assert "It is still a dead letter" in toast_of(client)
    assert one(event).attempt_count == 2


def test_it_leads_back_to_where_it_was_asked_for(client, post):
    [event] = report(UNKNOWN)
    for back, location in (
        (f"{PATH}?range=24h", f"{PATH}?range=24h"),
        ("//evil.example", path_of(event)),
        ("https://evil.example", path_of(event)),
    ):
        response = post(client, path_of(event, "replay"), seen="dead_letter", back=back)
        assert response.location == location


def test_of_two_operators_the_second_is_told(client, post, sign_in, operator_a, mended):
    [event] = report(UNKNOWN)
    other = sign_in(operator_a)
    mended()
    post(client, path_of(event, "replay"), seen="dead_letter")
    for action in ("replay", "dismiss"):
        post(other, path_of(event, action), seen="dead_letter", reason="r")
        assert "Somebody else was quicker: it is “replayed” by now" in toast_of(other)
    assert one(event).status is ReportStatus.REPLAYED
    assert AuditEntry.select().count() == 1


def test_a_replay_of_what_somebody_has_dismissed_meanwhile_is_not_done(
    client, post, sign_in, operator_a, mended
):
    [event] = report(UNKNOWN)
    mended()
    post(client, path_of(event, "dismiss"), seen="dead_letter", reason="r")
    other = sign_in(operator_a)
    post(other, path_of(event, "replay"), seen="dead_letter")
    assert "“dismissed” by now" in toast_of(other)
    assert one(event).status is ReportStatus.IGNORED
    post(other, path_of(event, "replay"), seen="dismissed")  # who has seen that may
    assert one(event).status is ReportStatus.REPLAYED


def test_two_replays_at_the_same_moment_are_one(app, client, post, sign_in, operator_a, mended):
    [event] = report(UNKNOWN)
    mended()
    browsers = [client, sign_in(operator_a)]
    at_once(*[lambda one=one: post(one, path_of(event, "replay")) for one in browsers])
    toasts = sorted(toast_of(browser).split()[0] for browser in browsers)
    assert toasts == ["Nothing", "Replayed."]
    assert AuditEntry.select().count() == 1


def test_what_came_too_early_is_to_be_replayed_now(client):
    [event] = report(UNKNOWN)
    ProviderEvent.update(last_error=provider_events.STILL_SENDING).execute()
    assert "Its message is sent by now: replay it" in soup_of(client, path_of(event)).text


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("It names no recipient, and no message of this workspace is found by its ids.", "whom"),
        ("Whoever tried to read it was ended before it was read.", "ended its reader"),
        ("The reader failed: KeyError: 'x'", "fault of maild"),
        ("Applying it failed: ValueError", "fault of maild"),
        ("It could not be stored: DataError", "fault of maild"),
        ("not JSON: Expecting value", "Once the cause is mended, replay it"),
    ],
)
def test_each_cause_has_its_advice(client, error, advice):
    [event] = report(b"nonsense")
    ProviderEvent.update(last_error=error).execute()
    text = soup_of(client, path_of(event)).text
    assert error in text
    assert advice in text


# Dismissing


def test_a_dismissal_is_taken_back_by_its_toast(client, post):
    [event] = report(UNKNOWN)
    response = post(client, path_of(event, "dismiss"), seen="dead_letter", reason="only a test")
    assert response.status_code == 303
    assert one(event).status is ReportStatus.IGNORED
    assert rows_of(client) == []
    assert "dismissed" in rows_of(client, state="dismissed")[0]
    post(client, path_of(event, "restore"))
    assert one(event).status is ReportStatus.DEAD_LETTER
    actions = [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]
    assert actions == ["provider_events.dismissed", "provider_events.restored"]
    assert AuditEntry.get(AuditEntry.seq == 1).reason == "only a test"


def test_the_toast_has_the_way_back(client, post):
    [event] = report(UNKNOWN)
    post(client, path_of(event, "dismiss"), seen="dead_letter", reason="r")
    form = soup_of(client).select_one("#toasts form")
    assert form["action"] == path_of(event, "restore")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    assert client.post(form["action"], data=fields).status_code == 303
    assert one(event).status is ReportStatus.DEAD_LETTER


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_dismissing_needs_a_reason_and_keeps_what_was_typed(client, post, reason):
    [event] = report(UNKNOWN)
    response = post(client, path_of(event, "dismiss"), seen="dead_letter", reason=reason,
                    back=f"{PATH}?range=24h")  # fmt: skip
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.select_one("#dismiss-letter").has_attr("open")
    assert soup.select_one("#reason-error").text != ""
    assert soup.select_one("#reason").get("value", "") == reason
    assert soup.select_one("#dismiss-letter [name=back]")["value"] == f"{PATH}?range=24h"
    assert one(event).status is ReportStatus.DEAD_LETTER


def test_what_was_never_dismissed_is_not_restored(client, post):
    [event] = report(SPAM)
    post(client, path_of(event, "restore"))
    assert "Somebody else was quicker" in toast_of(client)
    assert one(event).status is ReportStatus.APPLIED


# Who may


def test_a_viewer_sees_everything_and_changes_nothing(sign_in, post, viewer_a):
    [event] = report(UNKNOWN)
    client = sign_in(viewer_a)
    assert len(rows_of(client)) == 1
    for path in (PATH, path_of(event)):
        soup = soup_of(client, path)
        assert soup.select("main form[method=post], main [type=checkbox]") == []
        button = soup.select_one("main [aria-disabled=true]")
        why = soup.find(id=button["aria-describedby"]).text
        assert why == "You are a viewer here: you see everything, and change nothing."
    assert client.get(path_of(event, "payload")).status_code == 200
    assert client.get(path_of(event, "trial")).status_code == 403
    for action in ("replay", "dismiss", "restore"):
        assert post(client, path_of(event, action), reason="r").status_code == 403
    assert one(event).status is ReportStatus.DEAD_LETTER


def test_an_operator_may(sign_in, post, operator_a):
    [event] = report(UNKNOWN)
    client = sign_in(operator_a)
    assert client.get(path_of(event, "trial")).status_code == 200
    assert post(client, path_of(event, "dismiss"), reason="r").status_code == 303
    assert one(event).status is ReportStatus.IGNORED


def test_another_workspaces_events_are_out_of_reach(client, post, make_person, sign_in):
    [event] = report(UNKNOWN, workspace_id=WORKSPACE_B)
    assert rows_of(client, state="any") == []
    for more in ((), ("trial",), ("payload",)):
        assert client.get(path_of(event, *more)).status_code == 404
    for action in ("replay", "dismiss", "restore"):
        assert post(client, path_of(event, action), reason="r").status_code == 404
    theirs = sign_in(make_person("bob@b.example", Role.ADMIN, workspace_id=WORKSPACE_B))
    assert len(rows_of(theirs)) == 1
    assert post(theirs, path_of(event, "dismiss"), reason="r").status_code == 409  # A's page
    assert one(event).status is ReportStatus.DEAD_LETTER


def test_who_is_not_signed_in_sees_nothing(anonymous, post):
    [event] = report(UNKNOWN)
    for path in (PATH, path_of(event), path_of(event, "payload"), path_of(event, "trial")):
        assert anonymous.get(path).location == f"/login?next={path}"
    assert post(anonymous, path_of(event, "dismiss"), reason="r").status_code == 401
    assert one(event).status is ReportStatus.DEAD_LETTER


def test_it_answers_no_other_method(client):
    [event] = report(UNKNOWN)
    assert client.get(path_of(event, "replay")).status_code == 405
    dead_letters.dismiss(WORKSPACE_A, [str(event.id)], reason="r", by=EVE)
    assert client.get(path_of(event, "dismiss")).status_code == 405
