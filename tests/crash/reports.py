"""What providers report is never lost, and applied once, whatever is killed: I9, I10.

    python -m tests.crash.reports --seconds 60 --rate 500 --kills 2

Sends messages, has every kind of event posted about them, several times and in random order, while
workers are killed and Valkey forgets, and compares what was answered 2xx with what PostgreSQL
holds. `test_reports.py` is the short form. Exits with 1 where something is wrong.
"""

import argparse
import random
import signal
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.crash import reporters
from tests.crash.audit import DATABASE_AWAY, complaints
from tests.crash.reporters import FULL, FULL_COUNT, Answers, Reporters, Subject, Told
from tests.crash.rig import ADMIN_KEY, Rig, message, running, wait_until

SETTINGS = {"WEBHOOKS_ENABLED": "true", "WEBHOOK_SIGNING_SECRET": reporters.SECRET}
BATCH = 500
CLIENTS = 8
EVENTS_EACH = 7.6
"""About so many are posted of a message, repetitions included."""
PROGRESS = ("sent", "delivered", "bounced", "complained")
FURTHEST = {"deferred": 0, "delivered": 1, "soft": 2, "hard": 2, "complained": 3}
"""How far a message has come at least, by what is told of it."""

Strike = Callable[[Rig, random.Random], None]


