"""API keys of a workspace: making, limiting, listing and revoking them, and finding the one that a
request presents. What a role may do is decided at the edges, and when a key was used last is noted
by `api_key_uses`.

A key is shown once, and kept as its SHA-256: 256 random bits need neither salt nor a slow hash.
Every request asks the database, so that a revoked key is out at once in every process.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

import peewee

from maild import clock, config, db, log
from maild.db import database, execute_prepared
from maild.domain import client_address, submission
from maild.domain.actor import Actor
from maild.domain.client_address import Address, Network
from maild.domain.role import Role
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import ApiKey
from maild.services import api_key_uses, audit, tokens, workspaces

START = "mk_"
PREFIX_CHARS = len(START) + 8
"""What stays visible of a key: 48 of its 256 bits."""
NAME_MAX_CHARS = 64
REASON_MAX_CHARS = 500
NETWORKS_MAX = 100
REQUESTS_MAX = 10_000_000
"""A minute, and far beyond what one instance can do."""

NO_SUCH = "There is no such API key in this workspace."

_KEY = re.compile(rf"{START}[A-Za-z0-9_-]{{43}}")

# An expiry is judged by Postgres' clock, so that all processes agree.
_FIND = """
SELECT id, workspace_id, name, prefix, role, allowed_networks, requests_per_minute,
    last_used_at IS NULL OR last_used_at < now() - interval '1 minute'
FROM api_keys
WHERE key_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""

logger = log.get(__name__)


