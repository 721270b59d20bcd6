"""GET /ui: what comes in and goes out, what waits, how the providers do, and what needs one."""

import datetime as dt
import re

import pytest

from maild import clock
from maild.db import database as database_
from maild.domain.freeze import FreezeKind
from maild.domain.states import Status, Stream
from maild.models import Breaker, ConservationCheck, Message, PeriodicJob, SmtpAccount
from maild.services import conservation, workers
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services import freezing
from tests.services.counting import add_rollup, add_tally
from tests.services.helpers import ago
from tests.web.conftest import HTMX
from tests.web.test_overview import figures

STATEMENTS_MAX = 29


def legend(soup):
    return {span.text.strip(): span.a["href"] for span in soup.select(".traffic .legend > span")}


def rates(soup):
    return {
        div.dt.text: [dd.text for dd in div.select("dd")] for div in soup.select(".rates > div")
    }


def lanes(soup):
    rows = {}
    for row in soup.select(".lanes tbody tr"):
        for hidden in row.select(".visually-hidden"):
            hidden.extract()
        rows[row.th.text] = [cell.text.strip() for cell in row.select("td")]
    return rows


def needs(soup):
    return [item.strong.text for item in soup.select(".attention li")]


def is_polled_anew(client, poll):
    return client.get(poll, headers=HTMX).status_code == 200


# -- Traffic --------------------------------------------------------------------------------------


def test_it_shows_what_happened_and_leads_to_the_log(page):
    now = clock.now()
    for kind, count in (("accepted", 9), ("sent", 1234), ("failed", 2), ("suppressed", 1)):
        add_tally(now, count, kind=kind)
    assert legend(page("/ui")) == {
        "9 accepted": "/ui/logs?range=24h",
        "1,234 sent": "/ui/logs?range=24h&status=sent",
        "2 failed": "/ui/logs?range=24h&status=failed",
        "1 suppressed": "/ui/logs?range=24h&status=suppressed",
    }


@pytest.mark.parametrize(
    ("span", "title", "sent"),
    [
        ("1h", "Messages a minute, last hour, in UTC", 1),
        ("24h", "Messages every 10 minutes, last 24 hours, in UTC", 3),
        ("7d", "Messages an hour, last 7 days, in UTC", 7),
    ],
)
def test_its_tabs_look_back_as_far_as_they_say(page, span, title, sent):
    for hours, count in ((0, 1), (5, 2), (100, 4), (1000, 8)):
        add_rollup(ago(hours=hours), count)
    soup = page(f"/ui?span={span}")
    assert soup.select_one(".traffic .tabs [aria-current]")["href"] == f"/ui?span={span}"
    assert [tab.text for tab in soup.select(".traffic .tabs a")] == ["1 hour", "24 hours", "7 days"]
    assert soup.select_one(".chart-title").text == title
    assert legend(soup)[f"{sent} sent"] == f"/ui/logs?range={span}&status=sent"


def test_it_shows_a_day_unless_told(page):
    soup = page("/ui")
    assert soup.select_one(".traffic .tabs [aria-current]").text == "24 hours"


def test_a_span_that_it_does_not_have_is_an_error(page):
    soup = page("/ui?span=1y", status=400)
    assert "must be one of 1h, 24h, 7d" in soup.text


def test_a_poll_asks_for_the_span_that_is_shown(partial, client, lease):
    poll = partial("/ui?span=7d").select_one("#overview")["hx-get"]
    assert "span=7d" in poll
    assert not is_polled_anew(client, poll)
    add_tally(clock.now())
    assert is_polled_anew(client, poll)
    assert not is_polled_anew(client, partial(poll).select_one("#overview")["hx-get"])


def test_what_one_has_unfolded_is_known_by_its_id(page):
    add_tally(clock.now())
    soup = page("/ui")
    assert soup.select_one("details.chart-table")["id"] == "traffic-numbers"
    assert soup.select("script[src*='unfolded']")


def test_it_tells_the_rates(page):
    now = clock.now()
    for kind, count in (("sent", 6), ("failed", 1), ("unknown", 1), ("deferred", 2)):
        add_tally(now, count, kind=kind)
    assert rates(page("/ui")) == {
        "Success": ["75.0 %", "of what came to an end was sent"],
        "Deferred": ["20.0 %", "of the attempts are made again"],
    }


