"""Sessions: the browsers in which people are signed in. PostgreSQL keeps them, so that one that is
ended is out at once in every process, and none is lost with Redis.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

import peewee

from maild import clock, log
from maild.db import database, execute_prepared
from maild.domain.role import Role
from maild.errors import NotFound, SignInNeeded
from maild.models import Member, Session
from maild.services import tokens
from maild.services.workspaces import Membership

IDLE_HOURS = 12
"""A session ends when it is not used for so long, unless it is remembered."""
LIFETIME = timedelta(hours=24)
REMEMBERED_LIFETIME = timedelta(days=30)
VISIT_MINUTES = 30
"""After so long without a request the next one begins another visit."""
USER_AGENT_MAX_CHARS = 300
SESSIONS_MAX = 50
"""Of one person; the one that was used longest ago makes room."""

_FIND = """
SELECT s.id, p.id, p.email, p.name, p.email_verified_at IS NOT NULL, p.totp_enabled_at IS NOT NULL,
    s.workspace_id, s.seen_at < now() - interval '1 minute', p.last_visit_at, (
        SELECT json_agg(json_build_array(w.id, w.name, m.role) ORDER BY lower(w.name), w.id)
        FROM members m JOIN workspaces w ON w.id = m.workspace_id WHERE m.person_id = p.id)
FROM sessions s JOIN people p ON p.id = s.person_id
WHERE s.token_hash = $1 AND s.expires_at > now()
    AND (s.is_remembered OR s.seen_at > now() - interval '1 hour' * $2)
"""
_TOUCH = """
WITH touched AS (
    UPDATE sessions SET seen_at = now(), ip = %(ip)s WHERE id = %(session)s
)
UPDATE people SET seen_at = now(),
    last_visit_at = CASE WHEN seen_at < now() - interval '1 minute' * %(minutes)s
        THEN seen_at ELSE last_visit_at END
WHERE id = %(person)s
RETURNING last_visit_at
"""
_ENTER = """
UPDATE people SET seen_at = now(),
    last_visit_at = CASE WHEN seen_at < now() - interval '1 minute' * %(minutes)s
        THEN seen_at ELSE last_visit_at END
WHERE id = %(person)s
    AND (%(password_changed_at)s::timestamptz IS NULL OR (
        password_changed_at = %(password_changed_at)s
        AND totp_enabled_at IS NOT DISTINCT FROM %(totp_enabled_at)s::timestamptz))
"""
_MAKE_ROOM = """
DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions WHERE person_id = %s ORDER BY seen_at DESC OFFSET %s)
"""

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person, as a request needs them. `workspace` is the one that the console shows:
    None where they belong to none. `last_visit_at`: when their visit before this one ended.
    """

    session_id: int
    id: int
    email: str
    name: str
    is_verified: bool
    has_second_factor: bool
    workspaces: tuple[Membership, ...]
    workspace: Membership | None
    last_visit_at: datetime | None

    def membership(self, workspace_id: int) -> Membership | None:
        """What they are in this workspace, if anything."""
        return next((one for one in self.workspaces if one.id == workspace_id), None)


def start(
    person_id: int,
    *,
    is_remembered: bool,
    ip: str | None,
    user_agent: str,
    workspace_id: int | None = None,
    password_changed_at: datetime | None = None,
    totp_enabled_at: datetime | None = None,
) -> str:
    """Sign a person in; returns the token of the new session, which is kept nowhere.

    `password_changed_at` and `totp_enabled_at` are what they were when the password was checked.
    Raises SignInNeeded where either is another by now: a change ends all sessions, and none may
    slip in behind it.
    """
    token = tokens.make()
    lifetime = REMEMBERED_LIFETIME if is_remembered else LIFETIME
    entering = {
        "person": person_id,
        "minutes": VISIT_MINUTES,
        "password_changed_at": password_changed_at,
        "totp_enabled_at": totp_enabled_at,
    }
    with database.atomic():
        # The person first: whoever else signs them in, or changes their password, waits here.
        if not database.execute_sql(_ENTER, entering).rowcount:
            raise SignInNeeded("Your way to log in was changed a moment ago. Log in once more.")
        database.execute_sql(_MAKE_ROOM, (person_id, SESSIONS_MAX - 1))
        Session.insert(
            person=person_id,
            token_hash=tokens.hash_of(token),
            workspace=workspace_id,
            is_remembered=is_remembered,
            ip=ip,
            user_agent=_printable(user_agent),
            expires_at=clock.now() + lifetime,
        ).execute()
    logger.info("session.started", person_id=person_id, ip=ip)
    return token


