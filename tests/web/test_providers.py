"""/ui/providers: the accounts in line, how each does, and what can be done to them."""

from datetime import timedelta

import pytest

from maild import clock
from maild.domain.actor import SYSTEM
from maild.domain.freeze import FreezeKind
from maild.domain.role import Role
from maild.domain.states import EventType
from maild.models import Breaker, Event, WebhookEndpoint
from maild.services import freezes, smtp_accounts, webhook_endpoints
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.helpers import ago
from tests.web.conftest import HTMX
from tests.web.provider_helpers import (
    PATH,
    audited,
    save,
    soup_of,
    stored,
    tally,
    toast_of,
    undo,
    words_of,
)

ACTIONS = ("move", "activate", "pause", "resume", "delete")


def cards_of(soup):
    """(name, badges) of each card."""
    return [
        (card.select_one("h2").text, [words_of(badge) for badge in card.select(".badge")])
        for card in soup.select(".provider-card")
    ]


def card_of(soup, name):
    [card] = [c for c in soup.select(".provider-card") if c.select_one("h2").text == name]
    return card


def facts_of(card):
    return {words_of(one.dt): words_of(one.dd) for one in card.select(".facts > div")}


def verdict_of(soup):
    return words_of(soup.select_one(".health .verdict"))


def open_breaker(row, **fields):
    values = {
        "state": "open",
        "error_class": "connection",
        "reason": "connection refused (CONNECT, smtp.example.com:587)",
        "opened_at": ago(minutes=4),
        "retry_at": clock.now() + timedelta(minutes=2, seconds=5),
        "last_fault_at": ago(minutes=4),
    }
    Breaker.create(account_id=row.id, **{**values, **fields})


def test_an_empty_workspace_says_what_to_do(page):
    soup = page(PATH)
    assert cards_of(soup) == [("Environment", ["active", "healthy"])]
    assert verdict_of(soup) == "Mail goes through the account of the environment."
    assert soup.select_one(".empty a")["href"] == f"{PATH}/new"
    assert "SMTP_HOST" in card_of(soup, "Environment").text


def test_it_shows_them_in_the_order_in_which_mail_takes_them(page):
    save("last", priority=300)
    save("first", priority=200, active=True)
    save("second", priority=100)
    soup = page(PATH)
    assert cards_of(soup) == [
        ("first", ["active", "healthy"]),
        ("second", ["standby", "healthy"]),
        ("last", ["standby", "healthy"]),
        ("Environment", ["not used", "healthy"]),
    ]
    assert verdict_of(soup) == "Mail goes through “first”."
    assert [words_of(one) for one in soup.select(".provider-place")] == [
        "place 1 in line",
        "place 2 in line",
    ]


def test_a_card_tells_where_it_goes_and_how_much(page):
    row = save(max_connections=1, max_per_second=0.5, host="smtp.eu.mailgun.org")
    tally(row.id, 40, 2)
    card = card_of(page(PATH), "main")
    assert "2 faults in 40 tries in the last hour" in words_of(card)
    assert facts_of(card) == {
        "Server": "smtp.eu.mailgun.org:587",
        "Provider": "Mailgun",
        "From": "shop@example.com",
        "Limits": "1 connection at once, 0.5 messages a second",
        "Share of the last 24 hours": "nothing was sent",
        "Check": "never checked",
        "Webhook": "none of main",
    }


def test_an_account_out_of_use_says_why_and_who_stands_in(page):
    open_breaker(save(active=True))
    save("second")
    soup = page(PATH)
    assert verdict_of(soup) == (
        "Mail goes through “second”, which stands in while “main” is out of use."
    )
    assert cards_of(soup)[:2] == [
        ("main", ["active", "out of use"]),
        ("second", ["standing in", "healthy"]),
    ]
    text = words_of(card_of(soup, "main"))
    assert "its breaker opened 4 m ago" in text
    assert "connection refused (CONNECT, smtp.example.com:587)" in text
    assert "The next canary goes in 2 m" in text


def test_an_open_breaker_whose_wait_is_over_says_that_it_is_tried(page):
    open_breaker(save(active=True), retry_at=ago(seconds=3))
    assert "the next messages try it" in words_of(card_of(page(PATH), "main"))


@pytest.mark.parametrize(
    ("act", "state"),
    [
        (lambda row: open_breaker(row, state="half_open"), "being tried"),
        (
            lambda row: smtp_accounts.pause(WORKSPACE_A, name="main", reason="r", by=SYSTEM),
            "paused",
        ),
    ],
)
def test_why_another_account_stands_in_is_said(page, act, state):
    row = save(active=True)
    save("second")
    act(row)
    assert verdict_of(page(PATH)).endswith(f"stands in while “main” is {state}.")