def test_of_nothing_it_tells_no_rate(page):
    soup = page("/ui")
    assert rates(soup) == {
        "Success": ["–", "nothing came to an end"],
        "Deferred": ["–", "no attempt was made"],
    }
    assert "Nothing in this time." in soup.select_one(".chart").text
    assert not re.search(r"\d %", soup.select_one("#overview").text)


def test_it_counts_mail_as_it_comes_in(page, accept, deliver, inbox):
    accept()
    deliver()
    shown = legend(page("/ui?span=1h"))
    assert {"1 accepted", "1 sent", "0 failed"} <= set(shown)


def test_it_counts_nothing_of_another_workspace(page):
    add_tally(clock.now(), 5, workspace=WORKSPACE_B)
    assert page("/ui").select_one(".chart-empty")


# -- What waits -----------------------------------------------------------------------------------


def make_due(message, seconds):
    Message.update(next_attempt_at=ago(seconds=seconds)).where(Message.id == message.id).execute()


@pytest.mark.parametrize(
    ("due", "sent", "shown", "note"),
    [
        (0, 0, "none", "nothing is due"),
        (0, 5, "none", "nothing is due"),
        (2, 0, "not known", "nothing was sent lately"),
    ],
)
def test_how_long_the_queue_takes_is_told_as_far_as_it_is_known(
    page, accept, due, sent, shown, note
):
    for _ in range(due):
        accept()
    if sent:
        add_tally(clock.now(), sent)
    soup = page("/ui")
    assert figures(soup)["Drained in"] == shown
    [tile] = [div for div in soup.select(".figures > div") if div.dt.text == "Drained in"]
    assert tile.select_one(".note").text == note


def test_how_long_the_queue_takes_follows_from_the_pace(page, accept):
    for _ in range(4):
        accept()
    add_tally(clock.now() - dt.timedelta(minutes=2), 2)  # in 120 to 180 s
    assert re.fullmatch(r"[456] m( \d+ s)?", figures(page("/ui"))["Drained in"])


def test_lanes_tell_what_waits_of_each_stream(page, accept, move, lease):
    make_due(accept(), 5)
    accept(scheduled_at=clock.now() + dt.timedelta(hours=1))
    move(accept(stream=Stream.MARKETING), Status.HELD, hold_reason="r")
    soup = page("/ui")
    links = [a["href"] for a in soup.select(".lanes a")]
    assert links == [
        "/ui/logs?status=queued&stream=transactional",
        "/ui/logs?status=held&stream=marketing",
    ]
    found = lanes(soup)
    oldest = found["transactional"][2]
    assert re.fullmatch(r"\d+ s", oldest)
    assert found == {
        "transactional": ["flowing", "1", oldest, "1", "0", "0"],
        "marketing": ["waiting", "0", "–", "0", "0", "1"],
    }


def test_an_empty_lane_is_empty(page):
    assert {row[0] for row in lanes(page("/ui")).values()} == {"empty"}


def test_a_lane_stands_still_without_a_worker(page, accept):
    accept()
    assert lanes(page("/ui"))["transactional"][0] == "stopped"


def test_a_lane_is_behind_when_mail_has_waited_for_too_long(page, accept, lease):
    make_due(accept(), 1000)
    make_due(accept(stream=Stream.MARKETING), 1000)
    found = lanes(page("/ui"))
    assert (found["transactional"][0], found["marketing"][0]) == ("behind", "flowing")


def test_a_frozen_lane_says_why_and_until_when(page, lease):
    evil = "<b>too many</b> complaints"
    freezing.start(FreezeKind.STREAM, "marketing", reason=evil)
    soup = page("/ui")
    assert {stream: row[0] for stream, row in lanes(soup).items()} == {
        "transactional": "empty",
        "marketing": "frozen",
    }
    [note] = soup.select(".lane-note")
    assert evil in note.text
    assert "It ends in" in note.text
    assert "All parts are well, and some mail is frozen" in soup.select_one(".verdict").text


# -- Providers ------------------------------------------------------------------------------------


