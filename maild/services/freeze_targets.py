"""What the target of a freeze may be, and the one form in which claims compare it with messages."""

import re
from collections.abc import Sequence

from maild.db import database
from maild.domain import submission
from maild.domain.freeze import FreezeKind
from maild.domain.states import Stream
from maild.errors import NotFound
from maild.models import ApiKey, Freeze, SmtpAccount
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import addresses

SERIAL_MAX = 2**31 - 1
_SERIAL = re.compile(r"[1-9][0-9]{0,9}")


def normalise(kind: FreezeKind, target: str | None) -> str | None:
    """The form of a target that claims compare with. Raises ValueError with a sentence."""
    if kind is FreezeKind.WORKSPACE:
        if target is not None:
            raise ValueError("must be left out: a freeze of the workspace stops all of it")
        return None
    if not target:
        raise ValueError(f"is missing: which {kind.value.replace('_', ' ')} is to stand still?")
    if kind is FreezeKind.STREAM:
        if target not in set(Stream):
            raise ValueError("must be " + " or ".join(Stream))
        return target
    if kind is FreezeKind.API_KEY:
        if not _SERIAL.fullmatch(target) or int(target) > SERIAL_MAX:
            raise ValueError("must be the id of an API key, a whole number")
        return target
    if kind is FreezeKind.FROM_EMAIL:
        return _lower_case(addresses.parse(target).text)
    if kind is FreezeKind.RECIPIENT_DOMAIN:
        return _parse_domain(target)
    for _, complaint in submission.check_line("target", target, max_chars=addresses.MAX_CHARS):
        raise ValueError(complaint)
    return target


def _parse_domain(text: str) -> str:
    """The domain as it stands in the addresses of messages."""
    try:
        if "@" in text:
            raise ValueError
        return addresses.parse(f"x@{text}").text.rpartition("@")[2]
    except ValueError:
        raise ValueError("must be a domain such as example.com") from None


def _lower_case(text: str) -> str:
    """As Postgres does it where messages are compared, beyond ASCII too."""
    row = database.execute_sql('SELECT lower(%s::text COLLATE "pg_c_utf8")', (text,)).fetchone()
    return str(row[0])


def list_key_names(workspace_id: int, freezes: Sequence[Freeze]) -> dict[int, str]:
    """The names of the API keys that these freezes stop, by the ids of the freezes."""
    targets = {
        freeze.id: int(str(freeze.target))
        for freeze in freezes
        if freeze.kind is FreezeKind.API_KEY
    }
    if not targets:
        return {}
    query = ApiKey.select(ApiKey.id, ApiKey.name)
    rows = query.where(ApiKey.workspace == workspace_id, ApiKey.id << list(targets.values()))
    names = {row.id: row.name for row in rows}
    return {one: names[key_id] for one, key_id in targets.items() if key_id in names}


def require(workspace_id: int, kind: FreezeKind, target: str) -> None:
    """Raises NotFound for an account or a key that the workspace does not have."""
    if kind is FreezeKind.SMTP_ACCOUNT and target != DEFAULT_ACCOUNT:
        account = SmtpAccount.select().where(
            SmtpAccount.workspace == workspace_id, SmtpAccount.name == target
        )
        if not account.exists():
            raise NotFound(f"There is no SMTP account named {target!r} in this workspace.")
    if kind is FreezeKind.API_KEY:
        key = ApiKey.select().where(ApiKey.workspace == workspace_id, ApiKey.id == int(target))
        if not key.exists():
            raise NotFound(f"There is no API key {target} in this workspace.")