def find(token: str, *, ip: str | None) -> Visitor | None:
    """Who is signed in with this token; notes, once a minute, that they are there."""
    if not tokens.is_well_formed(token):
        return None
    rows = execute_prepared("find_session", _FIND, (tokens.hash_of(token), IDLE_HOURS))
    if not rows:
        return None
    [(id_, person_id, email, name, verified, factor, wanted, is_touch_due, last_visit, told)] = rows
    if is_touch_due:
        parameters = {"ip": ip, "session": id_, "person": person_id, "minutes": VISIT_MINUTES}
        seen = database.execute_sql(_TOUCH, parameters).fetchone()
        if seen is None:  # the person has gone since
            return None
        last_visit = seen[0]
    memberships = tuple(Membership(w, text, Role(role)) for w, text, role in _list(told))
    shown = next((one for one in memberships if one.id == wanted), None)
    return Visitor(
        session_id=id_,
        id=person_id,
        email=email,
        name=name,
        is_verified=verified,
        has_second_factor=factor,
        workspaces=memberships,
        workspace=shown or (memberships[0] if memberships else None),
        last_visit_at=last_visit,
    )


def switch(session_id: int, *, person_id: int, workspace_id: int) -> None:
    """Show another workspace. Raises NotFound where the person is none of its members."""
    switched = (
        Session.update(workspace=workspace_id)
        .where(
            Session.id == session_id,
            Session.person == person_id,
            peewee.fn.EXISTS(
                Member.select().where(Member.workspace == workspace_id, Member.person == person_id)
            ),
        )
        .execute()
    )
    if not switched:
        raise NotFound("You belong to no such workspace.")


def list_of(person_id: int) -> list[Session]:
    """A person's sessions, the latest used first; those that have run out are left out."""
    idle_since = clock.now() - timedelta(hours=IDLE_HOURS)
    return list(
        Session.select()
        .where(
            Session.person == person_id,
            Session.expires_at > clock.now(),
            Session.is_remembered | (Session.seen_at > idle_since),
        )
        .order_by(Session.seen_at.desc(), Session.id.desc())
        .limit(SESSIONS_MAX)
    )


def renew(session_id: int, *, person_id: int) -> str:
    """Give a session another token, and return it: who has a copy of the one before is out."""
    token = tokens.make()
    Session.update(token_hash=tokens.hash_of(token)).where(
        Session.id == session_id, Session.person == person_id
    ).execute()
    return token


def end(session_id: int, *, person_id: int) -> bool:
    """End one of a person's sessions; returns whether there was one."""
    ended = Session.delete().where(Session.id == session_id, Session.person == person_id).execute()
    if ended:
        logger.info("session.ended", person_id=person_id)
    return bool(ended)


def end_all(person_id: int, *, but: int | None = None) -> int:
    """End all sessions of a person, except for one; returns how many they were."""
    query = Session.delete().where(Session.person == person_id)
    if but is not None:
        query = query.where(Session.id != but)
    ended = int(query.execute())
    if ended:
        logger.info("sessions.ended", person_id=person_id, count=ended)
    return ended


def prune() -> None:
    """Remove what has run out. Nobody can use it any more."""
    idle_since = clock.now() - timedelta(hours=IDLE_HOURS)
    Session.delete().where(
        (Session.expires_at < clock.now())
        | (~Session.is_remembered & (Session.seen_at < idle_since))
    ).execute()


def _list(told: object) -> list[tuple[int, str, str]]:
    if told is None:
        return []
    return json.loads(told) if isinstance(told, str) else told  # type: ignore[return-value]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:USER_AGENT_MAX_CHARS]