def providers(soup):
    return {item.a.text: item for item in soup.select(".accounts > li")}


def words(item):
    return [badge.text for badge in item.select(".badge")]


@pytest.fixture
def account(database):
    def make(name="ses", *, workspace_id=WORKSPACE_A, breaker=None, **fields):
        row = SmtpAccount.create(
            workspace=workspace_id,
            name=name,
            host="smtp.example.com",
            port=587,
            security="auto",
            from_email="shop@example.com",
            **{"is_active": True, **fields},
        )
        if breaker:
            Breaker.insert(account_id=row.id, state="closed", **breaker).execute()
        return row

    return make


def test_without_accounts_of_its_own_mail_goes_through_the_environments(page):
    [(name, item)] = providers(page("/ui")).items()
    assert (name, item.a["href"]) == ("Environment", "/ui/providers/0")
    assert words(item) == ["healthy", "active"]


def test_each_account_shows_its_health_and_its_share(page, account):
    ses = account("ses")
    account("postmark", is_active=False)
    account("of B", workspace_id=WORKSPACE_B)
    add_tally(clock.now(), 3, smtp_account="ses")
    add_tally(clock.now(), 1, smtp_account="postmark")
    shown = providers(page("/ui"))
    assert list(shown) == ["ses", "postmark"]
    assert shown["ses"].a["href"] == f"/ui/providers/{ses.id}"
    assert "75.0 % of what was sent" in shown["ses"].text
    assert "25.0 % of what was sent" in shown["postmark"].text
    assert words(shown["postmark"]) == ["healthy", "standby"]


def test_nobody_has_a_share_of_nothing(page, account):
    account()
    add_tally(clock.now(), 3, smtp_account="ses", kind="failed")
    assert "of what was sent" not in providers(page("/ui"))["ses"].text


def test_the_environments_account_is_shown_where_mail_went_through_it(page, account):
    account("ses")
    assert "Environment" not in providers(page("/ui"))
    add_tally(clock.now(), 3, smtp_account="default")
    assert "100 % of what was sent" in providers(page("/ui"))["Environment"].text


def test_an_account_that_is_out_of_use_says_why(page, account, lease):
    evil = "535 <i>no</i>"
    account(breaker={"last_fault_at": ago(minutes=2)})
    Breaker.update(
        state="open", opened_at=ago(minutes=2), retry_at=ago(minutes=-3), reason=evil,
        error_class="auth",
    ).execute()  # fmt: skip
    account("postmark", is_active=False)
    soup = page("/ui")
    item = providers(soup)["ses"]
    assert words(item) == ["out of use", "active"]
    assert evil in item.text
    assert needs(soup) == [
        "Mail goes through “postmark”, which stands in while “ses” is out of use."
    ]
    assert soup.select_one(".attention a")["href"] == "/ui/providers"


def test_it_says_so_when_mail_waits_because_no_account_is_in_order(page, account, accept, lease):
    account(paused_at=clock.now(), pause_reason="r")
    accept()
    soup = page("/ui")
    assert "Mail waits in the queue" in needs(soup)[0]
    assert "bad" in soup.select_one(".health")["class"]
    assert lanes(soup)["transactional"][0] == "stopped"


def test_of_many_accounts_it_shows_the_first_and_those_with_trouble(page, account):
    for number in range(9):
        account(f"n{number}", is_active=number == 0, priority=number)
    SmtpAccount.update(paused_at=clock.now(), pause_reason="r").where(
        SmtpAccount.name == "n8"
    ).execute()
    soup = page("/ui")
    assert list(providers(soup)) == ["n0", "n1", "n2", "n3", "n4", "n5", "n8"]
    assert soup.select_one(".accounts-more").text == "2 more, and well"


def test_a_poll_hears_of_an_account_that_is_paused(partial, client, account, lease):
    account()
    poll = partial("/ui").select_one("#overview")["hx-get"]
    assert not is_polled_anew(client, poll)
    SmtpAccount.update(paused_at=clock.now(), pause_reason="r").execute()
    assert is_polled_anew(client, poll)


# -- What needs somebody --------------------------------------------------------------------------


