"""A workspace's keys for the links in its mail: the newest one signs, and every one opens.

In charge of making, keeping and finding them; what a link holds is `unsubscribe_links`. They are
apart from the key that encrypts them at rest: links go on working when that one is changed.
"""

import base64
import secrets as random
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from maild import log
from maild.db import database
from maild.domain.actor import Actor
from maild.models import LinkKey
from maild.services import audit, secrets, workspaces

SECRET_BYTES = 64  # RFC 5297 6.3: the two keys of AES-256
FRESH_SECONDS = 60
"""A process goes on signing with the key that it knows for so long after another has come."""

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """A key that is ready to be used. One of an id never changes."""

    id: int
    workspace_id: int
    cipher: AESSIV


NOBODYS = Key(0, 0, AESSIV(random.token_bytes(SECRET_BYTES)))
"""Opens nothing: it stands in for a key that is not there, so that this takes as long."""

_opened: dict[int, Key] = {}
_signing: dict[int, tuple[Key, float]] = {}


def load(workspace_id: int) -> Key:
    """The key that signs now, known to `signing` from here on; the first one is made.

    Asks the database once in FRESH_SECONDS at most. Raises NotFound, for the workspace, and
    DecryptionError.
    """
    known = _signing.get(workspace_id)
    now = time.monotonic()
    if known and now - known[1] < FRESH_SECONDS:
        return known[0]
    key = _newest(workspace_id) or _make_first(workspace_id)
    _signing[workspace_id] = (key, now)
    return key


def signing(workspace_id: int) -> Key:
    """The key that signs, without asking anybody. Raises LookupError unless `load` came before."""
    return _signing[workspace_id][0]


def find(key_id: int) -> Key | None:
    """The key of this id, of whichever workspace. Asks the database each time, whether the key is
    known or not, so that the time tells nothing. Raises DecryptionError.
    """
    row: LinkKey | None = LinkKey.get_or_none(LinkKey.id == key_id)
    return _open(row) if row else None


def rotate(workspace_id: int, *, by: Actor) -> int:
    """Add a key, which signs from now on; returns its id. Links in old mail go on working.

    Other processes take it up within FRESH_SECONDS. Raises NotFound.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        key = _make(workspace_id)
        audit.record(
            workspace_id,
            by,
            action="link_key.added",
            target=f"link key {key.id}",
            after={"link_key_id": key.id},
        )
    _signing.pop(workspace_id, None)
    logger.warning("link_key.added", workspace_id=workspace_id, link_key_id=key.id)
    return key.id


def forget() -> None:
    """Empty what this process knows: for a database that has been emptied."""
    _opened.clear()
    _signing.clear()


def _newest(workspace_id: int) -> Key | None:
    row: LinkKey | None = (
        LinkKey.select()
        .where(LinkKey.workspace == workspace_id)
        .order_by(LinkKey.id.desc())
        .limit(1)
        .first()
    )
    return _open(row) if row else None


def _make_first(workspace_id: int) -> Key:
    """Of two at once one makes it, and the other takes that one: all sign alike."""
    with database.atomic():
        workspaces.take_turns(workspace_id)
        return _newest(workspace_id) or _make(workspace_id)


def _make(workspace_id: int) -> Key:
    key_id = database.execute_sql("SELECT nextval('link_keys_id_seq')").fetchone()[0]
    secret = random.token_bytes(SECRET_BYTES)
    LinkKey.insert(
        id=key_id,
        workspace=workspace_id,
        secret_encrypted=secrets.encrypt(
            base64.b64encode(secret).decode(), place=_place(workspace_id, key_id)
        ),
    ).execute()
    return Key(key_id, workspace_id, AESSIV(secret))


def _open(row: LinkKey) -> Key:
    known = _opened.get(row.id)
    if known is None:
        text = secrets.decrypt(row.secret_encrypted, place=_place(row.workspace_id, row.id))
        known = Key(row.id, row.workspace_id, AESSIV(base64.b64decode(text)))
        _opened[row.id] = known
    return known


def _place(workspace_id: int, key_id: int) -> str:
    return secrets.place_of(workspace_id, "link_keys", key_id, "secret")
