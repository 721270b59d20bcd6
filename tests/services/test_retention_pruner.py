"""The pruner: what is old and has ended goes, what is young, unfinished or another workspace's
stays, and what is left still adds up.
"""

import dataclasses
import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from maild import clock, scheduler
from maild.config import Retention, Settings
from maild.db import database as db
from maild.domain.actor import SYSTEM
from maild.domain.retention import Choice
from maild.domain.states import Status
from maild.models import (
    Attempt,
    Event,
    Incident,
    Job,
    LogBlock,
    Message,
    MessageAttachment,
    MessageBody,
    Notification,
    ProviderEvent,
    RetentionLeftover,
    WebhookPayload,
)
from maild.services import (
    conservation,
    interventions,
    locks,
    log_blocks,
    messages,
    originals,
    resending,
    retention,
    retention_pruner,
    retention_walks,
)
from maild.services.submissions import NewMessage
from tests import metering
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import at_once
from tests.services.incidenting import make_incident
from tests.services.reporting import about, report, statuses, suppressed

Accept = Callable[..., Message]

pytestmark = pytest.mark.usefixtures("database")

DAY = "interval '1 day'"


def prune(**fields: Any) -> Counter[str]:
    return retention_pruner.prune(seconds=30, rest=lambda seconds: None, **fields)


def age(
    message: Message, days: float, *, status: str = "sent", changed: float | None = None
) -> None:
    """As if it had been accepted so many days ago, and ended then, or `changed` days ago."""
    db.execute_sql(
        f"UPDATE messages SET created_at = now() - %s * {DAY} WHERE id = %s", (days, message.id)
    )
    stand(message, status, days if changed is None else changed)


def stand(message: Message, status: str, days: float = 100) -> None:
    """As if it had stood so for so many days."""
    db.execute_sql("ALTER TABLE messages DISABLE TRIGGER messages_refuse_illegal_move")
    db.execute_sql(
        "UPDATE messages SET status = %(status)s,"
        " next_attempt_at = CASE %(status)s WHEN 'queued' THEN now() END,"
        " hold_reason = CASE %(status)s WHEN 'held' THEN 'a test' END,"
        " worker_id = CASE %(status)s WHEN 'sending' THEN gen_random_uuid() END,"
        f" updated_at = now() - %(days)s * {DAY} WHERE id = %(id)s",
        {"status": status, "days": days, "id": message.id},
    )
    db.execute_sql("ALTER TABLE messages ENABLE TRIGGER messages_refuse_illegal_move")


def come_back_tomorrow() -> None:
    RetentionLeftover.update(look_at=clock.now()).execute()


def left() -> set[Any]:
    return {row.id for row in Message.select(Message.id)}


def has_content(message: Message) -> bool:
    return MessageBody.get_by_id(message.id).body_text is not None


def choose(workspace_id: int, **days: int) -> None:
    version = retention.get(workspace_id).version
    retention.save(workspace_id, Choice(**days), version=version, by=SYSTEM)


@pytest.mark.proves("run-retention")
def test_content_goes_after_30_days_and_the_message_after_90(accept: Accept) -> None:
    young, stale, old = accept(), accept(), accept()
    for message, days in ((young, 29), (stale, 31), (old, 91)):
        age(message, days)
    assert prune() == {"bodies": 2, "messages": 1}
    assert left() == {young.id, stale.id}
    assert has_content(young)
    body = MessageBody.get_by_id(stale.id)
    assert (body.body_text, body.body_html, body.headers) == (None, None, [])
    assert clock.now() - body.pruned_at < timedelta(minutes=1)
    assert Event.select().where(Event.message == stale.id).count() > 0, "what happened stays"
    assert prune() == {}, "once"


def test_all_of_a_message_goes_with_it(accept: Accept) -> None:
    old = accept()
    MessageAttachment.create(
        message=old.id, position=0, filename="a", content_type="text/plain", content=b"x"
    )
    Attempt.create(
        message=old.id, attempt_no=1, status="sent", worker_id=uuid.UUID(int=1),
        smtp_account_name="default", finished_at=clock.now(),
    )  # fmt: skip
    make_incident([old.id])
    age(old, 91)
    prune()
    for model in (Message, MessageBody, MessageAttachment, Attempt):
        assert model.select().count() == 0, model
    assert Event.select().where(Event.message.is_null(False)).count() == 0


