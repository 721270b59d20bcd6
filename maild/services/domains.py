"""Sending domains of a workspace: adding, choosing a DKIM selector, removing, and those that its
mail comes from without anybody having added them. Checking them is `domain_checks`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from peewee import fn

from maild import queue
from maild.db import database
from maild.domain.actor import Actor
from maild.domain.incident import IncidentKind
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import Domain, DomainCheck
from maild.services import addresses, audit, incident_signals, workspaces

HINT = "domains"
"""The hint that wakes whoever checks domains."""
DOMAINS_MAX = 200
"""Of a workspace."""
SUGGESTIONS_MAX = 5
RECENT_MESSAGES = 1_000
"""So many of the newest messages are looked at for suggestions."""
HISTORY_SHOWN = 20
NAME_MAX_CHARS = 253  # RFC 1035 3.1, without the final dot
SELECTOR_MAX_CHARS = 63
_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*")

NO_SUCH = "There is no such domain in this workspace."


@dataclass(frozen=True, slots=True)
class Page:
    """By name; `after` is the name after which the next page begins."""

    domains: list[Domain]
    after: str | None


def parse_name(text: str) -> str:
    """The domain in the form in which addresses hold theirs. Raises ValueError with a sentence."""
    text = text.strip().rstrip(".")
    if len(text) > NAME_MAX_CHARS:
        raise ValueError(f"is longer than {NAME_MAX_CHARS} characters")
    if "@" in text or "/" in text:
        raise ValueError("must be a domain alone, such as example.com")
    if "." not in text:
        raise ValueError("must have a dot in it, such as example.com")
    return addresses.parse_domain(text)


def parse_selector(text: str | None) -> str | None:
    """The selector in lower case; None for none. Raises ValueError with a sentence."""
    selector = (text or "").strip().lower()
    if not selector:
        return None
    suffix = selector.partition("._domainkey")
    selector = suffix[0] if suffix[1] else selector
    if len(selector) > SELECTOR_MAX_CHARS or not _SELECTOR.fullmatch(selector):
        raise ValueError(
            "must be a name such as s1: letters, digits, hyphens, underscores and dots, 63 at most"
        )
    return selector


def add(workspace_id: int, name: str, *, dkim_selector: str | None = None, by: Actor) -> Domain:
    """Have a domain looked after; it is checked right away.

    One that is there already stays as it is, and raises Conflict. Raises InvalidFields, NotFound
    (the workspace), and Conflict where there are DOMAINS_MAX.
    """
    normal, selector = check_fields(name, dkim_selector)
    with database.atomic():
        workspaces.take_turns(workspace_id)
        if Domain.get_or_none(Domain.workspace == workspace_id, Domain.name == normal):
            raise Conflict(f"{normal} is in the list already.")
        if len(Domain.select(Domain.id).where(Domain.workspace == workspace_id)) >= DOMAINS_MAX:
            raise Conflict(f"There are {DOMAINS_MAX} domains already. Remove one first.")
        row: Domain = Domain.create(
            workspace=workspace_id,
            name=normal,
            dkim_selector=selector,
            created_by=by.name,
            results={},
            good={},
            drift={},
        )
        _record(row, by, "added", after={"dkim_selector": selector})
        queue.enqueue(HINT)
    return get(workspace_id, row.id)


def select_key(
    workspace_id: int, domain_id: int, *, dkim_selector: str | None, by: Actor
) -> Domain:
    """Say which DKIM selector a domain's mail is signed with; None: the usual ones are tried. It is
    checked anew. Raises InvalidFields, NotFound.
    """
    try:
        selector = parse_selector(dkim_selector)
    except ValueError as error:
        raise _invalid([FieldError("dkim_selector", str(error))]) from None
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = get(workspace_id, domain_id)
        if row.dkim_selector != selector:
            # What was in order under another selector says nothing about this one.
            _update(
                row,
                dkim_selector=selector,
                good=_without(row.good, "dkim"),
                drift=_without(row.drift, "dkim"),
            )
            _record(
                row,
                by,
                "changed",
                before={"dkim_selector": row.dkim_selector},
                after={"dkim_selector": selector},
            )
        ask_again(workspace_id, domain_id)
    return get(workspace_id, domain_id)


def accept(workspace_id: int, domain_id: int, *, by: Actor) -> Domain:
    """Take the records as they are for what they should be: drift is measured against them from
    now on, and what it had opened closes itself. Raises NotFound.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = get(workspace_id, domain_id)
        good = {check: row.good[check] for check in row.good if check not in row.drift}
        _update(row, good=good, drift={})
        clear_incident(row)
        _record(row, by, "accepted", before={"drifted": sorted(row.drift)})
        ask_again(workspace_id, domain_id)
    return get(workspace_id, domain_id)


