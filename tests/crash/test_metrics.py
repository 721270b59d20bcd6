"""One scrape tells all processes of a running maild, also while they end and come back."""

import http.client
import json
import re

import pytest

from tests.crash.conftest import Stack, wait_until
from tests.metering import parse
from tests.test_observability import families, panels, rules

pytestmark = [pytest.mark.crash, pytest.mark.long]

RARE = (
    "maild_smtp_dial_failures_total",
    "maild_rejections_total",
    "maild_stopped_messages_total",
    "maild_webhook_requests_total",
    "maild_provider_events_total",
    "maild_suppressions_total",
    "maild_jobs_total",
    "maild_notifications_total",
    "maild_pruned_rows_total",
    "maild_api_errors_total",
    "maild_log_events_total",
    "maild_incidents",
    "maild_backup_age_seconds",
    "maild_disk_full_seconds",
)
"""What has no series before it happens; each has a test of its own."""


def scrape(stack: Stack) -> dict[str, float]:
    connection = http.client.HTTPConnection(stack.web.host, stack.web.port, timeout=20)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    assert response.status == 200
    found = parse(response.read())
    connection.close()
    return found


def sum_of(found: dict[str, float], start: str) -> float:
    return sum(value for name, value in found.items() if name.startswith(start))


def processes(found: dict[str, float]) -> dict[str, set[str]]:
    told: dict[str, set[str]] = {}
    for name in found:
        if match := re.fullmatch(r'maild_process_threads\{pid="(\d+)",process="(\w+)"\}', name):
            told.setdefault(match[2], set()).add(match[1])
    return told


@pytest.mark.proves("run-metrics")
def test_a_scrape_tells_all_processes_and_forgets_nothing(stack: Stack) -> None:
    for _ in range(10):
        stack.submit()
    wait_until(lambda: stack.count_by_status()["sent"] == 10, "all are sent")
    found = scrape(stack)
    assert {name: len(pids) for name, pids in processes(found).items()} == {
        "web": 2,
        "worker": 1,
        "scheduler": 1,
    }
    assert sum_of(found, "maild_accepted_messages_total") == 10  # whichever process took them
    assert sum_of(found, "maild_attempts_total") == 10
    worker = stack.find("worker")
    worker.kill()
    wait_until(
        lambda: processes(scrape(stack)).get("worker", {str(worker.pid)}) != {str(worker.pid)},
        "another worker is there",
    )
    stack.submit()
    wait_until(lambda: stack.count_by_status()["sent"] == 11, "it is sent by the other")
    found = wait_until(
        lambda: (told := scrape(stack)) and sum_of(told, "maild_attempts_total") == 11 and told,
        "the attempts of both workers are added up",
    )
    assert str(worker.pid) not in processes(found)["worker"]

    names = {re.sub(r"\{.*", "", name) for name in found}
    for name, (kind, _) in families().items():
        is_there = f"{name}_count" if kind == "histogram" else name
        assert name in RARE or is_there in names, f"{name} is not told after traffic"
    asked = json.dumps([rules(), panels()])
    known = {*names, *RARE}
    assert set(re.findall(r"\bmaild_[a-z_]+", asked)) - known == set()
