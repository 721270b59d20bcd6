"""I6: somebody leaves with one click in the middle of a campaign, and hears no more of it."""

import uuid
from collections import Counter
from collections.abc import Iterable

import pytest

from tests.crash.audit import Stop, audit, read_rows
from tests.crash.desk import Desk
from tests.crash.load import Acknowledged
from tests.crash.rig import Rig, message, running, wait_until

pytestmark = [pytest.mark.crash, pytest.mark.long]

ANN = "ann@example.org"
MESSAGES = 10_000
EVERY = 25
"""Each of so many messages of the campaign is Ann's."""
DELIVERED = 40
"""Of hers, when she clicks."""
OTHERS = 20
"""Of her mail about something else, and as many that is no marketing."""
BATCH = 500


@pytest.mark.proves("I6")
def test_one_click_ends_a_campaign_for_one_and_for_nobody_else() -> None:
    with running(workers=0, schedulers=1) as rig:
        campaign = submit(
            rig, (whose(n) for n in range(MESSAGES)), stream="marketing", topic="news"
        )
        others = submit(rig, [ANN] * OTHERS, stream="marketing", topic="offers")
        others += submit(rig, [ANN] * OTHERS)
        rig.workers = [rig.start_part(f"worker-{n}", rig.maild("worker")) for n in range(2)]
        # Important mail goes first.
        got = rig.sink.ledger.read_text
        wait_until(lambda: got().count(f" {ANN}\n") >= OTHERS + DELIVERED, "some of it")
        link = wait_until(lambda: rig.tap.link_of(ANN), "a mail of hers has its link")
        clicked_at = rig.click(link)
        drain(rig)

        desk = Desk(rig)
        stop = Stop(1, clicked_at, email=ANN, stream="marketing", topic="news")
        report = audit(rig, [*campaign, *others], stops=[stop], differences=desk.differences())
        desk.close()
        assert not report.violations, "\n".join(report.violations[:20])
        assert report.lost == report.duplicates == report.late == report.untold == 0
        check_hers(rig, report.stopped)
        check_everybodys(rig, {one.message_id for one in [*campaign, *others]})


def whose(number: int) -> str:
    """Whom a message of the campaign is for."""
    return f"person-{number}@example.org" if number % EVERY else ANN


def submit(rig: Rig, recipients: Iterable[str], **fields: str) -> list[Acknowledged]:
    """Submit a message to each, many at a time."""
    emails, accepted = list(recipients), []
    for start in range(0, len(emails), BATCH):
        part = emails[start : start + BATCH]
        body = {"messages": [message(email, **fields) for email in part]}
        status, answer = rig.call("POST", "/v1/messages/batch", body)
        assert (status, answer["rejected"]) == (200, 0), answer
        for email, told in zip(part, answer["results"], strict=True):
            accepted.append(Acknowledged(uuid.UUID(told["id"]), 1, email))
    return accepted


def received(rig: Rig) -> Counter[str]:
    """How many copies each recipient has got."""
    return Counter(line[2] for line in rig.sink.lines())


def drain(rig: Rig) -> None:
    wait_until(
        lambda: (
            not rig.query("SELECT 1 FROM messages WHERE status IN ('queued', 'sending') LIMIT 1")
        ),
        "everything has come to its end",
    )


def check_hers(rig: Rig, stopped: int) -> None:
    """What is left of the campaign is suppressed by her click, and her other mail is not."""
    [(unsubscribe_id, email, stream, topic, source)] = rig.query(
        "SELECT id, email, stream, topic, source FROM unsubscribes"
    )
    assert (email, stream, topic, source) == (ANN, "marketing", "news", "one_click")
    hers = [row for row in read_rows(rig).values() if row.to_email == ANN]
    by_status = Counter(row.status for row in hers if row.topic == "news")
    assert by_status.keys() == {"sent", "suppressed"}
    assert by_status.total() == MESSAGES // EVERY
    assert DELIVERED <= by_status["sent"] < MESSAGES // EVERY
    assert stopped == by_status["suppressed"]
    assert [row.status for row in hers if row.topic != "news"] == ["sent"] * 2 * OTHERS
    rows = rig.query(
        "SELECT unsubscribe_id, suppression_id, count(*) FROM messages"
        " WHERE status = 'suppressed' GROUP BY 1, 2"
    )
    assert rows == [(unsubscribe_id, None, stopped)]


def check_everybodys(rig: Rig, message_ids: set[uuid.UUID]) -> None:
    """Whatever was not suppressed has come once, and to its own recipient."""
    copies = Counter(line[1] for line in rig.sink.lines())
    assert set(copies.values()) == {1}
    sent = {message_id for message_id, row in read_rows(rig).items() if row.status == "sent"}
    assert copies.keys() == sent <= message_ids
    people = received(rig)
    assert all(people[whose(number)] == 1 for number in range(MESSAGES) if number % EVERY)