def test_mail_that_waits_is_said_before_all(page):
    open_breaker(save(active=True))
    soup = page(PATH)
    assert verdict_of(soup) == (
        "Mail waits in the queue: “main” is out of use, and no other account stands by."
    )
    assert "Nothing is lost" in soup.select_one(".health").text
    assert "bad" in soup.select_one(".health")["class"]


def test_a_canary_tells_how_far_it_is(page):
    open_breaker(save(active=True), state="half_open", passed_count=3)
    text = words_of(card_of(page(PATH), "main"))
    assert "being tried" in text
    assert "3 of 5 have passed" in text


def test_a_pause_and_a_freeze_tell_their_reason(page):
    save()
    save("second")
    smtp_accounts.pause(WORKSPACE_A, name="main", reason="the <b>bill</b>", by=SYSTEM)
    freezes.start(
        WORKSPACE_A,
        kind=FreezeKind.SMTP_ACCOUNT,
        target="second",
        reason="a leak",
        expires_at=clock.now() + timedelta(hours=2, minutes=1),
        by=SYSTEM,
    )
    soup = page(PATH)
    assert "Paused by a person just now: the <b>bill</b>" in words_of(card_of(soup, "main"))
    text = words_of(card_of(soup, "second"))
    assert "frozen" in text
    assert "ends in 2 h: a leak" in text


def test_throttling_is_told(page):
    row = save(active=True)
    Breaker.create(account_id=row.id, state="closed", slowed_to=2.5, slowed_at=ago(minutes=3))
    text = words_of(card_of(page(PATH), "main"))
    assert "degraded" in text
    assert "It throttled 3 m ago, and maild slowed down to 2.5 messages a second." in text


def test_the_worst_of_its_webhook_endpoints_is_told(page):
    save()
    for _ in range(2):
        webhook_endpoints.add(WORKSPACE_A, provider="dsn", smtp_account="main", by=SYSTEM)
    last = WebhookEndpoint.select().order_by(WebhookEndpoint.id.desc()).get()
    last.refusing_since = ago(hours=1)
    last.save()
    assert facts_of(card_of(page(PATH), "main"))["Webhook"] == "refusing of main"


@pytest.mark.parametrize("page", ["", "/check", "/test", "/webhooks", "/edit"])
def test_a_name_is_text(client, page):
    name = '"><script>alert(1)</script>'
    row = save(name)
    webhook_endpoints.add(WORKSPACE_A, provider="dsn", smtp_account=name, by=SYSTEM)
    [endpoint] = WebhookEndpoint.select()
    for path in (PATH, f"{PATH}/{row.id}{page}", f"{PATH}/webhooks/{endpoint.id}"):
        assert "<script>alert" not in client.get(path).text


def test_a_poll_hears_only_of_what_is_new(client, partial):
    row = save(active=True)
    soup = soup_of(client.get(PATH))
    url = soup.select_one("#providers")["hx-get"]
    assert client.get(url, headers=HTMX).status_code == 204
    open_breaker(row)
    assert verdict_of(partial(url)).startswith("Mail waits")
    smtp_accounts.pause(WORKSPACE_A, name="main", reason="r", by=SYSTEM)
    assert "paused" in partial(url).text


def test_it_asks_the_database_as_often_for_many_as_for_one(client):
    save(active=True)
    webhook_endpoints.add(WORKSPACE_A, provider="dsn", smtp_account="main", by=SYSTEM)

    def look():
        assert client.get(PATH).status_code == 200

    look()
    few = count_statements(look)
    for number in range(20):
        row = save(f"n{number}")
        open_breaker(row)
        webhook_endpoints.add(WORKSPACE_A, provider="dsn", smtp_account=row.name, by=SYSTEM)
    assert count_statements(look) == few
    assert few <= 16


def test_nothing_of_another_workspace_is_in_it(page):
    save("theirs", workspace_id=WORKSPACE_B, active=True)
    assert [name for name, _ in cards_of(page(PATH))] == ["Environment"]


def test_fail_over_that_is_switched_off_is_said(page, use_settings):
    from dataclasses import replace

    from maild import config

    use_settings(auto_failover=replace(config.current().auto_failover, enabled=False))
    save(active=True)
    save("second")
    soup = page(PATH)
    assert ("second", ["not used", "healthy"]) in cards_of(soup)
    assert "AUTO_FAILOVER_ENABLED" in soup.text
    assert soup.select(".provider-moves") == []


# --- Moving -----------------------------------------------------------------------------------


def names_in_line(page):
    return [name for name, _ in cards_of(page(PATH))]


