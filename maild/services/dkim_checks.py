"""Looking at the DNS for the records of DKIM keys, and what follows from what is there.

A prepared key whose record is seen begins to sign by itself; an active one whose record is gone, or
is another, opens an incident, for receivers fail what it signs. The scheduler looks now and then,
and a person may have it look at once. No answer says nothing: it changes no key.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import peewee

from maild import clock, config, log
from maild.db import database
from maild.domain import dkim
from maild.domain.actor import SYSTEM, Actor
from maild.domain.dkim import KeyState, RecordState
from maild.domain.dns_answer import Answer, Kind, Question, why_unknown
from maild.domain.incident import IncidentKind, Severity
from maild.errors import Conflict
from maild.models import DkimKey
from maild.services import dkim_keys, incident_signals, workspaces
from maild.transports import dns

BATCH = 20
"""Keys whose records are looked up together."""
SOON_SECONDS, LATER_SECONDS = 300, 6 * 3600
"""How long until the next look: soon for what waits for its record, or has lost it."""
PATIENCE_DAYS, PATIENT_SECONDS = 7, 3600
"""A key that has waited for its record so long is looked up as often only: many are forgotten, and
others wait for their turn.
"""
FOUND_MAX_CHARS = 1_000

_BROKEN = frozenset({RecordState.MISSING, RecordState.DIFFERENT, RecordState.REVOKED})

# Whoever claims a key looks it up; the time moves on first, so that a look that fails is no loop.
_CLAIM = """
UPDATE dkim_keys SET next_check_at = now() + %s * interval '1 second'
WHERE id IN (
    SELECT id FROM dkim_keys WHERE state <> 'retired' AND next_check_at <= now()
    ORDER BY next_check_at LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING id
"""

logger = log.get(__name__)


def check_due() -> int:
    """Look up the records of keys whose turn it is, BATCH at most, and retire what has had its
    time; returns how many were looked up.
    """
    dkim_keys.retire_due()
    ids = [row[0] for row in database.execute_sql(_CLAIM, (SOON_SECONDS, BATCH)).fetchall()]
    if ids:
        _check(list(DkimKey.select().where(DkimKey.id.in_(ids)).order_by(DkimKey.id)))
    return len(ids)


def check_domain(workspace_id: int, domain: str) -> list[DkimKey]:
    """Look up the records of a domain's keys now; returns its keys as they are then. Takes as long
    as the DNS does, within the limits of `transports.dns`. Raises InvalidFields.
    """
    keys = dkim_keys.list_of_domain(workspace_id, domain)
    _check([key for key in keys if key.state is not KeyState.RETIRED][:BATCH])
    return dkim_keys.list_of_domain(workspace_id, domain)


def activate(workspace_id: int, key_id: int, *, insist: bool = False, by: Actor) -> DkimKey:
    """As `dkim_keys.activate`, after a look at the DNS unless a person insists."""
    key = dkim_keys.get(workspace_id, key_id)
    if not insist and key.state is not KeyState.RETIRED:
        _check([key], waits_for_a_person=True)
    return dkim_keys.activate(workspace_id, key_id, insist=insist, by=by)


def _check(keys: Sequence[DkimKey], *, waits_for_a_person: bool = False) -> None:
    """Look the records up, all at the same time, and go by what they say."""
    names = [dkim.record_name(key.selector, key.domain) for key in keys]
    for key, answer in zip(keys, _ask(names), strict=True):
        if not answer.is_known:
            _note(key, _state_without_answer(key), why_unknown(answer), is_seen=False)
            continue
        found = dkim.compare(answer.records, key.algorithm, key.public_key)
        text = "\n".join(answer.records) or None
        _note(key, found, text, is_seen=found is RecordState.PUBLISHED)
        if key.state is KeyState.ACTIVE:
            _watch(key, before=key.record_state, now=found)
        is_seen = found is RecordState.PUBLISHED
        if is_seen and key.state is KeyState.PREPARED and not waits_for_a_person:
            _begin_to_sign(key)


def _ask(names: Sequence[str]) -> list[Answer]:
    settings = config.current()
    by = dns.resolver(settings.dns_resolvers, timeout_seconds=settings.dns_timeout_seconds)
    questions = [Question(name, Kind.TXT) for name in names]
    answers = asyncio.run(dns.ask(questions, by=by))
    return [answers[question] for question in questions]


def _state_without_answer(key: DkimKey) -> RecordState:
    """What was seen once holds until the DNS says otherwise."""
    is_new = key.record_state is RecordState.UNCHECKED
    return RecordState.UNKNOWN if is_new else key.record_state


def _note(key: DkimKey, state: RecordState, found: str | None, *, is_seen: bool) -> None:
    now = peewee.fn.now()
    is_settled = is_seen and key.state is not KeyState.PREPARED
    wait = LATER_SECONDS if is_settled or key.state is KeyState.RETIRING else SOON_SECONDS
    has_waited = clock.now() - key.created_at > timedelta(days=PATIENCE_DAYS)
    if key.state is KeyState.PREPARED and has_waited:
        wait = PATIENT_SECONDS
    DkimKey.update(
        record_state=state,
        record_found=None if is_seen or found is None else found[:FOUND_MAX_CHARS],
        checked_at=now,
        seen_at=peewee.fn.coalesce(DkimKey.seen_at, now) if is_seen else DkimKey.seen_at,
        next_check_at=now + peewee.SQL("%s * interval '1 second'", (wait,)),
    ).where(DkimKey.id == key.id).execute()


def _begin_to_sign(key: DkimKey) -> None:
    try:
        dkim_keys.activate(key.workspace_id, key.id, by=SYSTEM)
    except Conflict as error:  # somebody has retired it meanwhile
        logger.info("dkim_key.not_activated", selector=key.selector, detail=error.detail)


def _watch(key: DkimKey, *, before: RecordState, now: RecordState) -> None:
    """Two looks in a row that find an active key's record amiss are an incident."""
    with database.atomic():
        workspaces.take_turns(key.workspace_id)
        # The DNS took its time: by now it may sign no more, and nothing would end the incident.
        if dkim_keys.get(key.workspace_id, key.id).state is KeyState.ACTIVE:
            _tell(key, before=before, now=now)


def _tell(key: DkimKey, *, before: RecordState, now: RecordState) -> None:
    name = dkim_keys.incident_key(key)
    if now not in _BROKEN:
        incident_signals.clear_state(key.workspace_id, kind=IncidentKind.DOMAIN, key=name)
    elif before in _BROKEN:
        record = dkim.record_name(key.selector, key.domain)
        incident_signals.raise_state(
            key.workspace_id,
            kind=IncidentKind.DOMAIN,
            key=name,
            title=f"Receivers cannot check the signatures for {key.domain}",
            severity=Severity.MAJOR,
            detail={
                "reason": f"The TXT record {record} is {now.value}: mail that maild signs with the"
                f" key {key.selector} fails DKIM. Publish the record as its page shows it, or stop"
                " signing with this key."
            },
        )
