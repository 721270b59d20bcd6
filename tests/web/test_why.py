"""The card "Why" of a message's page."""

import datetime as dt
import uuid

import pytest

from maild import clock
from maild.db import database as database_
from maild.domain.actor import Actor
from maild.domain.freeze import FreezeKind
from maild.domain.policy import Check, Checked, OnLimit, Route, Verdict
from maild.domain.states import AttemptStatus, EventType, Status, Stream
from maild.domain.suppression import SuppressionClass
from maild.models import ApiKey, Attempt, Event, Message, Suppression
from maild.services import freezes, messages, policies, suppressions, unsubscribes
from maild.services.decisions import Grounds, Record
from maild.services.messages import NewMessage
from maild.services.submissions import Submitter
from maild.web import badges, why, words

BY = Actor("operator key")
EVIL = "<script>alert(1)</script>"
NOW = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
MESSAGE = Message(
    status=Status.QUEUED,
    from_email="shop@example.com",
    to_email="ann@example.org",
    attempt_count=0,
)


def told(check, verdict, grounds=None, **evidence):
    """One check in words."""
    record = Record(NOW, "accept", 0, verdict, (Checked(check, verdict, evidence),))
    line = why.tell(MESSAGE, [record], grounds or Grounds(), now=NOW).latest.gist
    return f"{line.words}: {line.reason}" if line.reason else line.words, line.note


@pytest.fixture
def attempt(database):
    """Write an attempt that was deferred."""

    def write(message, number, **fields):
        Attempt.insert(
            message=message.id,
            attempt_no=number,
            status=AttemptStatus.DEFERRED,
            worker_id=uuid.uuid4(),
            smtp_account_name="main",
            finished_at=clock.now(),
            **{"policy_version": 3, "route": Route.FIRST_CHOICE.value, **fields},
        ).execute()

    return write


@pytest.fixture
def card(page):
    """The card of a message's page."""
    return lambda message: page(f"/ui/messages/{message.id}").select_one(".why")


@pytest.fixture
def change_policy(database):
    return lambda **changes: policies.save(1, changes=changes, by=BY)


def text(element):
    return " ".join(element.text.split())


def lines(element):
    """The checks of the first decision that is in sight, each as one text."""
    return [text(line) for line in element.select_one(".checks-made").select("li")]


@pytest.mark.proves("decide-explained")
@pytest.mark.parametrize("check", list(Check))
def test_every_check_has_words_for_every_verdict(check):
    said = {verdict: told(check, verdict)[0] for verdict in Verdict}
    assert all(len(one) > 5 for one in said.values())
    assert said[Verdict.PASS] not in {said[v] for v in Verdict if v is not Verdict.PASS}


def test_every_verdict_has_an_icon_and_a_word():
    assert set(badges.VERDICT) == set(Verdict)
    assert len({badge.word for badge in badges.VERDICT.values()}) == len(Verdict)
    assert all(badge.icon and badge.tone for badge in badges.VERDICT.values())


def test_every_reason_has_words():
    assert set(words.SUPPRESSED) == set(SuppressionClass)
    assert set(words.ROUTE) == set(Route)
    for kind in FreezeKind:
        assert words.frozen(kind, "target") != words.frozen("nonsense", "target")


