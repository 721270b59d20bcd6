"""A campaign reaches everybody once, whatever is killed: I12.

    python -m tests.crash.campaigns --contacts 200000

A campaign is prepared and sent while workers, Valkey and the web server are killed, people leave,
and somebody pauses it for a moment; meanwhile other mail is submitted and must not wait behind it.
Then PostgreSQL, the ledger of the provider and the ledger of the campaign are compared.
`test_campaigns.py` is the short form. Exits with 1 where something is wrong.
"""

import argparse
import http.client
import random
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.crash.audit import Report, Stop, audit
from tests.crash.load import Acknowledged
from tests.crash.messenger import Messenger
from tests.crash.rig import ADMIN_KEY, Rig, running, wait_until

WORKSPACE = 1
DOMAINS = 40
TOPIC = "news"
LEAVERS = 20
PAUSE_SECONDS = 2.0
HTML = (
    "<html><body><h1>Spring</h1><p>Hello {{ contact.name | default: 'you' }},</p>"
    "<p>you are on the {{ contact.plan }} plan.</p>" + "<p>" + "All that is new. " * 60 + "</p>"
    "<p><a href='{{ unsubscribe_url }}'>Unsubscribe</a></p></body></html>"
)
TEXT = "Hello,\n\nall that is new.\n\n{{ unsubscribe_url }}\n"

Strike = Callable[[Rig, random.Random], None]


