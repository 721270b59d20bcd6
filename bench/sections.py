"""What is measured: one function a section, each a generator of figures from one repetition.

In charge of what is done and counted. `stack.py` starts the parts, `report.py` prints the outcome.
A section gets the running stack with empty tables.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from bench import console as pages
from bench import contact_import, http_blast, rendering, reports, segments
from bench.blast import blast
from bench.fill import SHORT_TEXT, fill
from bench.http_blast import Load
from bench.stack import ADMIN_KEY, OPERATOR_KEY, Failed, Sink, Stack, find_postfix, wait_for
from bench.watch import Memory, MemoryWatch, cpu_seconds, resident_megabytes

STALLED_SECONDS = 60.0
ACCEPT_SECONDS = 10.0
WARM_UP_SECONDS = 1.0
FAR_DELAY_MS = 50
FAR_CONNECTIONS = 100
REPORTS_WARM = 400
"""Reports before those that count, so that the web server has opened its connections."""
MILLION = 1_000_000
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `goal` is a text such as `>= 8,000`; None where none was set."""

    name: str
    value: float
    unit: str
    goal: str | None = None


Figures = Iterator[Figure]
_limits: dict[str, float] = {}
"""The sink's own limit, measured once a run for the ratios."""


def sink(stack: Stack, count: int) -> Figures:
    """The sink's own limit, without maild."""
    with stack.sink() as sink:
        yield Figure("rate", _sink_rate(sink, count), "messages/s")


def drain(stack: Stack, count: int) -> Figures:
    """A backlog that lies in the tables, sent by two workers."""
    fill(stack.db, count)
    with stack.sink() as sink:
        limit = _limits.get(sink.name) or _sink_rate(sink, 40_000)
        _limits[sink.name] = limit
        with stack.workers() as workers:
            drained = _drain(stack, sink, workers, count)
    goal = ">= 8,000" if count <= 20_000 else ">= 80 % of the rate from 20,000"
    yield Figure("rate", drained.rate, "messages/s", goal)
    yield Figure("of the sink's limit", 100 * drained.rate / limit, "%")
    yield Figure("PostgreSQL's CPU", drained.postgres_percent, "% of a core")
    yield Figure("workers' CPU", drained.workers_percent, "% of a core")
    yield Figure("workers' memory, first message", drained.memory.start, "MB")
    yield Figure("workers' memory, peak", drained.memory.peak, "MB")
    yield Figure("workers' memory, last message", drained.memory.end, "MB")


def accept(stack: Stack, history: int) -> Figures:
    """Single messages through the API, from eight connections, with delivery off.

    `history` is how many sent messages are in the tables already.
    """
    if history:
        fill(stack.db, history, status="sent", text=SHORT_TEXT)
    with stack.sink(), stack.web():
        before = _warm_up(stack)
        load = http_blast.post_singles(stack.web_addr, OPERATOR_KEY, seconds=ACCEPT_SECONDS)
    _check_stored(stack, load, before)
    yield Figure("rate", load.requests / load.seconds, "requests/s", ">= 1,500")
    yield Figure("p50", load.percentile(0.50), "ms")
    yield Figure("p99", load.percentile(0.99), "ms", "<= 30")


def batch(stack: Stack, count: int) -> Figures:
    """Batches of 500 through the API, from eight connections, with delivery off."""
    with stack.sink(), stack.web():
        before = _warm_up(stack)
        load = http_blast.post_batches(stack.web_addr, OPERATOR_KEY, count=count)
    _check_stored(stack, load, before)
    yield Figure("rate", load.messages / load.seconds, "messages/s", ">= 8,000")
    yield Figure("p99 of a batch", load.percentile(0.99), "ms")


def end_to_end(stack: Stack, count: int) -> Figures:
    """Batches in and mail out at once: from the first request to the last message sent."""
    with stack.sink() as sink, stack.web(), stack.workers() as workers:
        _wait_for_workers(stack, len(workers))
        warm = _warm_up(stack)
        _wait_until_sent(stack, sink, warm)
        load = http_blast.post_batches(stack.web_addr, OPERATOR_KEY, count=count)
        _wait_until_sent(stack, sink, warm + load.messages)
    _check_stored(stack, load, warm)
    [ended_at] = stack.query(_ENDED_AT)
    yield Figure("rate", load.messages / (ended_at - load.begun_at), "messages/s", ">= 3,000")
    yield Figure("accepted meanwhile at", load.messages / load.seconds, "messages/s")