@pytest.mark.parametrize(
    ("check", "verdict", "evidence", "expected"),
    [
        (Check.LIFETIME, "stop", {}, ("Lifetime: over before it was sent", None)),
        (
            Check.FROM_DOMAIN,
            "stop",
            {"value": "evil.example"},
            ("Sender: mail from evil.example is not allowed", None),
        ),
        (
            Check.RECIPIENT_DOMAIN,
            "stop",
            {"value": "a.evil.example", "entry": "*.evil.example"},
            ("Recipient's domain: a.evil.example is blocked", "by the entry *.evil.example"),
        ),
        (
            Check.RECIPIENT_DOMAIN,
            "pass",
            {},
            ("Recipient's domain: example.org is not blocked", None),
        ),
        (Check.SUPPRESSION, "pass", {}, ("Recipient: not suppressed", None)),
        (
            Check.SUPPRESSION,
            "stop",
            {"suppression_id": 12, "class": "hard_bounce", "reason": "550 5.1.1 no"},
            ("Suppressed as hard bounce: 550 5.1.1 no", "suppression 12"),
        ),
        (
            Check.UNSUBSCRIBE,
            "stop",
            {"unsubscribe_id": 4, "topic": "news"},
            ("Unsubscribed from topic “news”", "unsubscribe 4"),
        ),
        (
            Check.FREEZE,
            "wait",
            {"freeze_id": 3, "reason": "complaints", "until": "2026-01-31T14:05:00+00:00"},
            ("Frozen: complaints", "until 14:05 UTC, freeze 3"),
        ),
        (
            Check.WORKSPACE_LIMIT,
            "pass",
            {"value": 17, "limit": 4000},
            ("Workspace limit: 17 of 4,000 this hour", None),
        ),
        (
            Check.DOMAIN_LIMIT,
            "wait",
            {"value": 200, "limit": 200, "free_at": "2026-01-31T14:05:00Z"},
            ("Mail to example.org: 200 of 200, room from 14:05 UTC", None),
        ),
        (
            Check.DOMAIN_LIMIT,
            "wait",
            {"value": 200, "limit": 200, "free_at": "2026-02-01T00:05:00Z"},
            ("Mail to example.org: 200 of 200, room from 1 Feb 2026 00:05 UTC", None),
        ),
        (
            Check.PROVIDER,
            "pass",
            {"smtp_account": "main", "route": "fail_over"},
            ("SMTP account main, fail-over, the accounts before it are out of use", None),
        ),
        (
            Check.PROVIDER,
            "pass",
            {"smtp_account": "main", "route": "by_the_moon"},
            ("SMTP account main", None),
        ),
    ],
)
def test_a_check_is_told_with_its_evidence(check, verdict, evidence, expected):
    assert told(check, Verdict(verdict), **evidence) == expected


def test_what_the_evidence_lacks_is_looked_up():
    row = Suppression(
        id=12, class_=SuppressionClass.COMPLAINT, reason="spam", stream=Stream.MARKETING
    )
    said = told(Check.SUPPRESSION, Verdict.STOP, Grounds({12: row}), suppression_id=12)
    assert said == ("Suppressed after a complaint: spam", "suppression 12, marketing mail only")


def test_an_accepted_message_shows_all_that_was_checked(card, accept, change_policy):
    change_policy(rate_limit_workspace_per_hour=400, rate_limit_domain_per_hour=None)
    shown = card(accept())
    assert "When it was accepted passed policy version 1" in text(shown)
    assert lines(shown)[:6] == [
        "passed Sender: mail from example.com is allowed",
        "passed Recipient's domain: example.org is not blocked",
        "passed Recipient: not suppressed",
        "passed Recipient: not unsubscribed",
        "passed Not frozen",
        "passed Workspace limit: 1 of 400 this hour",
    ]
    assert all(line.select_one("svg") for line in shown.select(".checks-made li"))


def test_a_suppressed_message_shows_first_what_stopped_it(card, page, accept):
    suppressions.add(1, "ann@example.org", reason=EVIL, source="api", by=BY)
    message = accept()
    shown = card(message)
    assert "the instance's defaults" in shown.text
    stopped, *passed = lines(shown)
    [row] = Suppression.select()
    assert stopped == f"stopped Suppressed by hand: {EVIL} (suppression {row.id})"
    assert len(passed) == 2
    soup = page(f"/ui/messages/{message.id}")
    assert EVIL not in str(soup)
    told = soup.select_one(".state").text
    assert "remove the suppression of ann@example.org, then resend the message." in told
    assert text(soup.select(".timeline > li")[1]).startswith(
        "Not sent: the recipient is suppressed"
    )


def test_an_unsubscribe_says_from_what(card, accept):
    unsubscribes.add(1, "ann@example.org", topic=f"news {EVIL}", source="api", by=BY)
    shown = card(accept(topic=f"news {EVIL}"))
    assert lines(shown)[0].startswith(f"stopped Unsubscribed from topic “news {EVIL}” (unsub")
    assert EVIL not in str(shown)


