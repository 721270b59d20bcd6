"""Nothing accepted is lost: the whole product runs, and parts of it are killed while mail flows."""

import signal
import threading
from typing import Any

import pytest

from maild.local import home as homes
from tests.crash.conftest import Stack, wait_until

pytestmark = pytest.mark.crash


def submit_many(stack: Stack, count: int) -> tuple[threading.Thread, list[dict[str, Any]]]:
    """Submit in the background; the list grows by each answer."""
    answers: list[dict[str, Any]] = []

    def work() -> None:
        for number in range(count):
            answers.append(stack.submit(subject=str(number)))

    thread = threading.Thread(target=work)
    thread.start()
    return thread, answers


@pytest.mark.proves("I14")
def test_everything_arrives_when_the_worker_then_valkey_are_killed_and_valkey_is_flushed(
    stack: Stack,
) -> None:
    """What was after its final dot at the kill is `unknown`, as the rule says by itself; nothing is
    lost, and nothing sent twice.
    """
    total = 600
    submitting, answers = submit_many(stack, total)

    wait_until(lambda: stack.received_total() > 50, "mail flows")
    stack.find("maild", "worker").kill()
    wait_until(lambda: "exited with signal 9" in stack.output, "the runner tells of it")

    wait_until(lambda: len(answers) > 250, "more is accepted")
    stack.find("valkey-server").kill()
    wait_until(lambda: len(answers) > 400, "accepting goes on without Redis")
    wait_until(stack.flush_redis, "Valkey is back, and forgets everything once more")
    submitting.join()

    wait_until(lambda: set(stack.count_by_status()) <= {"sent", "unknown"}, "all have ended")
    counts = stack.count_by_status()
    received = stack.received()
    assert counts.total() == total
    assert set(received.values()) == {1}
    assert received.keys() <= {a["message_id_header"].strip("<>") for a in answers}
    assert counts["sent"] <= len(received) <= counts["sent"] + counts["unknown"]


@pytest.mark.long
@pytest.mark.proves("I1")
def test_five_hundred_messages_arrive_exactly_once_and_survive_a_restart(stack: Stack) -> None:
    submitting, answers = submit_many(stack, 500)
    submitting.join()
    wait_until(lambda: stack.count_by_status() == {"sent": 500}, "all are sent")
    received = stack.received()
    assert set(received.values()) == {1}
    assert len(received) == 500

    assert stack.stop(signal.SIGINT) == 0
    stack.output = ""
    stack.start()
    assert stack.count_by_status() == {"sent": 500}, "yesterday's data is there"
    assert stack.get(f"/v1/messages/{answers[0]['id']}")["status"] == "sent"


@pytest.mark.long
@pytest.mark.proves("I21")
def test_a_worker_that_is_stopped_gracefully_sends_nothing_twice(stack: Stack) -> None:
    submitting, _ = submit_many(stack, 400)
    stops = {50: signal.SIGTERM, 150: signal.SIGINT, 250: signal.SIGHUP}
    for floor, number in stops.items():
        wait_until(lambda floor=floor: stack.received_total() > floor, "mail flows")
        stack.find("maild", "worker").send_signal(number)
    submitting.join()
    wait_until(lambda: stack.count_by_status() == {"sent": 400}, "all are sent")
    assert set(stack.received().values()) == {1}


@pytest.mark.long
@pytest.mark.proves("deliver-postgres-restart")
def test_postgres_is_restarted_while_mail_flows(stack: Stack) -> None:
    """Accepting answers 503 for the moment; what got a 201 arrives."""
    accepted: list[str] = []
    is_killed = False
    while len(accepted) < 300:
        status, answer = stack.try_to_submit()
        assert status in {201, 503}, answer
        if status == 201:
            accepted.append(answer["message_id_header"].strip("<>"))
        if len(accepted) > 100 and not is_killed:
            stack.find("postgres").kill()
            is_killed = True
    wait_until(lambda: stack.count_by_status()["sent"] >= 300, "all are sent")
    assert set(accepted) <= set(stack.received())


@pytest.mark.long
def test_failures_are_rehearsed_in_the_inbox(stack: Stack) -> None:
    deferred = stack.submit(to_email="tempfail@example.org")
    refused = stack.submit(to_email="permfail@example.org")
    greylisted = stack.submit(to_email="greylist@example.org")

    wait_until(lambda: stack.get(f"/v1/messages/{refused['id']}")["status"] == "failed", "refused")
    timeline = stack.get(f"/v1/messages/timeline?message_id={refused['id']}")
    assert [a["smtp_code"] for a in timeline["attempts"]] == [550]
    assert stack.submit(to_email="permfail@example.org")["status"] == "suppressed"
    wait_until(lambda: stack.get(f"/v1/messages/{greylisted['id']}")["status"] == "sent", "sent")
    wait_until(lambda: stack.get(f"/v1/messages/{deferred['id']}")["status"] == "failed", "gave up")
    timeline = stack.get(f"/v1/messages/timeline?message_id={deferred['id']}")
    assert [a["smtp_code"] for a in timeline["attempts"]] == [451] * 3
    assert [e["type"] for e in timeline["events"]][1:] == ["message.deferred"] * 2 + [
        "message.failed"
    ]


@pytest.mark.long
@pytest.mark.proves("run-one-command")
def test_two_copies_run_side_by_side_and_a_third_on_a_taken_port_says_so(stack: Stack) -> None:
    with homes.temporary() as home:
        second = Stack(home)
        second.start()
        try:
            second.submit()
            wait_until(lambda: second.received_total() == 1, "the second delivers")
            assert stack.received_total() == 0
        finally:
            second.stop()
    with homes.temporary() as home:
        third = Stack(home)
        third.environment["APP_ADDR"] = str(stack.web)
        with pytest.raises(AssertionError, match=rf"{stack.web.port}.*APP_ADDR"):
            third.start()