def far(stack: Stack, count: int) -> Figures:
    """A provider whose every reply takes 50 ms more."""
    bound = FAR_CONNECTIONS / (FAR_DELAY_MS / 1000)  # one round trip a message, see `blast.py`
    fill(stack.db, count)
    settings = {"SMTP_MAX_CONNECTIONS": str(FAR_CONNECTIONS)}
    with stack.sink("--delay-ms", str(FAR_DELAY_MS)) as sink:
        raw = blast(
            sink.addr.host,
            sink.addr.port,
            count=count,
            processes=2,
            connections=FAR_CONNECTIONS // 2,
        )
        with stack.workers(**settings) as workers:
            drained = _drain(stack, sink, workers, count)
    yield Figure("rate", drained.rate, "messages/s")
    yield Figure("of the bound", 100 * drained.rate / bound, "%", ">= 90")
    yield Figure("of a raw client's rate", 100 * drained.rate / raw["rate"], "%")


def memory(stack: Stack, count: int) -> Figures:
    """Web and two workers, before, during and after a long drain."""
    with stack.sink() as sink, stack.web() as web, stack.workers() as workers:
        _wait_for_workers(stack, len(workers))
        warm = _warm_up(stack)
        _wait_until_sent(stack, sink, warm)
        with MemoryWatch([web, *workers]) as watch:
            fill(stack.db, count)
            _wait_until_sent(stack, sink, warm + count)
            memory = watch.memory
        web_end = resident_megabytes([web])
    yield Figure("web and workers, before", memory.start, "MB")
    yield Figure("web and workers, peak", memory.peak, "MB", "<= 400")
    yield Figure("web and workers, after", memory.end, "MB")
    yield Figure("the web's part of it", web_end, "MB")


