"""Every page of the console and every list of the API, asked over a library of millions.

In charge of what is asked, with values that vary, and of measuring it in this process: the time
from the request to the whole answer, how many statements it took, and whether it was cut off.
`library.py` fills the tables. Nothing is changed by asking, so the library may be kept.
"""

import contextlib
import gc
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import peewee
from flask import Flask
from flask.testing import FlaskClient

from bench import library
from bench.library import DAYS
from bench.stack import ADMIN_KEY, Failed, Stack, running
from maild import config, db, factory, queue
from maild.domain import serial_cursor
from maild.domain.cursor import Cursor
from maild.services import link_keys, log_blocks, processes, sessions
from maild.web import throttle

GOAL_MS = 50.0
RUNS = 25
WARM_RUNS = 2
PAGE = "page"
CASE_SECONDS = 5.0
"""A case that takes longer than this in all is asked less often."""
_NO_ARGUMENT = re.compile(r"[^<]*")
_LEFT_OUT = {"static", "htmx", "openapi", "api", "health"}
_ROW = re.compile(r"<tr\b|<li\b")


@dataclass(slots=True)
class Outcome:
    """What came of one case. Times in milliseconds."""

    group: str
    name: str
    times: list[float] = field(default_factory=list)
    cpu_times: list[float] = field(default_factory=list)
    """Of this process and PostgreSQL's together, to which other work on the machine adds little."""
    statements: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    cut_count: int = 0
    statuses: set[int] = field(default_factory=set)

    @property
    def p50(self) -> float:
        return statistics.median(self.times)

    @property
    def p95(self) -> float:
        return _p95(self.times)

    def cells(self) -> tuple[str, ...]:
        is_slow = self.p95 > GOAL_MS
        return (
            self.group,
            self.name,
            f"{self.p50:,.1f}",
            f"{self.p95:,.1f}",
            f"{max(self.times):,.1f}",
            f"{_p95(self.cpu_times):,.1f}",
            f"{max(self.statements)}",
            f"{statistics.median(self.rows):.0f}",
            f"{self.cut_count} of {len(self.times)}" if self.cut_count else "",
            "OVER" if is_slow else "",
        )


HEAD = ("page", "asked for", "p50", "p95", "max", "CPU p95", "statements", "rows", "cut off", "")


@dataclass(frozen=True, slots=True)
class Samples:
    """Values that are in the tables."""

    ids: list[str]
    to_emails: list[str]
    numbers: list[str]
    now: Any


class Asker:
    """Asks the application in this process, as one person who is signed in, or with a key."""

    def __init__(self, app: Flask, cookie: tuple[str, str], stack: Stack) -> None:
        self.statement_count = 0
        self._stack = stack
        self._servers: list[Path] = []
        self._client: FlaskClient = app.test_client()
        self._client.environ_base["REMOTE_ADDR"] = "127.0.0.1"
        self._client.environ_base["HTTP_HOST"] = "127.0.0.1:8080"
        self._client.set_cookie(*cookie)

    def ask(self, outcome: Outcome, path: str, *, is_counted: bool) -> None:
        headers = {"X-API-Key": ADMIN_KEY} if path.startswith("/v1/") else {}
        before, cpu_before = self.statement_count, self._cpu_ms()
        begun_at = time.perf_counter()
        response = self._client.get(path, headers=headers)
        body = response.get_data()
        milliseconds = 1000 * (time.perf_counter() - begun_at)
        cpu_ms = self._cpu_ms() - cpu_before
        text = body.decode()
        is_cut = "too long" in text
        if response.status_code >= 400 and not is_cut:
            if outcome.group == PAGE:
                return  # it needs more to be asked for; what it needs is among the other cases
            raise Failed(f"{path} answers {response.status_code}: {text[:300]}")
        outcome.statuses.add(response.status_code)
        if is_counted:
            outcome.times.append(milliseconds)
            outcome.cpu_times.append(cpu_ms)
            outcome.statements.append(self.statement_count - before)
            outcome.rows.append(_count_rows(response.get_json() if response.is_json else text))
            outcome.cut_count += is_cut

    def look_up_servers(self) -> None:
        """Learn which processes of PostgreSQL's answer us."""
        self._servers = [
            Path(f"/proc/{process.pid}/schedstat")
            for process in self._stack.postgres_processes()
            if "".join(process.cmdline()).startswith("postgres: maild")
        ]

    def _cpu_ms(self) -> float:
        """What this thread and PostgreSQL have used so far."""
        ns = time.thread_time_ns()
        for path in self._servers:
            with contextlib.suppress(OSError):  # it has ended
                ns += int(path.read_text().split()[0])
        return ns / 1e6


