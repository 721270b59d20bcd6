"""What the tests of people share: the mail that they get, and what is told of them."""

import functools
import re
from collections.abc import Callable
from typing import Any

import argon2

from maild import config
from maild.db import database
from maild.domain.actor import Actor
from maild.models import AuditEntry, Member, Message, MessageBody, Person
from maild.services import messages, sessions
from maild.services.workspaces import MAILDS_OWN_ID
from tests.services.helpers import at_once

BY = Actor("ann@example.org", ip="192.0.2.1", request_id="r1")
PUBLIC_URL = "https://mail.example.net"
NEW_PASSWORD = "eleven green bottles"
TOKEN = r"[A-Za-z0-9_-]{43}"

MakePerson = Callable[..., Person]
UseSettings = Callable[..., config.Settings]


def token_of(url: str) -> str:
    """What stands at the end of a link."""
    token = url.rpartition("/")[2]
    assert re.fullmatch(TOKEN, token), url
    return token


def mails() -> list[Message]:
    """What was mailed to people, the newest first."""
    mine = Message.select().where(Message.workspace == MAILDS_OWN_ID)
    return list(mine.order_by(Message.created_at.desc(), Message.id))


def text_of(message: Message) -> str:
    body: MessageBody = messages.get_body(message)
    assert body.body_html is None
    assert body.body_text is not None
    return body.body_text


def mailed_token(path: str) -> str:
    """The token in the one link of this path in the newest mail."""
    [token] = re.findall(rf"{re.escape(config.current().public_url + path)}({TOKEN})\s",
                         text_of(mails()[0]))  # fmt: skip
    return str(token)


def refuse_mail(use_settings: UseSettings) -> None:
    """From now on no mail is accepted to example.org."""
    use_settings(blocked_recipient_domains=("example.org",))


def short(value: object) -> str:
    """A parameter as the name of its test may have it."""
    return ascii(value)[:24]


def reload(person: Person) -> Person:
    found: Person = Person.get_by_id(person.id)
    return found


def entries(workspace_id: int = MAILDS_OWN_ID) -> list[AuditEntry]:
    """A workspace's audit log, the oldest first."""
    query = AuditEntry.select().where(AuditEntry.workspace == workspace_id)
    return list(query.order_by(AuditEntry.seq))


def actions(workspace_id: int = MAILDS_OWN_ID) -> list[tuple[str, str]]:
    """What it tells: what was done, to what."""
    return [(entry.action, entry.target) for entry in entries(workspace_id)]


def everything_stored() -> str:
    """All rows of all tables of people and of the audit log, bytes in hexadecimal."""
    tables = ("people", "recovery_codes", "members", "sessions", "invitations", "mailed_links",
              "audit_entries")  # fmt: skip
    rows = (database.execute_sql(f"SELECT t::text FROM {table} t").fetchall() for table in tables)
    return "\n".join(text for found in rows for (text,) in found)


def roles_in(workspace_id: int) -> dict[str, str]:
    """Who belongs to a workspace, as what."""
    query = Member.select(Member, Person).join(Person).where(Member.workspace == workspace_id)
    return {member.person.email: member.role.value for member in query}


def enter(person: Person, **fields: Any) -> str:
    """Sign a person in; returns the token."""
    values = {"is_remembered": False, "ip": "192.0.2.1", "user_agent": "a test", **fields}
    return sessions.start(person.id, **values)


def race(*runs: Callable[[], object], losing: type[Exception]) -> list[str]:
    """Run these at once, each on a connection of its own; `won` or `lost` for each that came
    through or raised `losing`, in alphabetical order.
    """
    ends: list[str] = []

    def note(run: Callable[[], object]) -> None:
        try:
            run()
        except losing:
            ends.append("lost")
        else:
            ends.append("won")

    at_once(*(functools.partial(note, run) for run in runs))
    return sorted(ends)


def fill(workspace_id: int, count: int) -> None:
    """Give a workspace so many members: viewers, who cannot log in."""
    database.execute_sql(
        """
        WITH made AS (
            INSERT INTO people (email, name, password_hash)
            SELECT 'user' || n || '@example.net', 'User ' || n, 'x'
            FROM generate_series(1, %(count)s) AS n RETURNING id)
        INSERT INTO members (workspace_id, person_id, role)
        SELECT %(workspace)s, id, 'viewer' FROM made
        """,
        {"workspace": workspace_id, "count": count},
    )


class Meanwhile(argon2.PasswordHasher):
    """A hasher during whose next hash or check something else happens: as if in that moment."""

    def __init__(self, *, on: str, do: Callable[[], object]) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self._on, self._do = on, do

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self._happen("hash")
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002
        is_right = super().verify(hash, password)
        self._happen("verify")
        return is_right

    def _happen(self, what: str) -> None:
        if what == self._on:
            self._on = ""
            self._do()