def test_what_is_suppressed_after_it_was_accepted_is_told_with_both_decisions(
    card, accept, inbox, deliver
):
    message = accept()
    suppressions.add(1, "ann@example.org", reason="moved away", source="api", by=BY)
    deliver()
    shown = card(message)
    assert "When it was due stopped" in text(shown)
    assert lines(shown)[0].startswith("stopped Suppressed by hand: moved away")
    [folded] = shown.select("details:not([open])")
    assert text(folded.summary).startswith("When it was accepted passed")


def test_a_frozen_message_says_until_when_and_follows_the_freeze(
    page, partial, client, accept, inbox, deliver
):
    message = accept(stream="marketing")
    end = clock.now() + dt.timedelta(hours=1)
    freeze = freezes.start(
        1, kind=FreezeKind.STREAM, target="marketing", reason=EVIL, expires_at=end, by=BY
    )
    deliver()
    soup = page(f"/ui/messages/{message.id}")
    assert f"A freeze stops marketing mail: {EVIL}" in soup.select_one(".state").text
    waits = lines(soup.select_one(".why"))[0]
    assert waits.startswith(f"waits Frozen: {EVIL} (marketing mail, until ")
    assert waits.endswith(f"freeze {freeze.id})")
    assert EVIL not in str(soup)
    poll = soup.select_one("#story")["hx-get"]
    assert client.get(poll, headers={"HX-Request": "true"}).status_code == 204
    later = end + dt.timedelta(days=20)
    freezes.extend(freeze, expires_at=later, by=BY)
    story = partial(poll)
    assert f"until {later.day} {later:%b %Y}" in story.select_one(".why").text
    assert "Its lifetime ends before the freeze does" in story.select_one(".state").text


def test_what_a_newer_policy_forbids_names_its_version(card, accept, inbox, deliver, change_policy):
    message = accept()
    change_policy(blocked_recipient_domains=["*.org", "example.org"])
    deliver()
    shown = card(message)
    assert "When it was due stopped policy version 1" in text(shown)
    assert lines(shown)[0] == "stopped Recipient's domain: example.org is blocked"


def test_a_message_that_waits_for_a_limit_says_so(page, accept, change_policy):
    change_policy(rate_limit_domain_per_hour=1, on_limit=OnLimit.DEFER)
    accept()
    soup = page(f"/ui/messages/{accept().id}")
    state = text(soup.select_one(".state"))
    assert "waits for room in the hourly limit of 1 message to example.org. It goes out in" in state
    assert lines(soup.select_one(".why"))[0].startswith(
        "waits Mail to example.org: 1 of 1, room from "
    )


def test_a_message_that_is_queued_again_says_that_it_is_decided_anew(
    card, accept, inbox, deliver, change_policy
):
    message = accept()
    change_policy(blocked_recipient_domains=["example.org"])
    deliver()
    Message.update(status=Status.QUEUED, next_attempt_at=clock.now()).execute()
    assert "looked at anew" in card(message).text


def test_ten_attempts_do_not_flood_the_page(card, accept, attempt):
    message = accept()
    for number in range(1, 11):
        attempt(message, number, route=Route.AFTER_FAULTS.value if number == 2 else None)
    shown = card(message)
    assert "Before attempt 10 passed policy version 3" in text(shown)
    assert lines(shown)[-1] == "passed SMTP account main"
    earlier, accepted = shown.select("details")
    assert not earlier.has_attr("open")
    assert text(earlier.summary) == "9 earlier decisions"
    rows = [text(row) for row in earlier.select(".earlier > li")]
    assert [row.split()[2] for row in rows] == [str(n) for n in range(9, 0, -1)]
    assert rows[7].endswith("SMTP account main, after faults elsewhere")
    assert text(accepted.summary).startswith("When it was accepted")


def test_the_attempt_under_way_has_passed_all_checks(card, accept, move):
    message = accept()
    move(message, Status.SENDING, attempt_count=1, smtp_account_name="main")
    shown = card(message)
    assert "Before attempt 1 passed" in text(shown)
    assert len(lines(shown)) == 7


def test_what_was_never_written_down_is_not_made_up(card, accept, attempt):
    message = accept()
    Event.update(data={}).where(Event.type == EventType.ACCEPTED.value).execute()
    attempt(message, 1, policy_version=None, route=None)
    shown = card(message)
    assert "It was accepted by an earlier version of maild" in shown.text
    assert "did not write down what it checked" in shown.text
    assert lines(shown) == ["passed SMTP account main"]
    Attempt.delete().execute()
    assert "It was accepted by an earlier version of maild" in card(message).text


