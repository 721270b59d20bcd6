"""The ledger of a campaign, read: figures, the lists behind them, and whether they add up."""

from datetime import timedelta

import pytest

from maild import clock, db
from maild.domain.actor import SYSTEM
from maild.domain.campaign import CampaignStatus, RecipientStatus, Variant
from maild.errors import NotFound
from maild.models import Campaign, CampaignRecipient, Contact, Message
from maild.services import campaign_ledger, campaign_states, interventions
from maild.services.campaign_ledger import Check, Filter
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.campaigning import (
    again,
    counts,
    hand_all,
    make_campaign,
    make_contacts,
    make_template,
    messages_of,
    reasons,
    rows_of,
    send_some,
    step,
    step_until,
)
from tests.services.helpers import A_PATIENT, LATER, LOST, NO_SUCH_USER, end, logged, take
from tests.services.reporting import about, report

S, R = CampaignStatus, RecipientStatus
pytestmark = pytest.mark.usefixtures("database")


def test_a_row_follows_its_message(lease: Lease) -> None:
    make_contacts(5)
    campaign = hand_all(make_campaign())
    claims = take(lease, A_PATIENT)
    assert counts(campaign) == {"queued": 5}
    end(claims[0])
    end(claims[1], NO_SUCH_USER)
    end(claims[2], LATER)
    end(claims[3], LOST)
    assert counts(campaign) == {"queued": 2, "sent": 1, "failed": 1, "unknown": 1}
    assert reasons(campaign, R.FAILED) == {"invalid_recipient": 1}
    [sent] = [m for m in messages_of(campaign) if m.status.value == "sent"]
    report(about(sent, "delivered"))
    assert counts(campaign) == {"queued": 2, "delivered": 1, "failed": 1, "unknown": 1}
    report(about(sent, "hard_bounce", bounce_type="hard", reason="550 5.1.1 No such user"))
    assert counts(campaign) == {"queued": 2, "bounced": 1, "failed": 1, "unknown": 1}
    report(about(sent, "complained"))
    assert counts(campaign) == {"queued": 2, "delivered": 1, "failed": 1, "unknown": 1}


def test_a_late_bounce_and_a_retry_change_a_campaign_that_is_finished() -> None:
    make_contacts(2)
    campaign = hand_all(make_campaign())
    first, second = messages_of(campaign)
    send_some([first], "delivered")
    send_some([second], "failed")
    step_until(campaign, S.FINISHED)
    assert counts(campaign) == {"delivered": 1, "failed": 1}
    report(about(first, "hard_bounce", bounce_type="hard", reason="550 5.1.1 No such user"))
    interventions.retry(WORKSPACE_A, message_ids=[str(second.id)], by=SYSTEM)
    assert counts(campaign) == {"bounced": 1, "queued": 1}
    send_some([second], "sent")
    assert counts(campaign) == {"bounced": 1, "sent": 1}
    assert again(campaign).status is S.FINISHED


def test_what_one_withdraws_by_hand_and_what_expires_is_told() -> None:
    make_contacts(2)
    campaign = hand_all(make_campaign())
    first, second = messages_of(campaign)
    interventions.cancel(WORKSPACE_A, [str(first.id)], by=SYSTEM)
    db.database.execute_sql(
        "UPDATE messages SET status = 'expired', next_attempt_at = NULL WHERE id = %s",
        (second.id,),
    )
    assert counts(campaign) == {"cancelled": 1, "failed": 1}
    assert reasons(campaign, R.FAILED) == {"expired": 1}


def test_a_message_that_is_no_longer_kept_leaves_its_row() -> None:
    make_contacts(2)
    campaign = hand_all(make_campaign())
    send_some(messages_of(campaign), "delivered")
    step_until(campaign, S.FINISHED)
    Message.delete().execute()
    assert counts(campaign) == {"delivered": 2}


def test_figures_of_several_come_at_once() -> None:
    make_contacts(3)
    version = make_template()
    kept = {"template": version.template_id, "template_version": 1}
    first = hand_all(make_campaign(**kept))
    second, third = make_campaign(**kept), make_campaign(**kept, name="Other")
    found = campaign_ledger.figures_of([first, second, third])
    assert found[first.id].by_status[R.QUEUED] == 3
    assert found[first.id].waiting_count == 0
    assert found[second.id].audience_count == 0
    assert found[third.id].counts == {}
    assert campaign_ledger.figures_of([]) == {}