@dataclass(slots=True)
class Outcome:
    """The figures, and what was found wrong."""

    figures: dict[str, str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.campaigns", description=__doc__)
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=2, help="of each: worker, Valkey, web server")
    parser.add_argument("--rate", type=float, default=5.0, help="other messages a second")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args(argv)
    print(f"campaigns: seed {given.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave nothing behind
    with running(schedulers=1) as rig:
        outcome = run(
            rig,
            contacts=given.contacts,
            seed=given.seed,
            strikes=[kill_worker, kill_valkey, kill_web] * given.kills,
            per_second=given.rate,
        )
    for name, value in outcome.figures.items():
        print(f"{name:<48}{value:>14}")
    for violation in outcome.violations[:30]:
        print(f"VIOLATION {violation[:500]}")
    return 1 if outcome.violations else 0


def run(
    rig: Rig,
    *,
    contacts: int,
    seed: int,
    strikes: Sequence[Strike],
    per_second: float = 5.0,
    leavers: int = LEAVERS,
) -> Outcome:
    """All of it; strikes, a pause and people who leave fall at even distances."""
    dice = random.Random(seed)
    add_contacts(rig, contacts)
    campaign_id = add_campaign(rig)
    stops: list[Stop] = []
    events = [*strikes, *[_leave(campaign_id, stops)] * leavers]
    dice.shuffle(events)
    events.insert(len(events) // 2, _pause_for_a_while(campaign_id, stops))
    messenger = Messenger(rig.web_addr, per_second=per_second)
    messenger.start()
    began_at = time.time()
    wrong: list[str] = []
    try:
        for number, strike in enumerate(events, 1):
            share = number / (len(events) + 1)
            wait_until(
                lambda share=share: _done(rig, campaign_id, wrong) >= share * contacts,
                "the campaign goes on",
                seconds=3600,
            )
            strike(rig, dice)
        wait_until(
            lambda: _done(rig, campaign_id, wrong) >= contacts and _is_over(rig, campaign_id),
            "the campaign is finished",
            seconds=3600,
        )
        took = time.time() - began_at
    finally:
        messenger.stop()
    unsent = "SELECT 1 FROM messages WHERE status IN ('queued', 'sending') LIMIT 1"
    wait_until(lambda: not rig.query(unsent), "all other mail is sent", seconds=300)
    outcome = check(rig, campaign_id, contacts, messenger, stops)
    outcome.violations += wrong[:10]
    outcome.figures |= {
        "seconds from the schedule to the end": f"{took:,.1f}",
        "  contacts a second": f"{contacts / took:,.0f}",
        "violations": f"{len(outcome.violations):,}",
    }
    return outcome


# What happens meanwhile


def kill_worker(rig: Rig, dice: random.Random) -> None:
    """The one that steps the campaign, or the other."""
    worker = dice.choice(rig.workers)
    worker.kill()
    worker.start()


def kill_valkey(rig: Rig, _: random.Random) -> None:
    """Every hint and every mark is gone."""
    rig.kill_valkey()
    rig.start_valkey()


def kill_web(rig: Rig, _: random.Random) -> None:
    rig.web.kill()
    rig.web.start()


def _pause_for_a_while(campaign_id: int, stops: list[Stop]) -> Strike:
    def pause(rig: Rig, _: random.Random) -> None:
        # A second answer to the same is a conflict: the first one was lost.
        path, body = f"/v1/campaigns/{campaign_id}", {"workspace_id": WORKSPACE}
        paused_at = _answered(rig, f"{path}/pause", body, 200, 409)
        time.sleep(PAUSE_SECONDS)
        until = time.time()
        _answered(rig, f"{path}/resume", body, 200, 409)
        stops.append(Stop(WORKSPACE, paused_at, until, stream="marketing", topic=TOPIC))

    return pause


def _leave(campaign_id: int, stops: list[Stop]) -> Strike:
    """Somebody leaves who is among the last to be mailed."""
    waiting = (
        "SELECT email FROM campaign_recipients WHERE campaign_id = %s AND status = 'queued'"
        " ORDER BY id DESC OFFSET %s LIMIT 1"
    )

    def leave(rig: Rig, dice: random.Random) -> None:
        rows = rig.query(waiting, campaign_id, dice.randrange(200))
        if not rows:
            return
        body = {"email": rows[0][0], "workspace_id": WORKSPACE, "reason": "asked for it"}
        left_at = _answered(rig, "/v1/unsubscribes", body, 200, 201)
        stops.append(Stop(WORKSPACE, left_at, email=rows[0][0]))

    return leave


def _answered(rig: Rig, path: str, body: dict[str, Any], *statuses: int) -> float:
    """Ask until there is one of these answers, for the web server may be killed; when that was."""

    def is_answered() -> bool:
        try:
            return rig.call("POST", path, body, key=ADMIN_KEY)[0] in statuses
        except (OSError, http.client.HTTPException, ValueError):
            return False

    wait_until(is_answered, f"{path} is answered")
    return time.time()


# The way there


def add_contacts(rig: Rig, count: int) -> None:
    rig.query(
        "INSERT INTO contacts (workspace_id, email, name, attributes, created_by)"
        " SELECT %s, 'person-' || n || '@' || 'd' || n %% %s || '.example.org', 'Person ' || n,"
        " jsonb_build_object('plan', CASE n %% 2 WHEN 0 THEN 'pro' ELSE 'free' END), 'crash'"
        " FROM generate_series(1, %s) AS n",
        WORKSPACE,
        DOMAINS,
        count,
    )
    rig.query("ANALYZE contacts")


def add_campaign(rig: Rig) -> int:
    """A campaign to everybody, which begins at once."""
    [(template_id,)] = rig.query(
        "INSERT INTO templates (workspace_id, name, created_by) VALUES (%s, 'News', 'crash')"
        " RETURNING id",
        WORKSPACE,
    )
    rig.query(
        "INSERT INTO template_versions (template_id, version, subject, format, source, html,"
        " body_text, fields, created_by)"
        " VALUES (%s, 1, 'News for {{ contact.name }}', 'html', %s, %s, %s, '[]', 'crash')",
        *(template_id, HTML, HTML, TEXT),
    )
    [(campaign_id,)] = rig.query(
        "INSERT INTO campaigns (workspace_id, name, status, audience_kind, from_email, topic,"
        " template_id, template_version, starts_at, created_by)"
        " VALUES (%s, 'Spring', 'scheduled', 'everyone', 'news@example.com', %s, %s, 1, now(),"
        " 'crash') RETURNING id",
        *(WORKSPACE, TOPIC, template_id),
    )
    return int(campaign_id)


# At every moment the ledger adds up, as one statement sees it.
_PROGRESS = """
SELECT c.audience_count - r.rows, r.done
FROM campaigns c CROSS JOIN LATERAL (
    SELECT count(*) AS rows, count(*) FILTER (WHERE status <> 'queued') AS done
    FROM campaign_recipients WHERE campaign_id = c.id) AS r
WHERE c.id = %s
"""


def _done(rig: Rig, campaign_id: int, wrong: list[str]) -> int:
    """Whoever looks at a large ledger all the time slows down what he looks at."""
    began_at = time.monotonic()
    [(difference, done)] = rig.query(_PROGRESS, campaign_id)
    if difference:
        wrong.append(f"I12: the ledger misses {difference} while it runs")
    time.sleep(max(0.05, 9 * (time.monotonic() - began_at)))
    return int(done)


def _is_over(rig: Rig, campaign_id: int) -> bool:
    [(status,)] = rig.query("SELECT status FROM campaigns WHERE id = %s", campaign_id)
    return bool(status == "finished")


# What must be true


def check(
    rig: Rig, campaign_id: int, contacts: int, messenger: Messenger, stops: Sequence[Stop]
) -> Outcome:
    """Compare the three witnesses."""
    rows = rig.query(
        "SELECT email, status, reason, message_id FROM campaign_recipients WHERE campaign_id = %s",
        campaign_id,
    )
    made = [Acknowledged(row[3], WORKSPACE, row[0]) for row in rows if row[3]]
    report = audit(rig, [*made, *messenger.acknowledged], stops=stops)
    outcome = Outcome(violations=list(report.violations))
    got = Counter(recipient for _, _, recipient in rig.sink.lines())
    statuses = Counter(row[1] for row in rows)
    outcome.violations += _check_rows(rows, got, contacts, statuses)
    outcome.violations += _check_sums(rig, campaign_id)
    if report.lost or report.late:
        outcome.violations.append(f"I12: {report.lost} lost, {report.late} begun after a stop")
    twice = sum(got[row[0]] > 1 for row in rows)
    if twice > report.bound:
        outcome.violations.append(f"I12: {twice} contacts got it twice; {report.bound} may")
    outcome.figures = {**_figures(statuses, got, rows, report), **_waits(rig, messenger)}
    return outcome


def _check_rows(
    rows: Sequence[tuple[object, ...]], got: Counter[str], contacts: int, statuses: Counter[str]
) -> list[str]:
    wrong = []
    if len(rows) != contacts or len({row[0] for row in rows}) != contacts:
        wrong.append(f"I12: {len(rows)} rows for {contacts} contacts")
    if statuses["queued"]:
        wrong.append(f"I12: {statuses['queued']} rows have not come to their end")
    for email, status, reason, _ in rows:
        count = got[str(email)]
        if status in {"sent", "delivered"} and not count:
            wrong.append(f"I12: {email} is {status}, and the provider does not have it")
        if status in {"suppressed", "cancelled"} and count:
            wrong.append(f"I12: {email} is {status} ({reason}), and the provider has it")
    return wrong[:20]


def _check_sums(rig: Rig, campaign_id: int) -> list[str]:
    """The ledger agrees with itself and with its messages."""
    [(audience, handed)] = rig.query(
        "SELECT audience_count, handed_count FROM campaigns WHERE id = %s", campaign_id
    )
    [(rows, made)] = rig.query(
        "SELECT count(*), count(message_id) FROM campaign_recipients WHERE campaign_id = %s",
        campaign_id,
    )
    [(messages, recipients, strangers)] = rig.query(
        "SELECT count(*), count(DISTINCT recipient_id),"
        " count(*) FILTER (WHERE r.message_id IS DISTINCT FROM m.id)"
        " FROM messages m LEFT JOIN campaign_recipients r ON r.id = m.recipient_id"
        " WHERE m.recipient_id IS NOT NULL"
    )
    wrong = []
    if (audience, handed) != (rows, made) or not messages == recipients == made or strangers:
        wrong.append(
            f"I12: audience {audience}, rows {rows}, handed {handed}, rows with a message {made},"
            f" messages {messages} of {recipients} rows, {strangers} of none"
        )
    return wrong


def _figures(
    statuses: Counter[str],
    got: Counter[str],
    rows: Sequence[tuple[object, ...]],
    report: Report,
) -> dict[str, str]:
    copies = Counter(got[str(row[0])] for row in rows)
    told = ", ".join(f"{name} {count:,}" for name, count in sorted(statuses.items()))
    return {
        "contacts": f"{len(rows):,}",
        "  " + told: "",
        "  at the provider once": f"{copies[1]:,}",
        "  not at all (suppressed, or not known)": f"{copies[0]:,}",
        "  more often": f"{len(rows) - copies[0] - copies[1]:,}",
        "  attempts cut off after the dot": f"{report.bound:,}",
        "lost": f"{report.lost:,}",
        "begun after a stop": f"{report.late:,}",
        "  in flight when it was committed": f"{report.in_flight_late:,}",
    }


def _waits(rig: Rig, messenger: Messenger) -> dict[str, str]:
    """How long other mail took, from 201 to the provider's reply."""
    arrivals: dict[uuid.UUID, float] = {}
    for at, message_id, _ in rig.sink.lines():
        arrivals.setdefault(message_id, at)
    waits = messenger.waits(arrivals) or [0.0]
    middle, high = waits[len(waits) // 2], waits[min(len(waits) - 1, len(waits) * 99 // 100)]
    return {
        "other mail meanwhile": f"{len(waits):,}",
        "  201 to the provider's 250: p50": f"{middle:,.2f} s",
        "  p99": f"{high:,.2f} s",
        "  longest": f"{waits[-1]:,.2f} s",
    }


if __name__ == "__main__":
    sys.exit(main())