def test_what_an_id_of_another_workspace_means_is_not_shown(card, accept, attempt):
    end = clock.now() + dt.timedelta(hours=1)
    foreign = freezes.start(2, kind=FreezeKind.WORKSPACE, reason="Secret", expires_at=end, by=BY)
    message = accept()
    data = {"check": "freeze", "freeze_id": foreign.id}
    Event.insert(workspace=1, message=message.id, type=EventType.HELD.value, data=data).execute()
    assert lines(card(message))[0] == f"waits Frozen (freeze {foreign.id})"


def test_it_is_part_of_what_is_polled(partial, accept):
    assert partial(f"/ui/messages/{accept().id}").select_one("#story .why")


def test_it_asks_for_as_much_whatever_the_number_of_attempts(page, accept, attempt, monkeypatch):
    message = accept()
    asked = []
    execute = database_.execute_sql
    monkeypatch.setattr(
        database_,
        "execute_sql",
        lambda *args, **kwargs: asked.append(args[0]) or execute(*args, **kwargs),
    )

    def count():
        asked.clear()
        page(f"/ui/messages/{message.id}")
        return len([sql for sql in asked if sql.lstrip().upper().startswith("SELECT")])

    def try_and_hold(number):
        attempt(message, number)
        data = {"check": "freeze", "reason": "x", "freeze_id": number}
        Event.insert(
            workspace=1, message=message.id, type=EventType.HELD.value, data=data
        ).execute()

    try_and_hold(1)
    count()  # what is read once in a process is known from here on
    once = count()
    for number in range(2, 40):
        try_and_hold(number)
    assert count() == once <= 11


def test_the_attempts_are_those_of_the_policy_in_force(page, accept, change_policy):
    message = accept(stream="marketing")
    change_policy(marketing={"max_attempts": 4})
    assert "0 of 4" in page(f"/ui/messages/{message.id}").select_one(".state").text


def test_recipients_of_one_submission_lead_to_each_other(page, accept, database):
    key = ApiKey.create(
        workspace=1,
        name="billing",
        prefix="mk_1a2b",
        key_hash=b"x" * 32,
        role="sender",
        created_by="admin key",
    )
    new = NewMessage(
        from_email="shop@example.com",
        to_email="to@example.org",
        cc=("zoe@example.org", "Bob@example.org"),
        bcc=("hidden@example.net",),
        subject="Minutes",
        body_text="Hello.",
        topic="board",
    )
    first, *others = messages.submit(1, new, by=Submitter(api_key_id=key.id)).messages
    hidden = next(one for one in others if one.to_email == "hidden@example.net")
    accept(to_email="stranger@example.org")
    soup = page(f"/ui/messages/{hidden.id}")
    facts = soup.select_one("#facts")
    assert "hidden@example.net (Bcc)" in text(facts)
    assert "billing mk_1a2b" in text(facts)
    assert "board" in facts.text
    assert [text(row) for row in facts.select(".related li")] == [
        "To to@example.org queued",
        "Cc Bob@example.org queued",
        "Cc zoe@example.org queued",
    ]
    link = facts.select_one(".related a")["href"]
    assert link == f"/ui/messages/{first.id}"
    headers = text(soup.select_one("#content"))
    assert "To: to@example.org" in headers
    assert "Cc: zoe@example.org, Bob@example.org" in headers
    assert "hidden" not in headers


def test_one_recipient_has_no_others(page, accept):
    facts = page(f"/ui/messages/{accept().id}").select_one("#facts")
    assert "Other recipients" not in facts.text
    assert "Submitted with" not in facts.text
    assert "(To)" not in facts.text


def test_the_log_says_what_stopped_a_message(page, accept, age):
    suppressions.add(1, "ann@example.org", reason="x", source="api", by=BY)
    unsubscribes.add(1, "bob@example.org", source="api", by=BY)
    age(accept(), accept(to_email="bob@example.org"))
    errors = {
        row.select_one(".col-to").text: text(row.select_one(".col-error"))
        for row in page("/ui/logs").select("tr.message")
    }
    assert errors == {"ann@example.org": "recipient suppressed", "bob@example.org": "unsubscribed"}