@pytest.mark.proves("run-retention")
@pytest.mark.parametrize("status", ["queued", "sending", "held", "unknown"])
def test_what_has_not_ended_never_goes_until_it_has(accept: Accept, status: str) -> None:
    message = accept()
    age(message, 500, status=status)
    assert prune() == {}
    assert has_content(message)
    assert RetentionLeftover.select().count() == 2, "of the content, and of the message"
    stand(message, "delivered")
    assert prune() == {}, "it is looked at again tomorrow"
    come_back_tomorrow()
    assert prune() == {"bodies": 1, "messages": 1}
    assert RetentionLeftover.select().count() == 0


def test_the_time_runs_from_the_latest_change(accept: Accept) -> None:
    message = accept()
    age(message, 200, changed=3)
    assert prune() == {}
    stand(message, "sent", 31)
    come_back_tomorrow()
    assert prune() == {"bodies": 1}


def test_recipients_of_one_submission_go_together() -> None:
    first, second = submit_two()
    age(first, 500)
    age(second, 500, status="held")
    assert prune() == {}
    assert has_content(first), "the other one may still be sent with it"
    stand(second, "sent")
    come_back_tomorrow()
    assert prune() == {"bodies": 1, "messages": 2}


def submit_two() -> tuple[Message, Message]:
    first, second = messages.submit(
        WORKSPACE_A,
        NewMessage(
            from_email="shop@example.com", to_email="ann@example.org", cc=("bob@example.org",),
            subject="Hello", body_text="Hello.",
        ),
    ).messages  # fmt: skip
    return first, second


def test_a_batch_that_ends_between_the_recipients_of_a_submission_takes_all_of_them() -> None:
    for message in submit_two():
        age(message, 100, status="failed")
    with db.atomic():
        retention_walks.step(
            retention_walks.MESSAGES, WORKSPACE_A, clock.now() - timedelta(days=90), batch=1
        )
    assert left() == set()
    [balance] = [one for one in conservation.check() if one.workspace_id == WORKSPACE_A]
    assert (balance.pruned_count, balance.difference) == (2, 0)


def test_a_recipient_that_somebody_holds_keeps_the_content_of_the_submission() -> None:
    first, second = submit_two()
    for message in (first, second):
        age(message, 100, status="failed")
    with db.atomic():
        db.execute_sql("SELECT FROM messages WHERE id = %s FOR UPDATE", (second.id,))
        at_once(prune)
    assert left() == {first.id, second.id}
    assert messages.get_body(messages.get(WORKSPACE_A, second.id)).pruned_at is not None
    come_back_tomorrow()
    prune()
    assert left() == set()


@pytest.mark.proves("run-retention")
def test_each_workspace_keeps_as_long_as_it_chose(accept: Accept) -> None:
    here, there = accept(), accept(workspace_id=WORKSPACE_B)
    age(here, 100)
    age(there, 100)
    choose(WORKSPACE_B, bodies=200, messages=365)
    assert prune() == {"bodies": 1, "messages": 1}
    assert left() == {there.id}
    assert has_content(there)
    choose(WORKSPACE_B, bodies=20, messages=60)
    assert prune() == {"bodies": 1, "messages": 1}


def test_for_ever_is_for_ever(accept: Accept, use_settings: Callable[..., Settings]) -> None:
    use_settings(retention=Retention(None, None, None, None))
    age(accept(), 5_000)
    assert prune() == {}


def test_a_job_that_is_under_way_finds_what_it_wants(accept: Accept) -> None:
    message = accept()
    age(message, 500)
    job = Job.create(
        workspace=WORKSPACE_A, kind="messages.retry", params={}, created_by="x", status="queued",
        breakdown={},
    )  # fmt: skip
    assert prune() == {}
    Job.update(status="done", finished_at=clock.now()).where(Job.id == job.id).execute()
    assert prune()["messages"] == 1


@pytest.mark.proves("run-retention", "I19")
def test_what_was_accepted_is_what_is_there_and_what_went(accept: Accept) -> None:
    for days in (1, 10, 40, 100, 200):
        age(accept(), days)
    accept(workspace_id=WORKSPACE_B)
    prune()
    balances = {one.workspace_id: one for one in conservation.check()}
    mine = balances[WORKSPACE_A]
    assert (mine.accepted_count, mine.found_count, mine.pruned_count, mine.difference) == (
        5, 3, 2, 0,
    )  # fmt: skip
    check = conservation.latest(WORKSPACE_A)
    assert check is not None
    assert check.pruned_count == 2
    # A message that is lost is one that the pruner did not count.
    Message.delete().where(Message.id == next(iter(left()))).execute()
    assert sum(one.difference for one in conservation.check()) == 1