def preview(stack: Stack, count: int) -> Figures:
    """A policy tried on the messages of a day, of which it stops many; with the cores idle but for
    that, and with each of them busy with something else.
    """
    fill(stack.db, count, status="sent", text=SHORT_TEXT, apart_ms=DAY_MS // count)
    with stack.sink(), stack.web():
        _preview(stack, count)  # the first one opens the connection
        yield Figure("answer", _preview(stack, count), "ms", "<= 2,000")
        with stack.busy():
            yield Figure("answer, with busy cores", _preview(stack, count), "ms", "<= 2,000")


def _preview(stack: Stack, count: int) -> float:
    """Ask once, and look whether all messages were looked at; returns milliseconds."""
    limits = {"rate_limit_workspace_per_hour": 3_000, "rate_limit_domain_per_hour": 70}
    policy = {**limits, "on_limit": "defer", "blocked_recipient_domains": ["example7.org"]}
    begun_at = time.monotonic()
    answer = stack.post("/v1/workspaces/policy/preview", {"policy": policy, "window": "7d"})
    seconds = time.monotonic() - begun_at
    if answer["looked_at"] != count:
        raise Failed(f"{answer['looked_at']} of {count} were looked at")
    return 1000 * seconds


def report(stack: Stack, count: int) -> Figures:
    """Events of providers: taken in one by one, from eight connections, with no worker; then as
    many that wait in the tables, read and applied by one worker.
    """
    with stack.web(**reports.SETTINGS):
        path = _add_endpoint(stack)
        for name, its_path in (("native", path), ("generic", reports.GENERIC_PATH)):
            fill(stack.db, count + REPORTS_WARM, status="sent", text=SHORT_TEXT)
            messages = reports.list_messages(stack.db)
            http_blast.post_reports(stack.web_addr, its_path, messages[:REPORTS_WARM])
            load = http_blast.post_reports(stack.web_addr, its_path, messages[REPORTS_WARM:])
            [stored] = stack.query("SELECT count(*) FROM webhook_payloads")
            if stored != len(messages):
                raise Failed(f"{len(messages)} were answered 202, but {stored} are stored")
            yield Figure(f"{name}, rate", load.requests / load.seconds, "requests/s")
            yield Figure(f"{name}, p50", load.percentile(0.50), "ms")
            yield Figure(f"{name}, p99", load.percentile(0.99), "ms")
            stack.clear()
            path = _add_endpoint(stack)
    fill(stack.db, count, status="sent", text=SHORT_TEXT)
    reports.fill_waiting(stack.db, count)
    with stack.sink(), stack.workers(count=1):
        _wait_until_applied(stack, count)
    [begun_at, ended_at] = stack.query(_APPLIED_AT)
    yield Figure("applied by one worker", count / (ended_at - begun_at), "events/s")


def console(stack: Stack, count: int) -> Figures:
    """Every page of the console and every list of the API, over so many messages; in this process,
    and in tables of its own, which may be kept.
    """
    for outcome in pages.measure(count):
        yield Figure(f"{outcome.group}: {outcome.name}, p95", outcome.p95, "ms", "<= 50")


def contacts(stack: Stack, count: int) -> Figures:
    """A file of so many contacts: sent, looked at, and imported by one worker; then the same file
    again, of which all is known.
    """
    done = contact_import.measure(stack, count)
    yield Figure("import", done.rate, "rows/s", ">= 20,000")
    yield Figure("import of the same again", done.again_rate, "rows/s")
    yield Figure("look", done.look_rate, "rows/s")
    yield Figure(f"upload of {done.megabytes:.0f} MB", done.upload_seconds, "s")
    yield Figure("web's memory, before the upload", done.web.start, "MB")
    yield Figure("web's memory, peak", done.web.peak, "MB")
    yield Figure("worker's memory, before", done.worker.start, "MB")
    yield Figure("worker's memory, peak", done.worker.peak, "MB", "flat")


def templates(stack: Stack, count: int) -> Figures:
    """A letter and a newsletter, compiled, and filled in for so many recipients."""
    for name, source in (("letter", rendering.LETTER), ("newsletter", rendering.NEWSLETTER)):
        done = rendering.measure(source, count)
        yield Figure(
            f"{name} of {done.chars / 1000:.0f} KB, filled in", done.render_us, "us", "<= 150"
        )
        yield Figure(f"{name}, compiled", done.compile_ms, "ms")


def segment_rules(stack: Stack, count: int) -> Figures:
    """Rules of several kinds over so many contacts: how many, how many of those can be mailed, and
    the newest ten, over /v1.
    """
    with stack.web():
        for name, milliseconds in segments.measure(stack, count):
            yield Figure(name, milliseconds, "ms", "<= 200")


def _add_endpoint(stack: Stack) -> str:
    """Add an endpoint for Postmark; returns the path of its address."""
    login = {"username": reports.USER, "password": reports.PASSWORD}
    body = {"provider": "postmark", "basic_auth": login, "workspace_id": 1}
    answer = stack.post("/v1/webhooks/endpoints", body, key=ADMIN_KEY, status=201)
    return urlsplit(answer["url"]).path


def _wait_until_applied(stack: Stack, count: int) -> None:
    applied = "SELECT count(*) FROM provider_events WHERE status = 'applied'"
    wait_for(
        lambda: time.sleep(0.2) or stack.query(applied)[0] >= count,
        f"{count} events are applied{stack.log_tail('worker-1')}",
        seconds=600,
    )


@dataclass(frozen=True, slots=True)
class Section:
    """A section, and what it is called with unless the command line gives another count."""

    run: Callable[[Stack, int], Figures]
    count: int
    is_long: bool = False


SECTIONS: dict[str, Section] = {
    "sink": Section(sink, 100_000),
    "drain": Section(drain, 20_000),
    "accept": Section(accept, 0),
    "batch": Section(batch, 100_000),
    "end-to-end": Section(end_to_end, 40_000),
    "far": Section(far, 10_000),
    "preview": Section(preview, 100_000),
    "reports": Section(report, 10_000),
    "contacts": Section(contacts, 50_000),
    "templates": Section(templates, 10_000),
    "segments": Section(segment_rules, 200_000),
    "drain-long": Section(drain, 200_000, is_long=True),
    "accept-million": Section(accept, MILLION, is_long=True),
    "memory": Section(memory, 200_000, is_long=True),
    "contacts-long": Section(contacts, 200_000, is_long=True),
    "contacts-million": Section(contacts, MILLION, is_long=True),
    "console": Section(console, 5 * MILLION, is_long=True),
}


@dataclass(frozen=True, slots=True)
class _Drained:
    rate: float
    postgres_percent: float
    workers_percent: float
    memory: Memory


# Postgres' own clock wrote these: watching costs the run nothing.
_BEGUN_AT = "SELECT extract(epoch FROM min(started_at))::float FROM attempts"
_APPLIED_AT = """
SELECT extract(epoch FROM min(created_at))::float, extract(epoch FROM max(updated_at))::float
FROM provider_events
"""
_ENDED_AT = "SELECT extract(epoch FROM max(updated_at))::float FROM messages WHERE status = 'sent'"


def _drain(stack: Stack, sink: Sink, workers: list[psutil.Process], count: int) -> _Drained:
    already = sink.message_count() if sink.counts else 0
    # From the first message on: starting a worker costs as much as sending some thousands.
    wait_for(lambda: _has_begun(stack, sink, already), f"a mail is out{stack.log_tail('worker-1')}")
    begun_at = time.monotonic()
    server_before, workers_before = cpu_seconds(stack.postgres_processes()), cpu_seconds(workers)
    with MemoryWatch(workers) as watch:
        _wait_until_sent(stack, sink, count, already=already)
        seconds = max(time.monotonic() - begun_at, 0.001)
        # A session that was opened or closed meanwhile is in the sum all the same.
        server_seconds = cpu_seconds(stack.postgres_processes()) - server_before
        worker_seconds = cpu_seconds(workers) - workers_before
        memory = watch.memory
    [first], [last] = stack.query(_BEGUN_AT), stack.query(_ENDED_AT)
    return _Drained(
        rate=count / max(last - first, 0.001),
        postgres_percent=100 * server_seconds / seconds,
        workers_percent=100 * worker_seconds / seconds,
        memory=memory,
    )


def _has_begun(stack: Stack, sink: Sink, already: int) -> bool:
    if sink.counts:
        return sink.message_count() > already
    return stack.query("SELECT EXISTS (SELECT FROM attempts)")[0]


def _wait_until_sent(stack: Stack, sink: Sink, count: int, *, already: int = 0) -> None:
    """Until the sink has taken `count` messages and the tables say so. Raises Failed."""
    seen, seen_at = -1, time.monotonic()
    while True:
        if sink.counts and (taken := sink.message_count() - already) < count:
            progress, pause = taken, 0.05
        else:
            [progress] = stack.query("SELECT count(*) FROM messages WHERE status = 'sent'")
            if progress >= count:
                return
            pause = 0.05 if sink.counts else 0.3
        if progress != seen:
            seen, seen_at = progress, time.monotonic()
        elif time.monotonic() - seen_at > STALLED_SECONDS:
            raise Failed(f"only {_states(stack)} of {count}{stack.log_tail('worker-1')}")
        time.sleep(pause)


def _states(stack: Stack) -> str:
    with stack.db, stack.db.cursor() as cursor:
        cursor.execute("SELECT status, count(*) FROM messages GROUP BY status ORDER BY status")
        return ", ".join(f"{count} {status}" for status, count in cursor.fetchall()) or "nothing"


def _wait_for_workers(stack: Stack, count: int) -> None:
    wait_for(
        lambda: stack.query("SELECT count(*) FROM workers")[0] >= count,
        f"{count} workers have shown up{stack.log_tail('worker-1')}",
    )


def _warm_up(stack: Stack) -> int:
    """Let the web server open its connections; returns how many messages it now has."""
    http_blast.post_singles(stack.web_addr, OPERATOR_KEY, seconds=WARM_UP_SECONDS)
    return int(stack.query("SELECT count(*) FROM messages")[0])


def _check_stored(stack: Stack, load: Load, before: int) -> None:
    """An answer that is not in the tables would be a lie, and so would be a row too many."""
    stored = stack.query("SELECT count(*) FROM messages")[0] - before
    if stored != load.messages:
        raise Failed(f"{load.messages} were accepted, but {stored} are stored")


def _sink_rate(sink: Sink, count: int) -> float:
    if postfix := find_postfix("smtp-source"):
        return _smtp_source_rate(str(postfix), sink, count)
    return blast(sink.addr.host, sink.addr.port, count=count)["rate"]


def _smtp_source_rate(program: str, sink: Sink, count: int) -> float:
    length = "2048"
    command = [program, "-s", "16", "-l", length, "-m", str(count), "-d", str(sink.addr)]
    begun_at = time.monotonic()
    done = psutil.Popen(command)
    if done.wait():
        raise Failed(f"smtp-source ended with {done.returncode}")
    return count / (time.monotonic() - begun_at)