def _p95(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def _count_rows(answer: Any) -> int:
    if isinstance(answer, dict):
        return int(answer.get("count", 0))
    return len(_ROW.findall(answer or ""))


Case = tuple[str, str, Callable[[random.Random], str]]
"""A group, a name, and what makes a path of it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the library is kept (None: nowhere), and which cases are asked."""

    keep_in: Path | None = None
    only: str = ""
    results: Path | None = None
    """Where the whole table is written."""


settings = Settings()


def measure(count: int) -> list[Outcome]:
    """Fill a library of `count` messages, or take the one that is kept, and ask everything whose
    group and name hold `settings.only`.
    """
    with running(settings.keep_in) as stack:
        found = stack.query("SELECT count(*) FROM (SELECT FROM messages LIMIT %s) m", count)[0]
        if found < count:
            stack.clear()
            library.fill(stack.db, count, say=_say)
        with _application(stack) as (app, cookie):
            _build_blocks()
            asker = Asker(app, cookie, stack)
            with _counted(asker):
                outcomes = [
                    _run(asker, case)
                    for case in _list_cases(app, _sample(stack))
                    if settings.only in f"{case[0]} {case[1]}"
                ]
    outcomes = [outcome for outcome in outcomes if outcome.times]
    _say(as_table(outcomes))
    if settings.results is not None:
        settings.results.mkdir(exist_ok=True)
        path = settings.results / f"console-{datetime.now(UTC):%Y-%m-%dT%H%M%S}.md"
        path.write_text(as_markdown(outcomes) + "\n", encoding="utf-8")
    return outcomes


def as_table(outcomes: Sequence[Outcome]) -> str:
    """For a terminal; those over the goal are marked."""
    cells = [HEAD, *(outcome.cells() for outcome in outcomes)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(HEAD))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 2 <= place <= 8 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def as_markdown(outcomes: Sequence[Outcome]) -> str:
    """For docs/performance.md."""
    lines = [
        f"| {' | '.join(HEAD[:9])} |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    return "\n".join([*lines, *(f"| {' | '.join(outcome.cells()[:9])} |" for outcome in outcomes)])


def _run(asker: Asker, case: Case) -> Outcome:
    group, name, make = case
    outcome, draw = Outcome(group, name), random.Random(name)
    begun_at = time.monotonic()
    for turn in range(WARM_RUNS + RUNS):
        if turn == WARM_RUNS:
            asker.look_up_servers()
        try:
            asker.ask(outcome, make(draw), is_counted=turn >= WARM_RUNS)
        except Failed as error:
            _say(f"  {group} {name}: {error}")
            break
        if time.monotonic() - begun_at > CASE_SECONDS and turn >= WARM_RUNS + 2:
            break
    if outcome.times:
        _say("  " + "  ".join(outcome.cells()).rstrip())
    return outcome


def _build_blocks() -> None:
    """What the scheduler does in the background."""
    _say("  blocks of the log ...")
    begun_at, built = time.monotonic(), 0
    with db.connection():
        while more := log_blocks.build(seconds=10.0):
            built += more
    _say(f"    {built:,} in {time.monotonic() - begun_at:.0f} s")


@contextmanager
def _application(stack: Stack) -> Iterator[tuple[Flask, tuple[str, str]]]:
    """The application in this process, and the cookie of an admin of the first workspace."""
    environment = {**stack.environment, "LOG_LEVEL": "ERROR"}
    processes.start(config.load(environment), name="web")
    app = factory.build_app()
    gc.collect()
    gc.freeze()  # as `create_app` does
    throttle.limiter.enabled = False  # one person asks for all of them
    with db.connection():
        link_keys.forget()
        person = stack.query(
            "INSERT INTO people (email, name, password_hash, email_verified_at) VALUES"
            " ('bench@shop.example', 'Bench', 'x', now())"
            " ON CONFLICT (email) DO UPDATE SET name = excluded.name RETURNING id"
        )[0]
        stack.query(
            "INSERT INTO members (workspace_id, person_id, role)"
            " SELECT id, %s, 'admin' FROM workspaces WHERE id > 0"
            " ON CONFLICT DO NOTHING RETURNING 1",
            person,
        )
        token = sessions.start(
            person, is_remembered=False, ip="127.0.0.1", user_agent="bench", workspace_id=1
        )
    signer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    cookie = signer.dumps({"_user_id": token, "_fresh": True})
    try:
        yield app, (app.config["SESSION_COOKIE_NAME"], cookie)
    finally:
        queue.close()
        db.database.close_all()


@contextmanager
def _counted(asker: Asker) -> Iterator[None]:
    """Count what PostgreSQL is asked meanwhile."""
    genuine = peewee.Database.execute_sql

    def execute_sql(self: peewee.Database, sql: str, *rest: Any) -> Any:
        asker.statement_count += 1
        return genuine(self, sql, *rest)

    peewee.Database.execute_sql = execute_sql
    try:
        yield
    finally:
        peewee.Database.execute_sql = genuine


def _sample(stack: Stack) -> Samples:
    def column(statement: str) -> list[str]:
        return [str(value) for value in stack.query(f"SELECT ARRAY({statement})")[0]]

    some = "FROM messages TABLESAMPLE SYSTEM (0.02) REPEATABLE (7) WHERE workspace_id = 1"
    return Samples(
        ids=column("SELECT m.id::text FROM message_bodies JOIN messages m ON m.id = message_id"
                   " WHERE workspace_id = 1 LIMIT 300"),
        to_emails=column(f"SELECT to_email {some} LIMIT 300"),
        numbers=column(f"SELECT substring(subject FROM '\\d{{6,}}') {some}"
                       " AND subject ~ '\\d{6}' LIMIT 300"),
        now=stack.query("SELECT max(created_at) FROM messages")[0],
    )  # fmt: skip


def _list_cases(app: Flask, samples: Samples) -> Iterator[Case]:
    """Everything that is asked."""
    for rule in sorted(app.url_map.iter_rules(), key=str):
        is_page = rule.endpoint.partition(".")[0] not in _LEFT_OUT
        if is_page and "GET" in (rule.methods or ()) and _NO_ARGUMENT.fullmatch(rule.rule):
            yield PAGE, rule.rule, _always(rule.rule)
    yield PAGE, "/ui/messages/…", lambda draw: f"/ui/messages/{draw.choice(samples.ids)}"
    yield from _log_cases(samples)
    yield from _list_cases_of_others(samples)


def _always(path: str) -> Callable[[random.Random], str]:
    return lambda draw: path


def _log_cases(samples: Samples) -> Iterator[Case]:
    """The log in the console, and a part of it by the API, which reads by the same service."""
    frequent, seldom = ("order", "invoice", "account"), ("xylophone", "ukulele", "kayak", "yarn")
    filters: dict[str, Callable[[random.Random], dict[str, str]]] = {
        "newest": lambda d: {},
        "status delivered": lambda d: {"status": "delivered"},
        "status unknown (rare)": lambda d: {"status": d.choice(("unknown", "complained", "held"))},
        "status sending (nowhere)": lambda d: {"status": "sending"},
        "stream": lambda d: {"stream": d.choice(("marketing", "transactional"))},
        "recipient": lambda d: {"to_email": d.choice(samples.to_emails)},
        "recipient, nowhere": lambda d: {"to_email": f"nobody{d.random()}@example.org"},
        "sender, frequent": lambda d: {"from_email": "orders@shop.example"},
        "sender, rare": lambda d: {"from_email": f"desk{d.choice((320, 324, 328))}@shop.example"},
        "sender, nowhere": lambda d: {"from_email": f"x{d.random()}@shop.example"},
        "account": lambda d: {"smtp_account": d.choice(("ses", "postmark"))},
        "account, long ago": lambda d: {"smtp_account": "sendgrid"},
        "account, rare": lambda d: {"smtp_account": "backup"},
        "account, nowhere": lambda d: {"smtp_account": f"x{d.random()}"},
        "class": lambda d: {"error_class": d.choice(("mailbox_full", "tls", "timeout"))},
        "class, nowhere": lambda d: {"error_class": "auth"},
        "tag, frequent": lambda d: {"tag": d.choice(("order", "vip", "stock"))},
        "tag, of a campaign": lambda d: {"tag": f"campaign-{d.randrange(60)}"},
        "tag, rare": lambda d: {"tag": "trace-7"},
        "tag, nowhere": lambda d: {"tag": f"x{d.random()}"},
        "q, frequent word": lambda d: {"q": d.choice(frequent)},
        "q, seldom word": lambda d: {"q": d.choice(seldom)},
        "q, two words": lambda d: {"q": f"{d.choice(seldom)} half price"},
        "q, a number": lambda d: {"q": d.choice(samples.numbers)},
        "q, beginning of a number": lambda d: {"q": d.choice(samples.numbers)[:5]},
        "q, a letter": lambda d: {"q": d.choice("abcxyz")},
        "q, nowhere": lambda d: {"q": f"zzq{d.randrange(10**6)}"},
        "q, whole address": lambda d: {"q": d.choice(samples.to_emails)},
        "q, part of an address": lambda d: {"q": d.choice(samples.to_emails).partition("@")[0]},
        "q, domain": lambda d: {"q": f"company{d.randrange(800)}.example"},
        "q, rare domain nowhere": lambda d: {"q": f"firm{d.randrange(800)}.example"},
        "unknown + tag": lambda d: {"status": "unknown", "tag": "vip"},
        "failed + seldom word": lambda d: {"status": "failed", "q": d.choice(seldom)},
        "failed + nowhere": lambda d: {"status": "failed", "q": f"zzq{d.randrange(10**6)}"},
        "delivered + rare account": lambda d: {"status": "delivered", "smtp_account": "backup"},
        "failed + rare account": lambda d: {"status": "failed", "smtp_account": "backup"},
        "class + account": lambda d: {"error_class": "tls", "smtp_account": "sendgrid"},
        "class + status that has none": lambda d: {"error_class": "tls", "status": "delivered"},
        "marketing + word of the other": lambda d: {"stream": "marketing", "q": "password"},
        "tag + sender that never meet": lambda d: {"tag": "order",
                                                   "from_email": "news@brand1.example"},
        "tag + account long ago": lambda d: {"tag": "order", "smtp_account": "sendgrid"},
        "class + word": lambda d: {"error_class": "mailbox_full", "q": d.choice(seldom)},
    }  # fmt: skip
    for name, make in filters.items():
        yield "log", name, _path("/ui/logs", make)
    for name in ("newest", "tag, frequent", "q, seldom word", "tag, rare", "q, nowhere"):
        yield "log, two months ago", name, _path("/ui/logs", filters[name], _old(samples.now))
        yield "log, deep page", name, _path("/ui/logs", filters[name], _deep(samples, "older"))
        yield "log, page before", name, _path("/ui/logs", filters[name], _deep(samples, "newer"))
        yield "log, live end", name, _path("/ui/logs/tail", filters[name], _after(samples))
    for word in frequent:
        yield "api log", f"subject {word}", _always(f"/v1/messages/logs?subject={word}")
    for name in ("newest", "status unknown (rare)", "tag, rare", "q, seldom word", "q, nowhere"):
        yield "api log", name, _path("/v1/messages/logs", filters[name])
    yield "api log", "200 rows", _always("/v1/messages/logs?limit=200")


def _path(
    path: str, *makers: Callable[[random.Random], dict[str, str]]
) -> Callable[[random.Random], str]:
    def make(draw: random.Random) -> str:
        fields: dict[str, str] = {}
        for maker in makers:
            fields |= maker(draw)
        return f"{path}?{urlencode(fields)}"

    return make


def _old(now: Any) -> Callable[[random.Random], dict[str, str]]:
    def make(draw: random.Random) -> dict[str, str]:
        until = now - timedelta(days=55 + 10 * draw.random())
        since = until - timedelta(days=5)
        return {"since": f"{since:%Y-%m-%dT%H:%M}", "until": f"{until:%Y-%m-%dT%H:%M}"}

    return make


def _cursor(at: Any) -> str:
    return str(Cursor(at, UUID(int=0)))


def _deep(samples: Samples, which: str) -> Callable[[random.Random], dict[str, str]]:
    def make(draw: random.Random) -> dict[str, str]:
        at = samples.now - timedelta(days=1 + (DAYS - 5) * draw.random())
        return {f"{which}_than": _cursor(at)}

    return make


def _after(samples: Samples) -> Callable[[random.Random], dict[str, str]]:
    return lambda draw: {"after": _cursor(samples.now - timedelta(seconds=60 * draw.random()))}


def _list_cases_of_others(samples: Samples) -> Iterator[Case]:
    """Lists of the API that are no pages of the console, or not yet."""

    def gone(draw: random.Random) -> str:
        return f"gone{draw.randrange(library.SUPPRESSIONS)}@gmail.com"

    def person(draw: random.Random) -> str:
        return draw.choice(samples.to_emails)

    lists: dict[str, dict[str, Callable[[random.Random], dict[str, str]]]] = {
        "/v1/suppressions": {
            "newest": lambda d: {},
            "address": lambda d: {"email": gone(d)},
            "class": lambda d: {"class": "complaint"},
            "source, nowhere": lambda d: {"source": "nowhere"},
            "stream, nowhere": lambda d: {"stream": "marketing"},
            "removed": lambda d: {"state": "removed"},
            "expired (none)": lambda d: {"state": "expired"},
            "deep": lambda d: {"cursor": serial_cursor.write(d.randrange(1000, 190_000))},
        },
        "/v1/unsubscribes": {
            "newest": lambda d: {},
            "address": lambda d: {"email": gone(d)},
            "topic, nowhere": lambda d: {"topic": "nowhere"},
        },
        "/v1/webhooks/logs": {
            "newest": lambda d: {},
            "dead letters": lambda d: {"status": "dead_letter"},
            "duplicates (none)": lambda d: {"status": "duplicate"},
            "address": lambda d: {"email": person(d)},
            "complaints": lambda d: {"type": "complained"},
            "type, nowhere": lambda d: {"type": "unsubscribed"},
            "provider, nowhere": lambda d: {"provider": "mailgun"},
            "not linked": lambda d: {"linked": "false"},
        },
        "/v1/audit": {
            "newest": lambda d: {},
            "action": lambda d: {"action": "member.added"},
            "action, nowhere": lambda d: {"action": "nothing"},
            "actor, nowhere": lambda d: {"actor": "nobody"},
        },
    }
    for path, filters in lists.items():
        for name, make in filters.items():
            yield f"api {path.removeprefix('/v1/')}", name, _path(path, make)
    yield (
        "api message",
        "timeline",
        lambda d: f"/v1/messages/timeline?message_id={d.choice(samples.ids)}",
    )
    for path in ("/v1/freezes", "/v1/api-keys", "/v1/smtp-accounts/list"):
        yield "api", path, _always(path)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