def test_buttons_move_an_account_and_the_toast_takes_it_back(client, post, page):
    save("active", active=True)
    save("one")
    save("two")
    up = card_of(page(PATH), "two").select("form")[0]
    assert up.select_one("button").text == "Move up “two”"
    response = post(client, up["action"], place=up.select_one("[name=place]")["value"])
    assert response.status_code == 303
    assert response.location.startswith(f"{PATH}#account-")
    assert names_in_line(page) == ["active", "two", "one", "Environment"]
    post(client, up["action"], place=2)
    undo(client)
    assert names_in_line(page) == ["active", "two", "one", "Environment"]


def test_the_ends_of_the_line_have_no_way_on(page):
    save("one")
    save("two")
    save("active", active=True)
    soup = page(PATH)
    up, down = (card_of(soup, "one").select("button")[n] for n in (0, 1))
    assert up.has_attr("disabled")
    assert not down.has_attr("disabled")
    assert card_of(soup, "two").select("button")[1].has_attr("disabled")


def test_one_that_stands_by_alone_has_no_buttons(page):
    save("one")
    save("active", active=True)
    assert page(PATH).select(".provider-moves, [data-grip]") == []


def test_the_active_one_is_not_moved(client, post):
    row = save(active=True)
    post(client, f"{PATH}/{row.id}/move", place=2)
    assert "goes before all others" in toast_of(client)
    assert audited() == []


@pytest.mark.parametrize("place", ["", "x", "1.5"])
def test_there_is_no_such_place(client, post, place):
    row = save()
    assert post(client, f"{PATH}/{row.id}/move", place=place).status_code == 404


# --- One account, and what can be done to it --------------------------------------------------


def test_its_page_tells_how_it_does_and_did(page):
    row = save(active=True)
    open_breaker(row)
    for kind, hours in ((EventType.BREAKER_OPENED, 3), (EventType.FAILED_OVER, 3)):
        Event.insert(
            workspace=WORKSPACE_A,
            type=kind.value,
            data={"smtp_account": "main", "to": "second"},
            created_at=ago(hours=hours),
        ).execute()
    tally(row.id, 9, 4)
    soup = page(f"{PATH}/{row.id}")
    assert "Out of use" in words_of(soup.select_one(".health"))
    band = soup.select_one(".breaker-band")
    assert band["aria-label"].startswith("The last 24 hours: ")
    assert "out of use" in band["aria-label"]
    rows = soup.select(".chart-table")[0].select("tbody tr")
    assert [(row.th.text, row.select("td")[2].text) for row in rows] == [
        ("out of use", "3 h"),
        ("in use", "21 h"),
    ]
    told = [words_of(entry) for entry in soup.select(".timeline li strong")]
    assert told == [
        "Mail goes through “second” instead of “main”",
        "“main” is out of use for a while: too many tries failed",
    ]
    assert "5 good" in soup.text
    assert "4 faults of the path" in soup.text


def test_how_it_does_is_told_again_when_that_has_changed(client, partial, page):
    row = save(active=True)
    poll = page(f"{PATH}/{row.id}").select_one("#health")["hx-get"]
    assert client.get(poll, headers=HTMX).status_code == 204
    open_breaker(row)
    assert "Out of use" in words_of(partial(poll).select_one("#health"))


@pytest.mark.parametrize(
    ("query", "title"), [("7d", "The last 7 days"), ("x", "The last 24 hours")]
)
def test_its_page_looks_back_as_far_as_it_is_asked(page, query, title):
    row = save()
    assert title in page(f"{PATH}/{row.id}?span={query}").text


def test_the_environments_account_has_a_page_and_its_figures_are_nobodys(page):
    soup = page(f"{PATH}/0")
    assert soup.select_one("h1").text == "Environment"
    assert "Tries an hour" not in soup.text
    assert "Pause" not in soup.select_one(".page-head").text


def test_what_will_happen_is_said_before_it_does(page):
    row = save(active=True)
    second = save("second")
    head = page(f"{PATH}/{row.id}").select_one("#pause")
    assert "Mail goes through “second” meanwhile." in words_of(head)
    soup = page(f"{PATH}/{second.id}")
    assert "“main” stands by" in words_of(soup.select_one("#activate"))
    assert "this one does not stand by meanwhile" in words_of(soup.select_one("#pause"))
    assert "cannot be taken back" in words_of(soup.select_one("#delete"))


def test_activating_the_first_own_account_warns_of_the_environments(page):
    row = save()
    text = words_of(page(f"{PATH}/{row.id}").select_one("#activate"))
    assert "also not to stand in" in text