def test_small_batches_come_to_the_same(accept: Accept) -> None:
    for number in range(7):
        age(accept(), 100 + number / 100)
    assert prune(batch=2) == {"bodies": 7, "messages": 7}
    assert left() == set()


def test_it_stops_when_it_is_told_and_goes_on_there(accept: Accept) -> None:
    for _ in range(4):
        age(accept(), 100)
    stops = iter([False, False, True])
    prune(batch=2, is_stopping=lambda: next(stops, True))
    assert len(left()) == 2
    prune()
    assert left() == set()


def test_a_rule_that_fails_keeps_none_of_the_others_from_their_turn(
    accept: Accept, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(accept(), 100)

    def fail(*_: object) -> tuple[set[str], int]:
        raise ValueError("a page of the table cannot be read")

    broken = dataclasses.replace(retention_walks.BODIES, prune=fail)
    others = tuple(rule for rule in retention_pruner.RULES if rule.rule != "bodies")
    monkeypatch.setattr(retention_pruner, "RULES", (broken, *others))
    crashes = metering.number("maild_crashes_total")
    assert prune() == {"messages": 1}
    assert metering.number("maild_crashes_total") == crashes + 1


def test_one_prunes_at_a_time(accept: Accept) -> None:
    age(accept(), 100)

    def try_it() -> None:
        assert prune() == {}

    with locks.only_one(locks.RETENTION) as is_ours:
        assert is_ours
        at_once(try_it)
    assert prune()["messages"] == 1


def test_a_message_that_somebody_holds_is_left_for_later(accept: Accept) -> None:
    held, free = accept(), accept()
    age(held, 100)
    age(free, 100)

    with db.atomic():
        db.execute_sql("SELECT FROM messages WHERE id = %s FOR UPDATE", (held.id,))
        at_once(prune)
        assert left() == {held.id}
    assert RetentionLeftover.get(RetentionLeftover.rule == "messages").ref == str(held.id)


def test_blocks_of_the_search_index_let_go(accept: Accept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_blocks, "BLOCK_ROWS", 2)
    found = [accept() for _ in range(4)]
    for number, message in enumerate(found):
        age(message, 110 - number)
    age(found[3], 107, status="unknown")
    log_blocks.build(seconds=5)
    assert LogBlock.select().count() == 2
    prune()
    [block] = LogBlock.select()
    assert block.last_id == found[3].id, "it leads to what is still there"
    stand(found[3], "sent")
    come_back_tomorrow()
    prune()
    assert LogBlock.select().count() == 0


def test_without_its_content_a_message_is_neither_retried_nor_resent(accept: Accept) -> None:
    message = accept()
    age(message, 40, status="failed")
    prune()
    [outcome] = interventions.retry(
        WORKSPACE_A, message_ids=[str(message.id)], by=SYSTEM
    ).result.outcomes
    today = f"{clock.now():%Y-%m-%d}"
    gone = "its content was removed, for it was too old to be kept: " + today
    assert (outcome.status.value, outcome.error) == ("skipped", gone)
    [copy] = resending.resend(WORKSPACE_A, [str(message.id)], by=SYSTEM)
    assert copy.status.value == "skipped"
    assert copy.error == f"its content was removed on {today}, for it was too old to be kept"
    again = messages.get(WORKSPACE_A, message.id)
    assert again.status is Status.FAILED
    assert originals.get_head(again, messages.get_body(again), []) is None
    assert messages.find_pruned_at(again) is not None


# --- Reports of providers ---------------------------------------------------------------------


def age_payloads(days: float) -> None:
    db.execute_sql(f"UPDATE webhook_payloads SET created_at = now() - %s * {DAY}", (days,))


def test_what_a_provider_sent_goes_first_and_what_it_meant_later(
    sent: Callable[..., Message],
) -> None:
    message = sent()
    report(about(message, "delivered"))
    age_payloads(31)
    assert prune() == {"payloads": 1}
    payload = WebhookPayload.get()
    assert (bytes(payload.body), payload.headers) == (b"", {})
    assert payload.pruned_at is not None
    event = ProviderEvent.get()
    assert "raw" not in event.report
    assert event.message_id == message.id
    age_payloads(91)
    assert prune() == {"reports": 1}
    assert ProviderEvent.select().count() == 0


def test_a_dead_letter_keeps_what_it_was_read_from(sent: Callable[..., Message]) -> None:
    report(b'{"type": "bounced", "email": "not an address"}')
    assert statuses(list(ProviderEvent.select())) == ["dead_letter"]
    age_payloads(31)
    assert prune() == {}
    assert bytes(WebhookPayload.get().body)
    ProviderEvent.update(status="ignored").execute()
    come_back_tomorrow()
    assert prune() == {"payloads": 1}


def test_a_report_about_a_message_that_is_gone_still_suppresses_whom_it_names(
    sent: Callable[..., Message],
) -> None:
    message = sent()
    entry = about(message, "bounced", bounce_type="hard", smtp_code=550)
    age(message, 91)
    prune()
    assert left() == set()
    [event] = report(entry)
    assert (event.status.value, event.message_id, event.last_error) == ("applied", None, None)
    assert suppressed() == {message.to_email: "hard_bounce"}


# --- What else is over ------------------------------------------------------------------------


def test_what_happened_to_the_workspace_and_to_the_instance_goes_too() -> None:
    for workspace_id in (WORKSPACE_A, WORKSPACE_B, None):
        for days in (91, 89):
            db.execute_sql(
                "INSERT INTO events (workspace_id, type, data, created_at)"
                f" VALUES (%s, 'provider.paused', '{{}}', now() - %s * {DAY})",
                (workspace_id, days),
            )
    choose(WORKSPACE_B, messages=3_000)
    assert prune() == {"events": 1, "instance_events": 1}
    kept = Counter(event.workspace_id for event in Event.select())
    assert kept == {WORKSPACE_A: 1, WORKSPACE_B: 2, None: 1}


def test_incidents_that_are_over_go_and_the_open_ones_stay() -> None:
    old, young, open_ = (make_incident() for _ in range(3))
    elsewhere = make_incident(workspace_id=WORKSPACE_B)
    choose(WORKSPACE_B, messages=3_000)
    for incident, days in ((old, 91), (young, 89), (elsewhere, 91)):
        db.execute_sql(
            f"UPDATE incidents SET status = 'resolved', resolved_at = now() - %s * {DAY}"
            " WHERE id = %s",
            (days, incident.id),
        )
    db.execute_sql(
        f"UPDATE incidents SET opened_at = now() - 500 * {DAY} WHERE id = %s", (open_.id,)
    )
    assert prune() == {"incidents": 1}
    assert {row.id for row in Incident.select()} == {young.id, open_.id, elsewhere.id}


def test_jobs_and_notifications_go_by_the_choice_of_their_workspace() -> None:
    for workspace_id in (WORKSPACE_A, WORKSPACE_B):
        db.execute_sql(
            "INSERT INTO jobs (workspace_id, kind, params, created_by, status, breakdown,"
            " finished_at) VALUES (%s, 'messages.retry', '{}', 'x', 'done', '{}',"
            f" now() - 91 * {DAY})",
            (workspace_id,),
        )
        [channel] = db.execute_sql(
            "INSERT INTO notification_channels (workspace_id, name, kind, target, min_severity,"
            " occasions, created_by) VALUES (%s, 'x', 'email', 'x', 'minor', %s, 'x')"
            " RETURNING id",
            (workspace_id, json.dumps(["opened"])),
        ).fetchone()
        db.execute_sql(
            "INSERT INTO notifications (workspace_id, channel_id, occasion, round, data, status,"
            f" settled_at) VALUES (%s, %s, 'test', 1, '{{}}', 'sent', now() - 91 * {DAY})",
            (workspace_id, channel),
        )
    choose(WORKSPACE_B, messages=3_000)
    assert prune() == {"jobs": 1, "notifications": 1}
    assert [job.workspace_id for job in Job.select()] == [WORKSPACE_B]
    assert [one.workspace_id for one in Notification.select()] == [WORKSPACE_B]


def test_the_scheduler_goes_on_until_nothing_is_old(
    accept: Accept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "PRUNE_SECONDS", 0.001)  # a round ends after its first batch
    for _ in range(3):
        age(accept(), 100)
    at_once(lambda: scheduler.prune_old(threading.Event()))
    assert left() == set()


def test_a_scheduler_that_stops_prunes_no_more(accept: Accept) -> None:
    age(accept(), 100)
    stopping = threading.Event()
    stopping.set()
    at_once(lambda: scheduler.prune_old(stopping))
    assert len(left()) == 1
