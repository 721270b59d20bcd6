"""What maild counts and measures of itself, for Prometheus: the names, the labels, the words.

Every layer may count; nothing here knows maild. Labels are from small closed sets (routes, classes,
kinds), never what a workspace or a recipient chose: the number of series has a bound, and a scrape
tells nobody's names. Where an SMTP account is named, it is by its number, and the first MANY of a
process only.

`READINGS` are the gauges that are read from the database at a scrape (`services/metric_readings`).
docs/metrics.md has all of them; a test compares.
"""

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from maild.metrics import values
from maild.metrics.values import keep_in, keep_in_memory

__all__ = ["keep_in", "keep_in_memory"]

prometheus_client.disable_created_metrics()

REGISTRY = CollectorRegistry()

MANY = 50
"""Accounts beyond so many are `other` together."""
OTHER = "other"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ACCEPT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_WAIT_BUCKETS = (0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
_STAGE_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)


def _counter(name: str, words: str, *labels: str) -> Counter:
    return Counter(name, words, labels, registry=REGISTRY)


def _histogram(name: str, words: str, *labels: str, buckets: Sequence[float]) -> Histogram:
    return Histogram(name, words, labels, buckets=buckets, registry=REGISTRY)


HTTP_REQUESTS = _counter(
    "maild_http_requests_total",
    "Requests answered, by the template of their route and the class of the answer.",
    *("route", "method", "status"),
)
HTTP_SECONDS = _histogram(
    "maild_http_request_seconds",
    "How long requests took until the head of the answer.",
    "route",
    buckets=_REQUEST_BUCKETS,
)
API_ERRORS = _counter(
    "maild_api_errors_total", "Errors that the API answered with, by their code.", "code"
)
ACCEPT_SECONDS = _histogram(
    "maild_accept_seconds",
    "How long a submission took to be decided and committed; of a batch, all of it.",
    "kind",
    buckets=_ACCEPT_BUCKETS,
)
ACCEPTED = _counter(
    "maild_accepted_messages_total",
    "Messages accepted, by the state that they began in.",
    *("stream", "status"),
)
REPLAYED = _counter(
    "maild_idempotent_replays_total",
    "Submissions that had been accepted before under the same idempotency key.",
)
REJECTED = _counter(
    "maild_rejections_total",
    "Submissions refused by policy, limits or their content, by the code of the error; of a batch,"
    " each of them.",
    "code",
)
QUEUE_WAIT = _histogram(
    "maild_queue_wait_seconds",
    "How long messages waited from when they were due until a worker claimed them.",
    "stream",
    buckets=_WAIT_BUCKETS,
)
STOPPED = _counter(
    "maild_stopped_messages_total",
    "Messages that a worker found due and that may not go, by the check that stopped them.",
    "check",
)
LATE_CHECKS = _counter(
    "maild_late_checks_total",
    "Looks at suppressions and freezes whose answer came too late: what they were for waits for the"
    " next.",
)
SMTP_STAGE = _histogram(
    "maild_smtp_stage_seconds",
    "How long each stage of the dialogue with a server took.",
    "stage",
    buckets=_STAGE_BUCKETS,
)
DIAL_FAILURES = _counter(
    "maild_smtp_dial_failures_total",
    "Connections that could not be opened, by what kind of fault it was.",
    *("account", "error_class"),
)
ATTEMPTS = _counter(
    "maild_attempts_total",
    "Attempts recorded, by SMTP account, outcome, and class of the reply (none when taken).",
    *("account", "outcome", "error_class"),
)
UNKNOWN_OUTCOMES = _counter(
    "maild_unknown_outcomes_total",
    "Attempts of which nobody knows the outcome, by what was done then: those of `retry` bound how"
    " many messages may have gone out twice.",
    "rule",
)
RESCUED = _counter(
    "maild_rescued_messages_total",
    "Messages settled for a worker that died, or that forgot them.",
    "cause",
)
WEBHOOK_REQUESTS = _counter(
    "maild_webhook_requests_total",
    "Requests of providers, by whether they were taken or refused.",
    *("provider", "result"),
)
PROVIDER_EVENTS = _counter(
    "maild_provider_events_total",
    "What became of provider events, each time that they were tried.",
    *("provider", "result"),
)
SUPPRESSIONS = _counter(
    "maild_suppressions_total", "Addresses that maild itself has suppressed, by why.", "reason"
)
JOBS = _counter("maild_jobs_total", "Jobs ended, by kind and how.", *("kind", "status"))
NOTIFICATIONS = _counter(
    "maild_notifications_total",
    "What became of notifications, each time that they were tried.",
    *("channel", "result"),
)
PRUNED = _counter("maild_pruned_rows_total", "Rows deleted because they were old enough.", "table")
DATABASE_ERRORS = _counter(
    "maild_database_errors_total", "Work that the database broke off, by why.", "kind"
)
SLOW_QUERIES = _counter("maild_slow_queries_total", "Statements that took longer than SLOW_QUERY.")
REDIS_ERRORS = _counter(
    "maild_redis_errors_total", "Commands that Redis did not answer, by who gave them.", "part"
)
CRASHES = _counter("maild_crashes_total", "Faults of maild itself that the log has a traceback of.")
LOG_EVENTS = _counter(
    "maild_log_events_total", "Log lines of warnings and worse.", *("event", "level")
)
OUTCOMES_WAITING = Gauge(
    "maild_outcomes_waiting",
    "Outcomes that workers have in memory, and have tried to write for more than two seconds.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A gauge that is read at a scrape."""

    name: str
    words: str
    labels: tuple[str, ...] = ()


def _reading(name: str, words: str, *labels: str) -> tuple[str, Reading]:
    return name, Reading(name, words, labels)


READINGS: dict[str, Reading] = dict(
    (
        _reading("maild_build_info", "Always 1; the version that answers.", "version"),
        _reading("maild_database_up", "1 where the database answered in time, else 0."),
        _reading("maild_redis_up", "1 where Redis answers, else 0."),
        _reading("maild_reading_age_seconds", "How old what was read from the database is."),
        _reading("maild_clock_skew_seconds", "This machine's clock less that of the database."),
        _reading("maild_queue_due", "Messages that are due now, no further than 50,000.", "stream"),
        _reading(
            "maild_queue_oldest_due_seconds",
            "How long the oldest due message has waited, by whether an account that it may take is"
            " in order; 0 where none is due.",
            *("stream", "way"),
        ),
        _reading("maild_messages", "Messages by state, as counted last.", "status"),
        _reading("maild_leased_messages", "Messages in the hands of workers."),
        _reading("maild_workers_alive", "Workers whose lease is fresh."),
        _reading(
            "maild_worker_heartbeat_seconds",
            "Since the latest heartbeat of any worker that is known; one that died is soon"
            " forgotten.",
        ),
        _reading("maild_workers_without_marks", "Workers whose marks Redis does not have in full."),
        _reading("maild_periodic_job_age_seconds", "Since each was done last.", "name"),
        _reading("maild_breakers", "Breakers of SMTP accounts by state.", "state"),
        _reading("maild_freezes", "Freezes in force."),
        _reading("maild_dead_letters", "Dead letters that nobody has settled."),
        _reading("maild_reports_waiting", "Payloads and provider events still to be applied."),
        _reading(
            "maild_reports_oldest_seconds",
            "How long the oldest of them is overdue; 0 where none is.",
        ),
        _reading("maild_webhook_endpoints", "Webhook endpoints by how they are.", "state"),
        _reading(
            "maild_conservation_difference", "Messages missing, or too many, in all workspaces."
        ),
        _reading(
            "maild_conservation_age_seconds",
            "Since the workspace that was counted longest ago was; absent before the first count.",
        ),
        _reading("maild_incidents", "Unresolved incidents.", "kind", "severity"),
        _reading("maild_notifications_waiting", "Notifications still to be sent."),
        _reading(
            "maild_notifications_oldest_seconds",
            "How long the oldest of them is overdue; 0 where none is.",
        ),
        _reading("maild_jobs_waiting", "Jobs that are not done.", "status"),
        _reading("maild_jobs_oldest_seconds", "How long the oldest job has waited for a step."),
        _reading("maild_campaigns", "Campaigns that have steps to be taken.", "status"),
        _reading(
            "maild_campaign_step_overdue_seconds",
            "How long the step of a campaign that waits longest is overdue; 0 where none is.",
        ),
        _reading("maild_database_bytes", "Size of the database."),
        _reading("maild_database_connections", "Connections to the database server."),
        _reading("maild_database_connections_max", "How many it takes."),
        _reading(
            "maild_disk_full_seconds",
            "Until the database's disk is full at the present growth; absent where nobody knows.",
        ),
        _reading("maild_backup_age_seconds", "Since the latest backup; absent before the first."),
        _reading("maild_process_resident_bytes", "Memory of each process.", "process", "pid"),
        _reading("maild_process_cpu_seconds_total", "CPU time of each.", "process", "pid"),
        _reading("maild_process_threads", "Threads of each.", "process", "pid"),
        _reading("maild_process_open_fds", "Open files and connections of each.", "process", "pid"),
    )
)


def observe_many(histogram: Histogram, numbers: Sequence[float]) -> None:
    """Observe many numbers at once: much cheaper than one by one. `histogram` has its labels."""
    bounds = histogram._upper_bounds
    values.add_observations(histogram, numbers, (bisect.bisect_left(bounds, n) for n in numbers))


def count_request(route: str | None, method: str, status: int, seconds: float) -> None:
    """A request was answered. `route` is the template; None where there is no such path."""
    template = route or "none"
    known = method if method in _METHODS else OTHER
    HTTP_REQUESTS.labels(template, known, f"{status // 100}xx").inc()
    HTTP_SECONDS.labels(template).observe(seconds)


_accounts: set[int] = set()


def account_label(account_id: int) -> str:
    """An SMTP account as a label: `default` is that of the environment."""
    if account_id == 0:
        return "default"
    if account_id < 0:
        return "none"
    if account_id not in _accounts:
        if len(_accounts) >= MANY:
            return OTHER
        _accounts.add(account_id)
    return str(account_id)


_EVENT = re.compile(r"[a-z_]{1,40}\.[a-z_]{1,40}")


def count_log_line(event: object, level: str) -> None:
    """A line was logged, by its name, which stands in the source."""
    if not isinstance(event, str) or not _EVENT.fullmatch(event):
        return
    LOG_EVENTS.labels(event, level).inc()
    if event.endswith("crashed"):
        CRASHES.inc()


# What alerts look at from its first time on: a series that begins with 1 has not grown.
for _kind in ("away", "timeout", "lock"):
    DATABASE_ERRORS.labels(_kind)
for _part in ("doorbell", "marks"):
    REDIS_ERRORS.labels(_part)
for _rule in ("hold", "retry", "assume_sent"):
    UNKNOWN_OUTCOMES.labels(_rule)
for _cause in ("dead_worker", "forgotten"):
    RESCUED.labels(_cause)
LOG_EVENTS.labels("metrics.reading_not_finished", "warning")