def test_it_activates_and_takes_it_back(client, post):
    row, second = save(active=True), save("second")
    response = post(client, f"{PATH}/{second.id}/activate")
    assert (response.status_code, response.location) == (303, f"{PATH}/{second.id}")
    assert stored(second).is_active
    undo(client)
    assert stored(row).is_active
    assert not stored(second).is_active


def test_the_environments_account_is_activated_and_that_is_taken_back(client, post):
    row = save(active=True)
    assert post(client, f"{PATH}/0/activate").status_code == 303
    assert not stored(row).is_active
    undo(client)
    assert stored(row).is_active


def test_it_pauses_with_a_reason_and_takes_it_back(client, post):
    row = save()
    response = post(client, f"{PATH}/{row.id}/pause", reason=" the bill ")
    assert (response.status_code, response.location) == (303, f"{PATH}/{row.id}")
    assert stored(row).pause_reason == "the bill"
    undo(client)
    assert stored(row).paused_at is None
    assert audited() == ["smtp_account.paused", "smtp_account.resumed"]
    [paused] = Event.select().where(Event.type == EventType.PAUSED.value)
    assert paused.data["by"] == "ann@a.example"


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\nb"])
def test_a_pause_without_a_good_reason_comes_back_open(client, post, reason):
    row = save()
    response = post(client, f"{PATH}/{row.id}/pause", reason=reason)
    assert response.status_code == 422
    dialog = soup_of(response).select_one("#pause")
    assert dialog.has_attr("open")
    assert dialog.select_one(".field-error").text
    assert stored(row).paused_at is None


def test_it_resumes_and_takes_it_back_with_the_reason(client, post):
    row = save()
    smtp_accounts.pause(WORKSPACE_A, name="main", reason="the bill", by=SYSTEM)
    post(client, f"{PATH}/{row.id}/resume")
    assert stored(row).paused_at is None
    undo(client)
    assert stored(row).pause_reason == "the bill"


def test_it_deletes_with_its_endpoints(client, post):
    row = save()
    webhook_endpoints.add(WORKSPACE_A, provider="dsn", smtp_account="main", by=SYSTEM)
    response = post(client, f"{PATH}/{row.id}/delete")
    assert (response.status_code, response.location) == (303, PATH)
    assert stored(row) is None
    assert WebhookEndpoint.select().count() == 0
    assert toast_of(client) == "“main” is deleted."


def test_the_active_one_and_one_with_pinned_mail_are_not_deleted(client, post, page, accept):
    row, second = save(active=True), save("second")
    accept(smtp_account="second")
    for one, why in ((row, "carries the workspace's mail"), (second, "Queued messages must go")):
        post(client, f"{PATH}/{one.id}/delete")
        assert why in toast_of(client)
        assert stored(one) is not None
        button = page(f"{PATH}/{one.id}").select_one(".page-head #delete")
        assert button["aria-disabled"] == "true"


@pytest.mark.parametrize("action", ["pause", "resume", "delete", "move"])
def test_the_environments_account_can_only_be_activated(client, post, action):
    response = post(client, f"{PATH}/0/{action}", reason="r", place=1)
    assert response.status_code in {404, 422}
    assert audited() == []


# --- Who may ----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_who_is_no_admin_sees_all_and_changes_nothing(sign_in, post, make_person, role):
    client = sign_in(make_person("otto@a.example", role))
    row = save()
    save("second")
    for path in (PATH, f"{PATH}/{row.id}"):
        soup = soup_of(client.get(path))
        assert soup.select("main form") == []
        assert soup.select_one("main button[aria-disabled=true]")
        assert "Only an admin" in soup.text
    for action in ACTIONS:
        response = post(client, f"{PATH}/{row.id}/{action}", reason="r", place=2)
        assert response.status_code == 403
    assert audited() == []


@pytest.mark.parametrize("action", ACTIONS)
def test_accounts_of_another_workspace_are_out_of_reach(client, post, action):
    row = save(workspace_id=WORKSPACE_B)
    save("second", workspace_id=WORKSPACE_B)
    assert client.get(f"{PATH}/{row.id}").status_code == 404
    response = post(client, f"{PATH}/{row.id}/{action}", reason="r", place=2)
    assert response.status_code == 404
    assert (stored(row).is_active, stored(row).paused_at) == (False, None)


@pytest.mark.parametrize("account_id", ["99999", "9" * 30, "-1", "x"])
def test_there_is_no_such_account(client, account_id):
    assert client.get(f"{PATH}/{account_id}").status_code == 404


def test_who_is_not_signed_in_sees_nothing(anonymous, post):
    row = save()
    assert anonymous.get(PATH).location == f"/login?next={PATH}"
    for action in ACTIONS:
        assert post(anonymous, f"{PATH}/{row.id}/{action}").status_code == 401