def test_a_list_stands_behind_each_figure() -> None:
    make_contacts(7)
    campaign = hand_all(make_campaign())
    send_some(messages_of(campaign)[:3], "delivered")
    page = campaign_ledger.list_page(
        WORKSPACE_A, campaign.id, filter_=Filter(status=R.DELIVERED), limit=2
    )
    assert len(page.recipients) == 2
    assert page.next_after == page.recipients[-1].id
    rest = campaign_ledger.list_page(
        WORKSPACE_A,
        campaign.id,
        filter_=Filter(status=R.DELIVERED),
        limit=2,
        after=page.next_after or 0,
    )
    assert (len(rest.recipients), rest.next_after) == (1, None)
    everybody = campaign_ledger.list_page(WORKSPACE_A, campaign.id)
    assert [row.email for row in everybody.recipients] == [r.email for r in rows_of(campaign)]
    CampaignRecipient.update(opened_at=again(campaign).created_at).where(
        CampaignRecipient.id == rows_of(campaign)[4].id
    ).execute()
    opened = campaign_ledger.list_page(WORKSPACE_A, campaign.id, filter_=Filter(did="opened"))
    assert [row.email for row in opened.recipients] == ["ann5@example.net"]
    none = campaign_ledger.list_page(
        WORKSPACE_A, campaign.id, filter_=Filter(status=R.DELIVERED, reason="")
    )
    assert len(none.recipients) == 3


def test_pages_of_all_statuses_go_on_in_the_order_of_the_rows() -> None:
    make_contacts(7)
    campaign = hand_all(make_campaign())
    messages = messages_of(campaign)
    send_some(messages[0:7:3], "sent")
    send_some(messages[1:7:3], "delivered")
    found: list[int] = []
    after: int | None = 0
    while after is not None:
        page = campaign_ledger.list_page(WORKSPACE_A, campaign.id, limit=2, after=after)
        found += [row.id for row in page.recipients]
        after = page.next_after
    assert found == [row.id for row in rows_of(campaign)]


def test_a_list_reads_no_rows_of_older_campaigns() -> None:
    older, campaign = (make_campaign(template=None) for _ in range(2))
    sql = """
    INSERT INTO campaign_recipients (campaign_id, contact_id, email)
    SELECT %s, n, n || '@example.net' FROM generate_series(1, %s) AS n
    """
    for row, count in ((older, 3_000), (campaign, 300)):
        db.database.execute_sql(sql, (row.id, count))
    db.database.execute_sql("ANALYZE campaign_recipients")
    before = _rows_read()
    page = campaign_ledger.list_page(WORKSPACE_A, campaign.id, limit=50)
    assert len(page.recipients) == 50
    assert _rows_read() - before < 200


def _rows_read() -> int:
    """How many rows of ledgers were read so far, by whatever way."""
    db.database.execute_sql("SELECT pg_stat_force_next_flush()")
    [(count,)] = db.database.execute_sql(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables"
        " WHERE relname = 'campaign_recipients'"
    ).fetchall()
    return int(count)


def test_another_workspaces_ledger_is_not_there() -> None:
    campaign = make_campaign()
    with pytest.raises(NotFound):
        campaign_ledger.list_page(WORKSPACE_B, campaign.id)


def test_the_largest_domains_are_told_one_by_one() -> None:
    make_contacts(3)
    for n in range(2):
        Contact.create(workspace_id=WORKSPACE_A, email=f"bo{n}@two.example", created_by="test")
    Contact.create(workspace_id=WORKSPACE_A, email="cy@one.example", created_by="test")
    campaign = hand_all(make_campaign())
    found = campaign_ledger.by_domain(campaign, limit=2)
    assert {name: part.total_count for name, part in found.items()} == {
        "example.net": 3,
        "two.example": 2,
        "": 1,
    }
    assert list(found) == ["example.net", "two.example", ""]
    assert found["example.net"].counts == {R.QUEUED: 3}