class State(StrEnum):
    """Whether a key works."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key as a person asks for it. Without `allowed_networks` it works from everywhere; without
    `requests_per_minute` the instance's limit is its own, and 0 is none.
    """

    name: str
    role: str
    expires_at: datetime | None = None
    allowed_networks: Sequence[str] | None = None
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A key in force that was presented: what a request needs of it."""

    id: int
    workspace_id: int
    name: str
    prefix: str
    role: Role
    allowed_networks: tuple[str, ...] | None
    requests_per_minute: int | None = None

    def allows(self, address: Address | None) -> bool:
        """Whether the key may be used from this address. None, an unknown one, is on no list."""
        if self.allowed_networks is None:
            return True
        networks = _parse_networks(self.allowed_networks)
        return address is not None and client_address.contains(networks, address)

    def __str__(self) -> str:
        return _title(self.prefix, self.name)


@dataclass(frozen=True, slots=True)
class Page:
    """Keys, newest first, and the id after which the next page begins, if there is one."""

    keys: list[ApiKey]
    older: int | None


def create(
    workspace_id: int, new: NewApiKey, *, by: Actor, is_by_instance: bool = False
) -> tuple[ApiKey, str]:
    """Make a key; returns its row, and the key itself, which is kept nowhere.

    More requests a minute than API_REQUESTS_PER_MINUTE has only whoever runs the instance to give
    (`is_by_instance`). Raises InvalidFields, NotFound (the workspace).
    """
    networks = _check(new, is_by_instance=is_by_instance)
    secret = START + tokens.make()
    with database.atomic():
        workspaces.require(workspace_id)
        row: ApiKey = (
            ApiKey.insert(
                workspace=workspace_id,
                name=new.name,
                prefix=secret[:PREFIX_CHARS],
                key_hash=tokens.hash_of(secret),
                role=new.role,
                allowed_networks=networks,
                expires_at=new.expires_at,
                requests_per_minute=new.requests_per_minute,
                created_by=by.name,
            )
            .returning(ApiKey)
            .execute()[0]
        )
        audit.record(
            workspace_id,
            by,
            action="api_key.created",
            target=title(row),
            after={
                "id": row.id,
                "role": row.role,
                "expires_at": row.expires_at and row.expires_at.isoformat(),
                "allowed_networks": networks,
                "requests_per_minute": row.requests_per_minute,
            },
        )
    logger.warning("api_key.created", workspace_id=workspace_id, key=row.prefix, role=row.role)
    return row, secret


def revoke(
    workspace_id: int, *, key_id: int, by: Actor, reason: str | None = None
) -> tuple[ApiKey, bool]:
    """Let a key never work again; returns its row, and whether it was in use until now.

    One that is revoked already stays as it was. Raises InvalidFields, NotFound.
    """
    if reason is not None:
        _raise(_check_text("reason", reason, max_chars=REASON_MAX_CHARS))
    with database.atomic():
        revoked = (
            ApiKey.update(revoked_at=peewee.fn.now(), revoked_by=by.name)
            .where(
                ApiKey.workspace == workspace_id, ApiKey.id == key_id, ApiKey.revoked_at.is_null()
            )
            .execute()
        )
        row = _get(workspace_id, key_id)
        if revoked:
            audit.record(
                workspace_id,
                by,
                action="api_key.revoked",
                target=title(row),
                before={"id": row.id, "role": row.role},
                reason=reason,
            )
    if revoked:
        logger.warning("api_key.revoked", workspace_id=workspace_id, key=row.prefix)
    return row, bool(revoked)


def limit(
    workspace_id: int,
    *,
    key_id: int,
    requests_per_minute: int | None,
    by: Actor,
    reason: str | None = None,
    is_by_instance: bool = False,
) -> ApiKey:
    """Let a key make so many requests a minute from now on; returns its row. None and 0, and who
    may give what, as in `create`.

    Raises InvalidFields, NotFound, Conflict (it is revoked).
    """
    errors = _check_requests(requests_per_minute, is_by_instance=is_by_instance)
    if reason is not None:
        errors += _check_text("reason", reason, max_chars=REASON_MAX_CHARS)
    _raise(errors)
    with database.atomic():
        row = _get(workspace_id, key_id, is_locked=True)
        if row.revoked_at is not None:
            raise Conflict("The API key is revoked.")
        before, row.requests_per_minute = row.requests_per_minute, requests_per_minute
        if before != requests_per_minute:
            row.save(only=[ApiKey.requests_per_minute])
            audit.record(
                workspace_id,
                by,
                action="api_key.limited",
                target=title(row),
                before={"id": row.id, "requests_per_minute": before},
                after={"id": row.id, "requests_per_minute": requests_per_minute},
                reason=reason,
            )
    return row


def list_page(workspace_id: int, *, limit: int = 50, older_than: int | None = None) -> Page:
    """One page of all keys, those that do not work any more as well. Raises NotFound."""
    query = ApiKey.select().where(ApiKey.workspace == workspace_id)
    if older_than is not None:
        query = query.where(ApiKey.id < older_than)
    rows = list(query.order_by(ApiKey.id.desc()).limit(limit + 1))
    if not rows:
        workspaces.require(workspace_id)
    has_more, rows = len(rows) > limit, rows[:limit]
    return Page(rows, rows[-1].id if has_more else None)


def state_of(row: ApiKey) -> State:
    """Whether the key works now."""
    if row.revoked_at is not None:
        return State.REVOKED
    if row.expires_at is not None and row.expires_at <= clock.now():
        return State.EXPIRED
    return State.ACTIVE


def title(row: ApiKey) -> str:
    """The key as people name it: `key mk_1a2b3c4d (billing)`."""
    return _title(row.prefix, row.name)


def find_in_force(presented: str) -> Known | None:
    """The key that was presented, if it is one, and neither revoked nor expired. No connection
    need be open. Raises Unavailable.
    """
    if not _KEY.fullmatch(presented):
        return None
    with db.connection():
        rows = execute_prepared("find_api_key", _FIND, (tokens.hash_of(presented),))
    if not rows:
        return None
    [(key_id, workspace_id, name, prefix, role, networks, per_minute, is_use_due)] = rows
    if is_use_due:
        api_key_uses.note(key_id)
    allowed = None if networks is None else tuple(networks)
    return Known(key_id, workspace_id, name, prefix, Role(role), allowed, per_minute)


def _get(workspace_id: int, key_id: int, *, is_locked: bool = False) -> ApiKey:
    query = ApiKey.select().where(ApiKey.id == key_id, ApiKey.workspace == workspace_id)
    if is_locked:
        query = query.for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
    row: ApiKey | None = query.first()
    if row is None:
        raise NotFound(NO_SUCH)
    return row


def _title(prefix: str, name: str) -> str:
    return f"key {prefix} ({name})"


@lru_cache(maxsize=1024)
def _parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(client_address.parse_network(text) for text in texts)


def requests_per_minute_max() -> int | None:
    """What a workspace may give a key of its own; None: as many as it likes."""
    return config.current().api_requests_per_minute or None


def _check(new: NewApiKey, *, is_by_instance: bool) -> list[str] | None:
    """The networks in normal form. Raises InvalidFields."""
    errors = _check_text("name", new.name, max_chars=NAME_MAX_CHARS)
    if new.role not in set(Role):
        errors.append(FieldError("role", "must be one of " + ", ".join(Role)))
    if new.expires_at is not None and new.expires_at <= clock.now():
        errors.append(FieldError("expires_at", "must be in the future"))
    errors += _check_requests(new.requests_per_minute, is_by_instance=is_by_instance)
    networks: list[str] = []
    if new.allowed_networks is not None and not 1 <= len(new.allowed_networks) <= NETWORKS_MAX:
        message = f"must have 1 to {NETWORKS_MAX} entries; leave it out to allow every address"
        errors.append(FieldError("allowed_networks", message))
    else:
        for index, text in enumerate(new.allowed_networks or ()):
            try:
                networks.append(str(client_address.parse_network(text)))
            except ValueError as error:
                errors.append(FieldError(f"allowed_networks.{index}", str(error)))
    _raise(errors)
    return None if new.allowed_networks is None else networks


def _check_requests(per_minute: int | None, *, is_by_instance: bool) -> list[FieldError]:
    most = None if is_by_instance else requests_per_minute_max()
    least = 0 if most is None else 1
    if per_minute is None or least <= per_minute <= (most or REQUESTS_MAX):
        return []
    message = f"must be {least:,} to {most or REQUESTS_MAX:,}"
    if most is not None:
        message += "; only whoever runs maild can allow more"
    return [FieldError("requests_per_minute", message)]


def _check_text(field: str, text: str, *, max_chars: int) -> list[FieldError]:
    if not (text.strip() and text.isprintable()):
        return [FieldError(field, "must be printable characters, and not spaces alone")]
    complaints = submission.check_line(field, text, max_chars=max_chars)
    return [FieldError(name, message) for name, message in complaints]


def _raise(errors: list[FieldError]) -> None:
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