def remove(workspace_id: int, domain_id: int, *, by: Actor) -> None:
    """Look after a domain no more; mail from it goes out as before. Raises NotFound."""
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = get(workspace_id, domain_id)
        clear_incident(row)
        row.delete_instance()
        _record(row, by, "removed", before={"dkim_selector": row.dkim_selector})


def ask_again(workspace_id: int, domain_id: int) -> None:
    """Have it checked by a worker as soon as may be, in a transaction or without one. What a check
    that is under way finds is dropped. Nothing where there is no such domain.
    """
    with database.atomic():
        Domain.update(due_at=fn.now(), claimed_until=None).where(
            Domain.workspace == workspace_id, Domain.id == domain_id
        ).execute()
        queue.enqueue(HINT)


def get(workspace_id: int, domain_id: int) -> Domain:
    """Raises NotFound, also for another workspace's."""
    row: Domain | None = Domain.get_or_none(
        Domain.workspace == workspace_id, Domain.id == domain_id
    )
    if row is None:
        raise NotFound(NO_SUCH)
    return row


def find(workspace_id: int, name: str) -> Domain:
    """The workspace's domain of this name, in whatever form. Raises InvalidFields, NotFound."""
    normal, _ = check_fields(name, None)
    row: Domain | None = Domain.get_or_none(Domain.workspace == workspace_id, Domain.name == normal)
    if row is None:
        workspaces.require(workspace_id)
        raise NotFound(NO_SUCH)
    return row


def list_page(workspace_id: int, *, limit: int = 50, after: str | None = None) -> Page:
    """By name, those after a name. Raises NotFound (the workspace)."""
    query = Domain.select().where(Domain.workspace == workspace_id)
    if after is not None:
        query = query.where(Domain.name > after)
    rows = list(query.order_by(Domain.name).limit(limit + 1))
    if not rows:
        workspaces.require(workspace_id)
    shown = rows[:limit]
    return Page(shown, after=shown[-1].name if len(rows) > limit else None)


def list_history(row: Domain) -> list[DomainCheck]:
    """What checks found, the newest first, HISTORY_SHOWN at most."""
    query = DomainCheck.select().where(DomainCheck.domain == row.id)
    return list(query.order_by(DomainCheck.id.desc()).limit(HISTORY_SHOWN))


_SUGGEST = """
SELECT name, count(*)::int FROM (
    SELECT lower(split_part(from_email, '@', -1) COLLATE "pg_c_utf8") AS name FROM messages
    WHERE workspace_id = %(workspace)s ORDER BY created_at DESC, id DESC LIMIT %(recent)s) AS recent
WHERE NOT EXISTS (
    SELECT FROM domains WHERE workspace_id = %(workspace)s AND domains.name = recent.name)
GROUP BY name ORDER BY count(*) DESC, name LIMIT %(limit)s
"""


def suggest(workspace_id: int) -> list[tuple[str, int]]:
    """Domains that the newest messages come from and that nobody has added, with how many that
    were: the most first.
    """
    values = {"workspace": workspace_id, "recent": RECENT_MESSAGES, "limit": SUGGESTIONS_MAX}
    return [(name, count) for name, count in database.execute_sql(_SUGGEST, values).fetchall()]


def clear_incident(row: Domain) -> None:
    """In the caller's transaction."""
    incident_signals.clear_state(row.workspace_id, kind=IncidentKind.DOMAIN, key=incident_key(row))


def incident_key(row: Domain) -> str:
    return f"domain {row.id}"


def check_fields(name: str, dkim_selector: str | None) -> tuple[str, str | None]:
    """Both in normal form. Raises InvalidFields."""
    errors, normal, selector = [], "", None
    try:
        normal = parse_name(name)
    except ValueError as error:
        errors.append(FieldError("domain", str(error)))
    try:
        selector = parse_selector(dkim_selector)
    except ValueError as error:
        errors.append(FieldError("dkim_selector", str(error)))
    if errors:
        raise _invalid(errors)
    return normal, selector


def _invalid(errors: list[FieldError]) -> InvalidFields:
    return InvalidFields(summarise(errors), errors=errors)


def _update(row: Domain, **values: Any) -> None:
    Domain.update(**values).where(Domain.id == row.id).execute()


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _record(row: Domain, by: Actor, what: str, **told: Any) -> None:
    audit.record(row.workspace_id, by, action=f"domain.{what}", target=f"domain {row.name}", **told)
