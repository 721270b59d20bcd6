"""The dead man's ping, against a watcher on this machine."""

import http.server
import threading

import pytest

from maild import scheduler
from maild.models import Breaker, ConservationCheck, Message, PeriodicJob, Worker
from maild.services import conservation, deadman, health
from maild.transports import ping
from tests.services.helpers import ago


class Watcher(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.path)
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def watcher(use_settings):
    """`seen` are the paths that were asked for, `answers` what comes before 200."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Watcher) as server:
        server.seen, server.answers = [], []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        use_settings(deadman_ping_url=f"http://127.0.0.1:{server.server_port}/ping/abc?x=1")
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def well(lease):
    """A worker is alive, the scheduler has swept and counted."""
    scheduler.sweep()
    conservation.check()


@pytest.fixture
def beat(watcher):
    """Beat as in the next minute; returns how many pings came."""

    def do():
        PeriodicJob.delete().where(PeriodicJob.name == "deadman-ping").execute()
        before = len(watcher.seen)
        deadman.beat()
        return len(watcher.seen) - before

    return do


def test_it_pings_once_a_minute_when_all_is_well(well, watcher):
    deadman.beat()
    deadman.beat()
    assert watcher.seen == ["/ping/abc?x=1"]
    assert deadman.check().is_ok


def test_without_an_address_it_asks_nothing(well):
    deadman.beat()
    assert not PeriodicJob.select().where(PeriodicJob.name == "deadman-ping").exists()


def break_worker(accept):
    Worker.update(seen_at=ago(hours=1)).execute()


def break_count(accept):
    ConservationCheck.update(difference=3, broken_since=ago(minutes=1)).execute()


def never_count(accept):
    ConservationCheck.delete().execute()


def stop_sweeping(accept):
    PeriodicJob.update(ran_at=ago(minutes=5)).where(PeriodicJob.name == "sweep").execute()


def leave_mail(accept):
    accept()
    Message.update(next_attempt_at=ago(hours=1)).execute()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (break_worker, "No worker is alive"),
        (break_count, "3 messages missing"),
        (never_count, "Nobody has counted the messages yet"),
        (stop_sweeping, "has not swept for 300 seconds"),
        (leave_mail, "nothing is tried"),
    ],
)
def test_it_is_silent_when_something_is_wrong(well, beat, accept, harm, words):
    assert beat() == 1
    harm(accept)
    assert beat() == 0
    assert words in " ".join(deadman.list_problems())
    PeriodicJob.update(ran_at=ago(hours=1)).where(PeriodicJob.name == "deadman-pinged").execute()
    check = deadman.check()
    assert not check.is_ok
    assert words in check.detail


def test_it_pings_where_counting_takes_too_long_and_nothing_was_missing(well, beat):
    """Of an instance so large that no count ends the others would be silent for good."""
    ConservationCheck.update(checked_at=ago(hours=9)).execute()
    PeriodicJob.update(ran_at=ago(hours=9)).where(PeriodicJob.name == "conservation").execute()
    assert not health.check_conservation().is_ok
    assert beat() == 1
    ConservationCheck.update(difference=1, broken_since=ago(hours=9)).execute()
    assert beat() == 0


def test_mail_that_waits_for_its_provider_is_not_stuck(well, beat, accept):
    leave_mail(accept)
    Breaker.insert(account_id=0, state="open", retry_at=ago(minutes=-5)).execute()
    assert beat() == 1


def test_it_tries_again_and_follows_no_redirect(well, beat, watcher):
    watcher.answers[:] = [500, 500]
    assert beat() == 3
    watcher.answers[:] = [302, 302, 302]
    watcher.seen.clear()
    PeriodicJob.delete().where(PeriodicJob.name == "deadman-pinged").execute()
    assert beat() == 3
    assert set(watcher.seen) == {"/ping/abc?x=1"}
    check = deadman.check()
    assert not check.is_ok
    assert "has taken no ping yet" in check.detail


def test_a_watcher_that_is_away_is_told_without_its_address():
    with pytest.raises(ping.NotAnswered, match="cannot be reached") as error:
        ping.ping("http://127.0.0.1:9/secret-token")
    assert "secret-token" not in str(error.value)
