"""What the demo's providers report: deliveries, opens, bounces, complaints, and what nobody can
read.

Told after the mail has been moved to its times, so that each report says a time that fits. Which
reports there are is decided here; how a provider spells and signs them, `providers` knows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

from maild.db import database
from maild.domain.provider_event import MESSAGE_ID_KEY
from tools.demo import providers
from tools.demo.content import DOMAIN
from tools.demo.providers import Endpoints, Request
from tools.demo.stack import Http, Refused
from tools.demo.traffic import Traffic

UNKNOWN_USER = "550 5.1.1 The email account that you tried to reach does not exist"
FULL = "452 4.2.2 The recipient's inbox is out of storage space"
BLOCKED = "550 5.7.1 Our system has detected that this message is likely unsolicited mail"
_AGENT = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_1) AppleWebKit/605.1.15 (KHTML)"

_SENT = """
SELECT m.id, m.to_email, m.stream = 'marketing', m.status, a.smtp_account_name, a.finished_at
FROM messages m JOIN attempts a ON a.message_id = m.id AND a.attempt_no = m.attempt_count
WHERE m.id = ANY(%s) AND m.status IN ('sent', 'unknown')
ORDER BY a.finished_at, m.id
"""
_WAITING = """
SELECT (SELECT count(*) FROM webhook_payloads WHERE workspace_id = %(w)s AND status = 'received')
    + (SELECT count(*) FROM provider_events WHERE workspace_id = %(w)s AND status = 'received')
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a provider has taken."""

    id: UUID
    to_email: str
    is_marketing: bool
    status: str
    account: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """Something that a provider tells, at a time of the story."""

    at: datetime
    account: str
    request: Request
    is_refused: bool = False


def plan(rng: Random, sent: list[Sent], now: datetime) -> list[Report]:
    """All reports, in order. None is of the future."""
    last = {one.to_email: one.id for one in sent}
    found = [
        report
        for one in sent
        for report in _of_message(rng, one, is_last=last[one.to_email] == one.id)
    ]
    if sent:
        found += _odd_ones(sent)
    return sorted((one for one in found if one.at < now), key=lambda one: one.at)


def find_sent(traffic: Traffic) -> list[Sent]:
    """The messages of this run that were sent, in the order in which they were."""
    rows = database.execute_sql(_SENT, (list(traffic.story),)).fetchall()
    return [Sent(*row) for row in rows]


def post(http: Http, endpoints: Endpoints, found: list[Report]) -> list[datetime]:
    """Post them one after the other; the times of those that were taken."""
    taken = []
    for report in found:
        body, headers = report.request
        status, _ = http.send("POST", endpoints.paths[report.account], body, headers)
        if (status == 401) is not report.is_refused or status not in {202, 401}:
            raise Refused(f"a webhook of {report.account} answers {status}")
        if not report.is_refused:
            taken.append(report.at)
    return taken


def wait(traffic: Traffic, workspace_id: int) -> None:
    """Until a worker has applied everything. Raises Refused."""

    def is_done() -> bool:
        return not database.execute_sql(_WAITING, {"w": workspace_id}).fetchone()[0]

    traffic.wait_for(is_done, "the reports are applied")


def _of_message(rng: Random, sent: Sent, *, is_last: bool) -> Iterator[Report]:
    """What becomes of a message: most arrive, some are read, a few are not wanted. What suppresses
    an address is told of its last message only: nothing was sent to it after that.
    """
    if sent.status == "unknown":
        if rng.random() < 0.5:
            yield _delivered(sent, _after(rng, sent, 1, 20))
        return
    fate = rng.random()
    if fate < 0.05:
        return
    if fate < 0.09 and is_last:
        yield _bounced(sent, _after(rng, sent, 1, 30), UNKNOWN_USER, is_hard=True)
    elif fate > 0.985:
        yield _bounced(sent, _after(rng, sent, 60, 900), FULL, is_hard=False)
    elif fate > 0.98:
        yield _bounced(sent, _after(rng, sent, 1, 9), BLOCKED, is_hard=False)
    elif is_last and sent.is_marketing and fate > 0.91:
        yield _delivered(sent, _after(rng, sent, 0.4, 8))
        yield _complained(sent, _after(rng, sent, 600, 3_000))
    else:
        yield _delivered(sent, _after(rng, sent, 0.4, 8))
        yield from _read(rng, sent)


def _read(rng: Random, sent: Sent) -> Iterator[Report]:
    """What the recipient does with it."""
    opens = 0.3 if sent.is_marketing else 0.12
    if rng.random() < opens:
        at = _after(rng, sent, 40, 7_000)
        yield _opened(sent, at)
        if rng.random() < 0.3:
            yield _clicked(sent, at + timedelta(seconds=rng.uniform(3, 60)))


def _odd_ones(sent: list[Sent]) -> Iterator[Report]:
    """Reports of the kinds that need somebody: late, twice, unreadable, about nobody, forged."""
    some = sent[len(sent) * 4 // 5]
    soon, later = some.at + timedelta(minutes=2), some.at + timedelta(minutes=3)
    arrived = _delivered(sent[0], sent[0].at + timedelta(seconds=2))
    yield arrived
    yield Report(soon, arrived.account, arrived.request)
    inbound = {"FromFull": {"Email": "customer@example.org"}, "Subject": "A question"}
    inbound |= {"RecordType": "Inbound", "MessageID": str(uuid4()), "TextBody": "Are you open?"}
    yield Report(later, providers.FIRST, providers.postmark(inbound))
    nobody = {"RecordType": "SpamComplaint", "ID": later.microsecond, "MessageID": str(uuid4())}
    yield Report(later, providers.FIRST, providers.postmark({**nobody, "BouncedAt": _iso(later)}))
    forged = {"event": "complained", "recipient": some.to_email, "timestamp": later.timestamp()}
    request = providers.mailgun(forged, is_forged=True)
    yield Report(later, providers.SECOND, request, is_refused=True)
    late = {one.to_email: one for one in sent}.values()
    for one in list(late)[-40:-20:10]:
        bounce = providers.bounce_mail(str(one.id), one.to_email, UNKNOWN_USER)
        yield Report(one.at + timedelta(minutes=6), providers.LAST, bounce)


def _delivered(sent: Sent, at: datetime) -> Report:
    if sent.account == providers.SECOND:
        return _mailgun(sent, at, "delivered", {"delivery-status": {"code": 250, "message": "OK"}})
    told = {"Recipient": sent.to_email, "DeliveredAt": _iso(at)}
    return _postmark(sent, at, "Delivery", {**told, "Details": "250 2.0.0 OK queued"})


def _bounced(sent: Sent, at: datetime, reply: str, *, is_hard: bool) -> Report:
    told: dict[str, Any]
    if sent.account == providers.SECOND:
        code, _, words = reply.partition(" ")
        told = {"severity": "permanent", "reason": "bounce" if is_hard else "generic"}
        told["delivery-status"] = {"code": int(code), "message": words}
        return _mailgun(sent, at, "failed", told)
    kind = "HardBounce" if is_hard else ("Blocked" if reply is BLOCKED else "SoftBounce")
    told = {"Type": kind, "Email": sent.to_email, "BouncedAt": _iso(at), "ID": sent.id.int % 10**9}
    return _postmark(sent, at, "Bounce", {**told, "Details": f"smtp;{reply}"})


def _complained(sent: Sent, at: datetime) -> Report:
    if sent.account == providers.SECOND:
        return _mailgun(sent, at, "complained", {})
    told = {"Type": "SpamComplaint", "Email": sent.to_email, "BouncedAt": _iso(at)}
    return _postmark(sent, at, "SpamComplaint", {**told, "ID": sent.id.int % 10**9})


def _opened(sent: Sent, at: datetime) -> Report:
    if sent.account == providers.SECOND:
        return _mailgun(sent, at, "opened", {"client-info": {"user-agent": _AGENT}})
    told = {"Recipient": sent.to_email, "ReceivedAt": _iso(at), "FirstOpen": True}
    return _postmark(sent, at, "Open", {**told, "UserAgent": _AGENT})


def _clicked(sent: Sent, at: datetime) -> Report:
    url = f"https://{DOMAIN}/letter"
    if sent.account == providers.SECOND:
        return _mailgun(sent, at, "clicked", {"url": url})
    told = {"Recipient": sent.to_email, "ReceivedAt": _iso(at), "OriginalLink": url}
    return _postmark(sent, at, "Click", {**told, "UserAgent": _AGENT})


def _postmark(sent: Sent, at: datetime, kind: str, told: dict[str, Any]) -> Report:
    record = {
        "RecordType": kind,
        "MessageID": str(uuid4()),
        "MessageStream": "outbound",
        "Metadata": {MESSAGE_ID_KEY: str(sent.id)},
        **told,
    }
    return Report(at, providers.FIRST, providers.postmark(record))


def _mailgun(sent: Sent, at: datetime, kind: str, told: dict[str, Any]) -> Report:
    data = {
        "event": kind,
        "timestamp": at.timestamp(),
        "recipient": sent.to_email,
        "message": {"headers": {"message-id": f"{sent.id}@{DOMAIN}"}},
        "user-variables": {MESSAGE_ID_KEY: str(sent.id)},
        **told,
    }
    return Report(at, providers.SECOND, providers.mailgun(data))


def _after(rng: Random, sent: Sent, least: float, most: float) -> datetime:
    """Sooner rather than later."""
    return sent.at + timedelta(seconds=least + (most - least) * rng.random() ** 2)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