@pytest.mark.proves("I12")
@pytest.mark.parametrize(
    ("damage", "wrong"),
    [
        ("UPDATE campaigns SET audience_count = audience_count + 2", (2, 0, 0)),
        ("UPDATE campaigns SET handed_count = handed_count - 1", (0, -1, 0)),
        (
            "UPDATE campaign_recipients SET status = 'queued' WHERE status = 'sent'",
            (0, 0, 1),
        ),
    ],
)
def test_a_ledger_that_does_not_add_up_is_noticed(damage: str, wrong: tuple[int, ...]) -> None:
    make_contacts(3)
    campaign = hand_all(make_campaign())
    send_some(messages_of(campaign)[:1], "sent")
    [fine] = list(campaign_ledger.check_running())
    assert fine == Check(campaign.id, 0, 0, 0)
    db.database.execute_sql(damage)
    [found] = list(campaign_ledger.check_running())
    assert (found.missing_count, found.handed_difference, found.out_of_step_count) == wrong
    assert not found.is_whole


def test_a_ledger_that_does_not_change_is_not_counted_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_contacts(3)
    campaign = hand_all(make_campaign())
    campaign_states.pause(WORKSPACE_A, campaign.id, by=SYSTEM)
    assert len(list(campaign_ledger.check_running())) == 1
    assert list(campaign_ledger.check_running()) == [], "paused, perhaps for months"
    campaign_states.resume(WORKSPACE_A, campaign.id, by=SYSTEM)
    assert len(list(campaign_ledger.check_running())) == 1
    send_some(messages_of(campaign)[:1], "sent")
    assert len(list(campaign_ledger.check_running())) == 1
    assert list(campaign_ledger.check_running()) == []
    monkeypatch.setattr(campaign_ledger, "LOOK_AGAIN_SECONDS", -1)
    campaign_ledger._looks.clear()
    assert len(list(campaign_ledger.check_running())) == 1
    assert len(list(campaign_ledger.check_running())) == 1, "now and then it is"
    db.database.execute_sql("UPDATE campaigns SET audience_count = 9")
    for _ in range(2):
        [broken] = campaign_ledger.check_running()
        assert not broken.is_whole, "what is broken is told each time"
    Campaign.delete().execute()
    assert list(campaign_ledger.check_running()) == []
    assert campaign_ledger._looks == {}


def test_a_ledger_that_takes_long_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    make_contacts(2)
    campaign = step_until(make_campaign(), S.SENDING)
    monkeypatch.setattr(campaign_ledger, "EVERY_SECONDS", 0)
    monkeypatch.setattr(campaign_ledger, "SHARE", 1_000_000)
    assert len(list(campaign_ledger.check_running())) == 1
    step(campaign)
    assert list(campaign_ledger.check_running()) == []