def test_where_nothing_is_wrong_nothing_needs_anybody(page, accept, lease):
    accept()
    soup = page("/ui")
    assert not soup.select(".attention")
    assert soup.select_one(".verdict").text.strip() == "All parts are well"


def test_unknown_outcomes_need_somebody(page, accept, move, lease):
    move(accept(), Status.UNKNOWN)
    soup = page("/ui")
    assert needs(soup) == ["1 message whose outcome is unknown"]
    assert soup.select_one(".attention a")["href"] == "/ui/logs?status=unknown"
    assert soup.select_one(".verdict").text.strip() == "1 thing needs you"


def test_much_that_fails_needs_somebody(page, accept, move, lease):
    for _ in range(12):
        move(accept(), Status.FAILED, last_error="550 no")
    soup = page("/ui")
    assert needs(soup) == ["12 messages failed in the last hour"]
    assert soup.select_one(".attention a")["href"] == "/ui/logs?status=failed&range=1h"


def test_mail_that_waits_for_too_long_needs_somebody(page, accept, lease):
    make_due(accept(), 1000)
    [need] = needs(page("/ui"))
    assert re.fullmatch(r"1 message is due, the oldest for 16 m \d+ s", need)


def test_it_is_told_once_that_no_worker_is_alive(page, accept):
    make_due(accept(), 1000)
    soup = page("/ui")
    assert not soup.select(".attention")
    assert "No worker is alive" in soup.select_one(".trouble").text


def balance(soup):
    [tile] = [div for div in soup.select(".figures > div") if div.dt.text == "Conservation"]
    return tile.dd.text.strip(), re.sub(r"\s+", " ", tile.select_one(".note").text).strip()


def test_before_the_first_count_nothing_is_known_of_conservation(page):
    assert balance(page("/ui")) == ("not yet", "counted within a minute")


def test_what_was_accepted_is_all_there(page, accept):
    accept()
    accept(workspace_id=WORKSPACE_B)
    conservation.check()
    assert balance(page("/ui")) == ("whole", "1 accepted, all there, counted just now")


def test_what_is_missing_is_told_first(page, accept, lease):
    accept()
    database_.execute_sql("UPDATE accepted_tallies SET accepted_count = 4")
    conservation.check()
    soup = page("/ui")
    assert balance(soup) == ("3 missing", "of 4 accepted, counted just now")
    assert needs(soup) == ["3 accepted messages are missing"]
    assert "bad" in soup.select_one(".health")["class"]


def test_another_workspaces_conservation_is_not_told(page, accept):
    accept(workspace_id=WORKSPACE_B)
    database_.execute_sql("UPDATE accepted_tallies SET accepted_count = 4")
    conservation.check()
    assert balance(page("/ui"))[0] == "whole"


def test_a_count_that_is_old_is_not_trusted(page, accept):
    accept()
    conservation.check()
    ConservationCheck.update(checked_at=ago(minutes=10)).execute()
    PeriodicJob.update(ran_at=ago(minutes=10)).execute()
    assert balance(page("/ui")) == (
        "not counted",
        "1 accepted, all there when it was counted last, counted 10 m ago",
    )


def test_a_count_that_takes_minutes_is_trusted_for_longer(page, accept):
    accept()
    conservation.check()
    ConservationCheck.update(checked_at=ago(minutes=10)).execute()
    PeriodicJob.update(ran_at=ago(minutes=9)).execute()
    assert balance(page("/ui"))[0] == "whole"


# -- What it costs --------------------------------------------------------------------------------


def test_it_costs_few_statements_however_much_there_is(client, accept, move, account):
    workers.enter()
    empty = count_statements(lambda: client.get("/ui"))
    for number in range(12):
        message = accept(stream=Stream.MARKETING if number % 2 else Stream.TRANSACTIONAL)
        if number % 3 == 0:
            move(message, Status.FAILED, last_error="550 no")
        account(f"n{number}", is_active=number == 0)
        add_rollup(ago(minutes=number), 1, smtp_account=f"n{number}")
    freezing.start(FreezeKind.STREAM, "marketing")
    full = count_statements(lambda: client.get("/ui"))
    assert full <= empty + 1, "a banner may ask once more"
    assert full <= STATEMENTS_MAX
