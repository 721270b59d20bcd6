"""Deployments: what else was changed, and when, so that a timeline shows what came before trouble.

A workspace's own are told by whoever deploys; maild tells its own, of the whole instance.
"""

from typing import Any
from urllib.parse import urlsplit

from maild import __version__
from maild.db import database
from maild.domain import submission
from maild.domain.actor import Actor
from maild.domain.states import EventType
from maild.errors import FieldError, InvalidFields, summarise
from maild.models import Event
from maild.services import audit, locks, workspaces

NAME_MAX_CHARS = 100
VERSION_MAX_CHARS = 100
URL_MAX_CHARS = 500


def record(
    workspace_id: int, *, name: str, version: str, url: str | None = None, by: Actor
) -> Event:
    """Keep that a version of something was deployed just now; returns the event. `url` is where
    more can be read. Raises InvalidFields, NotFound (the workspace).
    """
    errors = _check(name, version, url)
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
    data: dict[str, Any] = {"name": name.strip(), "version": version.strip(), "by": by.name}
    if url:
        data["url"] = url
    with database.atomic():
        workspaces.require(workspace_id)
        [event] = (
            Event.insert(
                workspace=workspace_id, type=EventType.DEPLOYMENT_RECORDED.value, data=data
            )
            .returning(Event)
            .execute()
        )
        audit.record(
            workspace_id,
            by,
            action="deployment.recorded",
            target=f"{data['name']} {data['version']}",
        )
    return event  # type: ignore[no-any-return]


# The latest one only: going back to an older version is a deployment as well.
_LATEST = """
SELECT data->>'version' FROM events
WHERE workspace_id IS NULL AND message_id IS NULL AND type = %s ORDER BY id DESC LIMIT 1
"""


def record_own() -> bool:
    """Keep which version of maild runs, where it is not the one that ran before; returns whether it
    was another. Of the processes that start with it, one tells.
    """
    kind = EventType.MAILD_DEPLOYED.value
    with database.atomic():
        locks.wait_for_transaction(locks.DEPLOYMENTS)
        row = database.execute_sql(_LATEST, (kind,)).fetchone()
        if row is not None and row[0] == __version__:
            return False
        data = {"version": __version__, **({"before": row[0]} if row else {})}
        Event.insert(workspace=None, type=kind, data=data).execute()
    return True


def _check(name: str, version: str, url: str | None) -> list[FieldError]:
    errors = []
    texts = (("name", name, NAME_MAX_CHARS), ("version", version, VERSION_MAX_CHARS))
    for field, text, max_chars in texts:
        if not text.strip():
            errors.append(FieldError(field, "must not be empty"))
        complaints = submission.check_line(field, text, max_chars=max_chars)
        errors += [FieldError(where, message) for where, message in complaints]
    if url:
        complaints = submission.check_line("url", url, max_chars=URL_MAX_CHARS)
        errors += [FieldError(where, message) for where, message in complaints]
        if not _is_web_address(url):
            errors.append(FieldError("url", "must begin with https:// or http://"))
        elif "@" in urlsplit(url).netloc:  # everybody reads it, with what is in it
            errors.append(FieldError("url", "must not hold a user's name or password"))
    return errors


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"https", "http"} and bool(parts.netloc)