def test_a_ledger_that_takes_too_long_keeps_no_other_from_being_looked_at(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_contacts(2)
    version = make_template()
    same = {"template": version.template_id, "template_version": version.version}
    slow, broken = (step_until(make_campaign(**same), S.SENDING) for _ in range(2))
    db.database.execute_sql("UPDATE campaigns SET audience_count = 9 WHERE id = %s", (broken.id,))
    sql = campaign_ledger._CHECK.replace(
        "ORDER BY c.id", f"AND (c.id <> {slow.id} OR pg_sleep(9) IS NOT NULL) ORDER BY c.id"
    )
    monkeypatch.setattr(campaign_ledger, "_CHECK", sql)
    monkeypatch.setattr(campaign_ledger, "COUNT_TIMEOUT_MS", 100)
    caplog.clear()
    campaign_ledger.watch()
    assert {line["event"]: line["campaign_id"] for line in logged(caplog)} == {
        "campaign.ledger_not_checked": slow.id,
        "campaign.ledger_broken": broken.id,
    }


# --- A test of subjects -----------------------------------------------------------------------


def make_test(count: int = 200, **fields: object) -> Campaign:
    make_contacts(count)
    values = {
        "subject": "Subject A",
        "subject_b": "Subject B",
        "test_percent": 20,
        "test_minutes": 60,
        "test_metric": "opens",
    }
    return make_campaign(**{**values, **fields})


def test_a_part_gets_the_two_subjects_and_the_others_wait() -> None:
    campaign = make_test()
    step_until(campaign, S.SENDING)
    parts = campaign_ledger.by_variant(campaign)
    tested = parts[Variant.A].total_count + parts[Variant.B].total_count
    assert 10 <= tested <= 80
    for _ in range(3):
        step(campaign)
    waiting = again(campaign)
    assert waiting.handed_count == tested
    assert waiting.decide_at is None, "its time begins when it has gone out"
    send_some(messages_of(campaign)[: int(tested * 0.8)], "sent")
    assert step(campaign).decide_at is None
    send_some([m for m in messages_of(campaign) if m.status.value == "queued"][:-1], "sent")
    waiting = step(campaign)
    assert waiting.decide_at is not None
    assert waiting.winner is None
    subjects = {row.email: row.variant for row in rows_of(campaign) if row.variant}
    for message in messages_of(campaign):
        assert message.subject == f"Subject {subjects[message.to_email].value.upper()}"


@pytest.mark.parametrize("better", list(Variant))
def test_the_better_one_goes_to_the_others(better: Variant) -> None:
    campaign = make_test()
    for _ in range(5):
        step(campaign)
    send_some(messages_of(campaign), "delivered")
    at = again(campaign).created_at
    [one, *_] = [row.id for row in rows_of(campaign) if row.variant is better]
    CampaignRecipient.update(opened_at=at).where(CampaignRecipient.id == one).execute()
    db.database.execute_sql("UPDATE campaigns SET decide_at = now()")
    hand_all(campaign)
    assert again(campaign).winner is better
    others = {row.email for row in rows_of(campaign) if row.variant is None}
    subjects = {m.subject for m in messages_of(campaign) if m.to_email in others}
    assert subjects == {f"Subject {better.value.upper()}"}
    assert again(campaign).handed_count == 200


def test_a_pause_begins_the_time_of_a_test_anew() -> None:
    campaign = make_test()
    for _ in range(5):
        step(campaign)
    send_some(messages_of(campaign), "delivered")
    step(campaign)
    Campaign.update(decide_at=clock.now()).where(Campaign.id == campaign.id).execute()
    campaign_states.pause(WORKSPACE_A, campaign.id, by=SYSTEM)
    campaign_states.resume(WORKSPACE_A, campaign.id, by=SYSTEM)
    resumed = step(campaign)
    assert resumed.winner is None
    assert resumed.decide_at > clock.now() + timedelta(minutes=5)


def test_one_at_a_time_both_subjects_go_out_alike() -> None:
    campaign = make_test(per_hour=60, test_percent=100)
    step_until(campaign, S.SENDING)
    for _ in range(10):
        kept = again(campaign).pace
        if kept:
            Campaign.update(pace={**kept, "at": kept["at"] - 60}).execute()
        step(campaign)
    variants = [row.variant for row in rows_of(campaign) if row.message_id]
    assert len(variants) == 10
    first = [row.variant for row in rows_of(campaign)][:10]
    assert variants == first
    assert set(first) == {Variant.A, Variant.B}


def test_a_person_may_decide_sooner() -> None:
    campaign = make_test()
    for _ in range(5):
        step(campaign)
    campaign_states.choose_winner(WORKSPACE_A, campaign.id, Variant.B, by=SYSTEM)
    hand_all(campaign)
    assert sum(m.subject == "Subject B" for m in messages_of(campaign)) > 150
    with pytest.raises(Exception, match="decided already"):
        campaign_states.choose_winner(WORKSPACE_A, campaign.id, Variant.A, by=SYSTEM)


def test_a_test_with_nobody_in_it_is_decided_at_once() -> None:
    campaign = make_test(1, test_percent=1)
    step_until(campaign, S.SENDING)
    CampaignRecipient.update(variant=None).execute()
    hand_all(campaign)
    assert again(campaign).winner is Variant.A
    assert [m.subject for m in messages_of(campaign)] == ["Subject A"]


def test_a_test_of_all_has_nobody_left_to_decide_for() -> None:
    campaign = make_test(20, test_percent=100)
    hand_all(campaign)
    send_some(messages_of(campaign), "sent")
    assert step_until(campaign, S.FINISHED).winner is None