@dataclass(slots=True)
class Outcome:
    """The figures, and what was found wrong."""

    figures: dict[str, str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.reports", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=500.0, help="events a second")
    parser.add_argument("--kills", type=int, default=2, help="of workers")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--harsh", action="store_true", help="kill the API and PostgreSQL as well")
    given = parser.parse_args(argv)
    print(f"reports: seed {given.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave nothing behind
    kills: list[Strike] = [kill_one, kill_all] * given.kills
    strikes = [flush, *kills[: given.kills], *([kill_web, crash_postgres] if given.harsh else [])]
    with running(schedulers=1, **SETTINGS) as rig:
        outcome = run(
            rig,
            messages=round(given.seconds * given.rate / EVENTS_EACH),
            seed=given.seed,
            per_second=given.rate,
            strikes=strikes,
        )
    for name, value in outcome.figures.items():
        print(f"{name:<44}{value:>12}")
    for violation in outcome.violations[:30]:
        print(f"VIOLATION {violation[:500]}")
    return 1 if outcome.violations else 0


def run(
    rig: Rig,
    *,
    messages: int,
    seed: int,
    per_second: float | None = None,
    strikes: Sequence[Strike] = (),
    clients: int = CLIENTS,
) -> Outcome:
    """All of it: mail goes out, is reported on while the strikes fall at even distances, and what
    came of that is counted. Without `per_second`, as fast as it goes.
    """
    dice = random.Random(seed)
    subjects = send(rig, messages)
    paths = {provider: add_endpoint(rig, provider) for provider in ("postmark", "sendgrid")}
    told = reporters.invent(dice, subjects)
    posts = reporters.pack(dice, told, paths)
    threads = Reporters(rig.web_addr, posts, clients=clients, per_second=per_second)
    threads.start()
    try:
        for number, strike in enumerate(dice.sample(strikes, len(strikes)), 1):
            share = number / (len(strikes) + 1)
            wait_until(lambda share=share: threads.share_done >= share, "posts", seconds=3600)
            strike(rig, dice)
        threads.join()
    finally:
        threads.stop()
    wait_until(lambda: not waiting(rig), "everything is read and applied")
    caught_up = time.time() - threads.answers.ended_at
    outcome = audit(rig, subjects, told, threads.answers, caught_up=caught_up)
    if per_second:
        behind = percentile(threads.answers.since_due, 0.99)
        outcome.figures["202: p99 since it was due"] = f"{1000 * behind:,.1f} ms"
    return outcome


# What happens meanwhile


def kill_one(rig: Rig, dice: random.Random) -> None:
    """While a batch is read or applied, one of the workers dies: the one at it, or the other."""
    worker = dice.choice(rig.workers)
    _wait_for_a_batch(rig)
    worker.kill()
    worker.start()


def kill_all(rig: Rig, _: random.Random) -> None:
    """Whoever is at it dies in the middle of a batch."""
    _wait_for_a_batch(rig)
    for worker in rig.workers:
        worker.kill()
    for worker in rig.workers:
        worker.start()


def flush(rig: Rig, _: random.Random) -> None:
    """Every hint and every mark is forgotten."""
    with rig.redis() as client:
        client.flushall()


def kill_web(rig: Rig, _: random.Random) -> None:
    """Some requests are stored, and never answered."""
    rig.web.kill()
    rig.web.start()


def crash_postgres(rig: Rig, _: random.Random) -> None:
    rig.crash_postgres()
    rig.start_postgres()


def _wait_for_a_batch(rig: Rig) -> None:
    """Until some worker is in a transaction that reads or applies (`services.locks.REPORTS`)."""
    held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 3 AND granted"
    deadline = time.monotonic() + 5.0
    while not rig.query(held) and time.monotonic() < deadline:
        pass


# The way there


def send(rig: Rig, count: int) -> list[Subject]:
    """Have so many messages accepted by the provider."""
    emails = [f"person-{number}@example.org" for number in range(count - FULL_COUNT)]
    emails += [FULL] * FULL_COUNT
    subjects = []
    for start in range(0, count, BATCH):
        part = emails[start : start + BATCH]
        body = {"messages": [message(email) for email in part]}
        status, answer = rig.call("POST", "/v1/messages/batch", body)
        assert (status, answer["rejected"]) == (200, 0), answer
        results = zip(part, answer["results"], strict=True)
        subjects += [Subject(uuid.UUID(result["id"]), email) for email, result in results]
    unsent = "SELECT 1 FROM messages WHERE status <> 'sent' LIMIT 1"
    wait_until(lambda: not rig.query(unsent), "all mail is sent")
    return subjects


def add_endpoint(rig: Rig, provider: str) -> str:
    """Add an endpoint with basic authentication; returns the path of its address."""
    login = {"username": reporters.USER, "password": reporters.PASSWORD}
    body = {"provider": provider, "basic_auth": login, "workspace_id": 1}
    status, answer = rig.call("POST", "/v1/webhooks/endpoints", body, key=ADMIN_KEY)
    assert status == 201, answer
    return urlsplit(answer["url"]).path


def waiting(rig: Rig) -> int:
    """Payloads and events that are still to be dealt with."""
    [(count,)] = rig.query(
        "SELECT (SELECT count(*) FROM webhook_payloads WHERE status = 'received')"
        " + (SELECT count(*) FROM provider_events WHERE status = 'received')"
    )
    return int(count)


# What must be true


def audit(
    rig: Rig,
    subjects: Sequence[Subject],
    told: Sequence[Told],
    answers: Answers,
    *,
    caught_up: float,
) -> Outcome:
    """Compare what was answered with what is there."""
    outcome = Outcome()
    stored = _read_stored(rig)
    lost = [each.marker for each in told if not _is_applied(stored[each.marker])]
    outcome.violations += [
        *(f"I9: {marker} is {stored[marker]}" for marker in lost),
        *_check_copies(told, answers, stored),
        *_check_links(rig, told),
        *_check_messages(rig, subjects, told),
        *_check_timeline(rig, told),
        *_check_suppressions(rig, told),
        *_check_refused(rig, answers, stored),
        *(f"log: {line}" for line in complaints(rig) if not _is_excused(line)),
    ]
    rows = Counter(status for statuses in stored.values() for status in statuses)
    seconds = answers.ended_at - answers.begun_at
    outcome.figures = {
        "messages reported on": f"{len(subjects):,}",
        "events (each told 1 to 3 times)": f"{len(told):,}",
        "requests answered 202": f"{len(answers.latencies):,}",
        "events in them (accepted)": f"{answers.accepted.total():,}",
        "  a second": f"{answers.accepted.total() / seconds:,.0f}",
        "other answers, and none": str(
            {name: count for name, count in answers.statuses.items() if name != "202"}
        ),
        "applied": f"{rows['applied']:,}",
        "duplicates": f"{rows['duplicate']:,}",
        "lost": f"{len(lost):,}",
        "202: p50": f"{1000 * percentile(answers.latencies, 0.5):,.1f} ms",
        "202: p99": f"{1000 * percentile(answers.latencies, 0.99):,.1f} ms",
        "202: longest": f"{1000 * max(answers.latencies):,.0f} ms",
        "all applied after the last 202": f"{caught_up:,.2f} s",
        "violations": f"{len(outcome.violations):,}",
    }
    return outcome


def _read_stored(rig: Rig) -> defaultdict[str, list[str]]:
    """The states of all rows of each event, by its marker."""
    stored: defaultdict[str, list[str]] = defaultdict(list)
    for marker, status in rig.query(
        "SELECT report->'metadata'->>'marker', status FROM provider_events ORDER BY id"
    ):
        stored[marker].append(status)
    return stored


def _is_applied(statuses: Sequence[str]) -> bool:
    """Whether an event is there once, as applied, and otherwise as a repetition of that."""
    return Counter(statuses) == Counter({"applied": 1, "duplicate": len(statuses) - 1})


def _check_copies(
    told: Sequence[Told], answers: Answers, stored: Mapping[str, Sequence[str]]
) -> list[str]:
    """Each time that an event was answered 2xx it became a row; without an answer it may have."""
    wrong = []
    for each in told:
        copies, least = len(stored[each.marker]), answers.accepted[each.marker]
        if not 1 <= least <= copies <= answers.tried[each.marker]:
            wrong.append(f"I9: {each.marker} was accepted {least} times, and is there {copies}")
    for marker in stored.keys() - {each.marker for each in told}:
        wrong.append(f"I9: {marker} is there, and was told by nobody: {stored[marker]}")
    return wrong


def _check_links(rig: Rig, told: Sequence[Told]) -> list[str]:
    """Each event found its message; a repetition knows what it repeats, and nothing waits."""
    about = {each.marker: each.about.message_id for each in told}
    rows = rig.query(
        "SELECT p.report->'metadata'->>'marker', p.message_id, p.status, p.id, p.duplicate_of,"
        " o.report->'metadata'->>'marker' FROM provider_events p"
        " LEFT JOIN provider_events o ON o.id = p.duplicate_of"
    )
    wrong = [
        f"I9: event {row[3]} ({row[2]}) is of {row[1]}, not {about.get(row[0])}"
        for row in rows
        if row[2] != "duplicate" and row[1] != about.get(row[0])
    ]
    wrong += [
        f"I9: event {row[3]} repeats {row[0]}, and is called a duplicate of {row[4]} ({row[5]})"
        for row in rows
        if row[2] == "duplicate" and row[0] != row[5]
    ]
    for status, count in rig.query(
        "SELECT status, count(*) FROM webhook_payloads WHERE status <> 'read' GROUP BY 1"
    ):
        wrong.append(f"I9: {count} payloads stay {status}")
    return wrong


def _check_messages(rig: Rig, subjects: Sequence[Subject], told: Sequence[Told]) -> list[str]:
    """I10: each message is as far as the furthest of its events says."""
    furthest: Counter[uuid.UUID] = Counter()
    for each in told:
        known = furthest[each.about.message_id]
        furthest[each.about.message_id] = max(known, FURTHEST[each.kind])
    states = dict(rig.query("SELECT id, status FROM messages"))
    return [
        f"I10: {subject} is {states.get(subject.message_id)}, not {wanted}"
        for subject in subjects
        if states.get(subject.message_id) != (wanted := PROGRESS[furthest[subject.message_id]])
    ]


def _check_timeline(rig: Rig, told: Sequence[Told]) -> list[str]:
    """Each report stands on the timeline of its message once."""
    lines = Counter(
        rig.query(
            "SELECT p.report->'metadata'->>'marker', e.message_id FROM events e"
            " LEFT JOIN provider_events p ON p.id = (e.data->>'report_id')::bigint"
            " WHERE e.data ? 'report_id'"
        )
    )
    wanted = Counter((each.marker, each.about.message_id) for each in told)
    more, less = lines - wanted, wanted - lines
    return [f"I9: on the timeline too often: {line}" for line in more] + [
        f"I9: not on the timeline: {line}" for line in less
    ]


def _check_suppressions(rig: Rig, told: Sequence[Told]) -> list[str]:
    wanted = {FULL: "soft_bounce"}
    for kind, class_ in (("hard", "hard_bounce"), ("complained", "complaint")):
        wanted |= {each.about.email: class_ for each in told if each.kind == kind}
    found = Counter(rig.query("SELECT email, class FROM suppressions WHERE removed_at IS NULL"))
    more, less = found - Counter(wanted.items()), Counter(wanted.items()) - found
    return [f"I9: suppressed, and should not be: {each}" for each in more] + [
        f"I9: not suppressed: {each}" for each in less
    ]


def _check_refused(rig: Rig, answers: Answers, stored: Mapping[str, Sequence[str]]) -> list[str]:
    """Nothing was refused but what was forged, and that has changed the counter alone."""
    forged = answers.statuses["401 forged"]
    # 503 is what a client gets while PostgreSQL is away; names are of requests without an answer.
    known = {"202", "503", "401 forged", "503 forged"}
    wrong = [
        f"I9: {count} requests were answered {name}"
        for name, count in answers.statuses.items()
        if name[0].isdigit() and name not in known
    ]
    wrong += [f"I9: {marker} was forged" for marker in stored if marker.endswith("-forged")]
    [(counted,)] = rig.query("SELECT coalesce(sum(refused_count), 0) FROM webhook_tallies")
    if not forged <= counted <= answers.forged_tried:  # killed before it could answer
        wrong.append(f"I9: {forged} requests were refused, and {counted} are counted")
    [(kept,)] = rig.query(
        "SELECT count(*) FROM webhook_payloads WHERE position('-forged'::bytea IN body) > 0"
    )
    if kept:
        wrong.append(f"I9: {kept} forged requests are stored")
    return wrong


def _is_excused(line: str) -> bool:
    return any(word in line for word in DATABASE_AWAY)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


if __name__ == "__main__":
    sys.exit(main())
